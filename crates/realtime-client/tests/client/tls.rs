//! TLS over loopback, with a certificate authority of our own.

use std::error::Error as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use realtime_client::{Client, ClientOptions, ConnectError, Endpoint, Tls};
use realtime_protocol::call::Event;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::*;

#[tokio::test]
async fn a_server_of_a_private_authority_is_trusted_where_that_is_named() {
    let authority = Authority::new();
    let only = Tls::default().no_other_roots();
    for tls in [
        Tls::default().trust_pem(authority.pem()).unwrap(),
        only.clone().trust_pem(authority.pem()).unwrap(),
        only.trust_der(authority.0.der()).unwrap(),
    ] {
        let (listener, endpoint) = listen().await;
        let far = async {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut server = Server::accept(authority.serving("127.0.0.1").accept(tcp).await.unwrap()).await;
            server.open().await;
            server.expect_close().await;
        };
        let near = async {
            let (handle, mut events) =
                Client::connect(endpoint.tls(tls), ClientOptions::default()).await.unwrap().split();
            assert!(matches!(next(&mut events).await, Event::Created { .. }));
            assert!(matches!(next(&mut events).await, Event::Ready { .. }));
            handle.close().await.unwrap();
        };
        tokio::join!(far, near);
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_told_with_its_reason() {
    let authority = Authority::new();
    let trusting = Tls::default().trust_pem(authority.pem()).unwrap();
    for (tls, acceptor, reason) in [
        (Tls::default(), authority.serving("127.0.0.1"), "UnknownIssuer"),
        (trusting.clone(), authority.serving("elsewhere.example"), "not valid for name"),
        // It has the name of ours, and another key.
        (trusting.clone(), Authority::new().serving("127.0.0.1"), "BadSignature"),
        (trusting, authority.acceptor("127.0.0.1", 2001), "expired"),
    ] {
        let (listener, endpoint) = listen().await;
        let far = async {
            let (tcp, _) = listener.accept().await.unwrap();
            acceptor.accept(tcp).await.map(drop).unwrap_err()
        };
        let near = Client::connect(endpoint.tls(tls), ClientOptions::default());
        let (result, _) = tokio::join!(near, far);
        let error = result.unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }) && !error.is_retryable(), "{error:?}");
        let source = error.source().unwrap().to_string();
        assert!(source.contains(reason), "{source}");
    }
}

#[tokio::test]
async fn who_trusts_nobody_is_told_so() {
    let (listener, endpoint) = listen().await;
    let near = Client::connect(endpoint.tls(Tls::default().no_other_roots()), ClientOptions::default());
    let (result, accepted) = tokio::join!(near, listener.accept());
    let error = result.unwrap_err();
    assert!(accepted.is_ok() && !error.is_retryable());
    assert!(error.source().unwrap().to_string().contains("no certificate authority is trusted"));
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_it() {
    let (authority, other) = (Authority::new(), Authority::new());
    let trusting = Tls::default().trust_pem(authority.pem()).unwrap();
    let with = |(chain, key): (String, String)| trusting.clone().client_certificate(chain, key).unwrap();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let acceptor = authority.demanding("127.0.0.1", version);
        let (listener, endpoint) = listen().await;
        let far = async {
            let (tcp, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(tcp).await.unwrap();
            assert_eq!(stream.get_ref().1.peer_certificates().map(<[_]>::len), Some(1));
            Server::accept(stream).await.open().await;
        };
        let near = async {
            let endpoint = endpoint.tls(with(authority.client()));
            assert!(!format!("{endpoint:?}").contains("PRIVATE"));
            let (handle, mut events) =
                Client::connect(endpoint, ClientOptions::default()).await.unwrap().split();
            assert!(matches!(next(&mut events).await, Event::Created { .. }));
            assert!(matches!(next(&mut events).await, Event::Ready { .. }));
            handle
        };
        tokio::join!(far, near);

        for (tls, reasons) in [
            (trusting.clone(), ["CertificateRequired", "HandshakeFailure"]),
            (with(other.client()), ["DecryptError", "UnknownCA"]),
        ] {
            let (listener, endpoint) = listen().await;
            let far = async {
                let (tcp, _) = listener.accept().await.unwrap();
                // Kept: a connection that is closed at once may lose the alert.
                acceptor.accept(tcp).into_fallible().await.map(drop).unwrap_err()
            };
            let near = Client::connect(endpoint.tls(tls), ClientOptions::default());
            let (result, _) = tokio::join!(near, far);
            let error = result.unwrap_err();
            assert!(matches!(error, ConnectError::Tls { .. }) && !error.is_retryable(), "{error:?}");
            let source = error.source().unwrap().to_string();
            assert!(reasons.iter().any(|reason| source.contains(reason)), "{source}");
        }
    }
}

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server with a certificate for that name.
    pub(crate) fn serving(&self, name: &str) -> TlsAcceptor {
        self.acceptor(name, 4000)
    }

    /// A client's certificate and key.
    fn client(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["client".to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// A server that takes only clients with a certificate of this authority.
    fn demanding(&self, name: &str, version: &'static SupportedProtocolVersion) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let (certificate, key) = self.certificate(name, 4000);
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    fn acceptor(&self, name: &str, until: i32) -> TlsAcceptor {
        let (certificate, key) = self.certificate(name, until);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    fn certificate(&self, name: &str, until: i32) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

async fn listen() -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("wss://{}", listener.local_addr().unwrap());
    (listener, at(&base, "test-model").key(KEY))
}
