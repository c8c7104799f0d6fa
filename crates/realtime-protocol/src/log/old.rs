//! Versions 1 and 2 of the log: translates their names into the current ones. Only this file knows them.
//!
//! Their inputs can be replayed. The outputs may differ from the logged ones if a rule is newer than the log:
//! a replay counts the wire texts that changed, see [`Changed`].

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;

use serde_json::{Map, Value, json};

use crate::audio::AudioFormat;
use crate::log::Header;
use crate::session_config::SessionConfig;

/// The last version with the old names.
const LAST: u32 = 2;

/// A bound larger than any real list, so that a damaged header does not ask for unlimited memory.
const MOST_ENDPOINTS: usize = 1024;

/// Translates the options of an old header into the current ones.
pub(super) fn modernise_header(version: u32, header: &mut Value) {
    if version > LAST {
        return;
    }
    if version == 1 {
        // The old option was a number of endpoints, all with the session's dialect.
        let dialect = header["options"].get("dialect").cloned().unwrap_or_default();
        if let Some(endpoints) = header.pointer_mut("/reconnect/endpoints")
            && let Some(count) = endpoints.as_u64()
        {
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(MOST_ENDPOINTS);
            *endpoints = Value::Array(alloc::vec![dialect; count]);
        }
    }
    if let Some(options) = header.get_mut("options").and_then(Value::as_object_mut) {
        rename(options, "seed", "entropy");
        rename(options, "early_calls", "early_functions");
    }
    if let Some(reconnect) = header.get_mut("reconnect").and_then(Value::as_object_mut) {
        rename(reconnect, "calls_kept", "functions_kept");
    }
}

/// Reads the entries of an old log.
#[derive(Clone, Debug)]
pub struct OldLog {
    /// The format whose samples count positions in audio today.
    output: AudioFormat,
}

impl OldLog {
    /// A reader for the log of this header. `None`: the log has the current version.
    pub fn of(header: &Header) -> Option<Self> {
        let config: &SessionConfig = &header.options.config;
        (header.version <= LAST).then(|| Self { output: config.output_format() })
    }

    /// Translates an entry into the current spelling.
    pub fn modernise<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let is_input = [r#""from":"app""#, r#""from":"driver""#].iter().any(|from| line.contains(from));
        let Some(mut entry) =
            is_input.then(|| serde_json::from_str::<Map<String, Value>>(line).ok()).flatten()
        else {
            return Cow::Borrowed(line);
        };
        if let Some(Value::Object(command)) = entry.remove("command") {
            self.command(&mut entry, command);
        }
        if let Some(unread) = entry.get_mut("shortfall").and_then(|shortfall| shortfall.get_mut("unread")) {
            self.samples(unread, "start");
            self.samples(unread, "lost");
        }
        Cow::Owned(format!("{}", Value::Object(entry)))
    }

    fn command(&self, entry: &mut Map<String, Value>, mut command: Map<String, Value>) {
        if let Some(append) = command.remove("append_audio") {
            entry.insert("media".to_owned(), json!({ "append": append }));
        } else if command.remove("begin_turn").is_some() {
            entry.insert("media".to_owned(), json!({ "begin_turn": {} }));
        } else if let Some(mut report) = command.remove("report_playback") {
            let mut report = report["report"].take();
            self.report(&mut report);
            entry.insert("media".to_owned(), json!({ "report": report }));
        } else {
            rename(&mut command, "complete_call", "answer_function");
            if let Some(output) =
                command.get_mut("answer_function").and_then(|answer| answer.get_mut("output"))
                && output == "unknown_tool"
            {
                *output = "unknown".into();
            }
            entry.insert("command".to_owned(), Value::Object(command));
        }
    }

    fn report(&self, report: &mut Value) {
        if let Some(mut bytes) = report.get_mut("played_bytes").map(Value::take) {
            let samples = bytes["bytes"].as_u64().map(|bytes| self.output.samples(bytes));
            if let Some(members) = bytes.as_object_mut() {
                members.remove("bytes");
                members.insert("played".to_owned(), samples.unwrap_or(0).into());
            }
            *report = json!({ "played": bytes });
            return;
        }
        for place in ["/played", "/stopped/at"] {
            if let Some(position) = report.pointer_mut(place) {
                self.samples(position, "played");
            }
        }
    }

    /// Turns a time in microseconds into a number of samples.
    fn samples(&self, object: &mut Value, name: &str) {
        if let Some(member) = object.get_mut(name)
            && let Some(micros) = member.as_u64()
        {
            *member = self.output.samples_in(crate::time::MediaTime::from_micros(micros)).into();
        }
    }
}

fn rename(members: &mut Map<String, Value>, old: &str, new: &str) {
    if let Some(value) = members.remove(old) {
        members.insert(new.to_owned(), value);
    }
}

/// The number of wire texts of one `type` that only the log or only its replay sent. The reason is a rule
/// that is newer than the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Changed {
    /// Sent then, and not now.
    pub then: usize,
    /// Sent now, and not then.
    pub now: usize,
}

/// Compares what an old log sent with what is sent now, between one input and the next.
#[derive(Debug, Default)]
pub(super) struct Texts {
    then: VecDeque<Value>,
    now: VecDeque<Value>,
    changed: BTreeMap<String, Changed>,
}

impl Texts {
    /// The log has this output.
    pub(super) fn logged(&mut self, line: &str) {
        self.then.extend(text_of(line));
    }

    /// This comes out now.
    pub(super) fn replayed(&mut self, line: &str) {
        self.now.extend(text_of(line));
    }

    /// At an input or the end: compares what was sent before it.
    pub(super) fn settle(&mut self) {
        for text in core::mem::take(&mut self.then) {
            match self.now.iter().position(|now| *now == text) {
                Some(index) => drop(self.now.remove(index)),
                None => self.changed.entry(kind_of(&text)).or_default().then += 1,
            }
        }
        for text in core::mem::take(&mut self.now) {
            self.changed.entry(kind_of(&text)).or_default().now += 1;
        }
    }

    pub(super) fn into_changed(mut self) -> BTreeMap<String, Changed> {
        self.settle();
        self.changed
    }
}

/// The wire text that an output sends.
fn text_of(line: &str) -> Option<Value> {
    let mut entry: Value = serde_json::from_str(line).ok()?;
    (entry["from"] == "client").then(|| entry["event"].take()).filter(|event| !event.is_null())
}

fn kind_of(text: &Value) -> String {
    text["type"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_names_of_inputs_become_those_of_today() {
        let old = OldLog { output: AudioFormat::PCM16_24K };
        for (line, today) in [
            (
                r#"{"at_us":1,"from":"app","id":1,"command":{"append_audio":{"audio":"AQI="}}}"#,
                r#"{"at_us":1,"from":"app","id":1,"media":{"append":{"audio":"AQI="}}}"#,
            ),
            (
                r#"{"at_us":1,"from":"app","id":1,"command":{"begin_turn":{}}}"#,
                r#"{"at_us":1,"from":"app","id":1,"media":{"begin_turn":{}}}"#,
            ),
            (
                r#"{"at_us":1,"from":"app","id":2,"command":{"report_playback":{"report":{"played_bytes":{"item_id":"i","content_index":0,"bytes":960}}}}}"#,
                r#"{"at_us":1,"from":"app","id":2,"media":{"report":{"played":{"content_index":0,"item_id":"i","played":480}}}}"#,
            ),
            (
                r#"{"at_us":1,"from":"app","id":2,"command":{"report_playback":{"report":{"stopped":{"id":1,"at":{"item_id":"i","content_index":0,"played":20000}}}}}}"#,
                r#"{"at_us":1,"from":"app","id":2,"media":{"report":{"stopped":{"at":{"content_index":0,"item_id":"i","played":480},"id":1}}}}"#,
            ),
            (
                r#"{"at_us":1,"from":"app","id":2,"command":{"complete_call":{"call_id":"c","output":"unknown_tool","respond":true}}}"#,
                r#"{"at_us":1,"command":{"answer_function":{"call_id":"c","output":"unknown","respond":true}},"from":"app","id":2}"#,
            ),
            (
                r#"{"at_us":1,"from":"driver","shortfall":{"unread":{"item_id":"i","content_index":0,"start":40000,"lost":20000}}}"#,
                r#"{"at_us":1,"from":"driver","shortfall":{"unread":{"content_index":0,"item_id":"i","lost":480,"start":960}}}"#,
            ),
        ] {
            let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(value(&old.modernise(line)), value(today));
            crate::log::Entry::read(2, &old.modernise(line)).unwrap();
        }
    }

    #[test]
    fn texts_that_changed_are_counted_by_their_type() {
        let sent =
            |kind: &str| format!(r#"{{"at_us":1,"conn":0,"from":"client","event":{{"type":"{kind}"}}}}"#);
        let mut texts = Texts::default();
        texts.logged(&sent("a"));
        texts.logged(&sent("b"));
        texts.logged(r#"{"at_us":1,"from":"session","event":{"ready":{}}}"#);
        texts.replayed(&sent("b"));
        texts.replayed(&sent("c"));
        let changed = texts.into_changed();
        let counts: alloc::vec::Vec<_> =
            changed.iter().map(|(kind, c)| (kind.as_str(), c.then, c.now)).collect();
        assert_eq!(counts, [("a", 1, 0), ("c", 0, 1)]);
    }
}
