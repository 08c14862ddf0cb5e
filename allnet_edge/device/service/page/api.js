// The service's REST interface; a refusal becomes an Error with the words of its problem document.

const ROOT = "/api/v1";

export class Refused extends Error {
  constructor(problem, status) {
    super(problem.detail || `the server answered ${status}`);
    this.fix = problem.fix || "";
    this.status = status;
  }
}

async function ask(method, path, body) {
  const options = { method, headers: { Accept: "application/json" }, cache: "no-store" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const answer = await fetch(ROOT + path, options);
  if (answer.status === 401) location.assign("/login");
  if (!answer.ok) throw new Refused(await answer.json().catch(() => ({})), answer.status);
  return answer.json();
}

export const get = (path) => ask("GET", path);
export const post = (path, body = {}) => ask("POST", path, body);

export const pictureOf = (cell) => `${ROOT}/cells/${cell}/picture`;
export const exportOf = (slide, form) => `${ROOT}/slides/${slide}/export.${form}`;

// One picture: its pixels, and the name that the field found in it has, too.
export async function frame(kind) {
  const answer = await fetch(`${ROOT}/live/frame.jpg?picture=${kind}`, { cache: "no-store" });
  if (answer.status !== 200) return null; // 204: there is none yet
  const bitmap = await createImageBitmap(await answer.blob());
  return { bitmap, name: answer.headers.get("X-Picture") };
}

// Server-sent events with a retry of our own: a browser gives up for good after an answer like 503.
export function listen(handlers, onState) {
  let source = null;
  const open = () => {
    source = new EventSource(`${ROOT}/live/events`);
    source.onopen = () => onState(true);
    source.onerror = () => {
      onState(false);
      source.close();
      setTimeout(open, 2000);
    };
    for (const [kind, handle] of Object.entries(handlers)) {
      source.addEventListener(kind, (event) => handle(JSON.parse(event.data)));
    }
  };
  open();
  addEventListener("pagehide", () => source.close());
}
