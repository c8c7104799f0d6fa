//! Answers of the server that are no pages.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::serve::access::Denied;
use crate::serve::trust::Refused;
use realtime_telephony::verify::Untrusted;

/// An error as JSON: `{"error": {"code": …, "message": …}}`.
pub(super) fn error(status: StatusCode, code: &str, message: impl std::fmt::Display) -> Response {
    let body = json!({ "error": { "code": code, "message": message.to_string() } });
    (status, Json(body)).into_response()
}

/// There is no place for another call.
pub(super) fn no_place(code: &str, why: impl std::fmt::Display) -> Response {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, code, why);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
    response
}

/// Somebody may not do this.
pub(super) fn denied(why: Denied) -> Response {
    match why {
        Denied::NoToken => {
            let mut response = error(StatusCode::UNAUTHORIZED, "token", why);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        Denied::WrongToken => error(StatusCode::FORBIDDEN, "token", why),
        Denied::Origin => error(StatusCode::FORBIDDEN, "origin", why),
        Denied::NoPages | Denied::NoAdmin => error(StatusCode::FORBIDDEN, "closed", why),
    }
}

/// A request is not from whom it says. What is wrong with it is for the log alone.
pub(super) fn refused(who: &str, why: Refused) -> Response {
    match why {
        Refused::Untrusted(Untrusted::Configuration(_)) => {
            tracing::error!(who, "a request cannot be verified: {why}");
            error(StatusCode::INTERNAL_SERVER_ERROR, "configuration", "the server is not set up for this")
        }
        Refused::Untrusted(Untrusted::Missing(_)) => {
            tracing::warn!(who, "a request was refused: {why}");
            error(StatusCode::UNAUTHORIZED, "unverified", "expected a request that can be verified")
        }
        Refused::Untrusted(_) => {
            tracing::warn!(who, "a request was refused: {why}");
            error(StatusCode::FORBIDDEN, "unverified", "expected a request that can be verified")
        }
        Refused::Closed(_) => {
            tracing::warn!(who, "a request was refused: {why}");
            error(StatusCode::FORBIDDEN, "closed", "this server takes no calls of this kind")
        }
    }
}

/// Something of the server itself went wrong. What it is, is for the log alone.
pub(super) fn broken(what: &str, why: &(dyn std::error::Error + 'static)) -> Response {
    tracing::error!("{what}: {}", crate::one_line(why));
    error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server could not do this")
}
