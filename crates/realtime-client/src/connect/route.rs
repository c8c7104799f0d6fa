//! The route to a server: from an [`Endpoint`] to an open stream, by name, TCP, proxy and TLS.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use crate::connect::address::host_and_port;
use crate::connect::deadline::{Attempt, Phase};
use crate::connect::endpoint::Endpoint;
use crate::connect::error::ConnectError;
use crate::connect::tunnel::through;
use crate::wire::stream::ByteStream;

/// Opens a stream to the server: through a proxy if there is one, with TLS if the address asks for it.
pub(crate) async fn reach(attempt: &Attempt<'_>) -> Result<Box<dyn ByteStream>, ConnectError> {
    let endpoint = attempt.endpoint;
    let (host, port) = (endpoint.host(), endpoint.port());
    let stream = match endpoint.hop()? {
        Some(hop) => through(attempt, hop).await?,
        None => {
            let unreachable = |source| ConnectError::Unreachable { address: endpoint.address(), source };
            let tcp = async { tcp(host, port, attempt).await.map_err(unreachable) };
            attempt.during(Phase::Tcp, tcp).await?
        }
    };
    if !endpoint.is_tls() {
        return Ok(stream);
    }
    attempt.during(Phase::Tls, tls(endpoint, host, port, stream)).await
}

/// Connects to that host.
pub(super) async fn tcp(host: &str, port: u16, attempt: &Attempt<'_>) -> io::Result<Box<dyn ByteStream>> {
    let (end, _) = attempt.limit(Phase::Tcp);
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    let tcp = first_that_answers(&addresses, end).await?;
    // Without this, small appends wait up to 40 ms for the acknowledgement of earlier ones.
    tcp.set_nodelay(true)?;
    hold_little(&tcp);
    Ok(Box::new(tcp))
}

/// Limits the unsent data in the system's buffer: audio that waits there can't be dropped when it grows too
/// old.
#[cfg(any(target_os = "android", target_os = "linux"))]
fn hold_little(tcp: &TcpStream) {
    /// 0.5 s of PCM at 24 kHz, as base64.
    const UNSENT: u32 = 32 * 1024;
    if let Err(error) = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(%error, "the system may hold much that is not sent");
    }
}

#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn hold_little(_tcp: &TcpStream) {}

/// Tries one address after the other. A silent one gets its share of the time that is left.
async fn first_that_answers(addresses: &[SocketAddr], end: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let until = match u32::try_from(addresses.len() - index) {
            // The caller ends this attempt by its deadline, and reports the phase.
            Ok(1) => None,
            left => Some(now + end.saturating_duration_since(now) / left.unwrap_or(u32::MAX)),
        };
        let attempt = TcpStream::connect(address);
        let result = match until {
            Some(until) => timeout_at(until, attempt).await,
            None => Ok(attempt.await),
        };
        match result {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::Error::new(io::ErrorKind::TimedOut, format!("{address} does not answer")),
        }
    }
    Err(failure)
}

#[cfg(feature = "_rustls")]
pub(super) async fn tls(
    endpoint: &Endpoint,
    host: &str,
    port: u16,
    stream: Box<dyn ByteStream>,
) -> Result<Box<dyn ByteStream>, ConnectError> {
    let failed = |source| ConnectError::Tls { address: host_and_port(host, port), source };
    endpoint.trust().connect(host, stream).await.map_err(failed)
}

#[cfg(not(feature = "_rustls"))]
pub(super) async fn tls(
    _endpoint: &Endpoint,
    host: &str,
    port: u16,
    _stream: Box<dyn ByteStream>,
) -> Result<Box<dyn ByteStream>, ConnectError> {
    Err(ConnectError::NoTls { address: host_and_port(host, port) })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_address_of_a_name_is_tried() {
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let here = listener.local_addr().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        assert_eq!(first_that_answers(&[gone, here], end).await.unwrap().peer_addr().unwrap(), here);
        let error = first_that_answers(&[gone, gone], end).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(first_that_answers(&[], end).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
