//! `realtime fleet gateway`.

use std::sync::Arc;
use std::time::Duration;

use realtime_fleet::drive;
use realtime_pipeline::task::StopSignals;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::environment::Environment;
use crate::serve::access::Access;
use crate::serve::fleet::desk::Desk;
use crate::serve::fleet::options::{EngineArgs, SpeakerArgs};
use crate::serve::fleet::paths;
use crate::serve::fleet::placer::{Placer, PlacingArgs};
use crate::serve::fleet::process;
use crate::serve::sip::Seen;
use crate::serve::trust::Trust;
use crate::serve::{ReachArgs, listen};
use crate::{Error, say};

/// How long calls that are being placed may take at the end.
const REST: Duration = Duration::from_secs(15);

/// Requests at once.
const REQUESTS: usize = 512;

/// How a gateway listens, and where it places calls.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    placing: PlacingArgs,
    #[command(flatten)]
    speaker: SpeakerArgs,
    #[command(flatten)]
    reached: ReachArgs,
    /// What is logged to standard error: a level, or levels by target, as in `info,realtime_client=debug`
    #[arg(long, default_value = "info", value_name = "LEVELS")]
    log: String,
    /// Prints a JSON object when it is ready and when it has ended
    #[arg(long)]
    json: bool,
}

/// What stands below the options in the long help.
pub(super) const AFTER_HELP: &str = "\
Paths:
  /openai         webhook of incoming SIP calls at OpenAI: a call is accepted with the agent's configuration
                  and placed on a worker; where there is no room it is rejected as busy (SIP status 486)
  /calls          the fleet's calls as JSON
  /workers        its workers as JSON
  /metrics        what is counted, for Prometheus
  /healthz        whether the gateway takes calls

Example:
  OPENAI_API_KEY=sk-… OPENAI_WEBHOOK_SECRET=whsec_… realtime fleet gateway --nats nats://127.0.0.1:4222 \\
    --agent hotel.toml --public-url https://voice.example.com
      Enter https://voice.example.com/openai as the webhook of your project. Run two of them.

A webhook is believed without a secret where nobody from another machine reaches the gateway. /calls, /workers
and /metrics need REALTIME_ADMIN_TOKEN elsewhere.";

/// `realtime fleet gateway`.
pub(super) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    let mut threads = Builder::new_multi_thread();
    process::run(&args.log, args.json, environment, threads.worker_threads(2), serve(args, environment))
}

async fn serve(args: &Args, environment: &Environment) -> Result<(), Error> {
    let mut signals = StopSignals::new()?;
    let tls = args.reached.tls()?;
    // What needs no address is checked before one is taken.
    drop(args.reached.address(args.reached.listen, tls.is_some())?);
    let (agent, model) = args.speaker.load(environment).await?;
    if args.placing.money()?.is_some() && !agent.knows_prices() {
        return Err("--tenant-money needs the member `prices` in the agent's file: add it".into());
    }
    let listener = args.reached.bind().await?;
    let at = listener.local_addr()?;
    let address = args.reached.address(at, tls.is_some())?;
    let access = Access::new(environment, &address, &[], false)?; // it has no pages
    let trust = Trust::new(environment, &[], address.is_open())?;
    let Some(is_verified) = trust.takes_openai() else {
        return Err(
            "others reach this gateway, so webhooks must be verified: set OPENAI_WEBHOOK_SECRET".into()
        );
    };
    let gateway = drive::gateway(args.engine.nats(environment)?).await?;
    let desk = Arc::new(Desk {
        placer: Placer::new(gateway, &args.placing)?,
        agent,
        model,
        voice: args.speaker.voice.clone(),
        address,
        access,
        trust,
        seen: Seen::default(),
    });
    tokio::select! {
        () = desk.placer.knows_workers(args.engine.lease() / 3) => {}
        () = signals.next() => return Ok(()),
    }
    let router = paths::gateway(Arc::clone(&desk));
    introduce(args, &desk, at, is_verified);
    tokio::select! {
        error = listen::serve(listener, tls, router, REQUESTS) => Err(error.into()),
        () = ended(&desk, &mut signals) => Ok(()),
    }
}

/// Waits until it is told to end, and its calls are placed.
async fn ended(desk: &Desk, signals: &mut StopSignals) {
    signals.next().await;
    tokio::select! {
        drained = timeout(REST, desk.placer.drain()) => {
            if drained.is_err() {
                tracing::warn!("some calls were not placed in time");
            }
        }
        () = signals.next() => {}
    }
}

fn introduce(args: &Args, desk: &Desk, at: std::net::SocketAddr, is_verified: bool) {
    let (fleet, webhook) = (args.engine.fleet(), desk.address.http("/openai"));
    if args.json {
        return say(json!({
            "state": "ready", "fleet": fleet, "listen": at.to_string(), "webhook": webhook,
            "verified": is_verified, "agent": desk.agent.name(), "model": desk.model.name(),
        }));
    }
    let proof = if is_verified { "verified" } else { "without proof" };
    let agent = desk.agent.introduction();
    say(format!("gateway of fleet {fleet}: {agent}, calls by {webhook} ({proof}; end with Ctrl-C)"));
}
