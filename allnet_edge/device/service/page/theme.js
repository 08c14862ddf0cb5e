// Dark or light: as the system says until a person chooses.

import { $ } from "/static/dom.js";

const KEY = "allnet-edge-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

const current = () => document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");

export function start() {
  const kept = read();
  if (kept) document.documentElement.dataset.theme = kept;
  $("theme").addEventListener("click", flip);
}

export function flip() {
  const next = current() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // A browser that keeps nothing still switches.
  }
}

function read() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "dark" || kept === "light" ? kept : null;
  } catch {
    return null;
  }
}
