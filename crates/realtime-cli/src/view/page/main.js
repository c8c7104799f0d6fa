// Puts the page together: the head, figures, keys.

/** The figure at this share of a sorted list. */
const quantile = (sorted, share) => sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)];

function waits(log) {
  return log.latencies.map((wait) => wait.to - wait.from).sort((a, b) => a - b);
}

function talkTime(log) {
  const user = log.turns.filter((turn) => turn.kind !== "written").reduce((sum, turn) => sum + (turn.to ?? turn.ends) - turn.from, 0);
  const agent = log.output.spans.reduce((sum, part) => sum + log.heard(part), 0);
  const made = log.output.spans.reduce((sum, part) => sum + log.micros(part, part.rate ? part.total : 0), 0);
  return { user, agent, unheard: Math.max(made - agent, 0) };
}

/** The figures of the head: a name, a value, and whether it is bad news. */
function figures(log) {
  const all = waits(log);
  const { user, agent, unheard } = talkTime(log);
  const { totals } = log;
  const failed = log.functions.filter((call) => !["result", ""].includes(call.end)).length;
  const lost = totals.input_lost + totals.output_lost;
  const trouble = log.marks.filter((mark) => mark.level === "bad").length;
  return [
    ["Length", spanText(log.length)],
    ["User speaks", spanText(user)],
    ["Agent is heard", spanText(agent)],
    unheard > 1e5 ? ["Unheard", spanText(unheard)] : null,
    ["Waits, median", all.length ? spanText(quantile(all, 0.5)) : "none"],
    all.length > 4 ? ["Waits, 95 %", spanText(quantile(all, 0.95)), quantile(all, 0.95) > 1.5e6] : null,
    ["Interruptions", numberText(log.interruptions.length)],
    ["Functions", numberText(log.functions.length) + (failed ? ` (${failed} failed)` : ""), failed > 0],
    log.connections.length > 1 ? ["Connections", numberText(log.connections.length)] : null,
    ["Tokens", `${numberText(totals.tokens.input)} in, ${numberText(totals.tokens.output)} out`],
    totals.cost !== null ? ["Cost", totals.cost.toFixed(4)] : null,
    lost > 0 ? ["Lost audio", spanText(lost), true] : null,
    trouble > 0 ? ["Trouble", plural(trouble, "moment"), true] : null,
  ].filter(Boolean);
}

function numbers() {
  const table = (caption, rows) => make("table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, make("th", {}), logs.map((log) => make("th", { scope: "col" }, logs.length > 1 ? log.label : "")))),
    make("tbody", {}, rows.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name),
      logs.map((log) => make("td", {}, value(log)))))));
  const share = (log, kind) => numberText(log.totals.tokens[kind]);
  const wait = (log, at) => (log.latencies.length ? spanText(quantile(waits(log), at)) : "–");
  const slow = logs.flatMap((log) => log.latencies.map((item) => ({ log, what: "wait", item, at: item.from, end: item.to })))
    .sort((a, b) => b.end - b.at - (a.end - a.at)).slice(0, 12);
  return [
    table("The log", [
      ["File", (log) => log.name],
      ["Model", (log) => log.model],
      ["Voice", (log) => log.voice ?? "–"],
      ["Began", (log) => new Date(log.started / 1000).toISOString().replace("T", " ").replace("Z", " UTC")],
      ["Holds", (log) => log.content.replace(/_/g, " ")],
      ["Dialect, version", (log) => `${log.dialect}, ${log.version}`],
      ["Lines", (log) => numberText(log.events.count ? log.eventLine(log.events.count - 1) : 1)],
      ["Playback", (log) => log.playback],
      ["Sound in this page", (log) => ({ pcm16: "as it was", mu_law: "mu-law", narrow: "mu-law, 8 kHz", nothing: "outline only" })[log.quality]
        + (log.hasSound() || log.quality === "nothing" ? "" : " (the log has none)")],
    ]),
    table("Who speaks", [
      ["User", (log) => spanText(talkTime(log).user)],
      ["Agent, heard", (log) => spanText(talkTime(log).agent)],
      ["Agent, made and not heard", (log) => spanText(talkTime(log).unheard)],
      ["Turns", (log) => numberText(log.turns.length)],
      ["Responses", (log) => numberText(log.responses.length)],
      ["Responses that failed", (log) => numberText(log.responses.filter((response) => ["failed", "incomplete", "lost"].includes(response.end)).length)],
      ["Interruptions", (log) => numberText(log.interruptions.length)],
      ["Lost on the way to the server", (log) => spanText(log.totals.input_lost)],
      ["Lost on the way to the ear", (log) => spanText(log.totals.output_lost)],
    ]),
    table("Waits for the agent's voice", [
      ["Answers", (log) => numberText(log.latencies.length)],
      ["Shortest", (log) => wait(log, 0)],
      ["Median", (log) => wait(log, 0.5)],
      ["95 %", (log) => wait(log, 0.95)],
      ["Longest", (log) => wait(log, 1)],
    ]),
    table("Tokens", [
      ["Read", (log) => share(log, "input")],
      ["… as text", (log) => share(log, "input_text")],
      ["… as audio", (log) => share(log, "input_audio")],
      ["… from the cache", (log) => share(log, "cached")],
      ["Made", (log) => share(log, "output")],
      ["… as text", (log) => share(log, "output_text")],
      ["… as audio", (log) => share(log, "output_audio")],
      ["Transcription", (log) => numberText(log.totals.transcription_tokens)],
      ["Responses without a count", (log) => numberText(log.totals.unreported)],
      ["Cost", (log) => (log.totals.cost === null ? "– (give --prices)" : log.totals.cost.toFixed(5))],
    ]),
    slow.length ? make("div", { class: "slow" }, make("h3", {}, "The longest waits"),
      slow.map((wait) => make("button", { type: "button", class: "link", onclick: () => {
        detail.show(wait);
        clock.reveal(wait.at + wait.log.shift, wait.end + wait.log.shift);
      } }, `${spanText(wait.end - wait.at)} at ${timeText(wait.log, wait.at, 1e5)}${logs.length > 1 ? ` (${wait.log.label})` : ""}`))) : "",
  ];
}

function buildHead() {
  const names = logs.map((log) => log.name).join(" and ");
  document.title = `${names} – a call`;
  byId("title").textContent = names;
  const began = new Date(logs[0].started / 1000);
  byId("subtitle").textContent = [
    [...new Set(logs.map((log) => log.model))].join(", "),
    Number.isNaN(began.getTime()) ? "" : began.toISOString().slice(0, 19).replace("T", " ") + " UTC",
  ].filter(Boolean).join(" · ");
  for (const log of logs) {
    byId("figures").append(make("ul", { "aria-label": `${log.name} in numbers` },
      logs.length > 1 ? make("li", { class: "of-log", title: log.name }, `${log.label} ${log.name}`) : null,
      figures(log).map(([name, value, bad]) => make("li", { class: bad ? "bad" : "" }, make("span", {}, name), make("b", {}, value)))));
    for (const note of log.notes) {
      byId("notes").append(make("p", { class: `level-${note.level}` }, logs.length > 1 ? `${log.label}: ${note.text}` : note.text));
    }
    for (const side of ["input", "output"]) {
      const name = (side === "input" ? "User" : "Agent") + (logs.length > 1 ? ` ${log.label}` : "");
      byId("sides").append(make("button", { type: "button", class: `side ${side}`, "aria-pressed": "true", disabled: !log.hasSound(),
        title: log.hasSound() ? "Heard or not" : "The page has no sound of this log",
        onclick: (event) => {
          const on = !sound.isOn(log, side);
          sound.setOn(log, side, on);
          event.currentTarget.setAttribute("aria-pressed", String(on));
        } }, name));
    }
  }
}

/** Two logs begin together, or stand where the time of day puts them. */
function buildAlignment() {
  if (logs.length < 2) return;
  const [first, second] = logs;
  const apart = second.started - first.started;
  const align = (byDay) => {
    const least = byDay ? Math.min(apart, 0) : 0;
    first.shift = -least;
    second.shift = byDay ? apart - least : 0;
    clock.measure();
    clock.fit();
    lists.moments = conversation();
    lists.open(lists.tab);
  };
  if (apart === 0) return;
  const near = Math.abs(apart) < Math.max(first.length, second.length) + 3e8;
  if (Math.abs(apart) < 7 * 86400e6) {
    byId("align").hidden = false;
    const choice = byId("alignment");
    choice.append(make("option", { value: "begin" }, "both begin at 0"), make("option", { value: "day" }, "time of day"));
    choice.value = near ? "day" : "begin";
    choice.addEventListener("change", () => align(choice.value === "day"));
  }
  align(near && Math.abs(apart) < 7 * 86400e6);
}

const KEYS = [
  [["Space"], "Play or pause", () => sound.toggle()],
  [["+", "="], "Zoom in", () => clock.zoom(1.6)],
  [["-", "−"], "Zoom out", () => clock.zoom(1 / 1.6)],
  [["0"], "The whole call", () => clock.fit()],
  [["ArrowRight"], "Forward by a tenth of the view", () => clock.seek(clock.head + (clock.to - clock.from) / 10)],
  [["ArrowLeft"], "Back by a tenth of the view", () => clock.seek(clock.head - (clock.to - clock.from) / 10)],
  [["ArrowDown"], "The next moment of the conversation", () => stepMoment(1)],
  [["ArrowUp"], "The moment before", () => stepMoment(-1)],
  [["."], "The next event of the log", () => detail.step(1)],
  [[","], "The event before", () => detail.step(-1)],
  [["z"], "Zoom to what is selected", () => {
    const { selected } = clock;
    if (selected) clock.reveal(selected.at + selected.log.shift, selected.end + selected.log.shift);
  }],
  [["Home"], "The beginning", () => clock.seek(0)],
  [["End"], "The end", () => clock.seek(clock.length)],
  [["/"], "Search", () => byId("query").focus()],
  [["n"], "The next hit", () => lists.step(1)],
  [["p"], "The hit before", () => lists.step(-1)],
  [["d"], "Light or dark", () => turnTheme()],
  [["?"], "This list", () => byId("help").showModal()],
];

/** The moment of the conversation before or after the playhead. */
function stepMoment(by) {
  const { moments } = lists;
  const key = (index) => (moments[index].order ?? moments[index].at) + moments[index].log.shift;
  const here = moments.findIndex(({ item }) => item === clock.selected?.item);
  const after = firstIndex(moments.length, (index) => key(index) > clock.head);
  const to = here >= 0 ? here + by : by > 0 ? after : after - 1;
  if (to < 0 || to >= moments.length) return;
  if (lists.tab === "conversation") lists.rows.choose(to);
  else detail.show(moments[to]);
}

function buildKeys() {
  for (const [keys, what] of KEYS) {
    byId("help-keys").append(make("dt", {}, make("kbd", {}, keys[0].replace("Arrow", ""))), make("dd", {}, what));
  }
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (target.id === "query") {
      if (event.key === "Escape") {
        target.value = "";
        lists.search("");
        byId("lanes").focus();
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const onControl = ["BUTTON", "INPUT", "SELECT"].includes(target.tagName);
    if (onControl && (event.key === " " || event.key === "Enter" || target.tagName === "SELECT")) return;
    const name = event.key === " " ? "Space" : event.key;
    const found = KEYS.find(([keys]) => keys.includes(name));
    if (!found) return;
    event.preventDefault();
    found[2]();
    if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(name)) sound.moved();
  });
}

function turnTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  readColours();
  clock.changed();
}

function start() {
  loadLogs();
  for (const log of logs) log.label = "AB"[log.number] ?? String(log.number);
  readColours();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColours();
    clock.changed();
  });
  clock.measure();
  buildHead();
  stage.build();
  lists.build();
  buildAlignment();
  buildKeys();
  clock.fit();
  byId("play").addEventListener("click", () => sound.toggle());
  byId("in").addEventListener("click", () => clock.zoom(1.6));
  byId("out").addEventListener("click", () => clock.zoom(1 / 1.6));
  byId("fit").addEventListener("click", () => clock.fit());
  byId("theme").addEventListener("click", () => turnTheme());
  byId("keys").addEventListener("click", () => byId("help").showModal());
  let waiting = 0;
  byId("query").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => lists.search(event.target.value), 150);
  });
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    if (lists.query !== byId("query").value.trim()) lists.search(byId("query").value);
    lists.step(1);
  });
  clear(byId("detail")).append(make("p", { class: "empty" }, "Select something: its lines of the log stand here."));
  document.documentElement.dataset.ready = "true";
}

start();
