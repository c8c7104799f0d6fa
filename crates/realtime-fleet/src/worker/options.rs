//! The options of a worker.

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::admission::AdmissionOptions;
use crate::lease::{Lease, LeaseOptions};

/// What kind of worker it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// How long its lease is. The same in the whole fleet.
    pub lease: LeaseOptions,
    /// How much it takes.
    pub admission: AdmissionOptions,
    /// Where it is and what it can do. `zone` is asked first by calls of that zone.
    pub labels: BTreeMap<String, String>,
    /// How often a call's snapshot is written, on average at most; after a pause, four are written as they
    /// come. Default: 2 s.
    pub snapshot_pace: Duration,
    /// Whether it looks after lost calls of others. Default: `true`. Some worker must.
    pub looks_after_others: bool,
    /// Whether the lease is checked.
    pub(crate) checks: bool,
}

impl WorkerOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            lease: LeaseOptions::default(),
            admission: AdmissionOptions::default(),
            labels: BTreeMap::new(),
            snapshot_pace: Duration::from_secs(2),
            looks_after_others: true,
            checks: true,
        }
    }

    /// Replaces the lease.
    #[must_use]
    pub const fn lease(mut self, lease: LeaseOptions) -> Self {
        self.lease = lease;
        self
    }

    /// Replaces how much it takes.
    #[must_use]
    pub const fn admission(mut self, admission: AdmissionOptions) -> Self {
        self.admission = admission;
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Replaces how often a snapshot is written, on average at most.
    #[must_use]
    pub const fn snapshot_pace(mut self, pace: Duration) -> Self {
        self.snapshot_pace = pace;
        self
    }

    /// Leaves lost calls to others.
    #[must_use]
    pub const fn without_recovery(mut self) -> Self {
        self.looks_after_others = false;
        self
    }

    /// Acts without looking at the lease. It shows in a rehearsal what leases are for: calls get two owners.
    #[must_use]
    #[doc(hidden)]
    pub const fn without_lease_checks(mut self) -> Self {
        self.checks = false;
        self
    }

    pub(crate) fn new_lease(&self, now: Timestamp) -> Lease {
        let lease = Lease::new(now, self.lease);
        if self.checks { lease } else { lease.unchecked() }
    }
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self::new()
    }
}
