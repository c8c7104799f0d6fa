//! What the user says, as text that grows: [`Transcripts`].

use std::collections::VecDeque;
use std::fmt;

use realtime_protocol::id::ItemId;

/// The most items whose text grows at once.
const MOST: usize = 16;
/// The longest text that is told before it is whole (bytes): it is told from its beginning each time.
const LONGEST: usize = 4_096;

/// Texts that grow. `Debug` shows none of them.
#[derive(Default)]
pub(super) struct Transcripts(VecDeque<(ItemId, u32, String)>);

impl Transcripts {
    /// New words. Returns all words of their part so far. `None`: they are told once they are whole.
    pub(super) fn grow(&mut self, item_id: &ItemId, content_index: u32, delta: &str) -> Option<&str> {
        let at = self.find(item_id, content_index).unwrap_or_else(|| {
            if self.0.len() == MOST {
                self.0.pop_front();
            }
            self.0.push_back((item_id.clone(), content_index, String::new()));
            self.0.len() - 1
        });
        let text = &mut self.0[at].2;
        if text.len() + delta.len() > LONGEST {
            return None;
        }
        text.push_str(delta);
        Some(text)
    }

    /// A part is whole, or never will be.
    pub(super) fn finish(&mut self, item_id: &ItemId, content_index: u32) {
        if let Some(at) = self.find(item_id, content_index) {
            self.0.remove(at);
        }
    }

    fn find(&self, item_id: &ItemId, content_index: u32) -> Option<usize> {
        self.0.iter().position(|(item, content, _)| item == item_id && *content == content_index)
    }
}

impl fmt::Debug for Transcripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcripts({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_grows_by_itself_and_begins_anew_once_it_is_whole() {
        let (mut transcripts, one) = (Transcripts::default(), ItemId::from("one"));
        assert_eq!(transcripts.grow(&one, 0, "How "), Some("How "));
        assert_eq!(transcripts.grow(&one, 1, "Yes"), Some("Yes"));
        assert_eq!(transcripts.grow(&one, 0, "are you"), Some("How are you"));
        transcripts.finish(&one, 0);
        assert_eq!(transcripts.grow(&one, 0, "Hi"), Some("Hi"));
    }

    #[test]
    fn texts_are_bounded_in_number_and_length() {
        let mut transcripts = Transcripts::default();
        for item in 0..100 {
            transcripts.grow(&ItemId::from(item.to_string().as_str()), 0, "a");
        }
        assert_eq!(transcripts.0.len(), MOST);
        let last = ItemId::from("99");
        assert_eq!(transcripts.grow(&last, 0, &"a".repeat(LONGEST)), None);
        assert_eq!(transcripts.grow(&last, 0, "b"), Some("ab"));
    }
}
