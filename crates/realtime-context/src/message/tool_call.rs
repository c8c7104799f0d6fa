//! Calls of tools, as the assistant's messages hold them.
//!
//! The rule kept here: a member that did not come is not written.

use std::borrow::Cow;

use realtime_protocol::field::Field;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A call of a tool.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ToolCall {
    /// The call's id, which its answer repeats.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub id: Field<String>,
    /// `function`, or the kind of a call with other members.
    #[serde(rename = "type", default, skip_serializing_if = "Field::is_absent")]
    pub kind: Field<String>,
    /// What is called. Absent in a call of another kind.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub function: Field<CalledFunction>,
    /// Members that have no field here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ToolCall {
    /// Returns whether it is the call with this id.
    pub fn is(&self, id: &str) -> bool {
        self.id.value().is_some_and(|own| own == id)
    }

    /// The name of the function. Empty if the call names none.
    pub fn name(&self) -> &str {
        self.function.value().and_then(|function| function.name.value()).map_or("", String::as_str)
    }

    /// The function's arguments: JSON as text. Empty if there are none.
    pub fn arguments(&self) -> Cow<'_, str> {
        let arguments = self.function.value().and_then(|function| function.arguments.value());
        arguments.map_or(Cow::Borrowed(""), Arguments::text)
    }
}

/// What a call calls.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CalledFunction {
    /// The function's name.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub arguments: Field<Arguments>,
    /// Members that have no field here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The arguments of a call, in the form in which they came.
///
/// ```
/// use realtime_context::Arguments;
/// use serde_json::json;
///
/// let text = Arguments::Text(r#"{"city":"Oslo"}"#.into());
/// let value = Arguments::Value(json!({ "city": "Oslo" }));
/// assert_eq!(text.text(), value.text());
/// assert_eq!(text.read()?, value.read()?);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(clippy::exhaustive_enums, reason = "a string, or any other JSON")]
pub enum Arguments {
    /// JSON as text: the form of chat completions. The model wrote it, so it may be no JSON.
    Text(String),
    /// JSON itself, such as an object: the form of some other services.
    Value(Value),
}

impl Arguments {
    /// The arguments as JSON text.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Value(value) => Cow::Owned(value.to_string()),
        }
    }

    /// The arguments as JSON.
    ///
    /// # Errors
    /// [`serde_json::Error`] if they are a text that is no JSON: tell the model.
    pub fn read(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Text(text) => serde_json::from_str(text),
            Self::Value(value) => Ok(value.clone()),
        }
    }
}
