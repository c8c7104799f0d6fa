//! `realtime record`: holds the demo's conversation and writes its session log, with the chosen content.

use std::path::PathBuf;

use realtime_client::audio_path;
use realtime_protocol::log::LogContent;

use crate::Error;
use crate::demo::{self, Recording};
use crate::recorded_content::RecordedContent;

/// Where the log goes, how much it holds, and the conversation.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// The session log to write
    #[arg(value_name = "LOG.jsonl")]
    log: PathBuf,
    /// How much of the conversation it holds
    #[arg(long, value_enum, default_value = "full")]
    content: RecordedContent,
    #[command(flatten)]
    conversation: demo::Args,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  realtime record call.jsonl --fast
      All of the conversation, in virtual time.
  realtime record call.jsonl --content metadata
      What happens and when, and nothing of what is said.";

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let content = LogContent::from(args.content);
    demo::hold(&args.conversation, Some(Recording { path: args.log.clone(), content }))?;
    if content == LogContent::AudioAside {
        say!("its audio   {}", audio_path(&args.log).display());
    }
    Ok(())
}
