//! What the fleet has spent for a tenant today, as a gateway knows it: [`Purse`].
//!
//! The rule kept here: at its limit a tenant gets no new call. What is known may be some seconds old, and
//! workers tell what they spend every few seconds, so a tenant may spend a little more than its limit.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::engine::{Answer, Day, Key, MoneyLimit, Request};
use crate::gateway::PlaceError;
use crate::id::Tenant;

/// What is older than this is asked again when it is needed.
const FRESH: Duration = Duration::from_secs(5);
/// And nothing is decided by what is older than this.
const OLD: Duration = Duration::from_secs(30);
/// How long an answer is waited for in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long until a question that was not answered is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// A tenant's money.
#[derive(Debug)]
struct Known<W> {
    limit: MoneyLimit,
    /// In millionths, on that day, as of that time.
    spent: Option<(u64, Day, Timestamp)>,
    waiting: VecDeque<(W, Timestamp)>,
    is_asking: bool,
    again: Timestamp,
}

/// The money of all tenants. `W`: who waits.
#[derive(Debug)]
pub(crate) struct Purse<W> {
    today: Day,
    tenants: BTreeMap<Tenant, Known<W>>,
    decided: VecDeque<(W, Result<(), PlaceError>)>,
}

impl<W> Purse<W> {
    pub(crate) const fn new() -> Self {
        Self { today: Day(0), tenants: BTreeMap::new(), decided: VecDeque::new() }
    }

    /// It is this day. A clock that goes back changes nothing.
    pub(crate) fn handle_day(&mut self, day: Day) {
        self.today = self.today.max(day);
    }

    /// Somebody would begin a call. [`poll_decided`](Self::poll_decided) says what comes of it.
    pub(crate) fn take(&mut self, now: Timestamp, tenant: &Tenant, limit: MoneyLimit, who: W) {
        let new = || Known { limit, spent: None, waiting: VecDeque::new(), is_asking: false, again: now };
        let known = self.tenants.entry(tenant.clone()).or_insert_with(new);
        known.limit = limit;
        known.waiting.push_back((who, now + PATIENCE));
    }

    /// What to ask next. It is under way from then on.
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<(Tenant, Request)> {
        let today = self.today;
        for (tenant, known) in &mut self.tenants {
            let age = known.age(now, today);
            if age.is_some_and(|age| age <= OLD) {
                let is_spent = known.spent.is_some_and(|(spent, ..)| spent >= known.limit.most);
                let result = if is_spent { Err(PlaceError::BudgetSpent) } else { Ok(()) };
                let is_needed = !known.waiting.is_empty();
                self.decided.extend(known.waiting.drain(..).map(|(who, _)| (who, result)));
                if !is_needed {
                    continue;
                }
            }
            while known.waiting.front().is_some_and(|(_, until)| *until <= now)
                && let Some((who, _)) = known.waiting.pop_front()
            {
                self.decided.push_back((who, Err(PlaceError::EngineAway)));
            }
            let is_fresh = age.is_some_and(|age| age <= FRESH);
            let is_needed = age.is_some_and(|age| age <= OLD) || !known.waiting.is_empty();
            if !is_fresh && is_needed && !known.is_asking && known.again <= now {
                known.is_asking = true;
                return Some((tenant.clone(), Request::Spent { tenant: tenant.clone(), day: today }));
            }
        }
        None
    }

    /// A request was answered. Returns what is to be written, and needs no answer.
    pub(crate) fn handle_answer(
        &mut self,
        now: Timestamp,
        tenant: &Tenant,
        answer: &Answer,
    ) -> Option<Request> {
        let today = self.today;
        let known = self.tenants.get_mut(tenant)?;
        known.is_asking = false;
        let Answer::Spent { spent, day, limit, after } = answer else {
            known.again = now + AGAIN;
            return None;
        };
        if *day == today {
            known.spent = Some((*spent, today, now));
        }
        // Workers are to know it. Where that fails, it is written next time.
        (*limit != Some(known.limit)).then(|| Request::Put {
            key: Key::Money(tenant.clone()),
            after: *after,
            value: serde_json::to_value(known.limit).expect("numbers are JSON").into(),
        })
    }

    pub(crate) fn poll_decided(&mut self) -> Option<(W, Result<(), PlaceError>)> {
        self.decided.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let due = |known: &Known<W>| {
            let (_, until) = known.waiting.front()?;
            Some(if known.is_asking { *until } else { known.again.min(*until) })
        };
        self.tenants.values().filter_map(due).min()
    }
}

impl<W> Known<W> {
    fn age(&self, now: Timestamp, today: Day) -> Option<Duration> {
        let (_, _, at) = self.spent.filter(|(_, day, _)| *day == today)?;
        Some(now.saturating_since(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Sequence;
    use crate::samples::at;

    #[test]
    fn at_its_limit_a_tenant_gets_no_new_call_until_the_next_day() {
        let (mut purse, tenant) = (Purse::new(), Tenant::unnamed());
        let limit = MoneyLimit::new(100);
        purse.handle_day(Day(7));
        purse.take(at(0), &tenant, limit, 1);
        assert_eq!(purse.poll(at(0)), Some((tenant.clone(), asked(7))));
        assert_eq!((purse.poll(at(0)), purse.poll_decided()), (None, None));
        let put = purse.handle_answer(at(1), &tenant, &answer(99, 7, None));
        assert!(matches!(put, Some(Request::Put { key: Key::Money(_), after: Sequence(0), .. })));
        assert_eq!((purse.poll(at(1)), purse.poll_decided()), (None, Some((1, Ok(())))));
        // Some seconds later the answer comes at once, and what is known is asked again.
        purse.take(at(6000), &tenant, limit, 2);
        assert_eq!(purse.poll(at(6000)), Some((tenant.clone(), asked(7))));
        assert_eq!(purse.poll_decided(), Some((2, Ok(()))));
        assert_eq!(purse.handle_answer(at(6001), &tenant, &answer(100, 7, Some(limit))), None);
        purse.take(at(6002), &tenant, limit, 3);
        assert_eq!(purse.poll(at(6002)), None);
        assert_eq!(purse.poll_decided(), Some((3, Err(PlaceError::BudgetSpent))));
        purse.handle_day(Day(8));
        purse.take(at(6003), &tenant, limit, 4);
        assert_eq!(purse.poll(at(6003)), Some((tenant.clone(), asked(8))));
        assert_eq!(purse.handle_answer(at(6004), &tenant, &answer(0, 8, Some(limit))), None);
        assert_eq!((purse.poll(at(6004)), purse.poll_decided()), (None, Some((4, Ok(())))));
    }

    #[test]
    fn an_engine_that_is_away_is_told() {
        let (mut purse, tenant) = (Purse::new(), Tenant::unnamed());
        purse.take(at(0), &tenant, MoneyLimit::new(100), 1);
        for ms in (0..5000).step_by(1000) {
            assert!(purse.poll(at(ms)).is_some(), "{ms}");
            assert_eq!(purse.handle_answer(at(ms + 500), &tenant, &Answer::Unclear), None);
            assert_eq!(purse.poll_timeout(), Some(at(ms + 600)));
        }
        assert_eq!(
            (purse.poll(at(5000)), purse.poll_decided()),
            (None, Some((1, Err(PlaceError::EngineAway))))
        );
    }

    fn asked(day: u64) -> Request {
        Request::Spent { tenant: Tenant::unnamed(), day: Day(day) }
    }

    fn answer(spent: u64, day: u64, limit: Option<MoneyLimit>) -> Answer {
        Answer::Spent { spent, day: Day(day), limit, after: Sequence(0) }
    }
}
