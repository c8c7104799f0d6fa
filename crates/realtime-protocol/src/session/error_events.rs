//! What the server's errors do, and events that cannot be read.

use alloc::boxed::Box;
use alloc::string::String;

use crate::call::{
    Advice, CloseReason, ErrorClass, Event, Outcome, ResponseEnd, Warning, says_response_runs,
};
use crate::error::ApiError;
use crate::event::{ErrorEvent, Malformed};
use crate::field::Field;
use crate::session::Session;
use crate::session::answers::Await;
use crate::session::deadlines::Answer;

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
        self.fail(&error);
        let code = error.code_str();
        if matches!(class, ErrorClass::Session | ErrorClass::Account) {
            let reason = CloseReason::Fatal { code: code.into(), message: error.message_str().into() };
            self.tell(Event::ServerError { error: Box::new(error), class });
            self.close(reason);
        } else {
            self.tell(Event::ServerError { error: Box::new(error), class });
        }
    }

    /// Fails the request that an error names, and only that.
    fn fail(&mut self, error: &ApiError) {
        let event_id = error.event_id.value();
        if let Some(waiters) = self.retrievals.take_failed(event_id, error.code_str()) {
            return self.settle_all(waiters, &Outcome::Refused { error: Box::new(error.clone()) });
        }
        let occupied = says_response_runs(error);
        // Some servers do not say whom this error is for; only one request can have met a response.
        let unnamed = self.responses.requested().filter(|_| occupied);
        let unnamed = unnamed.or_else(|| self.updates.unnamed(error));
        let Some(event_id) = event_id.or(unnamed).cloned() else { return };
        if let Some(awaited) = self.answers.take_failed(&event_id) {
            self.seen.note(awaited.what.answer());
            match (awaited.what, awaited.id) {
                (Await::Updated, id) => self.update_refused(id, &event_id, error),
                // There was nothing to cancel any more.
                (Await::Cancelled(_), Some(id)) => self.settle(id, Outcome::Done),
                (_, Some(id)) => self.settle(id, Outcome::Refused { error: Box::new(error.clone()) }),
                (_, None) => {}
            }
        } else if self.updates.has(&event_id) {
            self.update_refused(None, &event_id, error); // the first one, for which another deadline counts
        } else if let Some(request) = self.responses.take_requested(&event_id) {
            if occupied && request.is_wanted() && !request.is_out_of_band() {
                self.responses.put_back(request, self.due(Answer::ResponseCreated));
            } else {
                self.settle_all(request.waiters, &Outcome::Refused { error: Box::new(error.clone()) });
            }
        }
    }

    /// An event that cannot be read still ends what it would have ended.
    pub(super) fn on_malformed(&mut self, event: Malformed) {
        let kind = event.kind.clone();
        self.tell(Event::Warning(Warning::Malformed { event }));
        if kind.as_deref() == Some("response.done")
            && let Some(id) = self.responses.running().cloned()
            && let Some(open) = self.responses.done(&id)
        {
            let error = ApiError::default().message("the server's response.done could not be read");
            let end = ResponseEnd::Failed { advice: Advice::Retry, error: Box::new(error) };
            self.end_response(open, end, None);
        }
    }
}
