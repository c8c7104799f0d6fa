//! The calls of a worker: how one comes, what its journal answers, and how it goes.

use realtime_protocol::time::Timestamp;

use crate::engine::{Answer, Offer, Offered, Request};
use crate::id::CallId;
use crate::line::{Line, Why};
use crate::record::CallRecord;
use crate::snapshot::Resume;
use crate::worker::held::{Held, Move, Phase};
use crate::worker::{Asking, Event, Verdict, Worker};
use crate::writer::{Step, Written};

impl Worker {
    pub(super) fn take(&mut self, offer: Offer) {
        let call = offer.call;
        let held = match offer.state {
            Offered::New { gateway, placing } => {
                let mut held = self.hold(CallRecord::new(), Phase::Owning(Why::Placed));
                held.writer.push(Line::Placed {
                    worker: self.id.clone(),
                    gateway,
                    placing: Box::new(placing),
                });
                held
            }
            Offered::Lost { of } => {
                self.ask(Asking::Adoption(call.clone()), Request::Read { call: call.clone() });
                self.hold(CallRecord::new(), Phase::Reading { of })
            }
            Offered::Moving { of } => {
                self.ask(Asking::Adoption(call.clone()), Request::Read { call: call.clone() });
                self.hold(CallRecord::new(), Phase::Fetching { of })
            }
            Offered::Ready { .. } => return,
        };
        self.calls.insert(call.clone(), held);
        self.dirty.insert(call);
    }

    pub(super) fn hold(&self, record: CallRecord, phase: Phase) -> Held {
        Held::new(self.id.clone(), record, phase, self.options.snapshot_pace)
    }

    pub(super) fn handle_adoption(&mut self, now: Timestamp, call: CallId, answer: &Answer) {
        let Some(held) = self.calls.get_mut(&call) else { return };
        let (of, moves) = match &held.phase {
            Phase::Reading { of } => (of.clone(), false),
            Phase::Fetching { of } => (of.clone(), true),
            _ => return,
        };
        let Answer::Lines(lines) = answer else {
            self.drop_call(now, &call); // whoever offered it looks after it
            return;
        };
        let record = CallRecord::fold(lines);
        let is_sure = self.lease.may_act(now) && !self.is_new;
        // A later release may have written what this one can't read: the next worker is offered it.
        let is_readable = record.placing().is_some() && Resume::of(&record).is_ok();
        if !is_sure || record.owner() != Some(&of) || !is_readable {
            if record.is_over() {
                self.ask(Asking::Forget, Request::Forget { call: call.clone() });
            }
            self.drop_call(now, &call);
            return;
        }
        if moves {
            return self.prepare(now, call, of, record);
        }
        let mut held = self.hold(record, Phase::Owning(Why::Lost));
        held.writer.push(self.owner_line(Why::Lost));
        self.calls.insert(call.clone(), held);
        self.dirty.insert(call);
    }

    pub(super) fn handle_journal(&mut self, now: Timestamp, call: CallId, answer: Answer) {
        let Some(held) = self.calls.get_mut(&call) else { return };
        let written = match answer {
            Answer::Done(sequence) => {
                self.figures.lines += 1;
                held.writer.handle_appended(sequence)
            }
            Answer::Lines(lines) => held.writer.handle_read(now, &lines),
            _ => {
                held.writer.handle_unclear(now);
                None
            }
        };
        self.dirty.insert(call.clone());
        if let Some(written) = written {
            self.handle_written(now, &call, written);
        }
    }

    pub(super) fn handle_written(&mut self, now: Timestamp, call: &CallId, written: Written) {
        let Some(held) = self.calls.get_mut(call) else { return };
        match written {
            Written::Fenced => {
                let was_told = held.phase.is_begun();
                match held.moving {
                    Some(Move { to: Some(_), .. }) => self.figures.given_away += 1,
                    _ if was_told => self.figures.taken_away += 1,
                    _ => {}
                }
                self.drop_call(now, call);
                if was_told {
                    self.tell(Event::Stopped { call: call.clone() });
                }
            }
            Written::Line(Line::Placed { worker, .. }) if worker == self.id => {
                self.handle_owned(now, call, 1, Why::Placed);
            }
            Written::Line(Line::Owner { worker, epoch, why }) if worker == self.id => {
                self.handle_owned(now, call, epoch, why);
            }
            Written::Line(Line::Claim { key, .. }) => held.grants.push_back(key),
            Written::Line(Line::Result { key, .. }) => {
                self.tell(Event::Recorded { call: call.clone(), key });
            }
            Written::Line(Line::Ended { .. }) => {
                self.figures.ended += 1;
                self.drop_call(now, call);
                self.ask(Asking::Forget, Request::Forget { call: call.clone() });
                self.tell(Event::Stopped { call: call.clone() });
            }
            Written::Line(_) => {}
            Written::Refused(Line::Claim { key, .. }, error) => match held.verdict(&key, error) {
                Verdict::Run => held.grants.push_back(key),
                verdict => {
                    self.figures.unknown += u64::from(matches!(verdict, Verdict::Unknown | Verdict::Ask));
                    self.tell(Event::Function { call: call.clone(), key, verdict });
                }
            },
            // A result that is there already, or a call that is over: nothing is missing.
            Written::Refused(Line::Result { key, .. }, _) => {
                self.tell(Event::Recorded { call: call.clone(), key });
            }
            Written::Refused(..) => {}
        }
    }

    /// This worker's line as the owner is in the journal.
    fn handle_owned(&mut self, now: Timestamp, call: &CallId, epoch: u64, why: Why) {
        let Some(held) = self.calls.get_mut(call).filter(|held| held.phase != Phase::Serving) else { return };
        let was_begun = held.phase.is_begun();
        held.phase = Phase::Serving;
        self.figures.began(why);
        if was_begun {
            return self.unpark(now, call);
        }
        match held.begin(call, epoch, why) {
            Ok(placed) => self.tell(Event::Begin(Box::new(placed))),
            Err(_) => self.drop_call(now, call),
        }
    }

    pub(super) fn advance_call(&mut self, now: Timestamp, call: &CallId) {
        loop {
            let may_act = self.may_act(now, call);
            let Some(held) = self.calls.get_mut(call) else { return };
            if let Some(at) = held.advance_snap(now) {
                self.waits.insert((at, call.clone()));
            }
            if !self.advance_move(now, call) {
                return;
            }
            let Some(held) = self.calls.get_mut(call) else { return };
            if may_act && let Some(key) = held.grants.pop_front() {
                let verdict = Verdict::Run;
                self.tell(Event::Function { call: call.clone(), key, verdict });
                continue;
            }
            match held.writer.poll(now) {
                Some(Ok(step)) => {
                    let call = call.clone();
                    let request = match step {
                        Step::Append(after, entry) => Request::Append { call: call.clone(), after, entry },
                        Step::Read => Request::Read { call: call.clone() },
                    };
                    self.ask(Asking::Journal(call), request);
                }
                Some(Err(written)) => self.handle_written(now, call, written),
                None => {
                    if let Some(at) = held.writer.poll_timeout() {
                        self.waits.insert((at, call.clone()));
                    }
                    if !held.grants.is_empty() {
                        // Claimed, and the lease is in doubt: looked at again with the next renewal.
                        self.waits.insert((now + self.options.lease.renewal() / 8, call.clone()));
                    }
                    return;
                }
            }
        }
    }

    pub(super) fn drop_call(&mut self, now: Timestamp, call: &CallId) {
        self.calls.remove(call);
        if self.admission.is_draining() {
            self.lease.hurry(now);
        }
    }
}
