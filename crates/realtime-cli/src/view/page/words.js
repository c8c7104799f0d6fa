// The words of both sides: in a lane, and wherever else they are told.

/** The agent's words: those that were heard, and those that were not. */
function drawAnswers(sketch, log, y, height) {
  const parts = log.output.spans;
  const shown = [...log.within("runs", sketch.at(-400), sketch.at(sketch.width)),
    ...log.within("ghosts", sketch.at(-400), sketch.at(sketch.width)).filter((ghost) => ghost.part.runs.length === 0)];
  const starts = new Map();
  for (const piece of shown) if (!starts.has(piece.number)) starts.set(piece.number, parts[piece.number].runs[0]?.[0] ?? piece.at);
  for (const part of parts.filter((part) => part.rate === 0)) {
    if (sketch.x(part.first) > -400 && sketch.x(part.first) < sketch.width) starts.set(parts.indexOf(part), part.first);
  }
  const ordered = [...starts].sort((a, b) => a[1] - b[1]);
  ordered.forEach(([number, at], index) => {
    const part = parts[number];
    const last = part.runs.at(-1);
    const left = sketch.edge(at, last ? last[0] + log.micros(part, last[2] - last[1]) : at);
    const right = Math.min(ordered[index + 1] ? sketch.x(ordered[index + 1][1]) - 8 : Infinity, sketch.width);
    const middle = y + height / 2;
    const selection = { log, what: "part", item: part, number, at, end: at };
    const whole = partText(part);
    const heard = part.text ? whole.slice(0, log.heardText(part)) : whole;
    const colour = part.text ? colours.ink : colours.soft;
    const x = left + (part.rate === 0 ? 7 : 2);
    if (part.rate === 0) sketch.rect(left, y + 5, 3, height - 10, colours.agent, 1);
    if (part.text && part.words.length > 2 && part.runs.length > 0 && sketch.scale * 1e6 > 150) {
      drawWords(sketch, log, part, middle, right);
      sketch.box(left, y, right - left, height, selection);
      return;
    }
    let width = sketch.text(heard, x, middle, right - x, colour);
    const rest = whole.slice(heard.length);
    if (rest && width + 20 < right - x) {
      const unheard = sketch.text(rest, x + width, middle, right - x - width, colours.soft);
      sketch.strike(x + width, middle, unheard);
      width += unheard;
    }
    sketch.box(left, y, Math.max(width, 3), height, selection);
  });
}

/** Each piece of an answer where it sounds, as far as its place is known. */
function drawWords(sketch, log, part, middle, right) {
  const heard = log.heardText(part);
  let begin = 0;
  let free = -Infinity;
  for (let at = 0; at < part.words.length; at += 2) {
    const [sample, end] = [part.words[at], part.words[at + 1]];
    const run = part.runs.findLast(([, from]) => from <= sample) ?? part.runs[0];
    const x = Math.max(sketch.x(run[0] + log.micros(part, sample - run[1])), free);
    const words = part.text.slice(begin, end).trim();
    if (x > -300 && x < right - 20) {
      const unheard = begin >= heard;
      const width = sketch.text(words, x, middle, right - x, unheard ? colours.soft : colours.ink);
      if (unheard) sketch.strike(x, middle, width);
      free = x + width + 4;
    }
    begin = end;
  }
}

/** What a turn says, or why nothing is known. */
function turnText(turn) {
  if (turn.failed) return `(not transcribed: ${turn.failed})`;
  if (turn.text !== null) return turn.text;
  return turn.hidden > 0 ? `(${plural(turn.hidden, "byte")} of words)` : "(no transcript)";
}

function partText(part) {
  if (part.text) return part.text;
  return part.hidden > 0 ? `(${plural(part.hidden, "byte")} of words)` : "(no words)";
}

/** One line of JSON for a label. */
function brief(json) {
  const text = json.replace(/\s+/g, " ");
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
