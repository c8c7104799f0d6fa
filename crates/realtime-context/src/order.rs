//! The order of entries: each stands after the item that the server named, whenever that item comes.
//!
//! The rule kept here: the order depends on the places that the server told, not on when it told them. An
//! entry whose predecessor is not known yet waits at the end. Once the predecessor comes, the entry moves
//! after it, together with the entries that follow the entry.

use realtime_protocol::call::{Origin, Place};
use realtime_protocol::id::{CallId, ItemId};

use crate::context::Context;
use crate::entry::{Body, Entry};

impl Context {
    /// The entry with that id. The current conversation takes precedence.
    pub(crate) fn find(&self, id: &ItemId) -> Option<usize> {
        self.find_here(id).or_else(|| self.entries.iter().rposition(|entry| entry.id.as_ref() == Some(id)))
    }

    /// The entry with that id in the current conversation. Servers may use the same ids in every
    /// conversation; ids of the application's own messages are never used twice.
    pub(crate) fn find_here(&self, id: &ItemId) -> Option<usize> {
        self.entries.iter().rposition(|entry| {
            let own = matches!(entry.body, Body::Message(_));
            entry.place.seeded.contains(id)
                || entry.id.as_ref() == Some(id) && (own || entry.place.conversation == self.conversation)
        })
    }

    /// The entry of a call.
    pub(crate) fn find_call(&self, call_id: &CallId) -> Option<usize> {
        self.entries
            .iter()
            .rposition(|entry| matches!(&entry.body, Body::Call(call) if call.call_id == *call_id))
    }

    /// Adds an item whose place is not known yet: at the end.
    pub(crate) fn insert(&mut self, id: ItemId, body: Body) -> usize {
        let mut entry = Entry::new(Some(id), body);
        entry.place.conversation = self.conversation;
        self.entries.push(entry);
        self.entries.len() - 1
    }

    /// The server told an entry's place. Only the first time counts.
    pub(crate) fn settle_place(&mut self, index: usize, place: &Place, origin: Origin) {
        let entry = &mut self.entries[index];
        if std::mem::replace(&mut entry.place.settled, true) {
            return;
        }
        let Some(id) = entry.id.clone() else { return };
        entry.place.conversation = self.conversation;
        match place {
            Place::After(after) => {
                entry.place.after = Some(after.clone());
                self.move_after(&id, after);
            }
            // Some servers report every item as the first.
            Place::First if origin == Origin::Client => self.move_to_front(index),
            Place::First | Place::Untold => {}
        }
        // Entries that came before their predecessor. Of several, the last one is the closest, as on the
        // server.
        let followers: Vec<ItemId> = self
            .entries
            .iter()
            .filter(|entry| self.is_here(entry) && entry.place.after.as_ref() == Some(&id))
            .filter_map(|entry| entry.id.clone())
            .collect();
        for follower in followers {
            self.move_after(&follower, &id);
        }
    }

    /// Moves an entry before all others of this conversation.
    fn move_to_front(&mut self, index: usize) {
        let first = self.entries.iter().position(|entry| self.is_here(entry) && entry.place.settled);
        if let Some(first) = first.filter(|first| *first < index) {
            let entry = self.entries.remove(index);
            self.entries.insert(first, entry);
        }
    }

    /// Moves an entry after another, together with all entries that follow it according to the server.
    fn move_after(&mut self, id: &ItemId, after: &ItemId) {
        let (Some(from), Some(target)) = (self.find_here(id), self.find(after)) else { return };
        if from == target + 1 {
            return;
        }
        let mut block = vec![from];
        let mut ids = vec![id.clone()];
        for (index, entry) in self.entries.iter().enumerate() {
            let follows = entry.place.after.as_ref().is_some_and(|after| ids.contains(after));
            if follows && index != from && self.is_here(entry) {
                block.push(index);
                ids.extend(entry.id.clone());
            }
        }
        if block.contains(&target) {
            return; // the server named a circle
        }
        block.sort_unstable();
        let before = block.iter().filter(|index| **index < target).count();
        let mut moved: Vec<Entry> = block.iter().rev().map(|index| self.entries.remove(*index)).collect();
        moved.reverse();
        let at = target + 1 - before;
        self.entries.splice(at..at, moved);
    }

    fn is_here(&self, entry: &Entry) -> bool {
        entry.place.conversation == self.conversation
    }
}
