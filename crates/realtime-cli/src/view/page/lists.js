// The lists: the conversation, all events, numbers, and what a search found. Only the rows in sight exist.

/** A list whose rows are made while it is scrolled. */
class Rows {
  constructor(panel, { height, label, count, row, pick }) {
    Object.assign(this, { height, count, row, pick, active: -1 });
    this.space = make("div", { class: "space" });
    this.box = make("div", { class: "rows", role: "listbox", tabindex: 0, "aria-label": label }, this.space);
    this.space.style.height = `${Math.min(count * height, 8_000_000)}px`;
    this.box.addEventListener("scroll", () => this.fill());
    this.box.addEventListener("keydown", (event) => this.key(event));
    panel.append(this.box);
    this.seen = new ResizeObserver(() => this.fill());
    this.seen.observe(this.box);
    this.fill();
  }

  end() {
    this.seen.disconnect();
  }

  /** Browsers do not scroll as far as a day of events is long: positions are stretched. */
  stretch() {
    return Math.max((this.count * this.height - this.box.clientHeight)
      / Math.max(this.space.offsetHeight - this.box.clientHeight, 1), 1);
  }

  fill() {
    const stretch = this.stretch();
    const top = this.box.scrollTop * stretch;
    const first = Math.max(Math.floor(top / this.height) - 4, 0);
    const last = Math.min(Math.ceil((top + this.box.clientHeight) / this.height) + 4, this.count);
    const rows = [];
    for (let index = first; index < last; index++) {
      const row = this.row(index);
      row.id = `row-${index}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", String(index === this.active));
      row.setAttribute("aria-posinset", String(index + 1));
      row.setAttribute("aria-setsize", String(this.count));
      row.style.transform = `translateY(${index * this.height - top + this.box.scrollTop}px)`;
      row.style.height = `${this.height}px`;
      row.addEventListener("click", () => this.choose(index));
      rows.push(row);
    }
    this.space.replaceChildren(...rows);
    if (this.active >= 0) this.box.setAttribute("aria-activedescendant", `row-${this.active}`);
  }

  show(index) {
    this.active = index;
    const stretch = this.stretch();
    const top = this.box.scrollTop * stretch;
    if (index * this.height < top || (index + 1) * this.height > top + this.box.clientHeight) {
      this.box.scrollTop = (index * this.height - this.box.clientHeight / 3) / stretch;
    }
    this.fill();
  }

  choose(index) {
    if (index < 0 || index >= this.count) return;
    this.show(index);
    this.pick(index);
  }

  key(event) {
    const page = Math.max(Math.floor(this.box.clientHeight / this.height) - 1, 1);
    const to = { ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page,
      PageUp: this.active - page, Home: 0, End: this.count - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(clamp(to, 0, this.count - 1));
  }
}

const CLASSES = ["talk", "response", "function", "setup", "connection", "trouble", "words", "audio", "other"];

const lists = {
  tab: "conversation",
  rows: null,
  hidden: new Set(["words", "audio", "other"]),
  hits: [],
  query: "",

  build() {
    const tabs = byId("tabs");
    for (const [name, label] of [["conversation", "Conversation"], ["events", "Events"], ["numbers", "Numbers"], ["found", "Found"]]) {
      tabs.append(make("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel",
        onclick: () => this.open(name) }, label));
    }
    tabs.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.stopPropagation();
      const all = [...tabs.children].filter((tab) => !tab.hidden);
      const next = all[(all.indexOf(document.activeElement) + by + all.length) % all.length];
      next.focus();
      next.click();
    });
    for (const name of CLASSES) {
      byId("filters").append(make("label", { class: `class-${name}` },
        make("input", { type: "checkbox", checked: !this.hidden.has(name), onchange: (event) => {
          if (event.target.checked) this.hidden.delete(name);
          else this.hidden.add(name);
          this.open("events");
        } }), name));
    }
    this.moments = conversation();
    this.open("conversation");
  },

  open(name) {
    this.tab = name;
    for (const tab of byId("tabs").children) {
      const chosen = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    byId("tab-found").hidden = this.query === "";
    byId("filters").hidden = name !== "events";
    byId("panel").setAttribute("aria-labelledby", `tab-${name}`);
    this.rows?.end();
    this.rows = null;
    const panel = clear(byId("panel"));
    if (name === "numbers") panel.append(...numbers());
    else this.rows = this[`${name}Rows`](panel);
  },

  conversationRows(panel) {
    if (this.moments.length === 0) panel.append(make("p", { class: "empty" }, "Nobody says anything in this log."));
    return new Rows(panel, {
      height: 46, label: "Conversation", count: this.moments.length,
      row: (index) => momentRow(this.moments[index]),
      pick: (index) => detail.show(this.moments[index]),
    });
  },

  eventsRows(panel) {
    const shown = [];
    for (const log of logs) {
      const visible = log.events.kinds.map(([, , kind]) => !this.hidden.has(kind));
      for (let event = 0; event < log.events.count; event++) if (visible[log.kindNumber(event)]) shown.push([log, event]);
    }
    if (logs.length > 1) shown.sort((a, b) => a[0].eventAt(a[1]) + a[0].shift - b[0].eventAt(b[1]) - b[0].shift);
    const rows = new Rows(panel, {
      height: 26, label: "Events", count: shown.length,
      row: (index) => eventRow(...shown[index]),
      pick: (index) => detail.event(...shown[index]),
    });
    const near = firstIndex(shown.length, (index) => shown[index][0].eventAt(shown[index][1]) + shown[index][0].shift >= clock.head);
    if (near > 0 && near < shown.length) rows.show(near);
    return rows;
  },

  foundRows(panel) {
    if (this.hits.length === 0) panel.append(make("p", { class: "empty" }, "Nothing found."));
    return new Rows(panel, {
      height: 46, label: "Found", count: this.hits.length,
      row: (index) => momentRow(this.hits[index]),
      pick: (index) => detail.show(this.hits[index]),
    });
  },

  /** Looks for words in what was said and done, then in all events. */
  search(query) {
    this.query = query.trim();
    this.hits = this.query ? find(this.query) : [];
    stage.found = this.hits.map((hit) => hit.at + hit.log.shift);
    byId("hits").textContent = this.query ? plural(this.hits.length, "hit") : "";
    if (this.query) this.open("found");
    else if (this.tab === "found") this.open("conversation");
    else byId("tab-found").hidden = true;
    clock.changed();
  },

  /** Goes to another hit. */
  step(by) {
    if (this.hits.length === 0) return;
    if (this.tab !== "found") this.open("found");
    this.rows.choose((this.rows.active + by + this.hits.length) % this.hits.length);
  },
};

/** All that a person would tell of the call, in its order. */
function conversation() {
  const moments = [];
  for (const log of logs) {
    for (const turn of log.turns) {
      moments.push({ log, what: "turn", item: turn, at: turn.from, end: turn.to ?? turn.ends, order: turn.start });
    }
    log.output.spans.forEach((part, number) => {
      const at = part.runs[0]?.[0] ?? part.first;
      const last = part.runs.at(-1);
      const end = last ? last[0] + log.micros(part, last[2] - last[1]) : part.last;
      moments.push({ log, what: "part", item: part, number, at, end });
    });
    for (const call of log.functions) moments.push({ log, what: "function", item: call, at: call.start, end: call.ends });
    for (const item of log.interruptions) moments.push({ log, what: "interruption", item, at: item.start, end: item.at });
    for (const mark of log.marks) moments.push({ log, what: "mark", item: mark, at: mark.at, end: mark.at });
  }
  const key = (moment) => (moment.order ?? moment.at) + moment.log.shift;
  return moments.sort((a, b) => key(a) - key(b));
}

function momentRow(moment) {
  const { log, what, item } = moment;
  const who = { turn: item.role ?? "user", part: "agent", function: "tool", interruption: "barge-in",
    mark: { info: "note", warning: "warning", bad: "trouble" }[item.level], event: "event" }[what];
  const [title, ...lines] = describe[what](log, item);
  const words = what === "turn" ? turnText(item) : what === "part" ? partText(item) : title;
  const rest = what === "turn" || what === "part" ? lines.slice(1) : lines;
  const text = make("span", { class: "words" });
  if (what === "part" && item.text) {
    const heard = log.heardText(item);
    text.append(item.text.slice(0, heard));
    if (heard < item.text.length) text.append(make("s", {}, item.text.slice(heard)));
  } else text.append(words);
  return make("div", { class: `row moment is-${what} level-${item.level ?? ""}` },
    make("time", {}, timeText(log, moment.at, 1e5)),
    logs.length > 1 ? make("b", { class: "log" }, log.label) : null,
    make("span", { class: "who" }, who),
    text,
    make("span", { class: "rest" }, rest.filter(Boolean).join(" · ")));
}

function eventRow(log, event) {
  const [from, name, kind] = log.eventKind(event);
  const fold = log.events.folds[event];
  return make("div", { class: `row event class-${kind}` },
    make("time", {}, timeText(log, log.eventAt(event))),
    logs.length > 1 ? make("b", { class: "log" }, log.label) : null,
    make("span", { class: `from from-${from}` }, from),
    make("span", { class: "name" }, name, fold ? make("i", {}, ` × ${numberText(fold[0])}`) : null));
}

/** The most hits that are shown. */
const MOST_HITS = 2000;

function find(query) {
  const low = query.toLowerCase();
  const hits = conversation().filter(({ log, what, item }) => {
    const said = { turn: () => [item.text], part: () => [item.text], function: () => [item.name, item.arguments, item.output],
      mark: () => [item.title, item.text], interruption: () => [] }[what]();
    return said.some((text) => text && text.toLowerCase().includes(low));
  });
  // The pool is ASCII: what is not is escaped there.
  const ascii = JSON.stringify(query).slice(1, -1).replace(/[<>&\u007f-\uffff]/g,
    (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"));
  const pattern = new RegExp(ascii.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "gi");
  for (const log of logs) {
    const names = log.events.kinds.map(([, name]) => name.toLowerCase().includes(low));
    const events = new Set();
    for (let event = 0; event < log.events.count && events.size < MOST_HITS; event++) {
      if (names[log.kindNumber(event)]) events.add(event);
    }
    let match;
    while (events.size < MOST_HITS && (match = pattern.exec(log.pool))) events.add(log.eventOfPlace(match.index));
    for (const event of [...events].sort((a, b) => a - b)) {
      const at = log.eventAt(event);
      hits.push({ log, what: "event", item: event, at, end: at });
    }
  }
  return hits;
}
