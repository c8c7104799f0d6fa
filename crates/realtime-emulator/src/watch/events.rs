//! The latest events of a session, as the lines of a session log.
//!
//! Events that come in hundreds, with a piece of something each, are one entry with a count. Of audio nothing
//! is kept.

use std::collections::VecDeque;
use std::fmt::{self, Write};

use realtime_protocol::call::ConnectionId;
use realtime_protocol::log::LogWriter;
use realtime_protocol::time::Timestamp;

use crate::watch::shorten;

/// Who sent an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Client,
    Server,
}

/// A ring of events, the newest last.
#[derive(Default)]
pub(super) struct Events {
    entries: VecDeque<Entry>,
    /// Bytes of all lines.
    bytes: usize,
    /// How many entries there were.
    made: u64,
    /// How many times anything changed.
    changes: u64,
}

/// One event, or several pieces of something.
struct Entry {
    number: u64,
    /// The number of its newest change.
    changed: u64,
    /// When the first of them came.
    at: Timestamp,
    side: Side,
    /// What the pieces are called. `None`: it is no piece.
    piece: Option<Box<str>>,
    times: u64,
    /// Bytes on the wire, of all of them.
    bytes: u64,
    /// A line of a session log: the newest of them.
    line: Box<str>,
}

/// Returns whether an event of this type carries audio.
pub(super) fn is_audio(kind: &str) -> bool {
    matches!(kind, "input_audio_buffer.append" | "response.output_audio.delta" | "response.audio.delta")
}

impl Events {
    /// Adds an event with this many bytes. Only the type of one with audio is kept, whatever its text is.
    pub(super) fn add(&mut self, at: Timestamp, side: Side, kind: &str, text: &str, bytes: usize) {
        self.changes += 1;
        let is_audio = is_audio(kind);
        let is_piece = is_audio || kind.ends_with(".delta");
        // Both sides may send pieces at once. What came since other events is one entry for each kind.
        let latest = self.entries.iter_mut().rev().take_while(|entry| is_piece && entry.piece.is_some());
        let mut same = latest.filter(|entry| entry.piece.as_deref() == Some(kind) && entry.side == side);
        if let Some(entry) = same.next() {
            entry.times += 1;
            entry.bytes += bytes as u64;
            entry.changed = self.changes;
            if !is_audio {
                self.bytes -= entry.line.len();
                entry.line = line(entry.at, side, &shorten::event(kind, text));
                self.bytes += entry.line.len();
            }
        } else {
            let text = if is_audio { format!(r#"{{"type":"{kind}"}}"#) } else { shorten::event(kind, text) };
            let line = line(at, side, &text);
            self.made += 1;
            self.bytes += line.len();
            let (number, changed, piece) = (self.made, self.changes, is_piece.then(|| kind.into()));
            self.entries.push_back(Entry {
                number,
                changed,
                at,
                side,
                piece,
                times: 1,
                bytes: bytes as u64,
                line,
            });
        }
        while self.entries.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.line.len();
        }
    }

    /// The events that are new or have changed since then, as JSON text.
    pub(super) fn json(&self, after: u64) -> String {
        let mut text = String::from("[");
        for entry in self.entries.iter().filter(|entry| entry.changed > after) {
            let Entry { number, changed, times, bytes, line, .. } = entry;
            let comma = if text.len() > 1 { "," } else { "" };
            let _ = write!(
                text,
                r#"{comma}{{"number":{number},"changed":{changed},"times":{times},"bytes":{bytes},"line":{line}}}"#
            );
        }
        text.push(']');
        text
    }
}

fn line(at: Timestamp, side: Side, text: &str) -> Box<str> {
    let (writer, mut line) = (LogWriter::default(), String::new());
    match side {
        Side::Client => writer.client_text(&mut line, at, CONNECTION, text),
        Side::Server => writer.text(&mut line, at, CONNECTION, text),
    }
    line.trim_end().into()
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("made", &self.made).finish_non_exhaustive()
    }
}

const CONNECTION: ConnectionId = ConnectionId(0);
/// Entries.
const MOST: usize = 128;
/// Bytes of all lines.
const MOST_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;

    fn add(events: &mut Events, side: Side, text: &str) {
        events.add(NOW, side, &shorten::kind(text), text, text.len());
    }

    fn entries(events: &Events, after: u64) -> Vec<Value> {
        serde_json::from_str(&events.json(after)).unwrap()
    }

    #[test]
    fn pieces_of_both_sides_are_counted_between_other_events() {
        let (append, audio) = ("input_audio_buffer.append", "response.output_audio.delta");
        let words = "response.output_audio_transcript.delta";
        let mut events = Events::default();
        add(&mut events, Side::Server, r#"{"type":"a"}"#);
        for number in 0..500 {
            events.add(NOW, Side::Client, append, "", 100);
            events.add(NOW, Side::Server, audio, "", 10);
            add(&mut events, Side::Server, &format!(r#"{{"type":"{words}","delta":"{number}"}}"#));
        }
        let before = entries(&events, 0)[3]["changed"].as_u64().unwrap();
        add(&mut events, Side::Server, r#"{"type":"b"}"#);
        events.add(NOW, Side::Client, append, "", 100);
        let all = entries(&events, 0);
        let kinds: Vec<_> = all.iter().map(|e| e["line"]["event"]["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["a", append, audio, words, "b", append]);
        assert_eq!((&all[1]["times"], &all[1]["bytes"]), (&json!(500), &json!(50_000)));
        assert_eq!((&all[3]["times"], &all[3]["line"]["event"]["delta"]), (&json!(500), &json!("499")));
        assert_eq!(entries(&events, before).len(), 2, "what came since then");
        assert_eq!(events.bytes, events.entries.iter().map(|entry| entry.line.len()).sum::<usize>());
    }

    #[test]
    fn the_oldest_leave_by_number_and_by_bytes() {
        let mut events = Events::default();
        for number in 0..1000 {
            add(&mut events, Side::Client, &format!(r#"{{"type":"a","n":{number}}}"#));
        }
        let kept = entries(&events, 0);
        assert_eq!((kept.len(), &kept[127]["line"]["event"]["n"]), (MOST, &json!(999)));
        for _ in 0..100 {
            add(&mut events, Side::Client, &format!(r#"{{"type":"a","n":[{}1]}}"#, "1,".repeat(1000)));
        }
        assert!(events.bytes <= MOST_BYTES && events.entries.len() < 40, "{}", events.entries.len());
        assert_eq!(events.bytes, events.entries.iter().map(|entry| entry.line.len()).sum::<usize>());
    }

    #[test]
    fn whatever_a_text_is_the_answer_is_json() {
        let mut events = Events::default();
        for text in ["", "no JSON", "{\"type\":\"a\"", "{\n\"type\":\"a\"}", "\u{0}\"\\", "[1]"] {
            add(&mut events, Side::Server, text);
            add(&mut events, Side::Client, text);
        }
        assert_eq!(entries(&events, 0).len(), 12);
    }
}
