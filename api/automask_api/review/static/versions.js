// Who changed the mask of the image at hand, and when; any version can be brought back.

import { getHistory, getSpreads } from "./api.js";
import { make } from "./elements.js";

/** @typedef {import("./session.js").Session} Session */

export class Versions {
  /**
   * @param {HTMLDetailsElement} element @param {Session} session
   * @param {{revert: (revision: number) => void, takeBack: (operation: string) => void}} hands
   */
  constructor(element, session, hands) {
    this.element = element;
    this.session = session;
    this.hands = hands;
    element.addEventListener("toggle", () => element.open && void this.#fill());
    session.addEventListener("spread", () => element.open && void this.#fill());
  }

  /** Another image is at hand. */
  close() {
    this.element.open = false;
  }

  async #fill() {
    const list = /** @type {HTMLElement} */ (this.element.querySelector("ol"));
    const { token } = this.session;
    let revisions;
    let spreads;
    try {
      await this.session.flush();
      [revisions, spreads] = await Promise.all([getHistory(token), getSpreads(token)]);
    } catch {
      list.replaceChildren(make("li", "", "The history cannot be read at the moment."));
      return;
    }
    if (token !== this.session.token) return;
    const undone = new Set(revisions.map((/** @type {any} */ one) => /^propagate-undo:(\w+)/.exec(one.tool)?.[1]));
    const rows = revisions.map((/** @type {any} */ one, /** @type {number} */ at) => {
      const row = entry(one, `${one.withdrawn ? "Automatic mask" : `Version ${one.revision}`}${waysOf(one.tool)}`);
      if (at > 0) row.append(this.#button("Bring back", () => this.hands.revert(one.revision)));
      const operation = /^propagate:\w+:(\w+)/.exec(one.tool)?.[1];
      if (operation && !undone.has(operation)) row.append(this.#takeBack(operation));
      return { row, made: one.created_s };
    });
    for (const one of spreads) {
      const images = `${one.images} ${one.images === 1 ? "image" : "images"}`;
      const row = entry(
        one,
        `${one.mode === "add" ? "Masked" : "Unmasked"} on ${images}${one.is_taken_back ? ", taken back" : ""}`,
      );
      if (!one.is_taken_back) row.append(this.#takeBack(one.operation));
      rows.push({ row, made: one.created_s });
    }
    rows.sort((/** @type {any} */ one, /** @type {any} */ other) => other.made - one.made);
    list.replaceChildren(...rows.map((/** @type {any} */ one) => one.row));
    if (!rows.length) list.append(make("li", "", "Nobody has changed this mask."));
  }

  /** @param {string} operation */
  #takeBack(operation) {
    return this.#button("Take back on all images", () => this.hands.takeBack(operation));
  }

  /** @param {string} words @param {() => void} act */
  #button(words, act) {
    const button = /** @type {HTMLButtonElement} */ (make("button", "quiet", words));
    button.type = "button";
    button.addEventListener("click", act);
    return button;
  }
}

/** @param {{author: string, created_s: number}} one @param {string} words */
function entry(one, words) {
  const row = make("li");
  const when = new Date(1000 * one.created_s).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  row.append(make("span", "", `${words} · ${one.author}`), make("span", "when", when));
  return row;
}

/** How a version came about, where it was not drawn here. @param {string} tool */
function waysOf(tool) {
  if (tool.startsWith("propagate-undo")) return ", taken back";
  if (tool.startsWith("propagate")) return ", carried over from another image";
  if (tool.startsWith("import")) return ", imported";
  return tool === "mask-file" ? ", from another program" : "";
}
