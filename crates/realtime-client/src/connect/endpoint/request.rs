//! What an endpoint puts into a request.

use hyper::http::HeaderValue;
use hyper::{HeaderMap, Request};
use realtime_protocol::event::Dialect;

use super::{Endpoint, default_port};
use crate::connect::address::percent_decode;
#[cfg(feature = "http")]
use crate::connect::address::{Parts, shown};
use crate::connect::auth::{ApiKey, KeyPlace, KeySource, Secrets};
use crate::connect::error::ConnectError;

impl Endpoint {
    /// Path and query, as a request has them.
    pub(crate) fn target(&self) -> String {
        let separator = if self.query.is_empty() { "" } else { "?" };
        format!("{}{separator}{}", self.path, self.query)
    }

    /// The path and query of an HTTP call beside the session, such as `calls`, without the parameters that
    /// name the session.
    #[cfg(feature = "http")]
    pub(crate) fn target_beside(&self, call: &str) -> String {
        let of_session = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            !name.is_empty() && !matches!(name, "model" | "deployment" | "call_id" | "intent")
        };
        let query = self.query.split('&').filter(of_session).collect::<Vec<_>>().join("&");
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{}/{call}{separator}{query}", self.path.trim_end_matches('/'))
    }

    /// The same, with a key that HTTP can carry.
    #[cfg(feature = "http")]
    pub(crate) fn for_http(mut self) -> Self {
        if self.key_place == KeyPlace::Subprotocol {
            self.key_place = KeyPlace::Bearer;
        }
        self
    }

    /// The server of any address of HTTP, whose path and query are asked for as they are.
    #[cfg(feature = "http")]
    pub(crate) fn for_any_http(url: &str) -> Result<Self, ConnectError> {
        let bad = |reason| ConnectError::BadUrl { url: shown(url), reason };
        let parts = Parts::of(url).map_err(bad)?;
        let is_tls = match parts.scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other => return Err(bad(format!("expected http:// or https://, got {other}://"))),
        };
        if parts.user.is_some() {
            return Err(bad("expected no user in the address: give a header instead".to_owned()));
        }
        let port = parts.port.unwrap_or_else(|| default_port(is_tls));
        let path = if parts.path.is_empty() { "/" } else { parts.path };
        Ok(Self::at(is_tls, parts.host.to_owned(), port, path.to_owned(), parts.query.to_owned()))
    }

    /// The key for one attempt.
    pub(crate) async fn key_for_attempt(&self) -> Result<Option<ApiKey>, ConnectError> {
        self.key.key().await
    }

    /// Returns whether each attempt asks for its own key.
    pub(crate) const fn asks_for_tokens(&self) -> bool {
        matches!(self.key, KeySource::Provider(_))
    }

    /// The key, if it is sent as a subprotocol.
    pub(crate) fn subprotocol_key<'a>(&self, key: Option<&'a ApiKey>) -> Option<&'a ApiKey> {
        key.filter(|_| self.key_place == KeyPlace::Subprotocol)
    }

    /// Returns whether the server is told of the dialect by a header.
    pub(crate) fn says_beta(&self) -> bool {
        self.dialect == Dialect::Beta && !self.is_azure_preview()
    }

    /// Adds what every request to the server has: host, key and the caller's headers. Returns the secrets in
    /// it. If the caller also sets the key's header, that is an error: the server could use either.
    pub(crate) fn add_headers(
        &self,
        headers: &mut HeaderMap,
        key: Option<&ApiKey>,
    ) -> Result<Secrets, ConnectError> {
        let mut secrets = Secrets::default();
        for pair in self.query.split('&').filter(|pair| !is_public(pair)) {
            let value = pair.split_once('=').unwrap_or(("", pair)).1;
            secrets.add(value);
            // As the server reads it.
            let decoded = percent_decode(value);
            if decoded != value.as_bytes() {
                secrets.add(&String::from_utf8_lossy(&decoded));
            }
        }
        let mut add = |name: &'static str, value: &str| {
            let bad = |reason| ConnectError::BadHeader { name: name.to_owned(), reason };
            let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad(VALUE))?;
            value.set_sensitive(matches!(name, "Authorization" | "api-key"));
            headers.insert(name, value);
            Ok(())
        };
        if !self.headers.contains_key("host") {
            add("Host", &self.authority())?;
        }
        if !self.headers.contains_key("user-agent") {
            add("User-Agent", concat!("realtime-client/", env!("CARGO_PKG_VERSION")))?;
        }
        if self.says_beta() && !self.headers.contains_key("openai-beta") {
            add("OpenAI-Beta", "realtime=v1")?;
        }
        if let Some(key) = key {
            secrets.add(key.expose());
            let place = match self.key_place {
                KeyPlace::Bearer => Some(("Authorization", format!("Bearer {}", key.expose()))),
                KeyPlace::ApiKeyHeader => Some(("api-key", key.expose().to_owned())),
                KeyPlace::Subprotocol => None,
            };
            if let Some((name, value)) = place {
                if self.headers.contains_key(name) {
                    return Err(ConnectError::BadHeader { name: name.to_owned(), reason: TWICE });
                }
                add(name, &value)?;
            }
        }
        for value in self.headers.values() {
            secrets.add_header(&String::from_utf8_lossy(value.as_bytes()));
        }
        headers.extend(self.headers.clone());
        Ok(secrets)
    }

    /// A request with these headers.
    pub(crate) fn request<B>(
        &self,
        method: &str,
        target: &str,
        headers: HeaderMap,
        body: B,
    ) -> Result<Request<B>, ConnectError> {
        let request = Request::builder().method(method).uri(target).body(body);
        let mut request = request.map_err(|error| ConnectError::BadUrl {
            url: self.address(),
            reason: format!("HTTP cannot ask for it: {error}"),
        })?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Host and port as in an address: without the default port.
    pub(super) fn authority(&self) -> String {
        let whole = self.address();
        match whole.strip_suffix(&format!(":{}", default_port(self.is_tls))) {
            Some(host) if self.port == default_port(self.is_tls) => host.to_owned(),
            _ => whole,
        }
    }
}

/// Returns whether this parameter of a query is known not to be a key.
fn is_public(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    matches!(name, "model" | "deployment" | "call_id" | "intent" | "api-version")
}

/// The reason for a header that the key uses, too.
const TWICE: &str = "the endpoint's key goes by it, give only one of them";

/// The reason for a bad header value.
pub(crate) const VALUE: &str = "HTTP does not allow its value";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_in_each_form_in_which_a_server_may_name_it() {
        let endpoint = Endpoint::new("wss://h/p?sig=can%2Bary%3D", "").unwrap().query("code", "a/canary");
        let endpoint = endpoint.header("Authorization", "Bearer canary1").unwrap();
        let secrets = endpoint.add_headers(&mut HeaderMap::new(), None).unwrap();
        for (text, redacted) in [
            ("Bearer canary1 is bad", "[redacted] is bad"),
            ("this Bearer is bad: canary1", "this Bearer is bad: [redacted]"),
            ("sig=can%2Bary%3D, sig=can+ary=", "sig=[redacted], sig=[redacted]"),
            ("a%2Fcanary, a/canary", "[redacted], [redacted]"),
        ] {
            assert_eq!(secrets.redact(text), redacted);
        }
    }

    #[test]
    fn a_key_and_a_header_in_its_place_are_refused() {
        let send = |endpoint: &Endpoint, key: Option<&ApiKey>| {
            endpoint.add_headers(&mut HeaderMap::new(), key).map(drop)
        };
        let key = ApiKey::new("canary");
        for (place, name) in [(KeyPlace::Bearer, "authorization"), (KeyPlace::ApiKeyHeader, "Api-Key")] {
            let endpoint = Endpoint::new("wss://h/p", "").unwrap().key_place(place);
            let endpoint = endpoint.header(name, "canary").unwrap();
            let error = send(&endpoint, Some(&key)).unwrap_err();
            assert!(error.to_string().contains("give only one of them") && !error.is_retryable(), "{error}");
            assert!(send(&endpoint, None).is_ok());
            assert!(send(&endpoint.key_place(KeyPlace::Subprotocol), Some(&key)).is_ok());
        }
    }
}
