// The sessions of the server, and what happens in the one that is looked at.

/** Rows by the number of their session or event. */
const sessionRows = new Map();
const eventRows = new Map();
/** More than the server keeps of a session. */
const MOST_ROWS = 500;

/** The session that is looked at. */
let looked = null;
/** Whether somebody chose it. */
let isChosen = false;
/** The id of a session to look at as soon as it is listed. */
let awaited = null;
/** The newest change that was seen of it. */
let change = 0;

byId("url").textContent = url;
look();

async function look() {
  try {
    const { sessions, more } = await ask("emulator/sessions");
    const running = sessions.filter((session) => session.end === null).length;
    const others = sessions.length - running + more;
    tellState(`${running === 1 ? "1 session runs" : `${running} sessions run`}${others ? `, ${others} more` : ""}`);
    byId("locked").hidden = key() === "";
    listSessions(sessions);
    await lookAt(sessions);
  } catch (error) {
    byId("locked").hidden = error.status !== 401 && key() === "";
    tellState(error.status ? error.message : "The emulator does not answer.", true);
  }
  setTimeout(look, document.hidden ? 3000 : 500);
}

async function ask(path) {
  const headers = key() ? { Authorization: `Bearer ${key()}` } : {};
  const answer = await fetch(path, { headers });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error.message), { status: answer.status });
  return body;
}

function tellState(text, isGone) {
  setText(byId("state"), text);
  byId("state").classList.toggle("gone", isGone === true);
}

function listSessions(sessions) {
  const list = byId("sessions");
  byId("hint").hidden = sessions.length > 0;
  const numbers = new Set(sessions.map(identity));
  for (const [number, row] of sessionRows) {
    if (!numbers.has(number)) {
      row.remove();
      sessionRows.delete(number);
    }
  }
  // The newest stands first.
  for (const session of [...sessions].reverse()) {
    let row = sessionRows.get(identity(session));
    if (!row) {
      row = element("button");
      row.append(element("span"), element("small"), element("small"));
      row.onclick = () => choose(session);
      list.prepend(row);
      sessionRows.set(identity(session), row);
    }
    const [name, counts, since] = row.children;
    const listens = session.kind === "transcription" ? ", listens only" : "";
    setText(name, `${session.number}  ${session.model || "no model"}${listens}`);
    setText(counts, `${session.dialect}, ${session.came} events in, ${session.sent} out`);
    const time = new Date(session.since_ms).toLocaleTimeString();
    setText(since, session.end === null ? `since ${time}` : `${time}, ended: ${session.end || "without a reason"}`);
    row.classList.toggle("ended", session.end !== null);
    row.setAttribute("aria-current", looked !== null && identity(session) === identity(looked));
  }
}

/** A server that was started again counts from the beginning. */
const identity = (session) => `${session.number} ${session.since_ms}`;

function choose(session) {
  isChosen = true;
  turnTo(session);
}

function turnTo(session) {
  looked = session;
  change = 0;
  eventRows.clear();
  byId("events").replaceChildren();
  byId("lines").replaceChildren();
  setText(byId("facts"), "");
}

/** Looks at the session that was awaited, the chosen one, or the newest that runs. */
async function lookAt(sessions) {
  const same = (other) => looked !== null && identity(other) === identity(looked);
  const mine = sessions.find((session) => awaited !== null && session.id === awaited);
  const newest = sessions.find((session) => session.end === null) ?? sessions[0];
  if (mine) {
    awaited = null;
    if (!same(mine)) choose(mine);
  } else if (!sessions.some(same)) {
    isChosen = false;
    if (newest) turnTo(newest);
    else if (looked) turnTo(null);
  } else if (!isChosen && newest && newest.end === null && !same(newest)) {
    turnTo(newest);
  }
  if (looked === null) return;
  const asked = looked;
  const { session, lines, events } = await ask(`emulator/sessions/${asked.number}?after=${change}`);
  // Somebody may have chosen another one meanwhile, or the server may have begun anew.
  if (looked !== asked || identity(session) !== identity(asked)) return;
  const call = session.call ? `, a channel of ${session.call}` : "";
  setText(byId("facts"), `${session.id ?? "no id yet"}${call}`);
  showLines(lines);
  showEvents(events);
}

function showLines(lines) {
  const box = byId("lines");
  followingEnd(box.parentElement, () => {
    lines.forEach((line, index) => {
      let row = box.children[index];
      if (!row) {
        row = element("p");
        row.append(element("b"), element("span"));
        box.append(row);
      }
      row.className = `${line.role}${line.is_whole ? "" : " open"}`;
      const cut = line.cut_ms === null ? "" : `, cut after ${(line.cut_ms / 1000).toFixed(1)} s`;
      setText(row.children[0], line.role + cut);
      setText(row.children[1], line.text);
    });
    while (box.children.length > lines.length) box.lastChild.remove();
  });
}

function showEvents(events) {
  const box = byId("events");
  followingEnd(box.parentElement, () => {
    for (const entry of events) {
      change = Math.max(change, entry.changed);
      let row = eventRows.get(entry.number);
      if (!row) {
        row = eventRow(entry);
        box.append(row);
        eventRows.set(entry.number, row);
      }
      row.line = entry.line;
      const times = entry.times > 1 ? `×${entry.times}, ${size(entry.bytes)}` : "";
      setText(row.querySelector(".times"), times);
    }
    while (box.children.length > MOST_ROWS) box.firstChild.remove();
  });
  while (eventRows.size > MOST_ROWS) eventRows.delete(eventRows.keys().next().value);
}

function eventRow({ line }) {
  const row = element("details");
  const summary = element("summary");
  const kind = line.event?.type ?? "not an event";
  const side = line.from === "client" ? "→ " : "← ";
  summary.append(
    element("span", "at", `${(line.at_us / 1e6).toFixed(3)} s`),
    element("span", kind === "error" ? "error" : line.from, side + kind),
    element("span", "times"),
  );
  row.append(summary);
  // Its text is made when somebody wants to see it.
  row.ontoggle = () => {
    if (row.children[1]) row.children[1].remove();
    const { event, text } = row.line;
    if (row.open) row.append(element("pre", "", text ?? JSON.stringify(event, null, 2)));
  };
  return row;
}
