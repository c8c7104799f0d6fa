//! The endpoints of a call, in the order of the call's endpoint numbers, and the attempts to connect to them.

use std::future::ready;

use realtime_protocol::call::{ConnectFailure, DisconnectReason};
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
                    let (failure, reason) = (ConnectFailure::Key, chain(&error));
                    DisconnectReason::NotConnected { failure, may_pass: true, reason }
                }
                error => failure(&error),
            })
        })
    }
}

/// What the call is told about a failed attempt.
pub(crate) fn failure(error: &ConnectError) -> DisconnectReason {
    let reason = chain(error);
    match error.failure() {
        Ok(failure) => DisconnectReason::NotConnected { failure, may_pass: error.is_retryable(), reason },
        Err((status, retry_after)) => DisconnectReason::Refused { status, reason, retry_after },
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use realtime_protocol::call::{CloseReason, DisconnectClass};

    use super::*;

    #[test]
    fn an_error_keeps_its_kind_and_whether_it_may_pass() {
        let address = || "h:443".to_owned();
        let tls = |kind| ConnectError::Tls { address: address(), source: io::Error::new(kind, "alert") };
        let unreachable = io::Error::from(io::ErrorKind::ConnectionRefused);
        for (error, kind, may_pass) in [
            (ConnectError::KeyExpired { since: Duration::ZERO }, ConnectFailure::Key, false),
            (ConnectError::NoKey { source: "nobody".into() }, ConnectFailure::Key, true),
            (ConnectError::NoTls { address: address() }, ConnectFailure::Endpoint, false),
            (
                ConnectError::Unreachable { address: address(), source: unreachable },
                ConnectFailure::Unreachable,
                true,
            ),
            (tls(io::ErrorKind::InvalidData), ConnectFailure::Tls, false),
            (tls(io::ErrorKind::ConnectionReset), ConnectFailure::Tls, true),
            (
                ConnectError::ProxyFailed { proxy: address(), reason: "none".to_owned() },
                ConnectFailure::Proxy,
                true,
            ),
        ] {
            let told = failure(&error);
            let DisconnectReason::NotConnected { failure, may_pass: told_to_pass, reason } = &told else {
                panic!("{error}: {told:?}")
            };
            assert_eq!((*failure, *told_to_pass, reason.as_str()), (kind, may_pass, chain(&error).as_str()));
            let class = DisconnectClass::of(&CloseReason::Disconnected(told));
            let expected = if may_pass { DisconnectClass::Transient } else { DisconnectClass::Configuration };
            assert_eq!(class, expected, "{error}");
        }
        let wait = Some(Duration::from_secs(7));
        let error = ConnectError::Http { status: 503, message: None, retry_after: wait };
        assert!(
            matches!(failure(&error), DisconnectReason::Refused { status: 503, retry_after, .. } if retry_after == wait)
        );
    }
}
