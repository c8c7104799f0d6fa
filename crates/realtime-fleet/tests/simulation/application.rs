//! What runs on a worker: calls of a few turns, of which every second one runs a function.

use std::collections::BTreeMap;

use realtime_fleet::worker::{Command, PlacedCall, Verdict};
use realtime_fleet::{CallId, OnTakeover, Progress, Snapshot, Why};
use serde_json::json;

/// Turns of a call.
pub(crate) const TURNS: u64 = 6;

/// What the application asks of its world.
pub(crate) enum Ask {
    /// Say this to the worker.
    Say(CallId, Command),
    /// Call `handle_timer` in so many milliseconds.
    Wait(CallId, Step, u64),
    /// Send a command to the model, if that may be done now; or else call `handle_timer` again.
    Act(CallId),
    /// Run this function, if that may be done now; or else call `handle_timer` again.
    Run(CallId, String),
}

/// Where a call is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// A turn begins.
    Turn,
    /// The model is told something.
    Act,
    /// The function is to run.
    Run(String),
    /// The function has run.
    Ran(String),
}

#[derive(Default)]
pub(crate) struct Application {
    /// The turn that each call is in, counted from 1.
    turns: BTreeMap<CallId, u64>,
    pub(crate) unknown: u64,
}

impl Application {
    pub(crate) fn begin(&mut self, placed: &PlacedCall) -> Vec<Ask> {
        let resume = placed.resume.as_ref();
        let snapshot = resume.and_then(|resume| resume.snapshot.as_ref());
        let done = snapshot.and_then(|snapshot| snapshot.app.0["turn"].as_u64()).unwrap_or(0);
        self.turns.insert(placed.id.clone(), done + 1);
        if placed.why == Why::Moved {
            // It is attached. Its owner is to let go.
            let turn = Ask::Wait(placed.id.clone(), Step::Turn, 100);
            return vec![Ask::Say(placed.id.clone(), Command::Ready), turn];
        }
        let open = resume.and_then(|resume| resume.functions.first());
        match open {
            // The model waits for it: the journal says what to tell.
            Some(claim) if matches!(claim.progress, Progress::Claimed | Progress::Done { .. }) => {
                vec![Ask::Say(placed.id.clone(), self.claim(&claim.key))]
            }
            _ => vec![Ask::Wait(placed.id.clone(), Step::Turn, 100)],
        }
    }

    pub(crate) fn stop(&mut self, call: &CallId) {
        self.turns.remove(call);
    }

    pub(crate) fn handle_timer(&mut self, call: CallId, step: Step) -> Vec<Ask> {
        let Some(turn) = self.turns.get(&call).copied() else { return Vec::new() };
        match step {
            Step::Turn if turn > TURNS => vec![Ask::Say(call, Command::End { why: "done".into() })],
            Step::Turn if turn.is_multiple_of(2) => {
                let claim = self.claim(&format!("{call}:{turn}"));
                vec![Ask::Say(call, claim)]
            }
            Step::Turn | Step::Act => vec![Ask::Act(call)],
            Step::Run(key) => vec![Ask::Run(call, key)],
            Step::Ran(key) => vec![Ask::Say(call, Command::Result { key, output: json!("done").into() })],
        }
    }

    /// The model was told something: the turn is over.
    pub(crate) fn acted(&mut self, call: CallId) -> Vec<Ask> {
        let Some(turn) = self.turns.get_mut(&call) else { return Vec::new() };
        let snapshot = Snapshot::new().app(json!({ "turn": *turn }));
        *turn += 1;
        let (snap, may_move) = (Command::Snap(snapshot), Command::Move);
        let told = vec![Ask::Say(call.clone(), snap), Ask::Say(call.clone(), may_move)];
        told.into_iter().chain([Ask::Wait(call, Step::Turn, 400)]).collect()
    }

    pub(crate) fn handle_verdict(&mut self, call: CallId, key: String, verdict: Verdict) -> Vec<Ask> {
        match verdict {
            Verdict::Run => vec![Ask::Run(call, key)],
            Verdict::Answer(_) => self.handle_recorded(call, key),
            Verdict::Unknown => {
                self.unknown += 1;
                vec![Ask::Say(call, Command::Result { key, output: json!("unknown").into() })]
            }
            // Delivered by an earlier owner, whose snapshot was not written any more.
            _ => vec![Ask::Act(call)],
        }
    }

    /// The result is in the journal: the model is told, and that ends the turn.
    pub(crate) fn handle_recorded(&mut self, call: CallId, key: String) -> Vec<Ask> {
        vec![Ask::Say(call.clone(), Command::Delivered { key }), Ask::Act(call)]
    }

    fn claim(&self, key: &str) -> Command {
        let (key, name) = (key.into(), "book".into());
        Command::Claim { key, name, on_takeover: OnTakeover::Unknown, call: None }
    }
}
