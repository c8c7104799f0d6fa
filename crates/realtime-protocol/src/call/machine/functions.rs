//! Function calls over several connections: which are the same, and which of them are answered already.
//!
//! The rule kept here: the application is shown a call once. If the model of a new session makes the call
//! again, because its output never reached the server, the model gets the output that is known or awaited.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::call::machine::blame::Loss;
use crate::call::suspended::SuspendedFunction;
use crate::call::{CommandId, FunctionCall, FunctionOutput, Outcome};
use crate::id::CallId;
use crate::session::call_digest;
use crate::time::Timestamp;

/// Functions that are remembered; of more, the oldest are forgotten.
const MOST: usize = 256;

/// What the model is told about a call whose output ends connections.
const UNDELIVERED: &str = "the function ran, and its result could not be sent";

/// Functions whose outputs have not reached the server.
#[derive(Debug, Default)]
pub(super) struct Functions(VecDeque<Known>);

#[derive(Debug)]
struct Known {
    /// The call as the application knows it.
    shown: Arc<FunctionCall>,
    /// The id under which the session that serves knows it.
    current: Option<CallId>,
    digest: u128,
    /// The output, and whether it asks for a response.
    output: Option<(FunctionOutput, bool)>,
    /// The command that delivers it.
    delivery: Option<CommandId>,
    /// The number of ended connections on which it was sent.
    sent: u8,
    /// Whether the connection ended while the output was in flight: it may have arrived.
    may_have_arrived: bool,
    /// When the connection that made it ended.
    detached: Option<Timestamp>,
}

/// What to do with a call that a session tells of.
#[derive(Debug, PartialEq)]
pub(super) enum Surfaced {
    /// Show it to the application.
    Show,
    /// The application works on it already.
    Adopted,
    /// Its output is known.
    Answer(FunctionOutput, bool),
}

/// What to do with an output that the application gives.
#[derive(Debug, PartialEq)]
pub(super) enum Completed {
    /// Hand it to the session, under this id.
    Deliver(CallId),
    /// It waits for the model to make the call again.
    Kept,
    /// The call has its output.
    Known,
}

/// A call that is open once more.
#[derive(Debug)]
pub(super) struct Reopened {
    pub(super) call: Arc<FunctionCall>,
    /// Its output if that is known, and whether it asks for a response.
    pub(super) output: Option<(FunctionOutput, bool)>,
}

impl Functions {
    /// A session tells of a call.
    pub(super) fn surface(
        &mut self,
        now: Timestamp,
        call: &mut Arc<FunctionCall>,
        kept: Duration,
    ) -> Surfaced {
        self.0.retain(|known| known.detached.is_none_or(|since| now <= since + kept));
        let digest = call_digest(&call.name, &call.arguments);
        let current = Some(call.call_id.clone());
        let same = |known: &&mut Known| known.current.is_none() && known.digest == digest;
        if let Some(known) = self.0.iter_mut().find(same) {
            known.current = current;
            known.detached = None;
            known.may_have_arrived = false;
            return match &known.output {
                None => Surfaced::Adopted,
                Some((FunctionOutput::Cancelled | FunctionOutput::TimedOut, _)) => {
                    known.output = None;
                    Arc::make_mut(call).key.clone_from(&known.shown.key);
                    known.shown = Arc::clone(call);
                    Surfaced::Show
                }
                Some((output, respond)) => Surfaced::Answer(output.clone(), *respond),
            };
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Known {
            shown: Arc::clone(call),
            current,
            digest,
            output: None,
            delivery: None,
            detached: None,
            sent: 0,
            may_have_arrived: false,
        });
        Surfaced::Show
    }

    /// The application, or this side itself, gives an output.
    pub(super) fn complete(
        &mut self,
        id: CommandId,
        call_id: &CallId,
        output: &FunctionOutput,
        respond: bool,
    ) -> Completed {
        let here = self.0.iter().rposition(|call| call.shown.call_id == *call_id && call.current.is_some());
        let index = here.or_else(|| self.0.iter().rposition(|call| call.shown.call_id == *call_id));
        let Some(call) = index.and_then(|index| self.0.get_mut(index)) else {
            return Completed::Deliver(call_id.clone());
        };
        let is_new = call.output.is_none();
        if is_new {
            call.output = Some((output.clone(), respond));
        }
        match &call.current {
            Some(current) => {
                if is_new {
                    call.delivery = Some(id);
                }
                Completed::Deliver(current.clone())
            }
            None if is_new => Completed::Kept,
            None => Completed::Known,
        }
    }

    /// That command delivers the known output of a call.
    pub(super) fn delivering(&mut self, id: CommandId, current: &CallId) {
        if let Some(call) = self.0.iter_mut().find(|call| call.current.as_ref() == Some(current)) {
            call.delivery = Some(id);
        }
    }

    /// The session refused the output at once: the call has none.
    pub(super) fn refused(&mut self, id: CommandId) {
        self.0.retain(|call| call.delivery != Some(id));
    }

    /// A command is settled. Forgets the call if its output reached the server or never will.
    pub(super) fn settled(&mut self, id: CommandId, outcome: &Outcome) {
        let Some(index) = self.0.iter().position(|call| call.delivery == Some(id)) else { return };
        if matches!(outcome, Outcome::Closed { .. }) {
            self.0[index].delivery = None;
        } else {
            self.0.remove(index);
        }
    }

    /// The call under the id by which the application knows it.
    pub(super) fn as_shown(&self, call: Arc<FunctionCall>) -> Arc<FunctionCall> {
        let known = self.0.iter().find(|known| known.current.as_ref() == Some(&call.call_id));
        match known.filter(|known| known.shown.call_id != call.call_id) {
            Some(known) => {
                let call_id = known.shown.call_id.clone();
                Arc::new(FunctionCall { call_id, ..FunctionCall::clone(&call) })
            }
            None => call,
        }
    }

    /// The conversation goes on over another connection. Calls that wait are open there under the ids that
    /// the application knows. Returns them with their known outputs, but no call whose output may have
    /// arrived.
    pub(super) fn reopen(&mut self) -> Vec<Reopened> {
        self.0.retain(|call| call.current.is_some() || !call.may_have_arrived);
        let detached = self.0.iter_mut().filter(|call| call.current.is_none());
        detached
            .map(|call| {
                call.current = Some(call.shown.call_id.clone());
                call.detached = None;
                Reopened { call: Arc::clone(&call.shown), output: call.output.clone() }
            })
            .collect()
    }

    /// All of them, to be moved to another process.
    pub(super) fn suspend(&mut self) -> Vec<SuspendedFunction> {
        let functions = core::mem::take(&mut self.0).into_iter();
        functions
            .map(|Known { shown, output, sent, may_have_arrived, .. }| {
                let (output, respond) = output.unzip();
                let respond = respond.unwrap_or_default();
                SuspendedFunction { call: shown, output, respond, sent, may_have_arrived }
            })
            .collect()
    }

    /// A copy of all of them. An output may arrive after this: it counts as one that may have arrived.
    pub(super) fn snapshot(&self) -> Vec<SuspendedFunction> {
        let copy = |known: &Known| {
            let (output, respond) = known.output.clone().unzip();
            SuspendedFunction {
                call: Arc::clone(&known.shown),
                may_have_arrived: output.is_some(),
                output,
                respond: respond.unwrap_or_default(),
                sent: known.sent,
            }
        };
        self.0.iter().map(copy).collect()
    }

    /// Those of a call that was suspended: none is open in a session.
    pub(super) fn resume(functions: Vec<SuspendedFunction>) -> Self {
        let known = functions.into_iter().map(|function| Known {
            digest: call_digest(&function.call.name, &function.call.arguments),
            shown: function.call,
            current: None,
            output: function.output.map(|output| (output, function.respond)),
            delivery: None,
            sent: function.sent,
            may_have_arrived: function.may_have_arrived,
            detached: Some(Timestamp::ZERO),
        });
        Self(known.take(MOST).collect())
    }

    /// Restarts the time since their connection ended: that was measured by another clock.
    pub(super) fn restart(&mut self, now: Timestamp) {
        for call in &mut self.0 {
            call.detached = call.detached.map(|_| now);
        }
    }

    /// Returns whether a call of that id was made by the model.
    pub(super) fn is_known(&self, call_id: &CallId) -> bool {
        self.0.iter().any(|call| call.shown.call_id == *call_id || call.current.as_ref() == Some(call_id))
    }

    /// The connection that serves has ended: outputs in flight did not arrive. Returns those that are given
    /// up, each with the command that was to deliver it. The output of such a call becomes a text that says
    /// so, and the call does not run again.
    pub(super) fn end_deliveries(&mut self, loss: &Loss) -> Vec<(CommandId, CallId)> {
        let mut given_up = Vec::new();
        for call in &mut self.0 {
            let Some(delivery) = call.delivery.filter(|id| loss.was_sent(*id)) else { continue };
            call.sent += u8::from(loss.is_death());
            call.may_have_arrived = !loss.gives_up(call.sent);
            if !call.may_have_arrived {
                let (_, respond) = call.output.take().unwrap_or((FunctionOutput::Cancelled, false));
                call.output = Some((FunctionOutput::Error(UNDELIVERED.into()), respond));
                call.sent = 0;
                given_up.push((delivery, call.shown.call_id.clone()));
            }
        }
        given_up
    }

    /// The connection that serves has ended.
    pub(super) fn detach(&mut self, now: Timestamp) {
        for call in &mut self.0 {
            if call.current.take().is_some() {
                call.detached = Some(now);
                call.delivery = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use serde_json::json;

    use super::*;

    const KEPT: Duration = Duration::from_secs(120);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn call(id: &str) -> FunctionCall {
        FunctionCall {
            call_id: id.into(),
            item_id: None,
            name: "book".into(),
            arguments: "{}".into(),
            key: alloc::format!("key of {id}"),
        }
    }

    fn surface(calls: &mut Functions, now: u64, id: &str) -> (Surfaced, String) {
        let mut call = Arc::new(call(id));
        (calls.surface(at(now), &mut call, KEPT), call.key.clone())
    }

    fn result() -> FunctionOutput {
        FunctionOutput::Result(json!({"seat": 4}))
    }

    #[test]
    fn two_equal_calls_of_one_session_are_two_calls() {
        let mut calls = Functions::default();
        assert_eq!(surface(&mut calls, 0, "a").0, Surfaced::Show);
        assert_eq!(surface(&mut calls, 0, "b").0, Surfaced::Show);
    }

    #[test]
    fn a_call_made_again_waits_for_the_work_on_the_first() {
        let mut calls = Functions::default();
        surface(&mut calls, 0, "a");
        calls.detach(at(1));
        assert_eq!(surface(&mut calls, 2, "b").0, Surfaced::Adopted);
        assert_eq!(calls.as_shown(Arc::new(call("b"))).call_id.as_str(), "a");
        let delivered = calls.complete(CommandId(1), &"a".into(), &result(), true);
        assert_eq!(delivered, Completed::Deliver("b".into()));
        calls.settled(CommandId(1), &Outcome::Done);
        assert_eq!(surface(&mut calls, 3, "c").0, Surfaced::Show, "delivered: this is another one");
    }

    #[test]
    fn a_result_that_did_not_arrive_answers_the_call_made_again() {
        let mut calls = Functions::default();
        surface(&mut calls, 0, "a");
        calls.detach(at(1));
        assert_eq!(calls.complete(CommandId(1), &"a".into(), &result(), true), Completed::Kept);
        assert_eq!(calls.complete(CommandId(2), &"a".into(), &result(), true), Completed::Known);
        assert_eq!(surface(&mut calls, 2, "b").0, Surfaced::Answer(result(), true));
        // Cut off once more before it was acknowledged.
        calls.delivering(CommandId(3), &"b".into());
        calls.settled(CommandId(3), &Outcome::Closed { reason: crate::call::CloseReason::NotCreated });
        calls.detach(at(3));
        assert_eq!(surface(&mut calls, 4, "c").0, Surfaced::Answer(result(), true));
    }

    #[test]
    fn a_call_that_was_given_up_runs_again_with_the_same_key() {
        let mut calls = Functions::default();
        let (_, key) = surface(&mut calls, 0, "a");
        calls.detach(at(1));
        calls.complete(CommandId(1), &"a".into(), &FunctionOutput::Cancelled, false);
        assert_eq!(surface(&mut calls, 2, "b"), (Surfaced::Show, key));
    }

    #[test]
    fn a_call_of_long_ago_is_another_call() {
        let mut calls = Functions::default();
        surface(&mut calls, 0, "a");
        calls.detach(at(1));
        let (surfaced, key) = surface(&mut calls, 122, "b");
        assert_eq!((surfaced, key.as_str()), (Surfaced::Show, "key of b"));
    }
}
