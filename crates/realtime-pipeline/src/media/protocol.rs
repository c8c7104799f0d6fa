//! What the other end of a media socket speaks, as a machine: [`MediaProtocol`].

use std::sync::Arc;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::Timestamp;

use crate::chain::{ClearId, Direction, Done, FrameKind, SinkReport, WorkFuture};
use crate::edges::{EdgeError, Pace};

/// What the other end of a media socket speaks: a carrier, a page, an RTVI client.
///
/// Messages, frames and times go in, and [`poll_output`](Self::poll_output) tells what to do. It must be
/// polled until it is empty after every call. A [`MediaSocket`](crate::sockets::MediaSocket) drives one over
/// a WebSocket.
#[doc(alias = "FrameSerializer")]
pub trait MediaProtocol: Send + 'static {
    /// The name of the transport in faults and logs. Always the same.
    fn name(&self) -> &str;

    /// How the playout feeds the other end. Always the same once it [is ready](Self::is_ready).
    fn pace(&self) -> Pace;

    /// The format in which the user's audio comes. `None`: it does not matter, or it is not known yet.
    fn input_format(&self) -> Option<AudioFormat> {
        None
    }

    /// Returns whether the other end has said who it is, so that a call can begin.
    fn is_ready(&self) -> bool;

    /// Returns whether it takes more audio now. `false` stops the playout's clock, and nothing is lost.
    fn has_room(&self) -> bool {
        true
    }

    /// Returns whether it takes each [`FrameKind::PhoneRequest`] but to hang up, and answers it by a
    /// [`FrameKind::PhoneAnswer`] as input. Always the same. Default: no.
    fn takes_phone_requests(&self) -> bool {
        false
    }

    /// Returns whether nothing follows: the other end has gone for good, or it was hung up.
    fn is_over(&self) -> bool;

    /// Why it is over, for errors and logs, without content. Default: it does not say.
    fn why_over(&self) -> Option<Arc<str>> {
        None
    }

    /// What came wrong or was lost, in one line of numbers without content: it is logged once, at the end.
    /// `None`: nothing. Default: nothing.
    fn oddities(&self) -> Option<String> {
        None
    }

    /// A socket is there: the first one, or another one in place of one that was lost. Default: ignores it.
    fn handle_opened(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// The socket is closed, by either side, or lost.
    fn handle_closed(&mut self, now: Timestamp);

    /// A text message has come. It may be anything.
    fn handle_text(&mut self, now: Timestamp, text: &str);

    /// A binary message has come. It may be anything.
    fn handle_binary(&mut self, now: Timestamp, bytes: Bytes);

    /// A frame has left the chain: downstream what is played, said and sent, upstream who speaks and how the
    /// run ends. It takes what it can use and ignores the rest.
    ///
    /// # Errors
    /// [`EdgeError`] if the frame is lost and the call can't go on.
    fn handle_frame(
        &mut self,
        now: Timestamp,
        direction: Direction,
        frame: &FrameKind,
    ) -> Result<(), EdgeError>;

    /// Drops the audio that has not sounded. The answer is one [`SinkReport::Cleared`] with this id.
    fn clear(&mut self, now: Timestamp, id: ClearId);

    /// The run is over: hangs up. It is over once the other end knows.
    fn finish(&mut self, now: Timestamp);

    /// Time has passed. Too early does nothing.
    fn handle_timeout(&mut self, now: Timestamp);

    /// Work that it handed out has ended. Default: it hands none out.
    fn handle_work(&mut self, now: Timestamp, id: u64, done: Done) {
        let _ = (now, id, done);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. `None`: nothing is.
    fn poll_timeout(&self) -> Option<Timestamp>;

    /// What to do next.
    fn poll_output(&mut self) -> Option<MediaOutput>;
}

/// What a driver does for a [`MediaProtocol`].
#[derive(Debug)]
#[non_exhaustive]
pub enum MediaOutput {
    /// Sends a message, in this order.
    Send(SocketMessage),
    /// Gives a frame into the chain, downstream.
    Input(FrameKind),
    /// Tells the playout what became of its audio.
    Report(SinkReport),
    /// Closes the socket, after what was sent before.
    Close,
    /// Runs something slow, such as a request, in a task of its own. Its end is told by
    /// [`handle_work`](MediaProtocol::handle_work) while the line is there, and it runs on if it is not.
    Work(MediaWork),
}

/// Something slow that a [`MediaProtocol`] hands out.
#[expect(clippy::exhaustive_structs, reason = "work has a number, and is a future")]
pub struct MediaWork {
    /// The protocol's own number for it.
    pub id: u64,
    /// What is done.
    pub future: WorkFuture,
}

/// A message of a media socket. `Debug` shows its length.
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a WebSocket has two kinds of messages")]
pub enum SocketMessage {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

impl SocketMessage {
    /// How long it is (bytes).
    #[expect(clippy::len_without_is_empty, reason = "an empty message is a message")]
    pub const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

impl std::fmt::Debug for MediaWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MediaWork({})", self.id)
    }
}

impl std::fmt::Debug for SocketMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Text(_) => "Text",
            Self::Binary(_) => "Binary",
        };
        write!(f, "{kind}({} bytes)", self.len())
    }
}
