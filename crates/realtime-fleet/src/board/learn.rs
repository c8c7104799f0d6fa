//! How what is shown is learnt from journals: [`open_calls`], [`tenants`].

use std::collections::BTreeMap;

use realtime_protocol::time::UnixTime;

use crate::board::{OpenCall, TenantSeen};
use crate::id::{CallId, Sequence, Tenant};
use crate::line::{Entry, Line, Why};

/// A line as the engine has it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) call: CallId,
    pub(crate) sequence: Sequence,
    pub(crate) at: Option<UnixTime>,
    pub(crate) entry: Entry,
}

/// The calls that are not over, by their first lines and those about their owners, in any order.
pub(crate) fn open_calls(mut lines: Vec<Stored>) -> Vec<OpenCall> {
    lines.sort_by_key(|line| line.sequence);
    let mut calls: BTreeMap<CallId, OpenCall> = BTreeMap::new();
    for Stored { call, at, entry, .. } in lines {
        match entry.line {
            Line::Ended { .. } => drop(calls.remove(&call)),
            line => calls.entry(call.clone()).or_insert_with(|| OpenCall::new(call)).learn(line, at),
        }
    }
    calls.into_values().collect()
}

/// Those tenants, and those of these calls.
pub(crate) fn tenants(calls: &[OpenCall], mut known: BTreeMap<Tenant, TenantSeen>) -> Vec<TenantSeen> {
    for tenant in calls.iter().filter_map(|call| call.tenant.as_ref()) {
        known.entry(tenant.clone()).or_insert_with(|| TenantSeen::new(tenant.clone())).calls += 1;
    }
    known.into_values().collect()
}

impl TenantSeen {
    pub(crate) const fn new(tenant: Tenant) -> Self {
        Self { tenant, calls: 0, call_limit: None, spent: 0, money: None }
    }
}

impl OpenCall {
    const fn new(call: CallId) -> Self {
        let (tenant, leg, owner, why) = (None, None, None, None);
        Self { call, tenant, leg, owner, epoch: 0, why, since: None, owned_since: None }
    }

    fn learn(&mut self, line: Line, at: Option<UnixTime>) {
        match line {
            Line::Placed { worker, placing, .. } => {
                (self.tenant, self.leg) = (Some(placing.tenant), Some(placing.leg.shown()));
                (self.owner, self.epoch, self.why) = (Some(worker), 1, Some(Why::Placed));
                (self.since, self.owned_since) = (at, at);
            }
            Line::Owner { worker, epoch, why } => {
                (self.owner, self.epoch, self.why) = (Some(worker), epoch, Some(why));
                self.owned_since = at;
            }
            Line::Claim { .. }
            | Line::Result { .. }
            | Line::Delivered { .. }
            | Line::Snap { .. }
            | Line::Handover { .. }
            | Line::Ended { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{entry, id, owner, placed};

    #[test]
    fn a_call_has_its_last_owner_and_one_that_ended_is_not_shown() {
        let line = |call: u128, sequence: u64, line: Line| Stored {
            call: CallId::of_bits(call),
            sequence: Sequence(sequence),
            at: Some(UnixTime::from_secs(sequence)),
            entry: entry("w", 0, line),
        };
        let ended = Line::Ended { why: "over".to_owned() };
        let calls = open_calls(vec![
            line(1, 9, owner("b", 2)),
            line(1, 1, placed("a")),
            line(2, 2, placed("a")),
            line(2, 7, ended),
            line(3, 8, placed("c")),
        ]);
        assert_eq!(calls.len(), 2);
        assert_eq!(
            (calls[0].owner.clone(), calls[0].epoch, calls[0].why),
            (Some(id("b")), 2, Some(Why::Lost))
        );
        assert_eq!(calls[0].since, Some(UnixTime::from_secs(1)));
        assert_eq!(calls[0].owned_since, Some(UnixTime::from_secs(9)));
        assert_eq!((calls[1].owner.clone(), calls[1].epoch), (Some(id("c")), 1));

        let other = Tenant::new("other").unwrap();
        let known = TenantSeen { call_limit: Some(5), ..TenantSeen::new(other.clone()) };
        let tenants = tenants(&calls, [(other.clone(), known)].into());
        let shown = tenants.iter().map(|seen| (&seen.tenant, seen.calls, seen.call_limit));
        assert_eq!(shown.collect::<Vec<_>>(), [(&Tenant::unnamed(), 2, None), (&other, 0, Some(5))]);
    }
}
