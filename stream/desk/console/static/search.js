// The search of the ICD: a combobox over a list. Focus stays in the field; arrows walk the list.
const WAIT_MS = 60;

export class Search {
  #wait = null;
  #number = 0;
  #hits = [];
  #at = 0;
  #done = null;

  /** @param shared the functions of stream/web's script: send, announce, text. */
  constructor(root, path, shared) {
    this.root = root;
    this.path = path;
    Object.assign(this, shared);
    this.label = root.querySelector("label");
    this.field = root.querySelector("input");
    this.list = root.querySelector("[role=listbox]");
    this.none = root.querySelector("#hits-none");
    this.field.addEventListener("input", () => this.#later());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const item = event.target.closest("[role=option]");
      if (item) this.#pick(Number(item.dataset.at));
    });
  }

  /** Opens; `done` gets (hit, typed), or no hit where it was closed. */
  open(label, typed, done) {
    this.#done = done;
    this.label.textContent = label;
    this.field.value = typed;
    this.#show([]);
    this.none.hidden = true;
    this.root.hidden = false;
    this.field.focus();
    this.field.select();
    this.root.scrollIntoView({ block: "nearest" });
    if (typed) this.#ask();
  }

  get isOpen() { return !this.root.hidden; }

  close(hit = null) {
    if (!this.isOpen) return;
    const typed = this.field.value, done = this.#done;
    this.root.hidden = true;
    this.#number += 1;
    clearTimeout(this.#wait);
    done?.(hit, typed);
  }

  #later() {
    clearTimeout(this.#wait);
    this.#wait = setTimeout(() => this.#ask(), WAIT_MS);
  }

  async #ask() {
    const typed = this.field.value.trim(), number = (this.#number += 1);
    if (!typed) { this.#show([]); this.none.hidden = true; return; }
    try {
      const { hits } = await this.send("POST", this.path, { typed });
      if (number !== this.#number || !this.isOpen) return;
      this.#show(hits);
      this.none.hidden = hits.length > 0;
      this.announce(hits.length ? `${hits.length} ${this.text("desk.script.hits")}. ${hits[0].codes.join(" ")} ${hits[0].label}` : this.text("desk.script.no_hits"));
    } catch {
      if (number === this.#number) this.announce(this.text("desk.script.no_answer"));
    }
  }

  #show(hits) {
    this.#hits = hits;
    this.list.replaceChildren(...hits.map((hit, at) => this.#item(hit, at)));
    this.field.setAttribute("aria-expanded", String(hits.length > 0));
    this.#mark(0);
  }

  #item(hit, at) {
    const item = document.createElement("li");
    item.id = `hit-${at}`;
    item.setAttribute("role", "option");
    item.dataset.at = at;
    const put = (kind, name, words, lang) => {
      const part = document.createElement(kind);
      if (name) part.className = name;
      if (lang) part.lang = lang;
      part.textContent = words;
      item.append(part, " ");
    };
    put("b", "mono code", hit.codes.join(" + "));
    put("span", "label", [hit.label, ...hit.others.map(([, label]) => label)].join(" + "), "fr");
    put("span", "matched quiet", hit.matched ? `« ${hit.matched} »` : "", "fr");
    if (hit.unfit) put("span", "badge warn from", this.text("desk.script.unfit"));
    else if (hit.source) put("span", "from quiet", hit.source);
    return item;
  }

  #mark(at) {
    const items = [...this.list.children];
    this.#at = items.length ? Math.min(Math.max(at, 0), items.length - 1) : 0;
    items.forEach((item, number) => item.setAttribute("aria-selected", String(number === this.#at)));
    if (items.length) {
      this.field.setAttribute("aria-activedescendant", `hit-${this.#at}`);
      items[this.#at].scrollIntoView({ block: "nearest" });
    } else this.field.removeAttribute("aria-activedescendant");
  }

  #pick(at) { if (this.#hits[at]) this.close(this.#hits[at]); }

  #key(event) {
    if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    const keys = {
      ArrowDown: () => this.#mark(this.#at + 1), ArrowUp: () => this.#mark(this.#at - 1),
      PageDown: () => this.#mark(this.#at + 5), PageUp: () => this.#mark(this.#at - 5),
      Enter: () => this.#pick(this.#at), Escape: () => this.close(),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat || event.key.startsWith("Arrow")) act();
  }
}
