//! Chat messages in the JSON form of chat completions: the form of a history that goes in or comes out.
//!
//! The rule kept here: nothing is lost. Members, parts and roles that have no type of their own are kept as
//! JSON and written back.

mod part;
mod tool_call;

use realtime_protocol::field::Field;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use part::{AudioFile, AudioPart, ImagePart, ImageUrl, Part, TextPart};
pub use tool_call::{Arguments, CalledFunction, ToolCall};

/// One message of a chat.
///
/// ```
/// use realtime_context::Message;
///
/// let json = r#"{"role":"user","content":[{"type":"text","text":"What is this?"}],"name":"Zoë"}"#;
/// let message: Message = serde_json::from_str(json)?;
/// assert_eq!(message.text(), "What is this?");
/// assert_eq!(
///     serde_json::to_value(&message)?,
///     serde_json::from_str::<serde_json::Value>(json)?,
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Message {
    /// Whose words these are.
    pub role: Role,
    /// The words; `null` or absent beside tool calls.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub content: Field<Content>,
    /// The assistant's calls.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub tool_calls: Field<Vec<ToolCall>>,
    /// In a tool's message: the call that it answers.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub tool_call_id: Field<String>,
    /// Members that have no field here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Message {
    /// What the application tells the model.
    pub fn system(text: impl Into<String>) -> Self {
        Self::of(Role::System, text)
    }

    /// What the user said.
    pub fn user(text: impl Into<String>) -> Self {
        Self::of(Role::User, text)
    }

    /// What the assistant said.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::of(Role::Assistant, text)
    }

    /// A call by the assistant. `arguments` is a JSON object as text.
    pub fn tool_call(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        let function = CalledFunction {
            name: Field::Value(name.into()),
            arguments: Field::Value(Arguments::Text(arguments.into())),
            extra: Map::new(),
        };
        let call = ToolCall {
            id: Field::Value(id.into()),
            kind: "function".into(),
            function: Field::Value(function),
            extra: Map::new(),
        };
        Self { role: Role::Assistant, tool_calls: Field::Value(vec![call]), ..Self::default() }
    }

    /// What a call returned.
    pub fn tool(call_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { tool_call_id: Field::Value(call_id.into()), ..Self::of(Role::Tool, text) }
    }

    pub(crate) fn of(role: Role, text: impl Into<String>) -> Self {
        Self { role, content: Field::Value(Content::Text(text.into())), ..Self::default() }
    }

    /// This message, with these parts in the place of its content.
    #[must_use]
    pub fn with_parts(self, parts: Vec<Part>) -> Self {
        Self { content: Field::Value(Content::Parts(parts)), ..self }
    }

    /// The words: the string, or the text parts, a line each.
    pub fn text(&self) -> String {
        match self.content.value() {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => join(parts.iter().filter_map(Part::as_text)),
        }
    }

    /// The parts of a list. None if the content is a string.
    pub fn parts(&self) -> &[Part] {
        match self.content.value() {
            Some(Content::Parts(parts)) => parts,
            Some(Content::Text(_)) | None => &[],
        }
    }

    /// The assistant's calls.
    pub fn calls(&self) -> &[ToolCall] {
        self.tool_calls.value().map_or(&[], Vec::as_slice)
    }

    /// Returns whether it holds instructions for the model.
    pub(crate) const fn is_instruction(&self) -> bool {
        matches!(self.role, Role::System | Role::Developer)
    }
}

/// Joins texts, a line each, and leaves out empty ones.
pub(crate) fn join<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if !joined.is_empty() {
            joined.push('\n');
        }
        joined.push_str(text);
    }
    joined
}

/// Whose words a message holds.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum Role {
    /// The application, to the model.
    System,
    /// The application, to the model: the newer name for it.
    Developer,
    /// The person.
    #[default]
    User,
    /// The model.
    Assistant,
    /// A tool: what it returned.
    Tool,
    /// Another.
    Other(String),
}

impl Role {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for Role {
    fn from(name: String) -> Self {
        match name.as_str() {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" => Self::Tool,
            _ => Self::Other(name),
        }
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        match role {
            Role::Other(name) => name,
            role => role.as_str().to_owned(),
        }
    }
}

/// What a message says: one text, or parts.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged, expecting = "expected a string or a list of parts as content, got something else")]
#[expect(clippy::exhaustive_enums, reason = "a string or a list; parts are open themselves")]
pub enum Content {
    /// One text.
    Text(String),
    /// Parts, in order.
    Parts(Vec<Part>),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_written_as_they_were_read() {
        for json in [
            json!({ "role": "system", "content": "Be brief." }),
            json!({ "role": "developer", "content": [] }),
            json!({ "role": "user", "content": "Hi", "name": "Zoë" }),
            json!({ "role": "user", "content": [
                { "type": "text", "text": "What is this?", "cache_control": { "type": "ephemeral" } },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": "low" } },
                { "type": "input_audio", "input_audio": { "data": "AA==", "format": "wav" }, "x": 1 },
                { "type": "file", "file": { "file_id": "f1" } },
                { "type": "text", "text": 7 },
                { "type": 0, "text": "Hi" },
                ["text", { "text": "Hi" }],
                "loose",
            ] }),
            json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" }, "index": 0 },
            ] }),
            json!({ "role": "assistant", "tool_calls": null }),
            json!({ "role": "assistant", "content": null, "refusal": "No.", "audio": { "id": "audio_1" } }),
            json!({ "role": "assistant", "tool_calls": [
                {},
                { "id": null, "type": null, "function": null },
                { "function": {} },
                { "function": { "name": "f" } },
                { "id": "c2", "function": { "name": null, "arguments": null } },
                { "id": "c3", "type": "function", "function": { "name": "f", "arguments": { "a": [1, "x"] } } },
                { "id": "c4", "type": "function", "function": { "name": "f", "arguments": "no JSON" } },
            ] }),
            json!({ "role": "assistant", "tool_calls": [] }),
            json!({ "role": "assistant", "tool_calls": [
                { "id": "c1", "type": "custom", "custom": { "name": "f", "input": "x" } },
            ] }),
            json!({ "role": "tool", "tool_call_id": "c1", "content": "3" }),
            json!({ "role": "function", "name": "f", "content": "3" }),
        ] {
            let message: Message = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(&message).unwrap(), json);
        }
    }

    #[test]
    fn arguments_are_read_from_text_and_from_json() {
        let call = |arguments: Value| -> ToolCall {
            serde_json::from_value(json!({ "function": { "name": "f", "arguments": arguments } })).unwrap()
        };
        let read = |call: &ToolCall| {
            let function = call.function.value().unwrap();
            function.arguments.value().unwrap().read().map_err(|error| error.to_string())
        };
        let (as_text, as_json) = (call(json!(r#"{"a":1}"#)), call(json!({ "a": 1 })));
        assert_eq!((as_text.arguments(), as_text.name()), (as_json.arguments(), "f"));
        assert_eq!(read(&as_text), Ok(json!({ "a": 1 })));
        assert_eq!(read(&as_json), Ok(json!({ "a": 1 })));
        assert!(read(&call(json!("{"))).is_err());
        assert_eq!(ToolCall::default().arguments(), "");
    }

    #[test]
    fn a_role_is_a_text() {
        let odd = json!({ "role": { "system": null } });
        assert!(serde_json::from_value::<Message>(odd).is_err());
    }

    #[test]
    fn what_is_no_content_is_refused_with_what_was_expected() {
        let error = serde_json::from_value::<Message>(json!({ "role": "user", "content": 7 })).unwrap_err();
        assert!(error.to_string().contains("a string or a list of parts"), "{error}");
    }

    #[test]
    fn a_part_of_a_known_type_is_read_as_it_even_with_members_besides() {
        let part = json!({ "type": "text", "text": "Hi", "cache_control": null });
        let part: Part = serde_json::from_value(part).unwrap();
        assert_eq!(part.as_text(), Some("Hi"));
    }

    #[test]
    fn text_parts_are_joined_without_gaps_for_other_parts() {
        let parts = vec![Part::text("One."), Part::image("https://example.com/1.png"), Part::text("Two.")];
        let message = Message { content: Field::Value(Content::Parts(parts)), ..Message::default() };
        assert_eq!(message.text(), "One.\nTwo.");
    }
}
