// The images of the store, and those of them that the filters let through.

import { tokenOf } from "./api.js";

/**
 * @typedef {object} Row
 * @property {string} id @property {number|null} width_px @property {number|null} height_px
 * @property {number|null} confidence @property {string|null} verdict @property {string[]} kinds
 * @property {number|null} masked_share @property {string|null} decision @property {number} revision
 * @property {string|null} content @property {string|null} mask @property {boolean} failed @property {string[]} templates
 * @property {string[]} reasons why it waits, in words
 * @property {boolean} [corrected]
 */
/** @typedef {"review"|"all"|"accepted"|"corrected"|"excluded"|"skipped"|"failed"} Shelf */
/** @typedef {{shelf: Shelf, kind: string, folder: string, template: string, below: number, order: string}} Filters */

/** @type {Record<Shelf, {title: string, holds: (row: Row) => boolean}>} */
export const SHELVES = {
  review: { title: "To review", holds: (row) => needsReview(row) },
  all: { title: "All images", holds: () => true },
  accepted: { title: "Accepted", holds: (row) => row.decision === "accepted" },
  corrected: { title: "Corrected", holds: (row) => row.revision > 0 || row.corrected === true },
  skipped: { title: "Skipped", holds: (row) => row.decision === "skipped" },
  excluded: { title: "Excluded", holds: (row) => row.decision === "excluded" },
  failed: { title: "Without a result", holds: (row) => row.failed },
};

/** @type {Record<string, {title: string, by: (row: Row) => number|string}>} */
export const ORDERS = {
  doubt: { title: "Most doubtful first", by: (row) => row.confidence ?? -1 },
  name: { title: "By name", by: (row) => row.id },
  masked: { title: "Most masked first", by: (row) => -(row.masked_share ?? 0) },
};

/** @param {Row} row */
const needsReview = (row) =>
  !row.failed && row.decision !== "accepted" && row.decision !== "excluded" && row.verdict === "review";

/** Fires `list` when other images are shown and `rows` when something about them changed. */
export class Queue extends EventTarget {
  /** @param {{fields: string[], kept?: string[], rows: any[][]}} answer kept: kinds that the policy trains */
  constructor(answer) {
    super();
    /** @type {Row[]} */
    this.rows = answer.rows.map(
      (values) => /** @type {any} */ (Object.fromEntries(answer.fields.map((field, at) => [field, values[at]]))),
    );
    this.kept = new Set(answer.kept ?? []);
    this.byId = new Map(this.rows.map((row) => [row.id, row]));
    this.byToken = new Map(this.rows.map((row) => [tokenOf(row.id), row]));
    /** @type {Filters} */
    this.filters = { shelf: "review", kind: "", folder: "", template: "", below: 1, order: "doubt" };
    /** @type {Row[]} in order; stays as it was when rows change, so that nothing moves under the hand */
    this.list = [];
    /** @type {Map<string, number>} */ this.places = new Map();
    this.current = "";
    this.filter({});
  }

  /** @param {Partial<Filters>} changes */
  filter(changes) {
    Object.assign(this.filters, changes);
    const { shelf, order } = this.filters;
    const by = ORDERS[order].by;
    this.list = this.rows.filter((row) => SHELVES[shelf].holds(row) && this.#passes(row));
    this.list.sort((one, other) => (by(one) < by(other) ? -1 : by(one) > by(other) ? 1 : one.id < other.id ? -1 : 1));
    this.places = new Map(this.list.map((row, at) => [row.id, at]));
    this.dispatchEvent(new Event("list"));
  }

  /** How many images are on each shelf under the other filters. */
  counts() {
    const passing = this.rows.filter((row) => this.#passes(row));
    return Object.fromEntries(
      Object.entries(SHELVES).map(([name, shelf]) => [name, passing.filter(shelf.holds).length]),
    );
  }

  /** Folders and templates that there are. */
  choices() {
    const folders = new Set();
    const templates = new Set();
    for (const row of this.rows) {
      const slash = row.id.lastIndexOf("/");
      if (slash > 0) folders.add(row.id.slice(0, slash));
      for (const template of row.templates) templates.add(template);
    }
    return { folders: [...folders].sort(), templates: [...templates].sort() };
  }

  /** @param {string} id */
  row(id) {
    return this.byId.get(id);
  }

  /** @param {string} token */
  idOf(token) {
    return this.byToken.get(token)?.id;
  }

  /** Place in the list, from 0; -1 where it is not there. */
  get place() {
    return this.places.get(this.current) ?? -1;
  }

  /** @param {string} id @param {number} by @returns {string|null} */
  neighbour(id, by) {
    const at = this.places.get(id);
    const next = at === undefined ? (by > 0 ? 0 : -1) : at + by;
    return this.list[next]?.id ?? null;
  }

  /** @param {string} id @param {number} count */
  ahead(id, count) {
    const at = this.places.get(id) ?? -1;
    return this.list.slice(at + 1, at + 1 + count).map((row) => row.id);
  }

  /** How many images of the list still wait. */
  get left() {
    return this.list.filter((row) => needsReview(row) && row.decision !== "skipped").length;
  }

  /** Take over what is known about some images. @param {Record<string, Partial<Row>>} changes by token */
  settle(changes) {
    for (const [token, change] of Object.entries(changes)) {
      const row = this.byToken.get(token);
      if (!row) continue;
      for (const [key, value] of Object.entries(change)) if (key in row) /** @type {any} */ (row)[key] = value;
    }
    this.dispatchEvent(new Event("rows"));
  }

  /** @param {string} token @param {boolean} corrected */
  edited(token, corrected) {
    const row = this.byToken.get(token);
    if (row) row.corrected = corrected;
    this.dispatchEvent(new Event("rows"));
  }

  /** @param {Row} row */
  #passes(row) {
    const { kind, folder, template, below } = this.filters;
    return (
      (!kind || (kind === "none" ? row.kinds.every((one) => this.kept.has(one)) : row.kinds.includes(kind))) &&
      (!folder || row.id.startsWith(`${folder}/`)) &&
      (!template || row.templates.includes(template)) &&
      (below >= 1 || (row.confidence ?? 0) < below)
    );
  }
}
