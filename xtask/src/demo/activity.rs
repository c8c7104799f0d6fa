//! Tells whether a conversation goes on. The demo waits for its end before it ends the call.

use std::time::Duration;

/// What goes on at the moment.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    pub(crate) input_finished: bool,
    pub(crate) user_speaks: bool,
    /// The user has spoken, and no response has begun since.
    pub(crate) answer_due: bool,
    pub(crate) responses: usize,
    pub(crate) agent_speaks: bool,
    pub(crate) calls: usize,
    pub(crate) agent_has_spoken: bool,
}

/// Silence on all sides that ends a conversation.
const QUIET: Duration = Duration::from_millis(1500);

/// How long an answer may take to begin before nobody waits for it any more.
const ANSWER: Duration = Duration::from_secs(15);

impl Activity {
    /// How long this state must last for the conversation to count as over; `None`: it goes on.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let busy = self.user_speaks || self.responses > 0 || self.agent_speaks || self.calls > 0;
        match (busy, self.input_finished) {
            (true, _) => None,
            (false, true) if self.answer_due => Some(ANSWER),
            (false, true) => Some(QUIET),
            // The input waits for the agent's first turn: without one there is nothing to wait for.
            (false, false) if !self.agent_has_spoken => Some(ANSWER),
            (false, false) => None,
        }
    }
}
