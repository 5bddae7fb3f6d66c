// Charts, tables that can be sorted, the filter of the groups. All figures are on the page without it, in tables.

const language = document.documentElement.lang || "fr";

/** A colour of the style sheet as the canvas understands it, in the theme of the moment. */
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function faded(rgb, share) {
  const parts = rgb.match(/[\d.]+/g).slice(0, 3);
  return `rgb(${parts.join(" ")} / ${share})`;
}

let saying;
function announce(message) {
  clearTimeout(saying);
  saying = setTimeout(() => { document.getElementById("live").textContent = message; }, 150);
}

class Chart {
  constructor(place) {
    this.place = place;
    this.data = JSON.parse(document.getElementById(place.dataset.chart).textContent);
    this.readout = document.getElementById(place.getAttribute("aria-describedby"));
    this.at = this.data.x.length - 1;
    this.draw();
    place.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.fit()).observe(place);
  }

  columns() {
    const d = this.data;
    // The estimate's line begins at the last count that is complete, so that the two join.
    const joined = d.estimate.map((value, i) => value ?? (d.estimate[i + 1] != null ? d.count[i] : null));
    const whole = d.count.map((value, i) => (d.estimate[i] == null ? value : null));
    const partial = d.count.map((value, i) => (d.estimate[i] != null || d.estimate[i + 1] != null ? value : null));
    return [d.x, d.low, d.high, d.threshold, d.expected, joined, partial, whole];
  }

  draw() {
    const ink = colour("--ink-quiet"), line = colour("--line");
    const [count, expected, threshold] = [colour("--series-1"), colour("--series-6"), colour("--series-2")];
    const alarm = colour("--bad"), day = this.data.step === "DAY";
    const span = this.data.x.at(-1) - this.data.x[0], months = span > 100 * 86400;
    const format = new Intl.DateTimeFormat(language, months
      ? { month: "short", year: "2-digit", timeZone: "UTC" } : { day: "numeric", month: "short", timeZone: "UTC" });
    const numbers = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
    const few = this.data.x.length < 3;
    const none = { show: false };
    this.chart?.destroy();
    this.chart = new uPlot({
      width: Math.max(260, this.place.clientWidth), height: this.height(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false }, points: { size: 7 } },
      scales: { x: { time: true }, y: { range: (u, low, high) => [0, Math.max(1, high ?? 1) * 1.08] } },
      bands: [{ series: [2, 1], fill: faded(count, 0.22) }],
      series: [
        {},
        { stroke: faded(count, 0.4), width: 1, points: none },
        { stroke: faded(count, 0.4), width: 1, points: none },
        { stroke: threshold, width: 1.5, dash: [6, 4], points: none },
        { stroke: expected, width: 2, points: none },
        { stroke: count, width: 1.5, dash: [2, 3], points: none },
        { stroke: faded(count, 0.55), width: 1.5, points: none },
        { stroke: count, width: 2.25, points: { show: few, size: 6 } },
      ],
      axes: [
        { stroke: ink, font: "13px system-ui, sans-serif", grid: { show: false }, ticks: { stroke: line },
          values: (u, splits) => splits.map((seconds) => format.format(new Date(seconds * 1000))), space: 70,
          splits: months ? (u, axis, low, high) => this.months(u, low, high) : undefined,
          incrs: day ? [86400, 7 * 86400, 14 * 86400, 28 * 86400] : [7 * 86400, 14 * 86400, 28 * 86400] },
        { stroke: ink, font: "13px system-ui, sans-serif", grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 64,
          label: this.place.dataset.axis, labelFont: "13px system-ui, sans-serif", labelSize: 22,
          values: (u, splits) => splits.map((value) => numbers.format(value)) },
      ],
      hooks: {
        drawClear: [(u) => this.shade(u, line)],
        draw: [(u) => this.marks(u, alarm)],
        setCursor: [(u) => { if (u.cursor.idx != null) this.tell(u.cursor.idx); }],
      },
    }, this.columns(), this.place);
  }

  /** First days of months, no more of them than there is room for. */
  months(u, low, high) {
    const found = [], first = new Date(low * 1000), room = Math.max(2, Math.floor(u.bbox.width / devicePixelRatio / 70));
    const all = (high - low) / (30.4 * 86400), every = [1, 2, 3, 6, 12, 24].find((months) => all / months <= room) ?? 60;
    for (let month = 0; ; month += 1) {
      const at = Date.UTC(first.getUTCFullYear(), month) / 1000;
      if (at > high) return found;
      if (at >= low && month % every === 0) found.push(at);
    }
  }

  height() { return window.innerWidth < 640 ? 240 : 320; }

  fit() {
    const width = this.place.clientWidth;
    if (width && Math.abs(width - this.chart.width) > 1) this.chart.setSize({ width: Math.max(260, width), height: this.height() });
  }

  /** Steps whose count is hidden, as grey columns. */
  shade(u, line) {
    const { ctx } = u, half = (this.data.step === "DAY" ? 43200 : 3.5 * 86400);
    ctx.save();
    ctx.fillStyle = faded(line, 0.55);
    for (const i of this.data.hidden) {
      const left = Math.max(u.bbox.left, u.valToPos(this.data.x[i] - half, "x", true));
      const right = Math.min(u.bbox.left + u.bbox.width, u.valToPos(this.data.x[i] + half, "x", true));
      if (right > left) ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
    }
    ctx.restore();
  }

  /** Alarms as triangles: told by their form as well as by their colour. */
  marks(u, alarm) {
    const { ctx } = u, size = 6 * devicePixelRatio;
    ctx.save();
    ctx.fillStyle = alarm;
    for (const i of this.data.alarm) {
      const value = this.data.estimate[i] ?? this.data.count[i];
      if (value == null || this.data.x[i] < u.scales.x.min || this.data.x[i] > u.scales.x.max) continue;
      const x = u.valToPos(this.data.x[i], "x", true), y = u.valToPos(value, "y", true);
      ctx.beginPath();
      ctx.moveTo(x, y - size);
      ctx.lineTo(x + size, y + 0.7 * size);
      ctx.lineTo(x - size, y + 0.7 * size);
      ctx.fill();
    }
    // A count between two that are hidden has no line to lie on.
    ctx.fillStyle = colour("--series-1");
    this.data.count.forEach((value, i) => {
      if (value == null || this.data.count[i - 1] != null || this.data.count[i + 1] != null) return;
      ctx.beginPath();
      ctx.arc(u.valToPos(this.data.x[i], "x", true), u.valToPos(value, "y", true), 3 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fill();
    });
    ctx.restore();
  }

  tell(i) {
    this.at = i;
    this.readout.textContent = this.data.sentences[i];
  }

  key(event) {
    const last = this.data.x.length - 1;
    const to = { ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 0, End: last }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const i = Math.min(last, Math.max(0, to));
    this.chart.setCursor({ left: this.chart.valToPos(this.data.x[i], "x"), top: 10 });
    this.tell(i);
    announce(this.data.sentences[i]);
  }
}

const charts = [...document.querySelectorAll(".chart")].map((place) => new Chart(place));
const again = () => charts.forEach((chart) => chart.draw());
new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, at) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "sort", textContent: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "descending" && !(at === 0 && head.getAttribute("aria-sort") === null);
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "descending" : "ascending");
      const value = (row) => row.cells[at].dataset.value ?? row.cells[at].textContent;
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        const found = at === 0 ? x.localeCompare(y) : x - y;
        return up ? -found : found;
      });
      body.append(...rows);
    });
  });
}

const plain = (words) => words.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
for (const input of document.querySelectorAll("input[data-filter]")) {
  const told = document.getElementById(input.getAttribute("aria-describedby"));
  const sections = [...document.getElementById(input.dataset.filter).querySelectorAll(".family")];
  input.closest("[hidden]").hidden = false;
  input.addEventListener("input", () => {
    const words = plain(input.value).split(/\s+/).filter(Boolean);
    let count = 0;
    for (const section of sections) {
      let left = 0;
      for (const item of section.querySelectorAll("li")) {
        item.hidden = !words.every((word) => plain(`${item.dataset.words} ${item.textContent}`).includes(word));
        left += item.hidden ? 0 : 1;
      }
      section.hidden = !left;
      count += left;
    }
    told.textContent = words.length ? (count === 1 ? told.dataset.one : told.dataset.other.replace("#", count)) : "";
  });
}
