//! What comes out of a chain for its driver: [`Output`], and what got lost in it: [`Losses`].

use std::fmt;
use std::sync::Arc;

use realtime_protocol::call::{Command, CommandId, Media};

use crate::chain::fault::Fault;
use crate::chain::frame::{Direction, Frame};
use crate::chain::intent::{Answer, Ticket};
use crate::chain::work::{BlockingWork, WorkFuture, WorkId};

/// What a driver has to do, oldest first.
#[expect(clippy::exhaustive_enums, reason = "a driver must do all of them")]
pub enum Output {
    /// A frame has left the chain: downstream for the sink, upstream for the source.
    Frame(Direction, Frame),
    /// The service has a command for the session.
    Command(CommandId, Command),
    /// The service has media for the session. It keeps its order among the commands.
    Media(Media),
    /// Run this, and give what it gives to [`Chain::handle_work`](crate::chain::Chain::handle_work).
    Spawn(WorkId, WorkFuture),
    /// Run this on another thread, and give what it gives to
    /// [`Chain::handle_work`](crate::chain::Chain::handle_work).
    SpawnBlocking(WorkId, BlockingWork),
    /// Drop this work, if it still runs. What it gives is not wanted.
    Drop(WorkId),
    /// An intent of the application's has ended.
    Answer(Ticket, Answer),
    /// A stage has a fault.
    Fault(Arc<Fault>),
    /// The run is over. Nothing follows but answers to intents that the application asks later.
    Ended(Ended),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(direction, frame) => f.debug_tuple("Frame").field(direction).field(frame).finish(),
            Self::Command(id, command) => write!(f, "Command({id}, {})", command.name()),
            Self::Media(media) => f.debug_tuple("Media").field(media).finish(),
            Self::Spawn(work, _) => write!(f, "Spawn({work})"),
            Self::SpawnBlocking(work, _) => write!(f, "SpawnBlocking({work})"),
            Self::Drop(work) => write!(f, "Drop({work})"),
            Self::Answer(ticket, answer) => f.debug_tuple("Answer").field(ticket).field(answer).finish(),
            Self::Fault(fault) => f.debug_tuple("Fault").field(fault).finish(),
            Self::Ended(ended) => f.debug_tuple("Ended").field(ended).finish(),
        }
    }
}

/// Why a run is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ended {
    /// It was asked to end, and what came before is done or was given up at the limit.
    Ended {
        /// Why, as it was asked.
        reason: Arc<str>,
    },
    /// It was asked to end at once.
    Cancelled {
        /// Why, as it was asked.
        reason: Arc<str>,
    },
    /// A stage failed, and the [policy](crate::chain::Policy) ends the run.
    Failed {
        /// What happened.
        fault: Arc<Fault>,
    },
}

/// What a chain has lost, and why. Nothing else is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Losses {
    /// Frames that waited at a stage and did not survive an interruption.
    pub interrupted: u64,
    /// Frames that found no room at a stage that holds its frames.
    pub overflowed: u64,
    /// Frames that were left of an input when its steps were used up.
    pub livelocked: u64,
    /// Frames that waited at a stage when it was stopped.
    pub stopped: u64,
    /// Work that ended after it had been dropped.
    pub late_work: u64,
    /// Frames of output audio that came after their response or clip had been stopped.
    pub late_output: u64,
    /// Frames of output audio that a playout could not take: too much waited, or their rate can't be played.
    pub refused_output: u64,
}
