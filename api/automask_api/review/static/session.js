// The image at hand: opening it, changing it, keeping every change.

import { getImage, tokenOf, viewAddress } from "./api.js";
import { MaskDocument } from "./document.js";
import { History } from "./history.js";

/** @typedef {import("./queue.js").Queue} Queue */
/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./sync.js").Sync} Sync */
/** @typedef {import("./history.js").Change} Change */

const KEEP_MS = 40; // after the end of a stroke
const AHEAD = 2; // images fetched before they are asked for
const MOST_DOCUMENTS = 8;

/** Fires `open`, `edit`, `kept` (by the server), `spread` (to other images), `history`, `trouble` (an Error). */
export class Session extends EventTarget {
  /** @param {Queue} queue @param {Stage} stage @param {Sync} sync */
  constructor(queue, stage, sync) {
    super();
    this.queue = queue;
    this.stage = stage;
    this.sync = sync;
    this.history = new History();
    /** @type {MaskDocument|null} */ this.doc = null;
    /** @type {any} */ this.description = null;
    this.token = "";
    /** @type {Map<string, Promise<{doc: MaskDocument, description: any}>>} newest last */
    this.loaded = new Map();
    /** @type {Map<string, HTMLImageElement>} pictures fetched ahead */
    this.pictures = new Map();
    /** @type {Map<string, number>} */ this.timers = new Map();
    /** @type {Map<string, (value: unknown) => void>} what waits for changes to reach the outbox */
    this.kept = new Map();
    /** @type {Set<Promise<void>>} layers on their way to the outbox */ this.keeping = new Set();
    /** @type {Map<string, string|null>} what this page decided about templates */ this.decided = new Map();
    this.label = "";
    this.opening = "";
    sync.addEventListener("saved", (event) => this.#saved(/** @type {CustomEvent} */ (event).detail));
    sync.addEventListener("decided", (event) => this.queue.settle(/** @type {CustomEvent} */ (event).detail));
    sync.addEventListener("spread", (event) => this.#spreadDone(/** @type {CustomEvent} */ (event).detail));
    sync.addEventListener("refused", (event) => {
      const { parcel } = /** @type {CustomEvent} */ (event).detail;
      if (parcel.what !== "spread") return;
      this.history.forgetSpread(parcel.payload.operation);
      this.dispatchEvent(new Event("history"));
    });
    addEventListener("pagehide", () => this.flush());
    addEventListener("visibilitychange", () => document.hidden && this.flush());
  }

  /** Open an image. @param {string} id @returns {Promise<boolean>} whether it is on screen */
  async open(id) {
    const token = tokenOf(id);
    this.opening = token; // also of the image at hand: one that is still on its way is not wanted any more
    if (token === this.token && this.doc) return true;
    try {
      const { doc, description } = await this.#load(token);
      if (this.opening !== token) return false; // the person went on meanwhile
      this.doc = doc;
      this.description = description;
      this.token = token;
      this.queue.current = id;
      const shown = this.stage.show(doc, token, description.content);
      this.dispatchEvent(new Event("open")); // who listens may draw over the picture
      await shown;
      performance.measure("next-image", { start: this.askedAt ?? performance.now(), end: performance.now() });
    } catch (error) {
      this.dispatchEvent(new CustomEvent("trouble", { detail: { error, id } }));
      return false;
    }
    for (const ahead of this.queue.ahead(id, AHEAD)) this.prefetch(ahead);
    return true;
  }

  /** @param {number} by */
  async step(by) {
    this.askedAt = performance.now();
    const id = this.queue.neighbour(this.queue.current, by);
    if (id !== null) await this.open(id);
    return id !== null;
  }

  /** Have an image ready. @param {string} id */
  prefetch(id) {
    const token = tokenOf(id);
    void this.#load(token)
      .then(({ description }) => {
        if (this.pictures.has(token)) return;
        const picture = new Image();
        picture.src = viewAddress(token, description.content);
        void picture.decode().catch(() => {});
        this.pictures.set(token, picture);
        for (const old of [...this.pictures.keys()].slice(0, -2 * AHEAD)) this.pictures.delete(old);
      })
      .catch(() => {}); // it will be said when the person gets there
  }

  // Editing

  /** @param {string} label */
  begin(label) {
    this.label = label;
    this.doc?.begin();
  }

  end() {
    const snapshot = this.doc?.end();
    if (!snapshot) return false;
    this.history.push({
      label: this.label,
      token: this.token,
      changes: [{ what: "edit", token: this.token, snapshot }],
    });
    this.#edited();
    return true;
  }

  /** Make one change as a step of its own. @param {string} label @param {(doc: MaskDocument) => void} change */
  edit(label, change) {
    if (!this.doc) return;
    this.begin(label);
    change(this.doc);
    this.end();
    this.stage.changed();
  }

  /** @param {string|null} decision @param {string[]} [ids] the image at hand where left out */
  decide(decision, ids = [this.queue.current]) {
    const tokens = ids.map(tokenOf);
    const before = ids.map((id) => this.queue.row(id)?.decision ?? null);
    this.history.push({
      label: decision ?? "take back",
      token: tokens[0],
      changes: [{ what: "decision", tokens, before, after: decision }],
    });
    this.#keepDecision(tokens, decision);
    this.dispatchEvent(new Event("history"));
  }

  /** Put a mark on other images, too. @param {string} token @param {{pixels: string, mode: string, places: any[]}} body */
  spread(token, body) {
    const operation = newOperation();
    const label = `${body.mode === "add" ? "mask" : "unmask"} on ${body.places.length} images`;
    this.history.push({ label, token, changes: [{ what: "spread", operation, body }] });
    void this.sync.keepSpread(token, { ...body, operation });
    this.dispatchEvent(new Event("history"));
  }

  /** Train the frames of all images after all. */
  framesOffEverywhere() {
    const operation = newOperation();
    const body = { frames_off: true };
    this.history.push({
      label: "all frames off on all images",
      token: this.token,
      changes: [{ what: "spread", operation, body }],
    });
    const { token } = this;
    void this.sync.while(() => this.flush().then(() => this.sync.keepSpread(token, { ...body, operation })));
    this.dispatchEvent(new Event("history"));
  }

  /** Take back what an earlier visit put on other images. @param {string} operation */
  takeBack(operation) {
    this.history.forgetSpread(operation);
    void this.sync.while(() => this.flush().then(() => this.sync.keepTakenBack(operation)));
    this.dispatchEvent(new Event("history"));
  }

  /** Decide about a recurring mark, for all images that show it. @param {string} template @param {"apply"|"forget"} decision */
  decideTemplate(template, decision) {
    const before =
      (this.decided.has(template) ? this.decided.get(template) : this.description?.template_decisions[template]) ??
      null;
    const label = decision === "forget" ? "forget a recurring mark" : "mask a recurring mark everywhere";
    this.history.push({ label, token: this.token, changes: [{ what: "template", template, before, after: decision }] });
    this.#keepTemplate(template, decision);
    this.dispatchEvent(new Event("history"));
  }

  /** @param {string} template @param {string|null} decision */
  #keepTemplate(template, decision) {
    this.decided.set(template, decision);
    void this.sync.while(() => this.flush().then(() => this.sync.keepTemplate(template, decision)));
  }

  /** Undo (or with `forward` redo) one step, wherever it was made. @param {boolean} forward */
  async undo(forward = false) {
    const step = forward ? this.history.next : this.history.last;
    if (!step) return null;
    const single = step.changes.every(
      (change) => change.what === "edit" || (change.what === "decision" && change.tokens.length === 1),
    );
    if (single && step.token !== this.token && !(await this.open(this.queue.idOf(step.token) ?? ""))) return null;
    (forward ? this.history.undone : this.history.done).pop();
    const changes = forward ? step.changes : [...step.changes].reverse();
    /** @type {Change[]} */
    const back = changes.map((change) => {
      if (change.what === "edit") {
        const doc = /** @type {MaskDocument} */ (this.doc);
        return { ...change, snapshot: doc.restore(change.snapshot) };
      }
      if (change.what === "template") {
        this.#keepTemplate(change.template, forward ? change.after : change.before);
        return change;
      }
      if (change.what === "spread") return this.#spreadAgain(step.token, change, forward);
      if (forward) this.#keepDecision(change.tokens, change.after);
      else change.tokens.forEach((token, at) => this.#keepDecision([token], change.before[at]));
      return change;
    });
    (forward ? this.history.done : this.history.undone).push({ ...step, changes: forward ? back : back.reverse() });
    if (back.some((change) => change.what === "edit")) this.#edited();
    this.stage.changed();
    this.dispatchEvent(new Event("history"));
    return step;
  }

  /** Write what was changed to this browser at once. */
  async flush() {
    for (const token of this.timers.keys()) this.#keep(token);
    await Promise.all(this.keeping); // also what had begun before: a decision must not overtake the layers it is about
  }

  /** @param {string} token @param {Change & {what: "spread"}} change @param {boolean} forward @returns {Change} */
  #spreadAgain(token, change, forward) {
    if (!forward) {
      void this.sync.while(() => this.flush().then(() => this.sync.keepTakenBack(change.operation)));
      return change;
    }
    const operation = newOperation(); // the old one is in the history as taken back
    void this.sync.while(() => this.flush().then(() => this.sync.keepSpread(token, { ...change.body, operation })));
    return { ...change, operation };
  }

  /** The server changed other images for this page. @param {Record<string, any>} images */
  async #spreadDone(images) {
    this.queue.settle(images);
    this.dispatchEvent(new Event("spread"));
    for (const [token, { revision }] of Object.entries(images)) {
      // What this page changed there meanwhile is not to be sent as if it had seen that: it will be asked.
      if (this.sync.unsent(token) || this.timers.has(token)) continue;
      this.sync.known.set(token, revision);
      this.loaded.delete(token);
      if (token === this.token) await this.#openAgain();
    }
  }

  async #openAgain() {
    const id = this.queue.current;
    this.token = "";
    await this.open(id);
  }

  /** Load the image again from the server, without what this page changed. */
  async reload(token = this.token) {
    this.loaded.delete(token);
    this.history.forget(token);
    if (token === this.token) await this.#openAgain();
  }

  // Inside

  #edited() {
    const token = this.token;
    if (!this.timers.has(token)) void this.sync.while(() => new Promise((done) => this.kept.set(token, done)));
    clearTimeout(this.timers.get(token));
    this.timers.set(
      token,
      setTimeout(() => this.#keep(token), KEEP_MS),
    );
    this.dispatchEvent(new Event("edit"));
    this.dispatchEvent(new Event("history"));
  }

  /** @param {string} token */
  #keep(token) {
    clearTimeout(this.timers.get(token));
    this.timers.delete(token);
    const keeping = this.#keepLayers(token, this.kept.get(token)).finally(() => this.keeping.delete(keeping));
    this.keeping.add(keeping);
  }

  /** @param {string} token @param {((value: unknown) => void)|undefined} done */
  async #keepLayers(token, done) {
    try {
      const { doc } = await /** @type {Promise<{doc: MaskDocument}>} */ (this.loaded.get(token));
      const layers = await doc.layers();
      await this.sync.keepLayers(token, layers);
      this.queue.edited(token, layers !== null);
    } finally {
      done?.(null);
    }
  }

  /** @param {string[]} tokens @param {string|null} decision */
  #keepDecision(tokens, decision) {
    this.queue.settle(Object.fromEntries(tokens.map((token) => [token, { decision }])));
    // After the layers: accepting binds to the mask that was seen, and a later correction makes it lapse.
    void this.sync.while(() => this.flush().then(() => this.sync.keepDecision(tokens, decision)));
  }

  /** @param {string} token */
  #load(token) {
    const known = this.loaded.get(token);
    if (known) {
      this.loaded.delete(token);
      this.loaded.set(token, known);
      return known;
    }
    const loading = this.#fetch(token);
    loading.catch(() => this.loaded.delete(token));
    this.loaded.set(token, loading);
    for (const old of [...this.loaded.keys()].slice(0, -MOST_DOCUMENTS)) {
      if (old !== this.token && !this.timers.has(old)) this.loaded.delete(old);
    }
    return loading;
  }

  /** @param {string} token */
  async #fetch(token) {
    const description = await getImage(token);
    const doc = await MaskDocument.open(description);
    const unsent = this.sync.unsent(token);
    // With something unsent, this browser knows more than the server.
    if (unsent) await doc.setLayers(unsent.payload);
    else this.sync.known.set(token, description.revision);
    return { doc, description };
  }

  /** @param {{token: string, answer: any}} detail */
  async #saved({ token, answer }) {
    if (!answer) return;
    this.queue.settle({ [token]: answer });
    const loaded = await this.loaded.get(token);
    if (!loaded) return;
    Object.assign(loaded.description, { revision: answer.revision, masked_share: answer.masked_share });
    if (token === this.token) this.dispatchEvent(new Event("kept"));
  }
}

/** A name for an operation on other images. */
function newOperation() {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
