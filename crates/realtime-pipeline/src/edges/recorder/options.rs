//! What is recorded and how: [`Recording`], and what a callback gets: [`RecordedAudio`].

use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::Samples;

/// What is recorded, and how. It begins with the run, unless it is [on request](Self::on_request).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recording {
    pub(super) layout: Layout,
    pub(super) rate: u32,
    pub(super) every: Duration,
    pub(super) preroll: Duration,
    pub(super) starts_itself: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layout {
    Stereo,
    Mixed,
    Tracks,
    PerTurn,
}

/// Whose voice a piece of a recording holds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum RecordedVoice {
    /// The user's left and the bot's right, or both mixed in one channel.
    Both,
    /// The user's.
    User,
    /// The bot's.
    Bot,
}

/// A piece of a recording. `Debug` shows its length, and none of the content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordedAudio {
    /// Whose voice it is.
    pub voice: RecordedVoice,
    /// The number of the turn that it is, from 1. `None`: it is the next piece of a whole conversation.
    pub turn: Option<u32>,
    /// When its first sample sounded, on the run's clock.
    pub at: Timestamp,
    /// The samples.
    pub audio: Samples,
}

impl Recording {
    /// Both voices on one clock: the user left, the bot right. At 24,000 Hz.
    pub const fn stereo() -> Self {
        Self::new(Layout::Stereo)
    }

    /// Both voices in one channel. What is too loud together is clipped.
    pub const fn mixed() -> Self {
        Self::new(Layout::Mixed)
    }

    /// Each voice for itself, equally long: `call.wav` becomes `call-user.wav` and `call-bot.wav`.
    pub const fn tracks() -> Self {
        Self::new(Layout::Tracks)
    }

    /// A clip for each turn of the user and of the bot: `call.wav` becomes `call-001-user.wav`,
    /// `call-002-bot.wav` and so on. A clip of the user begins a second before the turn was noticed.
    #[doc(alias("enable_turn_audio", "on_user_turn_audio_data", "on_bot_turn_audio_data"))]
    pub const fn per_turn() -> Self {
        Self::new(Layout::PerTurn)
    }

    const fn new(layout: Layout) -> Self {
        let second = Duration::from_secs(1);
        Self { layout, rate: 24_000, every: second, preroll: second, starts_itself: true }
    }

    /// Samples per second (Hz). Default: 24,000.
    #[must_use]
    pub const fn rate(self, rate: u32) -> Self {
        Self { rate, ..self }
    }

    /// How long the pieces of a whole conversation are, about. From 20 ms to 30 s. Default: 1 s.
    #[doc(alias = "buffer_size")]
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        Self { every: every.clamp(Duration::from_millis(20), Duration::from_secs(30)), ..self }
    }

    /// How much of the user's audio before a turn belongs to its clip; at most 10 s. Default: 1 s.
    #[must_use]
    pub fn preroll(self, preroll: Duration) -> Self {
        Self { preroll: preroll.min(Duration::from_secs(10)), ..self }
    }

    /// Waits for [`RecorderHandle::start`](super::RecorderHandle::start).
    #[must_use]
    pub const fn on_request(self) -> Self {
        Self { starts_itself: false, ..self }
    }
}
