//! Call events, commands and reports: what each says about the call.

use serde_json::Value;

use super::call::Reader;
use super::line::{Sound, format};
use super::members::{clamped, count, error, micros, spoken, text, variant, words};
use super::model::{Cut, Interruption, Level};
use super::names;
use super::output::{Chunk, Place};
use super::sides::{AudioTold, Row};
use super::trouble::{self, Told};

impl Reader {
    /// The session tells something.
    pub(super) fn told(&mut self, event: &Value, row: Row<'_>) {
        let (name, told) = variant(event);
        let shown = match name {
            "warning" | "connection" => format!("{name} {}", variant(told).0),
            "server" => format!("{name} {}", text(told, "type")),
            name => name.to_owned(),
        };
        self.add(row, "session", &shown, names::class(&shown));
        let (at, line) = (self.at, self.event);
        match name {
            "ready" => {
                self.configured(&told["config"]);
                self.links.ready(at);
            }
            "config_updated" => self.configured(&told["config"]),
            "speech_started" => {
                let from = self.position(micros(told, "at"));
                self.talk.speech_started(at, from, text(told, "item_id"), line);
            }
            "speech_stopped" => {
                let to = self.position(micros(told, "at"));
                self.talk.speech_stopped(at, to, text(told, "item_id"));
            }
            "committed" => self.talk.committed(at, text(told, "item_id"), line),
            "user_transcript" => {
                let words = words(text(told, "transcript"), self.hides);
                self.talk.said(at, text(told, "item_id"), words, line);
                self.work.transcribed(&told["usage"]);
            }
            "user_transcript_failed" => {
                self.talk.failed(at, text(told, "item_id"), error(&told["error"]), line);
            }
            "item_placed" | "item_done" => self.item(&told["item"], name == "item_done"),
            "text" => {
                let words = words(text(told, "delta"), self.hides);
                self.output.text(at, place(told), words, told["spoken"] == true, line);
            }
            "audio_done" => {
                self.output.audio_done(text(told, "item_id"), index(told), count(told, "total"));
            }
            "response_started" => self.work.started(at, told, line),
            "response_finished" => self.work.finished(at, told, self.origin.unwrap_or(0), line),
            "function_calls" => {
                for call in told["calls"].as_array().into_iter().flatten() {
                    self.work.called(at, text(told, "response_id"), call, false, line);
                }
            }
            "function_ended" => self.work.ended(at, &told["call"], &told["end"], line),
            "call_ended" => self.work.ended(at, told, &told["end"], line),
            "stop_playback" => {
                self.stops.push(at);
                self.output.stop(at);
            }
            "interrupted" => self.interrupted(told),
            _ => {}
        }
        self.moment(event);
    }

    /// What the event says of connections, losses, errors and the like.
    fn moment(&mut self, event: &Value) {
        let (name, told) = variant(event);
        let part = &told["audio_dropped"];
        let rate =
            self.output.rate(text(part, "item_id"), index(part)).unwrap_or_else(|| self.speaks.sample_rate());
        let lost = trouble::input_lost(event);
        self.work.totals.input_lost += lost;
        self.work.totals.output_lost += trouble::output_lost(event, rate);
        if name == "warning" {
            self.input.dropped(lost);
        }
        let connection = if name == "connection" { variant(told).0 } else { name };
        match connection {
            "resumed" | "rotated" | "reconnected" => self.links.ready(self.at),
            "closed" | "suspended" => self.closed = true,
            _ => {}
        }
        if let Some(Told { level, title, text }) = trouble::told(event, rate) {
            self.mark(level, title, text);
        }
    }

    fn interrupted(&mut self, told: &Value) {
        let start = if self.stops.is_empty() { self.at } else { self.stops.remove(0) };
        let mut interruption =
            Interruption { start, at: self.at, event: self.event, ..Interruption::default() };
        for part in told["parts"].as_array().into_iter().flatten() {
            let (item, index) = (text(part, "item_id"), index(part));
            // Old logs count time, and newer ones samples.
            let rate = format(text(part, "format")).map(|format| u64::from(format.sample_rate().max(1)));
            let time = |name| {
                let many = count(part, name).unwrap_or(0);
                clamped(rate.map_or(many, |rate| many.saturating_mul(1_000_000) / rate))
            };
            let (how, members) = variant(&part["cut"]);
            let told = match how {
                "truncated" => format!("truncated at {} ms", count(members, "audio_end_ms").unwrap_or(0)),
                how => spoken(how),
            };
            let heard_text = words(text(part, "heard_text"), self.hides).ok();
            let cut = Cut {
                at: self.at,
                heard: time("heard"),
                received: time("received"),
                text: heard_text.map(|text| text.encode_utf16().count()),
                estimated: part["estimated"] == true,
                told,
            };
            interruption.heard += cut.heard;
            interruption.received += cut.received;
            let samples = rate.and_then(|_| count(part, "heard"));
            interruption.parts.extend(self.output.cut(item, index, samples, cut));
        }
        self.interruptions.push(interruption);
    }

    fn item(&mut self, item: &Value, done: bool) {
        match text(item, "type") {
            "mcp_call" => self.work.hosted(self.at, item, done, self.event),
            "message" if item["role"] == "user" => self.talk.item_says(item, self.hides),
            _ => {}
        }
    }

    /// The session tells of audio whose bytes were in the text before.
    pub(super) fn audio_told(&mut self, told: &AudioTold) {
        let sound = self.delta.take().unwrap_or_else(|| Sound::Size(super::line::number(&told.audio)));
        let chunk = Chunk {
            format: format(&told.format).unwrap_or(self.speaks),
            sound: &sound,
            start: told.start,
            mark: told.mark,
            out_of_band: told.out_of_band,
        };
        let place = Place { response: &told.response_id, item: &told.item_id, index: told.content_index };
        self.output.audio(self.at, place, &chunk, self.event, &mut self.tape);
    }

    /// The application tells what was played.
    pub(super) fn report(&mut self, report: &Value, row: Row<'_>, from: &str) {
        let (name, told) = variant(report);
        let at = if name == "played" { told } else { &told["at"] };
        match name {
            "played" | "mark" => self.add_report(row, from),
            name => self.add(row, from, &format!("playback {name}"), "talk"),
        }
        if name == "mark"
            && let Some(mark) = told.as_u64()
        {
            self.output.mark(self.at, mark);
        }
        if at.is_object() {
            let played = count(at, "played").unwrap_or(0);
            self.output.played(self.at, text(at, "item_id"), index(at), played);
        }
    }

    /// The application, or a listener, asks for something.
    pub(super) fn command(&mut self, command: &Value, row: Row<'_>, from: &str) {
        let (name, told) = variant(command);
        self.add(row, from, name, names::class(name));
        match name {
            "create_item" => self.talk.written(self.at, &told["item"], self.hides, self.event),
            "answer_function" => self.work.answered(text(told, "call_id"), &told["output"]),
            "interrupt" | "cancel_response" | "clear_audio" | "rotate" => {
                let who = if from == "listener" { "a listener" } else { "the application" };
                self.mark(Level::Info, format!("{who} asks: {}", spoken(name)), "");
            }
            _ => {}
        }
    }

    /// The driver could not pass something on. The session tells of losses itself.
    pub(super) fn shortfall(&mut self, shortfall: &Value, row: Row<'_>, from: &str) {
        let (name, told) = variant(shortfall);
        self.add(row, from, &format!("shortfall {name}"), "trouble");
        if matches!(name, "too_slow" | "panicked") {
            self.mark(Level::Bad, spoken(name), text(told, "what"));
        }
    }

    fn position(&self, position: Option<i64>) -> Option<i64> {
        self.input.on_clock(self.links.current()?, position?)
    }
}

fn place(told: &Value) -> Place<'_> {
    Place { response: text(told, "response_id"), item: text(told, "item_id"), index: index(told) }
}

fn index(told: &Value) -> u64 {
    count(told, "content_index").unwrap_or(0)
}
