//! A context as a JSON document, to continue another day.
//!
//! The rule kept here: a document has a version, and a document of an unknown version is refused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::Context;
use crate::entry::{Body, Entry};

/// The version that is written.
const VERSION: u64 = 1;

#[derive(Serialize)]
struct Saved<'a> {
    version: u64,
    next_id: u64,
    entries: Vec<&'a Entry>,
}

#[derive(Deserialize)]
struct Loaded {
    #[serde(default)]
    next_id: u64,
    entries: Vec<Entry>,
}

impl Context {
    /// The context as a JSON document, which begins with `{"version":1`. It holds everything that was said,
    /// including unheard words.
    pub fn save(&self) -> String {
        // Placeholders mean nothing beyond their conversation.
        let said = |entry: &&Entry| match &entry.body {
            Body::Silent => false,
            Body::Output(output) => !output.paired,
            Body::Message(_) | Body::Words(_) | Body::Call(_) => true,
        };
        let entries = self.entries.iter().filter(said).collect();
        serde_json::to_string(&Saved { version: VERSION, next_id: self.next_id, entries })
            .expect("strings, numbers and JSON values are JSON")
    }

    /// Reads what [`save`](Self::save) wrote. Open entries stay open; the limit is the default.
    ///
    /// # Errors
    /// [`LoadError`] if the document is not a saved context, or of an unknown version.
    pub fn load(text: &str) -> Result<Self, LoadError> {
        let document: Value = serde_json::from_str(text)?;
        let version = document.get("version").and_then(Value::as_u64);
        if version != Some(VERSION) {
            return Err(LoadError::Version { found: version });
        }
        let Loaded { next_id, mut entries } = serde_json::from_value(document)?;
        for entry in &mut entries {
            entry.place.settled = true;
        }
        // The ids belong to a conversation that is over.
        let mut context = Self::new();
        (context.entries, context.next_id, context.conversation) = (entries, next_id, 1);
        context.trim();
        Ok(context)
    }
}

/// Why a document cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It does not have the shape of a saved context.
    #[error("not a saved context")]
    Shape(#[from] serde_json::Error),
    /// It is of another version.
    #[error("expected a saved context of version {VERSION}, got {}", or_none(*.found))]
    Version {
        /// The version in the document.
        found: Option<u64>,
    },
}

fn or_none(version: Option<u64>) -> String {
    version.map_or_else(|| "none".into(), |version| version.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::message::Message;
    use crate::seed::History;

    use super::*;

    #[test]
    fn a_loaded_context_seeds_as_the_saved_one() {
        let messages = [
            json!({ "role": "system", "content": "Be brief." }),
            json!({ "role": "user", "content": [{ "type": "text", "text": "Hi", "x": [1.5, null] }], "name": "Z" }),
            json!({ "role": "assistant", "content": null, "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } },
            ] }),
            json!({ "role": "tool", "tool_call_id": "c1", "content": "3" }),
        ];
        let read = |json: Value| serde_json::from_value::<Message>(json).unwrap();
        let mut context = Context::from_messages(messages.map(read));
        context.push_user_text("And now?");
        for strategy in [History::PackedMessage, History::NativeItems] {
            let mut loaded = Context::load(&context.save()).unwrap();
            assert_eq!(loaded.messages(), context.messages());
            assert_eq!(loaded.seed(strategy), context.clone().seed(strategy));
            context.seed(strategy);
            assert_eq!(loaded.save(), context.save());
        }
    }

    #[test]
    fn other_versions_and_other_documents_are_refused() {
        let text = |result: Result<Context, LoadError>| result.unwrap_err().to_string();
        assert_eq!(
            text(Context::load(r#"{"version":2,"entries":[]}"#)),
            "expected a saved context of version 1, got 2"
        );
        assert_eq!(text(Context::load("[]")), "expected a saved context of version 1, got none");
        assert_eq!(text(Context::load(r#"{"version":1}"#)), "not a saved context");
        assert_eq!(text(Context::load("")), "not a saved context");
    }

    #[test]
    fn ids_go_on_where_they_stopped() {
        let mut context = Context::new();
        let first = context.push_user_text("One");
        let mut context = Context::load(&context.save()).unwrap();
        assert_ne!(context.push_user_text("Two").id(), first.id());
    }
}
