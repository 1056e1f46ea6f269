// What the program found on an image, as the page holds it.

import { WEIGHT } from "./bits.js";
import { bitmapOf, overlap, spread } from "./bitmaps.js";
import { unpackRuns } from "./packing.js";
import { Plane } from "./plane.js";

/** @typedef {import("./plane.js").Rect} Rect */
/** @typedef {ReadonlyMap<string, string>} Kinds what regions are called, by key */

export const KINDS = ["text", "frame", "watermark", "overlay", "custom", "ground"];
const ALMOST = 0.98;

/**
 * A region of the automatic mask.
 * @typedef {object} Region
 * @property {number} index @property {string[]} keys of what it was merged from @property {string} kind as a person calls it
 * @property {string} foundKind what the automatic mask follows @property {Rect} box @property {Rect} patchBox
 * @property {[number, number][]|null} polygon @property {number} confidence @property {string} source
 * @property {boolean} proposed found, but too unsure to be drawn @property {string|null} text
 * @property {string} words what it is and what is doubtful about it @property {string} describedKind which they are about @property {number} certainty of the decision to draw it, or not to
 * @property {string|null} template @property {Uint32Array} runs @property {Int32Array} samples x, y pairs
 * @property {"on"|"off"|"part"} state @property {number|null} weight of 255, or null where the policy's holds
 */

/** @param {any} region the server's region document @param {number} index @returns {Promise<Region>} */
export async function readRegion(region, index) {
  const runs = await unpackRuns(region.patch);
  const patchBox = rect(region.patch_box);
  return {
    index,
    keys: region.keys,
    kind: region.kind,
    foundKind: region.found_kind,
    box: rect(region.box),
    patchBox,
    polygon: region.polygon,
    confidence: region.confidence,
    source: region.source,
    proposed: !region.drawn,
    text: region.text,
    words: region.words,
    describedKind: region.kind,
    certainty: region.certainty,
    template: region.template,
    runs,
    samples: spread(runs, patchBox),
    state: "off",
    weight: null,
  };
}

/** What regions are called after one of them is called something. @param {Kinds} kinds @param {Region} region @param {string} kind */
export function renamed(kinds, region, kind) {
  const changed = new Map(kinds);
  for (const key of region.keys) {
    if (kind === region.foundKind) changed.delete(key);
    else changed.set(key, kind);
  }
  return changed;
}

/** @param {[number, number, number, number]} corners @returns {Rect} */
const rect = ([x0, y0, x1, y1]) => ({ x0, y0, x1, y1 });

/** What a person calls a region: what its first part is called, or the last one that is called anything. @param {Region} region @param {Kinds} kinds */
export function calledKind({ keys: [first, ...others], foundKind }, kinds) {
  const named = others.filter((key) => kinds.has(key)).pop();
  return kinds.get(first) ?? kinds.get(named ?? "") ?? foundKind;
}

/** The bit of a kind in `MaskDocument.found`. @param {string} kind */
export const bitOf = (kind) => 1 << KINDS.indexOf(kind);

/**
 * Kinds that take something away, by weight, the lowest weight last.
 * @param {Record<string, number>} weights @param {Record<string, number>} levels of 255
 */
export function groupsOf(weights, levels) {
  /** @type {Map<number, {bits: number, level: number}>} */ const groups = new Map();
  for (const kind of KINDS.filter((one) => levels[one] < 255)) {
    const group = groups.get(weights[kind]) ?? { bits: 0, level: levels[kind] };
    group.bits |= bitOf(kind);
    groups.set(weights[kind], group);
  }
  return [...groups].sort(([one], [other]) => other - one).map(([, group]) => group);
}

/** The region's pixels in its box, a byte each. @param {Region} region */
export const pixelsOf = (region) => bitmapOf(region.runs, region.patchBox);

/**
 * Clear what other regions mask as well.
 * @param {Uint8Array} bitmap over the patch box of @param {Region} region @param {Region[]} regions all of the image
 */
export function clearOthers(bitmap, region, regions) {
  const box = region.patchBox;
  const width = box.x1 - box.x0;
  for (const other of regions) {
    if (other === region || other.state !== "on" || !overlap(other.patchBox, box)) continue;
    Plane.eachSpan(other.runs, other.patchBox, (y, x0, x1) => {
      if (y < box.y0 || y >= box.y1) return;
      const from = Math.max(x0, box.x0);
      const to = Math.min(x1, box.x1);
      if (to > from) bitmap.fill(0, (y - box.y0) * width + from - box.x0, (y - box.y0) * width + to - box.x0);
    });
  }
}

/** Note whether a region is masked, and with which weight of its own. @param {Region} region @param {import("./document.js").MaskDocument} doc */
export function judge(region, doc) {
  let masked = 0;
  let weighted = 0;
  let level = -1;
  const count = region.samples.length / 2;
  for (let at = 0; at < region.samples.length; at += 2) {
    const x = region.samples[at];
    const y = region.samples[at + 1];
    if (doc.isMasked(x, y)) masked++;
    if (doc.flags.get(x, y) & WEIGHT) {
      const found = doc.levels.get(x, y);
      if (level < 0) level = found;
      if (found === level) weighted++;
    }
  }
  region.weight = count && weighted >= ALMOST * count ? level : null;
  region.state = masked >= ALMOST * count ? "on" : masked <= (1 - ALMOST) * count ? "off" : "part";
  if (region.weight === 255) region.state = "off";
}
