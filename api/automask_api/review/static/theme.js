// Light or dark: as the system has it, unless a person chose.

import { at } from "./elements.js";

/** @param {import("./stage.js").Stage} stage draws with the theme's colours */
export function followTheme(stage) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = (/** @type {string|null} */ chosen) => {
    root.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
    stage.recolour();
  };
  apply(localStorage.getItem("automask-theme"));
  system.addEventListener("change", () => apply(localStorage.getItem("automask-theme")));
  at("theme-button").addEventListener("click", () => {
    const chosen = root.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("automask-theme", chosen);
    apply(chosen);
  });
}
