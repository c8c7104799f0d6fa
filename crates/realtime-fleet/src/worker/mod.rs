//! A worker as a machine: [`Worker`]. It holds a lease, says yes or no to offers, writes the journals of its
//! calls, and looks after the lost calls of others.
//!
//! # Contract
//!
//! After any `handle_*`, poll outputs until `None`, then read [`poll_timeout`](Worker::poll_timeout). Carry
//! out each [`Output::Request`] and give its answer back, in any order; one that was not answered in time is
//! [`Answer::Unclear`].
//!
//! # Six rules
//!
//! 1. Without a valid lease a worker starts nothing that cannot be undone, and drops nothing: it drops a call
//!    only when the journal says that somebody else has it.
//! 2. Whose a call is stands in its journal and nowhere else.
//! 3. Only a worker's key itself, read alone, says that the worker is dead.
//! 4. A lost call is looked after until its adopter's line is in the journal.
//! 5. Lost calls are offered, not queued.
//! 6. A refusal and a missing answer say nothing: what stands there is read.

mod calls;
mod event;
mod figures;
mod held;
mod moving;
mod options;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use realtime_protocol::time::{Timestamp, UnixTime};

use crate::admission::{Admission, Asked};
use crate::engine::{Answer, Card, Offer, OfferAnswer, Offered, Push, Request, RequestId};
use crate::entropy::Entropy;
use crate::id::{CallId, Tenant, WorkerId};
use crate::lease::{Lease, LeaseStep};
use crate::line::{Line, Why};
use crate::record::LineError;
use crate::recovery::{Ask, Recovery};
use crate::snapshot::SNAPSHOT_VERSION;
use crate::spend::{self, Spending};
use crate::worker::held::{Held, Phase};

pub use crate::worker::event::{Command, Event, OfferId, Output, PlacedCall, Verdict};
pub use crate::worker::figures::Figures;
pub use crate::worker::options::WorkerOptions;

/// Tenants that a card names.
const TENANTS: usize = 64;

/// What an answer belongs to.
#[derive(Clone, Debug)]
enum Asking {
    Renewal,
    LeaseRead,
    Journal(CallId),
    Adoption(CallId),
    Move(CallId),
    Ready(CallId),
    Recovery(Ask),
    Spending(spend::Of),
    Release,
    Forget,
}

/// A worker.
#[derive(Debug)]
pub struct Worker {
    options: WorkerOptions,
    id: WorkerId,
    process: u64,
    life: u32,
    lease: Lease,
    /// The lease is new, and the calls are to be taken back under it.
    is_new: bool,
    admission: Admission,
    recovery: Recovery,
    /// Whether it looks after lost calls at this time: only with a valid lease.
    watches: bool,
    calls: BTreeMap<CallId, Held>,
    /// Calls whose writer may have something to ask.
    dirty: BTreeSet<CallId>,
    waits: BTreeSet<(Timestamp, CallId)>,
    asked: BTreeMap<RequestId, Asking>,
    requests: u64,
    spending: Spending,
    released: bool,
    outputs: VecDeque<Output>,
    figures: Figures,
}

impl Worker {
    /// A worker that begins now. `entropy`: random bits that no other worker has; its name is made of them.
    pub fn new(now: Timestamp, options: WorkerOptions, entropy: u64) -> Self {
        let mut seed = Entropy::new(entropy);
        let process = seed.bits();
        let id = WorkerId::of_bits(process, 0);
        let recovery = Recovery::new(now, id.clone(), options.lease.ttl, seed.bits());
        let mut worker = Self {
            spending: Spending::new(id.clone()),
            id,
            process,
            life: 0,
            lease: options.new_lease(now),
            is_new: true,
            admission: Admission::new(options.admission),
            recovery,
            watches: false,
            calls: BTreeMap::new(),
            dirty: BTreeSet::new(),
            waits: BTreeSet::new(),
            asked: BTreeMap::new(),
            requests: 0,
            released: false,
            outputs: VecDeque::new(),
            figures: Figures::default(),
            options,
        };
        worker.tell(Event::Named(worker.id.clone()));
        worker.advance(now);
        worker
    }

    /// A request was answered.
    pub fn handle_answer(&mut self, now: Timestamp, request: RequestId, answer: Answer) {
        match self.asked.remove(&request) {
            None | Some(Asking::Forget) => {}
            Some(Asking::Release) => self.tell(Event::Drained),
            Some(Asking::Renewal) => self.handle_renewal(now, &answer),
            Some(Asking::LeaseRead) => match answer {
                Answer::Lease(found) => self.lease.handle_read(now, found),
                _ => self.lease.handle_unread(now),
            },
            Some(Asking::Journal(call)) => self.handle_journal(now, call, answer),
            Some(Asking::Adoption(call)) => self.handle_adoption(now, call, &answer),
            Some(Asking::Move(call)) => self.handle_move_answer(call, &answer),
            Some(Asking::Ready(call)) => self.handle_ready_answer(now, call, &answer),
            Some(Asking::Spending(of)) => self.spending.handle_answer(now, &of, answer),
            Some(Asking::Recovery(ask)) => self.recovery.handle_answer(now, ask, answer),
        }
        self.advance(now);
    }

    /// The engine tells something.
    pub fn handle_push(&mut self, now: Timestamp, push: Push) {
        match push {
            Push::Renewed(worker, card) => self.recovery.handle_card(now, worker, card),
            Push::Ended(worker) if worker == self.id => {}
            Push::Ended(worker) => self.recovery.handle_ended(now, worker),
            Push::Put(..) | Push::Over(_) => {}
            Push::Back => {
                self.lease.hurry(now);
                self.recovery.handle_back(now);
            }
        }
        self.advance(now);
    }

    /// A call is offered. The answer is an [`Output::Reply`].
    pub fn handle_offer(&mut self, now: Timestamp, id: OfferId, offer: Offer) {
        let asked = match &offer.state {
            Offered::New { .. } | Offered::Moving { .. } => Asked::New,
            Offered::Lost { .. } => Asked::Lost,
            Offered::Ready { by } => {
                let answer = self.let_go(now, &offer.call, by);
                self.outputs.push_back(Output::Reply(id, answer));
                return self.advance(now);
            }
        };
        let answer = match self.calls.contains_key(&offer.call) {
            true => OfferAnswer::Taken, // offered twice
            false => {
                let answer = self.admission.answer(
                    now,
                    asked,
                    self.calls.len(),
                    self.lease.may_act(now) && !self.is_new,
                );
                if answer == OfferAnswer::Taken {
                    self.take(offer);
                }
                answer
            }
        };
        self.figures.answered(answer);
        self.outputs.push_back(Output::Reply(id, answer));
        self.advance(now);
    }

    /// The application says something of a call. Of a call that is not here any more, nothing comes of it.
    pub fn handle_command(&mut self, now: Timestamp, call: &CallId, command: Command) {
        let Some(held) = self.calls.get_mut(call) else { return };
        if held.phase != Phase::Serving {
            self.handle_early(now, call, command);
            return self.advance(now);
        }
        let line = match command {
            Command::Claim { key, name, on_takeover, call } => Line::Claim { key, name, on_takeover, call },
            Command::Result { key, output } => Line::Result { key, output },
            Command::Delivered { key } => Line::Delivered { key },
            Command::End { why } => Line::Ended { why },
            Command::Ready => return,
            Command::Move => {
                self.begin_move(now, call);
                self.dirty.insert(call.clone());
                return self.advance(now);
            }
            Command::Snap(ref snapshot) | Command::SnapAtOnce(ref snapshot) => {
                match snapshot.body() {
                    Ok(body) => {
                        held.snap = Some(body);
                        if matches!(command, Command::SnapAtOnce(_)) {
                            held.write_snap();
                        }
                    }
                    Err(error) => self.tell(Event::Unsaved { call: call.clone(), why: error.to_string() }),
                }
                self.dirty.insert(call.clone());
                self.advance(now);
                return;
            }
        };
        let key = match &line {
            Line::Claim { key, .. } => Some(key.clone()),
            _ => None,
        };
        if let (false, Some(key)) = (held.writer.push(line), key) {
            let verdict = Verdict::Refused(LineError::TooMany);
            self.tell(Event::Function { call: call.clone(), key, verdict });
        }
        self.dirty.insert(call.clone());
        self.advance(now);
    }

    /// A call of this tenant has cost so much here so far, in millionths of the currency. Say it every
    /// second or so, where it has changed, and once more when the call is not here any more. `wall`: the time
    /// of day, since what a tenant may spend is counted by days of UTC.
    pub fn handle_spent(
        &mut self,
        now: Timestamp,
        wall: UnixTime,
        call: &CallId,
        tenant: &Tenant,
        total: u64,
    ) {
        let is_last = !self.calls.contains_key(call);
        self.spending.handle_spent(now, wall, call, tenant, total, is_last);
        self.advance(now);
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come. Too early is no harm.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
    }

    /// How late the runtime's tasks start: the 99th percentile of the last seconds.
    pub fn handle_lateness(&mut self, lateness: Duration) {
        self.admission.handle_lateness(lateness);
    }

    /// Takes no more calls. [`Event::Drained`] comes when the last one has ended and the lease is given up.
    pub fn drain(&mut self, now: Timestamp) {
        self.admission.drain();
        self.lease.hurry(now);
        self.advance(now);
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.released {
            return None; // nothing is left but the answer
        }
        let recovery = self.recovery.poll_timeout().filter(|_| self.watches);
        let waits = self.waits.first().map(|(at, _)| *at);
        let spending = self.spending.poll_timeout();
        [self.lease.poll_timeout(), recovery, waits, spending].into_iter().flatten().min()
    }

    /// Whether something that cannot be undone may be done now for this call: a function run, a command sent
    /// to the model. Ask in the very step in which it is done.
    pub fn may_act(&self, now: Timestamp, call: &CallId) -> bool {
        let is_mine = |held: &Held| {
            held.phase == Phase::Serving
                && (!self.options.checks || held.writer.record().owner() == Some(&self.id))
        };
        self.lease.may_act(now) && self.calls.get(call).is_some_and(is_mine)
    }

    /// Until when the answer of [`may_act`](Self::may_act) holds, unless something else is heard.
    pub const fn good_until(&self) -> Timestamp {
        self.lease.good_until()
    }

    /// Its name in this life.
    pub const fn id(&self) -> &WorkerId {
        &self.id
    }

    /// The calls that it has, with those that it is about to have.
    pub fn calls(&self) -> impl Iterator<Item = &CallId> {
        self.calls.keys()
    }

    /// What it holds, and what it has counted.
    pub fn figures(&self) -> Figures {
        Figures { held: self.calls.len(), lost: self.recovery.waiting(), ..self.figures.clone() }
    }

    /// The lost calls of others that it knows of.
    pub fn lost_calls(&self) -> usize {
        self.recovery.waiting()
    }

    /// How many workers it knows.
    pub fn workers(&self) -> usize {
        self.recovery.workers.len()
    }

    fn handle_renewal(&mut self, now: Timestamp, answer: &Answer) {
        let Answer::Done(sequence) = answer else {
            self.lease.handle_unclear(now);
            return;
        };
        self.lease.handle_renewed(*sequence);
        if !std::mem::take(&mut self.is_new) {
            return;
        }
        if self.life > 0 {
            self.recovery.handle_back(now);
        }
        let line = self.owner_line(Why::Back);
        for (call, held) in &mut self.calls {
            if held.writer.record().owner() != Some(&self.id) && !held.phase.is_anothers() {
                held.writer.rename(self.id.clone(), line.clone());
                self.dirty.insert(call.clone());
            }
        }
    }

    /// Carries on whatever can go on.
    fn advance(&mut self, now: Timestamp) {
        self.advance_lease(now);
        while let Some((at, _)) = self.waits.first()
            && *at <= now
        {
            let (_, call) = self.waits.pop_first().expect("there is a first one");
            self.dirty.insert(call);
        }
        while let Some(call) = self.dirty.pop_first() {
            self.advance_call(now, &call);
        }
        while let Some((of, request)) = self.spending.poll(now, self.admission.is_draining()) {
            self.ask(Asking::Spending(of), request);
        }
        while let Some(call) = self.spending.poll_over() {
            self.tell(Event::Overspent { call });
        }
        self.watches = self.options.looks_after_others && !self.released && self.lease.may_act(now);
        while self.watches {
            let Some(ask) = self.recovery.poll(now) else { break };
            let request = match &ask {
                Ask::Lease(worker) => Request::ReadLease { worker: worker.clone() },
                Ask::List(of) => Request::List { of: of.clone(), shards: self.recovery.shards() },
                Ask::Check(call) => Request::Read { call: call.clone() },
                Ask::Offer(offer, to) => Request::Offer { to: to.clone(), offer: offer.clone() },
            };
            self.ask(Asking::Recovery(ask), request);
        }
    }

    fn advance_lease(&mut self, now: Timestamp) {
        if self.released {
            return;
        }
        if self.lease.is_lost() {
            self.begin_life(now);
        }
        let is_done = self.calls.is_empty() && self.spending.is_kept();
        if self.admission.is_draining() && is_done && !self.is_new {
            self.released = true;
            self.ask(Asking::Release, Request::Release { worker: self.id.clone() });
            return;
        }
        match self.lease.poll(now) {
            Some(LeaseStep::Renew(after)) => {
                let (worker, card) = (self.id.clone(), self.card());
                self.ask(Asking::Renewal, Request::Renew { worker, after, card });
            }
            Some(LeaseStep::Read) => {
                self.ask(Asking::LeaseRead, Request::ReadLease { worker: self.id.clone() });
            }
            None => {}
        }
    }

    /// The lease is gone, and with it this worker's name. The calls stay until their journals say otherwise.
    fn begin_life(&mut self, now: Timestamp) {
        self.lease = self.options.new_lease(now);
        self.is_new = true;
        self.asked.retain(|_, asking| !matches!(asking, Asking::Renewal | Asking::LeaseRead));
        self.life += 1;
        self.id = WorkerId::of_bits(self.process, self.life);
        self.recovery.rename(self.id.clone());
        self.tell(Event::Named(self.id.clone()));
    }

    fn card(&self) -> Card {
        let mut tenants: BTreeMap<Tenant, u32> = BTreeMap::new();
        for placing in self.calls.values().filter_map(|held| held.writer.record().placing()) {
            if tenants.len() < TENANTS || tenants.contains_key(&placing.tenant) {
                *tenants.entry(placing.tenant.clone()).or_default() += 1;
            }
        }
        Card {
            slots: self.admission.slots(),
            calls: u32::try_from(self.calls.len()).unwrap_or(u32::MAX),
            draining: self.admission.is_draining(),
            reads: SNAPSHOT_VERSION,
            labels: self.options.labels.clone(),
            tenants,
        }
    }

    fn owner_line(&self, why: Why) -> Line {
        Line::Owner { worker: self.id.clone(), epoch: 0, why } // the writer knows the epoch
    }

    fn ask(&mut self, asking: Asking, request: Request) {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.asked.insert(id, asking);
        self.outputs.push_back(Output::Request(id, request));
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

#[cfg(test)]
mod tests;
