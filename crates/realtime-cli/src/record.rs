//! `realtime record`: holds the demo's conversation and writes its session log, with the chosen content.

use std::path::PathBuf;

use realtime_client::audio_path;
use realtime_protocol::log::LogContent;

use crate::Error;
use crate::demo::{self, Recording};

/// Where the log goes, how much it holds, and the conversation.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// The session log to write
    #[arg(value_name = "LOG.jsonl")]
    log: PathBuf,
    /// How much of the conversation it holds
    #[arg(long, value_enum, default_value = "full")]
    content: Content,
    #[command(flatten)]
    conversation: demo::Args,
}

/// How much of a conversation its log holds.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Content {
    /// Everything, audio within its lines
    Full,
    /// Everything, audio in a file beside it
    AudioAside,
    /// Everything but audio, which is replaced by sizes and digests
    AudioDigest,
    /// What happened and when, but nothing that was said
    Metadata,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let content = match args.content {
        Content::Full => LogContent::Full,
        Content::AudioAside => LogContent::AudioAside,
        Content::AudioDigest => LogContent::AudioDigest,
        Content::Metadata => LogContent::Metadata,
    };
    demo::hold(&args.conversation, Some(Recording { path: args.log.clone(), content }))?;
    if content == LogContent::AudioAside {
        say!("its audio   {}", audio_path(&args.log).display());
    }
    Ok(())
}
