//! A WebSocket over a stream of bytes, without ever waiting, from the end of its handshake to the last byte.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWrite};

use crate::frames::{Message, Reader, Writer};
use crate::socket::ByteStream;

/// The messages of a connection, both ways.
pub(crate) struct WebSocket {
    stream: Box<dyn ByteStream>,
    reader: Reader,
    writer: Writer,
    /// The latest ping that is not answered.
    pong: Option<Bytes>,
    /// Whether a goodbye of ours is sent or queued: nothing may follow it.
    said_goodbye: bool,
    /// Whether there is nothing more to be read but the end of the stream.
    is_over: bool,
    unflushed: bool,
}

impl WebSocket {
    /// Goes on behind a handshake, of which `read` is what came with it.
    pub(crate) fn new(stream: Box<dyn ByteStream>, read: &[u8]) -> Self {
        Self {
            stream,
            reader: Reader::new(read, MAX_TEXT),
            writer: Writer::new(),
            pong: None,
            said_goodbye: false,
            is_over: false,
            unflushed: false,
        }
    }

    /// Queues a text. Nothing follows a goodbye; what else cannot be queued is an error.
    pub(crate) fn send(&mut self, text: &str) -> Result<(), String> {
        if self.said_goodbye {
            return Ok(());
        }
        if self.writer.unsent().len() + text.len() > MAX_UNSENT {
            return Err(format!("more than {MAX_UNSENT} bytes wait to be sent"));
        }
        self.writer.text(text);
        self.unflushed = true;
        Ok(())
    }

    /// Queues a request for a sign of life.
    pub(crate) fn ping(&mut self) {
        if !self.said_goodbye {
            self.writer.ping();
            self.unflushed = true;
        }
    }

    /// Queues a goodbye, if there was none.
    pub(crate) fn close(&mut self, code: Option<u16>, reason: &str) {
        if !std::mem::replace(&mut self.said_goodbye, true) {
            self.writer.close(code, reason);
            self.unflushed = true;
        }
    }

    /// What comes next; `None` at the end of the stream. Answers to pings and to a goodbye are queued on the way.
    /// After a goodbye or an error there is only the end.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, String>>> {
        loop {
            if !self.is_over {
                match self.reader.next() {
                    Ok(None) => {}
                    Ok(Some(message)) => {
                        self.answer(&message);
                        return Poll::Ready(Some(Ok(message)));
                    }
                    Err(violation) => {
                        self.is_over = true;
                        self.close(Some(violation.code), "");
                        return Poll::Ready(Some(Err(violation.to_string())));
                    }
                }
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) => return Poll::Ready(None),
                Ok(_) if self.is_over => self.reader.buffer.clear(),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error.to_string()))),
            }
        }
    }

    /// Whether anything waits to be written.
    pub(crate) const fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    /// Writes what is queued.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let result = ready!(self.poll_write(cx));
        // What could not be written never will be.
        self.unflushed = false;
        Poll::Ready(result.map_err(|error| error.to_string()))
    }

    fn answer(&mut self, message: &Message) {
        match message {
            // Only the latest must be answered, so that a flood of them costs nothing.
            Message::Ping(payload) if !self.said_goodbye => {
                self.pong = Some(payload.clone());
                self.unflushed = true;
            }
            Message::Close { code, .. } => {
                self.is_over = true;
                self.close(*code, "");
            }
            Message::Ping(_) | Message::Pong | Message::Text(_) | Message::Binary(_) => {}
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let buffer = &mut self.reader.buffer;
        buffer.reserve(READ_BUFFER);
        // A future that reads holds nothing between two polls: what was read is in the buffer at once.
        pin!(self.stream.read_buf(buffer)).poll(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.writer.unsent().is_empty()
                && let Some(payload) = self.pong.take()
                && !self.said_goodbye
            {
                self.writer.pong(&payload);
            }
            if self.writer.unsent().is_empty() {
                return Pin::new(&mut self.stream).poll_flush(cx);
            }
            match ready!(Pin::new(&mut self.stream).poll_write(cx, self.writer.unsent()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.writer.advance(written),
            }
        }
    }
}

/// Room for what is read at once (bytes).
const READ_BUFFER: usize = 16 * 1024;
/// The most that one wire text from the server may have (bytes): a retrieved item brings its audio along.
const MAX_TEXT: usize = 64 * 1024 * 1024;
/// The most that may wait to be sent (bytes). A far side that reads so slowly counts as lost.
const MAX_UNSENT: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    async fn next(socket: &mut WebSocket) -> Option<Result<Message, String>> {
        poll_fn(|cx| {
            let message = socket.poll_next(cx);
            let _ = socket.poll_flush(cx);
            message
        })
        .await
    }

    async fn flush(socket: &mut WebSocket) -> Result<(), String> {
        poll_fn(|cx| socket.poll_flush(cx)).await
    }

    /// The next frame of the client, without its mask: its first byte and its payload.
    async fn frame(far: &mut DuplexStream) -> (u8, Vec<u8>) {
        let (first, length) = (far.read_u8().await.unwrap(), far.read_u8().await.unwrap());
        let mut rest = vec![0; 4 + usize::from(length & 0x7f)];
        far.read_exact(&mut rest).await.unwrap();
        let (mask, payload) = rest.split_at(4);
        (first, payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())
    }

    #[tokio::test]
    async fn of_many_pings_the_latest_is_answered() {
        let (near, mut far) = duplex(1024);
        let mut socket = WebSocket::new(Box::new(near), b"\x89\x01a");
        far.write_all(b"\x89\x01b\x81\x01x").await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.push(poll_fn(|cx| socket.poll_next(cx)).await.unwrap().unwrap());
        }
        assert_eq!(seen[2], Message::Text("x".into()));
        assert!(socket.is_unflushed());
        flush(&mut socket).await.unwrap();
        assert!(!socket.is_unflushed());
        assert_eq!(frame(&mut far).await, (0x8a, b"b".to_vec()));
        // Nothing else was sent.
        socket.send("y").unwrap();
        flush(&mut socket).await.unwrap();
        assert_eq!(frame(&mut far).await, (0x81, b"y".to_vec()));
    }

    #[tokio::test]
    async fn a_goodbye_is_answered_once_and_nothing_follows_it() {
        let (near, mut far) = duplex(1024);
        let mut socket = WebSocket::new(Box::new(near), b"");
        far.write_all(b"\x88\x05\x0f\xa0bye\x81\x01x").await.unwrap();
        let goodbye = Message::Close { code: Some(4000), reason: "bye".to_owned() };
        assert_eq!(next(&mut socket).await, Some(Ok(goodbye)));
        socket.send("late").unwrap();
        socket.close(Some(1000), "");
        flush(&mut socket).await.unwrap();
        assert_eq!(frame(&mut far).await, (0x88, b"\x0f\xa0".to_vec()));
        far.shutdown().await.unwrap();
        assert_eq!(next(&mut socket).await, None);
        drop(socket);
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_must_not_be_is_told_to_the_far_side_too() {
        let (near, mut far) = duplex(1024);
        let mut socket = WebSocket::new(Box::new(near), b"\x81\x01\xff\x81\x01x");
        assert_eq!(next(&mut socket).await, Some(Err("a text is no UTF-8".to_owned())));
        assert_eq!(frame(&mut far).await, (0x88, 1007_u16.to_be_bytes().to_vec()));
        drop(far);
        assert_eq!(next(&mut socket).await, None);
    }

    #[tokio::test]
    async fn what_the_far_side_does_not_read_waits_up_to_its_bound() {
        let (near, mut far) = duplex(16);
        let mut socket = WebSocket::new(Box::new(near), b"");
        let text = "x".repeat(100);
        socket.send(&text).unwrap();
        let pending = poll_fn(|cx| Poll::Ready(socket.poll_flush(cx).is_pending())).await;
        assert!(pending && socket.is_unflushed());
        let (sent, received) = tokio::join!(flush(&mut socket), frame(&mut far));
        assert_eq!((sent, received), (Ok(()), (0x81, text.into_bytes())));
        let error = socket.send(&"x".repeat(MAX_UNSENT + 1)).unwrap_err();
        assert_eq!(error, "more than 33554432 bytes wait to be sent");
        drop(far);
        socket.send("x").unwrap();
        assert!(flush(&mut socket).await.is_err());
    }
}
