// What the scripts of all pages share. Pages work without it, but for what only a script can do.

/** A request that was refused; `status` is HTTP's, 0 where nobody answered; `answer` is the JSON of the refusal. */
export class Refused extends Error {
  constructor(status, answer) {
    super(answer?.error?.message ?? text("script.away"));
    this.status = status;
    this.answer = answer;
  }
}

const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "{}");
const shared = read("web-texts");
const own = read("texts");

/** A text of the page's language: from <script id="texts">, else of those that all pages share. */
export function text(key, values = {}) {
  const found = own[key] ?? shared[key] ?? key;
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The token that unsafe requests carry. */
export const csrf = () => document.querySelector('meta[name="csrf"]').content;

/**
 * Ask our own service. `body` goes as JSON. With `background` the request does not count as use of the session: it does not
 * keep a person logged in who went away. `signal` aborts. Throws Refused.
 */
export async function send(method, url, body, { background = false, signal } = {}) {
  const headers = { accept: "application/json" };
  if (method !== "GET") headers["x-csrf-token"] = csrf();
  if (body !== undefined) headers["content-type"] = "application/json";
  if (background) headers["x-background"] = "1";
  let answer;
  try {
    answer = await fetch(url, {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin", redirect: "error",
    });
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Refused(0, undefined);
  }
  const json = (answer.headers.get("content-type") ?? "").startsWith("application/json");
  const value = json ? await answer.json() : undefined;
  if (!answer.ok) throw new Refused(answer.status, value);
  return value;
}

/** Tell those who hear the page what others see change. */
export function announce(message) {
  const live = document.getElementById("live");
  live.textContent = "";
  setTimeout(() => { live.textContent = message; }, 50);
}

const bound = [];

/** How a key is written in `keys`: modifiers in the order Ctrl, Alt, Shift, then the key: "Enter", "Ctrl+Enter", "n", "?". */
function written(event) {
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // Shift is part of a sign such as ?, and told apart with letters and named keys only.
  if (event.shiftKey && (event.key.length > 1 || /^\p{L}$/u.test(event.key))) parts.push("Shift");
  return [...parts, name].join("+");
}

const typing = (target) => target.closest?.('input:not([type="checkbox"], [type="radio"], [type="button"], [type="submit"]), textarea, select, [contenteditable]');

/**
 * Bind keys: [{keys: "Ctrl+Enter", text: "…", run(event)}]; several keys as ["j", "ArrowDown"]. Plain keys rest while somebody
 * types in a field, unless `always`. Enter and Space on a button or a link stay the browser's, unless `always`. Returns a
 * function that takes them away. `?` shows all of them.
 */
export function shortcuts(list) {
  bound.push(...list);
  return () => list.forEach((one) => bound.splice(bound.indexOf(one), 1));
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || (document.querySelector("dialog[open]") && !event.target.closest("dialog"))) return;
  const name = written(event);
  const chord = event.ctrlKey || event.metaKey || event.altKey;
  for (const one of [...bound].reverse()) {
    if (![one.keys].flat().some((keys) => keys.toLowerCase() === name.toLowerCase())) continue;
    if (!one.always && !chord && typing(event.target)) continue;
    if (!one.always && !chord && [" ", "Enter"].includes(event.key) && event.target.closest?.("a, button, summary, input, select")) continue;
    event.preventDefault();
    one.run(event);
    return;
  }
});

function help() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "keys-title");
  const title = Object.assign(document.createElement("h2"), { id: "keys-title", textContent: text("script.keys") });
  const pairs = document.createElement("dl");
  pairs.className = "pairs";
  for (const one of bound) {
    const term = document.createElement("dt");
    [one.keys].flat().forEach((keys, at) => {
      if (at) term.append(" ");
      term.append(Object.assign(document.createElement("kbd"), { textContent: keys }));
    });
    pairs.append(term, Object.assign(document.createElement("dd"), { textContent: one.text }));
  }
  const close = Object.assign(document.createElement("button"), { type: "button", textContent: text("script.close") });
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.append(title, pairs, close);
  document.body.append(dialog);
  dialog.showModal();
}
shortcuts([{ keys: "?", text: text("script.keys"), run: help }]);

const guards = [];

/** Ask before the page is left while `dirty()` says so. */
export function guard(dirty) { guards.push(dirty); }
addEventListener("beforeunload", (event) => {
  if (guards.some((dirty) => dirty())) event.preventDefault();
});

// The theme: light or dark, kept in this browser.
const theme = document.getElementById("theme");
const dark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
theme?.setAttribute("aria-pressed", String(dark()));
theme?.addEventListener("click", () => {
  const next = dark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  theme.setAttribute("aria-pressed", String(next === "dark"));
  try { localStorage.setItem("causa-theme", next); } catch { /* Kept for this page alone. */ }
  document.dispatchEvent(new CustomEvent("causa-theme", { detail: next }));
});

// A password may be looked at while it is typed.
for (const input of document.querySelectorAll("input[data-reveal]")) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: text("script.reveal") });
  button.setAttribute("aria-label", input.dataset.reveal);
  button.setAttribute("aria-pressed", "false");
  const box = document.createElement("div");
  box.className = "reveal";
  input.replaceWith(box);
  box.append(input, button);
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
    button.textContent = text(shown ? "script.hide" : "script.reveal");
  });
  input.form?.addEventListener("submit", () => { input.type = "password"; });
}
