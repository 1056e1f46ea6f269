// From what a hand draws to rows of pixels.

/** @typedef {import("./plane.js").Rect} Rect */
/** @typedef {{x: number, y: number}} Point in image pixels, pixel centres at .5 */
/** @typedef {{rect: Rect, left: Int32Array, right: Int32Array}} Spans one half-open span per row of the rect */

/**
 * The pixels that a disc sweeps on its way from one point to another. The shape is convex: one span per row.
 * @param {Point} a @param {Point} b @param {number} radius
 * @returns {Spans}
 */
export function capsule(a, b, radius) {
  const y0 = Math.floor(Math.min(a.y, b.y) - radius);
  const y1 = Math.ceil(Math.max(a.y, b.y) + radius);
  const left = new Int32Array(y1 - y0);
  const right = new Int32Array(y1 - y0);
  const length = Math.hypot(b.x - a.x, b.y - a.y);
  const nx = length ? (-(b.y - a.y) / length) * radius : 0;
  const ny = length ? ((b.x - a.x) / length) * radius : 0;
  const corners = [
    { x: a.x + nx, y: a.y + ny },
    { x: b.x + nx, y: b.y + ny },
    { x: b.x - nx, y: b.y - ny },
    { x: a.x - nx, y: a.y - ny },
  ];
  let x0 = Infinity;
  let x1 = -Infinity;
  for (let row = 0; row < left.length; row++) {
    const y = y0 + row + 0.5;
    let low = Infinity;
    let high = -Infinity;
    for (const centre of [a, b]) {
      const dy = y - centre.y;
      if (Math.abs(dy) <= radius) {
        const half = Math.sqrt(radius * radius - dy * dy);
        low = Math.min(low, centre.x - half);
        high = Math.max(high, centre.x + half);
      }
    }
    if (length) {
      for (let side = 0; side < 4; side++) {
        const p = corners[side];
        const q = corners[(side + 1) % 4];
        if (p.y <= y !== q.y <= y) {
          const x = p.x + ((y - p.y) / (q.y - p.y)) * (q.x - p.x);
          low = Math.min(low, x);
          high = Math.max(high, x);
        }
      }
    }
    // A pixel belongs to the shape when its centre does.
    left[row] = low > high ? 0 : Math.ceil(low - 0.5);
    right[row] = low > high ? 0 : Math.floor(high - 0.5) + 1;
    if (right[row] > left[row]) {
      x0 = Math.min(x0, left[row]);
      x1 = Math.max(x1, right[row]);
    }
  }
  if (x0 > x1) {
    // a brush thinner than a pixel still marks the pixel under it
    const x = Math.floor(b.x);
    const y = Math.floor(b.y);
    return { rect: { x0: x, y0: y, x1: x + 1, y1: y + 1 }, left: Int32Array.of(x), right: Int32Array.of(x + 1) };
  }
  return { rect: { x0, y0, x1, y1 }, left, right };
}

/** @param {Spans} spans @param {(y: number, x0: number, x1: number) => void} visit */
export function eachRow(spans, visit) {
  for (let row = 0; row < spans.left.length; row++) {
    if (spans.right[row] > spans.left[row]) visit(spans.rect.y0 + row, spans.left[row], spans.right[row]);
  }
}

/**
 * Rows of a polygon, even-odd, each pixel by its centre.
 * @param {Point[]} points @param {(y: number, x0: number, x1: number) => void} visit
 * @returns {Rect|null}
 */
export function fillPolygon(points, visit) {
  if (points.length < 3) return null;
  const ys = points.map((p) => p.y);
  const xs = points.map((p) => p.x);
  const rect = {
    x0: Math.floor(Math.min(...xs)),
    y0: Math.floor(Math.min(...ys)),
    x1: Math.ceil(Math.max(...xs)),
    y1: Math.ceil(Math.max(...ys)),
  };
  for (let y = rect.y0; y < rect.y1; y++) {
    const at = y + 0.5;
    const cuts = [];
    for (let index = 0; index < points.length; index++) {
      const p = points[index];
      const q = points[(index + 1) % points.length];
      if (p.y <= at !== q.y <= at) cuts.push(p.x + ((at - p.y) / (q.y - p.y)) * (q.x - p.x));
    }
    cuts.sort((one, other) => one - other);
    for (let index = 0; index + 1 < cuts.length; index += 2) {
      const from = Math.ceil(cuts[index] - 0.5);
      const to = Math.floor(cuts[index + 1] - 0.5) + 1;
      if (to > from) visit(y, from, to);
    }
  }
  return rect;
}

/**
 * Grow the set pixels of a bitmap by a square. Every grown pixel takes the value of a set one near it.
 * @param {Uint8Array} source (height, width), 0 = not set @param {number} width @param {number} height
 * @param {number} radius in pixels of the bitmap
 * @returns {Uint8Array}
 */
export function dilate(source, width, height, radius) {
  const reach = Math.max(0, Math.floor(radius));
  const wide = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const line = y * width;
    let until = -1; // last column of this row that is filled
    for (let x = 0; x < width; x++) {
      const value = source[line + x];
      if (value) {
        wide.fill(value, line + Math.max(until + 1, x - reach, 0), line + Math.min(width, x + reach + 1));
        until = x + reach;
      }
    }
  }
  if (reach === 0) return wide;
  const out = new Uint8Array(width * height);
  const since = new Int32Array(width);
  const near = new Uint8Array(width);
  for (const down of [true, false]) {
    since.fill(reach + 1);
    for (let step = 0; step < height; step++) {
      const line = (down ? step : height - 1 - step) * width;
      for (let x = 0; x < width; x++) {
        const value = wide[line + x];
        if (value) {
          since[x] = 0;
          near[x] = value;
          out[line + x] = value;
        } else if (++since[x] <= reach) out[line + x] = near[x];
      }
    }
  }
  return out;
}

/**
 * Rows of a shape grown by a square, for convex shapes.
 * @param {Spans} spans @param {number} by
 * @returns {Spans}
 */
export function widened(spans, by) {
  const rows = spans.left.length + 2 * by;
  const left = new Int32Array(rows);
  const right = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    let low = Infinity;
    let high = -Infinity;
    for (let at = Math.max(0, row - 2 * by); at <= Math.min(spans.left.length - 1, row); at++) {
      if (spans.right[at] > spans.left[at]) {
        low = Math.min(low, spans.left[at]);
        high = Math.max(high, spans.right[at]);
      }
    }
    if (high > low) {
      left[row] = low - by;
      right[row] = high + by;
    }
  }
  const { x0, y0, x1, y1 } = spans.rect;
  return { rect: { x0: x0 - by, y0: y0 - by, x1: x1 + by, y1: y1 + by }, left, right };
}
