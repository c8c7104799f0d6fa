//! Other systems: what needs no compiler of C is checked for Windows and macOS, and built for wasm32.

use std::path::Path;
use std::process::Command;

use crate::ci::report::Outcome;
use crate::ci::tools::{Tools, output, run_command};
use crate::workspace_root;

/// What a browser runs.
const WASM: &str = "wasm32-unknown-unknown";

/// Windows and macOS.
const OTHERS: [&str; 2] = ["x86_64-pc-windows-msvc", "aarch64-apple-darwin"];

/// The libraries, without TLS, which builds C for the system that it runs on.
const LIBRARIES: [&str; 7] = [
    "realtime-client",
    "realtime-context",
    "realtime-emulator",
    "realtime-fleet",
    "realtime-pipeline",
    "realtime-protocol",
    "realtime-telephony",
];

/// Those of their features that build no C.
const FEATURES: [&str; 7] = [
    "realtime-client/http",
    "realtime-client/socks",
    "realtime-client/tools",
    "realtime-client/tungstenite",
    "realtime-pipeline/axum",
    "realtime-pipeline/telephony",
    "realtime-pipeline/tungstenite",
];

/// Checks the libraries for each of the other systems whose target is installed.
pub(super) fn others(tools: &Tools) -> Outcome {
    let missing: Vec<&str> = OTHERS.into_iter().filter(|target| !is_installed(target)).collect();
    if missing.len() == OTHERS.len() {
        return Outcome::Skipped(format!("the targets {} are not installed", missing.join(", ")));
    }
    missing.iter().for_each(|target| say!("skipped: the target {target} is not installed"));
    for target in OTHERS.into_iter().filter(|target| !missing.contains(target)) {
        let mut command = tools.cargo_command();
        command.args([
            "check",
            "--no-default-features",
            "--features",
            &FEATURES.join(","),
            "--target",
            target,
        ]);
        for package in LIBRARIES {
            command.args(["-p", package]);
        }
        if run_command(&mut command) != Outcome::Passed {
            return Outcome::Failed(format!("cargo check --target {target} failed"));
        }
    }
    Outcome::Passed
}

/// Builds the pure crates for wasm32, and has Node.js hold a call with them.
pub(super) fn wasm(tools: &Tools) -> Outcome {
    if !is_installed(WASM) {
        return Outcome::Skipped(format!("the target {WASM} is not installed"));
    }
    let mut command = tools.cargo_command();
    command.args(["build", "--target", WASM]);
    for package in ["realtime-protocol", "realtime-context", "realtime-telephony", "realtime-embedding"] {
        command.args(["-p", package]);
    }
    let built = run_command(&mut command);
    if built != Outcome::Passed {
        return built;
    }
    // A page's module holds a call, as a page would.
    if output(Command::new("node").arg("--version")).is_none() {
        say!("skipped: the call in wasm: Node.js is not installed");
        return Outcome::Passed;
    }
    let module = tools.workspace.target.join(WASM).join("debug/realtime_embedding.wasm");
    let call = workspace_root().join("tests/embedding/call.mjs");
    run_command(Command::new("node").arg(call).arg(module))
}

/// Returns whether the compiler has the standard library of a target.
fn is_installed(target: &str) -> bool {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(workspace_root()).args(["--print", "target-libdir", "--target", target]);
    output(&mut rustc).is_some_and(|libdir| Path::new(libdir.trim()).is_dir())
}
