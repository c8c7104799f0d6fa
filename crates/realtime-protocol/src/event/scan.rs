//! Reading and writing one event's text: first its `type`, then the one struct.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::event::Malformed;
use crate::wire::{self, Mismatch, Wire, json_kind};

/// The event's `type`.
pub(crate) fn event_kind(text: &str) -> Result<Cow<'_, str>, Malformed> {
    if let Some(kind) = peek_kind(text) {
        return Ok(kind);
    }
    let error = match serde_json::from_str::<&RawValue>(text) {
        Ok(value) => format!("expected an object with a string `type`, got {}", json_kind(value.get())),
        Err(error) => return Err(not_json(text, &error)),
    };
    Err(Malformed { kind: None, path: "type".into(), reason: error, raw: text.into() })
}

/// Says that `text` is no JSON.
pub(crate) fn not_json(text: &str, error: &serde_json::Error) -> Malformed {
    Malformed { kind: None, path: String::new(), reason: format!("expected JSON: {error}"), raw: text.into() }
}

/// Reads an event's struct: at once where all members fit, else member by member.
pub(crate) fn read<T: Wire>(text: &str) -> Result<T, Mismatch> {
    match serde_json::from_str(text) {
        Ok(event) => Ok(event),
        Err(_) => match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => T::from_raw(raw),
            Err(error) => Err(Mismatch { path: String::new(), reason: format!("expected JSON: {error}") }),
        },
    }
}

/// Appends a value's JSON text.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T, out: &mut String) {
    const WHY: &str = "wire types have string keys, and memory takes every write";
    #[cfg(feature = "std")]
    {
        let mut bytes = core::mem::take(out).into_bytes();
        value.serialize(&mut serde_json::Serializer::new(&mut bytes)).expect(WHY);
        *out = String::from_utf8(bytes).expect("serde_json writes UTF-8");
    }
    #[cfg(not(feature = "std"))]
    out.push_str(&serde_json::to_string(value).expect(WHY));
}

/// The first `type` member of an object, found without reading the rest.
pub(crate) fn peek_kind(text: &str) -> Option<Cow<'_, str>> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.expect(b'{')?;
    loop {
        let key = cursor.string()?;
        cursor.expect(b':')?;
        if key == "type" {
            return match cursor.string() {
                Some(kind) if !kind.contains('\\') => Some(Cow::Borrowed(kind)),
                Some(_) => wire::kind_of(text).map(Cow::Owned),
                None => None,
            };
        }
        if key.contains('\\') {
            return wire::kind_of(text).map(Cow::Owned);
        }
        cursor.skip_value()?;
        cursor.expect(b',')?;
    }
}

/// A place in JSON text. It only has to be right for valid JSON: what it finds is read again by serde.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The characters between two quotes, escapes not undone.
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return self.text.get(start..self.at - 1);
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                b',' | b':' => return None,
                _ => {
                    while !matches!(
                        self.text.as_bytes().get(self.at)?,
                        b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'
                    ) {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}
