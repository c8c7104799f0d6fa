// What is selected: in words, and the lines of the log behind it.

/** A selection in a few lines: a title, and what else is worth saying. */
function summary({ log, what, item, number, event }) {
  const told = describe[what](log, item, number ?? event);
  return logs.length > 1 ? [`${log.label}: ${told[0]}`, ...told.slice(1)] : told;
}

const describe = {
  turn: (log, turn) => [
    turn.kind === "written" ? `${turn.role} writes` : "The user speaks",
    turnText(turn),
    turn.kind === "written" ? `at ${timeText(log, turn.start)}`
      : `${timeText(log, turn.from)} to ${turn.stop === null ? "the end" : timeText(log, turn.to ?? turn.stop)}`,
    turn.kind === "speech" && turn.stop !== null
      ? `told ${spanText(turn.start - turn.from)} after it began and ${spanText(Math.max(turn.stop - turn.to, 0))} after it ended`
      : "",
    turn.said !== null && turn.stop !== null && turn.kind !== "written"
      ? `transcript ${spanText(Math.max(turn.said - turn.stop, 0))} later` : "",
  ],
  part: (log, part) => [
    part.out_of_band ? "The model answers, beside the conversation" : part.spoken ? "The agent speaks" : "The agent writes",
    partText(part),
    part.rate > 0 ? `heard ${spanText(log.heard(part))} of ${spanText(log.micros(part, part.total))}${part.guessed ? " (a guess: nothing was reported)" : ""}` : "",
    part.cut ? `cut: ${spanText(part.cut.heard)} heard${part.cut.estimated ? " (estimated)" : ""}, ${part.cut.told}` : "",
  ],
  wait: (log, wait) => [
    `${spanText(wait.to - wait.from)} of waiting`,
    "from the end of the turn to the agent's voice",
    wait.functions > 0 ? `${plural(wait.functions, "function")} ran meanwhile` : "",
  ],
  response: (log, response) => [
    `Response ${response.end || "still running"}`,
    response.reason,
    response.out_of_band ? "beside the conversation" : "",
    response.origin === "client" ? "this side asked" : response.origin === "server" ? "the server answered by itself" : "",
    response.done !== null ? `ran ${spanText(response.done - response.created)}` : "",
    response.usage ? `${numberText(response.usage.input)} tokens read, ${numberText(response.usage.output)} made` : "",
    response.cost !== null ? `cost ${response.cost.toFixed(5)}` : "",
    response.dropped > 0 ? `${numberText(response.dropped)} bytes of audio came after the interruption` : "",
  ],
  function: (log, call) => [
    `${call.name}(${brief(call.arguments)})`,
    call.stop === null ? "never ended" : `${call.end.replace(/_/g, " ")} after ${spanText(call.stop - call.start)}`,
    call.hosted ? "run by the service" : "",
    brief(call.output),
  ],
  interruption: (log, interruption) => [
    "The user interrupts",
    interruption.parts.length === 0 ? "before anything was heard"
      : `${spanText(interruption.heard)} heard of ${spanText(interruption.received)}`,
    `settled after ${spanText(interruption.at - interruption.start)}`,
  ],
  mark: (log, mark) => [mark.title, mark.text],
  connection: (log, link) => [
    `Connection ${link.number}`,
    link.endpoint > 0 ? `endpoint ${link.endpoint}` : "",
    link.open === null ? "never open" : `open after ${spanText(link.open - link.start)}`,
    link.ready !== null && link.open !== null ? `ready ${spanText(link.ready - link.open)} later` : "",
    link.end === null ? "open to the end of the log" : link.reason,
  ],
  unsent: (log, gap) => ["Audio that was not sent", spanText(gap.end - gap.start)],
  event: (log, event) => {
    const [from, name] = log.eventKind(event);
    const fold = log.events.folds[event];
    return [
      name,
      `from the ${{ app: "application", timer: "clock" }[from] ?? from}`,
      fold ? `stands for ${plural(fold[0], "line")} up to ${timeText(log, fold[1])}${fold[2] ? `, ${numberText(fold[2])} bytes of audio` : ""}` : "",
    ];
  },
};

const detail = {
  /** Shows a selection, and marks it on the clock. */
  show(selection, { seek = true } = {}) {
    clock.select(selection, { seek });
    const { log, what, item } = selection;
    const event = what === "event" ? item : item.event;
    const [title, ...told] = summary(selection);
    // The words of a part that was cut stand below, with the unheard ones struck out.
    const lines = what === "part" && log.heardText(item) < item.text.length ? told.slice(1) : told;
    announce([title, ...lines].filter(Boolean).join(", "));
    const box = clear(byId("detail"));
    box.append(make("h2", {}, title));
    box.append(make("p", { class: "when" }, `at ${timeText(log, selection.at)}`));
    for (const line of lines.filter(Boolean)) box.append(make("p", {}, line));
    box.append(this.more(selection));
    if (event !== undefined) box.append(this.lines(log, event));
  },

  /** Shows an event of the table. */
  event(log, event, options) {
    const at = log.eventAt(event);
    this.show({ log, what: "event", item: event, at, end: at }, options);
  },

  /** What else belongs to an item. */
  more(selection) {
    const { log, what, item } = selection;
    const box = make("div", { class: "more" });
    const field = (name, text) => {
      if (text) box.append(make("h3", {}, name), make("pre", {}, ...jsonPieces(text)));
    };
    if (what === "function") {
      field("Arguments", item.arguments);
      field(item.end === "result" ? "Result" : item.end.replace(/_/g, " "), item.output);
    }
    if (what === "part" && item.text && log.heardText(item) < item.text.length) {
      const heard = log.heardText(item);
      box.append(make("h3", {}, "Words"),
        make("p", { class: "words" }, make("span", {}, item.text.slice(0, heard)), make("s", {}, item.text.slice(heard))));
    }
    if (what === "part" && item.audio && log.quality !== "nothing") {
      box.append(make("button", { type: "button", onclick: () => sound.preview(log, item) },
        log.heard(item) < log.micros(item, item.total) - 1000 ? "Play all that was made" : "Play this"));
    }
    if (what === "interruption") {
      for (const number of item.parts) {
        const part = log.output.spans[number];
        const selection = { log, what: "part", item: part, number, at: part.runs[0]?.[0] ?? part.first, end: part.cut.at };
        box.append(make("button", { type: "button", class: "link", onclick: () => this.show(selection) },
          `${spanText(part.cut.heard)} heard of ${spanText(part.cut.received)}: ${partText(part)}`));
      }
    }
    return box;
  },

  /** A line of the log, and the way to its neighbours. */
  lines(log, event) {
    const [from, name] = log.eventKind(event);
    const go = (to) => this.event(log, to, { seek: true });
    const json = log.eventJson(event);
    return make("div", { class: "line" },
      make("h3", {}, `Line ${numberText(log.eventLine(event))}`, make("span", { class: `from from-${from}` }, `${from} · ${name}`),
        make("span", {}, `${numberText(log.eventSize(event))} bytes`)),
      make("div", { class: "steps" },
        make("button", { type: "button", disabled: event <= 0, onclick: () => go(event - 1), title: "The event before (,)" }, "Before"),
        make("button", { type: "button", disabled: event + 1 >= log.events.count, onclick: () => go(event + 1), title: "The event after (.)" }, "After")),
      json === null ? make("p", {}, "The page does not have it: there were too many.") : make("pre", { tabindex: 0 }, ...jsonPieces(json)));
  },

  /** The event before or after the one that is selected. */
  step(by) {
    const selected = clock.selected;
    const log = selected?.log ?? logs[0];
    const item = selected?.item;
    const here = selected?.what === "event" ? item : item?.event;
    const after = firstIndex(log.events.count, (event) => log.eventAt(event) > clock.head - log.shift);
    const to = here === undefined ? after - (by < 0 ? 1 : 0) : here + by;
    if (to >= 0 && to < log.events.count) this.event(log, to);
  },
};

/** JSON with line breaks and colours. Numbers and spelling stay as they are in the log. */
function jsonPieces(json) {
  const pieces = [];
  let depth = 0;
  let line = "";
  const flush = () => {
    if (line) pieces.push(document.createTextNode(line));
    line = "";
  };
  const fresh = () => {
    line += "\n" + "  ".repeat(Math.max(depth, 0));
  };
  const tokens = /"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s"{}[\],:]+/g;
  let token;
  let before = "";
  while ((token = tokens.exec(json))) {
    const text = token[0];
    const rest = json.slice(tokens.lastIndex, tokens.lastIndex + 1);
    if (text === "{" || text === "[") {
      line += text;
      depth++;
      if (rest !== "}" && rest !== "]") fresh();
    } else if (text === "}" || text === "]") {
      depth--;
      if (before !== "{" && before !== "[") fresh();
      line += text;
    } else if (text === ",") {
      line += text;
      fresh();
    } else if (text === ":") line += ": ";
    else {
      flush();
      const kind = text[0] !== "\"" ? "literal" : rest === ":" ? "name" : "string";
      pieces.push(make("span", { class: kind }, kind === "literal" ? text : readable(text)));
    }
    before = text;
    if (pieces.length > 20000) break;
  }
  flush();
  return pieces;
}

/** A string of JSON without the escapes that the page needs and a reader does not. */
function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}
