//! Reads the bodies of the HTTP calls strictly: a member that is unknown or has the wrong shape is refused by
//! name.

use realtime_protocol::event::Dialect;
use realtime_protocol::field::Extra;
use realtime_protocol::http::{CallReferRequest, CallRejectRequest, ClientSecretRequest};
use realtime_protocol::session_config::SessionConfig;

use crate::connection::{Fault, no_unknown};
use crate::http::Request;

/// The body's text; an empty one stands for an object without members.
pub(super) fn json(request: &Request) -> &str {
    if request.body.is_empty() { "{}" } else { request.text() }
}

/// A session that is a whole body. Its contents are checked when it opens.
pub(super) fn session(text: &str, dialect: Dialect) -> Result<SessionConfig, Fault> {
    let session = SessionConfig::decode(text, dialect).map_err(|m| unreadable(&m.path, &m.reason))?;
    match session.mismatches().into_iter().next() {
        Some(mismatch) => {
            Err(unreadable(&dialect.paths(&format!("session.{}", mismatch.path)), &mismatch.reason))
        }
        None => Ok(session),
    }
}

pub(super) fn client_secret(request: &Request) -> Result<ClientSecretRequest, Fault> {
    let asked = ClientSecretRequest::decode(json(request)).map_err(|m| unreadable(&m.path, &m.reason))?;
    let mismatch = asked.mismatches().into_iter().next();
    checked(mismatch.map(|m| (m.path, m.reason)), &asked.extra)?;
    if let Some(after) = asked.expires_after.value() {
        no_unknown(&after.extra, "expires_after")?;
    }
    Ok(asked)
}

pub(super) fn reject(request: &Request) -> Result<CallRejectRequest, Fault> {
    let asked = CallRejectRequest::decode(json(request)).map_err(|m| unreadable(&m.path, &m.reason))?;
    let mismatch = asked.mismatches().into_iter().next();
    checked(mismatch.map(|m| (m.path, m.reason)), &asked.extra)?;
    if let Some(code) = asked.status_code.value().filter(|code| !(300..700).contains(*code)) {
        let message = format!("Invalid 'status_code': {code} is no SIP status of a refusal.");
        return Err(Fault::invalid_value("status_code", message));
    }
    Ok(asked)
}

pub(super) fn refer(request: &Request) -> Result<CallReferRequest, Fault> {
    let asked = CallReferRequest::decode(json(request)).map_err(|m| unreadable(&m.path, &m.reason))?;
    let mismatch = asked.mismatches().into_iter().next();
    checked(mismatch.map(|m| (m.path, m.reason)), &asked.extra)?;
    if asked.target_uri.is_empty() {
        return Err(Fault::missing("target_uri"));
    }
    Ok(asked)
}

fn checked(mismatch: Option<(String, String)>, extra: &Extra) -> Result<(), Fault> {
    match mismatch {
        Some((path, reason)) => Err(unreadable(&path, &reason)),
        None => no_unknown(extra, ""),
    }
}

fn unreadable(path: &str, reason: &str) -> Fault {
    let message = format!("Invalid body at '{path}': {reason}.");
    match (path, reason) {
        ("", _) => Fault::new("invalid_json", message),
        (path, "missing") => Fault::missing(path),
        (path, _) => Fault::new("invalid_type", message).param(path),
    }
}
