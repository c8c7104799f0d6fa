//! The WebSocket as the driver uses it: wire texts in and out, and the reason of its end. No other file uses
//! the library.

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use realtime_protocol::call::DisconnectReason;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_websockets::{ClientBuilder, CloseCode, Config, Error, Limits, Message, WebSocketStream};

use crate::connect::auth::Secrets;

/// A stream of bytes that a WebSocket can run over.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// What comes out of a socket.
#[derive(Debug)]
pub(crate) enum Received {
    /// A wire text. Some proxies send it as a binary message.
    Text(Text),
    /// A binary message that is not text; its length in bytes.
    Binary(usize),
    /// The server closed the connection, or it was lost. After this, only [`poll_end`](Socket::poll_end) is
    /// of use.
    Ended(DisconnectReason),
}

/// A wire text, in the buffer it was read into.
#[derive(Clone)]
pub(crate) struct Text(Message);

impl Text {
    /// The text of a message, or the length of a binary one that is not UTF-8.
    fn of(message: Message) -> Result<Self, usize> {
        if message.is_text() {
            return Ok(Self(message));
        }
        let bytes = message.as_payload();
        match std::str::from_utf8(bytes) {
            // Copied, because the library does not turn a binary message into a text.
            Ok(text) => Ok(Self(Message::text(text.to_owned()))),
            Err(_) => Err(bytes.len()),
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        // It is only made of text messages.
        self.0.as_text().unwrap_or_default()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.len())
    }
}

/// An open WebSocket.
pub(crate) struct Socket {
    inner: WebSocketStream<Wire>,
    /// Secrets that the server may repeat, and that must not be shown.
    secrets: Secrets,
    /// Whether the server reads too slowly: the latest flush has not ended.
    blocked: bool,
    /// An upper bound of the bytes that wait to be sent: all that was queued since nothing waited.
    unsent: usize,
    /// The latest text, if it is large, until the next one is asked for. The library reuses the memory of a
    /// dropped text, and would keep the largest buffer for the rest of the call.
    held: Option<Text>,
}

impl Socket {
    /// Continues after a handshake. `read`: the bytes that came with it.
    pub(crate) fn new(stream: Box<dyn ByteStream>, read: Vec<u8>, secrets: Secrets) -> Self {
        let wire = Wire { read: read.into(), stream, broken: None, alive: false, written: 0 };
        let inner = ClientBuilder::new()
            // A text is one frame, and is sent only when flushed.
            .config(Config::default().frame_size(MAX_UNSENT).flush_threshold(usize::MAX))
            .limits(Limits::default().max_payload_len(Some(MAX_TEXT)))
            .take_over(wire);
        Self { inner, secrets, blocked: false, unsent: 0, held: None }
    }

    /// Queues a wire text. The next [`poll`](Self::poll) sends everything that is queued, in as few writes as
    /// the connection allows.
    pub(crate) fn send(&mut self, text: String) {
        self.queue(Message::text(Bytes::from(text)));
    }

    /// Sends a ping, for the server to answer with a pong.
    pub(crate) fn ping(&mut self) {
        self.queue(Message::ping(""));
    }

    /// Returns whether the connection takes more for now. Otherwise let texts wait where they can still be
    /// merged or dropped.
    pub(crate) const fn has_room(&self) -> bool {
        !self.blocked && self.unsent < ROOM
    }

    /// Returns whether the connection was alive since the last call: data came, even a part of a message, or
    /// the server took bytes again after it was stuck.
    pub(crate) fn take_alive(&mut self) -> bool {
        std::mem::take(&mut self.inner.get_mut().alive)
    }

    /// Queues a close frame. Texts may still arrive until the server has answered it.
    pub(crate) fn start_close(&mut self) {
        self.queue(Message::close(Some(CloseCode::NORMAL_CLOSURE), ""));
    }

    /// Sends what is queued as far as the connection takes it, answers pings, and returns what came.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        self.poll_flush(cx);
        loop {
            let received = self.inner.poll_next_unpin(cx);
            self.held = None;
            let Poll::Ready(received) = received else {
                let broken = self.inner.get_ref().broken.as_ref();
                return broken.map_or(Poll::Pending, |reason| Poll::Ready(lost(reason.clone())));
            };
            let message = match received {
                Some(Ok(message)) if message.is_text() || message.is_binary() => {
                    let text = match Text::of(message) {
                        Ok(text) => match self.secrets.redact_wire(&text) {
                            Some(redacted) => Text(Message::text(redacted)),
                            None => text,
                        },
                        Err(bytes) => return Poll::Ready(Received::Binary(bytes)),
                    };
                    self.held = (text.len() > HELD).then(|| text.clone());
                    return Poll::Ready(Received::Text(text));
                }
                received => received,
            };
            // The library may have queued an answer to anything else.
            let charged = self.charge(0);
            return Poll::Ready(match message {
                Some(Ok(message)) => match message.as_close() {
                    Some((code, reason)) => {
                        let code = (code != CloseCode::NO_STATUS_RECEIVED).then(|| code.into());
                        Received::Ended(DisconnectReason::Closed {
                            code,
                            reason: self.secrets.redact(reason),
                        })
                    }
                    None => {
                        self.poll_flush(cx);
                        match charged {
                            Ok(()) => continue,
                            Err(reason) => lost(reason),
                        }
                    }
                },
                Some(Err(error)) => {
                    if let Error::PayloadTooLong { .. } = error {
                        // If it came in fragments, the library has not told the server.
                        self.queue(Message::close(Some(CloseCode::MESSAGE_TOO_BIG), ""));
                    }
                    lost(error.to_string())
                }
                None => lost(CLOSED.to_owned()),
            });
        }
    }

    /// After either side's close frame: sends what is left, and waits for the server to close the connection.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_flush(cx);
        let wire = self.inner.get_mut();
        while let Ok(1..) = ready!(pin!(wire.read(&mut [0; 1024])).poll_unpin(cx)) {}
        Poll::Ready(())
    }

    /// Sends what is queued as far as the connection takes it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) {
        if self.unsent == 0 {
            return;
        }
        let (was_blocked, before) = (self.blocked, self.inner.get_ref().written);
        self.blocked = self.inner.poll_flush_unpin(cx).is_pending();
        let wire = self.inner.get_mut();
        wire.alive |= was_blocked && wire.written > before;
        if !self.blocked {
            self.unsent = 0;
        }
    }

    /// Queues a message. Nothing follows a close frame. Any other failure to queue breaks the connection.
    fn queue(&mut self, message: Message) {
        if let Err(reason) = self.charge(message.as_payload().len()) {
            self.inner.get_mut().broken.get_or_insert(reason);
        } else if self.inner.poll_ready_unpin(&mut Context::from_waker(Waker::noop())).is_ready() {
            // By its configuration it is always ready, so this fails only after a close frame.
            let _ = self.inner.start_send_unpin(message);
        }
    }

    fn charge(&mut self, payload: usize) -> Result<(), String> {
        self.unsent += payload + FRAME;
        match self.unsent {
            ..=MAX_UNSENT => Ok(()),
            _ => Err(format!("more than {MAX_UNSENT} bytes wait to be sent")),
        }
    }
}

/// The stream as the library sees it.
struct Wire {
    /// The bytes that came with the handshake. They are read first.
    read: Bytes,
    stream: Box<dyn ByteStream>,
    /// Why nothing can be written any more. The library is not told, because then it would stop reading, and
    /// the server's last messages explain the end. What the library writes is dropped.
    broken: Option<String>,
    /// Whether the server showed life since the last look.
    alive: bool,
    /// Bytes written so far.
    written: u64,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            return Poll::Ready(match buffer.filled().len() {
                // It does not matter whether it ends within a frame.
                after if after == before => Err(io::Error::new(io::ErrorKind::UnexpectedEof, CLOSED)),
                _ => {
                    self.alive = true;
                    Ok(())
                }
            });
        }
        let length = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_none() {
            match ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts)) {
                Ok(0) => self.broken = Some(io::Error::from(io::ErrorKind::WriteZero).to_string()),
                Ok(written) => {
                    self.written += written as u64;
                    return Poll::Ready(Ok(written));
                }
                Err(error) => self.broken = Some(error.to_string()),
            }
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.is_none()
            && let Err(error) = ready!(Pin::new(&mut self.stream).poll_flush(cx))
        {
            self.broken = Some(error.to_string());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn lost(reason: String) -> Received {
    Received::Ended(DisconnectReason::Lost { reason })
}

/// Beyond this much (bytes), texts wait in the outbox.
const ROOM: usize = 1024 * 1024;
const CLOSED: &str = "the server closed the connection without a close frame";
/// The largest wire text from the server (bytes): a retrieved item includes its audio.
const MAX_TEXT: usize = 64 * 1024 * 1024;
/// The most that may wait to be sent (bytes). If the server reads too slowly for that, the connection counts
/// as lost.
const MAX_UNSENT: usize = 32 * 1024 * 1024;
/// What a frame costs besides its payload, at most (bytes of memory).
const FRAME: usize = 256;
/// A text longer than this does not fit into the library's initial buffer (bytes).
const HELD: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn socket(pipe: usize, read: &[u8]) -> (Socket, DuplexStream) {
        let (near, far) = duplex(pipe);
        (Socket::new(Box::new(near), read.to_vec(), Secrets::default()), far)
    }

    async fn next(socket: &mut Socket) -> Received {
        poll_fn(|cx| socket.poll(cx)).await
    }

    async fn text(socket: &mut Socket) -> String {
        match next(socket).await {
            Received::Text(text) => text.to_string(),
            other => panic!("expected a text, got {other:?}"),
        }
    }

    async fn end(socket: &mut Socket) -> DisconnectReason {
        match next(socket).await {
            Received::Ended(reason) => reason,
            other => panic!("expected the end, got {other:?}"),
        }
    }

    async fn flush(socket: &mut Socket) {
        poll_fn(|cx| {
            socket.poll_flush(cx);
            if socket.blocked { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// The next frame of the client, without its mask: its first byte and its payload.
    async fn frame(far: &mut DuplexStream) -> (u8, Vec<u8>) {
        let (first, length) = (far.read_u8().await.unwrap(), far.read_u8().await.unwrap());
        assert_eq!(length & 0x80, 0x80, "a client masks");
        let mut rest = vec![0; 4 + usize::from(length & 0x7f)];
        far.read_exact(&mut rest).await.unwrap();
        let (mask, payload) = rest.split_at(4);
        (first, payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())
    }

    /// A server's frame of 65,536 bytes or more.
    fn large(length: usize) -> Vec<u8> {
        [&[0x81, 127][..], &(length as u64).to_be_bytes(), &vec![b'x'; length]].concat()
    }

    #[tokio::test]
    async fn what_came_with_the_handshake_comes_first_and_pings_are_answered() {
        let (mut socket, mut far) = socket(1024, b"\x81\x01a\x89\x01p\x01\x01\xc3");
        assert!(!socket.take_alive());
        far.write_all(b"\x89\x00\x80\x01\xa4\x82\x02\xc3\xa4\x82\x02\xff.").await.unwrap();
        assert_eq!(text(&mut socket).await, "a");
        assert_eq!(text(&mut socket).await, "ä");
        assert_eq!(text(&mut socket).await, "ä");
        assert!(matches!(next(&mut socket).await, Received::Binary(2)));
        assert!(socket.take_alive() && !socket.take_alive());
        assert_eq!(frame(&mut far).await, (0x8a, b"p".to_vec()));
        assert_eq!(frame(&mut far).await, (0x8a, b"".to_vec()));
    }

    #[tokio::test]
    async fn a_close_frame_is_answered_once_and_nothing_follows_it() {
        let (mut socket, mut far) = socket(1024, b"");
        far.write_all(b"\x88\x05\x0f\xa0bye\x81\x01x").await.unwrap();
        let close = DisconnectReason::Closed { code: Some(4000), reason: "bye".to_owned() };
        assert_eq!(end(&mut socket).await, close);
        socket.send("late".to_owned());
        socket.ping();
        socket.start_close();
        flush(&mut socket).await;
        assert_eq!(frame(&mut far).await, (0x88, b"\x0f\xa0".to_vec()));
        far.shutdown().await.unwrap();
        poll_fn(|cx| socket.poll_end(cx)).await;
        drop(socket);
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn texts_still_come_after_our_close_frame() {
        let (mut socket, mut far) = socket(1024, b"");
        socket.send("x".to_owned());
        socket.start_close();
        socket.send("late".to_owned());
        far.write_all(b"\x81\x01y\x88\x00").await.unwrap();
        assert_eq!(text(&mut socket).await, "y");
        assert_eq!(end(&mut socket).await, DisconnectReason::Closed { code: None, reason: String::new() });
        assert_eq!(frame(&mut far).await, (0x81, b"x".to_vec()));
        assert_eq!(frame(&mut far).await, (0x88, 1000_u16.to_be_bytes().to_vec()));
    }

    #[tokio::test]
    async fn a_protocol_violation_is_told_to_the_server_too() {
        for (bytes, code, what) in [
            (&b"\x81\x01\xff\x81\x01x"[..], 1007_u16, "invalid utf-8"),
            (b"\x81\x80\0\0\0\0", 1002, "unexpected masked frame"),
            (b"\xc1\x00", 1002, "invalid extension"),
            (b"\x88\x01\x03", 1002, "invalid payload length"),
            (b"\x81\x05xxxxx", 1009, "payload length of 5 exceeds the limit of 4"),
            (b"\x01\x03xxx\x80\x02xx", 1009, "payload length of 5 exceeds the limit of 4"),
        ] {
            let (mut socket, mut far) = socket(1024, bytes);
            socket.inner.limits_mut().set_max_payload_len(Some(4));
            assert_eq!(end(&mut socket).await, DisconnectReason::Lost { reason: what.to_owned() });
            let ended = tokio::spawn(async move { poll_fn(|cx| socket.poll_end(cx)).await });
            let (first, close) = frame(&mut far).await;
            assert_eq!((first, &close[..2]), (0x88, &code.to_be_bytes()[..]), "{what}");
            drop(far);
            ended.await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_the_server_does_not_read_waits_up_to_its_bound() {
        let (mut socket, mut far) = socket(16, b"");
        let long = "x".repeat(100);
        socket.send(long.clone());
        assert!(!socket.blocked);
        socket.poll_flush(&mut Context::from_waker(Waker::noop()));
        assert!(socket.blocked);
        let ((), received) = tokio::join!(flush(&mut socket), frame(&mut far));
        assert_eq!(received, (0x81, long.into_bytes()));
        socket.send("x".repeat(MAX_UNSENT));
        let reason = "more than 33554432 bytes wait to be sent".to_owned();
        assert_eq!(end(&mut socket).await, DisconnectReason::Lost { reason });
    }

    #[tokio::test]
    async fn pings_of_a_server_that_reads_nothing_do_not_pile_up_without_end() {
        let (mut socket, _far) = socket(16, &b"\x89\x00".repeat(MAX_UNSENT / FRAME + 10));
        let reason = "more than 33554432 bytes wait to be sent".to_owned();
        assert_eq!(end(&mut socket).await, DisconnectReason::Lost { reason });
    }

    #[tokio::test]
    async fn the_last_words_are_heard_though_nothing_can_be_written() {
        let (mut socket, mut far) = socket(1024, b"");
        far.write_all(b"\x81\x01x\x88\x02\x0f\xa0").await.unwrap();
        drop(far);
        socket.send("y".to_owned());
        assert_eq!(text(&mut socket).await, "x");
        let close = DisconnectReason::Closed { code: Some(4000), reason: String::new() };
        assert_eq!(end(&mut socket).await, close);
        poll_fn(|cx| socket.poll_end(cx)).await;
    }

    #[tokio::test]
    async fn a_stream_that_ends_is_told_wherever_it_ends() {
        for bytes in [&b""[..], b"\x81", b"\x81\x05x"] {
            let (mut socket, far) = socket(16, bytes);
            drop(far);
            let reason = "the server closed the connection without a close frame".to_owned();
            assert_eq!(end(&mut socket).await, DisconnectReason::Lost { reason });
        }
    }

    #[tokio::test]
    async fn no_bytes_are_too_strange() {
        // A linear congruential generator, so that every run has the same bytes.
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let mut ends = std::collections::BTreeSet::new();
        for _ in 0..5_000 {
            let mut bytes: Vec<u8> = (0..random() % 32).map(|_| random()).collect();
            // Mostly valid headers, which are not refused at once.
            if let [first, second, ..] = &mut bytes[..] {
                (*first, *second) = (*first & 0x8f, *second & 0x7f);
            }
            let (mut socket, far) = socket(1024, &bytes);
            drop(far);
            ends.insert(loop {
                match next(&mut socket).await {
                    Received::Ended(DisconnectReason::Lost { reason }) => break reason,
                    Received::Ended(_) => break "a close frame".to_owned(),
                    Received::Text(_) | Received::Binary(_) => {}
                }
            });
        }
        for end in [CLOSED, "a close frame", "invalid utf-8", "invalid opcode", "invalid payload length"] {
            assert!(ends.contains(end), "{end} is not among {ends:?}");
        }
    }

    #[test]
    fn a_large_text_costs_its_memory_no_longer_than_it_lasts() {
        for read in [vec![], large(10_000_000), [large(70_000).repeat(20), b"\x81\x01x".repeat(100)].concat()]
        {
            let (near, mut far) = duplex(16);
            let mut socket = None;
            let heap = allocation_counter::measure(|| {
                let socket = socket.insert(Socket::new(Box::new(near), read.clone(), Secrets::default()));
                let cx = &mut Context::from_waker(Waker::noop());
                while socket.poll(cx).is_ready() {}
                for _ in 0..50 {
                    socket.send("x".repeat(1000));
                    while {
                        socket.poll_flush(cx);
                        socket.blocked
                    } {
                        let _ = pin!(far.read(&mut [0; 16])).poll_unpin(cx);
                    }
                }
            });
            assert!(heap.bytes_current < 16 * 1024, "{heap:?}");
        }
    }
}
