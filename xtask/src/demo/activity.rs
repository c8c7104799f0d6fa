//! Tells whether a conversation goes on. The demo waits for its end before it ends the call.

use std::time::Duration;

/// What goes on at the moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Activity {
    pub(crate) input_finished: bool,
    pub(crate) user_speaks: bool,
    /// The user has spoken, and no response has begun since.
    pub(crate) answer_due: bool,
    pub(crate) responses: usize,
    pub(crate) agent_speaks: bool,
    pub(crate) calls: usize,
    pub(crate) agent_has_spoken: bool,
    /// Pieces of the agent's words.
    pub(crate) words: usize,
}

/// Silence on all sides that ends a conversation.
const QUIET: Duration = Duration::from_millis(1500);

/// How long an answer may take to begin before nobody waits for it any more.
const ANSWER: Duration = Duration::from_secs(15);

/// How long what has begun may go on without a sign: longer than the session waits before it tells that.
const STALLED: Duration = Duration::from_secs(32);

impl Activity {
    /// How long this state must last for the conversation to count as over; `None`: it goes on.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let input_goes_on = !self.input_finished && self.agent_has_spoken;
        let busy = self.user_speaks || self.responses > 0 || self.calls > 0;
        match (self.input_finished, busy) {
            _ if self.agent_speaks || input_goes_on => None,
            (_, true) => Some(STALLED),
            (true, false) if self.answer_due => Some(ANSWER),
            (true, false) => Some(QUIET),
            // The input waits for the agent's first turn: without one there is nothing to wait for.
            (false, false) => Some(ANSWER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_never_ends_does_not_keep_the_conversation_for_ever() {
        let begun = Activity { responses: 1, ..Activity::default() };
        assert_eq!(begun.patience(), Some(STALLED));
        let heard = Activity { agent_speaks: true, ..begun.clone() };
        assert_eq!(heard.patience(), None);
        let input_goes_on = Activity { agent_has_spoken: true, ..begun };
        assert_eq!(input_goes_on.patience(), None);
    }
}
