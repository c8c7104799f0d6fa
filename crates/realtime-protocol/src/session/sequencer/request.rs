//! One `response.create`: what it asks for, which commands wait for it, and when its answer is due.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::call::CommandId;
use crate::field::Field;
use crate::id::EventId;
use crate::response::{ResponseConversation, ResponseParams};
use crate::time::Timestamp;
use crate::tool::{ToolChoice, ToolMode};

/// One `response.create`, sent or to be sent.
#[derive(Debug, Default)]
pub(in crate::session) struct Request {
    pub(in crate::session) params: Option<Box<ResponseParams>>,
    pub(in crate::session) waiters: Vec<CommandId>,
    /// When it was sent.
    pub(super) sent: Option<Timestamp>,
    /// Whether it was made after the user's turn, so that the server's own response cannot serve it.
    pub(super) late: bool,
    /// How many events had been sent when it was made. A response serves it if all items of those events have
    /// their place.
    pub(super) made_after: u64,
    /// When this side said that the user's turn had ended, for a response to it.
    pub(super) committed: Option<Timestamp>,
    /// When the user's turn ended, if this requests the answer in place of the server's own.
    pub(in crate::session) turn: Option<Timestamp>,
    /// Whether it includes a response that no command waits for: to functions, to a typed item or to a turn.
    pub(super) owed: bool,
    /// Whether the user's speech does not interrupt its response.
    pub(in crate::session) protected: bool,
    /// Whether the model chooses freely whether to call a function: it was forced to before.
    pub(super) auto: bool,
    /// Whether the user spoke after it was sent and before its response began: that response is not told.
    pub(super) crossed: bool,
    /// Whether it goes out only after the turn of the user, who spoke over it.
    pub(super) after_turn: bool,
}

/// A `response.create` that the server has not answered.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) event_id: EventId,
    pub(super) request: Request,
    /// When it counts as unanswered.
    pub(super) deadline: Timestamp,
}

impl Request {
    /// A request, made after this many events were sent.
    pub(in crate::session) fn new(
        params: Option<Box<ResponseParams>>,
        waiter: Option<CommandId>,
        made_after: u64,
    ) -> Self {
        let owed = waiter.is_none();
        Self { params, waiters: waiter.into_iter().collect(), made_after, owed, ..Self::default() }
    }

    /// The request to go on after functions. `auto`: see [`Self::auto`].
    pub(in crate::session) fn follow_up(auto: bool, made_after: u64) -> Self {
        Self { auto, ..Self::new(None, None, made_after) }
    }

    /// The same, but the user's speech does not interrupt its response.
    pub(in crate::session) const fn protected(mut self, protected: bool) -> Self {
        self.protected = protected;
        self
    }

    /// The answer to the user's turn, which ended then.
    pub(in crate::session) fn answer(ended: Timestamp, made_after: u64) -> Self {
        Self { turn: Some(ended), ..Self::new(None, None, made_after) }
    }

    /// The parameters to send. `None`: none.
    pub(in crate::session) fn wire_params(&self) -> Option<Box<ResponseParams>> {
        let auto = || ResponseParams::default().tool_choice(ToolChoice::Mode(ToolMode::Auto));
        self.params.clone().or_else(|| self.auto.then(|| Box::new(auto())))
    }

    /// Returns whether it forces the model to call a function.
    pub(in crate::session) fn is_forced(&self) -> bool {
        self.params.as_ref().is_some_and(|params| forces(&params.tool_choice))
    }

    /// The request that is still owed if the user speaks before its response has begun or said anything.
    pub(super) fn still_owed(&self) -> Option<Self> {
        let Self { made_after, committed, turn, auto, .. } = *self;
        self.owed.then(|| Self { made_after, committed, turn, auto, owed: true, ..Self::default() })
    }

    /// Returns whether the user has not spoken over it.
    pub(in crate::session) const fn is_wanted(&self) -> bool {
        !self.crossed
    }

    /// Returns whether it has no parameters, so that one response serves it and others.
    pub(super) const fn is_plain(&self) -> bool {
        self.params.is_none() && !self.protected
    }

    /// Merges with a later request that the same response serves.
    pub(super) fn merge(&mut self, later: Self) {
        self.waiters.extend(later.waiters);
        self.made_after = self.made_after.max(later.made_after);
        self.owed |= later.owed;
        self.auto |= later.auto;
        self.after_turn &= later.after_turn;
        self.committed = later.committed.or(self.committed);
        self.turn = later.turn.or(self.turn);
    }

    /// Returns whether its response does not belong to the conversation.
    pub(in crate::session) fn is_out_of_band(&self) -> bool {
        self.params
            .as_ref()
            .is_some_and(|params| params.conversation.value() == Some(&ResponseConversation::None))
    }
}

/// Returns whether the model must call a function.
pub(in crate::session) fn forces(choice: &Field<ToolChoice>) -> bool {
    matches!(choice.value(), Some(ToolChoice::Mode(ToolMode::Required) | ToolChoice::Tool(_)))
}
