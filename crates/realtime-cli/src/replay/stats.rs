//! A call in numbers: who spoke for how long, waits, tokens, losses.

use crate::view::model::{Model, TurnKind};

/// Prints them.
pub(super) fn print(model: &Model) {
    let seconds = |us: i64| format!("{:.1} s", us as f64 / 1e6);
    let row = |name: &str, value: String| say!("{name:<34} {value:>14}");
    row("length", seconds(model.length));
    let spoken = |turn: &&crate::view::model::Turn| turn.kind != TurnKind::Written;
    let turns = model.turns.iter().filter(spoken);
    let user = turns.clone().map(|turn| turn.to.unwrap_or(model.length) - turn.from).sum();
    row("the user speaks", seconds(user));
    let (mut heard, mut made) = (0, 0);
    for part in &model.output.spans {
        let micros = |samples: u64| samples.saturating_mul(1_000_000) / u64::from(part.rate.max(1));
        heard += part.runs.iter().map(|(_, from, to)| micros(to - from)).sum::<u64>();
        made += if part.rate > 0 { micros(part.total) } else { 0 };
    }
    row("the agent is heard", seconds(heard as i64));
    row("made and not heard", seconds(made.saturating_sub(heard) as i64));
    row("turns of the user", turns.count().to_string());
    row("responses", model.responses.len().to_string());
    let failed = |end: &str| matches!(end, "failed" | "incomplete" | "lost");
    let unwhole = model.responses.iter().filter(|response| failed(&response.end)).count();
    row("responses that failed", unwhole.to_string());
    row("interruptions", model.interruptions.len().to_string());
    row("functions", model.functions.len().to_string());
    row("connections", model.connections.len().to_string());
    waits(model, row);
    let tokens = &model.totals.tokens;
    row("tokens read", tokens.input.to_string());
    row("  from the cache", tokens.cached.to_string());
    row("  audio", tokens.input_audio.to_string());
    row("tokens made", tokens.output.to_string());
    row("  audio", tokens.output_audio.to_string());
    row("tokens of transcription", model.totals.transcription_tokens.to_string());
    row("responses without a count", model.totals.unreported.to_string());
    row("lost on the way to the server", seconds(model.totals.input_lost));
    row("lost on the way to the ear", seconds(model.totals.output_lost));
}

/// From the end of a turn to the agent's voice.
fn waits(model: &Model, row: impl Fn(&str, String)) {
    let mut waits: Vec<i64> = model.latencies.iter().map(|wait| wait.to - wait.from).collect();
    waits.sort_unstable();
    row("answers that were waited for", waits.len().to_string());
    let Some(last) = waits.len().checked_sub(1) else { return };
    let share = |percent: usize| format!("{} ms", waits[(waits.len() * percent / 100).min(last)] / 1000);
    row("  median wait", share(50));
    row("  95 %", share(95));
    row("  longest", share(100));
}
