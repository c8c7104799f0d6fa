//! Finds workers for calls: [`Placer`], which a gateway and a leg have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use realtime_fleet::drive::{GatewayHandle, Placed};
use realtime_fleet::gateway::{NewCall, PlaceError};
use realtime_fleet::{Content, Leg, MoneyLimit, Placing, Tenant, Wants};
use tokio::time::{Instant, sleep, timeout};

use crate::Error;
use crate::serve::fleet::metrics::{GatewayFigures, reason};
use crate::serve::fleet::options::{amount, label, name};

/// How often it is looked whether something has come.
const LOOK: Duration = Duration::from_millis(20);

/// Where calls go, and whose they are.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PlacingArgs {
    /// Calls go to workers with this label alone, such as `model=large`. Can be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = label, help_heading = "Fleet")]
    label: Vec<(String, String)>,
    /// Calls go to workers of this zone first: those with the label `zone=ZONE`
    #[arg(long, value_name = "ZONE", help_heading = "Fleet")]
    zone: Option<String>,
    /// Who pays for the calls that come in here
    #[arg(long, default_value = "default", value_name = "NAME", value_parser = name, help_heading = "Fleet")]
    tenant: String,
    /// How many calls the tenant may have in the fleet at once. All gateways and legs of the tenant say the
    /// same. Default: no limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Fleet")]
    tenant_calls: Option<u32>,
    /// What the tenant's calls may cost in a day of UTC, in the currency of the agent's prices: then no new
    /// ones are taken. All gateways and legs of the tenant say the same. Default: no limit
    #[arg(long, value_name = "AMOUNT", value_parser = amount, help_heading = "Fleet")]
    tenant_money: Option<u64>,
    /// What they may cost until those that run are ended, too, with the agent's last words. Default: they
    /// are not
    #[arg(long, value_name = "AMOUNT", value_parser = amount, requires = "tenant_money",
        help_heading = "Fleet")]
    tenant_money_end: Option<u64>,
}

impl PlacingArgs {
    /// What the tenant may spend.
    ///
    /// # Errors
    /// Running calls would end before new ones are refused.
    pub(super) fn money(&self) -> Result<Option<MoneyLimit>, Error> {
        let Some(most) = self.tenant_money else { return Ok(None) };
        match self.tenant_money_end {
            Some(end) if end < most => Err("expected --tenant-money-end to be --tenant-money or more".into()),
            Some(end) => Ok(Some(MoneyLimit::new(most).end(end))),
            None => Ok(Some(MoneyLimit::new(most))),
        }
    }
}

/// How long a call that was let in waits for a worker.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often workers are asked for it.
const AGAIN: Duration = Duration::from_millis(200);

/// Finds workers for calls, and counts.
pub(super) struct Placer {
    pub(super) gateway: GatewayHandle,
    pub(super) figures: GatewayFigures,
    wants: Wants,
    tenant: Tenant,
    tenant_calls: Option<u32>,
    money: Option<MoneyLimit>,
    pending: Arc<AtomicUsize>,
    draining: AtomicBool,
}

/// A call that is being placed: no worker's card counts it yet.
pub(super) struct Pending(Arc<AtomicUsize>);

impl Placer {
    /// # Errors
    /// The tenant's name is none, or its limits of money are no limits.
    pub(super) fn new(gateway: GatewayHandle, args: &PlacingArgs) -> Result<Self, Error> {
        let mut wants = Wants::new();
        wants.labels = args.label.iter().cloned().collect();
        wants.zone.clone_from(&args.zone);
        Ok(Self {
            gateway,
            figures: GatewayFigures::new(),
            wants,
            tenant: Tenant::new(args.tenant.as_str())?,
            tenant_calls: args.tenant_calls,
            money: args.money()?,
            pending: Arc::default(),
            draining: AtomicBool::new(false),
        })
    }

    /// Waits until a worker is known, within a limit. Their cards come within a third of a lease; until then
    /// calls would be turned away.
    pub(super) async fn knows_workers(&self, within: Duration) {
        let known = async {
            while self.gateway.workers().await == 0 {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(within, known).await; // a fleet may have none yet
    }

    /// A call that is to be placed.
    pub(super) fn new_call(&self, leg: Leg, metadata: impl Into<Content>) -> NewCall {
        let placing = Placing { tenant: self.tenant.clone(), leg, metadata: metadata.into() };
        let new = NewCall::new(placing).wants(self.wants.clone());
        let new = match self.tenant_calls {
            Some(limit) => new.tenant_limit(limit),
            None => new,
        };
        match self.money {
            Some(limit) => new.money(limit),
            None => new,
        }
    }

    /// Whether there is room for a call, besides those that are being placed. Keep what is returned until the
    /// call is placed.
    ///
    /// # Errors
    /// [`PlaceError`]: tell the caller. It is counted.
    pub(super) async fn check(&self, new: &NewCall) -> Result<Pending, PlaceError> {
        let (pending, besides) = Pending::begin(&self.pending);
        match self.gateway.check(new, besides).await {
            Ok(()) => Ok(pending),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Places a call for which there was room when it was asked. Workers that have none at this moment, since
    /// they were late for some milliseconds, are asked again within [`PATIENCE`].
    ///
    /// # Errors
    /// [`PlaceError`]: tell the caller. It is counted.
    pub(super) async fn place(&self, new: NewCall) -> Result<Placed, PlaceError> {
        let until = Instant::now() + PATIENCE;
        let placed = loop {
            match self.gateway.place(new.clone()).await {
                Err(PlaceError::Full) if Instant::now() < until => sleep(AGAIN).await,
                placed => break placed,
            }
        };
        match placed {
            Ok(placed) => {
                self.figures.placed();
                tracing::info!(call = %placed.call, worker = ?placed.worker, "a call is placed");
                Ok(placed)
            }
            Err(error) => Err(self.refused(error)),
        }
    }

    fn refused(&self, error: PlaceError) -> PlaceError {
        self.figures.refused(reason(error));
        tracing::warn!("a call found no worker: {error}");
        error
    }

    /// Whether it is about to end.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Says to load balancers that it is about to end.
    pub(super) fn stop(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// The same, and waits for the calls that are being placed.
    pub(super) async fn drain(&self) {
        self.stop();
        while self.pending.load(Ordering::Acquire) > 0 {
            sleep(LOOK).await;
        }
    }
}

impl Pending {
    /// A call begins. Returns how many others are being placed.
    fn begin(count: &Arc<AtomicUsize>) -> (Self, usize) {
        (Self(Arc::clone(count)), count.fetch_add(1, Ordering::AcqRel))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
