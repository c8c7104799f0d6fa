//! A gateway as a machine: [`Gateway`], which announces a call and finds a worker for it.
//!
//! Its contract is that of a [`Worker`](crate::worker::Worker): poll outputs, carry out requests, answer
//! each.
//!
//! The rules kept here: a call is announced before it is offered, so that it is found if the gateway dies.
//! Calls that come while others are being announced are announced together. A full fleet is told at once; no
//! call waits in silence. Where nobody took a call for sure, a last line is written into its journal, and if
//! it can't be written somebody did take it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::board::WorkerSeen;
use crate::engine::{Answer, Card, Offer, OfferAnswer, Offered, Push, Request, RequestId};
use crate::entropy::Entropy;
use crate::id::{CallId, WorkerId};
use crate::line::{Line, Placing};
use crate::placement::{Wants, Workers};
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
    /// How many calls its tenant may have in the fleet. Cards are a moment old, so a gateway may let a few
    /// more in that come at once, and each other gateway, too.
    pub tenant_limit: Option<u32>,
}

impl NewCall {
    /// A call for any worker, without a limit.
    pub fn new(placing: Placing) -> Self {
        Self { placing, wants: Wants::default(), tenant_limit: None }
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
    /// No worker is known that has what the call wants: start one.
    #[error("there is no worker that has what the call wants")]
    NoWorker,
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
    refused: BTreeSet<WorkerId>,
    offers: usize,
    state: State,
    until: Timestamp,
}

#[derive(Clone, Debug)]
enum Asking {
    Announcement(Vec<CallId>),
    Journal(CallId),
    Offer(CallId, WorkerId),
    Lease(WorkerId),
}

/// A gateway.
#[derive(Debug)]
pub struct Gateway {
    id: WorkerId,
    ttl: Duration,
    workers: Workers,
    entropy: Entropy,
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
        let id = WorkerId::new(format!("g_{:016x}", entropy.bits())).expect("hexadecimal digits are a name");
        Self {
            id,
            ttl,
            workers: Workers::new(entropy.bits()),
            entropy,
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
        if let Some(error) = self.refusal(&new, 0) {
            self.outputs.push_back(GatewayOutput::Placed { call: call.clone(), result: Err(error) });
            return call;
        }
        let (refused, state, until) = (BTreeSet::new(), State::Announcing, now + PATIENCE);
        self.placements.insert(call.clone(), Placement { new, refused, offers: 0, state, until });
        self.unannounced.push(call.clone());
        self.announce(now);
        call
    }

    /// A request was answered.
    pub fn handle_answer(&mut self, now: Timestamp, request: RequestId, answer: Answer) {
        match self.asked.remove(&request) {
            None => {}
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
                    Some(written) => self.handle_written(&call, &written),
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
            Push::Back => {}
        }
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
            .flatten()
            .min()
    }

    /// Whether a worker has room for a call, as the cards say it, where so many others are about to be placed
    /// besides. Workers may still refuse.
    ///
    /// # Errors
    /// [`PlaceError`]: what to tell the caller.
    pub fn check(&self, now: Timestamp, new: &NewCall, besides: usize) -> Result<(), PlaceError> {
        if !self.hears_workers(now) {
            return Err(PlaceError::EngineAway);
        }
        match self.refusal(new, besides) {
            Some(error) => Err(error),
            None if self.workers.room(&new.wants) <= besides as u64 => Err(PlaceError::Full),
            None => Ok(()),
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

    fn refusal(&self, new: &NewCall, besides: usize) -> Option<PlaceError> {
        if self.workers.len() == 0 {
            return Some(PlaceError::NoWorker);
        }
        let tenant = &new.placing.tenant;
        let placing = self.placements.values().filter(|other| other.new.placing.tenant == *tenant).count();
        let calls = self.workers.calls_of(tenant) as usize + placing + besides;
        new.tenant_limit.filter(|limit| calls >= *limit as usize).map(|_| PlaceError::TenantFull)
    }

    /// Announces the calls that wait for it, unless others are being announced.
    fn announce(&mut self, now: Timestamp) {
        if self.is_announcing || now < self.announces_at {
            return;
        }
        let waiting = std::mem::take(&mut self.unannounced).into_iter();
        // One that has waited too long is not placed any more.
        let calls = waiting.filter_map(|call| {
            let placing = self.placements.get(&call)?.new.placing.clone();
            Some((call, placing))
        });
        let calls: Vec<(CallId, Placing)> = calls.collect();
        if !calls.is_empty() {
            self.is_announcing = true;
            let names = calls.iter().map(|(call, _)| call.clone()).collect();
            self.ask(Asking::Announcement(names), Request::Announce { by: self.id.clone(), calls });
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

    fn handle_written(&mut self, call: &CallId, written: &Written) {
        let Some(State::Refusing(error, _)) = self.state(call) else { return };
        let error = *error;
        match written {
            Written::Line(_) => self.finish(call, Err(error)),
            // Somebody has it after all.
            Written::Fenced | Written::Refused(..) => self.finish(call, Ok(None)),
        }
    }

    fn state(&mut self, call: &CallId) -> Option<&mut State> {
        self.placements.get_mut(call).map(|placement| &mut placement.state)
    }

    fn offer(&mut self, now: Timestamp, call: &CallId) {
        let Some(placement) = self.placements.get_mut(call) else { return };
        let to = match placement.offers < OFFERS {
            true => self.workers.choose(&placement.new.wants, &placement.refused),
            false => None,
        };
        let Some(to) = to else {
            let mut writer = Writer::new(self.id.clone(), CallRecord::new());
            writer.push(Line::Ended { why: "no worker has room".to_owned() });
            placement.state = State::Refusing(PlaceError::Full, Box::new(writer));
            self.advance(now, call);
            return;
        };
        placement.state = State::Offering;
        placement.offers += 1;
        let placing = placement.new.placing.clone();
        let offer = Offer { call: call.clone(), state: Offered::New { placing } };
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

    fn advance(&mut self, now: Timestamp, call: &CallId) {
        let Some(State::Refusing(_, writer)) = self.state(call) else { return };
        let step = writer.poll(now);
        let call = call.clone();
        match step {
            Some(Ok(Step::Append(after, entry))) => {
                self.ask(Asking::Journal(call.clone()), Request::Append { call, after, entry });
            }
            Some(Ok(Step::Read)) => self.ask(Asking::Journal(call.clone()), Request::Read { call }),
            Some(Err(written)) => self.handle_written(&call, &written),
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
