//! How wire types read and write themselves: one trait, and the three macros that implement it.
//!
//! Reading has two paths that give the same result. The first is plain serde, in one pass. Where a member
//! does not fit its field, the whole value is read again member by member, and what does not fit is kept in
//! [`Extra`](crate::field::Extra): a wrong shape costs one member, not the event.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::field::{Field, RawJson};

/// A member of the wire that does not have the expected shape.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mismatch {
    /// Where: member names and indices from the event's root, as in `response.output[0].status`.
    pub path: String,
    /// What was expected and what came, without the content itself.
    pub reason: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// A type that stands for a JSON value on the wire.
pub(crate) trait Wire: Sized + Serialize + DeserializeOwned {
    /// What a missing member reads as; `None` where the member is required.
    fn absent() -> Option<Self> {
        None
    }

    /// Whether the member is left out when writing.
    fn is_absent(&self) -> bool {
        false
    }

    /// Reads the value, keeping members that do not fit.
    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        serde_json::from_str(raw.get()).map_err(|error| mismatch(raw, &error))
    }

    /// Lists the members that did not fit, below `path`.
    fn mismatches(&self, _path: &Path<'_>, _found: &mut Vec<Mismatch>) {}
}

/// Says why `raw` did not read, without quoting it.
fn mismatch(raw: &RawValue, error: &serde_json::Error) -> Mismatch {
    // serde's text for a wrong type quotes the value ("invalid type: string \"hello\", expected u32"): content
    // stays out of errors, so only the part that says what was expected is kept.
    let text = format!("{error}");
    let expected = text.rsplit_once("expected ").map_or("a valid value", |(_, expected)| expected);
    let expected = expected.split(" at line ").next().unwrap_or(expected);
    Mismatch { path: String::new(), reason: format!("expected {expected}, got {}", json_kind(raw.get())) }
}

/// Names the kind of a JSON text by its first character.
pub(crate) fn json_kind(text: &str) -> &'static str {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "nothing",
    }
}

/// The place of a member: a list of segments that lives on the stack.
pub(crate) struct Path<'a> {
    parent: Option<&'a Self>,
    segment: Segment<'a>,
}

enum Segment<'a> {
    Root,
    Member(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(crate) const ROOT: Path<'static> = Path { parent: None, segment: Segment::Root };

    pub(crate) const fn member(&'a self, name: &'a str) -> Self {
        Path { parent: Some(self), segment: Segment::Member(name) }
    }

    const fn index(&'a self, index: usize) -> Self {
        Path { parent: Some(self), segment: Segment::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}")?;
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Member(name) if self.parent.is_some_and(|p| p.parent.is_some()) => write!(f, ".{name}"),
            Segment::Member(name) => f.write_str(name),
            Segment::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl<T: Wire> Wire for Field<T> {
    fn absent() -> Option<Self> {
        Some(Self::Absent)
    }

    fn is_absent(&self) -> bool {
        Self::is_absent(self)
    }

    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        if raw.get() == "null" { Ok(Self::Null) } else { T::from_raw(raw).map(Self::Value) }
    }

    fn mismatches(&self, path: &Path<'_>, found: &mut Vec<Mismatch>) {
        if let Self::Value(value) = self {
            value.mismatches(path, found);
        }
    }
}

impl<T: Wire> Wire for Box<T> {
    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        T::from_raw(raw).map(Self::new)
    }

    fn mismatches(&self, path: &Path<'_>, found: &mut Vec<Mismatch>) {
        T::mismatches(self, path, found);
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        let elements: Vec<Box<RawValue>> = serde_json::from_str(raw.get()).map_err(|e| mismatch(raw, &e))?;
        elements
            .iter()
            .enumerate()
            .map(|(index, element)| {
                T::from_raw(element)
                    .map_err(|inner| Mismatch { path: join(&format!("[{index}]"), &inner.path), ..inner })
            })
            .collect()
    }

    fn mismatches(&self, path: &Path<'_>, found: &mut Vec<Mismatch>) {
        for (index, element) in self.iter().enumerate() {
            element.mismatches(&path.index(index), found);
        }
    }
}

impl Wire for RawJson {
    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        Ok(raw.to_owned().into())
    }
}

macro_rules! plain_wire {
    ($($ty:ty),*) => { $(impl $crate::wire::Wire for $ty {})* };
}
plain_wire!(String, bool, u32, u64, i64, f64, BTreeMap<String, String>);

/// Puts a member name before the path of something inside it.
pub(crate) fn join(name: &str, inner: &str) -> String {
    match inner.as_bytes().first() {
        None => name.into(),
        Some(b'[') => format!("{name}{inner}"),
        Some(_) => format!("{name}.{inner}"),
    }
}

/// An object's members in order, each as the text that came.
pub(crate) struct Members(pub(crate) Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

impl Members {
    pub(crate) fn of(raw: &RawValue) -> Result<Self, Mismatch> {
        serde_json::from_str(raw.get()).map_err(|error| mismatch(raw, &error))
    }
}

/// The value of an object's `type` member, if it is a string.
pub(crate) fn kind_of(text: &str) -> Option<String> {
    let Members(members) = serde_json::from_str(text).ok()?;
    let (_, kind) = members.into_iter().rfind(|(name, _)| name == "type")?;
    serde_json::from_str(kind.get()).ok()
}

/// A member's name on the wire: the field's own, or the literal behind `as`.
macro_rules! wire_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $wire:literal) => {
        $wire
    };
}
pub(crate) use wire_name;

/// Declares wire structs: fields in the reference's order, `Field<T>` where the member may be missing, and
/// `as "name"` where the wire's name is no Rust name. `tagged` marks a struct whose `type` is written by the
/// enum around it.
macro_rules! wire_struct {
    ($($(#[$meta:meta])* pub $(($tagged:ident))? struct $name:ident {
        $($(#[$field_meta:meta])* $field:ident $(as $wire:literal)? : $ty:ty),* $(,)?
    })+) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[doc = concat!("\n\nWire: `", $crate::wire::wire_name!($field $($wire)?), "`.")]
                pub $field: $ty,
            )*
            /// Members without a field here, and members whose value did not fit.
            pub extra: $crate::field::Extra,
        }

        impl $name {
            const TAGGED: bool = false $(|| $crate::wire::is_tagged(stringify!($tagged)))?;

            $(
                #[doc = concat!("Sets `", $crate::wire::wire_name!($field $($wire)?), "`.")]
                #[must_use]
                pub fn $field(mut self, value: impl Into<$ty>) -> Self {
                    self.$field = value.into();
                    self
                }
            )*

            /// Writes all members that are not absent into `map`.
            pub(crate) fn write_members<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                $(
                    if !$crate::wire::Wire::is_absent(&self.$field) {
                        map.serialize_entry($crate::wire::wire_name!($field $($wire)?), &self.$field)?;
                    }
                )*
                for (name, value) in self.extra.iter() {
                    $(
                        if name == $crate::wire::wire_name!($field $($wire)?) && !$crate::wire::Wire::is_absent(&self.$field) {
                            continue; // set since it was read
                        }
                    )*
                    map.serialize_entry(name, value)?;
                }
                Ok(())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                self.write_members(&mut map)?;
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;
                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $name;
                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        $(let mut $field: Option<$ty> = None;)*
                        let mut extra = $crate::field::Extra::default();
                        while let Some(key) = map.next_key::<$crate::field::Key<'de>>()? {
                            let key = key.as_str();
                            $(
                                if key == $crate::wire::wire_name!($field $($wire)?) {
                                    $field = Some(map.next_value()?);
                                    continue;
                                }
                            )*
                            if $name::TAGGED && key == "type" {
                                map.next_value::<serde::de::IgnoredAny>()?;
                                continue;
                            }
                            extra.insert(key, map.next_value()?);
                        }
                        Ok($name {
                            $($field: match $field {
                                Some(value) => value,
                                None => <$ty as $crate::wire::Wire>::absent().ok_or_else(|| {
                                    <A::Error as serde::de::Error>::missing_field(
                                        $crate::wire::wire_name!($field $($wire)?))
                                })?,
                            },)*
                            extra,
                        })
                    }
                }
                deserializer.deserialize_map(Members)
            }
        }

        impl $crate::wire::Wire for $name {
            fn from_raw(raw: &serde_json::value::RawValue) -> Result<Self, $crate::wire::Mismatch> {
                if let Ok(value) = serde_json::from_str(raw.get()) {
                    return Ok(value);
                }
                let members = $crate::wire::Members::of(raw)?;
                $(let mut $field: Option<Result<$ty, $crate::wire::Mismatch>> = None;)*
                let mut extra = $crate::field::Extra::default();
                for (key, value) in members.0 {
                    $(
                        if key == $crate::wire::wire_name!($field $($wire)?) {
                            let read = <$ty as $crate::wire::Wire>::from_raw(&value);
                            if read.is_err() {
                                extra.insert(key, value.into());
                            } else {
                                extra.remove(&key);
                            }
                            $field = Some(read);
                            continue;
                        }
                    )*
                    if !(Self::TAGGED && key == "type") {
                        extra.insert(key, value.into());
                    }
                }
                Ok(Self {
                    $($field: $crate::wire::member($crate::wire::wire_name!($field $($wire)?), $field)?,)*
                    extra,
                })
            }

            fn mismatches(&self, path: &$crate::wire::Path<'_>, found: &mut alloc::vec::Vec<$crate::wire::Mismatch>) {
                let _ = (path, &found); // unused where the struct has no members of its own
                for (name, value) in self.extra.iter() {
                    $(
                        if name == $crate::wire::wire_name!($field $($wire)?) {
                            found.push($crate::wire::unfit::<$ty>(&path.member(name), value));
                        }
                    )*
                    let _ = (name, value);
                }
                $($crate::wire::Wire::mismatches(&self.$field, &path.member($crate::wire::wire_name!($field $($wire)?)), found);)*
            }
        }
    )+ };
}
pub(crate) use wire_struct;

/// The one word that may stand in the parentheses of [`wire_struct`].
pub(crate) const fn is_tagged(word: &str) -> bool {
    assert!(matches!(word.as_bytes(), b"tagged"), "the only marker is `tagged`");
    true
}

/// Settles a member that was read leniently: what did not fit an optional field reads as absent.
pub(crate) fn member<T: Wire>(name: &str, read: Option<Result<T, Mismatch>>) -> Result<T, Mismatch> {
    match read {
        Some(Ok(value)) => Ok(value),
        Some(Err(inner)) => T::absent().ok_or_else(|| Mismatch { path: join(name, &inner.path), ..inner }),
        None => T::absent().ok_or_else(|| Mismatch { path: name.into(), reason: "missing".into() }),
    }
}

/// Says why the kept text of a known member did not fit.
pub(crate) fn unfit<T: Wire>(path: &Path<'_>, value: &RawJson) -> Mismatch {
    match T::from_raw(value.raw()) {
        Err(inner) => Mismatch { path: join(&format!("{path}"), &inner.path), ..inner },
        Ok(_) => Mismatch { path: format!("{path}"), reason: "given twice".into() },
    }
}

/// Declares an enum of wire structs told apart by their `type` member, with `Unknown` for all others.
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident($ty:ident) = $kind:literal),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("\n\nWire: `", $kind, "`.")] $variant($ty),)*
            /// A `type` this version does not know, or one whose members do not fit: kept as it came.
            Unknown($crate::field::RawJson),
        }

        impl $name {
            /// The `type` on the wire; empty where it had none.
            pub fn kind(&self) -> alloc::borrow::Cow<'_, str> {
                match self {
                    $(Self::$variant(_) => $kind.into(),)*
                    Self::Unknown(raw) => $crate::wire::kind_of(raw.get()).unwrap_or_default().into(),
                }
            }
        }

        impl Default for $name {
            /// `null`: a placeholder to be replaced.
            fn default() -> Self {
                Self::Unknown($crate::field::RawJson::default())
            }
        }

        $(impl From<$ty> for $name {
            fn from(value: $ty) -> Self {
                Self::$variant(value)
            }
        })*

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                match self {
                    $(Self::$variant(value) => {
                        let mut map = serializer.serialize_map(None)?;
                        map.serialize_entry("type", $kind)?;
                        value.write_members(&mut map)?;
                        map.end()
                    })*
                    Self::Unknown(raw) => raw.serialize(serializer),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = alloc::boxed::Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
                Ok(Self::read(raw))
            }
        }

        impl $name {
            fn read(raw: alloc::boxed::Box<serde_json::value::RawValue>) -> Self {
                let kind = $crate::event::scan::peek_kind(raw.get());
                match kind.as_deref() {
                    $(Some($kind) => <$ty as $crate::wire::Wire>::from_raw(&raw)
                        .map_or_else(|_| Self::Unknown(raw.into()), Self::$variant),)*
                    _ => Self::Unknown(raw.into()),
                }
            }
        }

        impl $crate::wire::Wire for $name {
            fn from_raw(raw: &serde_json::value::RawValue) -> Result<Self, $crate::wire::Mismatch> {
                Ok(Self::read(alloc::borrow::ToOwned::to_owned(raw)))
            }

            fn mismatches(&self, path: &$crate::wire::Path<'_>, found: &mut alloc::vec::Vec<$crate::wire::Mismatch>) {
                match self {
                    $(Self::$variant(value) => value.mismatches(path, found),)*
                    Self::Unknown(raw) => match self.kind().as_ref() {
                        $($kind => found.push($crate::wire::unfit::<$ty>(path, raw)),)*
                        _ => {}
                    },
                }
            }
        }
    };
}
pub(crate) use wire_enum;

/// Declares an enum of strings that keeps strings it does not know.
macro_rules! open_enum {
    ($($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $text:literal),* $(,)?
    })+) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("Wire: `", $text, "`.")] $variant,)*
            /// A string this version does not know.
            Other(alloc::boxed::Box<str>),
        }

        impl $name {
            /// The string on the wire.
            pub const fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    other => Self::Other(other.into()),
                }
            }
        }

        impl From<&str> for $crate::field::Field<$name> {
            fn from(text: &str) -> Self {
                Self::Value(text.into())
            }
        }

        impl Default for $name {
            /// The first one listed.
            fn default() -> Self {
                $crate::wire::first([$(Self::$variant,)*])
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E>(self, text: &str) -> Result<$name, E> {
                        Ok(text.into())
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl $crate::wire::Wire for $name {}
    )+ };
}
pub(crate) use open_enum;

/// Implements reading and writing for an enum of a string or an object.
macro_rules! text_or {
    ($name:ident, $text:ident($text_ty:ty), $object:ident($object_ty:ty)) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::$text(text) => text.serialize(serializer),
                    Self::$object(object) => object.serialize(serializer),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = alloc::boxed::Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
                <Self as $crate::wire::Wire>::from_raw(&raw)
                    .map_err(|mismatch| serde::de::Error::custom(mismatch.reason))
            }
        }

        impl $crate::wire::Wire for $name {
            fn from_raw(raw: &serde_json::value::RawValue) -> Result<Self, $crate::wire::Mismatch> {
                match raw.get().as_bytes().first() {
                    Some(b'"') => <$text_ty as $crate::wire::Wire>::from_raw(raw).map(Self::$text),
                    Some(b'{') => <$object_ty as $crate::wire::Wire>::from_raw(raw).map(Self::$object),
                    _ => Err($crate::wire::Mismatch {
                        path: alloc::string::String::new(),
                        reason: alloc::format!(
                            "expected a string or an object, got {}",
                            $crate::wire::json_kind(raw.get())
                        ),
                    }),
                }
            }

            fn mismatches(
                &self,
                path: &$crate::wire::Path<'_>,
                found: &mut alloc::vec::Vec<$crate::wire::Mismatch>,
            ) {
                match self {
                    Self::$text(_) => {}
                    Self::$object(object) => $crate::wire::Wire::mismatches(object, path, found),
                }
            }
        }

        impl From<$text_ty> for $name {
            fn from(text: $text_ty) -> Self {
                Self::$text(text)
            }
        }
    };
}
pub(crate) use text_or;

/// The first element of a list that is never empty.
pub(crate) fn first<T, const N: usize>(all: [T; N]) -> T {
    const { assert!(N > 0, "an open enum lists at least one string") };
    let Some(first) = all.into_iter().next() else { unreachable!("checked above at compile time") };
    first
}
