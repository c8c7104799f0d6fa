//! Figures as instruments of OpenTelemetry: [`Meters`].
//!
//! A collector that writes for Prometheus makes the names of `/metrics` of them: `realtime.calls.begun` is
//! `realtime_calls_begun_total`, and `realtime.call.duration` (s) is `realtime_call_duration_seconds`.

use std::fmt;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

use crate::figures::{Count, Figure, LENGTHS, WAITS};

/// The instruments.
pub(super) struct Meters {
    live: UpDownCounter<i64>,
    begun: Counter<u64>,
    #[cfg(feature = "serve")]
    refused: Counter<u64>,
    ended: Counter<u64>,
    seconds: Histogram<f64>,
    turns: Counter<u64>,
    voice_to_voice: Histogram<f64>,
    first_byte: Histogram<f64>,
    interruptions: Counter<u64>,
    tool_calls: Counter<u64>,
    tokens: Counter<u64>,
    faults: Counter<u64>,
}

impl Meters {
    pub(super) fn new(meter: &Meter) -> Self {
        let counter = |name, what| meter.u64_counter(name).with_description(what).build();
        let seconds = |name, what, buckets: &[f64]| {
            let histogram = meter.f64_histogram(name).with_description(what).with_unit("s");
            histogram.with_boundaries(buckets.to_vec()).build()
        };
        let wait = "From the end of the user's turn to the agent's voice";
        let first = "From a request to the first word or sound of its answer";
        Self {
            live: meter.i64_up_down_counter("realtime.calls.live").with_description("Calls that run").build(),
            begun: counter("realtime.calls.begun", "Calls that began"),
            #[cfg(feature = "serve")]
            refused: counter("realtime.calls.refused", "Calls that found no place"),
            ended: counter("realtime.calls.ended", "Calls that ended"),
            seconds: seconds("realtime.call.duration", "How long calls took", &LENGTHS),
            turns: counter("realtime.turns", "Turns of users and agents"),
            voice_to_voice: seconds("realtime.voice_to_voice", wait, &WAITS),
            first_byte: seconds("realtime.first_byte", first, &WAITS),
            interruptions: counter("realtime.interruptions", "Answers that users spoke over"),
            tool_calls: counter("realtime.tool_calls", "Functions that models called"),
            tokens: counter("realtime.tokens", "Tokens of all responses"),
            faults: counter("realtime.faults", "What went wrong in calls"),
        }
    }
}

impl Count for Meters {
    fn count(&self, figure: &Figure) {
        let label = |name: &'static str, value: &'static str| KeyValue::new(name, value);
        match *figure {
            Figure::Began { kind } => {
                self.begun.add(1, &[label("kind", kind)]);
                self.live.add(1, &[label("kind", kind)]);
            }
            #[cfg(feature = "serve")]
            Figure::Refused { kind, reason } => {
                self.refused.add(1, &[label("kind", kind), label("reason", reason)]);
            }
            Figure::Ended { kind, outcome, length } => {
                self.live.add(-1, &[label("kind", kind)]);
                self.ended.add(1, &[label("kind", kind), label("outcome", outcome.name())]);
                self.seconds.record(length.as_secs_f64(), &[label("kind", kind)]);
            }
            Figure::UserTurn => self.turns.add(1, &[label("speaker", "user")]),
            Figure::AgentTurn => self.turns.add(1, &[label("speaker", "agent")]),
            Figure::VoiceToVoice(after) => self.voice_to_voice.record(after.as_secs_f64(), &[]),
            Figure::FirstByte(after) => self.first_byte.record(after.as_secs_f64(), &[]),
            Figure::Interrupted => self.interruptions.add(1, &[]),
            Figure::ToolCalls(count) => self.tool_calls.add(count, &[]),
            Figure::Used { input, output } => {
                self.tokens.add(input, &[label("direction", "input")]);
                self.tokens.add(output, &[label("direction", "output")]);
            }
            Figure::Fault => self.faults.add(1, &[]),
        }
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meters")
    }
}
