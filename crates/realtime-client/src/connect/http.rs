//! One HTTP request and its answer, by hyper: the WebSocket handshake, a proxy's `CONNECT`, and the calls of
//! feature `http`. Each has a stream of its own, and no task. Everything that is read is bounded, and nothing
//! is logged: heads hold keys.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::http::response;
use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::stream::ByteStream;

/// The most that the head of an answer may have (bytes).
const MAX_HEAD: usize = 16 * 1024;
/// The most headers that an answer may have.
const MAX_HEADERS: usize = 128;

/// An answer, with the connection that it comes over.
pub(crate) struct Answer {
    pub(crate) head: response::Parts,
    /// The body, as far as it was read.
    pub(crate) body: Vec<u8>,
    incoming: Incoming,
    driven: Driven,
    /// Without it, the connection would count as unused.
    _sender: SendRequest<Content>,
}

/// What a request holds. `None`: it was sent.
pub(crate) struct Content(Option<Bytes>);

impl<B: Into<Bytes>> From<B> for Content {
    fn from(bytes: B) -> Self {
        Self(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// An answer without a readable head.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// It ended before its head did. `InvalidData`: TLS ended it.
    HungUp(io::Error),
    /// It is not HTTP.
    NotHttp(String),
}

impl Answer {
    /// Sends a request and reads the head of its answer. An answer counts even if the request could not be
    /// sent completely: a server that refuses at once may close the connection before it has read everything.
    pub(crate) async fn to(
        request: Request<impl Into<Content>>,
        stream: Box<dyn ByteStream>,
    ) -> Result<Self, HeadError> {
        let io = Io { stream, broken: None, has_written: false };
        let connection = Builder::new()
            // As most clients write them: a few servers look for nothing else.
            .title_case_headers(true)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_HEAD)
            .handshake(io);
        let (mut sender, connection) = connection.await.map_err(|error| of_hyper(&error, None))?;
        let mut driven = Driven { connection, has_ended: false };
        let answer = {
            let mut answer = pin!(sender.send_request(request.map(Into::into)));
            poll_fn(|cx| {
                driven.poll(cx);
                answer.as_mut().poll(cx)
            })
            .await
        };
        match answer {
            Ok(answer) => {
                let (head, incoming) = answer.into_parts();
                Ok(Self { head, body: Vec::new(), incoming, driven, _sender: sender })
            }
            Err(error) => Err(of_hyper(&error, driven.connection.into_parts().io.broken)),
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// The first header of that name, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns whether one of the headers of that name lists this element.
    pub(crate) fn lists(&self, name: &str, element: &str) -> bool {
        let values = self.head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut elements = values.flat_map(|value| value.split(','));
        elements.any(|value| value.trim().eq_ignore_ascii_case(element))
    }

    /// Reads the body to its end, or until there are more than `most` bytes; returns whether there are more.
    /// If that fails or is cancelled, the bytes that came so far are kept.
    ///
    /// # Errors
    /// `InvalidData` if it is not HTTP; otherwise the connection was lost.
    pub(crate) async fn fill(&mut self, most: usize) -> io::Result<bool> {
        poll_fn(|cx| {
            loop {
                self.driven.poll(cx);
                let frame = match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                    None => return Poll::Ready(Ok(false)),
                    Some(frame) => frame.map_err(|error| of_body(&error))?,
                };
                // Trailers say nothing.
                let Ok(data) = frame.into_data() else { continue };
                let room = most - self.body.len();
                self.body.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return Poll::Ready(Ok(true));
                }
            }
        })
        .await
    }

    /// The stream after an upgrade, with the bytes that came after the answer.
    pub(crate) async fn into_stream(mut self) -> (Box<dyn ByteStream>, Bytes) {
        poll_fn(|cx| {
            self.driven.poll(cx);
            if self.driven.has_ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = self.driven.connection.into_parts();
        (parts.io.stream, parts.read_buf)
    }
}

/// The connection, which does nothing by itself.
struct Driven {
    connection: Connection<Io, Content>,
    has_ended: bool,
}

impl Driven {
    /// Does what can be done. How it ends is told where the answer is read.
    fn poll(&mut self, cx: &mut Context<'_>) {
        self.has_ended = self.has_ended || self.connection.poll_without_shutdown(cx).is_ready();
    }
}

/// A stream as hyper wants it.
struct Io {
    stream: Box<dyn ByteStream>,
    /// Why nothing can be written any more. hyper is not told, because then it would not read the answer.
    broken: Option<io::Error>,
    /// Whether the request has begun to leave. hyper takes what comes before that for a mistake of its own,
    /// but a server that is no HTTP server may speak first.
    has_written: bool,
}

impl hyper::rt::Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.has_written {
            // The write wakes.
            return Poll::Pending;
        }
        // Copied, because hyper's buffer can only be filled in place by unsafe code.
        let mut bytes = [0; 4096];
        let most = out.remaining().min(bytes.len());
        let mut read = ReadBuf::new(&mut bytes[..most]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        out.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.has_written {
            self.has_written = true;
            cx.waker().wake_by_ref();
        }
        if self.broken.is_none() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, bytes)) {
                Ok(written) => return Poll::Ready(Ok(written)),
                Err(error) => self.broken = Some(error),
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.is_none()
            && let Err(error) = ready!(Pin::new(&mut self.stream).poll_flush(cx))
        {
            self.broken = Some(error);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Why there is no head.
fn of_hyper(error: &hyper::Error, broken: Option<io::Error>) -> HeadError {
    if error.is_parse() {
        return HeadError::NotHttp(format!("the answer is not HTTP: {error}"));
    }
    // What was read says more than what could not be written.
    let source = source_of(error).map(|error| io::Error::new(error.kind(), error.to_string()));
    let nothing = || io::Error::new(io::ErrorKind::UnexpectedEof, "it sent no whole answer");
    HeadError::HungUp(source.or(broken).unwrap_or_else(nothing))
}

/// Why a body did not come to its end.
fn of_body(error: &hyper::Error) -> io::Error {
    match source_of(error) {
        Some(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
            io::Error::new(io::ErrorKind::InvalidData, error.to_string())
        }
        Some(error) => io::Error::new(error.kind(), error.to_string()),
        None => io::Error::new(io::ErrorKind::UnexpectedEof, error.to_string()),
    }
}

fn source_of(error: &hyper::Error) -> Option<&io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// The answer of a server that sends these bytes, `piece` bytes at once, and then closes.
    async fn answer(bytes: &str, piece: usize) -> Result<Answer, HeadError> {
        let (near, mut far) = duplex(1 << 20);
        let bytes = bytes.to_owned();
        tokio::spawn(async move {
            let mut request = [0; 1024];
            assert!(far.read(&mut request).await.is_ok_and(|length| length > 0));
            for piece in bytes.as_bytes().chunks(piece) {
                far.write_all(piece).await.expect("an open pipe");
                tokio::task::yield_now().await;
            }
        });
        let request = Request::get("/p?q").body(String::new()).expect("a request");
        Answer::to(request, Box::new(near)).await
    }

    async fn read(bytes: &str, piece: usize, most: usize) -> (io::Result<bool>, String) {
        let mut answer = answer(bytes, piece).await.unwrap();
        let result = answer.fill(most).await;
        (result, String::from_utf8(answer.body).unwrap())
    }

    #[tokio::test]
    async fn what_is_too_much_is_cut_and_what_is_missing_is_told() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nabcd",
        ] {
            let (result, body) = read(answer, 1000, 3).await;
            assert!(result.unwrap() && body == "abc", "{answer}: {body}");
        }
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (rest, is_http) in
            [("1\r\na\r\n3", true), ("x", false), ("1\r\naaaa", false), ("ffffffffffffffffff\r\n", false)]
        {
            let (result, _) = read(&format!("{chunked}{rest}"), 1000, 8).await;
            assert_eq!(result.unwrap_err().kind() != io::ErrorKind::InvalidData, is_http, "{rest}");
        }
        let (result, body) = read("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", 1000, 8).await;
        assert_eq!((result.unwrap_err().kind(), body.as_str()), (io::ErrorKind::UnexpectedEof, "ab"));
    }

    #[tokio::test]
    async fn a_head_is_read_and_bounded() {
        let upgrade = "HTTP/1.1 101 X\r\nA: b\r\nConnection: keep-alive, Upgrade\r\n\r\nmore";
        for interim in ["", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"] {
            for piece in [1, 1000] {
                let answer = answer(&format!("{interim}{upgrade}"), piece).await.unwrap();
                assert_eq!((answer.status(), answer.header("a")), (101, Some("b")));
                assert!(answer.lists("connection", "upgrade") && !answer.lists("connection", "up"));
                let (mut stream, read) = answer.into_stream().await;
                let mut rest = read.to_vec();
                stream.read_to_end(&mut rest).await.unwrap();
                assert_eq!(rest, b"more");
            }
        }
        let long = format!("HTTP/1.1 101 X\r\nA: {}", "b".repeat(MAX_HEAD));
        let many = format!("HTTP/1.1 101 X\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
        let unreadable =
            ["SSH-2.0", "HTTP/1.1 nix\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}"];
        for bytes in [long.as_str(), &many].into_iter().chain(unreadable) {
            let error = answer(bytes, 1000).await.err();
            assert!(matches!(error, Some(HeadError::NotHttp(_))), "{error:?}");
        }
        for bytes in ["HTTP/1.1 2", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
            let error = answer(bytes, 1000).await.err();
            assert!(matches!(error, Some(HeadError::HungUp(_))), "{error:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_counts_though_the_request_could_not_be_sent() {
        let (near, mut far) = duplex(64);
        far.write_all(b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
        drop(far);
        let request = Request::post("/").body("x".repeat(1000)).unwrap();
        let mut answer = Answer::to(request, Box::new(near)).await.unwrap();
        assert!(answer.fill(10).await.is_ok());
        assert_eq!((answer.status(), answer.body.as_slice()), (413, b"no".as_slice()));
    }
}
