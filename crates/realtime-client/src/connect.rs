//! From an [`Endpoint`] to an open [`Socket`]: TCP, TLS and the WebSocket handshake under one deadline.

use std::io;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::{self, http};

use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::socket::{self, ByteStream, Socket};

/// The most of a refusal's text that an error repeats (characters).
const MAX_MESSAGE: usize = 300;

/// Connects by TCP, and TLS where the address asks for it.
pub(crate) async fn open(endpoint: &Endpoint) -> Result<Socket, ConnectError> {
    let request = request(endpoint)?;
    within_deadline(endpoint, async {
        let unreachable = |source| ConnectError::Unreachable { address: endpoint.address(), source };
        let tcp = TcpStream::connect((endpoint.host(), endpoint.port())).await.map_err(unreachable)?;
        // Without it small appends wait up to 40 ms for the acknowledgement of those before.
        tcp.set_nodelay(true).map_err(unreachable)?;
        let stream: Box<dyn ByteStream> =
            if endpoint.is_tls() { over_tls(endpoint, tcp).await? } else { Box::new(tcp) };
        handshake(endpoint, request, stream).await
    })
    .await
}

/// Does the WebSocket handshake alone, over a stream that is there already.
pub(crate) async fn over(endpoint: &Endpoint, stream: Box<dyn ByteStream>) -> Result<Socket, ConnectError> {
    let request = request(endpoint)?;
    within_deadline(endpoint, handshake(endpoint, request, stream)).await
}

async fn within_deadline(
    endpoint: &Endpoint,
    attempt: impl Future<Output = Result<Socket, ConnectError>>,
) -> Result<Socket, ConnectError> {
    let after = endpoint.deadline();
    match timeout(after, attempt).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::TimedOut { address: endpoint.address(), after }),
    }
}

#[cfg(feature = "tls")]
async fn over_tls(endpoint: &Endpoint, tcp: TcpStream) -> Result<Box<dyn ByteStream>, ConnectError> {
    let tls = |source| ConnectError::Tls { address: endpoint.address(), source };
    let stream = crate::tls::connect(endpoint.host(), tcp).await.map_err(tls)?;
    Ok(Box::new(stream))
}

#[cfg(not(feature = "tls"))]
async fn over_tls(endpoint: &Endpoint, _tcp: TcpStream) -> Result<Box<dyn ByteStream>, ConnectError> {
    Err(ConnectError::NoTls { address: endpoint.address() })
}

async fn handshake(
    endpoint: &Endpoint,
    request: Request,
    stream: Box<dyn ByteStream>,
) -> Result<Socket, ConnectError> {
    match client_async_with_config(request, stream, Some(socket::config())).await {
        Ok((stream, _response)) => Ok(Socket::new(stream)),
        Err(error) => Err(refusal(endpoint, error)),
    }
}

fn request(endpoint: &Endpoint) -> Result<Request, ConnectError> {
    let bad = |error: tungstenite::Error| ConnectError::BadUrl {
        url: endpoint.address(),
        reason: error.to_string(),
    };
    let mut request = endpoint.uri().clone().into_client_request().map_err(bad)?;
    request.headers_mut().extend(endpoint.headers()?);
    Ok(request)
}

/// Says who must act on a failed handshake.
fn refusal(endpoint: &Endpoint, error: tungstenite::Error) -> ConnectError {
    let address = endpoint.address();
    match error {
        tungstenite::Error::Http(response) => {
            let status = response.status().as_u16();
            let message = message(endpoint, &response);
            match response.status() {
                http::StatusCode::UNAUTHORIZED | http::StatusCode::FORBIDDEN => {
                    ConnectError::KeyRefused { status, message }
                }
                _ => ConnectError::Http { status, message },
            }
        }
        tungstenite::Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            ConnectError::HungUp { address, reason: "it sent no whole answer".to_owned() }
        }
        tungstenite::Error::Io(error) if error.kind() != io::ErrorKind::InvalidData => {
            ConnectError::HungUp { address, reason: error.to_string() }
        }
        error => ConnectError::NotWebSocket { address, reason: error.to_string() },
    }
}

/// The text that a server gives with an HTTP status, as far as it came together with the headers.
fn message(endpoint: &Endpoint, response: &Response) -> Option<String> {
    let body = String::from_utf8_lossy(response.body().as_deref()?);
    let json = serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default();
    let error = json.get("error").unwrap_or(&json);
    let text = error.get("message").unwrap_or(error).as_str().unwrap_or_else(|| body.trim());
    // A page is for browsers, and control characters are for nobody.
    if text.is_empty() || text.starts_with('<') {
        return None;
    }
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Some(endpoint.redact(&text).chars().take(MAX_MESSAGE).collect())
}
