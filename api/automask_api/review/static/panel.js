// The side panel: coverage, regions, facts, and who changed what.

import { getHistory } from "./api.js";
import { KINDS } from "./document.js";
import { make } from "./lists.js";
import { drawnParts, regionPart } from "./parts.js";

/** @typedef {import("./document.js").Region} Region */
/** @typedef {import("./session.js").Session} Session */

const MUCH = 0.5;
const PARTS_MS = 250; // after the last change

export class Panel {
  /**
   * @param {HTMLElement} element @param {Session} session
   * @param {{highlight: (region: Region|null) => void, show: (region: Region) => void,
   *   revert: (revision: number) => void, spread: (part: import("./parts.js").Part) => void,
   *   takeBack: (operation: string) => void}} hands
   */
  constructor(element, session, hands) {
    const find = (/** @type {string} */ selector) => /** @type {any} */ (element.querySelector(selector));
    this.session = session;
    this.hands = hands;
    /** @type {HTMLElement} */ this.list = find("#regions");
    /** @type {HTMLElement} */ this.parts = find("#parts");
    this.partsTimer = 0;
    /** @type {HTMLElement} */ this.facts = find("#facts");
    /** @type {HTMLElement} */ this.issues = find("#issues");
    /** @type {HTMLDetailsElement} */ this.history = find("#history");
    /** @type {HTMLMeterElement} */ this.meter = find("#coverage");
    /** @type {HTMLElement} */ this.share = find("#coverage-share");
    /** @type {HTMLElement} */ this.warning = find("#coverage-warning");
    this.history.addEventListener("toggle", () => this.history.open && void this.#fillHistory());
  }

  /** Another image is at hand. */
  open() {
    const { doc, description } = this.session;
    if (!doc) return;
    this.list.replaceChildren(...doc.regions.map((region) => this.#row(region)));
    if (!doc.regions.length) this.list.append(make("li", "nothing", "Nothing was found on this image."));
    this.settle();
    this.issues.replaceChildren(...description.issues.map((/** @type {any} */ issue) =>
      make("li", issue.severity, issue.message)));
    this.history.open = false;
    this.parts.replaceChildren();
    this.refresh();
  }

  /** A change reached the server: say what is known of the image now. */
  settle() {
    const { doc, description } = this.session;
    if (!doc) return;
    this.facts.replaceChildren();
    for (const [name, value] of [
      ["Size", `${doc.width} × ${doc.height}`], ["Confidence", confidenceOf(description)],
      ["Training grid", `${doc.grid.columns} × ${doc.grid.rows} cells`],
    ]) this.facts.append(make("dt", "", name), make("dd", "", value));
  }

  /** The mask changed: bring the switches up to date. */
  refresh() {
    const { doc } = this.session;
    for (const region of doc?.regions ?? []) {
      const row = this.list.children[region.index];
      const box = /** @type {HTMLInputElement} */ (row.querySelector("input[type=checkbox]"));
      box.checked = region.state === "on"; // of one that is on in part a click makes the whole
      box.indeterminate = region.state === "part";
      row.classList.toggle("off", region.state === "off");
      row.classList.toggle("proposed", region.proposed);
      // A region of a mark that repeats: who puts it right here most likely wants that everywhere.
      row.classList.toggle("offered", region.template !== null && region.state !== (region.proposed ? "off" : "on"));
      /** @type {HTMLElement} */ (row.querySelector(".dot")).className = `dot kind-${region.kind}`;
      /** @type {HTMLElement} */ (row.querySelector(".name")).textContent = nameOf(region);
      /** @type {HTMLSelectElement} */ (row.querySelector("select")).value = region.kind;
      box.setAttribute("aria-label", `Mask ${region.kind} ${region.index + 1} ${region.text ?? ""}`.trim());
      const weight = /** @type {HTMLInputElement} */ (row.querySelector("input[type=range]"));
      const level = region.weight ?? 0;
      weight.value = String(Math.round((100 * level) / 255));
      /** @type {HTMLElement} */ (row.querySelector("output")).textContent = `${weight.value} %`;
    }
    clearTimeout(this.partsTimer);
    this.partsTimer = setTimeout(() => this.#showParts(), PARTS_MS);
  }

  #showParts() {
    const { doc } = this.session;
    this.parts.replaceChildren(...(doc ? drawnParts(doc) : []).map((part) => {
      const row = make("li", "part"), words = make("span", "words", part.masks ? "Added by hand" : "Unmasked by hand");
      words.append(make("small", "", `${part.box.x1 - part.box.x0} × ${part.box.y1 - part.box.y0} px`));
      const button = this.#spreadButton(() => part);
      row.append(make("span", "dot kind-hand"), words, button);
      const shown = /** @type {any} */ ({ box: part.box, polygon: null, kind: "hand" });
      for (const [event, target] of [["pointerenter", shown], ["pointerleave", null], ["focusin", shown], ["focusout", null]]) {
        row.addEventListener(event, () => this.hands.highlight(target));
      }
      return row;
    }));
  }

  /** @param {() => import("./parts.js").Part} part */
  #spreadButton(part) {
    const button = /** @type {HTMLButtonElement} */ (make("button", "outlined spreads", "Same on all…"));
    button.type = "button";
    button.title = "Look for this on the other images and change it there, too";
    button.addEventListener("click", () => this.hands.spread(part()));
    return button;
  }

  /** @param {number} masked */
  measured(masked) {
    const percent = Math.round(100 * masked);
    this.meter.value = masked;
    this.share.textContent = `${percent} %`;
    this.warning.hidden = masked <= MUCH;
    this.meter.classList.toggle("much", masked > MUCH);
  }

  /** Show a region in the list. @param {Region} region */
  reveal(region) {
    const row = this.list.children[region.index];
    row?.scrollIntoView({ block: "nearest" });
    row?.classList.add("flash");
    setTimeout(() => row?.classList.remove("flash"), 900);
  }

  /** @param {Region} region */
  #row(region) {
    const row = make("li", "region");
    const toggle = /** @type {HTMLInputElement} */ (make("input", "switch"));
    toggle.type = "checkbox";
    toggle.setAttribute("role", "switch");
    toggle.addEventListener("change", () => this.toggle(region, toggle.checked));

    const kind = /** @type {HTMLSelectElement} */ (make("select", "kind"));
    kind.setAttribute("aria-label", `Kind of region ${region.index + 1}`);
    for (const one of KINDS) kind.append(new Option(one, one, false, one === region.kind));
    kind.addEventListener("change", () =>
      this.session.edit("kind", (doc) => doc.reclass(region, kind.value)));

    const weight = /** @type {HTMLInputElement} */ (make("input"));
    weight.type = "range";
    weight.max = "100";
    weight.setAttribute("aria-label", `Training weight of region ${region.index + 1}`);
    const shown = make("output");
    weight.addEventListener("input", () => { shown.textContent = `${weight.value} %`; });
    weight.addEventListener("change", () => this.#weigh(region, Number(weight.value)));

    const title = /** @type {HTMLButtonElement} */ (make("button", "title"));
    title.type = "button";
    title.setAttribute("aria-expanded", "false");
    title.append(make("span", `dot kind-${region.kind}`), make("span", "name", nameOf(region)));
    if (region.proposed) title.append(make("span", "tag", "proposed"));
    title.append(make("span", "about", `${Math.round(100 * region.confidence)} % · ${region.source}`));
    title.addEventListener("click", () => {
      title.setAttribute("aria-expanded", String(row.classList.toggle("open")));
      this.hands.show(region);
    });
    const controls = make("span", "controls");
    const weightLabel = make("label", "weight");
    weightLabel.append(make("span", "", "trains"), weight, shown);
    controls.append(kind, weightLabel);
    const offer = make("div", "offer");
    offer.append(this.#spreadButton(() => regionPart(/** @type {any} */ (this.session.doc), region)));
    row.append(title, toggle, controls, offer);
    for (const [event, target] of [["pointerenter", region], ["pointerleave", null], ["focusin", region], ["focusout", null]]) {
      row.addEventListener(/** @type {string} */ (event), () => this.hands.highlight(/** @type {any} */ (target)));
    }
    return row;
  }

  /** @param {Region} region @param {boolean} on */
  toggle(region, on) {
    this.session.edit(on ? "switch on" : "switch off", (doc) => doc.toggle(region, on));
    this.refresh(); // where nothing changed because others mask the same pixels the switch springs back
  }

  /** @param {Region} region @param {number} percent */
  #weigh(region, percent) {
    this.session.edit("weight", (doc) => {
      if (percent === 0) doc.toggle(region, true);
      else doc.weigh(region, Math.round(2.55 * percent));
    });
  }

  async #fillHistory() {
    const list = /** @type {HTMLElement} */ (this.history.querySelector("ol"));
    const { token } = this.session;
    let revisions;
    try {
      await this.session.flush();
      revisions = await getHistory(token);
    } catch {
      list.replaceChildren(make("li", "", "The history cannot be read at the moment."));
      return;
    }
    if (token !== this.session.token) return;
    list.replaceChildren(...revisions.map((/** @type {any} */ one, /** @type {number} */ at) => {
      const item = make("li");
      const when = new Date(1000 * one.created_s).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      item.append(make("span", "", `${one.withdrawn ? "Automatic mask" : `Version ${one.revision}`} · ${one.author}`));
      item.append(make("span", "when", when));
      if (at > 0) {
        const button = make("button", "quiet", "Bring back");
        button.addEventListener("click", () => this.hands.revert(one.revision));
        item.append(button);
      }
      const operation = /^propagate:\w+:(\w+)$/.exec(one.tool)?.[1];
      if (operation) {
        const button = make("button", "quiet", "Take back on all images");
        button.addEventListener("click", () => this.hands.takeBack(operation));
        item.append(button);
      }
      return item;
    }));
    if (!revisions.length) list.append(make("li", "", "Nobody has changed this mask."));
  }
}

/** @param {Region} region */
const nameOf = ({ text, kind }) => (text ? `“${text}”` : kind);

/** @param {any} description as the server gives an image */
function confidenceOf({ confidence, revision }) {
  if (confidence === null) return "unknown";
  const share = `${Math.round(100 * confidence)} %`;
  return revision > 0 ? `${share}, before it was corrected` : share;
}
