//! What people are shown of a fleet: [`WorkerSeen`], [`OpenCall`] and [`TenantSeen`].

#[cfg(any(feature = "nats", test))]
mod learn;

use std::time::Duration;

use realtime_protocol::time::UnixTime;
use serde::Serialize;

use crate::engine::Card;
use crate::id::{CallId, Tenant, WorkerId};
use crate::line::{Leg, Why};
use crate::money::MoneyLimit;

#[cfg(feature = "nats")]
pub(crate) use learn::{Stored, open_calls, tenants};

/// A worker, as its card shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WorkerSeen {
    /// Its name in this life.
    pub worker: WorkerId,
    /// What it says of itself.
    pub card: Card,
    /// How old that is. A worker renews its card four times in the length of a lease.
    pub age: Duration,
}

/// A call that is not over. It has none of its words.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OpenCall {
    /// Its name in the fleet.
    pub call: CallId,
    /// Who pays.
    pub tenant: Option<Tenant>,
    /// Where its media runs.
    pub leg: Option<Leg>,
    /// Its owner.
    pub owner: Option<WorkerId>,
    /// Its owners so far.
    pub epoch: u64,
    /// Why its owner has it.
    pub why: Option<Why>,
    /// When it was placed, by the engine's clock.
    #[serde(skip)]
    pub since: Option<UnixTime>,
    /// When its owner wrote itself in, by the engine's clock.
    #[serde(skip)]
    pub owned_since: Option<UnixTime>,
}

/// Who pays for calls, and what limits them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TenantSeen {
    /// Its name.
    pub tenant: Tenant,
    /// How many of its calls are not over.
    pub calls: usize,
    /// How many it may have at once. `None`: no gateway said so.
    pub call_limit: Option<u32>,
    /// What its calls have cost today, in millionths of the currency.
    pub spent: u64,
    /// What it may spend in a day of UTC. `None`: no gateway said so.
    pub money: Option<MoneyLimit>,
}
