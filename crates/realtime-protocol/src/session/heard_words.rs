//! The words of a part against its audio: which words were heard when playback stood at a given sample.

use alloc::string::String;
use alloc::vec::Vec;

/// The words of a part against its audio. A mark `(samples, bytes of text)` says how much of each had come.
#[derive(Debug, Default)]
pub(super) struct Words {
    text: String,
    marks: Vec<(u64, usize)>,
}

/// The most text kept of a part, to cut it where playback stood (bytes): more than a model says in one go.
const LONGEST_TEXT: usize = 32 * 1024;

/// Marks are thinned out beyond this, so that a part's memory does not grow with its deltas.
const MOST_MARKS: usize = 256;

impl Words {
    /// More words came, after this many samples.
    pub(super) fn push(&mut self, delta: &str, at: u64) {
        // Words come ahead of their audio, so a mark is the earliest position of the words that follow.
        if self.marks.last().is_none_or(|(mark, _)| *mark < at) {
            if self.marks.len() == MOST_MARKS {
                let mut odd = false;
                self.marks.retain(|_| {
                    odd = !odd;
                    odd
                });
            }
            self.marks.push((at, self.text.len()));
        }
        if self.text.len() + delta.len() <= LONGEST_TEXT {
            self.text.push_str(delta);
        }
    }

    /// The words heard after `heard` of `received` samples: whole words, interpolated between the marks.
    pub(super) fn heard(&self, heard: u64, received: u64, whole: bool) -> &str {
        if heard >= received && whole {
            return &self.text;
        }
        let after = self.marks.iter().position(|(at, _)| *at > heard).unwrap_or(self.marks.len());
        let (from, from_len) = after.checked_sub(1).map_or((0, 0), |before| self.marks[before]);
        let (to, to_len) = self.marks.get(after).copied().unwrap_or((received, self.text.len()));
        let span = to.saturating_sub(from);
        let into = heard.saturating_sub(from).min(span);
        let extra = (to_len - from_len) as u64 * into / span.max(1);
        let end = from_len + usize::try_from(extra).unwrap_or(usize::MAX);
        self.whole_words(end)
    }

    /// The words of the first characters.
    pub(super) fn first(&self, characters: usize) -> &str {
        let end = self.text.char_indices().nth(characters).map_or(self.text.len(), |(index, _)| index);
        self.whole_words(end)
    }

    /// How many characters they have.
    pub(super) fn characters(&self) -> usize {
        self.text.chars().count()
    }

    /// The words up to a byte: only whole ones were heard.
    fn whole_words(&self, end: usize) -> &str {
        let end = if end >= self.text.len() {
            self.text.len()
        } else {
            self.text
                .char_indices()
                .map(|(index, _)| index)
                .filter(|index| *index <= end)
                .rfind(|index| self.text[*index..].starts_with(ends_word))
                .unwrap_or(0)
        };
        &self.text[..end]
    }

    /// Returns whether no words came.
    pub(super) const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Returns whether a word may end before this character: at a space, and at any character of a script without
/// spaces.
pub(super) fn ends_word(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '\u{e00}'..='\u{eff}' // Thai, Lao
            | '\u{1000}'..='\u{109f}' // Burmese
            | '\u{1780}'..='\u{17ff}' // Khmer
            | '\u{2e80}'..='\u{9fff}' // Chinese, Japanese
            | '\u{f900}'..='\u{faff}'
            | '\u{ff00}'..='\u{ffef}'
            | '\u{20000}'..='\u{3ffff}')
}
