//! `realtime fleet leg`: a process that has carriers' sockets and nothing else, so that their calls outlive
//! the workers that serve them.
//!
//! | file | what is in it |
//! |---|---|
//! | `desk` | requests of carriers and owners, and where calls are placed |
//! | `line` | one call: the machine between its carrier and its owners |
//! | `pump` | a WebSocket as two bounded queues |

mod desk;
mod line;
mod pump;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_fleet::drive;
use realtime_pipeline::task::StopSignals;
use realtime_telephony::CarrierKind;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::accounts::accounts;
use crate::environment::Environment;
use crate::listening::{bind, listen};
use crate::serve::access::Access;
use crate::serve::fleet::leg::desk::LegDesk;
use crate::serve::fleet::options::EngineArgs;
use crate::serve::fleet::placer::{Placer, PlacingArgs};
use crate::serve::fleet::process;
use crate::serve::options::carrier;
use crate::serve::places::Places;
use crate::serve::trust::Trust;
use crate::serve::{ReachArgs, listen as listening};
use crate::{Error, say};

pub(super) use line::REPLACED;

/// How long the sockets of calls that are told to end may take.
const REST: Duration = Duration::from_secs(6);
/// How long a call may have no owner, at least.
const OWNER_WITHIN: Duration = Duration::from_secs(20);
/// How long a next owner takes at most once the lease of the lost one has ended.
const TAKE_OVER: Duration = Duration::from_secs(15);

/// How a leg listens, and where it places calls.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::serve) struct Args {
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    placing: PlacingArgs,
    #[command(flatten)]
    reached: ReachArgs,
    /// Where workers dial, inside your network: the caller's audio goes this way without TLS
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDRESS:PORT", value_parser = listen,
        help_heading = "Who reaches it")]
    inside: SocketAddr,
    /// The address under which workers reach this one process there, such as `ws://10.0.0.7:9000`. Default:
    /// that of --inside
    #[arg(long, value_name = "URL", value_parser = inside_url, help_heading = "Who reaches it")]
    inside_url: Option<String>,
    /// Believes this carrier without a secret. Anybody can pretend to be it then. Can be given more than once
    #[arg(long, value_name = "CARRIER", value_parser = carrier, help_heading = "Who reaches it")]
    unverified: Vec<CarrierKind>,
    /// The most calls at once. Others are answered as busy
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000),
        help_heading = "Limits")]
    most_calls: u32,
    /// How long calls may go on once the leg is told to end (s)
    #[arg(long, default_value_t = 1_800, value_name = "SECONDS", help_heading = "Limits")]
    drain: u64,
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
  /twilio         a carrier's media stream (WebSocket); POST answers a call with this stream. Also
                  /telnyx /plivo /exotel /vonage /jambonz /signalwire; where the fleet has no room, the call
                  is declined
  /metrics        what is counted, for Prometheus
  /healthz        whether the leg takes calls, and how many it has
Workers dial /calls/ID at --inside, each with the secret of that call.

Example:
  TWILIO_AUTH_TOKEN=… realtime fleet leg --nats nats://127.0.0.1:4222 --listen 127.0.0.1:8080 \\
    --public-url https://voice.example.com --inside 10.0.0.7:9000
      Enter https://voice.example.com/twilio as the voice webhook of your number.

At SIGTERM or SIGINT the leg takes no more calls, and ends after its last one; a second signal ends it at
once. Secrets of carriers are those of `realtime serve`. /metrics needs REALTIME_ADMIN_TOKEN where others
reach the leg.";

/// `realtime fleet leg`.
pub(super) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    let mut threads = Builder::new_multi_thread();
    process::run(&args.log, args.json, environment, &mut threads, serve(args, environment))
}

async fn serve(args: &Args, environment: &Environment) -> Result<(), Error> {
    let mut signals = StopSignals::new()?;
    let tls = args.reached.tls()?;
    // What needs no address is checked before one is taken.
    drop(args.reached.address(args.reached.listen, tls.is_some())?);
    args.placing.money()?;
    let listener = args.reached.bind().await?;
    let inner = bind(args.inside).await?;
    let at = listener.local_addr()?;
    let address = args.reached.address(at, tls.is_some())?;
    let access = Access::new(environment, &address, &[], false)?; // it has no pages
    let trust = Trust::new(environment, &args.unverified, address.is_open())?;
    let most = usize::try_from(args.most_calls).unwrap_or(usize::MAX);
    let desk = Arc::new(LegDesk {
        placer: Placer::new(drive::gateway(args.engine.nats(environment)?).await?, &args.placing)?,
        address,
        access,
        trust,
        inside: inside(args.inside_url.as_deref(), &inner)?,
        places: Places::new(most),
        owner_within: OWNER_WITHIN.max(args.engine.lease() + TAKE_OVER),
        requests: accounts(environment),
        hurry: watch::channel(false).0,
        calls: Mutex::new(HashMap::new()),
    });
    tokio::select! {
        () = desk.placer.knows_workers(args.engine.lease() / 3) => {}
        () = signals.next() => return Ok(()),
    }
    introduce(args, &desk, at);
    tokio::select! {
        error = listening::serve(listener, tls, desk::carriers(&desk), most) => Err(error.into()),
        error = listening::serve(inner, None, desk::owners(&desk), most.saturating_mul(2)) => Err(error.into()),
        () = ended(args, &desk, &mut signals) => Ok(()),
    }
}

/// Waits until it is told to end, and its calls are over.
async fn ended(args: &Args, desk: &LegDesk, signals: &mut StopSignals) {
    signals.next().await;
    desk.placer.stop();
    desk.places.drain();
    let calls = desk.places.taken();
    tracing::info!(calls, "the leg ends: its calls have {} s to do so", args.drain);
    let over = async {
        while desk.places.taken() > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::pin!(over);
    tokio::select! {
        _ = timeout(Duration::from_secs(args.drain), &mut over) => {}
        () = signals.next() => {}
    }
    desk.hurry.send_replace(true);
    let _ = timeout(REST, over).await; // a carrier that does not close is left
}

fn introduce(args: &Args, desk: &LegDesk, at: SocketAddr) {
    let taken = desk.trust.taken();
    let taken = || taken.iter().filter(|(kind, _)| *kind != CarrierKind::Genesys);
    let fleet = args.engine.fleet();
    if args.json {
        let carriers = taken().map(|(kind, verified)| {
            let (url, webhook) =
                (desk.address.ws(&format!("/{kind}")), desk.address.http(&format!("/{kind}")));
            (kind.name().to_owned(), json!({ "url": url, "webhook": webhook, "verified": verified }))
        });
        let carriers = carriers.collect::<Map<String, Value>>();
        return say(json!({
            "state": "ready", "fleet": fleet, "listen": at.to_string(), "inside": desk.inside,
            "carriers": carriers,
        }));
    }
    let names = |verified: bool| {
        let names: Vec<_> = taken().filter(|(_, is)| *is == verified).map(|(kind, _)| kind.name()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    say(format!(
        "leg of fleet {fleet} on {at}, workers dial {}; carriers: {} (verified), {} (without proof; end with \
         Ctrl-C)",
        desk.inside,
        names(true),
        names(false)
    ));
}

/// The address that owners dial.
fn inside(url: Option<&str>, listener: &TcpListener) -> Result<String, Error> {
    let at = listener.local_addr()?;
    match url {
        Some(url) => Ok(url.trim_end_matches('/').to_owned()),
        None if at.ip().is_unspecified() => Err(format!(
            "expected the address under which workers reach this process in --inside-url, such as \
             ws://10.0.0.7:{}: {} is none",
            at.port(),
            at.ip()
        )
        .into()),
        None => Ok(format!("ws://{at}")),
    }
}

/// Reads an address that owners dial.
fn inside_url(text: &str) -> Result<String, String> {
    let is_plain = |rest: &str| {
        !rest.trim_end_matches('/').is_empty()
            && rest.chars().all(|letter| letter.is_ascii_graphic() && !"?#@\"<>".contains(letter))
    };
    match text.strip_prefix("ws://") {
        Some(rest) if is_plain(rest) => Ok(text.to_owned()),
        _ => Err("expected an address such as ws://10.0.0.7:9000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn workers_are_told_an_address_that_is_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(inside(None, &listener).unwrap(), format!("ws://127.0.0.1:{port}"));
        assert_eq!(inside(Some("ws://leg-1:9000/"), &listener).unwrap(), "ws://leg-1:9000");
        let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
        assert!(inside(None, &everywhere).unwrap_err().to_string().contains("--inside-url"));
        for wrong in ["10.0.0.7:9000", "wss://h", "ws://", "ws:///", "ws://h?x", "ws://u@h"] {
            assert!(inside_url(wrong).is_err(), "{wrong}");
        }
    }
}
