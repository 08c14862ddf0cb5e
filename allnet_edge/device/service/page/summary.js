// The slide in figures: by the model alone, and with what a person corrected.

import { exportOf } from "/static/api.js";
import { $, el, number, share, svg } from "/static/dom.js";

export function render(slide, summary, bundle) {
  if (slide === null) {
    $("summary").replaceChildren(el("p", { class: "quiet" }, "No slide has been started. Start one to see how many cells of how many fields are called what."));
    return;
  }
  const corrected = slide.corrected > 0;
  const now = corrected ? summary.corrected : summary.model;
  $("summary").replaceChildren(...[
    ...head(now, bundle, corrected),
    tiles(slide, now),
    ...now.warnings.map((words) => el("p", { class: "caveat" }, words)),
    ...reasons(now),
    exports(slide),
    el("p", { class: "sub" }, "In words"),
    el("p", { class: "quiet" }, now.sentence),
    ...(corrected ? [el("p", { class: "sub" }, "By the model alone"), el("p", { class: "quiet" }, summary.model.sentence)] : []),
  ].filter(Boolean));
}

function head(now, bundle, corrected) {
  const after = corrected ? "with your corrections" : "by the model alone";
  if (bundle.positive === null) {
    const most = Math.max(1, ...Object.values(now.labels));
    return [el("p", { class: "sub" }, `Assessed cells, ${after}`), bars(Object.entries(now.labels), most)];
  }
  const parts = [el("p", { class: "big" },
    el("b", {}, share(now.share)), el("span", {}, `of the assessed cells classified as ‘${bundle.positive}’, ${after}`))];
  if (now.interval) parts.push(interval(now.share, now.interval));
  return parts;
}

function interval(point, [low, high]) {
  const x = (value) => 4 + value * 292;
  return svg("svg", { class: "interval", viewBox: "0 0 300 30", preserveAspectRatio: "xMinYMid meet", role: "img", "aria-label": `${share(point)}, 95 % interval ${share(low)} to ${share(high)}` },
    svg("rect", { class: "rail", x: 4, y: 3, width: 292, height: 10, rx: 5 }),
    svg("rect", { class: "range", x: x(low), y: 3, width: Math.max(3, x(high) - x(low)), height: 10, rx: 5 }),
    svg("circle", { class: "point", cx: x(point), cy: 8, r: 5 }),
    svg("text", { x: 4, y: 27 }, "0 %"), svg("text", { x: 150, y: 27, "text-anchor": "middle" }, `95 %: ${share(low)} to ${share(high)}`),
    svg("text", { x: 296, y: 27, "text-anchor": "end" }, "100 %"));
}

function tiles(slide, now) {
  const tile = (words, value, small) => el("div", {}, el("dt", {}, words), el("dd", {}, value, small ? el("small", {}, ` ${small}`) : null));
  const refused = now.refused ? `(${now.refused} refused)` : "";
  return el("dl", { class: "tiles" }, tile("fields", number(slide.fields), refused), tile("cells", number(slide.cells)),
    tile("assessed", number(now.assessed)),
    tile("not assessed", number(now.left_out), now.abstention === null ? "" : share(now.abstention, 0)),
    slide.corrected ? tile("corrected", number(slide.corrected)) : null);
}

function reasons(now) {
  const entries = Object.entries(now.not_assessed).filter(([, count]) => count > 0).sort((one, other) => other[1] - one[1]);
  if (!entries.length) return [];
  return [el("p", { class: "sub" }, "Not assessed, because"), bars(entries, Math.max(...entries.map(([, count]) => count)))];
}

function bars(entries, most) {
  return el("dl", { class: "bars" }, ...entries.flatMap(([words, count]) => {
    const fill = el("i");
    fill.style.width = `${(100 * count) / most}%`;
    return [el("dt", {}, words), el("dd", { "aria-hidden": "true" }, el("div", { class: "track" }, fill)), el("dd", { class: "n" }, number(count))];
  }));
}

function exports(slide) {
  const link = (form) => el("a", { class: "button", href: exportOf(slide.id, form), download: `slide-${slide.id}.${form}` }, `Export ${form.toUpperCase()}`);
  return el("div", { class: "exports" }, link("csv"), link("json"));
}
