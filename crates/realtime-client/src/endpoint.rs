//! Where a session is to be had, and with which key. Nothing here ever shows the key.

use std::fmt;
use std::time::Duration;

use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::error::ConnectError;

/// A secret that neither `Debug` nor `Display` shows.
#[derive(Clone, Eq, PartialEq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the key, without the blanks around it that files and shells like to add.
    pub fn new(key: impl Into<String>) -> Self {
        let key: String = key.into();
        Self(key.trim().to_owned())
    }

    /// The key itself. Keep it out of logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        Self::new(key)
    }
}

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self::new(key)
    }
}

/// An address that serves the Realtime protocol, with what a connection to it needs: model, key, headers and
/// the time it may take.
///
/// `Debug` shows neither the key, nor the values of headers, nor those of the query besides the model.
#[derive(Clone)]
pub struct Endpoint {
    uri: Uri,
    model: String,
    key: Option<ApiKey>,
    headers: HeaderMap,
    connect_deadline: Duration,
}

impl Endpoint {
    /// OpenAI's own address.
    ///
    /// # Panics
    /// With a model's name of more than 20,000 bytes, which no address can hold.
    pub fn openai(key: impl Into<ApiKey>, model: &str) -> Self {
        let endpoint = Self::new("wss://api.openai.com", model);
        endpoint.expect("a constant address and an encoded name make an address").key(key)
    }

    /// The address of any server that speaks the protocol: `ws://host:port`, `wss://host/path`, with or
    /// without a query.
    ///
    /// An address without a path gets `/v1/realtime`. `model` goes into the query, unless it is empty or the
    /// query has a `model`, a `deployment` or a `call_id` already: those name the model themselves.
    ///
    /// # Errors
    /// [`ConnectError::BadUrl`]: correct the address.
    pub fn new(base: &str, model: &str) -> Result<Self, ConnectError> {
        let base = base.trim();
        // The query may hold a key, so that an error shows only what stands before it.
        let bad = |reason: String| ConnectError::BadUrl {
            url: base.split(['?', '#']).next().unwrap_or_default().to_owned(),
            reason,
        };
        let parsed: Uri = base.parse().map_err(|error| bad(format!("{error}")))?;
        let scheme = match parsed.scheme_str() {
            Some(scheme @ ("ws" | "wss")) => scheme,
            Some(other) => return Err(bad(format!("expected ws:// or wss://, got {other}://"))),
            None => return Err(bad("expected ws:// or wss:// before the host".to_owned())),
        };
        let authority = match parsed.authority() {
            Some(authority) if !authority.host().is_empty() => authority.as_str(),
            _ => return Err(bad("there is no host".to_owned())),
        };
        if authority.contains('@') {
            return Err(bad("expected no user in the address: give the key apart".to_owned()));
        }
        let path = match parsed.path() {
            "" | "/" => "/v1/realtime",
            path => path,
        };
        let mut query = parsed.query().unwrap_or_default().to_owned();
        let named = query
            .split('&')
            .filter_map(|pair| pair.split('=').next())
            .any(|name| matches!(name, "model" | "deployment" | "call_id"));
        if !named && !model.is_empty() {
            if !query.is_empty() && !query.ends_with('&') {
                query.push('&');
            }
            query.push_str("model=");
            percent_encode(model, &mut query);
        }
        let separator = if query.is_empty() { "" } else { "?" };
        let whole = format!("{scheme}://{authority}{path}{separator}{query}");
        Ok(Self {
            uri: whole.parse().map_err(|error| bad(format!("{error}")))?,
            model: model.to_owned(),
            key: None,
            headers: HeaderMap::new(),
            connect_deadline: Duration::from_secs(10),
        })
    }

    /// Sends `Authorization: Bearer` with this key. An ephemeral key goes here too.
    #[must_use]
    pub fn key(mut self, key: impl Into<ApiKey>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sends one more header with the handshake. Its value counts as secret.
    ///
    /// # Errors
    /// [`ConnectError::BadHeader`] where HTTP cannot carry the name or the value.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConnectError> {
        let bad = || ConnectError::BadHeader { name: name.to_owned() };
        let header = HeaderName::try_from(name).map_err(|_| bad())?;
        self.headers.append(header, secret(value).ok_or_else(bad)?);
        Ok(self)
    }

    /// How long TCP, TLS and the WebSocket handshake may take together. Default: 10 s.
    #[must_use]
    pub const fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = deadline;
        self
    }

    /// The model asked for.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The whole address with its query, which on some servers holds a key.
    pub fn url(&self) -> String {
        self.uri.to_string()
    }

    pub(crate) const fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) const fn deadline(&self) -> Duration {
        self.connect_deadline
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("wss")
    }

    /// The host as a resolver takes it: an IPv6 address without its brackets.
    pub(crate) fn host(&self) -> &str {
        let host = self.uri.host().unwrap_or_default();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    pub(crate) fn port(&self) -> u16 {
        let default = if self.is_tls() { 443 } else { 80 };
        self.uri.port_u16().unwrap_or(default)
    }

    /// Host and port, for errors and logs.
    pub(crate) fn address(&self) -> String {
        match self.uri.host() {
            Some(host) => format!("{host}:{}", self.port()),
            None => String::new(),
        }
    }

    /// The headers of the handshake besides WebSocket's own.
    pub(crate) fn headers(&self) -> Result<HeaderMap, ConnectError> {
        let mut headers = self.headers.clone();
        if let Some(key) = &self.key {
            let value = secret(&format!("Bearer {}", key.expose()));
            let bad = || ConnectError::BadHeader { name: "authorization".to_owned() };
            headers.insert(AUTHORIZATION, value.ok_or_else(bad)?);
        }
        Ok(headers)
    }

    /// Takes this endpoint's secrets, and what looks like a key, out of a text that the server sent.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let values = self.headers.values().filter_map(|value| value.to_str().ok());
        for secret in self.key.iter().map(ApiKey::expose).chain(values) {
            if secret.len() >= 4 {
                text = text.replace(secret, "[redacted]");
            }
        }
        let word = |word: &str| {
            let bare = word.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            let key = ["sk-", "ek_", "sess-"].iter().any(|prefix| bare.starts_with(prefix));
            if key { "[redacted]".to_owned() } else { word.to_owned() }
        };
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address())
            .field("path", &self.uri.path())
            .field("model", &self.model)
            .field("key", &self.key)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("connect_deadline", &self.connect_deadline)
            .finish()
    }
}

/// A header value that `Debug` does not show.
fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Appends `text` with everything but RFC 3986's unreserved characters as `%XX`.
fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_completed_and_nothing_given_is_lost() {
        for (base, model, whole) in [
            ("wss://api.openai.com", "gpt-realtime", "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
            ("ws://127.0.0.1:9000/", "m", "ws://127.0.0.1:9000/v1/realtime?model=m"),
            ("ws://[::1]:9000", "m", "ws://[::1]:9000/v1/realtime?model=m"),
            ("wss://h/v1/realtime", "a b/c&d", "wss://h/v1/realtime?model=a%20b%2Fc%26d"),
            ("wss://h?x=1", "m", "wss://h/v1/realtime?x=1&model=m"),
            ("wss://h/p?x=1&", "m", "wss://h/p?x=1&model=m"),
            ("wss://h/p?model=theirs", "m", "wss://h/p?model=theirs"),
            ("wss://h/p?a=1&call_id=rtc_1", "m", "wss://h/p?a=1&call_id=rtc_1"),
            ("wss://h/p?deployment=d", "m", "wss://h/p?deployment=d"),
            ("wss://h/p", "", "wss://h/p"),
            (" wss://h/p \n", "", "wss://h/p"),
        ] {
            assert_eq!(Endpoint::new(base, model).unwrap().url(), whole, "{base}");
        }
    }

    #[test]
    fn an_address_that_cannot_work_says_why_and_hides_its_query() {
        for (base, reason) in [
            ("https://api.openai.com/v1?api-key=hidden", "expected ws:// or wss://, got https://"),
            ("api.openai.com", "expected ws:// or wss:// before the host"),
            ("/v1/realtime", "expected ws:// or wss:// before the host"),
            ("ws://user:hidden@host", "expected no user in the address"),
            ("ws://ho st", "invalid"),
            ("", "empty"),
        ] {
            let error = Endpoint::new(base, "m").unwrap_err().to_string();
            assert!(error.contains(reason), "{base}: {error}");
            assert!(!error.contains("api-key"), "{error}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let endpoint = Endpoint::openai("sk-canary", "m").header("api-key", "canary").unwrap();
        let shown = format!("{endpoint:?} {:?} {}", ApiKey::new("canary"), ApiKey::new("canary"));
        assert!(!shown.contains("canary"), "{shown}");
        assert!(!format!("{:?}", endpoint.headers().unwrap()).contains("canary"));
        let text = "Incorrect API key provided: 'sk-can***ary'. Also canary.";
        assert_eq!(endpoint.redact(text), "Incorrect API key provided: [redacted] Also [redacted].");
    }

    #[test]
    fn a_key_from_a_file_loses_its_newline_and_one_within_is_refused() {
        let endpoint = Endpoint::openai("sk-1\n", "m");
        assert_eq!(endpoint.headers().unwrap()[AUTHORIZATION], "Bearer sk-1");
        let error = Endpoint::openai("sk\n1", "m").headers().unwrap_err();
        assert_eq!(error.to_string(), "cannot send the header authorization: HTTP does not allow its value");
    }
}
