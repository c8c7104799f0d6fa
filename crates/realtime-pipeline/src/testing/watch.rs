//! Sees a call while it is held: [`CallWatch`]. What it saw: [`HeldCall`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use realtime_context::{Conversation, Role};
use realtime_protocol::call::Event;
use realtime_protocol::usage::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chain::{Direction, FrameKind, Hop, Metric, Observer};

/// The most functions, answers that were cut, and latencies that are kept of a call, each.
const MOST: usize = 10_000;

/// An observer that keeps what [`HeldCall`] tells. Clones see the same call.
///
/// `Debug` shows counts alone.
#[derive(Clone, Default)]
pub struct CallWatch(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    tools: Vec<ToolRun>,
    cuts: Vec<CutAnswer>,
    latencies: Vec<Duration>,
    tokens: Tokens,
}

/// A call that was held, as tests look at it. As JSON it is what `realtime eval --json` has of a call.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct HeldCall {
    /// What was said, in the order of the conversation, without what the application told the model.
    pub lines: Vec<SaidLine>,
    /// Functions that the model called, in order.
    pub tools: Vec<ToolRun>,
    /// Answers that the user spoke over, in order.
    pub cuts: Vec<CutAnswer>,
    /// From the end of the user's turn to the assistant's voice, for each answer (ms).
    #[serde(rename = "latencies_ms", serialize_with = "millis")]
    pub latencies: Vec<Duration>,
    /// What all responses together took.
    pub tokens: Tokens,
}

/// Who said something.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a conversation has no other sides")]
pub enum Speaker {
    /// The assistant.
    Agent,
    /// The person.
    User,
    /// A function that returned something.
    Tool,
}

/// What one side said at once.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SaidLine {
    /// Who.
    pub who: Speaker,
    /// The words: of the agent those that were heard, of a tool what it returned.
    pub text: String,
}

/// A function that the model called.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ToolRun {
    /// The function.
    pub name: String,
    /// The arguments; what is no JSON is a text.
    pub arguments: Value,
}

/// An answer that the user spoke over.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CutAnswer {
    /// The words that were heard before the cut.
    pub heard: String,
    /// How much was heard (ms).
    pub heard_ms: u64,
}

/// Tokens, as far as the server told them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "a count of what is read, and of what is made")]
pub struct Tokens {
    /// Tokens that the model read.
    pub input: u64,
    /// Tokens that it made.
    pub output: u64,
}

impl SaidLine {
    /// This side said that.
    pub fn new(who: Speaker, text: impl Into<String>) -> Self {
        Self { who, text: text.into() }
    }
}

impl CutAnswer {
    /// This was heard before the cut.
    pub fn new(heard: impl Into<String>, heard_ms: u64) -> Self {
        Self { heard: heard.into(), heard_ms }
    }
}

impl Tokens {
    /// All tokens.
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }

    fn add(&mut self, usage: &Usage) {
        self.input = self.input.saturating_add(usage.input_tokens.value().copied().unwrap_or_default());
        self.output = self.output.saturating_add(usage.output_tokens.value().copied().unwrap_or_default());
    }
}

impl CallWatch {
    /// Watches a call that is still to come. Give a clone to [`Agent::observe`](crate::Agent::observe).
    pub fn new() -> Self {
        Self::default()
    }

    /// The call as far as it was held, with what was said in it.
    pub fn held(&self, conversation: &Conversation) -> HeldCall {
        let who = |role: &Role| match role {
            Role::Assistant => Some(Speaker::Agent),
            Role::User => Some(Speaker::User),
            Role::Tool => Some(Speaker::Tool),
            _ => None,
        };
        let lines = conversation.transcript().lines.into_iter().filter_map(|line| {
            let has_words = line.call.is_some() || !line.text.is_empty();
            who(&line.role).filter(|_| has_words).map(|who| SaidLine { who, text: line.text })
        });
        let lines = lines.collect();
        let Seen { tools, cuts, latencies, tokens } = &*self.seen();
        let (tools, cuts, latencies) = (tools.clone(), cuts.clone(), latencies.clone());
        HeldCall { lines, tools, cuts, latencies, tokens: *tokens }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for CallWatch {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        // A frame is seen on every hop: what counts is the hop from the service.
        if hop.direction != Direction::Downstream || &**hop.from != "realtime" {
            return;
        }
        match hop.frame.kind() {
            FrameKind::Event(event) => self.seen().learn(event),
            FrameKind::Metric(Metric::VoiceToVoice { after }) => push(&mut self.seen().latencies, *after),
            FrameKind::Metric(Metric::Response { usage: Some(usage), .. }) => self.seen().tokens.add(usage),
            _ => {}
        }
    }
}

impl Seen {
    fn learn(&mut self, event: &Event) {
        match event {
            Event::FunctionCalls { calls, .. } => {
                for call in calls {
                    let arguments = serde_json::from_str(&call.arguments);
                    let arguments = arguments.unwrap_or_else(|_| Value::from(call.arguments.as_str()));
                    push(&mut self.tools, ToolRun { name: call.name.clone(), arguments });
                }
            }
            // One without parts cut nothing: the user spoke over functions.
            Event::Interrupted(interruption) if !interruption.parts.is_empty() => {
                let heard = interruption.parts.iter().map(|part| part.heard_text.as_str()).collect();
                let heard_ms = interruption.heard().as_millis();
                push(&mut self.cuts, CutAnswer { heard, heard_ms });
            }
            _ => {}
        }
    }
}

fn push<T>(list: &mut Vec<T>, value: T) {
    if list.len() < MOST {
        list.push(value);
    }
}

fn millis<S: serde::Serializer>(durations: &[Duration], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(durations.iter().map(Duration::as_millis))
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "agent",
            Self::User => "user",
            Self::Tool => "tool",
        })
    }
}

impl fmt::Debug for CallWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.seen();
        f.debug_struct("CallWatch")
            .field("tools", &seen.tools.len())
            .field("cuts", &seen.cuts.len())
            .finish_non_exhaustive()
    }
}
