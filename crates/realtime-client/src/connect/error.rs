//! Why there is no connection, by who must act. No error shows a key.

use std::io;
use std::time::Duration;

use realtime_protocol::call::{ConnectFailure, DisconnectClass};

use crate::connect::deadline::Phase;

/// A foreign error, kept as it came.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The service would refuse a tool of this name. Rename it.
    #[error("cannot declare the tool `{name}`")]
    BadTool {
        /// The tool.
        name: String,
        /// What is wrong with its name.
        #[source]
        source: Source,
    },
    /// The address cannot be used. Correct it.
    #[error("cannot use the address {url:?}: {reason}")]
    BadUrl {
        /// The address without its query.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A variable of the environment is missing or cannot be used. Set it, or correct it.
    #[error("cannot use the environment variable {name}: {reason}")]
    BadEnvironment {
        /// The variable's name.
        name: &'static str,
        /// What was expected of it.
        reason: String,
    },
    /// HTTP cannot carry a header. Correct the key or the header.
    #[error("cannot send the header {name}: {reason}")]
    BadHeader {
        /// The header's name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The proxy's address cannot be used. Correct it, or the environment variable that it comes from.
    #[error("cannot use the proxy {proxy:?}: {reason}")]
    BadProxy {
        /// The address as it was given, without user and password.
        proxy: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate to trust cannot be used. Correct it.
    #[error("cannot trust a certificate: {reason}")]
    BadCertificate {
        /// What is wrong with it.
        reason: String,
    },
    /// The client's own certificate or its key cannot be used. Correct it.
    #[error("cannot use the client certificate: {reason}")]
    BadClientCertificate {
        /// What is wrong with it.
        reason: String,
    },
    /// `wss://` without the feature `tls`. Enable it.
    #[error(
        "cannot connect to {address} by wss://: this build has no TLS (feature `tls` of realtime-client)"
    )]
    NoTls {
        /// Host and port.
        address: String,
    },
    /// The key's provider failed. Its error is the source: keep keys out of it, because it gets into logs.
    #[error("cannot get a key")]
    NoKey {
        /// The provider's error.
        #[source]
        source: Source,
    },
    /// The key has expired, according to [`ApiKey::expires_at`](crate::ApiKey::expires_at). Ask for another.
    #[error("the key expired {} s ago", .since.as_secs())]
    KeyExpired {
        /// How long ago it expired.
        since: Duration,
    },
    /// The proxy cannot be reached, or its name is not known.
    #[error("cannot reach the proxy {proxy}")]
    ProxyUnreachable {
        /// The proxy's host and port.
        proxy: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The proxy does not let the connection through. 407: it wants another user or password.
    #[error("the proxy {proxy} refused to connect to {address} with HTTP status {status}{}", said(.message))]
    ProxyRefused {
        /// The proxy's host and port.
        proxy: String,
        /// Host and port behind the proxy.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The proxy's text, without its password.
        message: Option<String>,
    },
    /// The SOCKS proxy does not let the connection through, or cannot reach the server.
    #[error("the proxy {proxy} refused to connect to {address}: {reason}")]
    SocksRefused {
        /// The proxy's host and port.
        proxy: String,
        /// Host and port behind the proxy.
        address: String,
        /// What it says.
        reason: String,
        /// Whether that may pass.
        is_passing: bool,
    },
    /// The proxy closed the connection before it answered, or is not a proxy.
    #[error("the proxy {proxy} gave no readable answer: {reason}")]
    ProxyFailed {
        /// The proxy's host and port.
        proxy: String,
        /// What happened.
        reason: String,
    },
    /// Nothing answers there, or its name is not known.
    #[error("cannot reach {address}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The certificate is not trusted, the server does not speak TLS, or it wants another certificate of the
    /// client ([`Tls::client_certificate`](crate::Tls::client_certificate)).
    #[error("the TLS handshake with {address} failed")]
    Tls {
        /// Host and port.
        address: String,
        /// What TLS says.
        #[source]
        source: io::Error,
    },
    /// The server does not take the key: 401 or 403.
    #[error("the server refused the key ({status}){}", said(.message))]
    KeyRefused {
        /// The HTTP status.
        status: u16,
        /// The server's text, without keys.
        message: Option<String>,
    },
    /// The server does not know the call of a side channel (404), though it was asked more than once: the
    /// call is over, or its id is wrong.
    #[error("the server does not know the call: 404 to each of {tries} attempts{}", said(.message))]
    CallNotFound {
        /// How often it was asked.
        tries: usize,
        /// The server's text, without keys.
        message: Option<String>,
    },
    /// The server answered with another HTTP status.
    #[error("the server refused the connection with HTTP status {status}{}", said(.message))]
    Http {
        /// The HTTP status.
        status: u16,
        /// The server's text, without keys.
        message: Option<String>,
        /// How long the server asks to wait before the next attempt.
        retry_after: Option<Duration>,
    },
    /// The server is elsewhere: 3xx. Redirects are not followed, because the key would go along. If the place
    /// is right, name it in the endpoint.
    #[error("{address} redirected with HTTP status {status}{}", to(.location))]
    Redirected {
        /// Host and port.
        address: String,
        /// The HTTP status.
        status: u16,
        /// Where to, without a user, a query or keys.
        location: Option<String>,
    },
    /// The server does not speak WebSocket.
    #[error("{address} does not answer as a WebSocket server: {reason}")]
    NotWebSocket {
        /// Host and port.
        address: String,
        /// What is missing.
        reason: String,
    },
    /// The server closed the connection during the handshake.
    #[error("{address} closed the connection during the WebSocket handshake: {reason}")]
    HungUp {
        /// Host and port.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The server closed the connection before it had answered an HTTP request (feature `http`).
    #[error("{address} closed the connection before it had answered: {reason}")]
    Interrupted {
        /// Host and port.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The server's answer to a WebRTC offer cannot be used (feature `webrtc`).
    #[error("cannot use the answer of {address} to the call: {reason}")]
    BadAnswer {
        /// Host and port.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A WebRTC call ended before it was open (feature `webrtc`).
    #[error("the call with {address} ended before it was open: {reason}")]
    CallEnded {
        /// Host and port.
        address: String,
        /// What happened.
        reason: String,
    },
    /// This machine has no UDP for the media of a WebRTC call (feature `webrtc`).
    #[error("cannot open a UDP socket for the call")]
    NoUdp {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("no connection to {address} within {} ms: still {phase}", .after.as_millis())]
    TimedOut {
        /// Host and port.
        address: String,
        /// The phase that took so long, or the last one.
        phase: Phase,
        /// The deadline: of the phase if it has its own, else of the whole attempt.
        after: Duration,
    },
}

impl ConnectError {
    /// Returns whether the endpoint itself is wrong, whatever the network does.
    pub(crate) const fn is_mistake(&self) -> bool {
        matches!(
            self,
            Self::BadTool { .. }
                | Self::BadUrl { .. }
                | Self::BadEnvironment { .. }
                | Self::BadHeader { .. }
                | Self::BadProxy { .. }
                | Self::BadCertificate { .. }
                | Self::BadClientCertificate { .. }
                | Self::NoTls { .. }
        )
    }

    /// Where the attempt failed, or the status and the wait that the server answered with.
    pub(crate) const fn failure(&self) -> Result<ConnectFailure, (u16, Option<Duration>)> {
        Ok(match self {
            Self::BadTool { .. } | Self::BadUrl { .. } | Self::BadEnvironment { .. } => {
                ConnectFailure::Endpoint
            }
            Self::BadHeader { .. } | Self::BadProxy { .. } | Self::BadCertificate { .. } => {
                ConnectFailure::Endpoint
            }
            Self::BadClientCertificate { .. } | Self::NoTls { .. } => ConnectFailure::Endpoint,
            Self::NoKey { .. } | Self::KeyExpired { .. } => ConnectFailure::Key,
            Self::ProxyUnreachable { .. } | Self::ProxyRefused { .. } => ConnectFailure::Proxy,
            Self::SocksRefused { .. } | Self::ProxyFailed { .. } => ConnectFailure::Proxy,
            Self::Unreachable { .. } | Self::NoUdp { .. } => ConnectFailure::Unreachable,
            Self::Tls { .. } => ConnectFailure::Tls,
            Self::HungUp { .. } | Self::Interrupted { .. } | Self::CallEnded { .. } => ConnectFailure::HungUp,
            Self::NotWebSocket { .. } | Self::BadAnswer { .. } => ConnectFailure::NotWebSocket,
            Self::Redirected { .. } => ConnectFailure::Redirected,
            Self::TimedOut { .. } => ConnectFailure::TimedOut,
            Self::KeyRefused { status, .. } => return Err((*status, None)),
            Self::CallNotFound { .. } => return Err((404, None)),
            Self::Http { status, retry_after, .. } => return Err((*status, *retry_after)),
        })
    }

    /// Returns whether the same attempt may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::BadTool { .. } | Self::BadUrl { .. } | Self::BadHeader { .. } | Self::BadProxy { .. } => {
                false
            }
            Self::BadEnvironment { .. } | Self::BadCertificate { .. } | Self::NoTls { .. } => false,
            Self::BadClientCertificate { .. } => false,
            Self::ProxyUnreachable { .. } => true,
            // There is no way to connect, for example because the one given stream is used up.
            Self::Unreachable { source, .. } => source.kind() != io::ErrorKind::Unsupported,
            Self::HungUp { .. } | Self::ProxyFailed { .. } | Self::TimedOut { .. } => true,
            Self::NoKey { .. } | Self::Interrupted { .. } => true,
            Self::CallEnded { .. } | Self::NoUdp { .. } => true,
            Self::BadAnswer { .. } => false,
            Self::KeyExpired { .. } => false,
            // rustls reports a disagreement of the peers as invalid data; anything else comes from the
            // network.
            Self::Tls { source, .. } => source.kind() != io::ErrorKind::InvalidData,
            Self::CallNotFound { .. } => false,
            Self::KeyRefused { .. } | Self::Redirected { .. } | Self::NotWebSocket { .. } => false,
            Self::SocksRefused { is_passing, .. } => *is_passing,
            Self::Http { status, .. } | Self::ProxyRefused { status, .. } => is_passing(*status),
        }
    }
}

/// Returns whether an HTTP status reports a passing condition.
pub(crate) fn is_passing(status: u16) -> bool {
    DisconnectClass::of_status(status) == DisconnectClass::Transient
}

fn to(location: &Option<String>) -> String {
    match location {
        Some(place) => {
            format!(
                " to {place}: redirects are not followed, name that address in the endpoint if it is right"
            )
        }
        None => " and did not say where to".to_owned(),
    }
}

pub(crate) fn said(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
}
