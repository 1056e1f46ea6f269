// Tools: what a pointer does to the mask. Each gets points in image pixels and says what it changed.

import { capsule } from "./shapes.js";

/** @typedef {import("./shapes.js").Point} Point */
/** @typedef {import("./document.js").MaskDocument} MaskDocument */

/**
 * What tools may do.
 * @typedef {object} Hands
 * @property {() => MaskDocument} doc
 * @property {(label: string) => void} begin @property {() => void} end one step of undo
 * @property {() => void} changed the mask changed, draw it
 * @property {(points: Point[], closed: boolean, masks: boolean) => void} trace show an outline that is being drawn
 * @property {() => void} untrace
 * @property {(point: Point, primary: boolean) => void} pick toggle the region there, or show it in the list
 * @property {(point: Point) => void} look outline the region there
 * @property {(point: Point, adds: boolean) => void} click ask for the object there
 * @property {(point: Point, adds: boolean) => void} hover the pointer rests over that point
 * @property {(dx: number, dy: number) => void} pan in CSS pixels
 * @property {() => number} radius of the brush, in image pixels
 * @property {() => number} near how far a click may be off, in image pixels
 */

/**
 * @typedef {object} Tool
 * @property {string} label @property {string} key @property {string} left @property {string} right
 * @property {string} [cursor]
 * @property {(point: Point, masks: boolean, event: PointerEvent) => void} down
 * @property {(points: Point[], event: PointerEvent) => void} [move] while a button is down
 * @property {(point: Point, event: PointerEvent) => void} [hover]
 * @property {() => void} [up]
 * @property {() => void} [cancel]
 * @property {() => boolean} [finish] Enter or a double click @property {() => boolean} [back] Backspace
 */

const OUTLINE_STEP = 1.5; // image pixels between points of a lasso, at least

/** @param {Hands} hands @returns {Record<string, Tool>} */
export function makeTools(hands) {
  return {
    select: {
      label: "Select",
      key: "V",
      left: "switches a region on or off",
      right: "shows it in the list",
      cursor: "pointer",
      down: (point, primary) => hands.pick(point, primary),
      hover: (point) => hands.look(point),
    },
    brush: brush(hands, { label: "Brush", key: "B", masks: true }),
    eraser: brush(hands, { label: "Eraser", key: "E", masks: false }),
    lasso: lasso(hands),
    polygon: polygon(hands),
    rectangle: rectangle(hands),
    add: clicker(hands, { label: "Click to add", key: "Q", adds: true }),
    remove: clicker(hands, { label: "Click to remove", key: "W", adds: false }),
    hand: {
      label: "Move",
      key: "H",
      left: "moves the picture",
      right: "moves the picture",
      cursor: "grab",
      down: () => {},
      move: (_points, event) => hands.pan(event.movementX, event.movementY),
    },
  };
}

/** @param {Hands} hands @param {{label: string, key: string, masks: boolean}} about @returns {Tool} */
function brush(hands, about) {
  let last = { x: 0, y: 0 };
  let masking = true;
  return {
    label: about.label,
    key: about.key,
    cursor: "none",
    left: about.masks ? "masks" : "unmasks",
    right: about.masks ? "unmasks" : "masks",
    down(point, primary) {
      masking = primary === about.masks;
      hands.begin(masking ? "brush" : "erase");
      last = point;
      hands.doc().stroke(capsule(point, point, hands.radius()), masking);
      hands.changed();
    },
    move(points) {
      for (const point of points) {
        hands.doc().stroke(capsule(last, point, hands.radius()), masking);
        last = point;
      }
      hands.changed();
    },
    up: () => hands.end(),
    cancel: () => hands.end(),
  };
}

/** @param {Hands} hands @returns {Tool} */
function lasso(hands) {
  /** @type {Point[]} */
  let points = [];
  let masking = true;
  const drop = () => {
    points = [];
    hands.untrace();
  };
  return {
    label: "Lasso",
    key: "L",
    left: "masks what you circle",
    right: "unmasks it",
    cursor: "crosshair",
    down(point, primary) {
      masking = primary;
      points = [point];
    },
    move(more) {
      for (const point of more) {
        const last = points[points.length - 1];
        if (Math.hypot(point.x - last.x, point.y - last.y) >= OUTLINE_STEP) points.push(point);
      }
      hands.trace(points, false, masking);
    },
    up() {
      if (points.length > 2) {
        hands.begin("lasso");
        hands.doc().polygon(points, masking);
        hands.end();
        hands.changed();
      }
      drop();
    },
    cancel: drop,
  };
}

/** @param {Hands} hands @returns {Tool} */
function polygon(hands) {
  /** @type {Point[]} */
  let points = [];
  let masking = true;
  const drop = () => {
    points = [];
    hands.untrace();
  };
  const finish = () => {
    if (points.length < 3) return false;
    hands.begin("polygon");
    hands.doc().polygon(points, masking);
    hands.end();
    hands.changed();
    drop();
    return true;
  };
  return {
    label: "Polygon",
    key: "P",
    left: "sets corners of what to mask",
    right: "of what to unmask",
    cursor: "crosshair",
    down(point, primary) {
      if (!points.length) masking = primary;
      const first = points[0];
      if (points.length > 2 && Math.hypot(point.x - first.x, point.y - first.y) < hands.near()) {
        finish();
        return;
      }
      points.push(point);
      hands.trace(points, false, masking);
    },
    hover(point) {
      if (points.length) hands.trace([...points, point], false, masking);
    },
    finish,
    back() {
      if (!points.length) return false;
      points.pop();
      if (points.length) hands.trace(points, false, masking);
      else drop();
      return true;
    },
    cancel: drop,
  };
}

/** @param {Hands} hands @returns {Tool} */
function rectangle(hands) {
  /** @type {Point|null} */
  let from = null;
  let to = { x: 0, y: 0 };
  let masking = true;
  const corners = () => {
    const start = from ?? to;
    const x0 = Math.round(Math.min(start.x, to.x));
    const x1 = Math.round(Math.max(start.x, to.x));
    const y0 = Math.round(Math.min(start.y, to.y));
    const y1 = Math.round(Math.max(start.y, to.y));
    return [
      { x: x0, y: y0 },
      { x: x1, y: y0 },
      { x: x1, y: y1 },
      { x: x0, y: y1 },
    ];
  };
  const drop = () => {
    from = null;
    hands.untrace();
  };
  return {
    label: "Rectangle",
    key: "M",
    left: "masks a box",
    right: "unmasks a box",
    cursor: "crosshair",
    down(point, primary) {
      from = to = point;
      masking = primary;
    },
    move(points) {
      to = points[points.length - 1];
      hands.trace(corners(), true, masking);
    },
    up() {
      const points = corners();
      if (from && points[1].x > points[0].x && points[2].y > points[0].y) {
        hands.begin("rectangle");
        hands.doc().polygon(points, masking);
        hands.end();
        hands.changed();
      }
      drop();
    },
    cancel: drop,
  };
}

/** @param {Hands} hands @param {{label: string, key: string, adds: boolean}} about @returns {Tool} */
function clicker(hands, about) {
  return {
    label: about.label,
    key: about.key,
    cursor: "crosshair",
    left: about.adds ? "masks the object you click" : "unmasks it",
    right: about.adds ? "unmasks it" : "masks the object you click",
    down: (point, primary) => hands.click(point, primary === about.adds),
    hover: (point) => hands.hover(point, about.adds),
  };
}
