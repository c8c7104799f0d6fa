//! The WebSocket handshake (RFC 6455, section 4.1), a client's side of it. Nothing of it is logged: it holds
//! the key.

use std::io::ErrorKind;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::http::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Request};
use sha1_smol::Sha1;

use super::auth::{ApiKey, Secrets};
use super::deadline::{Attempt, Phase};
use super::endpoint::{Endpoint, VALUE};
use super::error::ConnectError;
use super::http::{Answer, HeadError};
use super::refusal::{Refusal, message};
use crate::wire::Wire;
use crate::wire::stream::ByteStream;

/// The request, and what the answer must match.
pub(crate) struct Offer {
    request: Request<String>,
    accept: String,
    protocols: Vec<String>,
    secrets: Secrets,
}

/// Asks for the upgrade, and checks the answer.
pub(crate) async fn upgrade(
    attempt: &Attempt<'_>,
    stream: Box<dyn ByteStream>,
    offer: Offer,
) -> Result<Box<dyn Wire>, ConnectError> {
    let endpoint = attempt.endpoint;
    let (until, _) = attempt.limit(Phase::WebSocket);
    let Offer { request, accept, protocols, secrets } = offer;
    let answer = attempt.during(Phase::WebSocket, async {
        Answer::to(request, stream).await.map_err(|error| match error {
            // With TLS 1.3, a server tells only now that it wants another certificate of the client.
            HeadError::HungUp(source) if source.kind() == ErrorKind::InvalidData => {
                ConnectError::Tls { address: endpoint.address(), source }
            }
            HeadError::HungUp(error) => {
                ConnectError::HungUp { address: endpoint.address(), reason: error.to_string() }
            }
            HeadError::NotHttp(reason) => ConnectError::NotWebSocket { address: endpoint.address(), reason },
        })
    });
    let answer = answer.await?;
    if answer.status() != 101 {
        // Says who must act.
        let refusal = Refusal::read(answer, until).await;
        if let Some(error) = refusal.redirected(endpoint.address(), &secrets) {
            return Err(error);
        }
        let Refusal { status, retry_after, body, .. } = refusal;
        let message = message(&body, &secrets);
        return Err(match status {
            401 | 403 => ConnectError::KeyRefused { status, message },
            _ => ConnectError::Http { status, message, retry_after },
        });
    }
    check(&answer, &accept, &protocols)
        .map_err(|reason| ConnectError::NotWebSocket { address: endpoint.address(), reason })?;
    let upgraded = attempt.during(Phase::WebSocket, async { Ok(answer.into_stream().await) });
    let (stream, read) = upgraded.await?;
    Ok(endpoint.library().begin(stream, read, secrets).await)
}

impl Offer {
    /// A new one for each attempt.
    pub(crate) fn new(endpoint: &Endpoint, key: Option<&ApiKey>) -> Result<Self, ConnectError> {
        let mut headers = HeaderMap::new();
        let secrets = endpoint.add_headers(&mut headers, key)?;
        let nonce = STANDARD.encode(rand::random::<[u8; 16]>());
        let mut add = |name: &'static str, value: &str| {
            let value = HeaderValue::try_from(value);
            let bad = |_| ConnectError::BadHeader { name: name.to_owned(), reason: VALUE };
            value.map(|value| drop(headers.insert(name, value))).map_err(bad)
        };
        add("Connection", "Upgrade")?;
        add("Upgrade", "websocket")?;
        add("Sec-WebSocket-Version", "13")?;
        add("Sec-WebSocket-Key", &nonce)?;
        let mut protocols = Vec::new();
        if let Some(key) = endpoint.subprotocol_key(key) {
            let name = "Sec-WebSocket-Protocol";
            protocols.push("realtime".to_owned());
            protocols.push(format!("openai-insecure-api-key.{}", key.expose()));
            if endpoint.says_beta() {
                protocols.push("openai-beta.realtime-v1".to_owned());
            }
            // As a header's name, a subprotocol is a token.
            if protocols.iter().any(|protocol| HeaderName::try_from(protocol).is_err()) {
                return Err(ConnectError::BadHeader { name: name.to_owned(), reason: VALUE });
            }
            add(name, &protocols.join(", "))?;
        }
        let request = endpoint.request("GET", &endpoint.target(), headers, String::new())?;
        Ok(Self { request, accept: accept(&nonce), protocols, secrets })
    }
}

/// Checks that the server agreed to this handshake.
fn check(answer: &Answer, accept: &str, protocols: &[String]) -> Result<(), String> {
    if !answer.lists("upgrade", "websocket") || !answer.lists("connection", "upgrade") {
        return Err("it switches to another protocol".to_owned());
    }
    if answer.header("sec-websocket-accept") != Some(accept) {
        return Err("its Sec-WebSocket-Accept does not answer this handshake".to_owned());
    }
    if answer.header("sec-websocket-extensions").is_some_and(|extensions| !extensions.is_empty()) {
        return Err("it uses an extension that was not offered".to_owned());
    }
    match answer.header("sec-websocket-protocol") {
        Some(chosen) if !protocols.iter().any(|offered| offered == chosen) => {
            Err("it chose a subprotocol that was not offered".to_owned())
        }
        _ => Ok(()),
    }
}

/// The server's expected answer to a `Sec-WebSocket-Key`.
fn accept(nonce: &str) -> String {
    let mut hash = Sha1::from(nonce);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.digest().bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_as_the_rfc_says() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
