//! The driver of a gateway.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use crate::board::WorkerSeen;
use crate::drive::clock::{Clock, wall};
use crate::drive::requests::Requests;
use crate::engine::Push;
use crate::engine::nats::{EngineError, Nats, NatsOptions};
use crate::gateway::{Gateway, GatewayOutput, NewCall, PlaceError};
use crate::id::{CallId, WorkerId};

/// Calls that may wait for the gateway's task.
const WAITING: usize = 1024;

/// A call that was placed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Placed {
    /// Its name in the fleet.
    pub call: CallId,
    /// The worker, where it is known.
    pub worker: Option<WorkerId>,
}

/// A gateway that runs. Clones are the same one; it ends with the last.
#[derive(Clone, Debug)]
pub struct GatewayHandle {
    asks: mpsc::Sender<Ask>,
    nats: Nats,
}

type Waiter = oneshot::Sender<Result<Placed, PlaceError>>;

enum Ask {
    Place(NewCall, Waiter),
    Workers(oneshot::Sender<Vec<WorkerSeen>>),
    Check(NewCall, usize, oneshot::Sender<Result<(), PlaceError>>),
    Hears(oneshot::Sender<bool>),
}

impl GatewayHandle {
    /// Places a call.
    ///
    /// # Errors
    /// [`PlaceError`]: what to tell the caller.
    pub async fn place(&self, new: NewCall) -> Result<Placed, PlaceError> {
        if !self.nats.takes(&new.placing) {
            return Err(PlaceError::TooLarge);
        }
        let (waiter, placed) = oneshot::channel();
        self.asks.send(Ask::Place(new, waiter)).await.map_err(|_| PlaceError::EngineAway)?;
        placed.await.unwrap_or(Err(PlaceError::EngineAway))
    }

    /// How many workers it knows. One that has just begun knows them within a third of a lease.
    pub async fn workers(&self) -> usize {
        self.cards().await.len()
    }

    /// The workers that it knows, as their cards show them.
    pub async fn cards(&self) -> Vec<WorkerSeen> {
        let (waiter, cards) = oneshot::channel();
        match self.asks.send(Ask::Workers(waiter)).await {
            Ok(()) => cards.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Whether a worker has room for a call, as the cards say it, and whether its tenant may have one more,
    /// where so many others are about to be placed besides. Ask before you accept a call: one that is
    /// accepted can't be rejected any more.
    ///
    /// # Errors
    /// [`PlaceError`]: what to tell the caller.
    pub async fn check(&self, new: &NewCall, besides: usize) -> Result<(), PlaceError> {
        let (waiter, checked) = oneshot::channel();
        let ask = Ask::Check(new.clone(), besides, waiter);
        self.asks.send(ask).await.map_err(|_| PlaceError::EngineAway)?;
        checked.await.unwrap_or(Err(PlaceError::EngineAway))
    }

    /// Whether some worker was heard within a lease, if any is known: otherwise the engine is away.
    pub async fn hears_workers(&self) -> bool {
        let (waiter, hears) = oneshot::channel();
        match self.asks.send(Ask::Hears(waiter)).await {
            Ok(()) => hears.await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// Its connection, with the count of what it sent.
    pub const fn nats(&self) -> &Nats {
        &self.nats
    }
}

/// Runs a gateway.
///
/// Must be called within a tokio runtime with time and I/O enabled.
///
/// # Errors
/// [`EngineError`]: no server, or one that can't be used.
pub async fn gateway(nats: NatsOptions) -> Result<GatewayHandle, EngineError> {
    let ttl = nats.ttl;
    let (nats, pushes) = Nats::connect(nats).await?;
    let told = nats.tell_gateway().await?;
    let (asks, asked) = mpsc::channel(WAITING);
    let driver = Driver {
        gateway: Gateway::new(ttl, rand::random()),
        clock: Clock::new(),
        requests: Requests::new(nats.clone()),
        waiting: BTreeMap::new(),
        checks: BTreeMap::new(),
        checked: 0,
    };
    tokio::spawn(driver.run(pushes, told, asked));
    Ok(GatewayHandle { asks, nats })
}

struct Driver {
    gateway: Gateway,
    clock: Clock,
    requests: Requests,
    waiting: BTreeMap<CallId, Waiter>,
    checks: BTreeMap<u64, oneshot::Sender<Result<(), PlaceError>>>,
    /// Checks so far.
    checked: u64,
}

impl Driver {
    async fn run(
        mut self,
        mut pushes: mpsc::UnboundedReceiver<Push>,
        mut told: mpsc::UnboundedReceiver<Push>,
        mut asked: mpsc::Receiver<Ask>,
    ) {
        loop {
            self.carry_out();
            let alarm = self.gateway.poll_timeout();
            tokio::select! {
                Some(answers) = self.requests.next() => {
                    for (id, answer) in answers {
                        self.gateway.handle_answer(self.clock.now(), id, answer);
                    }
                }
                Some(push) = pushes.recv() => self.gateway.handle_push(self.clock.now(), push),
                Some(push) = told.recv() => self.gateway.handle_push(self.clock.now(), push),
                ask = asked.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => return,
                },
                () = self.clock.wait(alarm) => self.gateway.handle_timeout(self.clock.now()),
            }
        }
    }

    fn take(&mut self, ask: Ask) {
        let now = self.clock.now();
        match ask {
            Ask::Place(new, waiter) => {
                self.gateway.handle_wall(wall());
                let call = self.gateway.place(now, new);
                self.waiting.insert(call, waiter);
            }
            Ask::Workers(waiter) => {
                let _ = waiter.send(self.gateway.cards(now)); // nobody waits
            }
            Ask::Check(new, besides, waiter) => {
                self.checked += 1;
                self.checks.insert(self.checked, waiter);
                self.gateway.handle_wall(wall());
                self.gateway.check(now, self.checked, &new, besides);
            }
            Ask::Hears(waiter) => {
                let _ = waiter.send(self.gateway.hears_workers(now)); // the same
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.gateway.poll_output() {
            match output {
                GatewayOutput::Request(id, request) => self.requests.ask(id, request),
                GatewayOutput::Checked { id, result } => {
                    if let Some(waiter) = self.checks.remove(&id) {
                        let _ = waiter.send(result); // nobody waits
                    }
                }
                GatewayOutput::Placed { call, result } => {
                    if let Some(waiter) = self.waiting.remove(&call) {
                        let placed = result.map(|worker| Placed { call, worker });
                        let _ = waiter.send(placed); // the caller does not wait any more
                    }
                }
            }
        }
        self.requests.send_offers();
    }
}
