//! Calls whose owner is dead are found, and offered to others: [`Recovery`]. Every worker does it, each for
//! the shards in which it comes first; the next ones look later whether it was done.
//!
//! The rules kept here. A worker is dead when its key itself, read alone, is gone: a list that lacks it, and
//! silence, say nothing. Lost calls are offered, not queued, so that an engine that was away delays nothing.
//! A call that was offered is looked after until its journal has another owner.
//!
//! A lost call goes round, until its journal says that it is not lost any more:
//!
//! | state | then |
//! |---|---|
//! | `Due` | its journal is read, or it is offered at once if nobody can have been there before |
//! | `Checking` | another owner, or over: done. Else it is offered |
//! | `Offering` | taken: `Due` a while later, to see that it was. Refused: the next worker. No answer: `Due` |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::engine::{Answer, Card, Offer, OfferAnswer, Offered, Owners};
use crate::entropy::Entropy;
use crate::id::{CallId, SHARDS, WorkerId};
use crate::line::{Listed, Whose};
use crate::placement::{Wants, Workers};
use crate::record::{CallRecord, Ownership};

/// Lost calls that are worked on at once.
const AT_ONCE: usize = 64;
/// Workers that look after a shard's lost calls, one after another.
const WATCHERS: usize = 3;
/// How long one waits for the one that comes before it.
const TURN: Duration = Duration::from_millis(400);
/// How long an adopter has to write its line.
const SETTLE: Duration = Duration::from_millis(500);
/// How long those who have room are waited for.
const FULL: Duration = Duration::from_millis(200);
/// How long until the lease of a silent worker is read again.
const AGAIN: Duration = Duration::from_millis(150);
/// How long owners have to take their calls back after the engine was away.
const GRACE: Duration = Duration::from_millis(500);
/// How long a gateway has to find a worker.
const PLACING: Duration = Duration::from_secs(5);
/// How often calls without an owner are looked for.
const SWEEP: Duration = Duration::from_secs(3);
/// How often all calls are looked through. Nothing should be found then.
const AUDIT: Duration = Duration::from_secs(60);

/// What is asked of the engine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ask {
    /// Read this worker's lease.
    Lease(WorkerId),
    /// List these owners' calls.
    List(Owners),
    /// Read this call's journal.
    Check(CallId),
    /// Make this offer to this worker.
    Offer(Offer, WorkerId),
}

#[derive(Clone, Debug)]
enum State {
    Due { at: Timestamp, check: bool },
    Checking,
    Offering,
}

#[derive(Clone, Debug)]
struct Orphan {
    of: Whose,
    refused: BTreeSet<WorkerId>,
    state: State,
}

#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    me: WorkerId,
    ttl: Duration,
    pub(crate) workers: Workers,
    /// Known to be dead; kept while a list may still name them.
    dead: BTreeMap<WorkerId, Timestamp>,
    /// Whose leases are being read, or are to be read then.
    doubted: BTreeMap<WorkerId, Option<Timestamp>>,
    /// Lists that are to be made, and when.
    lists: Vec<(Timestamp, Owners)>,
    orphans: BTreeMap<CallId, Orphan>,
    /// Calls without an owner, and since when that is known.
    unowned: BTreeMap<CallId, Timestamp>,
    /// Owners are taking their calls back until then.
    calm: Timestamp,
    entropy: Entropy,
    busy: usize,
}

impl Recovery {
    pub(crate) fn new(now: Timestamp, me: WorkerId, ttl: Duration, seed: u64) -> Self {
        let mut entropy = Entropy::new(seed);
        let jitter = Duration::from_millis(entropy.below(500) as u64);
        let begin = now + ttl + jitter;
        Self {
            me,
            ttl,
            workers: Workers::new(entropy.bits()),
            dead: BTreeMap::new(),
            doubted: BTreeMap::new(),
            lists: vec![(begin, Owners::All), (begin, Owners::Nobody)],
            orphans: BTreeMap::new(),
            unowned: BTreeMap::new(),
            calm: begin,
            entropy,
            busy: 0,
        }
    }

    /// This worker has a new name.
    pub(crate) fn rename(&mut self, me: WorkerId) {
        self.me = me;
    }

    pub(crate) fn handle_card(&mut self, now: Timestamp, worker: WorkerId, card: Card) {
        if !self.dead.contains_key(&worker) {
            self.workers.handle_card(now, worker, card);
        }
    }

    /// Something says that this lease has ended.
    pub(crate) fn handle_ended(&mut self, now: Timestamp, worker: WorkerId) {
        if worker != self.me && !self.dead.contains_key(&worker) {
            self.doubted.entry(worker).or_insert(Some(now));
        }
    }

    /// The engine, or this worker's own lease, was away: others' calls may have been taken back meanwhile.
    pub(crate) fn handle_back(&mut self, now: Timestamp) {
        self.calm = self.calm.max(now + GRACE);
        for orphan in self.orphans.values_mut() {
            if let State::Due { at, check } = &mut orphan.state {
                (*at, *check) = ((*at).max(self.calm), true);
            }
        }
        self.lists.retain(|(_, of)| *of != Owners::All);
        self.lists.push((self.calm, Owners::All));
    }

    /// What to ask next. It is under way from then on.
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<Ask> {
        for worker in self.workers.silent_since(now - self.ttl) {
            if worker != self.me {
                self.doubted.entry(worker).or_insert(Some(now));
            }
        }
        let due = self.doubted.iter().find(|(_, at)| at.is_some_and(|at| at <= now));
        if let Some((worker, _)) = due {
            let worker = worker.clone();
            self.doubted.insert(worker.clone(), None);
            return Some(Ask::Lease(worker));
        }
        if let Some(position) = self.lists.iter().position(|(at, _)| *at <= now) {
            return Some(Ask::List(self.lists.swap_remove(position).1));
        }
        self.poll_orphans(now)
    }

    /// The shards that this worker looks after, with those that it looks after when others don't.
    pub(crate) fn shards(&self) -> Vec<u8> {
        (0..SHARDS).filter(|shard| self.workers.rank(&self.me, *shard) < WATCHERS).collect()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let doubted = self.doubted.values().flatten().min().copied();
        let lists = self.lists.iter().map(|(at, _)| *at).min();
        let due = |orphan: &Orphan| match orphan.state {
            State::Due { at, .. } => Some(at),
            State::Checking | State::Offering => None,
        };
        let orphans = self.orphans.values().filter_map(due).min().filter(|_| self.busy < AT_ONCE);
        let is_looked_after = |worker: &WorkerId| *worker == self.me || self.doubted.contains_key(worker);
        let silent = self.workers.next_silent(self.ttl, is_looked_after);
        [doubted, lists, orphans, silent].into_iter().flatten().min()
    }

    pub(crate) fn handle_answer(&mut self, now: Timestamp, ask: Ask, answer: Answer) {
        match ask {
            Ask::Lease(worker) => self.handle_lease(now, worker, answer),
            Ask::List(of) => self.handle_list(now, of, answer),
            Ask::Check(call) => {
                self.busy -= 1;
                self.handle_checked(now, &call, answer);
            }
            Ask::Offer(offer, to) => {
                self.busy -= 1;
                self.handle_offered(now, &offer.call, to, &answer);
            }
        }
    }

    /// The lost calls that are worked on.
    pub(crate) fn waiting(&self) -> usize {
        self.orphans.len()
    }

    fn poll_orphans(&mut self, now: Timestamp) -> Option<Ask> {
        if self.busy >= AT_ONCE {
            return None;
        }
        for (call, orphan) in &mut self.orphans {
            match orphan.state {
                State::Due { at, check: true } if at <= now => {
                    orphan.state = State::Checking;
                    self.busy += 1;
                    return Some(Ask::Check(call.clone()));
                }
                State::Due { at, check: false } if at <= now => {
                    if let Some(to) = self.workers.choose(&Wants::new(), &orphan.refused) {
                        orphan.state = State::Offering;
                        self.busy += 1;
                        let state = match orphan.of.clone() {
                            Whose::Worker(of) => Offered::Lost { of },
                            Whose::Nobody { gateway, placing } => Offered::New { gateway, placing },
                        };
                        return Some(Ask::Offer(Offer { call: call.clone(), state }, to));
                    }
                    orphan.refused.clear();
                    orphan.state = State::Due { at: now + FULL, check: true };
                }
                State::Due { .. } | State::Checking | State::Offering => {}
            }
        }
        None
    }

    fn handle_lease(&mut self, now: Timestamp, worker: WorkerId, answer: Answer) {
        match answer {
            Answer::Lease(None) => {
                self.doubted.remove(&worker);
                self.workers.remove(&worker);
                self.dead.retain(|_, since| *since + AUDIT * 4 > now);
                self.dead.insert(worker.clone(), now);
                self.lists.push((now, Owners::One(worker)));
            }
            Answer::Lease(Some(_)) if self.workers.contains(&worker) => {
                self.doubted.remove(&worker);
                self.workers.handle_alive(now - self.ttl + AGAIN, &worker);
            }
            // Nothing was ever heard of it, so nobody would notice its silence.
            Answer::Lease(Some(_)) => {
                self.doubted.insert(worker, Some(now + AGAIN));
            }
            _ => {
                self.doubted.insert(worker, Some(now + FULL));
            }
        }
    }

    fn handle_list(&mut self, now: Timestamp, of: Owners, answer: Answer) {
        let again = match (&of, &answer) {
            (_, Answer::Calls(_)) if of == Owners::Nobody => Some(SWEEP),
            (_, Answer::Calls(_)) if of == Owners::All => Some(AUDIT),
            (_, Answer::Calls(_)) => None,
            _ => Some(FULL),
        };
        if let Some(again) = again {
            let jitter = Duration::from_millis(self.entropy.below(100) as u64);
            self.lists.push((now + again + jitter, of.clone()));
        }
        let Answer::Calls(calls) = answer else { return };
        if of == Owners::Nobody {
            let still: BTreeSet<&CallId> = calls.iter().map(|listed| &listed.call).collect();
            self.unowned.retain(|call, _| still.contains(call));
        }
        for Listed { call, whose } in calls {
            match whose {
                Whose::Nobody { .. } => {
                    let since = *self.unowned.entry(call.clone()).or_insert(now);
                    if now.saturating_since(since) >= PLACING {
                        self.unowned.remove(&call);
                        self.add(now, call, whose);
                    }
                }
                Whose::Worker(ref owner) if self.dead.contains_key(owner) => self.add(now, call, whose),
                Whose::Worker(owner) if owner != self.me && !self.workers.contains(&owner) => {
                    self.doubted.entry(owner).or_insert(Some(now));
                }
                Whose::Worker(_) => {}
            }
        }
    }

    fn add(&mut self, now: Timestamp, call: CallId, of: Whose) {
        let rank = self.workers.rank(&self.me, call.shard());
        if rank >= WATCHERS {
            return;
        }
        let at = (now + TURN * rank as u32).max(self.calm);
        let check = rank > 0 || at > now;
        let state = State::Due { at, check };
        if self.orphans.get(&call).is_none_or(|orphan| orphan.of != of) {
            self.orphans.insert(call, Orphan { of, refused: BTreeSet::new(), state });
        }
    }

    fn handle_checked(&mut self, now: Timestamp, call: &CallId, answer: Answer) {
        let Some(orphan) = self.orphans.get_mut(call) else { return };
        let Answer::Lines(lines) = answer else {
            orphan.state = State::Due { at: now + FULL, check: true };
            return;
        };
        let record = CallRecord::fold(&lines);
        let is_lost = match &orphan.of {
            Whose::Worker(worker) => record.owner() == Some(worker),
            Whose::Nobody { .. } => *record.ownership() == Ownership::Absent,
        };
        match is_lost {
            true => orphan.state = State::Due { at: now, check: false },
            false => {
                self.orphans.remove(call);
            }
        }
    }

    fn handle_offered(&mut self, now: Timestamp, call: &CallId, to: WorkerId, answer: &Answer) {
        let Some(orphan) = self.orphans.get_mut(call) else { return };
        orphan.state = match answer {
            Answer::Offered(OfferAnswer::Taken) => State::Due { at: now + SETTLE, check: true },
            Answer::Offered(_) => {
                orphan.refused.insert(to);
                State::Due { at: now, check: false }
            }
            _ => {
                orphan.refused.insert(to);
                State::Due { at: now, check: true }
            }
        };
    }
}

#[cfg(test)]
mod tests;
