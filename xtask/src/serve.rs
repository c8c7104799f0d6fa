//! `cargo xtask serve`: the server of `realtime serve`.
//!
//! It is a program of its own, and built only when it is asked for: no other task needs an HTTP server.

use std::ffi::OsString;
use std::process::Command;

use crate::{Error, ci, workspace_root};

/// What the server is given.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// The options of `realtime serve`: `cargo xtask serve --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let mut command = Command::new(ci::cargo_program());
    command.args(["run", "--quiet", "--manifest-path"]).arg(workspace_root().join("Cargo.toml"));
    command.args([
        "--package",
        "realtime-cli",
        "--no-default-features",
        "--features",
        "serve",
        "--",
        "serve",
    ]);
    become_program(command.args(&args.options))
}

/// Goes on as this program, so that signals and the exit code are its own.
#[cfg(unix)]
fn become_program(command: &mut Command) -> Result<(), Error> {
    use std::os::unix::process::CommandExt as _;

    Err(format!("cannot run cargo: {}", command.exec()).into())
}

/// Runs this program to its end.
#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Result<(), Error> {
    let status = command.status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
}
