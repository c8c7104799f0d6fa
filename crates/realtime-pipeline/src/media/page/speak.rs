//! What a page says and hears: its messages become frames, and played audio becomes binary messages.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::Event;
use realtime_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::machine::Page;
use super::up::{LONGEST, Odd, Up};
use super::words;
use crate::chain::{Audio, AudioSource, FrameKind, Message, OutputAudio, SinkReport, UserInput, UserSpeech};
use crate::edges::EdgeError;
use crate::media::{MediaOutput, MediaProtocol, SocketMessage};

/// Before the samples of a binary message: the item's number, and the place of the first sample in it.
pub(super) const HEADER: usize = 8;
/// The most audio in one message (bytes).
const MOST_AUDIO: usize = 32 * 1024;

/// Where parts end that are not played to their end, as their audio is sent before it is heard.
#[derive(Debug, Default)]
pub(super) struct Ends(VecDeque<(AudioSource, u64)>);

/// The most of them that are remembered.
const MOST_ENDS: usize = 64;

impl Ends {
    fn add(&mut self, source: AudioSource, total: u64) {
        self.0.retain(|(known, _)| *known != source);
        if self.0.len() == MOST_ENDS {
            self.0.pop_front();
        }
        self.0.push_back((source, total));
    }

    /// Returns whether a source ends at or before this sample. Then it is forgotten.
    fn take_at(&mut self, source: &AudioSource, end: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|(known, total)| known != source || *total > end);
        self.0.len() < before
    }
}

impl Page {
    /// Does what a page that is there asks for.
    pub(super) fn act(&mut self, now: Timestamp, up: Up) {
        match up {
            // It was handled before.
            Up::Hello(_) => {}
            Up::Played(place) => match self.sent.played(place, now) {
                Some(at) => self.report(SinkReport::Heard(at)),
                None => self.counts.stale += 1,
            },
            Up::Stopped { id, at } => {
                let at = at.and_then(|place| self.sent.played(place, now));
                self.stopped(id, at);
            }
            Up::Text { text, respond } => {
                self.input(FrameKind::UserInput(UserInput::Text { text: text.into(), respond }));
            }
            Up::Stop => self.input(FrameKind::UserInput(UserInput::Stop)),
            Up::Keys(keys) => self.input(FrameKind::InputDtmf(keys)),
            Up::Message(body) => {
                self.input(FrameKind::InputMessage(Message { body: Arc::new(body), urgent: true }));
            }
            Up::Mute(on) => self.mute(on),
            Up::Ping(at) => self.say(&json!({ "type": "pong", "at": at })),
            Up::Bye => {
                self.output(MediaOutput::Close);
                self.leave(now, "it hung up");
            }
        }
    }

    /// The user's microphone is off, or on again.
    pub(super) fn mute(&mut self, on: bool) {
        if std::mem::replace(&mut self.is_muted, on) != on {
            let speech = if on { UserSpeech::Muted } else { UserSpeech::Unmuted };
            self.input(FrameKind::User(speech));
        }
    }

    /// The user's audio has come.
    pub(super) fn hear(&mut self, now: Timestamp, mut bytes: Bytes) {
        if bytes.len() > LONGEST {
            return self.complain(now, &Odd::TooLong { bytes: bytes.len() });
        }
        if !bytes.len().is_multiple_of(2) {
            self.complain(now, &Odd::HalfSample);
            bytes.truncate(bytes.len() - 1);
        }
        let format = AudioFormat::Pcm16 { rate: self.rate };
        // A microphone's clock may be a little fast.
        let cost = format.time_of(format.samples(bytes.len() as u64)).as_duration() * 4 / 5;
        let was_too_fast = std::mem::replace(&mut self.is_too_fast, !self.heard.spend(now, cost));
        if self.is_too_fast {
            self.counts.dropped_audio += 1;
            if !was_too_fast {
                let (code, text) = words::TOO_FAST;
                self.tell_error(now, code, text);
            }
            return;
        }
        if self.is_muted {
            bytes = Bytes::from(vec![0; bytes.len()]);
        }
        if !bytes.is_empty() {
            self.input(FrameKind::InputAudio(Audio::coded(format, bytes)));
        }
    }

    /// Audio is sent to the page. While the page is away it is dropped: the playout hands it out again.
    pub(super) fn play(&mut self, audio: &OutputAudio) -> Result<(), EdgeError> {
        if !self.link.is_open() {
            return Ok(());
        }
        let (rate, start) = (audio.audio.rate(), audio.start);
        let last = self.sent.last();
        let (number, is_new) = self.sent.begin(&audio.source, rate, start);
        if is_new {
            self.flush(last);
            self.say(&item(number, audio));
        }
        let offset = self.sent.next_offset(start);
        let bytes = self.converter.convert(&audio.audio).map_err(|error| {
            EdgeError::new(self.name(), format!("cannot send audio: {error}")).caused_by(error)
        })?;
        self.send(number, offset, &bytes);
        let end = start.saturating_add(audio.audio.frames());
        self.sent.sent(offset, (bytes.len() / 2) as u64, end);
        if self.ends.take_at(&audio.source, end) {
            self.done();
        }
        Ok(())
    }

    /// Learns where a part ends, long before that is heard.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::AudioDone { item_id, content_index, total, .. } => {
                let source = AudioSource::Part { item_id: item_id.clone(), content_index: *content_index };
                self.ends.add(source.clone(), *total);
                if self.sent.end_of_last(&source).is_some_and(|end| self.ends.take_at(&source, end)) {
                    self.done();
                }
            }
            Event::Closed { reason } => {
                if let Some(words) = words::of_close(reason) {
                    self.end_with(words);
                }
            }
            _ => {}
        }
    }

    /// All of a part or clip was heard, or nothing more comes.
    pub(super) fn finished(&mut self, source: &AudioSource) {
        self.ends.take_at(source, u64::MAX);
        if self.sent.end_of_last(source).is_some() {
            self.done();
        }
    }

    /// All of the last item was sent: the page need not wait for more.
    fn done(&mut self) {
        self.flush(self.sent.last());
        if let Some((number, samples)) = self.sent.finish_last() {
            self.say(&json!({ "type": "done", "number": number, "samples": samples }));
        }
    }

    /// Sends what the filter still holds of an item, which ends at this place.
    fn flush(&mut self, last: Option<(u32, u64)>) {
        let rest = self.converter.flush();
        if let Some((number, offset)) = last.filter(|_| !rest.is_empty()) {
            self.send(number, offset, &rest);
            self.sent.grow(number, (rest.len() / 2) as u64);
        }
    }

    fn send(&mut self, number: u32, mut offset: u64, bytes: &Bytes) {
        for piece in bytes.chunks(MOST_AUDIO) {
            let mut message = BytesMut::with_capacity(HEADER + piece.len());
            message.put_u32_le(number);
            message.put_u32_le(u32::try_from(offset).unwrap_or(u32::MAX));
            message.put_slice(piece);
            self.output(MediaOutput::Send(SocketMessage::Binary(message.freeze())));
            offset += (piece.len() / 2) as u64;
        }
    }
}

/// What a page is told of an item before its audio.
fn item(number: u32, audio: &OutputAudio) -> Value {
    match &audio.source {
        AudioSource::Part { item_id, content_index } => {
            json!({ "type": "item", "number": number, "id": item_id, "part": content_index })
        }
        AudioSource::Clip(name) => json!({ "type": "item", "number": number, "clip": &**name }),
    }
}
