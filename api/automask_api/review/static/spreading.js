// The same mark on other images: the list of what would change, each of them to untick, and one step for all.

import { Problem, partAddress, searchMark } from "./api.js";
import { at, make } from "./elements.js";
import { packRuns } from "./packing.js";

/** @typedef {import("./parts.js").Part} Part */
/** @typedef {{image: string, content: string, corner: [number, number], box: number[], score: number, size_px: [number, number]|null}} Found */

export class Spreading {
  /** @param {import("./session.js").Session} session @param {(message: string) => void} say */
  constructor(session, say) {
    this.session = session;
    this.say = say;
    /** @type {AbortController|null} */ this.asking = null;
    /** @type {Map<Found, HTMLInputElement>} */ this.cards = new Map();
    /** @type {{token: string, pixels: string, masks: boolean}|null} */ this.mark = null;
    at("spread").addEventListener("close", () => this.#stop());
    at("spread-cancel").addEventListener("click", () => at("spread").close());
    at("spread-all").addEventListener("click", () => this.#tick(true));
    at("spread-none").addEventListener("click", () => this.#tick(false));
    at("spread-apply").addEventListener("click", () => this.#apply());
  }

  /** Look for a part of the image at hand on all others. @param {Part} part */
  async open(part) {
    const { session } = this;
    const { doc, token } = session;
    const runs = part.plane.runs(1);
    if (!doc || !runs) return;
    const pixels = await packRuns(runs, doc.height, doc.width);
    await session.flush();
    if (!(await session.sync.settled(token))) {
      this.say("The server does not have this image's changes yet; try again when it says “Saved”.");
      return;
    }
    if (token !== session.token) return;
    this.mark = { token, pixels, masks: part.masks };
    this.cards.clear();
    at("spread-title").textContent = part.masks
      ? "Mask the same on other images"
      : "Train the same place on other images";
    at("spread-list").replaceChildren();
    at("spread-progress").hidden = false;
    at("spread-progress").removeAttribute("value");
    this.#show("Looking for it…");
    at("spread").showModal();
    await this.#search(this.mark);
  }

  /** @param {{token: string, pixels: string}} mark */
  async #search(mark) {
    const asking = (this.asking = new AbortController());
    try {
      await searchMark(
        mark.token,
        mark.pixels,
        (line) => {
          if (asking.signal.aborted) return;
          at("spread-progress").max = line.of;
          at("spread-progress").value = line.done;
          if (line.found) this.#add(line.found);
          this.#show(`Looked at ${line.done} of ${line.of} images.`);
        },
        asking.signal,
      );
      this.#show(this.cards.size ? "Untick what is not the same mark." : "No other image shows it.");
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#show(
        error instanceof Problem ? `${error.message} ${error.advice}` : "The server does not answer; try again later.",
      );
    } finally {
      if (this.asking === asking) this.asking = null;
      at("spread-progress").hidden = this.asking === null;
      this.#count();
    }
  }

  /** @param {Found} found */
  #add(found) {
    const id = this.session.queue.idOf(found.image);
    if (id === undefined) return; // new since the page was loaded
    const card = make("li", "spread-card");
    const label = make("label");
    const box = /** @type {HTMLInputElement} */ (make("input"));
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => this.#count());
    const picture = new Image();
    picture.alt = "";
    picture.loading = "lazy";
    picture.src = partAddress(found.image, found.content, found.box);
    const name = make("span", "name", id);
    name.title = id;
    label.append(picture, box, name, make("span", "doubt", `${Math.round(100 * found.score)} % alike`));
    card.append(label);
    at("spread-list").append(card);
    this.cards.set(found, box);
  }

  /** @param {boolean} on */
  #tick(on) {
    for (const box of this.cards.values()) box.checked = on;
    this.#count();
  }

  #count() {
    const count = [...this.cards.values()].filter((box) => box.checked).length;
    const verb = this.mark?.masks ? "Mask" : "Unmask";
    at("spread-apply").disabled = !count || this.asking !== null;
    at("spread-apply").textContent = count ? `${verb} on ${count} ${count === 1 ? "image" : "images"}` : verb;
  }

  /** @param {string} message */
  #show(message) {
    at("spread-status").textContent = message;
    this.#count();
  }

  #stop() {
    this.asking?.abort();
    this.asking = null;
  }

  #apply() {
    const { mark } = this;
    const chosen = [...this.cards].filter(([, box]) => box.checked).map(([found]) => found);
    at("spread").close();
    if (!mark || !chosen.length) return;
    const places = chosen.map(({ image, content, corner, score, size_px }) => ({
      image,
      content,
      corner,
      score,
      size_px,
    }));
    this.session.spread(mark.token, { pixels: mark.pixels, mode: mark.masks ? "add" : "remove", places });
    this.say(
      `${mark.masks ? "Masked" : "Unmasked"} on ${places.length} ${places.length === 1 ? "image" : "images"}. Ctrl+Z takes it back.`,
    );
  }
}
