//! Why a connection, a session or a call ended, and what to do about it.

use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::error_class::ErrorClass;
use crate::error::ApiError;

/// Why a session ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CloseReason {
    /// The application asked for it.
    Requested,
    /// The connection ended, or could not be made.
    Disconnected(DisconnectReason),
    /// The application read its events so slowly that they passed the driver's bounds.
    ConsumerTooSlow,
    /// What the application gave the client to run panicked: correct it. It was not called again.
    Panicked {
        /// What it was, such as `guard 1`.
        what: String,
    },
    /// The call goes on in another process: see [`Call::suspend`](crate::call::Call::suspend).
    Suspended,
    /// The server never opened the session.
    NotCreated,
    /// The server refused the configuration.
    ConfigRefused {
        /// The error's text.
        message: String,
    },
    /// A server error that ends the session, or all use of the account.
    Fatal {
        /// The error's code.
        code: String,
        /// The error's text.
        message: String,
    },
}

impl core::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Requested => f.write_str("closed by the application"),
            Self::Disconnected(reason) => reason.fmt(f),
            Self::ConsumerTooSlow => f.write_str("the application read its events too slowly"),
            Self::Panicked { what } => write!(f, "{what} panicked"),
            Self::Suspended => f.write_str("the call was suspended"),
            Self::NotCreated => f.write_str("the server sent no session.created in time"),
            Self::ConfigRefused { message } => write!(f, "the server refused the configuration: {message}"),
            Self::Fatal { code, message } => write!(f, "{code}: {message}"),
        }
    }
}

/// How a connection ended, or why it could not be made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The server closed it.
    Closed {
        /// The close code, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
        /// The reason given.
        reason: String,
    },
    /// The server answered the handshake with an HTTP status.
    Refused {
        /// The status.
        status: u16,
        /// The reason given, or the body of the answer.
        reason: String,
        /// How long to wait before the next attempt (`Retry-After`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// There is no connection: the attempt failed before the server answered with a status.
    NotConnected {
        /// What failed.
        failure: ConnectFailure,
        /// Whether another attempt may succeed. If not, correct the endpoint.
        may_pass: bool,
        /// What happened.
        reason: String,
    },
    /// It broke.
    Lost {
        /// What happened.
        reason: String,
    },
}

/// Where an attempt to connect failed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The endpoint itself: its address, a header, a proxy's address, a certificate.
    Endpoint,
    /// The key: none came, or it has expired, or a token was refused that the next attempt replaces.
    Key,
    /// The proxy cannot be reached, refuses, or is none.
    Proxy,
    /// Nothing answers at the server's address, or its name is not known.
    Unreachable,
    /// Client and server did not agree on TLS.
    Tls,
    /// The server closed the connection before it had answered.
    HungUp,
    /// Something else than a WebSocket server answers there, or the answer to a WebRTC offer is none.
    NotWebSocket,
    /// The server is elsewhere: it redirected.
    Redirected,
    /// It took too long.
    TimedOut,
}

impl core::fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Closed { code, reason } => {
                f.write_str("closed by the server")?;
                if let Some(code) = code {
                    write!(f, " with code {code}")?;
                }
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::Refused { status, reason, .. } => {
                write!(f, "connection refused with HTTP status {status}: {reason}")
            }
            Self::NotConnected { may_pass: true, reason, .. } => write!(f, "no connection: {reason}"),
            Self::NotConnected { reason, .. } => write!(f, "the endpoint cannot be used: {reason}"),
            Self::Lost { reason } => write!(f, "connection lost: {reason}"),
        }
    }
}

/// Why a connection ended, classed by what to do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DisconnectClass {
    /// The application asked for it, or did not read its events. Nothing to do.
    Requested,
    /// The network or the server: another attempt may succeed.
    Transient,
    /// The session reached its age limit. Open another one.
    Expired,
    /// The server refused the configuration, or the endpoint itself can't be right: only another endpoint may
    /// help.
    Configuration,
    /// The key, the quota or the model was refused. Only another endpoint helps.
    Account,
    /// The server could not take what was sent: it is too large, or not readable. Sent again, it would end
    /// the next connection too. An attempt without it may succeed.
    Payload,
}

impl DisconnectClass {
    /// Classes the end of a session.
    pub fn of(reason: &CloseReason) -> Self {
        match reason {
            CloseReason::Requested
            | CloseReason::ConsumerTooSlow
            | CloseReason::Panicked { .. }
            | CloseReason::Suspended => Self::Requested,
            CloseReason::Disconnected(DisconnectReason::Closed { code, reason }) => {
                Self::of_close_frame(*code, reason)
            }
            CloseReason::Disconnected(DisconnectReason::Refused { status, .. }) => Self::of_status(*status),
            CloseReason::Disconnected(
                DisconnectReason::Lost { .. } | DisconnectReason::NotConnected { may_pass: true, .. },
            )
            | CloseReason::NotCreated => Self::Transient,
            CloseReason::ConfigRefused { .. }
            | CloseReason::Disconnected(DisconnectReason::NotConnected { may_pass: false, .. }) => {
                Self::Configuration
            }
            CloseReason::Fatal { code, message } => {
                match ErrorClass::of(&ApiError::default().code(code.as_str()).message(message.as_str())) {
                    ErrorClass::Account => Self::Account,
                    ErrorClass::Session => Self::Expired,
                    ErrorClass::Benign | ErrorClass::Request => Self::Transient,
                }
            }
        }
    }

    /// Classes an HTTP status in place of the 101 that opens a WebSocket.
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 | 403 | 404 => Self::Account,
            408 | 425 | 429 | 500.. => Self::Transient,
            _ => Self::Configuration,
        }
    }

    /// Classes a close frame: by its text if that names a known error, else by its code (RFC 6455, section
    /// 7.4.1). Code 1008 is generic, so it says nothing here.
    fn of_close_frame(code: Option<u16>, text: &str) -> Self {
        if let Some(class) = Self::of_text(text) {
            return class;
        }
        match code {
            // A kind of data, a text or a size that the server does not take.
            Some(1003 | 1007 | 1009) => Self::Payload,
            // The server wants an extension that only the client could offer.
            Some(1010) => Self::Configuration,
            // OpenAI closes connections that speak the beta dialect with 4000. Others add the HTTP status to
            // 4000.
            Some(4000 | 4401 | 4403 | 4404) => Self::Account,
            Some(4413) => Self::Payload,
            _ => Self::Transient,
        }
    }

    /// Some servers put an error's code into the text of a close frame; some say there what was too large.
    fn of_text(text: &str) -> Option<Self> {
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let class = words.find_map(|word| match ErrorClass::of(&ApiError::default().code(word)) {
            ErrorClass::Account => Some(Self::Account),
            ErrorClass::Session => Some(Self::Expired),
            ErrorClass::Benign | ErrorClass::Request => None,
        });
        let too_large = || {
            let text = text.to_ascii_lowercase();
            ["message too big", "message too large", "frame too large", "payload too large"]
                .iter()
                .any(|said| text.contains(said))
        };
        class.or_else(|| too_large().then_some(Self::Payload))
    }
}

/// Returns whether the server may have closed the connection because of what was sent, without saying so.
pub(crate) const fn may_be_payload(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::Disconnected(DisconnectReason::Closed { code: Some(code), .. }) => {
            !matches!(code, 1000 | 1001 | 1005 | 1006 | 1012..=1015)
        }
        _ => false,
    }
}

/// Returns whether an account error may pass by itself: a quota does, a wrong key does not.
pub(crate) fn may_pass(reason: &CloseReason) -> bool {
    let text = match reason {
        CloseReason::Fatal { code, .. } => code,
        CloseReason::Disconnected(DisconnectReason::Closed { reason, .. }) => reason,
        _ => return false,
    };
    text.contains("insufficient_quota") || text.contains("billing_hard_limit_reached")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_session_has_a_class() {
        let closed = |code, reason: &str| {
            CloseReason::Disconnected(DisconnectReason::Closed { code, reason: reason.into() })
        };
        let fatal = |code: &str| CloseReason::Fatal { code: code.into(), message: "…".into() };
        let refused = |status| {
            CloseReason::Disconnected(DisconnectReason::Refused {
                status,
                reason: "no".into(),
                retry_after: None,
            })
        };
        let failed = |may_pass| {
            CloseReason::Disconnected(DisconnectReason::NotConnected {
                failure: ConnectFailure::Tls,
                may_pass,
                reason: "no".into(),
            })
        };
        for (reason, class) in [
            (failed(true), DisconnectClass::Transient),
            (failed(false), DisconnectClass::Configuration),
            (CloseReason::Requested, DisconnectClass::Requested),
            (CloseReason::Panicked { what: "guard 1".into() }, DisconnectClass::Requested),
            (CloseReason::NotCreated, DisconnectClass::Transient),
            (
                CloseReason::Disconnected(DisconnectReason::Lost { reason: "reset".into() }),
                DisconnectClass::Transient,
            ),
            (CloseReason::ConfigRefused { message: "no".into() }, DisconnectClass::Configuration),
            (closed(None, ""), DisconnectClass::Transient),
            (closed(Some(1000), ""), DisconnectClass::Transient),
            (closed(Some(1001), "session_expired"), DisconnectClass::Expired),
            (closed(Some(1008), "error: invalid_api_key."), DisconnectClass::Account),
            (closed(Some(1002), "bad frame"), DisconnectClass::Transient),
            (closed(Some(1003), ""), DisconnectClass::Payload),
            (closed(Some(1007), ""), DisconnectClass::Payload),
            (closed(Some(1008), "policy"), DisconnectClass::Transient),
            (closed(Some(1009), "session_expired"), DisconnectClass::Expired),
            (closed(Some(1009), ""), DisconnectClass::Payload),
            (closed(Some(1010), ""), DisconnectClass::Configuration),
            (closed(Some(1011), "internal"), DisconnectClass::Transient),
            (closed(Some(1011), "Message too large"), DisconnectClass::Payload),
            (closed(Some(1013), ""), DisconnectClass::Transient),
            (closed(Some(4000), "beta"), DisconnectClass::Account),
            (closed(Some(4401), ""), DisconnectClass::Account),
            (closed(Some(4413), ""), DisconnectClass::Payload),
            (closed(Some(4500), ""), DisconnectClass::Transient),
            (fatal("insufficient_quota"), DisconnectClass::Account),
            (fatal("session_expired"), DisconnectClass::Expired),
            (refused(401), DisconnectClass::Account),
            (refused(429), DisconnectClass::Transient),
            (refused(503), DisconnectClass::Transient),
        ] {
            assert_eq!(DisconnectClass::of(&reason), class, "{reason:?}");
        }
        assert!(may_pass(&fatal("insufficient_quota")) && !may_pass(&fatal("invalid_api_key")));
    }
}
