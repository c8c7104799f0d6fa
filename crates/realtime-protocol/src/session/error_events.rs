//! What the server's errors and unreadable events do.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use crate::call::{
    Advice, CloseReason, ErrorClass, Event, Outcome, ResponseEnd, Warning, says_response_runs,
    says_server_fault,
};
use crate::error::ApiError;
use crate::event::{ErrorEvent, Malformed};
use crate::field::Field;
use crate::id::ItemId;
use crate::session::Session;
use crate::session::answers::Await;
use crate::session::deadlines::Answer;

/// How long a response may still go on after the server reported an error that names nothing.
const AFTER_A_FAULT: Duration = Duration::from_secs(3);

impl Session {
    pub(super) fn on_error(&mut self, event: ErrorEvent) {
        let error = match event.error {
            Field::Value(error) => error,
            // Some servers send a bare string, which is kept among the members that do not fit.
            Field::Absent | Field::Null => {
                let text =
                    event.extra.get("error").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
                ApiError { message: text.map_or(Field::Absent, Field::Value), ..ApiError::default() }
            }
        };
        let class = ErrorClass::of(&error);
        let answered = self.fail(&error);
        let code = error.code_str();
        if matches!(class, ErrorClass::Session | ErrorClass::Account) {
            let reason = CloseReason::Fatal { code: code.into(), message: error.message_str().into() };
            self.tell(Event::ServerError { error: Box::new(error), class, answered });
            self.close(reason);
        } else {
            self.tell(Event::ServerError { error: Box::new(error), class, answered });
        }
    }

    /// Fails the request that an error names, and only that one. Returns whether the outcome of the request
    /// tells everything about the error.
    fn fail(&mut self, error: &ApiError) -> bool {
        let event_id = error.event_id.value();
        let refused = || Outcome::Refused { error: Box::new(error.clone()) };
        if let Some(waiters) = self.retrievals.take_failed(event_id, error.code_str()) {
            self.settle_all(waiters, &refused());
            return true;
        }
        let occupied = says_response_runs(error);
        // Some servers do not say which request this error is for. Only one request can have met a running
        // response.
        let unnamed = self.responses.requested().filter(|_| occupied);
        let unnamed = unnamed.or_else(|| self.updates.unnamed(error));
        let Some(event_id) = event_id.or(unnamed).cloned() else {
            if says_server_fault(error) {
                let patience = self.options.deadlines.of(Answer::ResponseDone).after.min(AFTER_A_FAULT);
                self.responses.server_fault(self.now + patience);
            }
            return false;
        };
        if let Some(awaited) = self.answers.take_failed(&event_id) {
            self.seen.note(awaited.what.answer());
            match (awaited.what, awaited.id) {
                (Await::Updated, id) => return self.update_refused(id, &event_id, error),
                // There was nothing left to cancel.
                (Await::Cancelled(_), Some(id)) => self.settle(id, Outcome::Done),
                (_, Some(id)) => self.settle(id, refused()),
                (_, None) => return false,
            }
            return true;
        }
        if self.updates.has(&event_id) {
            return self.update_refused(None, &event_id, error); // the first update, which has its own deadline
        }
        let Some((request, begun)) = self.responses.take_requested(&event_id) else { return false };
        // If a running response was taken to be its answer, it must be another request's. The server answers
        // the user's turn itself, though it was told not to.
        if occupied && begun.is_some() && request.turn.is_some() && request.waiters.is_empty() {
            self.on_answered_twice();
            return true;
        }
        if occupied && request.is_wanted() && !request.is_out_of_band() {
            self.responses.put_back(request, self.due(Answer::ResponseCreated));
            return false;
        }
        if let Some(id) = begun {
            self.responses.fail(&id);
        }
        let answered = !request.waiters.is_empty();
        self.settle_all(request.waiters, &refused());
        answered
    }

    /// An event that cannot be read, or names nothing, still has the effect of its type.
    pub(super) fn on_malformed(&mut self, event: Malformed) {
        let kind = event.kind.clone();
        self.tell(Event::Warning(Warning::Malformed { event }));
        match kind.as_deref() {
            Some("response.done") => self.end_unread(),
            Some("conversation.item.deleted") => self.on_deleted(ItemId::default()),
            Some("conversation.item.truncated") => self.on_truncated(ItemId::default()),
            Some("input_audio_buffer.committed") => self.on_committed(None, Outcome::Done),
            _ => {}
        }
    }

    fn end_unread(&mut self) {
        if let Some(id) = self.responses.running().cloned()
            && let Some(open) = self.responses.end_response(&id)
        {
            let error = ApiError::default().message("the server's response.done could not be read");
            let end = ResponseEnd::Failed { advice: Advice::Retry, error: Box::new(error) };
            self.end_response(open, end, None);
        }
    }
}
