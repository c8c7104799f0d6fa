//! Writes down what happens in a call: [`Books`], an observer of its chain.

use std::sync::Arc;

use realtime_pipeline::chain::{
    BotSpeech, Direction, Fault, FrameKind, Hop, Metric, Observer, UserInput, UserSpeech,
};
use realtime_protocol::call::Event;
use realtime_protocol::time::Timestamp;

use super::{Facts, Shared};
use crate::serve::metrics::Metrics;

/// An observer that counts turns, interruptions, tools, latencies and tokens.
pub(in crate::serve) struct Books(Arc<Shared>);

impl Books {
    pub(super) const fn new(facts: Arc<Shared>) -> Self {
        Self(facts)
    }
}

impl Observer for Books {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if hop.direction != Direction::Downstream {
            return;
        }
        // A frame is seen on every hop: what counts is the hop from where it was made.
        let counts = match (&**hop.from, hop.frame.kind()) {
            ("realtime", kind) => {
                matches!(kind, FrameKind::Event(_) | FrameKind::Metric(_) | FrameKind::User(_))
            }
            ("playout", kind) => matches!(kind, FrameKind::Bot(_)),
            ("source", kind) => matches!(kind, FrameKind::UserInput(_)),
            _ => false,
        };
        if counts {
            learn(&mut self.0.facts(), self.0.metrics(), hop.frame.kind());
        }
    }

    fn on_fault(&mut self, _at: Timestamp, fault: &Fault) {
        self.0.metrics().fault();
        self.0.facts().trouble = Some(fault.to_string());
    }
}

fn learn(facts: &mut Facts, metrics: &Metrics, kind: &FrameKind) {
    match kind {
        FrameKind::User(UserSpeech::Started { .. }) | FrameKind::UserInput(UserInput::Text { .. }) => {
            facts.user_turns += 1;
            metrics.user_turn();
        }
        FrameKind::Bot(BotSpeech::Started) => {
            facts.agent_turns += 1;
            metrics.agent_turn();
        }
        FrameKind::Metric(Metric::VoiceToVoice { after }) => {
            facts.voice_to_voice(*after);
            metrics.voice_to_voice(*after);
        }
        FrameKind::Metric(Metric::FirstByte { after, .. }) => {
            facts.first_byte(*after);
            metrics.first_byte(*after);
        }
        FrameKind::Metric(Metric::Response { usage: Some(usage), .. }) => {
            facts.used(usage);
            metrics.used(usage);
        }
        FrameKind::Event(event) => match &**event {
            Event::Ready { .. } => facts.is_live = true,
            Event::Interrupted(_) => {
                facts.interruptions += 1;
                metrics.interrupted();
            }
            Event::FunctionCalls { calls, .. } => {
                facts.tool_calls += calls.len() as u64;
                metrics.tool_calls(calls.len() as u64);
            }
            _ => {}
        },
        _ => {}
    }
}
