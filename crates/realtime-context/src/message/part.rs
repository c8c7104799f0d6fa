//! The parts of a message: text, images, audio.
//!
//! The rule kept here: a part that has not the shape of its type stays the JSON that it is.

use realtime_protocol::field::Field;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One piece of a message.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", from = "Value")]
#[non_exhaustive]
pub enum Part {
    /// Text.
    Text(TextPart),
    /// An image, by its address or as a data URI.
    ImageUrl(ImagePart),
    /// Audio, as a base64 file.
    InputAudio(AudioPart),
    /// A part of another type, or one that does not have the shape of its type.
    #[serde(untagged)]
    Other(Value),
}

impl Part {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextPart { text: text.into(), extra: Map::new() })
    }

    /// An image, by its address or as a data URI.
    pub fn image(url: impl Into<String>) -> Self {
        let image_url = ImageUrl { url: url.into(), detail: Field::Absent, extra: Map::new() };
        Self::ImageUrl(ImagePart { image_url, extra: Map::new() })
    }

    /// The text, if the part is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(part) => Some(&part.text),
            Self::ImageUrl(_) | Self::InputAudio(_) | Self::Other(_) => None,
        }
    }

    /// The part, if it has the shape of a type that is known.
    fn of_known_type(part: &Value) -> Option<Self> {
        let mut members = part.as_object()?.clone();
        let kind = members.remove("type")?;
        let members = Value::Object(members);
        let part = match kind.as_str()? {
            "text" => serde_json::from_value(members).map(Self::Text),
            "image_url" => serde_json::from_value(members).map(Self::ImageUrl),
            "input_audio" => serde_json::from_value(members).map(Self::InputAudio),
            _ => return None,
        };
        part.ok()
    }
}

/// Reads any JSON. Serde's own way would read a number as a type.
impl From<Value> for Part {
    fn from(part: Value) -> Self {
        Self::of_known_type(&part).unwrap_or(Self::Other(part))
    }
}

/// Text.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct TextPart {
    /// The text.
    pub text: String,
    /// Members that have no field here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// An image.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ImagePart {
    /// The image.
    pub image_url: ImageUrl,
    /// Members that have no field here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Where an image is, and how to look at it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ImageUrl {
    /// Its address, or a data URI.
    pub url: String,
    /// How closely the model looks: `auto`, `low` or `high`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub detail: Field<String>,
    /// Members that have no field here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Audio.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct AudioPart {
    /// The audio.
    pub input_audio: AudioFile,
    /// Members that have no field here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// An audio file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct AudioFile {
    /// The file in base64.
    pub data: String,
    /// `wav` or `mp3`.
    pub format: String,
    /// Members that have no field here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
