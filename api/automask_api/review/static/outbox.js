// Nothing a person did may be lost: every change is written to this browser first, then sent until the server has it.

const DATABASE = "automask-review";
const VERSION = 1;
const STORE = "outbox";

/**
 * A change on its way to the server.
 * @typedef {object} Parcel
 * @property {string} key store and image, or store and a number
 * @property {string} store @property {string} token @property {"layers"|"decision"|"spread"|"unspread"|"template"} what
 * @property {any} payload @property {number} revision the newest one known when the change was made
 * @property {number} made milliseconds since the epoch
 */

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, VERSION);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Unsent changes in this browser, by key. Kept in memory alone where the browser forbids storage. */
export class Outbox {
  /** @param {string} store name of the store that is reviewed */
  constructor(store) {
    this.store = store;
    /** @type {Map<string, Parcel>} */
    this.parcels = new Map();
    /** @type {Promise<IDBDatabase|null>} */
    this.database = open().catch(() => null);
  }

  /** Read what an earlier visit left. */
  async load() {
    const database = await this.database;
    if (!database) return;
    const all = await done(database.transaction(STORE).objectStore(STORE).getAll());
    for (const parcel of all.filter((one) => one.store === this.store)) this.parcels.set(parcel.key, parcel);
  }

  /** @param {Parcel} parcel */
  async put(parcel) {
    this.parcels.set(parcel.key, parcel);
    const database = await this.database;
    if (database) await done(database.transaction(STORE, "readwrite").objectStore(STORE).put(parcel));
  }

  /** Forget a parcel, unless a newer one took its place. @param {Parcel} parcel */
  async drop(parcel) {
    if (this.parcels.get(parcel.key) !== parcel) return;
    this.parcels.delete(parcel.key);
    const database = await this.database;
    if (database) await done(database.transaction(STORE, "readwrite").objectStore(STORE).delete(parcel.key));
  }

  /** In the order they were made. */
  inOrder() {
    return [...this.parcels.values()].sort((one, other) => one.made - other.made);
  }
}
