//! A conversation as a person follows it, line by line: who speaks, what is said, which tools are called,
//! what is interrupted. The demo prints it while it happens, from call events and frames; `replay` tells the
//! same from a log ([`told_by`]), whatever the log holds.

mod log;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use realtime_protocol::call::{
    Cut, Event, FunctionCall, HeardPart, Interruption, ResponseEnd, ResponseReport,
};
use realtime_protocol::id::ResponseId;
use realtime_protocol::time::Timestamp;
use serde_json::Value;

use crate::view::members::{shown, spoken, variant};
use crate::view::model::Level;
use crate::view::talk::content;
use crate::view::trouble::{self, Told};

pub(crate) use log::told_by;

/// Something worth a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Moment {
    /// The session takes audio from here on.
    Ready {
        model: String,
    },
    UserStarts,
    UserStops,
    UserSaid {
        text: String,
    },
    /// This side added a message.
    Wrote {
        role: String,
        text: String,
    },
    /// The agent is audible; `after`: since the user fell silent, or since it was asked.
    AgentStarts {
        after: Option<Duration>,
    },
    AgentStops,
    /// `end`: how it ended, if it is not whole.
    AgentSaid {
        text: String,
        end: String,
    },
    Called {
        name: String,
        arguments: String,
    },
    /// `end`: how, such as `result` or `timed_out`.
    Answered {
        name: String,
        end: String,
        output: String,
    },
    Interrupted {
        text: String,
    },
    Trouble {
        text: String,
    },
    /// Something odd, or lost, that the session lives on with.
    Warned {
        text: String,
    },
    /// Something that is neither.
    Noted {
        text: String,
    },
    Ended {
        reason: String,
    },
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, what) = match self {
            Self::Ready { model } => ("session", format!("ready ({model})")),
            Self::UserStarts => ("user", "starts to speak".into()),
            Self::UserStops => ("user", "falls silent".into()),
            Self::UserSaid { text } => ("user", format!("\"{text}\"")),
            Self::Wrote { role, text } => (role.as_str(), format!("writes \"{text}\"")),
            Self::AgentStarts { after: Some(after) } => {
                ("agent", format!("starts to speak, after {} ms", after.as_millis()))
            }
            Self::AgentStarts { after: None } => ("agent", "starts to speak".into()),
            Self::AgentStops => ("agent", "falls silent".into()),
            Self::AgentSaid { text, end } if end.is_empty() => ("agent", format!("\"{text}\"")),
            Self::AgentSaid { text, end } => ("agent", format!("\"{text}\" ({end})")),
            Self::Called { name, arguments } => ("tool", format!("{name}({arguments})")),
            Self::Answered { name, end, output } => ("tool", answered(name, end, output)),
            Self::Interrupted { text } => ("barge-in", text.clone()),
            Self::Trouble { text } => ("trouble", text.clone()),
            Self::Warned { text } => ("warning", text.clone()),
            Self::Noted { text } => ("note", text.clone()),
            Self::Ended { reason } => ("session", reason.clone()),
        };
        write!(f, "{:<9} {}", printable(who), printable(&what))
    }
}

/// Words of users and models as they may go to a terminal: on one line, and without commands to it.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) { text.replace(char::is_control, " ").into() } else { text.into() }
}

/// Prints a moment with its time.
pub(crate) fn print(at: Timestamp, moment: &Moment) {
    say!("{}  {moment}", time(at));
}

/// A time of the call, as wide as all of them.
pub(crate) fn time(at: Timestamp) -> String {
    let at = Duration::from_micros(at.as_micros());
    format!("{:>4}.{:03} s", at.as_secs(), at.subsec_millis())
}

fn answered(name: &str, end: &str, output: &str) -> String {
    match (end, output) {
        ("result", output) => format!("{name} gave {output}"),
        (end, "") => format!("{name}: {}", spoken(end)),
        (end, output) => format!("{name}: {}: {output}", spoken(end)),
    }
}

/// How a response ended, if it is not whole.
fn ending(end: &ResponseEnd) -> String {
    match end {
        ResponseEnd::Completed => String::new(),
        ResponseEnd::Cancelled { .. } => "cancelled".into(),
        ResponseEnd::Incomplete { .. } => "incomplete".into(),
        ResponseEnd::Failed { error, .. } => format!("failed: {error}"),
        _ => "lost".into(),
    }
}

fn describe(interruption: &Interruption) -> String {
    let described = |part: &HeardPart| {
        let told = match part.cut {
            Cut::Truncated { audio_end_ms } => format!("truncated at {audio_end_ms} ms"),
            Cut::Deleted => "deleted".into(),
            Cut::ByServer => "by server".into(),
            _ => "nothing".into(),
        };
        let (heard, received) = (part.heard_time().as_millis(), part.received_time().as_millis());
        heard_of(heard, received, part.estimated, &told, &part.heard_text)
    };
    joined(interruption.parts.iter().map(described).collect())
}

/// How much of a part was heard (ms), what the server was told, and the words that were heard.
fn heard_of(heard: u64, received: u64, estimated: bool, told: &str, words: &str) -> String {
    let about = if estimated { "about " } else { "" };
    let words = if words.is_empty() { String::new() } else { format!(": \"{words}\"") };
    let told = if told == "nothing" { String::new() } else { format!(", {told}") };
    format!("heard {about}{heard} ms of {received} ms{told}{words}")
}

fn joined(parts: Vec<String>) -> String {
    if parts.is_empty() { "before anything was heard".into() } else { parts.join("; ") }
}

/// What happens besides talk.
fn happened(told: Told) -> Moment {
    let Told { level, title, text } = told;
    if title == "the call ends" {
        return Moment::Ended { reason: text };
    }
    let text = if text.is_empty() { title } else { format!("{title}: {text}") };
    match level {
        Level::Bad => Moment::Trouble { text },
        Level::Warning => Moment::Warned { text },
        Level::Info => Moment::Noted { text },
    }
}

/// Puts together what comes in pieces: an answer's words.
#[derive(Debug, Default)]
pub(crate) struct Story {
    said: BTreeMap<ResponseId, String>,
}

impl Story {
    /// What an event means to a person; most mean nothing.
    pub(crate) fn moments(&mut self, event: &Event) -> Vec<Moment> {
        match event {
            Event::SpeechStarted { .. } => vec![Moment::UserStarts],
            Event::SpeechStopped { .. } => vec![Moment::UserStops],
            Event::UserTranscript { transcript, .. } => {
                vec![Moment::UserSaid { text: transcript.clone() }]
            }
            Event::Text { response_id, delta, .. } => {
                self.said.entry(response_id.clone()).or_default().push_str(delta);
                Vec::new()
            }
            Event::ResponseFinished(report) => self.finished(report).into_iter().collect(),
            Event::FunctionCalls { calls, .. } => calls.iter().map(|call| called(call)).collect(),
            Event::FunctionEnded { call, end } => {
                let end = serde_json::to_value(end).unwrap_or_default();
                let (end, value) = variant(&end);
                vec![Moment::Answered { name: call.name.clone(), end: end.to_owned(), output: shown(value) }]
            }
            Event::Interrupted(interruption) => {
                vec![Moment::Interrupted { text: describe(interruption) }]
            }
            Event::Ready { config, .. } => {
                let model = config.model.value().map_or("model not told", String::as_str);
                vec![Moment::Ready { model: model.into() }]
            }
            Event::ItemSent { item, .. } => {
                let item = serde_json::to_value(item).unwrap_or_default();
                written(&item).into_iter().collect()
            }
            Event::Audio(_) | Event::Raw { .. } | Event::ItemPlaced { .. } | Event::ItemDone { .. } => {
                Vec::new()
            }
            other => {
                // The words for the rest are those of a log.
                let event = serde_json::to_value(other).unwrap_or_default();
                trouble::told(&event, 24_000).map(happened).into_iter().collect()
            }
        }
    }

    /// A response ended: what it said, unless it was one of calls alone.
    fn finished(&mut self, report: &ResponseReport) -> Option<Moment> {
        let text = self.said.remove(&report.response_id).unwrap_or_default();
        let silent = text.is_empty() && report.end == ResponseEnd::Completed;
        (!silent).then(|| Moment::AgentSaid { text, end: ending(&report.end) })
    }
}

/// What a message that this side adds says.
fn written(item: &Value) -> Option<Moment> {
    let text = content(item, false).unwrap_or_default();
    let role = item["role"].as_str()?.to_owned();
    (item["type"] == "message").then_some(Moment::Wrote { role, text })
}

fn called(call: &FunctionCall) -> Moment {
    Moment::Called { name: call.name.clone(), arguments: call.arguments.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_commands_no_terminal_and_breaks_no_line() {
        let said = Moment::UserSaid { text: "red\u{1b}[31m\nand\u{7f} more".into() };
        assert_eq!(said.to_string(), "user      \"red [31m and  more\"");
    }

    #[test]
    fn what_was_heard_is_told_in_milliseconds() {
        assert_eq!(
            heard_of(4205, 15_602, true, "truncated at 4205 ms", "In Paris"),
            "heard about 4205 ms of 15602 ms, truncated at 4205 ms: \"In Paris\""
        );
        assert_eq!(heard_of(0, 40, false, "nothing", ""), "heard 0 ms of 40 ms");
        assert_eq!(joined(Vec::new()), "before anything was heard");
    }

    #[test]
    fn a_function_ends_in_words() {
        assert_eq!(answered("look", "result", "{}"), "look gave {}");
        assert_eq!(answered("look", "timed_out", ""), "look: timed out");
        assert_eq!(answered("look", "error", "no"), "look: error: no");
    }
}
