//! Which connections go through a proxy, and through which one. The way through it is in `tunnel`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::{Parts, host_and_port, percent_decode, shown, split_port};
use super::error::ConnectError;

/// Which connections go through a proxy, and through which one: an HTTP proxy, asked for a tunnel by
/// `CONNECT`, or a SOCKS5 proxy.
///
/// An endpoint uses the environment's setting ([`from_env`](Self::from_env)) unless
/// [`Endpoint::proxy`](crate::Endpoint::proxy) sets another.
///
/// `Debug` shows no password.
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    tls: Route,
    plain: Route,
    direct: Vec<Direct>,
}

/// Where connections of a kind go.
#[derive(Clone, Debug, Default)]
enum Route {
    #[default]
    Direct,
    Through(Hop),
    /// The address is unusable. The error is reported when it is needed.
    Bad {
        proxy: String,
        reason: String,
    },
}

/// A proxy.
#[derive(Clone)]
pub(crate) struct Hop {
    pub(crate) kind: Kind,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) login: Option<Login>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Http,
    /// HTTP over TLS.
    Https,
    Socks5,
}

/// User and password.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// Hosts that are reached directly.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Direct {
    All,
    /// The name, and all that end in it after a dot.
    Name {
        name: String,
        port: Option<u16>,
    },
    Network {
        address: IpAddr,
        bits: u32,
        port: Option<u16>,
    },
}

impl Proxy {
    /// Every connection through this proxy: `http://user:password@host:port`, `https://` if the proxy itself
    /// is reached by TLS, or `socks5://` (feature `socks`). Write special characters of user and password as
    /// `%XX`. The proxy resolves the server's name; `socks5h://` is the same as `socks5://`.
    ///
    /// # Errors
    /// [`ConnectError::BadProxy`]: correct the address.
    pub fn new(url: &str) -> Result<Self, ConnectError> {
        let hop =
            Hop::parse(url).map_err(|reason| ConnectError::BadProxy { proxy: shown(url.trim()), reason })?;
        Ok(Self { tls: Route::Through(hop.clone()), plain: Route::Through(hop), direct: Vec::new() })
    }

    /// Every connection directly.
    pub fn none() -> Self {
        Self::default()
    }

    /// The environment's current setting.
    ///
    /// `HTTPS_PROXY` is for `wss://`, `HTTP_PROXY` for `ws://`, and `ALL_PROXY` for both if the specific one
    /// is missing. The lower-case names work too, and take precedence. `HTTP_PROXY` in upper case is ignored
    /// in a CGI program, where a request's header could set it. `NO_PROXY` lists what is reached directly:
    /// `*`, hosts with their subdomains, addresses, networks such as `10.0.0.0/8`, each with or without a
    /// port. The local machine is always reached directly.
    ///
    /// An unusable variable gives [`ConnectError::BadProxy`] when a connection needs it.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let either = |name: &str| set(&name.to_ascii_lowercase()).or_else(|| set(name));
        let http = set("http_proxy").or_else(|| {
            let is_cgi = set("REQUEST_METHOD").is_some();
            set("HTTP_PROXY").filter(|_| !is_cgi)
        });
        let all = either("ALL_PROXY");
        let route = |url: Option<String>| match url.or_else(|| all.clone()) {
            None => Route::Direct,
            Some(url) => match Hop::parse(&url) {
                Ok(hop) => Route::Through(hop),
                Err(reason) => Route::Bad { proxy: shown(url.trim()), reason },
            },
        };
        let mut direct = loopback();
        let listed = either("NO_PROXY").unwrap_or_default();
        direct.extend(listed.split([',', ' ', '\t']).filter_map(Direct::parse));
        Self { tls: route(either("HTTPS_PROXY")), plain: route(http), direct }
    }

    /// The proxy to that server. `None`: the connection is direct.
    pub(crate) fn hop(&self, is_tls: bool, host: &str, port: u16) -> Result<Option<&Hop>, ConnectError> {
        if self.direct.iter().any(|direct| direct.covers(host, port)) {
            return Ok(None);
        }
        match if is_tls { &self.tls } else { &self.plain } {
            Route::Direct => Ok(None),
            Route::Through(hop) => Ok(Some(hop)),
            Route::Bad { proxy, reason } => {
                Err(ConnectError::BadProxy { proxy: proxy.clone(), reason: reason.clone() })
            }
        }
    }
}

/// [`Proxy::new`]: every connection through this proxy.
impl FromStr for Proxy {
    type Err = ConnectError;

    fn from_str(url: &str) -> Result<Self, ConnectError> {
        Self::new(url)
    }
}

impl Hop {
    fn parse(url: &str) -> Result<Self, String> {
        let url = url.trim();
        let whole = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let parts = Parts::of(&whole)?;
        let (kind, port) = match parts.scheme.to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks5" | "socks5h" if cfg!(feature = "socks") => (Kind::Socks5, 1080),
            "socks5" | "socks5h" => {
                return Err("this build has no SOCKS (feature `socks` of realtime-client)".to_owned());
            }
            other => return Err(format!("expected http://, https:// or socks5://, got {other}://")),
        };
        let login = parts.user.map(|user| {
            let (user, password) = user.split_once(':').unwrap_or((user, ""));
            let decoded = |text| String::from_utf8_lossy(&percent_decode(text)).into_owned();
            Login { user: decoded(user), password: decoded(password) }
        });
        let fits = |text: &String| (1..=255).contains(&text.len());
        if let (Kind::Socks5, Some(login)) = (kind, &login)
            && !(fits(&login.user) && fits(&login.password))
        {
            return Err("expected a user and a password of 1 to 255 bytes each for SOCKS".to_owned());
        }
        Ok(Self { kind, host: parts.host.to_owned(), port: parts.port.unwrap_or(port), login })
    }

    /// Host and port, for errors.
    pub(crate) fn address(&self) -> String {
        host_and_port(&self.host, self.port)
    }
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Socks5 => "socks5",
        };
        let user = if self.login.is_some() { "[redacted]@" } else { "" };
        write!(f, "{scheme}://{user}{}", self.address())
    }
}

impl Direct {
    /// One element of `NO_PROXY`. An unreadable element matches nothing, as in other programs.
    fn parse(element: &str) -> Option<Self> {
        let element = element.trim();
        if element.is_empty() {
            return None;
        }
        if element == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = element.split_once('/') {
            return Some(Self::Network {
                address: address.parse().ok()?,
                bits: bits.parse().ok()?,
                port: None,
            });
        }
        if let Ok(address) = element.parse::<IpAddr>() {
            return Some(Self::Network { address, bits: 128, port: None });
        }
        let (host, port) = split_port(element.trim_start_matches("*")).ok()?;
        Some(match host.parse::<IpAddr>() {
            Ok(address) => Self::Network { address, bits: 128, port },
            Err(_) => Self::Name { name: host.trim_matches('.').to_ascii_lowercase(), port },
        })
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        let is_port = |own: &Option<u16>| own.is_none_or(|own| own == port);
        match self {
            Self::All => true,
            Self::Name { name, port } => {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                let below = host.strip_suffix(name.as_str());
                is_port(port) && below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Network { address, bits, port } => {
                is_port(port) && host.parse().is_ok_and(|host| is_within(host, *address, *bits))
            }
        }
    }
}

/// The local machine.
fn loopback() -> Vec<Direct> {
    ["localhost", "127.0.0.0/8", "::1"].into_iter().filter_map(Direct::parse).collect()
}

/// Returns whether the first bits of both are the same.
fn is_within(host: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (host, network) {
        (IpAddr::V4(host), IpAddr::V4(network)) => {
            let differs = host.to_bits() ^ network.to_bits();
            differs.leading_zeros() >= bits.min(32)
        }
        (IpAddr::V6(host), IpAddr::V6(network)) => {
            let differs = host.to_bits() ^ network.to_bits();
            differs.leading_zeros() >= bits.min(128)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(variables: &[(&str, &str)]) -> Proxy {
        Proxy::from_variables(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn way(proxy: &Proxy, is_tls: bool, host: &str) -> String {
        match proxy.hop(is_tls, host, 443) {
            Ok(Some(hop)) => format!("{hop:?}"),
            Ok(None) => "direct".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_kind_of_connection_has_its_variable() {
        let env = [("HTTPS_PROXY", "http://a"), ("HTTP_PROXY", "b:8080"), ("ALL_PROXY", "https://c")];
        let check = |env: &[(&str, &str)], tls: &str, plain: &str| {
            let proxy = proxy(env);
            assert_eq!((way(&proxy, true, "h").as_str(), way(&proxy, false, "h").as_str()), (tls, plain));
        };
        check(&env, "http://a:80", "http://b:8080");
        check(&env[2..], "https://c:443", "https://c:443");
        check(&env[1..2], "direct", "http://b:8080");
        check(&[("https_proxy", "x"), env[0]], "http://x:80", "direct");
        check(&[env[1], ("REQUEST_METHOD", "GET")], "direct", "direct");
        check(&[("HTTPS_PROXY", " ")], "direct", "direct");
        check(&[], "direct", "direct");
        let bad =
            "cannot use the proxy \"socks4://c:1\": expected http://, https:// or socks5://, got socks4://";
        check(&[("ALL_PROXY", "socks4://user:canary@c:1")], bad, bad);
        if cfg!(feature = "socks") {
            let socks = "socks5://[redacted]@c:1080";
            check(&[("ALL_PROXY", "socks5h://user:canary@c")], socks, socks);
            let bad = "cannot use the proxy \"socks5://c\": expected a user and a password of 1 to 255 bytes";
            assert!(way(&proxy(&[("ALL_PROXY", "socks5://canary@c")]), true, "h").starts_with(bad));
        }
    }

    #[test]
    fn what_no_proxy_lists_is_reached_directly() {
        for (list, host, is_direct) in [
            ("", "localhost", true),
            ("", "127.9.9.9", true),
            ("", "::1", true),
            ("", "example.com", false),
            ("*", "example.com", true),
            ("x, example.com", "api.Example.com", true),
            (".example.com", "example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("example.com", "notexample.com", false),
            ("example.com:443", "example.com", true),
            ("example.com:80", "example.com", false),
            ("10.0.0.0/8", "10.200.1.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/0", "11.0.0.1", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3:80", "10.1.2.3", false),
            ("fd00::/8", "fd12::1", true),
            ("[fd12::1]:443", "fd12::1", true),
            ("fd12::1", "fd12::2", false),
            ("10.0.0.0/x, ,/,a b:c", "h", false),
        ] {
            let proxy = proxy(&[("ALL_PROXY", "p"), ("NO_PROXY", list)]);
            assert_eq!(way(&proxy, true, host) == "direct", is_direct, "{list:?}: {host}");
        }
        assert_ne!(way(&Proxy::new("http://p").unwrap(), true, "localhost"), "direct");
    }

    #[test]
    fn passwords_are_decoded_and_do_not_show() {
        let hop = Hop::parse("http://us%40er:canary%zz@[::1]:3128/").unwrap();
        assert_eq!(format!("{hop:?}"), "http://[redacted]@[::1]:3128");
        let login = hop.login.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("us@er", "canary%zz"));
        let error = "http://user:canary@".parse::<Proxy>().unwrap_err();
        assert_eq!(error.to_string(), "cannot use the proxy \"http://\": there is no host");
        assert!(!format!("{error:?}").contains("canary"));
    }
}
