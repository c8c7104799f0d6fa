//! The messages in `tests/fixtures`: one a file, by carrier and direction.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use bytes::Bytes;
use realtime_telephony::CarrierKind;
use realtime_telephony::carrier::{Incoming, Outgoing};
use serde_json::Value;

/// A message as it stands in a file.
pub(crate) enum Fixture {
    Text(String),
    Binary(Bytes),
}

impl Fixture {
    /// Reads `fixtures/<carrier>/<file>.json`.
    pub(crate) fn read(kind: CarrierKind, file: &str) -> Self {
        let text = fs::read_to_string(folder(kind).join(file).with_extension("json")).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        match value.get("$binary_base64") {
            Some(Value::String(base64)) => {
                Self::Binary(base64::engine::general_purpose::STANDARD.decode(base64).unwrap().into())
            }
            _ => Self::Text(text),
        }
    }

    pub(crate) fn incoming(&self) -> Incoming<'_> {
        match self {
            Self::Text(text) => Incoming::Text(text),
            Self::Binary(bytes) => Incoming::Binary(bytes.clone()),
        }
    }

    /// The payload of a message with audio.
    pub(crate) fn audio(&self) -> Bytes {
        match self {
            Self::Binary(bytes) => bytes.clone(),
            Self::Text(text) => {
                let value: Value = serde_json::from_str(text).unwrap();
                let payload = ["/media/payload", "/data/audioContent"];
                let payload = payload.iter().find_map(|path| value.pointer(path)?.as_str()).unwrap();
                base64::engine::general_purpose::STANDARD.decode(payload).unwrap().into()
            }
        }
    }

    /// Asserts that a message says what this one does. It may have more members.
    #[track_caller]
    pub(crate) fn assert_said_by(&self, message: &Outgoing) {
        match (self, message) {
            (Self::Binary(expected), Outgoing::Binary(bytes)) => assert_eq!(expected, bytes),
            (Self::Text(expected), Outgoing::Text(text)) => {
                let expected: Value = serde_json::from_str(expected).unwrap();
                let value: Value = serde_json::from_str(text).unwrap();
                assert!(is_part(&expected, &value), "expected {expected}, got {value}");
            }
            _ => panic!("expected another kind of message, got {message:?}"),
        }
    }
}

/// The names of the files of one direction, in order, as `in/01-connected`.
pub(crate) fn files(kind: CarrierKind, direction: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder(kind).join(direction))
        .unwrap()
        .map(|entry| format!("{direction}/{}", entry.unwrap().path().file_stem().unwrap().to_str().unwrap()))
        .collect();
    names.sort();
    names
}

fn folder(kind: CarrierKind) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind.name())
}

fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| is_part(part, whole)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_part(part, whole))
        }
        _ => part == whole,
    }
}
