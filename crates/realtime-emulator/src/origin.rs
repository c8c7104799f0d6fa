//! Browser pages: whose requests are answered.
//!
//! Any page that is open on a developer's machine can send requests to this server, which asks for no key
//! unless told to. A browser says which page a request comes from, in the header `Origin`; other clients send
//! none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::http::{Answer, Request};
use crate::options::Options;

/// The page that may read the answer. `None`: no page asks. Pages of this machine, those named by an option,
/// and this server's own page may; others are refused with status 403.
pub(crate) fn check<'a>(request: &'a Request, options: &Options) -> Result<Option<&'a str>, Answer> {
    let is_allowed = |origin: &str| {
        let named =
            |allowed: &str| allowed == "*" || allowed.trim_end_matches('/').eq_ignore_ascii_case(origin);
        is_loopback(origin)
            || is_own_page(origin, request)
            || options.allowed_origins.iter().any(|allowed| named(allowed))
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

/// Refuses a request to a host by a name that is not this server's. A page whose name was changed to mean
/// this machine sends no origin when it reads "its own" server, but it names its host.
pub(crate) fn check_host(request: &Request, options: &Options) -> Result<(), Answer> {
    let Some(host) = request.header("host") else { return Ok(()) };
    let named = |allowed: &str| {
        let allowed = allowed.trim_end_matches('/');
        allowed == "*" || allowed.split_once("://").is_some_and(|(_, name)| name.eq_ignore_ascii_case(host))
    };
    let is_here = is_loopback(&format!("http://{host}")) || address(host).is_some();
    if is_here || options.allowed_origins.iter().any(|allowed| named(allowed)) {
        return Ok(());
    }
    let message =
        format!("This server does not go by the name '{host}'. Allow 'http://{host}' by an option.");
    Err(Answer::refusal(403, "host_not_allowed", &message))
}

/// Returns whether a page comes from this server, which was asked for by its address. A name could mean this
/// server today and another one when the page was loaded; an address could not.
fn is_own_page(origin: &str, request: &Request) -> bool {
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    host.is_some_and(|host| address(host).is_some() && request.header("host") == Some(host))
}

/// The address of a host that is one, with or without a port.
fn address(host: &str) -> Option<IpAddr> {
    let (address, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (IpAddr::V6(address.parse().ok()?), port),
        None => {
            let end = host.find(':').unwrap_or(host.len());
            (IpAddr::V4(host[..end].parse().ok()?), &host[end..])
        }
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    (port.is_empty() || port.starts_with(':') && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some(address)
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

    #[test]
    fn the_servers_own_page_may_use_it_by_address_but_not_by_name() {
        let check = |host: &str, origin: &str| {
            let request = Request::test("GET", "/v1/realtime", &[("host", host), ("origin", origin)]);
            check(&request, &Options::default()).is_ok()
        };
        assert!(check("192.168.0.7:8765", "http://192.168.0.7:8765"));
        assert!(check("[2001:db8::1]:8765", "http://[2001:db8::1]:8765"));
        assert!(!check("192.168.0.7:8765", "http://192.168.0.7:80"));
        assert!(!check("192.168.0.7:8765", "http://192.168.0.8:8765"));
        assert!(!check("evil.example:8765", "http://evil.example:8765"));
        assert!(!check("192.168.0.7:8765", "ftp://192.168.0.7:8765"));
        assert!(!check("192.168.0.7:8765@x", "http://192.168.0.7:8765@x"));
    }

    #[test]
    fn a_host_is_known_by_address_or_by_an_options_name() {
        let check = |host: &str, options: &Options| {
            check_host(&Request::test("GET", "/", &[("host", host)]), options).is_ok()
        };
        let options = Options::default();
        for host in
            ["localhost:8765", "a.localhost", "127.0.0.1:1", "192.168.0.7", "[::1]:8765", "[2001:db8::1]"]
        {
            assert!(check(host, &options), "{host}");
        }
        for host in ["", "evil.example", "192.168.0.7.evil.example:80", "[x]:1", "1.2.3.4:x", "[::1]x"] {
            assert!(!check(host, &options), "{host}");
        }
        assert!(check("emulator:8765", &options.clone().allow_origin("http://Emulator:8765/")));
        assert!(check("emulator:8765", &options.clone().allow_origin("*")));
        assert!(!check("emulator", &options.allow_origin("http://emulator:8765")));
        assert!(check_host(&Request::test("GET", "/", &[]), &Options::default()).is_ok());
    }
}
