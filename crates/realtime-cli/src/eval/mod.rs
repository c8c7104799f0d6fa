//! `realtime eval`: holds calls with an agent as scenarios say, and checks what came of them.
//!
//! `docs/evals.md` teaches the format. From the file to the report:
//!
//! | file | what is in it |
//! |---|---|
//! | `scenario`, `called`, `case` | what is written, and how it is found and read |
//! | `caller` | the caller's steps |
//! | `line`, `mouth`, `ear` | its line into a call in this process, its voice, and what it hears |
//! | `hold` | the call: the agent, the emulator or another server, the clock |
//! | `phone`, `voices`, `tape` | a call at a phone socket: the socket, who spoke when, the recording |
//! | `run` | one scenario from its file to its outcome |
//! | `judge` | a model that answers questions about a call |
//! | `outcome`, `junit` | the report |
//!
//! What is expected is looked for by [`realtime_pipeline::testing`].

mod called;
mod caller;
mod case;
mod ear;
mod hold;
mod judge;
mod junit;
mod line;
mod mouth;
mod outcome;
mod phone;
mod run;
mod scenario;
mod tape;
mod voices;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use realtime_pipeline::task::StopSignals;
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::Error;
use crate::environment::Environment;
use crate::eval::case::Case;
use crate::eval::outcome::Outcome;
use crate::eval::run::Setup;
use crate::eval::scenario::JudgeFile;
use crate::progress::{self, Progress};

/// How often it is looked at how far all calls are, while none ends.
const LOOK: Duration = Duration::from_millis(200);

/// Which scenarios, and where the report goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files of scenarios (YAML), and folders of such files
    #[arg(value_name = "FILE|FOLDER", required = true)]
    paths: Vec<PathBuf>,
    /// Holds only scenarios whose names contain this, in upper or lower case
    #[arg(long = "match", value_name = "PATTERN")]
    pattern: Option<String>,
    /// How many calls are held at once. Default: as many as this machine has processors
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Makes the last line of standard output a JSON object
    #[arg(long, help_heading = "Report")]
    json: bool,
    /// Writes the report as JUnit XML
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    junit: Option<PathBuf>,
    /// Writes a page of each failed call into this folder, as `realtime view` does
    #[arg(long, value_name = "FOLDER", help_heading = "Report")]
    html: Option<PathBuf>,
    /// Writes the session log of each call into this folder, and of a call at a phone socket both voices:
    /// everything that was said
    #[arg(long, value_name = "FOLDER", help_heading = "Report")]
    log: Option<PathBuf>,
    /// A Realtime server for all scenarios, in place of the emulator or their own, but for those at a phone
    /// socket; its key is read from OPENAI_API_KEY
    #[arg(long, help_heading = "Models")]
    url: Option<String>,
    /// The model for all scenarios
    #[arg(long, value_name = "NAME", help_heading = "Models")]
    model: Option<String>,
    /// The OpenAI-compatible service that judges, such as `https://api.openai.com/v1`; its key is read from
    /// REALTIME_JUDGE_KEY
    #[arg(long, value_name = "URL", help_heading = "Models")]
    judge_url: Option<String>,
    /// The model that judges
    #[arg(long, value_name = "NAME", help_heading = "Models")]
    judge_model: Option<String>,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  realtime eval evals
      All scenarios of a folder, against the emulator inside. No key, no network.
  realtime eval evals --match weather --html failed --junit report.xml
      Some of them, with pages of the calls that fail, and a report for a CI server.
  OPENAI_API_KEY=sk-… realtime eval evals --url https://api.openai.com/v1 --jobs 1
      The same calls on a real model, in real time.
  realtime eval phone.yaml
      Calls at a phone socket, if this is in the file: `agent: { phone: { url: \"ws://…/twilio\" } }`.

Variables:
  OPENAI_API_KEY           the key of the model, and of a judge at api.openai.com
  REALTIME_JUDGE_KEY       the key of the judge";

pub(crate) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    if args.json {
        progress::silence();
    }
    let began = Instant::now();
    let cases = case::load(&args.paths, args.pattern.as_deref())?;
    for folder in args.html.iter().chain(&args.log) {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    let setup = Setup {
        environment,
        url: args.url.clone(),
        model: args.model.clone(),
        judge: JudgeFile { url: args.judge_url.clone(), model: args.judge_model.clone() },
        logs: args.log.clone(),
        pages: args.html.clone(),
        voice: OnceLock::new(),
    };
    let stop = on_signals()?;
    let jobs = args.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let outcomes = all(&cases, &setup, &stop, jobs);
    let summary = Summary::of(&outcomes, cases.len());
    say!("{} in {:.1} s", summary.text(), began.elapsed().as_secs_f64());
    if let Some(path) = &args.junit {
        write(path, &junit::document(&outcomes))?;
    }
    if args.json {
        say!("{}", serde_json::to_string(&Report { summary, scenarios: &outcomes })?);
    }
    match summary {
        Summary { passed, scenarios, .. } if passed == scenarios => Ok(()),
        Summary { not_held: 0, failed, scenarios, .. } => {
            Err(format!("{failed} of {scenarios} scenarios failed").into())
        }
        Summary { not_held, scenarios, .. } => {
            Err(format!("interrupted: {not_held} of {scenarios} scenarios not held").into())
        }
    }
}

/// Holds all calls, and tells each outcome when those before it are told.
fn all(cases: &[Case], setup: &Setup<'_>, stop: &watch::Receiver<bool>, jobs: usize) -> Vec<Outcome> {
    let (next, (told, done)) = (AtomicUsize::new(0), mpsc::channel());
    let mut outcomes = Vec::new();
    thread::scope(|scope| {
        for _ in 0..jobs.min(cases.len()) {
            let (told, next) = (told.clone(), &next);
            scope.spawn(move || {
                while let Some((number, case)) = take(cases, next).filter(|_| !*stop.borrow()) {
                    if told.send((number, run::run(case, setup, stop))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(told);
        let progress = Progress::begin("holds calls", cases.len() as u64);
        let (mut waiting, mut turn, mut held) = (BTreeMap::new(), 0, 0);
        loop {
            progress.at(held);
            let (number, outcome) = match done.recv_timeout(LOOK) {
                Ok(done) => done,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            held += 1;
            waiting.insert(number, outcome);
            while let Some(outcome) = waiting.remove(&turn) {
                turn += 1;
                outcomes.extend(outcome.inspect(|outcome| say!("{outcome}")));
            }
        }
    });
    outcomes
}

fn take<'a>(cases: &'a [Case], next: &AtomicUsize) -> Option<(usize, &'a Case)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    cases.get(number).map(|case| (number, case))
}

/// Becomes true at the first signal that asks this process to end. The second one ends it.
fn on_signals() -> Result<watch::Receiver<bool>, Error> {
    let (tell, stop) = watch::channel(false);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        StopSignals::new()?
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            signals.next().await;
            tell.send_replace(true);
            signals.next().await;
            std::process::exit(130);
        });
    })?;
    Ok(stop)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    Ok(fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?)
}

/// The report as JSON.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    summary: Summary,
    scenarios: &'a [Outcome],
}

/// What came of all scenarios.
#[derive(Clone, Copy, Debug, Serialize)]
struct Summary {
    #[serde(skip)]
    scenarios: usize,
    passed: usize,
    failed: usize,
    not_held: usize,
}

impl Summary {
    fn of(outcomes: &[Outcome], scenarios: usize) -> Self {
        let passed = outcomes.iter().filter(|outcome| outcome.is_passed()).count();
        let (failed, not_held) = (outcomes.len() - passed, scenarios - outcomes.len());
        Self { scenarios, passed, failed, not_held }
    }

    fn text(self) -> String {
        let Self { scenarios, passed, failed, not_held } = self;
        let s = if scenarios == 1 { "" } else { "s" };
        let mut text = format!("{scenarios} scenario{s}: {passed} passed, {failed} failed");
        if not_held > 0 {
            text.push_str(&format!(", {not_held} not held"));
        }
        text
    }
}
