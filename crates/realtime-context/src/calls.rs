//! Calls and their outputs: each call is shown once, with its output, whichever comes first.

use realtime_protocol::call::FunctionCall;
use realtime_protocol::id::CallId;
use realtime_protocol::item::{FunctionCallItem, FunctionCallOutputItem};

use crate::apply::Changes;
use crate::context::Context;
use crate::entry::{Body, Call, Entry, Output, State};

impl Context {
    pub(crate) fn on_call(&mut self, changes: &mut Changes, call: &FunctionCall) {
        let known =
            call.item_id.as_ref().and_then(|id| self.find(id)).or_else(|| self.find_call(&call.call_id));
        let index = known.unwrap_or_else(|| {
            let item_id = call.item_id.clone().unwrap_or_else(|| self.fresh_id());
            changes.added(&item_id);
            self.insert(item_id, Body::Call(Call::default()))
        });
        if let Body::Call(entry) = &mut self.entries[index].body {
            entry.call_id = call.call_id.clone();
            entry.name.clone_from(&call.name);
            entry.arguments.clone_from(&call.arguments);
            changes.note_entry(self, index);
        }
        self.pair(changes, index);
    }

    /// The session ended before the call did.
    pub(crate) fn on_call_lost(&mut self, changes: &mut Changes, call_id: &CallId) {
        if let Some(index) = self.find_call(call_id)
            && let Body::Call(call) = &mut self.entries[index].body
            && call.output.is_none()
        {
            call.state = State::Failed;
            changes.note_entry(self, index);
        }
    }

    /// Takes out calls that ended with an earlier conversation and that the model has repeated in this one.
    /// Otherwise they would appear as failed next to the answered one, and the model would make them once
    /// more.
    pub(crate) fn drop_repeated(&mut self, changes: &mut Changes) {
        let here = self.conversation;
        let lost = |entry: &Entry| match &entry.body {
            Body::Call(call) => {
                call.state == State::Failed && call.output.is_none() && entry.place.conversation < here
            }
            _ => false,
        };
        let again = |lost: &Entry, entry: &Entry| match (&lost.body, &entry.body) {
            (Body::Call(lost), Body::Call(call)) => {
                entry.place.conversation == here && call.name == lost.name && call.has_arguments_of(lost)
            }
            _ => false,
        };
        while let Some(index) = self
            .entries
            .iter()
            .position(|entry| lost(entry) && self.entries.iter().any(|other| again(entry, other)))
        {
            changes.removed(self.entries.remove(index).id);
        }
    }

    /// Gives a call its output, if that came first.
    pub(crate) fn pair(&mut self, changes: &mut Changes, index: usize) {
        let Body::Call(call) = &self.entries[index].body else { return };
        let call_id = call.call_id.clone();
        let output = self.entries.iter_mut().find_map(|entry| match &mut entry.body {
            Body::Output(output) if !output.paired && output.call_id == call_id => {
                output.paired = true;
                Some(output.text.clone())
            }
            _ => None,
        });
        if let (Some(text), Body::Call(call)) = (output, &mut self.entries[index].body) {
            call.output = Some(text);
            call.state = State::Final;
            changes.note_entry(self, index);
        }
    }

    /// Gives an output to its call.
    pub(crate) fn on_output(&mut self, changes: &mut Changes, item: &FunctionCallOutputItem) -> Output {
        let call_id = item.call_id.value().cloned().unwrap_or_default();
        let text = item.output.value().cloned().unwrap_or_default();
        let index = self.find_call(&call_id);
        if let Some(index) = index
            && let Body::Call(call) = &mut self.entries[index].body
        {
            call.output = Some(text.clone());
            call.state = State::Final;
            changes.note_entry(self, index);
        }
        Output { call_id, text, paired: index.is_some() }
    }
}

impl Call {
    /// Returns whether the arguments are equal as JSON.
    fn has_arguments_of(&self, other: &Self) -> bool {
        let value = |call: &Self| serde_json::from_str::<serde_json::Value>(&call.arguments).ok();
        self.arguments == other.arguments || value(self).is_some_and(|own| Some(own) == value(other))
    }
}

/// Takes over the members of the item. Its arguments are empty until they are complete.
pub(crate) fn merge_call(call: &mut Call, item: &FunctionCallItem) {
    if let Some(call_id) = item.call_id.value() {
        call.call_id = call_id.clone();
    }
    for (from, to) in [(&item.name, &mut call.name), (&item.arguments, &mut call.arguments)] {
        if let Some(text) = from.value().filter(|text| !text.is_empty()) {
            to.clone_from(text);
        }
    }
}
