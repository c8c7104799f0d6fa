//! Browser pages: whose requests are answered.
//!
//! Any page that is open on a developer's machine can send requests to this server, which asks for no key
//! unless told to. A browser says which page a request comes from, in the header `Origin`; other clients send
//! none.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::http::{Answer, Request};
use crate::options::Options;

/// The page that may read the answer. `None`: no page asks. Pages of this machine and those named by an
/// option may; others are refused with status 403.
pub(crate) fn check<'a>(request: &'a Request, options: &Options) -> Result<Option<&'a str>, Answer> {
    let is_allowed = |origin: &str| {
        let named =
            |allowed: &str| allowed == "*" || allowed.trim_end_matches('/').eq_ignore_ascii_case(origin);
        is_loopback(origin) || options.allowed_origins.iter().any(|allowed| named(allowed))
    };
    match request.headers("origin").find(|origin| !is_allowed(origin)) {
        Some(origin) => {
            let message =
                format!("Pages of the origin '{origin}' may not use this server. Allow it by an option.");
            Err(Answer::refusal(403, "origin_not_allowed", &message))
        }
        None => Ok(request.header("origin")),
    }
}

/// Returns whether a page comes from this machine itself.
fn is_loopback(origin: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return false;
    }
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => {
            if !host.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback()) {
                return false;
            }
            ("localhost", port.strip_prefix(':').unwrap_or(port))
        }
        None => rest.split_once(':').unwrap_or((rest, "")),
    };
    let host = host.to_ascii_lowercase();
    let is_local = host == "localhost" || host.ends_with(".localhost");
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (is_local || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_are_known() {
        for origin in [
            "http://localhost",
            "http://localhost:5173",
            "https://LOCALHOST:8443",
            "http://app.localhost:3000",
            "http://127.0.0.1:8080",
            "http://127.8.9.1",
            "http://[::1]:3000",
            "http://[::1]",
        ] {
            assert!(is_loopback(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "http://localhost.evil.example",
            "http://evil.example:80@localhost",
            "http://localhost:80@evil.example",
            "http://127.0.0.1.evil.example",
            "http://[::2]",
            "http://[::1].evil.example",
            "http://192.168.0.7",
            "http://0.0.0.0",
            "file://localhost",
            "chrome-extension://abc",
        ] {
            assert!(!is_loopback(origin), "{origin}");
        }
    }

    #[test]
    fn other_pages_are_refused_unless_an_option_names_them() {
        let check = |options: &Options, origin: &str| {
            let request = Request::test("GET", "/healthz", &[("Origin", origin)]);
            check(&request, options).map(|origin| origin.map(String::from)).map_err(|refusal| refusal.status)
        };
        let page = "https://app.example";
        assert_eq!(check(&Options::default(), page), Err(403));
        assert_eq!(check(&Options::default(), "null"), Err(403));
        let named = Options::default().allow_origin("https://App.example/");
        assert_eq!(check(&named, page), Ok(Some(page.into())));
        assert_eq!(check(&named, "https://app.example:444"), Err(403));
        assert_eq!(check(&Options::default().allow_origin("*"), "null"), Ok(Some("null".into())));
        let none = Request::test("GET", "/healthz", &[]);
        assert!(matches!(super::check(&none, &named), Ok(None)));
        let two =
            Request::test("GET", "/", &[("origin", "http://localhost"), ("origin", "https://evil.example")]);
        assert!(super::check(&two, &named).is_err());
    }
}
