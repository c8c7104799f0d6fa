//! How many calls a tenant has in the whole fleet: [`Quota`], a gateway's part of it.
//!
//! Each call of a tenant with a limit is in a slot of the gateway that placed it, until its journal has a
//! last line. How many slots a gateway has stands in the tenant's table in the engine:
//!
//! | | then |
//! |---|---|
//! | no slot is free | some are taken at once, as far as the table has room, by compare-and-set |
//! | the table has no room | calls that are over are looked for, and gateways that are gone: of these, the calls that are open keep their slots |
//! | still none | the others are asked to give away what they don't use; if they don't, the call is refused |
//!
//! Why the limit holds: the slots in the table are never more than the limit, and a gateway announces and
//! offers a call only if it has a slot, and only while its lease is good. A gateway whose lease has ended can
//! announce nothing more, so its open calls can be counted. Who announced a call stands in its announcement
//! until it has a line, and then in its first line. Who owns it does not count: calls of lost workers keep
//! their slots.
//!
//! A call that was announced and has no line counts as open, for a worker may have said yes to an offer, or
//! other workers may offer it when its gateway is gone. That ends with its announcement, after a minute;
//! workers find such calls only in the first third of it.
//!
//! The limit may be passed only by what comes late to the engine:
//!
//! - An announcement of a gateway, later than the gateway's lease ends there: at most as many calls as the
//!   slots that this gateway had free.
//! - A call's first line, later than a minute after its announcement: a worker that said yes was cut off for
//!   that long, or a lost gateway's call found no worker with room before.

mod hold;
mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use realtime_protocol::time::Timestamp;
use serde_json::json;

use crate::content::Content;
use crate::engine::{Answer, Key, Request};
use crate::entropy::Entropy;
use crate::gateway::PlaceError;
use crate::id::{CallId, Tenant, WorkerId};
use crate::lease::{Lease, LeaseOptions, LeaseStep};
use crate::quota::hold::{Hold, Step};

#[cfg(any(feature = "nats", test))]
pub(crate) use crate::quota::table::Table;

/// Who waits for a slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Waiter {
    /// A call that is to be placed.
    Place(CallId),
    /// Who asks whether there is a slot, where so many others are about to be placed besides.
    Check {
        /// Which question.
        id: u64,
        /// How many.
        besides: u32,
    },
}

/// What an answer belongs to.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Renewal,
    LeaseRead,
    Hold(Tenant),
}

/// A gateway's slots.
#[derive(Debug)]
pub(crate) struct Quota {
    me: WorkerId,
    life: u32,
    ttl: Duration,
    entropy: Entropy,
    /// `None` until a tenant with a limit has a call.
    lease: Option<Lease>,
    holds: BTreeMap<Tenant, Hold>,
    /// Tenants of which there may be something to do.
    active: BTreeSet<Tenant>,
    decided: VecDeque<(Waiter, Result<(), PlaceError>)>,
}

impl Quota {
    pub(crate) fn new(ttl: Duration, seed: u64) -> Self {
        let mut entropy = Entropy::new(seed);
        Self {
            me: name(&mut entropy),
            life: 0,
            ttl,
            entropy,
            lease: None,
            holds: BTreeMap::new(),
            active: BTreeSet::new(),
            decided: VecDeque::new(),
        }
    }

    /// The gateway's name in this life.
    pub(crate) const fn name(&self) -> &WorkerId {
        &self.me
    }

    /// Somebody needs a slot, or wants to know whether there is one. [`poll_decided`](Self::poll_decided)
    /// says what comes of it.
    pub(crate) fn take(&mut self, now: Timestamp, tenant: &Tenant, limit: u32, who: Waiter) {
        let options = LeaseOptions { ttl: self.ttl };
        self.lease.get_or_insert_with(|| Lease::new(now, options));
        self.holds.entry(tenant.clone()).or_default().take(now, &self.me, limit, who);
        self.active.insert(tenant.clone());
    }

    /// A call of this tenant is over for sure.
    pub(crate) fn release(&mut self, tenant: &Tenant, call: &CallId) {
        if let Some(hold) = self.holds.get_mut(tenant) {
            hold.release(call);
            self.active.insert(tenant.clone());
        }
    }

    /// Returns whether a call with a slot of this name may still be written.
    pub(crate) fn may_place(&self, now: Timestamp, by: &WorkerId) -> bool {
        self.me == *by && self.lease.as_ref().is_some_and(|lease| lease.may_act(now))
    }

    /// The engine tells that a call is over.
    pub(crate) fn handle_over(&mut self, now: Timestamp, call: &CallId) {
        for (tenant, hold) in &mut self.holds {
            hold.handle_over(now, call);
            if !hold.is_calm() {
                self.active.insert(tenant.clone());
            }
        }
    }

    /// The engine tells that somebody wrote a table.
    pub(crate) fn handle_table(&mut self, tenant: &Tenant, value: &Content) {
        let Some(hold) = self.holds.get_mut(tenant) else { return };
        if let Ok(table) = serde_json::from_value(value.0.clone()) {
            hold.handle_table(&self.me, &table);
            self.active.insert(tenant.clone());
        }
    }

    /// The engine was away.
    pub(crate) fn handle_back(&mut self, now: Timestamp) {
        if let Some(lease) = &mut self.lease {
            lease.hurry(now);
        }
        self.holds.values_mut().for_each(Hold::handle_back);
    }

    /// A request was answered.
    pub(crate) fn handle_answer(&mut self, now: Timestamp, asked: Asked, life: u32, answer: Answer) {
        let Some(lease) = self.lease.as_mut().filter(|_| life == self.life) else { return };
        match (asked, answer) {
            (Asked::Renewal, Answer::Done(sequence)) => {
                lease.handle_renewed(sequence);
                self.active.extend(self.holds.keys().cloned());
            }
            (Asked::Renewal, _) => lease.handle_unclear(now),
            (Asked::LeaseRead, Answer::Value(found)) => {
                lease.handle_read(now, found.map(|(sequence, _)| sequence));
            }
            (Asked::LeaseRead, _) => lease.handle_unread(now),
            (Asked::Hold(tenant), answer) => {
                if let Some(hold) = self.holds.get_mut(&tenant) {
                    hold.handle_answer(now, answer);
                    self.active.insert(tenant);
                }
            }
        }
    }

    /// What to ask next, and in which life.
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<(Asked, u32, Request)> {
        if self.lease.as_ref()?.is_lost() {
            self.begin_life(now);
        }
        let lease = self.lease.as_mut()?;
        let key = Key::Gateway(self.me.clone());
        match lease.poll(now) {
            Some(LeaseStep::Renew(after)) => {
                let request = Request::Put { key, after, value: json!({}).into() };
                return Some((Asked::Renewal, self.life, request));
            }
            Some(LeaseStep::Read) => return Some((Asked::LeaseRead, self.life, Request::Get { key })),
            None => {}
        }
        let may_act = lease.may_act(now);
        while let Some(tenant) = self.active.pop_first() {
            let Some(hold) = self.holds.get_mut(&tenant) else { continue };
            let step = hold.advance(now, &self.me, may_act);
            while let Some(decided) = hold.poll_decided() {
                self.decided.push_back(decided);
            }
            if let Some(step) = step {
                let request = request(&self.me, &tenant, step);
                return Some((Asked::Hold(tenant), self.life, request));
            }
        }
        None
    }

    /// What comes of somebody who needed a slot.
    pub(crate) fn poll_decided(&mut self) -> Option<(Waiter, Result<(), PlaceError>)> {
        self.decided.pop_front()
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named may have come.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        let is_due = |hold: &Hold| hold.poll_timeout().is_some_and(|at| at <= now);
        let due = self.holds.iter().filter(|(_, hold)| is_due(hold)).map(|(tenant, _)| tenant.clone());
        self.active.extend(due);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let lease = self.lease.as_ref().and_then(Lease::poll_timeout);
        self.holds.values().filter_map(Hold::poll_timeout).chain(lease).min()
    }

    /// The lease is gone, and with it this gateway's name.
    fn begin_life(&mut self, now: Timestamp) {
        self.life += 1;
        self.me = name(&mut self.entropy);
        self.lease = Some(Lease::new(now, LeaseOptions { ttl: self.ttl }));
        self.holds.values_mut().for_each(Hold::begin_again);
    }
}

fn name(entropy: &mut Entropy) -> WorkerId {
    WorkerId::new(format!("g_{:016x}", entropy.bits())).expect("hexadecimal digits are a name")
}

fn request(me: &WorkerId, tenant: &Tenant, step: Step) -> Request {
    let key = Key::Slots(tenant.clone());
    match step {
        Step::Read => Request::Get { key },
        Step::Write(after, table) => {
            let value = serde_json::to_value(table).expect("names and numbers are JSON").into();
            Request::Put { key, after, value }
        }
        Step::Over(calls) => Request::Over { gateway: me.clone(), calls },
        Step::Lease(gateway) => Request::Get { key: Key::Gateway(gateway) },
        Step::Count(gateway) => Request::Count { gateway, tenant: tenant.clone() },
    }
}

#[cfg(test)]
mod tests;
