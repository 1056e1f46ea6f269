// Click-assist: the object under the pointer, from the server's network, shown before it is taken.

import { Problem, click } from "./api.js";
import { componentAt } from "./bitmaps.js";
import { unpackRuns } from "./packing.js";
import { Plane } from "./plane.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./shapes.js").Point} Point */

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
    this.session.edit(adds ? "click to add" : "click to remove", (doc) => doc.stamp(found.bitmap, found.box, adds));
  }

  /** @param {Point} point @param {boolean} adds @param {boolean} loudly */
  async #ask(point, adds, loudly) {
    const { doc, token } = this.session;
    if (!doc || point.x < 0 || point.y < 0 || point.x >= doc.width || point.y >= doc.height) return null;
    if (!adds) { // what is masked is known here: no need to ask
      const found = componentAt(doc, Math.floor(point.x), Math.floor(point.y));
      this.preview(found, false);
      if (loudly && !found) this.say("Nothing is masked here.");
      return found;
    }
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    try {
      const answer = await click(token, { x: Math.floor(point.x), y: Math.floor(point.y) }, asking.signal);
      if (token !== this.session.token || asking.signal.aborted) return null;
      const found = answer.box[2] > answer.box[0] ? await toBitmap(answer) : null;
      this.preview(found, true);
      if (!found && loudly) this.say("Nothing stands out here; draw it with the brush (B).");
      return found;
    } catch (error) {
      if (loudly && !asking.signal.aborted) {
        this.say(error instanceof Problem ? error.message : "The server does not answer; draw with the brush meanwhile.");
      }
      return null;
    }
  }
}

/** @param {any} answer a box and packed pixels */
async function toBitmap(answer) {
  const [x0, y0, x1, y1] = answer.box, box = { x0, y0, x1, y1 };
  const bitmap = new Uint8Array((x1 - x0) * (y1 - y0));
  Plane.eachSpan(await unpackRuns(answer.pixels), box, (y, from, to) => {
    bitmap.fill(1, (y - y0) * (x1 - x0) + from - x0, (y - y0) * (x1 - x0) + to - x0);
  });
  return { bitmap, box };
}
