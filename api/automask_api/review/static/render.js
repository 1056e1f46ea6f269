// What the mask comes to: growth, weights and latent cells, computed only where and as finely as it is shown.

import { dilate } from "./shapes.js";
import { ADD, ADDED_HOLE, KIND_BITS, REMOVE, WEIGHT } from "./bits.js";
import { TILE } from "./plane.js";

/** @typedef {import("./document.js").MaskDocument} MaskDocument */
/** @typedef {import("./plane.js").Rect} Rect */

const HAND = 7; // after the kinds
const ALPHA = 0.58;
const RING_SHARE = 0.5; // of that, for what growth adds

/**
 * Final weights at some columns and rows of the image.
 * @param {MaskDocument} doc @param {Int32Array} xs @param {Int32Array} ys image pixels to look at
 * @param {number} autoReach growth of automatic areas, in samples @param {number} addReach of added ones
 * @returns {{levels: Uint8Array, classes: Uint8Array, rings: Uint8Array, empty: boolean}}
 *   levels: 255 = train; classes: kind bits, or 7 where a person masked; rings: class that a grown pixel belongs to
 */
export function weigh(doc, xs, ys, autoReach, addReach) {
  const width = xs.length;
  const height = ys.length;
  const size = width * height;
  const levels = new Uint8Array(size).fill(255);
  const classes = new Uint8Array(size);
  const raw = new Uint8Array(size);
  const found = new Uint8Array(size);
  const holes = new Uint8Array(size);
  let any = 0;
  let automatic = 0;
  const columnOf = xs.map((x) => x >> 8);
  const offsetOf = xs.map((x) => x & (TILE - 1));
  for (let row = 0; row < height; row++) {
    const y = ys[row];
    const base = (y >> 8) * doc.flags.columns;
    const line = (y & (TILE - 1)) << 8;
    for (let at = 0; at < width;) {
      const column = columnOf[at];
      const tile = doc.flags.tiles.get(base + column);
      const filled = doc.holes.tiles.get(base + column);
      const kinds = doc.replaces ? undefined : doc.found.tiles.get(base + column);
      let end = at;
      while (end < width && columnOf[end] === column) {
        if (tile) any |= raw[row * width + end] = tile[line | offsetOf[end]];
        if (kinds) automatic |= found[row * width + end] = kinds[line | offsetOf[end]];
        if (filled) any |= holes[row * width + end] = filled[line | offsetOf[end]];
        end++;
      }
      at = end;
    }
  }
  if (!any && !automatic) return { levels, classes, rings: classes, empty: true };
  const added = new Uint8Array(size);
  for (let at = 0; at < size; at++) {
    const flags = raw[at];
    if (flags & ADD) added[at] = classes[at] = HAND;
    else if (flags & KIND_BITS && !(flags & (REMOVE | WEIGHT))) classes[at] = flags & KIND_BITS;
  }
  const rings = new Uint8Array(size);
  for (const { bits, level } of doc.weights) {
    if (!(automatic & bits) && !(any & bits)) continue;
    const plane = new Uint8Array(size);
    for (let at = 0; at < size; at++) {
      if (found[at] & bits && !(raw[at] & REMOVE)) plane[at] = raw[at] & KIND_BITS || HAND;
    }
    const grown = dilate(plane, width, height, autoReach);
    for (let at = 0; at < size; at++) {
      if ((grown[at] || holes[at] & bits) && !(raw[at] & REMOVE)) {
        levels[at] = level;
        rings[at] = grown[at] || firstKind(bits);
      }
    }
  }
  if (any & (ADD | ADDED_HOLE)) {
    const grown = dilate(added, width, height, addReach);
    for (let at = 0; at < size; at++) {
      if (grown[at] || holes[at] & ADDED_HOLE) {
        levels[at] = 0;
        rings[at] = HAND;
      }
    }
  }
  if (any & WEIGHT) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const at = row * width + column;
        if (raw[at] & WEIGHT) {
          levels[at] = doc.levels.get(xs[column], ys[row]);
          if (!rings[at]) rings[at] = raw[at] & KIND_BITS || HAND;
        }
      }
    }
  }
  return { levels, classes, rings, empty: false };
}

/** Class of the first kind of some. @param {number} bits as in `MaskDocument.found` */
const firstKind = (bits) => 32 - Math.clz32(bits & -bits);

/**
 * A window of the overlay as pixels.
 * @param {MaskDocument} doc
 * @param {{x0: number, y0: number, width: number, height: number}} window in samples of the whole image
 * @param {number} step image pixels per sample
 * @param {"overlay"|"mask"} look
 * @param {number[][]} colours RGB by class
 * @returns {ImageData}
 */
export function drawWindow(doc, window, step, look, colours) {
  const autoReach = Math.round(doc.grid.growth_px / step);
  const addReach = Math.round(doc.addReach / step);
  const margin = Math.max(autoReach, addReach);
  const xs = samples(window.x0 - margin, window.width + 2 * margin, step, doc.width);
  const ys = samples(window.y0 - margin, window.height + 2 * margin, step, doc.height);
  const found = weigh(doc, xs.at, ys.at, autoReach, addReach);
  const image = new ImageData(window.width, window.height);
  const words = new Uint32Array(image.data.buffer);
  if (found.empty) {
    if (look === "mask") words.fill(0xffffffff);
    return image;
  }
  const table = colourTable(colours);
  const left = window.x0 - margin - xs.first;
  const top = window.y0 - margin - ys.first;
  for (let y = 0; y < window.height; y++) {
    const row = y + margin + top;
    if (row < 0 || row >= ys.at.length) continue;
    for (let x = 0; x < window.width; x++) {
      const column = x + margin + left;
      if (column < 0 || column >= xs.at.length) continue;
      const at = row * xs.at.length + column;
      const level = found.levels[at];
      if (look === "mask") words[y * window.width + x] = 0xff000000 | (level * 0x010101);
      else if (level < 255) {
        const own = found.classes[at];
        words[y * window.width + x] = table[((own ? own : 8 + found.rings[at]) << 8) | level];
      }
    }
  }
  return image;
}

/** Sample positions, cut to the image. @param {number} from @param {number} count @param {number} step @param {number} size */
function samples(from, count, step, size) {
  const first = Math.max(0, from);
  const last = Math.min(Math.ceil(size / step), from + count);
  const at = new Int32Array(Math.max(0, last - first));
  for (let index = 0; index < at.length; index++) {
    at[index] = Math.min(size - 1, (first + index) * step + (step >> 1));
  }
  return { first, at };
}

/** @type {{key: string, table: Uint32Array}|null} */
let known = null;

/** ABGR words by class (8 + class: its ring) and level. @param {number[][]} colours */
function colourTable(colours) {
  const key = JSON.stringify(colours);
  if (known?.key === key) return known.table;
  const table = new Uint32Array(16 << 8);
  for (let index = 0; index < 16; index++) {
    const [r, g, b] = colours[index & 7] ?? colours[HAND];
    const strength = index < 8 ? ALPHA : ALPHA * RING_SHARE;
    for (let level = 0; level < 255; level++) {
      const alpha = Math.round(255 * strength * (0.25 + 0.75 * (1 - level / 255)));
      table[(index << 8) | level] = ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;
    }
  }
  known = { key, table };
  return table;
}

/**
 * Weights of the latent cells, and the share of training that is masked.
 * @param {MaskDocument} doc
 * @returns {{cells: Float32Array, rows: number, columns: number, masked: number}}
 */
export function latentCells(doc) {
  const { width_px: width, height_px: height, cell_px: cell, rows, columns } = doc.grid;
  const xs = Int32Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * doc.width) / width));
  const ys = Int32Array.from({ length: height }, (_, y) => Math.floor(((y + 0.5) * doc.height) / height));
  const scale = width / doc.width;
  const found = weigh(doc, xs, ys, Math.round(doc.grid.growth_px * scale), Math.round(doc.addReach * scale));
  const cells = new Float32Array(rows * columns).fill(1);
  if (found.empty) return { cells, rows, columns, masked: 0 };
  let total = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let y = 0; y < cell; y++) {
        const line = (row * cell + y) * width + column * cell;
        for (let x = 0; x < cell; x++) sum += found.levels[line + x];
      }
      const mean = sum / (cell * cell * 255);
      cells[row * columns + column] = mean;
      total += mean;
    }
  }
  return { cells, rows, columns, masked: 1 - total / cells.length };
}
