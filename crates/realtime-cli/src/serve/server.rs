//! The server as a whole: [`Server`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use realtime_pipeline::Runner;
use realtime_pipeline::media::Page;
use realtime_pipeline::sockets::Lines;
use realtime_telephony::CarrierKind;
use realtime_telephony::webhook::Webhook;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::Error;
use crate::accounts::{Accounts, accounts};
use crate::agent::LoadedAgent;
use crate::environment::Environment;
use crate::figures::Count;
use crate::model::Model;
use crate::serve::access::Access;
use crate::serve::address::Address;
use crate::serve::calls::Calls;
use crate::serve::host::Host;
use crate::serve::metrics::Metrics;
use crate::serve::places::Places;
use crate::serve::recordings::Recordings;
use crate::serve::sip::Seen;
use crate::serve::tls::Acceptor;
use crate::serve::trust::Trust;
use crate::serve::{Args, listen, routes};

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
    pub(super) host: Host,
    /// Whether pages are shown what tools are given.
    pub(super) shows_arguments: bool,
    pub(super) address: Address,
    pub(super) access: Access,
    pub(super) trust: Trust,
    /// Requests to carriers, as far as accounts are known.
    pub(super) requests: Accounts,
    /// Whether the server dials out: its agent waits for the first word.
    pub(super) dials: bool,
    /// The lines of pages that may come back.
    pub(super) lines: Lines<Page>,
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
        let tls = args.reached.tls()?;
        // What needs no address is checked before one is taken.
        drop(args.reached.address(args.reached.listen, tls.is_some())?);
        let agent = LoadedAgent::load(args.agent.as_deref(), environment).await?;
        let model = Model::chosen(args.url.as_deref(), args.model.as_deref(), &agent, environment).await?;
        let (metrics, recordings) = (Arc::new(Metrics::new(meters)), args.recording.recordings()?);
        let listener = args.reached.bind().await?;
        let at = listener.local_addr()?;
        let address = args.reached.address(at, tls.is_some())?;
        let access = Access::new(environment, &address, &args.allow_origin, !at.ip().is_loopback())?;
        let trust = Trust::new(environment, &args.unverified, address.is_open())?;
        let most = usize::try_from(args.most_calls).unwrap_or(usize::MAX);
        let host = Host {
            agent,
            model,
            voice: args.voice.clone(),
            traces_content: args.telemetry.otlp_content,
            places: Places::new(most),
            calls: Arc::new(Calls::new(Arc::clone(&metrics))),
            metrics,
            recordings,
            runner: Runner::new(args.thread_count())?,
            longest: args.longest(),
        };
        let parts = Parts {
            host,
            shows_arguments: args.show_arguments,
            address,
            access,
            trust,
            requests: accounts(environment),
            dials,
            lines: Lines::new(most),
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
        say("model", parts.host.model.introduction());
        say("agent", parts.host.agent.introduction());
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
        if let Some(recordings) = &parts.host.recordings {
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
            "model": parts.host.model.introduction(),
            "agent": parts.host.agent.introduction(),
            "records": parts.host.recordings.as_ref().map(Recordings::introduction),
        })
    }

    /// Serves until it is [stopped](Stopper::stop) and its calls have ended.
    ///
    /// # Errors
    /// No connection can be accepted any more.
    pub async fn serve(self) -> Result<(), Error> {
        let Self { shared, listener, tls, drain, .. } = self;
        let router = routes::router(&shared);
        tokio::select! {
            error = listen::serve(listener, tls, router, shared.host.places.most()) => Err(error.into()),
            () = stopped(&shared, drain) => Ok(()),
            () = shared.host.sweep() => Ok(()),
        }
    }

    /// What its requests share.
    pub(super) const fn parts(&self) -> &Shared {
        &self.shared
    }
}

/// Waits until the server is told to stop, and its calls have ended.
async fn stopped(parts: &Parts, drain: Duration) {
    let mut stage = parts.stage.subscribe();
    reached(&mut stage, Stage::Stopping).await;
    parts.host.places.drain();
    tracing::info!(calls = parts.host.places.taken(), "the server ends: its calls have {drain:?} to do so");
    tokio::select! {
        () = parts.host.runner.drain(drain) => {}
        () = reached(&mut stage, Stage::Hurrying) => parts.host.runner.drain(Duration::ZERO).await,
    }
    let rest = async {
        while parts.host.places.taken() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(REST, rest).await.is_err() {
        tracing::warn!(calls = parts.host.places.taken(), "some calls did not end in time");
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

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("model", &self.host.model)
            .field("agent", &self.host.agent)
            .finish_non_exhaustive()
    }
}
