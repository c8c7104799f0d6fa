//! `realtime check`: what an agent's file says.

use std::path::PathBuf;

use tokio::runtime::Builder;

use crate::agent::LoadedAgent;
use crate::environment::Environment;
use crate::{Error, say};

/// Which file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The agent's file: TOML or JSON. Its MCP servers are started
    file: PathBuf,
    /// Prints a JSON object: name, greets, voice, model, tools, hands_to. What the service decides is null
    #[arg(long)]
    json: bool,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  realtime check hotel.toml
      The agent's voice, tools, limits and others to hand over to; or which line is wrong.
  realtime check hotel.toml --json
      The same for a script.";

pub(crate) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let agent = LoadedAgent::load(Some(&args.file), environment).await?;
        match args.json {
            true => say(agent.summary()),
            false => agent.description().into_iter().for_each(say),
        }
        Ok(())
    })
}
