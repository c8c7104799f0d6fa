//! What a [`Call`](crate::call::Call) asks of a session before another takes its place, and what it
//! hands to the new one.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::call::{CloseReason, Command, CommandId, FunctionCall, HoldId, Outcome, StopId};
use crate::id::ResponseId;
use crate::session::Session;
use crate::session::answers::Await;
use crate::session::state::{State, Step};
use crate::time::{MediaTime, Timestamp};

impl Session {
    /// Starts the numbers of chunks, stops and holds so that they differ from those of earlier sessions.
    pub(crate) fn number_for(&mut self, connection: u32) {
        let first = u64::from(connection) << 32;
        self.playback.number_from(first);
        self.out_of_band.number_from(first);
        self.interruptions.number_from(StopId(first));
        self.policy.number_from(HoldId(first));
    }

    /// Returns whether the session can be replaced without interrupting anything: nobody speaks or is about
    /// to, nothing is audible, no call is open, and no answer is due. `patience`: how long to wait for a
    /// transcript of the user's speech, which the next session could not be told without it.
    pub(crate) fn is_between_turns(&self, patience: Duration) -> bool {
        let manual = self.config.turn_detection().is_null();
        let buffered = self.input.buffered(self.config.input_format());
        self.is_quiet()
            && self.state.is_ready()
            && !self.playback.is_audible(self.now, self.options.playback)
            && self.transcripts.until(patience).is_none_or(|until| until <= self.now)
            && !self.input.in_turn()
            && !(manual && buffered > MediaTime::ZERO)
    }

    /// When the session becomes quiet by time alone: unreported audio has been played, and the wait for the
    /// user's transcript is over.
    pub(crate) fn quiet_at(&self, patience: Duration) -> Option<Timestamp> {
        if !self.is_quiet() {
            return None;
        }
        let transcripts = self.transcripts.until(patience).filter(|until| *until > self.now);
        let silent = self.playback.silent_at(self.now, self.options.playback);
        silent.into_iter().chain(transcripts).min()
    }

    fn is_quiet(&self) -> bool {
        self.responses.is_idle()
            && self.interruptions.is_empty()
            && self.policy.is_idle()
            && self.calls.is_empty()
            && self.held.commands() == 0
            && self.answers.deadline().is_none()
            && self.retrievals.deadline().is_none()
    }

    /// Returns whether the model owes a response that no command waits for, to a turn or after a function's
    /// output. Also true if that response has begun and said nothing yet.
    pub(crate) fn owes_response(&self) -> bool {
        // If the commit was not acknowledged, there is nothing to respond to.
        let committing = self.answers.is_awaited(&Await::Committed);
        self.responses.owes() && !committing || !self.calls.is_empty()
    }

    /// Returns whether a response runs, is asked for or is due, or a function runs.
    pub(crate) fn is_replying(&self) -> bool {
        !self.responses.is_idle() || !self.calls.is_empty()
    }

    /// Returns whether a response speaks in the conversation.
    pub(crate) fn is_speaking(&self) -> bool {
        self.responses.is_speaking()
    }

    /// Returns whether the model owes a response that was not requested from the server yet and that no
    /// command waits for.
    pub(crate) fn owes_unsent_response(&self) -> bool {
        self.responses.owes_unsent()
    }

    /// How often in a row the model was asked to go on after its functions, without user input.
    pub(crate) const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Adds the rounds of the session before it.
    pub(crate) const fn count_rounds_from(&mut self, rounds: u32) {
        self.rounds = self.rounds.saturating_add(rounds);
    }

    /// Takes over calls that the conversation has made and that wait for their outputs.
    pub(crate) fn reopen_calls(&mut self, calls: Vec<Arc<FunctionCall>>) {
        if calls.is_empty() {
            return;
        }
        for call in &calls {
            self.calls.see(call);
        }
        // The response that made them has ended; its id is not needed any more.
        let response_id = ResponseId::from("");
        self.calls.open(&response_id, calls);
        self.calls.close(&response_id, false, false, false);
    }

    /// Commands of which nothing was sent.
    pub(crate) fn unsent_commands(&self) -> Vec<CommandId> {
        let joined = self.updates.joined().filter(|_| self.is_unconfigured());
        self.held.ids().chain(joined).chain(self.responses.waiting_commands()).collect()
    }

    /// Returns whether the configuration was sent and is not acknowledged: nothing else was sent before.
    pub(crate) const fn is_configuring(&self) -> bool {
        matches!(self.state, State::Configuring { .. })
    }

    /// Returns whether a push-to-talk turn runs.
    pub(crate) const fn in_turn(&self) -> bool {
        self.input.in_turn()
    }

    /// Takes out input audio that was held and never sent, oldest first.
    pub(crate) fn take_held_audio(&mut self) -> Vec<Bytes> {
        self.held.take_audio()
    }

    /// Why the session is about to close, if it is.
    pub(crate) const fn closing_reason(&self) -> Option<&CloseReason> {
        match &self.state {
            State::Closing { reason } => Some(reason),
            _ => None,
        }
    }

    /// Ends the session because the call moves to another process.
    pub(crate) fn suspend(&mut self) {
        self.state.step(Step::Close { reason: CloseReason::Suspended });
    }

    /// Carries out commands of an earlier session. Their requests for a response merge as if they had waited
    /// here. A command that is no longer valid is settled as declined.
    pub(crate) fn take_over(
        &mut self,
        now: Timestamp,
        commands: impl IntoIterator<Item = (CommandId, Command)>,
    ) {
        self.enter(now);
        for (id, command) in commands {
            if let Err(error) = self.on_command(id, command) {
                self.settle(id, Outcome::Declined { reason: error.reason });
            }
        }
        self.flush();
    }
}
