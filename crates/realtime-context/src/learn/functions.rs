//! Functions: each is one entry with its output, whichever comes first.

use realtime_protocol::call::{FunctionCall, FunctionEnd};
use realtime_protocol::item::FunctionCallOutputItem;

use crate::learn::{Change, Learner};
use crate::log::{Body, EntryId, Function};
use crate::mirror::{Made, Owner};

impl Learner<'_> {
    /// The model calls a function.
    pub(super) fn on_call(&mut self, call: &FunctionCall) {
        let by_item = call.item_id.as_ref().and_then(|id| self.mirror.entry_of(id));
        let id = by_item.or_else(|| self.log.find_call(&call.call_id)).unwrap_or_else(|| {
            let id = self.log.push(Body::Function(Function::default()));
            self.changes.push(Change::Added(id));
            id
        });
        if let Some(item_id) = call.item_id.as_ref().filter(|item_id| self.mirror.get(item_id).is_none())
            && !self.mirror.was_removed(item_id)
        {
            self.mirror.insert(item_id.clone(), Owner::Entry(id), Made::Learnt);
        }
        if self.mirror.lead(id).is_none() {
            // The server has it, and does not say as which item.
            self.mirror.given_up.insert(id);
        }
        if let Some(function) = self.log.get_mut(id).and_then(|entry| entry.function_mut()) {
            function.called(call);
            self.note(id);
        }
    }

    /// A function ended, as this side knows. One that could not run was not told before.
    pub(super) fn on_function_ended(&mut self, call: &FunctionCall, end: &FunctionEnd) {
        let known = self.log.find_call(&call.call_id);
        let id = match known {
            Some(id) => id,
            None if matches!(end, FunctionEnd::Detached | FunctionEnd::Closed) => return,
            None => {
                self.on_call(call);
                let Some(id) = self.log.find_call(&call.call_id) else { return };
                id
            }
        };
        let wall = self.log.wall;
        if let Some(entry) = self.log.get_mut(id) {
            let began = entry.at;
            if let Some(function) = entry.function_mut() {
                let before = (function.state(), function.end);
                function.ended(end, began, wall);
                if before != (function.state(), function.end) {
                    self.note(id);
                }
            }
        }
    }

    /// Gives an output to its call. Returns the entry: a new one if the call is not known.
    pub(super) fn on_output(&mut self, item: &FunctionCallOutputItem) -> EntryId {
        let call_id = item.call_id.value().cloned().unwrap_or_default();
        let text = item.output.value().cloned().unwrap_or_default();
        let id = self
            .log
            .find_call(&call_id)
            .unwrap_or_else(|| self.log.push(Body::Function(Function { call_id, ..Function::default() })));
        if let Some(function) = self.log.get_mut(id).and_then(|entry| entry.function_mut()) {
            function.answered(text);
            self.note(id);
        }
        id
    }

    /// Takes out calls that ended with an earlier conversation and that the model has repeated in this one.
    /// Otherwise they would appear as failed next to the answered one, and the model would make them once
    /// more.
    pub(super) fn drop_repeated(&mut self) {
        let is_learnt = |id| self.mirror.lead(id).is_some_and(|lead| lead.made != Made::FromLog);
        let mut repeated = Vec::new();
        for lost in &self.log.entries {
            let Some(function) = lost.function().filter(|function| function.is_lost()) else { continue };
            let again = self.log.entries.iter().find(|entry| {
                entry.id != lost.id
                    && entry.function().is_some_and(|other| !other.is_lost() && other.repeats(function))
                    && is_learnt(entry.id)
            });
            if let Some(again) = again.filter(|_| !is_learnt(lost.id)) {
                repeated.push((lost.id, again.id, function.clone()));
            }
        }
        for (lost, again, function) in repeated {
            if let Some(entry) = self.log.get_mut(again).and_then(|entry| entry.function_mut()) {
                entry.earlier.extend(function.earlier);
                entry.earlier.push(function.call_id);
            }
            if let Some(index) = self.log.position(lost) {
                self.log.entries.remove(index);
                self.changes.push(Change::Removed(lost));
            }
            for held in &mut self.mirror.items {
                // What a packed text says of it stays said.
                if let Owner::Packed(entries) = &mut held.owner {
                    entries.retain(|(id, _)| *id != lost);
                } else if held.owner.is_of(lost) {
                    held.owner = Owner::Nobody;
                }
            }
        }
    }
}
