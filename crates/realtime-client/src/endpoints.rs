//! The endpoints of a call, in the order of the call's endpoint numbers, and the attempts to connect to them.

use std::future::ready;
use std::io;

use futures_util::future::BoxFuture;
use realtime_protocol::call::DisconnectReason;
use realtime_protocol::event::Dialect;

use crate::connect;
use crate::connect::deadline::{Attempt, Phase};
use crate::connect::endpoint::Endpoint;
use crate::connect::error::ConnectError;
use crate::links::Connecting;
use crate::wire::websockets::{ByteStream, Socket};

/// Opens a stream for each attempt to connect, in place of TCP and TLS.
pub(crate) type Streams = Box<dyn FnMut() -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> + Send>;

/// The endpoints of a call, the first and its fallbacks.
pub(crate) struct Endpoints {
    /// The outcome of the first attempt. It was made before the driver, so that its error can be returned to
    /// the caller.
    latest: Option<Result<Socket, DisconnectReason>>,
    first: Endpoint,
    /// Opens streams to the first endpoint, if the caller does that.
    streams: Option<Streams>,
    fallbacks: Vec<Endpoint>,
}

impl Endpoints {
    /// An endpoint, the outcome of the first attempt to connect to it, and the caller's streams to it, if
    /// any.
    pub(crate) const fn new(
        attempt: Result<Socket, DisconnectReason>,
        first: Endpoint,
        streams: Option<Streams>,
    ) -> Self {
        Self { latest: Some(attempt), first, streams, fallbacks: Vec::new() }
    }

    pub(crate) const fn first(&self) -> &Endpoint {
        &self.first
    }

    pub(crate) fn extend(&mut self, fallbacks: impl IntoIterator<Item = Endpoint>) {
        self.fallbacks.extend(fallbacks);
    }

    /// The dialect of each.
    pub(crate) fn dialects(&self) -> Vec<Dialect> {
        std::iter::once(&self.first).chain(&self.fallbacks).map(Endpoint::dialect).collect()
    }

    /// Begins an attempt.
    pub(crate) fn connect(&mut self, number: u32) -> Connecting {
        if let Some(attempt) = self.latest.take() {
            return Box::pin(ready(attempt));
        }
        let (endpoint, streams) = match number.checked_sub(1) {
            None => (Some(&self.first), self.streams.as_mut()),
            Some(index) => (self.fallbacks.get(index as usize), None),
        };
        let Some(endpoint) = endpoint.cloned() else {
            let reason = format!("there is no endpoint {number}");
            return Box::pin(ready(Err(DisconnectReason::Lost { reason })));
        };
        let stream = streams.map(|open| open());
        Box::pin(async move {
            let attempt = match stream {
                Some(stream) => over(&endpoint, stream).await,
                None => connect::open(&endpoint).await,
            };
            attempt.map_err(|error| match error {
                // The next attempt asks for another token.
                ConnectError::KeyRefused { status: 401, .. } | ConnectError::KeyExpired { .. }
                    if endpoint.asks_for_tokens() =>
                {
                    DisconnectReason::Lost { reason: chain(&error) }
                }
                error => failure(&error),
            })
        })
    }
}

/// One attempt to connect over a stream that the caller opens, which may take as long as the rest of the
/// attempt.
pub(crate) async fn over(
    endpoint: &Endpoint,
    stream: impl Future<Output = io::Result<Box<dyn ByteStream>>>,
) -> Result<Socket, ConnectError> {
    let unreachable = |source| ConnectError::Unreachable { address: endpoint.address(), source };
    let stream = async { stream.await.map_err(unreachable) };
    let stream = Attempt::new(endpoint).during(Phase::Tcp, stream).await?;
    connect::over(endpoint, stream).await
}

/// What the call is told about a failed attempt.
pub(crate) fn failure(error: &ConnectError) -> DisconnectReason {
    let reason = chain(error);
    match error {
        ConnectError::KeyRefused { status, .. } => {
            DisconnectReason::Refused { status: *status, reason, retry_after: None }
        }
        ConnectError::Http { status, retry_after, .. } => {
            DisconnectReason::Refused { status: *status, reason, retry_after: *retry_after }
        }
        error if error.is_retryable() => DisconnectReason::Lost { reason },
        _ => DisconnectReason::Unusable { reason },
    }
}

/// An error's text with the texts of its causes: here it becomes data, and the causes would be lost.
fn chain(error: &ConnectError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
