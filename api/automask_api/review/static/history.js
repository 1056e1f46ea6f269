// Undo and redo, over all tools and all images.

/** @typedef {import("./document.js").Snapshot} Snapshot */

/**
 * One part of a step.
 * @typedef {{what: "edit", token: string, snapshot: Snapshot}
 *   | {what: "decision", tokens: string[], before: (string|null)[], after: string|null}
 *   | {what: "template", template: string, before: string|null, after: string|null}
 *   | {what: "spread", operation: string, body: any}} Change
 */
/** @typedef {{label: string, token: string, changes: Change[]}} Step */

const MOST_BYTES = 256 * 1024 * 1024;

export class History {
  constructor() {
    /** @type {Step[]} */ this.undone = [];
    /** @type {Step[]} */ this.done = [];
  }

  /** @param {Step} step */
  push(step) {
    this.done.push(step);
    this.undone = [];
    let bytes = 0;
    for (let at = this.done.length - 1; at >= 0; at--) {
      bytes += size(this.done[at]);
      if (bytes > MOST_BYTES) {
        this.done.splice(0, at + 1);
        break;
      }
    }
  }

  /** The step that undo would take back. */
  get last() {
    return this.done[this.done.length - 1] ?? null;
  }

  get next() {
    return this.undone[this.undone.length - 1] ?? null;
  }

  /** Join the last step with the one before it. */
  join() {
    const [one, other] = this.done.splice(-2);
    this.done.push({ ...one, changes: [...one.changes, ...other.changes] });
  }

  /** Forget an operation on other images that did not take place. @param {string} operation */
  forgetSpread(operation) {
    const others = (/** @type {Step} */ step) =>
      !step.changes.some((change) => change.what === "spread" && change.operation === operation);
    this.done = this.done.filter(others);
    this.undone = this.undone.filter(others);
  }

  /** Forget the steps of an image whose mask came from elsewhere. @param {string} token */
  forget(token) {
    const others = (/** @type {Step} */ step) =>
      step.token !== token || step.changes[0].what === "spread" || step.changes[0].what === "template";
    this.done = this.done.filter(others);
    this.undone = this.undone.filter(others);
  }
}

/** @param {Step} step */
function size(step) {
  let bytes = 200;
  for (const change of step.changes) {
    if (change.what !== "edit") continue;
    for (const tiles of [change.snapshot.flags, change.snapshot.levels]) {
      for (const tile of tiles.values()) bytes += tile?.byteLength ?? 16;
    }
  }
  return bytes;
}
