// Outlines over the picture: regions, what is being drawn, and what a click would take.

/** @typedef {import("./document.js").Region} Region */
/** @typedef {import("./plane.js").Rect} Rect */

const SPACE = "http://www.w3.org/2000/svg";

export class Marks {
  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.canvas = /** @type {HTMLCanvasElement} */ (stage.element.querySelector("#candidate"));
    /** @type {Region|null} */ this.region = null;
    /** @type {SVGElement[]} */ this.traced = [];
  }

  /** Outline one region (or anything with a box) and all proposals. @param {Region|null} region */
  highlight(region) {
    this.region = region;
    const doc = this.stage.doc;
    const shown = (doc?.regions ?? []).filter(
      (one) => one === region || (one.proposed && one.state === "off" && !doc?.keeps(one)),
    );
    if (region && !shown.includes(region)) shown.push(region); // something drawn
    this.stage.marks.replaceChildren(...shown.flatMap((one) => outline(one, one === region)), ...this.traced);
  }

  /** @param {{x: number, y: number}[]} points @param {boolean} closed @param {boolean} masks */
  trace(points, closed, masks) {
    const line = document.createElementNS(SPACE, closed ? "polygon" : "polyline");
    line.setAttribute("points", points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "));
    line.setAttribute("class", `trace ${masks ? "" : "unmasks"}`);
    for (const old of this.traced) old.remove();
    this.traced = [line];
    this.stage.marks.append(line);
  }

  untrace() {
    for (const old of this.traced) old.remove();
    this.traced = [];
  }

  /** Show what a click would take. @param {{bitmap: Uint8Array, box: Rect}|null} found @param {boolean} adds */
  candidate(found, adds) {
    this.canvas.hidden = !found;
    if (!found) return;
    const { box, bitmap } = found;
    const width = box.x1 - box.x0;
    const height = box.y1 - box.y0;
    const step = Math.max(1, Math.ceil(Math.sqrt((width * height) / 1e6)));
    this.canvas.width = Math.max(1, Math.floor(width / step));
    this.canvas.height = Math.max(1, Math.floor(height / step));
    const image = new ImageData(this.canvas.width, this.canvas.height);
    const words = new Uint32Array(image.data.buffer);
    const colour = adds ? 0xb0623bff : 0xb0ffffff; // ABGR: the hand's red, or white
    for (let y = 0; y < this.canvas.height; y++) {
      for (let x = 0; x < this.canvas.width; x++) {
        if (bitmap[y * step * width + x * step]) words[y * this.canvas.width + x] = colour;
      }
    }
    /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d")).putImageData(image, 0, 0);
    this.canvas.style.transform = `translate(${box.x0}px, ${box.y0}px) scale(${step})`;
  }
}

/** @param {Region} region @param {boolean} strong */
function outline(region, strong) {
  const { x0, y0, x1, y1 } = region.box;
  const corners = region.polygon ?? [
    [x0, y0],
    [x1, y0],
    [x1, y1],
    [x0, y1],
  ];
  return ["under", "line"].map((name) => {
    const shape = document.createElementNS(SPACE, "polygon");
    shape.setAttribute("points", corners.map(([x, y]) => `${x},${y}`).join(" "));
    shape.setAttribute("class", `${name} kind-${region.kind} ${strong ? "" : "proposed"}`);
    return shape;
  });
}
