//! The frequent events without serde: audio, transcript and text deltas are read by a hand-written cursor,
//! and audio is written straight into the text.
//!
//! The rule kept here: any text not in the plainest form (with an escape, a `null`, an unknown or repeated
//! member) is left to the general path, so both paths give equal results.

use alloc::string::String;
use core::fmt::Write;

use crate::audio::Audio;
use crate::base64;
use crate::dialect::Spelling;
use crate::event::{
    ClientEvent, Dialect, InputAudioBufferAppend, ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta, ResponseOutputTextDelta, ServerEvent,
};
use crate::field::{Extra, Field};

/// The deltas with a fast path.
#[derive(Clone, Copy)]
enum Kind {
    Audio,
    Transcript,
    Text,
}

impl Kind {
    /// The delta of that name, and the dialect whose name it is.
    fn of(name: &str) -> Option<(Self, Dialect)> {
        Some(match name {
            "response.output_audio.delta" => (Self::Audio, Dialect::Ga),
            "response.output_audio_transcript.delta" => (Self::Transcript, Dialect::Ga),
            "response.output_text.delta" => (Self::Text, Dialect::Ga),
            "response.audio.delta" => (Self::Audio, Dialect::Beta),
            "response.audio_transcript.delta" => (Self::Transcript, Dialect::Beta),
            "response.text.delta" => (Self::Text, Dialect::Beta),
            _ => return None,
        })
    }
}

/// A delta in its plainest form, as it stands in its text.
pub(crate) struct PlainDelta<'a> {
    pub(crate) response_id: Option<&'a str>,
    pub(crate) item_id: &'a str,
    pub(crate) content_index: u32,
    pub(crate) said: Said<'a>,
}

/// What a delta brings.
pub(crate) enum Said<'a> {
    Audio(Audio),
    Transcript(&'a str),
    Text(&'a str),
}

/// Reads what a session needs of a delta, if `text` is one in its plainest form. It spares the event, which
/// would be made only to be taken apart.
pub(crate) fn plain_delta(text: &str) -> Option<PlainDelta<'_>> {
    let delta = Delta::read(text)?;
    let [_, response_id, item_id, _, content_index, ..] = delta.members;
    let item_id = item_id?;
    Some(PlainDelta {
        response_id,
        item_id,
        content_index: content_index.map_or(0, number),
        said: delta.said()?,
    })
}

/// Reads a delta, if `text` is one in its plainest form.
pub(crate) fn decode_delta(text: &str, dialect: Dialect) -> Option<ServerEvent> {
    let read = Delta::read(text)?;
    let (_, named_in) = read.kind?;
    let [event_id, response_id, item_id, output_index, content_index, _, obfuscation] = read.members;
    let mut extra = Extra::default();
    if named_in != dialect {
        extra.keep_spelling(Spelling::Name(named_in));
    }
    macro_rules! event {
        ($name:ident, $delta:expr) => {
            ServerEvent::$name($name {
                event_id: event_id.map_or(Field::Absent, |id| Field::Value(id.into())),
                response_id: response_id.map_or(Field::Absent, |id| Field::Value(id.into())),
                item_id: item_id?.into(),
                output_index: output_index.map_or(Field::Absent, |digits| Field::Value(number(digits))),
                content_index: content_index.map_or(Field::Absent, |digits| Field::Value(number(digits))),
                delta: $delta,
                obfuscation: obfuscation.map_or(Field::Absent, |text| Field::Value(text.into())),
                extra,
            })
        };
    }
    Some(match read.said()? {
        Said::Audio(audio) => event!(ResponseOutputAudioDelta, audio),
        Said::Transcript(words) => event!(ResponseOutputAudioTranscriptDelta, words.into()),
        Said::Text(words) => event!(ResponseOutputTextDelta, words.into()),
    })
}

/// The members of a delta besides its `type`, in the order in which servers write them.
const MEMBERS: [&str; 7] =
    ["event_id", "response_id", "item_id", "output_index", "content_index", "delta", "obfuscation"];
const OUTPUT_INDEX: usize = 3;
const CONTENT_INDEX: usize = 4;
const DELTA: usize = 5;

/// A delta, as it stands in the text.
#[derive(Default)]
struct Delta<'a> {
    kind: Option<(Kind, Dialect)>,
    /// The values of [`MEMBERS`]. That of `delta` is not checked yet: it may hold anything but a quote.
    members: [Option<&'a str>; MEMBERS.len()],
    /// The delta, if it was read as audio already.
    audio: Option<Audio>,
}

impl<'a> Delta<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut delta = Self::default();
        let mut rest = skip_space(text).strip_prefix('{')?;
        let mut next = 0;
        loop {
            let name = skip_space(rest).strip_prefix('"')?;
            rest = if let Some(rest) = name.strip_prefix("type\"") {
                let (kind, rest) = short_string(value_of(rest)?)?;
                // Nearly always the first or second member: other events are told from deltas at once.
                let kind = Kind::of(kind)?;
                delta.kind.replace(kind).is_none().then_some(rest)?
            } else {
                let (index, rest) = member(name, next)?;
                next = index + 1;
                let (value, rest) = delta.read_member(index, value_of(rest)?)?;
                delta.members[index].replace(value).is_none().then_some(rest)?
            };
            rest = skip_space(rest);
            rest = match rest.as_bytes().first()? {
                b',' => &rest[1..],
                b'}' => return skip_space(&rest[1..]).is_empty().then_some(delta),
                _ => return None,
            };
        }
    }

    /// What it brings. `None`: it is not in the plainest form.
    fn said(self) -> Option<Said<'a>> {
        let (kind, _) = self.kind?;
        let [.., delta, _] = self.members;
        Some(match (kind, self.audio) {
            (Kind::Audio, Some(audio)) => Said::Audio(audio),
            (Kind::Audio, None) => Said::Audio(Audio::from_canonical_base64(delta?)?),
            (Kind::Transcript, _) => Said::Transcript(plain(delta?)?),
            (Kind::Text, _) => Said::Text(plain(delta?)?),
        })
    }

    /// The value of a member, and what follows it.
    fn read_member(&mut self, index: usize, text: &'a str) -> Option<(&'a str, &'a str)> {
        match index {
            DELTA => {
                let text = text.strip_prefix('"')?;
                if let Some((Kind::Audio, _)) = self.kind {
                    self.audio = last_audio(text);
                }
                if self.audio.is_some() { Some(("", "}")) } else { until_quote(text) }
            }
            OUTPUT_INDEX | CONTENT_INDEX => digits(text),
            _ => short_string(text),
        }
    }
}

/// Which of [`MEMBERS`] a name is, and what follows it. `next`: the one that is likely.
fn member(name: &str, next: usize) -> Option<(usize, &str)> {
    let named = |index: usize| Some((index, name.strip_prefix(*MEMBERS.get(index)?)?.strip_prefix('"')?));
    named(next).or_else(|| (0..MEMBERS.len()).find_map(named))
}

/// Skips the colon before a value.
fn value_of(text: &str) -> Option<&str> {
    Some(skip_space(skip_space(text).strip_prefix(':')?))
}

/// A whole number in its plainest form, and what follows it.
fn digits(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_plain = digits == 1 || ((2..10).contains(&digits) && !text.starts_with('0'));
    is_plain.then(|| text.split_at(digits))
}

// Inlined, it would be unrolled for digits that are hardly ever more than one.
#[inline(never)]
fn number(digits: &str) -> u32 {
    digits.bytes().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'))
}

/// Skips JSON's white space, which is rare.
fn skip_space(text: &str) -> &str {
    match text.as_bytes().first() {
        Some(b' ' | b'\n' | b'\r' | b'\t') => text.trim_start_matches([' ', '\n', '\r', '\t']),
        _ => text,
    }
}

/// A string without escapes, and what follows it.
fn short_string(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let end = special(text.as_bytes())?;
    (text.as_bytes()[end] == b'"').then(|| (&text[..end], &text[end + 1..]))
}

/// The position of the first quote, backslash or control character. Searches eight bytes at a time: ids are
/// too short for more.
fn special(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::MAX / 0xff;
    const HIGH: u64 = EACH << 7;
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // The lowest bit that is set is exact; those above it may be borrows.
        let zero = |word: u64| word.wrapping_sub(EACH) & !word;
        let quote = zero(word ^ (EACH * b'"' as u64));
        let backslash = zero(word ^ (EACH * b'\\' as u64));
        let control = word.wrapping_sub(EACH * b' ' as u64) & !word;
        let found = (quote | backslash | control) & HIGH;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\') || *byte < b' ').map(|end| at + end)
}

/// The audio at the end of a text, where nearly every audio delta has it. It is read as base64 without a
/// search for its end: a quote is not base64.
fn last_audio(text: &str) -> Option<Audio> {
    let text = text.strip_suffix("\"}")?;
    // Seldom, another member is the last.
    let end = &text.as_bytes()[text.len().saturating_sub(64)..];
    if memchr::memrchr(b'"', end).is_some() { None } else { Audio::from_canonical_base64(text) }
}

/// Everything up to the next quote, and what follows it.
fn until_quote(text: &str) -> Option<(&str, &str)> {
    let end = memchr::memchr(b'"', text.as_bytes())?;
    Some((&text[..end], &text[end + 1..]))
}

/// The text of a string, if it has no escapes and needs none.
fn plain(text: &str) -> Option<&str> {
    special(text.as_bytes()).is_none().then_some(text)
}

/// Writes an append. Returns whether it was one in its plainest form.
pub(crate) fn encode_client(event: &ClientEvent, _kind: &str, out: &mut String) -> bool {
    match event {
        ClientEvent::InputAudioBufferAppend(event) => encode_append(event, out).is_some(),
        _ => false,
    }
}

/// Writes an audio delta with the name `kind`. Returns whether it was one in its plainest form.
pub(crate) fn encode_server(event: &ServerEvent, kind: &str, out: &mut String) -> bool {
    match event {
        ServerEvent::ResponseOutputAudioDelta(event) => encode_audio_delta(event, kind, out).is_some(),
        _ => false,
    }
}

fn encode_append(event: &InputAudioBufferAppend, out: &mut String) -> Option<()> {
    let bytes = event.audio.bytes().ok().filter(|_| event.extra.is_empty())?;
    let event_id = id(&event.event_id)?;
    const BEGIN: &str = r#"{"type":"input_audio_buffer.append""#;
    const AUDIO: &str = r#","audio":""#;
    const END: &str = "\"}";
    let id_len = event_id.map_or(0, |id| r#","event_id":"""#.len() + id.len());
    let len = BEGIN.len() + id_len + AUDIO.len() + base64::text_len(bytes.len()) + END.len();
    if out.capacity() == 0 {
        *out = String::with_capacity(len); // cheaper than to grow
    } else {
        out.reserve(len);
    }
    out.push_str(BEGIN);
    push_id(out, "event_id", event_id);
    out.push_str(AUDIO);
    base64::encode(bytes, out);
    out.push_str(END);
    Some(())
}

fn encode_audio_delta(event: &ResponseOutputAudioDelta, kind: &str, out: &mut String) -> Option<()> {
    let is_plain = event.extra.is_empty() && event.obfuscation.is_absent();
    let bytes = event.delta.bytes().ok().filter(|_| is_plain)?;
    let (event_id, response_id) = (id(&event.event_id)?, id(&event.response_id)?);
    let item_id = is_plain_id(event.item_id.as_str()).then(|| event.item_id.as_str());
    item_id?;
    if event.output_index.is_null() || event.content_index.is_null() {
        return None;
    }
    out.push_str(r#"{"type":""#);
    out.push_str(kind);
    out.push('"');
    push_id(out, "event_id", event_id);
    push_id(out, "response_id", response_id);
    push_id(out, "item_id", item_id);
    for (name, index) in [("output_index", event.output_index), ("content_index", event.content_index)] {
        if let Field::Value(index) = index {
            let _ = write!(out, ",\"{name}\":{index}"); // writing to memory cannot fail
        }
    }
    out.push_str(r#","delta":""#);
    base64::encode(bytes, out);
    out.push_str("\"}");
    Some(())
}

/// An id without escapes, or no id. `None`: an id with escapes.
fn id<T: AsRef<str>>(field: &Field<T>) -> Option<Option<&str>> {
    match field {
        Field::Absent => Some(None),
        Field::Value(id) if is_plain_id(id.as_ref()) => Some(Some(id.as_ref())),
        Field::Null | Field::Value(_) => None,
    }
}

fn is_plain_id(id: &str) -> bool {
    special(id.as_bytes()).is_none()
}

fn push_id(out: &mut String, name: &str, id: Option<&str>) {
    if let Some(id) = id {
        for text in [",\"", name, "\":\"", id, "\""] {
            out.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::event::{ClientEvent, Dialect, scan};

    /// What the general path makes of a text.
    fn general(text: &str) -> ServerEvent {
        match scan::event_kind(text) {
            Ok(kind) => <ServerEvent as scan::Event>::read(
                <ServerEvent as crate::dialect::Spelled>::ga_kind(&kind),
                text,
            ),
            Err(malformed) => ServerEvent::Malformed(malformed),
        }
    }

    const KEYS: &[&str] = &[
        r#""type""#,
        r#""event_id""#,
        r#""response_id""#,
        r#""item_id""#,
        r#""output_index""#,
        r#""content_index""#,
        r#""delta""#,
        r#""obfuscation""#,
        r#""delt\u0061""#,
        r#""new""#,
    ];

    const VALUES: &[&str] = &[
        r#""response.output_audio.delta""#,
        r#""response.audio.delta""#,
        r#""response.output_audio_transcript.delta""#,
        r#""response.audio_transcript.delta""#,
        r#""response.output_text.delta""#,
        r#""response.text.delta""#,
        r#""response.output_\u0061udio.delta""#,
        r#""response.done""#,
        r#""""#,
        r#""item_1""#,
        r#""item_12345678901234567890123456789012345678901234567890""#,
        r#""AAEC""#,
        r#""AA==""#,
        r#""AB==""#,
        r#""AAE\/""#,
        r#""not base64""#,
        r#"" \"quoted\" ü \u00fc""#,
        "\"broken\u{1}\"",
        r#""unfinished\"#,
        "0",
        "7",
        "07",
        "-1",
        "1.0",
        "4294967296",
        "999999999",
        "null",
        "true",
        "{\"a\":[1,\"}\"]}",
        "[]",
        "",
    ];

    fn space() -> impl Strategy<Value = &'static str> {
        select(&["", "", "", " ", "\n\t", "\r "][..])
    }

    /// Mostly whole deltas, with anything before, after and between, in any order.
    fn text() -> impl Strategy<Value = String> {
        let whole =
            (select(&VALUES[..7]), select(&VALUES[8..17]), space()).prop_map(|(kind, delta, space)| {
                let members = [
                    ("\"type\"", kind),
                    ("\"item_id\"", "\"item_1\""),
                    ("\"response_id\"", "\"resp_1\""),
                    ("\"event_id\"", "\"event_1\""),
                    ("\"output_index\"", "0"),
                    ("\"content_index\"", "1"),
                    ("\"delta\"", delta),
                ];
                members.map(|(name, value)| [space, name, space, ":", space, value, space].concat()).to_vec()
            });
        let odd = (select(KEYS), select(VALUES)).prop_map(|(key, value)| [key, ":", value].concat());
        let odd = proptest::collection::vec(odd, 0..3);
        let tail = select(&["}", "}", "}", "} ", "}x", "", ",}"][..]);
        (whole, 0..7_usize, odd, tail)
            .prop_flat_map(|(whole, dropped, odd, tail)| {
                let mut members: Vec<String> = whole;
                if !odd.is_empty() {
                    members.remove(dropped);
                }
                members.extend(odd);
                (Just(members).prop_shuffle(), Just(tail))
            })
            .prop_map(|(members, tail)| ["{", &members.join(","), tail].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn the_hand_cursor_reads_what_the_general_path_reads(text in text()) {
            prop_assert_eq!(ServerEvent::decode(&text, Dialect::Ga), general(&text), "{}", text);
            prop_assert_eq!(ServerEvent::decode(&text, Dialect::Beta), general(&text), "{}", text);
        }

        #[test]
        fn the_first_special_character_is_found(text in "[a-z\"\\\\\u{1}\u{1f} !ü\u{7f}]{0,40}") {
            let bytes = text.as_bytes();
            let slow = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\') || *byte < b' ');
            prop_assert_eq!(special(bytes), slow);
        }

        #[test]
        fn audio_is_written_as_the_general_path_writes_it(
            pcm in proptest::collection::vec(any::<u8>(), 0..100),
            event_id in "[a-z\"ü\u{1}]{0,12}",
            has_id in any::<bool>(),
            index in any::<Option<u32>>(),
        ) {
            let event_id = if has_id { event_id.as_str().into() } else { Field::Absent };
            let append = InputAudioBufferAppend { event_id, audio: pcm.clone().into(), ..Default::default() };
            let append = ClientEvent::from(append);
            let mut slow = String::new();
            scan::Event::write(&append, "input_audio_buffer.append", &mut slow);
            prop_assert_eq!(append.encode(Dialect::Ga), slow);

            let index = index.map_or(Field::Null, Field::Value);
            let delta = ResponseOutputAudioDelta { output_index: index, delta: pcm.into(), ..Default::default() };
            let delta = ServerEvent::from(delta.item_id("item_1").content_index(0));
            let mut slow = String::new();
            scan::Event::write(&delta, "response.output_audio.delta", &mut slow);
            prop_assert_eq!(delta.encode(Dialect::Ga), slow);
        }
    }

    #[test]
    fn plain_deltas_take_the_quick_way_in_both_dialects() {
        for kind in [
            "response.output_audio.delta",
            "response.output_audio_transcript.delta",
            "response.output_text.delta",
            "response.audio.delta",
            "response.audio_transcript.delta",
            "response.text.delta",
        ] {
            let text = serde_json::json!({"type": kind, "event_id": "e", "response_id": "r", "item_id": "i",
                "output_index": 0, "content_index": 12, "delta": "AAEC"});
            assert!(decode_delta(&text.to_string(), Dialect::Ga).is_some(), "{kind}");
        }
    }
}
