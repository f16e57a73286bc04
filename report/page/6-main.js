// The parts joined: what is typed, picked and pressed changes the filter, and the filter what is shown.

class Explorer {
  constructor(events) {
    this.events = events;
    this.filter = new Filter(events);
    this.before = []; // times from before each narrowing
    this.detail = new Detail(events, (change) => this.only(change), (yes) => this.list.tall(yes));
    this.list = new List(events, (i) => this.detail.show(i));
    this.chart = new Chart(events, (from, until) => this.narrow(from, until));
    this.pickers();
    this.listen();
    this.apply();
    this.idle();
  }

  // idle readies the search while nothing else is to be done.
  idle() {
    if (this.filter.prepare(4000)) setTimeout(() => this.idle(), 4);
  }

  pickers() {
    const e = this.events;
    const option = (value, says) => {
      const node = make("option", "", says);
      node.value = value;
      return node;
    };
    byId("by-agent").append(option(-1, "all agents"), ...counted(e.agent).slice(0, 500).map(([agent, n]) => option(agent, `${start(e.texts[agent], 40) || "none"} (${number(n)})`)));
    const keys = new Map();
    e.session.forEach((session, i) => { if (e.key[i]) keys.set(session, e.key[i]); });
    byId("by-session").append(option(-1, "all sessions"), ...counted(e.session).slice(0, 500).map(([session, n]) =>
      option(session, `${start(e.texts[keys.get(session) ?? session], 60) || "none"} (${number(n)})`)));
    const order = GROUPS.flatMap((group) => group.kinds).reverse();
    const rank = ([kind]) => order.indexOf(e.texts[kind]);
    byId("by-kind").append(...counted(e.kind).slice(0, 40).sort((a, b) => rank(b) - rank(a)).map(([kind, n]) => {
      const button = make("button", "", start(e.texts[kind], 40) + " ");
      button.type = "button";
      button.value = kind;
      button.setAttribute("aria-pressed", "false");
      button.append(make("span", "n", number(n)));
      return button;
    }));
  }

  listen() {
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("q").addEventListener("input", () => { this.filter.search = parseSearch(byId("q").value); this.apply(); });
    for (const [id, name] of [["by-level", "level"], ["by-agent", "agent"], ["by-session", "session"]]) {
      byId(id).addEventListener("change", () => { this.filter[name] = Number(byId(id).value); this.apply(); });
    }
    byId("by-kind").addEventListener("click", (event) => this.kind(event.target.closest("button")));
    for (const id of ["from", "until"]) byId(id).addEventListener("change", () => this.typedTime(id));
    byId("reset").addEventListener("click", () => this.reset());
    byId("incident").addEventListener("click", () => {
      const { from, until } = byId("incident").dataset;
      this.narrow(Number(from) - 5 * MINUTE, Number(until) + 5 * MINUTE);
    });
    document.addEventListener("click", (event) => this.jump(event));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  kind(button) {
    if (!button) return;
    const kind = Number(button.value);
    if (!this.filter.kinds.delete(kind)) this.filter.kinds.add(kind);
    this.apply();
  }

  typedTime(id) {
    const text = byId(id).value;
    const at = text === "" ? (id === "from" ? -Infinity : Infinity) : parseTime(text);
    byId(id).setAttribute("aria-invalid", Number.isNaN(at));
    if (Number.isNaN(at)) return;
    this.filter[id] = at;
    this.apply();
  }

  narrow(from, until) {
    this.before.push([this.filter.from, this.filter.until]);
    this.filter.from = from;
    this.filter.until = until;
    this.apply();
  }

  // widen undoes the last narrowing; it reports whether there was one.
  widen() {
    const times = this.before.pop();
    if (!times) return false;
    [this.filter.from, this.filter.until] = times;
    this.apply();
    return true;
  }

  only(change) {
    this.filter.clear();
    Object.assign(this.filter, change);
    this.apply();
  }

  reset() {
    this.before = [];
    this.only({});
  }

  apply() {
    const f = this.filter;
    const rows = f.rows();
    this.list.show(rows, f.search);
    this.chart.show(rows, Number.isFinite(f.from) ? f.from : this.events.first, Number.isFinite(f.until) ? f.until : this.events.last);
    byId("matches").textContent = `${number(rows.length)} of ${number(this.events.n)} events`;
    this.controls();
  }

  // controls makes the form say what is filtered, whoever changed it.
  controls() {
    const f = this.filter;
    if (f.search.length === 0 && parseSearch(byId("q").value).length > 0) byId("q").value = "";
    byId("by-level").value = f.level;
    byId("by-agent").value = f.agent;
    byId("by-session").value = f.session;
    for (const button of byId("by-kind").children) button.setAttribute("aria-pressed", f.kinds.has(Number(button.value)));
    for (const id of ["from", "until"]) {
      if (document.activeElement !== byId(id)) byId(id).value = Number.isFinite(f[id]) ? clock(f[id]).replace(/\.000$/, "") : "";
      byId(id).setAttribute("aria-invalid", "false");
    }
  }

  // jump goes to an event of which a finding speaks.
  jump(event) {
    const link = event.target.closest("a[data-event]");
    if (!link) return;
    event.preventDefault();
    const i = Number(link.dataset.event);
    if (!this.list.rows.includes(i)) this.reset();
    this.list.choose(this.list.rows.indexOf(i));
    this.detail.show(i);
    byId("matches").scrollIntoView();
    byId("list").focus({ preventScroll: true });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return this.escape(event);
    if (event.target.closest("input, select, textarea, button, summary")) return;
    if (event.key === "/") {
      byId("q").focus();
      byId("q").select();
    } else if (event.key === "Enter" && document.activeElement === byId("list") && this.list.event !== undefined) {
      this.detail.show(this.list.event);
    } else if (document.activeElement === byId("list") || event.key === "j" || event.key === "k") {
      if (!this.list.move(event.key)) return;
      if (document.activeElement !== byId("list")) byId("list").focus();
      if (this.detail.isOpen) this.detail.show(this.list.event);
    } else return;
    event.preventDefault();
  }

  // escape closes the panel, else takes back the last narrowing, else leaves the search.
  escape(event) {
    if (this.detail.isOpen) {
      this.detail.close();
      byId("list").focus({ preventScroll: true });
    } else if (!this.widen()) return;
    event.preventDefault();
  }
}

// reach lets the keyboard scroll what does not fit into its box.
function reach(within) {
  for (const node of within.querySelectorAll(".wide, .text")) {
    if (node.scrollWidth > node.clientWidth || node.scrollHeight > node.clientHeight + 1) node.tabIndex = 0;
    else node.removeAttribute("tabindex");
  }
}

// reachAlways keeps to that whatever is unfolded and however the window changes.
function reachAlways() {
  reach(document);
  addEventListener("resize", () => reach(document));
  document.addEventListener("toggle", (event) => reach(event.target), true);
}

// paper opens what is folded before printing, and folds it again.
function paper() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open])")];
    for (const node of opened) node.open = true;
  });
  addEventListener("afterprint", () => { for (const node of opened) node.open = false; });
}

// follow marks in the contents the section that is being read.
function follow() {
  const links = new Map([...document.querySelectorAll(".contents a")].map((a) => [a.getAttribute("href").slice(1), a]));
  const watch = new IntersectionObserver((seen) => {
    for (const s of seen) if (s.isIntersecting) for (const [id, a] of links) a.classList.toggle("here", id === s.target.id);
  }, { rootMargin: "-10% 0px -75% 0px" });
  for (const section of document.querySelectorAll("main > section")) watch.observe(section);
}

function begin() {
  const node = byId("data");
  const raw = JSON.parse(node.textContent); // of a page that was cut short this fails, and what needs no script stays
  node.textContent = "";
  document.documentElement.classList.remove("no-script");
  byId("explorer").hidden = false;
  new Explorer(readEvents(raw));
  paper();
  follow();
  reachAlways();
}

begin();
