//! `realtime fleet bench`: what a fleet does on these NATS servers. Worker processes serve calls without a
//! model, some of them are killed, and it is counted what came of that.

mod report;
mod worker;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use realtime_fleet::drive::{self, GatewayHandle};
use realtime_fleet::gateway::NewCall;
use realtime_fleet::{CallId, Leg, Placing, Tenant};
use realtime_pipeline::task::StopSignals;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::time::sleep;

use self::report::{Report, Run};
use crate::environment::Environment;
use crate::serve::fleet::options::ServersArgs;
use crate::{Error, say};

/// Placements that are under way at once.
const AT_ONCE: usize = 64;
/// How long a turn of a call takes, on average.
const TURN: Duration = Duration::from_millis(2750);
/// How long workers have to be known.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long calls have to end after their time.
const REST: Duration = Duration::from_secs(60);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

/// How much, and where.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    servers: ServersArgs,
    /// Calls at once
    #[arg(long, default_value_t = 200, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=20_000))]
    calls: u32,
    /// Worker processes
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=64))]
    workers: u16,
    /// Of these, how many are killed, one after another. One at least stays
    #[arg(long, default_value_t = 1, value_name = "N")]
    kills: u16,
    /// How long each call takes (s)
    #[arg(long, default_value_t = 30, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(10..=3_600))]
    seconds: u64,
    /// Makes the last line of standard output a JSON object
    #[arg(long)]
    json: bool,
    /// Serves the calls of this fleet, as one of the workers
    #[arg(long, hide = true, value_name = "FLEET")]
    serves: Option<String>,
}

/// What stands below the options in the long help.
pub(super) const AFTER_HELP: &str = "\
A call has a turn every 2 to 3.5 s, and a function in every second one; it needs no model and no key. The
bench has a fleet of its own, which it removes from the servers at its end, and fails where a call was lost or
a function ran twice.

With --json the last line has calls, functions, lost, doubled, unknown (functions whose outcome nobody knows),
kills, takeovers, lease_ms, takeover_p50_ms, takeover_p99_ms, placements_per_s and messages_per_call_minute.

Examples:
  realtime fleet bench --nats nats://127.0.0.1:4222
  NATS_URL=nats://a:4222,nats://b:4222,nats://c:4222 realtime fleet bench --replicas 3 --calls 2000";

/// `realtime fleet bench`.
pub(super) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if let Some(fleet) = &args.serves {
        return runtime.block_on(worker::serve(args.servers.nats(environment, fleet)?));
    }
    if args.kills >= args.workers {
        let (kills, workers) = (args.kills, args.workers);
        return Err(format!("expected fewer --kills than --workers ({workers}), got {kills}").into());
    }
    let (last, seconds) = (args.last_kill().as_secs(), args.seconds);
    if args.kills > 0 && last >= seconds {
        return Err(format!(
            "expected --seconds of more than {last}, got {seconds}: the last of {} workers is killed then",
            args.kills
        )
        .into());
    }
    let fleet = format!("bench_{:08x}", rand::random::<u32>());
    let report = runtime.block_on(async {
        let nats = args.servers.nats(environment, &fleet)?;
        let mut signals = StopSignals::new()?;
        let gateway = drive::gateway(nats).await?;
        let report = tokio::select! {
            report = Stage::new(args, &fleet).rehearse(&gateway) => report,
            () = signals.next() => Err("interrupted before the bench was over".into()),
        };
        if !gateway.nats().remove().await {
            say(format!("note: the streams of the fleet {fleet} could not be removed from the NATS servers"));
        }
        report
    })?;
    if args.json {
        say(serde_json::to_string(&report)?)
    } else {
        report.lines().into_iter().for_each(say)
    }
    report.verdict()
}

impl Args {
    /// When the last worker is killed, after the calls have begun.
    fn last_kill(&self) -> Duration {
        let first = Duration::from_secs(self.seconds) / 2;
        first + self.servers.lease() * 2 * u32::from(self.kills.saturating_sub(1))
    }
}

/// The worker processes. They end with it.
struct Stage<'a> {
    args: &'a Args,
    fleet: &'a str,
    workers: Vec<Child>,
    told: Sender<Told>,
    tells: Receiver<Told>,
}

/// A line of a worker.
pub(super) struct Told {
    pub(super) worker: usize,
    pub(super) at: Instant,
    pub(super) line: String,
}

impl<'a> Stage<'a> {
    fn new(args: &'a Args, fleet: &'a str) -> Self {
        let (told, tells) = mpsc::channel();
        Self { args, fleet, workers: Vec::new(), told, tells }
    }

    async fn rehearse(mut self, gateway: &GatewayHandle) -> Result<Report, Error> {
        (0..self.args.workers).try_for_each(|_| self.start())?;
        let began = Instant::now();
        while gateway.workers().await < usize::from(self.args.workers) {
            self.check_workers(0)?;
            if began.elapsed() > PATIENCE {
                return Err(format!(
                    "not all workers are known within {} s: is the machine busy?",
                    PATIENCE.as_secs()
                )
                .into());
            }
            sleep(LOOK).await;
        }
        let began = Instant::now();
        let placed = self.place(gateway).await?;
        let mut run = Run::new(self.args.servers.lease(), placed, began.elapsed());
        let middle = began + Duration::from_secs(self.args.seconds) / 2;
        let lease = self.args.servers.lease();
        let until = began + Duration::from_secs(self.args.seconds) + REST + lease * 2;
        let (mut killed, mut next) = (0, middle);
        while !run.is_over() && Instant::now() < until {
            if killed < usize::from(self.args.kills) && Instant::now() >= next {
                run.kills(killed, Instant::now());
                self.workers[killed].kill()?;
                killed += 1;
                next = Instant::now() + lease * 2;
            }
            self.tells.try_iter().for_each(|told| run.learn(&told));
            self.check_workers(killed)?;
            sleep(LOOK).await;
        }
        Ok(run.report(gateway.nats().sent(), began.elapsed()))
    }

    fn start(&mut self) -> Result<(), Error> {
        let worker = self.workers.len();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["fleet", "bench", "--serves", self.fleet]);
        self.args.servers.pass_on(&mut command);
        // The end of its standard input is the worker's.
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|error| format!("cannot start a worker: {error}"))?;
        if let Some(out) = child.stdout.take() {
            let told = self.told.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if told.send(Told { worker, at: Instant::now(), line }).is_err() {
                        break;
                    }
                }
            });
        }
        self.workers.push(child);
        Ok(())
    }

    /// Those after the killed ones live.
    fn check_workers(&mut self, killed: usize) -> Result<(), Error> {
        for worker in self.workers.iter_mut().skip(killed) {
            if let Some(status) = worker.try_wait()? {
                return Err(format!("a worker has ended by itself: {status}").into());
            }
        }
        Ok(())
    }

    async fn place(&self, gateway: &GatewayHandle) -> Result<Vec<CallId>, Error> {
        let turns = (Duration::from_secs(self.args.seconds).as_secs_f64() / TURN.as_secs_f64()).ceil() as u64;
        let new = || {
            let leg = Leg::Sideband { call_id: "rtc_bench".to_owned() };
            let metadata = json!({ "turns": turns }).into();
            NewCall::new(Placing { tenant: Tenant::unnamed(), leg, metadata })
        };
        let placed = futures_util::stream::iter(0..self.args.calls).map(|_| gateway.place(new()));
        let placed: Vec<_> = placed.buffer_unordered(AT_ONCE).collect().await;
        let placed: Result<Vec<CallId>, _> = placed.into_iter().map(|placed| Ok(placed?.call)).collect();
        placed.map_err(|error: realtime_fleet::gateway::PlaceError| {
            format!("a call was not placed: {error}").into()
        })
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.kill(); // it may have ended
            let _ = worker.wait();
        }
    }
}
