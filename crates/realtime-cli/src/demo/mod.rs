//! `realtime demo`: a whole voice conversation, from a WAV file to a WAV file.
//!
//! The agent is a real pipeline and a real WebSocket; only the server is the emulator, unless `--url` names
//! another. With `--fast` the socket is in memory and time is virtual: the same conversation in a moment, and
//! the same log every time.

mod agent;
mod report;
mod timeline;

use std::path::PathBuf;

use realtime_protocol::log::LogContent;
use tokio::runtime::Builder;

use crate::Error;
use crate::dialect::DialectName;
use crate::profile::profile;
use crate::progress;

use report::{Report, Scene};

/// Options of the demo.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the user says: a WAV file of any rate, mono or stereo
    #[arg(long, value_name = "FILE.wav")]
    input: Option<PathBuf>,
    /// A server other than the built-in emulator; its key is read from OPENAI_API_KEY
    #[arg(long)]
    url: Option<String>,
    /// The dialect of that server; default GA
    #[arg(long, requires = "url", value_enum)]
    dialect: Option<DialectName>,
    /// The server that the built-in emulator imitates
    #[arg(long, default_value = "openai", value_parser = profile(), conflicts_with = "url")]
    profile: String,
    /// The model to ask for
    #[arg(long, default_value = "gpt-realtime")]
    model: String,
    /// The agent's voice
    #[arg(long)]
    voice: Option<String>,
    /// The agent's instructions
    #[arg(long)]
    instructions: Option<String>,
    /// Where the recording, the transcript and the session log go; created if it is missing
    #[arg(long, value_name = "FOLDER", default_value = "realtime-demo", overrides_with = "out")]
    out: PathBuf,
    /// Runs in virtual time over an in-memory stream: seconds instead of half a minute
    #[arg(long, conflicts_with = "url")]
    fast: bool,
    /// Makes the last line of standard output a JSON object
    #[arg(long)]
    json: bool,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  realtime demo
      A conversation of half a minute with the emulator inside. No key, no network.
  realtime demo --fast --out demo
      The same in a moment, and the same log every time.
  OPENAI_API_KEY=sk-… realtime demo --input me.wav --url wss://api.openai.com/v1/realtime
      What you say, with a real model.

With --json the last line is an object: turns, interruptions, tool_calls, heard_ms, latencies_ms, and files
with audio, transcript and log.

Variables:
  OPENAI_API_KEY           the key of the model";

/// A session log to write.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) path: PathBuf,
    pub(crate) content: LogContent,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    hold(args, None)
}

/// Holds the conversation. Its log goes to `log`, or beside the other files.
pub(crate) fn hold(args: &Args, log: Option<Recording>) -> Result<(), Error> {
    if args.json {
        progress::silence();
    }
    let folder = &args.out;
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let log =
        log.unwrap_or_else(|| Recording { path: folder.join("session.jsonl"), content: LogContent::Full });
    let runtime = if args.fast {
        Builder::new_current_thread().enable_time().start_paused(true).build()
    } else {
        Builder::new_current_thread().enable_all().build()
    }?;
    let report = runtime.block_on(agent::converse(args, folder, log))?;
    let scene = if args.url.is_none() && args.input.is_none() { Scene::Known } else { Scene::Unknown };
    finish(&report, scene, args.json)
}

fn finish(report: &Report, scene: Scene, json: bool) -> Result<(), Error> {
    say!("\n{report}");
    let missing = report.missing();
    match scene {
        Scene::Known if !missing.is_empty() => {
            return Err(format!("the conversation is not what it should be: {}", missing.join("; ")).into());
        }
        Scene::Known => {}
        Scene::Unknown => missing.iter().for_each(|what| say!("note: {what}")),
    }
    if json {
        say!("{}", serde_json::to_string(report)?);
    }
    Ok(())
}
