// The side panel: why the image is here, coverage, regions, facts, and who changed what.

import { make } from "./elements.js";
import { drawnParts, regionPart } from "./parts.js";
import { KINDS } from "./regions.js";
import { Versions } from "./versions.js";

/** @typedef {import("./document.js").Region} Region */
/** @typedef {import("./session.js").Session} Session */

const MUCH = 0.5;
const PARTS_MS = 250; // after the last change

export class Panel {
  /**
   * @param {HTMLElement} element @param {Session} session
   * @param {{highlight: (region: Region|null) => void, show: (region: Region) => void,
   *   revert: (revision: number) => void, spread: (part: import("./parts.js").Part) => void,
   *   takeBack: (operation: string) => void, decideTemplate: (template: string, decision: "apply"|"forget") => void,
   *   framesOff: () => void}} hands
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
    this.versions = new Versions(find("#history"), session, hands);
    /** @type {HTMLElement} */ this.reasons = find("#reasons");
    /** @type {HTMLButtonElement} */ this.framesOff = find("#frames-off");
    /** @type {HTMLElement} */ this.frames = find("#frames-everywhere");
    /** @type {Map<Region, HTMLElement>} */ this.rows = new Map();
    /** @type {HTMLMeterElement} */ this.meter = find("#coverage");
    /** @type {HTMLElement} */ this.share = find("#coverage-share");
    /** @type {HTMLElement} */ this.warning = find("#coverage-warning");
    this.framesOff.addEventListener("click", () => this.#switchFramesOff());
    find("#frames-off-everywhere").addEventListener("click", () => hands.framesOff());
  }

  /** Another image is at hand. */
  open() {
    const { doc, description } = this.session;
    if (!doc) return;
    const byDoubt = [...doc.regions].sort((one, other) => one.certainty - other.certainty);
    this.rows = new Map(byDoubt.map((region, at) => [region, this.#row(region, at + 1)]));
    this.list.replaceChildren(...this.rows.values());
    if (!doc.regions.length) this.list.append(make("li", "nothing", "Nothing was found on this image."));
    this.settle();
    this.issues.replaceChildren(
      ...description.issues.map((/** @type {any} */ issue) => make("li", issue.severity, issue.message)),
    );
    this.versions.close();
    this.parts.replaceChildren();
    this.refresh();
  }

  /** A change reached the server: say what is known of the image now. */
  settle() {
    const { doc, description } = this.session;
    if (!doc) return;
    this.explain();
    this.facts.replaceChildren();
    for (const [name, value] of [
      ["Size", `${doc.width} × ${doc.height}`],
      ["Confidence", confidenceOf(description)],
      ["Training grid", `${doc.grid.columns} × ${doc.grid.rows} cells`],
    ]) {
      this.facts.append(make("dt", "", name), make("dd", "", value));
    }
  }

  /** Say why the image waits for a person, or that it does not. */
  explain() {
    const row = this.session.queue.row(this.session.queue.current);
    if (!row) return;
    const waits = row.decision !== "accepted" && row.decision !== "excluded" && row.reasons.length > 0;
    const settled = { accepted: "It does not wait: you accepted it.", excluded: "It does not wait: it is excluded." };
    const words = waits
      ? row.reasons
      : [/** @type {any} */ (settled)[row.decision ?? ""] ?? "Nothing was asked about it."];
    this.reasons.replaceChildren(...words.map((/** @type {string} */ one) => make("li", "", one)));
    this.reasons.classList.toggle("settled", !waits);
  }

  /** The mask changed: bring the switches up to date. */
  refresh() {
    const { doc } = this.session;
    this.framesOff.disabled = !this.#framesOn().length;
    this.frames.hidden = this.framesOff.hidden = !doc?.regions.some((region) => region.kind === "frame");
    for (const [region, row] of this.rows) {
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
      box.setAttribute(
        "aria-label",
        `Mask ${region.kind} ${[...this.rows.keys()].indexOf(region) + 1} ${region.text ?? ""}`.trim(),
      );
      const weight = /** @type {HTMLInputElement} */ (row.querySelector("input[type=range]"));
      const level = region.weight ?? 0;
      weight.value = String(Math.round((100 * level) / 255));
      /** @type {HTMLElement} */ (row.querySelector("output")).textContent = `${weight.value} %`;
    }
    clearTimeout(this.partsTimer);
    this.partsTimer = setTimeout(() => this.#showParts(), PARTS_MS);
  }

  #showParts() {
    const { doc, token, history } = this.session;
    const steps = history.done.filter((step) => step.token === token);
    this.parts.replaceChildren(
      ...(doc ? drawnParts(doc, steps) : []).map((part) => {
        const row = make("li", "part");
        const words = make("span", "words", part.masks ? "Added by hand" : "Unmasked by hand");
        words.append(make("small", "", `${part.box.x1 - part.box.x0} × ${part.box.y1 - part.box.y0} px`));
        const button = this.#spreadButton(() => part);
        row.append(make("span", "dot kind-hand"), words, button);
        const shown = /** @type {any} */ ({ box: part.box, polygon: null, kind: "hand" });
        for (const [event, target] of [
          ["pointerenter", shown],
          ["pointerleave", null],
          ["focusin", shown],
          ["focusout", null],
        ]) {
          row.addEventListener(event, () => this.hands.highlight(target));
        }
        return row;
      }),
    );
  }

  /** @param {() => import("./parts.js").Part} part */
  #spreadButton(part) {
    const button = /** @type {HTMLButtonElement} */ (make("button", "outlined spreads", "Same on all…"));
    button.type = "button";
    button.title = "Look for this on the other images and change it there, too";
    button.addEventListener("click", () => this.hands.spread(part()));
    return button;
  }

  /** One decision about a recurring mark, for all images. @param {string} template @param {boolean} isProposed */
  #templateButtons(template, isProposed) {
    const button = (
      /** @type {string} */ words,
      /** @type {string} */ title,
      /** @type {"apply"|"forget"} */ decision,
    ) => {
      const one = /** @type {HTMLButtonElement} */ (make("button", `outlined ${decision}`, words));
      one.type = "button";
      one.title = title;
      one.addEventListener("click", () => this.hands.decideTemplate(template, decision));
      return one;
    };
    const forget = button(
      "This is no recurring mark: forget it",
      "Never mask it by itself again, on any image",
      "forget",
    );
    return isProposed ? [button("Mask it on all images", "It was put on these images", "apply"), forget] : [forget];
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
    const row = this.rows.get(region);
    row?.scrollIntoView({ block: "nearest" });
    row?.classList.add("flash");
    setTimeout(() => row?.classList.remove("flash"), 900);
  }

  /** @param {Region} region @param {number} number in the list */
  #row(region, number) {
    const row = make("li", "region");
    const toggle = /** @type {HTMLInputElement} */ (make("input", "switch"));
    toggle.type = "checkbox";
    toggle.setAttribute("role", "switch");
    toggle.addEventListener("change", () => this.toggle(region, toggle.checked));

    const kind = /** @type {HTMLSelectElement} */ (make("select", "kind"));
    kind.setAttribute("aria-label", `Kind of region ${number}`);
    for (const one of KINDS) kind.append(new Option(one, one, false, one === region.kind));
    kind.addEventListener("change", () => this.session.edit("kind", (doc) => doc.reclass(region, kind.value)));

    const weight = /** @type {HTMLInputElement} */ (make("input"));
    weight.type = "range";
    weight.max = "100";
    weight.setAttribute("aria-label", `Training weight of region ${number}`);
    const shown = make("output");
    weight.addEventListener("input", () => {
      shown.textContent = `${weight.value} %`;
    });
    weight.addEventListener("change", () => this.#weigh(region, Number(weight.value)));

    const title = /** @type {HTMLButtonElement} */ (make("button", "title"));
    title.type = "button";
    title.setAttribute("aria-expanded", "false");
    title.append(make("span", `dot kind-${region.kind}`), make("span", "name", nameOf(region)));
    if (region.proposed) title.append(make("span", "tag", this.session.doc?.keeps(region) ? "trained" : "proposed"));
    const sure = `${Math.round(100 * region.confidence)} % sure`;
    const about = make("span", "about", region.text ? `${region.words} · ${sure}` : sure);
    about.title = `Found by ${region.source}`;
    title.append(about);
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
    if (region.template !== null) offer.append(...this.#templateButtons(region.template, region.proposed));
    row.append(title, toggle, controls, offer);
    for (const [event, target] of [
      ["pointerenter", region],
      ["pointerleave", null],
      ["focusin", region],
      ["focusout", null],
    ]) {
      row.addEventListener(/** @type {string} */ (event), () => this.hands.highlight(/** @type {any} */ (target)));
    }
    return row;
  }

  #framesOn() {
    return (this.session.doc?.regions ?? []).filter((region) => region.kind === "frame" && region.state !== "off");
  }

  #switchFramesOff() {
    const frames = this.#framesOn();
    this.session.edit("all frames off", (doc) => {
      for (const region of frames) doc.toggle(region, false);
    });
    this.refresh();
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
}

/** @param {Region} region */
const nameOf = ({ text, kind, words, describedKind }) =>
  text ? `“${text}”` : capital(kind === describedKind ? words : kind);

/** @param {string} words */
const capital = (words) => words.slice(0, 1).toUpperCase() + words.slice(1);

/** @param {any} description as the server gives an image */
function confidenceOf({ confidence, revision }) {
  if (confidence === null) return "unknown";
  const share = `${Math.round(100 * confidence)} %`;
  return revision > 0 ? `${share}, before it was corrected` : share;
}
