// Filters for the cards of one page. Their state lives in the address (#state=review&kind=text&name=cat), so it goes
// along to the next page. Without scripts the page shows every card.
"use strict";
{
  const form = document.querySelector(".filters");
  const cards = [...document.querySelectorAll("main article")];
  const output = form.querySelector("output");
  const pagers = [...document.querySelectorAll(".pager a")];

  function matches(card, wanted) {
    const kinds = card.dataset.kinds.split(" ");
    return (!wanted.get("state") || card.dataset.state === wanted.get("state"))
      && (!wanted.get("kind") || kinds.includes(wanted.get("kind")))
      && (!wanted.get("name") || card.dataset.name.toLowerCase().includes(wanted.get("name").toLowerCase()));
  }

  function apply(wanted) {
    let shown = 0;
    for (const card of cards) {
      card.hidden = !matches(card, wanted);
      shown += card.hidden ? 0 : 1;
    }
    const filtered = [...wanted.values()].some(Boolean);
    output.value = filtered ? `${shown} of ${cards.length} on this page` : "";
    document.querySelector(".nothing").hidden = shown > 0;
    const hash = filtered ? "#" + new URLSearchParams([...wanted].filter(([, value]) => value)) : "";
    history.replaceState(null, "", hash || location.pathname.split("/").pop());
    for (const link of pagers) link.href = link.getAttribute("href").split("#")[0] + hash;
  }

  function fromForm() {
    const data = new FormData(form);
    return new Map(["state", "kind", "name"].map((key) => [key, data.get(key) ?? ""]));
  }

  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const key of ["state", "kind"]) {
    for (const input of form.elements[key] ?? []) input.checked = input.value === (wanted.get(key) ?? "");
  }
  form.elements.name.value = wanted.get("name") ?? "";
  form.hidden = false;
  form.addEventListener("input", () => apply(fromForm()));
  form.addEventListener("submit", (event) => event.preventDefault());
  apply(fromForm());

  function step(by) {
    const visible = cards.filter((card) => !card.hidden);
    const at = visible.findIndex((card) => card.contains(document.activeElement));
    visible[Math.min(visible.length - 1, Math.max(0, at + by))]?.querySelector("a")?.focus();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input[type=search]")) return;
    if (event.key === "/") form.elements.name.focus();
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "n") document.querySelector("a[rel=next]")?.click();
    else if (event.key === "p") document.querySelector("a[rel=prev]")?.click();
    else return;
    event.preventDefault();
  });
}
