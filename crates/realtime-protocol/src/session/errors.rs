//! What the server's errors end: nothing, one request, the session, or the account's use.

use serde::Serialize;

use crate::error::ApiError;

/// What an error of the server's ends.
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
    /// The account's use: another session would end the same way.
    Account,
}

impl ErrorClass {
    /// Classes an error by its code, or by its type where it has no code.
    pub fn of(error: &ApiError) -> Self {
        let code = error.code.value().or_else(|| error.kind.value()).map_or("", |code| code.as_str());
        match code {
            "input_audio_buffer_commit_empty"
            | "response_cancel_not_active"
            | "conversation_already_has_active_response"
            | "item_delete_invalid_item_id"
            | "item_truncate_invalid_item_id"
            | "item_already_truncated"
            | "unsupported_content_type" => Self::Benign,
            "invalid_value" if error.param.value().is_some_and(|param| param == "audio_end_ms") => {
                Self::Benign
            }
            "session_expired" => Self::Session,
            "insufficient_quota"
            | "invalid_api_key"
            | "account_deactivated"
            | "billing_hard_limit_reached"
            | "beta_api_shape_disabled"
            | "model_not_found"
            | "invalid_model" => Self::Account,
            _ => Self::Request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_without_a_code_are_classed_by_type() {
        let error = ApiError::default().kind("session_expired");
        assert_eq!(ErrorClass::of(&error), ErrorClass::Session);
        assert_eq!(ErrorClass::of(&ApiError::default()), ErrorClass::Request);
    }

    #[test]
    fn a_truncation_beyond_the_audio_is_benign_and_other_invalid_values_are_not() {
        let error = ApiError::default().code("invalid_value");
        assert_eq!(ErrorClass::of(&error.clone().param("audio_end_ms")), ErrorClass::Benign);
        assert_eq!(ErrorClass::of(&error.param("session.voice")), ErrorClass::Request);
    }
}
