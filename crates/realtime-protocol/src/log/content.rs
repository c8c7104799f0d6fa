//! How much of a conversation its log holds: [`LogContent`], and the [`Filter`] that leaves the rest out.
//!
//! A filter works on whole lines, after the [`LogWriter`](crate::log::LogWriter), so that it can run on
//! another thread and costs the call nothing.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audio::{Audio, fnv1a};
use crate::base64;
use crate::log::FORMAT;
use crate::log::write::value;

/// How much of a conversation its log holds. No log holds keys.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogContent {
    /// Everything. Replays exactly.
    #[default]
    Full,
    /// Everything, with the audio as raw bytes in a file beside the log. Replays exactly with that file.
    AudioAside,
    /// Everything except audio, which is replaced by its size and a digest. Such a log can be read, but not
    /// replayed.
    AudioDigest,
    /// What happened and when: types, ids, states, numbers. No audio, words or arguments. Such a log can be
    /// read, but not replayed.
    Metadata,
}

impl LogContent {
    /// Returns whether fresh machines give the same outputs for such a log's inputs.
    pub const fn replays(self) -> bool {
        matches!(self, Self::Full | Self::AudioAside)
    }
}

/// Changes an entry before it is written, to take out what must not be kept.
pub type Redact = Box<dyn FnMut(&mut Value) + Send>;

/// Removes from a log's lines what the log should not hold.
///
/// ```
/// use realtime_protocol::log::{Filter, LogContent};
///
/// let mut filter = Filter::new(LogContent::Metadata);
/// let line = r#"{"at_us":1,"from":"app","id":1,"command":{"create_item":{"item":{"type":"message","text":"secret"}}}}"#;
/// let mut aside = Vec::new();
/// assert_eq!(
///     filter.line(line, &mut aside),
///     r#"{"at_us":1,"command":{"create_item":{"item":{"text":"[6 bytes]","type":"message"}}},"from":"app","id":1}"#
/// );
/// ```
#[derive(Default)]
pub struct Filter {
    content: LogContent,
    redact: Option<Redact>,
    /// Bytes of audio written to the file beside the log.
    aside: u64,
}

impl Filter {
    /// A filter that keeps this content.
    pub const fn new(content: LogContent) -> Self {
        Self { content, redact: None, aside: 0 }
    }

    /// Adds a hook that changes each entry after the header, after all other changes. The log then says that
    /// it may not replay.
    #[must_use]
    pub fn redact(mut self, redact: impl FnMut(&mut Value) + Send + 'static) -> Self {
        self.redact = Some(Box::new(redact));
        self
    }

    /// The content that is kept.
    pub const fn content(&self) -> LogContent {
        self.content
    }

    /// Returns whether each entry passes through a hook.
    pub const fn is_redacted(&self) -> bool {
        self.redact.is_some()
    }

    /// Filters an entry, without its line feed. Audio for the file beside the log is appended to `aside`.
    pub fn line<'a>(&mut self, line: &'a str, aside: &mut Vec<u8>) -> Cow<'a, str> {
        let line = line.trim_end_matches('\n');
        let kept = match self.content {
            LogContent::Full => Cow::Borrowed(line),
            LogContent::AudioAside => replace(line, |audio| {
                let text = format!("{ASIDE}{}:{}", self.aside, audio.len());
                self.aside += audio.len() as u64;
                aside.extend_from_slice(audio);
                text
            }),
            LogContent::AudioDigest => {
                replace(line, |audio| format!("digest:{} bytes {:016x}", audio.len(), fnv1a(audio)))
            }
            LogContent::Metadata => changed(line, |entry| match entry.get("format") {
                // Only the configuration and a resumed call hold words in the header.
                Some(format) if format == FORMAT => {
                    for words in ["/options/config", "/resumed"] {
                        if let Some(words) = entry.pointer_mut(words) {
                            strip(words);
                        }
                    }
                }
                _ => strip(entry),
            }),
        };
        match &mut self.redact {
            Some(redact) => Cow::Owned(changed(&kept, redact).into_owned()),
            None => kept,
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("content", &self.content)
            .field("redact", &self.redact.is_some())
            .finish()
    }
}

/// Marks the place of audio in the file beside the log: `aside:<first byte>:<bytes>`. Base64 has no colons.
const ASIDE: &str = "aside:";

/// Puts audio from the file beside the log back into an entry, so that it can be replayed. A place outside of
/// `aside` stays as it is: the file is cut short, or belongs to another log.
pub fn restore<'a>(line: &'a str, aside: &[u8]) -> Cow<'a, str> {
    splice(line, |value| {
        let (first, bytes) = value.strip_prefix(ASIDE)?.split_once(':')?;
        let first: usize = first.parse().ok()?;
        let end = first.checked_add(bytes.parse().ok()?)?;
        let mut text = String::new();
        base64::encode(aside.get(first..end)?, &mut text);
        Some(text)
    })
}

/// Replaces each piece of audio in an entry.
fn replace(line: &str, mut with: impl FnMut(&[u8]) -> String) -> Cow<'_, str> {
    splice(line, |value| {
        let audio = Audio::from_canonical_base64(value)?;
        let audio = audio.bytes().ok().filter(|audio| !audio.is_empty())?;
        Some(with(audio))
    })
}

/// Replaces the values that hold audio in entries. Everything else stays byte for byte.
fn splice(line: &str, mut with: impl FnMut(&str) -> Option<String>) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    for value in audio_values(line) {
        if let Some(text) = with(&line[value.clone()]) {
            out.push_str(&line[copied..value.start]);
            out.push_str(&text);
            copied = value.end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(line);
    }
    out.push_str(&line[copied..]);
    Cow::Owned(out)
}

/// The positions of strings that are audio by their member's name: `audio`, and `delta` of audio events.
fn audio_values(line: &str) -> impl Iterator<Item = Range<usize>> {
    // Within a string the quote would be escaped.
    let deltas = line.contains(r#"audio.delta""#);
    line.match_indices('"').filter_map(move |(quote, _)| {
        let rest = &line[quote..];
        let name = if rest.starts_with(r#""audio""#) {
            r#""audio""#
        } else if deltas && rest.starts_with(r#""delta""#) {
            r#""delta""#
        } else {
            return None;
        };
        let value = rest[name.len()..].trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        let start = line.len() - value.len();
        Some(start..start + value.find('"')?)
    })
}

/// Changes an entry as JSON. Text that is not JSON is dropped.
fn changed(line: &str, change: impl FnOnce(&mut Value)) -> Cow<'_, str> {
    let Some(mut entry) = value(line) else { return Cow::Borrowed("{}") };
    change(&mut entry);
    Cow::Owned(format!("{entry}"))
}

/// Members whose texts say what something is, and not what was said.
const PLAIN: [&str; 20] = [
    "after",
    "class",
    "code",
    "end",
    "format",
    "from",
    "id",
    "key",
    "model",
    "name",
    "object",
    "origin",
    "output_modalities",
    "param",
    "path",
    "phase",
    "role",
    "status",
    "type",
    "voice",
];

/// Members whose texts are kept if they look like a name: they may also be words of a server or an
/// application.
const NAMES: [&str; 3] = ["outcome", "place", "reason"];

/// Members whose values are foreign JSON: not even their numbers are kept.
const FOREIGN: [&str; 5] = ["logprobs", "metadata", "parameters", "result", "schema"];

/// Keeps only the shape, the numbers and the plain texts of an entry.
pub(crate) fn strip(entry: &mut Value) {
    match entry {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                let keep = match &*member {
                    Value::String(text) => is_plain(name) || NAMES.contains(&name.as_str()) && is_name(text),
                    // A list of names is as plain as a name.
                    Value::Array(elements) => is_plain(name) && elements.iter().all(Value::is_string),
                    _ => false,
                };
                if !keep && FOREIGN.contains(&name.as_str()) && !member.is_null() {
                    blank(member);
                } else if !keep {
                    strip(member);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(strip),
        Value::String(_) => blank(entry),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Replaces a value by its size.
fn blank(value: &mut Value) {
    let bytes = match &*value {
        Value::String(text) => text.len(),
        value => format!("{value}").len(),
    };
    *value = format!("[{bytes} bytes]").into();
}

fn is_plain(name: &str) -> bool {
    name.ends_with("_id") || PLAIN.contains(&name)
}

fn is_name(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    const DELTA: &str = r#"{"at_us":1,"conn":0,"from":"server","event":{"type":"response.output_audio.delta","delta":"AQIDBA=="}}"#;
    const COMMAND: &str = r#"{"at_us":2,"from":"app","id":1,"command":{"append_audio":{"audio": "BQY="}}}"#;
    const TEXT: &str = r#"{"at_us":3,"from":"server","event":{"type":"response.output_text.delta","delta":"AQIDBA==","x":"audio.delta\""}}"#;

    #[test]
    fn audio_goes_aside_and_comes_back_to_the_byte() {
        let mut filter = Filter::new(LogContent::AudioAside);
        let mut aside = Vec::new();
        for (line, kept) in [
            (DELTA, DELTA.replace("AQIDBA==", "aside:0:4")),
            (COMMAND, COMMAND.replace("BQY=", "aside:4:2")),
            (TEXT, TEXT.to_string()),
        ] {
            let written = filter.line(line, &mut aside).into_owned();
            assert_eq!(written, kept);
            assert_eq!(restore(&written, &aside), line);
        }
        assert_eq!(aside, [1, 2, 3, 4, 5, 6]);
        let cut = DELTA.replace("AQIDBA==", "aside:4:400");
        assert_eq!(restore(&cut, &aside), cut);
        assert_eq!(
            restore(&DELTA.replace("AQIDBA==", "aside:18446744073709551615:2"), &aside).len(),
            DELTA.len() + 20
        );
    }

    #[test]
    fn a_digest_stands_for_audio_that_is_left_out() {
        let mut filter = Filter::new(LogContent::AudioDigest);
        let line = filter.line(DELTA, &mut vec![]).into_owned();
        assert!(line.contains(r#""delta":"digest:4 bytes "#), "{line}");
        assert_eq!(filter.line(TEXT, &mut vec![]), TEXT);
    }

    #[test]
    fn metadata_holds_nothing_that_anyone_said() {
        let mut filter = Filter::new(LogContent::Metadata);
        for (line, kept) in [
            (
                r#"{"from":"session","event":{"function_calls":{"calls":[{"call_id":"c","name":"f","arguments":"{\"secret\":1}"}]}}}"#,
                r#"{"event":{"function_calls":{"calls":[{"arguments":"[12 bytes]","call_id":"c","name":"f"}]}},"from":"session"}"#,
            ),
            (
                r#"{"command":{"answer_function":{"call_id":"c","output":{"result":{"secret":7}},"respond":true}}}"#,
                r#"{"command":{"answer_function":{"call_id":"c","output":{"result":"[12 bytes]"},"respond":true}}}"#,
            ),
            (
                r#"{"event":{"closed":{"reason":"requested"}},"disconnected":{"closed":{"reason":"Said this."}}}"#,
                r#"{"disconnected":{"closed":{"reason":"[10 bytes]"}},"event":{"closed":{"reason":"requested"}}}"#,
            ),
            (r#"{"content":"secret","usage":null}"#, r#"{"content":"[6 bytes]","usage":null}"#),
            ("no JSON", "{}"),
        ] {
            assert_eq!(filter.line(line, &mut vec![]), kept);
        }
    }

    #[test]
    fn a_hook_sees_every_entry_last() {
        let mut filter = Filter::default().redact(|entry| {
            if let Some(delta) = entry.pointer_mut("/event/delta") {
                *delta = "***".into();
            }
        });
        assert!(filter.is_redacted());
        let line = filter.line(TEXT, &mut vec![]).into_owned();
        assert!(line.contains(r#""delta":"***""#) && !line.contains("AQID"), "{line}");
    }
}
