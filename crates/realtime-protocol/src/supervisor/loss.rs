//! What kind of end a connection came to.

use crate::error::ApiError;
use crate::session::{CloseReason, DisconnectClass, ErrorClass};

impl DisconnectClass {
    /// Classes the end of a session.
    pub fn of(reason: &CloseReason) -> Self {
        match reason {
            CloseReason::Requested | CloseReason::ConsumerTooSlow => Self::Requested,
            // OpenAI closes with 4000 what speaks the beta dialect.
            CloseReason::ClosedByServer { code: Some(4000), .. } => Self::Account,
            CloseReason::ClosedByServer { reason, .. } => Self::of_text(reason),
            CloseReason::ConnectionRefused { status, .. } => Self::of_status(*status),
            CloseReason::ConnectionLost { .. } | CloseReason::NotCreated => Self::Transient,
            CloseReason::ConfigRefused { .. } | CloseReason::EndpointUnusable { .. } => Self::Configuration,
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

    /// Some servers give an error's code as the reason of a goodbye.
    fn of_text(reason: &str) -> Self {
        let mut words = reason.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let class = words.find_map(|word| match ErrorClass::of(&ApiError::default().code(word)) {
            ErrorClass::Account => Some(Self::Account),
            ErrorClass::Session => Some(Self::Expired),
            ErrorClass::Benign | ErrorClass::Request => None,
        });
        class.unwrap_or(Self::Transient)
    }
}

/// Whether an error of the account's may pass by itself, as a quota does and a wrong key does not.
pub(super) fn may_pass(reason: &CloseReason) -> bool {
    let text = match reason {
        CloseReason::Fatal { code, .. } => code,
        CloseReason::ClosedByServer { reason, .. } => reason,
        _ => return false,
    };
    text.contains("insufficient_quota") || text.contains("billing_hard_limit_reached")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_session_has_a_class() {
        let closed = |code, reason: &str| CloseReason::ClosedByServer { code, reason: reason.into() };
        let fatal = |code: &str| CloseReason::Fatal { code: code.into(), message: "…".into() };
        let refused =
            |status| CloseReason::ConnectionRefused { status, reason: "no".into(), retry_after: None };
        for (reason, class) in [
            (CloseReason::Requested, DisconnectClass::Requested),
            (CloseReason::NotCreated, DisconnectClass::Transient),
            (CloseReason::ConnectionLost { reason: "reset".into() }, DisconnectClass::Transient),
            (CloseReason::ConfigRefused { message: "no".into() }, DisconnectClass::Configuration),
            (closed(None, ""), DisconnectClass::Transient),
            (closed(Some(1000), ""), DisconnectClass::Transient),
            (closed(Some(1001), "session_expired"), DisconnectClass::Expired),
            (closed(Some(1008), "error: invalid_api_key."), DisconnectClass::Account),
            (closed(Some(4000), "beta"), DisconnectClass::Account),
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
