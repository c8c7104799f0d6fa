//! The calls that run and the last ones that ended: [`Calls`].

mod books;
mod facts;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use realtime_context::budget::Budget;
use realtime_pipeline::TaskHandle;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::figures::{Count, Figure, Outcome};
use crate::serve::metrics::Metrics;
use crate::serve::places::Place;
use crate::time::{wall, written};

pub(super) use books::Books;
pub(super) use facts::Facts;

/// How many ended calls are remembered.
const REMEMBERED: usize = 100;

/// The calls of a server.
#[derive(Debug)]
pub(super) struct Calls {
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    live: BTreeMap<u64, Arc<Entry>>,
    ended: VecDeque<Arc<Entry>>,
}

/// One call.
struct Entry {
    number: u64,
    id: String,
    /// How the other end is reached: `page`, `twilio`, `openai`.
    kind: &'static str,
    since: String,
    began: Instant,
    facts: Mutex<Facts>,
    metrics: Arc<Metrics>,
    budget: Option<Budget>,
}

/// A call that runs. When it is dropped, the call has ended.
#[derive(Debug)]
pub(super) struct LiveCall {
    entry: Arc<Entry>,
    calls: Arc<Calls>,
    _place: Place,
}

impl Calls {
    /// No calls yet. What happens in them is counted here.
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { state: Mutex::default(), metrics }
    }

    /// A call begins. `budget`: what it costs, if prices are known.
    pub(super) fn begin(
        self: &Arc<Self>,
        kind: &'static str,
        place: Place,
        budget: Option<Budget>,
    ) -> LiveCall {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let entry = Arc::new(Entry {
            number,
            id: format!("{number}-{:08x}", rand::random::<u32>()),
            kind,
            since: written(wall()),
            began: Instant::now(),
            facts: Mutex::default(),
            metrics: Arc::clone(&self.metrics),
            budget,
        });
        state.live.insert(number, Arc::clone(&entry));
        drop(state);
        self.metrics.count(&Figure::Began { kind });
        tracing::info!(call = %entry.id, kind, "a call begins");
        LiveCall { entry, calls: Arc::clone(self), _place: place }
    }

    /// All that is known: the calls that run, oldest first, and those that ended, latest first.
    pub(super) fn told(&self) -> Value {
        let state = self.state();
        let live: Vec<Value> = state.live.values().map(|entry| entry.told()).collect();
        let ended: Vec<Value> = state.ended.iter().map(|entry| entry.told()).collect();
        json!({ "live": live, "ended": ended })
    }

    /// How many run, and how many that ended are remembered.
    pub(super) fn count(&self) -> (usize, usize) {
        let state = self.state();
        (state.live.len(), state.ended.len())
    }

    /// The call that ended last, in one line for a person. `None`: none has.
    pub(super) fn summary(&self) -> Option<String> {
        let entry = self.state().ended.front().cloned()?;
        let facts = entry.facts();
        Some(facts.summary())
    }

    /// One call.
    pub(super) fn told_of(&self, id: &str) -> Option<Value> {
        self.find(id).map(|entry| entry.told())
    }

    /// Ends a call at once. Returns whether it is known.
    pub(super) fn hang_up(&self, id: &str) -> bool {
        let Some(entry) = self.find(id) else { return false };
        if let Some(handle) = &entry.facts().handle {
            // One that is over needs it no more.
            let _ = handle.cancel("somebody ended the call from outside");
        }
        true
    }

    fn find(&self, id: &str) -> Option<Arc<Entry>> {
        let state = self.state();
        state.live.values().chain(&state.ended).find(|entry| entry.id == id).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveCall {
    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.entry.id
    }

    /// What writes down what happens in it.
    pub(super) fn books(&self) -> Books {
        Books::new(Arc::new(Shared(Arc::clone(&self.entry))))
    }

    /// Who calls whom.
    pub(super) fn between(&self, from: Option<String>, to: Option<String>) {
        let mut facts = self.entry.facts();
        (facts.from, facts.to) = (from, to);
    }

    /// The id by which the carrier knows it.
    pub(super) fn known_as(&self, carrier_id: Option<String>) {
        self.entry.facts().carrier_id = carrier_id;
    }

    /// The call runs.
    pub(super) fn runs(&self, handle: TaskHandle) {
        self.entry.facts().handle = Some(handle);
    }

    /// The call has failed, for this reason.
    pub(super) fn failed(self, why: impl fmt::Display) {
        self.entry.facts().failed = true;
        self.ended(why);
    }

    /// The call has ended, for this reason.
    pub(super) fn ended(self, why: impl fmt::Display) {
        self.entry.facts().end = Some(why.to_string());
    }
}

impl Drop for LiveCall {
    fn drop(&mut self) {
        let entry = &self.entry;
        let (why, outcome) = {
            let mut facts = entry.facts();
            facts.handle = None;
            facts.is_live = false;
            facts.seconds = Some(entry.began.elapsed().as_secs_f64());
            let why =
                facts.end.get_or_insert_with(|| "the other end has gone before the call began".to_owned());
            (why.clone(), if facts.failed { Outcome::Failed } else { Outcome::Completed })
        };
        let length = entry.began.elapsed();
        entry.metrics.count(&Figure::Ended { kind: entry.kind, outcome, length });
        tracing::info!(call = %entry.id, "the call has ended: {why}");
        let mut state = self.calls.state();
        if let Some(entry) = state.live.remove(&entry.number) {
            state.ended.push_front(entry);
            state.ended.truncate(REMEMBERED);
        }
    }
}

impl Entry {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> Value {
        let facts = self.facts();
        let mut told = facts.told();
        told["id"] = self.id.as_str().into();
        told["kind"] = self.kind.into();
        told["since"] = self.since.as_str().into();
        let seconds = facts.seconds.unwrap_or_else(|| self.began.elapsed().as_secs_f64());
        told["seconds"] = ((seconds * 10.0).round() / 10.0).into();
        told["cost"] = self.budget.as_ref().map(|budget| budget.spent().total()).into();
        told
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A call's facts, for who writes them.
pub(super) struct Shared(Arc<Entry>);

impl Shared {
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts()
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::places::Places;

    #[test]
    fn a_call_is_listed_while_it_runs_and_remembered_after_its_end() {
        let (calls, places) = (Arc::new(Calls::new(Arc::new(Metrics::new(None)))), Places::new(200));
        let call = calls.begin("twilio", places.take().unwrap(), None);
        call.between(Some("+15550100001".into()), None);
        call.known_as(Some("CA1".into()));
        let told = calls.told();
        assert_eq!(told["live"][0]["from"], "+15550100001");
        assert_eq!(told["live"][0]["state"], "connecting");
        assert_eq!(told["live"][0]["cost"], Value::Null);
        let id = call.id().to_owned();
        assert!(calls.hang_up(&id) && !calls.hang_up("1-x"));
        call.ended("the conversation is over");
        let told = calls.told_of(&id).unwrap();
        assert_eq!((&told["state"], &told["end"]), (&json!("ended"), &json!("the conversation is over")));
        assert_eq!((places.taken(), &calls.told()["live"]), (0, &json!([])));

        for _ in 0..150 {
            drop(calls.begin("page", places.take().unwrap(), None));
        }
        assert_eq!(calls.told()["ended"].as_array().unwrap().len(), REMEMBERED);
        assert!(calls.told_of(&id).is_none());
    }
}
