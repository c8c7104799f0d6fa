//! Calls that move from one living worker to another: the next owner is attached before the last one lets go.
//!
//! | | the owner | the next one |
//! |---|---|---|
//! | 1 | offers the call as `Moving`, behind its last snapshot | reads the journal, and attaches: `Preparing` |
//! | 2 | | asks for it by `Ready` |
//! | 3 | begins nothing more: `Leaving` | |
//! | 4 | | writes its owner's line behind the line that it read, and acts |
//! | 5 | writes its own owner's line: it is refused, and the call let go | |
//!
//! In each case the journal decides. If a line came in between, or the next owner is lost or late, the line
//! of step 5 is the one that stands, and the call goes on where it was.

use std::collections::BTreeSet;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::engine::{Answer, Offer, OfferAnswer, Offered, Request};
use crate::id::{CallId, WorkerId};
use crate::line::Why;
use crate::placement::Wants;
use crate::record::{CallRecord, LineError};
use crate::worker::held::{Move, Phase};
use crate::worker::{Asking, Command, Event, Verdict, Worker};

/// How long the next owner has to attach.
const ATTACHING: Duration = Duration::from_secs(10);
/// How long it has to write its line, once the owner begins nothing more.
const LETTING_GO: Duration = Duration::from_millis(500);
/// What an application may say while its call is on its way.
const PARKED: usize = 256;

impl Worker {
    /// The journal of a call that moves here was read: the application attaches.
    pub(super) fn prepare(&mut self, now: Timestamp, call: CallId, of: WorkerId, record: CallRecord) {
        let (until, epoch) = (now + ATTACHING, record.epoch() + 1);
        let mut held = self.hold(record, Phase::Preparing { of, until });
        let begun = held.begin(&call, epoch, Why::Moved);
        self.calls.insert(call.clone(), held);
        match begun {
            Ok(placed) => {
                self.waits.insert((until, call));
                self.tell(Event::Begin(Box::new(placed)));
            }
            Err(_) => self.drop_call(now, &call),
        }
    }

    /// The application says something of a call that it does not serve at this moment.
    pub(super) fn handle_early(&mut self, now: Timestamp, call: &CallId, command: Command) {
        let Some(held) = self.calls.get_mut(call).filter(|held| held.phase.is_begun()) else { return };
        match (&held.phase, command) {
            (Phase::Preparing { of, .. }, Command::Ready) => {
                let (to, state) = (of.clone(), Offered::Ready { by: self.id.clone() });
                let offer = Offer { call: call.clone(), state };
                self.ask(Asking::Ready(call.clone()), Request::Offer { to, offer });
            }
            // It could not attach. The call stays where it is.
            (Phase::Preparing { .. }, Command::End { .. }) => self.give_up(now, call),
            (_, Command::Ready | Command::Move) => {}
            (_, Command::Claim { key, .. }) if held.parked.len() >= PARKED => {
                let verdict = Verdict::Refused(LineError::TooMany);
                self.tell(Event::Function { call: call.clone(), key, verdict });
            }
            (_, command) if held.parked.len() < PARKED => held.parked.push_back(command),
            _ => {}
        }
    }

    /// The call is this worker's: what was said meanwhile is said now.
    pub(super) fn unpark(&mut self, now: Timestamp, call: &CallId) {
        let Some(held) = self.calls.get_mut(call) else { return };
        held.moving = None;
        for command in std::mem::take(&mut held.parked) {
            self.handle_command(now, call, command);
        }
    }

    /// The call may move.
    pub(super) fn begin_move(&mut self, now: Timestamp, call: &CallId) {
        let is_draining = self.admission.is_draining();
        let Some(held) = self.calls.get_mut(call).filter(|held| is_draining && held.moving.is_none()) else {
            return;
        };
        held.write_snap();
        let refused = BTreeSet::from([self.id.clone()]);
        let fence = held.writer.record().fence();
        held.moving = Some(Move { to: None, refused, fence, until: now + ATTACHING });
        self.waits.insert((now + ATTACHING, call.clone()));
    }

    /// Carries a move on. Returns whether the call is still here.
    pub(super) fn advance_move(&mut self, now: Timestamp, call: &CallId) -> bool {
        let owner_line = self.owner_line(Why::Back);
        let Some(held) = self.calls.get_mut(call) else { return false };
        match &held.phase {
            Phase::Preparing { until, .. } if *until <= now => {
                self.give_up(now, call);
                return false;
            }
            Phase::Leaving { until } if *until <= now => {
                held.phase = Phase::Returning;
                held.writer.push(owner_line);
            }
            _ => {}
        }
        if held.phase != Phase::Serving {
            return true;
        }
        let is_idle = held.writer.is_idle();
        match &mut held.moving {
            Some(moving) if moving.until <= now => held.moving = None,
            Some(moving) if moving.to.is_none() && is_idle => {
                match self.recovery.workers.choose(&Wants::new(), &moving.refused) {
                    None => held.moving = None, // nobody takes it now
                    Some(to) => {
                        moving.to = Some(to.clone());
                        moving.fence = held.writer.record().fence();
                        let offer =
                            Offer { call: call.clone(), state: Offered::Moving { of: self.id.clone() } };
                        self.ask(Asking::Move(call.clone()), Request::Offer { to, offer });
                    }
                }
            }
            Some(_) | None => {}
        }
        true
    }

    /// What a worker says to the offer of a call that moves.
    pub(super) fn handle_move_answer(&mut self, call: CallId, answer: &Answer) {
        let Some(moving) = self.calls.get_mut(&call).and_then(|held| held.moving.as_mut()) else { return };
        if !matches!(answer, Answer::Offered(OfferAnswer::Taken)) {
            moving.refused.extend(moving.to.take());
            self.dirty.insert(call);
        }
    }

    /// The worker to which a call was offered is attached, and asks for it.
    pub(super) fn let_go(&mut self, now: Timestamp, call: &CallId, by: &WorkerId) -> OfferAnswer {
        let Some(held) = self.calls.get_mut(call) else { return OfferAnswer::Busy };
        let is_for = held.moving.as_ref().is_some_and(|moving| moving.to.as_ref() == Some(by));
        if !is_for {
            return OfferAnswer::Busy;
        }
        if let Phase::Leaving { .. } = held.phase {
            return OfferAnswer::Taken; // asked twice
        }
        let is_unchanged =
            held.moving.as_ref().is_some_and(|moving| moving.fence == held.writer.record().fence());
        if held.phase != Phase::Serving || !is_unchanged || !held.writer.is_idle() || held.snap.is_some() {
            held.moving = None; // something has happened that the other one does not know
            return OfferAnswer::Busy;
        }
        let until = now + LETTING_GO;
        held.phase = Phase::Leaving { until };
        self.waits.insert((until, call.clone()));
        self.tell(Event::Paused { call: call.clone() });
        OfferAnswer::Taken
    }

    /// What the owner says to `Ready`.
    pub(super) fn handle_ready_answer(&mut self, now: Timestamp, call: CallId, answer: &Answer) {
        let line = self.owner_line(Why::Moved);
        let Some(held) = self.calls.get_mut(&call) else { return };
        if !matches!(held.phase, Phase::Preparing { .. }) {
            return;
        }
        if !matches!(answer, Answer::Offered(OfferAnswer::Taken)) {
            return self.give_up(now, &call);
        }
        held.phase = Phase::Owning(Why::Moved);
        held.writer.push(line);
        self.dirty.insert(call);
    }

    /// The call does not move here.
    fn give_up(&mut self, now: Timestamp, call: &CallId) {
        self.drop_call(now, call);
        self.tell(Event::Stopped { call: call.clone() });
    }
}
