// A byte per pixel, kept in tiles that exist only where something is set.

export const TILE = 256;
const SHIFT = 8;
const LOW = TILE - 1;

/** @typedef {{x0: number, y0: number, x1: number, y1: number}} Rect half-open, in image pixels */

/** A sparse (height, width) plane of bytes. Tiles are replaced, never changed in place, once a recording saw them. */
export class Plane {
  /** @param {number} width @param {number} height */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.columns = Math.ceil(width / TILE);
    this.rows = Math.ceil(height / TILE);
    /** @type {Map<number, Uint8Array>} */
    this.tiles = new Map();
    /** @type {Map<number, Uint8Array|null> | null} tiles as they were before the running recording */
    this.before = null;
  }

  /** Begin to note how tiles look before they are changed. */
  record() {
    this.before = new Map();
  }

  /** End a recording. @returns {Map<number, Uint8Array|null>} */
  recorded() {
    const before = this.before ?? new Map();
    this.before = null;
    return before;
  }

  /** Put tiles back and return what they replaced. @param {Map<number, Uint8Array|null>} tiles */
  swap(tiles) {
    const replaced = new Map();
    for (const [key, tile] of tiles) {
      replaced.set(key, this.tiles.get(key) ?? null);
      if (tile === null) this.tiles.delete(key);
      else this.tiles.set(key, tile);
    }
    return replaced;
  }

  /** The tile at a key, made if need be, that may be written to. @param {number} key */
  writable(key) {
    let tile = this.tiles.get(key);
    if (this.before !== null && !this.before.has(key)) {
      this.before.set(key, tile ?? null);
      tile = tile ? tile.slice() : undefined;
      if (tile) this.tiles.set(key, tile);
    }
    if (!tile) {
      tile = new Uint8Array(TILE * TILE);
      this.tiles.set(key, tile);
    }
    return tile;
  }

  /** @param {number} x @param {number} y */
  get(x, y) {
    const tile = this.tiles.get((y >> SHIFT) * this.columns + (x >> SHIFT));
    return tile ? tile[((y & LOW) << SHIFT) | (x & LOW)] : 0;
  }

  /**
   * Change bytes of one row: `byte = (byte & keep) | set`.
   * @param {number} y @param {number} x0 @param {number} x1 half-open @param {number} keep @param {number} set
   */
  span(y, x0, x1, keep, set) {
    if (y < 0 || y >= this.height) return;
    x0 = Math.max(0, x0);
    x1 = Math.min(this.width, x1);
    const base = (y >> SHIFT) * this.columns;
    const line = (y & LOW) << SHIFT;
    while (x0 < x1) {
      const column = x0 >> SHIFT;
      const end = Math.min(x1, (column + 1) << SHIFT);
      if (set !== 0 || this.tiles.has(base + column)) {
        const tile = this.writable(base + column);
        const from = line | (x0 & LOW);
        const to = from + (end - x0);
        if (keep === 0) tile.fill(set, from, to);
        else for (let at = from; at < to; at++) tile[at] = (tile[at] & keep) | set;
      }
      x0 = end;
    }
  }

  /** The smallest box of whole tiles around all that differ from another plane's, or null. @param {Plane} other */
  differs(other) {
    const changed = new Plane(this.width, this.height);
    for (const key of new Set([...this.tiles.keys(), ...other.tiles.keys()])) {
      const one = this.tiles.get(key);
      const two = other.tiles.get(key);
      if (!one || !two || one.some((byte, at) => byte !== two[at])) changed.tiles.set(key, new Uint8Array(0));
    }
    return changed.extent();
  }

  /** Drop tiles that hold nothing. */
  prune() {
    for (const [key, tile] of this.tiles) if (tile.every((byte) => byte === 0)) this.tiles.delete(key);
  }

  /** The smallest box of whole tiles around all that exist, or null. @returns {Rect|null} */
  extent() {
    let x0 = Infinity;
    let y0 = Infinity;
    let x1 = -1;
    let y1 = -1;
    for (const key of this.tiles.keys()) {
      const column = key % this.columns;
      const row = (key - column) / this.columns;
      x0 = Math.min(x0, column);
      y0 = Math.min(y0, row);
      x1 = Math.max(x1, column);
      y1 = Math.max(y1, row);
    }
    if (x1 < 0) return null;
    return {
      x0: x0 * TILE,
      y0: y0 * TILE,
      x1: Math.min(this.width, (x1 + 1) * TILE),
      y1: Math.min(this.height, (y1 + 1) * TILE),
    };
  }

  /**
   * Row-major run lengths of the pixels that hold any of some bits; the first run counts those that do not.
   * @param {number} bits
   * @returns {Uint32Array|null} null where no pixel does
   */
  runs(bits) {
    const runs = [];
    let length = 0;
    let inside = false;
    let any = false;
    const push = (/** @type {boolean} */ state, /** @type {number} */ count) => {
      if (state === inside) {
        length += count;
      } else {
        runs.push(length);
        length = count;
        inside = state;
        any ||= state;
      }
    };
    for (let y = 0; y < this.height; y++) {
      const base = (y >> SHIFT) * this.columns;
      const line = (y & LOW) << SHIFT;
      for (let column = 0; column < this.columns; column++) {
        const count = Math.min(TILE, this.width - (column << SHIFT));
        const tile = this.tiles.get(base + column);
        if (!tile) {
          push(false, count);
          continue;
        }
        let from = line;
        const end = line + count;
        while (from < end) {
          const state = (tile[from] & bits) !== 0;
          let to = from + 1;
          while (to < end && ((tile[to] & bits) !== 0) === state) to++;
          push(state, to - from);
          from = to;
        }
      }
    }
    runs.push(length);
    return any ? Uint32Array.from(runs) : null;
  }

  /**
   * Keep some bits of the pixels of run lengths and set others.
   * @param {Uint32Array} runs row-major over the box @param {Rect} box @param {number} keep @param {number} set
   */
  paint(runs, box, keep, set) {
    Plane.eachSpan(runs, box, (y, x0, x1) => this.span(y, x0, x1, keep, set));
  }

  /**
   * Call back for every row span of run lengths that lie in a box.
   * @param {Uint32Array} runs row-major over the box @param {Rect} box
   * @param {(y: number, x0: number, x1: number) => void} visit in image pixels
   */
  static eachSpan(runs, box, visit) {
    const width = box.x1 - box.x0;
    let at = 0;
    for (let index = 0; index < runs.length; index++) {
      let left = runs[index];
      if (index % 2 === 0) {
        at += left;
        continue;
      }
      while (left > 0) {
        const row = Math.floor(at / width);
        const column = at - row * width;
        const count = Math.min(left, width - column);
        visit(box.y0 + row, box.x0 + column, box.x0 + column + count);
        at += count;
        left -= count;
      }
    }
  }
}

/** The smallest rect around two, either of which may be null. @param {Rect|null} a @param {Rect|null} b */
export function union(a, b) {
  if (!a) return b;
  if (!b) return a;
  return { x0: Math.min(a.x0, b.x0), y0: Math.min(a.y0, b.y0), x1: Math.max(a.x1, b.x1), y1: Math.max(a.y1, b.y1) };
}

/** A rect grown on all sides and cut to an image. @param {Rect} r @param {number} by */
export function padded(r, by, width = Infinity, height = Infinity) {
  return {
    x0: Math.max(0, Math.floor(r.x0 - by)),
    y0: Math.max(0, Math.floor(r.y0 - by)),
    x1: Math.min(width, Math.ceil(r.x1 + by)),
    y1: Math.min(height, Math.ceil(r.y1 + by)),
  };
}
