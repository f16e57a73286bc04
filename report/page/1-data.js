// The events come as columns of numbers; those of texts point into one table of texts. Texts from the evidence reach the
// page through textContent alone, never as markup.

const LEVELS = ["", "info", "low", "medium", "high", "critical"];

// What the bars of the chart tell apart.
const GROUPS = [
  { name: "did", says: "did", kinds: ["exec", "write", "edit", "spawn"] },
  { name: "looked", says: "looked", kinds: ["read", "fetch", "browse", "result", "tool"] },
  { name: "said", says: "said", kinds: ["message"] },
  { name: "records", says: "setup and records", kinds: [] },
];

const NUMBERS = ["bytes", "returned", "pid", "line"];

// SEARCHED are the columns in which a search looks.
const SEARCHED = ["what", "target", "tool", "id", "agent", "session", "key", "asker", "name", "recorded", "cwd", "error", "marks", "rule", "source",
  "call", "kind"];

function byId(id) {
  return document.getElementById(id);
}

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function draw(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  return node;
}

function shape(level) {
  const svg = draw("svg", { class: "mark", "aria-hidden": "true" });
  svg.append(draw("use", { href: "#m-" + LEVELS[level] }));
  return svg;
}

function badge(level) {
  const node = make("span", "level l-" + LEVELS[level]);
  node.append(shape(level), LEVELS[level]);
  return node;
}

function number(n) {
  return n.toLocaleString("en-US");
}

function clock(ms) {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? "no time" : date.toISOString().replace("T", " ").replace("Z", "");
}

// bytes says a size as the rest of the page does: 999 B, 1.2 MB.
function bytes(n) {
  if (n < 1000) return n + " B";
  const units = ["kB", "MB", "GB", "TB", "PB", "EB"];
  let unit = 0;
  for (n /= 1000; n >= 999.95 && unit < units.length - 1; n /= 1000) unit++;
  return n.toFixed(1) + " " + units[unit];
}

function readEvents(raw) {
  const events = { texts: raw.texts, held: raw.held, cut: new Map(), n: raw.columns.time.length };
  for (const name in raw.columns) {
    events[name] = NUMBERS.includes(name) ? Float64Array.from(raw.columns[name]) : Int32Array.from(name === "time" ? [] : raw.columns[name]);
  }
  events.time = new Float64Array(events.n);
  let at = 0;
  raw.columns.time.forEach((step, i) => { events.time[i] = at += step; });
  for (let i = 0; i < raw.cut.length; i += 2) events.cut.set(raw.cut[i], raw.cut[i + 1]);
  events.group = groupsOf(events);
  events.about = raw.findings;
  events.first = events.n ? events.time.reduce((a, b) => Math.min(a, b)) : 0;
  events.last = events.n ? events.time.reduce((a, b) => Math.max(a, b)) : 0;
  return events;
}

function groupsOf(events) {
  const groups = new Uint8Array(events.n);
  const known = new Map();
  GROUPS.forEach((group, g) => group.kinds.forEach((kind) => known.set(kind, g)));
  for (let i = 0; i < events.n; i++) groups[i] = known.get(events.texts[events.kind[i]]) ?? GROUPS.length - 1;
  return groups;
}

// findingsOf lists the findings that speak of an event.
function findingsOf(events, i) {
  const list = [];
  const about = events.about;
  for (let k = 0; k < about.event.length; k++) {
    if (about.event[k] === i) list.push({ title: events.texts[about.title[k]], level: about.level[k], card: about.card[k] });
  }
  return list.sort((a, b) => b.level - a.level);
}

// counted returns the values of a column with how often each comes, the most frequent first.
function counted(column) {
  const counts = new Map();
  for (const value of column) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}
