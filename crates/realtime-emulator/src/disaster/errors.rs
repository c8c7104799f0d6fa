//! The error codes that the service is known to send, with their types and texts.

use realtime_protocol::error::ApiError;
use realtime_protocol::field::Field;

/// Every error code that the service is known to send. Any can be sent by
/// [`Action::Error`](super::Action::Error).
pub fn error_codes() -> impl Iterator<Item = &'static str> {
    CODES.iter().map(|(code, _, _)| *code)
}

/// The error object for a code. An unknown code is an `invalid_request_error`.
pub(super) fn error(code: &str, message: Option<&str>, param: Option<&str>) -> ApiError {
    let known = CODES.iter().find(|(known, _, _)| *known == code);
    let (kind, text) = known.map_or((INVALID, "Something went wrong."), |(_, kind, text)| (*kind, *text));
    ApiError {
        kind: kind.into(),
        code: code.into(),
        message: message.unwrap_or(text).into(),
        param: param.map_or(Field::Null, Field::from),
        event_id: Field::Null,
        ..ApiError::default()
    }
}

/// The error object that refuses a member of the client's event, in the service's words.
pub(super) fn refusal(code: &str, message: Option<&str>, param: Option<&str>) -> ApiError {
    let text = match (code, param) {
        ("unknown_parameter", Some(param)) => Some(format!("Unknown parameter: '{param}'.")),
        ("missing_required_parameter", Some(param)) => {
            Some(format!("Missing required parameter: '{param}'."))
        }
        ("invalid_value", Some(param)) => Some(format!("Invalid value for '{param}'.")),
        _ => None,
    };
    error(code, message.or(text.as_deref()), param)
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

/// Code, type, text.
const CODES: &[(&str, &str, &str)] = &[
    (
        "input_audio_buffer_commit_empty",
        INVALID,
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has \
         0.00ms of audio.",
    ),
    ("response_cancel_not_active", INVALID, "Cancellation failed: no active response found"),
    (
        "conversation_already_has_active_response",
        INVALID,
        "Conversation already has an active response in progress. Wait until the response is finished before creating \
         a new one.",
    ),
    ("item_retrieve_invalid_item_id", INVALID, "Error retrieving item: the item does not exist."),
    ("item_delete_invalid_item_id", INVALID, "Error deleting item: the item does not exist."),
    ("item_truncate_invalid_item_id", INVALID, "Error truncating item: the item does not exist."),
    ("invalid_value", INVALID, "Invalid value."),
    ("unsupported_content_type", INVALID, "Only model output audio messages can be truncated"),
    ("item_already_truncated", INVALID, "The item is already truncated."),
    ("cannot_update_voice", INVALID, "Cannot update a conversation's voice if assistant audio is present."),
    ("invalid_model", INVALID, "The model is not supported here."),
    ("missing_required_parameter", INVALID, "Missing required parameter."),
    ("unknown_parameter", INVALID, "Unknown parameter."),
    ("string_above_max_length", INVALID, "Invalid value: string too long."),
    ("invalid_tool_call_id", INVALID, "Tool call ID not found in conversation."),
    ("session_expired", INVALID, "Your session hit the maximum duration of 60 minutes."),
    (
        "inference_rate_limit_exceeded",
        "rate_limit_error",
        "Rate limit reached for the model. Please try again later.",
    ),
    ("rate_limit_exceeded", "rate_limit_error", "Rate limit reached. Please try again later."),
    ("server_error", SERVER, "The server had an error while processing your request. Sorry about that!"),
    ("model_not_found", INVALID, "The model does not exist or you do not have access to it."),
    (
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    ("invalid_api_key", INVALID, "Incorrect API key provided."),
    ("account_deactivated", INVALID, "Your account was deactivated."),
    ("billing_hard_limit_reached", INVALID, "Billing hard limit has been reached."),
    (
        "beta_api_shape_disabled",
        INVALID,
        "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
    ),
];
