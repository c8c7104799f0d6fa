//! Errors for the code that gave a command: [`SendError`] and [`Error`].

use std::fmt;

use realtime_protocol::call::{
    Advice, CloseReason, Command, CommandError, Media, MediaError, Outcome, Refusal, ResponseEnd,
};
use realtime_protocol::error::ApiError;
use realtime_protocol::id::ResponseId;

/// What did not reach the session: a command, or media. `Debug` shows its name and size, and no words.
#[derive(Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to give")]
pub enum Unsent {
    /// A command.
    Command(Box<Command>),
    /// Media.
    Media(Box<Media>),
}

impl Unsent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Command(command) => command.name(),
            Self::Media(media) => media.name(),
        }
    }
}

impl fmt::Debug for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match self {
            Self::Command(command) => ("Command", command.size()),
            Self::Media(media) => ("Media", media.size()),
        };
        f.debug_struct(kind).field("name", &self.name()).field("bytes", &bytes).finish()
    }
}

/// A command, or media, that did not reach the session. It is handed back. `Debug` shows no words of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// More waits already than the client's bounds allow.
    #[error("cannot {}: the queue to the session is full", .unsent.name())]
    Full {
        /// What was given.
        unsent: Unsent,
    },
    /// The media's shape can't be right.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The session has ended.
    #[error("cannot {}: {}", .unsent.name(), ended(.reason.as_ref()))]
    Closed {
        /// What was given.
        unsent: Unsent,
        /// Why. `None`: the client's task was aborted.
        reason: Option<CloseReason>,
    },
}

impl SendError {
    /// What was given.
    pub fn into_unsent(self) -> Unsent {
        match self {
            Self::Full { unsent } | Self::Closed { unsent, .. } => unsent,
            Self::Media(MediaError { media, .. }) => Unsent::Media(Box::new(media)),
        }
    }

    /// Returns whether the same may succeed later in this session.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// Why a command did not do what it was for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It did not reach the session.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The session did not take it, and it had no effect. Correct the command, or wait if it is
    /// [retryable](realtime_protocol::call::Refusal::is_retryable).
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The session took it, and did not carry it out: it had to wait, and when its turn came it could not be
    /// right any more, or it was given up. Correct the command.
    #[error("the session did not carry it out: {reason}")]
    Declined {
        /// Why.
        reason: Refusal,
    },
    /// The server refused it.
    #[error("the server refused it: {error}")]
    Refused {
        /// The server's error.
        error: Box<ApiError>,
    },
    /// The response that was asked for is not whole: it failed, or was cancelled, cut off or lost.
    #[error("the response {response_id} is not whole: {end:?}")]
    NotCompleted {
        /// The response.
        response_id: ResponseId,
        /// How it ended. If it failed, it says whether to ask again.
        end: Box<ResponseEnd>,
    },
    /// The server did not answer in time. Whether it did what was asked is not known.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The session ended first.
    #[error("{}", ended(.reason.as_ref()))]
    Closed {
        /// Why. `None`: the client's task was aborted.
        reason: Option<CloseReason>,
    },
    /// The session answered with the outcome of another command. This is a bug of this crate.
    #[error("the session answered with another command's outcome")]
    Unexpected {
        /// What came.
        outcome: Box<Outcome>,
    },
}

impl Error {
    /// Why this side refused it, before or after it had to wait. `None`: it did not.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Command(CommandError { reason, .. }) | Self::Declined { reason } => Some(reason),
            _ => None,
        }
    }

    /// Returns whether the same command may succeed later in this session. After `TimedOut`, repeating it may
    /// do it twice.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Send(error) => error.is_retryable(),
            Self::Refused { error } => matches!(
                error.code_str(),
                "conversation_already_has_active_response" | "rate_limit_exceeded" | "server_error"
            ),
            Self::NotCompleted { end, .. } => {
                matches!(&**end, ResponseEnd::Lost | ResponseEnd::Failed { advice: Advice::Retry, .. })
            }
            Self::TimedOut => true,
            Self::Command(CommandError { reason, .. }) | Self::Declined { reason } => reason.is_retryable(),
            Self::Closed { .. } | Self::Unexpected { .. } => false,
        }
    }
}

fn ended(reason: Option<&CloseReason>) -> String {
    match reason {
        Some(reason) => format!("the session has ended: {reason}"),
        None => "the session has ended: the client's task was cut off".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_sent_is_shown_without_its_words() {
        let command = || {
            Box::new(Command::CreateItem {
                item: Box::new(realtime_protocol::item::Item::user_text("my secret")),
                after: None,
                respond: true,
            })
        };
        let unsent = Unsent::Command(command());
        for error in [
            Error::Send(SendError::Full { unsent: unsent.clone() }),
            Error::Send(SendError::Closed { unsent, reason: None }),
            Error::Command(CommandError { command: command(), reason: Refusal::Ended }),
        ] {
            let shown = format!("{error:?} {error:#?} {error}");
            assert!(shown.contains("create_item") && !shown.contains("secret"), "{shown}");
        }
    }
}
