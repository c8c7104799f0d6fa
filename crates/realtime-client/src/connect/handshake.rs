//! The WebSocket handshake (RFC 6455, section 4.1), a client's side of it. Nothing of it is logged: it holds
//! the key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1_smol::Sha1;
use tokio::time::Instant;

use crate::connect::auth::{ApiKey, Secrets};
use crate::connect::deadline::{Attempt, Phase};
use crate::connect::endpoint::{Endpoint, VALUE};
use crate::connect::error::ConnectError;
use crate::connect::http1::{Head, HeadError, RequestHead, is_token};
use crate::connect::refusal::{Refusal, message};
use crate::wire::Wire;
use crate::wire::stream::ByteStream;

/// The request, and what the answer must match.
pub(crate) struct Offer {
    request: Vec<u8>,
    accept: String,
    protocols: Vec<String>,
    secrets: Secrets,
}

/// Asks for the upgrade, and checks the answer.
pub(crate) async fn upgrade(
    attempt: &Attempt<'_>,
    mut stream: Box<dyn ByteStream>,
    offer: &Offer,
) -> Result<Box<dyn Wire>, ConnectError> {
    let endpoint = attempt.endpoint;
    let (until, _) = attempt.limit(Phase::WebSocket);
    let head = attempt.during(Phase::WebSocket, async {
        Head::exchange(&mut stream, &offer.request).await.map_err(|error| match error {
            HeadError::HungUp(reason) => ConnectError::HungUp { address: endpoint.address(), reason },
            HeadError::NotHttp(reason) => ConnectError::NotWebSocket { address: endpoint.address(), reason },
        })
    });
    let head = head.await?;
    if head.status != 101 {
        return Err(refusal(until, &mut stream, head, &offer.secrets).await);
    }
    offer
        .check(&head)
        .map_err(|reason| ConnectError::NotWebSocket { address: endpoint.address(), reason })?;
    Ok(endpoint.library().begin(stream, head.rest.into(), offer.secrets.clone()).await)
}

impl Offer {
    /// A new one for each attempt.
    pub(crate) fn new(endpoint: &Endpoint, key: Option<&ApiKey>) -> Result<Self, ConnectError> {
        let mut head = RequestHead::new("GET", &endpoint.target());
        let secrets = endpoint.add_headers(&mut head, key)?;
        let nonce = STANDARD.encode(rand::random::<[u8; 16]>());
        let mut protocols = Vec::new();
        if let Some(key) = endpoint.subprotocol_key(key) {
            protocols.push("realtime".to_owned());
            protocols.push(format!("openai-insecure-api-key.{}", key.expose()));
            if endpoint.says_beta() {
                protocols.push("openai-beta.realtime-v1".to_owned());
            }
        }
        let mut add = |name: &str, value: &str| match head.add(name, value) {
            true => Ok(()),
            false => Err(ConnectError::BadHeader { name: name.to_owned(), reason: VALUE }),
        };
        add("Connection", "Upgrade")?;
        add("Upgrade", "websocket")?;
        add("Sec-WebSocket-Version", "13")?;
        add("Sec-WebSocket-Key", &nonce)?;
        if !protocols.is_empty() {
            let name = "Sec-WebSocket-Protocol";
            if !protocols.iter().all(|protocol| is_token(protocol)) {
                return Err(ConnectError::BadHeader { name: name.to_owned(), reason: VALUE });
            }
            add(name, &protocols.join(", "))?;
        }
        Ok(Self { request: head.into_bytes(), accept: accept(&nonce), protocols, secrets })
    }

    /// Checks that the server agreed to this handshake.
    fn check(&self, head: &Head) -> Result<(), String> {
        if !head.lists("upgrade", "websocket") || !head.lists("connection", "upgrade") {
            return Err("it switches to another protocol".to_owned());
        }
        if head.header("sec-websocket-accept") != Some(&self.accept) {
            return Err("its Sec-WebSocket-Accept does not answer this handshake".to_owned());
        }
        if head.header("sec-websocket-extensions").is_some_and(|extensions| !extensions.is_empty()) {
            return Err("it uses an extension that was not offered".to_owned());
        }
        match head.header("sec-websocket-protocol") {
            Some(chosen) if !self.protocols.iter().any(|offered| offered == chosen) => {
                Err("it chose a subprotocol that was not offered".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// The server's expected answer to a `Sec-WebSocket-Key`.
fn accept(nonce: &str) -> String {
    let mut hash = Sha1::from(nonce);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.digest().bytes())
}

/// Says who must act on a status other than 101.
async fn refusal(
    end: Instant,
    stream: &mut Box<dyn ByteStream>,
    head: Head,
    secrets: &Secrets,
) -> ConnectError {
    let Refusal { status, retry_after, body } = Refusal::read(head, stream, end).await;
    let message = message(&body, secrets);
    match status {
        401 | 403 => ConnectError::KeyRefused { status, message },
        _ => ConnectError::Http { status, message, retry_after },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_as_the_rfc_says() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
