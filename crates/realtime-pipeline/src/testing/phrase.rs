//! What words are looked for: [`Phrase`].

use std::fmt;
use std::sync::Arc;

/// A test of words, with how it is told. A text is a phrase that must be contained.
#[derive(Clone)]
pub struct Phrase {
    shown: String,
    fits: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Phrase {
    /// Words that contain this, in upper or lower case. White space of any length is one blank.
    pub fn contains(part: impl AsRef<str>) -> Self {
        let wanted = plain(part.as_ref());
        Self::matching(format!("{:?}", part.as_ref()), move |text| plain(text).contains(&wanted))
    }

    /// These words and no others. White space of any length is one blank.
    pub fn exactly(text: impl AsRef<str>) -> Self {
        let wanted = spaced(text.as_ref());
        Self::matching(format!("exactly {:?}", text.as_ref()), move |text| spaced(text) == wanted)
    }

    /// Words for which `fits` returns `true`. Mismatches call it `shown`.
    pub fn matching(shown: impl Into<String>, fits: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { shown: shown.into(), fits: Arc::new(fits) }
    }

    /// Returns whether these words fit.
    pub fn fits(&self, text: &str) -> bool {
        (self.fits)(text)
    }
}

impl From<&str> for Phrase {
    fn from(part: &str) -> Self {
        Self::contains(part)
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phrase({})", self.shown)
    }
}

fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plain(text: &str) -> String {
    spaced(text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_contained_in_any_case_and_exact_words_are_the_same() {
        assert!(Phrase::from("GOOD  day").fits("Have a good\nday!"));
        assert!(!Phrase::from("good day").fits("goodday"));
        assert!(Phrase::exactly("Hello there.").fits(" Hello  there. "));
        assert!(!Phrase::exactly("Hello").fits("hello"));
        let number = Phrase::matching("a number", |text| text.chars().any(|c| c.is_ascii_digit()));
        assert_eq!((number.fits("21 degrees"), number.to_string()), (true, "a number".to_owned()));
    }
}
