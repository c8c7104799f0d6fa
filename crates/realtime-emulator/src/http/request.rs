//! Reading a request: its head by `httparse`, its body by length or in chunks, both bounded.
//!
//! The rule kept here: an ambiguous request is refused, and the cost is linear in the bytes that came.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::http::chunks::Chunks;

/// One request. Header names are in lower case; the path and the query have no `%` escapes left.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Whether it is HTTP/1.1, not 1.0.
    pub(crate) is_http_11: bool,
    pub(crate) path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A request that cannot be read.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// It is answered with this status and text.
    Refused(u16, &'static str),
    /// The client is gone.
    Io(io::Error),
}

impl Request {
    /// The first header of that name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All headers of that name, in lower case.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The elements of all headers of that name, which are lists.
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let elements = self.headers(name).flat_map(|value| value.split(','));
        elements.map(str::trim).filter(|element| !element.is_empty())
    }

    /// A parameter of the query, if it is not empty.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn is_upgrade(&self) -> bool {
        self.list("upgrade").any(|protocol| protocol.eq_ignore_ascii_case("websocket"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// A request as a test would have it.
    #[cfg(test)]
    pub(crate) fn test(method: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        let (path, query) = split(target);
        let owned = |(key, value): &(&str, &str)| (key.to_lowercase(), (*value).to_owned());
        let headers = headers.iter().map(owned).collect();
        Self { method: method.into(), is_http_11: true, path, query, headers, body: Vec::new() }
    }
}

/// Reads up to the end of the head. Returns all bytes read too, which may be more than the head.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> Result<(Request, usize, Vec<u8>), HttpError> {
    let mut bytes = Vec::with_capacity(1024);
    // Bytes that are not a request are refused early. Between two attempts the bytes double, or the head
    // ends.
    let mut next_attempt = 0;
    loop {
        let before = bytes.len();
        if stream.read_buf(&mut bytes).await.map_err(HttpError::Io)? == 0 {
            return Err(HttpError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        if bytes.len() < next_attempt && !ends_head(bytes.get(before.saturating_sub(3)..).unwrap_or_default())
        {
            continue;
        }
        next_attempt = (2 * bytes.len()).min(MOST_HEAD);
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(&bytes) {
            Ok(httparse::Status::Complete(length)) if length <= MOST_HEAD => {
                return Ok((request(&head), length, bytes));
            }
            Ok(httparse::Status::Partial) if bytes.len() < MOST_HEAD => {}
            Ok(_) | Err(httparse::Error::TooManyHeaders) => {
                return Err(HttpError::Refused(431, "The head of the request is too large."));
            }
            Err(_) => return Err(HttpError::Refused(400, "This is no HTTP request.")),
        }
    }
}

/// Returns whether an empty line is in it.
fn ends_head(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// Reads the body, of which `bytes` came with the head.
pub(crate) async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    request: &Request,
    mut bytes: Vec<u8>,
) -> Result<Vec<u8>, HttpError> {
    let length = match body_length(request)? {
        Length::Bytes(length) => length,
        Length::Chunked => {
            let mut chunks = Chunks::new(bytes);
            loop {
                if let Some(body) = chunks.body()? {
                    return Ok(body);
                }
                more(stream, &mut chunks.bytes).await?;
            }
        }
    };
    while bytes.len() < length {
        more(stream, &mut bytes).await?;
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// How the end of the body is found.
enum Length {
    Bytes(usize),
    Chunked,
}

/// RFC 9112, 6.3. An ambiguous length is refused.
fn body_length(request: &Request) -> Result<Length, HttpError> {
    let mut lengths = request.headers("content-length").flat_map(|value| value.split(',')).map(str::trim);
    if request.header("transfer-encoding").is_some() {
        let mut codings = request.headers("transfer-encoding").flat_map(|value| value.split(','));
        let is_chunked = codings.next().is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
        return match (is_chunked && codings.next().is_none(), lengths.next()) {
            (false, _) => {
                Err(HttpError::Refused(501, "The only Transfer-Encoding that is known is chunked."))
            }
            (true, None) if request.is_http_11 => Ok(Length::Chunked),
            (true, None) => Err(HttpError::Refused(400, "HTTP/1.0 has no Transfer-Encoding.")),
            (true, Some(_)) => {
                let both = "A request has a Content-Length or a Transfer-Encoding, not both.";
                Err(HttpError::Refused(400, both))
            }
        };
    }
    let Some(length) = lengths.next() else { return Ok(Length::Bytes(0)) };
    if lengths.any(|other| other != length) {
        return Err(HttpError::Refused(400, "The request has two Content-Lengths."));
    }
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HttpError::Refused(400, "The Content-Length is no number."));
    }
    let length = length.parse().ok().filter(|length| *length <= MOST_BODY);
    length.map(Length::Bytes).ok_or(TOO_LARGE)
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> Result<(), HttpError> {
    if bytes.len() > 2 * MOST_BODY {
        return Err(TOO_LARGE);
    }
    match stream.read_buf(bytes).await {
        Ok(0) => Err(HttpError::Io(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(HttpError::Io(error)),
    }
}

fn request(head: &httparse::Request<'_, '_>) -> Request {
    let (path, query) = split(head.path.unwrap_or_default());
    let header = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
    };
    let headers = head.headers.iter().map(header).collect();
    Request {
        method: head.method.unwrap_or_default().into(),
        is_http_11: head.version == Some(1),
        path,
        query,
        headers,
        body: Vec::new(),
    }
}

/// The path and the query of a request's target.
fn split(target: &str) -> (String, Vec<(String, String)>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = pairs.map(|(key, value)| (unescaped(key), unescaped(value))).collect();
    (unescaped(path.trim_end_matches('/')), query)
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|hex| {
            let hex =
                std::str::from_utf8(hex).ok().filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u8::from_str_radix(hex, 16).ok()
        });
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const MOST_HEADERS: usize = 100;
/// Bytes.
const MOST_HEAD: usize = 32 << 10;
/// Bytes.
pub(super) const MOST_BODY: usize = 1 << 20;
pub(super) const TOO_LARGE: HttpError = HttpError::Refused(413, "The body of the request is too large.");

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_read_with_its_query_and_body() {
        let mut text: &[u8] =
            b"POST /a%20b?x=1%2F2&y HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nX-List: a, b\r\n\r\nbodyrest";
        let (request, length, bytes) = read_head(&mut text).await.unwrap();
        let body = read_body(&mut text, &request, bytes[length..].to_vec()).await.unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/a b"));
        assert_eq!(
            (request.query("x"), request.query("y"), request.header("host")),
            (Some("1/2"), None, Some("h"))
        );
        assert_eq!(request.list("x-list").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(body, b"body");
        assert_eq!(unescaped("a%2Fb%zz%4"), "a/b%zz%4");
    }

    /// The body, or the status that refuses it.
    async fn body(head: &str, body: &str) -> Result<String, u16> {
        let text = format!("POST / HTTP/1.1\r\n{head}\r\n\r\n{body}");
        let mut text = text.as_bytes();
        let (request, length, bytes) = read_head(&mut text).await.unwrap();
        let body = read_body(&mut text, &request, bytes[length..].to_vec()).await;
        body.map(|body| String::from_utf8(body).unwrap()).map_err(status)
    }

    fn status(error: HttpError) -> u16 {
        match error {
            HttpError::Refused(status, _) => status,
            HttpError::Io(_) => 0,
        }
    }

    #[tokio::test]
    async fn the_length_of_a_body_has_one_meaning_or_is_refused() {
        let chunks = "2\r\n{}\r\n0\r\n\r\n";
        assert_eq!(body("Content-Length: 2", "{}x").await.as_deref(), Ok("{}"));
        assert_eq!(body("Content-Length: 2\r\nContent-Length: 2", "{}").await.as_deref(), Ok("{}"));
        assert_eq!(body("Content-Length: 2, 2", "{}").await.as_deref(), Ok("{}"));
        assert_eq!(body("Transfer-Encoding: Chunked", chunks).await.as_deref(), Ok("{}"));
        for (head, status) in [
            ("Content-Length: 2\r\nContent-Length: 1", 400),
            ("Content-Length: 2, 1", 400),
            ("Content-Length: +2", 400),
            ("Content-Length: -1", 400),
            ("Content-Length:", 400),
            ("Content-Length: 2,", 400),
            ("Content-Length: 18446744073709551618", 413),
            ("Content-Length: 2\r\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding: gzip, chunked", 501),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 501),
            ("Transfer-Encoding: xchunked", 501),
            ("Transfer-Encoding:", 501),
        ] {
            assert_eq!(body(head, chunks).await, Err(status), "{head}");
        }
    }

    #[tokio::test]
    async fn what_is_no_request_or_too_large_is_refused() {
        let mut text: &[u8] = b"\x16\x03\x01 TLS";
        assert_eq!(status(read_head(&mut text).await.unwrap_err()), 400);
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(MOST_HEAD));
        assert_eq!(status(read_head(&mut long.as_bytes()).await.unwrap_err()), 431);
        assert_eq!(body("Content-Length: 99999999", "").await, Err(413));
    }

    #[tokio::test]
    async fn a_head_may_come_in_pieces_of_any_size() {
        let text = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nrest";
        for piece in 1..=text.len() {
            let (mut near, mut far) = tokio::io::duplex(piece);
            let send = async move { tokio::io::AsyncWriteExt::write_all(&mut near, text).await };
            let read = async move {
                let read = read_head(&mut far).await;
                far.read_to_end(&mut Vec::new()).await.map(|_| read)
            };
            let (sent, read) = tokio::join!(send, read);
            let read = sent.and(read).unwrap();
            assert_eq!(read.unwrap().0.path, "/a", "pieces of {piece}");
        }
    }
}
