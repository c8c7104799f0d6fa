//! `realtime fleet worker`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use realtime_fleet::AdmissionOptions;
use realtime_fleet::drive::{self, WorkerHandle, WorkerState};
use realtime_fleet::worker::WorkerOptions;
use realtime_pipeline::Runner;
use realtime_pipeline::task::StopSignals;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::sleep;

use crate::accounts::accounts;
use crate::environment::Environment;
use crate::figures::Count;
use crate::listening::{bind, listen};
use crate::serve::address::Address;
use crate::serve::calls::Calls;
use crate::serve::fleet::call;
use crate::serve::fleet::metrics::WorkerFigures;
use crate::serve::fleet::options::{EngineArgs, SpeakerArgs, label};
use crate::serve::fleet::paths::{self, WorkerPaths};
use crate::serve::host::Host;
use crate::serve::metrics::Metrics;
use crate::serve::options::{RecordingArgs, thread_count};
use crate::serve::places::Places;
use crate::telemetry::{Telemetry, TelemetryArgs};
use crate::{Error, logging, say};

/// How often it is looked whether the worker has its lease.
const LOOK: Duration = Duration::from_millis(20);

/// Who a worker is, and how much it takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    engine: EngineArgs,
    /// A label, such as `zone=a`: gateways may ask for it. Can be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = label, help_heading = "Fleet")]
    label: Vec<(String, String)>,
    #[command(flatten)]
    speaker: SpeakerArgs,
    /// The most calls at once
    #[arg(long, default_value_t = 600, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Limits")]
    room: u32,
    /// Takes no new calls while tasks of this process start so late (ms): what speaks would be late, too
    #[arg(long, default_value_t = 20, value_name = "MS",
        value_parser = clap::value_parser!(u64).range(1..=60_000), help_heading = "Limits")]
    latest: u64,
    /// The longest call (minutes), from when this worker has it. The agent's file may set less
    #[arg(long, default_value_t = 60, value_name = "MINUTES",
        value_parser = clap::value_parser!(u32).range(1..=1_440), help_heading = "Limits")]
    longest_call: u32,
    /// Threads that calls run on. Default: one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024),
        help_heading = "Limits")]
    threads: Option<u16>,
    #[command(flatten)]
    recording: RecordingArgs,
    /// Where /healthz, /calls and /metrics are asked for. Default: nowhere
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen)]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    telemetry: TelemetryArgs,
    /// What is logged to standard error: a level, or levels by target, as in `info,realtime_client=debug`
    #[arg(long, default_value = "info", value_name = "LEVELS")]
    log: String,
    /// Prints a JSON object when it is ready, when it drains and when it has ended
    #[arg(long)]
    json: bool,
}

/// What stands below the options in the long help.
pub(super) const AFTER_HELP: &str = "\
At SIGTERM or SIGINT, and when `realtime fleet drain` names it, the worker takes no more calls and gives away
those that it has, each between two turns; then it ends. A second signal ends it at once: others go on with
its calls as if it had been killed.

Examples:
  OPENAI_API_KEY=sk-… realtime fleet worker --nats nats://127.0.0.1:4222 --agent hotel.toml
      Holds the calls that gateways of the fleet `voice` place.
  realtime fleet worker --nats … --replicas 3 --label zone=a --room 300 --listen 127.0.0.1:9100 …
      One of a zone, with metrics for Prometheus.";

/// `realtime fleet worker`.
pub(super) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    let telemetry = Telemetry::begin(&args.telemetry, environment)?;
    logging::begin(&args.log, &telemetry)?;
    // Offers, leases and journals are looked after here. Calls have threads of their own.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(serve(args, environment, telemetry.meters()));
    telemetry.end();
    let calls = served?;
    tell(args, "stopped", json!({ "calls": calls }), || match calls {
        0 => "stopped".to_owned(),
        1 => "stopped at once: its call waits for another worker".to_owned(),
        _ => format!("stopped at once: its {calls} calls wait for other workers"),
    });
    // Calls that it leaves behind must not keep the process.
    std::process::exit(0);
}

/// Serves until it has drained, or is told twice to end. Returns how many calls it has then.
async fn serve(
    args: &Args,
    environment: &Environment,
    meters: Option<Arc<dyn Count>>,
) -> Result<usize, Error> {
    let mut signals = StopSignals::new()?;
    let (agent, model) = args.speaker.load(environment).await?;
    let figures = Arc::new(WorkerFigures::default());
    let metrics = Arc::new(Metrics::with(meters, Some(Box::new(Arc::clone(&figures)))));
    let host = Arc::new(Host {
        agent,
        model,
        voice: args.speaker.voice.clone(),
        traces_content: args.telemetry.otlp_content,
        // The worker says itself how many it takes.
        places: Places::new(usize::MAX),
        calls: Arc::new(Calls::new(Arc::clone(&metrics))),
        metrics,
        recordings: args.recording.recordings()?,
        runner: Runner::new(thread_count(args.threads))?,
        longest: Duration::from_secs(u64::from(args.longest_call) * 60),
    });
    let listener = match args.listen {
        Some(at) => Some(bind(at).await?),
        None => None,
    };
    let admission = AdmissionOptions::new().slots(args.room).latest(Duration::from_millis(args.latest));
    let options = WorkerOptions::new().admission(admission);
    let options = args
        .label
        .iter()
        .fold(options, |options, (name, value)| options.label(name.as_str(), value.as_str()));
    let (held, accounts) = (Arc::clone(&host), Arc::new(accounts(environment)));
    let nats = args.engine.nats(environment)?;
    let worker = drive::serve(nats, options, move |served| {
        call::hold(Arc::clone(&held), Arc::clone(&accounts), served)
    })
    .await?;
    let worker = Arc::new(worker);
    let at = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    if let (Some(listener), Some(at)) = (listener, at) {
        let address = Address::new(None, at, false)?;
        let paths = WorkerPaths::new(Arc::clone(&host), Arc::clone(&worker), figures, address, environment)?;
        tokio::spawn(paths::serve_worker(listener, paths));
    }
    let sweeper = Arc::clone(&host);
    tokio::spawn(async move { sweeper.sweep().await });

    tokio::select! {
        ready = ready(&worker) => introduce(args, &host, ready, at),
        () = worker.ended() => return Ok(0),
        () = signals.next() => return Ok(0),
    }
    let is_told = tokio::select! {
        () = worker.draining() => false,
        () = worker.ended() => return Ok(0),
        () = signals.next() => {
            worker.drain();
            true
        }
    };
    let calls = left(&worker).await;
    let count = if calls == 1 { "1 call goes".to_owned() } else { format!("{calls} calls go") };
    tell(args, "draining", json!({ "calls": calls }), || format!("drains: {count} to others that have room"));
    // A first signal to a worker that drains already, by `fleet drain`, asks for what it does.
    if !is_told {
        tokio::select! {
            () = worker.ended() => return Ok(0),
            () = signals.next() => {}
        }
    }
    tokio::select! {
        () = worker.ended() => Ok(0),
        () = signals.next() => Ok(left(&worker).await),
    }
}

/// Waits until the worker has its lease.
async fn ready(worker: &WorkerHandle) -> Option<WorkerState> {
    loop {
        let state = worker.state().await?;
        if !state.lease.is_zero() {
            return Some(state);
        }
        sleep(LOOK).await;
    }
}

async fn left(worker: &WorkerHandle) -> usize {
    worker.state().await.map_or(0, |state| state.figures.held)
}

fn introduce(args: &Args, host: &Host, state: Option<WorkerState>, at: Option<SocketAddr>) {
    let Some(state) = state else { return };
    let (worker, fleet) = (state.worker, args.engine.fleet());
    let told = json!({
        "worker": worker, "fleet": fleet, "room": args.room, "agent": host.agent.name(),
        "model": host.model.name(), "listen": at.map(|at| at.to_string()),
    });
    tell(args, "ready", told, || {
        let at = at.map(|at| format!(", http://{at}")).unwrap_or_default();
        let agent = host.agent.introduction();
        format!(
            "worker {worker} of fleet {fleet}: {agent}, room for {} calls{at} (end with Ctrl-C)",
            args.room
        )
    });
}

/// Says something, for a person or a script.
fn tell(args: &Args, state: &str, mut told: Value, text: impl FnOnce() -> String) {
    if args.json {
        told["state"] = state.into();
        say(told);
    } else {
        say(text());
    }
}
