//! What can be chosen for a chain: [`ChainOptions`].

use std::fmt;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::fault::Policy;
use crate::chain::meter::Clock;

/// What can be chosen for a chain.
#[non_exhaustive]
pub struct ChainOptions {
    /// What happens when a stage fails. Default: the run ends.
    pub policy: Policy,
    /// How long `End` waits for stages that are not done. Then their work is dropped, which is a fault.
    /// Default: 10 s.
    pub drain_limit: Duration,
    pub(super) clock: Option<Clock>,
}

impl Default for ChainOptions {
    fn default() -> Self {
        Self { policy: Policy::default(), drain_limit: Duration::from_secs(10), clock: None }
    }
}

impl ChainOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`policy`](Self::policy).
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// See [`drain_limit`](Self::drain_limit).
    #[must_use]
    pub fn drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = limit;
        self
    }

    /// Measures steps with the driver's clock: it is read twice in each. Without it, no step is found slow.
    #[must_use]
    pub fn meter(mut self, clock: impl FnMut() -> Timestamp + Send + 'static) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }
}

impl fmt::Debug for ChainOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainOptions")
            .field("policy", &self.policy)
            .field("drain_limit", &self.drain_limit)
            .field("clock", &self.clock.is_some())
            .finish()
    }
}
