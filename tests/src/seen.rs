//! What passed between an emulator and its clients, as it wrote it down: [`Seen`].

use std::path::Path;
use std::{fmt, io};

use serde_json::Value;

/// The events of the logs in a directory, file by file.
#[derive(Clone)]
pub struct Seen(Vec<(Side, Value)>);

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Server,
    Client,
}

/// Audio and words are not shown.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({} events)", self.0.len())
    }
}

impl Seen {
    /// Reads what an emulator has seen that writes its logs in this directory.
    ///
    /// # Errors
    /// A file cannot be read, or a line of it is no JSON.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let mut lines = Vec::new();
        for file in std::fs::read_dir(directory)? {
            for line in std::fs::read_to_string(file?.path())?.lines() {
                let mut line: Value = serde_json::from_str(line)?;
                let side = match line["from"].as_str() {
                    Some("server") => Side::Server,
                    Some("client") => Side::Client,
                    _ => continue,
                };
                lines.push((side, line["event"].take()));
            }
        }
        Ok(Self(lines))
    }

    fn events(&self, side: Side, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |(of, event)| *of == side && event["type"] == kind).map(|(_, event)| event)
    }

    /// Where each item was cut: its id, and how much of it was heard (ms).
    pub fn cuts(&self) -> Vec<(String, u64)> {
        let cut =
            |event: &Value| (text(&event["item_id"]), event["audio_end_ms"].as_u64().unwrap_or_default());
        self.events(Side::Client, "conversation.item.truncate").map(cut).collect()
    }

    /// How much audio of each item the server sent, in order: its id, and its length (ms) at so many bytes a
    /// second.
    pub fn spoken(&self, bytes_per_second: u64) -> Vec<(String, u64)> {
        let mut items: Vec<(String, u64)> = Vec::new();
        for event in self.events(Side::Server, "response.output_audio.delta") {
            let (id, bytes) = (text(&event["item_id"]), audio_bytes(&event["delta"]));
            match items.last_mut().filter(|(last, _)| *last == id) {
                Some((_, sum)) => *sum += bytes,
                None => items.push((id, bytes)),
            }
        }
        items.into_iter().map(|(id, bytes)| (id, bytes * 1_000 / bytes_per_second)).collect()
    }

    /// The formats that the session speaks, as the server acknowledged them: of the user, and of the model.
    /// Empty texts if it did not.
    pub fn formats(&self) -> (String, String) {
        let updated = self.events(Side::Server, "session.updated").next().unwrap_or(&Value::Null);
        let kind = |side: &str| text(&updated["session"]["audio"][side]["format"]["type"]);
        (kind("input"), kind("output"))
    }

    /// The texts that the client told as the user's, in order.
    pub fn told(&self) -> Vec<&str> {
        let items = self.events(Side::Client, "conversation.item.create");
        items.filter_map(|event| event["item"]["content"][0]["text"].as_str()).collect()
    }

    /// The errors that the server told its client.
    pub fn errors(&self) -> Vec<&Value> {
        self.events(Side::Server, "error").collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Bytes of audio, as a log writes them.
fn audio_bytes(delta: &Value) -> u64 {
    match delta {
        Value::String(text) => {
            let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
            (text.len() / 4 * 3 - padding) as u64
        }
        other => other["bytes"].as_u64().unwrap_or_else(|| panic!("expected audio, got {other}")),
    }
}
