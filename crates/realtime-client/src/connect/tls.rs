//! TLS by rustls. The crypto provider is named here and never taken from the process default: another crate
//! could change that default, and using it without one panics.

use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::error::ConnectError;
use super::identity::Identity;
use crate::wire::stream::ByteStream;

/// Whom TLS trusts, besides the roots of this build's features: the certificate authority of a company, of an
/// inspecting proxy, or of a test. And who the client is, for servers that ask.
///
/// Clones share TLS sessions, so that later connections start faster: make one and give it to all endpoints.
#[derive(Clone)]
pub struct Tls {
    extra: Vec<CertificateDer<'static>>,
    roots: Roots,
    identity: Option<Identity>,
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

/// What is trusted besides the extra certificates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Roots {
    /// Those of the features `webpki-roots` and `platform-roots`.
    Features,
    None,
}

impl Tls {
    /// Also trusts all certificates in a PEM text.
    ///
    /// # Errors
    /// [`ConnectError::BadCertificate`] says what is wrong with the text.
    pub fn trust_pem(mut self, pem: impl AsRef<[u8]>) -> Result<Self, ConnectError> {
        let pem = pem.as_ref();
        let before = self.extra.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| bad(explain(&error)))?;
            self = self.trust_der(certificate.as_ref()).map_err(|error| match error {
                ConnectError::BadCertificate { reason } => bad(format!("one of the PEM text: {reason}")),
                other => other,
            })?;
        }
        if self.extra.len() > before {
            return Ok(self);
        }
        let has = |what: &[u8]| pem.windows(what.len()).any(|window| window == what);
        Err(bad(if has(b"PRIVATE KEY-----") {
            "the PEM text has a private key and no certificate".to_owned()
        } else if has(b"-----BEGIN ") {
            "the PEM text has no section CERTIFICATE".to_owned()
        } else {
            "this is no PEM: expected -----BEGIN CERTIFICATE-----".to_owned()
        }))
    }

    /// Also trusts a certificate in DER.
    ///
    /// # Errors
    /// [`ConnectError::BadCertificate`] if it is not a certificate.
    pub fn trust_der(mut self, der: impl AsRef<[u8]>) -> Result<Self, ConnectError> {
        let certificate = CertificateDer::from(der.as_ref().to_vec());
        let check = RootCertStore::empty().add(certificate.clone());
        check.map_err(|error| bad(format!("it cannot be read as DER: {error}")))?;
        self.extra.push(certificate);
        self.config = Arc::default();
        Ok(self)
    }

    /// Trusts only the certificates given by [`trust_pem`](Self::trust_pem) and
    /// [`trust_der`](Self::trust_der).
    #[must_use]
    pub fn no_other_roots(mut self) -> Self {
        self.roots = Roots::None;
        self.config = Arc::default();
        self
    }

    /// Shows this certificate to servers that ask for one (mutual TLS): a PEM text with the certificate and
    /// the chain up to what the server trusts, and one with its private key (PKCS#8, PKCS#1 or SEC1, without
    /// a password). A proxy that is reached by TLS gets it too, if it asks.
    ///
    /// # Errors
    /// [`ConnectError::BadClientCertificate`] says what is wrong with the texts, and that they do not belong
    /// together.
    pub fn client_certificate(
        mut self,
        chain_pem: impl AsRef<[u8]>,
        key_pem: impl AsRef<[u8]>,
    ) -> Result<Self, ConnectError> {
        self.identity = Some(Identity::from_pem(chain_pem.as_ref(), key_pem.as_ref(), &provider())?);
        self.config = Arc::default();
        Ok(self)
    }

    /// Does the TLS handshake (1.2 or 1.3) with the server of that name.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: Box<dyn ByteStream>,
    ) -> io::Result<Box<dyn ByteStream>> {
        let bad_name = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let name = ServerName::try_from(host.to_owned()).map_err(bad_name)?;
        let config = match self.config.get() {
            Some(config) => Arc::clone(config),
            None => {
                let tls = self.clone();
                // The system's roots are in files.
                let config =
                    tokio::task::spawn_blocking(move || tls.build()).await.map_err(io::Error::other)??;
                Arc::clone(self.config.get_or_init(|| config))
            }
        };
        Ok(Box::new(TlsConnector::from(config).connect(name, stream).await?))
    }

    fn build(&self) -> io::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        if self.roots == Roots::Features {
            add_roots(&mut roots);
        }
        roots.add_parsable_certificates(self.extra.iter().cloned());
        if roots.is_empty() {
            let nobody = "no certificate authority is trusted: enable a feature with roots, or name one";
            return Err(io::Error::new(io::ErrorKind::InvalidData, nobody));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some(identity) => config.with_client_cert_resolver(identity.resolver()),
            None => config.with_no_client_auth(),
        };
        // A WebSocket begins as HTTP/1.1; a server left to choose might take HTTP/2.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The roots of this build's features. All defaults share one configuration, so that connections can resume
/// each other's TLS sessions.
impl Default for Tls {
    fn default() -> Self {
        static CONFIG: LazyLock<Arc<OnceLock<Arc<ClientConfig>>>> = LazyLock::new(Arc::default);
        Self { extra: Vec::new(), roots: Roots::Features, identity: None, config: Arc::clone(&CONFIG) }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("extra", &self.extra.len())
            .field("roots", &self.roots)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "aws-lc-rs")]
pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// Adds the roots of this build's features.
#[cfg_attr(
    not(any(feature = "webpki-roots", feature = "platform-roots")),
    expect(clippy::missing_const_for_fn, unused_variables, reason = "without a feature there are no roots")
)]
pub(crate) fn add_roots(roots: &mut RootCertStore) {
    #[cfg(feature = "webpki-roots")]
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    #[cfg(feature = "platform-roots")]
    {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "cannot read a root certificate of the system");
        }
        roots.add_parsable_certificates(found.certs);
    }
}

const fn bad(reason: String) -> ConnectError {
    ConnectError::BadCertificate { reason }
}

/// What is wrong with a PEM text, in words: the library's errors show bytes as numbers.
pub(super) fn explain(error: &PemError) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match error {
        PemError::MissingSectionEnd { end_marker } => {
            format!("the PEM text lacks its -----END {}-----", text(end_marker))
        }
        PemError::IllegalSectionStart { line } => format!("the PEM text has a broken line {:?}", text(line)),
        PemError::Base64Decode(what) => format!("the PEM text is not base64: {what}"),
        other => format!("the PEM text cannot be read: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_pem_is_said() {
        let pem = |kind: &str, body: &str| format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n");
        for (text, reason) in [
            (String::new(), "expected -----BEGIN CERTIFICATE-----"),
            ("MIIB".to_owned(), "expected -----BEGIN CERTIFICATE-----"),
            (pem("PRIVATE KEY", "MIIB"), "a private key and no certificate"),
            (pem("CERTIFICATE REQUEST", "MIIB"), "no section CERTIFICATE"),
            (pem("CERTIFICATE", "!!!!"), "not base64"),
            (pem("CERTIFICATE", "MIIB"), "cannot be read as DER"),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n".to_owned(), "lacks its -----END CERTIFICATE-----"),
        ] {
            let error = Tls::default().trust_pem(&text).unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert!(!error.is_retryable());
        }
    }
}
