//! Where a call's output goes: [`Sink`], and how it wants to be fed: [`Pace`].

use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use realtime_protocol::audio::AudioFormat;

use crate::chain::{ClearId, FrameKind, SinkReport};
use crate::edges::EdgeError;

/// Where a call's output goes: a loudspeaker, a file, a caller.
#[doc(alias("BaseOutputTransport", "OutputTransport"))]
pub trait Sink: Send {
    /// The sink's name in faults and logs. Always the same.
    fn name(&self) -> &str;

    /// How the playout feeds it. Always the same. Default: at the speed of sound.
    fn pace(&self) -> Pace {
        Pace::default()
    }

    /// Returns whether it takes more audio now. While it is pending the playout's clock stands still, and
    /// nothing is lost. What had left the playout before comes nevertheless: a sink keeps room for it.
    ///
    /// # Errors
    /// [`EdgeError`] if the sink has failed. It takes nothing from then on.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>>;

    /// A frame has left the chain downstream: [`FrameKind::PlayedAudio`], messages, keys, interruptions, what
    /// the session tells. It takes what it can use and ignores the rest.
    ///
    /// # Errors
    /// [`EdgeError`] if the frame is lost: there is no room, it can't be converted, or the sink has failed.
    fn send(&mut self, frame: &FrameKind) -> Result<(), EdgeError>;

    /// Returns whether it takes each [`FrameKind::PhoneRequest`] but to hang up, which the task does. It
    /// answers every one by a [`FrameKind::PhoneAnswer`], which its source gives. Always the same. Default:
    /// no, and the task refuses them.
    fn takes_phone_requests(&self) -> bool {
        false
    }

    /// Drops the audio that it holds and has not sounded. It overtakes all that waits. The answer comes from
    /// [`poll_report`](Self::poll_report), exactly once: [`SinkReport::Cleared`] with this id.
    fn clear(&mut self, id: ClearId);

    /// Tells what became of output: [`SinkReport::Heard`] and [`SinkReport::Cleared`], and whether the other
    /// end is [away](SinkReport::Away). The task makes `Full` and `Ready` out of
    /// [`poll_ready`](Self::poll_ready).
    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<SinkReport>;

    /// Writes out what it holds. Polled at the end of the run, until it is ready; nothing follows.
    ///
    /// # Errors
    /// [`EdgeError`] if something of it is lost.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>>;
}

/// How the playout feeds a sink. The default suits a loudspeaker that can't tell what was heard.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pace {
    /// How long before its due time audio is handed over. Zero for a loudspeaker and a file, about a second
    /// for carriers that have a buffer of their own. Default: zero.
    pub lead: Duration,
    /// Whether it tells what was heard, by [`SinkReport::Heard`]. Without, it is an estimate by the clock.
    /// Default: no.
    pub reports: bool,
    /// The format that it needs not convert: what a session should speak if it can. The sink takes any other
    /// too. `None`: it does not matter. Default: it does not matter.
    pub format: Option<AudioFormat>,
    /// Whether it takes whole chunks of 20 ms alone, as carriers do: the last one of a turn is filled up with
    /// silence. Default: no.
    pub whole_chunks: bool,
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn pace(&self) -> Pace {
        (**self).pace()
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        (**self).poll_ready(cx)
    }

    fn send(&mut self, frame: &FrameKind) -> Result<(), EdgeError> {
        (**self).send(frame)
    }

    fn takes_phone_requests(&self) -> bool {
        (**self).takes_phone_requests()
    }

    fn clear(&mut self, id: ClearId) {
        (**self).clear(id);
    }

    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<SinkReport> {
        (**self).poll_report(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        (**self).poll_close(cx)
    }
}

impl fmt::Debug for dyn Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
