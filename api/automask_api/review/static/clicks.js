// Click-assist: the object under the pointer, from the server's network, shown before it is taken.

import { Problem, click } from "./api.js";
import { bitmapOf, componentAt, runsOf } from "./bitmaps.js";
import { packRuns, unpackRuns } from "./packing.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./shapes.js").Point} Point */

const MOST_WANTED = 64; // earlier clicks that the server is told
const REST_MS = 140; // how long the pointer rests before it is asked what lies there

export class ClickAssist {
  /**
   * @param {Session} session
   * @param {(bitmap: {bitmap: Uint8Array, box: import("./plane.js").Rect}|null, adds: boolean) => void} preview
   * @param {(message: string) => void} say
   */
  constructor(session, preview, say) {
    this.session = session;
    this.preview = preview;
    this.say = say;
    this.timer = 0;
    /** @type {AbortController|null} */ this.asking = null;
    /** @type {Map<string, [number, number][]>} clicks that added things, by image */ this.wanted = new Map();
  }

  /** No preview any more. */
  stop() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = null;
    this.preview(null, true);
  }

  /** @param {Point} point @param {boolean} adds */
  hover(point, adds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.#ask(point, adds, false), REST_MS);
  }

  /** Take the object at a point. @param {Point} point @param {boolean} adds */
  async click(point, adds) {
    clearTimeout(this.timer);
    const found = await this.#ask(point, adds, true);
    if (!found) return;
    this.preview(null, adds);
    if (adds) this.#asked().push([Math.floor(point.x), Math.floor(point.y)]);
    this.session.edit(adds ? "click to add" : "click to remove", (doc) => doc.stamp(found.bitmap, found.box, adds));
  }

  /** @returns {[number, number][]} */
  #asked() {
    const { token } = this.session;
    if (!this.wanted.has(token)) this.wanted.set(token, []);
    return this.wanted.get(token) ?? [];
  }

  /** @param {Point} point @param {boolean} adds @param {boolean} loudly */
  async #ask(point, adds, loudly) {
    const { doc, token } = this.session;
    if (!doc || point.x < 0 || point.y < 0 || point.x >= doc.width || point.y >= doc.height) return null;
    const x = Math.floor(point.x);
    const y = Math.floor(point.y);
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const thing = adds ? null : componentAt(doc, x, y);
    if (!adds) {
      this.preview(thing, false);
      if (!thing) {
        if (loudly) this.say("Nothing is masked here.");
        return null;
      }
    }
    try {
      const question = thing
        ? { x, y, thing: await toPart(thing), wanted: this.#asked().slice(-MOST_WANTED) }
        : { x, y };
      const answer = await click(token, question, asking.signal);
      if (token !== this.session.token || asking.signal.aborted) return null;
      const found = answer.box[2] > answer.box[0] ? await toBitmap(answer) : null;
      this.preview(found, adds);
      if (!found && loudly) this.say("Nothing stands out here; draw it with the brush (B).");
      return found;
    } catch (error) {
      if (asking.signal.aborted) return null;
      if (thing) return thing; // without an answer all of it goes: it can be undone
      if (loudly) {
        this.say(
          error instanceof Problem ? error.message : "The server does not answer; draw with the brush meanwhile.",
        );
      }
      return null;
    }
  }
}

/** @param {{bitmap: Uint8Array, box: import("./plane.js").Rect}} thing */
async function toPart({ bitmap, box }) {
  const { x0, y0, x1, y1 } = box;
  return { box: [x0, y0, x1, y1], pixels: await packRuns(runsOf(bitmap), y1 - y0, x1 - x0) };
}

/** @param {any} answer a box and packed pixels */
async function toBitmap(answer) {
  const [x0, y0, x1, y1] = answer.box;
  const box = { x0, y0, x1, y1 };
  return { bitmap: bitmapOf(await unpackRuns(answer.pixels), box), box };
}
