//! One loop around each session: the socket, the clock, the end.
//!
//! All time is tokio's, so that a test can stop it; the wall clock is an option.

use std::future::{Future, pending};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_protocol::time::{Timestamp, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::{WebSocketStream, tungstenite};

use crate::connection::{Connection, ConnectionOptions};
use crate::disaster::{Line, LineOutput, close_reason};
use crate::handshake::{Asked, AskedCall};
use crate::options::Options;
use crate::record::Record;
use crate::server::ServeError;
use crate::spawned::Received;
use crate::watch::{Opening, Watched};

/// Serves a session until one side closes.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    mut asked: Asked,
    options: &Options,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let wall = (options.wall)();
    let (number, own) = options.for_connection(&mut asked);
    let mut seeing = Seeing::begin(options, number, &asked, &own, wall);
    let line = options.for_line(&own, std::mem::take(&mut asked.key));
    let waits = own.voice.waits_for_a_program();
    let make = || Connection::new(own, (options.brain)(), Timestamp::ZERO, wall);
    let mut entered = None;
    let (line, origin, changes) = match &asked.call {
        None => {
            let connection = make();
            entered = Some(options.registry.enter());
            (Line::new(connection, line, Timestamp::ZERO), Instant::now(), None)
        }
        Some(call) => {
            let Some(shared) = options.registry.join(&call.id, make) else {
                seeing.watched.ended(Timestamp::ZERO, ENDED);
                return finish(socket, Some(close_frame(1000, ENDED.into()))).await;
            };
            let origin = shared.origin;
            let channel = shared.attach(now(origin));
            let changes = Some(channel.changes());
            (Line::of_call(channel, line, now(origin)), origin, changes)
        }
    };
    let stop = async move {
        tokio::select! {
            () = stop => close_frame(1001, "the server is going away".into()),
            () = ended(asked.call) => close_frame(1000, ENDED.into()),
        }
    };
    seeing.origin = origin;
    let end = drive(socket, Driven { line, waits }, &mut seeing, changes, stop).await;
    drop(entered);
    seeing.ended(&end);
    drop(seeing);
    match end? {
        End::Close(frame) => finish(socket, frame).await,
        End::Violation(frame) => {
            in_time(socket.close(Some(frame))).await?;
            // The library reads no more. Drop what still comes: otherwise the close frame could be lost with
            // the connection.
            let mut rest = [0; 4096];
            let rest = async { while socket.get_mut().read(&mut rest).await.is_ok_and(|read| read > 0) {} };
            let _ = timeout(CLOSING, rest).await;
            Ok(())
        }
        End::Gone => Ok(()),
    }
}

/// Who sees the texts of a session: its log, if there is one, a test, and the page.
pub(crate) struct Seeing {
    record: Option<Record>,
    received: Option<Received>,
    watched: Watched,
    /// When the session's time began.
    pub(crate) origin: Instant,
}

impl Seeing {
    /// A session begins, now.
    pub(crate) fn begin(
        options: &Options,
        number: u64,
        asked: &Asked,
        own: &ConnectionOptions,
        wall: UnixTime,
    ) -> Self {
        let watched = options.registry.watch.enter(number, opening(asked, own, wall));
        let record = options.log_directory.as_ref().and_then(|directory| {
            Record::begin(directory, number, own.dialect, &own.model, wall)
                .inspect_err(|error| tracing::warn!(%error, ?directory, "cannot write session logs"))
                .ok()
        });
        let received = options.received.clone();
        Self { record, received, watched, origin: Instant::now() }
    }

    pub(crate) fn sent(&mut self, text: &str) {
        let at = now(self.origin);
        if let Some(record) = &mut self.record {
            record.sent(at, text);
        }
        self.watched.sent(at, text);
    }

    pub(crate) fn came(&mut self, text: &str) {
        let at = now(self.origin);
        if let Some(record) = &mut self.record {
            record.came(at, text);
        }
        if let Some(received) = &self.received {
            received.came(text);
        }
        self.watched.came(at, text);
    }

    fn ended(&mut self, end: &Result<End, ServeError>) {
        let (code, reason) = match end {
            Ok(End::Close(Some(frame))) => (Some(frame.code.into()), frame.reason.as_str()),
            Ok(End::Close(None)) => (None, "closed without a code"),
            Ok(End::Violation(frame)) => (Some(frame.code.into()), frame.reason.as_str()),
            Ok(End::Gone) => (None, "the client is gone"),
            Err(_) => (None, "the connection broke"),
        };
        self.ended_as(code, reason);
    }

    /// The session has ended, with this close code and reason.
    pub(crate) fn ended_as(&mut self, code: Option<u16>, reason: &str) {
        let at = now(self.origin);
        if let Some(record) = &mut self.record {
            record.ended(at, code, reason);
        }
        self.watched.ended(at, &code.map_or_else(|| reason.into(), |code| format!("{code} {reason}")));
    }
}

/// What the page shows of a session from its beginning.
fn opening(asked: &Asked, own: &ConnectionOptions, since: UnixTime) -> Opening {
    Opening {
        model: own.model.clone(),
        kind: own.kind.clone(),
        dialect: own.dialect,
        since,
        call: asked.call.as_ref().map(|call| call.id.clone()),
        key: asked.key.clone(),
    }
}

/// The line, and whether its work may wait for a program and so must run outside of the runtime.
pub(crate) struct Driven {
    pub(crate) line: Line,
    pub(crate) waits: bool,
}

impl Driven {
    pub(crate) async fn step(self, act: impl FnOnce(&mut Line) + Send + 'static) -> Self {
        let Self { mut line, waits } = self;
        if !waits {
            act(&mut line);
            return Self { line, waits };
        }
        let stepped = spawn_blocking(move || {
            act(&mut line);
            line
        });
        match stepped.await {
            Ok(line) => Self { line, waits },
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// How a connection ends.
enum End {
    /// This side closes, with this frame.
    Close(Option<CloseFrame>),
    /// The client broke the WebSocket protocol, or sent too large a message: this side closes and reads no
    /// more.
    Violation(CloseFrame),
    /// The client is gone, or this side pretends to be.
    Gone,
}

/// Feeds the core until one side closes.
async fn drive<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    mut driven: Driven,
    seeing: &mut Seeing,
    mut changes: Option<watch::Receiver<()>>,
    stop: impl Future<Output = CloseFrame>,
) -> Result<End, ServeError> {
    let origin = seeing.origin;
    tokio::pin!(stop);
    loop {
        while let Some(output) = driven.line.poll_output() {
            match output {
                LineOutput::Text(text) => {
                    seeing.sent(&text);
                    in_time(socket.feed(Message::text(text))).await?;
                }
                LineOutput::Binary(text) => {
                    seeing.sent(&text);
                    in_time(socket.feed(Message::binary(text))).await?;
                }
                LineOutput::Close { code, reason } => {
                    return Ok(End::Close(code.map(|code| close_frame(code, reason))));
                }
                LineOutput::Break => {
                    // Everything sent before the break arrives.
                    in_time(socket.flush()).await?;
                    return Ok(End::Gone);
                }
            }
        }
        in_time(socket.flush()).await?;
        let deadline = driven.line.poll_timeout().map(|at| origin + Duration::from_micros(at.as_micros()));
        tokio::select! {
            biased; // the stop first, so that a flood of messages cannot keep it waiting
            frame = &mut stop => return Ok(End::Close(Some(frame))),
            message = socket.next(), if driven.line.wants_input() => match message {
                Some(Ok(Message::Text(text))) => {
                    seeing.came(&text);
                    let at = now(origin);
                    driven = driven.step(move |line| line.handle_text(at, &text)).await;
                }
                Some(Ok(Message::Binary(_))) => driven.line.handle_binary(now(origin)),
                // Pings and closes are answered by the library as it reads on.
                Some(Ok(_)) => {}
                Some(Err(error)) => match violation(&error) {
                    Some(frame) => return Ok(End::Violation(frame)),
                    None => return Err(Box::new(error).into()),
                },
                None => return Ok(End::Gone),
            },
            // Another channel of the call did something.
            () = changed(&mut changes) => {
                let at = now(origin);
                driven = driven.step(move |line| line.handle_timeout(at)).await;
            }
            () = sleep_until(deadline.unwrap_or(origin)), if deadline.is_some() => {
                let at = now(origin);
                driven = driven.step(move |line| line.handle_timeout(at)).await;
            }
        }
    }
}

/// Closes: sends the frame, and reads on until the client has answered, for a short while.
async fn finish<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    frame: Option<CloseFrame>,
) -> Result<(), ServeError> {
    in_time(socket.close(frame)).await?;
    let answered = async { while let Some(Ok(_)) = socket.next().await {} };
    // If the client does not answer, it was still told.
    let _ = timeout(CLOSING, answered).await;
    Ok(())
}

/// Bounds how long a client may take to read what is sent, so that nothing piles up for a slow one.
pub(crate) async fn in_time(
    sending: impl Future<Output = tungstenite::Result<()>>,
) -> Result<(), ServeError> {
    match timeout(SLOWEST, sending).await {
        Ok(result) => result.map_err(|error| Box::new(error).into()),
        Err(_) => Err(ServeError::TooSlow(SLOWEST)),
    }
}

/// Waits for the end of the call that was joined.
async fn ended(call: Option<AskedCall>) {
    match call {
        Some(mut call) => drop(call.ended.wait_for(|ended| *ended).await),
        None => pending().await,
    }
}

/// Waits until something happened in the call that was joined.
pub(crate) async fn changed(changes: &mut Option<watch::Receiver<()>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    pending().await
}

/// How the connection is closed because of what the client sent. `None`: the client is gone. RFC 6455, 7.4.1.
fn violation(error: &tungstenite::Error) -> Option<CloseFrame> {
    use tungstenite::error::ProtocolError;
    let (code, reason) = match error {
        tungstenite::Error::Capacity(_) => (1009, "message too big".into()),
        tungstenite::Error::Utf8(_) => (1007, "text that is not UTF-8".into()),
        tungstenite::Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::ReceivedAfterClosing
            | ProtocolError::SendAfterClosing,
        ) => return None,
        tungstenite::Error::Protocol(error) => (1002, error.to_string()),
        _ => return None,
    };
    Some(close_frame(code, reason))
}

/// A close frame, its reason cut to what fits into it.
fn close_frame(code: u16, reason: String) -> CloseFrame {
    CloseFrame { code: code.into(), reason: close_reason(reason).into() }
}

pub(crate) fn now(origin: Instant) -> Timestamp {
    Timestamp::from_micros(u64::try_from(origin.elapsed().as_micros()).unwrap_or(u64::MAX))
}

const ENDED: &str = "the call has ended";
/// For taking what is sent, and for the body of a request.
pub(crate) const SLOWEST: Duration = Duration::from_secs(30);
/// For the client's answer to a close.
const CLOSING: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::thread::{self, ThreadId};

    use crate::brain::{Brain, Reply, Turn};
    use crate::disaster::LineOptions;
    use crate::voice::{Espeak, VoiceKind};

    use super::*;

    /// Notes on which thread it is asked.
    struct Noting(Arc<Mutex<Vec<ThreadId>>>);

    impl Brain for Noting {
        fn reply(&mut self, _: &Turn<'_>) -> Reply {
            self.0.lock().unwrap().push(thread::current().id());
            Reply::say("Hello.")
        }
    }

    #[tokio::test]
    async fn a_voice_that_waits_for_a_program_speaks_beside_the_runtime() {
        for (voice, is_beside) in [(VoiceKind::Tones, false), (VoiceKind::Espeak(Espeak::perhaps()), true)] {
            let threads = Arc::new(Mutex::new(Vec::new()));
            let waits = voice.waits_for_a_program();
            let own = ConnectionOptions { voice, ..ConnectionOptions::default() };
            let wall = realtime_protocol::time::UnixTime::from_secs(1);
            let connection = Connection::new(own, Box::new(Noting(threads.clone())), Timestamp::ZERO, wall);
            let line = Line::new(connection, LineOptions::default(), Timestamp::ZERO);
            let create = |line: &mut Line| line.handle_text(Timestamp::ZERO, r#"{"type":"response.create"}"#);
            let mut driven = Driven { line, waits }.step(create).await;
            let texts = std::iter::from_fn(|| driven.line.poll_output()).count();
            assert!(texts >= 3, "created, limits, and what was sent before");
            let here = thread::current().id();
            assert_eq!(threads.lock().unwrap().iter().map(|id| *id != here).collect::<Vec<_>>(), [is_beside]);
        }
    }
}
