// The page of the microscope: state comes from the server, every act goes to it.

import { get, listen, post } from "/static/api.js";
import * as cells from "/static/cells.js";
import { $, el, time } from "/static/dom.js";
import * as summary from "/static/summary.js";
import * as theme from "/static/theme.js";
import * as trust from "/static/trust.js";
import * as view from "/static/view.js";

const REFRESH_MS = 700;
const STORAGE_FULL = 507; // the disk is full or failing: the field in work waits for room
const LAMP = { starting: "Starting", idle: "Ready", running: "Slide running", "camera lost": "Camera lost", finished: "Source at its end", failed: "Stopped", offline: "No connection" };

let status = null;
let bundle = null;
let slide = null; // the open one, else the last one of this page
let last = { moving: 0, captured: 0 };
let due = 0;

const quietly = (work) => (...given) => Promise.resolve(work(...given)).catch(tell);

// ---- what the server says

async function told(news) {
  status = news;
  if (status.state === "ready" && bundle === null) {
    bundle = await get("/bundle");
    view.legend(bundle);
    $("help-version").textContent = `allnet-edge ${status.version}; bundle ${bundle.name}`;
    $("logout").hidden = !status.login;
  }
  if (status.slide) slide = status.slide;
  else if (slide && slide.state === "running") {
    slide = await get(`/slides/${slide.id}`);
    refreshSoon();
  }
  follow();
  draw();
}

function follow() {
  const counters = status.live?.counters;
  if (!counters) return;
  const moves = counters.moving > last.moving && counters.captured === last.captured && status.slide !== null;
  last = { moving: counters.moving, captured: counters.captured };
  view.stageMoves(moves || (status.slide === null && status.live.state !== "finished"));
  const corner = $("corner-move");
  corner.hidden = !moves;
  corner.textContent = "stage moves: not assessed";
}

function lampState() {
  if (status.state !== "ready") return status.state;
  return status.live ? status.live.state : status.slide ? "running" : "idle";
}

function draw() {
  const state = lampState();
  $("lamp").dataset.state = state;
  if ($("lamp-words").textContent !== LAMP[state]) $("lamp-words").textContent = LAMP[state];
  const running = Boolean(status.slide);
  const ready = status.state === "ready" && state !== "failed";
  $("start").hidden = running;
  $("start").disabled = !ready || (status.live !== null && state === "finished");
  $("end").hidden = !running;
  $("capture").hidden = !(status.live && status.capture === "manual" && running);
  $("go-on").hidden = status.problem?.status !== STORAGE_FULL;
  $("switch").hidden = !status.live;
  title();
  empty(state);
  trust.chips(status, bundle);
  trust.render(status, bundle);
  if (bundle && slide) cells.of(slide.id, bundle);
  if (bundle && !slide) summary.render(null, null, bundle);
  $("foot-note").textContent = status.research_note;
}

function title() {
  $("slide-name").textContent = slide ? slide.name || `Slide ${slide.id}` : "No slide open";
  const words = !slide ? (bundle ? `${bundle.name} · ${bundle.candidate.id}` : "allnet-edge")
    : slide.state === "running" ? `slide ${slide.id}, since ${time(slide.started)}` : `slide ${slide.id}, ${slide.state} ${time(slide.ended)}`;
  $("slide-facts").textContent = words;
  document.title = `${slide ? slide.name || `Slide ${slide.id}` : "No slide"} - allnet-edge`;
}

function empty(state) {
  const problem = status.problem || (state === "failed" && status.live ? status.live.problem : null);
  if (problem) {
    $("empty").hidden = false;
    $("empty-words").textContent = `${problem.detail}\n${problem.fix || ""}`;
  } else if (!$("empty").hidden) {
    $("empty-words").textContent = status.state === "starting" ? "Starting: the bundle is being checked."
      : status.live === null ? "There is no camera here.\nFields that are sent to this server appear in this place."
      : "Waiting for the camera's first picture.";
  }
}

async function field(news) {
  if (slide === null || slide.id !== news.slide) return;
  view.add(news);
  refreshSoon();
}

function refreshSoon() {
  if (!due) due = setTimeout(quietly(refresh), REFRESH_MS);
}

async function refresh() {
  due = 0;
  if (slide === null || bundle === null) return;
  const [fresh, figures] = await Promise.all([get(`/slides/${slide.id}`), get(`/slides/${slide.id}/summary`), cells.refresh()]);
  if (fresh.id !== slide.id) return;
  slide = fresh;
  summary.render(slide, figures, bundle);
  title();
}

function connected(yes) {
  if (yes) refreshSoon();
  else {
    $("lamp").dataset.state = "offline";
    $("lamp-words").textContent = LAMP.offline;
  }
}

// ---- what a person does

async function startSlide(event) {
  event.preventDefault();
  const name = $("name").value.trim();
  slide = await post("/slides", { name });
  $("start-dialog").close();
  $("name").value = "";
  view.clear();
  cells.of(slide.id, bundle);
  say(`Slide ${name} started`);
  await told(await get("/status"));
  refreshSoon();
}

async function endSlide(event) {
  event.preventDefault();
  slide = await post(`/slides/${slide.id}/end`);
  $("end-dialog").close();
  say("Slide ended");
  await told(await get("/status"));
  refreshSoon();
}

async function capture() {
  await post("/capture");
  view.choose("field");
}

async function goOn() {
  await told(await post("/go-on"));
}

function tab(name) {
  document.querySelector(".side").dataset.tab = name;
  for (const button of document.querySelectorAll("[role=tab]")) {
    const chosen = button.id === `tab-${name}`;
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }
}

function tabKeys(event) {
  const names = ["summary", "cells", "trust"];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.stopPropagation();
  const next = names[(names.indexOf(document.querySelector(".side").dataset.tab) + step + 3) % 3];
  tab(next);
  $(`tab-${next}`).focus();
}

const press = (id) => { if (!$(id).hidden && !$(id).disabled) $(id).click(); };
const KEYS = {
  s: () => press("start"), e: () => press("end"), c: () => press("capture"), t: theme.flip, r: () => cells.first(),
  v: () => { if (!$("switch").hidden) view.choose(view.chosen() === "field" ? "camera" : "field"); },
  1: () => tab("summary"), 2: () => tab("cells"), 3: () => tab("trust"), "?": () => $("help").click(),
};

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (cells.key(event.key)) {
    event.preventDefault();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const act = KEYS[event.key.toLowerCase()];
  if (act) {
    event.preventDefault();
    act();
  }
}

// ---- words for people

function say(words) {
  $("said").textContent = words;
}

function toast(words, tone, seconds) {
  const note = el("div", { class: `toast ${tone}` }, el("p", {}, words), el("button", { type: "button", onclick: () => note.remove() }, "OK"));
  $("toasts").replaceChildren(note);
  setTimeout(() => note.remove(), 1000 * seconds);
}

function tell(problem) {
  toast([problem.message, problem.fix].filter(Boolean).join(" - "), "fail", 12);
}

// ---- together

function begin() {
  theme.start();
  tab("summary");
  view.start(cells.show);
  cells.start((cell, words) => { say(`Cell ${cell.id}: ${words}`); refreshSoon(); }, tell);
  $("start").addEventListener("click", () => { $("start-dialog").showModal(); $("name").focus(); });
  $("end").addEventListener("click", () => $("end-dialog").showModal());
  $("help").addEventListener("click", () => $("help-dialog").showModal());
  $("capture").addEventListener("click", quietly(capture));
  $("go-on").addEventListener("click", quietly(goOn));
  $("start-form").addEventListener("submit", quietly(startSlide));
  $("end-form").addEventListener("submit", quietly(endSlide));
  $("show-field").addEventListener("click", () => view.choose("field"));
  $("show-camera").addEventListener("click", () => view.choose("camera"));
  for (const name of ["summary", "cells", "trust"]) $(`tab-${name}`).addEventListener("click", () => tab(name));
  document.querySelector(".tabs").addEventListener("keydown", tabKeys);
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  document.addEventListener("keydown", key);
  listen({ status: quietly(told), field: quietly(field), correction: refreshSoon, lost: refreshSoon }, connected);
}

begin();
