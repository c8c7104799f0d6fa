// Draws a log's lanes: both sides' sound, their words, waits, responses, functions, moments and connections.

/** The lanes of a log from top to bottom: name, label, height (px). */
const LANES = [
  ["input", "User", 58],
  ["said", "", 20],
  ["waits", "Waits", 20],
  ["output", "Agent", 58],
  ["answers", "", 20],
  ["responses", "Responses", 20],
  ["functions", "Functions", 22],
  ["marks", "Moments", 18],
  ["links", "Connections", 14],
];
const GAP = 4;
const HEAD = 22;

/** The height of one log's lanes. */
const logHeight = () => LANES.reduce((sum, lane) => sum + laneHeight(lane) + GAP, GAP);

/** Waves are lower if there are two logs. */
const laneHeight = ([, , height]) => (height > 40 && logs.length > 1 ? 42 : height);

const FONT = "12px system-ui, sans-serif";
const SMALL = "11px system-ui, sans-serif";

/** A canvas with what is needed to draw a stretch of the clock into it, and where things were drawn. */
class Sketch {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.boxes = [];
    this.range = [0, 0];
  }

  begin(width, height) {
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
    }
    this.width = width;
    this.height = height;
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.pen.clearRect(0, 0, width, height);
    this.pen.font = FONT;
    this.pen.textBaseline = "middle";
    this.boxes.length = 0;
  }

  look(from, to, shift) {
    this.from = from;
    this.scale = this.width / (to - from);
    this.shift = shift;
  }

  x(at) {
    return (at + this.shift - this.from) * this.scale;
  }

  at(x) {
    return x / this.scale + this.from - this.shift;
  }

  /** Where the label of a stretch begins: it stays in sight as long as the stretch does. */
  edge(at, end) {
    const x = this.x(at);
    return x < 0 && this.x(end) > 0 ? 0 : x;
  }

  box(x, y, width, height, selection) {
    this.boxes.push({ x, y, width, height, selection });
  }

  /** What was drawn last at this place, or near it. */
  hit(x, y, near = 4) {
    let best = null;
    for (const box of this.boxes) {
      if (y < box.y - 1 || y > box.y + box.height + 1) continue;
      const away = Math.max(box.x - x, x - box.x - box.width, 0);
      if (away <= near && (!best || away <= best.away)) best = { away, box };
    }
    return best?.box ?? null;
  }

  rect(x, y, width, height, colour, round = 3) {
    const left = Math.max(x, -20);
    const right = Math.min(x + Math.max(width, 1.5), this.width + 20);
    if (right <= left) return;
    this.pen.fillStyle = colour;
    if (round === 0 || right - left < 3) {
      this.pen.fillRect(left, y, right - left, height);
      return;
    }
    this.pen.beginPath();
    this.pen.roundRect(left, y, right - left, height, Math.min(round, (right - left) / 2));
    this.pen.fill();
  }

  /** A text within a width, cut with an ellipsis. Returns the width it took. */
  text(text, x, y, width, colour, font = FONT) {
    if (width < 32 || text === "") return 0;
    this.pen.font = font;
    this.pen.fillStyle = colour;
    const shown = this.fitted(text, width);
    this.pen.fillText(shown, x, y);
    return this.pen.measureText(shown).width;
  }

  fitted(text, width) {
    const most = Math.ceil(width / 3);
    let shown = text.length > most ? text.slice(0, most) : text;
    if (shown === text && this.pen.measureText(text).width <= width) return text;
    const length = firstIndex(shown.length, (end) => this.pen.measureText(shown.slice(0, end + 1) + "…").width > width);
    return length > 0 ? shown.slice(0, length) + "…" : "";
  }

  strike(x, y, width) {
    this.pen.fillRect(x, Math.round(y) + 0.5, width, 1);
  }
}

/** One column for each pixel of a stretch of sound. */
function drawWave(sketch, outline, first, step, rate, at, from, to, y, height, colour) {
  const { pen, range } = sketch;
  const micros = 1e6 / Math.max(rate, 1);
  const left = Math.max(Math.floor(sketch.x(at)), 0);
  const right = Math.min(sketch.x(at + (to - from) * micros), sketch.width);
  const middle = y + height / 2;
  const half = (height / 2 - 1) * 0.94;
  pen.fillStyle = colour;
  for (let x = left; x < right; x++) {
    const begin = Math.max(from + (sketch.at(x) - at) / micros, from);
    const end = Math.min(from + (sketch.at(x + 1) - at) / micros, to);
    outline.read(first + begin / step, first + end / step, range);
    const high = middle - range[1] * half;
    pen.fillRect(x, high - 0.5, 1, Math.max(middle - range[0] * half - high, 0) + 1);
  }
}

/** Sound that the log does not have: a band in its place. */
function drawBand(sketch, at, end, y, height, colour) {
  const left = sketch.x(at);
  sketch.pen.globalAlpha = 0.35;
  sketch.rect(left, y + height / 2 - 6, sketch.x(end) - left, 12, colour, 6);
  sketch.pen.globalAlpha = 1;
}

function hatch(sketch, at, end, y, height, colour) {
  const { pen } = sketch;
  const left = Math.max(sketch.x(at), 0);
  const right = Math.min(sketch.x(end), sketch.width);
  if (right - left < 2) return;
  pen.save();
  pen.beginPath();
  pen.rect(left, y, right - left, height);
  pen.clip();
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let x = Math.floor((left - height) / 7) * 7; x < right; x += 7) {
    pen.moveTo(x, y + height);
    pen.lineTo(x + height, y);
  }
  pen.stroke();
  pen.restore();
}

const drawLane = {
  input(sketch, log, y, height) {
    const [from, to] = [sketch.at(0), sketch.at(sketch.width)];
    for (const turn of log.within("turns", from, to)) {
      if (turn.kind === "written") continue;
      const end = turn.to ?? turn.ends;
      const left = sketch.x(turn.from);
      sketch.rect(left, y, sketch.x(end) - left, height, colours["user-band"], 5);
      sketch.box(left, y, sketch.x(end) - left, height, { log, what: "turn", item: turn, at: turn.from, end });
    }
    const spans = log.input.spans;
    for (let index = firstIndex(spans.length, (at) => spans[at].end >= from); index < spans.length; index++) {
      const span = spans[index];
      if (span.at > to) break;
      if (span.peaks === null) drawBand(sketch, span.at, span.end, y, height, colours.user);
      else {
        drawWave(sketch, log.outlines.input, span.peaks, span.step, span.rate, span.at, 0, span.samples, y, height,
          colours.user);
      }
    }
    for (const [start, end] of log.input.unsent) {
      if (end < from || start > to) continue;
      hatch(sketch, start, end, y, height, colours.soft);
      sketch.box(sketch.x(start), y, sketch.x(end) - sketch.x(start), height,
        { log, what: "unsent", item: { start, end }, at: start, end });
    }
  },

  said(sketch, log, y, height) {
    const turns = log.within("turns", sketch.at(-400), sketch.at(sketch.width));
    turns.forEach((turn, index) => {
      const left = sketch.edge(turn.from, turn.to ?? turn.ends);
      const next = turns[index + 1] ? sketch.x(turns[index + 1].from) - 8 : Infinity;
      const room = Math.min(next, sketch.width) - left - 2;
      const written = turn.kind === "written";
      const words = turnText(turn);
      const shown = written && turn.role !== "user" ? `${turn.role}: ${words}` : words;
      const colour = turn.text === null || turn.failed ? colours.soft : colours.ink;
      if (written) sketch.rect(left, y + 5, 3, height - 10, colours.user, 1);
      const width = sketch.text(shown, left + (written ? 7 : 2), y + height / 2, room, colour);
      sketch.box(left, y, Math.max(width, 3), height,
        { log, what: "turn", item: turn, at: turn.from, end: turn.to ?? turn.ends });
    });
  },

  waits(sketch, log, y, height) {
    const waits = log.within("latencies", sketch.at(0), sketch.at(sketch.width));
    const dense = waits.length > sketch.width / 30;
    waits.forEach((wait, index) => {
      const [left, right] = [sketch.x(wait.from), sketch.x(wait.to)];
      const colour = waitColour(wait.to - wait.from);
      const selection = { log, what: "wait", item: wait, at: wait.from, end: wait.to };
      if (dense) {
        // Too many to read: each is a bar, as high as it is long.
        const high = clamp((wait.to - wait.from) / 2e6, 0.08, 1) * height;
        sketch.rect(left, y + height - high, 1.5, high, colour, 0);
        sketch.box(left, y, 2, height, selection);
        return;
      }
      sketch.rect(left, y + height / 2 - 1, right - left, 2, colour, 1);
      sketch.rect(left - 0.75, y + 5, 1.5, height - 10, colour, 0);
      sketch.rect(right - 0.75, y + 5, 1.5, height - 10, colour, 0);
      const next = waits[index + 1] ? sketch.x(waits[index + 1].from) : Infinity;
      const label = spanText(wait.to - wait.from);
      if (next - right > 52) sketch.text(label, right + 5, y + height / 2, 70, colour, SMALL);
      else if (right - left > 70) {
        sketch.rect((left + right) / 2 - 27, y + 2, 54, height - 4, colours.panel, 0);
        sketch.text(label, (left + right) / 2 - 22, y + height / 2, 54, colour, SMALL);
      }
      sketch.box(left, y, right - left, height, selection);
    });
  },

  output(sketch, log, y, height) {
    const [from, to] = [sketch.at(0), sketch.at(sketch.width)];
    const outline = log.outlines.output;
    for (const run of log.within("runs", from, to)) {
      const { part } = run;
      const left = sketch.x(run.at);
      sketch.rect(left, y, sketch.x(run.end) - left, height, colours["agent-band"], 5);
      if (part.peaks === null) drawBand(sketch, run.at, run.end, y, height, colours.agent);
      else {
        drawWave(sketch, outline, part.peaks, part.step, part.rate, run.at, run.from, run.to, y, height,
          colours.agent);
      }
      sketch.box(left, y, sketch.x(run.end) - left, height,
        { log, what: "part", item: part, number: run.number, at: run.at, end: run.end });
    }
    for (const ghost of log.within("ghosts", from, to)) {
      const { part } = ghost;
      const left = sketch.x(ghost.at);
      const width = sketch.x(ghost.end) - left;
      hatch(sketch, ghost.at, ghost.end, y, height, colours.line);
      if (part.peaks !== null) {
        const samples = Math.min(part.total, ghost.from + ((ghost.end - ghost.at) * part.rate) / 1e6);
        drawWave(sketch, outline, part.peaks, part.step, part.rate, ghost.at, ghost.from, samples, y, height,
          colours.faint);
      }
      if (width > 90) {
        const label = `${spanText(ghost.full - ghost.at)} unheard`;
        sketch.pen.font = SMALL;
        sketch.rect(Math.max(left, 0) + 4, y + 2, sketch.pen.measureText(label).width + 8, 15, colours.panel, 4);
        sketch.text(label, Math.max(left, 0) + 8, y + 10, width, colours.soft, SMALL);
      }
      sketch.box(left, y, width, height,
        { log, what: "part", item: part, number: ghost.number, at: ghost.at, end: ghost.end });
    }
    const seen = log.interruptions.filter(({ start }) => start >= from && start <= to);
    const high = seen.length > sketch.width / 12 ? 7 : height + 4;
    for (const interruption of seen) {
      const x = sketch.x(interruption.start);
      sketch.rect(x - 1, y - 2, 2, high, colours.bad, 0);
      sketch.box(x - 3, y - 2, 6, high,
        { log, what: "interruption", item: interruption, at: interruption.start, end: interruption.at });
    }
  },

  answers(sketch, log, y, height) {
    drawAnswers(sketch, log, y, height);
  },

  responses(sketch, log, y, height) {
    for (const response of log.within("responses", sketch.at(0), sketch.at(sketch.width))) {
      const asked = sketch.x(response.requested ?? response.created);
      const [left, right] = [sketch.x(response.created), sketch.x(response.done ?? log.length)];
      const bad = !["completed", "cancelled", ""].includes(response.end);
      const colour = bad ? colours.bad : response.end === "cancelled" ? colours.fair : colours.agent;
      sketch.rect(asked, y + height / 2 - 1, left - asked, 2, colours.faint, 0);
      sketch.pen.globalAlpha = response.out_of_band ? 0.25 : 0.55;
      sketch.rect(left, y + 4, right - left, height - 8, colour);
      sketch.pen.globalAlpha = 1;
      if (response.first_audio !== null) sketch.rect(sketch.x(response.first_audio), y + 2, 1.5, height - 4, colour, 0);
      const label = response.end && response.end !== "completed" ? response.end : "";
      if (label) sketch.text(label, right + 4, y + height / 2, 80, colour, SMALL);
      sketch.box(Math.min(asked, left), y, Math.max(right - Math.min(asked, left), 2), height,
        { log, what: "response", item: response, at: response.created, end: response.ends });
    }
  },

  functions(sketch, log, y, height) {
    const calls = log.within("functions", sketch.at(-300), sketch.at(sketch.width));
    calls.forEach((call, index) => {
      const [left, right] = [sketch.x(call.start), sketch.x(call.stop ?? log.length)];
      const colour = ["result", ""].includes(call.end) ? colours.tool : colours.bad;
      sketch.pen.globalAlpha = 0.4;
      sketch.rect(left, y + 2, Math.max(right - left, 4), height - 4, colour);
      sketch.pen.globalAlpha = 1;
      sketch.rect(left, y + 2, 2.5, height - 4, colour, 1);
      const next = calls[index + 1] ? sketch.x(calls[index + 1].start) - 6 : Infinity;
      const start = sketch.edge(call.start, call.ends) + 7;
      const room = Math.min(next, sketch.width) - start;
      const width = sketch.text(`${call.name}(${brief(call.arguments)})`, start, y + height / 2, room, colours.ink, SMALL);
      sketch.box(left, y, Math.max(right - left, width + 8), height,
        { log, what: "function", item: call, at: call.start, end: call.ends });
    });
  },

  marks(sketch, log, y, height) {
    const marks = log.marksInOrder;
    const seen = new Map();
    const first = firstIndex(marks.length, (index) => sketch.x(marks[index].at) >= -8);
    for (let index = first; index < marks.length && sketch.x(marks[index].at) <= sketch.width + 8; index++) {
      const x = Math.round(sketch.x(marks[index].at) / 3) * 3;
      const before = seen.get(x);
      if (!before || LEVELS.indexOf(marks[index].level) > LEVELS.indexOf(before.level)) seen.set(x, marks[index]);
    }
    for (const [x, mark] of seen) {
      sketch.pen.fillStyle = colours[mark.level];
      sketch.pen.beginPath();
      if (mark.level === "info") sketch.pen.arc(x, y + height / 2, 3, 0, 7);
      else {
        sketch.pen.moveTo(x, y + 3);
        sketch.pen.lineTo(x + 6, y + height - 4);
        sketch.pen.lineTo(x - 6, y + height - 4);
      }
      sketch.pen.fill();
      sketch.box(x - 6, y, 12, height, { log, what: "mark", item: mark, at: mark.at, end: mark.at });
    }
  },

  links(sketch, log, y, height) {
    for (const link of log.connections) {
      const end = link.end ?? log.length;
      const [start, right] = [sketch.x(link.start), sketch.x(end)];
      if (right < 0 || start > sketch.width) continue;
      const open = sketch.x(link.open ?? end);
      const ready = sketch.x(link.ready ?? link.open ?? end);
      sketch.rect(start, y + height / 2 - 1, open - start, 2, colours.faint, 0);
      sketch.pen.globalAlpha = 0.45;
      sketch.rect(open, y + 4, ready - open, height - 8, colours.fair, 2);
      sketch.rect(ready, y + 4, right - ready, height - 8, colours.good, 2);
      sketch.pen.globalAlpha = 1;
      if (link.end !== null && !link.closed) sketch.rect(right - 2, y + 1, 3, height - 2, colours.bad, 0);
      sketch.box(start, y, right - start, height, { log, what: "connection", item: link, at: link.start, end });
    }
  },
};

const LEVELS = ["info", "warning", "bad"];

const waitColour = (us) => (us < 800_000 ? colours.good : us < 1_500_000 ? colours.fair : colours.bad);
