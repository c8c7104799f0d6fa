//! The world around the machines: an engine in memory, a network that does what it likes, and the invariants.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use realtime_fleet::engine::memory::Memory;
use realtime_fleet::engine::{Answer, Offer, Push, Request, RequestId};
use realtime_fleet::gateway::Gateway;
use realtime_fleet::worker::{Event, OfferId, Output, Worker, WorkerOptions};
use realtime_fleet::{CallId, CallRecord, Line, Why, WorkerId};
use realtime_protocol::time::Timestamp;

use crate::application::{Application, Ask, Step};
use crate::chance::Chance;

pub(crate) const TTL: Duration = Duration::from_secs(3);
const WORKERS: usize = 4;
/// Calls, where their number has no limit.
const CALLS: u64 = 6;
/// After this time the adversary leaves the fleet alone, ms.
const PEACE: u64 = 25_000;
/// All calls must have ended by then, ms.
const END: u64 = 155_000;

#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) fences: bool,
    pub(crate) lease_checks: bool,
    /// How many calls there may be at once: then several gateways place more than that in bursts.
    pub(crate) limit: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { fences: true, lease_checks: true, limit: None }
    }
}

/// An invariant that does not hold.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) what: &'static str,
    seed: u64,
    at: u64,
    call: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, seed, at, call } = self;
        write!(f, "seed {seed}, {at} ms, call {call}: {what}")
    }
}

#[derive(Default)]
pub(crate) struct Done {
    pub(crate) takeovers: u64,
    pub(crate) unknown: u64,
    pub(crate) fenced: u64,
    pub(crate) moves: u64,
    /// Placed calls, and those that were refused because of the limit.
    pub(crate) placed: u64,
    pub(crate) over_limit: u64,
    /// Calls whose first announcement came to the engine after their gateway's lease had ended.
    pub(crate) late: BTreeSet<CallId>,
}

/// Where something goes to: a worker's number, or a gateway's, counted from this one down.
pub(crate) type Node = usize;
pub(crate) const GATEWAY: Node = usize::MAX;

pub(crate) enum Happening {
    /// A gateway is to place a call, perhaps one that must find a slot.
    Place {
        gateway: usize,
        must: bool,
    },
    KillGateway(usize),
    Ask(Node, RequestId, Request),
    Answer(Node, RequestId, Answer),
    Offer {
        from: Node,
        request: RequestId,
        to: Node,
        offer: Offer,
    },
    Push(Node, Push),
    Wake(Node),
    Timer(Node, CallId, Step),
    Expire,
    Kill(Node),
    Drain(Node),
}

pub(crate) struct Process {
    worker: Worker,
    application: Application,
    /// Offers that it answers, by number: who asked, and in which request.
    pub(crate) offers: Vec<(Node, RequestId)>,
    /// It is stopped until then.
    pub(crate) stopped: u64,
}

pub(crate) struct World {
    seed: u64,
    pub(crate) now: u64,
    pub(crate) chance: Chance,
    pub(crate) options: Options,
    pub(crate) engine: Memory,
    pub(crate) gateways: BTreeMap<Node, Gateway>,
    /// Gateways so far.
    pub(crate) opened: usize,
    pub(crate) processes: BTreeMap<Node, Process>,
    started: Node,
    pub(crate) names: BTreeMap<WorkerId, Node>,
    happenings: BTreeMap<(u64, u64), Happening>,
    count: u64,
    pub(crate) waiting: BTreeSet<(Node, RequestId)>,
    /// When each node is woken next.
    wakes: BTreeMap<Node, u64>,
    /// The engine is away until then, and each node is cut off from everything until then.
    pub(crate) away: u64,
    pub(crate) cut: BTreeMap<Node, u64>,
    claimed: BTreeSet<String>,
    ran: BTreeSet<String>,
    epochs: BTreeMap<CallId, u64>,
    /// Calls that were announced while their gateway had its lease.
    pub(crate) announced: BTreeSet<CallId>,
    pub(crate) placed: BTreeSet<CallId>,
    /// Calls that each gateway was asked for, and has not answered.
    pub(crate) asked: BTreeMap<Node, u64>,
    /// Calls that must find a slot.
    pub(crate) musts: BTreeSet<CallId>,
    /// Calls that are still to be asked for, or to be answered.
    pub(crate) expected: u64,
    pub(crate) done: Done,
    is_shown: bool,
}

impl World {
    pub(crate) fn run(seed: u64, options: Options) -> Result<Done, Broken> {
        let engine = Memory::new(TTL);
        let mut world = Self {
            seed,
            now: 0,
            chance: Chance::new(seed),
            options,
            engine: if options.fences { engine } else { engine.without_fences() },
            gateways: BTreeMap::new(),
            opened: 0,
            processes: BTreeMap::new(),
            started: 0,
            names: BTreeMap::new(),
            happenings: BTreeMap::new(),
            count: 0,
            waiting: BTreeSet::new(),
            wakes: BTreeMap::new(),
            away: 0,
            cut: BTreeMap::new(),
            claimed: BTreeSet::new(),
            ran: BTreeSet::new(),
            epochs: BTreeMap::new(),
            announced: BTreeSet::new(),
            placed: BTreeSet::new(),
            asked: BTreeMap::new(),
            musts: BTreeSet::new(),
            expected: 0,
            done: Done::default(),
            is_shown: std::env::var_os("FLEET_SEED").is_some(),
        };
        (0..WORKERS).try_for_each(|_| world.start())?;
        match options.limit {
            Some(limit) => world.plan_bursts(limit),
            None => {
                world.open_gateway();
                for n in 0..CALLS {
                    world.plan_call(2_000 + 300 * n, 0, false);
                }
            }
        }
        world.plan();
        if world.chance.between(0, 1) == 0 {
            let at = world.chance.between(3_000, PEACE);
            let node = world.chance.between(0, WORKERS as u64 - 1) as Node;
            world.at(at, Happening::Drain(node));
        }
        while let Some(((at, _), happening)) = world.happenings.pop_first() {
            world.now = at;
            world.happen(happening)?;
            if world.is_over() {
                world.done.unknown =
                    world.processes.values().map(|process| process.application.unknown).sum();
                return Ok(world.done);
            }
            if at > END {
                let left = world.placed.iter().find(|call| !world.record(call).is_over());
                return Err(world.broken("did not end", left.cloned().as_ref()));
            }
        }
        Err(world.broken("nothing happens any more", None))
    }

    /// What goes wrong, and when.
    fn plan(&mut self) {
        for _ in 0..self.chance.between(2, 5) {
            let at = self.chance.between(3_000, PEACE - 9_000);
            let node = self.chance.between(0, WORKERS as u64 - 1) as Node;
            let long = self.chance.between(500, 9_000);
            match self.chance.between(0, 3) {
                0 => self.at(at, Happening::Kill(node)),
                1 => {
                    // A stopped process: what comes to it waits.
                    if let Some(process) = self.processes.get_mut(&node) {
                        process.stopped = at + long;
                    }
                }
                2 => {
                    self.cut.insert(node, at + long);
                }
                _ => self.away = at + long,
            }
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        let now = Timestamp::from_millis(self.now);
        match happening {
            Happening::Place { gateway, must } => self.place(gateway, must),
            Happening::KillGateway(gateway) => self.kill_gateway(gateway),
            Happening::Ask(node, id, request) => {
                // What a node sent while it was cut off comes late, and what the engine missed is lost.
                if let Some(late) = self.held_back(node) {
                    self.at(late, Happening::Ask(node, id, request));
                } else if !self.is_away() {
                    self.ask_engine(node, id, &request)?;
                }
                Ok(())
            }
            Happening::Expire => {
                for push in self.engine.expire(now) {
                    self.tell_all(&push);
                }
                Ok(())
            }
            Happening::Kill(node) => {
                self.show(format_args!("{node} is killed"));
                self.processes.remove(&node);
                self.names.retain(|_, of| *of != node);
                self.start()
            }
            Happening::Drain(node) => {
                self.show(format_args!("{node} drains"));
                if let Some(process) = self.processes.get_mut(&node) {
                    process.worker.drain(now);
                }
                self.settle(node)
            }
            Happening::Answer(node, id, answer) => {
                if let Some(late) = self.held_back(node).or_else(|| self.stopped(node)) {
                    self.at(late, Happening::Answer(node, id, answer));
                    return Ok(());
                }
                if !self.waiting.remove(&(node, id)) {
                    return Ok(());
                }
                match self.processes.get_mut(&node) {
                    Some(process) => process.worker.handle_answer(now, id, answer),
                    None => {
                        if let Some(gateway) = self.gateways.get_mut(&node) {
                            gateway.handle_answer(now, id, answer);
                        }
                    }
                }
                self.settle(node)
            }
            Happening::Offer { from, request, to, offer } => {
                if let Some(late) = self.held_back(to).or_else(|| self.stopped(to)) {
                    self.at(late, Happening::Offer { from, request, to, offer });
                    return Ok(());
                }
                if let Some(process) = self.processes.get_mut(&to) {
                    process.offers.push((from, request));
                    let id = OfferId(process.offers.len() as u64 - 1);
                    process.worker.handle_offer(now, id, offer);
                }
                self.settle(to)
            }
            Happening::Push(node, push) => {
                if let Some(late) = self.held_back(node).or_else(|| self.stopped(node)) {
                    self.at(late, Happening::Push(node, push));
                    return Ok(());
                }
                match self.processes.get_mut(&node) {
                    Some(process) => process.worker.handle_push(now, push),
                    None => {
                        if let Some(gateway) = self.gateways.get_mut(&node) {
                            gateway.handle_push(now, push);
                        }
                    }
                }
                self.settle(node)
            }
            Happening::Wake(node) => {
                self.wakes.remove(&node);
                if let Some(late) = self.stopped(node) {
                    self.at(late, Happening::Wake(node));
                    return Ok(());
                }
                match self.processes.get_mut(&node) {
                    Some(process) => process.worker.handle_timeout(now),
                    None => {
                        if let Some(gateway) = self.gateways.get_mut(&node) {
                            gateway.handle_timeout(now);
                        }
                    }
                }
                self.settle(node)
            }
            Happening::Timer(node, call, step) => {
                if let Some(late) = self.stopped(node) {
                    self.at(late, Happening::Timer(node, call, step));
                    return Ok(());
                }
                let Some(process) = self.processes.get_mut(&node) else { return Ok(()) };
                let asks = process.application.handle_timer(call, step);
                self.carry_out(node, asks)?;
                self.settle(node)
            }
        }
    }

    fn start(&mut self) -> Result<(), Broken> {
        let node = self.started;
        self.started += 1;
        let mut options = WorkerOptions::new().snapshot_pace(Duration::from_millis(300));
        if !self.options.lease_checks {
            options = options.without_lease_checks();
        }
        let entropy = self.chance.bits();
        let worker = Worker::new(Timestamp::from_millis(self.now), options, entropy);
        let application = Application::default();
        self.processes.insert(node, Process { worker, application, offers: Vec::new(), stopped: 0 });
        self.settle(node)
    }

    /// Carries out what a machine asks, until it asks nothing.
    pub(crate) fn settle(&mut self, node: Node) -> Result<(), Broken> {
        if self.gateways.contains_key(&node) {
            return self.settle_gateway(node);
        }
        while let Some(output) =
            self.processes.get_mut(&node).and_then(|process| process.worker.poll_output())
        {
            match output {
                Output::Request(id, request) => self.send(node, id, request),
                Output::Reply(OfferId(n), answer) => self.reply(node, n, answer),
                Output::Event(event) => self.tell(node, event)?,
            }
        }
        if let Some(at) = self.processes.get(&node).and_then(|process| process.worker.poll_timeout()) {
            self.wake(node, at);
        }
        Ok(())
    }

    fn tell(&mut self, node: Node, event: Event) -> Result<(), Broken> {
        self.show(format_args!("{node} hears {event:?}"));
        let Some(process) = self.processes.get_mut(&node) else { return Ok(()) };
        let asks = match event {
            Event::Begin(placed) => {
                self.done.takeovers += u64::from(placed.epoch > 1);
                process.application.begin(&placed)
            }
            Event::Function { call, key, verdict } => process.application.handle_verdict(call, key, verdict),
            Event::Recorded { call, key } => process.application.handle_recorded(call, key),
            Event::Stopped { call } => {
                process.application.stop(&call);
                self.done.fenced += u64::from(!self.record(&call).is_over());
                Vec::new()
            }
            Event::Named(name) => {
                self.names.insert(name, node);
                Vec::new()
            }
            _ => Vec::new(),
        };
        self.carry_out(node, asks)
    }

    fn carry_out(&mut self, node: Node, asks: Vec<Ask>) -> Result<(), Broken> {
        let now = Timestamp::from_millis(self.now);
        for ask in asks {
            let Some(process) = self.processes.get_mut(&node) else { return Ok(()) };
            match ask {
                Ask::Say(call, command) => process.worker.handle_command(now, &call, command),
                Ask::Wait(call, step, ms) => {
                    let ms = self.chance.between(ms / 2, ms * 2);
                    self.at(self.now + ms, Happening::Timer(node, call, step));
                }
                Ask::Act(call) if !process.worker.may_act(now, &call) => {
                    self.at(self.now + 50, Happening::Timer(node, call, Step::Act));
                }
                Ask::Run(call, key) if !process.worker.may_act(now, &call) => {
                    self.at(self.now + 50, Happening::Timer(node, call, Step::Run(key)));
                }
                Ask::Act(call) => {
                    let asks = process.application.acted(call.clone());
                    self.check_owner(node, &call)?;
                    self.carry_out(node, asks)?;
                }
                Ask::Run(call, key) => {
                    self.check_owner(node, &call)?;
                    if self.record(&call).claim(&key).is_none() {
                        return Err(self.broken("ran without a claim", Some(&call)));
                    }
                    if !self.ran.insert(key.clone()) {
                        return Err(self.broken("ran twice", Some(&call)));
                    }
                    let ms = self.chance.between(20, 300);
                    self.at(self.now + ms, Happening::Timer(node, call, Step::Ran(key)));
                }
            }
        }
        Ok(())
    }

    /// Who acts for a call is its owner, as the engine knows it at this moment.
    fn check_owner(&mut self, node: Node, call: &CallId) -> Result<(), Broken> {
        let owner = self.record(call).owner().cloned();
        match owner.is_some_and(|owner| self.names.get(&owner) == Some(&node)) {
            true => Ok(()),
            false => Err(self.broken("acted for another's call", Some(call))),
        }
    }

    pub(crate) fn check_line(
        &mut self,
        call: &CallId,
        before: &CallRecord,
        line: &Line,
    ) -> Result<(), Broken> {
        match line {
            Line::Placed { .. } => return self.check_epoch(call, 1),
            Line::Owner { epoch, why, .. } => {
                self.done.moves += u64::from(*why == Why::Moved);
                return self.check_epoch(call, *epoch);
            }
            Line::Claim { key, .. } if !self.claimed.insert(key.clone()) => {
                return Err(self.broken("claimed twice", Some(call)));
            }
            Line::Snap { claims, .. } => {
                let has = |key: &str| claims.iter().any(|claim| claim.key == key);
                if before.unsettled().any(|claim| !has(&claim.key)) {
                    return Err(self.broken("a snapshot forgot a function", Some(call)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check_epoch(&mut self, call: &CallId, epoch: u64) -> Result<(), Broken> {
        let last = self.epochs.insert(call.clone(), epoch).unwrap_or(0);
        if epoch == last + 1 { Ok(()) } else { Err(self.broken("epoch", Some(call))) }
    }

    pub(crate) fn wake(&mut self, node: Node, at: Timestamp) {
        let at = at.as_micros().div_ceil(1000).max(self.now + 1);
        let next = self.wakes.entry(node).or_insert(u64::MAX);
        if at < *next {
            *next = at;
            self.at(at, Happening::Wake(node));
        }
    }

    pub(crate) fn at(&mut self, at: u64, happening: Happening) {
        self.count += 1;
        self.happenings.insert((at, self.count), happening);
    }

    pub(crate) fn record(&self, call: &CallId) -> CallRecord {
        CallRecord::fold(self.engine.journal(call))
    }

    pub(crate) fn is_hostile(&self) -> bool {
        self.now < PEACE
    }

    fn is_over(&self) -> bool {
        self.expected == 0 && self.placed.iter().all(|call| self.record(call).is_over())
    }

    pub(crate) fn broken(&self, what: &'static str, call: Option<&CallId>) -> Broken {
        let call = call.map(ToString::to_string).unwrap_or_default();
        Broken { what, seed: self.seed, at: self.now, call }
    }

    pub(crate) fn show(&self, what: fmt::Arguments<'_>) {
        if self.is_shown {
            println!("{:>7} {what}", self.now);
        }
    }
}
