//! How many words of the user's speech are known, for a policy that waits for words.

use alloc::vec::Vec;

use crate::id::ItemId;
use crate::session::heard_words::ends_word;

/// The most items of one speech. Beyond that the oldest are forgotten, with their words.
const MOST_ITEMS: usize = 8;

/// The words of the speech that is weighed. It may become several items.
#[derive(Debug, Default)]
pub(super) struct SpokenWords(Vec<Spoken>);

#[derive(Debug)]
struct Spoken {
    /// `None`: the server has not said yet.
    item_id: Option<ItemId>,
    words: WordCount,
    /// Whether no more of them come.
    whole: bool,
}

/// Counts words whose letters may come in pieces.
#[derive(Clone, Copy, Debug, Default)]
struct WordCount {
    words: u32,
    /// Whether the next letter belongs to the last word.
    in_word: bool,
}

impl WordCount {
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            let is_letter = c.is_alphanumeric();
            let stands_alone = ends_word(c);
            if is_letter && (stands_alone || !self.in_word) {
                self.words = self.words.saturating_add(1);
            }
            // An apostrophe or a hyphen does not end a word.
            self.in_word = !stands_alone && (is_letter || self.in_word);
        }
    }
}

impl SpokenWords {
    /// Another speech begins, or another burst of the same.
    pub(super) fn began(&mut self, item_id: Option<&ItemId>) {
        if self.0.len() == MOST_ITEMS {
            self.0.remove(0);
        }
        self.0.push(Spoken { item_id: item_id.cloned(), words: WordCount::default(), whole: false });
    }

    /// The speech becomes this item, which may not be the one that was announced.
    pub(super) fn committed(&mut self, item_id: &ItemId) {
        if self.of(item_id).is_some() {
            return;
        }
        match self.0.last_mut().filter(|spoken| spoken.item_id.is_none()) {
            Some(spoken) => spoken.item_id = Some(item_id.clone()),
            None => self.began(Some(item_id)),
        }
    }

    /// Words of an item came.
    pub(super) fn heard(&mut self, item_id: &ItemId, delta: &str) {
        if let Some(spoken) = self.of(item_id).filter(|spoken| !spoken.whole) {
            spoken.words.push(delta);
        }
    }

    /// All words of an item are known. Returns whether those of the whole speech are.
    pub(super) fn whole(&mut self, item_id: &ItemId, transcript: &str) -> bool {
        let Some(spoken) = self.of(item_id) else { return false };
        spoken.words = WordCount::default();
        spoken.words.push(transcript);
        spoken.whole = true;
        self.0.iter().all(|spoken| spoken.whole)
    }

    /// How many are known.
    pub(super) fn known(&self) -> u32 {
        self.0.iter().fold(0, |sum, spoken| sum.saturating_add(spoken.words.words))
    }

    fn of(&mut self, item_id: &ItemId) -> Option<&mut Spoken> {
        self.0.iter_mut().find(|spoken| spoken.item_id.as_ref() == Some(item_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(deltas: &[&str]) -> u32 {
        let mut words = SpokenWords::default();
        words.began(Some(&"i".into()));
        for delta in deltas {
            words.heard(&"i".into(), delta);
        }
        words.known()
    }

    #[test]
    fn words_are_counted_whatever_pieces_they_come_in() {
        assert_eq!(count(&["Sto", "p it", " ", "now."]), 3);
        assert_eq!(count(&["don't", " – ", "well-known"]), 2);
        assert_eq!(count(&["", " … ", "?!"]), 0);
        assert_eq!(count(&["停下", "。ok"]), 3);
    }

    #[test]
    fn words_of_another_item_are_of_another_turn() {
        let mut words = SpokenWords::default();
        words.began(None);
        words.heard(&"earlier".into(), "one two three");
        assert_eq!(words.known(), 0);
        words.committed(&"i".into());
        words.heard(&"i".into(), "mhm");
        assert_eq!(words.known(), 1);
    }

    #[test]
    fn a_transcript_counts_in_place_of_its_deltas() {
        let mut words = SpokenWords::default();
        words.began(Some(&"a".into()));
        words.began(Some(&"b".into()));
        words.heard(&"a".into(), "wait a");
        assert!(!words.whole(&"a".into(), "Wait a minute."));
        assert_eq!(words.known(), 3);
        assert!(words.whole(&"b".into(), ""));
        assert!(!words.whole(&"c".into(), "another turn's"));
    }
}
