// What a person drew, as things: what one act drew (of earlier visits: what lies close together), and the pixels of
// regions, both to be named again.

import { ADD, REMOVE } from "./bits.js";
import { overlap } from "./bitmaps.js";
import { Plane, union as around } from "./plane.js";

/** @typedef {import("./document.js").MaskDocument} MaskDocument */
/** @typedef {import("./document.js").Region} Region */
/** @typedef {import("./plane.js").Rect} Rect */
/** @typedef {import("./history.js").Step} Step */
/** @typedef {{masks: boolean, box: Rect, count: number, plane: Plane}} Part pixels that were masked or unmasked */

const CELLS = 256; // of the longer side
const JOIN = 2; // cells between things that are still one
const MOST = 8;
const ALMOST = 0.98;

/**
 * The largest parts drawn by hand, largest first: one for each act that is known, whatever number of places it touched.
 * @param {MaskDocument} doc @param {Step[]} steps what this page did to the image, in order @returns {Part[]}
 */
export function drawnParts(doc, steps) {
  const parts = [true, false].flatMap((masks) => {
    const runs = doc.flags.runs(masks ? ADD : REMOVE);
    if (!runs) return [];
    const plane = new Plane(doc.width, doc.height);
    plane.paint(runs, doc.bounds, 0, 1);
    for (const region of doc.regions) {
      // what its own switch did is told by the region
      if (masks ? !region.proposed || region.state === "off" : !isSwitchedOff(doc, region)) continue;
      plane.paint(region.runs, region.patchBox, 0, 0);
    }
    const found = apart(plane, doc.bounds).map((part) => ({ ...part, masks }));
    return byAct(found, doc, steps, masks ? ADD : REMOVE);
  });
  return parts.sort((one, other) => other.count - one.count).slice(0, MOST);
}

/**
 * Whether all of a region is unmasked that no other region masks: what its switch does, since it leaves the others alone.
 * @param {MaskDocument} doc @param {Region} region
 */
function isSwitchedOff(doc, region) {
  if (region.proposed || doc.replaces || region.state === "on") return false;
  if (region.state === "off") return true;
  const own = new Plane(doc.width, doc.height);
  own.paint(region.runs, region.patchBox, 0, 1);
  for (const other of doc.regions) {
    if (other === region || other.state !== "on" || !overlap(other.patchBox, region.patchBox)) continue;
    own.paint(other.runs, other.patchBox, 0, 0);
  }
  let count = 0;
  let unmasked = 0;
  Plane.eachSpan(region.runs, region.patchBox, (y, x0, x1) => {
    for (let x = x0; x < x1; x++) {
      if (!own.get(x, y)) continue;
      count++;
      if (doc.flags.get(x, y) & REMOVE) unmasked++;
    }
  });
  return count > 0 && unmasked >= ALMOST * count;
}

/**
 * Join the parts that the same act changed last.
 * @param {Part[]} parts @param {MaskDocument} doc @param {Step[]} steps @param {number} bit of the flags
 */
function byAct(parts, doc, steps, bit) {
  const after = new Map(doc.flags.tiles);
  const joined = [];
  let left = parts;
  for (const step of [...steps].reverse()) {
    for (const change of [...step.changes].reverse()) {
      if (change.what !== "edit" || !left.length) continue;
      const touched = left.filter((part) => isTouched(part, change.snapshot.flags, after, bit));
      if (touched.length) joined.push(touched.reduce(union));
      left = left.filter((part) => !touched.includes(part));
      for (const [key, tile] of change.snapshot.flags) {
        if (tile === null) after.delete(key);
        else after.set(key, tile);
      }
    }
  }
  return [...joined, ...left];
}

/** @param {Part} part @param {Map<number, Uint8Array|null>} before @param {Map<number, Uint8Array>} after @param {number} bit */
function isTouched(part, before, after, bit) {
  for (const [key, tile] of part.plane.tiles) {
    if (!before.has(key)) continue;
    const old = before.get(key);
    const now = after.get(key);
    for (let at = 0; at < tile.length; at++) {
      if (tile[at] && ((old?.[at] ?? 0) ^ (now?.[at] ?? 0)) & bit) return true;
    }
  }
  return false;
}

/** @param {Part} one @param {Part} other @returns {Part} */
function union(one, other) {
  for (const [key, tile] of other.plane.tiles) {
    const whole = one.plane.writable(key);
    for (let at = 0; at < tile.length; at++) whole[at] |= tile[at];
  }
  return { ...one, box: around(one.box, other.box) ?? one.box, count: one.count + other.count };
}

/** What a region says about its pixels: masked, unmasked, or the part of them that was erased. @param {MaskDocument} doc @param {Region} region @returns {Part} */
export function regionPart(doc, region) {
  const plane = new Plane(doc.width, doc.height);
  let count = 0;
  Plane.eachSpan(region.runs, region.patchBox, (y, x0, x1) => {
    if (region.state !== "part") {
      plane.span(y, x0, x1, 0, 1);
      count += x1 - x0;
      return;
    }
    for (let x = x0; x < x1; x++) {
      if (doc.isMasked(x, y)) continue;
      plane.span(y, x, x + 1, 0, 1);
      count++;
    }
  });
  return { masks: region.state === "on", box: region.patchBox, count, plane };
}

/** Pixels that lie apart from each other. @param {Plane} plane @param {Rect} bounds @returns {Omit<Part, "masks">[]} */
function apart(plane, bounds) {
  const runs = plane.runs(1);
  if (!runs) return [];
  const size = Math.max(1, Math.ceil(Math.max(bounds.x1, bounds.y1) / CELLS));
  const columns = Math.ceil(bounds.x1 / size);
  const rows = Math.ceil(bounds.y1 / size);
  const labels = new Int32Array(columns * rows); // 0 empty, -1 not yet visited
  eachCell(
    runs,
    bounds,
    size,
    (at) => {
      labels[at] = -1;
    },
    columns,
  );
  let last = 0;
  for (let start = 0; start < labels.length; start++) {
    if (labels[start] !== -1) continue;
    labels[start] = ++last;
    const pending = [start];
    while (pending.length) {
      const at = /** @type {number} */ (pending.pop());
      const column = at % columns;
      const row = (at - column) / columns;
      for (let y = Math.max(0, row - JOIN); y <= Math.min(rows - 1, row + JOIN); y++) {
        for (let x = Math.max(0, column - JOIN); x <= Math.min(columns - 1, column + JOIN); x++) {
          if (labels[y * columns + x] !== -1) continue;
          labels[y * columns + x] = last;
          pending.push(y * columns + x);
        }
      }
    }
  }
  const parts = Array.from({ length: last }, () => ({
    box: { x0: Infinity, y0: Infinity, x1: 0, y1: 0 },
    count: 0,
    plane: new Plane(bounds.x1, bounds.y1),
  }));
  eachCell(
    runs,
    bounds,
    size,
    (at, y, x0, x1) => {
      const part = parts[labels[at] - 1];
      const { box } = part;
      part.plane.span(y, x0, x1, 0, 1);
      part.count += x1 - x0;
      box.x0 = Math.min(box.x0, x0);
      box.y0 = Math.min(box.y0, y);
      box.x1 = Math.max(box.x1, x1);
      box.y1 = Math.max(box.y1, y + 1);
    },
    columns,
  );
  return parts;
}

/**
 * Row spans of run lengths, cut where cells end.
 * @param {Uint32Array} runs @param {Rect} bounds @param {number} size
 * @param {(cell: number, y: number, x0: number, x1: number) => void} visit @param {number} columns
 */
function eachCell(runs, bounds, size, visit, columns) {
  Plane.eachSpan(runs, bounds, (y, x0, x1) => {
    while (x0 < x1) {
      const column = Math.floor(x0 / size);
      const end = Math.min(x1, (column + 1) * size);
      visit(Math.floor(y / size) * columns + column, y, x0, end);
      x0 = end;
    }
  });
}
