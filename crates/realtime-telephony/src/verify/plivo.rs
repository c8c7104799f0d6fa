//! Plivo's signature, version 3: HMAC-SHA256 over the address, the parameters and a nonce.
//!
//! How the address of an upgrade is written is not documented: `wss://` and `https://` are both tried.

use base64::Engine as _;

use super::{Request, Untrusted, is_hmac_sha256, pairs};
use crate::json::LENIENT;
use crate::secret::Secret;

const SIGNATURE: &str = "x-plivo-signature-v3";
const NONCE: &str = "x-plivo-signature-v3-nonce";

pub(super) fn verify(request: &Request<'_>, auth_token: &Secret) -> Result<(), Untrusted> {
    let signatures = request.required(SIGNATURE)?;
    let nonce = request.required(NONCE)?;
    // There is one for each auth token of the account: while tokens change, any may match.
    let tags: Vec<Vec<u8>> =
        signatures.split(',').take(8).filter_map(|signature| LENIENT.decode(signature.trim()).ok()).collect();
    if tags.is_empty() {
        return Err(Untrusted::Unreadable(SIGNATURE));
    }
    let mut matches = false;
    for url in addresses(request.url) {
        let signed = canonical(&url, request);
        for tag in &tags {
            let parts = [signed.as_bytes(), b".", nonce.as_bytes()];
            matches |= is_hmac_sha256(auth_token.expose().as_bytes(), &parts, tag);
        }
    }
    if matches { Ok(()) } else { Err(Untrusted::Wrong) }
}

/// The address as it is, and with the other scheme of an upgrade.
fn addresses(url: &str) -> Vec<String> {
    let mut addresses = vec![url.to_owned()];
    for (one, other) in [("wss://", "https://"), ("https://", "wss://"), ("ws://", "http://")] {
        if let Some(rest) = url.strip_prefix(one) {
            addresses.push(format!("{other}{rest}"));
        }
    }
    addresses
}

/// The address with its query sorted; for a `POST` a point and the sorted parameters follow.
fn canonical(url: &str, request: &Request<'_>) -> String {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut query = pairs(query);
    query.sort_unstable();
    let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = query.join("&");
    let mut form = request.form();
    form.sort();
    let form: String = form.into_iter().map(|(name, value)| name + &value).collect();
    match (query.is_empty(), form.is_empty() || request.method.eq_ignore_ascii_case("GET")) {
        (true, true) => address.to_owned(),
        (false, true) => format!("{address}?{query}"),
        (true, false) => format!("{address}.{form}"),
        (false, false) => format!("{address}?{query}.{form}"),
    }
}
