//! What happens to a call, in words that a page can show: no names, numbers or texts of the server's.

use realtime_protocol::call::{
    Advice, CloseReason, ConnectionEvent, DisconnectClass, ErrorClass, Event, Notice, ResponseEnd,
};

/// A word for programs, and words for people.
pub(super) type Words = (&'static str, &'static str);

/// What a page is told of an event besides words, tools and speech. `None`: nothing.
pub(super) fn of_event(event: &Event) -> Option<Words> {
    match event {
        Event::Connection(ConnectionEvent::Lost { retry_at: Some(_), .. }) => {
            Some(("model_lost", "The connection to the assistant was lost. It is being made again."))
        }
        Event::Connection(ConnectionEvent::Resumed { .. }) => {
            Some(("model_back", "The assistant can be reached again."))
        }
        Event::ResponseFinished(report) => match &report.end {
            ResponseEnd::Failed { advice: Advice::RetryLater, .. } => {
                Some(("busy", "The assistant is busy. Try again in a while."))
            }
            ResponseEnd::Failed { .. } => {
                Some(("answer_failed", "The assistant could not answer. Try again."))
            }
            _ => None,
        },
        Event::ServerError { class: ErrorClass::Request, answered: false, .. } => {
            Some(("request_failed", "Something that was asked of the assistant did not work."))
        }
        Event::UserTranscriptFailed { .. } => {
            Some(("not_transcribed", "What you said could not be written down."))
        }
        Event::Notice(Notice::BudgetNearlySpent { .. }) => Some(("nearly_over", "The call will end soon.")),
        _ => None,
    }
}

/// Why a session ended before its call did. `None`: it was asked for.
pub(super) fn of_close(reason: &CloseReason) -> Option<Words> {
    match DisconnectClass::of(reason) {
        _ if *reason == CloseReason::Requested => None,
        DisconnectClass::Account | DisconnectClass::Configuration => Some(UNAVAILABLE),
        DisconnectClass::Expired => Some(("expired", "The call has lasted as long as it may.")),
        _ => Some(("lost", "The connection to the assistant was lost.")),
    }
}

/// The run ended because it was over.
pub(super) const FINISHED: Words = ("finished", "The call is over.");
/// The run was ended.
pub(super) const CANCELLED: Words = ("cancelled", "The call was ended.");
/// A page speaks a later version than this side.
pub(super) const VERSION: Words = ("version", "This page is newer than its server. Load it again later.");
/// A page came back with a token that is not the call's.
pub(super) const TOKEN: Words = ("token", "There is no such call any more.");
/// A page said nothing.
pub(super) const SILENT: Words = ("silent", "The page said nothing for too long.");
/// Audio is dropped.
pub(super) const TOO_FAST: Words = ("too_fast", "audio came faster than it sounds, and some was dropped");
/// A text is dropped.
pub(super) const TOO_LONG: Words = ("too_long", "A message for this page was too long, and was dropped.");
/// There is no session.
pub(super) const UNAVAILABLE: Words = ("unavailable", "The assistant is not available.");
