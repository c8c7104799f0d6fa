//! The results of a conversation: printed for a person, or as JSON.

use std::fmt;
use std::path::PathBuf;

use realtime_protocol::call::{Cut, Interruption};
use serde::Serialize;

/// The results of a conversation.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// The user's turns.
    pub(crate) turns: usize,
    /// Answers that the user spoke over.
    pub(crate) interruptions: usize,
    /// Functions called.
    pub(crate) tool_calls: usize,
    /// What was heard of the answers that the user spoke over (ms).
    pub(crate) heard_ms: u64,
    /// From the end of the user's turn, or the beginning, to the agent's voice (ms), for each answer.
    pub(crate) latencies_ms: Vec<u64>,
    /// Where everything is.
    pub(crate) files: Files,
    /// Whether each cut is at the exact position of playback.
    #[serde(skip)]
    exact: bool,
}

/// Where a conversation was written to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Files {
    /// The recording: the user left, the agent right.
    pub(crate) audio: PathBuf,
    /// The transcript as the context holds it.
    pub(crate) transcript: PathBuf,
    /// The session log.
    pub(crate) log: PathBuf,
}

/// Whether the results are known in advance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scene {
    /// The built-in user and server.
    Known,
    /// Another user or another server.
    Unknown,
}

impl Report {
    pub(crate) fn interrupted(&mut self, interruption: &Interruption) {
        let cut_where_heard = |part: &realtime_protocol::call::HeardPart| {
            !part.estimated && part.cut == Cut::Truncated { audio_end_ms: part.heard_time().as_millis() }
        };
        self.interruptions += 1;
        self.heard_ms += interruption.heard().as_millis();
        self.exact = !interruption.parts.is_empty() && interruption.parts.iter().all(cut_where_heard);
    }

    /// What this conversation lacks compared with a complete one.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                missing.push(what.to_owned());
            }
        };
        expect(self.turns >= 2, "the user did not speak twice");
        expect(self.tool_calls >= 1, "no function was called");
        expect(self.interruptions >= 1, "the user did not speak over the agent");
        expect(self.interruptions == 0 || self.exact, "an answer was not cut at what was heard");
        expect(self.latencies_ms.len() > self.turns.min(2), "the agent did not greet and answer each turn");
        missing
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latencies: Vec<String> = self.latencies_ms.iter().map(|ms| format!("{ms} ms")).collect();
        writeln!(
            f,
            "{}, {}, {} ({} ms heard); voice after {}",
            count(self.turns, "user turn"),
            count(self.tool_calls, "tool call"),
            count(self.interruptions, "interruption"),
            self.heard_ms,
            if latencies.is_empty() { "nothing: the agent never spoke".into() } else { latencies.join(", ") }
        )?;
        writeln!(f, "recording   {} (user left, agent right)", self.files.audio.display())?;
        writeln!(f, "transcript  {}", self.files.transcript.display())?;
        write!(f, "session log {}", self.files.log.display())
    }
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_did_not_happen() {
        let report = Report { turns: 2, tool_calls: 1, latencies_ms: vec![1, 2, 3], ..Report::default() };
        assert_eq!(report.missing(), ["the user did not speak over the agent"]);
    }

    #[test]
    fn what_happened_once_is_told_in_the_singular() {
        let text = Report { turns: 2, tool_calls: 1, ..Report::default() }.to_string();
        assert!(text.starts_with("2 user turns, 1 tool call, 0 interruptions (0 ms heard)"), "{text}");
    }

    #[test]
    fn the_json_has_its_documented_members() {
        let json = serde_json::to_value(Report::default()).unwrap();
        let members: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["files", "heard_ms", "interruptions", "latencies_ms", "tool_calls", "turns"]);
    }
}
