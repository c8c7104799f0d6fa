//! Reading and writing one event's text: first its `type`, then the one struct.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::value::RawValue;

use crate::compare::first_difference;
use crate::dialect::{self, Dialect, Shape, Spelled, Spelling};
use crate::event::{Malformed, bound};
use crate::field::Extra;
use crate::wire::{self, Mismatch, Wire, WireStruct, json_kind, repair};

/// An event of one side.
pub(crate) trait Event: Spelled + PartialEq + Sized {
    /// Reads a frequent event in its plainest form.
    fn decode_hot(text: &str, dialect: Dialect) -> Option<Self>;

    /// Writes a frequent event in its plainest form. Returns whether it was one.
    fn encode_hot(&self, kind: &str, out: &mut String) -> bool;

    /// Reads the struct of GA's `kind`.
    fn read(kind: &str, text: &str) -> Self;

    /// Writes the struct, under `kind`.
    fn write(&self, kind: &str, out: &mut String);

    /// GA's `type`, for a known event.
    fn known_kind(&self) -> Option<&'static str>;

    fn malformed(malformed: Malformed) -> Self;

    fn as_malformed(&mut self) -> Option<&mut Malformed>;

    /// Notes the repairs that were made before reading.
    fn note_repairs(&mut self, repairs: Vec<Mismatch>);

    fn extra(&self) -> Option<&Extra>;

    fn extra_mut(&mut self) -> Option<&mut Extra>;
}

/// Reads one wire text in any spelling.
pub(crate) fn decode<E: Event>(text: &str, dialect: Dialect) -> E {
    E::decode_hot(text, dialect).unwrap_or_else(|| decode_other(text, dialect))
}

/// Reads one wire text that is no frequent event in its plainest form.
pub(crate) fn decode_other<E: Event>(text: &str, dialect: Dialect) -> E {
    if !bound::is_within(text) {
        return E::malformed(bound::exceeded(text));
    }
    // Some writers put a byte order mark before each text.
    let bare = text.trim_start_matches('\u{feff}');
    if bare.len() < text.len() {
        return decode(bare, dialect);
    }
    let kind = match event_kind(text) {
        Ok(kind) => kind,
        Err(malformed) => {
            let mut event = E::malformed(malformed);
            mend(&mut event, text, dialect);
            return event;
        }
    };
    let ga_kind = E::ga_kind(&kind);
    let shape = E::shape(ga_kind);
    if shape == Shape::Plain {
        let mut event = E::read(ga_kind, text);
        if event.as_malformed().is_some() {
            mend(&mut event, text, dialect);
        }
        keep_name(&mut event, &kind, dialect);
        return event;
    }
    if dialect == Dialect::Ga && ga_kind == kind {
        let mut event = E::read(ga_kind, text);
        if event.as_malformed().is_some() {
            mend(&mut event, text, dialect);
            return event;
        }
        let body = event.body();
        if !body.is_beta_spelled() {
            if body.has_beta_only_fields()
                && let Some(extra) = event.extra_mut()
            {
                extra.keep_spelling(Spelling::Text(dialect, repair::clean(text).into()));
            }
            return event;
        }
    }
    match repair::without_halves(text) {
        None => decode_respelled(text, &kind, ga_kind, shape, dialect),
        Some(repaired) => {
            let mut event: E = decode_respelled(&repaired.text, &kind, ga_kind, shape, dialect);
            match event.as_malformed() {
                Some(malformed) => malformed.raw = text.into(),
                None => event.note_repairs(repaired.found),
            }
            event
        }
    }
}

/// Reads a malformed event again if its text can be repaired. Once is enough: then nothing is left to repair.
/// Cold and in place, because events are large to move.
#[cold]
#[inline(never)]
fn mend<E: Event>(event: &mut E, text: &str, dialect: Dialect) {
    if event.as_malformed().is_none() {
        return;
    }
    let Some(repaired) = repair::repaired(text) else { return };
    *event = decode(&repaired.text, dialect);
    match event.as_malformed() {
        Some(malformed) => malformed.raw = text.into(),
        None => event.note_repairs(repaired.found),
    }
}

/// Keeps the event's name as it came, if the dialect has another name for it.
fn keep_name<E: Event>(event: &mut E, kind: &str, dialect: Dialect) {
    let Some(known) = event.known_kind() else { return };
    if event.kind_in(dialect, known) != kind
        && let Some(extra) = event.extra_mut()
    {
        extra.keep_spelling(Spelling::Name(if known == kind { Dialect::Ga } else { Dialect::Beta }));
    }
}

/// Reads a text that is not completely in GA's spelling. Keeps the text if the dialect would write another
/// one.
fn decode_respelled<E: Event>(text: &str, kind: &str, ga_kind: &str, shape: Shape, dialect: Dialect) -> E {
    let Some(ga) = dialect::body_to_ga(kind, ga_kind, shape, text) else {
        let mut event = E::read(ga_kind, text);
        mend(&mut event, text, dialect);
        return event;
    };
    let mut event = E::read(ga_kind, &ga);
    drop(ga); // it may be large, and more of its size follows
    if let Some(malformed) = event.as_malformed() {
        malformed.raw = text.into();
        mend(&mut event, text, dialect);
        return event;
    }
    let mut again = String::new();
    if let Some(known) = event.known_kind() {
        encode(&event, known, dialect, &mut again);
    }
    if first_difference(text, &again).is_some()
        && let Some(extra) = event.extra_mut()
    {
        extra.keep_spelling(Spelling::Text(dialect, text.into()));
    }
    event
}

/// The original text of an event and the dialect it was read in, if that dialect would write another text.
/// `None` after the event was changed.
pub(crate) fn kept_text<E: Event>(event: &E) -> Option<(Dialect, &str)> {
    match event.extra()?.spelling()? {
        Spelling::Text(read_in, text) if decode::<E>(text, *read_in) == *event => Some((*read_in, text)),
        Spelling::Text(..) | Spelling::Name(_) => None,
    }
}

/// Writes an event in the spelling of `dialect`. `ga_kind` is its `type` in GA.
pub(crate) fn encode<E: Event>(event: &E, ga_kind: &'static str, dialect: Dialect, out: &mut String) {
    let spelling = event.extra().and_then(Extra::spelling);
    if spelling.is_some() || dialect != Dialect::Ga {
        encode_respelled(event, ga_kind, dialect, spelling, out);
    } else if !event.encode_hot(ga_kind, out) {
        encode_whole(event, ga_kind, ga_kind, dialect, out);
    }
}

/// Writes an event that came in a spelling of its own, or whose dialect may have one. Nearly every event is
/// another: what these need stays out of its way.
#[inline(never)]
fn encode_respelled<E: Event>(
    event: &E,
    ga_kind: &'static str,
    dialect: Dialect,
    spelling: Option<&Spelling>,
    out: &mut String,
) {
    if spelling.is_some()
        && let Some((read_in, text)) = kept_text(event)
        && read_in == dialect
    {
        out.push_str(text);
        return;
    }
    let kind = match spelling {
        Some(Spelling::Name(named_in)) => event.kind_in(*named_in, ga_kind),
        _ => event.kind_in(dialect, ga_kind),
    };
    if !event.encode_hot(kind, out) {
        encode_whole(event, kind, ga_kind, dialect, out);
    }
}

/// Writes all members of an event, under `kind`.
#[inline(never)]
fn encode_whole<E: Event>(event: &E, kind: &str, ga_kind: &'static str, dialect: Dialect, out: &mut String) {
    let shape = E::shape(ga_kind);
    if shape == Shape::Plain || (dialect == Dialect::Ga && !event.body().has_beta_only_fields()) {
        event.write(kind, out);
        return;
    }
    let mut ga = String::new();
    event.write(ga_kind, &mut ga);
    out.push_str(&dialect::respell(dialect, kind, shape, &ga).unwrap_or(ga));
}

/// A struct's members, after a `type`.
pub(crate) struct Named<'a, T> {
    pub(crate) kind: &'a str,
    pub(crate) event: &'a T,
}

impl<T: WireStruct> Serialize for Named<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.kind)?;
        self.event.write_members(&mut map)?;
        map.end()
    }
}

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

/// The event for a `text` that is not JSON.
pub(crate) fn not_json(text: &str, error: &serde_json::Error) -> Malformed {
    let reason = match Malformed::is_text_of_binary(text) {
        true => format!("expected JSON, got {text}"),
        false => format!("expected JSON: {error}"),
    };
    Malformed { kind: None, path: String::new(), reason, raw: text.into() }
}

/// Reads an event's struct: in one pass if all members fit, else member by member.
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
    let text =
        serde_json::to_string(value).expect("wire types have string keys, and writing to memory cannot fail");
    if out.capacity() == 0 { *out = text } else { out.push_str(&text) }
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

/// A position in JSON text. It only has to be right for valid JSON: serde reads the result again.
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
            self.at += memchr::memchr2(b'"', b'\\', bytes.get(self.at..)?)?;
            if bytes[self.at] == b'"' {
                self.at += 1;
                return self.text.get(start..self.at - 1);
            }
            self.at += 2;
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
