//! The model of a call: the emulator, and what it saw of its client.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use realtime_client::{Client, Endpoint};
use realtime_emulator::brain::Script;
use realtime_emulator::{Options, serve_stream};
use realtime_pipeline::agent::Agent;
use serde_json::Value;
use tokio::io::duplex;

/// An emulator that writes down what it sends and gets.
pub(crate) struct Server {
    directory: PathBuf,
}

/// What passed between the emulator and its client.
pub(crate) struct Seen(Vec<(Side, Value)>);

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Server,
    Client,
}

impl Server {
    /// The agent on an emulator that follows this script, and where it is.
    pub(crate) fn new(agent: Agent, script: &Value) -> (Self, Agent, Endpoint) {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("realtime-phone-{}-{number}", std::process::id()));
        let script = Script::parse(&script.to_string()).unwrap();
        let options = Options::default().script(script).log_directory(&directory);
        let agent = agent.service(move |service| {
            service.connect_with(move |endpoint, client| async move {
                let (near, far) = duplex(1 << 20);
                tokio::spawn(serve_stream(far, options));
                Client::over(near, &endpoint, client).await
            })
        });
        (Self { directory }, agent, Endpoint::new("ws://emulator", "gpt-realtime").unwrap())
    }

    /// What it has seen, once the call is over.
    pub(crate) fn seen(&self) -> Seen {
        let mut lines = Vec::new();
        for file in std::fs::read_dir(&self.directory).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                let side = match line["from"].as_str() {
                    Some("server") => Side::Server,
                    Some("client") => Side::Client,
                    _ => continue,
                };
                lines.push((side, line["event"].clone()));
            }
        }
        Seen(lines)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody needs it.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Seen {
    fn events(&self, side: Side, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |(of, event)| *of == side && event["type"] == kind).map(|(_, event)| event)
    }

    /// Where each item was cut: its id, and how much of it was heard (ms).
    pub(crate) fn cuts(&self) -> Vec<(String, u64)> {
        let cut = |event: &Value| {
            (event["item_id"].as_str().unwrap().to_owned(), event["audio_end_ms"].as_u64().unwrap())
        };
        self.events(Side::Client, "conversation.item.truncate").map(cut).collect()
    }

    /// How much audio of each item the server sent, in order: its id, and its length (ms) at so many bytes a
    /// second.
    pub(crate) fn spoken(&self, bytes_per_second: u64) -> Vec<(String, u64)> {
        let mut items: Vec<(String, u64)> = Vec::new();
        for event in self.events(Side::Server, "response.output_audio.delta") {
            let (id, bytes) = (event["item_id"].as_str().unwrap(), audio_bytes(&event["delta"]));
            match items.last_mut().filter(|(last, _)| last == id) {
                Some((_, sum)) => *sum += bytes,
                None => items.push((id.to_owned(), bytes)),
            }
        }
        items.into_iter().map(|(id, bytes)| (id, bytes * 1_000 / bytes_per_second)).collect()
    }

    /// The formats that the session speaks, as the server acknowledged them: of the user, and of the model.
    pub(crate) fn formats(&self) -> (String, String) {
        let session = &self.events(Side::Server, "session.updated").next().unwrap()["session"]["audio"];
        let kind = |side: &str| session[side]["format"]["type"].as_str().unwrap().to_owned();
        (kind("input"), kind("output"))
    }

    pub(crate) fn errors(&self) -> Vec<&Value> {
        self.events(Side::Server, "error").collect()
    }
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
