//! What goes wrong in a stage, and what the run does about it.

use std::any::Any;
use std::error::Error;
use std::sync::Arc;

/// Something that went wrong in a stage. It is told as an output of the chain, to observers, and to the
/// stages upstream as a frame.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{stage}: {message}")]
pub struct Fault {
    /// The stage's name; of a livelock, the names of all stages that took part.
    pub stage: Arc<str>,
    /// What kind of fault.
    pub category: Category,
    /// What was expected and what happened, without content.
    pub message: Arc<str>,
    /// What caused it.
    #[source]
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// What kind of fault, by what to do about it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Category {
    // The chain finds these.
    /// The stage panicked: a bug in it. It is never called again.
    Panicked,
    /// Stages caused more than [`MOST_STEPS`](crate::chain::MOST_STEPS) steps with one input: they answer
    /// each other. What was left of the steps was dropped.
    Livelock,
    /// A step took more than [`LONGEST_STEP`](crate::chain::LONGEST_STEP). Give the work to
    /// [`Cx::spawn_blocking`](crate::chain::Cx::spawn_blocking). Told once for each stage.
    Slow,
    /// More frames wait at the stage than it may hold, or more work is open than may be. What did not fit was
    /// refused. Told once for each time that the stage holds its frames.
    Overflow,
    /// The stage was not done at the end, and its work was dropped at the limit. See
    /// [`ChainOptions::drain_limit`](crate::chain::ChainOptions::drain_limit).
    Undrained,
    /// A reply of [`Spawned::then`](crate::chain::Spawned::then) is a method of another type than the stage.
    Misdirected,

    // Stages report these.
    /// A key or a right is missing: ask for another.
    Authentication,
    /// Too much was asked for: wait.
    RateLimited,
    /// Something outside does not answer: try again.
    Unreachable,
    /// A device or a file failed.
    Device,
    /// Anything else, of the application.
    Application,
}

/// What a run does when a stage has failed, or when stages answer each other for ever.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Policy {
    /// Goes on without the stage: frames pass it in both directions. Intents are refused once it is the
    /// service that failed.
    Continue,
    /// Ends, after what came before is done.
    #[default]
    End,
    /// Ends now.
    Cancel,
}

/// A panic's text, if it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}
