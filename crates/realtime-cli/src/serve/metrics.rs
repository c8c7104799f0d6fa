//! What is counted over all calls, for Prometheus: [`Metrics`].
//!
//! The names are part of what the server promises: a board that works with them is in `deploy/grafana.json`.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::figures::{Count, Figure, LENGTHS, WAITS};

/// The type of the text that [`Metrics::text`] gives.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is counted over all calls. It has no words and no names of a call.
pub(super) struct Metrics {
    registry: Registry,
    also: Option<Arc<dyn Count>>,
    live: Family<Kind, Gauge>,
    begun: Family<Kind, Counter>,
    refused: Family<Refusal, Counter>,
    ended: Family<End, Counter>,
    seconds: Family<Kind, Histogram, fn() -> Histogram>,
    turns: Family<Turn, Counter>,
    voice_to_voice: Histogram,
    first_byte: Histogram,
    interruptions: Counter,
    tool_calls: Counter,
    faults: Counter,
    tokens: Family<Tokens, Counter>,
}

/// How the other end is reached: `page`, `twilio`, `openai`.
#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Refusal {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct End {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Turn {
    speaker: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Tokens {
    direction: &'static str,
}

impl Metrics {
    /// Nothing is counted yet. `also`: who is told of all figures besides.
    pub(super) fn new(also: Option<Arc<dyn Count>>) -> Self {
        Self::with(also, None)
    }

    /// The same. `more`: what has more to tell, each time when it is asked.
    pub(super) fn with(also: Option<Arc<dyn Count>>, more: Option<Box<dyn Collector>>) -> Self {
        let mut metrics = Self {
            also,
            registry: Registry::with_prefix("realtime"),
            live: Family::default(),
            begun: Family::default(),
            refused: Family::default(),
            ended: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(LENGTHS)),
            turns: Family::default(),
            voice_to_voice: Histogram::new(WAITS),
            first_byte: Histogram::new(WAITS),
            interruptions: Counter::default(),
            tool_calls: Counter::default(),
            faults: Counter::default(),
            tokens: Family::default(),
        };
        let registry = &mut metrics.registry;
        more.into_iter().for_each(|more| registry.register_collector(more));
        registry.register("calls_live", "Calls that run", metrics.live.clone());
        registry.register("calls_begun", "Calls that began", metrics.begun.clone());
        registry.register("calls_refused", "Calls that found no place", metrics.refused.clone());
        registry.register("calls_ended", "Calls that ended", metrics.ended.clone());
        let length = "How long calls took";
        registry.register_with_unit("call_duration", length, Unit::Seconds, metrics.seconds.clone());
        registry.register("turns", "Turns of users and agents", metrics.turns.clone());
        let wait = "From the end of the user's turn to the agent's voice";
        registry.register_with_unit("voice_to_voice", wait, Unit::Seconds, metrics.voice_to_voice.clone());
        let wait = "From a request to the first word or sound of its answer";
        registry.register_with_unit("first_byte", wait, Unit::Seconds, metrics.first_byte.clone());
        registry.register("interruptions", "Answers that users spoke over", metrics.interruptions.clone());
        registry.register("tool_calls", "Functions that models called", metrics.tool_calls.clone());
        registry.register("faults", "What went wrong in calls", metrics.faults.clone());
        registry.register("tokens", "Tokens of all responses", metrics.tokens.clone());
        metrics
    }

    /// All of it, as OpenMetrics text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // A string takes whatever is written.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Count for Metrics {
    fn count(&self, figure: &Figure) {
        match *figure {
            Figure::Began { kind } => {
                self.begun.get_or_create(&Kind { kind }).inc();
                self.live.get_or_create(&Kind { kind }).inc();
            }
            Figure::Refused { kind, reason } => {
                self.refused.get_or_create(&Refusal { kind, reason }).inc();
            }
            Figure::Ended { kind, outcome, length } => {
                self.live.get_or_create(&Kind { kind }).dec();
                self.ended.get_or_create(&End { kind, outcome: outcome.name() }).inc();
                self.seconds.get_or_create(&Kind { kind }).observe(length.as_secs_f64());
            }
            Figure::UserTurn => {
                self.turns.get_or_create(&Turn { speaker: "user" }).inc();
            }
            Figure::AgentTurn => {
                self.turns.get_or_create(&Turn { speaker: "agent" }).inc();
            }
            Figure::VoiceToVoice(after) => self.voice_to_voice.observe(after.as_secs_f64()),
            Figure::FirstByte(after) => self.first_byte.observe(after.as_secs_f64()),
            Figure::Interrupted => {
                self.interruptions.inc();
            }
            Figure::ToolCalls(count) => {
                self.tool_calls.inc_by(count);
            }
            Figure::Used { input, output } => {
                self.tokens.get_or_create(&Tokens { direction: "input" }).inc_by(input);
                self.tokens.get_or_create(&Tokens { direction: "output" }).inc_by(output);
            }
            Figure::Fault => {
                self.faults.inc();
            }
        }
        if let Some(also) = &self.also {
            also.count(figure);
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::figures::Outcome;

    #[test]
    fn what_happens_is_counted_under_its_names() {
        let metrics = Metrics::new(None);
        metrics.count(&Figure::Began { kind: "twilio" });
        metrics.count(&Figure::Began { kind: "page" });
        metrics.count(&Figure::Refused { kind: "page", reason: "full" });
        metrics.count(&Figure::UserTurn);
        metrics.count(&Figure::VoiceToVoice(Duration::from_millis(450)));
        metrics.count(&Figure::ToolCalls(2));
        let length = Duration::from_secs(70);
        metrics.count(&Figure::Ended { kind: "page", outcome: Outcome::Failed, length });
        let text = metrics.text();
        for line in [
            "realtime_calls_live{kind=\"twilio\"} 1",
            "realtime_calls_live{kind=\"page\"} 0",
            "realtime_calls_begun_total{kind=\"page\"} 1",
            "realtime_calls_refused_total{kind=\"page\",reason=\"full\"} 1",
            "realtime_calls_ended_total{kind=\"page\",outcome=\"failed\"} 1",
            "realtime_call_duration_seconds_bucket{le=\"120.0\",kind=\"page\"} 1",
            "realtime_turns_total{speaker=\"user\"} 1",
            "realtime_voice_to_voice_seconds_bucket{le=\"0.5\"} 1",
            "realtime_voice_to_voice_seconds_bucket{le=\"0.4\"} 0",
            "realtime_tool_calls_total 2",
            "# EOF",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
    }

    /// A board that asks for a name that is not there shows nothing, and says nothing.
    #[test]
    fn the_board_asks_for_metrics_that_are_there() {
        let metrics = Metrics::new(None);
        metrics.count(&Figure::Began { kind: "page" });
        metrics.count(&Figure::Refused { kind: "page", reason: "full" });
        metrics.count(&Figure::UserTurn);
        metrics.count(&Figure::Used { input: 0, output: 0 });
        let length = Duration::from_secs(1);
        metrics.count(&Figure::Ended { kind: "page", outcome: Outcome::Completed, length });
        let text = metrics.text();
        let board = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/grafana.json");
        let board: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(board).unwrap()).unwrap();
        let mut names = std::collections::BTreeSet::new();
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let asked = target["expr"].as_str().unwrap();
                let words = asked.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                names.extend(words.filter(|word| word.starts_with("realtime_")).map(str::to_owned));
            }
        }
        assert!(names.len() >= 10, "{names:?}");
        for name in names {
            let is_there =
                |line: &str| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with(['{', ' ']));
            assert!(text.lines().any(is_there), "{name}: {text}");
        }
    }
}
