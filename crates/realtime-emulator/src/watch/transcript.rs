//! What was said in a session, read from the events that the server sent: one line for each item, in the
//! order in which items began.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::watch::shorten::head;

/// The lines, the newest last.
#[derive(Default)]
pub(super) struct Transcript {
    lines: VecDeque<Line>,
}

struct Line {
    item: String,
    role: &'static str,
    text: String,
    /// Whether nothing more is expected.
    is_whole: bool,
    /// How much of it was heard (ms), if the user spoke over it.
    cut_ms: Option<u64>,
}

/// The members of the events that tell what was said.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told<'a> {
    #[serde(borrow)]
    item_id: Cow<'a, str>,
    #[serde(borrow)]
    delta: Cow<'a, str>,
    #[serde(borrow)]
    transcript: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    audio_end_ms: u64,
    #[serde(borrow)]
    call_id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Cow<'a, str>,
    #[serde(borrow)]
    item: Item<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    role: Cow<'a, str>,
    content: Vec<Part>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Cow<'a, str>,
    #[serde(borrow)]
    output: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    text: Option<String>,
    transcript: Option<String>,
}

impl Transcript {
    /// Reads an event of the server. One that cannot be read tells nothing.
    pub(super) fn hear(&mut self, kind: &str, text: &str) {
        let act = match kind {
            "input_audio_buffer.committed" => Self::begin,
            "conversation.item.input_audio_transcription.delta" => Self::user_says,
            "conversation.item.input_audio_transcription.completed" => Self::user_said,
            "response.output_audio_transcript.delta"
            | "response.audio_transcript.delta"
            | "response.output_text.delta"
            | "response.text.delta" => Self::agent_says,
            "response.output_audio_transcript.done"
            | "response.audio_transcript.done"
            | "response.output_text.done"
            | "response.text.done" => Self::agent_said,
            "conversation.item.truncated" => Self::cut,
            "conversation.item.added" | "conversation.item.created" => Self::added,
            "response.output_item.done" => Self::called,
            "response.function_call_arguments.done" => Self::asked,
            _ => return,
        };
        if let Ok(told) = serde_json::from_str(text) {
            act(self, &told);
        }
    }

    pub(super) fn json(&self) -> Value {
        let line = |line: &Line| {
            json!({"item": line.item, "role": line.role, "text": line.text, "is_whole": line.is_whole,
                "cut_ms": line.cut_ms})
        };
        self.lines.iter().map(line).collect()
    }

    fn begin(&mut self, told: &Told<'_>) {
        self.line(&told.item_id, USER);
    }

    fn user_says(&mut self, told: &Told<'_>) {
        self.line(&told.item_id, USER).append(&told.delta);
    }

    fn user_said(&mut self, told: &Told<'_>) {
        self.line(&told.item_id, USER).complete(told.transcript.as_deref());
    }

    fn agent_says(&mut self, told: &Told<'_>) {
        self.line(&told.item_id, AGENT).append(&told.delta);
    }

    fn agent_said(&mut self, told: &Told<'_>) {
        self.line(&told.item_id, AGENT).complete(told.transcript.as_deref().or(told.text.as_deref()));
    }

    fn cut(&mut self, told: &Told<'_>) {
        self.line(&told.item_id, AGENT).cut_ms = Some(told.audio_end_ms);
    }

    /// What the client wrote, or answered for a function.
    fn added(&mut self, told: &Told<'_>) {
        let item = &told.item;
        let words = |part: &Part| part.text.as_deref().or(part.transcript.as_deref()).map(String::from);
        let text = item.content.iter().filter_map(words).collect::<Vec<_>>().join(" ");
        match (&*item.kind, &*item.role) {
            ("message", "user") if !text.is_empty() => self.line(&item.id, USER).complete(Some(&text)),
            ("message", "system") => self.line(&item.id, "system").complete(Some(&text)),
            ("message", "assistant") if !text.is_empty() => self.line(&item.id, AGENT).complete(Some(&text)),
            ("function_call_output", _) => {
                self.line(&item.id, TOOL)
                    .complete(Some(&format!("→ {}", item.output.as_deref().unwrap_or(""))));
            }
            _ => {}
        }
    }

    /// What the agent asked for.
    fn called(&mut self, told: &Told<'_>) {
        let item = &told.item;
        if matches!(&*item.kind, "function_call" | "mcp_call") {
            self.line(&item.id, TOOL).complete(Some(&format!("{}({})", item.name, item.arguments)));
        }
    }

    /// The same from a server that ends no items.
    fn asked(&mut self, told: &Told<'_>) {
        if !told.name.is_empty() {
            let item = if told.item_id.is_empty() { &told.call_id } else { &told.item_id };
            self.line(item, TOOL).complete(Some(&format!("{}({})", told.name, told.arguments)));
        }
    }

    /// The line of an item, new if it has none.
    fn line(&mut self, item: &str, role: &'static str) -> &mut Line {
        let item = head(item, MOST_ID);
        let at = self.lines.iter().rposition(|line| line.item == item).unwrap_or_else(|| {
            if self.lines.len() >= MOST {
                self.lines.pop_front();
            }
            let text = String::new();
            self.lines.push_back(Line { item: item.into(), role, text, is_whole: false, cut_ms: None });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }
}

impl Line {
    fn append(&mut self, delta: &str) {
        if !self.is_whole {
            self.text.push_str(head(delta, MOST_TEXT - self.text.len()));
        }
    }

    fn complete(&mut self, text: Option<&str>) {
        self.is_whole = true;
        if let Some(text) = text {
            self.text = head(text, MOST_TEXT).into();
        }
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcript").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

const USER: &str = "user";
const AGENT: &str = "assistant";
const TOOL: &str = "tool";
/// Lines.
const MOST: usize = 60;
/// Bytes of one line.
const MOST_TEXT: usize = 1000;
/// Bytes.
const MOST_ID: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(transcript: &mut Transcript, text: &str) {
        transcript.hear(&crate::watch::shorten::kind(text), text);
    }

    /// Roles, texts, and where they were cut.
    fn lines(transcript: &Transcript) -> Vec<(&str, &str, Option<u64>)> {
        transcript.lines.iter().map(|line| (line.role, line.text.as_str(), line.cut_ms)).collect()
    }

    #[test]
    fn lines_stand_in_the_order_in_which_they_began() {
        let mut told = Transcript::default();
        for text in [
            r#"{"type":"input_audio_buffer.committed","item_id":"u1"}"#,
            r#"{"type":"response.output_audio_transcript.delta","item_id":"a1","delta":"It is "}"#,
            r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"u1","transcript":"How?"}"#,
            r#"{"type":"response.output_audio_transcript.delta","item_id":"a1","delta":"sunny"}"#,
        ] {
            hear(&mut told, text);
        }
        assert_eq!(lines(&told), [("user", "How?", None), ("assistant", "It is sunny", None)]);
        for text in [
            r#"{"type":"response.output_audio_transcript.done","item_id":"a1","transcript":"It is sunny."}"#,
            r#"{"type":"conversation.item.truncated","item_id":"a1","audio_end_ms":700}"#,
            r#"{"type":"response.output_audio_transcript.delta","item_id":"a1","delta":"late"}"#,
            r#"{"type":"response.output_item.done","item":{"id":"f1","type":"function_call","name":"f","arguments":"{}"}}"#,
            r#"{"type":"conversation.item.added","item":{"id":"o1","type":"function_call_output","output":"21"}}"#,
            r#"{"type":"conversation.item.added","item":{"id":"t1","type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]}}"#,
            r#"{"type":"conversation.item.added","item":{"id":"u2","type":"message","role":"user","content":[{"type":"input_audio","transcript":null}]}}"#,
        ] {
            hear(&mut told, text);
        }
        assert_eq!(
            lines(&told)[1..],
            [
                ("assistant", "It is sunny.", Some(700)),
                ("tool", "f({})", None),
                ("tool", "→ 21", None),
                ("user", "Hi", None)
            ]
        );
        assert_eq!(told.json()[1]["is_whole"], true);
    }

    #[test]
    fn betas_names_and_text_are_heard_as_well() {
        let mut told = Transcript::default();
        hear(&mut told, r#"{"type":"response.audio_transcript.delta","item_id":"a","delta":"One"}"#);
        hear(&mut told, r#"{"type":"response.text.done","item_id":"b","text":"Two \"quoted\""}"#);
        hear(
            &mut told,
            r#"{"type":"response.function_call_arguments.done","call_id":"c","name":"f","arguments":"{}"}"#,
        );
        let (one, two) = (("assistant", "One", None), ("assistant", "Two \"quoted\"", None));
        assert_eq!(lines(&told), [one, two, ("tool", "f({})", None)]);
    }

    #[test]
    fn it_is_bounded_and_nothing_strange_stops_it() {
        let mut told = Transcript::default();
        for number in 0..1000 {
            let text = "ü".repeat(5000);
            hear(
                &mut told,
                &format!(r#"{{"type":"response.text.delta","item_id":"{number}","delta":"{text}"}}"#),
            );
            hear(
                &mut told,
                &format!(r#"{{"type":"response.text.delta","item_id":"{number}","delta":"{text}"}}"#),
            );
        }
        assert_eq!((told.lines.len(), told.lines[0].text.len()), (MOST, MOST_TEXT));
        for text in [r#"{"type":"response.text.done","item_id":7}"#, r#"{"type":"response.text.done"}"#, "{"]
        {
            hear(&mut told, text);
        }
        assert_eq!(told.lines.len(), MOST);
        assert!(!format!("{told:?}").contains('ü'));
    }
}
