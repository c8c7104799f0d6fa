//! A chunked body, put together as its bytes come: each byte is read once.

use crate::http::HttpError;
use crate::http::request::{MOST_BODY, TOO_LARGE};

/// A body that comes in chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Everything that came, including chunk sizes and trailers. New bytes go to the end.
    pub(super) bytes: Vec<u8>,
    /// Everything before this was read.
    at: usize,
    /// There is no line end before this.
    searched: usize,
    next: Next,
    body: Vec<u8>,
}

/// What is to come next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A line with the size of a chunk.
    Size,
    /// That many bytes of a chunk.
    Data(usize),
    /// The line end after a chunk.
    DataEnd,
    /// Trailers, up to an empty line.
    Trailer,
}

impl Chunks {
    /// A body whose first bytes came already.
    pub(super) const fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0, searched: 0, next: Next::Size, body: Vec::new() }
    }

    /// The body, if all of it is there.
    pub(super) fn body(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        loop {
            match self.next {
                Next::Size => {
                    let Some(line) = self.line()? else { return Ok(None) };
                    let size = match httparse::parse_chunk_size(&line) {
                        Ok(httparse::Status::Complete((_, size))) if line[0].is_ascii_hexdigit() => size,
                        _ => return Err(BAD_CHUNK),
                    };
                    let room = MOST_BODY - self.body.len();
                    let size = usize::try_from(size).ok().filter(|size| *size <= room).ok_or(TOO_LARGE)?;
                    self.next = if size == 0 { Next::Trailer } else { Next::Data(size) };
                }
                Next::Data(left) => {
                    let there = &self.bytes[self.at..];
                    let count = left.min(there.len());
                    self.body.extend_from_slice(&there[..count]);
                    self.at += count;
                    if count < left {
                        self.next = Next::Data(left - count);
                        return Ok(None);
                    }
                    self.next = Next::DataEnd;
                }
                Next::DataEnd => match &self.bytes[self.at..] {
                    [b'\r', b'\n', ..] => {
                        self.at += 2;
                        self.next = Next::Size;
                    }
                    [] | [b'\r'] => return Ok(None),
                    _ => return Err(BAD_CHUNK),
                },
                Next::Trailer => {
                    let Some(line) = self.line()? else { return Ok(None) };
                    if line == b"\r\n" {
                        return Ok(Some(std::mem::take(&mut self.body)));
                    }
                    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
                    let is_token =
                        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
                    if name.is_empty() || name.len() == line.len() || !name.iter().all(is_token) {
                        return Err(HttpError::Refused(400, "A trailer after the last chunk is no header."));
                    }
                }
            }
        }
    }

    /// The next line with its end, if all of it is there.
    fn line(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        let from = self.searched.max(self.at);
        self.searched = self.bytes.len();
        let Some(end) = self.bytes[from..].iter().position(|byte| *byte == b'\n') else {
            let length = self.bytes.len() - self.at;
            return if length > MOST_LINE { Err(BAD_CHUNK) } else { Ok(None) };
        };
        let line = self.bytes[self.at..=from + end].to_vec();
        self.at = from + end + 1;
        self.searched = self.at;
        if line.ends_with(b"\r\n") { Ok(Some(line)) } else { Err(BAD_CHUNK) }
    }
}

const BAD_CHUNK: HttpError = HttpError::Refused(400, "A chunk of the body is not whole.");
/// Bytes: a chunk's size with its extensions, or a trailer.
const MOST_LINE: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, or the status that refuses it; the same however the bytes are cut into pieces.
    fn check(text: &str) -> Result<Option<String>, u16> {
        let read = |piece: usize| {
            let mut chunks = Chunks::new(Vec::new());
            for piece in text.as_bytes().chunks(piece) {
                chunks.bytes.extend_from_slice(piece);
                match chunks.body() {
                    Ok(Some(body)) => return Ok(Some(String::from_utf8(body).unwrap())),
                    Ok(None) => {}
                    Err(HttpError::Refused(status, _)) => return Err(status),
                    Err(HttpError::Io(error)) => panic!("{error}"),
                }
            }
            Ok(None)
        };
        let whole = read(text.len());
        (1..text.len().min(40)).for_each(|piece| assert_eq!(read(piece), whole, "{text:?} in {piece}s"));
        whole
    }

    #[test]
    fn a_body_in_chunks_is_put_together() {
        let all = |text: &str| check(text).unwrap();
        assert_eq!(all("3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n").as_deref(), Some("abc0123456789"));
        assert_eq!(all("2\r\n{}\r\n0\r\nExpires: never\r\nX-Y:\r\n\r\n").as_deref(), Some("{}"));
        assert_eq!(all("0\r\n\r\n").as_deref(), Some(""));
        for partial in ["2", "2\r\n", "2\r\n{", "2\r\n{}", "2\r\n{}\r\n0\r\n", "2\r\n{}\r\n0\r\nA: b\r\n"] {
            assert_eq!(all(partial), None, "{partial:?}");
        }
    }

    #[test]
    fn what_is_around_a_chunk_is_checked() {
        for bad in [
            "2\r\n{}XX0\r\n\r\n",
            "2\r\n{}\n0\r\n\r\n",
            "2\n{}\r\n0\r\n\r\n",
            "\r\n",
            "x\r\n",
            "-2\r\n{}\r\n",
            "0\r\nno trailer\r\n\r\n",
            "0\r\n: b\r\n\r\n",
            "0\r\na b: c\r\n\r\n",
        ] {
            assert_eq!(check(bad), Err(400), "{bad:?}");
        }
        assert_eq!(check(&format!("0;{}", "x".repeat(MOST_LINE))), Err(400));
        assert_eq!(check("ffffffff\r\n"), Err(413));
        assert_eq!(check("ffffffffffffffff\r\n"), Err(413));
    }

    #[test]
    fn a_body_of_tiny_chunks_in_tiny_pieces_costs_no_more_than_its_bytes() {
        let text = "1\r\nx\r\n".repeat(100_000) + "0\r\n\r\n";
        let mut chunks = Chunks::new(Vec::new());
        let mut body = None;
        for piece in text.as_bytes().chunks(3) {
            chunks.bytes.extend_from_slice(piece);
            let before = chunks.at;
            body = chunks.body().unwrap();
            assert!(chunks.at - before <= 2 * 6, "what was read is not read again");
        }
        assert_eq!(body.map(|body| body.len()), Some(100_000));
    }
}
