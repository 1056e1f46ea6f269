// What the program found on an image, as the page holds it.

import { spread } from "./bitmaps.js";
import { unpackRuns } from "./packing.js";

/** @typedef {import("./plane.js").Rect} Rect */
/** @typedef {ReadonlyMap<string, string>} Kinds what regions are called, by key */

/**
 * A region of the automatic mask.
 * @typedef {object} Region
 * @property {number} index @property {string} key @property {string} kind as a person calls it
 * @property {string} foundKind what the automatic mask follows @property {Rect} box @property {Rect} patchBox
 * @property {[number, number][]|null} polygon @property {number} confidence @property {string} source
 * @property {boolean} proposed found, but too unsure to be drawn @property {string|null} text
 * @property {string} words what it is and what is doubtful about it @property {string} describedKind which they are about @property {number} certainty of the decision to draw it, or not to
 * @property {string|null} template @property {Uint32Array} runs @property {Int32Array} samples x, y pairs
 * @property {"on"|"off"|"part"} state @property {number|null} weight of 255, or null where the policy's holds
 */

/** @param {any} region the server's region document @param {number} index @returns {Promise<Region>} */
export async function readRegion(region, index) {
  const runs = await unpackRuns(region.patch), patchBox = rect(region.patch_box);
  return {
    index, key: region.key, kind: region.kind, foundKind: region.found_kind, box: rect(region.box), patchBox,
    polygon: region.polygon, confidence: region.confidence, source: region.source, proposed: !region.drawn,
    text: region.text, words: region.words, describedKind: region.kind, certainty: region.certainty, template: region.template, runs, samples: spread(runs, patchBox), state: "off", weight: null,
  };
}

/** What regions are called after one of them is called something. @param {Kinds} kinds @param {Region} region @param {string} kind */
export function renamed(kinds, region, kind) {
  const changed = new Map(kinds);
  if (kind === region.foundKind) changed.delete(region.key);
  else changed.set(region.key, kind);
  return changed;
}

/** @param {[number, number, number, number]} corners @returns {Rect} */
const rect = ([x0, y0, x1, y1]) => ({ x0, y0, x1, y1 });
