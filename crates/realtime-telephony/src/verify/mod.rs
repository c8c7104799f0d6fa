//! Whether a request is from the carrier: decided before the upgrade, and before anything is paid for.
//!
//! ```
//! use realtime_protocol::time::UnixTime;
//! use realtime_telephony::verify::{Proof, Request, Untrusted};
//!
//! let proof = Proof::Twilio { auth_token: "invented-auth-token-0123456789".into() };
//! let headers = [("X-Twilio-Signature", "2Mi6p27DjmRiA1qr5cnktD62fDY=")];
//! let request = Request::upgrade("wss://voice.example.com/ws", &headers);
//! assert_eq!(proof.verify(&request, UnixTime::from_secs(0)), Ok(()));
//!
//! let forged = Request::upgrade("wss://voice.example.com/other", &headers);
//! assert_eq!(proof.verify(&forged, UnixTime::from_secs(0)), Err(Untrusted::Wrong));
//! ```
//!
//! A signature covers the address under which the carrier reached us. Behind a proxy that is the public one:
//! take it from the configuration, and never from the header `Host`. Secrets are compared in constant time.

mod genesys;
mod jwt;
mod plain;
mod plivo;
mod standard;
mod telnyx;
mod twilio;

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use realtime_protocol::time::UnixTime;
use sha2::Sha256;

use crate::secret::Secret;

/// A request to us: the one that opens a WebSocket, or a webhook.
///
/// `Debug` shows the method alone.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// `GET` for an upgrade.
    pub method: &'a str,
    /// The address under which the carrier reached us, with its query: `wss://…` for an upgrade.
    pub url: &'a str,
    /// Names in any case, and values.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; empty for an upgrade.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The request that opens a WebSocket.
    pub const fn upgrade(url: &'a str, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { method: "GET", url, headers, body: &[] }
    }

    /// A webhook with a body.
    pub const fn post(url: &'a str, headers: &'a [(&'a str, &'a str)], body: &'a [u8]) -> Self {
        Self { method: "POST", url, headers, body }
    }

    /// The first header of a name, in any case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The parameters of the address.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        pairs(query).into_iter().map(|(name, value)| (decoded(name), decoded(value))).collect()
    }

    fn required(&self, name: &'static str) -> Result<&'a str, Untrusted> {
        self.header(name).ok_or(Untrusted::Missing(name))
    }

    /// The path with its query, and the authority, of the address.
    fn target(&self) -> (&'a str, &'a str) {
        let rest = self.url.split_once("://").map_or(self.url, |(_, rest)| rest);
        match rest.find(['/', '?']) {
            Some(end) => (&rest[end..], &rest[..end]),
            None => ("/", rest),
        }
    }

    /// The parameters of a form. None for another body.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        let is_form = self
            .header("content-type")
            .is_none_or(|kind| kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
        match std::str::from_utf8(self.body) {
            Ok(body) if is_form => {
                pairs(body).into_iter().map(|(name, value)| (decoded(name), decoded(value))).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What a carrier proves itself with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Proof {
    /// Twilio's signature, `X-Twilio-Signature`. SignalWire signs webhooks likewise, with its own header.
    Twilio {
        /// The account's auth token.
        auth_token: Secret,
    },
    /// Twilio's signature by a shared key: SHA-256, if the request names this key.
    TwilioShared {
        /// The key's name.
        key: String,
        /// The key.
        secret: Secret,
    },
    /// Plivo's signature, `X-Plivo-Signature-V3`.
    Plivo {
        /// The account's auth token.
        auth_token: Secret,
    },
    /// The signature of Telnyx's webhooks, `telnyx-signature-ed25519`.
    TelnyxWebhook {
        /// The account's public key, in base64.
        public_key: String,
    },
    /// The token that was given as `stream_auth_token` to Telnyx.
    TelnyxStream {
        /// The token.
        token: Secret,
    },
    /// Vonage's signed token (JWT, HS256).
    Vonage {
        /// The account's signature secret.
        signature_secret: Secret,
        /// The application that the token must name, if any.
        application_id: Option<String>,
    },
    /// Genesys' HTTP message signature and its `X-API-KEY`.
    Genesys {
        /// The API key.
        api_key: Secret,
        /// The client secret, in base64. `None`: the API key alone is checked.
        client_secret: Option<Secret>,
    },
    /// The signature of Standard Webhooks, by which OpenAI tells of incoming SIP calls: `webhook-signature`.
    StandardWebhook {
        /// The endpoint's secret (`whsec_…`).
        secret: Secret,
    },
    /// `Authorization: Basic`: Exotel, jambonz.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// `Authorization: Bearer`: SignalWire.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// A header of our own choice.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// A parameter of the query, for carriers that keep the query and can prove nothing else. It stands in
    /// logs of proxies.
    Query {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
}

impl Proof {
    /// Whether the secret of a Standard Webhook has a key in it: ask before a server listens. Of other proofs
    /// nothing is checked before a request comes.
    ///
    /// # Errors
    /// [`Untrusted::Configuration`]: each request would be refused.
    pub fn check(&self) -> Result<(), Untrusted> {
        match self {
            Self::StandardWebhook { secret } => standard::key(secret).map(drop),
            _ => Ok(()),
        }
    }

    /// Decides whether a request is from the carrier. `now` is the wall time, for signatures that expire.
    ///
    /// # Errors
    /// [`Untrusted`] says what is wrong, for a log. Tell the caller nothing but status 401 or 403.
    pub fn verify(&self, request: &Request<'_>, now: UnixTime) -> Result<(), Untrusted> {
        match self {
            Self::Twilio { auth_token } => twilio::verify(request, auth_token),
            Self::TwilioShared { key, secret } => twilio::verify_shared(request, key, secret),
            Self::Plivo { auth_token } => plivo::verify(request, auth_token),
            Self::TelnyxWebhook { public_key } => telnyx::verify(request, public_key, now),
            Self::TelnyxStream { token } => plain::header(request, "x-telnyx-streaming-auth-token", token),
            Self::Vonage { signature_secret, application_id } => {
                jwt::verify(request, signature_secret, application_id.as_deref(), now)
            }
            Self::Genesys { api_key, client_secret } => {
                genesys::verify(request, api_key, client_secret.as_ref(), now)
            }
            Self::StandardWebhook { secret } => standard::verify(request, secret, now),
            Self::Basic { user, password } => plain::basic(request, user, password),
            Self::Bearer { token } => plain::bearer(request, token),
            Self::Header { name, value } => plain::header(request, name, value),
            Self::Query { name, value } => plain::query(request, name, value),
        }
    }
}

/// Why a request is not trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// It does not have what it must carry.
    #[error("expected `{0}`, got a request without it")]
    Missing(&'static str),
    /// What it carries cannot be read.
    #[error("expected a readable `{0}`, got something else")]
    Unreadable(&'static str),
    /// What it carries is not what we know.
    #[error("expected the right signature or secret, got another one")]
    Wrong,
    /// It was signed too long ago, or in the future.
    #[error("expected a new signature, got one that is {age_secs} s old")]
    Expired {
        /// How old it is (s). Negative: it is of the future.
        age_secs: i64,
    },
    /// Our own key or secret cannot be read: correct the configuration.
    #[error("expected a readable `{0}` in the configuration, got something else")]
    Configuration(&'static str),
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Whether this is the HMAC-SHA256 of the parts, one after the other. Takes the same time for any tag of the
/// right length.
fn is_hmac_sha256(key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(tag).is_ok()
}

/// Whether a time is at most so many seconds ago, and at most so many ahead.
fn is_recent(signed_secs: i64, now: UnixTime, past: i64, future: i64) -> Result<(), Untrusted> {
    let now = i64::try_from(now.as_micros() / 1_000_000).unwrap_or(i64::MAX);
    let age_secs = now.saturating_sub(signed_secs);
    if (-future..=past).contains(&age_secs) { Ok(()) } else { Err(Untrusted::Expired { age_secs }) }
}

/// The parameters of a query or a form, as they are written.
fn pairs(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, ""))).collect()
}

/// A part of a query or a form, as it was before it was encoded. What is no UTF-8 is replaced.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        let hex = |offset: usize| (*bytes.get(index + offset)? as char).to_digit(16);
        match (byte, hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                index += 2;
            }
            (b'+', ..) => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests;
