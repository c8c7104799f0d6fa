//! What the user does besides speaking: [`UserInput`].

use std::fmt;
use std::sync::Arc;

/// What the user does besides speaking. `Debug` shows sizes.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum UserInput {
    /// The user types. If an answer is wanted, what is being said stops, unless it is protected.
    #[doc(alias("InputTextRawFrame", "RTVISendTextFrame"))]
    Text {
        /// The words.
        text: Arc<str>,
        /// Whether the model answers.
        respond: Respond,
    },
    /// The user shows an image. If an answer is wanted, what is being said stops, unless it is protected.
    #[doc(alias = "UserImageRawFrame")]
    Image {
        /// Its address, or the image itself as a `data:` address.
        url: Arc<str>,
        /// Words to go with it.
        text: Option<Arc<str>>,
        /// Whether the model answers.
        respond: Respond,
    },
    /// The user wants what is being said to stop, and says nothing.
    Stop,
}

/// Whether the model answers what it is given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an answer is spoken, written or not wanted")]
pub enum Respond {
    /// It answers, as its session does: usually by speaking.
    #[default]
    Yes,
    /// It answers in writing, also in a session that speaks.
    Written,
    /// It knows of it when it answers something else.
    No,
}

impl From<bool> for Respond {
    fn from(respond: bool) -> Self {
        if respond { Self::Yes } else { Self::No }
    }
}

impl Respond {
    /// Returns whether an answer is wanted.
    pub const fn is_wanted(self) -> bool {
        !matches!(self, Self::No)
    }
}

impl fmt::Debug for UserInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, respond } => write!(f, "Text({} bytes, respond: {respond:?})", text.len()),
            Self::Image { url, text, respond } => {
                let text = text.as_ref().map_or(0, |text| text.len());
                write!(f, "Image({} bytes, {text} bytes of words, respond: {respond:?})", url.len())
            }
            Self::Stop => f.write_str("Stop"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_and_shown_does_not_show_in_debug() {
        let typed = UserInput::Text { text: "4711".into(), respond: true.into() };
        assert_eq!(format!("{typed:?}"), "Text(4 bytes, respond: Yes)");
        let (url, text) = ("data:4711".into(), Some("4711".into()));
        let shown = UserInput::Image { url, text, respond: Respond::Written };
        assert_eq!(format!("{shown:?}"), "Image(9 bytes, 4 bytes of words, respond: Written)");
    }
}
