// Elements without innerHTML: nothing that a person typed is ever read as markup.

export const $ = (id) => document.getElementById(id);

export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// A shape for each kind, so that colour is never the only sign.
const SHAPES = {
  positive: "M6 1 11.5 11H.5z",
  negative: "M6 .8a5.2 5.2 0 1 0 0 10.400a5.2 5.2 0 0 0 0-10.400zm0 2.400a2.800 2.800 0 1 1 0 5.600a2.800 2.800 0 0 1 0-5.600z",
  other: "M1 1h10v10H1z",
  none: "M1 4.700h10v2.600H1z",
};
const SIGNS = { positive: "▲", negative: "○", other: "■", none: "–" };

export const shape = (kind) => svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path", { d: SHAPES[kind] }));
export const sign = (kind) => SIGNS[kind];

export const share = (value, digits = 1) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)} %`);
export const number = (value) => (value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en"));
export const probability = (value) => (value === null || value === undefined ? "" : value.toFixed(2));

export function time(text) {
  return text ? new Date(text).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }) : "";
}
