// Whether the answers can be trusted: gate, calibration, camera, what was read and what was dropped.

import { $, el, number, svg } from "/static/dom.js";

const VERDICTS = {
  pass: ["pass", "passed its gate", "M5 12.500l4.500 4.500L19 7.500"],
  fail: ["fail", "failed its gate", "M6 6l12 12M18 6L6 18"],
  inconclusive: ["care", "gate inconclusive: too few cells to decide", "M12 5v9M12 18.500v.5"],
  none: ["care", "was never judged by a gate", "M12 5v9M12 18.500v.5"],
};

const known = (verdict) => VERDICTS[verdict] || [verdict === "golden-only" ? "care" : "care", `gate verdict: ${verdict}`, "M12 5v9M12 18.500v.5"];

export function chips(status, bundle) {
  const all = [];
  if (bundle) {
    const [tone, , path] = known(bundle.candidate.verdict || "none");
    all.push(chip(tone, `Gate: ${bundle.candidate.verdict || "none"}`, path));
    if (bundle.phantom) all.push(chip("care", "Phantom"));
    if (bundle.leaking) all.push(chip("care", "Leaking split"));
    if (status.calibration && status.calibration.known === "not calibrated") all.push(chip("care", "Not calibrated"));
  }
  $("chips").replaceChildren(...all);
}

function chip(tone, words, path) {
  const icon = path ? svg("svg", { viewBox: "0 0 24 24", width: 14, height: 14, "aria-hidden": "true" }, stroke(path)) : null;
  return el("span", { class: `chip ${tone}` }, icon, words);
}

const stroke = (path) => svg("path", { d: path, fill: "none", stroke: "currentColor", "stroke-width": 3, "stroke-linecap": "round", "stroke-linejoin": "round" });

export function render(status, bundle) {
  const warnings = [...status.warnings];
  $("trust-count").textContent = warnings.length ? `! ${warnings.length}` : "";
  $("trust").replaceChildren(...[
    bundle ? verdict(bundle) : null,
    warnings.length ? el("ul", { class: "warnings" }, ...warnings.map((words) => el("li", {}, el("b", { "aria-hidden": "true" }, "! "), words))) : null,
    ...(status.live ? live(status) : [el("p", { class: "sub" }, "Camera"), el("p", { class: "quiet" }, "None: fields are sent to this server (POST /api/v1/fields).")]),
    ...(bundle ? facts(status, bundle) : []),
  ].filter(Boolean));
}

function verdict(bundle) {
  const [tone, words, path] = known(bundle.candidate.verdict || "none");
  return el("div", { class: `verdict ${tone}` }, svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, stroke(path)),
    el("div", {}, el("p", {}, el("b", {}, `${bundle.candidate.id} ${words}`)), el("p", {}, bundle.gate || "")));
}

function live(status) {
  const camera = status.live.camera;
  const size = camera.width ? `${camera.width} × ${camera.height}` : "unknown";
  const rate = camera.rate_hz ? ` at ${camera.rate_hz} Hz` : "";
  const counters = status.live.counters;
  const latency = status.live.latency_p50_ms === null ? "–" : `${status.live.latency_p50_ms.toFixed(0)} / ${status.live.latency_p99_ms === null ? "–" : status.live.latency_p99_ms.toFixed(0)} ms`;
  return [
    el("p", { class: "sub" }, "Camera"),
    pairs([["source", camera.source], ["picture", size + rate], ["exposure", camera.exposure], ["capture", status.capture], ["latency p50 / p99", latency]]),
    el("p", { class: "sub" }, "Frames"),
    pairs(Object.entries(counters).map(([words, count]) => [words, number(count)])),
  ];
}

function facts(status, bundle) {
  const calibration = status.calibration;
  return [
    el("p", { class: "sub" }, "Bundle"),
    pairs([
      ["bundle", bundle.name], ["network", bundle.model],
      ["candidate", `${bundle.candidate.id} (${bundle.candidate.engine}, ${bundle.candidate.precision})`],
      ["shadow", bundle.shadow || "none"],
      ["golden tensors", bundle.golden],
      ["trained on", bundle.data ? `${bundle.data.layout}, split by ${bundle.data.split}` : "not recorded"],
      ["scale", calibration ? `${calibration.scale.toFixed(3)} (${calibration.known})` : "–"],
      ["SHA-256", hash(bundle.sha256)],
    ]),
    el("p", { class: "sub" }, "Versions"),
    pairs(Object.entries(bundle.versions)),
  ];
}

function hash(sha256) {
  return el("code", { title: sha256 }, `${sha256.slice(0, 16)}…`);
}

function pairs(entries) {
  return el("dl", { class: "pairs" }, ...entries.map(([words, value]) => el("div", {}, el("dt", {}, words), el("dd", {}, value))));
}
