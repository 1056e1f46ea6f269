// The keyboard. Keys act where they would not be typed into something; Tab stays focus.

/** @typedef {{keys: string, does: string}} Help */

/** @type {{title: string, keys: Help[]}[]} */
export const KEY_HELP = [
  { title: "Images", keys: [
    { keys: "Space", does: "accept and go on" }, { keys: "A · ←", does: "previous image" },
    { keys: "D · →", does: "next image" }, { keys: "N", does: "nothing to mask" },
    { keys: "R", does: "exclude from exports, or take that back" }, { keys: "S", does: "skip for now" },
    { keys: "G", does: "grid of thumbnails" },
  ] },
  { title: "Drawing", keys: [
    { keys: "V", does: "select: switch regions on and off" }, { keys: "B", does: "brush" }, { keys: "E", does: "eraser" },
    { keys: "L", does: "lasso" }, { keys: "P", does: "polygon (Enter closes it)" }, { keys: "M", does: "rectangle" },
    { keys: "Q", does: "click to add an object" }, { keys: "W", does: "click to remove one" },
    { keys: "[ ]", does: "smaller and larger brush" }, { keys: "H", does: "move the picture" },
    { keys: "Shift", does: "held: left button unmasks" },
  ] },
  { title: "View", keys: [
    { keys: "O", does: "hold: the original" }, { keys: "1 2 3", does: "overlay, mask, what the trainer sees" },
    { keys: "+ −", does: "zoom" }, { keys: "0", does: "whole image" }, { keys: "9", does: "one to one" },
  ] },
  { title: "Undo", keys: [
    { keys: "Ctrl+Z", does: "undo, also on earlier images" }, { keys: "Ctrl+Shift+Z · Ctrl+Y", does: "redo" },
    { keys: "Esc", does: "give up what is being drawn" }, { keys: "?", does: "this help" },
  ] },
];

/**
 * @param {Record<string, () => void>} actions by name
 * @param {(on: boolean) => void} original the key for the original is held or not
 */
export function listenToKeys(actions, original) {
  /** @type {Record<string, string>} */
  const plain = {
    " ": "accept", a: "previous", arrowleft: "previous", d: "next", arrowright: "next", n: "nothing", r: "exclude", s: "skip",
    g: "grid", v: "select", b: "brush", e: "eraser", l: "lasso", p: "polygon", m: "rectangle", q: "add", w: "remove",
    h: "hand", "[": "smaller", "]": "larger", 0: "fit", 9: "actual", "+": "zoomIn", "=": "zoomIn", "-": "zoomOut",
    1: "overlay", 2: "mask", 3: "trainer", "?": "help", enter: "finish", backspace: "back", escape: "cancel",
  };
  addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (document.querySelector("dialog[open]")) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey) {
      if (key === "z") act(event, event.shiftKey ? "redo" : "undo");
      else if (key === "y") act(event, "redo");
      return;
    }
    if (event.altKey || event.ctrlKey || event.metaKey || isTyping(event.target, key)) return;
    if (key === "o") {
      if (!event.repeat) original(true);
      event.preventDefault();
      return;
    }
    const name = plain[key];
    if (name && !(event.repeat && ["accept", "nothing", "exclude", "skip"].includes(name))) act(event, name);
  });
  addEventListener("keyup", (event) => event.key.toLowerCase() === "o" && original(false));
  addEventListener("blur", () => original(false));

  /** @param {KeyboardEvent} event @param {string} name */
  function act(event, name) {
    event.preventDefault();
    actions[name]();
  }
}

/** Whether the element with focus wants this key. @param {EventTarget|null} target @param {string} key */
function isTyping(target, key) {
  if (!(target instanceof HTMLElement)) return false;
  const type = target instanceof HTMLInputElement ? target.type : "";
  if (target instanceof HTMLTextAreaElement || type === "text" || type === "search" || type === "number") return true;
  if (target instanceof HTMLSelectElement) return key.length === 1 || key.startsWith("arrow") || key === "enter";
  if (type === "range") return key.startsWith("arrow");
  if (key === " " || key === "enter") return target.matches("button, a, summary, input");
  return false;
}
