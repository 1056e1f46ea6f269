// Filters for the cards of one page. Their state lives in the address (#state=review&kind=text&name=cat), so it goes
// along to the next page. Without scripts the page shows every card.
"use strict";
{
  /** @typedef {{get(key: string): string|null|undefined, values(): Iterable<string>} & Iterable<[string, string]>} Wanted */

  /** The one element of a kind that the page always has. @template {Element} T @param {string} selector @param {new () => T} type @param {ParentNode} [inside] */
  function the(selector, type, inside = document) {
    const found = inside.querySelector(selector);
    if (!(found instanceof type)) throw new Error(`The page has no ${selector}.`);
    return found;
  }

  /** All elements of a kind. @template {Element} T @param {string} selector @param {new () => T} type */
  const all = (selector, type) =>
    [...document.querySelectorAll(selector)].flatMap((each) => (each instanceof type ? [each] : []));

  const form = the(".filters", HTMLFormElement);
  const cards = all("main article", HTMLElement);
  const output = the("output", HTMLOutputElement, form);
  const pagers = all(".pager a", HTMLAnchorElement);
  const search = the("input[type=search]", HTMLInputElement, form);

  /** @param {HTMLElement} card @param {Wanted} wanted */
  function matches(card, wanted) {
    const { kinds = "", state, name = "" } = card.dataset;
    const [wantedState, kind, part] = ["state", "kind", "name"].map((key) => wanted.get(key));
    return (
      (!wantedState || state === wantedState) &&
      (!kind || kinds.split(" ").includes(kind)) &&
      (!part || name.toLowerCase().includes(part.toLowerCase()))
    );
  }

  /** @param {Wanted} wanted */
  function apply(wanted) {
    let shown = 0;
    for (const card of cards) {
      card.hidden = !matches(card, wanted);
      shown += card.hidden ? 0 : 1;
    }
    const filtered = [...wanted.values()].some(Boolean);
    output.value = filtered ? `${shown} of ${cards.length} on this page` : "";
    the(".nothing", HTMLElement).hidden = shown > 0;
    const hash = filtered ? "#" + new URLSearchParams([...wanted].filter(([, value]) => value)) : "";
    history.replaceState(null, "", hash || location.pathname.split("/").pop());
    for (const link of pagers) link.href = (link.getAttribute("href") ?? "").split("#")[0] + hash;
  }

  function fromForm() {
    const data = new FormData(form);
    return new Map(["state", "kind", "name"].map((key) => [key, String(data.get(key) ?? "")]));
  }

  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const key of ["state", "kind"]) {
    for (const input of all(`.filters input[name=${key}]`, HTMLInputElement)) {
      input.checked = input.value === (wanted.get(key) ?? "");
    }
  }
  search.value = wanted.get("name") ?? "";
  form.hidden = false;
  form.addEventListener("input", () => apply(fromForm()));
  form.addEventListener("submit", (event) => event.preventDefault());
  apply(fromForm());

  /** @param {number} by */
  function step(by) {
    const visible = cards.filter((card) => !card.hidden);
    const at = visible.findIndex((card) => card.contains(document.activeElement));
    visible[Math.min(visible.length - 1, Math.max(0, at + by))]?.querySelector("a")?.focus();
  }

  /** @param {string} relation */
  function follow(relation) {
    for (const link of all(`a[rel=${relation}]`, HTMLAnchorElement).slice(0, 1)) link.click();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target === search) return;
    if (event.key === "/") search.focus();
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "n") follow("next");
    else if (event.key === "p") follow("prev");
    else return;
    event.preventDefault();
  });
}
