//! The packages that users get: each crate is packed, and what is packed is built, as a program that depends
//! on all of it would build it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::ci::report::Outcome;
use crate::ci::tools::{Tools, run_command};
use crate::{Error, workspace_root};

/// The files that a package has besides its code.
const NEEDED: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Packs all crates of `crates`, uncommitted changes included, and checks what is in the packages.
pub(super) fn run(tools: &Tools) -> Outcome {
    let names = match crates() {
        Ok(names) => names,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let mut pack = tools.cargo_command();
    pack.args(["package", "--locked", "--allow-dirty", "--no-verify"]);
    for name in &names {
        pack.args(["-p", name]);
    }
    if run_command(&mut pack) != Outcome::Passed {
        return Outcome::Failed("cargo package failed".to_owned());
    }
    let folder = tools.workspace.target.join("package");
    let unpacked = folder.join("unpacked");
    if let Err(error) = unpack(&folder, &unpacked, &names) {
        return Outcome::Failed(error.to_string());
    }
    let mut check = tools.cargo_command();
    check.current_dir(&unpacked).args(["check", "--workspace", "--target-dir"]).arg(folder.join("target"));
    run_command(&mut check)
}

/// The crates that are published, each with what its package needs.
pub(super) fn crates() -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in workspace_root().join("crates").read_dir()? {
        let folder = entry?.path();
        if let Some(missing) = NEEDED.iter().map(|name| folder.join(name)).find(|file| !file.is_file()) {
            return Err(format!("{} is missing", missing.display()).into());
        }
        names.extend(folder.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Makes a workspace of what is in the packages, with the versions of this one's lock file.
fn unpack(folder: &Path, unpacked: &Path, names: &[String]) -> Result<(), Error> {
    if unpacked.exists() {
        fs::remove_dir_all(unpacked)?;
    }
    fs::create_dir_all(unpacked)?;
    let (mut members, mut patches) = (Vec::new(), String::new());
    for name in names {
        let stem = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
        let mut tar = Command::new("tar");
        // With the time of now: files in packages all have one time, by which cargo sees no change.
        tar.arg("-xmzf").arg(folder.join(format!("{stem}.crate"))).arg("-C").arg(unpacked);
        if run_command(&mut tar) != Outcome::Passed {
            return Err(format!("tar can't read {stem}.crate").into());
        }
        members.push(format!("{stem:?}"));
        patches.push_str(&format!("{name} = {{ path = {stem:?} }}\n"));
        // One lock file is enough.
        fs::remove_file(unpacked.join(stem).join("Cargo.lock")).ok();
    }
    let members = members.join(", ");
    let manifest =
        format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n[patch.crates-io]\n{patches}");
    fs::write(unpacked.join("Cargo.toml"), manifest)?;
    fs::copy(workspace_root().join("Cargo.lock"), unpacked.join("Cargo.lock"))?;
    Ok(())
}
