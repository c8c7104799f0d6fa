//! [`Mirror`]: what the server's conversation holds, as far as this side knows, in the server's order.
//!
//! The rules kept here: the order depends on the places that the server told, not on when it told them. An
//! item whose predecessor is not known yet waits at the end. Once the predecessor comes, the item moves after
//! it, together with the items that follow it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use realtime_protocol::call::Place;
use realtime_protocol::id::{ItemId, ResponseId};
use serde::{Deserialize, Serialize};

use crate::log::EntryId;
use crate::sync::{Edit, ROOT};

/// How many ids of removed items, and of out-of-band responses, are remembered.
const REMEMBERED: usize = 64;

/// What item ids begin with if the application sets nothing.
pub(crate) const DEFAULT_PREFIX: &str = "ctx";
/// The longest beginning of an item id (characters). Servers take ids of 32.
const LONGEST_PREFIX: usize = 12;

/// What one conversation on a server holds: its items, and the entries of the log that they stand for.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Mirror {
    /// In the server's order.
    pub(crate) items: Vec<Held>,
    /// Entries that this conversation is not given: the server refused them, or their item was deleted.
    pub(crate) given_up: BTreeSet<EntryId>,
    /// Removed items, for which late events may come.
    removed: VecDeque<ItemId>,
    /// Running out-of-band responses: their words are not part of the conversation.
    pub(crate) beside: VecDeque<ResponseId>,
    /// Whether audio events come, so that missing audio means something.
    pub(crate) hears: bool,
    pub(crate) ids: Ids,
}

/// An item that the server's conversation holds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Held {
    pub(crate) id: ItemId,
    pub(crate) owner: Owner,
    /// The entry's revision that the item was made from.
    #[serde(default)]
    pub(crate) revision: u32,
    /// The item before it, as the server told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<ItemId>,
    /// Whether the server told its place, and so acknowledged it.
    #[serde(default)]
    pub(crate) settled: bool,
    /// Who made it and how far it is.
    #[serde(default)]
    pub(crate) made: Made,
}

/// What an item stands for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Owner {
    /// An entry, or a piece of it.
    Entry(EntryId),
    /// The output of a function whose call is an item of its own.
    Output(EntryId),
    /// These entries together, with the revisions that it was made from.
    Packed(Vec<(EntryId, u32)>),
    /// Nothing that is said: a step of a hosted tool.
    Silent,
    /// Nothing any more: it is to be deleted.
    Nobody,
}

/// How an item came to be.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Made {
    /// Made from the log: the entry says more than the item.
    #[default]
    FromLog,
    /// Learnt from the call, and complete.
    Learnt,
    /// The model is making it.
    Open,
    /// Its deletion was asked for.
    Leaving,
}

/// Makes the ids of items that this side creates. It counts over all conversations, so no id is used twice.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Ids {
    prefix: String,
    last: u64,
}

impl Default for Ids {
    fn default() -> Self {
        Self::new(DEFAULT_PREFIX)
    }
}

impl Ids {
    /// Ids that begin with this, at most [`LONGEST_PREFIX`] letters, digits and underscores of it.
    pub(crate) fn new(prefix: &str) -> Self {
        let is_safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        Self { prefix: prefix.chars().filter(is_safe).take(LONGEST_PREFIX).collect(), last: 0 }
    }

    pub(crate) const fn after(mut self, last: u64) -> Self {
        self.last = last;
        self
    }

    /// What they begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns whether the prefix is one that [`new`](Self::new) makes.
    pub(crate) fn is_valid(&self) -> bool {
        Self::new(&self.prefix).prefix == self.prefix
    }

    /// The number of the latest id.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// A new id.
    pub(crate) fn make(&mut self) -> ItemId {
        self.last += 1;
        format!("{}_{}", self.prefix, self.last).into()
    }

    /// A call's id that is valid in any conversation.
    pub(crate) fn call(&self, entry: EntryId) -> String {
        format!("{}_call_{}", self.prefix, entry.0)
    }

    /// Goes on where another one stopped.
    pub(crate) fn reach(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
    }

    /// The ids are another conversation's too: makes others from here on.
    pub(crate) fn evade(&mut self) {
        if self.prefix.len() < LONGEST_PREFIX {
            self.prefix.push('x');
        } else {
            self.last += 1000;
        }
    }
}

impl Mirror {
    /// The item ids of an entry, in the server's order.
    pub fn items_of(&self, entry: EntryId) -> impl Iterator<Item = &ItemId> {
        self.items.iter().filter(move |held| held.owner.is_of(entry)).map(|held| &held.id)
    }

    /// The entry that an item stands for. The last one, if it stands for several.
    pub fn entry_of(&self, item_id: &ItemId) -> Option<EntryId> {
        self.get(item_id)?.owner.entry()
    }

    /// The server's items, in its order.
    pub fn item_ids(&self) -> impl Iterator<Item = &ItemId> {
        self.items.iter().map(|held| &held.id)
    }

    /// Returns whether an item holds several entries as one text.
    pub fn is_packed(&self, item_id: &ItemId) -> bool {
        self.get(item_id).is_some_and(|held| matches!(held.owner, Owner::Packed(_)))
    }

    /// Returns whether the server has acknowledged an item.
    pub fn is_acknowledged(&self, item_id: &ItemId) -> bool {
        self.get(item_id).is_some_and(|held| held.settled)
    }

    /// The mirror of a conversation that holds nothing yet. It makes no id that this one made.
    pub(crate) fn successor(&self) -> Self {
        Self { ids: self.ids.clone(), hears: false, ..Self::default() }
    }

    /// An item that was asked for in an earlier conversation will be created in this one. If that holds its
    /// entry already, or the entry is gone by then, it is deleted.
    pub(crate) fn expect_carried(&mut self, id: &ItemId, held: Option<&Held>) {
        let wanted = held.filter(|held| !held.owner.entries().iter().any(|entry| self.knows(*entry)));
        let (owner, revision) = wanted.map_or((Owner::Nobody, 0), |held| (held.owner.clone(), held.revision));
        let (id, made) = (id.clone(), Made::FromLog);
        self.items.push(Held { id, owner, revision, after: None, settled: false, made });
    }

    /// No entry wants any item any more.
    pub(crate) fn disown_all(&mut self) {
        self.given_up.clear();
        self.items.iter_mut().for_each(|held| held.owner = Owner::Nobody);
    }

    /// Notes that an edit is on its way.
    pub(crate) fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Delete { item_id } => {
                if let Some(held) = self.get_mut(item_id) {
                    (held.owner, held.made) = (Owner::Nobody, Made::Leaving);
                }
            }
            Edit::Create(create) => {
                let Some(id) = create.item.id() else { return };
                self.ids.last += 1;
                self.insert(id.clone(), create.owner.clone(), Made::FromLog);
                if let Some(held) = self.items.last_mut() {
                    held.revision = create.revision;
                }
                match &create.after {
                    Some(after) if after.as_str() == ROOT => {
                        self.items.rotate_right(1);
                    }
                    Some(after) => self.move_after(&id, after),
                    None => {}
                }
            }
        }
    }

    pub(crate) fn get(&self, item_id: &ItemId) -> Option<&Held> {
        self.items.get(self.position(item_id)?)
    }

    pub(crate) fn get_mut(&mut self, item_id: &ItemId) -> Option<&mut Held> {
        let index = self.position(item_id)?;
        self.items.get_mut(index)
    }

    pub(crate) fn position(&self, item_id: &ItemId) -> Option<usize> {
        self.items.iter().rposition(|held| held.id == *item_id)
    }

    /// Returns whether an item stands for the entry.
    pub(crate) fn knows(&self, entry: EntryId) -> bool {
        self.items.iter().any(|held| held.owner.is_of(entry))
    }

    /// Adds an item whose place is not known yet: at the end.
    pub(crate) fn insert(&mut self, id: ItemId, owner: Owner, made: Made) {
        self.items.push(Held { id, owner, revision: 0, after: None, settled: false, made });
    }

    /// An item has left the conversation. Late events about it change nothing.
    pub(crate) fn remove(&mut self, item_id: &ItemId) -> Option<Held> {
        remember(&mut self.removed, item_id.clone());
        let index = self.position(item_id)?;
        Some(self.items.remove(index))
    }

    pub(crate) fn was_removed(&self, item_id: &ItemId) -> bool {
        self.removed.contains(item_id)
    }

    pub(crate) fn begin_beside(&mut self, response_id: ResponseId) {
        remember(&mut self.beside, response_id);
    }

    /// The item whose place decides where the entry stands: its call, or its message.
    pub(crate) fn lead(&self, entry: EntryId) -> Option<&Held> {
        let own = |held: &&Held| held.owner == Owner::Entry(entry);
        self.items.iter().find(own).or_else(|| self.items.iter().find(|held| held.owner.is_of(entry)))
    }

    /// The places of the entries: of the items that lead them.
    pub(crate) fn ranks(&self) -> BTreeMap<EntryId, usize> {
        let mut ranks = BTreeMap::new();
        for outputs in [false, true] {
            for (place, held) in self.items.iter().enumerate() {
                if matches!(held.owner, Owner::Output(_)) == outputs {
                    for entry in held.owner.entries() {
                        ranks.entry(entry).or_insert(place);
                    }
                }
            }
        }
        ranks
    }

    /// The server told an item's place. Only the first time counts.
    pub(crate) fn settle(&mut self, id: &ItemId, place: &Place) {
        let Some(held) = self.get_mut(id) else { return };
        if std::mem::replace(&mut held.settled, true) {
            return;
        }
        match place {
            Place::After(after) => {
                held.after = Some(after.clone());
                self.move_after(id, after);
            }
            // Some servers report every item as the first. One that this side put there stands there already.
            Place::First | Place::Untold => {}
        }
        // Items that came before their predecessor. Of several, the last one is the closest, as on the
        // server.
        let is_follower = |held: &&Held| held.after.as_ref() == Some(id);
        let followers: Vec<ItemId> =
            self.items.iter().filter(is_follower).map(|held| held.id.clone()).collect();
        for follower in followers {
            self.move_after(&follower, id);
        }
    }

    pub(crate) fn move_to_front(&mut self, id: &ItemId) {
        let Some(index) = self.position(id) else { return };
        let first = self.items[..index].iter().position(|held| held.settled);
        if let Some(first) = first {
            let held = self.items.remove(index);
            self.items.insert(first, held);
        }
    }

    /// Moves an item after another, together with all items that follow it according to the server.
    pub(crate) fn move_after(&mut self, id: &ItemId, after: &ItemId) {
        let (Some(from), Some(target)) = (self.position(id), self.position(after)) else { return };
        if from == target + 1 {
            return;
        }
        let mut block = vec![from];
        let mut ids = vec![id.clone()];
        for (index, held) in self.items.iter().enumerate() {
            if index != from && held.after.as_ref().is_some_and(|after| ids.contains(after)) {
                block.push(index);
                ids.push(held.id.clone());
            }
        }
        if block.contains(&target) {
            return; // the server named a circle
        }
        block.sort_unstable();
        let before = block.iter().filter(|index| **index < target).count();
        let mut moved: Vec<Held> = block.iter().rev().map(|index| self.items.remove(*index)).collect();
        moved.reverse();
        let at = target + 1 - before;
        self.items.splice(at..at, moved);
    }
}

impl Owner {
    pub(crate) fn is_of(&self, entry: EntryId) -> bool {
        match self {
            Self::Entry(id) | Self::Output(id) => *id == entry,
            Self::Packed(entries) => entries.iter().any(|(id, _)| *id == entry),
            Self::Silent | Self::Nobody => false,
        }
    }

    /// The entries, in order.
    pub(crate) fn entries(&self) -> Vec<EntryId> {
        match self {
            Self::Entry(id) | Self::Output(id) => vec![*id],
            Self::Packed(entries) => entries.iter().map(|(id, _)| *id).collect(),
            Self::Silent | Self::Nobody => Vec::new(),
        }
    }

    pub(crate) fn entry(&self) -> Option<EntryId> {
        self.entries().pop()
    }
}

fn remember<T: PartialEq>(list: &mut VecDeque<T>, id: T) {
    if !list.contains(&id) {
        list.push_back(id);
        if list.len() > REMEMBERED {
            list.pop_front();
        }
    }
}
