//! What is heard becomes deltas of the response that the server plays. Pure.
//!
//! Between `output_audio_buffer.started` and `stopped`, what is heard is the audio of that response, in its
//! first part with audio. Sound and events travel apart, so one may be a little before the other:
//!
//! - what sounded just before `started` belongs to it;
//! - `stopped` waits until what is on its way was heard, and is told after `response.output_audio.done`. The
//!   server sends that one when it has *made* the audio, which is much sooner, so its own is left out;
//! - after `cleared` nothing is heard until it was silent once.

use std::collections::VecDeque;
use std::mem;

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::content::ContentPart;
use realtime_protocol::event::{Dialect, ResponseOutputAudioDelta, ResponseOutputAudioDone, ServerEvent};
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::session_config::SessionConfig;

use super::pcm;

/// What the server plays, and the texts that tell of it.
#[derive(Debug)]
pub(super) struct Hearing {
    dialect: Dialect,
    input: AudioFormat,
    output: AudioFormat,
    /// The parts with audio, oldest first.
    parts: VecDeque<Part>,
    playing: Option<Playing>,
    /// Frames that wait: for the event that says what they are.
    waiting: VecDeque<Vec<i16>>,
    /// Nothing is to be heard until it was silent.
    is_muted: bool,
    /// Whether nothing comes.
    is_quiet: bool,
    texts: VecDeque<String>,
}

/// A part with audio.
#[derive(Clone, Debug)]
struct Part {
    response_id: ResponseId,
    item_id: ItemId,
    output_index: u32,
    content_index: u32,
}

#[derive(Debug)]
struct Playing {
    response_id: ResponseId,
    /// Its part, once something of it was heard.
    heard: Option<Part>,
    /// The event that ends it, and how many frames may come before it.
    stopped: Option<(String, usize)>,
}

impl Hearing {
    pub(super) const fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            input: AudioFormat::PCM16_24K,
            output: AudioFormat::PCM16_24K,
            parts: VecDeque::new(),
            playing: None,
            waiting: VecDeque::new(),
            is_muted: false,
            is_quiet: true,
            texts: VecDeque::new(),
        }
    }

    /// The format of the session's input.
    pub(super) const fn input(&self) -> AudioFormat {
        self.input
    }

    /// The format of the session's output.
    pub(super) const fn output(&self) -> AudioFormat {
        self.output
    }

    /// A text came from the server.
    pub(super) fn handle_text(&mut self, text: &str) {
        match ServerEvent::decode(text, self.dialect) {
            ServerEvent::SessionCreated(event) => self.learn(event.session.value().map(Box::as_ref)),
            ServerEvent::SessionUpdated(event) => self.learn(event.session.value().map(Box::as_ref)),
            ServerEvent::ResponseContentPartAdded(event) => {
                let is_audio = event
                    .part
                    .value()
                    .is_some_and(|part| matches!(part, ContentPart::OutputAudio(_) | ContentPart::Audio(_)));
                if is_audio && let Some(response_id) = event.response_id.into_value() {
                    let (output, content) = (event.output_index.value(), event.content_index.value());
                    self.note_part(response_id, event.item_id, output.copied(), content.copied());
                }
            }
            // Some servers do not announce parts.
            ServerEvent::ResponseOutputAudioTranscriptDelta(event) => {
                if let Some(response_id) = event.response_id.into_value() {
                    let (output, content) = (event.output_index.value(), event.content_index.value());
                    self.note_part(response_id, event.item_id, output.copied(), content.copied());
                }
            }
            ServerEvent::ResponseOutputAudioDone(_) => return,
            ServerEvent::OutputAudioBufferStarted(event) => {
                self.finish();
                self.texts.push_back(text.to_owned());
                self.is_muted = false;
                let newest = || self.parts.back().map(|part| part.response_id.clone());
                let response_id = event.response_id.into_value().or_else(newest);
                self.playing =
                    response_id.map(|response_id| Playing { response_id, heard: None, stopped: None });
                return self.release();
            }
            ServerEvent::OutputAudioBufferStopped(_) => {
                if let Some(playing) = &mut self.playing {
                    playing.stopped = Some((text.to_owned(), MOST_AFTER));
                    if self.is_quiet {
                        self.finish();
                    }
                    return;
                }
            }
            ServerEvent::OutputAudioBufferCleared(_) => {
                self.playing = None;
                self.waiting.clear();
                self.is_muted = !self.is_quiet;
            }
            _ => {}
        }
        self.texts.push_back(text.to_owned());
        self.release();
    }

    /// Samples are heard.
    pub(super) fn handle_sound(&mut self, samples: Vec<i16>) {
        self.is_quiet = false;
        let is_silent = samples.iter().all(|sample| sample.unsigned_abs() < SOFTEST);
        if self.playing.is_none() && is_silent {
            self.is_muted = false;
            return self.waiting.clear();
        }
        if self.is_muted {
            return;
        }
        self.waiting.push_back(samples);
        if self.waiting.len() > MOST_WAITING {
            self.waiting.pop_front();
        }
        self.release();
        if let Some(Playing { stopped: Some((_, left)), .. }) = &mut self.playing {
            *left -= 1;
            if *left == 0 {
                self.finish();
            }
        }
    }

    /// Nothing is heard any more, until samples come again.
    pub(super) fn handle_quiet(&mut self) {
        (self.is_quiet, self.is_muted) = (true, false);
        match &self.playing {
            Some(Playing { stopped: Some(_), .. }) => self.finish(),
            Some(_) => {}
            None => self.waiting.clear(),
        }
    }

    /// The next text for the client, oldest first.
    pub(super) fn poll_text(&mut self) -> Option<String> {
        self.texts.pop_front()
    }

    /// Ends what plays, if its end is known.
    pub(super) fn finish(&mut self) {
        let Some(playing) = self.playing.take_if(|playing| playing.stopped.is_some()) else { return };
        self.waiting.clear();
        if let Some(part) = playing.heard {
            let done = ServerEvent::from(ResponseOutputAudioDone {
                response_id: part.response_id.into(),
                item_id: part.item_id,
                output_index: part.output_index.into(),
                content_index: part.content_index.into(),
                ..ResponseOutputAudioDone::default()
            });
            self.texts.push_back(done.encode(self.dialect));
        }
        self.texts.extend(playing.stopped.map(|(text, _)| text));
    }

    fn learn(&mut self, session: Option<&SessionConfig>) {
        if let Some(session) = session {
            (self.input, self.output) = (session.input_format(), session.output_format());
        }
    }

    fn note_part(
        &mut self,
        response_id: ResponseId,
        item_id: ItemId,
        output_index: Option<u32>,
        content_index: Option<u32>,
    ) {
        if self.parts.iter().any(|part| part.response_id == response_id) {
            return;
        }
        if self.parts.len() == MOST_PARTS {
            self.parts.pop_front();
        }
        let (output_index, content_index) = (output_index.unwrap_or(0), content_index.unwrap_or(0));
        self.parts.push_back(Part { response_id, item_id, output_index, content_index });
    }

    /// Tells what was heard, if it is known of which part.
    fn release(&mut self) {
        let Some(playing) = &mut self.playing else { return };
        if self.waiting.is_empty() {
            return;
        }
        let known = self.parts.iter().find(|part| part.response_id == playing.response_id);
        let Some(part) = playing.heard.as_ref().or(known) else { return };
        for samples in mem::take(&mut self.waiting) {
            let delta = ServerEvent::from(ResponseOutputAudioDelta {
                response_id: part.response_id.clone().into(),
                item_id: part.item_id.clone(),
                output_index: part.output_index.into(),
                content_index: part.content_index.into(),
                delta: pcm::encode(self.output, &samples).into(),
                ..ResponseOutputAudioDelta::default()
            });
            self.texts.push_back(delta.encode(self.dialect));
        }
        if playing.heard.is_none() {
            playing.heard = Some(part.clone());
        }
    }
}

/// Frames that wait for the event that says what they are: 300 ms.
const MOST_WAITING: usize = 15;
/// Frames that may come between `stopped` and the end of what is on its way: 160 ms.
const MOST_AFTER: usize = 8;
/// Parts that are remembered.
const MOST_PARTS: usize = 16;
/// Samples below this are silence.
const SOFTEST: u16 = 64;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    struct Bench(Hearing);

    impl Bench {
        fn new() -> Self {
            Self(Hearing::new(Dialect::Ga))
        }

        /// The server says something.
        fn says(&mut self, event: Value) -> Vec<String> {
            self.0.handle_text(&event.to_string());
            self.told()
        }

        fn sounds(&mut self, sample: i16) -> Vec<String> {
            self.0.handle_sound(vec![sample; 480]);
            self.told()
        }

        /// The types of the texts that came out; of a delta, its first sample.
        fn told(&mut self) -> Vec<String> {
            let mut told = Vec::new();
            while let Some(text) = self.0.poll_text() {
                told.push(match ServerEvent::decode(&text, Dialect::Ga) {
                    ServerEvent::ResponseOutputAudioDelta(event) => {
                        assert_eq!(
                            (event.item_id.as_str(), event.response_id.value().unwrap().as_str()),
                            ("i1", "r1")
                        );
                        let bytes = event.delta.bytes().unwrap();
                        assert_eq!(bytes.len(), 960);
                        i16::from_le_bytes([bytes[0], bytes[1]]).to_string()
                    }
                    event => event.kind().rsplit_once('.').map_or("", |(_, last)| last).to_owned(),
                });
            }
            told
        }
    }

    fn buffer(what: &str) -> Value {
        json!({"type": format!("output_audio_buffer.{what}"), "response_id": "r1"})
    }

    fn part() -> Value {
        json!({"type": "response.content_part.added", "response_id": "r1", "item_id": "i1",
            "output_index": 0, "content_index": 0, "part": {"type": "audio", "transcript": ""}})
    }

    fn audio_done() -> Value {
        json!({"type": "response.output_audio.done", "response_id": "r1", "item_id": "i1"})
    }

    #[test]
    fn what_sounds_while_the_server_plays_is_audio_of_its_response() {
        let mut bench = Bench::new();
        assert_eq!(bench.says(part()), ["added"]);
        assert_eq!(bench.says(buffer("started")), ["started"]);
        assert_eq!(bench.sounds(100), ["100"]);
        assert_eq!(bench.says(audio_done()), [""; 0], "the server's own comes too soon");
        assert_eq!(bench.says(json!({"type": "response.done", "response": {"id": "r1"}})), ["done"]);
        assert_eq!(bench.sounds(101), ["101"]);
        assert_eq!(bench.sounds(0), ["0"], "a pause of the voice");
        assert_eq!(bench.says(buffer("stopped")), [""; 0]);
        assert_eq!(bench.sounds(102), ["102"], "it was on its way");
        bench.0.handle_quiet();
        assert_eq!(bench.told(), ["done", "stopped"]);
        assert_eq!(bench.sounds(103), [""; 0]);
    }

    #[test]
    fn sound_may_come_before_the_events_that_say_what_it_is() {
        let mut bench = Bench::new();
        assert_eq!(bench.sounds(100), [""; 0]);
        assert_eq!(bench.sounds(101), [""; 0]);
        assert_eq!(bench.says(buffer("started")), ["started"]);
        assert_eq!(bench.sounds(102), [""; 0], "of which item?");
        assert_eq!(bench.says(part()), ["added", "100", "101", "102"]);
    }

    #[test]
    fn old_sound_is_not_taken_for_the_beginning_of_a_response() {
        let mut bench = Bench::new();
        bench.says(part());
        bench.sounds(100);
        bench.sounds(1);
        bench.sounds(101);
        assert_eq!(bench.says(buffer("started")), ["started", "101"]);
        let mut bench = Bench::new();
        bench.says(part());
        (0..100).for_each(|_| drop(bench.sounds(100)));
        assert_eq!(bench.says(buffer("started")).len(), 1 + MOST_WAITING);
    }

    #[test]
    fn nothing_is_heard_after_cleared_until_it_was_silent() {
        let mut bench = Bench::new();
        bench.says(part());
        bench.says(buffer("started"));
        bench.sounds(100);
        assert_eq!(bench.says(buffer("cleared")), ["cleared"]);
        assert_eq!(bench.sounds(101), [""; 0]);
        bench.0.handle_quiet();
        assert_eq!(bench.sounds(102), [""; 0]);
        let next = json!({"type": "output_audio_buffer.started", "response_id": "r1"});
        assert_eq!(bench.says(next), ["started", "102"]);
    }

    #[test]
    fn an_end_is_told_after_a_few_frames_although_it_never_grows_quiet() {
        let mut bench = Bench::new();
        bench.says(part());
        bench.says(buffer("started"));
        bench.sounds(100);
        bench.says(buffer("stopped"));
        let told: Vec<String> = (0..20).flat_map(|_| bench.sounds(0)).collect();
        assert_eq!(told.len(), MOST_AFTER + 2);
        assert_eq!(told[MOST_AFTER..], ["done", "stopped"]);
    }

    #[test]
    fn the_end_of_one_response_comes_before_the_next_begins() {
        let mut bench = Bench::new();
        bench.says(part());
        bench.says(buffer("started"));
        bench.sounds(100);
        bench.says(buffer("stopped"));
        let next = json!({"type": "output_audio_buffer.started", "response_id": "r2"});
        assert_eq!(bench.says(next), ["done", "stopped", "started"]);
    }

    #[test]
    fn a_response_without_a_sound_ends_at_once() {
        let mut bench = Bench::new();
        bench.says(buffer("started"));
        assert_eq!(bench.says(buffer("stopped")), ["stopped"]);
        assert_eq!(bench.says(buffer("stopped")), ["stopped"], "nothing plays");
    }

    #[test]
    fn formats_are_learned_from_the_session() {
        let mut bench = Bench::new();
        let audio = json!({"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}});
        bench.says(json!({"type": "session.updated", "session": {"type": "realtime", "audio": audio}}));
        assert_eq!((bench.0.input(), bench.0.output()), (AudioFormat::Pcmu, AudioFormat::Pcma));
    }
}
