// The store's packed run lengths (see docs/store.md) to and from what the editor holds.

const HEADER_BYTES = 9;

/** @param {string} text base64 @returns {Uint8Array} */
export function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** @param {Uint8Array} bytes @returns {string} base64 */
export function toBase64(bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += 0x8000) {
    parts.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
  }
  return btoa(parts.join(""));
}

/** @param {Uint8Array} bytes @param {CompressionStream|DecompressionStream} stream */
async function through(bytes, stream) {
  const writer = stream.writable.getWriter();
  writer.write(/** @type {Uint8Array<ArrayBuffer>} */ (bytes)).catch(() => {});
  writer.close().catch(() => {});
  return new Uint8Array(await new Response(stream.readable).arrayBuffer());
}

/** zlib of bytes. @param {Uint8Array} bytes */
export const deflate = (bytes) => through(bytes, new CompressionStream("deflate"));
/** What zlib packed. @param {Uint8Array} bytes */
export const inflate = (bytes) => through(bytes, new DecompressionStream("deflate"));

/** Run lengths of a packed artefact. @param {string} text base64 @returns {Promise<Uint32Array>} */
export async function unpackRuns(text) {
  const raw = await inflate(fromBase64(text).subarray(HEADER_BYTES));
  return new Uint32Array(raw.buffer, 0, raw.byteLength / 4);
}

/**
 * Pack run lengths as the store does.
 * @param {Uint32Array} runs @param {number} rows @param {number} columns
 * @returns {Promise<string>} base64
 */
export async function packRuns(runs, rows, columns) {
  const body = await deflate(new Uint8Array(runs.buffer, runs.byteOffset, runs.byteLength));
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 1);
  view.setUint32(1, rows, true);
  view.setUint32(5, columns, true);
  bytes.set(body, HEADER_BYTES);
  return toBase64(bytes);
}
