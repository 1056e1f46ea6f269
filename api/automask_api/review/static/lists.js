// The queue as a strip of rows and as a grid of thumbnails. Only what is on screen exists.

import { thumbnailAddress, tokenOf } from "./api.js";
import { make } from "./elements.js";

/** @typedef {import("./queue.js").Queue} Queue */
/** @typedef {import("./queue.js").Row} Row */

const ROW_PX = 84;
const CARD_PX = 196;
const CARD_HEIGHT_PX = 196;
const BEYOND = 4; // rows kept above and below

export const DECISION_SIGNS = { accepted: "✓", excluded: "⊘", skipped: "…" };

/** @param {Row} row */
export function describe(row) {
  const doubt = row.confidence === null ? "no result" : `${Math.round(100 * row.confidence)} % sure`;
  const corrected = row.corrected ?? row.revision > 0;
  const state = row.decision ?? (row.verdict === "review" ? "to review" : corrected ? "corrected" : "fine");
  return { doubt, state, corrected };
}

/** @param {Row} row */
function thumbnail(row) {
  const picture = new Image();
  picture.alt = "";
  picture.loading = "lazy";
  picture.decoding = "async";
  picture.draggable = false;
  if (!row.failed && row.content) picture.src = thumbnailAddress(tokenOf(row.id), row.mask);
  return picture;
}

/** @param {Row} row */
function badge(row) {
  const { state, corrected } = describe(row);
  const sign = make(
    "span",
    `badge ${row.decision ?? (corrected ? "corrected" : state.replace(" ", "-"))}`,
    /** @type {any} */ (DECISION_SIGNS)[row.decision ?? ""] ?? "",
  );
  sign.setAttribute("aria-hidden", "true");
  return sign;
}

/** @param {Row} row */
function kinds(row) {
  const box = make("span", "kinds");
  for (const kind of row.kinds) {
    const dot = make("span", `dot kind-${kind}`);
    dot.title = kind;
    box.append(dot);
  }
  return box;
}

/** Shows rows of a fixed height while they are on screen. */
class Scroller {
  /** @param {HTMLElement} element @param {number} height of a row @param {(at: number) => HTMLElement} build */
  constructor(element, height, build) {
    this.element = element;
    this.height = height;
    this.build = build;
    this.count = 0;
    this.spacer = make("div", "spacer");
    element.append(this.spacer);
    /** @type {Map<number, HTMLElement>} */
    this.shown = new Map();
    element.addEventListener("scroll", () => this.fill(), { passive: true });
    new ResizeObserver(() => this.fill()).observe(element);
  }

  /** Build all rows on screen again. @param {number} count */
  renew(count) {
    this.count = count;
    this.spacer.style.height = `${count * this.height}px`;
    for (const row of this.shown.values()) row.remove();
    this.shown.clear();
    this.fill();
  }

  fill() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.height) - BEYOND);
    const last = Math.min(this.count, Math.ceil((scrollTop + clientHeight) / this.height) + BEYOND);
    for (const [at, row] of this.shown) {
      if (at < first || at >= last) {
        row.remove();
        this.shown.delete(at);
      }
    }
    for (let at = first; at < last; at++) {
      if (this.shown.has(at)) continue;
      const row = this.build(at);
      row.style.transform = `translateY(${at * this.height}px)`;
      this.shown.set(at, row);
      this.spacer.append(row);
    }
  }

  /** @param {number} at */
  reveal(at) {
    const top = at * this.height;
    const { scrollTop, clientHeight } = this.element;
    const isBelow = top + this.height > scrollTop + clientHeight;
    if (top < scrollTop) this.element.scrollTop = top - this.height;
    else if (isBelow) this.element.scrollTop = top - clientHeight + 2 * this.height;
  }
}

/** The strip at the side. */
export class Strip {
  /** @param {HTMLElement} element @param {Queue} queue @param {(id: string) => void} open */
  constructor(element, queue, open) {
    this.queue = queue;
    this.scroller = new Scroller(element, ROW_PX, (at) => {
      const row = queue.list[at];
      const { doubt, state } = describe(row);
      const button = /** @type {HTMLButtonElement} */ (make("button", "strip-row"));
      button.type = "button";
      const why = state === "to review" || row.failed ? row.reasons.join(" ") : "";
      button.setAttribute("aria-label", `${row.id}, ${doubt}, ${state}. ${why}`.trim());
      if (row.id === queue.current) button.setAttribute("aria-current", "true");
      const text = make("span", "text");
      const facts = make("span", "facts");
      facts.append(make("span", "doubt", doubt), kinds(row));
      text.append(make("span", "name", row.id), facts, make("span", "why", why));
      const frame = make("span", "thumb");
      frame.append(thumbnail(row), badge(row));
      button.append(frame, text);
      button.title = `${row.id}\n${why}`.trim();
      button.addEventListener("click", () => open(row.id));
      return button;
    });
    queue.addEventListener("list", () => this.renew());
    queue.addEventListener("rows", () => this.renew());
    this.renew();
  }

  renew() {
    this.scroller.renew(this.queue.list.length);
  }

  /** The image at hand changed. */
  follow() {
    if (this.queue.place >= 0) this.scroller.reveal(this.queue.place);
    this.renew();
  }
}

/** The grid, with a selection. */
export class Grid {
  /** @param {HTMLElement} element @param {Queue} queue @param {(id: string) => void} open @param {() => void} selected */
  constructor(element, queue, open, selected) {
    this.element = element;
    this.queue = queue;
    this.open = open;
    this.selected = selected;
    /** @type {Set<string>} */ this.chosen = new Set();
    this.last = -1;
    this.columns = 1;
    this.scroller = new Scroller(element, CARD_HEIGHT_PX, (at) => this.#line(at));
    queue.addEventListener("list", () => this.renew());
    queue.addEventListener("rows", () => this.renew());
    new ResizeObserver(() => this.renew()).observe(element);
  }

  renew() {
    if (this.element.closest("[hidden]")) return;
    this.columns = Math.max(1, Math.floor(this.element.clientWidth / CARD_PX));
    for (const id of this.chosen) if (!this.queue.places.has(id)) this.chosen.delete(id);
    this.scroller.renew(Math.ceil(this.queue.list.length / this.columns));
    this.selected();
  }

  /** @param {boolean} all */
  choose(all) {
    this.chosen = new Set(all ? this.queue.list.filter((row) => !row.failed).map((row) => row.id) : []);
    this.renew();
  }

  /** @param {number} at */
  #line(at) {
    const line = make("div", "grid-line");
    line.style.setProperty("--columns", String(this.columns));
    const first = at * this.columns;
    this.queue.list
      .slice(first, first + this.columns)
      .forEach((row, index) => line.append(this.#card(row, first + index)));
    return line;
  }

  /** @param {Row} row @param {number} place */
  #card(row, place) {
    const { doubt, state } = describe(row);
    const card = make("div", "card");
    const box = /** @type {HTMLInputElement} */ (make("input"));
    box.type = "checkbox";
    box.checked = this.chosen.has(row.id);
    box.disabled = row.failed;
    box.dataset.place = String(place);
    box.setAttribute("aria-label", `Select ${row.id}`);
    card.classList.toggle("chosen", box.checked);
    box.addEventListener("click", (event) => this.#choose(row, place, box.checked, event.shiftKey));
    const button = /** @type {HTMLButtonElement} */ (make("button", "card-picture"));
    button.type = "button";
    button.setAttribute("aria-label", `Open ${row.id}, ${doubt}, ${state}`);
    button.title = state === "to review" || row.failed ? row.reasons.join(" ") : "";
    button.append(thumbnail(row), badge(row));
    button.addEventListener("click", () => this.open(row.id));
    const facts = make("div", "facts");
    facts.append(make("span", "doubt", doubt), kinds(row));
    const name = make("span", "name", row.id);
    name.title = row.id;
    card.append(button, box, name, facts);
    return card;
  }

  /** @param {Row} row @param {number} place @param {boolean} on @param {boolean} range */
  #choose(row, place, on, range) {
    const from = range && this.last >= 0 ? Math.min(this.last, place) : place;
    const to = range && this.last >= 0 ? Math.max(this.last, place) : place;
    for (const one of this.queue.list.slice(from, to + 1)) {
      if (on && !one.failed) this.chosen.add(one.id);
      else this.chosen.delete(one.id);
    }
    this.last = place;
    this.renew();
    // It is a new one.
    const card = /** @type {HTMLElement|null} */ (this.element.querySelector(`[data-place="${place}"]`));
    card?.focus({ preventScroll: true });
  }
}
