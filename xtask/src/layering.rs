//! `cargo xtask tidy`: the rules of the workspace that no compiler checks.
//!
//! - A crate depends on the crates below it and on nothing else of ours, and nothing that a pure crate
//!   depends on, however deep, has a runtime, a socket, a clock or randomness: `dependencies`.
//! - The pure crates' own sources name none of these either, and neither do the pure folders of other crates:
//!   `sources`.
//! - Every dependency is named in CONTRIBUTING.md, with what it is for.
//! - Each point under "What always holds" in ARCHITECTURE.md has a test that exists: `promises`.
//! - No line of prose is longer than a line of code may be: `prose`.
//! - The book's summary names every page, and no link between pages is broken: `book`.
//!
//! The rules are tables, and they are applied by functions of text, so that a test can break them.

mod book;
mod dependencies;
mod promises;
mod prose;
mod scan;
mod sources;

use std::path::Path;
use std::process::{Command, Stdio};

use crate::layering::dependencies::{Metadata, broken_rules, unnamed_dependencies};
use crate::layering::sources::{forbidden_in_folder, forbidden_paths, library_files};
use crate::{Error, ci, workspace_root};

/// The crates that are state machines only.
const PURE: &[&str] = &["realtime-protocol", "realtime-context", "realtime-telephony"];

/// The folders that are state machines only, in crates that are not.
const PURE_FOLDERS: &[&str] = &[
    "crates/realtime-pipeline/src/chain",
    "crates/realtime-pipeline/src/media",
    "crates/realtime-pipeline/src/playout",
    "crates/realtime-pipeline/src/turns",
];

/// Checks all rules and prints each broken one.
pub(crate) fn run() -> Result<(), Error> {
    let Checked { broken, summary } = check(workspace_root())?;
    for rule in &broken {
        say!("{rule}");
    }
    match broken.len() {
        0 => {
            say!("{summary}");
            Ok(())
        }
        1 => Err("1 rule is broken".into()),
        more => Err(format!("{more} rules are broken").into()),
    }
}

/// The result of checking the workspace.
struct Checked {
    /// The rules that are broken, as sentences.
    broken: Vec<String>,
    /// What was checked.
    summary: String,
}

fn check(root: &Path) -> Result<Checked, Error> {
    let metadata: Metadata = serde_json::from_str(&cargo_metadata(root)?)?;

    let mut broken = broken_rules(&metadata);
    let mut files = 0;
    for name in PURE {
        let Some(package) = metadata.members().find(|package| package.name == *name) else {
            broken.push(format!("{name} is not in the workspace: correct PURE in xtask/src/layering.rs"));
            continue;
        };
        let source = package.directory().join("src");
        for file in library_files(&source)? {
            let text = read(&file)?;
            let shown = file.strip_prefix(root).unwrap_or(&file).display();
            for found in forbidden_paths(&text) {
                broken.push(format!("{shown}:{}: `{}`: {}", found.line, found.path, found.reason));
            }
            files += 1;
        }
    }
    for folder in PURE_FOLDERS {
        for file in library_files(&root.join(folder))? {
            let text = read(&file)?;
            let shown = file.strip_prefix(root).unwrap_or(&file).display();
            for found in forbidden_paths(&text).into_iter().chain(forbidden_in_folder(&text)) {
                broken.push(format!("{shown}:{}: `{}`: {}", found.line, found.path, found.reason));
            }
            files += 1;
        }
    }
    let contributing = read(&root.join("CONTRIBUTING.md"))?;
    broken.extend(unnamed_dependencies(&metadata, &contributing));

    let document = read(&root.join(promises::DOCUMENT))?;
    broken.extend(promises::broken_promises(&document, |file| std::fs::read_to_string(root.join(file)).ok()));

    broken.extend(book::broken_book(root)?);

    let documents = prose::files(root)?;
    for file in &documents {
        let shown = file.strip_prefix(root).unwrap_or(file).display();
        for (line, columns) in prose::long_lines(file, &read(file)?) {
            broken.push(format!("{shown}:{line} has {columns} columns: break the line"));
        }
    }

    let (crates, documents) = (metadata.members().count(), documents.len());
    let summary = format!("{crates} crates, {files} source files and {documents} documents keep the rules");
    Ok(Checked { broken, summary })
}

fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()).into())
}

/// The graph for this platform: for all platforms, cargo would have to fetch crates that no build here needs.
fn cargo_metadata(root: &Path) -> Result<String, Error> {
    let version = cargo_output(root, &["-vV"])?;
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("cargo -vV names no host")?;
    let format =
        ["metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", host];
    cargo_output(root, &format)
}

fn cargo_output(root: &Path, args: &[&str]) -> Result<String, Error> {
    let mut command = Command::new(ci::cargo_program());
    let output = command.current_dir(root).args(args).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("cargo {} failed with {}", args.join(" "), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_keeps_the_rules() {
        assert_eq!(check(workspace_root()).unwrap().broken, [""; 0]);
    }
}
