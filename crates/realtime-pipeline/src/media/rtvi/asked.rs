//! What a client sends, as JSON: the envelope first, then what its type says.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::chain::Keys;
use crate::media::rtvi::said::LABEL;

/// The longest message that is read (bytes). The client of pipecat sends at most 1 MiB.
pub(super) const LONGEST: usize = 2 * 1024 * 1024;

/// The longest id that is repeated in an answer (bytes).
const LONGEST_ID: usize = 256;

/// A message from the client.
#[derive(Debug, Deserialize)]
pub(super) struct Asked<'a> {
    #[serde(borrow)]
    label: Option<Cow<'a, str>>,
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) id: Id,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What an answer repeats. Empty: there was none, or nothing that can be repeated.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(from = "Value")]
pub(super) struct Id(String);

impl Id {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Value> for Id {
    fn from(value: Value) -> Self {
        match value {
            Value::String(id) if id.len() <= LONGEST_ID => Self(id),
            _ => Self::default(),
        }
    }
}

/// Why a message is not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskedError {
    #[error("expected a message of at most {LONGEST} bytes, got {0}")]
    Long(usize),
    #[error("expected a JSON object with label, type, id and data: {0}")]
    Envelope(#[source] serde_json::Error),
    #[error("expected the label {LABEL}")]
    Label,
}

impl<'a> Asked<'a> {
    /// Reads a message.
    pub(super) fn read(text: &'a str) -> Result<Self, AskedError> {
        if text.len() > LONGEST {
            return Err(AskedError::Long(text.len()));
        }
        let asked: Self = serde_json::from_str(text).map_err(AskedError::Envelope)?;
        if asked.label.as_deref() == Some(LABEL) { Ok(asked) } else { Err(AskedError::Label) }
    }

    /// Reads what it holds. Nothing counts as `{}`.
    pub(super) fn data<T: Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        let data = self.data.map(RawValue::get).filter(|data| *data != "null");
        serde_json::from_str(data.unwrap_or("{}"))
    }

    /// It as the application gets it: all that was sent.
    pub(super) fn to_value(&self) -> Result<Value, serde_json::Error> {
        let data: Value = self.data()?;
        Ok(serde_json::json!({ "label": LABEL, "type": self.kind, "id": self.id.0, "data": data }))
    }
}

/// `client-ready`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ClientReady {
    #[serde(default)]
    pub(super) version: Value,
    #[serde(default)]
    pub(super) about: Value,
}

/// `send-text`.
#[derive(Debug, Deserialize)]
pub(super) struct SendText {
    pub(super) content: String,
    pub(super) options: Option<SendOptions>,
}

/// `send-file`.
#[derive(Debug, Deserialize)]
pub(super) struct SendFile {
    #[serde(default)]
    pub(super) content: String,
    pub(super) file: File,
    pub(super) options: Option<SendOptions>,
}

/// A file.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    /// Its MIME type.
    pub(super) format: String,
    pub(super) source: FileSource,
}

/// Where it is.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FileSource {
    Bytes {
        /// In base64, or as a `data:` address.
        bytes: String,
    },
    Url {
        url: String,
    },
}

/// What is done with words and files.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct SendOptions {
    #[serde(default = "yes")]
    pub(super) run_immediately: bool,
    #[serde(default = "yes")]
    pub(super) audio_response: bool,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self { run_immediately: true, audio_response: true }
    }
}

const fn yes() -> bool {
    true
}

/// `dtmf`: `buttons`, or of older clients one `button`.
#[derive(Debug, Deserialize)]
pub(super) struct Dtmf {
    #[serde(default)]
    buttons: Vec<String>,
    button: Option<String>,
}

/// The most keys of one message.
const MOST_KEYS: usize = 256;

impl Dtmf {
    /// The keys, if there are any and all are keys of a phone.
    pub(super) fn keys(&self) -> Option<Keys> {
        let buttons = || self.buttons.iter().chain(&self.button);
        let are_keys = buttons().all(|button| button.len() == 1) && buttons().count() <= MOST_KEYS;
        let keys: String = buttons().map(String::as_str).collect();
        Keys::new(&keys).filter(|_| are_keys && !keys.is_empty())
    }
}

/// `llm-function-call-result`.
#[derive(Debug, Deserialize)]
pub(super) struct FunctionResult {
    pub(super) tool_call_id: String,
    #[serde(default)]
    pub(super) result: Value,
}

/// `raw-audio` and `raw-audio-batch`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawAudio {
    #[serde(rename = "base64Audio")]
    one: Option<String>,
    #[serde(rename = "base64AudioBatch", default)]
    many: Vec<String>,
    pub(super) sample_rate: u32,
    pub(super) num_channels: u32,
}

impl RawAudio {
    /// The pieces, decoded. `None`: one is not base64.
    pub(super) fn pieces(&self) -> Option<Vec<Bytes>> {
        use base64::Engine as _;
        let decode = |text: &String| base64::prelude::BASE64_STANDARD.decode(text).ok().map(Bytes::from);
        self.many.iter().chain(&self.one).map(decode).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_envelope_is_read_and_what_is_none_is_told() {
        let text = r##"{"label":"rtvi-ai","type":"dtmf","id":"a","data":{"buttons":["1","#"]},"more":1}"##;
        let asked = Asked::read(text).unwrap();
        assert_eq!((&*asked.kind, asked.id.as_str()), ("dtmf", "a"));
        assert_eq!(asked.data::<Dtmf>().unwrap().keys(), Keys::new("1#"));
        let all = json!({ "label": "rtvi-ai", "type": "dtmf", "id": "a", "data": { "buttons": ["1", "#"] } });
        assert_eq!(asked.to_value().unwrap(), all);
        for text in ["", "7", "{}", r#"{"type":"dtmf"}"#, r#"{"type":7,"label":"rtvi-ai"}"#, "\"rtvi-ai\""] {
            assert!(Asked::read(text).is_err(), "{text}");
        }
        assert!(matches!(Asked::read(&" ".repeat(LONGEST + 1)), Err(AskedError::Long(_))));
        let deep = format!(r#"{{"label":"rtvi-ai","type":"x","data":{}"#, "[".repeat(100_000));
        assert!(Asked::read(&deep).is_err());
    }

    #[test]
    fn an_id_that_can_not_be_repeated_counts_as_none() {
        for id in ["7", "null", "[]", &format!("\"{}\"", "x".repeat(LONGEST_ID + 1))] {
            let text = format!(r#"{{"label":"rtvi-ai","type":"x","id":{id}}}"#);
            assert_eq!(Asked::read(&text).unwrap().id, Id::default(), "{id}");
        }
    }

    #[test]
    fn options_that_are_left_out_are_what_the_client_says_they_are() {
        let read = |data| serde_json::from_value::<SendText>(data).unwrap().options.unwrap_or_default();
        for data in [json!({ "content": "" }), json!({ "content": "", "options": {} })] {
            let options = read(data);
            assert!(options.run_immediately && options.audio_response);
        }
        let silent = read(json!({ "content": "", "options": { "audio_response": false } }));
        assert!(silent.run_immediately && !silent.audio_response);
    }

    #[test]
    fn keys_are_keys_of_a_phone() {
        let keys = |data| serde_json::from_value::<Dtmf>(data).unwrap().keys();
        assert_eq!(keys(json!({ "button": "5" })), Keys::new("5"));
        for data in
            [json!({}), json!({ "buttons": [] }), json!({ "buttons": ["12"] }), json!({ "button": "x" })]
        {
            assert_eq!(keys(data.clone()), None, "{data}");
        }
        assert_eq!(keys(json!({ "buttons": vec!["1"; MOST_KEYS + 1] })), None);
    }

    #[test]
    fn raw_audio_is_one_piece_or_many() {
        let read = |data| serde_json::from_value::<RawAudio>(data).unwrap().pieces();
        let one = json!({ "base64Audio": "AQI=", "sampleRate": 16_000, "numChannels": 1 });
        assert_eq!(read(one), Some(vec![Bytes::from_static(&[1, 2])]));
        let many = json!({ "base64AudioBatch": ["AQI=", "AwQ="], "sampleRate": 16_000, "numChannels": 1 });
        assert_eq!(read(many).map(|pieces| pieces.len()), Some(2));
        let odd = json!({ "base64Audio": "AQI", "sampleRate": 16_000, "numChannels": 1 });
        assert_eq!(read(odd), None);
    }
}
