// The logs: models, tables of events, and outlines of sound.

/** A number of pairs that become one on the next level of an outline. */
const FOLD = 8;

/** One lane's outline: the lowest and the highest sample of each 10 ms, and of 8, 64, … of these. */
class Outline {
  constructor(text) {
    const bytes = bytesOf(text);
    this.levels = [new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)];
    while (this.levels.at(-1).length > 2 * FOLD) {
      const below = this.levels.at(-1);
      const above = new Int8Array(2 * Math.ceil(below.length / 2 / FOLD));
      for (let at = 0; at < below.length; at += 2) {
        const to = 2 * Math.floor(at / 2 / FOLD);
        if (below[at] < above[to]) above[to] = below[at];
        if (below[at + 1] > above[to + 1]) above[to + 1] = below[at + 1];
      }
      this.levels.push(above);
    }
    const top = this.levels.at(-1);
    let loudest = 4;
    for (let at = 0; at < top.length; at++) loudest = Math.max(loudest, Math.abs(top[at]));
    this.gain = 1 / loudest;
  }

  /** The range of pairs `from` to `to`, into `range`. */
  read(from, to, range) {
    let level = 0;
    while (to - from > 2 * FOLD && level + 1 < this.levels.length) {
      from /= FOLD;
      to /= FOLD;
      level++;
    }
    const pairs = this.levels[level];
    const end = Math.min(Math.max(Math.ceil(to), Math.floor(from) + 1) * 2, pairs.length);
    let [low, high] = [0, 0];
    for (let at = Math.floor(from) * 2; at < end; at += 2) {
      if (pairs[at] < low) low = pairs[at];
      if (pairs[at + 1] > high) high = pairs[at + 1];
    }
    range[0] = low * this.gain;
    range[1] = high * this.gain;
  }
}

/** Numbers of one event in the table: its time in two halves, its line, its place in the pool, its kind, its size. */
const COLUMNS = 6;

/** One log, as the page has it. */
class Log {
  constructor(number) {
    const block = (name) => {
      const element = byId(`${name}-${number}`);
      const text = element.textContent;
      element.remove();
      return text;
    };
    this.number = number;
    Object.assign(this, JSON.parse(block("model")));
    this.shift = 0;
    this.pool = block("pool");
    const columns = bytesOf(block("columns"));
    this.columns = new Uint32Array(columns.buffer.slice(columns.byteOffset, columns.byteOffset + columns.byteLength));
    this.outlines = { input: new Outline(block("input-peaks")), output: new Outline(block("output-peaks")) };
    this.tapes = { input: block("input-audio"), output: block("output-audio") };
    this.order();
  }

  hasSound() {
    return this.tapes.input !== "" || this.tapes.output !== "";
  }

  eventAt(event) {
    return this.columns[event * COLUMNS] + this.columns[event * COLUMNS + 1] * 2 ** 32;
  }

  eventLine(event) {
    return this.columns[event * COLUMNS + 2];
  }

  /** The line's length in the log (bytes). */
  eventSize(event) {
    return this.columns[event * COLUMNS + 5];
  }

  /** Who wrote it, its name, and its class. */
  eventKind(event) {
    return this.events.kinds[this.columns[event * COLUMNS + 4]];
  }

  kindNumber(event) {
    return this.columns[event * COLUMNS + 4];
  }

  /** The event's line of the log, put together from its shape and its values. */
  eventJson(event) {
    let at = this.columns[event * COLUMNS + 3];
    const next = () => {
      const end = this.pool.indexOf("\n", at);
      const line = this.pool.slice(at, end);
      at = end + 1;
      return line;
    };
    const shape = next();
    if (shape === "") return null;
    const pieces = this.events.shapes[Number(shape)].split("\t");
    let json = pieces[0];
    for (const piece of pieces.slice(1)) json += next() + piece;
    return json;
  }

  /** The event at this place in the pool. */
  eventOfPlace(place) {
    return firstIndex(this.events.count, (event) => this.columns[event * COLUMNS + 3] > place) - 1;
  }

  /** What is drawn, in the order of the clock, and what each part left unheard. */
  order() {
    const parts = this.output.spans;
    this.runs = [];
    parts.forEach((part, number) => {
      for (const [at, from, to] of part.runs) {
        this.runs.push({ at, end: at + this.micros(part, to - from), from, to, part, number });
      }
    });
    this.runs.sort((a, b) => a.at - b.at);
    this.ghosts = [];
    parts.forEach((part, number) => {
      const last = part.runs.at(-1);
      const from = last ? last[2] : 0;
      if (part.total <= from || part.rate === 0) return;
      const at = last ? last[0] + this.micros(part, last[2] - last[1]) : part.first;
      const full = at + this.micros(part, part.total - from);
      const next = this.runs[firstIndex(this.runs.length, (run) => this.runs[run].at > at)];
      this.ghosts.push({ at, end: Math.min(full, next ? next.at : full), full, from, part, number });
    });
    this.ghosts.sort((a, b) => a.at - b.at);
    for (const span of this.input.spans) span.end = span.at + (span.samples * 1e6) / Math.max(span.rate, 1);
    this.longest = {};
    for (const [name, list, end] of [
      ["runs", this.runs, (run) => run.end],
      ["ghosts", this.ghosts, (ghost) => ghost.end],
      ["turns", this.turns, (turn) => turn.stop ?? this.length],
      ["responses", this.responses, (response) => response.done ?? this.length],
      ["functions", this.functions, (call) => call.stop ?? this.length],
      ["latencies", this.latencies, (wait) => wait.to],
    ]) {
      const start = (item) => Math.min(item.at ?? item.from ?? item.start ?? item.created, item.requested ?? Infinity);
      list.forEach((item, index) => {
        item.index ??= index;
        item.begins = start(item);
        item.ends = Math.max(end(item), item.begins);
      });
      const sorted = list.slice().sort((a, b) => a.begins - b.begins);
      this.longest[name] = sorted.reduce((most, item) => Math.max(most, item.ends - item.begins), 0);
      this[`${name}InOrder`] = sorted;
    }
    this.marksInOrder = this.marks.slice().sort((a, b) => a.at - b.at);
  }

  micros(part, samples) {
    return (samples * 1e6) / Math.max(part.rate, 1);
  }

  /** What of an ordered list may be seen between two times of this log. */
  within(name, from, to) {
    const list = this[`${name}InOrder`];
    const first = firstIndex(list.length, (index) => list[index].begins >= from - this.longest[name]);
    const end = firstIndex(list.length, (index) => list[index].begins > to);
    return list.slice(first, end).filter((item) => item.ends >= from);
  }

  /** How much of a part was heard (us). */
  heard(part) {
    return part.runs.reduce((sum, [, from, to]) => sum + this.micros(part, to - from), 0);
  }

  /** Where a part's text was cut: the length of what was heard. */
  heardText(part) {
    if (part.cut && part.cut.text !== null) return part.cut.text;
    return part.cut && part.runs.length === 0 ? 0 : part.text.length;
  }
}

const logs = [];

function loadLogs() {
  for (let number = 0; byId(`model-${number}`); number++) logs.push(new Log(number));
}
