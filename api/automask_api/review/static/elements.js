// Elements of the page: found by their id, or made.

/** The element of an id, which index.html has. @param {string} id @returns {any} */
export const at = (id) => document.getElementById(id);

/** A new element. @param {string} tag @param {string} [name] its class @param {string} [text] */
export function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}
