//! The check of the microphone and the loudspeaker: features that need the system's audio and a newer
//! compiler, which no other check turns on.

use std::process::Command;

use crate::ci::report::Outcome;
use crate::ci::tools::{Tools, output, run_command};

/// The oldest compiler that builds the echo cancellation: 1.91.
const OLDEST_MINOR: u32 = 91;

/// The features of the pipeline.
const PIPELINE: &str = "local-audio,echo-cancellation";

/// Clippy, documentation and tests of these features, together and alone.
pub(super) fn run(tools: &Tools) -> Outcome {
    if let Some(missing) = missing() {
        return Outcome::Skipped(missing);
    }
    let (pipeline, program, tests) = ("realtime-pipeline", "realtime-cli", "realtime-tests");
    let deny = ["-D", "warnings"];
    let steps: [(&[&str], &str, &str, &[&str]); 10] = [
        (&["clippy", "--all-targets"], pipeline, PIPELINE, &deny),
        (&["clippy"], pipeline, "local-audio", &deny),
        (&["clippy"], pipeline, "echo-cancellation", &deny),
        (&["doc", "--no-deps", "--document-private-items"], pipeline, PIPELINE, &[]),
        (&["test", "--lib"], pipeline, PIPELINE, &["local::", "echo::"]),
        (&["test", "--doc"], pipeline, PIPELINE, &["local", "echo"]),
        (&["clippy", "--test", "local_audio"], tests, "local-audio", &deny),
        (&["test", "--test", "local_audio"], tests, "local-audio", &[]),
        // As `cargo xtask talk` builds it.
        (&["clippy", "--no-default-features", "--all-targets"], program, "talk", &deny),
        (&["test", "--no-default-features", "--lib", "--test", "talk"], program, "talk", &[]),
    ];
    for (task, package, features, rest) in steps {
        let mut command = tools.cargo_command();
        command
            .args(task)
            .args(["-p", package])
            .args(["--features", features])
            .env("RUSTDOCFLAGS", "-D warnings");
        if !rest.is_empty() {
            command.arg("--").args(rest);
        }
        if run_command(&mut command) != Outcome::Passed {
            return Outcome::Failed(format!(
                "cargo {} -p {package} --features {features} failed",
                task.join(" ")
            ));
        }
    }
    Outcome::Passed
}

/// What these features need and is not here.
fn missing() -> Option<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = output(Command::new(rustc).arg("--version")).unwrap_or_default();
    if minor(&version).is_none_or(|minor| minor < OLDEST_MINOR) {
        return Some(format!("the compiler is older than 1.{OLDEST_MINOR}"));
    }
    let has_alsa = || output(Command::new("pkg-config").args(["--exists", "alsa"])).is_some();
    (cfg!(target_os = "linux") && !has_alsa())
        .then(|| "ALSA's headers or pkg-config are not installed (Debian's libasound2-dev)".to_owned())
}

/// The second number of `rustc 1.95.0 (… 2026-04-14)`.
fn minor(version: &str) -> Option<u32> {
    version.split_whitespace().nth(1)?.split('.').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_s_version_is_read() {
        assert_eq!(minor("rustc 1.95.0 (59807616e 2026-04-14)"), Some(95));
        assert_eq!(minor("rustc 1.97.0-nightly (59807616e 2026-04-14)"), Some(97));
        assert_eq!(minor(""), None);
    }
}
