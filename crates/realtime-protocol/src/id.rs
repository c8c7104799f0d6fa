//! Identifiers of the wire: newtypes over a string that is inline up to 40 bytes.
//!
//! OpenAI's ids are 25 to 33 bytes long, so a delta's ids cost no allocation. Longer ones live on the heap
//! and are shared by clones.

use alloc::string::String;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Bytes that an id may have before it moves to the heap.
const INLINE: usize = 40;

#[derive(Clone)]
enum InlineStr {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Arc<str>),
}

impl InlineStr {
    fn new(text: &str) -> Self {
        match u8::try_from(text.len()) {
            Ok(len) if text.len() <= INLINE => {
                let mut bytes = [0; INLINE];
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(text.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(text) => text.as_bytes(),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Inline { .. } => {
                core::str::from_utf8(self.as_bytes()).expect("copied from a str of that length in `new`")
            }
            Self::Heap(text) => text,
        }
    }
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => { $(
        $(#[doc = $doc])*
        #[derive(Clone)]
        pub struct $name(InlineStr);

        impl $name {
            /// The id as the wire has it.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// Returns whether it is the empty string, which no server should send.
            pub fn is_empty(&self) -> bool {
                self.0.as_bytes().is_empty()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self(InlineStr::Inline { len: 0, bytes: [0; INLINE] })
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(InlineStr::new(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(InlineStr::new(&text))
            }
        }

        impl From<&str> for crate::field::Field<$name> {
            fn from(text: &str) -> Self {
                Self::Value(text.into())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.as_bytes() == other.0.as_bytes() // a delta's ids are compared often: UTF-8 is not checked for it
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0.as_bytes() == other.as_bytes()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E>(self, text: &str) -> Result<$name, E> {
                        Ok(text.into())
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl crate::wire::Wire for $name {}

        #[cfg(feature = "schema")]
        crate::schema::text!($name, concat!($($doc, "\n",)*));
    )* };
}

ids! {
    /// A client event's id, by which the server's `error` names the event at fault, or a server event's own.
    /// At most 512 characters.
    EventId,
    /// A session's id.
    SessionId,
    /// A conversation's id.
    ConversationId,
    /// An item's id. One chosen by the client has at most 32 characters.
    ItemId,
    /// A response's id.
    ResponseId,
    /// A function call's id, which its output must repeat.
    CallId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_whole_whatever_its_length() {
        for len in [0, 1, 39, 40, 41, 512] {
            let text = "ä".repeat(len / 2) + &"x".repeat(len % 2);
            assert_eq!(ItemId::from(text.as_str()).as_str(), text);
        }
    }

    #[test]
    fn inline_and_heap_ids_are_ordered_as_their_text() {
        let short = ItemId::from("b");
        let long = ItemId::from("a".repeat(41));
        assert!(long < short);
    }
}
