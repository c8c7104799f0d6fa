// Small things that everything else needs: elements, texts of times, numbers from base64.

const byId = (id) => document.getElementById(id);

/** Makes an element. Whatever a log says goes in as text, never as markup. */
function make(tag, members = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function clear(element) {
  element.replaceChildren();
  return element;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** The first index from which `test` holds, in a list that is sorted by it. */
function firstIndex(length, test) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (test(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A time of the call: `1:02:03.456`, with as many digits as `step` (us) needs. */
function clockText(us, step = 1000) {
  const digits = step >= 1e6 ? 0 : step >= 1e5 ? 1 : step >= 1e4 ? 2 : 3;
  const unit = 10 ** (6 - digits);
  const whole = Math.round(Math.abs(us) / unit) * unit;
  const seconds = Math.floor(whole / 1e6);
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const sign = us < 0 && whole > 0 ? "-" : "";
  const head = sign + (hours > 0 ? `${hours}:${pad(minutes)}:` : `${minutes}:`);
  const tail = digits ? "." + String((whole % 1e6) / unit).padStart(digits, "0") : "";
  return head + pad(seconds % 60) + tail;
}

/** A time of a log, on the clock that all logs share. */
const timeText = (log, at, step) => clockText(at + log.shift, step);

/** A duration: `440 ms`, `4.2 s`, `3 min 20 s`. */
function spanText(us) {
  const ms = us / 1000;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

const numberText = (number) => number.toLocaleString("en");

const plural = (count, thing) => `${numberText(count)} ${thing}${count === 1 ? "" : "s"}`;

/** Bytes of base64. */
function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** The colours of the style, for the canvas. */
const colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "panel", "ink", "soft", "faint", "line", "user", "agent", "user-band", "agent-band",
    "tool", "good", "fair", "bad", "info", "warning", "select", "found"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

function announce(text) {
  byId("announce").textContent = text;
}
