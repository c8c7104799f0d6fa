//! Under which address the server is reached: [`Address`].

use std::net::{IpAddr, SocketAddr};

use crate::Error;

/// Where the server is: for carriers, signatures, and pages of its own.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// `https://host` with port and path if there are any, without a slash at the end.
    base: String,
    /// The origins of this server's own pages.
    origins: Vec<String>,
    /// Whether others than this machine reach it.
    is_open: bool,
}

impl Address {
    /// The address of a server that listens there. `public`: the address under which others reach it.
    ///
    /// # Errors
    /// The public address cannot be used.
    pub(super) fn new(public: Option<&str>, listen: SocketAddr, has_tls: bool) -> Result<Self, Error> {
        let scheme = if has_tls { "https" } else { "http" };
        let port = listen.port();
        let at = |host: &str| format!("{scheme}://{host}{}", port_of(scheme, port));
        let mut origins: Vec<String> = ["127.0.0.1", "localhost", "[::1]"].map(at).to_vec();
        let own = at(&host_of(listen.ip()));
        if !origins.contains(&own) && !listen.ip().is_unspecified() {
            origins.push(own.clone());
        }
        let local = if listen.ip().is_unspecified() { at("127.0.0.1") } else { own };
        let Some(public) = public else {
            return Ok(Self { base: local, origins, is_open: !listen.ip().is_loopback() });
        };
        let base = public.trim().trim_end_matches('/').to_owned();
        let (scheme, rest) = base.split_once("://").unwrap_or(("", &base));
        let authority = rest.split('/').next().unwrap_or_default();
        let is_plain = base.chars().all(|letter| letter.is_ascii_graphic() && !"?#@\"<>".contains(letter));
        if !matches!(scheme, "http" | "https") || authority.is_empty() || !is_plain {
            return Err(format!(
                "expected an address such as https://voice.example.com in --public-url, got `{public}`"
            )
            .into());
        }
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let default = if scheme == "https" { ":443" } else { ":80" };
        let authority = authority.strip_suffix(default).unwrap_or(authority);
        origins.push(format!("{scheme}://{}", authority.to_ascii_lowercase()));
        Ok(Self { base, origins, is_open: !is_here || !listen.ip().is_loopback() })
    }

    /// The address of a path: `https://…`.
    pub(super) fn http(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The address of a path for WebSockets: `wss://…`.
    pub(super) fn ws(&self, path: &str) -> String {
        let rest = self.base.strip_prefix("http").unwrap_or(&self.base);
        format!("ws{rest}{path}")
    }

    /// The origins of this server's own pages.
    pub(super) fn origins(&self) -> &[String] {
        &self.origins
    }

    /// Returns whether others than this machine reach it.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }
}

fn port_of(scheme: &str, port: u16) -> String {
    match (scheme, port) {
        ("http", 80) | ("https", 443) => String::new(),
        _ => format!(":{port}"),
    }
}

fn host_of(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(public: Option<&str>, listen: &str) -> Address {
        Address::new(public, listen.parse().unwrap(), false).unwrap()
    }

    #[test]
    fn a_public_address_is_what_others_are_told() {
        let address = address(Some("https://Voice.example.com:443/calls/"), "127.0.0.1:8080");
        assert_eq!(address.http("/twilio"), "https://Voice.example.com:443/calls/twilio");
        assert_eq!(address.ws("/twilio"), "wss://Voice.example.com:443/calls/twilio");
        assert!(address.is_open());
        assert!(address.origins().contains(&"https://voice.example.com".to_owned()));
    }

    #[test]
    fn without_one_it_is_where_the_server_listens() {
        let local = address(None, "127.0.0.1:8080");
        assert_eq!((local.ws("/ws").as_str(), local.is_open()), ("ws://127.0.0.1:8080/ws", false));
        assert_eq!(local.origins()[1], "http://localhost:8080");
        let open = address(None, "0.0.0.0:80");
        assert_eq!((open.http("/").as_str(), open.is_open()), ("http://127.0.0.1/", true));
        assert!(address(None, "[2001:db8::1]:80").origins().contains(&"http://[2001:db8::1]".to_owned()));
        assert!(!address(Some("http://localhost:8080"), "127.0.0.1:8080").is_open());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in
            ["voice.example.com", "wss://h", "https://", "https://h?x=1", "https://u@h", "https://h h"]
        {
            let error = Address::new(Some(wrong), "127.0.0.1:80".parse().unwrap(), false).unwrap_err();
            assert!(error.to_string().contains("--public-url"), "{wrong}: {error}");
        }
    }
}
