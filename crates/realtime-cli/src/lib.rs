//! `realtime`: voice agents from the command line.
//!
//! ```console
//! $ realtime serve
//! listening on http://127.0.0.1:8080 (end with Ctrl-C)
//! ```
//!
//! `serve` is one HTTP server, at which people speak with an agent from a page, from an RTVI client, and over
//! phone carriers. `call` is such a server that dials out first. `talk` has the agent speak by the microphone
//! and the loudspeaker of this machine. Without `--url` the model is the emulator, and without `--agent` the
//! agent is the demo's: neither needs a key nor a network. `demo` holds a whole conversation, `emulator` is a
//! Realtime server for agents in any language, `replay` and `view` show what happened in a call, and `eval`
//! checks agents by scenarios. Each command has a feature of its name.
//!
//! A program may use it as a library: [`serve::Server`] is the server.
//!
//! # Modules
//! | module | what is in it |
//! |---|---|
//! | [`agent`] | the agent's file, and the agent that is made of it (feature `check`) |
//! | [`environment`] | the variables that hold keys and secrets |
//! | `check` | what a file says |
//! | [`model`] | the server of the model, or the emulator inside (feature `check`) |
//! | [`recorded_content`] | how much of a call its log holds |
//! | `listening` | where servers listen |
//! | [`serve`] | the HTTP server (feature `serve`) |
//! | `eval` | scenarios by which people check their agents (feature `eval`) |
//! | `serve::fleet` | calls over many machines (feature `fleet`, off by default) |
//! | [`telemetry`] | traces and metrics for a collector (feature `otlp`, off by default) |
//! | `demo`, `record` | the demo's conversation, and its session log |
//! | `emulator` | a Realtime server on this machine |
//! | `replay`, `story`, `view` | what happened in a call: played again, told, and as a page |
//! | `conformance`, `schema` | what a server sends, against the protocol's types; their JSON Schemas |
//! | `completions` | what a shell completes (feature `completions`) |
//! | `progress`, `colour` | what a person at a terminal sees besides |
//! | `talk` | a talk at this machine (feature `talk`, off by default) |
//!
//! # What always holds
//! - A carrier's request is verified before the upgrade, and before any session of a model.
//! - No more calls than [`serve::Args::most_calls`] run; others are refused before the upgrade.
//! - Nobody from another machine reaches a page's socket without a token.
//! - No key and no secret is in a page, an answer about calls, or a log.

/// Prints a line of a command's report.
#[cfg(feature = "light")]
macro_rules! say {
    ($($text:tt)*) => { $crate::say(format_args!($($text)*)) };
}

#[cfg(feature = "serve")]
mod accounts;
#[cfg(feature = "check")]
pub mod agent;
#[cfg(feature = "check")]
mod check;
mod colour;
#[cfg(feature = "completions")]
mod completions;
#[cfg(feature = "light")]
mod conformance;
#[cfg(feature = "light")]
mod demo;
#[cfg(feature = "light")]
mod dialect;
#[cfg(feature = "light")]
mod emulator;
pub mod environment;
#[cfg(feature = "eval")]
mod eval;
#[cfg(any(feature = "serve", feature = "talk"))]
mod figures;
#[cfg(any(feature = "light", feature = "serve"))]
mod listening;
#[cfg(feature = "light")]
mod log_lines;
#[cfg(any(feature = "serve", feature = "talk"))]
mod logging;
#[cfg(feature = "check")]
pub mod model;
#[cfg(feature = "light")]
mod profile;
#[cfg(feature = "light")]
mod progress;
#[cfg(feature = "light")]
mod record;
#[cfg(any(feature = "light", feature = "serve"))]
pub mod recorded_content;
#[cfg(feature = "light")]
mod replay;
#[cfg(feature = "light")]
mod schema;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "light")]
mod story;
#[cfg(feature = "talk")]
mod talk;
#[cfg(any(feature = "serve", feature = "talk"))]
pub mod telemetry;
#[cfg(feature = "serve")]
mod time;
#[cfg(feature = "light")]
mod view;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::environment::Environment;
#[cfg(feature = "light")]
use crate::progress::aside;

/// Why a command failed. The text, with its sources, is all that the user sees: it says what to do, or what
/// was wrong.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "realtime",
    version,
    about = "Voice agents on models that speak the OpenAI Realtime protocol"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Holds a whole voice conversation, and writes its recording, transcript and session log
    #[cfg(feature = "light")]
    #[command(after_long_help = demo::AFTER_HELP)]
    Demo(demo::Args),
    /// Serves an agent to pages, RTVI clients and phone carriers
    #[cfg(feature = "serve")]
    #[command(after_long_help = serve::AFTER_HELP)]
    Serve(Box<serve::CommandLine>),
    /// Calls a number by a phone carrier, and has the agent speak
    #[cfg(feature = "serve")]
    #[command(after_long_help = serve::dial::AFTER_HELP)]
    Call(Box<serve::dial::Args>),
    /// Holds calls over many machines: workers, gateways, what they have, and how one ends
    #[cfg(feature = "fleet")]
    #[command(after_long_help = serve::fleet::AFTER_HELP)]
    Fleet(serve::fleet::Args),
    /// Reads an agent's file and says what is in it, or what is wrong with it
    #[cfg(feature = "check")]
    #[command(after_long_help = check::AFTER_HELP)]
    Check(check::Args),
    /// Holds calls with an agent as scenarios say, and checks what came of them
    #[cfg(feature = "eval")]
    #[command(after_long_help = eval::AFTER_HELP)]
    Eval(Box<eval::Args>),
    /// Serves the Realtime protocol on this machine, without network or key
    #[cfg(feature = "light")]
    #[command(after_long_help = emulator::AFTER_HELP)]
    Emulator(emulator::Args),
    /// Holds the demo's conversation and writes its session log to a given file
    #[cfg(feature = "light")]
    #[command(after_long_help = record::AFTER_HELP)]
    Record(record::Args),
    /// Replays a session log and compares every output
    #[cfg(feature = "light")]
    #[command(after_long_help = replay::AFTER_HELP)]
    Replay(replay::Args),
    /// Writes one or two session logs as a page to look at and to listen to
    #[cfg(feature = "light")]
    #[command(after_long_help = view::AFTER_HELP)]
    View(view::Args),
    /// Reads JSON files, logs or JSON Lines of events and reports what is not understood, not written as it
    /// came, or violates a schema
    #[cfg(feature = "light")]
    #[command(after_long_help = conformance::AFTER_HELP)]
    Conformance(conformance::Args),
    /// Writes the JSON Schemas of the wire's types
    #[cfg(feature = "light")]
    #[command(after_long_help = schema::AFTER_HELP)]
    Schema(schema::Args),
    /// Has an agent speak by the microphone and the loudspeaker of this machine
    #[cfg(feature = "talk")]
    #[command(after_long_help = talk::AFTER_HELP)]
    Talk(talk::Args),
    /// Writes what a shell needs to complete commands, options and files
    #[cfg(feature = "completions")]
    #[command(after_long_help = completions::AFTER_HELP)]
    Completions(completions::Args),
}

/// Runs the command that this process was given.
pub fn main() -> ExitCode {
    let environment = Environment::of_process();
    match run(Cli::parse().command, &environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} {}", colour::bad_on_stderr("error:"), one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, environment: &Environment) -> Result<(), Error> {
    // Which commands there are is a matter of features: with few of them, none may read the environment.
    let _ = environment;
    match command {
        #[cfg(feature = "light")]
        Command::Demo(args) => demo::run(&args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&args, environment),
        #[cfg(feature = "serve")]
        Command::Call(args) => serve::dial::run(&args, environment),
        #[cfg(feature = "fleet")]
        Command::Fleet(args) => serve::fleet::run(&args, environment),
        #[cfg(feature = "check")]
        Command::Check(args) => check::run(&args, environment),
        #[cfg(feature = "eval")]
        Command::Eval(args) => eval::run(&args, environment),
        #[cfg(feature = "light")]
        Command::Emulator(args) => emulator::run(&args),
        #[cfg(feature = "light")]
        Command::Record(args) => record::run(&args),
        #[cfg(feature = "light")]
        Command::Replay(args) => replay::run(&args),
        #[cfg(feature = "light")]
        Command::View(args) => view::run(&args),
        #[cfg(feature = "light")]
        Command::Conformance(args) => conformance::run(&args),
        #[cfg(feature = "light")]
        Command::Schema(args) => schema::run(&args),
        #[cfg(feature = "talk")]
        Command::Talk(args) => talk::run(&args, environment),
        #[cfg(feature = "completions")]
        Command::Completions(args) => completions::run(&args),
    }
}

/// Writes a line to standard output. If that fails, the command ends: quietly if the reader has closed the
/// pipe, otherwise with the reason.
fn say(line: impl fmt::Display) {
    let written = aside(|| {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())
    });
    if let Err(error) = written {
        if error.kind() != io::ErrorKind::BrokenPipe {
            eprintln!("error: cannot write to standard output: {error}");
        }
        std::process::exit(1);
    }
}

/// No command here shows how far it is.
#[cfg(not(feature = "light"))]
fn aside<T>(write: impl FnOnce() -> T) -> T {
    write()
}

/// The error and its sources as one line: `cannot read agent.toml: no such file`.
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
        struct Outer(#[source] io::Error);

        let error = Outer(io::Error::other("disk on fire"));
        assert_eq!(one_line(&error), "cannot read the log: disk on fire");
    }

    #[test]
    fn the_long_help_of_every_command_has_examples_that_can_be_typed() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            let examples = realtime_tests::shell::commands(&format!("```sh\n{help}\n```"), "realtime");
            let of_this = examples.iter().filter(|args| args.first().is_some_and(|first| first == name));
            assert!(of_this.count() > 0, "the help of `{name}` has no example of it: {help}");
            for args in &examples {
                let words = args.iter().map(String::as_str).filter(|word| *word != "…");
                if let Err(error) = Cli::try_parse_from(std::iter::once("realtime").chain(words)) {
                    panic!("the help of `{name}` says `realtime {}`: {error}", args.join(" "));
                }
            }
        }
    }

    #[test]
    #[cfg(all(feature = "light", feature = "serve"))]
    fn every_command_that_a_paper_names_is_there() {
        use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
        use realtime_tests::shell::{PAPERS, commands};

        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let unbuilt = if cfg!(feature = "fleet") { "" } else { "fleet" };
        let of_cli =
            Cli::command().get_subcommands().map(|one| one.get_name().to_owned()).collect::<Vec<_>>();
        let mut count = 0;
        for paper in PAPERS {
            let text = std::fs::read_to_string(root.join(paper)).unwrap();
            let mut told = commands(&text, "realtime");
            told.extend(commands(&text, "cargo xtask").into_iter().filter(|args| {
                // The tasks of `xtask` itself are for its own test.
                args.first().is_some_and(|name| of_cli.contains(name))
            }));
            told.retain(|args| args.first().is_none_or(|name| name != unbuilt));
            for args in told {
                count += 1;
                let words = std::iter::once("realtime").chain(args.iter().map(String::as_str));
                if let Err(error) = Cli::try_parse_from(words)
                    && !matches!(error.kind(), DisplayHelp | DisplayVersion)
                {
                    panic!("{paper} says `realtime {}`: {error}", args.join(" "));
                }
            }
        }
        assert!(count > 8, "{count}");
    }
}
