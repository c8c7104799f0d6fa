//! The arguments of one function call, gathered from all events that tell of them.
//!
//! The rule kept here: a text that says less never replaces one that says more, and arguments that came in
//! two versions, or as something that holds none, are not taken for none.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use crate::arguments::read_arguments;
use crate::session::call_key::call_digest;

/// Arguments, as far as they were told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SeenArguments {
    /// The text that says most.
    text: Option<String>,
    /// What came that is neither text nor an object.
    other_shape: Option<&'static str>,
    /// The deltas: they count where no event brings the arguments whole.
    pieces: String,
    /// Whether two events that each tell all of the call do not tell the same.
    is_disputed: bool,
}

/// Arguments that are put together from their deltas (bytes): larger ones must come whole.
const LONGEST_PIECES: usize = 256 * 1024;

/// How much the text of arguments says.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Weight {
    Blank,
    /// An object without members.
    Empty,
    /// No object: a function must not run without what it was meant to be told.
    Unreadable,
    Object,
}

impl SeenArguments {
    /// A delta came.
    pub(super) fn push(&mut self, delta: &str) {
        if self.pieces.len() + delta.len() <= LONGEST_PIECES {
            self.pieces.push_str(delta);
        }
    }

    /// Text came. `both_whole`: with an event that tells all of the call, and not the first one.
    pub(super) fn merge(&mut self, later: &str, both_whole: bool) {
        if let Some(text) = self.text.as_deref().filter(|text| *text != later) {
            let (before, now) = (weight(text), weight(later));
            if now < before {
                return;
            }
            if now == Weight::Object && before == now {
                if call_digest("", text) == call_digest("", later) {
                    return;
                }
                self.is_disputed |= both_whole;
            }
        }
        self.text = Some(later.to_owned());
    }

    /// JSON came that is no text. Some servers send the object itself.
    pub(super) fn merge_other_shape(&mut self, raw: &str, both_whole: bool) {
        let raw = raw.trim();
        match raw.as_bytes().first() {
            Some(b'{') => self.merge(raw, both_whole),
            Some(b'[') => self.other_shape = Some("an array"),
            Some(b't' | b'f') => self.other_shape = Some("a boolean"),
            _ => self.other_shape = Some("a number"),
        }
    }

    /// The call was told twice, and not the same each time.
    pub(super) const fn dispute(&mut self) {
        self.is_disputed = true;
    }

    /// The text of the arguments; `{}` where the server says that there are none. `is_whole`: whether it told
    /// all of the call.
    ///
    /// # Errors
    /// What to tell the model where they never came, came as something that holds no arguments, or came in
    /// two versions.
    pub(super) fn read(&self, is_whole: bool) -> Result<String, String> {
        if self.is_disputed {
            return Err("expected one version of the call, got two that differ".to_owned());
        }
        if let Some(text) = self.text.as_deref().filter(|text| weight(text) > Weight::Empty) {
            return Ok(text.to_owned());
        }
        if let Some(kind) = self.other_shape {
            return Err(format!("expected the arguments to be a JSON object as text, got {kind}"));
        }
        if !self.pieces.trim().is_empty() {
            return Ok(self.pieces.clone());
        }
        if self.text.is_none() && !is_whole {
            return Err("expected the arguments, and they never came".to_owned());
        }
        Ok("{}".to_owned())
    }

    /// What came, for a call that does not run.
    pub(super) fn said(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

fn weight(text: &str) -> Weight {
    if text.trim().is_empty() {
        return Weight::Blank;
    }
    match read_arguments(text) {
        Ok((_, members)) if members.is_empty() => Weight::Empty,
        Ok(_) => Weight::Object,
        Err(_) => Weight::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> SeenArguments {
        let mut arguments = SeenArguments::default();
        texts.iter().for_each(|text| arguments.merge(text, true));
        arguments
    }

    #[test]
    fn the_text_that_says_most_counts_in_whatever_order_it_comes() {
        for (less, more) in [
            ("", "{}"),
            ("  ", r#"{"a":1}"#),
            ("{ }", r#"{"a":1}"#),
            ("{}", r#"{"a":"#),
            (r#"{"a":"#, r#"{"a":1}"#),
            ("[]", r#"{"a":1}"#),
        ] {
            assert_eq!(of(&[less, more]).read(true), of(&[more, less]).read(true), "{less} {more}");
            assert_eq!(of(&[less, more]).read(true).as_deref(), Ok(more));
        }
    }

    #[test]
    fn the_same_arguments_in_another_spelling_are_one_version() {
        let spellings = [r#"{"a":1,"b":[2]}"#, r#"{ "b": [2], "a": 1 }"#];
        assert_eq!(of(&spellings).read(true).as_deref(), Ok(spellings[0]));
        assert!(of(&[r#"{"a":1}"#, r#"{"a":2}"#]).read(true).is_err());
    }

    #[test]
    fn deltas_beyond_the_bound_are_not_put_together() {
        let mut arguments = SeenArguments::default();
        arguments.push(&"x".repeat(LONGEST_PIECES));
        arguments.push("y");
        assert_eq!(arguments.read(true).map(|text| text.len()), Ok(LONGEST_PIECES));
    }
}
