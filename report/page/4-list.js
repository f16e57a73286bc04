// The list holds in the document only the rows that can be seen: however many events there are, it is as quick.

const OVERSCAN = 6;

class List {
  constructor(events, open) {
    this.events = events;
    this.open = open;
    this.box = byId("list");
    this.body = byId("rows");
    this.small = matchMedia("(max-width: 700px)");
    this.rows = new Int32Array(0);
    this.now = -1;
    this.wasTall = false;
    this.search = [];
    this.box.addEventListener("scroll", () => this.render(), { passive: true });
    this.box.addEventListener("click", (event) => this.click(event));
    new ResizeObserver(() => this.render()).observe(this.box);
    this.small.addEventListener("change", () => this.show(this.rows, this.search));
  }

  // tall makes rows of two lines, for where there is no room for one.
  tall(yes) {
    if (this.box.classList.toggle("tall", yes) !== this.wasTall) this.show(this.rows, this.search);
    this.wasTall = yes;
  }

  get height() {
    return this.small.matches || this.box.classList.contains("tall") ? 58 : 34;
  }

  // show takes new rows and stays at the chosen event if it is among them.
  show(rows, search) {
    const chosen = this.event;
    this.rows = rows;
    this.search = search;
    this.body.style.height = rows.length * this.height + "px";
    this.box.setAttribute("aria-rowcount", rows.length + 1);
    this.now = chosen === undefined ? -1 : rows.indexOf(chosen);
    if (this.now >= 0) this.reveal();
    else this.box.scrollTop = 0;
    this.render();
  }

  get event() {
    return this.now < 0 ? undefined : this.rows[this.now];
  }

  render() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.height) - OVERSCAN);
    const last = Math.min(this.rows.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / this.height) + OVERSCAN);
    const shown = document.createDocumentFragment();
    for (let n = first; n < last; n++) shown.append(this.row(n));
    if (this.rows.length === 0) shown.append(make("p", "none", "No event fits. Take something away from the search, or show everything."));
    this.body.replaceChildren(shown);
    if (this.now >= first && this.now < last) this.box.setAttribute("aria-activedescendant", "row-" + this.now);
    else this.box.removeAttribute("aria-activedescendant");
  }

  row(n) {
    const e = this.events, i = this.rows[n];
    const text = (name) => e.texts[e[name][i]];
    const row = make("div", n === this.now ? "row now" : "row");
    row.id = "row-" + n;
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", n + 2);
    if (n === this.now) row.setAttribute("aria-selected", "true");
    row.style.transform = `translateY(${n * this.height}px)`;
    const severity = make("span", "sev");
    if (e.level[i] > 0) severity.append(badge(e.level[i]));
    const what = make("span", "what");
    this.highlight(what, start(line(e, i), 400));
    if (text("ending")) what.append(" ", make("span", "end", "→ " + text("ending")));
    row.append(make("span", "at", (e.untimed[i] ? "~" : "") + clock(e.time[i])), severity, make("span", "kind", text("kind")),
      make("span", "by", [text("agent"), text("asker") === "unknown" ? "" : text("asker")].filter(Boolean).join("/")), what);
    for (const cell of row.children) cell.setAttribute("role", "gridcell");
    return row;
  }

  // highlight shows a text with what the search met in it.
  highlight(node, text) {
    const lower = text.toLowerCase();
    const words = lower.length === text.length ? this.search.flat() : [];
    let done = 0;
    while (done < text.length) {
      let at = -1, word = "";
      for (const w of words) {
        const found = lower.indexOf(w, done);
        if (found >= 0 && (at < 0 || found < at)) [at, word] = [found, w];
      }
      if (at < 0) break;
      node.append(text.slice(done, at), make("mark", "", text.slice(at, at + word.length)));
      done = at + word.length;
    }
    node.append(text.slice(done));
  }

  click(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    this.choose(Number(row.getAttribute("aria-rowindex")) - 2);
    this.open(this.event);
  }

  choose(n) {
    if (this.rows.length === 0) return;
    this.now = Math.min(this.rows.length - 1, Math.max(0, n));
    this.reveal();
    this.render();
  }

  reveal() {
    const top = this.now * this.height, head = this.small.matches ? 0 : 36;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + this.height + head > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + this.height + head - this.box.clientHeight;
  }

  // move answers a key; it reports whether the key was one of its own.
  move(key) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.height) - 2);
    const to = {
      j: this.now + 1, ArrowDown: this.now + 1, k: this.now - 1, ArrowUp: this.now - 1, PageDown: this.now + page, PageUp: this.now - page,
      Home: 0, End: this.rows.length - 1,
    }[key];
    if (to === undefined) return false;
    this.choose(to);
    return true;
  }
}

function start(text, n) {
  return text.length > n ? text.slice(0, n) + "…" : text;
}

// line says in one line what an event was, as the command line does.
function line(e, i) {
  const text = (name) => e.texts[e[name][i]];
  const what = text("what");
  switch (text("kind")) {
    case "exec": return what || "(command not in the evidence)";
    case "write": case "edit": return e.bytes[i] > 0 ? `${what} (${bytes(e.bytes[i])})` : what;
    case "message": return text("target") ? text("target") + ": " + what : what;
    case "session": return what;
  }
  const lead = [text("tool"), text("target") === what ? "" : text("target")].filter(Boolean).join(" ");
  return lead ? lead + ": " + what : what;
}
