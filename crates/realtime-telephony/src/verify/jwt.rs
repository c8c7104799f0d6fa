//! Vonage's signed token: a JWT by HMAC-SHA256. A token that names another algorithm, or none, is refused.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use realtime_protocol::time::UnixTime;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Request, Untrusted, is_hmac_sha256, is_recent};
use crate::json::Object;
use crate::secret::Secret;

const TOKEN: &str = "authorization";

/// How old a token may be that does not say when it expires (s), and how far our clocks may be apart.
const OLDEST: i64 = 300;
const SKEW: i64 = 60;

const URL_BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn verify(
    request: &Request<'_>,
    secret: &Secret,
    application_id: Option<&str>,
    now: UnixTime,
) -> Result<(), Untrusted> {
    let token = super::plain::bearer_token(request)?;
    let unreadable = Untrusted::Unreadable(TOKEN);
    let (signed, signature) = token.rsplit_once('.').ok_or(unreadable)?;
    let (header, claims) = signed.split_once('.').ok_or(unreadable)?;
    let part = |text: &str| URL_BASE64.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let header = part(header).ok_or(unreadable)?;
    let header = Object::read(&header).ok_or(unreadable)?;
    if header.text(&["alg"]).as_deref() != Some("HS256") {
        return Err(unreadable);
    }
    let tag = URL_BASE64.decode(signature).map_err(|_| unreadable)?;
    if !is_hmac_sha256(secret.expose().as_bytes(), &[signed.as_bytes()], &tag) {
        return Err(Untrusted::Wrong);
    }

    let claims = part(claims).ok_or(unreadable)?;
    let claims = Object::read(&claims).ok_or(unreadable)?;
    let time = |name| claims.number(&[name]).and_then(|secs| i64::try_from(secs).ok());
    if let Some(start) = time("nbf") {
        is_recent(start, now, i64::MAX, SKEW)?;
    }
    match (time("exp"), time("iat")) {
        (Some(end), _) => is_recent(end, now, SKEW, i64::MAX - 1)?,
        (None, Some(issued)) => is_recent(issued, now, OLDEST, SKEW)?,
        (None, None) => return Err(unreadable),
    }
    if application_id.is_some_and(|id| claims.text(&["application_id"]).as_deref() != Some(id)) {
        return Err(Untrusted::Wrong);
    }
    if let Some(digest) = claims.text(&["payload_hash"])
        && !request.body.is_empty()
    {
        let expected: String =
            Sha256::digest(request.body).iter().map(|byte| format!("{byte:02x}")).collect();
        if !bool::from(expected.as_bytes().ct_eq(digest.to_ascii_lowercase().as_bytes())) {
            return Err(Untrusted::Wrong);
        }
    }
    Ok(())
}
