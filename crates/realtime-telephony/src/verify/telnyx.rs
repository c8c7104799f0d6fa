//! The signature of Telnyx's webhooks: Ed25519 over the time, a bar and the body.

use base64::Engine as _;
use ed25519_dalek::{Signature, VerifyingKey};
use realtime_protocol::time::UnixTime;

use super::{Request, Untrusted, is_recent};
use crate::json::LENIENT;

const SIGNATURE: &str = "telnyx-signature-ed25519";
const TIME: &str = "telnyx-timestamp";

/// How old a webhook may be (s).
const OLDEST: i64 = 300;

pub(super) fn verify(request: &Request<'_>, public_key: &str, now: UnixTime) -> Result<(), Untrusted> {
    let wrong = Untrusted::Configuration("public_key");
    let key = LENIENT.decode(public_key.trim()).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
    let key = key.and_then(|key| VerifyingKey::from_bytes(&key).ok()).ok_or(wrong)?;
    let time = request.required(TIME)?;
    let signature = LENIENT.decode(request.required(SIGNATURE)?).ok();
    let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
    let signature = signature.ok_or(Untrusted::Unreadable(SIGNATURE))?;
    let signed = [time.as_bytes(), b"|", request.body].concat();
    key.verify_strict(&signed, &signature).map_err(|_| Untrusted::Wrong)?;
    is_recent(time.parse().map_err(|_| Untrusted::Unreadable(TIME))?, now, OLDEST, OLDEST)
}
