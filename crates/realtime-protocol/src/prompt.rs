//! Prompts that are stored on OpenAI's side, by reference.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::content::PromptContent;
use crate::field::Field;
use crate::wire::wire_struct;

wire_struct! {
    /// A stored prompt. What the session sets itself takes precedence.
    pub struct Prompt {
        /// The prompt's id.
        id: Field<String>,
        /// Its version; absent: the newest.
        version: Field<String>,
        /// What its variables stand for, by name.
        variables: Field<BTreeMap<String, PromptVariable>>,
    }
}

/// What a prompt's variable stands for: text, or content of another kind.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "text or an object; the object is open itself")]
pub enum PromptVariable {
    /// Text.
    Text(String),
    /// An image, a file, or text with a cache's end.
    Content(PromptContent),
}

crate::wire::by_shape!(PromptVariable, Text(String) = b'"', Content(PromptContent) = b'{');

impl From<&str> for PromptVariable {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
