//! What a WebSocket does whatever comes, over each library.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

use super::*;
use crate::wire::{MAX_TEXT, websockets};

/// Makes a socket that takes texts of that many bytes.
type Make = fn(Tracked, usize) -> Box<dyn Wire>;

/// Each library.
const LIBRARIES: &[Make] = &[
    |stream, max_text| Box::new(Socket::new(websockets::Library::new(stream, max_text))),
    #[cfg(feature = "tungstenite")]
    |stream, max_text| {
        let library = crate::wire::tungstenite::Library::new(stream, max_text).now_or_never();
        Box::new(Socket::new(library.expect("there is nothing to wait for")))
    },
];

/// A socket at the end of a pipe of that many bytes, with what came before it began.
fn socket(make: Make, pipe: usize, read: &[u8]) -> (Box<dyn Wire>, DuplexStream) {
    let (near, far) = duplex(pipe);
    (make(Tracked::new(Box::new(near), read.to_vec().into()), MAX_TEXT), far)
}

async fn next(socket: &mut Box<dyn Wire>) -> Received {
    poll_fn(|cx| {
        let _ = socket.poll_flush(cx);
        socket.poll_recv(cx)
    })
    .await
}

async fn text(socket: &mut Box<dyn Wire>) -> String {
    match next(socket).await {
        Received::Text(text) => text.to_string(),
        other => panic!("expected a text, got {other:?}"),
    }
}

async fn end(socket: &mut Box<dyn Wire>) -> DisconnectReason {
    match next(socket).await {
        Received::Ended(reason) => reason,
        other => panic!("expected the end, got {other:?}"),
    }
}

async fn flush(socket: &mut Box<dyn Wire>) {
    poll_fn(|cx| socket.poll_flush(cx)).await;
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

/// A stream that counts its writes, which may have many parts, as with TCP.
struct Counting {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.poll_write(cx, &all)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A server's frame of 65,536 bytes or more.
fn large(length: usize) -> Vec<u8> {
    [&[0x81, 127][..], &(length as u64).to_be_bytes(), &vec![b'x'; length]].concat()
}

#[tokio::test]
async fn what_came_with_the_handshake_comes_first_and_pings_are_answered() {
    for make in LIBRARIES {
        let (mut socket, mut far) = socket(*make, 1024, b"\x81\x01a\x89\x01p\x01\x01\xc3");
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
}

#[tokio::test]
async fn a_close_frame_is_answered_once_and_nothing_follows_it() {
    for make in LIBRARIES {
        let (mut socket, mut far) = socket(*make, 1024, b"");
        far.write_all(b"\x88\x05\x0f\xa0bye\x81\x01x").await.unwrap();
        let close = DisconnectReason::Closed { code: Some(4000), reason: "bye".to_owned() };
        assert_eq!(end(&mut socket).await, close);
        socket.send("late".to_owned());
        socket.ping();
        socket.close();
        flush(&mut socket).await;
        let (first, close) = frame(&mut far).await;
        assert_eq!((first, &close[..2]), (0x88, b"\x0f\xa0".as_slice()));
        far.shutdown().await.unwrap();
        poll_fn(|cx| socket.poll_end(cx)).await;
        drop(socket);
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn texts_still_come_after_our_close_frame() {
    for make in LIBRARIES {
        let (mut socket, mut far) = socket(*make, 1024, b"");
        socket.send("x".to_owned());
        socket.close();
        socket.send("late".to_owned());
        far.write_all(b"\x81\x01y\x88\x00").await.unwrap();
        assert_eq!(text(&mut socket).await, "y");
        assert_eq!(end(&mut socket).await, DisconnectReason::Closed { code: None, reason: String::new() });
        assert_eq!(frame(&mut far).await, (0x81, b"x".to_vec()));
        assert_eq!(frame(&mut far).await, (0x88, 1000_u16.to_be_bytes().to_vec()));
    }
}

#[tokio::test]
async fn a_protocol_violation_is_told_to_the_server_too() {
    for make in LIBRARIES {
        for (bytes, code) in [
            (&b"\x81\x01\xff\x81\x01x"[..], 1007_u16), // not UTF-8
            (b"\x81\x80\0\0\0\0", 1002),               // masked
            (b"\xc1\x00", 1002),                       // an extension
            (b"\x88\x01\x03", 1002),                   // half a code
            (b"\x81\x05xxxxx", 1009),                  // too long, at once and in pieces
            (b"\x01\x03xxx\x80\x02xx", 1009),
        ] {
            let (near, mut far) = duplex(1024);
            let mut socket = make(Tracked::new(Box::new(near), bytes.to_vec().into()), 4);
            let reason = end(&mut socket).await;
            assert!(matches!(&reason, DisconnectReason::Lost { reason } if reason.len() > 10), "{reason:?}");
            let ended = tokio::spawn(async move { poll_fn(|cx| socket.poll_end(cx)).await });
            let (first, close) = frame(&mut far).await;
            assert_eq!((first, &close[..2]), (0x88, &code.to_be_bytes()[..]), "{reason:?}");
            drop(far);
            ended.await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_the_server_does_not_read_waits_up_to_its_bound() {
    for make in LIBRARIES {
        let (mut socket, mut far) = socket(*make, 16, b"");
        let long = "x".repeat(100);
        socket.send(long.clone());
        assert!(socket.has_room());
        assert!(socket.poll_flush(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(!socket.has_room());
        let ((), received) = tokio::join!(flush(&mut socket), frame(&mut far));
        assert_eq!(received, (0x81, long.into_bytes()));
        socket.send("x".repeat(MAX_UNSENT));
        let reason = "more than 33554432 bytes wait to be sent".to_owned();
        assert_eq!(end(&mut socket).await, DisconnectReason::Lost { reason });
    }
}

#[tokio::test]
async fn texts_that_are_queued_together_leave_in_one_write() {
    for make in LIBRARIES {
        let (near, mut far) = duplex(1 << 20);
        let writes = Arc::new(AtomicUsize::new(0));
        let stream = Counting { stream: near, writes: Arc::clone(&writes) };
        let mut socket = make(Tracked::new(Box::new(stream), Bytes::new()), MAX_TEXT);
        for _ in 0..10 {
            socket.send("x".repeat(100));
        }
        assert_eq!(writes.load(Ordering::Relaxed), 0);
        flush(&mut socket).await;
        assert_eq!(writes.load(Ordering::Relaxed), 1);
        for _ in 0..10 {
            assert_eq!(frame(&mut far).await, (0x81, b"x".repeat(100)));
        }
    }
}

#[tokio::test]
async fn pings_of_a_server_that_reads_nothing_do_not_pile_up_without_end() {
    for make in LIBRARIES {
        let (mut socket, _far) = socket(*make, 16, &b"\x89\x00".repeat(MAX_UNSENT / FRAME + 10));
        let reason = "more than 33554432 bytes wait to be sent".to_owned();
        assert_eq!(end(&mut socket).await, DisconnectReason::Lost { reason });
    }
}

#[tokio::test]
async fn the_last_words_are_heard_though_nothing_can_be_written() {
    for make in LIBRARIES {
        let (mut socket, mut far) = socket(*make, 1024, b"");
        far.write_all(b"\x81\x01x\x88\x02\x0f\xa0").await.unwrap();
        drop(far);
        socket.send("y".to_owned());
        assert_eq!(text(&mut socket).await, "x");
        let close = DisconnectReason::Closed { code: Some(4000), reason: String::new() };
        assert_eq!(end(&mut socket).await, close);
        poll_fn(|cx| socket.poll_end(cx)).await;
    }
}

#[tokio::test]
async fn a_stream_that_ends_is_told_wherever_it_ends() {
    for make in LIBRARIES {
        for bytes in [&b""[..], b"\x81", b"\x81\x05x"] {
            let (mut socket, far) = socket(*make, 16, bytes);
            drop(far);
            let reason = "the server closed the connection without a close frame".to_owned();
            assert_eq!(end(&mut socket).await, DisconnectReason::Lost { reason });
        }
    }
}

#[tokio::test]
async fn no_bytes_are_too_strange() {
    for make in LIBRARIES {
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
            let (mut socket, far) = socket(*make, 1024, &bytes);
            drop(far);
            ends.insert(loop {
                match next(&mut socket).await {
                    Received::Ended(DisconnectReason::Lost { reason }) => break reason,
                    Received::Ended(_) => break "a close frame".to_owned(),
                    Received::Text(_) | Received::Binary(_) => {}
                }
            });
        }
        for end in [CLOSED, "a close frame", "utf-8", "opcode"] {
            assert!(ends.iter().any(|other| other.contains(end)), "{end} is not among {ends:?}");
        }
    }
}

#[test]
fn a_large_text_costs_its_memory_no_longer_than_it_lasts() {
    for make in LIBRARIES {
        let small = |count: usize| b"\x81\x01x".repeat(count);
        for read in [
            vec![],
            // With tungstenite, the memory of a text is kept for the next 16 KiB that come.
            [large(10_000_000), small(10_000)].concat(),
            [large(70_000).repeat(20), small(10_000)].concat(),
        ] {
            let (near, mut far) = duplex(16);
            let mut socket = None;
            let heap = allocation_counter::measure(|| {
                let stream = Tracked::new(Box::new(near), read.clone().into());
                let socket = socket.insert(make(stream, MAX_TEXT));
                let cx = &mut Context::from_waker(Waker::noop());
                while socket.poll_recv(cx).is_ready() {}
                for _ in 0..50 {
                    socket.send("x".repeat(1000));
                    while socket.poll_flush(cx).is_pending() {
                        let _ = pin!(far.read(&mut [0; 16])).poll_unpin(cx);
                    }
                }
            });
            assert!(heap.bytes_current < 20 * 1024, "{heap:?}");
        }
    }
}
