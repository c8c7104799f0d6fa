//! Where a call's input comes from: [`Source`].

use std::fmt;
use std::task::{Context, Poll};

use realtime_protocol::audio::AudioFormat;

use crate::chain::FrameKind;

/// Where a call's input comes from: a microphone, a file, a caller.
///
/// Input that comes faster than it is asked for waits in a bounded ring. If that overflows, the source drops
/// its oldest audio and tells by a [`FrameKind::Fault`].
#[doc(alias("BaseInputTransport", "InputTransport"))]
pub trait Source: Send {
    /// The source's name in faults and logs. Always the same.
    fn name(&self) -> &str;

    /// The format in which its audio comes: what a session should listen in if it can. `None`: it does not
    /// matter. Always the same. Default: it does not matter.
    fn format(&self) -> Option<AudioFormat> {
        None
    }

    /// Gives the next frame of input: audio, keys, messages, and who comes and goes.
    ///
    /// `Ready(None)`: the source has ended, and is not polled again. [`FrameKind::InputFinished`] says less:
    /// the user's audio is over, but messages may follow. A source that fails gives a [`FrameKind::Fault`]
    /// ([`EdgeError::to_frame`](crate::edges::EdgeError::to_frame)) and ends.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>>;

    /// A frame has left the chain upstream: who speaks, what the session tells, how the run ends. Default:
    /// ignores it.
    fn notify(&mut self, frame: &FrameKind) {
        let _ = frame;
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn format(&self) -> Option<AudioFormat> {
        (**self).format()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        (**self).poll_next(cx)
    }

    fn notify(&mut self, frame: &FrameKind) {
        (**self).notify(frame);
    }
}

impl fmt::Debug for dyn Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
