//! Writing a session log, a line at a time into a buffer that the caller gives.

use alloc::borrow::Cow;
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
        let text = if is_unclear { REDACTED } else { text };
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

/// One wire text of one side.
fn wire(out: &mut String, at: Timestamp, connection: ConnectionId, from: &str, text: &str) {
    start(out, at, Some(connection), from);
    match kept(text) {
        Kept::Event(event) => {
            out.push_str(r#","event":"#);
            out.push_str(&event);
        }
        Kept::Text(text) => {
            out.push_str(r#","text":"#);
            push_json(out, text);
        }
    }
    out.push_str("}\n");
}

/// A wire text as it is read from a log: what a replay knows of it.
pub(crate) fn as_logged(text: &str) -> Cow<'_, str> {
    match kept(text) {
        Kept::Event(event) => event,
        Kept::Text(text) => text.into(),
    }
}

/// What a log keeps of a wire text.
enum Kept<'a> {
    /// One line of JSON: as it came, or without its tokens.
    Event(Cow<'a, str>),
    /// Any other text.
    Text(&'a str),
}

fn kept(text: &str) -> Kept<'_> {
    let holds_tokens = holds_tokens(text);
    // Looking for tokens in a text of too many elements would take memory without end.
    if holds_tokens && !bound::is_within(text) {
        return Kept::Text(REDACTED);
    }
    if holds_tokens {
        // JSON in several lines, or what is almost JSON, holds tokens as well.
        let Some(mut event) = value(text) else { return Kept::Text(REDACTED) };
        redact(&mut event);
        let mut line = String::new();
        crate::event::scan::write(&event, &mut line);
        return Kept::Event(line.into());
    }
    let is_line = !text.contains('\n') && serde_json::from_str::<&RawValue>(text).is_ok();
    if is_line { Kept::Event(text.into()) } else { Kept::Text(text) }
}

/// What stands for a text that may hold tokens which cannot be told from the rest.
const REDACTED: &str = "[redacted]";

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

/// Takes the tokens of MCP tools out of the JSON that `out` ends with.
fn redact_from(out: &mut String, from: usize) {
    let json = &out[from..];
    if !holds_tokens(json) {
        return;
    }
    // What cannot be read is left out whole: the tokens in it cannot be told from the rest.
    let mut value = value(json).unwrap_or_else(|| REDACTED.into());
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
                        _ => REDACTED.into(),
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
    use crate::call::Call;
    use crate::log::Replay;
    use crate::session::SessionOptions;

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

    #[test]
    fn a_text_whose_tokens_cannot_be_told_from_the_rest_stands_in_no_log() {
        let tools =
            r#"{"type":"session.updated","session":{"tools":[{"type":"mcp","authorization":"sk-1"}]}"#;
        let odd = |member: &str| std::format!("{tools},\"x\":{member}}}");
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in [String::from(tools), odd("1e999"), odd(&deep)] {
            let mut out = String::new();
            LogWriter::default().text(&mut out, Timestamp::ZERO, ConnectionId(0), &text);
            LogWriter::default().client_text(&mut out, Timestamp::ZERO, ConnectionId(0), &text);
            push_json(&mut out, &RawValue::from_string(odd("1e999")).unwrap());
            assert!(!out.contains("sk-1") && out.matches(REDACTED).count() == 3, "{out}");
        }
    }

    #[test]
    fn a_raw_text_with_tokens_replays() {
        let options = SessionOptions { raw_text: true, ..SessionOptions::default() };
        let header = Header::new(options, "m", UnixTime::from_secs(1));
        let text =
            r#"{"type":"session.created","session":{"tools":[{"type":"mcp","authorization":"sk-1"}]}}"#;
        for text in [String::from(text), text.replace(',', ",\n")] {
            let (writer, mut log) = (LogWriter::default(), String::new());
            let mut call = Call::new(header.machines());
            let drain = |call: &mut Call, log: &mut String| {
                while let Some(output) = call.poll_output() {
                    writer.output(log, Timestamp::ZERO, &output);
                }
            };
            drain(&mut call, &mut log);
            writer.connected(&mut log, Timestamp::ZERO, ConnectionId(0), UnixTime::from_secs(1));
            call.handle_connected(Timestamp::ZERO, ConnectionId(0), UnixTime::from_secs(1));
            writer.text(&mut log, Timestamp::ZERO, ConnectionId(0), &text);
            call.handle_text(Timestamp::ZERO, ConnectionId(0), &text);
            drain(&mut call, &mut log);
            let mut replay = Replay::new(&header);
            for (index, line) in log.lines().enumerate() {
                replay.line(index + 2, line).unwrap();
            }
            assert_eq!(replay.finish(), None);
        }
    }
}
