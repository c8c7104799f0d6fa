//! Ending a run once the conversation is over: [`HangUp`].

use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::call::Event;
use realtime_protocol::time::Timestamp;

use crate::chain::{BotSpeech, Cx, Frame, FrameKind, Peer, Processor, UserInput, UserSpeech};

/// Silence on all sides that ends a conversation.
const QUIET: Duration = Duration::from_millis(1500);

/// How long an answer may take to begin before nobody waits for it any more.
const ANSWER: Duration = Duration::from_secs(15);

/// How long nobody may say anything from the beginning on.
const NOBODY: Duration = Duration::from_secs(60);

/// How long what has begun may go on without a sign: longer than the session waits before it tells that.
const STALLED: Duration = Duration::from_secs(32);

/// Ends the run once the user's input is over and nobody has anything left to say: nobody speaks, no answer
/// is due, no response and no function runs. What else a server tells meanwhile does not keep the run alive.
/// If the other end of the transport goes ([`Peer::Disconnected`]), the run ends at once.
///
/// Put it before the service, where frames of both sides pass. Without an end of the input
/// ([`InputFinished`](FrameKind::InputFinished)) it ends the run only if nobody says anything within a
/// minute, and the agent has not spoken before.
#[doc(alias = "stop_when_done")]
#[derive(Debug)]
pub struct HangUp {
    quiet: Duration,
    activity: Activity,
    since: Timestamp,
}

/// What goes on.
#[derive(Clone, Debug, Default, PartialEq)]
struct Activity {
    input_finished: bool,
    user_speaks: bool,
    /// The user has spoken, and no response has begun since.
    answer_due: bool,
    responses: usize,
    agent_speaks: bool,
    functions: usize,
    agent_has_spoken: bool,
    /// Pieces of the agent's words.
    words: usize,
}

impl Activity {
    /// How long this state must last for the conversation to count as over; `None`: it goes on.
    fn patience(&self, quiet: Duration) -> Option<Duration> {
        let input_goes_on = !self.input_finished && self.agent_has_spoken;
        let busy = self.user_speaks || self.responses > 0 || self.functions > 0;
        match (self.input_finished, busy) {
            _ if self.agent_speaks || input_goes_on => None,
            (_, true) => Some(STALLED),
            (true, false) if self.answer_due => Some(ANSWER),
            (true, false) => Some(quiet),
            // The input may wait for the agent's first turn: without one there is nothing to wait for.
            (false, false) => Some(NOBODY),
        }
    }

    fn learn(&mut self, kind: &FrameKind) {
        match kind {
            FrameKind::InputFinished => self.input_finished = true,
            FrameKind::User(UserSpeech::Started { .. }) => self.user_speaks = true,
            FrameKind::User(UserSpeech::Stopped { .. }) => {
                self.answer_due |= std::mem::take(&mut self.user_speaks);
            }
            FrameKind::UserInput(UserInput::Text { respond, .. } | UserInput::Image { respond, .. }) => {
                self.answer_due |= respond.is_wanted()
            }
            FrameKind::Bot(BotSpeech::Started) => (self.agent_speaks, self.agent_has_spoken) = (true, true),
            FrameKind::Bot(BotSpeech::Stopped) => self.agent_speaks = false,
            FrameKind::Event(event) => match &**event {
                Event::ResponseStarted { .. } => {
                    self.responses += 1;
                    self.answer_due = false;
                }
                Event::ResponseFinished(_) => {
                    self.responses = self.responses.saturating_sub(1);
                    self.words += 1;
                }
                Event::FunctionCalls { out_of_band: false, calls, .. } => self.functions += calls.len(),
                Event::FunctionEnded { .. } => {
                    self.functions = self.functions.saturating_sub(1);
                    // The model answers what it was told.
                    self.answer_due = true;
                }
                _ => {}
            },
            _ => {}
        }
    }
}

impl HangUp {
    /// Hangs up after 1.5 s of silence on all sides.
    pub fn new() -> Self {
        Self::after(QUIET)
    }

    /// Hangs up after this silence on all sides.
    pub fn after(quiet: Duration) -> Self {
        Self { quiet, activity: Activity::default(), since: Timestamp::ZERO }
    }

    /// For a conversation that goes on from elsewhere: the agent has spoken before, so that nobody need say
    /// anything now.
    #[must_use]
    pub const fn goes_on(mut self) -> Self {
        self.activity.agent_has_spoken = true;
        self
    }
}

impl Default for HangUp {
    fn default() -> Self {
        Self::new()
    }
}

impl Processor for HangUp {
    fn name(&self) -> &str {
        "hang_up"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        let before = self.activity.clone();
        if matches!(frame.kind(), FrameKind::Peer(Peer::Disconnected)) {
            cx.cancel("the other end has gone");
        }
        self.activity.learn(frame.kind());
        if self.activity != before || matches!(frame.kind(), FrameKind::Start) {
            self.since = cx.now();
        }
        cx.forward(frame);
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        self.since = cx.now();
        cx.end(Arc::<str>::from("the conversation is over"));
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.activity.patience(self.quiet).map(|patience| self.since + patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stages;
    use crate::chain::{Chain, Direction, Ended, Output};

    #[test]
    fn a_caller_who_hangs_up_ends_the_run() {
        let mut chain = Chain::new(Stages::new().then(HangUp::new())).unwrap();
        let gone = FrameKind::Peer(Peer::Disconnected);
        chain.handle_input(Timestamp::ZERO, Direction::Downstream, gone);
        let ended = std::iter::from_fn(|| chain.poll_output()).find_map(|output| match output {
            Output::Ended(ended) => Some(ended),
            _ => None,
        });
        assert!(matches!(ended, Some(Ended::Cancelled { reason }) if &*reason == "the other end has gone"));
    }

    #[test]
    fn in_a_conversation_that_goes_on_nobody_need_say_anything() {
        assert_eq!(HangUp::new().poll_timeout(), Some(Timestamp::ZERO + NOBODY));
        assert_eq!(HangUp::new().goes_on().poll_timeout(), None);
    }

    #[test]
    fn a_response_that_never_ends_does_not_keep_the_conversation_for_ever() {
        let begun = Activity { responses: 1, ..Activity::default() };
        assert_eq!(begun.patience(QUIET), Some(STALLED));
        let heard = Activity { agent_speaks: true, ..begun.clone() };
        assert_eq!(heard.patience(QUIET), None);
        let input_goes_on = Activity { agent_has_spoken: true, ..begun };
        assert_eq!(input_goes_on.patience(QUIET), None);
    }
}
