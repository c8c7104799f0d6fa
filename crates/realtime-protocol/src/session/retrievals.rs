//! Retrieval futures: who waits for which item. One request is in flight per item, whoever asks.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use crate::call::CommandId;
use crate::id::{EventId, ItemId};
use crate::time::Timestamp;

/// Who waits for which item.
#[derive(Debug, Default)]
pub(super) struct Retrievals {
    waiting: BTreeMap<ItemId, Retrieval>,
}

#[derive(Debug)]
struct Retrieval {
    waiters: Vec<CommandId>,
    deadline: Timestamp,
}

impl Retrievals {
    /// The event id of the request for an item, by which the server's `error` is told apart.
    pub(super) fn event_id(item_id: &ItemId) -> EventId {
        format!("rci_{item_id}").into()
    }

    /// Adds a waiter; whether the request must be sent.
    pub(super) fn add(&mut self, item_id: &ItemId, waiter: CommandId, deadline: Timestamp) -> bool {
        match self.waiting.get_mut(item_id) {
            Some(retrieval) => {
                retrieval.waiters.push(waiter);
                false
            }
            None => {
                let retrieval = Retrieval { waiters: alloc::vec![waiter], deadline };
                self.waiting.insert(item_id.clone(), retrieval);
                true
            }
        }
    }

    /// Takes out everyone who waits for an item.
    pub(super) fn take(&mut self, item_id: &ItemId) -> Vec<CommandId> {
        self.waiting.remove(item_id).map_or_else(Vec::new, |retrieval| retrieval.waiters)
    }

    /// Takes out everyone whose request an error names. An error without an id is for the only item asked
    /// for.
    pub(super) fn take_failed(&mut self, event_id: Option<&EventId>, code: &str) -> Option<Vec<CommandId>> {
        let item_id = match event_id {
            Some(event_id) => ItemId::from(event_id.as_str().strip_prefix("rci_")?),
            None if code == "item_retrieve_invalid_item_id" && self.waiting.len() == 1 => {
                self.waiting.first_key_value()?.0.clone()
            }
            None => return None,
        };
        self.waiting.remove(&item_id).map(|retrieval| retrieval.waiters)
    }

    /// The item that is asked for, if it is the only one.
    pub(super) fn only(&self) -> Option<ItemId> {
        let (item_id, _) = self.waiting.first_key_value()?;
        (self.waiting.len() == 1).then(|| item_id.clone())
    }

    /// When the first one is overdue.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.waiting.values().map(|retrieval| retrieval.deadline).min()
    }

    /// Takes out everyone who has waited too long.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<CommandId> {
        let overdue: Vec<ItemId> = self
            .waiting
            .iter()
            .filter(|(_, retrieval)| retrieval.deadline <= now)
            .map(|(item_id, _)| item_id.clone())
            .collect();
        overdue.iter().flat_map(|item_id| self.take(item_id)).collect()
    }

    /// Everyone, at the end.
    pub(super) fn end(&mut self) -> Vec<CommandId> {
        core::mem::take(&mut self.waiting).into_values().flat_map(|retrieval| retrieval.waiters).collect()
    }
}
