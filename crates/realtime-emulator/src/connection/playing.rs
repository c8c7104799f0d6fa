//! A call: the server plays the responses in real time, one after the other, and receives key presses.
//!
//! A session whose client plays the audio itself has none of this.

use std::collections::VecDeque;

use realtime_protocol::event::*;
use realtime_protocol::field::Field;
use realtime_protocol::id::ResponseId;
use realtime_protocol::time::{MediaTime, Timestamp};

use crate::connection::Connection;
use crate::connection::outbox::send;

/// What a call has to play: the first one plays, the others wait.
#[derive(Debug, Default)]
pub(super) struct Playing(VecDeque<Played>);

/// The audio of one response.
#[derive(Debug)]
struct Played {
    response_id: ResponseId,
    /// While it waits: its duration.
    length: MediaTime,
    /// While it plays: when the audio that came so far has been played.
    until: Option<Timestamp>,
    /// Whether no more of it comes.
    is_whole: bool,
}

impl Playing {
    /// When the first one has been played. `None` while it is still being made.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        self.0.front().filter(|played| played.is_whole).and_then(|played| played.until)
    }
}

impl Connection {
    /// A response made more audio.
    pub(super) fn play(&mut self, response_id: ResponseId, length: MediaTime) {
        if !self.options.sideband {
            return;
        }
        let queue = &mut self.playing.0;
        match queue.iter_mut().find(|played| played.response_id == response_id) {
            Some(Played { until: Some(until), .. }) => {
                *until = (*until).max(self.now) + length.as_duration();
            }
            Some(played) => played.length += length,
            None => queue.push_back(Played { response_id, length, until: None, is_whole: false }),
        }
        self.play_next();
    }

    /// A response makes no more audio.
    pub(super) fn played_whole(&mut self, response_id: &ResponseId) {
        let mut queue = self.playing.0.iter_mut();
        if let Some(played) = queue.find(|played| played.response_id == *response_id) {
            played.is_whole = true;
            played.until = played.until.map(|until| until.max(self.now));
        }
    }

    /// The first response has been played.
    pub(super) fn end_playing(&mut self) {
        if let Some(played) = self.playing.0.pop_front() {
            send!(&mut self.out, OutputAudioBufferStopped { response_id: played.response_id });
        }
        self.play_next();
    }

    /// Stops playing, and drops what waits.
    pub(super) fn stop_playing(&mut self) {
        let first = std::mem::take(&mut self.playing.0).into_iter().next();
        if let Some(played) = first {
            send!(&mut self.out, OutputAudioBufferCleared { response_id: played.response_id });
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
        if let Some(played) = self.playing.0.front_mut().filter(|played| played.until.is_none()) {
            played.until = Some(self.now + played.length.as_duration());
            let response_id = played.response_id.clone();
            send!(&mut self.out, OutputAudioBufferStarted { response_id: response_id });
        }
    }
}
