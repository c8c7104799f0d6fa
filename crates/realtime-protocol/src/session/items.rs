//! Pending items: each is told once when it has a place and once when it is final, by whichever wire event
//! says so first. Also the user's items, whose transcripts come later. The application keeps the items' order
//! and content.

use alloc::collections::VecDeque;

use core::time::Duration;

use crate::id::ItemId;
use crate::time::Timestamp;

/// Final items that are remembered, so that a second event about one is not taken for a new item.
const REMEMBERED: usize = 16;

/// The most items kept that are not final. Some servers never say that an item is final.
const MOST_UNFINISHED: usize = 256;

/// Items that have a place and are not final, and the last final ones.
#[derive(Debug, Default)]
pub(super) struct Items {
    unfinished: VecDeque<ItemId>,
    finished: VecDeque<ItemId>,
    /// The last ones that have left the conversation.
    removed: VecDeque<ItemId>,
}

impl Items {
    /// Notes that an item has a place. Returns whether the item is new.
    pub(super) fn place(&mut self, item_id: &ItemId) -> bool {
        if self.finished.contains(item_id) || self.unfinished.contains(item_id) {
            return false;
        }
        self.removed.retain(|removed| removed != item_id);
        push_bounded(&mut self.unfinished, item_id.clone(), MOST_UNFINISHED);
        true
    }

    /// Returns whether nothing was told of an item.
    pub(super) fn is_unknown(&self, item_id: &ItemId) -> bool {
        [&self.unfinished, &self.finished, &self.removed].iter().all(|items| !items.contains(item_id))
    }

    /// Notes that an item is final. Returns whether this is new.
    pub(super) fn finish(&mut self, item_id: &ItemId) -> bool {
        let Some(index) = self.unfinished.iter().position(|unfinished| unfinished == item_id) else {
            return false;
        };
        self.unfinished.remove(index);
        push_bounded(&mut self.finished, item_id.clone(), REMEMBERED);
        true
    }

    /// Whether it was told that an item is final.
    pub(super) fn is_finished(&self, item_id: &ItemId) -> bool {
        self.finished.contains(item_id)
    }

    /// An item has left the conversation.
    pub(super) fn remove(&mut self, item_id: &ItemId) {
        self.unfinished.retain(|unfinished| unfinished != item_id);
        self.finished.retain(|finished| finished != item_id);
        if !self.removed.contains(item_id) {
            push_bounded(&mut self.removed, item_id.clone(), REMEMBERED);
        }
    }
}

/// The user's items whose transcripts have not come, oldest first, and when each was made.
#[derive(Debug, Default)]
pub(super) struct Transcripts(VecDeque<(ItemId, Timestamp)>);

impl Transcripts {
    /// An item was made of what the user said.
    pub(super) fn expect(&mut self, now: Timestamp, item_id: ItemId) {
        push_bounded(&mut self.0, (item_id, now), REMEMBERED);
    }

    /// A transcript came, or will not.
    pub(super) fn came(&mut self, item_id: &ItemId) {
        self.0.retain(|(expected, _)| expected != item_id);
    }

    /// Until when to wait for the transcripts, at most `patience` for each. `None`: none is missing.
    pub(super) fn until(&self, patience: Duration) -> Option<Timestamp> {
        self.0.back().map(|(_, made)| *made + patience)
    }
}

/// Adds an item, and drops the oldest if there are too many.
fn push_bounded<T>(items: &mut VecDeque<T>, item: T, most: usize) {
    if items.len() == most {
        items.pop_front();
    }
    items.push_back(item);
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
        assert!(!items.is_unknown(&item));
        items.remove(&item);
        assert!(!items.is_unknown(&item), "it was told that it is gone");
        assert!(items.place(&item), "created anew");
    }

    #[test]
    fn items_that_are_never_final_do_not_pile_up() {
        let mut items = Items::default();
        for index in 0..5000 {
            items.place(&alloc::format!("item_{index}").as_str().into());
        }
        assert_eq!(items.unfinished.len(), MOST_UNFINISHED);
    }
}
