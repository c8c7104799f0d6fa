// What is on the page. All that comes from a session is text, never markup.

const byId = (id) => document.getElementById(id);

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className ?? "";
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Sets what is different, so that nothing moves under the reader. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Keeps the end in view if it was in view. */
function followingEnd(box, change) {
  const wasAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  change();
  if (wasAtEnd) box.scrollTop = box.scrollHeight;
}

/** Bytes, for a person. */
function size(bytes) {
  return bytes < 10_000 ? `${bytes} bytes` : `${Math.round(bytes / 1000)} kB`;
}

/** The server's key, if somebody has given it. It stays on this page. */
const key = () => byId("key").value.trim();
byId("locked").onsubmit = (submitted) => submitted.preventDefault();

/** The server's address for sessions. */
const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/realtime?model=gpt-realtime`;
