// The mask of one image as it is edited: what the program found, and what a person changed on top of it.

import { eachRun, grown } from "./bitmaps.js";
import { ADD, KIND_BITS, REMOVE, WEIGHT } from "./bits.js";
import { smallHoles } from "./holes.js";
import { packLayers, paintLayers } from "./layers.js";
import { Plane, padded, union } from "./plane.js";
import { KINDS, bitOf, calledKind, clearOthers, groupsOf, judge, pixelsOf, readRegion, renamed } from "./regions.js";
import { dilate, eachRow, fillPolygon, widened } from "./shapes.js";

/** @typedef {import("./plane.js").Rect} Rect */
/** @typedef {import("./shapes.js").Spans} Spans */
/** @typedef {import("./regions.js").Kinds} Kinds */
/** @typedef {import("./regions.js").Region} Region */
/** @typedef {{flags: Map<number, Uint8Array|null>, levels: Map<number, Uint8Array|null>, replaces: boolean, kinds: Kinds}} Snapshot */

export class MaskDocument {
  /** @param {any} description the server's image document */
  static async open(description) {
    const doc = new MaskDocument(description);
    for (const [index, region] of description.regions.entries()) doc.regions.push(await readRegion(region, index));
    for (const region of doc.regions) doc.#note(region);
    await doc.setLayers(description.correction?.layers ?? null);
    return doc;
  }

  /** @param {any} description */
  constructor(description) {
    this.id = description.id;
    this.width = description.width_px;
    this.height = description.height_px;
    this.grid = description.grid;
    this.flags = new Plane(this.width, this.height);
    this.levels = new Plane(this.width, this.height);
    /** what the automatic mask is made of: a bit for each kind, since kinds of several weights may share a pixel */
    this.found = new Plane(this.width, this.height);
    /** small holes of the grown mask: the bits of the kinds of one weight, or ADDED_HOLE; up to date between changes */
    this.holes = new Plane(this.width, this.height);
    this.replaces = false;
    this.alreadyGrown = false;
    /** @type {Kinds} replaced, never changed */ this.kinds = new Map();
    /** @type {Region[]} */ this.regions = [];
    /** weight levels by kind bits */
    this.kindLevels = Uint8Array.from([255, ...KINDS.map((kind) => description.levels[kind])]);
    /** kinds of one weight with their bits in `found`: each weight grows by itself, the lowest one last */
    this.weights = groupsOf(description.weights, description.levels);
    /** @type {Rect|null} */
    this.dirty = null;
  }

  /** Growth of what a person added, in image pixels. */
  get addReach() {
    return this.alreadyGrown ? 0 : this.grid.growth_px;
  }

  get bounds() {
    return { x0: 0, y0: 0, x1: this.width, y1: this.height };
  }

  // Layers

  /** Show the automatic mask under some layers. @param {any} layers as the server packs them, or null */
  async setLayers(layers) {
    this.flags = new Plane(this.width, this.height);
    this.levels = new Plane(this.width, this.height);
    this.replaces = layers?.replaces ?? false;
    this.alreadyGrown = layers?.already_grown ?? false;
    this.#name(new Map(Object.entries(layers?.kinds ?? {})));
    if (!this.replaces) this.#paintAutomatic();
    if (layers) await paintLayers(layers, this);
    this.dirty = this.bounds;
    this.#settle();
  }

  /** The layers as the server wants them, or null where nothing differs from the automatic mask. */
  layers() {
    return packLayers(this);
  }

  // Changes: between `begin` and `end`, undone as one

  begin() {
    this.flags.record();
    this.levels.record();
    this.startedReplacing = this.replaces;
    this.startedKinds = this.kinds;
  }

  /** @returns {Snapshot|null} what to give `restore` to undo, or null where nothing was changed */
  end() {
    const snapshot = {
      flags: this.flags.recorded(),
      levels: this.levels.recorded(),
      replaces: this.startedReplacing ?? false,
      kinds: this.startedKinds ?? this.kinds,
    };
    const pixels = snapshot.flags.size || snapshot.levels.size;
    this.#settle();
    return pixels || snapshot.replaces !== this.replaces || snapshot.kinds !== this.kinds ? snapshot : null;
  }

  /** Undo or redo. @param {Snapshot} snapshot @returns {Snapshot} the way back */
  restore(snapshot) {
    const back = {
      flags: this.flags.swap(snapshot.flags),
      levels: this.levels.swap(snapshot.levels),
      replaces: this.replaces,
      kinds: this.kinds,
    };
    this.replaces = snapshot.replaces;
    this.#name(snapshot.kinds);
    this.dirty = this.bounds;
    this.#settle();
    return back;
  }

  /** Mask or unmask a convex shape. @param {Spans} spans @param {boolean} masks */
  stroke(spans, masks) {
    eachRow(spans, (y, x0, x1) => this.#set(y, x0, x1, masks));
    if (!masks && this.addReach) {
      // What was added grows back into the erased pixels unless it ends that much earlier.
      eachRow(widened(spans, this.addReach), (y, x0, x1) => this.flags.span(y, x0, x1, 255 & ~ADD, 0));
    }
    this.#touch(spans.rect, masks);
  }

  /** Mask or unmask the inside of a polygon. @param {import("./shapes.js").Point[]} points @param {boolean} masks */
  polygon(points, masks) {
    const inside = points.map(({ x, y }) => ({ x: clamp(x, this.width), y: clamp(y, this.height) }));
    if (masks || !this.addReach) {
      const rect = fillPolygon(inside, (y, x0, x1) => this.#set(y, x0, x1, masks));
      if (rect) this.#touch(rect, masks);
      return;
    }
    const rect = fillPolygon(inside, () => {});
    if (!rect) return;
    const width = rect.x1 - rect.x0;
    const bitmap = new Uint8Array(width * (rect.y1 - rect.y0));
    fillPolygon(inside, (y, x0, x1) => {
      bitmap.fill(1, (y - rect.y0) * width + x0 - rect.x0, (y - rect.y0) * width + x1 - rect.x0);
    });
    this.stamp(bitmap, rect, false);
  }

  /** Mask or unmask the set pixels of a bitmap. @param {Uint8Array} bitmap @param {Rect} box @param {boolean} masks */
  stamp(bitmap, box, masks) {
    eachRun(bitmap, box, (y, x0, x1) => this.#set(y, x0, x1, masks));
    if (!masks && this.addReach) {
      const wide = grown(bitmap, box, this.addReach, this);
      eachRun(wide.bitmap, wide.box, (y, x0, x1) => this.flags.span(y, x0, x1, 255 & ~ADD, 0));
    }
    this.#touch(box, masks);
  }

  /** Switch a region on or off. @param {Region} region @param {boolean} on */
  toggle(region, on) {
    const mine = pixelsOf(region);
    this.#dropWeight(region, mine);
    if (!on) clearOthers(mine, region, this.regions);
    const automatic = !region.proposed && !this.replaces;
    const keep = on ? 255 & ~(REMOVE | WEIGHT) : 255 & ~(WEIGHT | (automatic ? 0 : ADD));
    const set = on ? (automatic ? 0 : ADD) : automatic ? REMOVE : 0;
    eachRun(mine, region.patchBox, (y, x0, x1) => this.flags.span(y, x0, x1, keep, set));
    this.#touch(region.patchBox, false);
  }

  /** Give a region a weight of its own. @param {Region} region @param {number} level 0..255 */
  weigh(region, level) {
    const mine = pixelsOf(region);
    this.#dropWeight(region, mine);
    const wide = grown(mine, region.patchBox, this.grid.growth_px, this);
    eachRun(mine, region.patchBox, (y, x0, x1) => this.flags.span(y, x0, x1, 255 & ~ADD, REMOVE));
    eachRun(wide.bitmap, wide.box, (y, x0, x1) => {
      this.flags.span(y, x0, x1, 255, WEIGHT);
      this.levels.span(y, x0, x1, 0, level);
    });
    this.#touch(wide.box, false);
  }

  /** Call a region another kind: it takes that kind's colour and weight. @param {Region} region @param {string} kind */
  reclass(region, kind) {
    if (kind === region.kind) return;
    const before = this.#levelOf(region.kind);
    const level = this.#levelOf(kind);
    this.#name(renamed(this.kinds, region, kind));
    this.#touch(region.patchBox, true);
    if (region.state === "off" && before < 255) return; // a person does not want it masked, whatever it is
    if (level !== before || region.weight !== null) {
      const automatic = region.proposed || this.replaces ? 0 : this.#levelOf(region.foundKind);
      if (level === 255) this.toggle(region, false);
      else if (level === automatic) this.toggle(region, true);
      else this.weigh(region, level);
    }
    const bits = this.#bitsOf(region);
    eachRun(pixelsOf(region), region.patchBox, (y, x0, x1) => {
      for (let x = x0; x < x1; x++) {
        const old = this.flags.get(x, y) & KIND_BITS; // the pixel of a region that weighs less stays that one's
        if (old && this.kindLevels[old] === this.kindLevels[bits]) this.flags.span(y, x, x + 1, 255 & ~KIND_BITS, bits);
      }
    });
  }

  /** Nothing on this image is to be masked. */
  clear() {
    for (const plane of [this.flags, this.levels]) {
      for (const key of [...plane.tiles.keys()]) plane.writable(key).fill(0);
    }
    this.replaces = true;
    this.dirty = this.bounds;
  }

  /** The automatic mask again. */
  reset() {
    this.clear();
    this.replaces = false;
    this.#name(new Map());
    this.#paintAutomatic();
  }

  /** Make masked what is not, and the other way round. */
  invert() {
    for (let y = 0; y < this.height; y++) {
      for (let x = 0; x < this.width;) {
        const masked = this.isMasked(x, y);
        let end = x + 1;
        while (end < this.width && this.isMasked(end, y) === masked) end++;
        this.flags.span(y, x, end, KIND_BITS, masked ? REMOVE : ADD);
        x = end;
      }
    }
    this.dirty = this.bounds;
  }

  /** Grow (or with a negative number shrink) everything that is masked. @param {number} by pixels */
  spread(by) {
    const extent = this.flags.extent();
    if (!extent) return;
    const reach = Math.abs(by);
    const box = padded(extent, reach, this.width, this.height);
    const width = box.x1 - box.x0;
    const height = box.y1 - box.y0;
    const source = new Uint8Array(width * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) source[y * width + x] = Number(this.isMasked(box.x0 + x, box.y0 + y) === by > 0);
    }
    const changes = dilate(source, width, height, reach);
    for (let at = 0; at < changes.length; at++) changes[at] = Number(changes[at] && !source[at]);
    eachRun(changes, box, (y, x0, x1) => this.#set(y, x0, x1, by > 0));
    this.#touch(box, by > 0);
  }

  /** Whether a pixel is masked before growth. @param {number} x @param {number} y */
  isMasked(x, y) {
    const flags = this.flags.get(x, y);
    if (flags & ADD) return true;
    if (flags & WEIGHT) return this.levels.get(x, y) < 255;
    return (flags & KIND_BITS) !== 0 && !(flags & REMOVE);
  }

  /** What has to be drawn again since the last call. @returns {Rect|null} */
  takeDirty() {
    const dirty = this.dirty;
    this.dirty = null;
    return dirty;
  }

  /** The topmost region at a point. @param {number} x @param {number} y */
  regionAt(x, y) {
    // What is trained anyway lies under everything: a click means it only once it was switched on.
    const inside = this.regions
      .filter((one) => one.state !== "off" || !this.keeps(one))
      .filter(({ box }) => x >= box.x0 && x < box.x1 && y >= box.y0 && y < box.y1);
    const area = (/** @type {Region} */ { box }) => (box.x1 - box.x0) * (box.y1 - box.y0);
    return inside.sort((one, other) => area(one) - area(other))[0] ?? null;
  }

  // Inside

  /** @param {number} y @param {number} x0 @param {number} x1 @param {boolean} masks */
  #set(y, x0, x1, masks) {
    if (masks) this.flags.span(y, x0, x1, 255 & ~(REMOVE | WEIGHT), ADD);
    else this.flags.span(y, x0, x1, 255 & ~(ADD | WEIGHT), REMOVE);
  }

  #paintAutomatic() {
    const level = (/** @type {Region} */ region) => this.#levelOf(region.foundKind);
    const drawn = this.regions.filter((region) => !region.proposed && level(region) < 255);
    drawn.sort((one, other) => level(other) - level(one)); // the lowest weight wins, so it goes last
    for (const region of drawn) this.flags.paint(region.runs, region.patchBox, 255 & ~KIND_BITS, this.#bitsOf(region));
  }

  /** @param {Region} region */
  #note(region) {
    if (region.proposed || this.#levelOf(region.foundKind) === 255) return;
    this.found.paint(region.runs, region.patchBox, 255, bitOf(region.foundKind));
  }

  /** What follows from a finished change. */
  #settle() {
    for (const region of this.regions) judge(region, this);
    const before = this.holes;
    this.holes = smallHoles(this);
    this.dirty = union(this.dirty, this.holes.differs(before));
  }

  /** Training weight of a kind, of 255. @param {string} kind */
  #levelOf(kind) {
    return this.kindLevels[KINDS.indexOf(kind) + 1];
  }

  /** Whether the policy trains what a region is called. @param {Region} region */
  keeps(region) {
    return this.#levelOf(region.kind) === 255;
  }

  /** The kind that a region's pixels have: what it is called, unless only the found kind says what they weigh. @param {Region} region */
  #bitsOf(region) {
    const agree = this.#levelOf(region.kind) === this.#levelOf(region.foundKind);
    return KINDS.indexOf(agree ? region.kind : region.foundKind) + 1;
  }

  /** @param {Kinds} kinds */
  #name(kinds) {
    this.kinds = kinds;
    for (const region of this.regions) region.kind = calledKind(region, kinds);
  }

  /** @param {Region} region @param {Uint8Array} mine */
  #dropWeight(region, mine) {
    if (region.weight === null) return;
    const wide = grown(mine, region.patchBox, this.grid.growth_px, this);
    eachRun(wide.bitmap, wide.box, (y, x0, x1) => this.flags.span(y, x0, x1, 255 & ~WEIGHT, 0));
    this.#touch(wide.box, false);
  }

  /** @param {Rect} rect @param {boolean} grows */
  #touch(rect, grows) {
    const reach = grows ? this.addReach : Math.max(this.grid.growth_px, this.addReach) * 2;
    this.dirty = union(this.dirty, padded(rect, reach, this.width, this.height));
  }
}

/** @param {number} value @param {number} most */
const clamp = (value, most) => Math.min(most, Math.max(0, value));
