//! The public API of each crate against that of the last release: a version that promises to break nothing
//! breaks nothing.
//!
//! The release is the newest tag `v…`, or the commit that the variable `SEMVER_BASELINE` names.

use std::process::Command;

use crate::ci::package::crates;
use crate::ci::report::Outcome;
use crate::ci::tools::{Tools, output, run_command};
use crate::workspace_root;

/// The variable that names another release.
const BASELINE: &str = "SEMVER_BASELINE";

/// Checks each crate that the release has, and goes on after a failure.
pub(super) fn run(tools: &Tools) -> Outcome {
    let Some(release) = release(std::env::var(BASELINE).ok()) else {
        return Outcome::Skipped(format!("no release is here: expected a tag v…, or a commit in {BASELINE}"));
    };
    if !is_there(&release, "Cargo.toml") {
        return Outcome::Failed(format!("expected a release of this workspace, got {release}: name another"));
    }
    let names = match crates() {
        Ok(names) => names,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let (old, new): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| is_there(&release, &format!("crates/{name}/src/lib.rs")));
    new.iter().for_each(|name| say!("{name} is not in {release}, and may be anything"));
    let mut failed = Vec::new();
    for name in old {
        say!("-- {name} since {release}");
        let mut command = tools.cargo_command();
        command.args(["semver-checks", "-p", &name, "--baseline-rev", &release]);
        // It turns all features on, unless some can't be built here.
        command.args(tools.workspace.no_local_audio.is_some().then_some("--default-features"));
        if run_command(&mut command) != Outcome::Passed {
            failed.push(name);
        }
    }
    if failed.is_empty() { Outcome::Passed } else { Outcome::Failed(failed.join(", ")) }
}

/// The commit of the last release, if there is one.
fn release(named: Option<String>) -> Option<String> {
    named.filter(|named| !named.is_empty()).or_else(|| {
        let tag = git(&["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"])?;
        Some(tag.trim().to_owned())
    })
}

/// Returns whether a commit has this file.
fn is_there(commit: &str, file: &str) -> bool {
    git(&["cat-file", "-e", &format!("{commit}:{file}")]).is_some()
}

fn git(args: &[&str]) -> Option<String> {
    output(Command::new("git").current_dir(workspace_root()).args(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_is_named_comes_before_a_tag() {
        assert_eq!(release(Some("0bce78f".to_owned())).as_deref(), Some("0bce78f"));
        let tagged = release(Some(String::new()));
        assert!(tagged.is_none_or(|tag| tag.starts_with('v')), "an empty name is none");
    }

    #[test]
    fn a_commit_is_asked_for_its_files() {
        // Sources that were unpacked have no history.
        if git(&["rev-parse", "HEAD"]).is_some() {
            assert!(is_there("HEAD", "Cargo.toml"));
            assert!(!is_there("HEAD", "no/such/file") && !is_there("no-such-commit", "Cargo.toml"));
        }
    }
}
