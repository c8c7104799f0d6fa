//! What a far side says when it refuses: a status, and mostly a text that helps.

use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::time::{Instant, timeout_at};

use crate::auth::Secrets;
use crate::http1::Head;

/// An answer that is no yes.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The header `Retry-After`, where it is in seconds.
    pub(crate) retry_after: Option<Duration>,
    /// As far as it came.
    pub(crate) body: Vec<u8>,
}

impl Refusal {
    /// Reads what follows the head. It is waited for only a little: the status says most. To be called outside of
    /// the phase that ends at `end`, whose deadline would otherwise take the status, too.
    pub(crate) async fn read(head: Head, stream: &mut (impl AsyncRead + Unpin), end: Instant) -> Self {
        let status = head.status;
        let retry_after = head.header("retry-after").and_then(|seconds| seconds.parse().ok());
        let mut body = head.into_body(MAX_BODY);
        let until = end.min(Instant::now() + PATIENCE);
        // What came until it failed is as good as what there is.
        let _ = timeout_at(until, body.fill(stream)).await;
        Self { status, retry_after: retry_after.map(Duration::from_secs), body: body.bytes }
    }
}

/// The text for people in a refusal's body.
pub(crate) fn message(body: &[u8], secrets: &Secrets) -> Option<String> {
    let body = String::from_utf8_lossy(body);
    let json = serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default();
    let error = json.get("error").unwrap_or(&json);
    let text = error.get("message").unwrap_or(error).as_str().unwrap_or_else(|| body.trim());
    // A page is for browsers, and control characters are for nobody.
    if text.is_empty() || text.starts_with('<') {
        return None;
    }
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Some(secrets.redact(&text).chars().take(MAX_MESSAGE).collect())
}

/// The most of a body that is read (bytes).
const MAX_BODY: usize = 16 * 1024;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most of a text that an error repeats (characters).
const MAX_MESSAGE: usize = 300;
