//! The way through a proxy: a tunnel by HTTP's `CONNECT` (RFC 9110, section 9.3.6) or by SOCKS5 (RFC 1928).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Request;
use tokio::time::Instant;

use super::auth::Secrets;
use super::deadline::{Attempt, Phase};
use super::error::ConnectError;
use super::http::{Answer, HeadError};
use super::proxy::{Hop, Kind, Login};
use super::refusal::{Refusal, message};
use super::route::{tcp, tls};
use crate::wire::stream::ByteStream;

/// A tunnel to the attempt's server through a proxy.
pub(super) async fn through(attempt: &Attempt<'_>, hop: &Hop) -> Result<Box<dyn ByteStream>, ConnectError> {
    let endpoint = attempt.endpoint;
    let unreachable = |source| ConnectError::ProxyUnreachable { proxy: hop.address(), source };
    let tcp = async { tcp(&hop.host, hop.port).await.map_err(unreachable) };
    let stream = attempt.during(Phase::Tcp, tcp).await?;
    if hop.kind == Kind::Socks5 {
        return attempt.during(Phase::Proxy, socks(attempt, hop, stream)).await;
    }
    let (until, _) = attempt.limit(Phase::Proxy);
    let answer = attempt.during(Phase::Proxy, async {
        let is_tls = hop.kind == Kind::Https;
        let stream = if is_tls { tls(endpoint, &hop.host, hop.port, stream).await? } else { stream };
        ask(hop, &endpoint.address(), stream).await
    });
    open(attempt, hop, answer.await?, until).await
}

/// Asks for a tunnel to `target`, a host with its port.
async fn ask(hop: &Hop, target: &str, stream: Box<dyn ByteStream>) -> Result<Answer, ConnectError> {
    let mut request = Request::connect(target).header("Host", target);
    if let Some(login) = &hop.login {
        request = request.header("Proxy-Authorization", format!("Basic {}", basic(login)));
    }
    let request = request.body(String::new()).map_err(|error| failed(hop, error.to_string()))?;
    Answer::to(request, stream).await.map_err(|error| match error {
        HeadError::HungUp(error) => failed(hop, error.to_string()),
        HeadError::NotHttp(reason) => failed(hop, reason),
    })
}

/// The tunnel that this answer opens, or the error if it opens none.
async fn open(
    attempt: &Attempt<'_>,
    hop: &Hop,
    answer: Answer,
    end: Instant,
) -> Result<Box<dyn ByteStream>, ConnectError> {
    if (200..300).contains(&answer.status()) {
        let opened = attempt.during(Phase::Proxy, async { Ok(answer.into_stream().await) });
        let (stream, read) = opened.await?;
        return if read.is_empty() {
            Ok(stream)
        } else {
            Err(failed(hop, "bytes follow its answer".to_owned()))
        };
    }
    let mut secrets = Secrets::default();
    if let Some(login) = &hop.login {
        secrets.add(&login.password);
        secrets.add(&basic(login));
    }
    let Refusal { status, body, .. } = Refusal::read(answer, end).await;
    let message = message(&body, &secrets);
    let (proxy, address) = (hop.address(), attempt.endpoint.address());
    Err(ConnectError::ProxyRefused { proxy, address, status, message })
}

fn basic(login: &Login) -> String {
    STANDARD.encode(format!("{}:{}", login.user, login.password))
}

fn failed(hop: &Hop, reason: String) -> ConnectError {
    ConnectError::ProxyFailed { proxy: hop.address(), reason }
}

/// A tunnel by SOCKS5. The proxy resolves the server's name.
#[cfg(feature = "socks")]
async fn socks(
    attempt: &Attempt<'_>,
    hop: &Hop,
    stream: Box<dyn ByteStream>,
) -> Result<Box<dyn ByteStream>, ConnectError> {
    use std::io::ErrorKind;
    use tokio_socks::Error;
    use tokio_socks::tcp::Socks5Stream;

    let endpoint = attempt.endpoint;
    let target = (endpoint.host(), endpoint.port());
    let tunnel = match &hop.login {
        Some(Login { user, password }) => {
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await
        }
        None => Socks5Stream::connect_with_socket(stream, target).await,
    };
    let refused = |reason: &str, is_passing| ConnectError::SocksRefused {
        proxy: hop.address(),
        address: endpoint.address(),
        reason: reason.to_owned(),
        is_passing,
    };
    tunnel.map(Socks5Stream::into_inner).map_err(|error| match error {
        Error::GeneralSocksServerFailure => refused("it failed", true),
        Error::NetworkUnreachable => refused("it cannot reach that network", true),
        Error::HostUnreachable => refused("it cannot reach that host", true),
        Error::ConnectionRefused => refused("the server refused its connection", true),
        Error::TtlExpired => refused("the server did not answer it", true),
        Error::ConnectionNotAllowedByRuleset => refused("its rules forbid it", false),
        Error::PasswordAuthFailure(_) => refused("it does not take the user and password", false),
        Error::NoAcceptableAuthMethods | Error::AuthorizationRequired => {
            refused("it wants another way to authenticate: expected none, or user and password", false)
        }
        Error::CommandNotSupported | Error::AddressTypeNotSupported => {
            refused("it does not support this kind of connection", false)
        }
        Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            failed(hop, "it sent no whole answer".to_owned())
        }
        Error::Io(error) => failed(hop, error.to_string()),
        other => failed(hop, format!("the answer is not SOCKS5: {other}")),
    })
}

/// Without the feature `socks`, no proxy of this kind can be named.
#[cfg(not(feature = "socks"))]
async fn socks(
    _attempt: &Attempt<'_>,
    hop: &Hop,
    _stream: Box<dyn ByteStream>,
) -> Result<Box<dyn ByteStream>, ConnectError> {
    Err(failed(hop, "this build has no SOCKS".to_owned()))
}
