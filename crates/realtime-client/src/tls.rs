//! TLS by rustls. The provider is named here and never taken from the process, where another crate's choice
//! would change this one's behaviour, or panic for want of one.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::socket::ByteStream;

/// Agrees on TLS 1.2 or 1.3 with the server of that name.
pub(crate) async fn connect(
    host: &str,
    stream: Box<dyn ByteStream>,
) -> io::Result<TlsStream<Box<dyn ByteStream>>> {
    let bad_name = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let name = ServerName::try_from(host.to_owned()).map_err(bad_name)?;
    TlsConnector::from(config()?).connect(name, stream).await
}

/// One configuration for all connections, so that they can resume each other's TLS sessions.
fn config() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A WebSocket begins as HTTP/1.1; a server left to choose might take HTTP/2.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}
