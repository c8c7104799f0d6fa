//! A WebSocket of a leg as two bounded queues: [`pump`].
//!
//! The rules kept here: reading never waits for writing, so two ends that both write can't hold each other
//! up. A peer that takes nothing for too long counts as lost.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::{SinkExt as _, StreamExt as _};
use realtime_telephony::leg::LegMessage;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a peer may take for one message.
const SLOWEST: Duration = Duration::from_secs(10);
/// How long a peer may take to close its side after this one has.
const GOODBYE: Duration = Duration::from_secs(3);

/// What is written.
pub(super) enum Write {
    Message(LegMessage),
    Close { code: u16, reason: &'static str },
}

/// What is read.
pub(super) enum Read {
    Message(LegMessage),
    /// `in_order`: by a close frame with status 1000. Nothing follows.
    Closed {
        in_order: bool,
    },
}

/// Carries messages until one side is closed. What is read goes to `reads`, each through `tagged`.
pub(super) async fn pump<T: Send>(
    socket: WebSocket,
    mut writes: mpsc::Receiver<Write>,
    reads: mpsc::Sender<T>,
    tagged: impl Fn(Read) -> T + Send,
) {
    let (mut sink, mut stream) = socket.split();
    let write = async {
        while let Some(write) = writes.recv().await {
            let (message, is_last) = match write {
                Write::Message(LegMessage::Text(text)) => (Message::Text(text.into()), false),
                Write::Message(LegMessage::Binary(bytes)) => (Message::Binary(bytes), false),
                Write::Close { code, reason } => (close(code, reason), true),
            };
            if !matches!(timeout(SLOWEST, sink.send(message)).await, Ok(Ok(()))) || is_last {
                return;
            }
        }
    };
    let read = async {
        loop {
            let read = match stream.next().await {
                Some(Ok(Message::Text(text))) => Read::Message(LegMessage::Text(text.as_str().to_owned())),
                Some(Ok(Message::Binary(bytes))) => Read::Message(LegMessage::Binary(bytes)),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(frame))) => {
                    Read::Closed { in_order: frame.is_some_and(|frame| frame.code == close_code::NORMAL) }
                }
                Some(Err(_)) | None => Read::Closed { in_order: false },
            };
            let is_last = matches!(read, Read::Closed { .. });
            // Nobody listens once the call is over.
            if reads.send(tagged(read)).await.is_err() || is_last {
                let _ = timeout(GOODBYE, stream.next()).await; // it answers the peer's close frame
                return is_last;
            }
        }
    };
    tokio::pin!(write, read);
    tokio::select! {
        _ = &mut read => {}
        () = &mut write => {
            // The peer's own goodbye. A socket that is dropped takes along what the peer has not read.
            if !matches!(timeout(GOODBYE, &mut read).await, Ok(true)) {
                let _ = reads.send(tagged(Read::Closed { in_order: false })).await; // nobody listens
            }
        }
    }
}

fn close(code: u16, reason: &str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}
