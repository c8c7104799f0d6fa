//! The demo's view of the pipeline: prints what happens while it happens, and keeps statistics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use realtime_pipeline::{Direction, FrameKind, Observed, Observer, TranscriptStage};
use tokio::sync::Notify;

use crate::demo::activity::Activity;
use crate::demo::report::Report;
use crate::story::{Moment, Story};

/// The statistics, shared by the observer that writes them and the demo that waits for the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

/// What goes on, and what there was.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) activity: Activity,
    pub(crate) report: Report,
}

impl Books {
    /// Reads or writes the statistics.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the statistics change.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

/// An observer that prints the conversation and keeps the statistics.
#[derive(Debug)]
pub(crate) struct Timeline {
    books: Books,
    story: Story,
    /// Since when the agent's voice is waited for: it greets, so from the beginning.
    waiting_since: Option<Duration>,
}

impl Timeline {
    pub(crate) fn new(books: Books) -> Self {
        Self { books, story: Story::default(), waiting_since: Some(Duration::ZERO) }
    }

    /// Notes a frame, and returns what it means to a person.
    fn note(
        &mut self,
        at: Duration,
        kind: &FrameKind,
        State { activity, report }: &mut State,
    ) -> Option<Moment> {
        match kind {
            FrameKind::InputFinished => activity.input_finished = true,
            FrameKind::UserStartedSpeaking { .. } => {
                activity.user_speaks = true;
                report.turns += 1;
                return Some(Moment::UserStarts);
            }
            FrameKind::UserStoppedSpeaking { .. } => {
                activity.user_speaks = false;
                activity.answer_due = true;
                self.waiting_since = Some(at);
                return Some(Moment::UserStops);
            }
            FrameKind::Transcript(words) if words.stage == TranscriptStage::Final => {
                return Some(Moment::UserSaid { text: words.text.to_string() });
            }
            FrameKind::ResponseStarted { .. } => {
                activity.responses += 1;
                activity.answer_due = false;
            }
            FrameKind::Text(words) => {
                activity.words += 1;
                self.story.words(&words.response_id, &words.delta);
            }
            FrameKind::ResponseFinished(finished) => {
                activity.responses = activity.responses.saturating_sub(1);
                return self.story.finished(finished);
            }
            FrameKind::FunctionCallStarted { call, .. } => {
                activity.calls += 1;
                report.tool_calls += 1;
                return Some(self.story.called(call));
            }
            FrameKind::FunctionEnded { .. } => {
                activity.calls = activity.calls.saturating_sub(1);
                activity.answer_due = true;
            }
            FrameKind::BotStartedSpeaking => {
                activity.agent_speaks = true;
                activity.agent_has_spoken = true;
                let after = self.waiting_since.take().map(|since| at.saturating_sub(since));
                report.latencies_ms.extend(after.and_then(|after| u64::try_from(after.as_millis()).ok()));
                return Some(Moment::AgentStarts { after });
            }
            FrameKind::BotStoppedSpeaking => {
                activity.agent_speaks = false;
                return Some(Moment::AgentStops);
            }
            FrameKind::Interruption(interruption) => {
                report.interrupted(interruption);
                return Some(Moment::Interrupted((**interruption).clone()));
            }
            FrameKind::Session(event) => return self.story.other(event),
            FrameKind::Error(fault) => {
                return Some(Moment::Trouble { text: format!("{}: {}", fault.processor, fault.message) });
            }
            _ => {}
        }
        None
    }
}

impl Observer for Timeline {
    fn on_frame(&mut self, seen: &Observed) {
        // A frame is seen on every hop: what counts is the hop from where it was made. Audio goes on all the
        // time and says nothing of who speaks.
        let origin = match &seen.frame.kind {
            FrameKind::InputAudio(_) | FrameKind::OutputAudio(_) | FrameKind::PlayedAudio(_) => return,
            FrameKind::InputFinished => "wav_input",
            FrameKind::BotStartedSpeaking | FrameKind::BotStoppedSpeaking => "playout",
            FrameKind::Error(fault) => &fault.processor,
            _ => "realtime",
        };
        let wanted = match seen.frame.kind {
            FrameKind::Error(_) => Direction::Upstream,
            _ => Direction::Downstream,
        };
        if *seen.source != *origin || seen.direction != wanted {
            return;
        }
        let at = seen.at;
        if let Some(moment) = self.books.clone().with(|state| self.note(at, &seen.frame.kind, state)) {
            say!("{:>4}.{:03} s  {moment}", at.as_secs(), at.subsec_millis());
        }
        self.books.0.changed.notify_one();
    }
}
