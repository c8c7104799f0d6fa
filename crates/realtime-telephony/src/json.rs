//! Reading JSON that nobody promised: any member may be missing, of another type, or named another way.
//!
//! A message is split into its members without a copy. A wrong member costs itself and nothing else.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::carrier::Odd;

/// A JSON object: its members in their order, each as it came.
#[derive(Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads a text. `None`: it is no object.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The member that has the first of these names.
    pub(crate) fn raw(&self, names: &[&str]) -> Option<&'a RawValue> {
        names
            .iter()
            .find_map(|name| self.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value))
    }

    /// A string, or a number as it is written. Nothing else, and no empty string.
    pub(crate) fn text(&self, names: &[&str]) -> Option<Cow<'a, str>> {
        self.raw(names).and_then(text).filter(|text| !text.is_empty())
    }

    /// The same, owned.
    pub(crate) fn owned(&self, names: &[&str]) -> Option<String> {
        self.text(names).map(Cow::into_owned)
    }

    /// A whole number, as a number or as text. What is behind the point is cut.
    pub(crate) fn number(&self, names: &[&str]) -> Option<u64> {
        let text = self.text(names)?;
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Some(number);
        }
        let number: f64 = text.parse().ok()?;
        // 2^53: beyond it a float is no whole number.
        (0.0..=9_007_199_254_740_992.0).contains(&number).then_some(number as u64)
    }

    /// An object.
    pub(crate) fn object(&self, names: &[&str]) -> Option<Self> {
        self.raw(names).and_then(|raw| Self::read(raw.get()))
    }

    /// Base64, in any of its spellings.
    pub(crate) fn audio(&self, names: &[&'static str]) -> Result<Bytes, Odd> {
        let name = names.first().copied().unwrap_or_default();
        let text = self.raw(names).and_then(text).ok_or(Odd::Missing(name))?;
        LENIENT.decode(text.as_bytes()).map(Bytes::from).map_err(|_| Odd::NotBase64)
    }

    /// All members.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

/// The elements of an array; none for anything else.
pub(crate) fn elements(raw: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// A string, or a number as it is written.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    match json.as_bytes().first()? {
        b'"' => match json.get(1..json.len() - 1) {
            Some(inside) if !inside.contains('\\') => Some(Cow::Borrowed(inside)),
            _ => serde_json::from_str(json).ok().map(Cow::Owned),
        },
        b'0'..=b'9' | b'-' => Some(Cow::Borrowed(json)),
        _ => None,
    }
}

/// A string as it reads, and anything else as its JSON.
pub(crate) fn shown(raw: &RawValue) -> String {
    text(raw).map_or_else(|| raw.get().to_owned(), Cow::into_owned)
}

/// A string with its quotes, as JSON.
pub(crate) fn quoted(text: &str) -> String {
    // No string fails to be written.
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

/// Appends audio as base64.
pub(crate) fn push_base64(audio: &[u8], text: &mut String) {
    base64::engine::general_purpose::STANDARD.encode_string(audio, text);
}

/// Base64 with or without its padding.
pub(crate) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The name of a member, borrowed where it is written without escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_text_and_as_numbers() {
        let object =
            Object::read(r#"{"a":"17","b":17,"c":" 17 ","d":17.9,"e":-1,"f":1e999,"g":null,"h":""}"#);
        let object = object.unwrap();
        let read = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|name| object.number(&[name]));
        assert_eq!(read, [Some(17), Some(17), Some(17), Some(17), None, None, None, None, None]);
    }

    #[test]
    fn the_first_name_that_is_there_counts() {
        let object = Object::read(r#"{"b":"\u0062","a":"a\n"}"#).unwrap();
        assert_eq!(object.text(&["a", "b"]).as_deref(), Some("a\n"));
        assert_eq!(object.text(&["c", "b"]).as_deref(), Some("b"));
        assert!(matches!(object.text(&["a"]), Some(Cow::Owned(_))));
    }

    #[test]
    fn what_is_no_object_is_none() {
        for text in ["", "null", "[]", "1", "\"{}\"", "{", "{\"a\":}", "{}{}"] {
            assert!(Object::read(text).is_none(), "{text}");
        }
        assert!(Object::read("{}").is_some());
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        let object = Object::read(r#"{"a":"AAE=","b":"AAE","c":"AAE\u003d","d":"!","e":7}"#).unwrap();
        for name in ["a", "b", "c"] {
            assert_eq!(object.audio(&[name]).unwrap(), Bytes::from_static(&[0, 1]), "{name}");
        }
        assert_eq!(object.audio(&["d"]), Err(Odd::NotBase64));
        assert_eq!(object.audio(&["f"]), Err(Odd::Missing("f")));
    }
}
