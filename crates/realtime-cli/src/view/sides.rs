//! The lines of a log by who wrote them: the server, the client, the session, and this side.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::Reader;
use super::events::{Entry, Flow};
use super::line::{Aside, Line, Media, Sound, Wire, words};
use super::names;

impl Reader {
    pub(super) fn server_line(&mut self, line: &Line<'_>, row: Row<'_>, aside: &mut Aside<'_>) {
        let number = line.conn.unwrap_or(0);
        if let Some(raw) = line.event {
            self.server_text(raw, row, aside);
        } else if let Some(raw) = line.text {
            let inner = RawValue::from_string(words(raw).into_owned());
            match inner {
                Ok(inner) if inner.get().starts_with('{') => self.server_text(&inner, row, aside),
                _ => self.add(row, "server", "text", "trouble"),
            }
        } else if line.connected.is_some() {
            self.add(row, "server", "connected", "connection");
            self.links.connected(self.at, number, self.event);
        } else if let Some(why) = &line.disconnected {
            self.add(row, "server", "disconnected", "connection");
            self.links.disconnected(self.at, number, why);
        } else {
            self.add(row, "server", "?", "other");
        }
    }

    fn server_text(&mut self, raw: &RawValue, row: Row<'_>, aside: &mut Aside<'_>) {
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(raw.get()) else {
            return self.add(row, "server", "?", "trouble");
        };
        self.heard.texts += 1;
        let kind = &*wire.kind;
        if matches!(kind, "response.output_audio.delta" | "response.audio.delta")
            && let Some(delta) = wire.delta
        {
            let sound = Sound::read(delta, aside);
            self.count_missing(&sound, delta);
            self.flow(Flow::Delta, row, "server", kind, sound.len(), delta);
            if self.is_of_a_server() {
                self.audio_of_wire(raw, &sound);
            } else {
                self.delta = Some(sound);
            }
            return;
        }
        self.add(row, "server", kind, names::class(kind));
        let of_interest = kind.starts_with("output_audio_buffer.") || self.is_of_a_server();
        if of_interest && let Ok(event) = serde_json::from_str(raw.get()) {
            self.playing(kind, &event);
            if self.is_of_a_server() {
                self.server_tells(kind, &event);
            }
        }
    }

    pub(super) fn client_line(&mut self, line: &Line<'_>, row: Row<'_>, aside: &mut Aside<'_>) {
        let number = line.conn.unwrap_or(0);
        if let Some(raw) = line.event {
            let Ok(wire) = serde_json::from_str::<Wire<'_>>(raw.get()) else {
                return self.add(row, "client", "?", "other");
            };
            if wire.kind == "input_audio_buffer.append"
                && let Some(audio) = wire.audio
            {
                let bytes = Sound::size(audio);
                if !self.heard.media {
                    let sound = Sound::read(audio, aside);
                    self.count_missing(&sound, audio);
                    self.input.step(true);
                    self.input.append(self.at, &sound, &mut self.tape);
                }
                self.flow(Flow::Sent, row, "client", &wire.kind, bytes, audio);
                return self.input.sent(number, bytes);
            }
            self.add(row, "client", &wire.kind, names::class(&wire.kind));
            if self.is_of_a_server()
                && let Ok(event) = serde_json::from_str(raw.get())
            {
                self.client_tells(&wire.kind, &event);
            }
        } else if line.connect.is_some() {
            self.add(row, "client", "connect", "connection");
            self.links.connect(self.at, number, line.endpoint.unwrap_or(0), self.event);
        } else if line.close.is_some() {
            self.add(row, "client", "close", "connection");
            self.links.close(number);
        } else {
            self.add(row, "client", "text", "other");
        }
    }

    pub(super) fn own_line(&mut self, line: &Line<'_>, row: Row<'_>, aside: &mut Aside<'_>) {
        let from = &*line.from;
        if let Some(raw) = line.media {
            let Ok(media) = serde_json::from_str::<Media<'_>>(raw.get()) else {
                return self.add(row, from, "media", "other");
            };
            if let Some(append) = media.append {
                self.heard.media = true;
                let sound = Sound::read(append.audio, aside);
                self.count_missing(&sound, append.audio);
                self.flow(Flow::Append, row, from, "append", sound.len(), append.audio);
                self.input.append(self.at, &sound, &mut self.tape);
            } else if let Some(report) = media.report {
                self.report(&report, row, from);
            } else if media.begin_turn.is_some() {
                self.add(row, from, "begin_turn", "talk");
                self.talk.pushed(self.at);
            } else {
                self.add(row, from, "media", "other");
            }
        } else if let Some(command) = line.command.and_then(|raw| serde_json::from_str(raw.get()).ok()) {
            self.command(&command, row, from);
        } else if let Some(shortfall) = line.shortfall.and_then(|raw| serde_json::from_str(raw.get()).ok()) {
            self.shortfall(&shortfall, row, from);
        } else if line.seed.is_some() {
            self.add(row, from, "seed", "setup");
        } else if line.suspend.is_some() {
            self.add(row, from, "suspend", "connection");
        } else {
            self.add(row, from, from, "other");
        }
    }

    pub(super) fn session_line(&mut self, line: &Line<'_>, row: Row<'_>) {
        self.heard.session = true;
        let Some(raw) = line.event else {
            return self.add(row, "session", "seed", "setup");
        };
        if raw.get().starts_with(r#"{"audio":{"#)
            && let Ok(told) = AudioTold::read(raw)
        {
            let bytes = self.delta.as_ref().map_or(0, Sound::len);
            let json = row.json;
            self.event =
                self.table.flow(Flow::Audio, &row.entry(self.at, "session", "audio", "audio"), bytes, || {
                    json.to_owned()
                });
            return self.audio_told(&told);
        }
        match serde_json::from_str(raw.get()) {
            Ok(event) => self.told(&event, row),
            Err(_) => self.add(row, "session", "?", "other"),
        }
    }

    /// Adds a line to the table.
    pub(super) fn add(&mut self, row: Row<'_>, from: &str, name: &str, class: &'static str) {
        self.event = self.table.add(&row.entry(self.at, from, name, class));
    }

    /// Adds a line to the table, or to the one of its kind that stands there.
    pub(super) fn add_report(&mut self, row: Row<'_>, from: &str) {
        let entry = row.entry(self.at, from, "played", "audio");
        self.event = self.table.flow(Flow::Report, &entry, 0, || row.json.to_owned());
    }

    /// Whether the log has only what was on the wire.
    fn is_of_a_server(&self) -> bool {
        !self.heard.session && self.heard.texts > 2
    }

    fn flow(&mut self, flow: Flow, row: Row<'_>, from: &str, name: &str, bytes: u64, audio: &RawValue) {
        let entry = row.entry(self.at, from, name, "audio");
        let (json, audio) = (row.json, audio.get());
        self.event = self.table.flow(flow, &entry, bytes, || {
            // A placeholder is short, and tells more than this would.
            if audio.len() < 64 {
                json.to_owned()
            } else {
                json.replace(audio, &format!("\"{bytes} bytes\""))
            }
        });
    }

    fn count_missing(&mut self, sound: &Sound, raw: &RawValue) {
        if matches!(sound, Sound::Size(size) if *size > 0) && raw.get().starts_with("\"aside:") {
            self.heard.missing += sound.len();
        }
    }
}

/// A line as the table keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    line: usize,
    json: &'a str,
}

impl<'a> Row<'a> {
    pub(super) const fn new(line: usize, json: &'a str) -> Self {
        Self { line, json }
    }

    const fn entry(&self, at: i64, from: &'a str, name: &'a str, class: &'static str) -> Entry<'a> {
        Entry { at, line: self.line, from, name, class, json: self.json, size: self.json.len() }
    }
}

/// A call event that tells of audio.
#[derive(Debug, Deserialize)]
pub(super) struct AudioTold {
    pub(super) response_id: String,
    pub(super) item_id: String,
    #[serde(default)]
    pub(super) content_index: u64,
    #[serde(default)]
    pub(super) out_of_band: bool,
    pub(super) start: Option<u64>,
    pub(super) mark: Option<u64>,
    #[serde(default)]
    pub(super) format: String,
    #[serde(default)]
    pub(super) audio: String,
}

impl AudioTold {
    fn read(raw: &RawValue) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Outer {
            audio: AudioTold,
        }
        serde_json::from_str::<Outer>(raw.get()).map(|outer| outer.audio)
    }
}
