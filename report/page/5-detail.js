// The panel that shows all that is known of one event.

const SHOWN = 2000;

class Detail {
  constructor(events, only, tall) {
    this.events = events;
    this.only = only;
    this.tall = tall;
    this.box = byId("detail");
    this.covers = matchMedia("(max-width: 1000px)"); // the finding that a link leads to
  }

  get isOpen() {
    return !this.box.hidden;
  }

  close() {
    this.box.hidden = true;
    byId("browser").classList.remove("open");
    this.tall(false);
  }

  show(i) {
    const e = this.events;
    const top = make("div", "top");
    const close = make("button", "", "Close");
    close.type = "button";
    close.addEventListener("click", () => { this.close(); byId("list").focus(); });
    const title = make("h3", "", e.texts[e.kind[i]] + " #" + e.texts[e.id[i]]);
    top.append(title, close);
    this.box.replaceChildren(top, ...this.about(i), this.text(e.what[i]), this.facts(i), this.tools(i));
    this.box.hidden = false;
    this.box.scrollTop = 0;
    byId("browser").classList.add("open");
    this.tall(true);
    reach(this.box);
  }

  // about lists the findings that speak of the event.
  about(i) {
    const found = findingsOf(this.events, i);
    if (found.length === 0) return [];
    const list = make("ul", "about");
    for (const f of found.slice(0, 50)) {
      const item = make("li");
      const title = make(f.card ? "a" : "span", "", f.title);
      if (f.card) title.href = "#f" + f.card;
      title.addEventListener("click", () => { if (this.covers.matches) this.close(); });
      item.append(badge(f.level), " ", title);
      list.append(item);
    }
    if (found.length > 50) list.append(make("li", "aside", `and ${number(found.length - 50)} more`));
    return [list];
  }

  text(index) {
    const whole = this.events.texts[index];
    const box = make("div");
    const code = make("code", "text", whole.slice(0, SHOWN));
    box.append(code);
    if (whole.length > SHOWN) {
      const more = make("button", "", `Show all (${number(whole.length)} characters)`);
      more.type = "button";
      more.addEventListener("click", () => { code.textContent = whole; more.remove(); reach(this.box); });
      box.append(more);
    }
    const size = this.events.cut.get(index);
    if (size) box.append(make("p", "note", `The page holds the first ${bytes(this.events.held)} of ${bytes(size)}; the rest is in the evidence.`));
    return box;
  }

  facts(i) {
    const e = this.events;
    const text = (name) => e.texts[e[name][i]];
    const facts = [
      ["Time (UTC)", clock(e.time[i]) + (e.untimed[i] ? " (of the record before: it bears none of its own)" : "")],
      ["Agent", text("agent")], ["Who asked", text("asker")], ["Calls itself", text("name")], ["Tool", text("tool")], ["To or from", text("target")],
      ["How it ended", text("ending")], ["Error", text("error")], ["Directory", text("cwd")], ["Path recorded", text("recorded")],
      ["Size", e.bytes[i] ? bytes(e.bytes[i]) : ""], ["Returned", e.returned[i] ? bytes(e.returned[i]) : ""],
      ["Process", e.pid[i] ? String(e.pid[i]) : ""], ["Rule", text("rule")], ["Marks", text("marks")],
      ["Session", [text("key"), text("session")].filter(Boolean).join(" ")], ["Call", text("call")], ["Follows", text("parent")],
      ["Recorded in", text("source") ? `${text("source")}, line ${e.line[i]} (${text("form")})` : ""], ["SHA-256", text("digest")],
    ];
    const list = make("dl");
    for (const [name, value] of facts) if (value) list.append(make("dt", "", name), make("dd", "", start(value, 4000)));
    return list;
  }

  tools(i) {
    const e = this.events;
    const tools = make("div", "tools");
    const add = (says, change) => {
      const button = make("button", "", says);
      button.type = "button";
      button.addEventListener("click", () => this.only(change));
      tools.append(button);
    };
    if (e.session[i]) add("Only this session", { session: e.session[i] });
    add("The minute around it", { from: e.time[i] - 30 * SECOND, until: e.time[i] + 30 * SECOND });
    return tools;
  }
}
