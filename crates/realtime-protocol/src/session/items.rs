//! Items on their way: told once when they have a place and once when they are final, whichever of the wire's
//! several events says it first. Order and content live with the application.

use alloc::collections::{BTreeSet, VecDeque};

use crate::id::ItemId;

/// Final items that are remembered, so that a second event about one is not taken for a new item.
const REMEMBERED: usize = 16;

/// Items that have a place and are not final, and the last ones that are.
#[derive(Debug, Default)]
pub(super) struct Items {
    unfinished: BTreeSet<ItemId>,
    finished: VecDeque<ItemId>,
}

impl Items {
    /// Whether an item is new.
    pub(super) fn place(&mut self, item_id: &ItemId) -> bool {
        !self.finished.contains(item_id) && self.unfinished.insert(item_id.clone())
    }

    /// Whether an item is final only now.
    pub(super) fn finish(&mut self, item_id: &ItemId) -> bool {
        if !self.unfinished.remove(item_id) {
            return false;
        }
        if self.finished.len() == REMEMBERED {
            self.finished.pop_front();
        }
        self.finished.push_back(item_id.clone());
        true
    }

    /// An item has left the conversation.
    pub(super) fn remove(&mut self, item_id: &ItemId) {
        self.unfinished.remove(item_id);
        self.finished.retain(|finished| finished != item_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_placed_once_and_final_once() {
        let mut items = Items::default();
        let item = ItemId::from("item_1");
        assert!(items.place(&item) && !items.place(&item));
        assert!(items.finish(&item) && !items.finish(&item));
        assert!(!items.place(&item), "a second event about it");
        items.remove(&item);
        assert!(items.place(&item), "created anew");
    }
}
