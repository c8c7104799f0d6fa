//! Genesys' HTTP message signature: HMAC-SHA256 over the lines of six components and of the parameters.
//!
//! The reference verifier wants `@authority` where the documents' example signs `host`: either is taken.

use base64::Engine as _;
use realtime_protocol::time::UnixTime;

use super::{Request, Untrusted, is_hmac_sha256, is_recent};
use crate::json::LENIENT;
use crate::secret::Secret;

const KEY: &str = "x-api-key";
const INPUT: &str = "signature-input";
const SIGNATURE: &str = "signature";

/// What a signature must cover, beside `@authority` or `host`.
const COVERED: [&str; 5] = [
    "@request-target",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
];

/// How old a signature may be, and how far our clocks may be apart (s).
const OLDEST: i64 = 10;
const SKEW: i64 = 10;

/// The shortest nonce (characters).
const SHORTEST_NONCE: usize = 22;

pub(super) fn verify(
    request: &Request<'_>,
    api_key: &Secret,
    client_secret: Option<&Secret>,
    now: UnixTime,
) -> Result<(), Untrusted> {
    let key = request.required(KEY)?;
    if !api_key.is(key) {
        return Err(Untrusted::Wrong);
    }
    let Some(client_secret) = client_secret else { return Ok(()) };
    let secret = LENIENT.decode(client_secret.expose().trim());
    let secret = secret.map_err(|_| Untrusted::Configuration("client_secret"))?;

    let input = Input::read(request.required(INPUT)?).ok_or(Untrusted::Unreadable(INPUT))?;
    let signatures = request.required(SIGNATURE)?;
    let tag = tag(signatures, input.label).ok_or(Untrusted::Unreadable(SIGNATURE))?;
    let covers = |name: &str| input.components.contains(&name);
    if !COVERED.into_iter().all(covers) || !(covers("@authority") || covers("host")) {
        return Err(Untrusted::Unreadable(INPUT));
    }
    if input.parameter("alg") != Some("hmac-sha256")
        || input.parameter("keyid") != Some(key)
        || input.parameter("nonce").is_none_or(|nonce| nonce.len() < SHORTEST_NONCE)
    {
        return Err(Untrusted::Unreadable(INPUT));
    }

    let mut base = String::new();
    for name in &input.components {
        let value = component(request, name).ok_or(Untrusted::Unreadable(INPUT))?;
        base.push_str(&format!("\"{name}\": {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {}", input.text));
    if !is_hmac_sha256(&secret, &[base.as_bytes()], &tag) {
        return Err(Untrusted::Wrong);
    }

    let time = |name| input.parameter(name).and_then(|secs| secs.parse::<i64>().ok());
    is_recent(time("created").ok_or(Untrusted::Unreadable(INPUT))?, now, OLDEST, SKEW)?;
    match time("expires") {
        Some(end) => is_recent(end, now, SKEW, i64::MAX - 1),
        None => Ok(()),
    }
}

/// The value of a component of the request.
fn component<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    let (target, authority) = request.target();
    match name {
        "@request-target" => Some(target),
        "@authority" => Some(authority),
        // The address that we know wins over what the request claims, which a proxy may have changed.
        "host" if !authority.is_empty() => Some(authority),
        "@method" => Some(request.method),
        name if name.starts_with('@') => None,
        name => request.header(name),
    }
}

/// `sig1=("a" "b");keyid="…";created=1`.
struct Input<'a> {
    label: &'a str,
    /// All behind the label: it is signed as it stands.
    text: &'a str,
    components: Vec<&'a str>,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Input<'a> {
    fn read(header: &'a str) -> Option<Self> {
        let (label, text) = header.split_once('=')?;
        let (list, mut rest) = text.strip_prefix('(')?.split_once(')')?;
        let mut components = Vec::new();
        for name in list.split_ascii_whitespace() {
            components.push(name.strip_prefix('"')?.strip_suffix('"')?);
        }
        let mut parameters = Vec::new();
        while let Some(parameter) = rest.strip_prefix(';') {
            let (name, value) = parameter.split_once('=')?;
            // A quoted value may have a semicolon in it.
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => value.split_at(value.find(';').unwrap_or(value.len())),
            };
            parameters.push((name.trim(), value));
            rest = after;
        }
        // A second signature, which would start with a comma, is not what Genesys sends.
        rest.is_empty().then_some(Self { label: label.trim(), text, components, parameters })
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }
}

/// The bytes of `sig1=:base64:`.
fn tag(header: &str, label: &str) -> Option<Vec<u8>> {
    let value = header.strip_prefix(label)?.strip_prefix("=:")?.strip_suffix(':')?;
    LENIENT.decode(value).ok()
}
