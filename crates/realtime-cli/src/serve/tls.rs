//! TLS by a certificate and a key in files.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::Error;

/// What accepts TLS, without a `Debug` of its own.
#[derive(Clone)]
pub(super) struct Acceptor(pub(super) TlsAcceptor);

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
    }
}

/// What accepts TLS by this certificate, whose key is in the other file.
///
/// # Errors
/// One of them cannot be read, or they do not belong together. No error shows a part of the key.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> Result<Acceptor, Error> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificate)?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| {
        format!("{}: expected -----BEGIN CERTIFICATE-----, got something else", certificate.display())
    })?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| format!("{}: expected a private key in PEM, got something else", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| format!("{} and {}: {error}", certificate.display(), key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Acceptor(TlsAcceptor::from(Arc::new(config))))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    #[test]
    fn what_is_wrong_with_the_files_is_told_and_no_key_shows() {
        let folder = std::env::temp_dir().join(format!("realtime-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["us".to_owned()]).unwrap();
        let CertifiedKey { signing_key: other, .. } = generate_simple_self_signed(["us".to_owned()]).unwrap();
        let (cert, key) = (write("cert.pem", &cert.pem()), write("key.pem", &signing_key.serialize_pem()));
        let other = write("other.pem", &other.serialize_pem());
        assert!(acceptor(&cert, &key).is_ok());
        for (cert, key, expected) in [
            (&key, &key, "key.pem: expected -----BEGIN CERTIFICATE-----"),
            (&cert, &cert, "cert.pem: expected a private key in PEM"),
            (&cert, &other, "cert.pem and "),
            (&folder.join("none"), &key, "cannot read "),
        ] {
            let error = acceptor(cert, key).map(drop).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
