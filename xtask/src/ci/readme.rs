//! Whether the README says the truth: its commands exist, and its main job runs.

use std::path::Path;
use std::process::Command;

use clap::Parser;

use crate::ci::report::Outcome;
use crate::ci::tools::run_command;
use crate::{Cli, Error, workspace_root};

/// Checks that every `cargo xtask …` in the README's shell blocks is a command line that exists, then runs
/// the README's main job and the replay of its log. (`cargo xtask ci` itself is what is running.)
pub(super) fn readme(xtask: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(workspace_root().join("README.md"))
        .map_err(|error| format!("cannot read README.md: {error}"))?;
    let commands = shell_commands(&text);
    for command in &commands {
        say!("README.md: cargo xtask {}", command.join(" "));
        check_command(command)?;
    }
    for needed in ["demo", "ci"] {
        if !commands.iter().any(|command| command.first().is_some_and(|task| task == needed)) {
            return Err(format!("README.md has no `cargo xtask {needed}` in a shell block").into());
        }
    }

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

/// Checks that this program accepts the arguments after `cargo xtask`.
fn check_command(args: &[String]) -> Result<(), Error> {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    match Cli::try_parse_from(std::iter::once("cargo xtask").chain(args.iter().map(String::as_str))) {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), DisplayHelp | DisplayVersion) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            Err(format!("README.md says `cargo xtask {}`: {first}", args.join(" ")).into())
        }
    }
}

/// The arguments of every `cargo xtask …` in the fenced shell blocks of a Markdown text.
fn shell_commands(markdown: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in shell_lines(markdown) {
        let code = line.split(" #").next().unwrap_or_default();
        if code.starts_with('#') {
            continue;
        }
        for part in code.split([';', '|', '&']) {
            if let Some((_, args)) = part.split_once("cargo xtask") {
                let args = args.split_whitespace().map(|arg| arg.trim_matches(['"', '\'']).to_owned());
                commands.push(args.collect());
            }
        }
    }
    commands
}

/// The lines of the fenced shell blocks, trimmed, with continued lines joined.
fn shell_lines(markdown: &str) -> Vec<String> {
    let mut lines = Vec::new();
    // `Some(true)` inside a shell block, `Some(false)` inside another one.
    let mut fence = None;
    let mut line = String::new();
    for text in markdown.lines().map(str::trim) {
        if let Some(info) = text.strip_prefix("```") {
            fence = match fence {
                None => Some(["bash", "console", "sh", "shell"].contains(&info.trim())),
                Some(_) => None,
            };
        } else if fence == Some(true) {
            match text.strip_suffix('\\') {
                Some(start) => line.push_str(start),
                None => lines.push(std::mem::take(&mut line) + text),
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_from_shell_blocks_only() {
        let readme = "\
Run `cargo xtask nonsense`.
```sh
# cargo xtask comment
cargo xtask demo            # the main job
$ OPENAI_API_KEY=sk-… cargo xtask demo \\
    --url 'wss://example.com'
cargo xtask demo --fast && cargo xtask replay target/demo/session.jsonl
```
```rust
// cargo xtask code
```
```console
  cargo xtask ci
```
cargo xtask prose
";
        let commands: Vec<String> = shell_commands(readme).iter().map(|args| args.join(" ")).collect();
        let expected =
            ["demo", "demo --url wss://example.com", "demo --fast", "replay target/demo/session.jsonl", "ci"];
        assert_eq!(commands, expected);
    }

    #[test]
    fn a_command_that_does_not_exist_is_reported_with_its_line() {
        let check = |line: &str| check_command(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(check("ci").is_ok());
        assert!(check("ci fmt tidy").is_ok());
        assert!(check("--help").is_ok());
        let error = check("dance --fast").unwrap_err().to_string();
        assert!(error.starts_with("README.md says `cargo xtask dance --fast`: "), "{error}");
        assert!(error.contains("unrecognized subcommand"), "{error}");
    }
}
