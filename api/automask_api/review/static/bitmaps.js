// Bitmaps over a box of the image: a byte per pixel, row-major.

import { Plane } from "./plane.js";

/** @typedef {import("./plane.js").Rect} Rect */

const SAMPLES = 600;

/** @param {Rect} a @param {Rect} b */
export function overlap(a, b) {
  return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
}

/** Row spans of a bitmap. @param {Uint8Array} bitmap @param {Rect} box @param {(y: number, x0: number, x1: number) => void} visit */
export function eachRun(bitmap, box, visit) {
  const width = box.x1 - box.x0, height = box.y1 - box.y0;
  for (let y = 0; y < height; y++) {
    const line = y * width;
    for (let x = 0; x < width; x++) {
      if (!bitmap[line + x]) continue;
      let end = x + 1;
      while (end < width && bitmap[line + end]) end++;
      visit(box.y0 + y, box.x0 + x, box.x0 + end);
      x = end;
    }
  }
}

/** A bitmap in a larger box. @param {Uint8Array} bitmap @param {Rect} box @param {Rect} wide */
export function framed(bitmap, box, wide) {
  const width = box.x1 - box.x0, wideWidth = wide.x1 - wide.x0;
  const out = new Uint8Array(wideWidth * (wide.y1 - wide.y0));
  for (let y = 0; y < box.y1 - box.y0; y++) {
    out.set(bitmap.subarray(y * width, (y + 1) * width), (y + box.y0 - wide.y0) * wideWidth + box.x0 - wide.x0);
  }
  return out;
}

/** Some pixels of a region, evenly over its rows. @param {Uint32Array} runs @param {Rect} box */
export function spread(runs, box) {
  let total = 0;
  for (let index = 1; index < runs.length; index += 2) total += runs[index];
  const step = Math.max(1, Math.floor(total / SAMPLES));
  const points = [];
  let seen = 0, next = Math.floor(step / 2);
  Plane.eachSpan(runs, box, (y, x0, x1) => {
    for (; next < seen + (x1 - x0); next += step) points.push(x0 + next - seen, y);
    seen += x1 - x0;
  });
  return Int32Array.from(points);
}

const MOST_SAMPLES = 1e6;

/**
 * The connected masked pixels at a point (before growth), at a resolution that keeps large masks quick.
 * @param {import("./document.js").MaskDocument} doc @param {number} x @param {number} y
 * @returns {{bitmap: Uint8Array, box: Rect}|null} null where nothing is masked
 */
export function componentAt(doc, x, y) {
  const step = Math.max(1, Math.ceil(Math.sqrt((doc.width * doc.height) / MOST_SAMPLES)));
  const columns = Math.ceil(doc.width / step), rows = Math.ceil(doc.height / step);
  const masked = (/** @type {number} */ column, /** @type {number} */ row) =>
    doc.isMasked(Math.min(doc.width - 1, column * step + (step >> 1)), Math.min(doc.height - 1, row * step + (step >> 1)));
  const near = Math.ceil(doc.grid.growth_px / step); // what is seen as masked there is grown
  let start = -1;
  for (let ring = 0; ring <= near && start < 0; ring++) {
    for (let dy = -ring; dy <= ring && start < 0; dy++) {
      for (let dx = -ring; dx <= ring && start < 0; dx++) {
        const column = Math.floor(x / step) + dx, row = Math.floor(y / step) + dy;
        if (column >= 0 && row >= 0 && column < columns && row < rows && masked(column, row)) start = row * columns + column;
      }
    }
  }
  if (start < 0) return null;
  const seen = new Uint8Array(columns * rows), pending = [start];
  seen[start] = 1;
  let x0 = columns, y0 = rows, x1 = 0, y1 = 0;
  while (pending.length) {
    const at = /** @type {number} */ (pending.pop()), column = at % columns, row = (at - column) / columns;
    x0 = Math.min(x0, column); y0 = Math.min(y0, row); x1 = Math.max(x1, column + 1); y1 = Math.max(y1, row + 1);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      const nextColumn = column + dx, nextRow = row + dy, next = nextRow * columns + nextColumn;
      if (nextColumn < 0 || nextRow < 0 || nextColumn >= columns || nextRow >= rows || seen[next]) continue;
      if (!masked(nextColumn, nextRow)) continue;
      seen[next] = 1;
      pending.push(next);
    }
  }
  const box = { x0: x0 * step, y0: y0 * step, x1: Math.min(doc.width, x1 * step), y1: Math.min(doc.height, y1 * step) };
  const width = box.x1 - box.x0, bitmap = new Uint8Array(width * (box.y1 - box.y0));
  for (let row = 0; row < box.y1 - box.y0; row++) {
    const line = (y0 + Math.floor(row / step)) * columns + x0;
    for (let column = 0; column < width; column++) bitmap[row * width + column] = seen[line + Math.floor(column / step)];
  }
  return { bitmap, box };
}
