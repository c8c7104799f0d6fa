//! The frequent events without serde: audio, transcript and text deltas are read by a hand-written cursor,
//! and audio is written straight into the text.
//!
//! The rule kept here: any text not in the plainest form (with an escape, a `null`, an unknown or repeated
//! member) is left to the general path, so both paths give equal results.

use alloc::string::String;
use core::fmt::Write;

use crate::audio::Audio;
use crate::base64;
use crate::event::{
    ClientEvent, InputAudioBufferAppend, ResponseOutputAudioDelta, ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta, ServerEvent,
};
use crate::field::Field;

/// The kinds with a fast path.
const AUDIO: &str = "response.output_audio.delta";
const TRANSCRIPT: &str = "response.output_audio_transcript.delta";
const TEXT: &str = "response.output_text.delta";
/// The first one's name in beta.
const BETA_AUDIO: &str = "response.audio.delta";

/// Reads a delta and its name, if `text` is a delta in its plainest form.
pub(crate) fn decode_delta(text: &str) -> Option<(ServerEvent, &str)> {
    let delta = Delta::read(text)?;
    let kind = delta.kind?;
    let event = match kind {
        AUDIO | BETA_AUDIO => ServerEvent::ResponseOutputAudioDelta(ResponseOutputAudioDelta {
            event_id: field(delta.event_id),
            response_id: field(delta.response_id),
            item_id: delta.item_id?.into(),
            output_index: delta.output_index,
            content_index: delta.content_index,
            delta: match delta.audio {
                Some(audio) => audio,
                None => Audio::from_canonical_base64(delta.delta?)?,
            },
            obfuscation: field(delta.obfuscation),
            extra: Default::default(),
        }),
        TRANSCRIPT | "response.audio_transcript.delta" => {
            ServerEvent::ResponseOutputAudioTranscriptDelta(ResponseOutputAudioTranscriptDelta {
                event_id: field(delta.event_id),
                response_id: field(delta.response_id),
                item_id: delta.item_id?.into(),
                output_index: delta.output_index,
                content_index: delta.content_index,
                delta: plain(delta.delta?)?.into(),
                obfuscation: field(delta.obfuscation),
                extra: Default::default(),
            })
        }
        TEXT | "response.text.delta" => ServerEvent::ResponseOutputTextDelta(ResponseOutputTextDelta {
            event_id: field(delta.event_id),
            response_id: field(delta.response_id),
            item_id: delta.item_id?.into(),
            output_index: delta.output_index,
            content_index: delta.content_index,
            delta: plain(delta.delta?)?.into(),
            obfuscation: field(delta.obfuscation),
            extra: Default::default(),
        }),
        _ => return None,
    };
    Some((event, kind))
}

fn field<'a, T: From<&'a str>>(text: Option<&'a str>) -> Field<T> {
    text.map_or(Field::Absent, |text| Field::Value(text.into()))
}

/// The members of a delta, as they stand in the text.
#[derive(Default)]
struct Delta<'a> {
    kind: Option<&'a str>,
    event_id: Option<&'a str>,
    response_id: Option<&'a str>,
    item_id: Option<&'a str>,
    output_index: Field<u32>,
    content_index: Field<u32>,
    /// Not checked yet: it may hold anything but a quote.
    delta: Option<&'a str>,
    /// The delta, if it was read as audio already.
    audio: Option<Audio>,
    obfuscation: Option<&'a str>,
}

impl<'a> Delta<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut members = Self::default();
        let mut rest = skip_space(text).strip_prefix('{')?;
        loop {
            let (key, after) = short_string(skip_space(rest))?;
            let value = skip_space(skip_space(after).strip_prefix(':')?);
            rest = match key {
                "type" => {
                    let rest = once(&mut members.kind, short_string(value)?)?;
                    // Nearly always the first or second member: other events are told from deltas at once.
                    members.kind.filter(|kind| kind.starts_with("response.") && kind.ends_with(".delta"))?;
                    rest
                }
                "event_id" => once(&mut members.event_id, short_string(value)?)?,
                "response_id" => once(&mut members.response_id, short_string(value)?)?,
                "item_id" => once(&mut members.item_id, short_string(value)?)?,
                "delta" => {
                    let value = value.strip_prefix('"')?;
                    members.audio = last_audio(members.kind, value);
                    let delta = if members.audio.is_some() { ("", "}") } else { until_quote(value)? };
                    once(&mut members.delta, delta)?
                }
                "obfuscation" => once(&mut members.obfuscation, short_string(value)?)?,
                "output_index" => number(&mut members.output_index, value)?,
                "content_index" => number(&mut members.content_index, value)?,
                _ => return None,
            };
            rest = skip_space(rest);
            rest = match rest.as_bytes().first()? {
                b',' => &rest[1..],
                b'}' => return skip_space(&rest[1..]).is_empty().then_some(members),
                _ => return None,
            };
        }
    }
}

/// Sets a member that is not set yet.
fn once<'a>(member: &mut Option<&'a str>, (value, rest): (&'a str, &'a str)) -> Option<&'a str> {
    member.replace(value).is_none().then_some(rest)
}

fn number<'a>(member: &mut Field<u32>, text: &'a str) -> Option<&'a str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_plain = digits == 1 || ((2..10).contains(&digits) && !text.starts_with('0'));
    if !is_plain || !member.is_absent() {
        return None;
    }
    let value = text[..digits].bytes().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    *member = Field::Value(value);
    Some(&text[digits..])
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
fn last_audio(kind: Option<&str>, value: &str) -> Option<Audio> {
    let text = value.strip_suffix("\"}").filter(|_| matches!(kind, Some(AUDIO | BETA_AUDIO)))?;
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
            scan::Event::write(&delta, AUDIO, &mut slow);
            prop_assert_eq!(delta.encode(Dialect::Ga), slow);
        }
    }

    #[test]
    fn plain_deltas_take_the_quick_way_in_both_dialects() {
        for kind in [AUDIO, TRANSCRIPT, TEXT, BETA_AUDIO, "response.audio_transcript.delta"] {
            let text = serde_json::json!({"type": kind, "event_id": "e", "response_id": "r", "item_id": "i",
                "output_index": 0, "content_index": 12, "delta": "AAEC"});
            assert!(decode_delta(&text.to_string()).is_some(), "{kind}");
        }
    }
}
