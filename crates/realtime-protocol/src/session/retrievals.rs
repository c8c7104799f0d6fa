//! Retrievals: which command waits for which item. One request per item is in flight, for all commands that
//! want it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use crate::call::CommandId;
use crate::id::{EventId, ItemId};
use crate::time::Timestamp;

/// The commands that wait, by item.
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
    /// The event id of the request for an item, to recognise the server's `error`.
    pub(super) fn event_id(item_id: &ItemId) -> EventId {
        format!("rci_{item_id}").into()
    }

    /// Adds a command. Returns whether the request must be sent.
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

    /// Takes out all commands that wait for an item.
    pub(super) fn take(&mut self, item_id: &ItemId) -> Vec<CommandId> {
        self.waiting.remove(item_id).map_or_else(Vec::new, |retrieval| retrieval.waiters)
    }

    /// Takes out the commands whose request an error names. An error without an id is for the only requested
    /// item.
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

    /// The requested item, if there is only one.
    pub(super) fn only(&self) -> Option<ItemId> {
        let (item_id, _) = self.waiting.first_key_value()?;
        (self.waiting.len() == 1).then(|| item_id.clone())
    }

    /// When the first one is overdue. Nearly always there is none.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        if self.waiting.is_empty() { None } else { self.first_deadline() }
    }

    #[cold]
    fn first_deadline(&self) -> Option<Timestamp> {
        self.waiting.values().map(|retrieval| retrieval.deadline).min()
    }

    /// Takes out the commands that have waited too long.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<CommandId> {
        let overdue: Vec<ItemId> = self
            .waiting
            .iter()
            .filter(|(_, retrieval)| retrieval.deadline <= now)
            .map(|(item_id, _)| item_id.clone())
            .collect();
        overdue.iter().flat_map(|item_id| self.take(item_id)).collect()
    }

    /// All commands, at the end.
    pub(super) fn end(&mut self) -> Vec<CommandId> {
        core::mem::take(&mut self.waiting).into_values().flat_map(|retrieval| retrieval.waiters).collect()
    }
}
