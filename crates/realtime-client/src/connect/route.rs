//! The route to a server: from an [`Endpoint`] to an open stream, by name, TCP, proxy and TLS.

use std::io;

use tokio::net::{TcpStream, lookup_host};

use crate::connect::address::host_and_port;
use crate::connect::deadline::{Attempt, Phase};
use crate::connect::endpoint::Endpoint;
use crate::connect::error::ConnectError;
use crate::connect::eyeballs::race;
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
            let tcp = async { tcp(host, port).await.map_err(unreachable) };
            attempt.during(Phase::Tcp, tcp).await?
        }
    };
    if !endpoint.is_tls() {
        return Ok(stream);
    }
    attempt.during(Phase::Tls, tls(endpoint, host, port, stream)).await
}

/// Connects to that host.
pub(super) async fn tcp(host: &str, port: u16) -> io::Result<Box<dyn ByteStream>> {
    let tcp = race(lookup_host((host, port)).await?.collect(), TcpStream::connect).await?;
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
