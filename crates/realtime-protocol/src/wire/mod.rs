//! How wire types read and write themselves: one trait, and the macros that implement it.
//!
//! Reading has two paths that give the same result. The first is plain serde, in one pass. If a member does
//! not fit its field, the whole value is read again member by member, and what does not fit is kept in
//! [`Extra`](crate::field::Extra): a wrong shape costs one member, not the event. Text that is almost JSON is
//! repaired first ([`repair`]), and [`numbers`] are read in several spellings.

mod enums;
mod members;
mod numbers;
pub(crate) mod object;
pub(crate) mod repair;
mod structs;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::field::{Field, RawJson};

pub(crate) use enums::{by_shape, open_enum, wire_enum};
pub(crate) use members::{
    Key, Known, Members, Slot, is_text_of, kept_mismatches, kind_of, raw_mismatch, read_leniently, unfit,
};
pub(crate) use numbers::whole;
pub(crate) use structs::{wire_name, wire_struct};

/// A member that does not have the expected shape, or had to be repaired to be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mismatch {
    /// Where: member names and indices from the event's root, as in `response.output[0].status`. Empty for
    /// the whole event.
    pub path: String,
    /// What was expected and what came, without the content itself.
    pub reason: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.reason)
    }
}

/// The mismatches of one event: the first of them, and how many more there are.
#[derive(Debug, Default)]
pub(crate) struct Mismatches {
    found: Vec<Mismatch>,
    more: usize,
}

impl Mismatches {
    /// The most that are listed. A text with more repeats itself.
    const MOST: usize = 64;

    pub(crate) fn note(&mut self, mismatch: impl FnOnce() -> Mismatch) {
        if self.found.len() < Self::MOST {
            self.found.push(mismatch());
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn into_vec(mut self) -> Vec<Mismatch> {
        if self.more > 0 {
            let reason = format!("{} more members cannot be read as they should", self.more);
            self.found.push(Mismatch { path: String::new(), reason });
        }
        self.found
    }
}

/// A type that stands for a JSON value on the wire.
pub(crate) trait Wire: Sized + Serialize + DeserializeOwned {
    /// Whether [`from_raw`](Self::from_raw) also reads other texts than the one that is written.
    const LOOSE: bool = false;

    /// The value of a missing member. `None`: the member is required.
    fn absent() -> Option<Self> {
        None
    }

    /// Returns whether the member is left out when writing.
    fn is_absent(&self) -> bool {
        false
    }

    /// Reads the value, keeping members that do not fit.
    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        serde_json::from_str(raw.get()).map_err(|error| mismatch(raw, &error))
    }

    /// Returns whether a readable text is not the one that would be written.
    fn is_loose(raw: &RawValue) -> bool {
        Self::LOOSE && serde_json::from_str::<Self>(raw.get()).is_err()
    }

    /// Lists the members that did not fit, below `path`.
    fn mismatches(&self, _path: &Path<'_>, _found: &mut Mismatches) {}

    /// Lists the members that have no field, below `path`.
    fn unknown_members(&self, _path: &Path<'_>, _found: &mut Vec<String>) {}
}

/// A wire type that is an object of known members.
pub(crate) trait WireStruct {
    /// Writes all members that are not absent into `map`.
    fn write_members<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

/// Says why `raw` could not be read, without quoting it.
pub(crate) fn mismatch(raw: &RawValue, error: &serde_json::Error) -> Mismatch {
    // serde's text for a wrong type quotes the value ("invalid type: string \"hello\", expected u32"):
    // content stays out of errors, so only the part that says what was expected is kept.
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

/// Says that a value begins with none of the characters `expected`.
pub(crate) fn wrong_shape(expected: &[u8], raw: &RawValue) -> Mismatch {
    let mut reason = String::from("expected ");
    for (index, first) in expected.iter().enumerate() {
        reason += if index > 0 { " or " } else { "" };
        reason += json_kind(core::str::from_utf8(core::slice::from_ref(first)).unwrap_or_default());
    }
    Mismatch { path: String::new(), reason: format!("{reason}, got {}", json_kind(raw.get())) }
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

    pub(crate) const fn index(&'a self, index: usize) -> Self {
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
    const LOOSE: bool = T::LOOSE;

    fn absent() -> Option<Self> {
        Some(Self::Absent)
    }

    fn is_absent(&self) -> bool {
        Self::is_absent(self)
    }

    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        if raw.get() == "null" { Ok(Self::Null) } else { T::from_raw(raw).map(Self::Value) }
    }

    fn mismatches(&self, path: &Path<'_>, found: &mut Mismatches) {
        if let Self::Value(value) = self {
            value.mismatches(path, found);
        }
    }

    fn unknown_members(&self, path: &Path<'_>, found: &mut Vec<String>) {
        if let Self::Value(value) = self {
            value.unknown_members(path, found);
        }
    }
}

impl<T: Wire> Wire for Box<T> {
    const LOOSE: bool = T::LOOSE;

    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        T::from_raw(raw).map(Self::new)
    }

    fn mismatches(&self, path: &Path<'_>, found: &mut Mismatches) {
        T::mismatches(self, path, found);
    }

    fn unknown_members(&self, path: &Path<'_>, found: &mut Vec<String>) {
        T::unknown_members(self, path, found);
    }
}

impl<T: Wire> Wire for Vec<T> {
    const LOOSE: bool = T::LOOSE;

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

    fn mismatches(&self, path: &Path<'_>, found: &mut Mismatches) {
        for (index, element) in self.iter().enumerate() {
            element.mismatches(&path.index(index), found);
        }
    }

    fn unknown_members(&self, path: &Path<'_>, found: &mut Vec<String>) {
        for (index, element) in self.iter().enumerate() {
            element.unknown_members(&path.index(index), found);
        }
    }
}

impl<T: Wire> Wire for BTreeMap<String, T> {
    const LOOSE: bool = T::LOOSE;

    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        Members::of(raw)?
            .0
            .into_iter()
            .map(|(name, value)| match T::from_raw(&value) {
                Ok(value) => Ok((name, value)),
                Err(inner) => Err(Mismatch { path: join(&name, &inner.path), ..inner }),
            })
            .collect()
    }

    fn mismatches(&self, path: &Path<'_>, found: &mut Mismatches) {
        for (name, value) in self {
            value.mismatches(&path.member(name), found);
        }
    }

    fn unknown_members(&self, path: &Path<'_>, found: &mut Vec<String>) {
        for (name, value) in self {
            value.unknown_members(&path.member(name), found);
        }
    }
}

impl Wire for RawJson {
    fn from_raw(raw: &RawValue) -> Result<Self, Mismatch> {
        Ok(raw.to_owned().into())
    }

    fn mismatches(&self, path: &Path<'_>, found: &mut Mismatches) {
        raw_mismatch(self, path, found);
    }
}

impl Wire for String {}

impl Wire for bool {}

/// Puts a member name before the path of something inside it.
pub(crate) fn join(name: &str, inner: &str) -> String {
    match inner.as_bytes().first() {
        None => name.into(),
        Some(_) if name.is_empty() => inner.into(),
        Some(b'[') => format!("{name}{inner}"),
        Some(_) => format!("{name}.{inner}"),
    }
}

/// The one word that may stand in the parentheses of [`wire_struct`].
pub(crate) const fn is_tagged(word: &str) -> bool {
    assert!(matches!(word.as_bytes(), b"tagged"), "the only marker is `tagged`");
    true
}

/// The first element of a list that is never empty.
pub(crate) fn first<T, const N: usize>(all: [T; N]) -> T {
    const { assert!(N > 0, "an open enum lists at least one string") };
    let Some(first) = all.into_iter().next() else { unreachable!("checked above at compile time") };
    first
}
