//! A short run of each fuzz target, from seeds made of the golden sessions and the fixtures.
//!
//! Coverage and sanitizer need no nightly compiler: a stable one accepts the flags when it is told to. Also
//! needed are `cargo-fuzz`, which is installed below `target` if it is missing, and a C++ compiler for
//! libFuzzer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ci::report::Outcome;
use crate::ci::tools::{Tools, output, run_command};
use crate::workspace_root;

/// How long each target runs (s), how long one input may take (s), and the most memory (MiB).
const LIMITS: [&str; 3] = ["-max_total_time=10", "-timeout=10", "-rss_limit_mb=2048"];

/// Runs them all, and goes on after a failure.
pub(super) fn run(tools: &Tools) -> Outcome {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return Outcome::Skipped("fuzz targets run on Linux on x86_64".into());
    }
    if !tools.has_sanitizer() {
        return Outcome::Skipped("the toolchain has no address sanitizer".into());
    }
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if output(Command::new(compiler).arg("--version")).is_none() {
        return Outcome::Skipped("there is no C++ compiler".into());
    }
    let Some(path) = tools.cargo_fuzz() else {
        return Outcome::Skipped("cargo-fuzz is not installed and could not be".into());
    };
    let targets = match targets() {
        Ok(targets) => targets,
        Err(error) => return Outcome::Failed(format!("cannot read fuzz/fuzz_targets: {error}")),
    };
    let target = workspace_root().join("target");
    let built = tools.build();
    if built != Outcome::Passed {
        return built;
    }
    let mut seeds = tools.built("examples/fuzz_seeds");
    if run_command(seeds.arg(target.join("fuzz-corpus")).args(&targets)) != Outcome::Passed {
        return Outcome::Failed("cannot write the seeds".into());
    }
    let fuzz = |task: &str| {
        let mut command = tools.cargo_command();
        command.env("PATH", &path).env("RUSTC_BOOTSTRAP", "1");
        command.args(["fuzz", task, "--target-dir"]).arg(target.join("fuzz"));
        command
    };
    // All at once: one after the other, each waits for its own linker.
    if run_command(&mut fuzz("build")) != Outcome::Passed {
        return Outcome::Failed("the targets can't be built".into());
    }
    let mut failed = Vec::new();
    for name in targets {
        say!("\n-- {name}");
        let corpus = target.join("fuzz-corpus").join(&name);
        if run_command(fuzz("run").arg(&name).arg(corpus).arg("--").args(LIMITS)) != Outcome::Passed {
            failed.push(name);
        }
    }
    if failed.is_empty() { Outcome::Passed } else { Outcome::Failed(failed.join(", ")) }
}

impl Tools {
    /// The search path with which `cargo fuzz` is found, after installing it if it is missing.
    fn cargo_fuzz(&self) -> Option<OsString> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if self.has_subcommand("fuzz") {
            return Some(path);
        }
        let tools = workspace_root().join("target/tools");
        let ours = std::iter::once(tools.join("bin")).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(ours).ok()?;
        if output(self.cargo_command().env("PATH", &path).args(["fuzz", "--version"])).is_none() {
            say!("cargo-fuzz is missing: installing it into {}", tools.display());
            let mut install = self.cargo_command();
            install.args(["install", "cargo-fuzz", "--locked", "--quiet", "--root"]).arg(&tools);
            if run_command(&mut install) != Outcome::Passed {
                return None;
            }
        }
        Some(path)
    }

    /// Returns whether the compiler comes with the address sanitizer.
    fn has_sanitizer(&self) -> bool {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let libdir = output(rustc.current_dir(workspace_root()).args(["--print", "target-libdir"]));
        let entries = libdir.and_then(|libdir| Path::new(libdir.trim()).read_dir().ok());
        entries.into_iter().flatten().flatten().any(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().ends_with("_rt.asan.a")
        })
    }
}

/// The names of all targets, in order.
fn targets() -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in workspace_root().join("fuzz/fuzz_targets").read_dir()? {
        let path: PathBuf = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}
