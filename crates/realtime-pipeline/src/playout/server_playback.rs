//! What the model's server plays by itself, where the audio of a call goes past this side:
//! [`ServerPlayback`].

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::event::ServerEvent;
use realtime_protocol::time::Timestamp;

use crate::chain::Frame;

/// A playback that is not told to be over counts as over after this long.
const LONGEST: Duration = Duration::from_secs(120);
/// The most frames that wait.
const MOST_FRAMES: usize = 16;

/// Whether the server plays, and the frames that wait until it has.
#[derive(Debug, Default)]
pub(super) struct ServerPlayback {
    since: Option<Timestamp>,
    waiting: VecDeque<Frame>,
}

impl ServerPlayback {
    /// Hears `output_audio_buffer.started`, `…stopped` and `…cleared`.
    pub(super) const fn learn(&mut self, event: &ServerEvent, now: Timestamp) {
        match event {
            ServerEvent::OutputAudioBufferStarted(_) => self.since = Some(now),
            ServerEvent::OutputAudioBufferStopped(_) | ServerEvent::OutputAudioBufferCleared(_) => self.end(),
            _ => {}
        }
    }

    /// It plays no longer.
    pub(super) const fn end(&mut self) {
        self.since = None;
    }

    /// Returns whether it plays.
    pub(super) fn is_on(&self, now: Timestamp) -> bool {
        self.since.is_some_and(|since| now < since + LONGEST)
    }

    /// Keeps a frame until then.
    ///
    /// # Errors
    /// The frame: too many wait.
    pub(super) fn hold(&mut self, frame: Frame) -> Result<(), Frame> {
        if self.waiting.len() >= MOST_FRAMES {
            return Err(frame);
        }
        self.waiting.push_back(frame);
        Ok(())
    }

    /// The next frame that waits no longer.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Frame> {
        if self.is_on(now) { None } else { self.waiting.pop_front() }
    }

    /// All frames, whether it plays or not.
    pub(super) fn take_all(&mut self) -> VecDeque<Frame> {
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the frames that wait leave at the latest.
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.since.filter(|_| !self.waiting.is_empty()).map(|since| since + LONGEST)
    }
}
