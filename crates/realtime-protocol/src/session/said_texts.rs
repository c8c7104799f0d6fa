//! How much of its words each part of a response has told, so that what only a later event says is told too.
//!
//! The rule kept here: words that the deltas said are never told again, and words that they left out are told
//! where they follow what was said.

use alloc::string::String;
use alloc::vec::Vec;

use crate::audio::{FNV1A_OF_NOTHING, fnv1a, fnv1a_after};
use crate::id::ItemId;

/// What the parts of a response have said.
#[derive(Debug, Default)]
pub(super) struct SaidTexts {
    parts: Vec<SaidText>,
}

#[derive(Debug)]
struct SaidText {
    item_id: ItemId,
    content_index: u32,
    /// How much was said (bytes), and what.
    len: usize,
    hash: u64,
}

/// Parts that are known: of more, nothing is told but what their deltas say.
const MOST_PARTS: usize = 64;

impl SaidTexts {
    /// A part says more.
    pub(super) fn push(&mut self, item_id: &ItemId, content_index: u32, delta: &str) {
        let index = match self.index_of(item_id, content_index) {
            Some(index) => index,
            None if self.parts.len() == MOST_PARTS => return,
            None => {
                let item_id = item_id.clone();
                self.parts.push(SaidText { item_id, content_index, len: 0, hash: FNV1A_OF_NOTHING });
                self.parts.len() - 1
            }
        };
        let Some(said) = self.parts.get_mut(index) else { return };
        said.len += delta.len();
        said.hash = fnv1a_after(said.hash, delta.as_bytes());
    }

    /// What of a part's whole text was not said, and whether anything was before. `None`: nothing is left, or
    /// the text does not go on from what was said.
    pub(super) fn rest(&self, item_id: &ItemId, content_index: u32, whole: &str) -> Option<(String, bool)> {
        let said = match self.index_of(item_id, content_index) {
            Some(index) => self.parts.get(index)?,
            None if self.parts.len() == MOST_PARTS => return None,
            None => return (!whole.trim().is_empty()).then(|| (whole.into(), false)),
        };
        let (before, rest) = whole.split_at_checked(said.len)?;
        (!rest.trim().is_empty() && fnv1a(before.as_bytes()) == said.hash).then(|| (rest.into(), true))
    }

    fn index_of(&self, item_id: &ItemId, content_index: u32) -> Option<usize> {
        self.parts.iter().rposition(|part| part.content_index == content_index && part.item_id == *item_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_deltas_left_out_is_the_rest() {
        let mut said = SaidTexts::default();
        let item = ItemId::from("a");
        assert_eq!(said.rest(&item, 0, "Hello there."), Some(("Hello there.".into(), false)));
        assert_eq!(said.rest(&item, 0, " "), None);
        said.push(&item, 0, "Hel");
        said.push(&item, 0, "lo");
        assert_eq!(said.rest(&item, 0, "Hello there."), Some((" there.".into(), true)));
        for whole in ["Hello", "Hello ", "Hell", "Howdy there.", "", "Héllo"] {
            assert_eq!(said.rest(&item, 0, whole), None, "{whole}");
        }
        assert_eq!(said.rest(&item, 1, "Two"), Some(("Two".into(), false)));
    }

    #[test]
    fn nothing_is_told_again_of_parts_beyond_the_most() {
        let mut said = SaidTexts::default();
        for index in 0..=MOST_PARTS {
            said.push(&"a".into(), u32::try_from(index).unwrap(), "x");
        }
        assert_eq!(said.parts.len(), MOST_PARTS);
        assert_eq!(said.rest(&"a".into(), u32::try_from(MOST_PARTS).unwrap(), "xy"), None);
    }
}
