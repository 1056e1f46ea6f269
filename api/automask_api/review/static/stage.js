// The picture on screen: zoom, pan, sharp tiles, and the overlay, of which only what changed is drawn again.

import { drawWindow, latentCells } from "./render.js";
import { tileAddress, viewAddress } from "./api.js";

/** @typedef {import("./document.js").MaskDocument} MaskDocument */
/** @typedef {import("./plane.js").Rect} Rect */
/** @typedef {"overlay"|"mask"|"trainer"|"original"} Look */

const VIEW_PX = 2048;
const TILE_PX = 512;
const MARGIN = 0.2; // of the visible part, drawn beyond each side so that small pans need no drawing
const SETTLE_MS = 80;
const CELLS_MS = 200;
const MOST_ZOOM = 32;
// CSS pixels that are kept free for what floats over the picture
const BARS = 60; // above and below
const TOOLS = 68; // on the left
const LARGE_PX = 8e6; // above it a brush covers so much that the overlay takes every second pixel of the screen

export class Stage extends EventTarget {
  /** @param {HTMLElement} element */
  constructor(element) {
    super();
    this.element = element;
    const find = (/** @type {string} */ selector) => /** @type {any} */ (element.querySelector(selector));
    /** @type {HTMLElement} */ this.world = find("#world");
    /** @type {HTMLImageElement} */ this.base = find("#base");
    /** @type {HTMLElement} */ this.tiles = find("#tiles");
    /** @type {HTMLCanvasElement} */ this.canvas = find("#overlay");
    /** @type {HTMLCanvasElement} */ this.cellCanvas = find("#cells");
    /** @type {SVGSVGElement} */ this.marks = find("#marks");
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { willReadFrequently: true }));
    /** @type {MaskDocument|null} */ this.doc = null;
    /** @type {Look} */ this.look = "overlay";
    this.view = { x: 0, y: 0, zoom: 1 };
    this.window = { x0: 0, y0: 0, width: 0, height: 0, step: 1 };
    this.frame = 0;
    this.settle = 0;
    this.cellTimer = 0;
    this.cells = /** @type {ReturnType<typeof latentCells>|null} */ (null);
    this.colours = readColours();
    this.fitted = true;
    new ResizeObserver(() => (this.fitted ? this.fit() : this.doc && this.#moved())).observe(element);
  }

  /** Show an image. Resolves when its first picture is on screen. @param {MaskDocument} doc @param {string} token */
  async show(doc, token, content = "") {
    this.doc = doc;
    this.token = token;
    this.content = content;
    this.tiles.replaceChildren();
    this.marks.replaceChildren();
    this.element.classList.remove("unreadable");
    for (const [name, value] of [
      ["width", doc.width],
      ["height", doc.height],
    ]) {
      this.world.style.setProperty(`--image-${name}`, `${value}px`);
    }
    this.world.style.setProperty("--cell-width", `${doc.width / doc.grid.columns}px`);
    this.world.style.setProperty("--cell-height", `${doc.height / doc.grid.rows}px`);
    this.marks.setAttribute("viewBox", `0 0 ${doc.width} ${doc.height}`);
    this.base.src = viewAddress(token, content);
    this.fit();
    this.cells = null;
    this.redraw();
    try {
      await this.base.decode();
    } catch {
      if (this.doc === doc) this.element.classList.add("unreadable");
    }
  }

  /** @param {Look} look */
  setLook(look) {
    this.look = look;
    this.element.dataset.look = look;
    this.redraw();
  }

  /** Zoom so that the whole image is visible. */
  fit() {
    if (!this.doc) return;
    const { clientWidth: width, clientHeight: height } = this.element;
    const down = height - 2 * BARS;
    const zoom = Math.min((width - TOOLS - 12) / this.doc.width, down / this.doc.height);
    const middle = Math.max(width / 2, TOOLS + (zoom * this.doc.width) / 2);
    this.view = { zoom, x: middle - (zoom * this.doc.width) / 2, y: BARS + (down - zoom * this.doc.height) / 2 };
    this.#moved();
    this.fitted = true;
  }

  /** Zoom, keeping one point of the screen where it is. @param {number} factor */
  zoomBy(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    if (!this.doc) return;
    const least =
      0.5 * Math.min(this.element.clientWidth / this.doc.width, this.element.clientHeight / this.doc.height);
    const zoom = Math.min(MOST_ZOOM, Math.max(Math.min(1, least), this.view.zoom * factor));
    const ratio = zoom / this.view.zoom;
    this.view = { zoom, x: x - (x - this.view.x) * ratio, y: y - (y - this.view.y) * ratio };
    this.fitted = false;
    this.#moved();
  }

  /** @param {number} dx @param {number} dy in CSS pixels */
  panBy(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.fitted = false;
    this.#moved();
  }

  /** Bring a box into view. @param {Rect} box */
  reveal(box) {
    const seen = this.visible();
    if (box.x0 >= seen.x0 && box.y0 >= seen.y0 && box.x1 <= seen.x1 && box.y1 <= seen.y1) return;
    const { clientWidth: width, clientHeight: height } = this.element;
    this.view.x = width / 2 - (this.view.zoom * (box.x0 + box.x1)) / 2;
    this.view.y = height / 2 - (this.view.zoom * (box.y0 + box.y1)) / 2;
    this.#moved();
  }

  /** A point of the image. @param {{clientX: number, clientY: number}} event */
  point(event) {
    const { left, top } = this.place ?? (this.place = this.element.getBoundingClientRect());
    return {
      x: (event.clientX - left - this.view.x) / this.view.zoom,
      y: (event.clientY - top - this.view.y) / this.view.zoom,
    };
  }

  /** The part of the image on screen. @returns {Rect} */
  visible() {
    const { x, y, zoom } = this.view;
    return {
      x0: -x / zoom,
      y0: -y / zoom,
      x1: (this.element.clientWidth - x) / zoom,
      y1: (this.element.clientHeight - y) / zoom,
    };
  }

  /** The mask changed: draw that part with the next frame. */
  changed() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.#draw());
    clearTimeout(this.cellTimer);
    this.cellTimer = setTimeout(() => this.#measure(), CELLS_MS);
  }

  /** Draw everything again with the next frame. */
  redraw() {
    if (this.doc) this.doc.dirty = this.doc.bounds;
    this.window.width = 0;
    this.changed();
  }

  /** Read the theme's colours again. */
  recolour() {
    this.colours = readColours();
    this.redraw();
  }

  #moved() {
    const { x, y, zoom } = this.view;
    this.place = undefined;
    this.world.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    this.world.style.setProperty("--hair", `${1 / zoom}px`);
    this.world.classList.toggle("magnified", zoom * devicePixelRatio > 2);
    this.dispatchEvent(new Event("view"));
    if (!this.#covers()) this.changed();
    clearTimeout(this.settle);
    this.settle = setTimeout(() => {
      if (this.window.step !== this.#step()) this.redraw();
      this.#loadTiles();
    }, SETTLE_MS);
  }

  #step() {
    const { width, height } = /** @type {MaskDocument} */ (this.doc);
    const coarseness = width * height > LARGE_PX ? 2 : 1;
    return Math.max(1, Math.floor(coarseness / (this.view.zoom * devicePixelRatio)));
  }

  /** The visible part in samples. */
  #wanted(margin = 0) {
    const doc = /** @type {MaskDocument} */ (this.doc);
    const step = this.#step();
    const seen = this.visible();
    const dx = (seen.x1 - seen.x0) * margin;
    const dy = (seen.y1 - seen.y0) * margin;
    const x0 = Math.max(0, Math.floor((seen.x0 - dx) / step));
    const y0 = Math.max(0, Math.floor((seen.y0 - dy) / step));
    const x1 = Math.min(Math.ceil(doc.width / step), Math.ceil((seen.x1 + dx) / step));
    const y1 = Math.min(Math.ceil(doc.height / step), Math.ceil((seen.y1 + dy) / step));
    return { x0, y0, width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0), step };
  }

  #covers() {
    if (!this.doc || !this.window.width) return false;
    const step = this.window.step;
    const seen = this.visible();
    const { x0, y0, width, height } = this.window;
    return (
      Math.max(0, seen.x0) >= x0 * step &&
      Math.max(0, seen.y0) >= y0 * step &&
      Math.min(this.doc.width, seen.x1) <= (x0 + width) * step &&
      Math.min(this.doc.height, seen.y1) <= (y0 + height) * step
    );
  }

  #draw() {
    this.frame = 0;
    const doc = this.doc;
    if (!doc) return;
    const dirty = doc.takeDirty();
    if (this.look === "original" || this.look === "trainer") {
      this.window.width = 0;
      return;
    }
    if (!this.#covers()) this.#placeWindow();
    else if (dirty) this.#drawPart(dirty);
  }

  #placeWindow() {
    const doc = /** @type {MaskDocument} */ (this.doc);
    this.window = this.#wanted(MARGIN);
    const { x0, y0, width, height, step } = this.window;
    this.canvas.width = Math.max(1, width);
    this.canvas.height = Math.max(1, height);
    this.canvas.style.transform = `translate(${x0 * step}px, ${y0 * step}px) scale(${step})`;
    if (this.look === "mask") {
      this.context.fillStyle = "#fff";
      this.context.fillRect(0, 0, width, height);
    }
    const extent = doc.flags.extent(); // nothing to draw where nothing is masked
    if (extent) {
      const reach = doc.grid.growth_px + step;
      this.#drawPart({ x0: extent.x0 - reach, y0: extent.y0 - reach, x1: extent.x1 + reach, y1: extent.y1 + reach });
    }
  }

  /** @param {Rect} rect in image pixels */
  #drawPart(rect) {
    const doc = /** @type {MaskDocument} */ (this.doc);
    const { x0, y0, width, height, step } = this.window;
    const part = {
      x0: Math.max(x0, Math.floor(rect.x0 / step) - 1),
      y0: Math.max(y0, Math.floor(rect.y0 / step) - 1),
      width: 0,
      height: 0,
    };
    part.width = Math.min(x0 + width, Math.ceil(rect.x1 / step) + 1) - part.x0;
    part.height = Math.min(y0 + height, Math.ceil(rect.y1 / step) + 1) - part.y0;
    if (part.width <= 0 || part.height <= 0) return;
    const look = this.look === "mask" ? "mask" : "overlay";
    this.context.putImageData(drawWindow(doc, part, step, look, this.colours), part.x0 - x0, part.y0 - y0);
  }

  #measure() {
    if (!this.doc) return;
    const found = latentCells(this.doc);
    this.cells = found;
    if (this.look === "trainer") {
      this.cellCanvas.width = found.columns;
      this.cellCanvas.height = found.rows;
      const image = new ImageData(found.columns, found.rows);
      found.cells.forEach((weight, at) => image.data.set([12, 10, 18, Math.round(235 * (1 - weight))], 4 * at));
      /** @type {CanvasRenderingContext2D} */ (this.cellCanvas.getContext("2d")).putImageData(image, 0, 0);
    }
    this.dispatchEvent(new CustomEvent("measured", { detail: found }));
  }

  /** Fetch sharp tiles for what is visible once the first picture is too coarse for it. */
  #loadTiles() {
    const doc = this.doc;
    if (!doc) return;
    const density = this.view.zoom * devicePixelRatio;
    const sharpUntil = Math.min(1, VIEW_PX / Math.max(doc.width, doc.height));
    const level = Math.max(0, Math.floor(Math.log2(1 / Math.min(1, density))));
    const wanted = new Set();
    if (density > sharpUntil * 1.05 && 1 / 2 ** level > sharpUntil) {
      const size = TILE_PX * 2 ** level;
      const seen = this.visible();
      for (let row = Math.max(0, Math.floor(seen.y0 / size)); row * size < Math.min(doc.height, seen.y1); row++) {
        for (
          let column = Math.max(0, Math.floor(seen.x0 / size));
          column * size < Math.min(doc.width, seen.x1);
          column++
        ) {
          wanted.add(`${level}/${column}/${row}`);
        }
      }
    }
    for (const tile of [...this.tiles.children]) {
      const name = /** @type {HTMLElement} */ (tile).dataset.name ?? "";
      if (wanted.has(name)) wanted.delete(name);
      else if (!name.startsWith(`${level}/`) || !wanted.size) tile.remove();
    }
    for (const name of wanted) {
      const [, column, row] = name.split("/").map(Number);
      const size = TILE_PX * 2 ** level;
      const tile = new Image();
      tile.alt = "";
      tile.draggable = false;
      tile.dataset.name = name;
      tile.style.transform = `translate(${column * size}px, ${row * size}px)`;
      tile.style.width = `${Math.min(size, doc.width - column * size)}px`;
      tile.style.height = `${Math.min(size, doc.height - row * size)}px`;
      tile.src = tileAddress(this.token ?? "", this.content ?? "", name);
      this.tiles.append(tile);
    }
  }
}

/** RGB by class from the style sheet: none, the kinds, a person's hand. */
function readColours() {
  const style = getComputedStyle(document.documentElement);
  return ["none", "text", "frame", "watermark", "overlay", "custom", "ground", "hand"].map((name) =>
    (style.getPropertyValue(`--mask-${name}`).trim() || "0 0 0").split(/\s+/).map(Number),
  );
}
