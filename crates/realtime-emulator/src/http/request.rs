//! Reading a request: its head by `httparse`, its body by length or in chunks, both bounded.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// One request. Header names are in lower case; the path and the query have no `%` escapes left.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A request that cannot be read.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// It is answered with that status.
    Status(u16),
    /// The client is gone.
    Io(io::Error),
}

impl Request {
    /// The first header of that name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The elements of all headers of that name, which are lists.
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.headers.iter().filter(move |(key, _)| key == name);
        values.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|element| !element.is_empty())
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
        Self { method: method.into(), path, query, headers, body: Vec::new() }
    }
}

/// Reads up to the end of the head. Returns all bytes read too, which may be more than the head.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> Result<(Request, usize, Vec<u8>), HttpError> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let read = stream.read_buf(&mut bytes).await.map_err(HttpError::Io)?;
        if read == 0 {
            return Err(HttpError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(&bytes) {
            Ok(httparse::Status::Complete(length)) => return Ok((request(&head), length, bytes)),
            Ok(httparse::Status::Partial) if bytes.len() < MOST_HEAD => {}
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(HttpError::Status(431));
            }
            Err(_) => return Err(HttpError::Status(400)),
        }
    }
}

/// Reads the body, of which `bytes` came with the head.
pub(crate) async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    request: &Request,
    mut bytes: Vec<u8>,
) -> Result<Vec<u8>, HttpError> {
    if request.list("transfer-encoding").any(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            match unchunked(&bytes)? {
                Some(body) => return Ok(body),
                None => more(stream, &mut bytes).await?,
            }
        }
    }
    let length = request.header("content-length").map_or(Ok(0), str::parse::<usize>);
    let length = length.map_err(|_| HttpError::Status(400))?;
    if length > MOST_BODY {
        return Err(HttpError::Status(413));
    }
    while bytes.len() < length {
        more(stream, &mut bytes).await?;
    }
    bytes.truncate(length);
    Ok(bytes)
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> Result<(), HttpError> {
    if bytes.len() > 2 * MOST_BODY {
        return Err(HttpError::Status(413));
    }
    match stream.read_buf(bytes).await {
        Ok(0) => Err(HttpError::Io(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(HttpError::Io(error)),
    }
}

/// The body, if all of its chunks are there.
fn unchunked(bytes: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(HttpError::Status(400)),
        };
        let size = usize::try_from(size).ok().filter(|size| body.len().saturating_add(*size) <= MOST_BODY);
        let size = size.ok_or(HttpError::Status(413))?;
        let Some(chunk) = rest.get(start..start + size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        if size == 0 {
            return Ok(Some(body));
        }
        let Some(after) = rest.get(start + size + 2..) else { return Ok(None) };
        rest = after;
    }
}

fn request(head: &httparse::Request<'_, '_>) -> Request {
    let (path, query) = split(head.path.unwrap_or_default());
    let header = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
    };
    let headers = head.headers.iter().map(header).collect();
    Request { method: head.method.unwrap_or_default().into(), path, query, headers, body: Vec::new() }
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
const MOST_BODY: usize = 1 << 20;

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

    #[tokio::test]
    async fn a_body_in_chunks_is_put_together() {
        let mut text: &[u8] =
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\n\r\n";
        let (request, length, bytes) = read_head(&mut text).await.unwrap();
        let body = read_body(&mut text, &request, bytes[length..].to_vec()).await.unwrap();
        assert_eq!(body, b"abc0123456789");
    }

    #[tokio::test]
    async fn what_is_no_request_or_too_large_is_refused() {
        let status = |error: HttpError| match error {
            HttpError::Status(status) => status,
            HttpError::Io(_) => 0,
        };
        let mut text: &[u8] = b"\x16\x03\x01 TLS";
        assert_eq!(status(read_head(&mut text).await.unwrap_err()), 400);
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(MOST_HEAD));
        assert_eq!(status(read_head(&mut long.as_bytes()).await.unwrap_err()), 431);
        let huge = Request::test("POST", "/", &[("content-length", "99999999")]);
        assert_eq!(status(read_body(&mut &b""[..], &huge, Vec::new()).await.unwrap_err()), 413);
    }
}
