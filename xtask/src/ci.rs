//! `cargo xtask ci`: every check, in one command, with cargo alone.
//!
//! A failing check does not stop the ones after it, and a check whose tool is not installed is skipped with
//! one line that names what is missing. Nothing here uses the network, beyond cargo's own first fetch of the
//! dependencies, and of cargo-fuzz if that is missing.

mod fuzz;
mod seeds;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use crate::{Cli, Error, layering, workspace_root};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs these checks only; all of them when none is named
    #[arg(value_name = "CHECK")]
    only: Vec<Check>,
}

/// The checks, in the order in which they run: quick ones and those that fail most often come first.
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
    /// The pure crates built for wasm32
    Wasm,
    /// The oldest compiler that the manifest names
    Msrv,
    /// Licences, sources and duplicates of the dependencies
    Deny,
    /// Known vulnerabilities of the dependencies
    Advisories,
    /// A short run of each fuzz target
    Fuzz,
    /// Each example, against the emulator
    Examples,
    /// The rules that no compiler checks
    Tidy,
    /// The README's commands
    Readme,
}

/// How one check ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    /// Not run; the text says what is missing.
    Skipped(String),
    /// The text says what failed, in a few words: the details were printed as they came.
    Failed(String),
}

/// A check that ran, and how long it took.
#[derive(Debug)]
struct Record {
    name: String,
    outcome: Outcome,
    elapsed: Duration,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let tools = Tools::find()?;
    let all = Check::value_variants();
    let chosen = all.iter().copied().filter(|check| args.only.is_empty() || args.only.contains(check));

    let mut records = Vec::new();
    for check in chosen {
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
            Self::Clippy => "cargo clippy --workspace --all-targets --all-features -- -D warnings",
            Self::Test => "cargo test --workspace --all-features --no-fail-fast",
            Self::Doc => {
                "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --all-features"
            }
            Self::NoStd => "cargo check -p realtime-protocol --no-default-features",
            Self::Wasm => {
                "cargo build -p realtime-protocol -p realtime-context -p realtime-telephony --target wasm32-unknown-unknown"
            }
            Self::Msrv => {
                "cargo check --workspace --all-targets --all-features, with the oldest supported compiler"
            }
            Self::Deny => "cargo deny check --hide-inclusion-graph bans licenses sources",
            Self::Advisories => "cargo deny --offline check advisories",
            Self::Fuzz => "RUSTC_BOOTSTRAP=1 cargo fuzz run TARGET -- -max_total_time=20, for each target",
            Self::Examples => "cargo run -p PACKAGE --example NAME, for each example of client and pipeline",
            Self::Tidy => "cargo xtask tidy",
            Self::Readme => "the commands of README.md",
        }
    }

    fn run(self, tools: &Tools) -> Outcome {
        match self {
            Self::Fmt => match tools.missing_subcommand("fmt", "rustfmt is not installed") {
                Some(skipped) => skipped,
                None => tools.cargo(["fmt", "--all", "--check"]),
            },
            Self::Clippy => match tools.missing_subcommand("clippy", "clippy is not installed") {
                Some(skipped) => skipped,
                None => tools.cargo([
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--all-features",
                    "--",
                    "-D",
                    "warnings",
                ]),
            },
            Self::Test => tools.cargo(["test", "--workspace", "--all-features", "--no-fail-fast"]),
            Self::Doc => {
                let args = ["doc", "--workspace", "--no-deps", "--document-private-items", "--all-features"];
                run_command(tools.cargo_command().args(args).env("RUSTDOCFLAGS", "-D warnings"))
            }
            Self::NoStd => tools.cargo(["check", "-p", "realtime-protocol", "--no-default-features"]),
            Self::Wasm => tools.wasm(),
            Self::Msrv => tools.msrv(),
            Self::Deny => match tools.missing_subcommand("deny", "cargo-deny is not installed") {
                Some(skipped) => skipped,
                None => {
                    tools.cargo(["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
                }
            },
            Self::Advisories => tools.advisories(),
            // The same properties run as proptests among the tests; this goes deeper if the tools are there.
            Self::Fuzz => fuzz::run(tools),
            Self::Examples => tools.examples(),
            Self::Tidy => outcome(layering::run()),
            Self::Readme => outcome(readme(&tools.xtask)),
        }
    }
}

/// The README's agent needs a key, an address and a file: `xtask/tests/readme.rs` has them.
const RUN_BY_A_TEST: &str = "agent";

/// The programs that checks run.
#[derive(Debug)]
struct Tools {
    /// The cargo that runs this task.
    cargo: OsString,
    /// This very program. Its path is taken at the start, since `cargo test` may replace the file meanwhile.
    xtask: PathBuf,
}

impl Tools {
    fn find() -> Result<Self, Error> {
        Ok(Self { cargo: cargo_program(), xtask: std::env::current_exe()? })
    }

    fn cargo_command(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(workspace_root());
        command
    }

    fn cargo<const N: usize>(&self, args: [&str; N]) -> Outcome {
        run_command(self.cargo_command().args(args))
    }

    /// `Some(Skipped)` when cargo has no such subcommand.
    fn missing_subcommand(&self, subcommand: &str, why: &str) -> Option<Outcome> {
        let answer = output(self.cargo_command().args([subcommand, "--version"]));
        answer.is_none().then(|| Outcome::Skipped(why.to_owned()))
    }

    /// Runs the examples of both crates. The features are those of the tests, so that little is built anew.
    fn examples(&self) -> Outcome {
        for package in ["realtime-client", "realtime-pipeline"] {
            let directory = workspace_root().join("crates").join(package).join("examples");
            let Ok(entries) = std::fs::read_dir(&directory) else {
                return Outcome::Failed(format!("cannot read {}", directory.display()));
            };
            let mut names: Vec<String> = entries
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
                .filter(|name| name != RUN_BY_A_TEST)
                .collect();
            names.sort();
            for name in names {
                say!("\n-- {name}");
                let args = ["run", "--quiet", "-p", package, "--all-features", "--example", &name];
                let outcome = self.cargo(args);
                if outcome != Outcome::Passed {
                    return Outcome::Failed(format!("the example {name} of {package} failed"));
                }
            }
        }
        Outcome::Passed
    }

    fn wasm(&self) -> Outcome {
        const TARGET: &str = "wasm32-unknown-unknown";
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let libdir = output(rustc.current_dir(workspace_root()).args([
            "--print",
            "target-libdir",
            "--target",
            TARGET,
        ]));
        if !libdir.is_some_and(|libdir| Path::new(libdir.trim()).is_dir()) {
            return Outcome::Skipped(format!("the target {TARGET} is not installed"));
        }
        self.cargo([
            "build",
            "-p",
            "realtime-protocol",
            "-p",
            "realtime-context",
            "-p",
            "realtime-telephony",
            "--target",
            TARGET,
        ])
    }

    fn msrv(&self) -> Outcome {
        let oldest = env!("CARGO_PKG_RUST_VERSION");
        let list = output(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
        let Some(toolchain) = toolchain_of(oldest, &list) else {
            return Outcome::Skipped(format!("the toolchain {oldest} is not installed"));
        };
        let mut command = Command::new("rustup");
        command.current_dir(workspace_root()).args(["run", toolchain]);
        command.args(["cargo", "check", "--workspace", "--all-targets", "--all-features", "--locked"]);
        // Both name programs of the toolchain that runs this task.
        run_command(command.env_remove("CARGO").env_remove("RUSTC"))
    }

    fn advisories(&self) -> Outcome {
        if let Some(skipped) = self.missing_subcommand("deny", "cargo-deny is not installed") {
            return skipped;
        }
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
        // Each database is a directory; a lock file may lie beside it.
        let has_database = home
            .and_then(|home| home.join("advisory-dbs").read_dir().ok())
            .is_some_and(|entries| entries.flatten().any(|entry| entry.path().is_dir()));
        if !has_database {
            return Outcome::Skipped("the advisory database is not here: `cargo deny fetch db`".to_owned());
        }
        self.cargo(["deny", "--offline", "check", "advisories"])
    }
}

/// The cargo that runs this task, or the one on the path when the program was started by hand.
pub(crate) fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs the command with its output shown.
fn run_command(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(status.to_string()),
        Err(error) => Outcome::Failed(format!("cannot start {}: {error}", command.get_program().display())),
    }
}

/// Runs the command quietly; its standard output, if it succeeded.
fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn outcome(result: Result<(), Error>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// The installed toolchain that is this version, as `rustup toolchain list` names it.
fn toolchain_of<'a>(version: &str, list: &'a str) -> Option<&'a str> {
    list.lines().filter_map(|line| line.split_whitespace().next()).find(|name| {
        let rest = name.strip_prefix(version);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    })
}

/// Checks that every `cargo xtask …` in the README's shell blocks is a command line that exists, then runs
/// the README's main job and the replay of its log. (`cargo xtask ci` itself is what is running.)
fn readme(xtask: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(workspace_root().join("README.md"))
        .map_err(|error| format!("cannot read README.md: {error}"))?;
    let commands = shell_commands(&text);
    for command in &commands {
        say!("README.md: cargo xtask {}", command.join(" "));
        check_command(command)?;
    }
    for needed in ["demo", "ci"] {
        if !commands.iter().any(|command| command.first().is_some_and(|task| task == needed)) {
            return Err(format!("README.md has no `cargo xtask {needed}` in a shell block").into());
        }
    }

    for args in [&["demo", "--fast"][..], &["replay", "target/demo/session.jsonl"]] {
        let line = format!("cargo xtask {}", args.join(" "));
        say!("\n$ {line}");
        match run_command(Command::new(xtask).current_dir(workspace_root()).args(args)) {
            Outcome::Failed(why) => return Err(format!("`{line}` failed with {why}").into()),
            Outcome::Passed | Outcome::Skipped(_) => {}
        }
    }
    Ok(())
}

/// Checks that this program accepts the arguments after `cargo xtask`.
fn check_command(args: &[String]) -> Result<(), Error> {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    match Cli::try_parse_from(std::iter::once("cargo xtask").chain(args.iter().map(String::as_str))) {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), DisplayHelp | DisplayVersion) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            Err(format!("README.md says `cargo xtask {}`: {first}", args.join(" ")).into())
        }
    }
}

/// The arguments of every `cargo xtask …` in the fenced shell blocks of a Markdown text.
fn shell_commands(markdown: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in shell_lines(markdown) {
        let code = line.split(" #").next().unwrap_or_default();
        if code.starts_with('#') {
            continue;
        }
        for part in code.split([';', '|', '&']) {
            if let Some((_, args)) = part.split_once("cargo xtask") {
                let args = args.split_whitespace().map(|arg| arg.trim_matches(['"', '\'']).to_owned());
                commands.push(args.collect());
            }
        }
    }
    commands
}

/// The lines of the fenced shell blocks, trimmed, with continued lines joined.
fn shell_lines(markdown: &str) -> Vec<String> {
    let mut lines = Vec::new();
    // `Some(true)` inside a shell block, `Some(false)` inside another one.
    let mut fence = None;
    let mut line = String::new();
    for text in markdown.lines().map(str::trim) {
        if let Some(info) = text.strip_prefix("```") {
            fence = match fence {
                None => Some(["bash", "console", "sh", "shell"].contains(&info.trim())),
                Some(_) => None,
            };
        } else if fence == Some(true) {
            match text.strip_suffix('\\') {
                Some(start) => line.push_str(start),
                None => lines.push(std::mem::take(&mut line) + text),
            }
        }
    }
    lines
}

/// Every check with its result and time, in columns.
fn table(records: &[Record]) -> String {
    let rows = records.iter().map(|record| {
        let result = match &record.outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Skipped(why) => format!("skipped: {why}"),
            Outcome::Failed(_) => "FAILED".to_owned(),
        };
        (record.name.as_str(), seconds(record.elapsed), result)
    });
    let mut text = format!("{:<10}  {:>8}  result\n", "check", "time");
    for (name, time, result) in rows {
        text.push_str(&format!("{name:<10}  {time:>8}  {result}\n"));
    }
    text
}

fn verdict(records: &[Record]) -> Result<(), Error> {
    let failed: Vec<&str> = records
        .iter()
        .filter(|record| matches!(record.outcome, Outcome::Failed(_)))
        .map(|record| record.name.as_str())
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed checks: {}", failed.join(", ")).into()) }
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_from_shell_blocks_only() {
        let readme = "\
Run `cargo xtask nonsense`.
```sh
# cargo xtask comment
cargo xtask demo            # the main job
$ OPENAI_API_KEY=sk-… cargo xtask demo \\
    --url 'wss://example.com'
cargo xtask demo --fast && cargo xtask replay target/demo/session.jsonl
```
```rust
// cargo xtask code
```
```console
  cargo xtask ci
```
cargo xtask prose
";
        let commands: Vec<String> = shell_commands(readme).iter().map(|args| args.join(" ")).collect();
        let expected =
            ["demo", "demo --url wss://example.com", "demo --fast", "replay target/demo/session.jsonl", "ci"];
        assert_eq!(commands, expected);
    }

    #[test]
    fn a_command_that_does_not_exist_is_reported_with_its_line() {
        let check = |line: &str| check_command(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(check("ci").is_ok());
        assert!(check("ci fmt tidy").is_ok());
        assert!(check("--help").is_ok());
        let error = check("dance --fast").unwrap_err().to_string();
        assert!(error.starts_with("README.md says `cargo xtask dance --fast`: "), "{error}");
        assert!(error.contains("unrecognized subcommand"), "{error}");
    }

    #[test]
    fn the_oldest_toolchain_is_found_by_its_version() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\n1.89.0-x86_64-unknown-linux-gnu\n";
        assert_eq!(toolchain_of("1.89", list), Some("1.89.0-x86_64-unknown-linux-gnu"));
        assert_eq!(toolchain_of("1.89", "1.89-aarch64-apple-darwin"), Some("1.89-aarch64-apple-darwin"));
        assert_eq!(toolchain_of("1.8", list), None);
        assert_eq!(toolchain_of("1.89", ""), None);
    }

    #[test]
    fn the_verdict_names_every_failed_check_and_no_skipped_one() {
        let records = [
            record("fmt", Outcome::Failed("exit status: 1".to_owned())),
            record("test", Outcome::Passed),
            record("deny", Outcome::Skipped("cargo-deny is not installed".to_owned())),
            record("doc", Outcome::Failed("exit status: 101".to_owned())),
        ];
        assert_eq!(verdict(&records).unwrap_err().to_string(), "failed checks: fmt, doc");
        assert!(verdict(&records[1..3]).is_ok());
        assert_eq!(
            table(&records),
            "\
check           time  result
fmt            1.5 s  FAILED
test           1.5 s  ok
deny           1.5 s  skipped: cargo-deny is not installed
doc            1.5 s  FAILED
"
        );
    }

    #[test]
    fn a_program_that_cannot_start_is_a_failure_not_a_panic() {
        let outcome = run_command(&mut Command::new("no-such-program-anywhere"));
        assert!(
            matches!(&outcome, Outcome::Failed(why) if why.starts_with("cannot start no-such-program-anywhere")),
            "{outcome:?}"
        );
    }

    fn record(name: &str, outcome: Outcome) -> Record {
        Record { name: name.to_owned(), outcome, elapsed: Duration::from_millis(1500) }
    }
}
