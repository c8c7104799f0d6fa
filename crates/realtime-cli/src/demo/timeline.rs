//! The demo's view of the pipeline: prints what happens while it happens, and keeps statistics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use realtime_pipeline::chain::{BotSpeech, Direction, Fault, FrameKind, Hop, Observer};
use realtime_protocol::call::{Event, Notice};
use realtime_protocol::time::Timestamp;

use crate::demo::report::Report;
use crate::progress::Progress;
use crate::story::{Moment, Story, print};

/// The statistics, shared by the observer that writes them and the demo that reads them in the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books(Arc<Mutex<State>>);

/// What there was.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) report: Report,
    /// Why the session log is not whole.
    pub(crate) log_failed: Option<String>,
}

impl Books {
    /// Reads or writes the statistics.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An observer that prints the conversation and keeps the statistics.
#[derive(Debug)]
pub(crate) struct Timeline {
    books: Books,
    story: Story,
    /// Since when the agent's voice is waited for: it greets, so from the beginning.
    waiting_since: Option<Timestamp>,
    progress: Progress,
    /// How long the user speaks, once the agent has greeted. `None`: it has.
    to_be_said: Option<Duration>,
}

impl Timeline {
    /// A timeline of a conversation in which the user speaks for so long.
    pub(crate) fn new(books: Books, to_be_said: Duration) -> Self {
        let progress = Progress::begin("holds the conversation", micros(to_be_said));
        let (story, waiting_since) = (Story::default(), Some(Timestamp::ZERO));
        Self { books, story, waiting_since, progress, to_be_said: Some(to_be_said) }
    }

    /// Notes what the session tells, and returns what it means to a person.
    fn note(&mut self, at: Timestamp, event: &Event, state: &mut State) -> Vec<Moment> {
        match event {
            Event::SpeechStarted { .. } => state.report.turns += 1,
            Event::SpeechStopped { .. } => self.waiting_since = Some(at),
            Event::FunctionCalls { calls, .. } => state.report.tool_calls += calls.len(),
            Event::Interrupted(interruption) => state.report.interrupted(interruption),
            Event::Notice(Notice::LogFailed { reason }) => state.log_failed = Some(reason.clone()),
            _ => {}
        }
        self.story.moments(event)
    }

    fn agent(&mut self, at: Timestamp, speech: BotSpeech, state: &mut State) -> Option<Moment> {
        match speech {
            BotSpeech::Started => {
                let after = self.waiting_since.take().map(|since| at.saturating_since(since));
                state
                    .report
                    .latencies_ms
                    .extend(after.and_then(|after| u64::try_from(after.as_millis()).ok()));
                Some(Moment::AgentStarts { after })
            }
            BotSpeech::Stopped => {
                if let Some(said) = self.to_be_said.take() {
                    self.progress.of(at.as_micros() + micros(said));
                }
                Some(Moment::AgentStops)
            }
            _ => None,
        }
    }
}

impl Observer for Timeline {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        self.progress.at(hop.at.as_micros());
        if hop.direction != Direction::Downstream {
            return;
        }
        // A frame is seen on every hop: what counts is the hop from where it was made.
        let books = self.books.clone();
        let moments = match (&**hop.from, hop.frame.kind()) {
            ("realtime", FrameKind::Event(event)) => books.with(|state| self.note(hop.at, event, state)),
            ("playout", FrameKind::Bot(speech)) => {
                books.with(|state| self.agent(hop.at, *speech, state)).into_iter().collect()
            }
            _ => return,
        };
        moments.iter().for_each(|moment| print(hop.at, moment));
    }

    fn on_fault(&mut self, at: Timestamp, fault: &Fault) {
        // What the session tells is told by its events.
        if &*fault.stage != "realtime" {
            print(at, &Moment::Trouble { text: fault.to_string() });
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
