// The small holes of a grown mask, which are masked as well. Found for the whole image, whatever is on screen of it.

import { ADD, ADDED_HOLE, REMOVE } from "./bits.js";
import { Plane, TILE } from "./plane.js";

/** @typedef {import("./plane.js").Rect} Rect */
/** @typedef {Int32Array} Row half-open spans of one row, in order and apart: x0, x1, x0, x1, ... */
/** @typedef {{area: number, spans: [number, number, number][]}} Hole spans are y, x0, x1 */

const EMPTY = new Int32Array(0);

/**
 * Small holes of a document's grown mask: the bits of the kinds of one weight, or ADDED_HOLE.
 * @param {import("./document.js").MaskDocument} doc
 */
export function smallHoles({ width, height, grid, flags, found, weights, replaces, alreadyGrown }) {
  const holes = new Plane(width, height);
  const close = (/** @type {Row[]} */ rows, /** @type {number} */ bits) => {
    if (!rows.some((row) => row.length)) return;
    for (const { spans } of holesOf(grownRows(rows, width, grid.growth_px), width, grid.hole_area_px)) {
      for (const [y, x0, x1] of spans) holes.span(y, x0, x1, 255, bits);
    }
  };
  if (!replaces) {
    for (const { bits } of weights) close(rowsOf(found, bits, flags, REMOVE), bits);
  }
  if (!alreadyGrown) close(rowsOf(flags, ADD), ADDED_HOLE);
  return holes;
}

/**
 * Rows of the pixels that hold some bits.
 * @param {Plane} plane @param {number} bits
 * @param {Plane|null} without pixels that do not count where this plane holds @param {number} barred
 * @returns {Row[]}
 */
export function rowsOf(plane, bits, without = null, barred = 0) {
  const rows = [];
  for (let y = 0; y < plane.height; y++) {
    const base = (y >> 8) * plane.columns;
    const line = (y & (TILE - 1)) << 8;
    const spans = [];
    let from = -1;
    for (let column = 0; column < plane.columns; column++) {
      const tile = plane.tiles.get(base + column);
      const other = without?.tiles.get(base + column);
      const left = column << 8;
      const count = Math.min(TILE, plane.width - left);
      if (!tile) {
        if (from >= 0) spans.push(from, left);
        from = -1;
        continue;
      }
      for (let x = 0; x < count; x++) {
        const isSet = (tile[line | x] & bits) !== 0 && !(other && other[line | x] & barred);
        if (isSet === from >= 0) continue;
        if (isSet) from = left + x;
        else {
          spans.push(from, left + x);
          from = -1;
        }
      }
    }
    if (from >= 0) spans.push(from, plane.width);
    rows.push(spans.length ? Int32Array.from(spans) : EMPTY);
  }
  return rows;
}

/** Rows grown by a square. @param {Row[]} rows @param {number} width @param {number} reach in pixels @returns {Row[]} */
export function grownRows(rows, width, reach) {
  if (reach <= 0) return rows;
  const beyond = new Array(reach).fill(EMPTY);
  const wanted = 2 * reach + 1;
  // The union of `count` rows from each one on; two of those reach over any number of rows up to twice as many.
  let joined = [...beyond, ...rows.map((row) => widenedRow(row, width, reach)), ...beyond];
  let count = 1;
  for (; 2 * count <= wanted; count *= 2) {
    const by = count;
    joined = joined.map((row, y) => joinedRow(row, joined[y + by] ?? EMPTY));
  }
  return rows.map((_, y) => joinedRow(joined[y], joined[y + wanted - count]));
}

/**
 * The holes of a mask: areas of unmasked pixels, joined side by side, that do not reach the border.
 * @param {Row[]} rows of the mask @param {number} width @param {number} most largest area that counts, in pixels
 * @returns {Hole[]}
 */
export function holesOf(rows, width, most) {
  if (most <= 0) return [];
  /** @type {number[]} */ const parent = [0]; // 0 is what reaches the border
  /** @type {number[]} */ const areas = [0];
  /** @type {[number, number, number, number][]} */ const gaps = []; // y, x0, x1, area that it belongs to
  const find = (/** @type {number} */ one) => {
    while (parent[one] !== one) one = parent[one] = parent[parent[one]];
    return one;
  };
  const join = (/** @type {number} */ one, /** @type {number} */ other) => {
    const a = find(one);
    const b = find(other);
    if (a === b) return;
    parent[Math.max(a, b)] = Math.min(a, b);
    areas[Math.min(a, b)] += areas[Math.max(a, b)];
  };
  let above = 0;
  let until = 0; // the gaps of the row above
  for (let y = 0; y < rows.length; y++) {
    const row = rows[y];
    const first = gaps.length;
    for (let at = 0, from = 0; at <= row.length; at += 2) {
      const x0 = from;
      const x1 = at < row.length ? row[at] : width;
      from = row[at + 1];
      if (x1 <= x0) continue;
      const outside = x0 === 0 || x1 === width || y === 0 || y === rows.length - 1;
      const area = outside ? 0 : parent.push(parent.length) - 1;
      if (!outside) areas.push(x1 - x0);
      for (; above < until && gaps[above][2] <= x0; above++);
      for (let next = above; next < until && gaps[next][1] < x1; next++) join(area, gaps[next][3]);
      gaps.push([y, x0, x1, area]);
    }
    above = first;
    until = gaps.length;
  }
  /** @type {Map<number, Hole>} */ const holes = new Map();
  for (const [y, x0, x1, area] of gaps) {
    const whole = find(area);
    if (whole === 0 || areas[whole] > most) continue;
    const hole = holes.get(whole) ?? { area: areas[whole], spans: [] };
    hole.spans.push([y, x0, x1]);
    holes.set(whole, hole);
  }
  return [...holes.values()];
}

/** @param {Row} row @param {number} width @param {number} reach @returns {Row} */
function widenedRow(row, width, reach) {
  if (!row.length) return row;
  /** @type {number[]} */ const spans = [];
  for (let at = 0; at < row.length; at += 2) {
    const x0 = Math.max(0, row[at] - reach);
    const x1 = Math.min(width, row[at + 1] + reach);
    if (spans.length && spans[spans.length - 1] >= x0) spans[spans.length - 1] = x1;
    else spans.push(x0, x1);
  }
  return Int32Array.from(spans);
}

/** The pixels of either. @param {Row} one @param {Row} other @returns {Row} */
function joinedRow(one, other) {
  if (one === other || !other.length) return one;
  if (!one.length) return other;
  /** @type {number[]} */ const spans = [];
  for (let a = 0, b = 0; a < one.length || b < other.length;) {
    const first = b >= other.length || (a < one.length && one[a] <= other[b]);
    const x0 = first ? one[a] : other[b];
    const x1 = first ? one[a + 1] : other[b + 1];
    if (first) a += 2;
    else b += 2;
    if (spans.length && spans[spans.length - 1] >= x0) spans[spans.length - 1] = Math.max(spans[spans.length - 1], x1);
    else spans.push(x0, x1);
  }
  if (spans.length === one.length && spans.every((x, at) => x === one[at])) return one;
  return Int32Array.from(spans);
}
