//! The driver of a worker: one task, and one for each call.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::Subscriber;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use realtime_context::budget::Budget;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{interval, timeout};

use crate::drive::clock::{Clock, wall};
use crate::drive::lateness::Lateness;
use crate::drive::requests::Requests;
use crate::drive::served::{Ask, Permit, ServedCall, Waiter};
use crate::engine::nats::{EngineError, Incoming, Nats, NatsOptions};
use crate::engine::{OfferAnswer, Push};
use crate::id::{CallId, Tenant, WorkerId};
use crate::lease::LeaseOptions;
use crate::line::Why;
use crate::worker::{Command, Event, Figures, OfferId, Output, PlacedCall, Verdict, Worker, WorkerOptions};

/// How long handlers have to end after the last call.
const REST: Duration = Duration::from_secs(5);
/// What the application may ask before the driver gets to it.
const ASKS: usize = 1024;
/// How often it is looked what calls have cost.
const COUNT: Duration = Duration::from_secs(1);
/// Who may wait to be told how it is.
const LOOKS: usize = 16;

/// A worker that runs. It goes on when this is dropped.
#[derive(Debug)]
pub struct WorkerHandle {
    drain: mpsc::Sender<()>,
    looks: mpsc::Sender<oneshot::Sender<WorkerState>>,
    draining: watch::Receiver<bool>,
    ended: watch::Receiver<bool>,
    nats: Nats,
}

/// How a worker is, at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerState {
    /// Its name in this life.
    pub worker: WorkerId,
    /// Whether it takes no more calls.
    pub draining: bool,
    /// For how long it may still act if its lease is not renewed. Zero: it may not.
    pub lease: Duration,
    /// What it holds, and what it has counted.
    pub figures: Figures,
}

impl WorkerHandle {
    /// Takes no more calls, and ends after the last one. Calls that clients serve on side channels
    /// ([`ServedCall::client`]) move to other workers between their turns; the next owner is attached before
    /// this one lets go.
    pub fn drain(&self) {
        let _ = self.drain.try_send(()); // full: it drains already
    }

    /// How it is now. `None`: it has ended.
    pub async fn state(&self) -> Option<WorkerState> {
        let (waiter, state) = oneshot::channel();
        self.looks.send(waiter).await.ok()?;
        state.await.ok()
    }

    /// Waits until it drains, whoever asked for that: [`drain`](Self::drain), or [`Nats::drain`] from
    /// elsewhere.
    pub async fn draining(&self) {
        let mut draining = self.draining.clone();
        let _ = draining.wait_for(|draining| *draining).await; // an error: its task is gone
    }

    /// Waits until it has drained.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        let _ = ended.wait_for(|ended| *ended).await; // an error: its task is gone
    }

    /// Its connection, with the count of what it sent.
    pub const fn nats(&self) -> &Nats {
        &self.nats
    }
}

/// Runs a worker. Each call runs `handler` in a task of its own; a call whose handler returns or panics is
/// over, unless somebody else has it.
///
/// Must be called within a tokio runtime with time and I/O enabled.
///
/// # Errors
/// [`EngineError`]: no server, or one that can't be used.
pub async fn serve<H, F>(
    nats: NatsOptions,
    mut options: WorkerOptions,
    handler: H,
) -> Result<WorkerHandle, EngineError>
where
    H: Fn(ServedCall) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    options.lease = LeaseOptions { ttl: nats.ttl };
    let (nats, pushes) = Nats::connect(nats).await?;
    let (drain, drains) = mpsc::channel(1);
    let (done, ended) = watch::channel(false);
    let (asks, asked) = mpsc::channel(ASKS);
    let (looks, looked) = mpsc::channel(LOOKS);
    let (draining, told) = watch::channel(false);
    let clock = Clock::new();
    let driver = Driver {
        pace: options.snapshot_pace,
        worker: Worker::new(clock.now(), options, rand::random()),
        clock,
        nats: nats.clone(),
        handler: Box::new(move |call| handler(call).boxed()),
        requests: Requests::new(nats.clone()),
        handlers: FuturesUnordered::new(),
        offers: None,
        orders: None,
        replies: BTreeMap::new(),
        calls: BTreeMap::new(),
        unsure: BTreeSet::new(),
        good_until: Arc::default(),
        asks,
        lateness: Lateness::default(),
        draining,
        is_drained: false,
    };
    tokio::spawn(driver.run(pushes, Inputs { asked, looked, drains }, done));
    Ok(WorkerHandle { drain, looks, draining: told, ended, nats })
}

/// What comes from this side.
struct Inputs {
    asked: mpsc::Receiver<Ask>,
    looked: mpsc::Receiver<oneshot::Sender<WorkerState>>,
    drains: mpsc::Receiver<()>,
}

/// What the driver knows of a call.
struct Served {
    tenant: Tenant,
    /// What it costs, if the application says so.
    budget: Arc<OnceLock<Budget>>,
    /// What was told of that last, in millionths.
    told: u64,
    permit: Arc<Permit>,
    stopped: watch::Sender<bool>,
    claims: BTreeMap<String, oneshot::Sender<Verdict>>,
    results: BTreeMap<String, oneshot::Sender<()>>,
}

struct Driver {
    worker: Worker,
    clock: Clock,
    nats: Nats,
    /// How often a call's snapshot is written, on average at most.
    pace: Duration,
    handler: Box<dyn Fn(ServedCall) -> BoxFuture<'static, ()> + Send + Sync>,
    requests: Requests,
    /// Ends of handlers.
    handlers: FuturesUnordered<BoxFuture<'static, (CallId, Arc<Permit>)>>,
    offers: Option<Subscriber>,
    /// Somebody elsewhere wants it to drain.
    orders: Option<Subscriber>,
    /// Answers to the offers of the message that is being handled.
    replies: BTreeMap<OfferId, OfferAnswer>,
    calls: BTreeMap<CallId, Served>,
    /// Calls that may not be acted for until their journals have this worker's name.
    unsure: BTreeSet<CallId>,
    good_until: Arc<AtomicU64>,
    asks: mpsc::Sender<Ask>,
    lateness: Lateness,
    /// Whether the worker drains.
    draining: watch::Sender<bool>,
    is_drained: bool,
}

impl Driver {
    async fn run(
        mut self,
        mut pushes: mpsc::UnboundedReceiver<Push>,
        mut inputs: Inputs,
        done: watch::Sender<bool>,
    ) {
        self.lateness.tick(self.clock.now());
        let mut money = interval(COUNT);
        loop {
            self.carry_out().await;
            if self.is_drained {
                while self.requests.next().await.is_some() {} // each has its deadline
                let rest = async { while self.handlers.next().await.is_some() {} };
                let _ = timeout(REST, rest).await; // one that does not end is left behind
                let _ = done.send(true); // nobody waits
                return;
            }
            let alarm = self.worker.poll_timeout();
            tokio::select! {
                Some(answers) = self.requests.next() => {
                    for (id, answer) in answers {
                        self.worker.handle_answer(self.clock.now(), id, answer);
                    }
                }
                Some(push) = pushes.recv() => self.worker.handle_push(self.clock.now(), push),
                Some(message) = next(&mut self.offers) => self.take_offers(message).await,
                Some(message) = next(&mut self.orders) => {
                    self.drain();
                    self.nats.confirm(message).await;
                }
                Some(ask) = inputs.asked.recv() => self.take(ask),
                Some(waiter) = inputs.looked.recv() => {
                    let _ = waiter.send(self.state()); // nobody waits
                }
                Some((call, permit)) = self.handlers.next() => {
                    let command = Command::End { why: "its handler returned".to_owned() };
                    self.take(Ask { call, permit, command, waiter: None });
                }
                Some(()) = inputs.drains.recv() => self.drain(),
                _ = money.tick() => self.count_money(),
                () = self.clock.wait(self.lateness.due()) => {
                    if let Some(lateness) = self.lateness.tick(self.clock.now()) {
                        self.worker.handle_lateness(lateness);
                    }
                }
                () = self.clock.wait(alarm) => self.worker.handle_timeout(self.clock.now()),
            }
        }
    }

    async fn carry_out(&mut self) {
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Request(id, request) => self.requests.ask(id, request),
                Output::Reply(id, answer) => drop(self.replies.insert(id, answer)),
                Output::Event(event) => self.tell(event).await,
            }
        }
        self.requests.send_offers();
        self.good_until.store(self.worker.good_until().as_micros(), Ordering::Release);
        let now = self.clock.now();
        self.unsure.retain(|call| {
            let Some(served) = self.calls.get(call) else { return false };
            let is_mine = self.worker.may_act(now, call);
            if is_mine {
                served.permit.is_mine.store(true, Ordering::Release);
            }
            !is_mine
        });
    }

    async fn tell(&mut self, event: Event) {
        match event {
            Event::Begin(placed) => self.begin(*placed),
            Event::Function { call, key, verdict } => {
                let waiter = self.calls.get_mut(&call).and_then(|served| served.claims.remove(&key));
                if let Some(waiter) = waiter {
                    let _ = waiter.send(verdict); // the handler does not wait any more
                }
            }
            Event::Recorded { call, key } => {
                let waiter = self.calls.get_mut(&call).and_then(|served| served.results.remove(&key));
                if let Some(waiter) = waiter {
                    let _ = waiter.send(()); // the same
                }
            }
            Event::Stopped { call } => {
                tracing::info!(%call, "let go");
                if let Some(served) = self.calls.remove(&call) {
                    if let Some(budget) = served.budget.get() {
                        let (now, total) = (self.clock.now(), millionths(budget));
                        self.worker.handle_spent(now, wall(), &call, &served.tenant, total);
                    }
                    served.permit.is_mine.store(false, Ordering::Release);
                    let _ = served.stopped.send(true); // nobody waits
                }
            }
            Event::Paused { call } => {
                if let Some(served) = self.calls.get(&call) {
                    served.permit.is_mine.store(false, Ordering::Release);
                    self.unsure.insert(call);
                }
            }
            Event::Overspent { call } => {
                tracing::warn!(%call, "is to end: its tenant has spent what it may");
                if let Some(budget) = self.calls.get(&call).and_then(|served| served.budget.get()) {
                    budget.exhaust();
                }
            }
            Event::Unsaved { call, why } => tracing::warn!(%call, why, "its snapshot is not kept"),
            Event::Named(worker) => {
                tracing::info!(%worker, "has a name");
                for (call, served) in &self.calls {
                    served.permit.is_mine.store(false, Ordering::Release);
                    self.unsure.insert(call.clone());
                }
                self.offers = self.nats.offers(&worker).await;
                self.orders = self.nats.orders(&worker).await;
            }
            Event::Drained => self.is_drained = true,
        }
    }

    /// Tells the worker what its calls have cost.
    fn count_money(&mut self) {
        let (now, wall) = (self.clock.now(), wall());
        for (call, served) in &mut self.calls {
            let total = served.budget.get().map_or(0, millionths);
            if total > served.told {
                served.told = total;
                self.worker.handle_spent(now, wall, call, &served.tenant, total);
            }
        }
    }

    fn drain(&mut self) {
        self.worker.drain(self.clock.now());
        self.draining.send_replace(true);
    }

    fn state(&self) -> WorkerState {
        WorkerState {
            worker: self.worker.id().clone(),
            draining: *self.draining.borrow(),
            lease: self.worker.good_until().saturating_since(self.clock.now()),
            figures: self.worker.figures(),
        }
    }

    fn begin(&mut self, placed: PlacedCall) {
        let call = placed.id.clone();
        tracing::info!(%call, epoch = placed.epoch, why = ?placed.why, "begins");
        let is_mine = placed.why != Why::Moved;
        if !is_mine {
            self.unsure.insert(call.clone());
        }
        let is_mine = AtomicBool::new(is_mine);
        let permit = Permit { clock: self.clock, good_until: Arc::clone(&self.good_until), is_mine };
        let permit = Arc::new(permit);
        let (stopped, told) = watch::channel(false);
        let resume = placed.resume.as_ref().and_then(|resume| resume.snapshot.as_ref());
        let remembered = resume.map(|snapshot| snapshot.app.clone()).unwrap_or_default();
        let (tenant, budget) = (placed.placing.tenant.clone(), Arc::new(OnceLock::new()));
        let served = ServedCall {
            placed: Arc::new(placed),
            budget: Arc::clone(&budget),
            permit: Arc::clone(&permit),
            asks: self.asks.clone(),
            stopped: told,
            pace: self.pace,
            draining: self.draining.subscribe(),
            remembered: Arc::new(watch::Sender::new(remembered)),
        };
        let (claims, results) = (BTreeMap::new(), BTreeMap::new());
        let of_handler = Arc::clone(&permit);
        let known = Served { tenant, budget, told: 0, permit, stopped, claims, results };
        self.calls.insert(call.clone(), known);
        // A panic is the handler's alone; the runtime tells of it.
        let task = tokio::spawn(AssertUnwindSafe((self.handler)(served)));
        self.handlers.push(task.map(move |_| (call, of_handler)).boxed());
    }

    fn take(&mut self, ask: Ask) {
        let is_same = |served: &&mut Served| Arc::ptr_eq(&served.permit, &ask.permit);
        let Some(served) = self.calls.get_mut(&ask.call).filter(is_same) else { return };
        match ask.waiter {
            Some(Waiter::Claim(key, waiter)) => {
                served.claims.insert(key, waiter);
            }
            Some(Waiter::Result(key, waiter)) => {
                served.results.insert(key, waiter);
            }
            None => {}
        }
        self.worker.handle_command(self.clock.now(), &ask.call, ask.command);
    }

    async fn take_offers(&mut self, message: async_nats::Message) {
        let Some(Incoming { offers, reply }) = Nats::incoming(message) else { return };
        let ids = (0..offers.len() as u64).map(OfferId);
        for (id, offer) in ids.clone().zip(offers) {
            match offer {
                Some(offer) => self.worker.handle_offer(self.clock.now(), id, offer),
                None => {
                    tracing::warn!("an offer can't be read: a later release made it");
                    self.replies.insert(id, OfferAnswer::Unreadable);
                }
            }
        }
        self.carry_out().await;
        let replies = std::mem::take(&mut self.replies);
        let answers: Option<Vec<OfferAnswer>> = ids.map(|id| replies.get(&id).copied()).collect();
        if let Some(answers) = answers {
            self.nats.reply(reply, &answers).await;
        }
    }
}

/// What a call has cost, in millionths of the currency.
fn millionths(budget: &Budget) -> u64 {
    (budget.spent().total() * 1e6).round() as u64 // a negative one is 0
}

async fn next(messages: &mut Option<Subscriber>) -> Option<async_nats::Message> {
    match messages {
        Some(messages) => messages.next().await,
        None => pending().await,
    }
}
