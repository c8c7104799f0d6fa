//! Where to connect, and with which key. Nothing here ever shows the key.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::http::uri::PathAndQuery;
use hyper::http::{HeaderName, HeaderValue};
use realtime_protocol::event::Dialect;

use crate::connect::address::{self, Parts, host_and_port, percent_encode};
use crate::connect::auth::{ApiKey, KeyPlace, KeySource};
use crate::connect::deadline::{Deadlines, Phase};
use crate::connect::error::{ConnectError, Source};
use crate::connect::proxy::{Hop, Proxy};
#[cfg(feature = "_rustls")]
use crate::connect::tls::Tls;

use crate::wire::WebSocketLibrary;

pub(crate) use request::VALUE;

mod from_env;
mod request;

/// The address of a server that speaks the Realtime protocol, with everything that a connection needs: model,
/// key, headers and deadlines.
///
/// | server | from |
/// |---|---|
/// | OpenAI | [`openai`](Self::openai), [`openai_from_env`](Self::openai_from_env), [`openai_call`](Self::openai_call) |
/// | Azure | [`azure`](Self::azure), [`azure_preview`](Self::azure_preview) |
/// | any other | [`new`](Self::new) |
///
/// `Debug` shows neither the key, nor the values of headers, nor those of the query besides the model.
#[derive(Clone)]
pub struct Endpoint {
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
    /// Without its `?`.
    query: String,
    model: String,
    dialect: Dialect,
    key: KeySource,
    key_place: KeyPlace,
    headers: HeaderMap,
    deadlines: Deadlines,
    proxy: Proxy,
    library: WebSocketLibrary,
    #[cfg(feature = "_rustls")]
    tls: Tls,
}

impl Endpoint {
    /// OpenAI's own address.
    pub fn openai(key: impl Into<ApiKey>, model: &str) -> Self {
        Self::at_openai("model", model).named(model).key(key)
    }

    /// The side channel of a SIP or WebRTC call at OpenAI: a session that gets all events and steers the
    /// call, but has none of its audio.
    ///
    /// The call has its model already: it was named when the call was accepted or made. The type `Rest` does
    /// both (feature `http`). A call that the server does not know yet is asked for again for 2 s.
    pub fn openai_call(key: impl Into<ApiKey>, call_id: &str) -> Self {
        Self::at_openai("call_id", call_id).key(key)
    }

    /// Azure's v1 address, which speaks the dialect of general availability. `resource` is the address of the
    /// resource, `https://NAME.openai.azure.com`; `deployment` names the model.
    ///
    /// The key is sent as `api-key`. For Entra use [`token_provider`](Self::token_provider).
    ///
    /// # Errors
    /// [`ConnectError::BadUrl`]: correct the address.
    pub fn azure(resource: &str, deployment: &str) -> Result<Self, ConnectError> {
        let mut endpoint = Self::at_azure(resource, "/openai/v1/realtime")?.named(deployment);
        endpoint.add_to_query("model", deployment);
        Ok(endpoint)
    }

    /// Azure's preview address, which speaks the beta dialect. `api_version` is for example
    /// `2025-04-01-preview`.
    ///
    /// # Errors
    /// [`ConnectError::BadUrl`]: correct the address.
    pub fn azure_preview(resource: &str, api_version: &str, deployment: &str) -> Result<Self, ConnectError> {
        let mut endpoint = Self::at_azure(resource, "/openai/realtime")?.named(deployment);
        endpoint.add_to_query("api-version", api_version);
        endpoint.add_to_query("deployment", deployment);
        endpoint.dialect = Dialect::Beta;
        Ok(endpoint)
    }

    /// The address of any server that speaks the protocol.
    ///
    /// `ws://host:port` and `wss://host/path`, with or without a query, are used as they are, and get
    /// `/v1/realtime` if they have no path. `http://` and `https://` are base addresses, as for HTTP clients:
    /// a path that does not end in `/realtime` gets that appended, so that `https://api.openai.com/v1`
    /// becomes `wss://api.openai.com/v1/realtime`.
    ///
    /// `model` goes into the query, unless it is empty or the query has a `model`, a `deployment` or a
    /// `call_id` already: those name the model themselves. An address with an `api-version` speaks the beta
    /// dialect, as Azure's preview does; any other speaks GA.
    ///
    /// # Errors
    /// [`ConnectError::BadUrl`]: correct the address.
    pub fn new(base: &str, model: &str) -> Result<Self, ConnectError> {
        let mut endpoint = Self::parse(base)?.named(model);
        let names_model = |name| matches!(name, "model" | "deployment" | "call_id");
        if !model.is_empty() && !endpoint.query_names().any(names_model) {
            endpoint.add_to_query("model", model);
        }
        if endpoint.is_azure_preview() {
            endpoint.dialect = Dialect::Beta;
        }
        Ok(endpoint)
    }

    /// Sends this key with each attempt: as `Authorization: Bearer`, or as `api-key` to Azure. Use it for
    /// short-lived keys too.
    #[must_use]
    pub fn key(mut self, key: impl Into<ApiKey>) -> Self {
        self.key = KeySource::Fixed(key.into());
        self
    }

    /// Asks for a token before each attempt, also when reconnecting, and sends it as `Authorization: Bearer`:
    /// for tokens that expire, such as Microsoft Entra's.
    ///
    /// The provider's time counts against the deadline of the attempt. If the provider fails, the attempt
    /// fails with [`ConnectError::NoKey`] and may be repeated. A provider that caches a token should return
    /// it only while it is valid. If the server refuses a token with 401, another attempt asks for another
    /// token, except on the call's first attempt.
    #[must_use]
    pub fn token_provider<F, Fut, E>(mut self, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ApiKey, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.key = KeySource::Provider(Arc::new(move || {
            let key = provider();
            Box::pin(async move { key.await.map_err(|error| -> Source { error.into() }) })
        }));
        self.key_place(KeyPlace::Bearer)
    }

    /// Sends the key in this place instead.
    #[must_use]
    pub const fn key_place(mut self, place: KeyPlace) -> Self {
        self.key_place = place;
        self
    }

    /// Speaks the beta dialect: [`dialect`](Self::dialect) returns it, and the header `OpenAI-Beta:
    /// realtime=v1` is sent, except to Azure's preview, which does not need it.
    #[must_use]
    pub const fn beta(mut self) -> Self {
        self.dialect = Dialect::Beta;
        self
    }

    /// Sends one more header with each attempt. Its value counts as secret.
    ///
    /// # Errors
    /// [`ConnectError::BadHeader`] if HTTP cannot carry the name or the value, or if the handshake sets this
    /// header itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConnectError> {
        let bad = |reason| ConnectError::BadHeader { name: name.to_owned(), reason };
        let name = HeaderName::try_from(name).map_err(|_| bad("HTTP does not allow its name"))?;
        if OWN_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("sec-websocket-") {
            return Err(bad("it belongs to the connection itself"));
        }
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad(VALUE))?;
        value.set_sensitive(true);
        self.headers.try_append(name, value).map_err(|_| bad("there are too many headers"))?;
        Ok(self)
    }

    /// Bills the session to this organisation (`OpenAI-Organization`).
    ///
    /// # Errors
    /// [`ConnectError::BadHeader`] if HTTP cannot carry it.
    pub fn organization(self, id: &str) -> Result<Self, ConnectError> {
        self.header("OpenAI-Organization", id)
    }

    /// Bills the session to this project (`OpenAI-Project`).
    ///
    /// # Errors
    /// [`ConnectError::BadHeader`] if HTTP cannot carry it.
    pub fn project(self, id: &str) -> Result<Self, ConnectError> {
        self.header("OpenAI-Project", id)
    }

    /// Adds a parameter to the query, for what this crate has no method for. Name and value are encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.add_to_query(name, value);
        self
    }

    /// How long a whole attempt may take, from asking for a key to the end of the WebSocket handshake.
    /// Default: 10 s.
    #[must_use]
    pub const fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.deadlines.attempt = deadline;
        self
    }

    /// How long one phase of an attempt may take, within the deadline of the whole. Default: as long as the
    /// whole.
    #[must_use]
    pub const fn phase_deadline(mut self, phase: Phase, deadline: Duration) -> Self {
        self.deadlines.phases[phase as usize] = Some(deadline);
        self
    }

    /// Connects through a proxy, or through none. Default: the environment's setting when the endpoint was
    /// made ([`Proxy::from_env`]).
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Reads and writes the WebSocket by this library. Default: tokio-websockets.
    #[must_use]
    pub const fn websocket(mut self, library: WebSocketLibrary) -> Self {
        self.library = library;
        self
    }

    /// Decides whom TLS trusts. Default: the roots of this build's features.
    #[cfg(feature = "_rustls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// The model asked for. Empty if the address or a call names it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The dialect that the server speaks.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The whole address with its query, which on some servers holds a key.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "wss" } else { "ws" };
        format!("{scheme}://{}{}", self.authority(), self.target())
    }

    #[cfg(feature = "_rustls")]
    pub(crate) const fn trust(&self) -> &Tls {
        &self.tls
    }

    /// The proxy on the way to the server.
    pub(crate) fn hop(&self) -> Result<Option<&Hop>, ConnectError> {
        self.proxy.hop(self.is_tls, &self.host, self.port)
    }

    pub(crate) const fn library(&self) -> WebSocketLibrary {
        self.library
    }

    pub(crate) const fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    pub(crate) const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host as a resolver takes it: an IPv6 address without its brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port, for errors and logs.
    pub(crate) fn address(&self) -> String {
        host_and_port(&self.host, self.port)
    }

    fn at_openai(name: &str, value: &str) -> Self {
        let host = "api.openai.com".to_owned();
        let mut endpoint = Self::at(true, host, 443, "/v1/realtime".to_owned(), String::new());
        endpoint.add_to_query(name, value);
        endpoint
    }

    fn at_azure(resource: &str, path: &str) -> Result<Self, ConnectError> {
        let mut endpoint = Self::parse(resource)?;
        endpoint.key_place = KeyPlace::ApiKeyHeader;
        // The path may contain these parts already; a gateway may add its own before them.
        let given = endpoint.path.trim_end_matches('/');
        let given = given.strip_suffix("/realtime").unwrap_or(given);
        let given = given.strip_suffix("/v1").unwrap_or(given);
        let prefix = given.strip_suffix("/openai").unwrap_or(given);
        endpoint.path = format!("{prefix}{path}");
        Ok(endpoint)
    }

    fn parse(base: &str) -> Result<Self, ConnectError> {
        let base = base.trim();
        let bad = |reason| ConnectError::BadUrl { url: address::shown(base), reason };
        let parts = Parts::of(base).map_err(bad)?;
        let (is_tls, is_base) = match parts.scheme.to_ascii_lowercase().as_str() {
            "ws" => (false, false),
            "wss" => (true, false),
            "http" => (false, true),
            "https" => (true, true),
            other => return Err(bad(format!("expected ws://, wss://, http:// or https://, got {other}://"))),
        };
        if parts.user.is_some() {
            return Err(bad("expected no user in the address: give the key apart".to_owned()));
        }
        let path = match parts.path {
            "" | "/" => "/v1/realtime".to_owned(),
            path if is_base && !path.trim_end_matches('/').ends_with("/realtime") => {
                format!("{}/realtime", path.trim_end_matches('/'))
            }
            path => path.to_owned(),
        };
        let target = PathAndQuery::try_from(format!("{path}?{}", parts.query));
        target.map_err(|error| bad(format!("HTTP cannot ask for it: {error}")))?;
        let port = parts.port.unwrap_or_else(|| default_port(is_tls));
        Ok(Self::at(is_tls, parts.host.to_owned(), port, path, parts.query.to_owned()))
    }

    fn at(is_tls: bool, host: String, port: u16, path: String, query: String) -> Self {
        Self {
            is_tls,
            host,
            port,
            path,
            query,
            model: String::new(),
            dialect: Dialect::Ga,
            key: KeySource::None,
            key_place: KeyPlace::Bearer,
            headers: HeaderMap::new(),
            deadlines: Deadlines::default(),
            proxy: Proxy::from_env(),
            library: WebSocketLibrary::default(),
            #[cfg(feature = "_rustls")]
            tls: Tls::default(),
        }
    }

    fn named(mut self, model: &str) -> Self {
        model.clone_into(&mut self.model);
        self
    }

    fn add_to_query(&mut self, name: &str, value: &str) {
        if !self.query.is_empty() && !self.query.ends_with('&') {
            self.query.push('&');
        }
        percent_encode(name, &mut self.query);
        self.query.push('=');
        percent_encode(value, &mut self.query);
    }

    fn query_names(&self) -> impl Iterator<Item = &str> {
        self.query.split('&').filter_map(|pair| pair.split('=').next())
    }

    /// Returns whether it is the side channel of a call.
    pub(crate) fn names_call(&self) -> bool {
        self.query_names().any(|name| name == "call_id")
    }

    fn is_azure_preview(&self) -> bool {
        self.query_names().any(|name| name == "api-version")
    }
}

/// An address that names its model itself: [`Endpoint::new`] with no model.
impl FromStr for Endpoint {
    type Err = ConnectError;

    fn from_str(url: &str) -> Result<Self, ConnectError> {
        Self::new(url, "")
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address())
            .field("path", &self.path)
            .field("model", &self.model)
            .field("dialect", &self.dialect)
            .field("key", &self.key)
            .field("key_place", &self.key_place)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("deadlines", &self.deadlines)
            .field("proxy", &self.proxy)
            .finish()
    }
}

const fn default_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

/// Headers that the connection itself decides on, in lower case.
const OWN_HEADERS: &[&str] =
    &["connection", "upgrade", "content-length", "transfer-encoding", "expect", "te", "trailer"];

#[cfg(test)]
mod tests;
