//! Which worker is asked: [`Workers`], a table of their cards, from which two are drawn by chance and the one
//! with more room is asked.
//!
//! The rules kept here: cards are a moment old, so calls that were offered since are counted, too. A worker
//! whose lease has ended is never asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::engine::Card;
use crate::entropy::Entropy;
use crate::id::WorkerId;

/// What a call wants of its worker.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Wants {
    /// Labels that the worker must have, with these values.
    pub labels: BTreeMap<String, String>,
    /// The value of the label `zone` that is asked first, if there is a worker with room.
    pub zone: Option<String>,
}

impl Wants {
    /// Any worker.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants a label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Asks workers of this zone first.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }
}

#[derive(Clone, Debug)]
struct Seen {
    card: Card,
    heard: Timestamp,
    /// Offered since the card came.
    since: u32,
}

impl Seen {
    /// Its free slots for calls that want this.
    fn room(&self, wants: &Wants) -> u32 {
        let has = |(name, value): (&String, &String)| self.card.labels.get(name) == Some(value);
        match wants.labels.iter().all(has) {
            true => self.card.room().saturating_sub(self.since),
            false => 0,
        }
    }
}

/// The workers whose leases are known.
#[derive(Clone, Debug)]
pub(crate) struct Workers {
    seen: BTreeMap<WorkerId, Seen>,
    entropy: Entropy,
}

impl Workers {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seen: BTreeMap::new(), entropy: Entropy::new(seed) }
    }

    pub(crate) fn handle_card(&mut self, now: Timestamp, worker: WorkerId, card: Card) {
        self.seen.insert(worker, Seen { card, heard: now, since: 0 });
    }

    /// It still has its lease, though nothing was heard of it.
    pub(crate) fn handle_alive(&mut self, now: Timestamp, worker: &WorkerId) {
        if let Some(seen) = self.seen.get_mut(worker) {
            seen.heard = seen.heard.max(now);
        }
    }

    pub(crate) fn remove(&mut self, worker: &WorkerId) {
        self.seen.remove(worker);
    }

    pub(crate) fn contains(&self, worker: &WorkerId) -> bool {
        self.seen.contains_key(worker)
    }

    /// Those of which nothing was heard since `then`.
    pub(crate) fn silent_since(&self, then: Timestamp) -> Vec<WorkerId> {
        let silent = self.seen.iter().filter(|(_, seen)| seen.heard <= then);
        silent.map(|(worker, _)| worker.clone()).collect()
    }

    /// When the next one but these will not have been heard for this long.
    pub(crate) fn next_silent(
        &self,
        silence: Duration,
        but: impl Fn(&WorkerId) -> bool,
    ) -> Option<Timestamp> {
        let heard = self.seen.iter().filter(|(worker, _)| !but(worker)).map(|(_, seen)| seen.heard);
        heard.min().map(|heard| heard + silence)
    }

    /// Of two by chance, the one with more room. It counts as offered a call.
    pub(crate) fn choose(&mut self, wants: &Wants, but: &BTreeSet<WorkerId>) -> Option<WorkerId> {
        let fits = |(worker, seen): &(&WorkerId, &Seen)| seen.room(wants) > 0 && !but.contains(worker);
        let is_near = |(_, seen): &(&WorkerId, &Seen)| {
            wants.zone.is_some() && seen.card.labels.get("zone") == wants.zone.as_ref()
        };
        let mut fitting: Vec<(&WorkerId, &Seen)> = self.seen.iter().filter(fits).collect();
        if fitting.iter().any(is_near) {
            fitting.retain(is_near);
        }
        let mut draw = || fitting.get(self.entropy.below(fitting.len())).copied();
        let (one, other) = (draw()?, draw()?);
        let fuller = |(_, seen): (&WorkerId, &Seen), by: (&WorkerId, &Seen)| {
            let taken = |seen: &Seen| u64::from(seen.card.calls + seen.since);
            taken(seen) * u64::from(by.1.card.slots) > taken(by.1) * u64::from(seen.card.slots)
        };
        let chosen = if fuller(one, other) { other.0.clone() } else { one.0.clone() };
        if let Some(seen) = self.seen.get_mut(&chosen) {
            seen.since += 1;
        }
        Some(chosen)
    }

    /// How many calls that want this find a slot, as the cards say it.
    pub(crate) fn room(&self, wants: &Wants) -> u64 {
        self.seen.values().map(|seen| u64::from(seen.room(wants))).sum()
    }

    /// The cards, and when each was heard.
    pub(crate) fn cards(&self) -> impl Iterator<Item = (&WorkerId, &Card, Timestamp)> {
        self.seen.iter().map(|(worker, seen)| (worker, &seen.card, seen.heard))
    }

    /// How many others come before this worker in looking after the lost calls of a shard.
    pub(crate) fn rank(&self, me: &WorkerId, shard: u8) -> usize {
        let mine = me.weight(shard);
        self.seen.keys().filter(|worker| *worker != me && worker.weight(shard) > mine).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, id};

    #[test]
    fn calls_go_where_there_is_room_also_between_two_cards() {
        let mut workers = table(&[("a", 100, 90), ("b", 100, 10), ("c", 100, 10)]);
        let mut count = BTreeMap::new();
        for _ in 0..150 {
            *count.entry(workers.choose(&Wants::new(), &BTreeSet::new()).unwrap()).or_insert(0) += 1;
        }
        let of = |name: &str| count.get(&id(name)).copied().unwrap_or(0);
        assert!(of("a") <= 10 && of("b") <= 90 && of("c") <= 90, "{count:?}");
    }

    #[test]
    fn a_full_a_draining_a_refusing_and_an_unfit_worker_are_not_asked() {
        let mut workers = table(&[("full", 2, 2), ("refused", 9, 0), ("draining", 9, 0), ("unfit", 9, 0)]);
        workers.handle_card(at(0), id("draining"), Card { draining: true, ..card(9, 0) });
        let labels = [("gpu".to_owned(), "yes".to_owned())].into();
        workers.handle_card(at(0), id("refused"), Card { labels, ..card(9, 0) });
        let wants = Wants::new().label("gpu", "yes");
        assert_eq!((workers.room(&wants), workers.room(&Wants::new())), (9, 18));
        assert_eq!(workers.choose(&wants, &BTreeSet::new()), Some(id("refused")));
        assert_eq!(workers.room(&wants), 8, "what was offered counts");
        assert_eq!(workers.choose(&wants, &[id("refused")].into()), None);
    }

    #[test]
    fn the_zone_comes_first_and_is_no_condition() {
        let mut workers = table(&[("far", 9, 0)]);
        let labels = [("zone".to_owned(), "a".to_owned())].into();
        workers.handle_card(at(0), id("near"), Card { labels, ..card(1, 0) });
        let wants = Wants::new().zone("a");
        assert_eq!(workers.choose(&wants, &BTreeSet::new()), Some(id("near")));
        assert_eq!(workers.choose(&wants, &BTreeSet::new()), Some(id("far")), "near is full now");
    }

    #[test]
    fn each_shard_has_one_that_comes_first_whoever_asks() {
        let workers = table(&[("a", 9, 0), ("b", 9, 0), ("c", 9, 0), ("d", 9, 0)]);
        for shard in 0..crate::id::SHARDS {
            let mut ranks = ["a", "b", "c", "d"].map(|name| workers.rank(&id(name), shard));
            ranks.sort_unstable();
            assert_eq!(ranks, [0, 1, 2, 3]);
        }
    }

    fn table(of: &[(&str, u32, u32)]) -> Workers {
        let mut workers = Workers::new(7);
        for (name, slots, calls) in of {
            workers.handle_card(at(0), id(name), card(*slots, *calls));
        }
        workers
    }

    fn card(slots: u32, calls: u32) -> Card {
        Card { slots, calls, ..Card::default() }
    }
}
