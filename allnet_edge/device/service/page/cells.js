// The gallery, and one cell at a time with what a person says about it.

import { get, pictureOf, post } from "/static/api.js";
import { $, el, probability, shape, svg } from "/static/dom.js";

const PAGE = 60;

let slide = null;
let bundle = null;
let cells = [];
let total = 0;
let limit = PAGE;
let current = null;
let done = () => {};
let complain = () => {};

export function start(onCorrected, onProblem) {
  done = onCorrected;
  complain = onProblem;
  $("order").addEventListener("change", refresh);
  $("more").addEventListener("click", () => { limit += PAGE; refresh(); });
  $("before").addEventListener("click", () => step(-1));
  $("after").addEventListener("click", () => step(1));
}

export function of(newSlide, newBundle) {
  bundle = newBundle;
  if (newSlide === slide) return;
  slide = newSlide;
  limit = PAGE;
  cells = [];
  total = 0;
  render();
}

export async function refresh() {
  if (slide === null) return;
  const asked = slide;
  const page = await get(`/slides/${slide}/cells?order=${$("order").value}&limit=${limit}`);
  if (asked !== slide) return;
  cells = page.items;
  total = page.total;
  render();
}

function render() {
  const gallery = $("gallery");
  const focused = document.activeElement?.dataset?.cell;
  const old = new Map([...gallery.children].map((item) => [item.dataset.key, item]));
  gallery.replaceChildren(...cells.map((cell) => old.get(keyOf(cell)) || card(cell)));
  if (focused) gallery.querySelector(`[data-cell="${focused}"]`)?.focus();
  $("gallery-empty").hidden = cells.length > 0;
  $("more").hidden = cells.length >= total;
  $("cells-count").textContent = total ? String(total) : "";
}

// What is drawn: a card whose key is the same stays as it is, with its picture.
const keyOf = (cell) => `${cell.id}:${cell.correction ? cell.correction.verdict + cell.correction.label : ""}`;

const WORDS = { agree: "agreed", disagree: "corrected", not_a_cell: "not a cell" };

function card(cell) {
  const words = cell.kind === "none" ? cell.reason_words : probability(cell.probability);
  const said = cell.correction ? correctionWords(cell) : cell.kind === "none" ? "" : cell.label;
  const name = `${cell.kind === "none" ? `not assessed, ${cell.reason_words}` : `${cell.label}, probability ${words}`}${cell.correction ? `, ${said}` : ""}`;
  const button = el("button", { type: "button", class: cell.kind, "data-cell": cell.id, "aria-label": `Cell ${cell.id}: ${name}`, onclick: () => show(cell.id) },
    thumb(cell), el("span", {}, el("span", { class: "tag" }, shape(cell.kind), el("span", { class: "words" }, words)),
      el("span", { class: "note" }, cell.correction ? `✎ ${said}` : said || "not assessed")));
  const item = el("li", {}, button);
  item.dataset.key = keyOf(cell);
  return item;
}

function correctionWords(cell) {
  const correction = cell.correction;
  return correction.verdict === "disagree" && correction.label ? correction.label : WORDS[correction.verdict];
}

function thumb(cell) {
  if (!cell.picture) return el("span", { class: "thumb absent" }, "no picture");
  const image = el("img", { class: "thumb", src: pictureOf(cell.id), alt: "", loading: "lazy", decoding: "async", width: 96, height: 96 });
  image.addEventListener("error", () => image.replaceWith(el("span", { class: "thumb absent" }, "picture no longer in memory")));
  return image;
}

export function first() {
  if (cells.length) show(cells[0].id);
}

export async function show(id) {
  try {
    current = cells.find((cell) => cell.id === id) || (await get(`/cells/${id}`));
  } catch (problem) {
    complain(problem);
    return;
  }
  draw();
  if (!$("cell-dialog").open) $("cell-dialog").showModal();
}

function step(by) {
  const place = cells.findIndex((cell) => cell.id === current?.id);
  const next = cells[place + by];
  if (next) show(next.id);
}

function draw() {
  const cell = current;
  $("cell-title").textContent = `Cell ${cell.id}`;
  const image = cell.picture ? el("img", { src: pictureOf(cell.id), alt: "What the network was shown of this cell" }) : null;
  const absent = () => el("p", {}, "There is no picture of this cell any more: pictures are kept only if the server was started with --keep-images.");
  image?.addEventListener("error", () => $("cell-picture").replaceChildren(absent()));
  $("cell-picture").replaceChildren(image || absent());
  $("cell-facts").replaceChildren(
    el("p", { class: `said ${cell.kind}` }, shape(cell.kind), cell.label === null ? "not assessed" : cell.kind === "none" ? `not assessed (${cell.label}?)` : cell.label),
    ...(cell.probability === null ? [] : [scale(cell.probability)]),
    el("p", { class: "quiet" }, facts(cell)));
  const place = cells.findIndex((one) => one.id === cell.id);
  $("cell-place").textContent = place < 0 ? "" : `${place + 1} of ${total}`;
  $("before").disabled = place <= 0;
  $("after").disabled = place < 0 || place >= cells.length - 1;
  $("verdicts").replaceChildren(...verdicts(cell));
}

function facts(cell) {
  const parts = [];
  if (cell.kind === "none") parts.push(`${cell.detail || cell.reason_words}.`);
  if (cell.shadow !== null) parts.push(`Float model beside it: ${probability(cell.shadow)}.`);
  if (cell.correction) parts.push(`You said: ${correctionWords(cell)}. A newer answer replaces it.`);
  return parts.join(" ");
}

// The probability on its scale, with the threshold and the uncertain band.
function scale(value) {
  const x = (share) => 6 + share * 288;
  const rule = bundle.threshold;
  const parts = [svg("rect", { class: "rail", x: 6, y: 12, width: 288, height: 10, rx: 5 })];
  if (bundle.positive !== null) {
    if (rule.abstain) parts.push(svg("rect", { class: "band", x: x(rule.abstain[0]), y: 12, width: Math.max(1, x(rule.abstain[1]) - x(rule.abstain[0])), height: 10 }));
    parts.push(svg("line", { class: "cut", x1: x(rule.threshold), x2: x(rule.threshold), y1: 8, y2: 26 }));
    const anchor = rule.threshold > 0.8 ? "end" : rule.threshold < 0.2 ? "start" : "middle";
    parts.push(svg("text", { x: x(rule.threshold), y: 40, "text-anchor": anchor }, `threshold ${rule.threshold.toFixed(2)}`));
  }
  parts.push(svg("circle", { class: "point", cx: x(value), cy: 17, r: 7 }));
  const of = bundle.positive === null ? "" : ` of ${bundle.positive}`;
  return el("div", {}, el("p", { class: "quiet" }, `Probability${of}: ${value.toFixed(3)}`),
    svg("svg", { class: "scale", viewBox: "0 0 300 44", preserveAspectRatio: "xMinYMid meet", role: "img", "aria-label": `probability ${value.toFixed(3)}, threshold ${rule.threshold.toFixed(3)}` }, ...parts));
}

function verdicts(cell) {
  const said = cell.correction;
  const button = (verdict, label, words, key) => {
    const pressed = said !== null && said.verdict === verdict && (verdict !== "disagree" || said.label === label);
    return el("button", { type: "button", "data-verdict": verdict, "data-label": label, "aria-pressed": String(pressed), "aria-keyshortcuts": key, onclick: () => correct(verdict, label) }, words);
  };
  const others = bundle.classes.filter((name) => name !== cell.label);
  const buttons = cell.label === null ? [] : [button("agree", null, "Agree", "a")];
  for (const [place, name] of others.entries()) {
    const words = cell.label === null ? `It is ${name}` : others.length === 1 ? `Disagree: ${name}` : `It is ${name}`;
    buttons.push(button("disagree", name, words, place === 0 ? "d" : null));
  }
  return [...buttons, button("not_a_cell", null, "Not a cell", "n")];
}

async function correct(verdict, label) {
  const cell = current;
  try {
    const changed = await post(`/cells/${cell.id}/corrections`, { verdict, label });
    cells = cells.map((one) => (one.id === changed.id ? changed : one));
    current = changed;
    const key = document.activeElement?.dataset?.verdict;
    draw();
    if (key) $("verdicts").querySelector(`[data-verdict="${key}"]`)?.focus();
    render();
    done(changed, correctionWords(changed));
  } catch (problem) {
    complain(problem);
  }
}

export function key(name) {
  if (!$("cell-dialog").open) return false;
  if (name === "ArrowLeft") step(-1);
  else if (name === "ArrowRight") step(1);
  else {
    const verdict = { a: "agree", d: "disagree", n: "not_a_cell" }[name.toLowerCase()];
    if (!verdict) return false;
    $("verdicts").querySelector(`[data-verdict="${verdict}"]`)?.click();
  }
  return true;
}
