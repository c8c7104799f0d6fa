//! The endpoints of a call, in the order of the call's endpoint numbers, and the attempts to connect to them.

use std::future::ready;

use realtime_protocol::call::DisconnectReason;
use realtime_protocol::event::Dialect;

use crate::connect::{ConnectError, Dial, Endpoint};
use crate::links::Connecting;
use crate::wire::Wire;

/// The endpoints of a call, the first and its fallbacks.
pub(crate) struct Endpoints {
    /// The outcome of the first attempt. It was made before the driver, so that its error can be returned to
    /// the caller.
    latest: Option<Result<Box<dyn Wire>, DisconnectReason>>,
    first: Endpoint,
    fallbacks: Vec<Endpoint>,
    dial: Box<dyn Dial>,
}

impl Endpoints {
    /// An endpoint, the outcome of the first attempt to connect to it, and what makes the others.
    pub(crate) const fn new(
        attempt: Result<Box<dyn Wire>, DisconnectReason>,
        first: Endpoint,
        dial: Box<dyn Dial>,
    ) -> Self {
        Self { latest: Some(attempt), first, fallbacks: Vec::new(), dial }
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
        let endpoint = match number.checked_sub(1) {
            None => Some(&self.first),
            Some(index) => self.fallbacks.get(index as usize),
        };
        let Some(endpoint) = endpoint else {
            let reason = format!("there is no endpoint {number}");
            return Box::pin(ready(Err(DisconnectReason::Lost { reason })));
        };
        let asks_for_tokens = endpoint.asks_for_tokens();
        let attempt = self.dial.dial(number, endpoint);
        Box::pin(async move {
            attempt.await.map_err(|error| match error {
                // The next attempt asks for another token.
                ConnectError::KeyRefused { status: 401, .. } | ConnectError::KeyExpired { .. }
                    if asks_for_tokens =>
                {
                    DisconnectReason::Lost { reason: chain(&error) }
                }
                error => failure(&error),
            })
        })
    }
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
        ConnectError::CallNotFound { .. } => {
            DisconnectReason::Refused { status: 404, reason, retry_after: None }
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
