//! What a worker's calls cost, told to the fleet: [`Spending`].
//!
//! The rules kept here. Each worker writes its own sum of each tenant and day, under a key that nobody else
//! writes. So a write that is sent twice counts once, and a call that goes on elsewhere is counted by each
//! owner for its own time. A sum is written at a pace: what was spent since is lost with its worker.

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::json;

use crate::engine::{Answer, Day, Key, Request};
use crate::id::{CallId, Sequence, Tenant, WorkerId};

/// How often a sum is written, at most.
const PACE: Duration = Duration::from_secs(5);
/// The same, where a call has ended.
const END: Duration = Duration::from_secs(1);
/// How long until a question that was not answered is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// Of which sum.
pub(crate) type Of = (Tenant, Day);

/// A sum of one tenant and day.
#[derive(Clone, Debug, Default)]
struct Sum {
    /// In millionths.
    spent: u64,
    kept: u64,
    after: Sequence,
    written: Timestamp,
    due: Timestamp,
    doing: Doing,
    /// Whether the fleet has spent what it may for running calls.
    is_over: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Doing {
    #[default]
    Nothing,
    /// This sum is being written.
    Writing(u64),
    /// Perhaps it was: what stands there is to be read, or is being read.
    Doubting,
    Reading,
    /// It is asked what the whole fleet has spent.
    ToAsk,
    Asking,
}

/// A call that costs something.
#[derive(Clone, Debug)]
struct Paid {
    tenant: Tenant,
    total: u64,
    was_told: bool,
}

/// The sums of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Spending {
    /// The name of the worker's first life: it has others, and the key stays the same.
    author: WorkerId,
    calls: BTreeMap<CallId, Paid>,
    sums: BTreeMap<Of, Sum>,
    today: Day,
}

impl Spending {
    pub(crate) const fn new(author: WorkerId) -> Self {
        Self { author, calls: BTreeMap::new(), sums: BTreeMap::new(), today: Day(0) }
    }

    /// A call has cost so much here so far, in millionths. `is_last`: and will cost no more.
    pub(crate) fn handle_spent(
        &mut self,
        now: Timestamp,
        wall: UnixTime,
        call: &CallId,
        tenant: &Tenant,
        total: u64,
        is_last: bool,
    ) {
        self.today = self.today.max(Day::of(wall));
        let paid = Paid { tenant: tenant.clone(), total: 0, was_told: false };
        let paid = self.calls.entry(call.clone()).or_insert(paid);
        let more = total.saturating_sub(paid.total);
        paid.total = paid.total.max(total);
        if is_last {
            self.calls.remove(call);
        }
        let of = (tenant.clone(), self.today);
        if more > 0 {
            let sum = self.sums.entry(of.clone()).or_default();
            sum.spent = sum.spent.saturating_add(more);
            sum.due = sum.due.max(sum.written + PACE).max(now);
        }
        if let (true, Some(sum)) = (is_last, self.sums.get_mut(&of)) {
            sum.due = sum.due.min(sum.written + END).max(now);
        }
        // What is written and of another day is not needed any more.
        let today = self.today;
        self.sums.retain(|(_, day), sum| *day == today || !sum.is_kept());
    }

    /// What to ask next. It is under way from then on.
    pub(crate) fn poll(&mut self, now: Timestamp, is_ending: bool) -> Option<(Of, Request)> {
        for (of, sum) in &mut self.sums {
            let (tenant, day) = of.clone();
            let worker = self.author.clone();
            let key = || Key::Spent { tenant: tenant.clone(), day, worker: worker.clone() };
            let is_due = sum.due <= now || (is_ending && sum.doing == Doing::Nothing);
            let request = match sum.doing {
                Doing::Nothing if sum.spent > sum.kept && is_due => {
                    sum.doing = Doing::Writing(sum.spent);
                    sum.written = now;
                    sum.due = now + PACE;
                    Request::Put { key: key(), after: sum.after, value: json!(sum.spent).into() }
                }
                Doing::Doubting if sum.due <= now => {
                    sum.doing = Doing::Reading;
                    Request::Get { key: key() }
                }
                Doing::ToAsk => {
                    sum.doing = Doing::Asking;
                    Request::Spent { tenant, day }
                }
                _ => continue,
            };
            return Some((of.clone(), request));
        }
        None
    }

    /// A request was answered.
    pub(crate) fn handle_answer(&mut self, now: Timestamp, of: &Of, answer: Answer) {
        let Some(sum) = self.sums.get_mut(of) else { return };
        match (sum.doing, answer) {
            (Doing::Writing(written), Answer::Done(sequence)) => {
                (sum.kept, sum.after, sum.doing) = (written, sequence, Doing::ToAsk);
            }
            (Doing::Writing(_), _) => (sum.doing, sum.due) = (Doing::Doubting, now),
            (Doing::Reading, Answer::Value(found)) => {
                // Nobody else writes it: what stands there is a sum of this worker's.
                sum.after = found.as_ref().map_or(Sequence(0), |(sequence, _)| *sequence);
                sum.kept = found.and_then(|(_, value)| value.0.as_u64()).unwrap_or(0);
                (sum.doing, sum.due) = (Doing::Nothing, now);
            }
            (Doing::Reading, _) => (sum.doing, sum.due) = (Doing::Doubting, now + AGAIN),
            (Doing::Asking, Answer::Spent { spent, limit, .. }) => {
                sum.doing = Doing::Nothing;
                sum.is_over = limit.and_then(|limit| limit.end).is_some_and(|end| spent >= end);
            }
            // It is asked again after the next write.
            _ => sum.doing = Doing::Nothing,
        }
    }

    /// A call that is to end, since its tenant has spent what it may. Told once for each.
    pub(crate) fn poll_over(&mut self) -> Option<CallId> {
        let today = self.today;
        let (sums, calls) = (&self.sums, &mut self.calls);
        let is_over = |paid: &Paid| {
            !paid.was_told && sums.get(&(paid.tenant.clone(), today)).is_some_and(|sum| sum.is_over)
        };
        let (call, paid) = calls.iter_mut().find(|(_, paid)| is_over(paid))?;
        paid.was_told = true;
        Some(call.clone())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let due = |sum: &Sum| match sum.doing {
            Doing::Nothing if sum.spent > sum.kept => Some(sum.due),
            Doing::Doubting | Doing::ToAsk => Some(sum.due),
            Doing::Nothing | Doing::Writing(_) | Doing::Reading | Doing::Asking => None,
        };
        self.sums.values().filter_map(due).min()
    }

    /// Returns whether all that was spent is written.
    pub(crate) fn is_kept(&self) -> bool {
        self.sums.values().all(Sum::is_kept)
    }
}

impl Sum {
    const fn is_kept(&self) -> bool {
        self.kept >= self.spent && !matches!(self.doing, Doing::Writing(_) | Doing::Doubting | Doing::Reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MoneyLimit;
    use crate::engine::memory::Memory;
    use crate::entropy::Entropy;
    use crate::samples::{at, id};

    #[test]
    fn whatever_is_lost_or_late_nothing_counts_twice_and_in_the_end_all_of_it_is_there() {
        for seed in 0..500 {
            let (mut engine, mut chance) = (Memory::new(Duration::from_secs(3)), Entropy::new(seed));
            let mut workers = ["a", "b"].map(|name| Spending::new(id(name)));
            let (mut spent, mut late) = ([0; 2], Vec::new());
            for ms in (0..60_000).step_by(100) {
                let n = chance.below(2);
                if ms < 30_000 && chance.below(4) == 0 {
                    spent[n] += chance.below(1000) as u64;
                    workers[n].handle_spent(at(ms), WALL, &call(n), &Tenant::unnamed(), spent[n], false);
                }
                while let Some((of, request)) = workers[n].poll(at(ms), false) {
                    let is_hostile = ms < 30_000;
                    let answer = match chance.below(10) {
                        0 if is_hostile => Answer::Unclear, // lost
                        1 if is_hostile => {
                            late.push(request);
                            Answer::Unclear
                        }
                        2 if is_hostile => {
                            engine.handle(at(ms), &request);
                            Answer::Unclear
                        }
                        _ => engine.handle(at(ms), &request).unwrap(),
                    };
                    workers[n].handle_answer(at(ms), &of, answer);
                }
                if chance.below(5) == 0 && !late.is_empty() {
                    engine.handle(at(ms), &late.remove(chance.below(late.len())));
                }
                assert!(total(&mut engine) <= spent.iter().sum(), "seed {seed}");
            }
            assert_eq!(total(&mut engine), spent.iter().sum::<u64>(), "seed {seed}");
            assert!(workers.iter().all(Spending::is_kept));
        }
    }

    #[test]
    fn a_sum_is_written_at_a_pace_and_soon_after_a_call_has_ended() {
        let mut spending = Spending::new(id("a"));
        let (mut engine, mut writes) = (Memory::new(Duration::from_secs(3)), Vec::new());
        for ms in (0..20_000).step_by(100) {
            if ms <= 12_000 {
                spending.handle_spent(at(ms), WALL, &call(0), &Tenant::unnamed(), ms, ms == 12_000);
            }
            while let Some((of, request)) = spending.poll(at(ms), false) {
                if let Request::Put { value, .. } = &request {
                    writes.push((ms, value.0.clone()));
                }
                let answer = engine.handle(at(ms), &request).unwrap();
                spending.handle_answer(at(ms), &of, answer);
            }
        }
        let expected = [(5000, 5000), (10_000, 10_000), (12_000, 12_000)];
        assert_eq!(writes, expected.map(|(ms, spent): (u64, u64)| (ms, json!(spent))));
        assert_eq!(spending.poll_timeout(), None);
    }

    #[test]
    fn once_the_fleet_has_spent_what_running_calls_may_each_of_them_is_told_once() {
        let mut engine = Memory::new(Duration::from_secs(3));
        let value = serde_json::to_value(MoneyLimit::new(50).end(100)).unwrap().into();
        engine.handle(at(0), &Request::Put { key: Key::Money(Tenant::unnamed()), after: Sequence(0), value });
        let mut workers = ["a", "b"].map(|name| Spending::new(id(name)));
        let mut over = Vec::new();
        for (n, ms) in [(0, 6000), (1, 7000), (0, 12_000), (0, 18_000)] {
            workers[n].handle_spent(at(ms), WALL, &call(n), &Tenant::unnamed(), ms / 100, false);
            while let Some((of, request)) = workers[n].poll(at(ms), false) {
                let answer = engine.handle(at(ms), &request).unwrap();
                workers[n].handle_answer(at(ms), &of, answer);
            }
            over.extend(std::iter::from_fn(|| workers[n].poll_over()).map(|call| (ms, call)));
        }
        assert_eq!(over, [(7000, call(1)), (12_000, call(0))]);
    }

    const WALL: UnixTime = UnixTime::from_secs(86_400 * 20_000);

    fn call(n: usize) -> CallId {
        CallId::of_bits(n as u128)
    }

    fn total(engine: &mut Memory) -> u64 {
        let day = Day::of(WALL);
        match engine.handle(at(0), &Request::Spent { tenant: Tenant::unnamed(), day }) {
            Some(Answer::Spent { spent, .. }) => spent,
            other => panic!("{other:?}"),
        }
    }
}
