// The question about something that repeats: one for all images that show it, the least alike of them first.

import { getQuestions, templateAddress } from "./api.js";
import { make } from "./elements.js";

/** @typedef {{template: string, words: string, images: number, members: {image: string, content: string, score: number}[]}} Question */

/** @param {string} id @returns {any} */
const at = (id) => document.getElementById(id);

export class Asking {
  /** @param {import("./session.js").Session} session @param {(template: string, decision: "apply"|"forget", images: number) => void} decide */
  constructor(session, decide) {
    this.session = session;
    this.decide = decide;
    /** @type {Question[]} */ this.waiting = [];
    at("ask").addEventListener("click", () => this.#show());
    at("question-later").addEventListener("click", () => at("question").close());
    at("question-yes").addEventListener("click", () => this.#answer("apply"));
    at("question-no").addEventListener("click", () => this.#answer("forget"));
    session.addEventListener("spread", () => void this.load()); // an answer was kept, or taken back
  }

  /** Ask the server what waits. */
  async load() {
    try {
      this.waiting = await getQuestions();
    } catch {
      return; // the line at the top says that no server answers
    }
    const count = this.waiting.length;
    at("ask").hidden = !count;
    at("ask").textContent = count === 1 ? "1 question about many images" : `${count} questions about many images`;
  }

  #show() {
    const [question] = this.waiting;
    if (!question) return;
    const { template, words, images, members } = question;
    at("question-title").textContent = words;
    at("question-list").replaceChildren(
      ...members.map(({ image, content }) => {
        const card = make("li", "question-card"),
          id = this.session.queue.idOf(image) ?? "",
          picture = new Image();
        picture.alt = `${id}, with what would be masked in red`;
        picture.loading = "lazy";
        picture.src = templateAddress(template, image, content);
        const name = make("span", "name", id);
        name.title = id;
        card.append(picture, name);
        return card;
      }),
    );
    const more = images - members.length;
    at("question-more").textContent = more > 0 ? `and ${more} that look more alike` : "";
    at("question-yes").textContent = `Yes, mask it on ${images} ${images === 1 ? "image" : "images"}`;
    at("question").showModal();
  }

  /** @param {"apply"|"forget"} decision */
  #answer(decision) {
    const question = this.waiting.shift();
    at("question").close();
    at("ask").hidden = true; // until the server has the answer and says what is left
    if (question) this.decide(question.template, decision, question.images);
  }
}
