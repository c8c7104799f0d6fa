//! The project's tasks: `cargo xtask <task>`, or `cargo xtask --help` for the list.
//!
//! The checks are here, and depend on little, so that they run when nothing else compiles. All that a user of
//! the crates does is a command of `realtime`, which is built with that command alone and run in place of
//! this program. A task reports on standard output. When it fails it returns an [`Error`], which comes out as
//! one line, `error: …`, on standard error, with exit code 1. (A command line that cannot be parsed is clap's
//! to report; its exit code is 2.)

/// Prints a line of a task's report.
macro_rules! say {
    ($($text:tt)*) => { $crate::say(format_args!($($text)*)) };
}

mod bench;
mod ci;
mod layering;
mod program;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::program::Options;

/// Why a task failed. The text, with its sources, is all that the user sees: it says what to do, or what was
/// wrong.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The project's tasks")]
pub(crate) struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Holds a whole voice conversation and writes it to target/demo
    Demo(Options),
    /// Serves the Realtime protocol on this machine, without network or key
    Emulator(Options),
    /// Serves the demo's agent, or yours, to browsers, RTVI clients and phone carriers
    Serve(Options),
    /// Serves calls over many machines: workers, gateways, what they have, and how one ends
    Fleet(Options),
    /// Has the demo's agent, or yours, speak by the microphone and the loudspeaker of this machine
    Talk(Options),
    /// Holds calls with an agent as scenarios say, and checks what came of them
    Eval(Options),
    /// Holds the demo's conversation and writes its session log to a given file
    Record(Options),
    /// Replays a session log and compares every output
    Replay(Options),
    /// Writes one or two session logs as a page to look at and to listen to
    View(Options),
    /// Reads JSON files, logs or JSON Lines of events and reports what is not understood, not written as it
    /// came, or violates a schema
    Conformance(Options),
    /// Writes the JSON Schemas of the wire's types
    Schema(Options),
    /// Runs scenarios step by step and compares with traces of another implementation
    Oracle(Options),
    /// Measures codec, session and calls, beside their limits and other crates
    Bench(bench::Args),
    /// Runs every check: format, clippy, tests, docs, layering, the README's commands
    Ci(ci::Args),
    /// Checks the rules that no compiler checks: dependencies, the pure crates, tests that docs name
    Tidy,
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Demo(options) => program::realtime("demo", &options),
        Task::Emulator(options) => program::realtime("emulator", &options),
        Task::Serve(options) => program::realtime("serve", &options),
        Task::Fleet(options) => program::realtime("fleet", &options),
        Task::Talk(options) => program::realtime("talk", &options),
        Task::Eval(options) => program::realtime("eval", &options),
        Task::Record(options) => program::realtime("record", &options),
        Task::Replay(options) => program::realtime("replay", &options),
        Task::View(options) => program::realtime("view", &options),
        Task::Conformance(options) => program::realtime("conformance", &options),
        Task::Schema(options) => program::realtime("schema", &options),
        Task::Oracle(options) => program::oracle(&options),
        Task::Bench(args) => bench::run(&args),
        Task::Ci(args) => ci::run(&args),
        Task::Tidy => layering::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard output. If that fails, the task ends: quietly if the reader has closed the pipe
/// (as `head` does), otherwise with the reason.
fn say(line: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}") {
        if error.kind() != io::ErrorKind::BrokenPipe {
            eprintln!("error: cannot write to standard output: {error}");
        }
        std::process::exit(1);
    }
}

/// The workspace's root directory, wherever the task was started.
pub(crate) fn workspace_root() -> &'static Path {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().expect("xtask lies in a directory of the workspace")
}

/// The error and its sources as one line: `cannot read session.jsonl: no such file`.
fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> =
        chain.map(|error| error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_error_with_sources_and_line_breaks_is_one_line() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read\n    the log")]
        struct Outer(#[source] std::io::Error);

        let error = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(one_line(&error), "cannot read the log: disk on fire");
    }
}
