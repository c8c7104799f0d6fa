//! A conversation as a person follows it, line by line: who speaks, what is said, which tools are called,
//! what is interrupted. The demo prints it while it happens, `replay` from a log.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use realtime_protocol::call::{
    ConnectionEvent, Cut, Event, FunctionCall, Interruption, ResponseEnd, ResponseReport, Warning,
};
use realtime_protocol::id::{CallId, ResponseId};
use realtime_protocol::item::Item;

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
    /// The agent is audible; `after`: since the user fell silent, or since it was asked.
    AgentStarts {
        after: Option<Duration>,
    },
    AgentStops,
    AgentSaid {
        text: String,
        end: ResponseEnd,
    },
    Called {
        name: String,
        arguments: String,
    },
    Answered {
        name: String,
        output: String,
    },
    Interrupted(Interruption),
    Trouble {
        text: String,
    },
    /// Something odd, or lost, that the session lives on with.
    Warned {
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
            Self::AgentStarts { after: Some(after) } => {
                ("agent", format!("starts to speak, after {} ms", after.as_millis()))
            }
            Self::AgentStarts { after: None } => ("agent", "starts to speak".into()),
            Self::AgentStops => ("agent", "falls silent".into()),
            Self::AgentSaid { text, end } => ("agent", format!("\"{text}\"{}", ending(end))),
            Self::Called { name, arguments } => ("tool", format!("{name}({arguments})")),
            Self::Answered { name, output } => ("tool", format!("{name} gave {output}")),
            Self::Interrupted(interruption) => ("barge-in", describe(interruption)),
            Self::Trouble { text } => ("trouble", text.clone()),
            Self::Warned { text } => ("warning", text.clone()),
            Self::Ended { reason } => ("session", reason.clone()),
        };
        write!(f, "{who:<9} {what}")
    }
}

fn ending(end: &ResponseEnd) -> String {
    match end {
        ResponseEnd::Completed => String::new(),
        ResponseEnd::Cancelled { .. } => " (cancelled)".into(),
        ResponseEnd::Incomplete { .. } => " (incomplete)".into(),
        ResponseEnd::Failed { error, .. } => format!(" (failed: {error})"),
        _ => " (lost)".into(),
    }
}

fn describe(interruption: &Interruption) -> String {
    let parts: Vec<String> = interruption
        .parts
        .iter()
        .map(|part| {
            let cut = match part.cut {
                Cut::Truncated { audio_end_ms } => format!("cut at {audio_end_ms} ms"),
                Cut::Deleted => "deleted".into(),
                Cut::ByServer => "cut by the server".into(),
                _ => "cut".into(),
            };
            let about = if part.estimated { "about " } else { "" };
            format!("heard {about}{} of {}, {cut}: \"{}\"", part.heard, part.received, part.heard_text)
        })
        .collect();
    if parts.is_empty() { "before anything was heard".into() } else { parts.join("; ") }
}

/// A warning as its log line has it, within one line.
fn shortened(warning: &Warning) -> String {
    const MOST: usize = 200;
    let text = serde_json::to_string(warning).unwrap_or_default();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Puts together what comes in pieces: an answer's words, a call and its output.
#[derive(Debug, Default)]
pub(crate) struct Story {
    said: BTreeMap<ResponseId, String>,
    calls: BTreeMap<CallId, String>,
}

impl Story {
    /// New words from the agent.
    pub(crate) fn words(&mut self, response_id: &ResponseId, delta: &str) {
        self.said.entry(response_id.clone()).or_default().push_str(delta);
    }

    /// A response ended: what it said, unless it was one of calls alone.
    pub(crate) fn finished(&mut self, report: &ResponseReport) -> Option<Moment> {
        let text = self.said.remove(&report.response_id).unwrap_or_default();
        let silent = text.is_empty() && report.end == ResponseEnd::Completed;
        (!silent).then(|| Moment::AgentSaid { text, end: report.end.clone() })
    }

    /// The model calls a function.
    pub(crate) fn called(&mut self, call: &FunctionCall) -> Moment {
        self.calls.insert(call.call_id.clone(), call.name.clone());
        Moment::Called { name: call.name.clone(), arguments: call.arguments.clone() }
    }

    /// What any other event means to a person; most mean nothing.
    pub(crate) fn other(&mut self, event: &Event) -> Option<Moment> {
        Some(match event {
            Event::Ready { config, .. } => {
                Moment::Ready { model: config.model.value().map_or("model not told", String::as_str).into() }
            }
            Event::UserTranscriptFailed { error, .. } => {
                Moment::Trouble { text: format!("the user's words could not be transcribed: {error}") }
            }
            Event::ItemPlaced { item, .. } => {
                let Item::FunctionCallOutput(output) = &**item else { return None };
                let name = output.call_id.value().and_then(|call_id| self.calls.remove(call_id));
                let output = output.output.value().cloned().unwrap_or_default();
                Moment::Answered { name: name.unwrap_or_else(|| "a tool".into()), output }
            }
            Event::ServerError { error, .. } => Moment::Trouble { text: error.to_string() },
            Event::Warning(warning) => Moment::Warned { text: shortened(warning) },
            Event::Connection(ConnectionEvent::Lost { reason, retry_at, .. }) => {
                let text = if retry_at.is_some() { "disconnected, trying again" } else { "disconnected" };
                Moment::Trouble { text: format!("{text}: {reason}") }
            }
            Event::Closed { reason } => Moment::Ended { reason: reason.to_string() },
            _ => return None,
        })
    }

    /// What an event of a log means to a person.
    pub(crate) fn moments(&mut self, event: &Event) -> Vec<Moment> {
        match event {
            Event::SpeechStarted { .. } => vec![Moment::UserStarts],
            Event::SpeechStopped { .. } => vec![Moment::UserStops],
            Event::UserTranscript { transcript, .. } => {
                vec![Moment::UserSaid { text: transcript.clone() }]
            }
            Event::Text { response_id, delta, .. } => {
                self.words(response_id, delta);
                Vec::new()
            }
            Event::ResponseFinished(report) => self.finished(report).into_iter().collect(),
            Event::FunctionCalls { calls, .. } => calls.iter().map(|call| self.called(call)).collect(),
            Event::Interrupted(interruption) => vec![Moment::Interrupted(interruption.clone())],
            other => self.other(other).into_iter().collect(),
        }
    }
}
