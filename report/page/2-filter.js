// A search is made of alternatives, each of parts that come one after another. It has no regular expressions: there is no
// way to stop one that the evidence makes slow. One pass over the table of texts is quick however many events there are.

// refang undoes what makes an address harmless, so that it is found however it is typed.
function refang(text) {
  return text.replaceAll("hxxp", "http").replaceAll("[.]", ".").replaceAll("[@]", "@").replaceAll("[:]", ":");
}

function parseSearch(query) {
  const quotes = query.split('"').length % 2 === 1;
  const anyOf = [[""]];
  let exact = false;
  for (const c of refang(query.trim().toLowerCase())) {
    const parts = anyOf[anyOf.length - 1];
    if (c === '"' && quotes) exact = !exact;
    else if (c === "|" && !exact) anyOf.push([""]);
    else if (c === "*" && !exact) parts.push("");
    else parts[parts.length - 1] += c;
  }
  return anyOf.map((parts) => parts.filter((part) => part !== "")).filter((parts) => parts.length > 0);
}

function holds(text, parts) {
  let from = 0;
  for (const part of parts) {
    const at = text.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return true;
}

class Filter {
  constructor(events) {
    this.events = events;
    this.lower = [];
    this.clear();
  }

  clear() {
    this.search = [];
    this.kinds = new Set();
    this.agent = this.session = -1;
    this.level = 0;
    this.from = -Infinity;
    this.until = Infinity;
  }

  // prepare readies the texts for searching, some at a time; it reports whether there are more.
  prepare(some) {
    const texts = this.events.texts;
    const end = Math.min(texts.length, this.lower.length + some);
    for (let i = this.lower.length; i < end; i++) this.lower.push(refang(texts[i].toLowerCase()));
    return end < texts.length;
  }

  // found marks the texts that the search meets; null if there is no search.
  found() {
    if (this.search.length === 0) return null;
    this.prepare(Infinity);
    const hits = new Uint8Array(this.lower.length);
    this.lower.forEach((text, i) => { hits[i] = this.search.some((parts) => holds(text, parts)) ? 1 : 0; });
    return hits;
  }

  // met marks the events that the search meets.
  met(hits) {
    const met = new Uint8Array(this.events.n);
    for (const name of SEARCHED) {
      const column = this.events[name];
      for (let i = 0; i < met.length; i++) met[i] |= hits[column[i]];
    }
    const about = this.events.about;
    about.event.forEach((event, k) => { met[event] |= hits[about.title[k]]; });
    return met;
  }

  // rows lists the events that are asked for.
  rows() {
    const e = this.events;
    const hits = this.found();
    const met = hits && this.met(hits);
    const rows = new Int32Array(e.n);
    let n = 0;
    for (let i = 0; i < e.n; i++) {
      if (e.level[i] < this.level || e.time[i] < this.from || e.time[i] > this.until) continue;
      if (this.agent >= 0 && e.agent[i] !== this.agent || this.session >= 0 && e.session[i] !== this.session) continue;
      if (this.kinds.size > 0 && !this.kinds.has(e.kind[i]) || met && !met[i]) continue;
      rows[n++] = i;
    }
    return rows.subarray(0, n);
  }
}

// parseTime reads a time as people type it, in UTC; NaN if it is none.
function parseTime(text) {
  const m = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?)?Z?$/.exec(text.trim());
  if (!m) return NaN;
  const [year, month, day, hour, minute, second] = m.slice(1, 7).map((part) => Number(part ?? 0));
  return Date.UTC(year, month - 1, day, hour, minute, second, Number((m[7] ?? "").padEnd(3, "0")));
}
