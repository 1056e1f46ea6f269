// The layers of a correction: between their packed form, which server and outbox keep, and the planes of a document.

import { ADD, REMOVE, WEIGHT } from "./bits.js";
import { deflate, fromBase64, inflate, packRuns, toBase64, unpackRuns } from "./packing.js";
import { Plane } from "./plane.js";

/** @typedef {import("./document.js").MaskDocument} MaskDocument */

/** Paint layers over the automatic mask. @param {any} layers as the server packs them @param {MaskDocument} doc */
export async function paintLayers(layers, doc) {
  if (layers.remove) doc.flags.paint(await unpackRuns(layers.remove), doc.bounds, 255, REMOVE);
  if (layers.add) doc.flags.paint(await unpackRuns(layers.add), doc.bounds, 255, ADD);
  if (!layers.weight_set) return;
  const runs = await unpackRuns(layers.weight_set);
  const values = await inflate(fromBase64(layers.weight_levels));
  doc.flags.paint(runs, doc.bounds, 255, WEIGHT);
  let at = 0;
  Plane.eachSpan(runs, doc.bounds, (y, x0, x1) => {
    for (let x = x0; x < x1; x++) doc.levels.span(y, x, x + 1, 0, values[at++]);
  });
}

/** The layers as the server wants them, or null where nothing differs from the automatic mask. @param {MaskDocument} doc */
export async function packLayers(doc) {
  const add = doc.flags.runs(ADD);
  const remove = doc.flags.runs(REMOVE);
  const weighted = doc.flags.runs(WEIGHT);
  if (!add && !remove && !weighted && !doc.replaces && !doc.kinds.size) return null;
  const pack = (/** @type {Uint32Array|null} */ runs) => (runs ? packRuns(runs, doc.height, doc.width) : null);
  let levels = null;
  if (weighted) {
    /** @type {number[]} */
    const values = [];
    Plane.eachSpan(weighted, doc.bounds, (y, x0, x1) => {
      for (let x = x0; x < x1; x++) values.push(doc.levels.get(x, y));
    });
    levels = toBase64(await deflate(Uint8Array.from(values)));
  }
  return {
    replaces: doc.replaces,
    already_grown: doc.alreadyGrown,
    add: await pack(add),
    remove: await pack(remove),
    weight_set: await pack(weighted),
    weight_levels: levels,
    kinds: Object.fromEntries(doc.kinds),
  };
}
