//! An engine in memory: [`Memory`], for tests and for fleets within one process.
//!
//! It is a machine, too: a request comes in with its time, and the answer goes out. Offers are for others to
//! carry, so it does not know them.

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::content::Content;
use crate::engine::{Answer, Day, Key, Owners, Push, Request};
use crate::id::{CallId, Sequence, Tenant, WorkerId};
use crate::line::{Entry, Line, Listed, Placing, Whose};
use crate::record::CallRecord;

/// How long an announcement is kept.
const ANNOUNCED: Duration = Duration::from_secs(60);
/// How far back a call is looked for that nobody owns.
const RECENT: Duration = Duration::from_secs(20);

/// Announcements, journals and leases.
#[derive(Clone, Debug)]
pub struct Memory {
    ttl: Duration,
    last: u64,
    announced: BTreeMap<CallId, Announced>,
    journals: BTreeMap<CallId, Vec<(Sequence, Entry)>>,
    leases: BTreeMap<WorkerId, (Sequence, Timestamp)>,
    values: BTreeMap<Key, Stored>,
    fences: bool,
}

/// An announcement.
#[derive(Clone, Debug)]
struct Announced {
    by: WorkerId,
    placing: Placing,
    at: Timestamp,
}

/// A value, and until when it is kept where that has an end.
#[derive(Clone, Debug)]
struct Stored {
    sequence: Sequence,
    value: Content,
    until: Option<Timestamp>,
}

impl Memory {
    /// An engine without calls, whose leases last this long.
    pub const fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            last: 0,
            announced: BTreeMap::new(),
            journals: BTreeMap::new(),
            leases: BTreeMap::new(),
            values: BTreeMap::new(),
            fences: true,
        }
    }

    /// Takes every line, wherever it stands: for showing what fences are for.
    #[must_use]
    pub const fn without_fences(mut self) -> Self {
        self.fences = false;
        self
    }

    /// Does what is asked. `None`: it is an offer.
    pub fn handle(&mut self, now: Timestamp, request: &Request) -> Option<Answer> {
        self.expire(now);
        Some(match request {
            Request::Announce { by, calls } => {
                let announced = |(call, placing): &(CallId, Placing)| {
                    (call.clone(), Announced { by: by.clone(), placing: placing.clone(), at: now })
                };
                self.announced.extend(calls.iter().map(announced));
                Answer::Done(self.next())
            }
            Request::Append { call, after, entry } => self.append(call, *after, entry),
            Request::Read { call } => Answer::Lines(self.journal(call).to_vec()),
            Request::List { of, shards } => Answer::Calls(self.list(now, of, shards)),
            Request::Forget { call } => {
                let journal = self.journals.entry(call.clone()).or_default();
                journal.retain(|(_, entry)| matches!(entry.line, Line::Ended { .. }));
                Answer::Done(Sequence::default())
            }
            Request::Renew { worker, after, .. } => {
                let found = self.leases.get(worker).map(|(sequence, _)| *sequence).unwrap_or_default();
                if found != *after {
                    return Some(Answer::Refused);
                }
                let sequence = self.next();
                self.leases.insert(worker.clone(), (sequence, now + self.ttl));
                Answer::Done(sequence)
            }
            Request::ReadLease { worker } => {
                Answer::Lease(self.leases.get(worker).map(|(sequence, _)| *sequence))
            }
            Request::Release { worker } => {
                self.leases.remove(worker);
                Answer::Done(Sequence::default())
            }
            Request::Put { key, after, value } => self.put(now, key, *after, value),
            Request::Get { key } => Answer::Value(self.value(key).map(|(at, value)| (at, value.clone()))),
            Request::Over { calls, .. } => {
                let over = calls.iter().filter(|call| !self.is_open(call));
                Answer::Over(over.cloned().collect())
            }
            Request::Count { gateway, tenant } => Answer::Count(self.count(gateway, tenant)),
            Request::Spent { tenant, day } => self.spent(tenant, *day),
            Request::Offer { .. } => return None,
        })
    }

    /// Ends the leases and announcements whose time is over, and tells which leases these are.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Push> {
        self.announced.retain(|_, announced| announced.at + ANNOUNCED > now);
        let is_over = |(_, until): &(Sequence, Timestamp)| *until <= now;
        let over = self.leases.iter().filter(|(_, lease)| is_over(lease)).map(|(worker, _)| worker.clone());
        let over: Vec<WorkerId> = over.collect();
        for worker in &over {
            self.leases.remove(worker);
        }
        self.values.retain(|_, stored| stored.until.is_none_or(|until| until > now));
        over.into_iter().map(Push::Ended).collect()
    }

    /// When the next lease ends, unless it is renewed.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.leases.values().map(|(_, until)| *until).min()
    }

    /// A call's lines, oldest first.
    pub fn journal(&self, call: &CallId) -> &[(Sequence, Entry)] {
        self.journals.get(call).map_or(&[], Vec::as_slice)
    }

    /// The calls that it knows, with those that are over.
    pub fn calls(&self) -> impl Iterator<Item = &CallId> {
        self.journals.keys()
    }

    /// Returns whether this worker has a lease.
    pub fn has_lease(&self, worker: &WorkerId) -> bool {
        self.leases.contains_key(worker)
    }

    /// The value of a key, and its sequence.
    pub fn value(&self, key: &Key) -> Option<(Sequence, &Content)> {
        self.values.get(key).map(|stored| (stored.sequence, &stored.value))
    }

    /// The calls that are not over, with those that were announced and have no line: they may still begin.
    pub fn open_calls(&self) -> impl Iterator<Item = &CallId> {
        let owned = self.calls().filter(|call| !self.journal(call).is_empty());
        let unowned = self.announced.keys().filter(|call| self.journal(call).is_empty());
        owned.chain(unowned).filter(|call| self.is_open(call))
    }

    fn is_open(&self, call: &CallId) -> bool {
        match self.journal(call) {
            [] => self.announced.contains_key(call),
            lines => !lines.iter().any(|(_, entry)| matches!(entry.line, Line::Ended { .. })),
        }
    }

    fn put(&mut self, now: Timestamp, key: &Key, after: Sequence, value: &Content) -> Answer {
        let found = self.value(key).map(|(sequence, _)| sequence).unwrap_or_default();
        if found != after {
            return Answer::Refused;
        }
        let sequence = self.next();
        let until = matches!(key, Key::Gateway(_)).then(|| now + self.ttl);
        self.values.insert(key.clone(), Stored { sequence, value: value.clone(), until });
        Answer::Done(sequence)
    }

    fn spent(&self, tenant: &Tenant, day: Day) -> Answer {
        let of = |(key, stored): (&Key, &Stored)| match key {
            Key::Spent { tenant: of, day: on, .. } if of == tenant && *on == day => stored.value.0.as_u64(),
            _ => None,
        };
        let limit = self.value(&Key::Money(tenant.clone()));
        Answer::Spent {
            spent: self.values.iter().filter_map(of).sum(),
            day,
            limit: limit.and_then(|(_, value)| serde_json::from_value(value.0.clone()).ok()),
            after: limit.map(|(sequence, _)| sequence).unwrap_or_default(),
        }
    }

    fn count(&self, gateway: &WorkerId, tenant: &Tenant) -> u32 {
        let of = |call: &CallId| match self.journal(call).first().map(|(_, entry)| &entry.line) {
            Some(Line::Placed { gateway, placing, .. }) => Some((gateway.clone(), placing.tenant.clone())),
            Some(_) => None,
            None => self.announced.get(call).map(|found| (found.by.clone(), found.placing.tenant.clone())),
        };
        let is_meant =
            |call: &&CallId| of(call).is_some_and(|(by, whose)| by == *gateway && whose == *tenant);
        u32::try_from(self.open_calls().filter(is_meant).count()).unwrap_or(u32::MAX)
    }

    fn append(&mut self, call: &CallId, after: Sequence, entry: &Entry) -> Answer {
        let last = self.journal(call).last().map(|(sequence, _)| *sequence).unwrap_or_default();
        if self.fences && last != after {
            return Answer::Refused;
        }
        let sequence = self.next();
        let journal = self.journals.entry(call.clone()).or_default();
        if let Line::Snap { .. } = entry.line {
            journal.retain(|(_, entry)| entry.line.is_about_owners());
        }
        journal.push((sequence, entry.clone()));
        Answer::Done(sequence)
    }

    fn list(&self, now: Timestamp, of: &Owners, shards: &[u8]) -> Vec<Listed> {
        if *of == Owners::Nobody {
            let is_meant = |call: &CallId| shards.contains(&call.shard()) && self.journal(call).is_empty();
            let recent = self.announced.iter().filter(|(_, announced)| announced.at + RECENT > now);
            let unowned = recent.filter(|(call, _)| is_meant(call));
            let listed = |(call, announced): (&CallId, &Announced)| {
                let Announced { by, placing, .. } = announced.clone();
                Listed::new(call.clone(), Whose::Nobody { gateway: by, placing })
            };
            return unowned.map(listed).collect();
        }
        let owned = self.journals.iter().filter(|(call, _)| shards.contains(&call.shard()));
        let owned = owned.filter_map(|(call, lines)| Some((call, CallRecord::fold(lines).owner()?.clone())));
        let is_meant = |(_, owner): &(_, WorkerId)| match of {
            Owners::One(worker) => owner == worker,
            Owners::Nobody => false,
            Owners::All => true,
        };
        let listed = |(call, owner): (&CallId, _)| Listed::new(call.clone(), Whose::Worker(owner));
        owned.filter(is_meant).map(listed).collect()
    }

    const fn next(&mut self) -> Sequence {
        self.last += 1;
        Sequence(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Card;
    use crate::samples::{at, entry, placed};

    #[test]
    fn of_two_lines_behind_the_same_one_is_taken() {
        let mut engine = Memory::new(Duration::from_secs(3));
        let call = CallId::of_bits(1);
        let mut append = |after: u64| {
            let entry = entry("w", 0, placed("w"));
            engine.handle(at(0), &Request::Append { call: call.clone(), after: Sequence(after), entry })
        };
        assert_eq!(append(0), Some(Answer::Done(Sequence(1))));
        assert_eq!(append(0), Some(Answer::Refused));
        assert_eq!(append(1), Some(Answer::Done(Sequence(2))));
    }

    #[test]
    fn a_lease_that_is_not_renewed_ends_and_is_told_once() {
        let mut engine = Memory::new(Duration::from_secs(3));
        let worker = WorkerId::of_bits(1, 0);
        let renew = |after| Request::Renew { worker: worker.clone(), after, card: Card::default() };
        assert_eq!(engine.handle(at(0), &renew(Sequence(0))), Some(Answer::Done(Sequence(1))));
        assert_eq!(engine.poll_timeout(), Some(at(3000)));
        assert_eq!(engine.handle(at(2999), &renew(Sequence(1))), Some(Answer::Done(Sequence(2))));
        assert_eq!(engine.expire(at(5998)), []);
        assert_eq!(engine.expire(at(5999)), [Push::Ended(worker.clone())]);
        assert_eq!(engine.expire(at(9000)), []);
        assert_eq!(engine.handle(at(9000), &renew(Sequence(2))), Some(Answer::Refused), "it came too late");
    }
}
