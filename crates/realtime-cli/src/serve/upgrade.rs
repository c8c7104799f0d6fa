//! The WebSockets of calls: [`upgrade`].

use axum::extract::{FromRequestParts as _, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};

/// How far a socket reads ahead (bytes). The messages of a call are short, and the library's own 128 KiB for
/// each socket would be most of its memory.
const READ_AHEAD: usize = 4 * 1024;

/// The WebSocket that a request opens. Its messages have `longest` bytes at most.
///
/// # Errors
/// The request opens none: the answer says why.
pub(super) async fn upgrade(head: &mut Parts, longest: usize) -> Result<WebSocketUpgrade, Response> {
    match WebSocketUpgrade::from_request_parts(head, &()).await {
        Ok(upgrade) => {
            Ok(upgrade.read_buffer_size(READ_AHEAD).max_message_size(longest).max_frame_size(longest))
        }
        Err(refused) => Err(refused.into_response()),
    }
}
