// The draft: codes by line as they stand on the screen, with a way back for every change. Knows no page.

/** Accents, capitals and ligatures taken apart, one raw character at a time, so that places stay known. */
function folded(text) {
  const out = [];
  Array.from(text).reduce((at, char) => {
    for (const one of char.normalize("NFKD").toLowerCase().replace("œ", "oe").replace("æ", "ae")) {
      if (/[a-z0-9]/.test(one)) out.push([one, at, at + char.length]);
      else if (!/\p{M}/u.test(one) && (!out.length || out[out.length - 1][0] !== " ")) out.push([" ", at, at + char.length]);
    }
    return at + char.length;
  }, 0);
  return out;
}

/** Where typed words stand in a line, or null. Offsets count characters as Python does, not halves of pairs. */
export function placeOf(text, typed) {
  const line = folded(text), words = folded(typed).map(([c]) => c).join("").trim();
  if (words.length < 3) return null;
  const at = line.map(([c]) => c).join("").indexOf(words);
  if (at < 0) return null;
  const points = (units) => Array.from(text.slice(0, units)).length;
  return [points(line[at][1]), points(line[at + words.length - 1][2])];
}

export class Draft {
  /** @param data {part1: [{codes: [{code, start, end, due_to}]}], part2, underlying}; auto: the cause follows the rules. */
  constructor(data, auto) {
    this.state = { data: structuredClone(data), auto };
    this.past = [];
  }

  get data() { return this.state.data; }
  get auto() { return this.state.auto; }

  line(row) {
    const first = this.data.part1.length;
    return row < first ? this.data.part1[row] : this.data.part2[row - first];
  }

  get rows() { return this.data.part1.length + this.data.part2.length; }

  change(work) {
    this.past.push(structuredClone(this.state));
    if (this.past.length > 200) this.past.shift();
    work();
  }

  undo() {
    if (!this.past.length) return false;
    this.state = this.past.pop();
    return true;
  }

  /** Puts codes into a line, the first at `place`; gives the place of the first. A code that stands there already stays once. */
  add(row, codes, span, place = null) {
    const line = this.line(row);
    const [start, end] = span ?? [null, null];
    const news = codes.filter((code) => !line.codes.some((c) => c.code === code && c.start === start && c.end === end));
    if (!news.length) return line.codes.findIndex((c) => c.code === codes[0]);
    const at = place ?? (start === null ? line.codes.length : line.codes.filter((c) => c.start !== null && c.start <= start).length);
    this.change(() => {
      this.#shift(line, at, news.length);
      line.codes.splice(at, 0, ...news.map((code) => ({ code, start, end, due_to: null })));
    });
    return at;
  }

  replace(row, place, codes) {
    this.change(() => {
      const line = this.line(row), old = line.codes[place];
      old.code = codes[0];
      const more = codes.slice(1).filter((code) => !line.codes.some((c) => c.code === code && c.start === old.start));
      this.#shift(line, place + 1, more.length);
      line.codes.splice(place + 1, 0, ...more.map((code) => ({ code, start: old.start, end: old.end, due_to: null })));
    });
  }

  remove(row, place) {
    this.change(() => this.#take(this.line(row), place));
  }

  /** Moves a code to another line: its words stay behind, so that it stands for the whole line there. */
  move(row, place, to) {
    if (to < 0 || to >= this.rows) return null;
    let at = 0;
    this.change(() => {
      const [one] = this.#take(this.line(row), place);
      at = this.line(to).codes.length;
      this.line(to).codes.push({ ...one, start: null, end: null, due_to: null });
    });
    return at;
  }

  swap(row, place, by) {
    const codes = this.line(row).codes, other = place + by;
    if (other < 0 || other >= codes.length) return null;
    this.change(() => {
      [codes[place], codes[other]] = [codes[other], codes[place]];
      for (const one of codes) {
        if (one.due_to === place) one.due_to = other;
        else if (one.due_to === other) one.due_to = place;
      }
    });
    return other;
  }

  /** "due to": this code was caused by the one behind it, or by none. */
  tie(row, place) {
    const codes = this.line(row).codes;
    if (codes.length < 2) return false;
    this.change(() => {
      const choices = [null, ...codes.keys()].filter((k) => k !== place);
      codes[place].due_to = choices[(choices.indexOf(codes[place].due_to ?? null) + 1) % choices.length];
    });
    return true;
  }

  set(row, codes) {
    this.change(() => { this.line(row).codes = structuredClone(codes); });
  }

  cause(code) {
    this.change(() => { this.data.underlying = code ?? ""; this.state.auto = code === null; });
  }

  #take(line, place) {
    const taken = line.codes.splice(place, 1);
    for (const one of line.codes) {
      if (one.due_to === place) one.due_to = null;
      else if (one.due_to !== null && one.due_to > place) one.due_to -= 1;
    }
    return taken;
  }

  #shift(line, at, by) {
    for (const one of line.codes) if (one.due_to !== null && one.due_to >= at) one.due_to += by;
  }
}
