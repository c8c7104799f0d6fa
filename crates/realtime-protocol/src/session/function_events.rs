//! What the events of function calls do: each call is told once, or answered here if it must not run.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::arguments::read_arguments;
use crate::call::{Event, FunctionCall, FunctionEnd, FunctionOutput, Warning};
use crate::event::ResponseFunctionCallArgumentsDone;
use crate::field::Field;
use crate::id::{CallId, ResponseId, SessionId};
use crate::item::{FunctionCallItem, Item, ItemStatus};
use crate::session::Session;
use crate::session::call_key::call_key;
use crate::session::function_calls::Sight;
use crate::session::seen_calls::{SeenCall, SeenCalls, Told};

/// The facts about an ended response that decide about its calls.
pub(super) struct EndedResponse {
    pub(super) id: ResponseId,
    pub(super) out_of_band: bool,
    pub(super) spoke: bool,
    pub(super) completed: bool,
    /// Whether it had to call a function.
    pub(super) forced: bool,
}

/// A call that was read: it may run, or its arguments cannot be read; then with the text for the model.
enum Read {
    Runs(FunctionCall),
    Refused(FunctionCall, String),
}

impl Session {
    /// An item of a response is whole.
    pub(super) fn on_item_done(&mut self, response_id: Option<&ResponseId>, item: &Item) {
        self.note_call(response_id, item, Told::Whole);
        if let (Some(response_id), Item::FunctionCall(call)) = (response_id, item) {
            self.surface_early(response_id, call);
        }
    }

    /// Some servers announce a call only by this event, or name its function only in the item.
    pub(super) fn on_arguments_done(&mut self, event: ResponseFunctionCallArgumentsDone) {
        let response_id = self.response(event.response_id);
        let call = FunctionCallItem {
            id: Field::Value(event.item_id),
            call_id: event.call_id,
            name: event.name,
            arguments: event.arguments,
            extra: event.extra,
            ..FunctionCallItem::default()
        };
        self.on_item_done(response_id.as_ref(), &call.into());
    }

    /// Remembers what an event says about a function call of a response. Ignores items created by this side.
    pub(super) fn note_call(&mut self, response_id: Option<&ResponseId>, item: &Item, told: Told) {
        let Item::FunctionCall(call) = item else { return };
        let Some(response) = response_id.and_then(|id| self.responses.get_mut(id)) else { return };
        response.calls.note(call, told);
    }

    /// An item of the conversation is a function call: it is a call of the running response, unless this side
    /// has put it there.
    pub(super) fn note_placed_call(&mut self, item: &Item, told: Told) {
        let is_own = || item.id().is_some_and(|item_id| self.calls.is_own(&item_id));
        if matches!(item, Item::FunctionCall(_)) && !is_own() {
            let response_id = self.responses.running().cloned();
            self.note_call(response_id.as_ref(), item, told);
        }
    }

    /// Hands a call to the application while its response still runs, if the options allow it for this
    /// function.
    fn surface_early(&mut self, response_id: &ResponseId, item: &FunctionCallItem) {
        let Some(response) = self.responses.get_mut(response_id) else { return };
        if response.interrupted || self.options.early_functions.is_empty() || self.calls.room() == 0 {
            return;
        }
        let out_of_band = response.out_of_band;
        let Some(seen) = response.calls.note(item, Told::Whole).cloned() else { return };
        if !seen.name().is_some_and(|name| self.options.early_functions.contains(name)) {
            return;
        }
        let Some(call_id) = seen.call_id() else { return };
        let Read::Runs(call) = self.read_call(&call_id, &seen) else { return }; // answered when the response is done
        if seen.is_told {
            return;
        }
        if self.calls.see(&call) == Sight::New {
            if let Some(response) = self.responses.get_mut(response_id) {
                response.calls.note_told(&call_id);
            }
            let call = Arc::new(call);
            if !out_of_band {
                self.calls.open(response_id, [Arc::clone(&call)]);
            }
            let (response_id, calls) = (response_id.clone(), alloc::vec![call]);
            self.tell(Event::FunctionCalls { response_id, out_of_band, calls });
        }
    }

    /// Reads a call: its arguments must be a JSON object.
    fn read_call(&self, call_id: &CallId, seen: &SeenCall) -> Read {
        let session = self.config.id.value().map_or("", SessionId::as_str);
        let name = String::from(seen.name().unwrap_or_default());
        let call = |arguments: String| FunctionCall {
            key: call_key(session, call_id.as_str(), &name, &arguments),
            call_id: call_id.clone(),
            item_id: seen.item.id.value().cloned(),
            name: name.clone(),
            arguments,
        };
        match seen.arguments() {
            Ok(text) => match read_arguments(&text) {
                Ok((text, _)) => Read::Runs(call(text.into_owned())),
                Err(error) => {
                    let why = alloc::format!("expected the arguments to be a JSON object: {error}");
                    Read::Refused(call(text), why)
                }
            },
            Err(why) => Read::Refused(call(seen.arguments.said().into()), why),
        }
    }

    /// Hands a response's calls to the application, or answers those that must not run.
    pub(super) fn surface_calls(&mut self, response: &EndedResponse, seen: SeenCalls) {
        let mut runs = Vec::new();
        let mut refused = Vec::new();
        let mut left_out = seen.left_out();
        for seen in seen.into_calls() {
            let Some(call_id) = seen.call_id() else {
                let item_id = seen.item.id.value().cloned();
                self.tell(Event::Warning(Warning::FunctionCallLost { item_id, call_id: None }));
                continue;
            };
            if seen.is_told {
                continue;
            }
            let lost = Warning::FunctionCallLost {
                item_id: seen.item.id.value().cloned(),
                call_id: Some(call_id.clone()),
            };
            let read = self.read_call(&call_id, &seen);
            let (Read::Runs(call) | Read::Refused(call, _)) = &read;
            if self.calls.see(call) == Sight::Seen {
                if response.completed {
                    self.tell(Event::Warning(lost));
                }
                continue;
            }
            if response.completed && seen.name().is_none() {
                self.tell(Event::Warning(lost));
            }
            let is_cut = seen.item.status.value() == Some(&ItemStatus::Incomplete);
            match read {
                Read::Runs(call) | Read::Refused(call, _) if !response.completed => {
                    // The conversation holds the call only if its item is complete.
                    if seen.item.status.value() == Some(&ItemStatus::Completed) && !response.out_of_band {
                        let output = FunctionOutput::Cancelled;
                        self.answer_call(None, Arc::new(call), &output, FunctionEnd::NotCompleted);
                    }
                }
                Read::Runs(call) if is_cut => {
                    let why = String::from("expected a whole call, got one that the server calls incomplete");
                    refused.push((call, FunctionOutput::Error(why.clone()), FunctionEnd::BadArguments(why)));
                }
                Read::Runs(call) if seen.name().is_none() => {
                    refused.push((call, FunctionOutput::Unknown, FunctionEnd::Unknown));
                }
                Read::Runs(call) => runs.push(Arc::new(call)),
                Read::Refused(call, why) => {
                    refused.push((call, FunctionOutput::Error(why.clone()), FunctionEnd::BadArguments(why)));
                }
            }
        }
        if !response.out_of_band && runs.len() > self.calls.room() {
            let late = runs.split_off(self.calls.room());
            left_out += late.len();
            for call in late {
                let why = String::from("too many functions wait for their outputs");
                let call = Arc::unwrap_or_clone(call);
                refused.push((call, FunctionOutput::Error(why.clone()), FunctionEnd::Error(why)));
            }
        }
        if left_out > 0 {
            let (response_id, functions) = (response.id.clone(), left_out);
            self.tell(Event::Warning(Warning::TooManyFunctions { response_id, functions }));
        }
        if response.out_of_band {
            // The conversation holds none of them, so there is nothing to answer.
            return self.tell_calls(response, runs);
        }
        if runs.is_empty() && refused.is_empty() && !self.calls.has_group(&response.id) {
            return;
        }
        let must_respond = !refused.is_empty();
        for (call, output, end) in refused {
            self.answer_call(None, Arc::new(call), &output, end);
        }
        self.calls.open(&response.id, runs.iter().cloned());
        self.tell_calls(response, runs);
        let progress = self.calls.close(&response.id, must_respond, response.spoke, response.forced);
        self.go_on_after_calls(progress);
    }

    fn tell_calls(&mut self, response: &EndedResponse, calls: Vec<Arc<FunctionCall>>) {
        if !calls.is_empty() {
            let (response_id, out_of_band) = (response.id.clone(), response.out_of_band);
            self.tell(Event::FunctionCalls { response_id, out_of_band, calls });
        }
    }
}
