// Talking to the server.

const ROOT = "api";

/** An answer that is no success. */
export class Problem extends Error {
  /** @param {number} status @param {any} document */
  constructor(status, document) {
    super(document?.detail ?? `The server answered ${status}.`);
    this.status = status;
    this.advice = document?.advice ?? "";
    this.code = document?.code ?? "";
    this.newest = document?.newest ?? null;
  }
}

/** One URL segment for an image id. @param {string} id */
export function tokenOf(id) {
  const bytes = new TextEncoder().encode(id);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** @param {string} token @param {string} content */
export const viewAddress = (token, content) => `${ROOT}/images/${token}/view?v=${content}`;
/** @param {string} token @param {string} content @param {string} name level/column/row */
export const tileAddress = (token, content, name) => `${ROOT}/images/${token}/tiles/${name}?v=${content}`;
/** @param {string} token @param {string} content @param {number[]} box */
export const partAddress = (token, content, box) =>
  `${ROOT}/images/${token}/part/${box.join("/")}?v=${content.slice(0, 16)}`;
/** @param {string} token @param {string|null} mask short hash of the mask */
export const thumbnailAddress = (token, mask) => `${ROOT}/images/${token}/thumbnail?v=${mask ?? "none"}`;
/** An image with what a template would mask in it. @param {string} template @param {string} token @param {string} content */
export const templateAddress = (template, token, content) =>
  `${ROOT}/templates/${encodeURIComponent(template)}/images/${token}?v=${content}`;

/**
 * @param {string} path @param {RequestInit & {json?: unknown, revision?: number}} [options]
 * @returns {Promise<any>}
 * @throws {Problem} for answers that are no success; {TypeError} where no server answers
 */
export async function call(path, options = {}) {
  const headers = new Headers(options.headers);
  if (options.json !== undefined) headers.set("Content-Type", "application/json");
  if (options.revision !== undefined) headers.set("If-Match", `"${options.revision}"`);
  const body = options.json !== undefined ? JSON.stringify(options.json) : options.body;
  const response = await fetch(`${ROOT}/${path}`, { ...options, headers, body });
  const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
  const document = isJson ? await response.json() : null;
  if (!response.ok) throw new Problem(response.status, document);
  return document;
}

export const getQueue = () => call("queue");
export const getQuestions = () => call("questions");
/** @param {string} token @param {AbortSignal} [signal] */
export const getImage = (token, signal) => call(`images/${token}`, { signal });
/** @param {string} token @param {any} layers @param {number} revision */
export const putCorrection = (token, layers, revision) =>
  call(`images/${token}/correction`, { method: "PUT", json: layers, revision });
/** @param {string} token @param {number} revision */
export const withdrawCorrection = (token, revision) =>
  call(`images/${token}/correction`, { method: "DELETE", revision });
/** @param {string} token @param {number} toRevision @param {number} revision */
export const revertCorrection = (token, toRevision, revision) =>
  call(`images/${token}/correction/revert`, { method: "POST", json: { to_revision: toRevision }, revision });
/** @param {string} token */
export const getHistory = (token) => call(`images/${token}/history`);
/** What was carried over from an image to others. @param {string} token */
export const getSpreads = (token) => call(`images/${token}/propagations`);
/** @param {string[]} tokens @param {string|null} decision */
export const decide = (tokens, decision) => call("decisions", { method: "POST", json: { images: tokens, decision } });
/** The thing at a pixel. @param {string} token @param {{x: number, y: number}} point @param {AbortSignal} [signal] */
export const click = (token, point, signal) => call(`images/${token}/click`, { method: "POST", json: point, signal });

/**
 * Look for pixels of an image on all others.
 * @param {string} token @param {string} pixels packed @param {(line: any) => void} tell called with every image's answer
 * @param {AbortSignal} signal
 */
export async function searchMark(token, pixels, tell, signal) {
  const response = await fetch(`${ROOT}/images/${token}/propagation/search`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ pixels }),
    signal,
  });
  if (!response.ok || !response.body) throw new Problem(response.status, await response.json().catch(() => null));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", ended = false; ;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) {
      const line = JSON.parse(text);
      if (line.code) throw new Problem(response.status, line);
      if (line.ended) ended = true;
      else tell(line);
    }
    if (!done) continue;
    if (!ended) throw new TypeError("the answer was cut off");
    return;
  }
}
/** Apply a mark to other images. @param {string} token @param {any} body @param {number} revision */
export const spread = (token, body, revision) =>
  call(`images/${token}/propagation`, { method: "POST", json: body, revision });
/** Decide about a recurring mark, for all images. @param {string} template @param {string|null} decision */
export const decideTemplate = (template, decision) =>
  call(`templates/${encodeURIComponent(template)}/decision`, { method: "POST", json: { decision } });
/** Train all frames of all images. @param {string} token where that was said @param {string} operation */
export const framesOff = (token, operation) =>
  call(`images/${token}/frames-off`, { method: "POST", json: { operation } });
/** @param {string} operation */
export const takeBack = (operation) => call(`propagations/${operation}`, { method: "DELETE" });
