//! `cargo xtask ci`: every check, in one command, with cargo alone.
//!
//! A failing check does not stop the ones after it, and a check whose tool is not installed is skipped with
//! one line that names what is missing. Nothing here uses the network, beyond cargo's own first fetch of the
//! dependencies, of cargo-fuzz and nats-server if they are missing, and of the script library that drives a
//! browser.

mod browser;
mod features;
mod fleet;
mod fuzz;
mod package;
mod readme;
mod report;
mod semver;
mod systems;
mod tools;

use std::time::Instant;

use clap::ValueEnum;

use crate::ci::report::{Outcome, Record, outcome, seconds, table, verdict};
use crate::ci::tools::Tools;
use crate::{Error, layering};

pub(crate) use crate::ci::tools::cargo_program;

/// The nats-server that a fleet runs on, installed if it is not there.
pub(crate) fn nats_server() -> Result<std::path::PathBuf, Error> {
    Ok(fleet::server()?)
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs these checks only; all of them when none is named
    #[arg(value_name = "CHECK")]
    only: Vec<Check>,

    /// Leaves these checks out
    #[arg(long, value_name = "CHECK")]
    without: Vec<Check>,

    /// Lists the checks and what they run, and runs none
    #[arg(long)]
    list: bool,
}

/// The checks, in the order in which they run: quick ones and those that fail most often come first. ALL
/// stands for all features that can be built here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Check {
    /// Source format
    Fmt,
    /// Clippy on all targets and features
    Clippy,
    /// All tests and doctests
    Test,
    /// Documentation, private items included
    Doc,
    /// The protocol crate without the standard library's features
    NoStd,
    /// Each feature on its own
    Features,
    /// The pure crates built for wasm32, and a call with them in Node.js
    Wasm,
    /// The libraries, checked for Windows and macOS
    Systems,
    /// The oldest compiler that the manifest names
    Msrv,
    /// The public API against the last release's
    Semver,
    /// Licences, sources and duplicates of the dependencies
    Deny,
    /// Known vulnerabilities of the dependencies
    Advisories,
    /// A short run of each fuzz target
    Fuzz,
    /// Workers and gateways on a real nats-server, killed, stopped and cut off
    Fleet,
    /// Each example, against the emulator
    Examples,
    /// Calls by WebRTC, which the tests have among them
    Webrtc,
    /// Callers of eight carriers hold calls with the server, which the tests have among them
    Carriers,
    /// The microphone and the loudspeaker of this machine, which the tests have among them. They need ALSA
    /// and a newer compiler
    LocalAudio,
    /// A page in a browser talks with the agent
    Browser,
    /// The packages that users get, built from what is in them
    Package,
    /// The rules that no compiler checks
    Tidy,
    /// The README's commands
    Readme,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let all = Check::value_variants().iter().copied();
    let chosen = all
        .filter(|check| args.only.is_empty() || args.only.contains(check))
        .filter(|check| !args.without.contains(check));
    if args.list {
        chosen.for_each(|check| say!("{:<11}  {}", check.name(), check.describe()));
        return Ok(());
    }
    let tools = Tools::find()?;
    // All tests have these among them.
    let of_tests = |check: &Check| matches!(check, Check::Webrtc | Check::Carriers | Check::LocalAudio);
    let tested = chosen.clone().any(|check| check == Check::Test);
    let told = |check: &Check| *check == Check::LocalAudio && tools.workspace.no_local_audio.is_some();

    let mut records = Vec::new();
    for check in chosen.filter(|check| !(tested && of_tests(check)) || told(check)) {
        let name = check.name();
        say!("\n== {name}: {}", check.describe());
        let start = Instant::now();
        let outcome = check.run(&tools);
        let record = Record { name, outcome, elapsed: start.elapsed() };
        match &record.outcome {
            Outcome::Passed => say!("{}: ok in {}", record.name, seconds(record.elapsed)),
            Outcome::Skipped(why) => say!("skipped: {why}"),
            Outcome::Failed(why) => {
                say!("{}: FAILED in {}: {why}", record.name, seconds(record.elapsed));
            }
        }
        records.push(record);
    }

    say!("\n{}", table(&records));
    if !args.without.is_empty() {
        let names: Vec<String> = args.without.iter().map(|check| check.name()).collect();
        say!("left out: {}", names.join(", "));
    }
    verdict(&records)
}

impl Check {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What is run, as the user would type it.
    fn describe(self) -> &'static str {
        match self {
            Self::Fmt => "cargo fmt --all --check",
            Self::Clippy => "cargo clippy --workspace --all-targets --features ALL -- -D warnings",
            Self::Test => "cargo test --workspace --features ALL --no-fail-fast",
            Self::Doc => {
                "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --features ALL"
            }
            Self::NoStd => "cargo check -p realtime-protocol --no-default-features",
            Self::Features => "cargo clippy -p PACKAGE --no-default-features --features FEATURE, for each",
            Self::Wasm => {
                "cargo build -p realtime-protocol -p realtime-context -p realtime-telephony -p realtime-embedding --target wasm32-unknown-unknown, and node tests/embedding/call.mjs"
            }
            Self::Systems => {
                "cargo check of the libraries, --target x86_64-pc-windows-msvc and aarch64-apple-darwin"
            }
            Self::Msrv => {
                "cargo check --workspace --all-targets, with the oldest compiler and the features that it builds"
            }
            Self::Semver => {
                "cargo semver-checks -p CRATE --baseline-rev TAG, for each crate that the release has"
            }
            Self::Deny => "cargo deny check --hide-inclusion-graph bans licenses sources",
            Self::Advisories => "cargo deny --offline check advisories",
            Self::Fuzz => "RUSTC_BOOTSTRAP=1 cargo fuzz run TARGET -- -max_total_time=10, for each target",
            Self::Fleet => "cargo test --workspace --features ALL --test nats --test simulation",
            Self::Examples => "target/debug/examples/NAME, for each example of client and pipeline",
            Self::Webrtc => "cargo test --workspace --features ALL --test webrtc",
            Self::Carriers => {
                "cargo test --workspace --features ALL --test serve --test phone --test carriers"
            }
            Self::Browser => {
                "node tests/browser/page/page.mjs and more, with the examples page_server and rtvi_server, and with serve"
            }
            Self::LocalAudio => "cargo test --workspace --features ALL --test local_audio --test talk",
            Self::Package => "cargo package, of each crate in crates/, and cargo check of what is packed",
            Self::Tidy => "cargo xtask tidy",
            Self::Readme => "the commands of README.md",
        }
    }

    /// The subcommand of cargo that it needs, and how that is called. Without it the check is skipped.
    const fn needs(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Fmt => Some(("fmt", "rustfmt")),
            Self::Clippy | Self::Features => Some(("clippy", "clippy")),
            Self::Semver => Some(("semver-checks", "cargo-semver-checks")),
            Self::Deny | Self::Advisories => Some(("deny", "cargo-deny")),
            _ => None,
        }
    }

    fn run(self, tools: &Tools) -> Outcome {
        if let Some((_, name)) = self.needs().filter(|(subcommand, _)| !tools.has_subcommand(subcommand)) {
            return Outcome::Skipped(format!("{name} is not installed"));
        }
        match self {
            Self::Fmt => tools.cargo(["fmt", "--all", "--check"]),
            Self::Clippy => {
                tools.everywhere(&["clippy", "--all-targets", "--test", "nats"], &["--", "-D", "warnings"])
            }
            Self::Test => tools.everywhere(&["test"], &["--no-fail-fast"]),
            Self::Doc => tools.everywhere(&["doc", "--no-deps", "--document-private-items"], &[]),
            Self::NoStd => tools.cargo(["check", "-p", "realtime-protocol", "--no-default-features"]),
            Self::Features => tools.each_feature(),
            Self::Wasm => systems::wasm(tools),
            Self::Systems => systems::others(tools),
            Self::Msrv => tools.msrv(),
            Self::Semver => semver::run(tools),
            Self::Deny => {
                tools.cargo(["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
            }
            Self::Advisories => tools.advisories(),
            // The same properties run as proptests among the tests; this goes deeper if the tools are there.
            Self::Fuzz => fuzz::run(tools),
            Self::Fleet => fleet::run(tools),
            Self::Examples => tools.examples(),
            Self::Webrtc => tools.everywhere(&["test"], &["--test", "webrtc"]),
            Self::Carriers => {
                tools.everywhere(&["test"], &["--test", "serve", "--test", "phone", "--test", "carriers"])
            }
            Self::LocalAudio => match &tools.workspace.no_local_audio {
                Some(missing) => Outcome::Skipped(missing.clone()),
                None => tools.everywhere(&["test"], &["--test", "local_audio", "--test", "talk"]),
            },
            Self::Browser => browser::run(tools),
            Self::Package => package::run(tools),
            Self::Tidy => outcome(layering::run()),
            Self::Readme => outcome(readme::readme(&tools.xtask)),
        }
    }
}
