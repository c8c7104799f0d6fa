//! Slow things that a stage hands to the driver: [`WorkId`], and the typed reply of [`Spawned::then`].

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;

use realtime_protocol::id::ResponseId;

use crate::chain::cx::Cx;
use crate::chain::processor::Processor;

/// Identifies work that a stage handed out. Unique in its chain.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WorkId(pub(super) u64);

impl fmt::Display for WorkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "work {}", self.0)
    }
}

/// What work gave, of any type.
pub type WorkValue = Box<dyn Any + Send>;

/// Work that waits for something. The driver polls it in the run's task, or in a task of its own.
pub type WorkFuture = Pin<Box<dyn Future<Output = WorkValue> + Send>>;

/// Work that blocks or computes for long. The driver runs it on a thread of its own.
pub type BlockingWork = Box<dyn FnOnce() -> WorkValue + Send>;

/// How work ended.
pub type Done = Result<WorkValue, WorkFailed>;

/// Why work gave nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkFailed {
    /// It panicked: a bug in it.
    #[error("the work panicked: {message}")]
    Panicked {
        /// The panic's message, if it was text.
        message: String,
    },
    /// Too much work is open in the chain. It was not begun: try again once some has ended.
    #[error("the chain has {open} pieces of open work already")]
    TooMany {
        /// How many are open.
        open: usize,
    },
}

/// What handles the end of work, in the stage that spawned it. Returns whether the stage has the right type.
pub(super) type Reply = Box<dyn FnOnce(&mut dyn Processor, Done, &mut Cx<'_>) -> bool + Send>;

/// Work as it was spawned in a step, for the one who keeps account of the stage.
pub(super) struct NewWork {
    pub(super) id: WorkId,
    pub(super) reply: Option<Reply>,
    pub(super) response: Option<ResponseId>,
    pub(super) holds: bool,
}

impl NewWork {
    pub(super) const fn new(id: WorkId) -> Self {
        Self { id, reply: None, response: None, holds: false }
    }
}

impl fmt::Debug for NewWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewWork({})", self.id)
    }
}

/// Work that was just spawned, and gives a `T`. Says what becomes of it.
///
/// Without [`then`](Self::then), its end comes to
/// [`Processor::handle_work`].
#[derive(Debug)]
pub struct Spawned<'a, T> {
    work: &'a mut NewWork,
    gives: PhantomData<fn() -> T>,
}

impl<'a, T: Send + 'static> Spawned<'a, T> {
    pub(super) const fn new(work: &'a mut NewWork) -> Self {
        Self { work, gives: PhantomData }
    }

    /// Its number.
    pub const fn id(&self) -> WorkId {
        self.work.id
    }

    /// Handles its end with a method of the stage that spawned it: `cx.spawn(future).then(Self::on_reply)`.
    /// With a method of another type the end is told as a fault,
    /// [`Misdirected`](crate::chain::Category::Misdirected).
    pub fn then<P: Processor>(
        self,
        reply: impl FnOnce(&mut P, Result<T, WorkFailed>, &mut Cx<'_>) + Send + 'static,
    ) -> Self {
        self.work.reply = Some(Box::new(move |stage, done, cx| {
            let stage: &mut dyn Any = stage;
            let Some(stage) = stage.downcast_mut::<P>() else { return false };
            let done = match done {
                Ok(value) => match value.downcast::<T>() {
                    Ok(value) => Ok(*value),
                    Err(_) => return false,
                },
                Err(failed) => Err(failed),
            };
            reply(stage, done, cx);
            true
        }));
        self
    }

    /// Drops it when this response is interrupted. The stage is not told: it sees the interruption.
    pub fn for_response(self, response_id: ResponseId) -> Self {
        self.work.response = Some(response_id);
        self
    }

    /// Keeps the stage's ordinary frames back until it has ended: see [`Cx::hold`].
    pub fn hold(self) -> Self {
        self.work.holds = true;
        self
    }
}
