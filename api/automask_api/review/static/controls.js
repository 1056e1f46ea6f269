// The tools at the side of the picture, their options, and the line that says what the buttons do.

import { make } from "./elements.js";

/** @typedef {import("./tools.js").Tool} Tool */
/** @typedef {import("./stage.js").Stage} Stage */

const SVG = "http://www.w3.org/2000/svg";
const LEAST_RADIUS_PX = 1;
const SIZE_STEP = 1.25;
const GROUPS = [["select"], ["brush", "eraser"], ["lasso", "polygon", "rectangle"], ["add", "remove"], ["hand"]];

export class Controls extends EventTarget {
  /** @param {HTMLElement} frame @param {Stage} stage @param {Record<string, Tool>} tools */
  constructor(frame, stage, tools) {
    super();
    const find = (/** @type {string} */ selector) => /** @type {any} */ (frame.querySelector(selector));
    this.stage = stage;
    this.tools = tools;
    this.name = "select";
    this.radius = 20;
    /** @type {HTMLElement} */ this.ring = find("#brush-ring");
    /** @type {HTMLInputElement} */ this.size = find("#size");
    /** @type {HTMLOutputElement} */ this.sizeShown = find("#size-shown");
    /** @type {HTMLElement} */ this.hint = find("#hint");
    /** @type {HTMLElement} */ this.bar = find("#tools");
    /** @type {HTMLElement} */ this.sizeLabel = find("#size-label");
    this.#build();
    this.size.addEventListener("input", () => this.setRadius(this.#radiusOf(Number(this.size.value))));
    stage.addEventListener("view", () => this.#drawRing());
  }

  get tool() {
    return this.tools[this.name];
  }

  /** @param {string} name */
  choose(name) {
    if (name !== this.name) this.tool.cancel?.();
    this.name = name;
    for (const button of this.bar.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === name));
      button.tabIndex = button.dataset.tool === name ? 0 : -1;
    }
    const { left, right, cursor = "crosshair", label } = this.tool;
    this.stage.element.style.setProperty("--cursor", cursor);
    const button = (/** @type {string} */ side) => {
      const mouse = make("span", `mouse ${side}`);
      mouse.setAttribute("aria-hidden", "true");
      return mouse;
    };
    const title = make("b", "", label);
    this.hint.replaceChildren(title, " ", button("left"), `Left ${left} `, button("right"), `right ${right}`);
    const brushes = name === "brush" || name === "eraser";
    this.sizeLabel.hidden = !brushes;
    this.ring.hidden = true;
    this.dispatchEvent(new Event("tool"));
  }

  /** A radius that suits an image. @param {import("./document.js").MaskDocument} doc */
  suit(doc) {
    this.longest = Math.max(doc.width, doc.height);
    this.setRadius(Math.max(LEAST_RADIUS_PX, this.share ? this.share * this.longest : this.longest / 70));
  }

  /** @param {number} factor */
  scale(factor) {
    this.setRadius(this.radius * factor);
  }

  smaller() {
    this.scale(1 / SIZE_STEP);
  }

  larger() {
    this.scale(SIZE_STEP);
  }

  /** @param {number} radius in image pixels */
  setRadius(radius) {
    const longest = this.longest ?? 1000;
    this.radius = Math.min(longest / 4, Math.max(LEAST_RADIUS_PX, radius));
    this.share = this.radius / longest;
    this.size.value = String(100 * (Math.log(this.radius / LEAST_RADIUS_PX) / Math.log(longest / 4 / LEAST_RADIUS_PX)));
    this.sizeShown.textContent = `${Math.round(2 * this.radius)} px`;
    this.#drawRing();
  }

  /** Follow the pointer with the brush's outline. @param {PointerEvent} event */
  follow(event) {
    this.pointer = { clientX: event.clientX, clientY: event.clientY };
    const unmasks = (this.name === "eraser") !== ((event.buttons & 2) !== 0 || event.shiftKey);
    this.ring.classList.toggle("unmasks", unmasks);
    this.#drawRing();
  }

  leave() {
    this.pointer = null;
    this.#drawRing();
  }

  #drawRing() {
    const brushes = this.name === "brush" || this.name === "eraser";
    this.ring.hidden = !brushes || !this.pointer;
    if (this.ring.hidden || !this.pointer) return;
    const { x, y } = this.stage.point(this.pointer);
    const { zoom, x: left, y: top } = this.stage.view;
    const side = 2 * this.radius * zoom;
    this.ring.style.width = this.ring.style.height = `${side}px`;
    this.ring.style.transform = `translate(${left + x * zoom - side / 2}px, ${top + y * zoom - side / 2}px)`;
  }

  /** @param {number} value 0..100 */
  #radiusOf(value) {
    return LEAST_RADIUS_PX * ((this.longest ?? 1000) / 4 / LEAST_RADIUS_PX) ** (value / 100);
  }

  #build() {
    GROUPS.forEach((group, at) => {
      if (at) {
        const line = make("hr");
        line.setAttribute("aria-hidden", "true");
        this.bar.append(line);
      }
      for (const name of group) {
        const { label, key } = this.tools[name];
        const button = /** @type {HTMLButtonElement} */ (make("button", "icon"));
        button.type = "button";
        button.dataset.tool = name;
        button.title = `${label} (${key})`;
        button.setAttribute("aria-label", label);
        button.setAttribute("aria-keyshortcuts", key);
        button.append(icon(name), make("small", "", key));
        button.lastElementChild?.setAttribute("aria-hidden", "true");
        button.addEventListener("click", (event) => {
          this.choose(name);
          if (event.detail > 0) this.stage.element.focus({ preventScroll: true }); // clicked: the keys are the picture's
        });
        this.bar.append(button);
      }
    });
    this.bar.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!by) return;
      const buttons = [...this.bar.querySelectorAll("button")];
      const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
      buttons[(at + by + buttons.length) % buttons.length].focus();
      event.preventDefault();
    });
  }
}

/** @param {string} name */
function icon(name) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `static/icons.svg#${name}`);
  picture.append(use);
  return picture;
}
