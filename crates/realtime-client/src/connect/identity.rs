//! Who the client is, for servers that ask for a certificate (mutual TLS). Nothing here shows the key.

use std::fmt;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error as TlsError, InconsistentKeys};

use super::error::ConnectError;
use super::tls::explain;

/// A certificate with its chain and its key.
#[derive(Clone)]
pub(super) struct Identity(Arc<SingleCertAndKey>);

impl Identity {
    /// Reads both, and checks that they belong together.
    pub(super) fn from_pem(
        chain: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, ConnectError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| bad(explain(&error)))?;
        if chain.is_empty() {
            return Err(bad("expected -----BEGIN CERTIFICATE----- in its chain".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            PemError::NoItemsFound => bad("expected a section PRIVATE KEY in its key".to_owned()),
            // The library's error may show a part of the key.
            _ => bad("its key cannot be read as PEM".to_owned()),
        })?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                bad("its key is another certificate's".to_owned())
            }
            error => bad(format!("it cannot be used: {error}")),
        })?;
        Ok(Self(Arc::new(certified.into())))
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::clone(&self.0) as Arc<dyn ResolvesClientCert>
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

const fn bad(reason: String) -> ConnectError {
    ConnectError::BadClientCertificate { reason }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    #[test]
    fn what_is_wrong_with_a_client_certificate_is_said_and_no_key_shows() {
        let made = || {
            let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["us".to_owned()]).unwrap();
            (cert.pem(), signing_key.serialize_pem())
        };
        let ((chain, key), (_, other)) = (made(), made());
        let broken = key.replacen('M', "!", 1);
        let read = |chain: &str, key: &str| {
            Identity::from_pem(chain.as_bytes(), key.as_bytes(), &rustls::crypto::ring::default_provider())
        };
        for (chain, key, reason) in [
            (chain.as_str(), other.as_str(), "its key is another certificate's"),
            (&chain, &chain, "expected a section PRIVATE KEY"),
            (&chain, &broken, "its key cannot be read"),
            (&key, &key, "expected -----BEGIN CERTIFICATE-----"),
            ("", &key, "expected -----BEGIN CERTIFICATE-----"),
        ] {
            let error = read(chain, key).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.is_mistake() && !error.is_retryable());
            let secret = key.lines().nth(1).unwrap();
            assert!(!format!("{error:?} {error}").contains(secret), "{error:?}");
        }
        let debug = format!("{:?}", read(&chain, &key).unwrap());
        assert_eq!(debug, "[redacted]");
    }
}
