//! One rule each, with a scripted server.

mod attach;
mod ending;
mod given_up;
mod instructions;
mod reconnect;
mod rotate;
mod suspend;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use std::format;

use serde_json::{Value, json};

use crate::audio::AudioFormat;
use crate::call::{
    Backoff, Call, CallOptions, Command, CommandError, CommandId, ConnectionId, DisconnectReason, Media,
    Output, Reconnect, Seed,
};
use crate::item::Item;
use crate::session::{PlaybackSource, SessionOptions};
use crate::session_config::SessionConfig;
use crate::time::{MediaTime, Timestamp, UnixTime};

pub(super) fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// Attempts after 1, 2, 4, … s, and no chance.
pub(super) fn reconnect() -> Reconnect {
    let backoff = Backoff { first: Duration::from_secs(1), jitter_percent: 0, ..Backoff::default() };
    Reconnect { backoff, ..Reconnect::default() }
}

/// A call, and all that came out of it since it was last looked at, in words.
pub(super) struct Driven {
    pub(super) call: Call,
    pub(super) now: u64,
}

impl Driven {
    pub(super) fn new(reconnect: Reconnect) -> Self {
        Self::with(SessionConfig::realtime(), reconnect)
    }

    pub(super) fn with(config: SessionConfig, reconnect: Reconnect) -> Self {
        let (playback, expiry_notice) = (PlaybackSource::Estimated, Duration::ZERO);
        let session = SessionOptions { playback, expiry_notice, config, ..SessionOptions::default() };
        let options = CallOptions { session, reconnect };
        Self { call: Call::new(options), now: 0 }
    }

    /// A call whose first connection serves.
    pub(super) fn ready(reconnect: Reconnect) -> Self {
        let mut call = Self::new(reconnect);
        call.open(0);
        call.drain();
        call
    }

    /// Connects, and acknowledges the configuration.
    pub(super) fn open(&mut self, conn: u32) {
        self.open_with(conn, json!({"id": format!("sess_{conn}")}));
    }

    pub(super) fn open_with(&mut self, conn: u32, session: Value) {
        self.call.handle_connected(at(self.now), ConnectionId(conn), UnixTime::from_secs(1_000_000));
        self.hear(conn, json!({"type": "session.created", "session": session}));
        self.hear(conn, json!({"type": "session.updated", "session": {}}));
    }

    pub(super) fn hear(&mut self, conn: u32, event: Value) {
        self.call.handle_text(at(self.now), ConnectionId(conn), &event.to_string());
    }

    pub(super) fn command(&mut self, id: u64, command: Command) -> Result<(), CommandError> {
        self.call.handle_command(at(self.now), CommandId(id), command)
    }

    pub(super) fn create(&mut self, id: u64, item_id: Option<&str>, respond: bool) {
        let mut item = Item::user_text("hello");
        if let Some(item_id) = item_id {
            item.set_id(item_id.into());
        }
        self.command(id, Command::CreateItem { item: item.into(), after: Some("before".into()), respond })
            .unwrap();
    }

    pub(super) fn speak(&mut self, ms: u64) {
        let bytes = AudioFormat::PCM16_24K.bytes(MediaTime::from_millis(ms));
        let audio = std::vec![0; bytes as usize].into();
        self.media(Media::Append(audio));
    }

    pub(super) fn media(&mut self, media: Media) {
        self.call.handle_media(at(self.now), media).unwrap();
    }

    pub(super) fn cut(&mut self, conn: u32, code: Option<u16>, reason: &str) {
        let reason = DisconnectReason::Closed { code, reason: reason.into() };
        self.call.handle_disconnected(at(self.now), ConnectionId(conn), reason);
    }

    pub(super) fn seed(&mut self, conn: u32, seed: Seed) {
        self.call.handle_seed(at(self.now), ConnectionId(conn), seed);
    }

    /// Lets the time pass, and stops at every deadline.
    pub(super) fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(due) = self.call.poll_timeout().filter(|due| *due <= at(until)) {
            self.now = due.as_micros().div_ceil(1000);
            self.call.handle_timeout(due);
        }
        self.now = until;
    }

    /// What came out, in words: `0> event` for what is sent over a connection, names of events, `connect 1 at
    /// 0`.
    pub(super) fn drain(&mut self) -> Vec<String> {
        self.outputs().iter().map(describe).collect()
    }

    pub(super) fn outputs(&mut self) -> Vec<Output> {
        core::iter::from_fn(|| self.call.poll_output()).collect()
    }
}

pub(super) fn describe(output: &Output) -> String {
    match output {
        Output::Connect { connection, endpoint } => {
            format!("connect {} to {endpoint}", connection.0)
        }
        Output::Send { connection, event, .. } => format!("{}> {}", connection.0, event.kind()),
        Output::Close(conn) => format!("close {}", conn.0),
        Output::Seed { connection, carried, .. } => {
            let carried: String = carried.iter().map(|id| format!(" {id}")).collect();
            format!("seed {}{carried}", connection.0)
        }
        Output::Event(event) => match serde_json::to_value(event).unwrap() {
            Value::String(name) => name,
            Value::Object(members) => {
                let (name, value) = members.into_iter().next().unwrap();
                match name.as_str() {
                    "settled" => format!("settled {} {}", value["id"], name_of(&value["outcome"])),
                    "closed" => format!("closed {}", name_of(&value["reason"])),
                    "function_ended" => format!("function_ended {}", name_of(&value["end"])),
                    "connection" => of_connection(&value),
                    _ => name,
                }
            }
            other => other.to_string(),
        },
    }
}

/// What is told of the call's connections.
fn of_connection(event: &Value) -> String {
    let name = name_of(event);
    let value = &event[&name];
    match name.as_str() {
        "lost" => {
            let retry = value["retry_at"].as_u64().map(|at| at / 1000);
            format!("lost {} retry {retry:?}", name_of(&value["class"]))
        }
        "retrying" => format!("retrying {} to {}", value["attempt"], value["endpoint"]),
        "suspended" => name,
        _ => {
            let gap = value["gap"]["secs"].as_u64().unwrap() * 1000
                + value["gap"]["nanos"].as_u64().unwrap() / 1_000_000;
            let lost = value["audio_lost"].as_u64().unwrap() / 1000;
            format!("{name} gap {gap} lost {lost}")
        }
    }
}

fn name_of(value: &Value) -> String {
    match value {
        Value::String(name) => name.clone(),
        Value::Object(members) => members.keys().next().cloned().unwrap_or_default(),
        other => other.to_string(),
    }
}

pub(super) fn texts(outputs: &[Output]) -> String {
    let sent = outputs.iter().map(|output| match output {
        Output::Send { dialect, event, .. } => event.encode(*dialect),
        other => describe(other),
    });
    sent.collect::<Vec<_>>().join("\n")
}
