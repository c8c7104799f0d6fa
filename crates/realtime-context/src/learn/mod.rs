//! What a log and a mirror learn from the events of a call, one at a time.
//!
//! The rules kept here: an item has one entry, whichever event comes first. What this side did is true at
//! once, whether or not the server repeats it; the server says only where it stands. Words of items that left
//! the conversation, or were never in it, change nothing. The words that were heard count; other words of the
//! assistant are kept separately.

mod functions;
mod items;

use realtime_protocol::call::{
    ConnectionEvent, Cut, Event, HeardPart, Interruption, Outcome, ResponseReport,
};
use realtime_protocol::id::ItemId;

use crate::log::{Body, EntryId, Log, State, Words};
use crate::message::Role;
use crate::mirror::{Made, Mirror, Owner};

/// What an event changed: look the entry up by [`Conversation::line`](crate::Conversation::line).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// There is a new entry; its words may follow.
    Added(EntryId),
    /// An entry has other words than before, and may change again.
    Updated(EntryId),
    /// An entry has its final text: complete, cut, or failed.
    Completed(EntryId),
    /// An entry is gone.
    Removed(EntryId),
}

impl Change {
    /// The entry.
    pub const fn entry(self) -> EntryId {
        match self {
            Self::Added(id) | Self::Updated(id) | Self::Completed(id) | Self::Removed(id) => id,
        }
    }
}

/// Learns from events, and collects what they change.
pub(crate) struct Learner<'a> {
    pub(crate) log: &'a mut Log,
    pub(crate) mirror: &'a mut Mirror,
    pub(crate) changes: Vec<Change>,
}

impl<'a> Learner<'a> {
    pub(crate) const fn new(log: &'a mut Log, mirror: &'a mut Mirror) -> Self {
        Self { log, mirror, changes: Vec::new() }
    }

    /// Learns from an event. The beginning of a conversation is the caller's business.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Committed { item_id } => {
                self.part_with_used(item_id, |words| words.role == Role::Assistant);
                self.words(item_id, Words::speech);
            }
            Event::ItemSent { item, after } => self.on_sent(item, after.as_ref()),
            Event::ItemPlaced { item, place, origin } => self.on_placed(item, place, *origin),
            Event::ItemDone { item } => self.on_done(item, true),
            Event::Settled { outcome: Outcome::Retrieved { item }, .. } => self.on_done(item, false),
            Event::ItemRemoved { item_id } => self.on_removed(item_id),
            Event::UserTranscriptDelta { item_id, content_index, delta } => {
                self.speech(item_id, |words| words.part(*content_index).push(delta));
            }
            Event::UserTranscript { item_id, content_index, transcript, languages, .. } => {
                self.speech(item_id, |words| {
                    words.heard_in(languages);
                    let part = words.part(*content_index);
                    part.spoken = true;
                    if transcript.trim().is_empty() {
                        part.end(State::Failed);
                    } else {
                        part.settle(transcript.trim());
                    }
                });
            }
            Event::UserTranscriptFailed { item_id, content_index, .. } => {
                self.speech(item_id, |words| words.part(*content_index).end(State::Failed));
            }
            Event::ResponseStarted { response_id, out_of_band: true, .. } => {
                self.mirror.begin_beside(response_id.clone());
            }
            Event::Text { response_id, item_id, content_index, delta, spoken } => {
                if self.mirror.beside.contains(response_id) {
                    return;
                }
                let is_another = |words: &Words| words.response.as_ref().is_some_and(|id| id != response_id);
                self.part_with_used(item_id, |words| words.role == Role::User || is_another(words));
                if let Some(id) = self.words(item_id, || Words::new(Role::Assistant)) {
                    self.change(id, |words| {
                        words.response = Some(response_id.clone());
                        let part = words.part(*content_index);
                        part.spoken = *spoken;
                        part.push(delta);
                    });
                }
            }
            Event::Audio(chunk) => {
                self.mirror.hears = true;
                if let Some(words) = self.known_words(&chunk.item_id) {
                    words.part(chunk.content_index).audible = true;
                }
            }
            Event::FunctionCalls { out_of_band: false, calls, .. } => {
                calls.iter().for_each(|call| self.on_call(call));
            }
            Event::FunctionEnded { call, end } => self.on_function_ended(call, end),
            Event::ResponseFinished(report) => self.on_response_finished(report),
            Event::Interrupted(interruption) => self.on_interrupted(interruption),
            Event::Connection(ConnectionEvent::Lost { .. }) | Event::Closed { .. } => self.close(),
            _ => {}
        }
        if matches!(event, Event::ItemPlaced { .. } | Event::ItemDone { .. } | Event::FunctionCalls { .. }) {
            self.drop_repeated();
        }
        self.log.trim();
    }

    /// Some servers reuse the id of an item. The words of the earlier one stay, without an item.
    fn part_with_used(&mut self, item_id: &ItemId, is_another: impl Fn(&Words) -> bool) {
        let Some(index) = self.mirror.position(item_id) else { return };
        let held = &self.mirror.items[index];
        let Owner::Entry(id) = held.owner else { return };
        let Some(Body::Words(words)) = self.log.get(id).map(|entry| &entry.body) else { return };
        let is_over = words.done || words.role == Role::User;
        if held.made != Made::FromLog && is_over && is_another(words) && !words.text().is_empty() {
            self.mirror.items.remove(index);
            // It is on the server, and can't be named.
            self.mirror.given_up.insert(id);
        }
    }

    /// The entry of an item that has words. An unknown item gets an entry. `None`: the item is gone, has no
    /// words of its own, or was made from the log.
    fn words(&mut self, item_id: &ItemId, new: impl FnOnce() -> Words) -> Option<EntryId> {
        if let Some(held) = self.mirror.get(item_id) {
            let id = match held.owner {
                Owner::Entry(id) if held.made != Made::FromLog => id,
                _ => return None,
            };
            return self.log.get_mut(id)?.words_mut().map(|_| id);
        }
        if self.mirror.was_removed(item_id) {
            return None;
        }
        let words = new();
        let made = if words.role == Role::Assistant { Made::Open } else { Made::Learnt };
        let id = self.log.push(Body::Words(words));
        self.mirror.insert(item_id.clone(), Owner::Entry(id), made);
        self.changes.push(Change::Added(id));
        Some(id)
    }

    fn known_words(&mut self, item_id: &ItemId) -> Option<&mut Words> {
        let id = match self.mirror.get(item_id) {
            Some(held) if held.made != Made::FromLog => held.owner.entry()?,
            _ => return None,
        };
        self.log.get_mut(id)?.words_mut()
    }

    /// Changes what the user said.
    fn speech(&mut self, item_id: &ItemId, change: impl FnOnce(&mut Words)) {
        if let Some(id) = self.words(item_id, Words::speech) {
            self.change(id, change);
        }
    }

    fn change(&mut self, id: EntryId, change: impl FnOnce(&mut Words)) {
        if let Some(words) = self.log.get_mut(id).and_then(|entry| entry.words_mut()) {
            change(words);
            self.note(id);
        }
    }

    /// An entry has changed.
    fn note(&mut self, id: EntryId) {
        if let Some(entry) = self.log.get(id) {
            self.changes.push(match entry.state() {
                State::Pending => Change::Updated(id),
                State::Final | State::Truncated | State::Failed => Change::Completed(id),
            });
        }
    }

    fn on_response_finished(&mut self, report: &ResponseReport) {
        let out_of_band = self.mirror.beside.contains(&report.response_id);
        self.mirror.beside.retain(|id| *id != report.response_id);
        if !out_of_band {
            // One response runs in the conversation at a time.
            self.mirror.items.iter_mut().filter(|held| held.made == Made::Open).for_each(|held| {
                held.made = Made::Learnt;
            });
        }
        self.finish(|words| words.response.as_ref() == Some(&report.response_id));
    }

    /// Ends all words of the assistant that still wait for more.
    fn finish(&mut self, which: impl Fn(&Words) -> bool) {
        let mut finished = Vec::new();
        for entry in &mut self.log.entries {
            let id = entry.id;
            if let Some(words) = entry.words_mut()
                && words.role == Role::Assistant
                && which(words)
            {
                let before = words.state();
                words.finish();
                if before != words.state() {
                    finished.push(id);
                }
            }
        }
        finished.into_iter().for_each(|id| self.note(id));
    }

    fn on_interrupted(&mut self, interruption: &Interruption) {
        for part in &interruption.parts {
            if part.cut == Cut::Deleted {
                self.on_removed(&part.item_id);
            } else {
                self.cut(part);
            }
        }
        // Words come ahead of their audio: words without audio were not heard.
        let Some(response_id) = interruption.response_id.as_ref().filter(|_| self.mirror.hears) else {
            return;
        };
        let mut unheard = Vec::new();
        for entry in &mut self.log.entries {
            let id = entry.id;
            if let Some(words) = entry.words_mut()
                && words.response.as_ref() == Some(response_id)
            {
                let parts = words.parts.iter_mut().filter(|part| part.spoken && !part.audible);
                if parts.filter(|part| part.heard.is_none()).map(|part| part.cut("")).count() > 0 {
                    unheard.push(id);
                }
            }
        }
        unheard.into_iter().for_each(|id| self.note(id));
    }

    fn cut(&mut self, heard: &HeardPart) {
        if let Some(words) = self.known_words(&heard.item_id) {
            words.part(heard.content_index).cut(&heard.heard_text);
            let entry = self.mirror.entry_of(&heard.item_id);
            entry.into_iter().for_each(|id| self.note(id));
        }
    }

    /// Nothing more comes from this conversation.
    pub(crate) fn close(&mut self) {
        self.finish(|_| true);
        let mut ended = Vec::new();
        for entry in &mut self.log.entries {
            let id = entry.id;
            match &mut entry.body {
                Body::Words(words) => {
                    let pending = words.parts.iter_mut().filter(|part| part.state == State::Pending);
                    if pending.map(|part| part.end(State::Failed)).count() > 0 {
                        ended.push(id);
                    }
                }
                Body::Function(function) => ended.extend(function.close().then_some(id)),
                Body::Message(_) => {}
            }
        }
        ended.into_iter().for_each(|id| self.note(id));
    }
}

#[cfg(test)]
pub(crate) mod tests;
