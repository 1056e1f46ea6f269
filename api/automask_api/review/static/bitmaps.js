// Bitmaps over a box of the image: a byte per pixel, row-major.

import { Plane, padded } from "./plane.js";
import { dilate } from "./shapes.js";

/** @typedef {import("./plane.js").Rect} Rect */

const SAMPLES = 600;

/** @param {Rect} a @param {Rect} b */
export function overlap(a, b) {
  return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
}

/** Row spans of a bitmap. @param {Uint8Array} bitmap @param {Rect} box @param {(y: number, x0: number, x1: number) => void} visit */
export function eachRun(bitmap, box, visit) {
  const width = box.x1 - box.x0;
  const height = box.y1 - box.y0;
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

/** Run lengths of a bitmap, row-major, clear pixels first. @param {Uint8Array} bitmap */
export function runsOf(bitmap) {
  const runs = [];
  let from = 0;
  let set = 0;
  for (let at = 0; at < bitmap.length; at++) {
    if (Number(bitmap[at] !== 0) === set) continue;
    runs.push(at - from);
    from = at;
    set = 1 - set;
  }
  runs.push(bitmap.length - from);
  return Uint32Array.from(runs);
}

/** The bitmap of run lengths: a byte per pixel of the box. @param {Uint32Array} runs @param {Rect} box */
export function bitmapOf(runs, box) {
  const bitmap = new Uint8Array((box.x1 - box.x0) * (box.y1 - box.y0));
  let at = 0;
  runs.forEach((run, index) => {
    if (index % 2) bitmap.fill(1, at, at + run);
    at += run;
  });
  return bitmap;
}

/**
 * A bitmap grown by a square, in a box that is cut to the image.
 * @param {Uint8Array} bitmap @param {Rect} box @param {number} reach in pixels
 * @param {{width: number, height: number}} image
 */
export function grown(bitmap, box, reach, { width, height }) {
  const wide = padded(box, reach, width, height);
  return { bitmap: dilate(framed(bitmap, box, wide), wide.x1 - wide.x0, wide.y1 - wide.y0, reach), box: wide };
}

/** A bitmap in a larger box. @param {Uint8Array} bitmap @param {Rect} box @param {Rect} wide */
export function framed(bitmap, box, wide) {
  const width = box.x1 - box.x0;
  const wideWidth = wide.x1 - wide.x0;
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
  /** @type {number[]} */ const points = [];
  let seen = 0;
  let next = Math.floor(step / 2);
  Plane.eachSpan(runs, box, (y, x0, x1) => {
    for (; next < seen + (x1 - x0); next += step) points.push(x0 + next - seen, y);
    seen += x1 - x0;
  });
  return Int32Array.from(points);
}

const MOST_SAMPLES = 1e6;

/**
 * The masked pixels (before growth) that are seen as one thing at a point, since their grown masks touch; at a
 * resolution that keeps large masks quick.
 * @param {import("./document.js").MaskDocument} doc @param {number} x @param {number} y
 * @returns {{bitmap: Uint8Array, box: Rect}|null} null where nothing is masked
 */
export function componentAt(doc, x, y) {
  const step = Math.max(1, Math.ceil(Math.sqrt((doc.width * doc.height) / MOST_SAMPLES)));
  const columns = Math.ceil(doc.width / step);
  const rows = Math.ceil(doc.height / step);
  const masked = new Uint8Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    const line = Math.min(doc.height - 1, row * step + (step >> 1));
    for (let column = 0; column < columns; column++) {
      masked[row * columns + column] = Number(doc.isMasked(Math.min(doc.width - 1, column * step + (step >> 1)), line));
    }
  }
  const growth = Math.ceil(doc.grid.growth_px / step);
  const near = growth + Math.ceil(doc.grid.hole_px / 2 / step); // holes of a mask are filled
  const start = nearest(masked, columns, rows, Math.floor(x / step), Math.floor(y / step), near);
  if (start < 0) return null;
  const shown = dilate(masked, columns, rows, growth);
  const seen = new Uint8Array(columns * rows);
  const pending = [start];
  seen[start] = 1;
  let x0 = columns;
  let y0 = rows;
  let x1 = 0;
  let y1 = 0;
  while (pending.length) {
    const at = /** @type {number} */ (pending.pop());
    const column = at % columns;
    const row = (at - column) / columns;
    if (masked[at]) {
      x0 = Math.min(x0, column);
      y0 = Math.min(y0, row);
      x1 = Math.max(x1, column + 1);
      y1 = Math.max(y1, row + 1);
    }
    for (const [dx, dy] of [
      [1, 0],
      [-1, 0],
      [0, 1],
      [0, -1],
    ]) {
      const nextColumn = column + dx;
      const nextRow = row + dy;
      const next = nextRow * columns + nextColumn;
      if (nextColumn < 0 || nextRow < 0 || nextColumn >= columns || nextRow >= rows) continue;
      if (seen[next] || !shown[next]) continue;
      seen[next] = 1;
      pending.push(next);
    }
  }
  return atFullSize(doc, (column, row) => seen[row * columns + column] & masked[row * columns + column], {
    step,
    columns,
    rows,
    x0,
    y0,
    x1,
    y1,
  });
}

/**
 * Samples of masked pixels at the resolution of the image: exact where the thing ends, so that no seam stays masked.
 * @param {import("./document.js").MaskDocument} doc @param {(column: number, row: number) => number} isSet
 * @param {{step: number, columns: number, rows: number} & Rect} samples the box of those that are set
 */
function atFullSize(doc, isSet, { step, columns, rows, x0, y0, x1, y1 }) {
  const first = { x: Math.max(0, x0 - 1), y: Math.max(0, y0 - 1) };
  const last = { x: Math.min(columns, x1 + 1), y: Math.min(rows, y1 + 1) };
  const box = {
    x0: first.x * step,
    y0: first.y * step,
    x1: Math.min(doc.width, last.x * step),
    y1: Math.min(doc.height, last.y * step),
  };
  const width = box.x1 - box.x0;
  const bitmap = new Uint8Array(width * (box.y1 - box.y0));
  for (let row = first.y; row < last.y; row++) {
    for (let column = first.x; column < last.x; column++) {
      let near = 0; // samples of the thing here and around
      for (let y = Math.max(0, row - 1); y <= Math.min(rows - 1, row + 1); y++) {
        for (let x = Math.max(0, column - 1); x <= Math.min(columns - 1, column + 1); x++) near += isSet(x, y);
      }
      if (!near) continue;
      for (let y = row * step; y < Math.min(doc.height, (row + 1) * step); y++) {
        for (let x = column * step; x < Math.min(doc.width, (column + 1) * step); x++) {
          bitmap[(y - box.y0) * width + x - box.x0] = Number(near === 9 || doc.isMasked(x, y));
        }
      }
    }
  }
  return { bitmap, box };
}

/**
 * The set sample nearest to a place, or -1 where none is within reach.
 * @param {Uint8Array} set @param {number} columns @param {number} rows
 * @param {number} column @param {number} row @param {number} reach
 */
function nearest(set, columns, rows, column, row, reach) {
  let found = -1;
  let least = Infinity;
  for (let y = Math.max(0, row - reach); y <= Math.min(rows - 1, row + reach); y++) {
    for (let x = Math.max(0, column - reach); x <= Math.min(columns - 1, column + reach); x++) {
      const distance = (x - column) ** 2 + (y - row) ** 2;
      if (set[y * columns + x] && distance < least) [found, least] = [y * columns + x, distance];
    }
  }
  return found;
}
