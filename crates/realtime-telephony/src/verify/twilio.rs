//! Twilio's signature: HMAC over the address, followed by a form's parameters in the order of their names.
//!
//! An upgrade is signed as `wss://…`. Twilio adds or leaves out the port, so both are tried.

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Request, Untrusted, decoded, is_hmac_sha256, pairs};
use crate::json::LENIENT;
use crate::secret::Secret;

const SIGNATURE: &str = "x-twilio-signature";
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

pub(super) fn verify(request: &Request<'_>, auth_token: &Secret) -> Result<(), Untrusted> {
    check(request, |signed, tag| {
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(auth_token.expose().as_bytes()) else { return false };
        mac.update(signed.as_bytes());
        mac.verify_slice(tag).is_ok()
    })
}

pub(super) fn verify_shared(request: &Request<'_>, key: &str, secret: &Secret) -> Result<(), Untrusted> {
    let settings = request.required("x-twilio-webhooks-signature-settings")?;
    let setting = |name| {
        settings.split(',').filter_map(|part| part.trim().split_once('=')).find(|(other, _)| *other == name)
    };
    if setting("key").map(|(_, value)| value) != Some(key) {
        return Err(Untrusted::Wrong);
    }
    if !setting("algorithm").is_some_and(|(_, value)| value.eq_ignore_ascii_case("HMAC_SHA256")) {
        return Err(Untrusted::Unreadable(SETTINGS));
    }
    check(request, |signed, tag| is_hmac_sha256(secret.expose().as_bytes(), &[signed.as_bytes()], tag))
}

fn check(request: &Request<'_>, is_tag: impl Fn(&str, &[u8]) -> bool) -> Result<(), Untrusted> {
    let signature = request.header(SIGNATURE).or_else(|| request.header("x-signalwire-signature"));
    let signature = signature.ok_or(Untrusted::Missing(SIGNATURE))?;
    let tag = LENIENT.decode(signature).map_err(|_| Untrusted::Unreadable(SIGNATURE))?;
    let parameters = match body_digest(request.url) {
        Some(digest) => {
            let expected = hex(&Sha256::digest(request.body));
            if !bool::from(expected.as_bytes().ct_eq(digest.to_ascii_lowercase().as_bytes())) {
                return Err(Untrusted::Wrong);
            }
            String::new()
        }
        None => form(request),
    };
    let (with, without) = ports(request.url);
    // Both are always computed: the time does not tell which one matched.
    let matches = [with, without].map(|url| is_tag(&format!("{url}{parameters}"), &tag));
    if matches.contains(&true) { Ok(()) } else { Err(Untrusted::Wrong) }
}

/// The digest of a body that is no form, which the query names.
fn body_digest(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    pairs(query).into_iter().find(|(name, _)| *name == "bodySHA256").map(|(_, digest)| decoded(digest))
}

/// Names and values, sorted by name, without anything between them. A value that repeats counts once.
fn form(request: &Request<'_>) -> String {
    let mut form = request.form();
    form.sort();
    form.dedup();
    form.into_iter().map(|(name, value)| name + &value).collect()
}

/// The address with its port and without.
fn ports(url: &str) -> (String, String) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), url.to_owned()) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let usual = if matches!(scheme, "https" | "wss") { 443 } else { 80 };
    // What is behind the last bracket of an IPv6 address can be a port.
    let host_end = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[host_end..].rfind(':') {
        Some(colon) => {
            let host = &authority[..host_end + colon];
            (url.to_owned(), format!("{scheme}://{host}{path}"))
        }
        None => (format!("{scheme}://{authority}:{usual}{path}"), url.to_owned()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
