// Dialogs of the page: its keys, and what to do when somebody else changed an image meanwhile.

import { at, make } from "./elements.js";
import { KEY_HELP } from "./keys.js";

/** Fill the help with what the keys do. */
export function listKeys() {
  for (const { title, keys } of KEY_HELP) {
    const section = make("section");
    const list = make("dl");
    for (const { keys: key, does } of keys) list.append(make("dt", "", key), make("dd", "", does));
    section.append(make("h3", "", title), list);
    at("help-keys").append(section);
  }
}

/**
 * Ask whose version of an image is to stay, one conflict after the other.
 * @param {import("./sync.js").Sync} sync fires `conflict` @param {import("./session.js").Session} session
 */
export function settleConflicts(sync, session) {
  /** @type {any[]} */
  const waiting = [];
  const ask = () => {
    const { parcel, newest } = waiting[0];
    const when = newest ? new Date(1000 * newest.created_s).toLocaleTimeString([], { timeStyle: "short" }) : "";
    const who = newest ? `${newest.author} saved version ${newest.revision} at ${when}` : "Another version was saved";
    at("conflict-text").textContent = `${who} of ${session.queue.idOf(parcel.token)} while you were changing it.`;
    at("conflict").showModal();
  };
  sync.addEventListener("conflict", (event) => {
    waiting.push(/** @type {CustomEvent} */ (event).detail);
    if (waiting.length === 1) ask();
  });
  at("conflict").addEventListener("cancel", (/** @type {Event} */ event) => event.preventDefault()); // it needs an answer
  for (const id of ["conflict-mine", "conflict-theirs"]) {
    const mine = id === "conflict-mine";
    at(id).addEventListener("click", async () => {
      const { parcel, newest } = waiting.shift();
      at("conflict").close();
      await sync.settle(sync.unsent(parcel.token) ?? parcel, newest?.revision ?? 0, mine);
      if (!mine) await session.reload(parcel.token);
      if (waiting.length) ask();
    });
  }
}
