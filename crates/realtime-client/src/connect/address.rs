//! Reads the addresses of servers and proxies. Nothing is guessed, and an unusable address gives an error
//! that says why.

use std::net::Ipv6Addr;

/// The parts of `scheme://user@host:port/path?query#fragment`; the fragment is dropped.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    /// As it was written.
    pub(crate) scheme: &'a str,
    /// The part before an `@`.
    pub(crate) user: Option<&'a str>,
    /// As a resolver takes it: an IPv6 address without its brackets.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    /// Empty, or with its `/` before it.
    pub(crate) path: &'a str,
    /// Without its `?`.
    pub(crate) query: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits an address. The error says what is wrong, and repeats nothing that may be secret.
    pub(crate) fn of(text: &'a str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(format!(
                "the character {c:?} is not allowed: write it as %XX, or a host in punycode"
            ));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if !scheme.is_empty() && !scheme.contains(['/', '?', '#', '@']) => {
                (scheme, rest)
            }
            _ => return Err("there is no scheme before the host".to_owned()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let (host, port) = split_port(authority)?;
        Ok(Self { scheme, user, host, port, path, query })
    }
}

/// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(crate) fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) =
                rest.split_once(']').ok_or("the bracket of the IPv6 address does not close")?;
            host.parse::<Ipv6Addr>().map_err(|_| "there is no IPv6 address in the brackets")?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err("expected a port after the IPv6 address".to_owned()),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("there is no host".to_owned());
    }
    if let Some(c) = host.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._:".contains(*c))) {
        return Err(format!("a host cannot have the character {c:?}"));
    }
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse().map_err(|_| "the port is no number up to 65535")?),
    };
    Ok((host, port))
}

/// The address as errors may show it: without a user and without a query, either of which may be a key.
pub(crate) fn shown(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default()),
        None => text.rsplit('@').next().unwrap_or_default().to_owned(),
    }
}

/// `host:port`, with the host in brackets if it is an IPv6 address.
pub(crate) fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Appends `text` with everything but RFC 3986's unreserved characters as `%XX`.
pub(crate) fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

/// Decodes `%XX`; other text stays as it is.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        rest = after;
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits fit.
                out.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => out.push(*first),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_apart() {
        let parts = Parts::of("http://us%40er:p@[::1]:81/a/b?x=1&y#z").unwrap();
        assert_eq!((parts.scheme, parts.user, parts.host), ("http", Some("us%40er:p"), "::1"));
        assert_eq!((parts.port, parts.path, parts.query), (Some(81), "/a/b", "x=1&y"));
        let parts = Parts::of("ws://h?q").unwrap();
        assert_eq!((parts.host, parts.port, parts.path, parts.query), ("h", None, "", "q"));
        for (text, reason) in [
            ("", "it is empty"),
            ("h", "no scheme"),
            ("/a://h", "no scheme"),
            ("ws://", "no host"),
            ("ws://:80", "no host"),
            ("ws://h:x", "the port is no number"),
            ("ws://h:65536", "the port is no number"),
            ("ws://[::1", "does not close"),
            ("ws://[x]", "no IPv6 address"),
            ("ws://[::1]x", "expected a port"),
            ("ws://h_1,h", "the character ','"),
            ("ws://h/ä", "the character 'ä'"),
            ("ws://h/\n", "the character '\\n'"),
        ] {
            let error = Parts::of(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_shown_has_neither_user_nor_query() {
        assert_eq!(shown("ws://user:hidden@host/p?key=hidden#hidden"), "ws://host/p");
        assert_eq!(shown("user:hidden@host:1"), "host:1");
    }

    #[test]
    fn what_an_address_cannot_hold_is_escaped() {
        let mut encoded = String::new();
        percent_encode("a b/ü%", &mut encoded);
        assert_eq!(encoded, "a%20b%2F%C3%BC%25");
    }
}
