// The density chart: a bar for each stretch of time, stacked by what the events are, and above it the worst finding of that
// stretch. Heights go with the square root, so that one loud minute leaves the others visible; the lines say how many.

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const STEPS = [1, 10, 100, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 91 * DAY, 365 * DAY, 3650 * DAY, 36500 * DAY];
const LANE = 20, BARS = 120, AXIS = 20, LEFT = 40, BAR = 9;

function stepFor(span, most) {
  return STEPS.find((step) => span / step <= most) ?? span / most;
}

function spanWords(ms) {
  for (const [size, word] of [[DAY, "day"], [HOUR, "hour"], [MINUTE, "minute"], [SECOND, "second"]]) {
    if (ms >= size) return number(Math.round(ms / size)) + " " + word + (Math.round(ms / size) === 1 ? "" : "s");
  }
  return ms + " ms";
}

function tickWords(ms, step) {
  const text = clock(ms);
  if (step >= DAY) return text.slice(0, -13);
  if (step >= MINUTE) return text.slice(-18, -7);
  return step >= SECOND ? text.slice(-12, -4) : text.slice(-12);
}

class Chart {
  constructor(events, narrow) {
    this.events = events;
    this.narrow = narrow;
    this.plot = byId("plot");
    this.cursor = -1;
    for (const group of GROUPS) {
      const item = make("li");
      const box = draw("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" });
      box.append(draw("rect", { width: 12, height: 12, rx: 2, class: "g-" + group.name }));
      item.append(box, group.says);
      byId("legend").append(item);
    }
    this.listen();
  }

  show(rows, from, until) {
    this.rows = rows;
    this.from = from;
    this.until = Math.max(until, from + 1);
    this.render();
  }

  count() {
    const most = Math.max(8, Math.floor((this.width - LEFT) / BAR));
    this.step = stepFor(this.until - this.from, most - 1);
    this.start = Math.floor(this.from / this.step) * this.step;
    const length = Math.floor((this.until - this.start) / this.step) + 1;
    this.bars = Array.from({ length }, () => ({ all: 0, groups: GROUPS.map(() => 0), worst: 0, found: 0 }));
    const e = this.events;
    for (const i of this.rows) {
      const bar = this.bars[Math.floor((e.time[i] - this.start) / this.step)];
      if (!bar) continue;
      bar.all++;
      bar.groups[e.group[i]]++;
      if (e.level[i] > 0) bar.found++;
      if (e.level[i] > bar.worst) bar.worst = e.level[i];
    }
    this.most = this.bars.reduce((most, bar) => Math.max(most, bar.all), 1);
  }

  render() {
    this.width = Math.max(280, this.plot.clientWidth);
    this.count();
    this.wide = (this.width - LEFT) / this.bars.length;
    const height = LANE + BARS + AXIS;
    const svg = draw("svg", { viewBox: `0 0 ${this.width} ${height}`, height, "aria-hidden": "true" });
    this.lines(svg);
    this.bars.forEach((bar, i) => this.bar(svg, bar, i));
    this.ticks(svg);
    this.mark = draw("rect", { class: "cursor", y: 0, height: LANE + BARS, width: 0 });
    svg.append(this.mark);
    this.plot.replaceChildren(svg);
    byId("bucket").textContent = "a bar is " + spanWords(this.step) + "; the lines say how many";
    this.point(-1);
    this.table();
  }

  tall(n) {
    return Math.sqrt(n / this.most) * BARS;
  }

  lines(svg) {
    const scale = Math.pow(10, Math.floor(Math.log10(this.most)));
    for (const n of new Set([this.most, Math.round(scale / (this.most < 3 * scale ? 2 : 1))])) {
      if (n < 1) continue;
      const y = LANE + BARS - this.tall(n);
      svg.append(draw("line", { class: "grid", x1: LEFT, x2: this.width, y1: y, y2: y }));
      const label = draw("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" });
      label.textContent = n >= 10000 ? Math.round(n / 1000) + "k" : number(n);
      svg.append(label);
    }
    svg.append(draw("line", { class: "base", x1: LEFT, x2: this.width, y1: LANE + BARS, y2: LANE + BARS }));
  }

  bar(svg, bar, i) {
    const x = LEFT + i * this.wide;
    const width = Math.max(1, Math.min(this.wide - 1, 40));
    let y = LANE + BARS;
    const tall = bar.all && Math.max(3, this.tall(bar.all));
    bar.groups.forEach((n, g) => {
      if (n === 0) return;
      const height = tall * n / bar.all;
      y -= height;
      svg.append(draw("rect", { class: "g-" + GROUPS[g].name, x, y, width, height: Math.max(0.5, height - (height > 4 ? 1 : 0)) }));
    });
    if (bar.worst === 0) return;
    const size = bar.worst > 3 ? 13 : 9;
    const level = LEVELS[bar.worst];
    svg.append(draw("use", { href: "#m-" + level, class: "f-" + level, x: x + width / 2 - size / 2, y: (LANE - size) / 2 - 1, width: size, height: size }));
  }

  ticks(svg) {
    const step = stepFor(this.until - this.from, Math.max(2, Math.floor(this.width / 110)));
    const perMs = (this.width - LEFT) / (this.bars.length * this.step);
    for (let at = Math.ceil(this.start / step) * step; at < this.start + this.bars.length * this.step; at += step) {
      const x = LEFT + (at - this.start) * perMs;
      if (x > this.width - 60) break;
      svg.append(draw("line", { class: "base", x1: x, x2: x, y1: LANE + BARS, y2: LANE + BARS + 4 }));
      const label = draw("text", { x, y: LANE + BARS + 16 });
      label.textContent = tickWords(at, step);
      svg.append(label);
    }
  }

  // point shows which bar is meant, and says what it holds.
  point(i, to = i) {
    this.cursor = i;
    const shown = i >= 0 && i < this.bars.length;
    this.mark.setAttribute("x", LEFT + Math.min(i, to) * this.wide);
    this.mark.setAttribute("width", shown ? (Math.abs(to - i) + 1) * this.wide : 0);
    this.mark.setAttribute("class", i === to ? "cursor" : "brush");
    if (shown) byId("readout").textContent = this.words(Math.min(i, to), Math.max(i, to));
    else byId("readout").textContent = "Click a bar, or drag over several, to narrow the time.";
  }

  words(i, to) {
    const bars = this.bars.slice(i, to + 1);
    const sum = (of) => bars.reduce((n, bar) => n + of(bar), 0);
    const all = sum((bar) => bar.all), found = sum((bar) => bar.found), worst = Math.max(...bars.map((bar) => bar.worst));
    const counts = GROUPS.map((group, g) => [sum((bar) => bar.groups[g]), group.says]);
    const parts = counts.filter(([n]) => n > 0).map(([n, says]) => number(n) + " " + says);
    const of = found ? `; ${number(found)} of findings, the worst ${LEVELS[worst]}` : "";
    const span = [i, to + 1].map((n) => clock(this.start + n * this.step).slice(0, -4)).join(" to ");
    return `${span}: ${number(all)} ${all === 1 ? "event" : "events"}${all ? " (" + parts.join(", ") + ")" : ""}${of}`;
  }

  // table says the same in words, once somebody unfolds it.
  table() {
    if (!byId("density-table").closest("details").open) return;
    const body = byId("density-table").tBodies[0];
    body.replaceChildren();
    this.bars.forEach((bar, i) => {
      if (bar.all === 0) return;
      const row = body.insertRow();
      row.insertCell().textContent = clock(this.start + i * this.step);
      for (const n of [bar.all, ...bar.groups]) {
        const cell = row.insertCell();
        cell.className = "num";
        cell.textContent = number(n);
      }
      row.insertCell().textContent = LEVELS[bar.worst] || "none";
    });
  }

  choose(i, to) {
    const from = this.start + Math.min(i, to) * this.step;
    const until = this.start + (Math.max(i, to) + 1) * this.step - 1;
    this.narrow(Math.max(from, this.from), Math.min(until, this.until));
  }

  at(event) {
    const x = event.clientX - this.plot.getBoundingClientRect().left;
    return Math.min(this.bars.length - 1, Math.max(0, Math.floor((x - LEFT) / this.wide)));
  }

  listen() {
    let down = -1;
    this.plot.addEventListener("pointerdown", (event) => {
      down = this.at(event);
      this.plot.setPointerCapture(event.pointerId);
    });
    this.plot.addEventListener("pointermove", (event) => {
      if (down >= 0) this.point(down, this.at(event));
      else this.point(this.at(event));
    });
    this.plot.addEventListener("pointerup", (event) => {
      if (down >= 0) this.choose(down, this.at(event));
      down = -1;
    });
    this.plot.addEventListener("pointercancel", () => { down = -1; });
    this.plot.addEventListener("pointerleave", () => { if (down < 0) this.point(-1); });
    this.plot.addEventListener("keydown", (event) => this.key(event));
    byId("density-table").closest("details").addEventListener("toggle", () => this.table());
    let width = 0;
    new ResizeObserver(() => {
      if (this.rows && this.plot.clientWidth !== width) this.render();
      width = this.plot.clientWidth;
    }).observe(this.plot);
  }

  key(event) {
    const last = this.bars.length - 1;
    const to = { ArrowLeft: Math.max(0, this.cursor - 1), ArrowRight: Math.min(last, this.cursor + 1), Home: 0, End: last }[event.key];
    if (to !== undefined) this.point(to);
    else if (event.key === "Enter" && this.cursor >= 0) this.choose(this.cursor, this.cursor);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
