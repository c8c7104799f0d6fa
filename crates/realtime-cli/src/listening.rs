//! Where servers of this program listen, as command lines say it.

use std::net::SocketAddr;

/// Reads an address of this machine and a port.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    let here = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    here.as_deref().unwrap_or(text).parse().map_err(|_| {
        "expected an IP address and a port, such as 127.0.0.1:8080, or 0.0.0.0:8080 for all networks"
            .to_owned()
    })
}

/// Listens there.
#[cfg(feature = "serve")]
pub(crate) async fn bind(at: SocketAddr) -> Result<tokio::net::TcpListener, crate::Error> {
    let bound = tokio::net::TcpListener::bind(at).await;
    bound.map_err(|error| format!("cannot listen on {at}: {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_this_machine_a_name() {
        for (text, read) in
            [("127.0.0.1:80", "127.0.0.1:80"), ("localhost:8080", "127.0.0.1:8080"), ("[::1]:1", "[::1]:1")]
        {
            assert_eq!(listen(text), Ok(read.parse().unwrap()));
        }
        for text in ["8080", "localhost", "example.com:80", ""] {
            assert!(listen(text).is_err_and(|error| error.contains("such as 127.0.0.1:8080")), "{text}");
        }
    }
}
