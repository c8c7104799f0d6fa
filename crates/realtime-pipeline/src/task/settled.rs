//! Answers of the session to the commands of a chain, under the chain's own ids.

use std::pin::Pin;
use std::task::{Context, Poll};

use realtime_client::{Error, Pending, SendError};
use realtime_protocol::call::{CloseReason, CommandError, CommandId, Outcome, Refusal};

/// The outcome of a command that is to come.
#[derive(Debug)]
pub(super) struct Settling {
    id: CommandId,
    pending: Pending,
}

impl Settling {
    pub(super) const fn new(id: CommandId, pending: Pending) -> Self {
        Self { id, pending }
    }
}

impl Future for Settling {
    type Output = (CommandId, Outcome);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id;
        Pin::new(&mut self.pending).poll(cx).map(|result| (id, outcome(result)))
    }
}

fn outcome(result: Result<Outcome, Error>) -> Outcome {
    match result {
        Ok(outcome) => outcome,
        Err(Error::Declined { reason } | Error::Command(CommandError { reason, .. })) => {
            Outcome::Declined { reason }
        }
        Err(Error::Refused { error }) => Outcome::Refused { error },
        Err(Error::TimedOut) => Outcome::TimedOut,
        Err(Error::Send(error)) => not_sent(error),
        Err(Error::Closed { reason }) => ended(reason),
        Err(Error::Unexpected { outcome }) => *outcome,
        Err(_) => ended(None),
    }
}

/// The outcome of a command that did not reach the session.
pub(super) fn not_sent(error: SendError) -> Outcome {
    match error {
        SendError::Closed { reason, .. } => ended(reason),
        _ => Outcome::Declined { reason: Refusal::TooManyWaiting { waiting: 0 } },
    }
}

/// The outcome of a command that the end of the session has overtaken.
pub(super) fn ended(reason: Option<CloseReason>) -> Outcome {
    reason.map_or(Outcome::Declined { reason: Refusal::Ended }, |reason| Outcome::Closed { reason })
}
