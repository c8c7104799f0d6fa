//! A wire member's three states, and what is kept of members that have no field.
//!
//! The rule kept here: nothing that came over the wire is lost. A member that is unknown, or known but of
//! the wrong shape, stays in [`Extra`] as the JSON text that came, and is written back as it came.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::dialect::Spelling;
use crate::wire::Mismatch;
use crate::wire::repair::{self, Repaired};

/// A member of a JSON object that may be absent, `null`, or a value.
///
/// The wire tells the three apart: in `session.update` an absent member stays as it is, and `null` switches
/// it off. Readers that do not care use [`Field::value`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "JSON has just these three states")]
pub enum Field<T> {
    /// The member is not written at all.
    #[default]
    Absent,
    /// The member is `null`.
    Null,
    /// The member has a value.
    Value(T),
}

impl<T> Field<T> {
    /// Returns whether the member is not written at all.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Returns whether the member is `null`.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value, if there is one; `None` for both absent and `null`.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The value to change in place, if there is one.
    pub const fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Takes the value out, if there is one.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<T: Default> Field<T> {
    /// The value to change in place. Set to its default if there is none.
    pub fn get_or_insert_default(&mut self) -> &mut T {
        if self.value().is_none() {
            *self = Self::Value(T::default());
        }
        self.value_mut().expect("set above")
    }
}

impl<T: Copy> Field<T> {
    /// The value, or `fallback` if there is none.
    pub const fn unwrap_or(self, fallback: T) -> T {
        match self {
            Self::Value(value) => value,
            Self::Absent | Self::Null => fallback,
        }
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

impl<T> From<T> for Field<Box<T>> {
    fn from(value: T) -> Self {
        Self::Value(Box::new(value))
    }
}

impl From<&str> for Field<String> {
    fn from(value: &str) -> Self {
        Self::Value(value.into())
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Absent | Self::Null => serializer.serialize_none(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

/// Any JSON value, kept as the text that came.
///
/// One thing is not kept: half of a surrogate pair (`\ud83d` alone) becomes U+FFFD. So every JSON reader
/// accepts this text.
#[derive(Clone)]
pub struct RawJson {
    raw: Box<RawValue>,
    repairs: Option<Box<Repairs>>,
}

/// The places where a text is not the one that came. It is rare, so it takes only one pointer.
#[derive(Clone)]
struct Repairs(Vec<Mismatch>);

impl RawJson {
    /// Keeps `text` as it is.
    ///
    /// # Errors
    /// [`serde_json::Error`] when `text` is not one JSON value.
    pub fn new(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text.into()).map(Self::from)
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.raw.get()
    }

    pub(crate) fn raw(&self) -> &RawValue {
        &self.raw
    }

    /// The places where this is not the text that came.
    pub(crate) fn repairs(&self) -> &[Mismatch] {
        self.repairs.as_ref().map_or(&[], |repairs| &repairs.0)
    }

    pub(crate) fn keep_repairs(&mut self, repairs: Vec<Mismatch>) {
        self.repairs = Some(Box::new(Repairs(repairs)));
    }
}

impl Default for RawJson {
    fn default() -> Self {
        Self { raw: RawValue::NULL.to_owned(), repairs: None }
    }
}

impl From<Box<RawValue>> for RawJson {
    fn from(raw: Box<RawValue>) -> Self {
        let mut kept = Self { raw, repairs: None };
        if let Some(Repaired { text, found }) = repair::without_halves(kept.get())
            && let Ok(raw) = RawValue::from_string(text)
        {
            kept.raw = raw;
            kept.keep_repairs(found);
        }
        kept
    }
}

impl From<serde_json::Value> for RawJson {
    fn from(value: serde_json::Value) -> Self {
        // The text of a `Value` is JSON, so the fallback is never taken.
        RawValue::from_string(value.to_string()).map_or_else(|_| Self::default(), Self::from)
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for RawJson {}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        alloc::format!("Nullable{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let value = generator.subschema_for::<T>();
        schemars::json_schema!({"anyOf": [value, {"type": "null"}]})
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for RawJson {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "AnyJson".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

/// Members of a JSON object that have no field of their own, or whose value did not fit it.
///
/// It is one pointer wide, and allocates nothing while it is empty. It also remembers an unusual
/// [spelling](crate::dialect) of the text, and the repairs made to it. These do not change the meaning, so
/// equality and `Debug` ignore them.
#[derive(Clone, Default)]
pub struct Extra(Option<Box<Kept>>);

#[derive(Clone, Default)]
struct Kept {
    members: Vec<(String, RawJson)>,
    spelling: Option<Spelling>,
    repairs: Vec<Mismatch>,
}

impl Extra {
    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// The members, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawJson)> {
        self.members().iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&RawJson> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Sets a member; the last of several of the same name wins.
    pub fn insert(&mut self, name: impl Into<String>, value: RawJson) {
        let name = name.into();
        let members = &mut self.0.get_or_insert_default().members;
        match members.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => members.push((name, value)),
        }
    }

    /// Adds a member that was read. Beyond a few members, repeated names are all kept: a search for them
    /// would take quadratic time.
    pub(crate) fn push(&mut self, name: &str, value: RawJson) {
        if self.members().len() < 32 {
            self.insert(name, value);
        } else {
            self.0.get_or_insert_default().members.push((name.into(), value));
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<RawJson> {
        let members = &mut self.0.as_mut()?.members;
        let index = members.iter().position(|(key, _)| key == name)?;
        Some(members.remove(index).1)
    }

    pub(crate) fn spelling(&self) -> Option<&Spelling> {
        self.0.as_ref()?.spelling.as_ref()
    }

    pub(crate) fn keep_spelling(&mut self, spelling: Spelling) {
        self.0.get_or_insert_default().spelling = Some(spelling);
    }

    /// The repairs made to the text, by places within the struct.
    pub(crate) fn repairs(&self) -> &[Mismatch] {
        self.0.as_ref().map_or(&[], |kept| &kept.repairs)
    }

    pub(crate) fn keep_repairs(&mut self, repairs: Vec<Mismatch>) {
        self.0.get_or_insert_default().repairs.extend(repairs);
    }

    /// Returns whether there may be something to report.
    pub(crate) const fn is_noteworthy(&self) -> bool {
        self.0.is_some()
    }

    fn members(&self) -> &[(String, RawJson)] {
        self.0.as_ref().map_or(&[], |kept| &kept.members)
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        self.members() == other.members()
    }
}

impl Eq for Extra {}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
