// A task in hand. Focus lives in the grid of lines; single keys act only there, so that they are nobody else's.
// The modules are asked for by the addresses that the page names: with their hashes, and the shared one only once.
const $ = (id) => document.getElementById(id);
const { send, announce, shortcuts, text } = await import(document.querySelector('script[src*="/web/causa.js"]').src);
const { Draft, placeOf } = await import($("task").dataset.draftJs);
const { Search } = await import($("task").dataset.searchJs);
const task = $("task"), grid = $("grid"), state = $("state"), bannerSlot = $("banner");
const given = JSON.parse($("draft").textContent);
const base = `/task/${task.dataset.claim}`;
const query = task.dataset.query ? `?${task.dataset.query}` : "";
const QUIET_MS = 350;  // a key held from the last certificate must not decide this one
const opened = performance.now();

const draft = new Draft(given.kept, !given.own);
const search = new Search($("search"), `${base}/search`, { send, announce, text });
let seen = task.dataset.revision ? Number(task.dataset.revision) : null;  // of the proposal; nobody is told of one when blind
let changed = given.changed, cell = null, asked = 0, drawn = 0, leaving = false, lost = false, keepOld = false, lastKey = performance.now(), lastBeat = lastKey;

// ---- focus

const cells = () => [...grid.querySelectorAll("[data-cell]")];
const find = (name) => grid.querySelector(`[data-cell="${CSS.escape(name)}"]`);
const place = (name) => { const [row, at] = name.split(":"); return { row: Number(row), at: /^\d+$/.test(at) ? Number(at) : null }; };

function go(name, focus = true) {
  const known = (name && find(name)) || (name && find(`${place(name).row}:text`)) || cells()[0];
  if (!known) return;
  for (const one of cells()) { one.tabIndex = -1; one.classList.remove("current"); }
  known.tabIndex = 0;
  known.classList.add("current");
  cell = known.dataset.cell;
  const { row, at } = place(cell);
  for (const mark of grid.querySelectorAll("mark")) {
    const here = mark.closest("[data-row]").dataset.row === String(row);
    mark.classList.toggle("current", here && at !== null && mark.dataset.places.split(" ").includes(String(at)));
  }
  if (focus) { known.focus({ preventScroll: true }); known.scrollIntoView({ block: "nearest" }); }
}

const home = () => go(cell);
const rowOf = (row) => cells().filter((one) => place(one.dataset.cell).row === row);

function step(by) {
  const all = cells(), at = all.findIndex((one) => one.dataset.cell === cell);
  const next = all[at + by];
  if (next) go(next.dataset.cell);
}

function rowStep(by) {
  const rows = [...grid.querySelectorAll("[data-row]")], at = rows.findIndex((one) => Number(one.dataset.row) === place(cell).row);
  const next = rows[at + by];
  if (next) go(next.querySelector("[data-cell]").dataset.cell);
}

function doubt() {
  const all = cells(), at = all.findIndex((one) => one.dataset.cell === cell);
  const ring = [...all.slice(at + 1), ...all.slice(0, at + 1)];
  const next = ring.find((one) => one.matches(".chip.doubtful, .chip.gap") || one.querySelector(".none"));
  if (next) go(next.dataset.cell);
  else announce(text("desk.script.no_doubt"));
}

// ---- the draft goes to the server after each edit, and the screen comes back

async function edited(name) {
  if (name) cell = name;
  const number = (asked += 1);
  state.textContent = text("desk.script.saving");
  try {
    const answer = await send("POST", `${base}/edit`, { draft: draft.data, auto: draft.auto });
    if (number < drawn) return;
    drawn = number;
    if (number === asked) {
      draft.data.underlying = answer.underlying;
      changed = answer.changed;
      const held = grid.contains(document.activeElement) || document.activeElement === document.body;
      grid.innerHTML = answer.lines;
      $("cause").innerHTML = answer.cause;
      go(cell, held && !search.isOpen);
      state.textContent = text("desk.script.saved");
      announce(answer.told);
    }
  } catch (fault) {
    await refused(fault, () => edited());
  }
}

async function refused(fault, again) {
  const body = fault?.answer ?? {};
  leaving = false;
  if (body.refusal === "SUPERSEDED" && body.banner) return told(body.banner);
  if (["CLAIM_LOST", "NO_TASK", "SHREDDED"].includes(body.refusal)) return gone(body.text);
  if (body.warnings) return confirmed(body.warnings);
  if (body.refusal === "REASON_MISSING") return why("why-change", (reason) => decide({ reason }));
  if (body.faults) { say(body.faults.map((one) => one.text).filter((one, at, all) => all.indexOf(one) === at).join(" · ")); return undefined; }
  if (body.text) return say(body.text);
  if (fault?.status === 401) return say(text("desk.script.logged_out"));
  say(text("desk.script.no_answer"));
  if (again) setTimeout(again, 3000);
  return undefined;
}

function say(words) {
  state.textContent = words;
  state.classList.add("loud");
  setTimeout(() => state.classList.remove("loud"), 4000);
  announce(words);
}

function gone(words) {
  lost = true;
  notice("bad", words, [[text("desk.script.to_queue"), () => { window.location.assign(`/queue${query}`); }]]);
}

// ---- what came meanwhile

function notice(kind, words, buttons) {
  const box = document.createElement("div");
  box.className = `notice ${kind}`;
  const line = document.createElement("p");
  line.textContent = words;
  box.append(line);
  const bar = document.createElement("p");
  bar.className = "toolbar";
  for (const [label, act] of buttons) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", act);
    bar.append(button);
  }
  box.append(bar);
  bannerSlot.replaceChildren(box);
  bannerSlot.scrollIntoView({ block: "nearest" });
}

async function leaveFor(path, body = {}) {
  try {
    const answer = await send("POST", `${path}${query}`, body);
    window.location.assign(answer.next);
  } catch (fault) { await refused(fault); }
}

function told(banner) {
  const news = `${banner.kind} ${banner.version} ${banner.revision}`;
  if (bannerSlot.dataset.told === news) return;
  bannerSlot.dataset.told = news;
  keepOld = false;  // who kept to one thing has not heard of the next
  const refresh = () => leaveFor(`${base}/refresh`), revised = banner.kind === "REVISED", buttons = [];
  if (revised || banner.kind === "AMENDED") {
    const keep = () => {
      if (revised) seen = banner.revision;
      else keepOld = true;
      bannerSlot.replaceChildren();
      home();
      accept();
    };
    buttons.push([text(revised ? "desk.script.see_proposal" : "desk.script.see_new"), refresh]);
    buttons.push([text(revised ? "desk.script.keep_codes" : "desk.script.keep_old"), keep]);
  } else buttons.push([text("desk.script.go_on"), refresh]);
  notice(buttons.length > 1 ? "warn" : "bad", banner.text, buttons);
}

async function beat() {
  if (leaving || lost) return;
  const now = performance.now(), idle = Math.min(now - lastKey, now - lastBeat);
  lastBeat = now;
  try {
    const answer = await send("POST", `${base}/beat`, { idle_s: Math.max(0, idle / 1000), seen }, { background: true });
    if (answer.banner) told(answer.banner);
  } catch (fault) { await refused(fault); }
}

// ---- deciding

const shown = (severity) => [...document.querySelectorAll(`#cause [data-severity="${severity}"]`)].map((one) => one.dataset.edit);

async function decide({ reason = "", second = false, confirm = [] } = {}) {
  if (leaving || lost) return;
  leaving = true;
  pending = { reason, second, confirm };
  state.textContent = text("desk.script.saving");
  // What only warns stood on the screen; what would reject is asked about.
  const whole = { ...draft.data, reason, second, seen, keep_old: keepOld, confirmed: [...shown("warn"), ...confirm] };
  try {
    const answer = await send("POST", `${base}/decide${query}`, { draft: whole });
    window.location.assign(answer.next);
  } catch (fault) { await refused(fault); }
}
let pending = {};

function accept(second = false, tries = 40) {
  if (performance.now() - opened < QUIET_MS || leaving || lost) return;
  if (asked > drawn) {  // an edit is still on its way
    if (tries) setTimeout(() => accept(second, tries - 1), 50);
    else say(text("desk.script.no_answer"));
    return;
  }
  const news = bannerSlot.querySelector("button");
  if (news && !keepOld) {  // nothing is decided on an old version by habit
    say(bannerSlot.querySelector("p").textContent);
    news.focus();
    return;
  }
  if (!draft.data.underlying) { say(text("desk.script.no_cause")); return; }
  // Whoever gives a second opinion or adjudicates may give a reason, a first coding must.
  if (changed && task.dataset.kind === "FIRST") why("why-change", (reason) => decide({ reason, second }));
  else decide({ second });
}

function confirmed(warnings) {
  const box = $("confirm");
  $("confirm-list").replaceChildren(...warnings.map((one) => {
    const item = document.createElement("li");
    item.className = one.severity === "reject" ? "bad" : "warn";
    item.textContent = one.text;
    return item;
  }));
  box.onclick = (event) => {
    if (!event.target.closest("[data-confirm]")) return;
    box.close();
    decide({ ...pending, confirm: [...pending.confirm, ...warnings.map((one) => one.id)] });
  };
  box.onkeydown = (event) => { if (digit(event) === 1) { event.preventDefault(); box.querySelector("[data-confirm]").click(); } };
  box.showModal();
}

// ---- dialogs

const digit = (event) => (/^(Digit|Numpad)[1-9]$/.test(event.code) && !event.ctrlKey && !event.altKey && !event.metaKey ? Number(event.code.slice(-1)) : 0);

function why(id, done) {
  const box = $(id), buttons = [...box.querySelectorAll("[data-why]")], note = box.querySelector("textarea");
  const pick = (button) => { box.close(); done(button.dataset.why, note ? note.value : ""); };
  box.onclick = (event) => { const button = event.target.closest("[data-why]"); if (button) pick(button); };
  box.onkeydown = (event) => {
    if (event.target === note) return;
    const at = buttons.indexOf(document.activeElement);
    const letter = buttons.find((one) => one.querySelector("kbd").textContent === event.key.toLowerCase());
    if (digit(event) && buttons[digit(event) - 1]) { event.preventDefault(); pick(buttons[digit(event) - 1]); }
    else if (letter && !event.ctrlKey && !event.altKey && !event.metaKey && /^[a-z]$/.test(event.key)) { event.preventDefault(); pick(letter); }
    else if (event.key === "ArrowDown") { event.preventDefault(); buttons[Math.min(at + 1, buttons.length - 1)].focus(); }
    else if (event.key === "ArrowUp") { event.preventDefault(); buttons[Math.max(at - 1, 0)].focus(); }
  };
  box.showModal();
  buttons[0]?.focus();
}

for (const box of document.querySelectorAll("dialog")) {
  box.addEventListener("click", (event) => { if (event.target.closest("[data-close]")) box.close(); });
  box.addEventListener("close", () => { if (!leaving) home(); });
}

// ---- acts

function hand(id, path) { why(id, (reason, note) => { leaving = true; leaveFor(path, { why: reason, note }); }); }

const rowName = (row) => grid.querySelector(`[data-row="${row}"] .line-name`).textContent;

function add() {
  const { row } = place(cell), here = find(cell), gap = here.classList.contains("gap");
  // Blind, the lexicon is asked with the coder's own words only.
  const bare = !task.dataset.blind && !draft.line(row).codes.length ? find(`${row}:text`).dataset.text : "";
  const words = gap ? here.querySelector(".label span").textContent.replace(/[«»\u202f]/g, "").trim() : bare;
  const span = gap ? [Number(here.dataset.start), Number(here.dataset.end)] : null;
  const line = find(`${row}:text`).dataset.text;
  search.open(`${text("desk.script.add")} ${rowName(row)}`, words, (hit, typed) => {
    if (!hit) { home(); return; }
    const at = draft.add(row, hit.codes, span ?? placeOf(line, typed));
    home();
    edited(`${row}:${at}`);
  });
}

function replaced() {
  const { row, at } = place(cell);
  if (at === null) { add(); return; }
  const code = draft.line(row).codes[at], line = Array.from(find(`${row}:text`).dataset.text);
  const words = code.start === null ? "" : line.slice(code.start, code.end).join("");
  search.open(`${text("desk.script.replace")} ${code.code}`, words, (hit) => {
    if (hit) { draft.replace(row, at, hit.codes); home(); edited(); } else home();
  });
}

function cause() {
  search.open(text("desk.script.cause"), draft.data.underlying, (hit, typed) => {
    if (hit) { draft.cause(hit.codes[0]); home(); edited(); }
    else { if (!typed.trim() && !draft.auto) { draft.cause(null); edited(); } home(); }
  });
}

function other(number) {
  const { row, at } = place(cell);
  const side = given.sides[row];
  if (at === null && side && number <= 2) { draft.set(row, side[number - 1]); edited(`${row}:text`); return; }
  if (at === null) return;
  const code = find(cell).dataset.others.split(" ")[number - 1];
  if (code) { draft.replace(row, at, [code]); edited(); }
}

function remove() {
  const { row, at } = place(cell);
  if (at === null) return;
  draft.remove(row, at);
  const left = draft.line(row).codes.length;
  edited(left ? `${row}:${Math.min(at, left - 1)}` : `${row}:text`);
}

function move(by) {
  const { row, at } = place(cell);
  if (at === null) return;
  const there = draft.move(row, at, row + by);
  if (there !== null) edited(`${row + by}:${there}`);
}

function swap(by) {
  const { row, at } = place(cell);
  if (at === null) return;
  const there = draft.swap(row, at, by);
  if (there !== null) edited(`${row}:${there}`);
}

function tie() {
  const { row, at } = place(cell);
  if (at !== null && draft.tie(row, at)) edited();
}

function undo() {
  if (draft.undo()) { edited(); return; }
  const last = document.querySelector('[data-act="undo"]').dataset.last;
  if (!last) { announce(text("desk.script.nothing_to_undo")); state.textContent = text("desk.script.nothing_to_undo"); return; }
  why("why-undo", (reason) => { leaving = true; leaveFor(`/decisions/${encodeURIComponent(last)}/undo`, { why: reason }); });
}

function look(id) {
  const title = $(id);
  if (!title) { announce(text("desk.script.nothing_there")); return; }
  title.focus();
  title.scrollIntoView({ block: "nearest" });
}

const acts = {
  accept: () => accept(), second: () => accept(true), undo, help: () => $("keys").showModal(),
  escalate: () => $("why-escalate") && hand("why-escalate", `${base}/escalate`),
  skip: () => hand("why-skip", `${base}/skip`),
  back: () => $("why-back") && hand("why-back", `${base}/back`),
  release: () => { leaving = true; leaveFor(`${base}/release`); },
};

const keys = {
  ArrowDown: () => rowStep(1), ArrowUp: () => rowStep(-1), ArrowRight: () => step(1), ArrowLeft: () => step(-1),
  Home: () => go(cells()[0].dataset.cell), End: () => go(cells().at(-1).dataset.cell),
  Enter: acts.accept, o: acts.second, e: acts.escalate, p: acts.skip, z: undo, q: acts.release, b: acts.back,
  a: add, r: replaced, c: cause, t: tie, Delete: remove, Backspace: remove, d: doubt,
  w: () => look("cause-title"), h: () => look("alike-title"), "?": acts.help,
};
const shifted = { ArrowUp: () => move(-1), ArrowDown: () => move(1), ArrowLeft: () => swap(-1), ArrowRight: () => swap(1), "?": acts.help };

grid.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const number = event.shiftKey ? 0 : digit(event);
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const act = number ? () => other(number) : event.shiftKey ? shifted[event.key] : keys[name];
  if (!act) return;
  event.preventDefault();
  // A key that is held walks, and does nothing else.
  if (!event.repeat || name.startsWith("Arrow")) act();
});

grid.addEventListener("click", (event) => {
  const here = event.target.closest("[data-cell]"), mark = event.target.closest("mark");
  if (mark) go(`${place(here.dataset.cell).row}:${mark.dataset.places.split(" ")[0]}`);
  else if (here) go(here.dataset.cell);
  const option = event.target.closest(".other");
  if (option) other([...option.parentElement.children].indexOf(option) + 1);
});

document.addEventListener("keydown", (event) => {
  lastKey = performance.now();
  if (document.querySelector("dialog[open]") || event.isComposing || event.defaultPrevented || event.key !== "Escape") return;
  event.preventDefault();
  home();
}, { passive: false });
shortcuts([
  { keys: "Ctrl+Enter", text: "", run: (event) => { if (!event.repeat) { search.close(); accept(); } } },
  { keys: "?", text: "", run: acts.help },
]);
document.addEventListener("pointermove", () => { lastKey = performance.now(); }, { passive: true });
document.querySelector(".actions").addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) acts[button.dataset.act]();
});

go(null);
const firstBanner = bannerSlot.querySelector("[data-kind]");
if (firstBanner) told({ kind: firstBanner.dataset.kind, version: Number(firstBanner.dataset.version), revision: 0, text: firstBanner.textContent.trim() });
setInterval(beat, Number(task.dataset.beat) * 1000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) beat(); });
task.dataset.ready = "1";
