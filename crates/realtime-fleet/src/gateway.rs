//! A gateway as a machine: [`Gateway`], which announces a call and finds a worker for it.
//!
//! Its contract is that of a [`Worker`](crate::worker::Worker): poll outputs, carry out requests, answer
//! each.
//!
//! The rules kept here: a call is announced before it is offered, so that it is found if the gateway dies.
//! Calls that come while others are being announced are announced together. A call of a tenant with a limit
//! takes a slot first, and is announced and offered only while the slot is sure. A full fleet is told at
//! once; no call waits in silence. Where nobody took a call for sure, a last line is written into its
//! journal, and if it can't be written somebody did take it.

mod admit;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use realtime_protocol::time::{Timestamp, UnixTime};

use crate::board::WorkerSeen;
use crate::engine::{Answer, Card, Key, Offer, OfferAnswer, Offered, Push, Request, RequestId};
use crate::entropy::Entropy;
use crate::id::{CallId, Tenant, WorkerId};
use crate::line::{Line, Placing};
use crate::money::{Day, MoneyLimit};
use crate::placement::{Wants, Workers};
use crate::purse::Purse;
use crate::quota::{self, Quota, Waiter};
use crate::record::CallRecord;
use crate::writer::{Step, Writer, Written};

/// Workers that are asked for one call.
const OFFERS: usize = 5;
/// How long until a question that was not answered is asked again.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a call is tried to be placed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A call that is to be placed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewCall {
    /// What its worker is told.
    pub placing: Placing,
    /// What it wants of its worker.
    pub wants: Wants,
    /// How many calls its tenant may have in the fleet. All gateways that place calls of the tenant say the
    /// same: a call without a limit is not counted.
    pub tenant_limit: Option<u32>,
    /// What its tenant may spend in a day of UTC. All gateways of the tenant say the same.
    pub money: Option<MoneyLimit>,
}

impl NewCall {
    /// A call for any worker, without a limit.
    pub fn new(placing: Placing) -> Self {
        Self { placing, wants: Wants::default(), tenant_limit: None, money: None }
    }

    /// Replaces what it wants of its worker.
    #[must_use]
    pub fn wants(mut self, wants: Wants) -> Self {
        self.wants = wants;
        self
    }

    /// Replaces how many calls its tenant may have.
    #[must_use]
    pub const fn tenant_limit(mut self, limit: u32) -> Self {
        self.tenant_limit = Some(limit);
        self
    }

    /// Replaces what its tenant may spend in a day.
    #[must_use]
    pub const fn money(mut self, limit: MoneyLimit) -> Self {
        self.money = Some(limit);
        self
    }
}

/// Why a call was not placed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// No worker has room: tell the caller that the line is busy.
    #[error("no worker has room for the call")]
    Full,
    /// The tenant has as many calls as it may have.
    #[error("the tenant has as many calls as it may have")]
    TenantFull,
    /// The tenant has spent what it may today.
    #[error("the tenant has spent what it may today")]
    BudgetSpent,
    /// No worker is known that has what the call wants: start one.
    #[error("there is no worker that has what the call wants")]
    NoWorker,
    /// What its worker is to be told is larger than a message of the engine: keep most of it elsewhere.
    #[error("the call's metadata are larger than a message of the engine")]
    TooLarge,
    /// The engine does not answer. The call may still come to a worker.
    #[error("the engine does not answer")]
    EngineAway,
}

/// What a gateway's driver is to do.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver carries out each of them")]
pub enum GatewayOutput {
    /// Ask the engine.
    Request(RequestId, Request),
    /// The call has a worker, or has none. Told once for each call.
    Placed {
        /// Which call.
        call: CallId,
        /// The worker, where it is known.
        result: Result<Option<WorkerId>, PlaceError>,
    },
    /// What comes of a [`Gateway::check`].
    Checked {
        /// Which question.
        id: u64,
        /// Whether there is room.
        result: Result<(), PlaceError>,
    },
}

#[derive(Clone, Debug)]
enum State {
    /// It is to be announced, or is being announced.
    Announcing,
    /// A worker is asked.
    Offering,
    /// Nobody takes it: the last line is being written.
    Refusing(PlaceError, Box<Writer>),
}

impl State {
    fn poll_timeout(&self) -> Option<Timestamp> {
        match self {
            Self::Announcing | Self::Offering => None,
            Self::Refusing(_, writer) => writer.poll_timeout(),
        }
    }
}

#[derive(Clone, Debug)]
struct Placement {
    new: NewCall,
    /// The gateway's name when it found a slot, or was announced last.
    by: WorkerId,
    refused: BTreeSet<WorkerId>,
    offers: usize,
    state: State,
    until: Timestamp,
}

impl Placement {
    /// Whether it may be announced and offered: without a slot that is sure, it may be one too many.
    fn may_be_placed(&self, quota: &Quota, now: Timestamp) -> bool {
        self.new.tenant_limit.is_none() || quota.may_place(now, &self.by)
    }
}

#[derive(Clone, Debug)]
enum Asking {
    Announcement(Vec<CallId>),
    Journal(CallId),
    Offer(CallId, WorkerId),
    Lease(WorkerId),
    Quota(quota::Asked, u32),
    Purse(Tenant),
}

/// A gateway.
#[derive(Debug)]
pub struct Gateway {
    ttl: Duration,
    workers: Workers,
    entropy: Entropy,
    quota: Quota,
    purse: Purse<(Waiter, NewCall)>,
    /// Calls that wait for a slot of their tenants.
    waiting: BTreeMap<CallId, NewCall>,
    placements: BTreeMap<CallId, Placement>,
    /// Calls that wait to be announced: until others are, or until then.
    unannounced: Vec<CallId>,
    is_announcing: bool,
    announces_at: Timestamp,
    doubted: BTreeSet<WorkerId>,
    asked: BTreeMap<RequestId, Asking>,
    requests: u64,
    outputs: VecDeque<GatewayOutput>,
}

impl Gateway {
    /// A gateway. `ttl`: how long the fleet's leases are. `entropy`: random bits that no other gateway has.
    pub fn new(ttl: Duration, entropy: u64) -> Self {
        let mut entropy = Entropy::new(entropy);
        Self {
            ttl,
            workers: Workers::new(entropy.bits()),
            quota: Quota::new(ttl, entropy.bits()),
            entropy,
            purse: Purse::new(),
            waiting: BTreeMap::new(),
            placements: BTreeMap::new(),
            unannounced: Vec::new(),
            is_announcing: false,
            announces_at: Timestamp::ZERO,
            doubted: BTreeSet::new(),
            asked: BTreeMap::new(),
            requests: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Places a call, under a new name.
    pub fn place(&mut self, now: Timestamp, new: NewCall) -> CallId {
        let bits = u128::from(self.entropy.bits()) << 64 | u128::from(self.entropy.bits());
        let call = CallId::of_bits(bits);
        if self.workers.len() == 0 {
            self.finish(&call, Err(PlaceError::NoWorker));
        } else {
            self.admit(now, Waiter::Place(call.clone()), new);
        }
        call
    }

    /// The wall clock's time: what a tenant may spend is counted by its days. Say it before
    /// [`place`](Self::place) and [`check`](Self::check), where calls have a limit of money.
    pub fn handle_wall(&mut self, wall: UnixTime) {
        self.purse.handle_day(Day::of(wall));
    }

    fn begin(&mut self, now: Timestamp, call: &CallId, new: NewCall) {
        let placement = Placement {
            new,
            by: self.quota.name().clone(),
            refused: BTreeSet::new(),
            offers: 0,
            state: State::Announcing,
            until: now + PATIENCE,
        };
        self.placements.insert(call.clone(), placement);
        self.unannounced.push(call.clone());
        self.announce(now);
    }

    /// A request was answered.
    pub fn handle_answer(&mut self, now: Timestamp, request: RequestId, answer: Answer) {
        match self.asked.remove(&request) {
            None => {}
            Some(Asking::Quota(asked, life)) => {
                self.quota.handle_answer(now, asked, life, answer);
                self.advance_quota(now);
            }
            Some(Asking::Purse(tenant)) => {
                if let Some(put) = self.purse.handle_answer(now, &tenant, &answer) {
                    self.requests += 1; // nobody waits for its answer
                    self.outputs.push_back(GatewayOutput::Request(RequestId(self.requests), put));
                }
                self.advance_quota(now);
            }
            Some(Asking::Lease(worker)) => {
                self.doubted.remove(&worker);
                match answer {
                    Answer::Lease(None) => self.workers.remove(&worker),
                    Answer::Lease(Some(_)) => self.workers.handle_alive(now, &worker),
                    // The engine is away: asked again a little later.
                    _ => self.workers.handle_alive(now - self.ttl + AGAIN, &worker),
                }
            }
            Some(Asking::Announcement(calls)) => self.handle_announced(now, calls, &answer),
            Some(Asking::Journal(call)) => {
                let Some(State::Refusing(_, writer)) = self.state(&call) else { return };
                let written = match answer {
                    Answer::Done(sequence) => writer.handle_appended(sequence),
                    Answer::Lines(lines) => writer.handle_read(now, &lines),
                    _ => {
                        writer.handle_unclear(now);
                        None
                    }
                };
                match written {
                    Some(written) => self.handle_written(now, &call, &written),
                    None => self.advance(now, &call),
                }
            }
            Some(Asking::Offer(call, to)) => self.handle_offered(now, &call, to, &answer),
        }
    }

    /// The engine tells something.
    pub fn handle_push(&mut self, now: Timestamp, push: Push) {
        match push {
            Push::Renewed(worker, card) => self.workers.handle_card(now, worker, card),
            Push::Ended(worker) => self.doubt(worker),
            Push::Put(Key::Slots(tenant), value) => self.quota.handle_table(&tenant, &value),
            Push::Put(..) => {}
            Push::Over(call) => self.quota.handle_over(now, &call),
            Push::Back => self.quota.handle_back(now),
        }
        self.advance_quota(now);
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come. Too early is no harm.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        for worker in self.workers.silent_since(now - self.ttl) {
            self.doubt(worker);
        }
        let over = self.placements.iter().filter(|(_, placement)| placement.until <= now);
        let over: Vec<CallId> = over.map(|(call, _)| call.clone()).collect();
        for call in over {
            self.finish(&call, Err(PlaceError::EngineAway));
        }
        self.announce(now);
        let waiting = |placement: &Placement| placement.state.poll_timeout().is_some_and(|at| at <= now);
        let due = self.placements.iter().filter(|(_, placement)| waiting(placement));
        let due: Vec<CallId> = due.map(|(call, _)| call.clone()).collect();
        for call in due {
            self.advance(now, &call);
        }
        self.quota.handle_timeout(now);
        self.advance_quota(now);
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<GatewayOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let placements = self.placements.values();
        let times = placements.flat_map(|placement| [Some(placement.until), placement.state.poll_timeout()]);
        let announces =
            Some(self.announces_at).filter(|_| !self.is_announcing && !self.unannounced.is_empty());
        times
            .chain([self.workers.next_silent(self.ttl, |worker| self.doubted.contains(worker)), announces])
            .chain([self.quota.poll_timeout(), self.purse.poll_timeout()])
            .flatten()
            .min()
    }

    /// Asks whether a worker has room for a call, as the cards say it, and whether its tenant may have one
    /// more, where so many others are about to be placed besides. The answer is a
    /// [`GatewayOutput::Checked`]; workers may still refuse. `id`: what the answer is known by.
    pub fn check(&mut self, now: Timestamp, id: u64, new: &NewCall, besides: usize) {
        let result = match self.hears_workers(now) {
            false => Err(PlaceError::EngineAway),
            true if self.workers.len() == 0 => Err(PlaceError::NoWorker),
            true if self.workers.room(&new.wants) <= besides as u64 => Err(PlaceError::Full),
            true => Ok(()),
        };
        let who = Waiter::Check { id, besides: u32::try_from(besides).unwrap_or(u32::MAX) };
        match result {
            Ok(()) => self.admit(now, who, new.clone()),
            Err(error) => self.decide(now, who, None, Err(error)),
        }
    }

    /// Whether some worker was heard within a lease, if any is known: otherwise the engine is away.
    pub fn hears_workers(&self, now: Timestamp) -> bool {
        let newest = self.workers.cards().map(|(_, _, heard)| heard).max();
        newest.is_none_or(|heard| now.saturating_since(heard) <= self.ttl)
    }

    /// The workers that it knows, as their cards show them.
    pub fn cards(&self, now: Timestamp) -> Vec<WorkerSeen> {
        let seen = |(worker, card, heard): (&WorkerId, &Card, Timestamp)| WorkerSeen {
            worker: worker.clone(),
            card: card.clone(),
            age: now.saturating_since(heard),
        };
        self.workers.cards().map(seen).collect()
    }

    /// How many workers it knows.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Announces the calls that wait for it, unless others are being announced.
    fn announce(&mut self, now: Timestamp) {
        if self.is_announcing || now < self.announces_at {
            return;
        }
        let by = self.quota.name().clone();
        let mut calls: Vec<(CallId, Placing)> = Vec::new();
        for call in std::mem::take(&mut self.unannounced) {
            // One that has waited too long is not placed any more.
            let Some(placement) = self.placements.get_mut(&call) else { continue };
            if placement.may_be_placed(&self.quota, now) {
                placement.by = by.clone();
                calls.push((call, placement.new.placing.clone()));
            } else {
                self.refuse(now, &call, PlaceError::EngineAway);
            }
        }
        if !calls.is_empty() {
            self.is_announcing = true;
            let names = calls.iter().map(|(call, _)| call.clone()).collect();
            self.ask(Asking::Announcement(names), Request::Announce { by, calls });
        }
    }

    fn handle_announced(&mut self, now: Timestamp, calls: Vec<CallId>, answer: &Answer) {
        self.is_announcing = false;
        match answer {
            Answer::Done(_) => calls.iter().for_each(|call| self.offer(now, call)),
            _ => {
                self.announces_at = now + AGAIN;
                self.unannounced.extend(calls);
            }
        }
        self.announce(now);
    }

    fn handle_written(&mut self, now: Timestamp, call: &CallId, written: &Written) {
        let Some(placement) = self.placements.get(call) else { return };
        let State::Refusing(error, _) = &placement.state else { return };
        let (error, tenant) = (*error, placement.new.placing.tenant.clone());
        match written {
            Written::Line(_) => {
                self.finish(call, Err(error));
                self.release(now, &tenant, call);
            }
            // Somebody has it after all.
            Written::Fenced | Written::Refused(..) => self.finish(call, Ok(None)),
        }
    }

    fn state(&mut self, call: &CallId) -> Option<&mut State> {
        self.placements.get_mut(call).map(|placement| &mut placement.state)
    }

    fn offer(&mut self, now: Timestamp, call: &CallId) {
        let Some(placement) = self.placements.get_mut(call) else { return };
        if !placement.may_be_placed(&self.quota, now) {
            return self.refuse(now, call, PlaceError::EngineAway);
        }
        let to = match placement.offers < OFFERS {
            true => self.workers.choose(&placement.new.wants, &placement.refused),
            false => None,
        };
        let Some(to) = to else { return self.refuse(now, call, PlaceError::Full) };
        placement.state = State::Offering;
        placement.offers += 1;
        let state = Offered::New { gateway: placement.by.clone(), placing: placement.new.placing.clone() };
        let offer = Offer { call: call.clone(), state };
        self.ask(Asking::Offer(call.clone(), to.clone()), Request::Offer { to, offer });
    }

    fn handle_offered(&mut self, now: Timestamp, call: &CallId, to: WorkerId, answer: &Answer) {
        let Some(placement) = self.placements.get_mut(call) else { return };
        if let Answer::Offered(OfferAnswer::Taken) = answer {
            self.finish(call, Ok(Some(to)));
            return;
        }
        placement.refused.insert(to.clone());
        if !matches!(answer, Answer::Offered(_)) {
            self.doubt(to);
        }
        self.offer(now, call);
    }

    /// Nobody is to take the call any more.
    fn refuse(&mut self, now: Timestamp, call: &CallId, error: PlaceError) {
        let Some(placement) = self.placements.get_mut(call) else { return };
        let mut writer = Writer::new(placement.by.clone(), CallRecord::new());
        let why = match error {
            PlaceError::Full => "no worker has room",
            _ => "its gateway was cut off",
        };
        writer.push(Line::Ended { why: why.to_owned() });
        placement.state = State::Refusing(error, Box::new(writer));
        self.advance(now, call);
    }

    fn advance(&mut self, now: Timestamp, call: &CallId) {
        let Some(State::Refusing(_, writer)) = self.state(call) else { return };
        let step = writer.poll(now);
        let call = call.clone();
        match step {
            Some(Ok(Step::Append(after, entry))) => {
                self.ask(Asking::Journal(call.clone()), Request::Append { call, after, entry });
            }
            Some(Ok(Step::Read)) => self.ask(Asking::Journal(call.clone()), Request::Read { call }),
            Some(Err(written)) => self.handle_written(now, &call, &written),
            None => {}
        }
    }

    fn finish(&mut self, call: &CallId, result: Result<Option<WorkerId>, PlaceError>) {
        self.placements.remove(call);
        self.outputs.push_back(GatewayOutput::Placed { call: call.clone(), result });
    }

    fn doubt(&mut self, worker: WorkerId) {
        if self.workers.contains(&worker) && self.doubted.insert(worker.clone()) {
            self.ask(Asking::Lease(worker.clone()), Request::ReadLease { worker });
        }
    }

    fn ask(&mut self, asking: Asking, request: Request) {
        self.requests += 1;
        self.asked.insert(RequestId(self.requests), asking);
        self.outputs.push_back(GatewayOutput::Request(RequestId(self.requests), request));
    }
}

#[cfg(test)]
mod tests;
