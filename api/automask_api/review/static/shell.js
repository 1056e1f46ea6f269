// Buttons, filters and views around the picture.

import { Problem, revertCorrection } from "./api.js";
import { listKeys, settleConflicts } from "./dialogs.js";
import { at } from "./elements.js";
import { Grid, Strip } from "./lists.js";
import { ORDERS, SHELVES } from "./queue.js";
import { followTheme } from "./theme.js";

/** @typedef {import("./queue.js").Queue} Queue */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./sync.js").Sync} Sync */

const TOAST_MS = 3500;
const ZOOM_STEP = 1.3;
const STATES = {
  saved: "Saved",
  saving: "Saving…",
  waiting: "No server: kept in this browser, trying again",
  conflict: "Changed by somebody else",
  refused: "The server refused a change; it is kept in this browser",
};

/** The image that an address names. @param {string} address */
function addressed(address) {
  const name = new URL(address).hash.slice(1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // typed by hand, with a % of its own
  }
}

export class Shell {
  /** @param {{queue: Queue, sync: Sync, session: Session, stage: Stage}} parts */
  constructor({ queue, sync, session, stage }) {
    this.queue = queue;
    this.sync = sync;
    this.session = session;
    this.stage = stage;
    this.strip = new Strip(at("strip"), queue, (id) => void session.open(id));
    this.grid = new Grid(
      at("cards"),
      queue,
      (id) => this.#openFromGrid(id),
      () => this.#showChosen(),
    );
    this.toastTimer = 0;
    this.look = "overlay";
    this.actions = this.#actions();
    this.#filters();
    this.#buttons();
    listKeys();
    settleConflicts(sync, session);
    followTheme(stage);
    for (const event of ["list", "rows"]) queue.addEventListener(event, () => this.#showQueue());
    session.addEventListener("open", () => this.#showQueue());
    session.addEventListener("open", () => this.#showAddress());
    session.addEventListener("open", () => this.strip.follow());
    session.addEventListener("history", () => this.#showHistory());
    session.addEventListener("trouble", (event) => this.#trouble(/** @type {CustomEvent} */ (event).detail));
    sync.addEventListener("state", () => this.#showState());
    sync.addEventListener("refused", (event) => this.say(/** @type {CustomEvent} */ (event).detail.error.message));
    // Typed, or the browser's Back; never our own. Until this comes, what is typed must not be overwritten.
    addEventListener("hashchange", (event) => void this.#openAddress(addressed(event.newURL)));
    this.#showHistory();
    this.#showQueue();
    this.setLook("overlay");
  }

  /** Open the image of the address, or the first of the queue. */
  async openFirst() {
    const wanted = addressed(location.href);
    if (!this.queue.list.length) {
      this.queue.filter({ shelf: "all" });
      at("shelf").value = "all";
      if (this.queue.list.length) this.say("Nothing is left to review. These are all images.");
    }
    const id = this.queue.row(wanted) ? wanted : this.queue.list.find((row) => !row.failed)?.id;
    if (id) await this.session.open(id);
    else at("name").textContent = "This store has no images.";
  }

  /** Open the image of an address that changed; where that cannot be, the address is the old one again.
   * @param {string} wanted */
  async #openAddress(wanted) {
    if (!this.queue.row(wanted)) {
      this.#showAddress();
      if (wanted) this.say(`This store has no image ${wanted}.`);
      return;
    }
    if (!at("grid").hidden) this.#showGrid(false);
    if (!(await this.session.open(wanted))) this.#showAddress();
  }

  /** @param {string} message */
  say(message) {
    clearTimeout(this.toastTimer);
    at("toast").textContent = message;
    at("toast").hidden = false;
    this.toastTimer = setTimeout(() => {
      at("toast").hidden = true;
    }, TOAST_MS);
  }

  /** @param {"overlay"|"mask"|"trainer"|"original"} look */
  setLook(look) {
    this.look = look;
    this.#showLook(look);
  }

  /** Show the original while a key is held. @param {boolean} held */
  original(held) {
    this.#showLook(held ? "original" : /** @type {any} */ (this.look));
  }

  /** Make an older version the newest. @param {number} revision */
  async revert(revision) {
    const { session, sync } = this;
    await session.flush();
    try {
      const answer = await revertCorrection(session.token, revision, sync.known.get(session.token) ?? 0);
      this.queue.settle({ [session.token]: answer });
      await session.reload();
      this.say(`Version ${revision} is back.`);
    } catch (error) {
      this.say(error instanceof Problem ? error.message : "The server does not answer; try again later.");
    }
  }

  #actions() {
    const { session, stage } = this;
    return {
      accept: () => void this.#decide("accepted"),
      skip: () => void this.#decide("skipped"),
      exclude: () => void this.#exclude(),
      nothing: () => void this.#nothing(),
      previous: () => void session.step(-1),
      next: () => void session.step(1),
      undo: () => void this.#undo(false),
      redo: () => void this.#undo(true),
      grid: () => this.#showGrid(at("grid").hidden),
      help: () => at("help").showModal(),
      overlay: () => this.setLook("overlay"),
      mask: () => this.setLook("mask"),
      trainer: () => this.setLook("trainer"),
      fit: () => stage.fit(),
      actual: () => stage.zoomBy(1 / (stage.view.zoom * devicePixelRatio)),
      zoomIn: () => stage.zoomBy(ZOOM_STEP),
      zoomOut: () => stage.zoomBy(1 / ZOOM_STEP),
    };
  }

  /** @param {string} decision */
  async #decide(decision) {
    if (!this.session.doc) return;
    this.session.decide(decision);
    if (!(await this.session.step(1))) this.say("That was the last one of this list.");
  }

  async #exclude() {
    if (this.queue.row(this.queue.current)?.decision === "excluded") {
      this.session.decide(null);
      this.say("Exports take this image again.");
    } else await this.#decide("excluded");
  }

  async #nothing() {
    const { session } = this;
    if (!session.doc) return;
    const changes = !session.doc.replaces || session.doc.flags.tiles.size > 0;
    if (changes) session.edit("nothing to mask", (doc) => doc.clear());
    session.decide("accepted");
    if (changes) session.history.join();
    if (!(await session.step(1))) this.say("That was the last one of this list.");
  }

  /** @param {boolean} forward */
  async #undo(forward) {
    const step = await this.session.undo(forward);
    this.say(
      step ? `${forward ? "Done again" : "Undone"}: ${step.label}` : forward ? "Nothing to redo" : "Nothing to undo",
    );
  }

  // What is shown

  #showQueue() {
    const { queue } = this;
    const row = queue.row(queue.current);
    const counts = queue.counts();
    at("name").textContent = queue.current || "…";
    const place = queue.place >= 0 ? `${queue.place + 1} of ${queue.list.length}` : `${queue.list.length} in this list`;
    at("progress").textContent = `${place} · ${queue.left} to review`;
    for (const option of at("shelf").options) {
      option.textContent = `${SHELVES[/** @type {"all"} */ (option.value)].title} (${counts[option.value]})`;
    }
    at("exclude").classList.toggle("on", row?.decision === "excluded");
    at("exclude").lastElementChild.textContent = row?.decision === "excluded" ? "Excluded" : "Exclude";
    at("accept").lastElementChild.textContent = row?.decision === "accepted" ? "Accepted" : "Accept";
  }

  /** The address of the image on screen. */
  #showAddress() {
    const { current } = this.queue;
    if (current) history.replaceState(null, "", `#${encodeURIComponent(current)}`);
  }

  #showHistory() {
    const { history: steps } = this.session;
    at("undo").disabled = !steps.last;
    at("redo").disabled = !steps.next;
  }

  #showState() {
    at("state").dataset.state = this.sync.state;
    at("state-text").textContent = STATES[this.sync.state];
  }

  /** @param {"overlay"|"mask"|"trainer"|"original"} look */
  #showLook(look) {
    for (const button of at("looks").children) {
      button.setAttribute("aria-checked", String(button.dataset.look === look));
      button.tabIndex = button.dataset.look === look ? 0 : -1;
    }
    if (this.stage.look !== look || !this.stage.element.dataset.look) this.stage.setLook(look);
  }

  #showChosen() {
    const count = this.grid.chosen.size;
    const total = this.queue.list.length;
    at("grid-title").textContent = count ? `${count} of ${total} images selected` : `${total} images`;
    for (const [id, word] of [
      ["accept-chosen", "Accept"],
      ["exclude-chosen", "Exclude"],
    ]) {
      at(id).disabled = !count;
      at(id).textContent = count ? `${word} ${count}` : word;
    }
  }

  /** @param {boolean} shown */
  #showGrid(shown) {
    at("grid").hidden = !shown;
    at("grid-button").setAttribute("aria-pressed", String(shown));
    for (const part of [document.querySelector("main"), at("panel")]) part.inert = shown;
    if (shown) {
      this.grid.renew();
      this.grid.scroller.reveal(Math.floor(Math.max(0, this.queue.place) / this.grid.columns));
      at("cards").focus();
    } else this.stage.element.focus();
  }

  /** @param {string} id */
  #openFromGrid(id) {
    this.#showGrid(false);
    void this.session.open(id);
  }

  /** @param {{error: Error, id: string}} detail */
  #trouble({ error, id }) {
    const problem = error instanceof Problem;
    this.say(
      problem ? `${error.message} ${error.advice}` : `The server does not answer, so ${id} cannot be opened now.`,
    );
  }

  // Wiring

  #filters() {
    const { queue } = this;
    const { folders, templates } = queue.choices();
    for (const [name, { title }] of Object.entries(SHELVES)) at("shelf").append(new Option(title, name));
    for (const [name, { title }] of Object.entries(ORDERS)) at("order").append(new Option(title, name));
    for (const folder of folders) at("folder").append(new Option(folder, folder));
    for (const template of templates) at("template").append(new Option(template, template));
    for (const id of ["shelf", "kind", "folder", "template", "order"]) {
      at(id).addEventListener("change", () => queue.filter({ [id]: at(id).value }));
    }
    at("below").addEventListener("input", () => {
      at("below-shown").textContent = at("below").value;
      queue.filter({ below: Number(at("below").value) / 100 });
    });
  }

  #buttons() {
    const { session, actions, grid } = this;
    const half = () => Math.max(1, Math.round((session.doc?.grid.growth_px || 8) / 2));
    /** @type {Record<string, () => void>} */
    const clicks = {
      accept: actions.accept,
      skip: actions.skip,
      exclude: actions.exclude,
      nothing: actions.nothing,
      previous: actions.previous,
      next: actions.next,
      undo: actions.undo,
      redo: actions.redo,
      "grid-button": actions.grid,
      "help-button": actions.help,
      "zoom-in": actions.zoomIn,
      "zoom-out": actions.zoomOut,
      "zoom-fit": actions.fit,
      grow: () => session.edit("grow", (doc) => doc.spread(half())),
      shrink: () => session.edit("shrink", (doc) => doc.spread(-half())),
      invert: () => session.edit("invert", (doc) => doc.invert()),
      reset: () => session.edit("reset", (doc) => doc.reset()),
      "select-all": () => grid.choose(true),
      "select-none": () => grid.choose(false),
      "accept-chosen": () => this.#decideChosen("accepted"),
      "exclude-chosen": () => this.#decideChosen("excluded"),
    };
    for (const [id, act] of Object.entries(clicks)) {
      at(id).addEventListener("click", (/** @type {MouseEvent} */ event) => {
        act();
        // After a click with the pointer the keys belong to the picture again; after the keyboard, focus stays.
        if (event.detail > 0 && at("grid").hidden) this.stage.element.focus({ preventScroll: true });
      });
    }
    for (const button of at("looks").children) {
      button.addEventListener("click", (/** @type {MouseEvent} */ event) => {
        this.setLook(button.dataset.look);
        if (event.detail > 0) this.stage.element.focus({ preventScroll: true });
      });
    }
    at("looks").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const buttons = [...at("looks").children];
      const now = buttons.findIndex((one) => one.dataset.look === this.look);
      const next = buttons[(now + by + buttons.length) % buttons.length];
      this.setLook(next.dataset.look);
      next.focus();
      event.preventDefault();
      event.stopPropagation();
    });
    this.stage.addEventListener("view", () => {
      at("zoom-shown").textContent = `${Math.round(100 * this.stage.view.zoom * devicePixelRatio)} %`;
    });
  }

  /** @param {string} decision */
  #decideChosen(decision) {
    const ids = [...this.grid.chosen];
    if (!ids.length) return;
    this.session.decide(decision, ids);
    this.grid.choose(false);
    this.say(`${ids.length} ${ids.length === 1 ? "image" : "images"} ${decision}. Ctrl+Z takes it back.`);
  }
}
