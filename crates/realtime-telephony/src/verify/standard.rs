//! The signature of Standard Webhooks: HMAC-SHA256 over id, time and body, with points between them.
//!
//! A webhook that is sent again has the same id: who acts on it remembers the ids of the last minutes.

use base64::Engine as _;
use realtime_protocol::time::UnixTime;

use super::{Request, Untrusted, is_hmac_sha256, is_recent};
use crate::json::LENIENT;
use crate::secret::Secret;

const ID: &str = "webhook-id";
const TIME: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// How old a webhook may be, and how far in the future (s).
const OLDEST: i64 = 300;

/// The most signatures that are tried: one for each secret that is in force while it is changed.
const MOST: usize = 8;

/// The shortest key that is none by mistake (bytes).
const SHORTEST_KEY: usize = 8;

/// The key of a secret: in base64 behind `whsec_`, else as it is.
pub(super) fn key(secret: &Secret) -> Result<Vec<u8>, Untrusted> {
    let key = match secret.expose().trim().strip_prefix("whsec_") {
        Some(encoded) => LENIENT.decode(encoded).ok(),
        None => Some(secret.expose().trim().as_bytes().to_vec()),
    };
    // With an empty key anybody could have signed.
    key.filter(|key| key.len() >= SHORTEST_KEY).ok_or(Untrusted::Configuration("secret"))
}

pub(super) fn verify(request: &Request<'_>, secret: &Secret, now: UnixTime) -> Result<(), Untrusted> {
    let key = key(secret)?;
    let (id, time) = (request.required(ID)?, request.required(TIME)?);
    let signed: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", request.body];
    let signatures = request.required(SIGNATURE)?.split_ascii_whitespace();
    let mut tags = signatures
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .filter_map(|tag| LENIENT.decode(tag).ok())
        .take(MOST)
        .peekable();
    tags.peek().ok_or(Untrusted::Unreadable(SIGNATURE))?;
    if !tags.any(|tag| is_hmac_sha256(&key, &signed, &tag)) {
        return Err(Untrusted::Wrong);
    }
    is_recent(time.parse().map_err(|_| Untrusted::Unreadable(TIME))?, now, OLDEST, OLDEST)
}
