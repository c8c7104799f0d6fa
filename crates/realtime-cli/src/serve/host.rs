//! What calls are held with, whichever way they come in: [`Host`].

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use realtime_context::budget::Budget;
use realtime_pipeline::{Agent, Runner};
use tokio::time::interval;

use crate::agent::{LoadedAgent, Reach};
use crate::figures::{Count as _, Figure};
use crate::model::Model;
use crate::serve::calls::{Calls, LiveCall};
use crate::serve::metrics::Metrics;
use crate::serve::places::{NoPlace, Place, Places};
use crate::serve::recordings::{Recordings, SWEEP};

/// The agent, the model, and what is known and counted of calls.
pub(super) struct Host {
    pub(super) agent: LoadedAgent,
    pub(super) model: Model,
    pub(super) voice: Option<String>,
    /// Whether traces hold what was said.
    pub(super) traces_content: bool,
    pub(super) places: Arc<Places>,
    pub(super) calls: Arc<Calls>,
    pub(super) metrics: Arc<Metrics>,
    /// Where session logs go, if anywhere.
    pub(super) recordings: Option<Recordings>,
    pub(super) runner: Runner,
    /// The longest call.
    pub(super) longest: Duration,
}

impl Host {
    /// Takes a place for a call of this kind.
    pub(super) fn place(&self, kind: &'static str) -> Result<Place, NoPlace> {
        self.places.take().inspect_err(|why| self.refused(kind, *why))
    }

    /// A call of this kind found no place.
    pub(super) fn refused(&self, kind: &'static str, why: NoPlace) {
        self.metrics.count(&Figure::Refused { kind, reason: why.code() });
        tracing::warn!(kind, "a call was refused: {why}");
    }

    /// The agent of a call, which tells that it is recorded if that is so.
    pub(super) fn agent(&self, reach: Reach) -> Agent {
        let agent = self.agent.agent(reach, self.voice.as_deref());
        match self.recordings.as_ref().and_then(|recordings| recordings.greeting(self.agent.greeting())) {
            Some(greeting) => agent.greeting(greeting),
            None => agent,
        }
    }

    /// A call of this kind begins.
    pub(super) fn begin(&self, kind: &'static str, place: Place) -> (LiveCall, Budget) {
        let budget = self.agent.budget(Some(self.longest));
        let told = self.agent.knows_prices().then(|| budget.clone());
        (self.calls.begin(kind, place, told), budget)
    }

    /// Deletes session logs that are too old, again and again.
    pub(super) async fn sweep(&self) {
        let Some(recordings) = &self.recordings else { return pending().await };
        let mut due = interval(SWEEP);
        loop {
            due.tick().await;
            match recordings.sweep(SystemTime::now()) {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "session logs were deleted, since they were too old"),
                Err(error) => tracing::error!("session logs that are too old cannot be deleted: {error}"),
            }
        }
    }
}
