//! What is read of a request before anything is done for it: [`Asking`].

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tokio::time::timeout;

use crate::serve::access::Caller;
use crate::serve::address::Address;
use crate::serve::answers;
use crate::serve::trust::Asked;

/// The longest body (bytes), and how long it may take.
const LONGEST: usize = 256 * 1024;
const SLOWEST: Duration = Duration::from_secs(10);

/// A request as its sender signed it: its address for others, and its headers.
pub(super) struct Asking<'a> {
    method: &'a str,
    http: String,
    ws: String,
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Asking<'a> {
    /// Reads a request's head. Headers that are no text are left out.
    pub(super) fn of(parts: &'a Parts, address: &Address) -> Self {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let text = |(name, value): (&'a HeaderName, &'a axum::http::HeaderValue)| {
            Some((name.as_str(), value.to_str().ok()?))
        };
        Self {
            method: parts.method.as_str(),
            http: address.http(path),
            ws: address.ws(path),
            headers: parts.headers.iter().filter_map(text).collect(),
        }
    }

    /// The request with this body.
    pub(super) fn with<'b>(&'b self, body: &'b [u8]) -> Asked<'b> {
        Asked { method: self.method, http: &self.http, ws: &self.ws, headers: &self.headers, body }
    }
}

/// Who asks.
pub(super) fn caller(parts: &Parts) -> Caller<'_> {
    let text = |name| parts.headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let bearer = text(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    // Our tokens need no encoding in a query.
    let query = parts.uri.query().unwrap_or_default();
    let in_query = query.split('&').find_map(|pair| pair.strip_prefix("token="));
    Caller {
        origin: text(ORIGIN),
        host: text(HOST),
        token: bearer.or(in_query).filter(|token| !token.is_empty()),
    }
}

/// Returns whether the request opens a WebSocket.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Reads a body.
///
/// # Errors
/// It is too long, too slow, or lost: the answer says which.
pub(super) async fn body(body: Body) -> Result<Bytes, Response> {
    match timeout(SLOWEST, axum::body::to_bytes(body, LONGEST)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(answers::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body",
            format_args!("expected a body of at most {LONGEST} bytes"),
        )),
        Err(_) => Err(answers::error(StatusCode::REQUEST_TIMEOUT, "body", "expected a whole body in time")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = headers
            .iter()
            .fold(Request::builder().uri(uri), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_token_stands_in_the_query_or_in_a_header() {
        for (uri, headers, expected) in [
            ("/ws?a=1&token=t", vec![], Some("t")),
            ("/ws?token=", vec![], None),
            ("/ws?xtoken=t", vec![], None),
            ("/ws", vec![("authorization", "bearer  t ")], Some("t")),
            ("/ws?token=q", vec![("authorization", "Bearer t")], Some("t")),
            ("/ws", vec![("authorization", "Basic t")], None),
        ] {
            assert_eq!(caller(&parts(uri, &headers)).token, expected, "{uri} {headers:?}");
        }
    }

    #[test]
    fn a_request_is_read_as_its_sender_wrote_it() {
        let address =
            Address::new(Some("https://v.example/a"), "127.0.0.1:1".parse().unwrap(), false).unwrap();
        let parts = parts("/twilio?x=%20", &[("host", "other.example"), ("Upgrade", "WebSocket")]);
        assert!(is_upgrade(&parts.headers));
        let asking = Asking::of(&parts, &address);
        let asked = asking.with(b"");
        assert_eq!(
            (asked.http, asked.ws),
            ("https://v.example/a/twilio?x=%20", "wss://v.example/a/twilio?x=%20")
        );
        assert_eq!((asked.method, asked.headers.len()), ("GET", 2));
    }
}
