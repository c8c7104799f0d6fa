//! The answer of a server or proxy that refuses: a status, and usually a helpful text.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};

use super::address::shown;
use super::auth::Secrets;
use super::error::ConnectError;
use super::http::Answer;

/// An answer that refuses.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The header `Retry-After`: seconds, or a date.
    pub(crate) retry_after: Option<Duration>,
    /// Where it sends the client instead (3xx), as it may be shown: without a user, a query, or secrets.
    pub(crate) location: Option<String>,
    /// As far as it came.
    pub(crate) body: Vec<u8>,
}

impl Refusal {
    /// The error of a server that redirects. `None`: it does not.
    pub(crate) fn redirected(&self, address: String, secrets: &Secrets) -> Option<ConnectError> {
        let location = self.location.as_deref().map(|location| line(location, secrets));
        (300..400).contains(&self.status).then_some(ConnectError::Redirected {
            address,
            status: self.status,
            location,
        })
    }

    /// Reads what follows the head. Waits only a little, because the status says most. Call it outside of the
    /// phase that ends at `end`: otherwise its deadline would discard the status, too.
    pub(crate) async fn read(mut answer: Answer, end: Instant) -> Self {
        let status = answer.status();
        let location = answer.header("location").filter(|_| (300..400).contains(&status)).map(shown);
        let retry_after = answer.header("retry-after").and_then(|wait| wait_of(wait, SystemTime::now()));
        let until = end.min(Instant::now() + PATIENCE);
        // If it fails, the part that came is used.
        let _ = timeout_at(until, answer.fill(MAX_BODY)).await;
        Self { status, retry_after, location, body: answer.body }
    }
}

/// How long a `Retry-After` asks to wait, at most a day. `None`: it cannot be read.
fn wait_of(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        // More seconds than a number holds count as for ever.
        Err(_) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => LONGEST_WAIT,
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The text for people in a refusal's body.
pub(crate) fn message(body: &[u8], secrets: &Secrets) -> Option<String> {
    let body = String::from_utf8_lossy(body);
    let json = serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default();
    let error = json.get("error").unwrap_or(&json);
    let text = error.get("message").unwrap_or(error).as_str().unwrap_or_else(|| body.trim());
    // An HTML page or control characters do not help in an error text.
    if text.is_empty() || text.starts_with('<') {
        return None;
    }
    Some(line(text, secrets))
}

/// A text of the server on one line of an error.
fn line(text: &str, secrets: &Secrets) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    secrets.redact(&text).chars().take(MAX_MESSAGE).collect()
}

/// The longest wait that a server can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// The most of a body that is read (bytes).
const MAX_BODY: usize = 16 * 1024;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most of a text that an error repeats (characters).
const MAX_MESSAGE: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_in_each_form_of_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:00 GMT").unwrap();
        for (value, seconds) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("18446744073709551615", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait_of(value, now).map(|wait| wait.as_secs()), seconds, "{value:?}");
        }
    }
}
