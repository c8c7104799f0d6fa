//! `realtime completions SHELL`: what a shell needs to complete commands, options and files.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{Cli, Error, say};

/// Which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell that reads it
    shell: Shell,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  realtime completions bash > ~/.local/share/bash-completion/completions/realtime
      For all shells that begin from now on. The package bash-completion reads this folder.
  realtime completions zsh > ~/.zfunc/_realtime
      With `fpath+=~/.zfunc` before `compinit` in ~/.zshrc.
  realtime completions fish > ~/.config/fish/completions/realtime.fish";

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    say(script(args.shell)?.trim_end());
    Ok(())
}

/// What this shell reads.
fn script(shell: Shell) -> Result<String, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "realtime", &mut script);
    Ok(String::from_utf8(script)?)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_is_told_the_commands_and_their_options() {
        for shell in Shell::value_variants() {
            let script = script(*shell).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: no {}", command.get_name());
                for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                    assert!(script.contains(option), "{shell}: no --{option} of {}", command.get_name());
                }
            }
        }
    }
}
