// The keyboard. Keys act where they would not be typed into something; Tab stays focus.

/** @typedef {{keys: string, does: string}} Help */

/** @type {{title: string, keys: Help[]}[]} */
export const KEY_HELP = [
  {
    title: "Images",
    keys: [
      { keys: "Space", does: "accept and go on" },
      { keys: "A · ←", does: "previous image" },
      { keys: "D · →", does: "next image" },
      { keys: "N", does: "nothing to mask" },
      { keys: "R", does: "exclude from exports, or take that back" },
      { keys: "S", does: "skip for now" },
      { keys: "G", does: "grid of thumbnails" },
    ],
  },
  {
    title: "Drawing",
    keys: [
      { keys: "V", does: "select: switch regions on and off" },
      { keys: "B", does: "brush" },
      { keys: "E", does: "eraser" },
      { keys: "L", does: "lasso" },
      { keys: "P", does: "polygon (Enter closes it)" },
      { keys: "M", does: "rectangle" },
      { keys: "Q", does: "click to add an object" },
      { keys: "W", does: "click to remove one" },
      { keys: "[ ]", does: "smaller and larger brush" },
      { keys: "H", does: "move the picture" },
      { keys: "Shift", does: "held: left button unmasks" },
    ],
  },
  {
    title: "View",
    keys: [
      { keys: "O", does: "hold: the original" },
      { keys: "1 2 3", does: "overlay, mask, what the trainer sees" },
      { keys: "+ −", does: "zoom" },
      { keys: "0", does: "whole image" },
      { keys: "9", does: "one to one" },
    ],
  },
  {
    title: "Undo",
    keys: [
      { keys: "Ctrl+Z", does: "undo, also on earlier images" },
      { keys: "Ctrl+Shift+Z · Ctrl+Y", does: "redo" },
      { keys: "Esc", does: "give up what is being drawn" },
      { keys: "?", does: "this help" },
    ],
  },
];

/** What a person may do while the thumbnails cover the picture: nothing about an image that is not in sight. */
const ON_GRID = new Set(["grid", "help", "undo", "redo"]);
const MOVES_FOCUS = new Set(["tab", "arrowup", "arrowdown", "arrowleft", "arrowright", "home", "end"]);
const CHECKED_OR_PUSHED = new Set([
  "checkbox",
  "radio",
  "range",
  "button",
  "submit",
  "reset",
  "image",
  "file",
  "color",
]);

/**
 * @param {Record<string, () => void>} actions by name
 * @param {(on: boolean) => void} original the key for the original is held or not
 */
export function listenToKeys(actions, original) {
  /** @type {Record<string, string>} */
  const plain = {
    " ": "accept",
    a: "previous",
    arrowleft: "previous",
    d: "next",
    arrowright: "next",
    n: "nothing",
    r: "exclude",
    s: "skip",
    g: "grid",
    v: "select",
    b: "brush",
    e: "eraser",
    l: "lasso",
    p: "polygon",
    m: "rectangle",
    q: "add",
    w: "remove",
    h: "hand",
    "[": "smaller",
    "]": "larger",
    0: "fit",
    9: "actual",
    "+": "zoomIn",
    "=": "zoomIn",
    "-": "zoomOut",
    1: "overlay",
    2: "mask",
    3: "trainer",
    "?": "help",
    enter: "finish",
    backspace: "back",
    escape: "cancel",
  };
  const reached = watchFocus();
  addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (document.querySelector("dialog[open]")) return;
    const withControl = (event.ctrlKey || event.metaKey) && !event.altKey;
    if (!withControl && (event.altKey || event.ctrlKey || event.metaKey)) return;
    if (isTyping(event.target)) return;
    if (withControl) {
      if (key === "z") act(event, event.shiftKey ? "redo" : "undo");
      else if (key === "y") act(event, "redo");
      return;
    }
    if (wants(event.target, key, reached())) return;
    if (key === "o") {
      if (!event.repeat) original(true);
      event.preventDefault();
      return;
    }
    const name = plain[key];
    if (name && !(event.repeat && ["accept", "nothing", "exclude", "skip"].includes(name))) act(event, name);
  });
  addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === "o") original(false);
    // A control acts when Space is let go.
    if (event.key !== " " || document.querySelector("dialog[open]") || wants(event.target, " ", reached())) return;
    event.preventDefault();
  });
  addEventListener("blur", () => original(false));

  /** @param {KeyboardEvent} event @param {string} name */
  function act(event, name) {
    const grid = document.querySelector("#grid:not([hidden])");
    if (grid && name === "cancel") name = "grid";
    else if (grid && !ON_GRID.has(name)) return;
    event.preventDefault();
    actions[name]();
  }
}

/**
 * Whether the control with focus was reached with the keyboard: it shows a ring, and Space and arrows are its own. One
 * that was clicked is done with, and the keys are the page's again.
 * @returns {() => boolean}
 */
function watchFocus() {
  let byKeyboard = true;
  let reached = true;
  addEventListener(
    "pointerdown",
    () => {
      byKeyboard = reached = false;
    },
    true,
  );
  addEventListener(
    "keydown",
    (event) => {
      if (MOVES_FOCUS.has(event.key.toLowerCase())) byKeyboard = true;
    },
    true,
  );
  addEventListener(
    "focusin",
    () => {
      reached = byKeyboard;
    },
    true,
  );
  return () => reached;
}

/** Whether keys are typed into the element with focus. @param {EventTarget|null} target */
function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !CHECKED_OR_PUSHED.has(target.type);
  return target instanceof HTMLTextAreaElement || target.isContentEditable;
}

/** Whether the control with focus wants this key. @param {EventTarget|null} target @param {string} key @param {boolean} reached with the keyboard */
function wants(target, key, reached) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("#grid")) return key === " " || key === "enter"; // there they tick and open, never accept
  if (target instanceof HTMLSelectElement) {
    const chooses = key.length === 1 || key.startsWith("arrow") || key === "enter" || key === "escape";
    return chooses && (reached || isOpen(target));
  }
  if (!reached) return false;
  if (target instanceof HTMLInputElement && target.type === "range") {
    return key.startsWith("arrow") || key === "home" || key === "end";
  }
  if (target.getAttribute("role") === "radio") return key === " " || key === "enter" || key.startsWith("arrow");
  return (key === " " || key === "enter") && target.matches("button, a, summary, input");
}

/** @param {HTMLSelectElement} select whose list may hang open */
function isOpen(select) {
  try {
    return select.matches(":open");
  } catch {
    return true; // this browser cannot tell: its keys stay its own
  }
}
