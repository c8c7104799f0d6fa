//! Writing a session log, a line at a time into a buffer that the caller gives.

use alloc::string::String;
use core::fmt::Write;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::call::{Asked, Command, CommandId, ConnectionId, DisconnectReason, Media, Output, Seed};
use crate::event::{ClientEvent, bound};
use crate::flow::Shortfall;
use crate::log::Header;
use crate::time::{Timestamp, UnixTime};
use crate::wire::repair;

/// Writes the lines of a session log. Each method appends one whole line, line feed included, to `out`.
///
/// Inputs must be written in the order in which they were handed to the [`Call`](crate::call::Call), and all
/// outputs of an input after it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter {}

impl LogWriter {
    /// The first line.
    pub fn header(&self, out: &mut String, header: &Header) {
        push_json(out, header);
        out.push('\n');
    }

    /// Input: a connection is open.
    pub fn connected(&self, out: &mut String, at: Timestamp, connection: ConnectionId, wall: UnixTime) {
        start(out, at, Some(connection), "server");
        let _ = writeln!(out, r#","connected":{{"wall_us":{}}}}}"#, wall.as_micros());
    }

    /// Input: the server sent a wire text.
    pub fn text(&self, out: &mut String, at: Timestamp, connection: ConnectionId, text: &str) {
        wire(out, at, connection, "server", text);
    }

    /// For logs that a server writes: the client sent a wire text. A text that is not JSON and may hold a
    /// token is redacted.
    pub fn client_text(&self, out: &mut String, at: Timestamp, connection: ConnectionId, text: &str) {
        let is_unclear = holds_tokens(text) && serde_json::from_str::<&RawValue>(text).is_err();
        let text = if is_unclear { "[redacted]" } else { text };
        wire(out, at, connection, "client", text);
    }

    /// Input: a connection has ended.
    pub fn disconnected(
        &self,
        out: &mut String,
        at: Timestamp,
        connection: ConnectionId,
        reason: &DisconnectReason,
    ) {
        start(out, at, Some(connection), "server");
        out.push_str(r#","disconnected":"#);
        push_json(out, reason);
        out.push_str("}\n");
    }

    /// Input: the application asks for something.
    pub fn command(&self, out: &mut String, at: Timestamp, id: CommandId, command: &Command) {
        start(out, at, None, "app");
        let _ = write!(out, r#","id":{},"command":"#, id.0);
        push_json(out, command);
        out.push_str("}\n");
    }

    /// Input: a listener asks for something.
    pub fn asked(&self, out: &mut String, at: Timestamp, asked: &Asked) {
        start(out, at, None, "listener");
        match asked {
            Asked::Command(id, command) => {
                let _ = write!(out, r#","id":{},"command":"#, id.0);
                push_json(out, command);
            }
            Asked::Media(media) => {
                out.push_str(r#","media":"#);
                crate::event::scan::write(media, out);
            }
        }
        out.push_str("}\n");
    }

    /// Input: the application gives audio, or tells what was played.
    pub fn media(&self, out: &mut String, at: Timestamp, media: &Media) {
        start(out, at, None, "app");
        out.push_str(r#","media":"#);
        crate::event::scan::write(media, out); // it holds no token
        out.push_str("}\n");
    }

    /// Input: what was said before, for the session of a connection.
    pub fn seed(&self, out: &mut String, at: Timestamp, connection: ConnectionId, seed: &Seed) {
        start(out, at, Some(connection), "app");
        out.push_str(r#","seed":"#);
        push_json(out, seed);
        out.push_str("}\n");
    }

    /// Input: the driver could not pass something on.
    pub fn shortfall(&self, out: &mut String, at: Timestamp, shortfall: &Shortfall) {
        start(out, at, None, "driver");
        out.push_str(r#","shortfall":"#);
        push_json(out, shortfall);
        out.push_str("}\n");
    }

    /// Input: the call is suspended. The log of its next owner begins with [`Header::resuming`].
    pub fn suspend(&self, out: &mut String, at: Timestamp) {
        start(out, at, None, "driver");
        out.push_str(",\"suspend\":true}\n");
    }

    /// Input: time has passed.
    pub fn timer(&self, out: &mut String, at: Timestamp) {
        start(out, at, None, "timer");
        out.push_str("}\n");
    }

    /// An output of the machines.
    pub fn output(&self, out: &mut String, at: Timestamp, output: &Output) {
        match output {
            Output::Connect { connection, endpoint } => {
                start(out, at, Some(*connection), "client");
                out.push_str(r#","connect":true"#);
                if *endpoint > 0 {
                    let _ = write!(out, r#","endpoint":{endpoint}"#);
                }
            }
            Output::Seed { connection, carried, largest } => {
                start(out, at, Some(*connection), "session");
                out.push_str(r#","seed":{"carried":"#);
                push_json(out, carried);
                if let Some(largest) = largest {
                    let _ = write!(out, r#","largest":{largest}"#);
                }
                out.push('}');
            }
            Output::Close(connection) => {
                start(out, at, Some(*connection), "client");
                out.push_str(r#","close":true"#);
            }
            Output::Send { connection, event: ClientEvent::Malformed(malformed), .. } => {
                return self.client_text(out, at, *connection, &malformed.raw);
            }
            Output::Send { connection, dialect, event } => {
                start(out, at, Some(*connection), "client");
                out.push_str(r#","event":"#);
                let from = out.len();
                event.encode_into(*dialect, out);
                one_line(out, from);
                redact_from(out, from);
            }
            Output::Event(event) => {
                start(out, at, None, "session");
                out.push_str(r#","event":"#);
                push_json(out, event);
            }
        }
        out.push_str("}\n");
    }
}

/// One wire text of one side: as it came, if it is one line of JSON.
fn wire(out: &mut String, at: Timestamp, connection: ConnectionId, from: &str, text: &str) {
    start(out, at, Some(connection), from);
    // A search for tokens in a text of too many elements would take too much memory.
    let text = if holds_tokens(text) && !bound::is_within(text) { "[redacted]" } else { text };
    let is_line = !text.contains('\n') && serde_json::from_str::<&RawValue>(text).is_ok();
    if is_line {
        out.push_str(r#","event":"#);
        push_redacted(out, text);
    } else if let Some(event) = holds_tokens(text).then(|| value(text)).flatten() {
        // JSON on several lines, or text that is almost JSON, may hold tokens as well.
        out.push_str(r#","event":"#);
        push_json(out, &event);
    } else {
        out.push_str(r#","text":"#);
        push_json(out, text);
    }
    out.push_str("}\n");
}

fn start(out: &mut String, at: Timestamp, connection: Option<ConnectionId>, from: &str) {
    let _ = write!(out, r#"{{"at_us":{}"#, at.as_micros());
    if let Some(connection) = connection {
        let _ = write!(out, r#","conn":{}"#, connection.0);
    }
    let _ = write!(out, r#","from":"{from}""#);
}

fn push_json<T: Serialize + ?Sized>(out: &mut String, value: &T) {
    let from = out.len();
    crate::event::scan::write(value, out);
    one_line(out, from);
    redact_from(out, from);
}

/// Makes one line of the JSON that `out` ends with: an event that an application sends as it is may have
/// several lines. JSON strings have no line feeds, so all of these are white space.
fn one_line(out: &mut String, from: usize) {
    if out[from..].contains('\n') {
        let json = out[from..].replace('\n', " ");
        out.truncate(from);
        out.push_str(&json);
    }
}

fn push_redacted(out: &mut String, json: &str) {
    let from = out.len();
    out.push_str(json);
    redact_from(out, from);
}

/// Takes the tokens of MCP tools out of the JSON that `out` ends with.
fn redact_from(out: &mut String, from: usize) {
    let json = &out[from..];
    if !holds_tokens(json) {
        return;
    }
    let Some(mut value) = value(json) else { return };
    redact(&mut value);
    out.truncate(from);
    crate::event::scan::write(&value, out);
}

/// A text that events are read from, as JSON.
pub(super) fn value(text: &str) -> Option<Value> {
    let strict = serde_json::from_str(text).ok();
    strict.or_else(|| serde_json::from_str(&repair::repaired(text)?.text).ok())
}

/// Returns whether there may be something to redact: only MCP tools hold tokens.
fn holds_tokens(json: &str) -> bool {
    json.contains("\"mcp\"")
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let is_mcp = members.get("type").is_some_and(|kind| kind == "mcp");
            for (name, member) in members.iter_mut() {
                if is_mcp && matches!(name.as_str(), "authorization" | "headers") && !member.is_null() {
                    *member = match member {
                        // Headers keep their shape, so that they still read as headers.
                        Value::Object(_) => Value::Object(serde_json::Map::new()),
                        _ => "[redacted]".into(),
                    };
                } else {
                    redact(member);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(redact),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_never_stand_in_a_log_however_the_server_writes_them() {
        let writer = LogWriter::default();
        let text = r#"{"type":"session.created",
            "session":{"tools":[{"type":"mcp","authorization":"sk-1"}]}}"#;
        let almost = text.replace("\"session\"", "\"x\":NaN,\"y\":\"\\ud83d\",\"session\"");
        let half = almost.replace("NaN", "1").replace('\n', " ");
        for text in [text.into(), text.replace('\n', " "), almost, half] {
            let mut out = String::new();
            writer.text(&mut out, Timestamp::ZERO, ConnectionId(0), &text);
            writer.client_text(&mut out, Timestamp::ZERO, ConnectionId(0), &text);
            assert!(!out.contains("sk-1"), "{out}");
            assert_eq!((out.matches("[redacted]").count(), out.lines().count()), (2, 2), "{out}");
        }
        let mut out = String::new();
        writer.client_text(&mut out, Timestamp::ZERO, ConnectionId(0), text.trim_end_matches('}'));
        writer.client_text(&mut out, Timestamp::ZERO, ConnectionId(0), "no JSON");
        assert!(!out.contains("sk-1") && out.ends_with("\"text\":\"no JSON\"}\n"), "{out}");
    }
}
