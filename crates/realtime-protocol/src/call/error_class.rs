//! What the server's errors end: nothing, one request, the session, or all use of the account.

use alloc::string::String;

use serde::Serialize;

use crate::error::ApiError;

/// What a server error ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// Nothing: a race that both sides survive, such as a cancel that came too late.
    Benign,
    /// The request that it names.
    Request,
    /// The session; another may be opened.
    Session,
    /// All use of the account: another session would end the same way.
    Account,
}

/// Whether to try a failed response again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Advice {
    /// At once: the server failed, and that passes.
    Retry,
    /// After a while: a rate limit.
    RetryLater,
    /// Not unchanged: the request or the account is at fault.
    DoNotRetry,
}

/// Errors whose meaning is known, by what this side can do about them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Meaning {
    /// A race over a response: one runs already, or none runs.
    ResponseRace {
        running: bool,
    },
    /// A race over an item or the input buffer.
    ItemRace,
    RateLimit,
    ServerFault,
    Expired,
    Account,
    Other,
}

impl Meaning {
    fn of(error: &ApiError) -> Self {
        let known = error.code.value().into_iter().chain(error.kind.value()).map(|code| Self::of_code(code));
        let known = known.into_iter().find(|meaning| *meaning != Self::Other);
        if let Some(known) = known {
            return known;
        }
        if error.code_str() == "invalid_value"
            && error.param.value().is_some_and(|param| param == "audio_end_ms")
        {
            return Self::ItemRace;
        }
        // Errors without a code, and servers with codes of their own: only the text is left.
        if error.code.value().is_none() { Self::of_text(error.message_str()) } else { Self::Other }
    }

    fn of_code(code: &str) -> Self {
        match code {
            "response_cancel_not_active" => Self::ResponseRace { running: false },
            "conversation_already_has_active_response" => Self::ResponseRace { running: true },
            "input_audio_buffer_commit_empty"
            | "item_delete_invalid_item_id"
            | "item_truncate_invalid_item_id"
            | "item_already_truncated"
            | "unsupported_content_type" => Self::ItemRace,
            "rate_limit_exceeded" | "inference_rate_limit_exceeded" => Self::RateLimit,
            "server_error" => Self::ServerFault,
            "session_expired" => Self::Expired,
            "insufficient_quota"
            | "invalid_api_key"
            | "account_deactivated"
            | "billing_hard_limit_reached"
            | "beta_api_shape_disabled"
            | "model_not_found"
            | "invalid_model" => Self::Account,
            _ => Self::Other,
        }
    }

    fn of_text(text: &str) -> Self {
        const PATTERNS: &[(&str, Meaning)] = &[
            ("already has an active response", Meaning::ResponseRace { running: true }),
            ("cancellation failed", Meaning::ResponseRace { running: false }),
            ("no active response", Meaning::ResponseRace { running: false }),
            ("already shorter than", Meaning::ItemRace),
            ("buffer too small", Meaning::ItemRace),
            ("buffer is empty", Meaning::ItemRace),
            ("rate limit", Meaning::RateLimit),
            ("maximum duration", Meaning::Expired),
            ("exceeded your current quota", Meaning::Account),
            ("incorrect api key", Meaning::Account),
        ];
        let text = text.to_ascii_lowercase();
        PATTERNS
            .iter()
            .find(|(pattern, _)| text.contains(pattern))
            .map_or(Self::Other, |(_, meaning)| *meaning)
    }
}

impl ErrorClass {
    /// Classes an error by its code, or without a code by its type and then its text.
    pub fn of(error: &ApiError) -> Self {
        match Meaning::of(error) {
            Meaning::ResponseRace { .. } | Meaning::ItemRace => Self::Benign,
            Meaning::RateLimit | Meaning::ServerFault | Meaning::Other => Self::Request,
            Meaning::Expired => Self::Session,
            Meaning::Account => Self::Account,
        }
    }
}

impl Advice {
    /// What to do about a response that failed with this error.
    pub fn of(error: &ApiError) -> Self {
        match Meaning::of(error) {
            Meaning::RateLimit => Self::RetryLater,
            Meaning::Other if error.code.value().is_none_or(String::is_empty) => Self::Retry,
            Meaning::ServerFault | Meaning::ResponseRace { .. } => Self::Retry,
            Meaning::ItemRace | Meaning::Expired | Meaning::Account | Meaning::Other => Self::DoNotRetry,
        }
    }
}

/// Returns whether the server refused a request because a response runs already.
pub(crate) fn says_response_runs(error: &ApiError) -> bool {
    Meaning::of(error) == Meaning::ResponseRace { running: true }
}

/// Returns whether something went wrong on the server's side.
pub(crate) fn says_server_fault(error: &ApiError) -> bool {
    Meaning::of(error) == Meaning::ServerFault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_without_a_code_are_classed_by_type_then_text() {
        let error = ApiError::default().kind("session_expired");
        assert_eq!(ErrorClass::of(&error), ErrorClass::Session);
        let error =
            ApiError::default().kind("invalid_request_error").message("Cancellation failed: nothing runs");
        assert_eq!(ErrorClass::of(&error), ErrorClass::Benign);
        assert_eq!(ErrorClass::of(&ApiError::default()), ErrorClass::Request);
    }

    #[test]
    fn a_truncation_beyond_the_audio_is_benign_and_other_invalid_values_are_not() {
        let error = ApiError::default().code("invalid_value");
        assert_eq!(ErrorClass::of(&error.clone().param("audio_end_ms")), ErrorClass::Benign);
        assert_eq!(ErrorClass::of(&error.param("session.voice")), ErrorClass::Request);
    }

    #[test]
    fn a_rate_limit_passes_and_a_quota_does_not() {
        assert_eq!(
            Advice::of(&ApiError::default().code("inference_rate_limit_exceeded")),
            Advice::RetryLater
        );
        assert_eq!(Advice::of(&ApiError::default().code("server_error")), Advice::Retry);
        assert_eq!(Advice::of(&ApiError::default().code("insufficient_quota")), Advice::DoNotRetry);
    }
}
