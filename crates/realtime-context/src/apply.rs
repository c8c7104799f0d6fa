//! Applies call events to a context, one at a time.
//!
//! The rules kept here: an item has one entry, whichever event comes first. Words of items that left the
//! conversation, or were never in it, change nothing. The words that were heard count; other words of the
//! assistant are kept separately.

use realtime_protocol::call::{
    ConnectionEvent, Cut, Event, FunctionEnd, HeardPart, Interruption, Origin, Outcome, Place, ResponseReport,
};
use realtime_protocol::id::ItemId;
use realtime_protocol::item::{Item, ItemStatus};

use crate::calls::merge_call;
use crate::context::Context;
use crate::entry::{Body, Call, State, Words};
use crate::message::Role;

/// How many ids of removed items, and of out-of-band responses, are remembered.
const REMEMBERED: usize = 64;

/// What an event changed: look the entry up by [`Context::line`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// There is a new entry; its words may follow.
    Added(ItemId),
    /// An entry has other words than before, and may change again.
    Updated(ItemId),
    /// An entry has its final text: complete, cut, or failed.
    Completed(ItemId),
    /// An entry is gone.
    Removed(ItemId),
}

impl Change {
    /// The entry's item.
    pub const fn item_id(&self) -> &ItemId {
        match self {
            Self::Added(id) | Self::Updated(id) | Self::Completed(id) | Self::Removed(id) => id,
        }
    }
}

impl Context {
    /// Applies an event of a session. Returns what changed.
    ///
    /// Give it every event, also audio, in the session's order, before the application acts on the event.
    pub fn apply(&mut self, event: &Event) -> Vec<Change> {
        let mut changes = Changes::default();
        match event {
            Event::Created { .. } => {
                // Nothing more comes from the earlier conversation, if there was one.
                if self.conversation > 0 {
                    self.on_closed(&mut changes);
                }
                self.begin_conversation();
            }
            Event::Committed { item_id } => {
                self.part_with_used(item_id, |words| words.role == Role::Assistant);
                self.words(&mut changes, item_id, Words::speech);
            }
            Event::ItemPlaced { item, place, origin } => {
                self.on_placed(&mut changes, item, place, *origin);
            }
            Event::ItemDone { item } => self.on_done(&mut changes, item, true),
            Event::Settled { outcome: Outcome::Retrieved { item }, .. } => {
                self.on_done(&mut changes, item, false);
            }
            Event::ItemRemoved { item_id } => self.on_removed(&mut changes, item_id),
            Event::UserTranscriptDelta { item_id, content_index, delta } => {
                if let Some(words) = self.words(&mut changes, item_id, Words::speech) {
                    words.part(*content_index).push(delta);
                    changes.note(item_id, words.state());
                }
            }
            Event::UserTranscript { item_id, content_index, transcript, .. } => {
                if let Some(words) = self.words(&mut changes, item_id, Words::speech) {
                    let part = words.part(*content_index);
                    part.spoken = true;
                    if transcript.trim().is_empty() {
                        part.end(State::Failed);
                    } else {
                        part.settle(transcript.trim());
                    }
                    changes.note(item_id, words.state());
                }
            }
            Event::UserTranscriptFailed { item_id, content_index, .. } => {
                if let Some(words) = self.words(&mut changes, item_id, Words::speech) {
                    words.part(*content_index).end(State::Failed);
                    changes.note(item_id, words.state());
                }
            }
            Event::ResponseStarted { response_id, out_of_band: true, .. } => {
                remember(&mut self.beside, response_id.clone());
            }
            Event::Text { response_id, item_id, content_index, delta, spoken } => {
                if self.beside.contains(response_id) {
                    return Vec::new();
                }
                let is_another = |words: &Words| words.response.as_ref().is_some_and(|id| id != response_id);
                self.part_with_used(item_id, |words| words.role == Role::User || is_another(words));
                if let Some(words) = self.words(&mut changes, item_id, || Words::new(Role::Assistant)) {
                    words.response = Some(response_id.clone());
                    let part = words.part(*content_index);
                    part.spoken = *spoken;
                    part.push(delta);
                    changes.note(item_id, words.state());
                }
            }
            Event::Audio(chunk) => {
                self.hears = true;
                if let Some(words) = self.known_words(&chunk.item_id) {
                    words.part(chunk.content_index).audible = true;
                }
            }
            Event::FunctionCalls { out_of_band: false, calls, .. } => {
                calls.iter().for_each(|call| self.on_call(&mut changes, call));
            }
            Event::FunctionEnded { call, end: FunctionEnd::Closed | FunctionEnd::Detached } => {
                self.on_call_lost(&mut changes, &call.call_id);
            }
            // An item that this side sent counts at once, whether or not the server repeats it.
            Event::ItemSent { item, .. } => {
                if let Item::FunctionCallOutput(output) = &**item {
                    self.on_output(&mut changes, output);
                }
            }
            Event::ResponseFinished(report) => self.on_response_finished(&mut changes, report),
            Event::Interrupted(interruption) => self.on_interrupted(&mut changes, interruption),
            Event::Connection(ConnectionEvent::Lost { .. } | ConnectionEvent::Suspended {})
            | Event::Closed { .. } => self.on_closed(&mut changes),
            _ => {}
        }
        if matches!(event, Event::ItemPlaced { .. } | Event::ItemDone { .. } | Event::FunctionCalls { .. }) {
            self.drop_repeated(&mut changes);
        }
        self.trim();
        changes.0
    }

    /// Begins a new conversation: item ids of earlier ones mean nothing in it.
    fn begin_conversation(&mut self) {
        self.conversation += 1;
        self.hears = false;
        self.beside.clear();
        self.removed.clear();
    }

    /// Some servers reuse the id of an item. The words of the earlier one stay, without an id.
    fn part_with_used(&mut self, item_id: &ItemId, is_another: impl Fn(&Words) -> bool) {
        let Some(index) = self.find_here(item_id) else { return };
        let entry = &mut self.entries[index];
        let Body::Words(words) = &entry.body else { return };
        let is_over = words.done || words.role == Role::User;
        if is_over && is_another(words) && !words.text().is_empty() {
            entry.id = None;
        }
    }

    /// The words of an item. An unknown item gets an entry. `None`: the item is gone, or has no words of its
    /// own.
    fn words(
        &mut self,
        changes: &mut Changes,
        item_id: &ItemId,
        new: impl FnOnce() -> Words,
    ) -> Option<&mut Words> {
        if self.removed.contains(item_id) {
            return None;
        }
        let index = self.find(item_id).unwrap_or_else(|| {
            changes.added(item_id);
            self.insert(item_id.clone(), Body::Words(new()))
        });
        match &mut self.entries[index].body {
            Body::Words(words) => Some(words),
            _ => None,
        }
    }

    fn known_words(&mut self, item_id: &ItemId) -> Option<&mut Words> {
        let index = self.find(item_id)?;
        match &mut self.entries[index].body {
            Body::Words(words) => Some(words),
            _ => None,
        }
    }

    fn on_placed(&mut self, changes: &mut Changes, item: &Item, place: &Place, origin: Origin) {
        let Some(item_id) = item.id() else { return };
        if self.removed.contains(&item_id) || self.is_seeded(&item_id) {
            return;
        }
        let index = match self.find_here(&item_id) {
            Some(index) => index,
            None => {
                let known_call = match item {
                    Item::FunctionCall(call) => call.call_id.value().and_then(|id| self.find_call(id)),
                    _ => None,
                };
                match known_call {
                    // It came with its response, which need not name the item.
                    Some(index) if !self.entries[index].place.settled => {
                        self.entries[index].id = Some(item_id);
                        index
                    }
                    _ => {
                        let body = match item {
                            Item::Message(_) => Body::Words(Words::new(Role::Assistant)),
                            Item::FunctionCall(_) => Body::Call(Call::default()),
                            Item::FunctionCallOutput(output) => Body::Output(self.on_output(changes, output)),
                            _ => Body::Silent,
                        };
                        if matches!(body, Body::Words(_) | Body::Call(_)) {
                            changes.added(&item_id);
                        }
                        self.insert(item_id, body)
                    }
                }
            }
        };
        self.merge(changes, index, item, is_completed(item));
        self.settle_place(index, place, origin);
    }

    /// An item is final, or was retrieved. Its place is not known.
    fn on_done(&mut self, changes: &mut Changes, item: &Item, done: bool) {
        let Some(item_id) = item.id().filter(|id| !self.is_seeded(id)) else { return };
        if let Some(index) = self.find(&item_id) {
            self.merge(changes, index, item, done || is_completed(item));
        }
    }

    /// Returns whether an item was made from an entry. The entry's words and place take precedence.
    fn is_seeded(&self, item_id: &ItemId) -> bool {
        self.entries.iter().any(|entry| entry.place.seeded.contains(item_id))
    }

    fn merge(&mut self, changes: &mut Changes, index: usize, item: &Item, done: bool) {
        let entry = &mut self.entries[index];
        match (&mut entry.body, item) {
            (Body::Words(words), Item::Message(item)) => {
                let before = (words.state(), words.text());
                words.merge(item, done);
                let after = (words.state(), words.text());
                if before != after {
                    changes.note_entry(self, index);
                }
            }
            (Body::Call(call), Item::FunctionCall(item)) => {
                merge_call(call, item);
                self.pair(changes, index);
            }
            _ => {}
        }
    }

    fn on_removed(&mut self, changes: &mut Changes, item_id: &ItemId) {
        remember(&mut self.removed, item_id.clone());
        if self.remove(item_id) {
            changes.0.push(Change::Removed(item_id.clone()));
        }
    }

    fn on_response_finished(&mut self, changes: &mut Changes, report: &ResponseReport) {
        self.beside.retain(|id| *id != report.response_id);
        self.finish(changes, |words| words.response.as_ref() == Some(&report.response_id));
    }

    /// Ends all words of the assistant that still wait for more.
    fn finish(&mut self, changes: &mut Changes, which: impl Fn(&Words) -> bool) {
        for index in 0..self.entries.len() {
            if let Body::Words(words) = &mut self.entries[index].body
                && words.role == Role::Assistant
                && which(words)
            {
                let before = words.state();
                words.finish();
                if before != words.state() {
                    changes.note_entry(self, index);
                }
            }
        }
    }

    fn on_interrupted(&mut self, changes: &mut Changes, interruption: &Interruption) {
        for part in &interruption.parts {
            if part.cut == Cut::Deleted {
                self.on_removed(changes, &part.item_id);
            } else {
                self.cut(changes, part);
            }
        }
        // Words come ahead of their audio: words without audio were not heard.
        let Some(response_id) = interruption.response_id.as_ref().filter(|_| self.hears) else { return };
        for index in 0..self.entries.len() {
            if let Body::Words(words) = &mut self.entries[index].body
                && words.response.as_ref() == Some(response_id)
            {
                let unheard = words.parts.iter_mut().filter(|part| part.spoken && !part.audible);
                if unheard.filter(|part| part.heard.is_none()).map(|part| part.cut("")).count() > 0 {
                    changes.note_entry(self, index);
                }
            }
        }
    }

    fn cut(&mut self, changes: &mut Changes, heard: &HeardPart) {
        if let Some(words) = self.known_words(&heard.item_id) {
            words.part(heard.content_index).cut(&heard.heard_text);
            changes.note(&heard.item_id, words.state());
        }
    }

    /// Nothing more comes from this conversation.
    fn on_closed(&mut self, changes: &mut Changes) {
        self.finish(changes, |_| true);
        for index in 0..self.entries.len() {
            let mut ended = false;
            match &mut self.entries[index].body {
                Body::Words(words) => {
                    for part in words.parts.iter_mut().filter(|part| part.state == State::Pending) {
                        part.end(State::Failed);
                        ended = true;
                    }
                }
                Body::Call(call) if call.state == State::Pending => {
                    call.state = State::Failed;
                    ended = true;
                }
                _ => {}
            }
            if ended {
                changes.note_entry(self, index);
            }
        }
    }
}

fn is_completed(item: &Item) -> bool {
    item.as_message().is_some_and(|item| item.status.value() == Some(&ItemStatus::Completed))
}

fn remember<T: PartialEq>(list: &mut std::collections::VecDeque<T>, id: T) {
    if !list.contains(&id) {
        list.push_back(id);
        if list.len() > REMEMBERED {
            list.pop_front();
        }
    }
}

/// What an event changed, so far.
#[derive(Default)]
pub(crate) struct Changes(Vec<Change>);

impl Changes {
    pub(crate) fn added(&mut self, item_id: &ItemId) {
        self.0.push(Change::Added(item_id.clone()));
    }

    pub(crate) fn removed(&mut self, item_id: Option<ItemId>) {
        self.0.extend(item_id.map(Change::Removed));
    }

    fn note(&mut self, item_id: &ItemId, state: State) {
        self.0.push(match state {
            State::Pending => Change::Updated(item_id.clone()),
            State::Final | State::Truncated | State::Failed => Change::Completed(item_id.clone()),
        });
    }

    pub(crate) fn note_entry(&mut self, context: &Context, index: usize) {
        let entry = &context.entries[index];
        let state = match &entry.body {
            Body::Words(words) => words.state(),
            Body::Call(call) => call.state,
            Body::Message(_) | Body::Output(_) | Body::Silent => State::Final,
        };
        if let Some(id) = &entry.id {
            self.note(id, state);
        }
    }
}

#[cfg(test)]
mod tests;
