//! A call: the server plays the responses in real time, one after the other, and receives key presses.
//!
//! A session whose client plays the audio itself has none of this.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::event::*;
use realtime_protocol::field::Field;
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::time::{MediaTime, Timestamp};

use crate::connection::Connection;
use crate::connection::outbox::send;

/// What a call has to play: the first one plays, the others wait.
#[derive(Debug, Default)]
pub(super) struct Playing {
    queue: VecDeque<Played>,
    /// What is to be heard over the call and has not been taken. `None`: nobody takes it.
    sounds: Option<VecDeque<Sound>>,
}

/// The audio of one response.
#[derive(Debug)]
struct Played {
    response_id: ResponseId,
    /// Its items, with the duration of their audio so far.
    items: Vec<(ItemId, MediaTime)>,
    /// While it plays: since when, and when the audio that came so far has been played.
    span: Option<(Timestamp, Timestamp)>,
    /// Whether no more of it comes.
    is_whole: bool,
}

/// What is to be heard over a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sound {
    /// Audio in this format, after what came before.
    Speak(AudioFormat, Bytes),
    /// Nothing more of what came before.
    Hush,
}

impl Playing {
    /// When the first one has been played. `None` while it is still being made.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        let first = self.queue.front().filter(|played| played.is_whole)?;
        first.span.map(|(_, until)| until)
    }

    fn sound(&mut self, sound: Sound) {
        if let Some(sounds) = &mut self.sounds {
            sounds.push_back(sound);
        }
    }
}

impl Played {
    fn length(&self) -> MediaTime {
        self.items.iter().fold(MediaTime::ZERO, |all, (_, length)| all + *length)
    }
}

impl Connection {
    /// Keeps what is to be heard, for who carries the call's audio.
    pub(crate) fn carry_sound(&mut self) {
        self.playing.sounds.get_or_insert_default();
    }

    /// What is to be heard next; `None` until there is more.
    pub(crate) fn poll_sound(&mut self) -> Option<Sound> {
        self.playing.sounds.as_mut()?.pop_front()
    }

    /// Audio of the user came over the call.
    pub(crate) fn handle_sound(&mut self, now: Timestamp, samples: &[i16]) {
        self.advance(now);
        if !self.closed {
            let audio = crate::codec::encode(samples, self.session.config().input_format());
            // Too much audio without turn detection is not kept.
            let _ = self.hear(&audio);
        }
        self.advance(now);
    }

    /// A response made more audio, of this item.
    pub(super) fn play(
        &mut self,
        response_id: ResponseId,
        item_id: ItemId,
        format: AudioFormat,
        audio: Bytes,
    ) {
        if !self.options.sideband {
            return;
        }
        let length = format.duration(audio.len() as u64);
        self.playing.sound(Sound::Speak(format, audio));
        let queue = &mut self.playing.queue;
        let index = queue.iter().position(|played| played.response_id == response_id).unwrap_or_else(|| {
            queue.push_back(Played { response_id, items: Vec::new(), span: None, is_whole: false });
            queue.len() - 1
        });
        let played = &mut queue[index];
        match played.items.last_mut().filter(|(item, _)| *item == item_id) {
            Some((_, all)) => *all += length,
            None => played.items.push((item_id, length)),
        }
        if let Some((_, until)) = &mut played.span {
            *until = (*until).max(self.now) + length.as_duration();
        }
        self.play_next();
    }

    /// A response makes no more audio.
    pub(super) fn played_whole(&mut self, response_id: &ResponseId) {
        let mut queue = self.playing.queue.iter_mut();
        if let Some(played) = queue.find(|played| played.response_id == *response_id) {
            played.is_whole = true;
            if let Some((_, until)) = &mut played.span {
                *until = (*until).max(self.now);
            }
        }
    }

    /// The first response has been played.
    pub(super) fn end_playing(&mut self) {
        if let Some(played) = self.playing.queue.pop_front() {
            send!(&mut self.out, OutputAudioBufferStopped { response_id: played.response_id });
        }
        self.play_next();
    }

    /// Stops playing, drops what waits, and truncates what was not heard.
    pub(super) fn stop_playing(&mut self) {
        let stopped = std::mem::take(&mut self.playing.queue);
        let Some(first) = stopped.front() else { return };
        self.playing.sound(Sound::Hush);
        send!(&mut self.out, OutputAudioBufferCleared { response_id: first.response_id.clone() });
        for played in stopped {
            let mut heard = played.span.map_or(Duration::ZERO, |(since, _)| self.now.saturating_since(since));
            for (item_id, length) in played.items {
                let length = length.as_duration();
                if heard < length {
                    let audio_end_ms = u64::try_from(heard.as_millis()).unwrap_or(u64::MAX);
                    let cut = ConversationItemTruncate {
                        item_id,
                        audio_end_ms,
                        ..ConversationItemTruncate::default()
                    };
                    // An item beside the conversation has nothing to truncate.
                    let _ = self.truncate_item(cut);
                }
                heard = heard.saturating_sub(length);
            }
        }
    }

    /// Someone in the call pressed a key: 0 to 9, `*`, `#`, A to D. Does nothing in a session that is not a
    /// call.
    ///
    /// # Wire
    /// `input_audio_buffer.dtmf_event_received`, the only server event without an id.
    pub fn press_key(&mut self, now: Timestamp, key: char) {
        self.advance(now);
        if self.options.sideband && !self.closed {
            let at = self.wall.as_micros() + self.now.saturating_since(self.began).as_micros() as u64;
            self.out.push(InputAudioBufferDtmfEventReceived {
                event_id: Field::Absent,
                event: key.to_string().into(),
                received_at: (at / 1_000_000).into(),
                ..InputAudioBufferDtmfEventReceived::default()
            });
        }
    }

    /// Begins the first one that waits, if nothing sounds.
    fn play_next(&mut self) {
        if let Some(played) = self.playing.queue.front_mut().filter(|played| played.span.is_none()) {
            played.span = Some((self.now, self.now + played.length().as_duration()));
            let response_id = played.response_id.clone();
            send!(&mut self.out, OutputAudioBufferStarted { response_id: response_id });
        }
    }
}
