//! Logs of a server, which have only what was on the wire: its texts tell of the call what call events tell
//! otherwise, as far as they can.

use realtime_protocol::audio::AudioFormat;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::Reader;
use super::line::Sound;
use super::members::{count, error, text};
use super::model::{Cut, Level};
use super::output::{Chunk, Place};

impl Reader {
    /// The state of the server's own playback, in any log.
    pub(super) fn playing(&mut self, kind: &str, event: &Value) {
        match kind {
            "output_audio_buffer.started" => self.output.served(self.at, text(event, "response_id")),
            "output_audio_buffer.stopped" | "output_audio_buffer.cleared" => {
                self.output.serves_no_more(self.at);
            }
            _ => {}
        }
    }

    /// Audio that the server sent.
    pub(super) fn audio_of_wire(&mut self, raw: &RawValue, sound: &Sound) {
        let Ok(event) = serde_json::from_str::<Value>(raw.get()) else { return };
        let place = Place {
            response: text(&event, "response_id"),
            item: text(&event, "item_id"),
            index: count(&event, "content_index").unwrap_or(0),
        };
        let chunk = Chunk { format: self.speaks, sound, start: None, mark: None, out_of_band: false };
        self.output.audio(self.at, place, &chunk, self.event, &mut self.tape);
    }

    /// The server sent a text.
    pub(super) fn server_tells(&mut self, kind: &str, event: &Value) {
        let (at, line) = (self.at, self.event);
        let item = text(event, "item_id");
        let on_clock = |reader: &Self, name: &str| {
            let position = i64::try_from(count(event, name)?).ok()?.checked_mul(1000)?;
            reader.input.on_clock(reader.links.current()?, position)
        };
        match kind {
            "session.created" | "session.updated" => self.speaks_of_wire(&event["session"]),
            "input_audio_buffer.speech_started" => {
                let from = on_clock(self, "audio_start_ms");
                self.talk.speech_started(at, from, item, line);
                self.output.stop(at);
            }
            "input_audio_buffer.speech_stopped" => {
                let to = on_clock(self, "audio_end_ms");
                self.talk.speech_stopped(at, to, item);
            }
            "input_audio_buffer.committed" => self.talk.committed(at, item, line),
            "conversation.item.input_audio_transcription.completed" => {
                self.talk.said(at, item, Ok(text(event, "transcript")), line);
                self.work.transcribed(&event["usage"]);
            }
            "response.created" => {
                let id = text(&event["response"], "id");
                self.work.started(at, &json!({ "response_id": id }), line);
            }
            "response.output_audio_transcript.delta" | "response.audio_transcript.delta" => {
                self.words_of_wire(event, true);
            }
            "response.output_text.delta" | "response.text.delta" => self.words_of_wire(event, false),
            "response.function_call_arguments.done" => {
                self.work.called(at, text(event, "response_id"), event, false, line);
            }
            "response.done" => {
                let response = &event["response"];
                if let Some((number, running)) = self.work.running(text(response, "id")) {
                    running.done = Some(at);
                    running.event = line;
                    text(response, "status").clone_into(&mut running.end);
                    self.work.cost(number, &response["usage"]);
                }
            }
            "conversation.item.truncated" => {
                let heard = count(event, "audio_end_ms").unwrap_or(0).min(1 << 40) as i64;
                let cut = Cut {
                    at,
                    heard: heard * 1000,
                    received: 0,
                    text: None,
                    estimated: false,
                    told: format!("truncated at {heard} ms"),
                };
                let _ = self.output.cut(item, count(event, "content_index").unwrap_or(0), None, cut);
            }
            "error" => self.mark(Level::Bad, "the server reports an error", error(&event["error"])),
            _ => {}
        }
    }

    /// The client sent a text.
    pub(super) fn client_tells(&mut self, kind: &str, event: &Value) {
        if kind != "conversation.item.create" {
            return;
        }
        let item = &event["item"];
        if text(item, "type") == "function_call_output" {
            let call = json!({ "call_id": text(item, "call_id") });
            self.work.ended(self.at, &call, &json!({ "result": item["output"] }), self.event);
        } else {
            self.talk.written(self.at, item, self.hides, self.event);
        }
    }

    fn words_of_wire(&mut self, event: &Value, spoken: bool) {
        let place = Place {
            response: text(event, "response_id"),
            item: text(event, "item_id"),
            index: count(event, "content_index").unwrap_or(0),
        };
        self.output.text(self.at, place, Ok(text(event, "delta")), spoken, self.event);
    }

    /// A configuration in the spelling of either dialect.
    fn speaks_of_wire(&mut self, session: &Value) {
        self.configured(session);
        let beta = |name: &str| match text(session, name) {
            "pcm16" => Some(AudioFormat::PCM16_24K),
            "g711_ulaw" => Some(AudioFormat::Pcmu),
            "g711_alaw" => Some(AudioFormat::Pcma),
            _ => None,
        };
        if let Some(format) = beta("input_audio_format") {
            self.input.speaks(format);
        }
        if let Some(format) = beta("output_audio_format") {
            self.speaks = format;
        }
    }
}
