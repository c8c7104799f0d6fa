//! An object read member by member: what fits goes to its field, what does not is kept as it came.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::field::{Extra, RawJson};
use crate::wire::repair;
use crate::wire::{Mismatch, Mismatches, Path, Wire, join, mismatch};

/// An object's members in order, each as its original text.
pub(crate) struct Members(pub(crate) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
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

/// A JSON object's key, borrowed from the text if it has no escapes.
pub(crate) struct Key<'de>(Cow<'de, str>);

impl Key<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Key<'de> {
    pub(crate) fn into_cow(self) -> Cow<'de, str> {
        self.0
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Key(name.into()))
            }
            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Key(name.to_string().into()))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The value of an object's `type` member, if it is a string.
pub(crate) fn kind_of(text: &str) -> Option<String> {
    let Members(members) = serde_json::from_str(&repair::clean(text)).ok()?;
    let (_, kind) = members.into_iter().rfind(|(name, _)| name == "type")?;
    serde_json::from_str(kind.get()).ok()
}

/// Reads a struct that serde could not read as it came: repairs halves of surrogate pairs, then reads member
/// by member.
#[cold]
pub(crate) fn read_leniently<T: Wire>(
    raw: &RawValue,
    by_members: impl FnOnce(&RawValue) -> Result<T, Mismatch>,
    extra: impl FnOnce(&mut T) -> &mut Extra,
) -> Result<T, Mismatch> {
    let Some(repaired) = repair::without_halves(raw.get()) else { return by_members(raw) };
    let mut value = match serde_json::from_str(&repaired.text) {
        Ok(value) => value,
        Err(_) => {
            let raw: &RawValue =
                serde_json::from_str(&repaired.text).map_err(|error| mismatch(raw, &error))?;
            by_members(raw)?
        }
    };
    extra(&mut value).keep_repairs(repaired.found);
    Ok(value)
}

/// A known member on its way from the text to its field.
pub(crate) struct Slot<T> {
    read: Option<Result<T, Mismatch>>,
    /// The text, if the field cannot reproduce it: it did not fit, or is spelled differently.
    kept: Option<Box<RawValue>>,
}

impl<T: Wire> Slot<T> {
    pub(crate) const EMPTY: Self = Self { read: None, kept: None };

    /// Reads the member; the last of several of the same name wins.
    pub(crate) fn read(&mut self, value: Box<RawValue>) {
        let read = T::from_raw(&value);
        self.kept = (read.is_err() || T::is_loose(&value)).then_some(value);
        self.read = Some(read);
    }

    /// Returns the field. A value that did not fit an optional field reads as absent.
    pub(crate) fn settle(self, name: &str, extra: &mut Extra) -> Result<T, Mismatch> {
        if let Some(kept) = self.kept {
            extra.push(name, kept.into());
        }
        match self.read {
            Some(Ok(value)) => Ok(value),
            Some(Err(inner)) => {
                T::absent().ok_or_else(|| Mismatch { path: join(name, &inner.path), ..inner })
            }
            None => T::absent().ok_or_else(|| Mismatch { path: name.into(), reason: "missing".into() }),
        }
    }
}

/// Returns whether the kept text of a member means the same as its field, so that the text is written instead
/// of the field.
pub(crate) fn is_text_of<T: PartialEq + Wire>(extra: &Extra, name: &str, field: &T) -> bool {
    T::LOOSE
        && !extra.is_empty()
        && extra.get(name).is_some_and(|kept| T::from_raw(kept.raw()).is_ok_and(|read| read == *field))
}

/// Says why the kept text of a known member did not fit.
pub(crate) fn unfit<T: Wire>(path: &Path<'_>, value: &RawJson) -> Mismatch {
    match T::from_raw(value.raw()) {
        Err(inner) => Mismatch { path: join(&format!("{path}"), &inner.path), ..inner },
        Ok(_) => match serde_json::from_str::<T>(value.get()) {
            Ok(_) => Mismatch { path: format!("{path}"), reason: "given twice".into() },
            Err(error) => {
                let Mismatch { reason, .. } = mismatch(value.raw(), &error);
                Mismatch {
                    path: format!("{path}"),
                    reason: format!("{reason}: read as the number it stands for"),
                }
            }
        },
    }
}

/// A known member's name, and what says why its kept text did not fit.
pub(crate) type Known = (&'static str, fn(&Path<'_>, &RawJson) -> Mismatch);

/// Lists what is wrong with the members that a struct keeps, and what was repaired in it.
pub(crate) fn kept_mismatches(extra: &Extra, known: &[Known], path: &Path<'_>, found: &mut Mismatches) {
    note_repairs(extra.repairs(), path, found);
    for (name, value) in extra.iter() {
        match known.iter().find(|(known, _)| *known == name) {
            Some((_, unfit)) => found.note(|| unfit(&path.member(name), value)),
            None => raw_mismatch(value, &path.member(name), found),
        }
    }
}

/// Lists what was repaired in JSON that is only kept.
pub(crate) fn raw_mismatch(value: &RawJson, path: &Path<'_>, found: &mut Mismatches) {
    note_repairs(value.repairs(), path, found);
}

fn note_repairs(repairs: &[Mismatch], path: &Path<'_>, found: &mut Mismatches) {
    for Mismatch { path: place, reason } in repairs {
        found.note(|| Mismatch { path: join(&format!("{path}"), place), reason: reason.clone() });
    }
}
