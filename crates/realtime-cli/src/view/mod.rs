//! A call as a page: a session log becomes a [`Model`](model::Model), and one or two models become one HTML
//! file with everything inside, which loads nothing and runs from a disk.
//!
//! - `call` reads a log, a line at a time, with `sides` (who wrote it), `told` and `trouble` (call events),
//!   `wire` (a server's log) and `line` (audio in its forms);
//! - `input`, `output`, `talk`, `work`, `links` and `latency` each know one part of the call;
//! - `events` is the table of all lines, `peaks` and `tape` are the sound;
//! - `page` puts the models into the template: `page/view.html`, its style and its scripts.
//!
//! All of it but `file` is pure: text goes in, and text comes out. `tests/browser/view.mjs` opens the pages
//! in Chromium.

mod call;
mod escape;
pub(crate) mod events;
mod file;
mod input;
mod latency;
mod line;
mod links;
pub(crate) mod members;
pub(crate) mod model;
mod names;
mod output;
mod page;
mod peaks;
mod sides;
pub(crate) mod talk;
mod tape;
#[cfg(test)]
mod tests;
mod told;
pub(crate) mod trouble;
mod wire;
mod work;

use std::path::PathBuf;

use crate::{Error, progress};

pub(crate) use file::{Sight, make, read, write};

/// The logs, and what the page should hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A session log, or two that stand one above the other on one clock
    #[arg(value_name = "LOG", num_args = 1..=2, required = true)]
    logs: Vec<PathBuf>,
    /// The page to write; default: beside the first log, with the ending .html
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// What tokens cost, as JSON: {"input_text": 4.0, …}, for a million tokens of each kind
    #[arg(long, value_name = "FILE.json")]
    prices: Option<PathBuf>,
    /// The most sound that the page holds (MB). More than that becomes worse, or an outline only
    #[arg(long, value_name = "MB", default_value_t = file::AUDIO_MB)]
    audio: u32,
    /// Prints a JSON object: page (its path), bytes, and notes of what the logs lack
    #[arg(long)]
    json: bool,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  realtime view call.jsonl
      Writes call.html: open it in a browser.
  realtime view before.jsonl after.jsonl --out both.html
      Two calls, one above the other.";

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let out = args.out.clone().unwrap_or_else(|| args.logs[0].with_extension("html"));
    let prices = args.prices.as_deref().map(file::prices).transpose()?;
    let sight = Sight { prices, audio: args.audio };
    if args.json {
        progress::silence();
        say!("{}", serde_json::to_string(&make(&args.logs, &out, &sight)?)?);
        return Ok(());
    }
    write(&args.logs, &out, &sight)
}
