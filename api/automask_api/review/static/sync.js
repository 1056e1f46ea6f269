// Sends what waits in the outbox, in order, for as long as it takes; shows where it stands.

import {
  Problem,
  decide,
  decideTemplate,
  framesOff,
  getImage,
  putCorrection,
  spread,
  takeBack,
  withdrawCorrection,
} from "./api.js";
import { inflate, fromBase64, unpackRuns } from "./packing.js";

/** @typedef {import("./outbox.js").Outbox} Outbox */
/** @typedef {import("./outbox.js").Parcel} Parcel */
/** @typedef {"saved"|"saving"|"waiting"|"conflict"|"refused"} State */

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15000;
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504, 507]);

/** Fires `state`, `saved` ({token, answer}), `decided` and `spread` (answers by token), `conflict` ({parcel, newest}), `refused`. */
export class Sync extends EventTarget {
  /** @param {Outbox} outbox @param {string} author */
  constructor(outbox, author) {
    super();
    this.outbox = outbox;
    this.author = author;
    /** @type {Map<string, number>} newest revision of each image that this page has seen */
    this.known = new Map();
    /** @type {State} */ this.state = "saved";
    this.pause = FIRST_PAUSE_MS;
    this.held = 0; // changes that are not in the outbox yet
    this.timer = 0;
    this.running = false;
    /** @type {Set<Parcel>} parcels that the server will never take as they are */
    this.stuck = new Set();
    addEventListener("online", () => this.hurry());
    addEventListener("visibilitychange", () => !document.hidden && this.hurry());
  }

  /** Take up what an earlier visit left. */
  async resume() {
    await this.outbox.load();
    for (const parcel of this.outbox.inOrder()) {
      if (parcel.what === "layers") this.known.set(parcel.token, parcel.revision);
    }
    this.hurry();
  }

  /** From a change until it is in the outbox nothing is said to be saved. @template T @param {() => Promise<T>} work */
  async while(work) {
    this.held++;
    if (this.state === "saved") this.#show("saving");
    try {
      return await work();
    } finally {
      this.held--;
      this.hurry();
    }
  }

  /** Keep the layers of an image; inside `while`. @param {string} token @param {any} layers null for the automatic mask */
  async keepLayers(token, layers) {
    const { store } = this.outbox;
    await this.outbox.put({
      key: `${store}/layers/${token}`,
      store,
      token,
      what: "layers",
      payload: layers,
      revision: this.known.get(token) ?? 0,
      made: Date.now(),
    });
  }

  /** Keep a decision about images; inside `while`. @param {string[]} tokens @param {string|null} decision */
  async keepDecision(tokens, decision) {
    const { store } = this.outbox;
    const made = Date.now();
    await this.outbox.put({
      key: `${store}/decision/${made}/${tokens[0]}`,
      store,
      token: tokens[0],
      what: "decision",
      payload: { tokens, decision },
      revision: 0,
      made,
    });
  }

  /** Keep a mark that goes to other images. @param {string} token where it is from @param {any} body as the server wants it */
  async keepSpread(token, body) {
    await this.#keepOperation("spread", token, body.operation, body);
  }

  /** Keep that an operation is taken back. @param {string} operation */
  async keepTakenBack(operation) {
    await this.#keepOperation("unspread", "", operation, { operation });
  }

  /** Keep a decision about a recurring mark. @param {string} template @param {string|null} decision */
  async keepTemplate(template, decision) {
    await this.#keepOperation("template", "", `${template}/${Date.now()}`, { template, decision });
  }

  /** @param {"spread"|"unspread"|"template"} what @param {string} token @param {string} operation @param {any} payload */
  async #keepOperation(what, token, operation, payload) {
    const { store } = this.outbox;
    const revision = this.known.get(token) ?? 0;
    const key = `${store}/${what}/${operation}`;
    const made = Date.now();
    await this.while(() => this.outbox.put({ key, store, token, what, payload, revision, made }));
  }

  /** Wait until the server has the layers of an image. @param {string} token @returns {Promise<boolean>} false where it does not answer */
  async settled(token) {
    while (this.unsent(token)) {
      if (!["saved", "saving"].includes(this.state)) return false;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return true;
  }

  /** The unsent layers of an image, if any. @param {string} token @returns {Parcel|undefined} */
  unsent(token) {
    return this.outbox.parcels.get(`${this.outbox.store}/layers/${token}`);
  }

  /** Send now. */
  hurry() {
    clearTimeout(this.timer);
    this.pause = FIRST_PAUSE_MS;
    void this.#run();
  }

  /** Somebody else changed the image: send ours on top of theirs, or drop it. @param {Parcel} parcel @param {number} revision */
  async settle(parcel, revision, /** @type {boolean} */ keepsMine) {
    this.known.set(parcel.token, revision);
    this.stuck.delete(parcel);
    if (!keepsMine) await this.outbox.drop(parcel);
    this.hurry();
  }

  async #run() {
    if (this.running) return;
    this.running = true;
    try {
      for (;;) {
        const parcel = this.outbox.inOrder().find((one) => !this.stuck.has(one));
        if (!parcel) break;
        this.#show("saving");
        if (!(await this.#send(parcel))) return;
      }
      if (!this.stuck.size) this.#show(this.held ? "saving" : "saved");
    } finally {
      this.running = false;
    }
  }

  /** @param {Parcel} parcel @returns {Promise<boolean>} whether to go on */
  async #send(parcel) {
    try {
      if (parcel.what === "decision") {
        const answers = await decide(parcel.payload.tokens, parcel.payload.decision);
        await this.outbox.drop(parcel);
        this.#tell("decided", answers);
      } else if (parcel.what === "layers") await this.#sendLayers(parcel);
      else {
        const { token, payload, revision } = parcel;
        const answer = await (parcel.what === "template"
          ? decideTemplate(payload.template, payload.decision)
          : payload.frames_off
            ? framesOff(token, payload.operation)
            : parcel.what === "spread"
              ? spread(token, payload, revision)
              : takeBack(payload.operation));
        await this.outbox.drop(parcel);
        this.#tell("spread", answer.images);
      }
      this.pause = FIRST_PAUSE_MS;
      return true;
    } catch (error) {
      const isOperation = parcel.what !== "layers" && parcel.what !== "decision";
      if (isOperation && error instanceof Problem && !TRANSIENT.has(error.status)) {
        await this.outbox.drop(parcel); // nothing was changed, and the same again would be refused again
        this.#tell("refused", { parcel, error });
        return true;
      }
      if (error instanceof Problem && error.status === 412) {
        this.stuck.add(parcel);
        this.#show("conflict");
        this.#tell("conflict", { parcel, newest: error.newest });
        return true;
      }
      if (error instanceof Problem && !TRANSIENT.has(error.status)) {
        this.stuck.add(parcel);
        this.#show("refused");
        this.#tell("refused", { parcel, error });
        return true;
      }
      this.#show("waiting");
      this.timer = setTimeout(() => void this.#run(), this.pause);
      this.pause = Math.min(LONGEST_PAUSE_MS, 2 * this.pause);
      return false;
    }
  }

  /** @param {Parcel} parcel */
  async #sendLayers(parcel) {
    const { token, payload } = parcel;
    const revision = this.known.get(token) ?? parcel.revision;
    let answer = null;
    try {
      if (payload !== null) answer = await putCorrection(token, payload, revision);
      else if (revision > 0) answer = await withdrawCorrection(token, revision);
    } catch (error) {
      // An answer may have been lost on its way: what is there now can be our own.
      const newest = error instanceof Problem && error.status === 412 ? error.newest : null;
      if (newest?.author !== this.author || newest.revision !== revision + 1) throw error;
      const image = await getImage(token);
      if (image.revision !== newest.revision || !(await same(image.correction?.layers ?? null, payload))) throw error;
      answer = image;
    }
    if (answer) this.known.set(token, answer.revision);
    await this.outbox.drop(parcel);
    this.#tell("saved", { token, answer });
  }

  /** @param {State} state */
  #show(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  /** @param {string} name @param {any} detail */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Whether two packed layers hold the same. @param {any} one @param {any} other */
async function same(one, other) {
  if (one === null || other === null) return one === other;
  if (one.replaces !== other.replaces || one.already_grown !== other.already_grown) return false;
  const kinds = (/** @type {any} */ layers) => JSON.stringify(Object.entries(layers.kinds ?? {}).sort());
  if (kinds(one) !== kinds(other)) return false;
  for (const name of ["add", "remove", "weight_set"]) {
    if ((one[name] === null) !== (other[name] === null)) return false;
    if (one[name] !== null && !equal(await unpackRuns(one[name]), await unpackRuns(other[name]))) return false;
  }
  if ((one.weight_levels ?? null) === null || (other.weight_levels ?? null) === null) return !one.weight_set;
  return equal(await inflate(fromBase64(one.weight_levels)), await inflate(fromBase64(other.weight_levels)));
}

/** @param {ArrayLike<number>} one @param {ArrayLike<number>} other */
function equal(one, other) {
  return one.length === other.length && Array.prototype.every.call(one, (value, at) => value === other[at]);
}
