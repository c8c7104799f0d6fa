//! `realtime`: voice agents from the command line.
//!
//! ```console
//! $ realtime serve
//! listening on http://127.0.0.1:8080 (end with Ctrl-C)
//! ```
//!
//! `serve` is one HTTP server, at which people speak with an agent from a page, from an RTVI client, and over
//! phone carriers. `call` is such a server that dials out first. Without `--url` the model is the emulator,
//! and without `--agent` the agent is the demo's: neither needs a key nor a network.
//!
//! A program may use it as a library: [`serve::Server`] is the server.
//!
//! # Modules
//! | module | what is in it |
//! |---|---|
//! | [`agent`] | the agent's file, and the agent that is made of it |
//! | [`environment`] | the variables that hold keys and secrets |
//! | `check` | what a file says |
//! | [`model`] | the server of the model, or the emulator inside |
//! | [`serve`] | the HTTP server (feature `serve`) |
//!
//! # What always holds
//! - A carrier's request is verified before the upgrade, and before any session of a model.
//! - No more calls than [`serve::Args::most_calls`] run; others are refused before the upgrade.
//! - Nobody from another machine reaches a page's socket without a token.
//! - No key and no secret is in a page, an answer about calls, or a log.

#[cfg(feature = "serve")]
mod accounts;
pub mod agent;
mod check;
pub mod environment;
#[cfg(feature = "serve")]
mod logging;
pub mod model;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "serve")]
mod time;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::environment::Environment;

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
    /// Reads an agent's file and says what is in it, or what is wrong with it
    Check(check::Args),
    /// Serves an agent to pages, RTVI clients and phone carriers
    #[cfg(feature = "serve")]
    #[command(after_long_help = serve::AFTER_HELP)]
    Serve(Box<serve::Args>),
    /// Calls a number by a phone carrier, and has the agent speak
    #[cfg(feature = "serve")]
    #[command(after_long_help = serve::dial::AFTER_HELP)]
    Call(Box<serve::dial::Args>),
}

/// Runs the command that this process was given.
pub fn main() -> ExitCode {
    let environment = Environment::of_process();
    match run(Cli::parse().command, &environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, environment: &Environment) -> Result<(), Error> {
    match command {
        Command::Check(args) => check::run(&args, environment),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&args, environment),
        #[cfg(feature = "serve")]
        Command::Call(args) => serve::dial::run(&args, environment),
    }
}

/// Writes a line to standard output. If that fails, the command ends: quietly if the reader has closed the
/// pipe, otherwise with the reason.
fn say(line: impl fmt::Display) {
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            eprintln!("error: cannot write to standard output: {error}");
        }
        std::process::exit(1);
    }
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
}
