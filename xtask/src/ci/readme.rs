//! Whether the README says the truth: its main job runs. That its commands exist is a test of this program,
//! and of `realtime-cli`.

use std::path::Path;
use std::process::Command;

use crate::ci::report::Outcome;
use crate::ci::tools::run_command;
use crate::{Error, workspace_root};

/// Runs the README's main job, and the replay of its log. (`cargo xtask ci` itself is what is running.)
pub(super) fn readme(xtask: &Path) -> Result<(), Error> {
    for args in [&["demo", "--fast"][..], &["replay", "target/demo/session.jsonl"]] {
        let line = format!("cargo xtask {}", args.join(" "));
        say!("\n$ {line}");
        match run_command(Command::new(xtask).current_dir(workspace_root()).args(args)) {
            Outcome::Failed(why) => return Err(format!("`{line}` failed with {why}").into()),
            Outcome::Passed | Outcome::Skipped(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    use realtime_tests::shell::{PAPERS, commands};

    use crate::{Cli, workspace_root};

    #[test]
    fn every_task_that_a_paper_names_is_there() {
        for paper in PAPERS {
            let text = std::fs::read_to_string(workspace_root().join(paper)).unwrap();
            let told = commands(&text, "cargo xtask");
            if *paper == "README.md" {
                let names: Vec<&str> =
                    told.iter().filter_map(|args| args.first()).map(String::as_str).collect();
                assert!(names.contains(&"demo") && names.contains(&"ci"), "{names:?}");
            }
            for args in told {
                let words = std::iter::once("cargo xtask").chain(args.iter().map(String::as_str));
                if let Err(error) = Cli::try_parse_from(words)
                    && !matches!(error.kind(), DisplayHelp | DisplayVersion)
                {
                    panic!("{paper} says `cargo xtask {}`: {error}", args.join(" "));
                }
            }
        }
    }

    #[test]
    fn every_example_that_a_paper_names_is_there() {
        let mut count = 0;
        for paper in PAPERS {
            let text = std::fs::read_to_string(workspace_root().join(paper)).unwrap();
            for args in commands(&text, "cargo run") {
                let after = |flag: &str| args.iter().skip_while(|arg| *arg != flag).nth(1);
                let (Some(package), Some(example)) = (after("-p"), after("--example")) else { continue };
                let folder = workspace_root().join("crates").join(package);
                let file = folder.join("examples").join(example);
                assert!(file.with_extension("rs").exists() || file.is_dir(), "{paper}: {}", args.join(" "));
                let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
                for feature in after("--features").into_iter().flat_map(|features| features.split(',')) {
                    assert!(manifest.contains(&format!("\n{feature} = [")), "{paper}: {feature}");
                }
                count += 1;
            }
        }
        assert!(count > 3, "{count}");
    }
}
