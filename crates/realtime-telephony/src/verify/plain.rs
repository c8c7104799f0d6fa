//! Secrets that a request carries as they are.

use base64::Engine as _;
use subtle::ConstantTimeEq as _;

use super::{Request, Untrusted, decoded, pairs};
use crate::json::LENIENT;
use crate::secret::Secret;

const AUTHORIZATION: &str = "authorization";

pub(super) fn basic(request: &Request<'_>, user: &str, password: &Secret) -> Result<(), Untrusted> {
    let encoded = credentials(request, "basic")?;
    let given = LENIENT.decode(encoded).map_err(|_| Untrusted::Unreadable(AUTHORIZATION))?;
    // As one text: the time does not tell whether the user exists.
    let expected = format!("{user}:{}", password.expose());
    if bool::from(expected.as_bytes().ct_eq(&given)) { Ok(()) } else { Err(Untrusted::Wrong) }
}

pub(super) fn bearer(request: &Request<'_>, token: &Secret) -> Result<(), Untrusted> {
    if token.is(bearer_token(request)?) { Ok(()) } else { Err(Untrusted::Wrong) }
}

pub(super) fn bearer_token<'a>(request: &Request<'a>) -> Result<&'a str, Untrusted> {
    credentials(request, "bearer")
}

pub(super) fn header(request: &Request<'_>, name: &str, value: &Secret) -> Result<(), Untrusted> {
    let given = request.header(name).ok_or(Untrusted::Missing("the header with the token"))?;
    if value.is(given) { Ok(()) } else { Err(Untrusted::Wrong) }
}

pub(super) fn query(request: &Request<'_>, name: &str, value: &Secret) -> Result<(), Untrusted> {
    let (_, query) = request.url.split_once('?').ok_or(Untrusted::Missing("the query with the token"))?;
    let given =
        pairs(query).into_iter().find(|(other, _)| decoded(other) == name).map(|(_, value)| decoded(value));
    let given = given.ok_or(Untrusted::Missing("the query with the token"))?;
    if value.is(&given) { Ok(()) } else { Err(Untrusted::Wrong) }
}

/// What stands behind the scheme of `Authorization`.
fn credentials<'a>(request: &Request<'a>, scheme: &str) -> Result<&'a str, Untrusted> {
    let value = request.required(AUTHORIZATION)?;
    let (given, credentials) = value.split_once(' ').ok_or(Untrusted::Unreadable(AUTHORIZATION))?;
    if !given.eq_ignore_ascii_case(scheme) {
        return Err(Untrusted::Unreadable(AUTHORIZATION));
    }
    Ok(credentials.trim())
}
