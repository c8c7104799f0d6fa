//! What is counted over all calls: [`Figure`], and who counts it ([`Count`]): `/metrics` of the server, and a
//! collector (feature `otlp`).

#[cfg(feature = "talk")]
use std::sync::Arc;
use std::time::Duration;

use realtime_pipeline::chain::{BotSpeech, Direction, FrameKind, Hop, Metric, UserInput, UserSpeech};
#[cfg(feature = "talk")]
use realtime_pipeline::chain::{Fault, Observer};
use realtime_protocol::call::Event;
#[cfg(feature = "talk")]
use realtime_protocol::time::Timestamp;

/// Upper ends of the buckets of waits (s): a person notices the difference between any two of them.
#[cfg(any(feature = "otlp", feature = "serve"))]
pub(crate) const WAITS: [f64; 12] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0];

/// Upper ends of the buckets of calls (s).
#[cfg(any(feature = "otlp", feature = "serve"))]
pub(crate) const LENGTHS: [f64; 10] = [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0];

/// Counts figures. It is called by calls, so it must not wait.
pub(crate) trait Count: Send + Sync {
    fn count(&self, figure: &Figure);
}

/// Something that is counted. It has no words and no names of a call. `kind`: how the other end is reached:
/// `page`, `twilio`, `openai`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// A call began.
    Began { kind: &'static str },
    /// A call found no place.
    #[cfg(feature = "serve")]
    Refused { kind: &'static str, reason: &'static str },
    /// A call ended.
    Ended { kind: &'static str, outcome: Outcome, length: Duration },
    /// A turn of the user.
    UserTurn,
    /// A turn of the agent.
    AgentTurn,
    /// From the end of the user's turn to the agent's voice.
    VoiceToVoice(Duration),
    /// From a request to the first word or sound of its answer.
    FirstByte(Duration),
    /// The user spoke over an answer.
    Interrupted,
    /// The model called so many functions.
    ToolCalls(u64),
    /// Tokens of a response.
    Used { input: u64, output: u64 },
    /// Something went wrong in a call.
    Fault,
}

/// How a call went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// Somebody ended it.
    Completed,
    /// Something went wrong.
    Failed,
}

impl Outcome {
    /// It as a label.
    #[cfg(any(feature = "otlp", feature = "serve"))]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

impl Figure {
    /// What is counted of a frame. It is seen on every hop: what counts is the hop from where it was made.
    pub(crate) fn of(hop: &Hop<'_>) -> Option<Self> {
        if hop.direction != Direction::Downstream {
            return None;
        }
        match (&**hop.from, hop.frame.kind()) {
            ("realtime", FrameKind::User(UserSpeech::Started { .. }))
            | ("source", FrameKind::UserInput(UserInput::Text { .. })) => Some(Self::UserTurn),
            ("playout", FrameKind::Bot(BotSpeech::Started)) => Some(Self::AgentTurn),
            ("realtime", FrameKind::Metric(Metric::VoiceToVoice { after })) => {
                Some(Self::VoiceToVoice(*after))
            }
            ("realtime", FrameKind::Metric(Metric::FirstByte { after, .. })) => Some(Self::FirstByte(*after)),
            ("realtime", FrameKind::Metric(Metric::Response { usage: Some(usage), .. })) => {
                let (input, output) = (usage.input_tokens.unwrap_or(0), usage.output_tokens.unwrap_or(0));
                Some(Self::Used { input, output })
            }
            ("realtime", FrameKind::Event(event)) => match &**event {
                Event::Interrupted(_) => Some(Self::Interrupted),
                Event::FunctionCalls { calls, .. } => Some(Self::ToolCalls(calls.len() as u64)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// An observer of a call that has what happens in it counted.
#[cfg(feature = "talk")]
pub(crate) struct Counted(pub(crate) Arc<dyn Count>);

#[cfg(feature = "talk")]
impl Observer for Counted {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if let Some(figure) = Figure::of(hop) {
            self.0.count(&figure);
        }
    }

    fn on_fault(&mut self, _at: Timestamp, _: &Fault) {
        self.0.count(&Figure::Fault);
    }
}
