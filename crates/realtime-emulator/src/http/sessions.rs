//! The sessions of this server as JSON, for its page and for programs.

use crate::access::Access;
use crate::http::{Answer, Request};
use crate::options::Options;
use crate::origin;

/// `/emulator/sessions`: the sessions; `/emulator/sessions/NUMBER?after=CHANGE`: one of them with what was
/// said in it, and its events that are new or have changed since that change.
pub(super) fn answer(parts: &[&str], request: &Request, access: &Access, options: &Options) -> Answer {
    if let Err(refusal) = origin::check_host(request, options) {
        return refusal;
    }
    if let Access::Secret(_) = access {
        let message =
            "A short-lived key opens its own session only. The sessions are shown to the server's key.";
        return Answer::refusal(403, "insufficient_permissions", message);
    }
    let watch = &options.registry.watch;
    let shown = match parts {
        [] => Some(watch.list().to_string()),
        [number] => number.parse().ok().and_then(|number| {
            let after = request.query("after").and_then(|after| after.parse().ok());
            watch.session(number, after.unwrap_or_default())
        }),
        _ => None,
    };
    match shown {
        Some(json) => Answer::text(200, "application/json", json).header("Cache-Control", "no-store"),
        None => {
            let message = "This session is not known: it never was, or it ended before the last twenty did.";
            Answer::refusal(404, "session_not_found", message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::answer;

    #[test]
    fn sessions_are_shown_to_the_key_and_to_no_strange_page() {
        let options = Options::default().api_key("sk-1");
        let status = |path: &str, headers: &[(&str, &str)]| {
            answer(&Request::test("GET", path, headers), &options).status
        };
        let key = ("authorization", "Bearer sk-1");
        assert_eq!(status("/emulator/sessions", &[key, ("host", "127.0.0.1:8765")]), 200);
        assert_eq!(status("/emulator/sessions", &[key]), 200);
        assert_eq!(status("/emulator/sessions", &[("host", "127.0.0.1:8765")]), 401);
        assert_eq!(status("/emulator/sessions", &[key, ("host", "evil.example:8765")]), 403);
        assert_eq!(status("/emulator/sessions/0", &[key]), 404);
        assert_eq!(status("/emulator/sessions/x", &[key]), 404);
        assert_eq!(status("/emulator/sessions/0/0", &[key]), 404);
        assert_eq!(status("/emulator/others", &[key]), 404);
        assert_eq!(answer(&Request::test("POST", "/emulator/sessions", &[key]), &options).status, 405);
        let session = realtime_protocol::session_config::SessionConfig::realtime();
        let dialect = realtime_protocol::event::Dialect::Ga;
        let (secret, _) = options.registry.add_secret(&session, dialect, 60, options.now(), None);
        let secret = format!("Bearer {secret}");
        assert_eq!(status("/emulator/sessions", &[("authorization", secret.as_str())]), 403);
    }
}
