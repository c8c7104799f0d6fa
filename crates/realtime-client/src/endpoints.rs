//! Where a call can go: the list in which the supervisor's numbers count, and the attempts to get there.

use std::future::ready;

use realtime_protocol::session::DisconnectReason;

use crate::connect;
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::links::Connecting;
use crate::socket::Socket;

/// The endpoints of a call. The first attempt was made before its driver was, so that its error is the caller's.
pub(crate) struct Endpoints {
    first: Option<Result<Socket, DisconnectReason>>,
    list: Vec<Endpoint>,
}

impl Endpoints {
    /// An empty list makes a call that cannot connect again.
    pub(crate) const fn new(first: Result<Socket, DisconnectReason>, list: Vec<Endpoint>) -> Self {
        Self { first: Some(first), list }
    }

    /// Begins an attempt.
    pub(crate) fn connect(&mut self, endpoint: u32) -> Connecting {
        match (self.first.take(), self.list.get(endpoint as usize).cloned()) {
            (Some(first), _) => Box::pin(ready(first)),
            (None, Some(endpoint)) => {
                Box::pin(async move { connect::open(&endpoint).await.map_err(|error| failure(&error)) })
            }
            (None, None) => {
                let reason = "the stream that the client was given is used up".to_owned();
                Box::pin(ready(Err(DisconnectReason::Lost { reason })))
            }
        }
    }
}

/// What the supervisor is told of an attempt that failed.
pub(crate) fn failure(error: &ConnectError) -> DisconnectReason {
    let reason = chain(error);
    match error {
        ConnectError::KeyRefused { status, .. } | ConnectError::Http { status, .. } => {
            DisconnectReason::Refused { status: *status, reason }
        }
        _ => DisconnectReason::Lost { reason },
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
