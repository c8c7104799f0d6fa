//! The server as a whole: [`Server`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use realtime_context::budget::Budget;
use realtime_pipeline::media::Page;
use realtime_pipeline::media::phone::Requests;
use realtime_pipeline::sockets::Lines;
use realtime_pipeline::{Agent, Runner};
use realtime_telephony::CarrierKind;
use realtime_telephony::webhook::Webhook;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::Error;
use crate::accounts::requests;
use crate::agent::{LoadedAgent, Reach};
use crate::environment::Environment;
use crate::figures::{Count, Figure};
use crate::model::Model;
use crate::serve::access::Access;
use crate::serve::address::Address;
use crate::serve::calls::{Calls, LiveCall};
use crate::serve::metrics::Metrics;
use crate::serve::places::{NoPlace, Place, Places};
use crate::serve::recordings::{Recordings, SWEEP};
use crate::serve::sip::Seen;
use crate::serve::trust::Trust;
use crate::serve::{Args, listen, routes, tls};

/// How long what is left of ended calls may take.
const REST: Duration = Duration::from_secs(6);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    shared: Shared,
    listener: TcpListener,
    tls: Option<Acceptor>,
    at: SocketAddr,
    drain: Duration,
}

/// What all requests share.
pub(super) type Shared = Arc<Parts>;

/// The parts of a server.
pub(super) struct Parts {
    pub(super) agent: LoadedAgent,
    pub(super) model: Model,
    pub(super) voice: Option<String>,
    /// Whether pages are shown what tools are given.
    pub(super) shows_arguments: bool,
    /// Whether traces hold what was said.
    pub(super) traces_content: bool,
    pub(super) address: Address,
    pub(super) access: Access,
    pub(super) trust: Trust,
    /// Requests to carriers, as far as accounts are known.
    pub(super) requests: BTreeMap<CarrierKind, Requests>,
    /// Whether the server dials out: its agent waits for the first word.
    pub(super) dials: bool,
    pub(super) places: Arc<Places>,
    pub(super) calls: Arc<Calls>,
    pub(super) metrics: Arc<Metrics>,
    /// Where session logs go, if anywhere.
    pub(super) recordings: Option<Recordings>,
    /// The lines of pages that may come back.
    pub(super) lines: Lines<Page>,
    pub(super) runner: Runner,
    /// The longest call.
    pub(super) longest: Duration,
    /// What carriers tell of calls.
    pub(super) progress: broadcast::Sender<(CarrierKind, Webhook)>,
    /// The webhooks of OpenAI that were carried out.
    pub(super) seen: Seen,
    pub(super) began: Instant,
    stage: watch::Sender<Stage>,
}

/// How far a server is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd)]
enum Stage {
    Serving,
    Stopping,
    Hurrying,
}

/// Ends a server from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stopper(Shared);

/// What accepts TLS, without a `Debug` of its own.
#[derive(Clone)]
struct Acceptor(TlsAcceptor);

impl Server {
    /// Loads the agent, finds the model, and listens.
    ///
    /// Must be called within a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    /// Something of the options, the agent's file or the environment cannot be: the error says what to do.
    pub async fn bind(args: &Args, environment: &Environment) -> Result<Self, Error> {
        Self::bind_for(args, environment, false, None).await
    }

    /// The same; `dials`: whether it dials out; `meters`: who counts besides `/metrics`.
    pub(super) async fn bind_for(
        args: &Args,
        environment: &Environment,
        dials: bool,
        meters: Option<Arc<dyn Count>>,
    ) -> Result<Self, Error> {
        let tls = match (&args.tls_cert, &args.tls_key) {
            (Some(certificate), Some(key)) => Some(Acceptor(tls::acceptor(certificate, key)?)),
            _ => None,
        };
        // What needs no address is checked before one is taken.
        drop(Address::new(args.public_url.as_deref(), args.listen, tls.is_some())?);
        let agent = LoadedAgent::load(args.agent.as_deref(), environment).await?;
        let model = Model::chosen(args.url.as_deref(), args.model.as_deref(), &agent, environment).await?;
        let (metrics, recordings) = (Arc::new(Metrics::new(meters)), args.recordings()?);
        let listener = TcpListener::bind(args.listen)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
        let at = listener.local_addr()?;
        let address = Address::new(args.public_url.as_deref(), at, tls.is_some())?;
        let access = Access::new(environment, &address, &args.allow_origin, !at.ip().is_loopback())?;
        let trust = Trust::new(environment, &args.unverified, address.is_open());
        let most = usize::try_from(args.most_calls).unwrap_or(usize::MAX);
        let parts = Parts {
            agent,
            model,
            voice: args.voice.clone(),
            shows_arguments: args.show_arguments,
            traces_content: args.telemetry.otlp_content,
            address,
            access,
            trust,
            requests: CarrierKind::ALL
                .into_iter()
                .filter_map(|kind| Some((kind, requests(kind, environment).ok()?)))
                .collect(),
            dials,
            places: Places::new(most),
            calls: Arc::new(Calls::new(Arc::clone(&metrics))),
            metrics,
            recordings,
            lines: Lines::new(most),
            runner: Runner::new(args.thread_count())?,
            longest: args.longest(),
            progress: broadcast::channel(64).0,
            seen: Seen::default(),
            began: Instant::now(),
            stage: watch::channel(Stage::Serving).0,
        };
        Ok(Self { shared: Arc::new(parts), listener, tls, at, drain: Duration::from_secs(args.drain) })
    }

    /// Where it listens.
    pub const fn at(&self) -> SocketAddr {
        self.at
    }

    /// Its address, for others if it has one for them.
    pub fn url(&self) -> String {
        self.shared.address.http("")
    }

    /// Ends it from outside.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.shared))
    }

    /// What a person is told at the start: where it is, who speaks, and which ways in are open.
    pub fn introduction(&self) -> Vec<String> {
        let parts = &self.shared;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut lines = vec![format!("listening on {scheme}://{} (end with Ctrl-C)", self.at)];
        let mut say = |name: &str, text: String| lines.push(format!("  {name:<9} {text}"));
        say("model", parts.model.introduction());
        say("agent", parts.agent.introduction());
        let page = match (parts.access.takes_pages(), parts.access.needs_token()) {
            (false, _) => "closed, since others reach this server: set REALTIME_PAGE_TOKEN".to_owned(),
            (true, false) => parts.address.http("/"),
            (true, true) => parts.address.http("/?token=<REALTIME_PAGE_TOKEN>"),
        };
        say("page", page);
        let (verified, believed): (Vec<_>, Vec<_>) =
            parts.trust.taken().into_iter().partition(|(_, verified)| *verified);
        let names = |kinds: &[(CarrierKind, bool)]| {
            kinds.iter().map(|(kind, _)| kind.name()).collect::<Vec<_>>().join(", ")
        };
        if !verified.is_empty() {
            say("carriers", format!("{} (verified)", names(&verified)));
        }
        if !believed.is_empty() {
            say("carriers", format!("{} (without proof)", names(&believed)));
        }
        if parts.trust.takes_openai() == Some(true) {
            say("openai", parts.address.http("/openai"));
        }
        if let Some(recordings) = &parts.recordings {
            say("records", recordings.introduction());
        }
        lines
    }

    /// The same as JSON, for a program. The addresses `page`, `rtvi` and `openai` are null where that way is
    /// closed. `carriers` has those that are taken, by their names, each with the `url` of its socket and
    /// whether it is `verified`. No token and no key stands in it.
    pub fn readiness(&self) -> Value {
        let parts = &self.shared;
        let carriers = parts.trust.taken().into_iter().map(|(kind, verified)| {
            let url = parts.address.ws(&format!("/{kind}"));
            (kind.name().to_owned(), json!({ "url": url, "verified": verified }))
        });
        json!({
            "url": self.url(),
            "listen": self.at,
            "page": parts.access.takes_pages().then(|| parts.address.http("/")),
            "page_needs_token": parts.access.needs_token(),
            "rtvi": parts.access.takes_pages().then(|| parts.address.http("/rtvi")),
            "carriers": carriers.collect::<Map<String, Value>>(),
            "openai": parts.trust.takes_openai().map(|_| parts.address.http("/openai")),
            "health": parts.address.http("/healthz"),
            "model": parts.model.introduction(),
            "agent": parts.agent.introduction(),
            "records": parts.recordings.as_ref().map(Recordings::introduction),
        })
    }

    /// Serves until it is [stopped](Stopper::stop) and its calls have ended.
    ///
    /// # Errors
    /// No connection can be accepted any more.
    pub async fn serve(self) -> Result<(), Error> {
        let Self { shared, listener, tls, drain, .. } = self;
        let router = routes::router(&shared);
        let tls = tls.map(|Acceptor(tls)| tls);
        tokio::select! {
            error = listen::serve(listener, tls, router, shared.places.most()) => Err(error.into()),
            () = stopped(&shared, drain) => Ok(()),
            () = sweep(&shared) => Ok(()),
        }
    }

    /// What its requests share.
    pub(super) const fn parts(&self) -> &Shared {
        &self.shared
    }
}

/// Deletes session logs that are too old, again and again.
async fn sweep(parts: &Parts) {
    let Some(recordings) = &parts.recordings else { return std::future::pending().await };
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

/// Waits until the server is told to stop, and its calls have ended.
async fn stopped(parts: &Parts, drain: Duration) {
    let mut stage = parts.stage.subscribe();
    reached(&mut stage, Stage::Stopping).await;
    parts.places.drain();
    tracing::info!(calls = parts.places.taken(), "the server ends: its calls have {drain:?} to do so");
    tokio::select! {
        () = parts.runner.drain(drain) => {}
        () = reached(&mut stage, Stage::Hurrying) => parts.runner.drain(Duration::ZERO).await,
    }
    let rest = async {
        while parts.places.taken() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(REST, rest).await.is_err() {
        tracing::warn!(calls = parts.places.taken(), "some calls did not end in time");
    }
}

async fn reached(stage: &mut watch::Receiver<Stage>, least: Stage) {
    // Its other end lives as long as the server.
    let _ = stage.wait_for(|stage| *stage >= least).await;
}

impl Stopper {
    /// Takes no more calls, ends those that run, and then the server.
    pub fn stop(&self) {
        self.reach(Stage::Stopping);
    }

    /// The same, at once: calls that run are cut off.
    pub fn hurry(&self) {
        self.reach(Stage::Hurrying);
    }

    fn reach(&self, stage: Stage) {
        self.0.stage.send_if_modified(|now| {
            let further = stage > *now;
            if further {
                *now = stage;
            }
            further
        });
    }
}

impl Parts {
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
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("model", &self.model)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}
