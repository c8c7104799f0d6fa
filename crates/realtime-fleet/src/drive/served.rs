//! A call in the hands of the application: [`ServedCall`].

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use realtime_context::budget::Budget;
use realtime_protocol::call::FunctionCall;
use tokio::sync::{mpsc, oneshot, watch};

use crate::content::Content;
use crate::drive::clock::Clock;
use crate::id::CallId;
use crate::ledger::OnTakeover;
use crate::snapshot::Snapshot;
use crate::worker::{Command, PlacedCall, Verdict};

/// Arguments of a function that a journal keeps, in bytes. Of a function with more, the next owner only knows
/// that it was claimed.
const LARGEST_ARGUMENTS: usize = 64 * 1024;

/// The call is another worker's, or over: let go of it without a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the call is another worker's, or over")]
#[non_exhaustive]
pub struct Stopped;

/// What the application asks of the worker's driver.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) call: CallId,
    /// Of which of its lives here: a call may come back to a worker that has let it go.
    pub(crate) permit: Arc<Permit>,
    pub(crate) command: Command,
    pub(crate) waiter: Option<Waiter>,
}

/// Who waits for what comes of it.
#[derive(Debug)]
pub(crate) enum Waiter {
    Claim(String, oneshot::Sender<Verdict>),
    Result(String, oneshot::Sender<()>),
}

/// Whether a call may be acted for. The driver writes it, the call reads it.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) clock: Clock,
    /// The worker's lease, in microseconds.
    pub(crate) good_until: Arc<AtomicU64>,
    /// Whether the journal has the worker's name of today.
    pub(crate) is_mine: AtomicBool,
}

impl Permit {
    fn holds(&self) -> bool {
        self.is_mine.load(Ordering::Acquire)
            && self.clock.now().as_micros() < self.good_until.load(Ordering::Acquire)
    }
}

/// A call that a worker serves. Clones are the same call.
#[derive(Clone, Debug)]
pub struct ServedCall {
    pub(crate) placed: Arc<PlacedCall>,
    pub(crate) permit: Arc<Permit>,
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) stopped: watch::Receiver<bool>,
    /// How often a snapshot is written, on average at most.
    pub(crate) pace: Duration,
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) remembered: Arc<watch::Sender<Content>>,
    pub(crate) budget: Arc<OnceLock<Budget>>,
}

impl ServedCall {
    /// What the fleet knows of it, and what to go on with.
    pub fn placed(&self) -> &PlacedCall {
        &self.placed
    }

    /// Whether something that cannot be undone may be done now: a command sent to the model, for example. Ask
    /// in the very step in which it is done. While it does not hold, go on listening: the engine may be away.
    pub fn may_act(&self) -> bool {
        self.permit.holds() && !*self.stopped.borrow()
    }

    /// Waits until the call is another worker's, or over.
    pub async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        let _ = stopped.wait_for(|stopped| *stopped).await; // an error: the worker is gone
    }

    /// Waits until the worker drains.
    pub async fn draining(&self) {
        let mut draining = self.draining.clone();
        if draining.wait_for(|draining| *draining).await.is_err() {
            pending().await // the worker is gone
        }
    }

    /// The worker drains, and nothing is under way in the call: it may move to another worker. Say what that
    /// one goes on with first, by [`snap`](Self::snap). If none takes it, nothing happens: say it again
    /// later.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn give_away(&self) -> Result<(), Stopped> {
        self.ask(Command::Move, None).await
    }

    /// This worker is attached to a call that moves here ([`Why::Moved`](crate::Why::Moved)) and asks its
    /// owner to let go. Until [`may_act`](Self::may_act) holds, the call is the other worker's.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn ready(&self) -> Result<(), Stopped> {
        self.ask(Command::Ready, None).await
    }

    /// Claims a function before it runs, and says what is to be done with it. `Verdict::Run` comes when the
    /// claim is in the journal and the lease is good.
    ///
    /// # Errors
    /// [`Stopped`]: do not run it.
    pub async fn claim(
        &self,
        key: impl Into<String>,
        name: impl Into<String>,
        on_takeover: OnTakeover,
    ) -> Result<Verdict, Stopped> {
        self.claim_as(key.into(), name.into(), on_takeover, None).await
    }

    /// As [`claim`](Self::claim), with the function call for the next owner, which answers it by that.
    ///
    /// # Errors
    /// [`Stopped`]: do not run it.
    pub async fn claim_call(
        &self,
        call: &Arc<FunctionCall>,
        on_takeover: OnTakeover,
    ) -> Result<Verdict, Stopped> {
        let kept = (call.arguments.len() <= LARGEST_ARGUMENTS).then(|| Arc::clone(call));
        self.claim_as(call.key.clone(), call.name.clone(), on_takeover, kept).await
    }

    async fn claim_as(
        &self,
        key: String,
        name: String,
        on_takeover: OnTakeover,
        call: Option<Arc<FunctionCall>>,
    ) -> Result<Verdict, Stopped> {
        let (waiter, verdict) = oneshot::channel();
        let waiter = Waiter::Claim(key.clone(), waiter);
        self.ask(Command::Claim { key, name, on_takeover, call }, Some(waiter)).await?;
        let verdict = verdict.await.map_err(|_| Stopped)?;
        while verdict == Verdict::Run && !self.permit.holds() {
            if *self.stopped.borrow() {
                return Err(Stopped);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(verdict)
    }

    /// Writes what a function returned. When this returns, the model may be told.
    ///
    /// # Errors
    /// [`Stopped`]: tell the model nothing.
    pub async fn result(&self, key: impl Into<String>, output: impl Into<Content>) -> Result<(), Stopped> {
        let (key, output) = (key.into(), output.into());
        let (waiter, recorded) = oneshot::channel();
        let waiter = Waiter::Result(key.clone(), waiter);
        self.ask(Command::Result { key, output }, Some(waiter)).await?;
        recorded.await.map_err(|_| Stopped)
    }

    /// The model has a function's output.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn delivered(&self, key: impl Into<String>) -> Result<(), Stopped> {
        self.ask(Command::Delivered { key: key.into() }, None).await
    }

    /// Keeps what the application knows of the call besides, in place of what was kept before: the next owner
    /// finds it by [`remembered`](Self::remembered). It goes with the snapshots of a call that a client
    /// serves ([`client`](Self::client)), and one is written at once: say what counts, and not every word.
    pub fn remember(&self, app: impl Into<Content>) {
        self.remembered.send_replace(app.into());
    }

    /// What the application knows of the call besides, as this owner or the one before said it last.
    pub fn remembered(&self) -> Content {
        self.remembered.borrow().clone()
    }

    /// Has this budget count what the call costs its tenant in the fleet ([`NewCall::money`]): give it to the
    /// call's client, too. When the tenant has spent what it may for running calls, the budget ends this one
    /// with its last words. The first budget counts.
    ///
    /// [`NewCall::money`]: crate::gateway::NewCall::money
    pub fn pay_by(&self, budget: &Budget) {
        let _ = self.budget.set(budget.clone()); // it has one
    }

    /// Keeps what the next owner would go on with. Say it at the end of each turn.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn snap(&self, snapshot: Snapshot) -> Result<(), Stopped> {
        self.ask(Command::Snap(snapshot), None).await
    }

    /// The same, whatever the pace.
    pub(crate) async fn snap_at_once(&self, snapshot: Snapshot) -> Result<(), Stopped> {
        self.ask(Command::SnapAtOnce(snapshot), None).await
    }

    /// The call is over. Returns when that is in the journal, or when the call is another worker's.
    pub async fn end(&self, why: impl Into<String>) {
        if self.ask(Command::End { why: why.into() }, None).await.is_ok() {
            self.stopped().await;
        }
    }

    async fn ask(&self, command: Command, waiter: Option<Waiter>) -> Result<(), Stopped> {
        if *self.stopped.borrow() {
            return Err(Stopped);
        }
        let (call, permit) = (self.placed.id.clone(), Arc::clone(&self.permit));
        self.asks.send(Ask { call, permit, command, waiter }).await.map_err(|_| Stopped)
    }
}
