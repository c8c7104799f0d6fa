//! The tasks that are programs of their own: each is built when it is asked for. Who asks for the demo does
//! not wait for an HTTP server.

use std::ffi::OsString;
use std::process::Command;

use crate::{Error, ci, workspace_root};

/// What a program is given.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// The options of `realtime NAME`: `cargo xtask NAME --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<OsString>,
}

/// A command of `realtime`, whose feature has its name.
pub(crate) fn realtime(name: &str, options: &Options) -> Result<(), Error> {
    let mut command = cargo_run("realtime-cli");
    command.args(["--no-default-features", "--features", name, "--", name]);
    if ["demo", "record"].contains(&name) {
        // The last one counts, so that the user's own wins.
        command.arg("--out").arg(workspace_root().join("target/demo"));
    }
    become_program(command.args(&options.options))
}

/// The comparison with another implementation.
pub(crate) fn oracle(options: &Options) -> Result<(), Error> {
    become_program(cargo_run("realtime-oracle").arg("--").args(&options.options))
}

fn cargo_run(package: &str) -> Command {
    let mut command = Command::new(ci::cargo_program());
    command.args(["run", "--manifest-path"]).arg(workspace_root().join("Cargo.toml"));
    command.args(["--package", package]);
    command
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
    if status.success() { Ok(()) } else { Err(format!("the program ended with {status}").into()) }
}
