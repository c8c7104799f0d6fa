//! Access: keys by header, by subprotocol, or in Azure's header, and short-lived keys.

use realtime_protocol::session_config::SessionConfig;

use crate::http::{Answer, Request};
use crate::options::Options;

/// What a client came with.
#[derive(Debug)]
pub(crate) enum Access {
    /// A key, or no key if none is required.
    Key,
    /// A short-lived key, and the initial configuration of its sessions.
    Secret(Box<SessionConfig>),
}

/// Checks the key: status 401 if it is missing or wrong, 403 if it may not do this.
pub(crate) fn check(request: &Request, options: &Options) -> Result<Access, Answer> {
    let given = key(request);
    if let Some(given) = given {
        if options.forbidden_keys.iter().any(|key| **key == *given) {
            let message = "You have insufficient permissions for this operation.";
            return Err(Answer::refusal(403, "insufficient_permissions", message));
        }
        match options.registry.secret(given) {
            Some((ends, session)) if options.now() < ends => return Ok(Access::Secret(Box::new(session))),
            Some(_) => return Err(Answer::refusal(401, "invalid_api_key", "The client secret has expired.")),
            None => {}
        }
    }
    match &options.api_key {
        Some(key) if given != Some(key) => {
            let message = match given {
                Some(_) => "Incorrect API key provided.",
                None => "Missing bearer or basic authentication in header",
            };
            Err(Answer::refusal(401, "invalid_api_key", message))
        }
        _ => Ok(Access::Key),
    }
}

/// The key, wherever the client put it. Only Azure knows `api-key`.
pub(crate) fn key(request: &Request) -> Option<&str> {
    let is_azure = request.path.starts_with("/openai/");
    let azure = || request.header("api-key").or_else(|| request.query("api-key")).filter(|_| is_azure);
    let subprotocol = || {
        let mut offered = request.list("sec-websocket-protocol");
        offered.find_map(|protocol| protocol.strip_prefix("openai-insecure-api-key."))
    };
    bearer(request).or_else(subprotocol).or_else(azure).filter(|key| !key.is_empty())
}

/// The key of `Authorization: Bearer KEY`.
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, key) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
