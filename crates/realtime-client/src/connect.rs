//! From an [`Endpoint`] to an open [`Socket`]: key, TCP, TLS and the WebSocket handshake under one deadline.

use crate::deadline::{Attempt, Phase};
use crate::dial::dial;
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::handshake::{Offer, upgrade};
use crate::socket::{ByteStream, Socket};

/// Makes one attempt to connect.
pub(crate) async fn open(endpoint: &Endpoint) -> Result<Socket, ConnectError> {
    let attempt = Attempt::new(endpoint);
    let offer = offer(&attempt).await?;
    let stream = dial(&attempt).await?;
    upgrade(&attempt, stream, &offer).await
}

/// Does only the WebSocket handshake, over an existing stream.
pub(crate) async fn over(endpoint: &Endpoint, stream: Box<dyn ByteStream>) -> Result<Socket, ConnectError> {
    let attempt = Attempt::new(endpoint);
    let offer = offer(&attempt).await?;
    upgrade(&attempt, stream, &offer).await
}

async fn offer(attempt: &Attempt<'_>) -> Result<Offer, ConnectError> {
    let key = attempt.during(Phase::Key, attempt.endpoint.key_for_attempt()).await?;
    Offer::new(attempt.endpoint, key.as_ref())
}
