//! A call that bytes steer, over its connections and its owners: [`run`].
//!
//! Each owner's log is replayed, and what the owners tell is one sequence.

use std::collections::BTreeSet;
use std::time::Duration;

use realtime_protocol::call::{CallOptions, Command, CommandId, ConnectionId};
use realtime_protocol::event::ClientEvent;
use realtime_protocol::log::Input;
use realtime_protocol::session::Begin;
use realtime_protocol::time::Timestamp;

use crate::grammar::Order;
use crate::owner::Owner;
use crate::steered::checks::{self, Budget};
use crate::steered::names::Names;
use crate::steered::{LATEST, Plan, STATE_EVERY, Step};

/// Carries out what the bytes say.
///
/// # Panics
/// When something does not hold that must.
pub fn run(bytes: &[u8]) {
    let Plan { options, steps } = Plan::read(bytes);
    let mut run = Run::new(options);
    for step in &steps {
        run.step(step);
    }
    run.end();
}

struct Run {
    options: CallOptions,
    owner: Owner,
    /// Commands that waited when the owner took over.
    waiters: BTreeSet<CommandId>,
    /// Ids that earlier owners have made.
    ids: BTreeSet<String>,
    order: Order,
    /// How many of the owner's call events, and of its client events, were looked at.
    seen: usize,
    sent: usize,
    /// What the application sends as it is.
    raw: Vec<ClientEvent>,
    budget: Budget,
    names: Names,
    now: Timestamp,
    back: Duration,
    inputs: usize,
    /// Whether the owner's log holds all that went in.
    replays: bool,
}

impl Run {
    fn new(options: CallOptions) -> Self {
        let size = serde_json::to_string(&options).expect("options are JSON").len();
        Self {
            owner: Owner::new(options.clone(), None),
            options,
            waiters: BTreeSet::new(),
            ids: BTreeSet::new(),
            order: Order::default(),
            seen: 0,
            sent: 0,
            raw: Vec::new(),
            budget: Budget::new(size),
            names: Names::default(),
            now: Timestamp::ZERO,
            back: Duration::ZERO,
            inputs: 0,
            replays: true,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait(micros) => {
                self.now = self.now + Duration::from_micros(*micros);
                let before = self.owner.log_size();
                self.owner.pass(self.now);
                self.look(before);
            }
            Step::Oversleep(micros) => self.now = self.now + Duration::from_micros(*micros),
            Step::Back(micros) => self.back = Duration::from_micros(*micros),
            Step::Input(input) => self.give(input),
            Step::Move(begin) => self.move_on(*begin),
        }
    }

    fn give(&mut self, input: &Input) {
        let at = self.now - core::mem::take(&mut self.back);
        self.names.connection = self.owner.conn;
        let input = self.names.resolved(input);
        let connection = match &input {
            Input::Connected(ConnectionId(number), _)
            | Input::Text(ConnectionId(number), _)
            | Input::Disconnected(ConnectionId(number), _)
            | Input::Seed(ConnectionId(number), _) => *number,
            _ => self.owner.conn,
        };
        let (before, told) = (self.owner.log_size(), self.owner.outputs);
        let was_ended = self.owner.call().is_ended();
        let is_due = self.owner.call().poll_timeout().is_some_and(|due| due <= self.now);
        self.budget.input(&input);
        self.replays &= !matches!(&input, Input::Text(_, text) if !is_logged_whole(text));
        if let Input::Command(_, command) = &input
            && let Command::SendEvent { event } = &**command
        {
            self.raw.push((**event).clone());
        }
        self.owner.give(at, &input, connection);
        let count = self.owner.outputs - told;
        let is_needless = matches!(input, Input::Timer) && !is_due;
        assert!(!was_ended || count == 0, "{count} outputs after the end");
        assert!(!is_needless || count == 0, "nothing was due, and {count} outputs came");
        self.budget.output(count, 0);
        self.look(before);
    }

    /// Checks everything that came out since the log had this many bytes.
    fn look(&mut self, before: usize) {
        self.budget.output(0, self.owner.log_size() - before);
        for event in &self.owner.told[self.seen..] {
            self.order.event(event);
        }
        self.seen = self.owner.told.len();
        for (dialect, event) in &self.owner.sent[self.sent..] {
            self.names.sent(event);
            if !self.raw.contains(event) {
                checks::sent(event, *dialect);
            }
        }
        self.sent = self.owner.sent.len();
        self.inputs += 1;
        if self.inputs.is_multiple_of(STATE_EVERY) {
            self.budget.state(format!("{:?}", self.owner.call()).len());
        }
    }

    /// The call goes on elsewhere, by another clock.
    fn move_on(&mut self, begin: Begin) {
        let before = self.owner.log_size();
        let suspended = self.owner.suspend(self.now);
        self.look(before);
        self.leave(&suspended.waiters().collect());
        let mut options = self.options.clone();
        options.session.begin = begin;
        self.owner = Owner::new(options, Some(suspended.clone()));
        self.waiters = suspended.waiters().collect();
        (self.seen, self.sent, self.now) = (0, 0, Timestamp::ZERO);
        self.look(0);
    }

    /// Every command was answered, or is named; no id was made twice; and the log replays.
    fn leave(&mut self, named: &BTreeSet<CommandId>) {
        let commands = &self.owner.commands;
        for id in commands.keys().chain(&self.waiters) {
            let (taken, settled) = commands.get(id).copied().unwrap_or_default();
            let waited = usize::from(self.waiters.contains(id));
            let waits = usize::from(named.contains(id));
            assert_eq!(taken + waited, settled + waits, "{id} is answered, or named");
        }
        if core::mem::replace(&mut self.replays, true) {
            self.owner.replay("the owner's log");
        }
        let made: Vec<&String> = self.owner.ids.intersection(&self.ids).collect();
        assert!(made.is_empty(), "made by two owners: {made:?}");
        self.ids.append(&mut self.owner.ids);
    }

    fn end(mut self) {
        let before = self.owner.log_size();
        self.owner.close();
        self.look(before);
        self.budget.state(format!("{:?}", self.owner.call()).len());
        for input in [Input::Timer, Input::Text(ConnectionId(LATEST), r#"{"type":"session.updated"}"#.into())]
        {
            self.give(&input);
        }
        self.leave(&BTreeSet::new());
    }
}

/// Returns whether a log holds a text so that a replay knows all of it: one that may hold tokens and is no
/// JSON is left out, or repaired.
fn is_logged_whole(text: &str) -> bool {
    !text.contains("\"mcp\"") || serde_json::from_str::<serde_json::Value>(text).is_ok()
}
