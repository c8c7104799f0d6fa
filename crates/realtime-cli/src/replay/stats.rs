//! A call in numbers: who spoke for how long, waits, tokens, losses. As a table, or as JSON.

use std::fmt;

use serde::Serialize;

use crate::view::model::{Model, Turn, TurnKind};

/// A call in numbers.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    length_ms: i64,
    user_speaks_ms: i64,
    agent_heard_ms: i64,
    /// What was made and not heard.
    unheard_ms: i64,
    user_turns: usize,
    responses: usize,
    failed_responses: usize,
    interruptions: usize,
    functions: usize,
    connections: usize,
    /// Answers that were waited for.
    waits: usize,
    wait_ms: Option<Waits>,
    tokens: Tokens,
    /// Responses without a count of tokens.
    uncounted_responses: u64,
    /// Audio that was lost on the way to the server.
    input_lost_ms: i64,
    /// Audio that was lost on the way to the ear.
    output_lost_ms: i64,
}

/// From the end of a turn to the agent's voice.
#[derive(Debug, Serialize)]
struct Waits {
    median: i64,
    p95: i64,
    longest: i64,
}

#[derive(Debug, Serialize)]
struct Tokens {
    input: u64,
    cached: u64,
    input_audio: u64,
    output: u64,
    output_audio: u64,
    transcription: u64,
}

impl Stats {
    pub(super) fn of(model: &Model) -> Self {
        let turns = model.turns.iter().filter(|turn| turn.kind != TurnKind::Written);
        let spoken = |turn: &Turn| turn.to.unwrap_or(model.length) - turn.from;
        let (mut heard, mut made) = (0, 0);
        for part in &model.output.spans {
            let micros = |samples: u64| samples.saturating_mul(1_000_000) / u64::from(part.rate.max(1));
            heard += part.runs.iter().map(|(_, from, to)| micros(to - from)).sum::<u64>();
            made += if part.rate > 0 { micros(part.total) } else { 0 };
        }
        let failed = |end: &str| matches!(end, "failed" | "incomplete" | "lost");
        let tokens = &model.totals.tokens;
        Self {
            length_ms: model.length / 1000,
            user_speaks_ms: turns.clone().map(spoken).sum::<i64>() / 1000,
            agent_heard_ms: millis(heard),
            unheard_ms: millis(made.saturating_sub(heard)),
            user_turns: turns.count(),
            responses: model.responses.len(),
            failed_responses: model.responses.iter().filter(|response| failed(&response.end)).count(),
            interruptions: model.interruptions.len(),
            functions: model.functions.len(),
            connections: model.connections.len(),
            waits: model.latencies.len(),
            wait_ms: Waits::of(model),
            tokens: Tokens {
                input: tokens.input,
                cached: tokens.cached,
                input_audio: tokens.input_audio,
                output: tokens.output,
                output_audio: tokens.output_audio,
                transcription: model.totals.transcription_tokens,
            },
            uncounted_responses: model.totals.unreported,
            input_lost_ms: model.totals.input_lost / 1000,
            output_lost_ms: model.totals.output_lost / 1000,
        }
    }
}

impl Waits {
    /// `None`: nothing was waited for.
    fn of(model: &Model) -> Option<Self> {
        let mut waits: Vec<i64> = model.latencies.iter().map(|wait| (wait.to - wait.from) / 1000).collect();
        waits.sort_unstable();
        let last = waits.len().checked_sub(1)?;
        let share = |percent: usize| waits[(waits.len() * percent / 100).min(last)];
        Some(Self { median: share(50), p95: share(95), longest: waits[last] })
    }
}

/// Lines for a person.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: i64| format!("{:.1} s", ms as f64 / 1e3);
        let mut row = |name: &str, value: String| writeln!(f, "{name:<34} {value:>14}");
        row("length", seconds(self.length_ms))?;
        row("the user speaks", seconds(self.user_speaks_ms))?;
        row("the agent is heard", seconds(self.agent_heard_ms))?;
        row("made and not heard", seconds(self.unheard_ms))?;
        row("turns of the user", self.user_turns.to_string())?;
        row("responses", self.responses.to_string())?;
        row("responses that failed", self.failed_responses.to_string())?;
        row("interruptions", self.interruptions.to_string())?;
        row("functions", self.functions.to_string())?;
        row("connections", self.connections.to_string())?;
        row("answers that were waited for", self.waits.to_string())?;
        if let Some(waits) = &self.wait_ms {
            row("  median wait", format!("{} ms", waits.median))?;
            row("  95 %", format!("{} ms", waits.p95))?;
            row("  longest", format!("{} ms", waits.longest))?;
        }
        row("tokens read", self.tokens.input.to_string())?;
        row("  from the cache", self.tokens.cached.to_string())?;
        row("  audio", self.tokens.input_audio.to_string())?;
        row("tokens made", self.tokens.output.to_string())?;
        row("  audio", self.tokens.output_audio.to_string())?;
        row("tokens of transcription", self.tokens.transcription.to_string())?;
        row("responses without a count", self.uncounted_responses.to_string())?;
        row("lost on the way to the server", seconds(self.input_lost_ms))?;
        write!(f, "{:<34} {:>14}", "lost on the way to the ear", seconds(self.output_lost_ms))
    }
}

fn millis(micros: u64) -> i64 {
    i64::try_from(micros / 1000).unwrap_or(i64::MAX)
}
