//! What is known of a call, in numbers: [`Facts`].

use std::collections::VecDeque;
use std::time::Duration;

use realtime_pipeline::TaskHandle;
use serde_json::{Value, json};

use crate::figures::Figure;
use crate::time::millis;

/// The most latencies that are kept, of each kind.
const MOST: usize = 200;

/// What is known of a call. It has no words of it.
#[derive(Debug, Default)]
pub(in crate::serve) struct Facts {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) carrier_id: Option<String>,
    /// Whether the model's session serves.
    pub(super) is_live: bool,
    pub(super) user_turns: u64,
    pub(super) agent_turns: u64,
    pub(super) interruptions: u64,
    pub(super) tool_calls: u64,
    /// From the end of the user's turn to the agent's voice (ms).
    pub(super) voice_to_voice_ms: VecDeque<u64>,
    /// From a request to the first word or sound of its answer (ms).
    pub(super) first_byte_ms: VecDeque<u64>,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    /// The last thing that went wrong.
    pub(super) trouble: Option<String>,
    pub(super) end: Option<String>,
    /// Whether it ended since something went wrong.
    pub(super) failed: bool,
    pub(super) seconds: Option<f64>,
    pub(super) handle: Option<TaskHandle>,
}

impl Facts {
    /// Counts what happened in it.
    pub(super) fn learn(&mut self, figure: &Figure) {
        match *figure {
            Figure::UserTurn => self.user_turns += 1,
            Figure::AgentTurn => self.agent_turns += 1,
            Figure::VoiceToVoice(after) => push(&mut self.voice_to_voice_ms, after),
            Figure::FirstByte(after) => push(&mut self.first_byte_ms, after),
            Figure::Interrupted => self.interruptions += 1,
            Figure::ToolCalls(count) => self.tool_calls += count,
            Figure::Used { input, output } => {
                self.input_tokens = self.input_tokens.saturating_add(input);
                self.output_tokens = self.output_tokens.saturating_add(output);
            }
            // These are of all calls.
            Figure::Began { .. } | Figure::Refused { .. } | Figure::Ended { .. } | Figure::Fault => {}
        }
    }

    /// The most of it, in one line for a person.
    pub(super) fn summary(&self) -> String {
        let mut sorted: Vec<u64> = self.voice_to_voice_ms.iter().copied().collect();
        sorted.sort_unstable();
        let median =
            sorted.get(sorted.len() / 2).map(|ms| format!(", answers after {ms} ms")).unwrap_or_default();
        format!(
            "{:.0} s, {} turns of the caller, {} interruptions, {} tool calls{median}",
            self.seconds.unwrap_or_default(),
            self.user_turns,
            self.interruptions,
            self.tool_calls,
        )
    }

    /// All of it, as JSON.
    pub(super) fn told(&self) -> Value {
        let state = match (&self.end, self.is_live) {
            (Some(_), _) => "ended",
            (None, true) => "live",
            (None, false) => "connecting",
        };
        json!({
            "state": state,
            "from": self.from,
            "to": self.to,
            "carrier_id": self.carrier_id,
            "user_turns": self.user_turns,
            "agent_turns": self.agent_turns,
            "interruptions": self.interruptions,
            "tool_calls": self.tool_calls,
            "voice_to_voice_ms": self.voice_to_voice_ms,
            "first_byte_ms": self.first_byte_ms,
            "tokens": { "input": self.input_tokens, "output": self.output_tokens },
            "trouble": self.trouble,
            "end": self.end,
            "failed": self.failed,
        })
    }
}

fn push(queue: &mut VecDeque<u64>, time: Duration) {
    if queue.len() >= MOST {
        queue.pop_front();
    }
    queue.push_back(millis(time));
}
