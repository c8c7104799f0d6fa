//! Where a call can go: the list in which the supervisor's numbers count, and the attempts to get there.

use std::future::ready;

use realtime_protocol::event::Dialect;
use realtime_protocol::session::DisconnectReason;

use crate::connect;
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::links::Connecting;
use crate::socket::Socket;

/// The endpoints of a call, the first and its fallbacks.
pub(crate) struct Endpoints {
    /// How the first attempt ended. It was made before the driver was, so that its error can be the caller's.
    latest: Option<Result<Socket, DisconnectReason>>,
    first: Endpoint,
    /// Whether the first was reached over a stream that somebody gave, so that it cannot be reached again.
    given: bool,
    fallbacks: Vec<Endpoint>,
}

impl Endpoints {
    /// An endpoint and the outcome of the first attempt to connect to it.
    pub(crate) const fn new(attempt: Result<Socket, DisconnectReason>, first: Endpoint) -> Self {
        Self { latest: Some(attempt), first, given: false, fallbacks: Vec::new() }
    }

    /// A socket over a stream that was there already.
    pub(crate) const fn given(socket: Socket, first: Endpoint) -> Self {
        Self { latest: Some(Ok(socket)), first, given: true, fallbacks: Vec::new() }
    }

    pub(crate) const fn first(&self) -> &Endpoint {
        &self.first
    }

    pub(crate) fn extend(&mut self, fallbacks: impl IntoIterator<Item = Endpoint>) {
        self.fallbacks.extend(fallbacks);
    }

    /// What each of them speaks.
    pub(crate) fn dialects(&self) -> Vec<Dialect> {
        std::iter::once(&self.first).chain(&self.fallbacks).map(Endpoint::dialect).collect()
    }

    /// Begins an attempt.
    pub(crate) fn connect(&mut self, number: u32) -> Connecting {
        if let Some(attempt) = self.latest.take() {
            return Box::pin(ready(attempt));
        }
        let endpoint = match number.checked_sub(1) {
            None if self.given => None,
            None => Some(&self.first),
            Some(index) => self.fallbacks.get(index as usize),
        };
        let Some(endpoint) = endpoint.cloned() else {
            let reason = "the stream that the client was given is used up".to_owned();
            return Box::pin(ready(Err(DisconnectReason::Lost { reason })));
        };
        Box::pin(async move {
            connect::open(&endpoint).await.map_err(|error| match error {
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

/// What the supervisor is told of an attempt that failed.
pub(crate) fn failure(error: &ConnectError) -> DisconnectReason {
    let reason = chain(error);
    match error {
        ConnectError::KeyRefused { status, .. } | ConnectError::Http { status, .. } => {
            DisconnectReason::Refused { status: *status, reason }
        }
        error if error.is_retryable() => DisconnectReason::Lost { reason },
        _ => DisconnectReason::Unusable { reason },
    }
}

/// An error's text with those of its causes: here it becomes data, and the causes are lost otherwise.
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
