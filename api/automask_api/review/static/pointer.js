// Mouse, pen and fingers on the picture: which of them draw, pan and zoom.

/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./tools.js").Tool} Tool */

const PEN_ERASER = 5;
const PEN_ERASER_BUTTONS = 32;
const WHEEL_ZOOM = 0.0016;
const PINCH_WHEEL_ZOOM = 0.01;

/**
 * @param {Stage} stage
 * @param {() => Tool} current the tool in hand
 * @param {(event: PointerEvent) => void} follow called with every move, for the brush's outline
 */
export function listen(stage, current, follow) {
  const element = stage.element;
  /** @type {Map<number, PointerEvent>} fingers on the screen */
  const fingers = new Map();
  let drawing = -1;
  let panning = -1;
  /** @type {{x: number, y: number, spread: number}|null} */
  let pinch = null;

  const stop = () => {
    if (drawing >= 0) current().cancel?.();
    drawing = -1;
  };
  const squeeze = () => {
    const [a, b] = [...fingers.values()];
    const place = element.getBoundingClientRect();
    return {
      x: (a.clientX + b.clientX) / 2 - place.left,
      y: (a.clientY + b.clientY) / 2 - place.top,
      spread: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY),
    };
  };

  element.addEventListener("pointerdown", (event) => {
    if (!stage.doc) return;
    if (event.pointerType === "touch") {
      fingers.set(event.pointerId, event);
      if (fingers.size === 2) {
        stop(); // what the first finger began was the start of a pinch
        pinch = squeeze();
        return;
      }
      if (fingers.size > 2) return;
    }
    element.setPointerCapture(event.pointerId);
    element.focus({ preventScroll: true });
    if (event.button === 1) {
      panning = event.pointerId;
      event.preventDefault();
      return;
    }
    if (drawing >= 0 || (event.button !== 0 && event.button !== 2 && event.button !== PEN_ERASER)) return;
    drawing = event.pointerId;
    const primary = event.button === 0 && !event.shiftKey && !(event.buttons & PEN_ERASER_BUTTONS);
    current().down(stage.point(event), primary, event);
  });

  element.addEventListener("pointermove", (event) => {
    if (!stage.doc) return;
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
    follow(event);
    if (pinch && fingers.size >= 2) {
      const now = squeeze();
      stage.panBy(now.x - pinch.x, now.y - pinch.y);
      stage.zoomBy(now.spread / Math.max(1, pinch.spread), now.x, now.y);
      pinch = now;
    } else if (event.pointerId === panning) stage.panBy(event.movementX, event.movementY);
    else if (event.pointerId === drawing) {
      const events = event.getCoalescedEvents?.() ?? [];
      current().move?.(
        (events.length ? events : [event]).map((one) => stage.point(one)),
        event,
      );
    } else if (event.buttons === 0) current().hover?.(stage.point(event), event);
  });

  const release = (/** @type {PointerEvent} */ event) => {
    fingers.delete(event.pointerId);
    if (fingers.size < 2) pinch = null;
    if (event.pointerId === panning) panning = -1;
    if (event.pointerId !== drawing) return;
    drawing = -1;
    if (event.type === "pointerup") current().up?.();
    else current().cancel?.();
  };
  element.addEventListener("pointerup", release);
  element.addEventListener("pointercancel", release);
  element.addEventListener("dblclick", () => current().finish?.());
  element.addEventListener("contextmenu", (event) => event.preventDefault());

  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const place = element.getBoundingClientRect();
      const rate = event.ctrlKey ? PINCH_WHEEL_ZOOM : WHEEL_ZOOM;
      stage.zoomBy(
        Math.exp(-event.deltaY * rate * (event.deltaMode === 1 ? 20 : 1)),
        event.clientX - place.left,
        event.clientY - place.top,
      );
    },
    { passive: false },
  );
}
