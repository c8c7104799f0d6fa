//! The programs that checks run, and what those are that need more than one command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::ci::features::Workspace;
use crate::ci::report::Outcome;
use crate::{Error, workspace_root};

/// The README's agent needs a key, an address and a file: `tests/tests/readme.rs` has them.
const RUN_ELSEWHERE: &str = "agent";

/// The programs that checks run.
#[derive(Debug)]
pub(super) struct Tools {
    /// The cargo that runs this task.
    pub(super) cargo: OsString,
    /// This very program. Its path is taken at the start, since `cargo test` may replace the file meanwhile.
    pub(super) xtask: PathBuf,
    pub(super) workspace: Workspace,
    /// The features that are checked in all packages at once: all that can be built here. Every check of the
    /// whole workspace has these, so that they share one build.
    pub(super) features: String,
}

impl Tools {
    pub(super) fn find() -> Result<Self, Error> {
        let workspace = Workspace::read()?;
        let features = workspace.all();
        Ok(Self { cargo: cargo_program(), xtask: std::env::current_exe()?, workspace, features })
    }

    pub(super) fn cargo_command(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(workspace_root());
        command
    }

    pub(super) fn cargo<const N: usize>(&self, args: [&str; N]) -> Outcome {
        run_command(self.cargo_command().args(args))
    }

    /// Returns whether cargo has this subcommand.
    pub(super) fn has_subcommand(&self, subcommand: &str) -> bool {
        output(self.cargo_command().args([subcommand, "--version"])).is_some()
    }

    /// A task of cargo on the whole workspace.
    pub(super) fn everywhere(&self, task: &[&str], rest: &[&str]) -> Outcome {
        run_command(&mut self.everywhere_command(task, rest))
    }

    pub(super) fn everywhere_command(&self, task: &[&str], rest: &[&str]) -> Command {
        let mut command = self.cargo_command();
        command.args(task).args(["--workspace", "--features", &self.features]).args(rest);
        command.env("RUSTDOCFLAGS", "-D warnings");
        command
    }

    /// Builds all programs and examples, as the tests have built them.
    pub(super) fn build(&self) -> Outcome {
        self.everywhere(&["build", "--quiet", "--bins", "--examples"], &[])
    }

    /// A program or an example (`examples/ask`) that is built.
    pub(super) fn built(&self, name: &str) -> Command {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        let mut command = Command::new(self.workspace.target.join("debug").join(file));
        command.current_dir(workspace_root());
        command
    }

    /// Runs the examples of both crates.
    pub(super) fn examples(&self) -> Outcome {
        let built = self.build();
        if built != Outcome::Passed {
            return built;
        }
        for package in ["realtime-client", "realtime-pipeline"] {
            let directory = workspace_root().join("crates").join(package).join("examples");
            let Ok(entries) = std::fs::read_dir(&directory) else {
                return Outcome::Failed(format!("cannot read {}", directory.display()));
            };
            let mut names: Vec<String> = entries
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
                .filter(|name| name != RUN_ELSEWHERE)
                .collect();
            names.sort();
            for name in names {
                say!("\n-- {name}");
                if run_command(&mut self.built(&format!("examples/{name}"))) != Outcome::Passed {
                    return Outcome::Failed(format!("the example {name} of {package} failed"));
                }
            }
        }
        Outcome::Passed
    }

    /// Each feature on its own, and none: what a user's choice of features builds. Goes on after a failure.
    pub(super) fn each_feature(&self) -> Outcome {
        let mut failed = Vec::new();
        for package in ["realtime-cli", "realtime-client", "realtime-pipeline", "realtime-protocol"] {
            let each = self.workspace.features_of(package).into_iter().map(Some);
            // A program without any command is none.
            let none = (package != "realtime-cli").then_some(None);
            for feature in none.into_iter().chain(each) {
                let mut command = self.cargo_command();
                command.args(["clippy", "--quiet", "-p", package, "--no-default-features"]);
                command.args(feature.map(|feature| format!("--features={feature}")));
                let with = format!("{package} with {}", feature.unwrap_or("no feature"));
                say!("-- {with}");
                if run_command(command.args(["--", "-D", "warnings"])) != Outcome::Passed {
                    failed.push(with);
                }
            }
        }
        if failed.is_empty() { Outcome::Passed } else { Outcome::Failed(failed.join(", ")) }
    }

    pub(super) fn msrv(&self) -> Outcome {
        let oldest = env!("CARGO_PKG_RUST_VERSION");
        let list = output(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
        let Some(toolchain) = toolchain_of(oldest, &list) else {
            return Outcome::Skipped(format!("the toolchain {oldest} is not installed"));
        };
        let mut command = Command::new("rustup");
        command.current_dir(workspace_root()).args(["run", toolchain]);
        command.args([
            "cargo",
            "check",
            "--workspace",
            "--all-targets",
            "--locked",
            "--features",
            &self.workspace.oldest(),
        ]);
        // Both name programs of the toolchain that runs this task.
        run_command(command.env_remove("CARGO").env_remove("RUSTC"))
    }

    pub(super) fn advisories(&self) -> Outcome {
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
pub(super) fn run_command(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(status.to_string()),
        Err(error) => Outcome::Failed(format!("cannot start {}: {error}", command.get_program().display())),
    }
}

/// Runs the command quietly; its standard output, if it succeeded.
pub(super) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The installed toolchain that is this version, as `rustup toolchain list` names it.
fn toolchain_of<'a>(version: &str, list: &'a str) -> Option<&'a str> {
    list.lines().filter_map(|line| line.split_whitespace().next()).find(|name| {
        let rest = name.strip_prefix(version);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_toolchain_is_found_by_its_version() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\n1.89.0-x86_64-unknown-linux-gnu\n";
        assert_eq!(toolchain_of("1.89", list), Some("1.89.0-x86_64-unknown-linux-gnu"));
        assert_eq!(toolchain_of("1.89", "1.89-aarch64-apple-darwin"), Some("1.89-aarch64-apple-darwin"));
        assert_eq!(toolchain_of("1.8", list), None);
        assert_eq!(toolchain_of("1.89", ""), None);
    }

    #[test]
    fn a_program_that_cannot_start_is_a_failure_not_a_panic() {
        let outcome = run_command(&mut Command::new("no-such-program-anywhere"));
        assert!(
            matches!(&outcome, Outcome::Failed(why) if why.starts_with("cannot start no-such-program-anywhere")),
            "{outcome:?}"
        );
    }
}
