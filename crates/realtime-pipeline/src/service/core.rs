//! The stage itself: [`Core`].

use std::fmt;
use std::sync::Arc;

use realtime_protocol::call::{Event, Outcome};
use realtime_protocol::item::Item;
use realtime_protocol::time::Timestamp;

use crate::chain::{Answer, Category, Cx, Direction, Frame, FrameKind, Intent, Processor, Shape, Ticket};
use crate::service::ask::Asking;
use crate::service::hear::Hearing;
use crate::service::measure::Stopwatch;
use crate::service::options::Clips;

/// The name under which the service stands in its chain.
pub(crate) const NAME: &str = "realtime";

/// The service of a chain: intents to commands, frames to media, events to frames. See
/// [the module](crate::service). [`RealtimeService::core`](crate::service::RealtimeService::core) makes it.
pub struct Core {
    pub(super) hearing: Hearing,
    pub(super) asking: Asking,
    pub(super) stopwatch: Stopwatch,
    pub(super) clips: Clips,
    pub(super) speaks: bool,
    /// Whether transcripts of the user's speech are told.
    pub(super) transcripts: bool,
    pub(super) on_item: OnItem,
    pub(super) running_responses: usize,
    /// Interruptions for which playback was told to stop, and that are not settled yet.
    pub(super) stopping: usize,
}

/// What the application wants to know of items.
#[derive(Default)]
pub(super) struct OnItem {
    pub(super) created: Option<ItemHook>,
    pub(super) updated: Option<ItemHook>,
}

pub(super) type ItemHook = Box<dyn FnMut(&Item) + Send>;

impl Processor for Core {
    fn name(&self) -> &str {
        NAME
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        match (frame.kind(), cx.direction()) {
            (FrameKind::InputAudio(audio), Direction::Downstream) => {
                self.hearing.hear(audio, cx);
            }
            (FrameKind::User(speech), Direction::Downstream) => self.turn(speech, cx),
            (FrameKind::UserInput(input), Direction::Downstream) => {
                cx.ask(Intent::UserInput(input.clone()));
            }
            (FrameKind::Bot(speech), Direction::Upstream) => self.bot_speaks(*speech, cx),
            (FrameKind::Playback(report), Direction::Upstream) => {
                cx.media(realtime_protocol::call::Media::Report(report.clone()));
                return;
            }
            (FrameKind::PhoneAnswer(answer), _) => return self.phone_answered(answer, cx),
            _ => {}
        }
        cx.forward(frame);
    }

    fn handle_event(&mut self, event: &Arc<Event>, cx: &mut Cx<'_>) {
        self.tell(event, cx);
    }

    fn handle_intent(&mut self, ticket: Ticket, intent: Intent, cx: &mut Cx<'_>) {
        self.ask(ticket, intent, cx);
    }

    /// The user's input is asked for by nobody else, so that what becomes of it is told.
    fn handle_answer(&mut self, _: Ticket, answer: &Answer, cx: &mut Cx<'_>) {
        let why = match answer {
            Answer::Refused(why) => why.to_string(),
            Answer::Settled(Outcome::Declined { reason }) => reason.to_string(),
            Answer::Settled(Outcome::Refused { error }) => error.to_string(),
            Answer::Settled(Outcome::TimedOut) => "the server did not answer in time".to_owned(),
            // The end is told by itself.
            _ => return,
        };
        cx.fault(Category::Application, format!("the model was not given what the user typed: {why}"));
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        self.asking.look(cx);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.asking.poll_timeout()
    }

    /// What was asked for is answered, and what is being said is said to its end.
    fn is_idle(&self) -> bool {
        self.running_responses == 0 && self.asking.is_idle()
    }

    fn shape(&self) -> Shape {
        Shape::service(self.speaks)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("hearing", &self.hearing)
            .field("asking", &self.asking)
            .field("running_responses", &self.running_responses)
            .finish_non_exhaustive()
    }
}
