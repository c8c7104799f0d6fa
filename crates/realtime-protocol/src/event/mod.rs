//! The events of the wire: [`ClientEvent`] and [`ServerEvent`], and their reading and writing.
//!
//! Reading never fails: every text gives an event. An event of a `type` that this version does not know is
//! `Unknown`, an unusable text is `Malformed`, and both keep the text.

pub(crate) mod bound;
mod client;
pub(crate) mod hot;
pub(crate) mod logged;
pub(crate) mod scan;
mod server;

use alloc::string::String;

use crate::field::RawJson;

pub use crate::dialect::{Dialect, Foreign};
pub use client::*;
pub use server::*;

/// An event of a `type` that this version does not know, kept whole.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownEvent {
    /// The `type`.
    pub kind: String,
    /// The event as it came.
    pub raw: RawJson,
}

/// Wire text that is not a usable event: not JSON, without a `type`, or without a member that says what it is
/// about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Malformed {
    /// The `type`, if there was one.
    pub kind: Option<String>,
    /// The member at fault, empty for the whole text.
    pub path: String,
    /// What was expected and what came.
    pub reason: String,
    /// The text as it came.
    pub raw: String,
}

impl Malformed {
    /// The wire text that stands for a binary message that is not UTF-8. With it, a machine is told of the
    /// message and a log records it. It reads as `Malformed`, and gives the number of bytes but not their
    /// content.
    pub fn text_of_binary(bytes: usize) -> String {
        alloc::format!("{BINARY}{bytes}{NOT_UTF_8}")
    }

    /// Returns whether a text stands for such a message.
    fn is_text_of_binary(text: &str) -> bool {
        let bytes = text.strip_prefix(BINARY).and_then(|rest| rest.strip_suffix(NOT_UTF_8));
        bytes.is_some_and(|bytes| bytes.len() < 21 && bytes.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

const BINARY: &str = "a binary message of ";
const NOT_UTF_8: &str = " bytes that is not UTF-8";

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("malformed ")?;
        f.write_str(self.kind.as_deref().unwrap_or("event"))?;
        if !self.path.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Declares an enum of events: a struct each, told apart by `type`.
macro_rules! events {
    ($(#[doc = $doc:literal])* pub enum $name:ident (decode: $decode:expr, encode: $encode:expr) {
        $($(#[$variant_meta:meta])* $variant:ident = $kind:literal),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("\n\nWire: `", $kind, "`.")] $variant($variant),)*
            /// A `type` that this version does not know.
            Unknown($crate::event::UnknownEvent),
            /// Text that is not a usable event.
            Malformed($crate::event::Malformed),
        }

        impl $name {
            /// Every `type` that has a variant, in the reference's order.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// The `type` on the wire; empty for text that has none.
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                    Self::Unknown(unknown) => &unknown.kind,
                    Self::Malformed(malformed) => malformed.kind.as_deref().unwrap_or_default(),
                }
            }

            /// Reads one wire text, in either dialect's spelling or a mixture. Encoded in `dialect`, the
            /// event gives the same text again. Never fails: see [`Unknown`](Self::Unknown) and
            /// [`Malformed`](Self::Malformed).
            pub fn decode(text: &str, dialect: $crate::event::Dialect) -> Self {
                $crate::event::scan::decode(text, dialect)
            }

            /// Writes the event as wire text. `Unknown` and `Malformed` come out as they came in.
            pub fn encode(&self, dialect: $crate::event::Dialect) -> alloc::string::String {
                let mut text = alloc::string::String::new();
                self.encode_into(dialect, &mut text);
                text
            }

            /// Appends the event's wire text to `out`, so that one buffer serves many events.
            pub fn encode_into(&self, dialect: $crate::event::Dialect, out: &mut alloc::string::String) {
                match self {
                    Self::Unknown(unknown) => out.push_str(unknown.raw.get()),
                    Self::Malformed(malformed) => out.push_str(&malformed.raw),
                    $(Self::$variant(_) => $crate::event::scan::encode(self, $kind, dialect, out),)*
                }
            }

            /// Members with an unexpected shape: kept as they came, and read as absent. Also members that
            /// could still be read: a number in a string, and text with half of a surrogate pair. Lists the
            /// first 64, then one entry with the number of further ones.
            pub fn mismatches(&self) -> alloc::vec::Vec<$crate::wire::Mismatch> {
                let mut found = $crate::wire::Mismatches::default();
                match self {
                    $(Self::$variant(event) => $crate::wire::Wire::mismatches(event, &$crate::wire::Path::ROOT, &mut found),)*
                    Self::Unknown(event) => $crate::wire::Wire::mismatches(&event.raw, &$crate::wire::Path::ROOT, &mut found),
                    Self::Malformed(_) => {}
                }
                found.into_vec()
            }

            /// The paths of members that this version has no field for: kept, and written back as they came.
            pub fn unknown_members(&self) -> alloc::vec::Vec<alloc::string::String> {
                let mut found = alloc::vec::Vec::new();
                match self {
                    $(Self::$variant(event) => $crate::wire::Wire::unknown_members(event, &$crate::wire::Path::ROOT, &mut found),)*
                    Self::Unknown(_) | Self::Malformed(_) => {}
                }
                found
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> alloc::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::tagged(concat!($($doc, "\n",)*), alloc::vec![
                    $(($kind, <$variant as schemars::JsonSchema>::json_schema(generator)),)*
                ])
            }
        }

        impl $crate::event::scan::Event for $name {
            fn decode_hot(text: &str, dialect: $crate::event::Dialect) -> Option<Self> {
                $decode(text, dialect)
            }

            fn encode_hot(&self, kind: &str, out: &mut alloc::string::String) -> bool {
                $encode(self, kind, out)
            }

            fn read(kind: &str, text: &str) -> Self {
                match kind {
                    $($kind => match $crate::event::scan::read::<$variant>(text) {
                        Ok(event) => Self::$variant(event),
                        Err(mismatch) => Self::Malformed($crate::event::Malformed {
                            kind: Some($kind.into()),
                            path: mismatch.path,
                            reason: mismatch.reason,
                            raw: text.into(),
                        }),
                    })*
                    _ => match $crate::field::RawJson::new(text) {
                        Ok(raw) => Self::Unknown($crate::event::UnknownEvent { kind: kind.into(), raw }),
                        Err(error) => Self::malformed($crate::event::scan::not_json(text, &error)),
                    },
                }
            }

            fn write(&self, kind: &str, out: &mut alloc::string::String) {
                match self {
                    $(Self::$variant(event) => $crate::event::scan::write(
                        &$crate::event::scan::Named { kind, event }, out),)*
                    Self::Unknown(_) | Self::Malformed(_) => {}
                }
            }

            fn known_kind(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant(_) => Some($kind),)*
                    Self::Unknown(_) | Self::Malformed(_) => None,
                }
            }

            fn malformed(malformed: $crate::event::Malformed) -> Self {
                Self::Malformed(malformed)
            }

            fn as_malformed(&mut self) -> Option<&mut $crate::event::Malformed> {
                if let Self::Malformed(malformed) = self { Some(malformed) } else { None }
            }

            fn note_repairs(&mut self, repairs: alloc::vec::Vec<$crate::wire::Mismatch>) {
                match self {
                    $(Self::$variant(event) => event.extra.keep_repairs(repairs),)*
                    Self::Unknown(event) => event.raw.keep_repairs(repairs),
                    Self::Malformed(_) => {}
                }
            }

            fn extra(&self) -> Option<&$crate::field::Extra> {
                match self {
                    $(Self::$variant(event) => Some(&event.extra),)*
                    Self::Unknown(_) | Self::Malformed(_) => None,
                }
            }

            fn extra_mut(&mut self) -> Option<&mut $crate::field::Extra> {
                match self {
                    $(Self::$variant(event) => Some(&mut event.extra),)*
                    Self::Unknown(_) | Self::Malformed(_) => None,
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                match self {
                    $(Self::$variant(event) => {
                        let mut map = serializer.serialize_map(None)?;
                        map.serialize_entry("type", $kind)?;
                        $crate::wire::WireStruct::write_members(event, &mut map)?;
                        map.end()
                    })*
                    Self::Unknown(unknown) => unknown.raw.serialize(serializer),
                    Self::Malformed(malformed) => malformed.raw.serialize(serializer),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            /// Reads the GA dialect. A string is text that was `Malformed`.
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = $crate::field::RawJson::deserialize(deserializer)?;
                let malformed = serde_json::from_str::<alloc::string::String>(raw.get());
                let text = malformed.as_deref().unwrap_or(raw.get());
                Ok(Self::decode(text, $crate::event::Dialect::Ga))
            }
        }

        $(impl From<$variant> for $name {
            fn from(event: $variant) -> Self {
                Self::$variant(event)
            }
        })*
    };
}
use events;

#[cfg(test)]
mod tests;
