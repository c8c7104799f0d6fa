//! Items: sent, placed, final, removed. Each item has one place in the mirror, and its entry follows it in
//! the log.

use realtime_protocol::call::{Origin, Place};
use realtime_protocol::id::ItemId;
use realtime_protocol::item::{Item, ItemStatus};

use crate::learn::{Change, Learner};
use crate::log::{Body, Function, Words};
use crate::message::Role;
use crate::mirror::{Made, Owner};
use crate::sync::ROOT;

impl Learner<'_> {
    /// This side sent an item: it counts at once, and its place is provisional.
    pub(super) fn on_sent(&mut self, item: &Item, after: Option<&ItemId>) {
        let Some(item_id) = item.id().filter(|id| !self.mirror.was_removed(id)) else { return };
        if self.mirror.get(&item_id).is_some() {
            return;
        }
        self.admit(&item_id, item, Made::Learnt);
        self.merge(&item_id, item, true);
        match after {
            Some(after) if after.as_str() == ROOT => self.mirror.move_to_front(&item_id),
            Some(after) => self.mirror.move_after(&item_id, after),
            None => {}
        }
        self.follow();
    }

    pub(super) fn on_placed(&mut self, item: &Item, place: &Place, origin: Origin) {
        let Some(item_id) = item.id().filter(|id| !self.mirror.was_removed(id)) else { return };
        let open = origin == Origin::Server && !is_completed(item) && is_the_models(item);
        let made = if open { Made::Open } else { Made::Learnt };
        if self.mirror.get(&item_id).is_none() {
            self.admit(&item_id, item, made);
        }
        self.merge(&item_id, item, is_completed(item));
        self.mirror.settle(&item_id, place);
        self.follow();
    }

    /// An item is final, or was retrieved. Its place is not known.
    pub(super) fn on_done(&mut self, item: &Item, done: bool) {
        let Some(item_id) = item.id() else { return };
        if self.mirror.get(&item_id).is_some() {
            self.merge(&item_id, item, done || is_completed(item));
            if let Some(held) = self.mirror.get_mut(&item_id).filter(|held| done && held.made == Made::Open) {
                held.made = Made::Learnt;
            }
        }
    }

    pub(super) fn on_removed(&mut self, item_id: &ItemId) {
        let Some(held) = self.mirror.remove(item_id) else { return };
        match held.owner {
            // Its entry is what the item said, so it goes too. So do the other items of the entry.
            Owner::Entry(id) => {
                let revised = self.log.get(id).is_some_and(|entry| entry.revision != held.revision);
                if revised || self.mirror.given_up.contains(&id) {
                    return;
                }
                for held in self.mirror.items.iter_mut().filter(|held| held.owner.is_of(id)) {
                    held.owner = Owner::Nobody;
                }
                if let Some(index) = self.log.position(id) {
                    self.log.entries.remove(index);
                    self.changes.push(Change::Removed(id));
                }
            }
            Owner::Output(id) => drop(self.mirror.given_up.insert(id)),
            // Removing the packed item does not remove the history.
            Owner::Packed(entries) => self.mirror.given_up.extend(entries.into_iter().map(|(id, _)| id)),
            Owner::Silent | Owner::Nobody => {}
        }
    }

    /// A new item joins the mirror, with an entry of the log.
    fn admit(&mut self, item_id: &ItemId, item: &Item, made: Made) {
        let owner = match item {
            Item::Message(_) => {
                let id = self.log.push(Body::Words(Words::new(Role::Assistant)));
                self.changes.push(Change::Added(id));
                Owner::Entry(id)
            }
            Item::FunctionCall(call) => {
                let known = call.call_id.value().and_then(|call_id| self.log.find_call(call_id));
                // It came with its response, which need not name the item, or with its output.
                let no_item = |id: &_| {
                    let lead = self.mirror.lead(*id);
                    lead.is_none_or(|held| matches!(held.owner, Owner::Output(_)))
                };
                let id = known.filter(no_item).unwrap_or_else(|| {
                    let id = self.log.push(Body::Function(Function::default()));
                    self.changes.push(Change::Added(id));
                    id
                });
                self.mirror.given_up.remove(&id);
                Owner::Entry(id)
            }
            Item::FunctionCallOutput(output) => Owner::Output(self.on_output(output)),
            _ => Owner::Silent,
        };
        self.mirror.insert(item_id.clone(), owner, made);
    }

    /// The entry takes over what the item says. Not if the item was made from the entry.
    fn merge(&mut self, item_id: &ItemId, item: &Item, done: bool) {
        let Some(held) = self.mirror.get(item_id).filter(|held| held.made != Made::FromLog) else { return };
        let Some(id) = held.owner.entry() else { return };
        let Some(entry) = self.log.get_mut(id) else { return };
        match (&mut entry.body, item) {
            (Body::Words(words), Item::Message(item)) => {
                let before = (words.state(), words.text());
                words.merge(item, done);
                if before != (words.state(), words.text()) {
                    self.note(id);
                }
            }
            (Body::Function(function), Item::FunctionCall(item)) => function.merge(item),
            _ => {}
        }
    }

    /// The entries stand in the log in the order of their items. An entry that the server does not know stays
    /// after the one before it.
    fn follow(&mut self) {
        self.log.arrange(&self.mirror.ranks());
    }
}

fn is_completed(item: &Item) -> bool {
    item.as_message().is_some_and(|item| item.status.value() == Some(&ItemStatus::Completed))
}

/// Returns whether the model makes it.
fn is_the_models(item: &Item) -> bool {
    use realtime_protocol::item::Role as Wire;
    match item {
        Item::Message(message) => message.role.value() == Some(&Wire::Assistant),
        Item::FunctionCall(call) => call.status.value() != Some(&ItemStatus::Completed),
        _ => false,
    }
}
