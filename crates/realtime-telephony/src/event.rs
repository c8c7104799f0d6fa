//! What a stream tells, and what it refuses.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;

use crate::carrier::{CallStart, CarrierFault, Digit, Outgoing};

/// One thing that a stream has for its driver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send this to the carrier.
    Send(Outgoing),
    /// Something happened.
    Event(Event),
}

/// What happened on a stream.
///
/// # Order
/// [`Started`](Self::Started) comes once and before all others but [`Probe`](Self::Probe) and
/// [`Ended`](Self::Ended). [`Ended`](Self::Ended) comes once, and last.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The call is there: audio may be played.
    Started(Box<Started>),
    /// The carrier tries the connection. There is no call; start no session.
    Probe,
    /// Audio of the caller.
    Audio(InputAudio),
    /// A key was pressed.
    Digit {
        /// Which one.
        digit: Digit,
        /// How long it was held, if the carrier says so.
        length: Option<Duration>,
    },
    /// The audio before a mark was heard.
    Played {
        /// The generation of the audio: how many flushes came before it.
        generation: u64,
        /// The mark, as it was given.
        mark: u64,
        /// Samples from the generation's start to the mark, in the output format.
        samples: u64,
        /// Whether the carrier said so. Otherwise it is reckoned by the clock, since this carrier says
        /// nothing.
        is_reported: bool,
    },
    /// All audio that was sent was played, says a carrier that knows no marks.
    Drained {
        /// The generation of the audio.
        generation: u64,
    },
    /// The carrier dropped the audio of a generation, as it was asked to. Not all carriers say so.
    Flushed {
        /// The generation of the audio that was dropped.
        generation: u64,
    },
    /// The caller's audio pauses.
    Paused,
    /// The caller's audio goes on.
    Resumed,
    /// The language of the call changed.
    Language(String),
    /// The carrier reports an error. The stream goes on.
    Fault(CarrierFault),
    /// The stream is over.
    Ended(EndReason),
}

/// A call as it starts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Started {
    /// What the carrier says of it.
    pub call: CallStart,
    /// The format of [`InputAudio`].
    pub input: AudioFormat,
    /// The format of what is played.
    pub output: AudioFormat,
}

/// Audio of the caller, in order.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct InputAudio {
    /// Samples since the stream's start. Each begins where the one before it ends, but for gaps that were too
    /// long to be filled.
    pub start: u64,
    /// Whole samples in the input format.
    pub audio: Bytes,
    /// Whether this is silence in place of audio that was lost on the way.
    pub is_gap: bool,
}

/// Why a stream is over.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EndReason {
    /// The carrier ended it, for this reason if it names one.
    Stopped(Option<String>),
    /// The socket was closed, or was lost. This is how many carriers end a call.
    Closed,
    /// We hung up.
    HungUp,
    /// No start came in time.
    NoStart,
    /// No audio came for too long.
    NoAudio,
    /// The caller's audio has a codec that cannot be read, as the carrier names it.
    UnreadableAudio(String),
}

/// Why a stream does not do what it is asked to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Wait for [`Event::Started`].
    #[error("expected a started stream, got one that waits for its start")]
    NotStarted,
    /// Nothing can be done any more.
    #[error("expected a stream, got one that is over")]
    Ended,
    /// Audio ends in the middle of a sample.
    #[error("expected whole samples of {sample_bytes} bytes, got {bytes} bytes")]
    HalfSample {
        /// Bytes of a sample.
        sample_bytes: u32,
        /// Bytes of the audio.
        bytes: usize,
    },
    /// Too many marks have not come back.
    #[error("expected fewer marks under way, got one more than 1,024")]
    TooManyMarks,
    /// Something else than keys of a phone.
    #[error("expected keys of a phone, got something else")]
    NotDigits,
    /// The carrier has no message for it. A request may do it: see [`rest`](crate::rest).
    #[error("expected a carrier with a message for this, got one without")]
    NotOnSocket,
}

impl fmt::Debug for InputAudio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, audio, is_gap } = self;
        let mut debug = f.debug_struct("InputAudio");
        debug.field("start", start).field("bytes", &audio.len()).field("is_gap", is_gap).finish()
    }
}
