//! As much of HTTP/1.1 as a WebSocket handshake, a proxy and the calls of feature `http` need. Everything
//! that is read is bounded, and nothing is logged: heads hold keys.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most that the head of an answer may have (bytes).
const MAX_HEAD: usize = 16 * 1024;
/// The most headers that an answer may have.
const MAX_HEADERS: usize = 128;

/// The head of a request, as it goes over the wire.
pub(crate) struct RequestHead(String);

impl RequestHead {
    /// `target` must be free of blanks and control characters.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self(format!("{method} {target} HTTP/1.1\r\n"))
    }

    /// Adds a header. Returns false, and adds nothing, if HTTP cannot carry it.
    #[must_use]
    pub(crate) fn add(&mut self, name: &str, value: &str) -> bool {
        let can = is_token(name) && is_value(value);
        if can {
            self.0.extend([name, ": ", value, "\r\n"]);
        }
        can
    }

    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.0.push_str("\r\n");
        self.0.into_bytes()
    }
}

/// Returns whether it can be a header's name, or a subprotocol.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Returns whether it can be a header's value.
pub(crate) fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    /// Bytes that came with the head and follow it.
    pub(crate) rest: Vec<u8>,
}

/// An answer without a readable head.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// It ended before its head did.
    HungUp(String),
    /// It is not HTTP.
    NotHttp(String),
}

impl Head {
    /// Sends a request and reads the head of its answer. An answer counts even if the request could not be
    /// sent completely: a server that refuses at once may close the connection before it has read everything.
    pub(crate) async fn exchange(
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        request: &[u8],
    ) -> Result<Self, HeadError> {
        let sent = async {
            stream.write_all(request).await?;
            stream.flush().await
        };
        let sent: io::Result<()> = sent.await;
        match (Self::read(stream).await, sent) {
            (Err(_), Err(error)) => Err(HeadError::HungUp(error.to_string())),
            (head, _) => head,
        }
    }

    /// Reads up to the end of the head, and keeps what came with it. Interim answers (1xx) are skipped
    /// (RFC 9110, 15.2).
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, HeadError> {
        let mut read = Vec::with_capacity(1024);
        let mut passed_over = 0;
        loop {
            let before = read.len();
            match stream.read_buf(&mut read).await {
                Ok(0) => return Err(HeadError::HungUp("it sent no whole answer".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(HeadError::HungUp(error.to_string())),
            }
            let mut from = before.saturating_sub(3);
            loop {
                let begin = &read[..read.len().min(5)];
                if !b"HTTP/".starts_with(begin) {
                    return Err(HeadError::NotHttp("the answer is not HTTP".to_owned()));
                }
                let Some(end) = end_of_head(&read, from) else { break };
                let head = Self::parse(&read[..end], &read[end..])?;
                if !head.is_interim() {
                    return Ok(head);
                }
                read.drain(..end);
                (passed_over, from) = (passed_over + end, 0);
            }
            if passed_over + read.len() > MAX_HEAD {
                return Err(HeadError::NotHttp(format!(
                    "the head of its answer has more than {MAX_HEAD} bytes"
                )));
            }
        }
    }

    /// Whether another answer follows. That to an upgrade (101) is the last.
    const fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..200)
    }

    fn parse(head: &[u8], rest: &[u8]) -> Result<Self, HeadError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => {
                return Err(HeadError::NotHttp("the head of its answer has no end".to_owned()));
            }
            Err(error) => return Err(HeadError::NotHttp(error.to_string())),
        }
        let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
        let owned = |header: &httparse::Header<'_>| (header.name.to_ascii_lowercase(), text(header.value));
        Ok(Self {
            status: response.code.unwrap_or_default(),
            headers: response.headers.iter().map(owned).collect(),
            rest: rest.to_vec(),
        })
    }

    /// The first header of that name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns whether one of the headers of that name lists this element.
    pub(crate) fn lists(&self, name: &str, element: &str) -> bool {
        let values = self.headers.iter().filter(|(key, _)| key == name);
        values.flat_map(|(_, value)| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(element))
    }

    /// What follows the head. No more than `most` bytes of it are kept.
    pub(crate) fn into_body(self, most: usize) -> Body {
        let length = || self.header("content-length").and_then(|length| length.parse().ok());
        let end = match self.status {
            100..200 | 204 | 304 => End::Length(0),
            _ if self.lists("transfer-encoding", "chunked") => End::Chunks,
            _ => length().map_or(End::HangUp, End::Length),
        };
        Body { bytes: Vec::new(), is_cut: false, raw: self.rest, end, most }
    }
}

/// The body of an answer, as far as it was read.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// Whether there was more than was to be kept.
    pub(crate) is_cut: bool,
    raw: Vec<u8>,
    end: End,
    most: usize,
}

/// What ends a body.
enum End {
    /// After this many more bytes.
    Length(usize),
    /// A chunk of no bytes; `raw` begins with a chunk's size.
    Chunks,
    /// The end of the connection.
    HangUp,
}

impl Body {
    /// Reads to the end, or until there is too much. If that fails or is cancelled, the bytes that came so
    /// far are kept.
    ///
    /// # Errors
    /// `InvalidData` if it is not HTTP; otherwise the connection was lost.
    pub(crate) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        while !self.take()? {
            if stream.read_buf(&mut self.raw).await? == 0 {
                return match self.end {
                    End::HangUp => Ok(()),
                    End::Length(_) | End::Chunks => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
        Ok(())
    }

    /// Parses what was read. Returns whether the end was reached.
    fn take(&mut self) -> io::Result<bool> {
        loop {
            match &mut self.end {
                End::HangUp => {
                    let length = self.raw.len();
                    return Ok(self.keep(length));
                }
                End::Length(left) => {
                    let length = self.raw.len().min(*left);
                    *left -= length;
                    let is_over = *left == 0;
                    return Ok(self.keep(length) || is_over);
                }
                End::Chunks => {
                    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
                    let (line, size) = match httparse::parse_chunk_size(&self.raw) {
                        Ok(httparse::Status::Complete(found)) => found,
                        Ok(httparse::Status::Partial) if self.raw.len() <= MAX_HEAD => return Ok(false),
                        Ok(httparse::Status::Partial) | Err(_) => return Err(bad("a chunk has no size")),
                    };
                    let size = usize::try_from(size).unwrap_or(usize::MAX);
                    if size == 0 {
                        return Ok(true);
                    }
                    let room = self.most - self.bytes.len();
                    if size > room {
                        self.raw.drain(..line);
                        self.bytes.extend(self.raw.drain(..).take(room));
                        self.is_cut = true;
                        return Ok(true);
                    }
                    if self.raw.len() < line + size + 2 {
                        return Ok(false);
                    }
                    self.raw.drain(..line);
                    self.bytes.extend(self.raw.drain(..size));
                    if !self.raw.starts_with(b"\r\n") {
                        return Err(bad("a chunk is longer than it says"));
                    }
                    self.raw.drain(..2);
                }
            }
        }
    }

    /// Keeps the next bytes. Returns whether there are too many.
    fn keep(&mut self, length: usize) -> bool {
        let room = self.most - self.bytes.len();
        self.is_cut = length > room;
        self.bytes.extend(self.raw.drain(..length).take(room));
        self.is_cut
    }
}

/// The end of the head. Searches for the blank line from `from` on.
fn end_of_head(read: &[u8], from: usize) -> Option<usize> {
    let tail = &read[from..];
    let end = b"\r\n\r\n";
    tail.windows(end.len()).position(|window| window == end).map(|at| from + at + end.len())
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::ReadBuf;

    use super::*;

    async fn read(answer: &str, most: usize) -> (Head, io::Result<()>, String, bool) {
        let mut stream = answer.as_bytes();
        let head = Head::read(&mut stream).await.unwrap();
        let seen = Head { status: head.status, headers: head.headers.clone(), rest: head.rest.clone() };
        let mut body = head.into_body(most);
        let result = body.fill(&mut stream).await;
        (seen, result, String::from_utf8(body.bytes).unwrap(), body.is_cut)
    }

    #[tokio::test]
    async fn bodies_end_by_length_by_chunks_or_with_the_connection() {
        for (answer, text) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", "ab"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                "abc",
            ),
            ("HTTP/1.0 200 OK\r\n\r\nabc", "abc"),
            ("HTTP/1.1 204 No Content\r\n\r\nabc", ""),
        ] {
            let (_, result, body, is_cut) = read(answer, 3).await;
            assert!(result.is_ok() && !is_cut, "{answer}");
            assert_eq!(body, text);
            // As if it were sent byte by byte.
            let mut slow = Slow(answer.as_bytes());
            let mut body = Head::read(&mut slow).await.unwrap().into_body(3);
            body.fill(&mut slow).await.unwrap();
            assert_eq!(body.bytes, text.as_bytes());
        }
    }

    #[tokio::test]
    async fn what_is_too_much_is_cut_and_what_is_missing_is_told() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nabcd",
        ] {
            let (_, result, body, is_cut) = read(answer, 3).await;
            assert!(result.is_ok() && is_cut && body == "abc", "{answer}: {body}");
        }
        // A chunk that is announced as too long is not read.
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n9\r\nb";
        let (_, result, body, is_cut) = read(answer, 3).await;
        assert!(result.is_ok() && is_cut && body == "ab", "{result:?}: {body}");
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n3",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naaaa",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        ] {
            let (_, result, ..) = read(answer, 8).await;
            assert!(result.is_err(), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_head_is_read_and_bounded() {
        let (head, ..) =
            read("HTTP/1.1 101 X\r\nA: b\r\nConnection: keep-alive, Upgrade\r\n\r\nmore", 9).await;
        assert_eq!(
            (head.status, head.header("a"), head.rest.as_slice()),
            (101, Some("b"), b"more".as_slice())
        );
        assert!(head.lists("connection", "upgrade") && !head.lists("connection", "up"));

        let long = format!("HTTP/1.1 101 X\r\nA: {}", "b".repeat(MAX_HEAD));
        let many = format!("HTTP/1.1 101 X\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
        for answer in [long.as_str(), &many, "SSH-2.0", "HTTP/1.1 nix\r\n\r\n"] {
            let error = Head::read(&mut answer.as_bytes()).await.unwrap_err();
            assert!(matches!(error, HeadError::NotHttp(_)), "{error:?}");
        }
        for answer in ["", "HTTP/1.1 200 OK\r\n"] {
            let error = Head::read(&mut answer.as_bytes()).await.unwrap_err();
            assert!(matches!(error, HeadError::HungUp(_)), "{error:?}");
        }
    }

    #[tokio::test]
    async fn interim_answers_are_passed_over_and_bounded() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        for last in ["HTTP/1.1 101 X\r\nA: b\r\n\r\nmore", "HTTP/1.1 401 X\r\nA: b\r\n\r\nmore"] {
            let answer = format!("{interim}{last}");
            let (head, ..) = read(&answer, 9).await;
            assert_eq!((head.header("a"), head.rest.as_slice()), (Some("b"), b"more".as_slice()));
            let slow = Head::read(&mut Slow(answer.as_bytes())).await.unwrap();
            assert_eq!((slow.status, slow.header("a")), (head.status, Some("b")));
        }
        let endless = "HTTP/1.1 102 Processing\r\n\r\n".repeat(MAX_HEAD);
        let error = Head::read(&mut Slow(endless.as_bytes())).await.unwrap_err();
        assert!(matches!(error, HeadError::NotHttp(_)), "{error:?}");
        let error = Head::read(&mut interim.as_bytes()).await.unwrap_err();
        assert!(matches!(error, HeadError::HungUp(_)), "{error:?}");
    }

    #[test]
    fn a_header_that_http_cannot_carry_is_not_added() {
        let mut head = RequestHead::new("GET", "/");
        assert!(head.add("a", "b c"));
        for (name, value) in [("", "x"), ("a b", "x"), ("a:", "x"), ("a", "x\r\nb: c"), ("a", "x\0")] {
            assert!(!head.add(name, value), "{name:?}: {value:?}");
        }
        assert_eq!(head.into_bytes(), b"GET / HTTP/1.1\r\na: b c\r\n\r\n");
    }

    /// One byte with each read.
    struct Slow<'a>(&'a [u8]);

    impl AsyncRead for Slow<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let [first, rest @ ..] = self.0 {
                buf.put_slice(&[*first]);
                self.0 = rest;
            }
            Poll::Ready(Ok(()))
        }
    }
}
