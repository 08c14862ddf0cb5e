// The live view: the picture on a canvas, the cells as outlines above it.

import { frame } from "/static/api.js";
import { $, el, probability, sign, svg } from "/static/dom.js";

const CAMERA_PAUSE_MS = 120;
const NOTHING_PAUSE_MS = 1000;
const KEPT_FIELDS = 8;

const fields = new Map(); // by the picture's name, the newest few
let shown = null; // the field whose outlines lie on the picture
let choice = "field"; // or "camera"
let moving = false;
let busy = false;
let wanted = false;
let timer = 0;
let open = () => {};

export function start(onCell) {
  open = onCell;
  new ResizeObserver(scale).observe($("outlines"));
}

export function add(field) {
  fields.set(field.picture, field);
  while (fields.size > KEPT_FIELDS) fields.delete(fields.keys().next().value);
  moving = false;
  if (choice === "field") draw("field");
}

export function clear() {
  fields.clear();
  outline(null);
}

export function choose(kind) {
  choice = kind;
  $("show-field").setAttribute("aria-pressed", String(kind === "field"));
  $("show-camera").setAttribute("aria-pressed", String(kind === "camera"));
  follow();
}

export const chosen = () => choice;

// While the stage moves nothing is assessed: then the camera's own picture is what helps.
export function stageMoves(yes) {
  moving = yes;
  follow();
}

function follow() {
  const camera = choice === "camera" || moving;
  if (!camera) {
    clearTimeout(timer);
    timer = 0;
    draw("field");
  } else if (!timer) {
    timer = setTimeout(tick, 0);
  }
}

async function tick() {
  const drawn = await draw("camera");
  timer = choice === "camera" || moving ? setTimeout(tick, drawn ? CAMERA_PAUSE_MS : NOTHING_PAUSE_MS) : 0;
}

async function draw(kind) {
  if (busy) {
    wanted = kind === "field";
    return true;
  }
  busy = true;
  let drawn = false;
  try {
    const got = document.hidden ? null : await frame(kind);
    if (got) {
      drawn = true;
      paint(got.bitmap);
      outline(fields.get(got.name) || null);
    }
  } catch {
    // The events tell when the server is gone; a lost picture is drawn again with the next one.
  } finally {
    busy = false;
  }
  if (wanted) {
    wanted = false;
    await draw("field");
  }
  return drawn;
}

function paint(bitmap) {
  const canvas = $("picture");
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    $("stage").style.setProperty("--ratio", String(bitmap.width / bitmap.height));
  }
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  $("empty").hidden = true;
}

function scale() {
  const layer = $("outlines");
  if (shown) layer.style.setProperty("--u", String(shown.width / Math.max(1, layer.clientWidth)));
}

function outline(field) {
  const layer = $("outlines");
  if (field === shown && field !== null) return;
  shown = field;
  if (!field) {
    layer.replaceChildren();
    $("corner-field").hidden = true;
    return;
  }
  layer.setAttribute("viewBox", `0 0 ${field.width} ${field.height}`);
  scale();
  layer.replaceChildren(...field.cells.map((cell) => mark(cell, field)));
  const corner = $("corner-field");
  corner.hidden = false;
  const count = field.cells.length === 1 ? "1 cell" : `${field.cells.length} cells`;
  corner.textContent = field.reason ? `not assessed: ${field.reason_words}` : `field ${field.number + 1} · ${count}`;
  corner.classList.toggle("care", Boolean(field.reason));
}

function mark(cell, field) {
  const points = cell.outline.map((point) => point.join(",")).join(" ");
  const unit = field.width / Math.max(1, $("outlines").clientWidth);
  const words = cell.kind === "none" ? `${sign("none")} ${short(cell.reason_words)}` : `${sign(cell.kind)} ${probability(cell.probability)}`;
  const width = (words.length * 7.4 + 8) * unit;
  const height = 19 * unit;
  const middle = Math.min(Math.max((cell.box[0] + cell.box[2]) / 2, width / 2), field.width - width / 2);
  const above = cell.box[1] - height / 2 - 2 * unit;
  const y = above > height / 2 ? above : Math.min(cell.box[3] + height / 2 + 2 * unit, field.height - height / 2);
  const what = cell.kind === "none" ? `not assessed: ${cell.reason_words}` : `${cell.label}, probability ${probability(cell.probability)}`;
  const opener = cell.id === null ? {} : { tabindex: "0", role: "button", onclick: () => open(cell.id), onkeydown: (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(cell.id); }
  } };
  return svg("g", { class: `cell ${cell.kind}`, "aria-label": `Cell ${cell.index + 1}: ${what}`, ...opener },
    svg("polygon", { class: "casing", points }), svg("polygon", { class: "line", points }),
    svg("rect", { x: middle - width / 2, y: y - height / 2, width, height }),
    svg("text", { x: middle, y }, words));
}

const SHORT = { "cut by the border of the field": "cut", "out of focus": "blurred", "under-exposed": "dark", "over-exposed": "bright",
  "stain far from the training cells": "stain", "cell size out of range": "size", "probability inside the uncertain band": "uncertain" };
const short = (words) => SHORT[words] || words;

export function legend(bundle) {
  const line = (kind, stroke, dash) => svg("svg", { viewBox: "0 0 26 14", "aria-hidden": "true" },
    svg("path", { d: "M2 7h22", fill: "none", stroke, "stroke-width": kind === "positive" ? 4 : 3, "stroke-dasharray": dash }));
  const entry = (kind, colour, words, dash) => el("li", {}, line(kind, colour, dash), `${sign(kind)} ${words}`);
  const entries = bundle.positive === null
    ? [entry("other", "var(--accent)", bundle.classes.join(", "))]
    : [entry("positive", "var(--positive)", bundle.positive), ...bundle.classes.filter((name) => name !== bundle.positive).map((name) => entry("negative", "var(--negative)", name))];
  $("legend").replaceChildren(...entries, entry("none", "var(--none)", "not assessed", "5 4"));
}
