//! `realtime fleet drain`: a worker gives its calls to others, and ends.

use std::time::Duration;

use realtime_fleet::WorkerId;
use realtime_fleet::WorkerSeen;
use realtime_fleet::drive::{self, Nats};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::environment::Environment;
use crate::serve::fleet::options::EngineArgs;
use crate::{Error, say};

/// How often it is looked how many calls are left.
const LOOK: Duration = Duration::from_millis(250);

/// Which worker.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The worker, as `realtime fleet status` names it
    #[arg(value_parser = worker)]
    worker: WorkerId,
    #[command(flatten)]
    engine: EngineArgs,
    /// How long to wait until it has no call left (s). It drains on afterwards
    #[arg(long, default_value_t = 600, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Prints JSON objects: worker, calls
    #[arg(long)]
    json: bool,
}

/// What stands below the options in the long help.
pub(super) const AFTER_HELP: &str = "\
A call moves between two turns to a worker that has room; where there is none, it goes on where it is to its
end. The worker's process ends after its last call.

Example:
  realtime fleet drain w_0123456789abcdef_0 --nats nats://127.0.0.1:4222 --timeout 120";

/// `realtime fleet drain`.
pub(super) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let nats = drive::look(args.engine.nats(environment)?).await?;
        drain(args, &nats).await
    })
}

async fn drain(args: &Args, nats: &Nats) -> Result<(), Error> {
    let worker = &args.worker;
    let until = Instant::now() + Duration::from_secs(args.timeout);
    let workers = nats.workers().await.ok_or("the NATS servers do not answer in time: try again")?;
    if workers.iter().all(|seen| seen.worker != *worker) {
        return Err(unknown(worker, &workers).into());
    }
    if !nats.drain(worker).await {
        return Err(format!(
            "the worker {worker} does not answer: is it cut off? See `realtime fleet status`"
        )
        .into());
    }
    let mut told = None;
    loop {
        // Where the engine does not answer, it is asked again.
        if let Some(left) = left(nats, worker).await {
            if told != Some(left) {
                told = Some(left);
                tell(args, left);
            }
            if left == 0 {
                return Ok(());
            }
        }
        if Instant::now() >= until {
            let left = told.map_or_else(|| "calls".to_owned(), calls);
            return Err(format!(
                "the worker {worker} still has {left} after {} s: either no other worker has room, or they \
                 have not come to the end of a turn. It drains on",
                args.timeout
            )
            .into());
        }
        sleep(LOOK).await;
    }
}

/// How many calls the worker has. `None`: the engine does not answer.
async fn left(nats: &Nats, worker: &WorkerId) -> Option<usize> {
    let calls = nats.open_calls().await?;
    Some(calls.iter().filter(|call| call.owner.as_ref() == Some(worker)).count())
}

fn tell(args: &Args, left: usize) {
    let worker = &args.worker;
    match (args.json, left) {
        (true, _) => say(json!({ "worker": worker, "calls": left })),
        (false, 0) => say(format!("{worker} has no calls left")),
        (false, _) => say(format!("{worker} has {} left", calls(left))),
    }
}

fn calls(count: usize) -> String {
    if count == 1 { "1 call".to_owned() } else { format!("{count} calls") }
}

fn unknown(worker: &WorkerId, workers: &[WorkerSeen]) -> String {
    let known: Vec<&str> = workers.iter().map(|seen| seen.worker.as_str()).collect();
    match known.is_empty() {
        true => format!("there is no worker {worker}: the fleet has none"),
        false => format!("there is no worker {worker}: the fleet has {}", known.join(", ")),
    }
}

/// Reads a worker's name.
fn worker(text: &str) -> Result<WorkerId, String> {
    WorkerId::new(text).map_err(|error| error.to_string())
}
