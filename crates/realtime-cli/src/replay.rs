//! `realtime replay LOG`: tells a session log's conversation, feeds its inputs to fresh machines, and
//! compares every output. With `--story`, `--events`, `--stats` or `--html` it only reads, which needs no
//! more than the log holds. The logs of a call's owners, one after the other, are told and checked as one.

mod compare;
mod difference;
mod listing;
mod owners;
mod stats;

use std::path::PathBuf;
use std::time::Duration;

use realtime_protocol::time::Timestamp;
use serde::Serialize;

use crate::replay::compare::Verdict;
use crate::replay::stats::Stats;
use crate::view::{self, Sight};
use crate::{Error, one_line, progress, story};

/// The logs, and what to show of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A session log, such as target/demo/session.jsonl; of a call that moved between processes, the log of
    /// each, the first one first
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Tells the conversation and replays nothing: also for logs without words or sound
    #[arg(long)]
    story: bool,
    /// Lists the log's lines with their sizes, and replays nothing
    #[arg(long)]
    events: bool,
    /// Prints waits, tokens and losses, and replays nothing
    #[arg(long)]
    stats: bool,
    /// Writes the call as a page, as `view` does, and replays nothing
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Shows only what happens from this time on: seconds, or `1:02.5`
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Shows only what happens up to this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Makes the last line of standard output a JSON object: what came of the replay, or numbers (--stats)
    #[arg(long, conflicts_with_all = ["story", "events", "html"])]
    json: bool,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  realtime replay call.jsonl
      Tells the conversation, and checks that the machines of today do the same again.
  realtime replay call.jsonl --story --from 1:02 --to 1:30
      What happened in half a minute of it, for logs of any content.
  realtime replay call.jsonl --stats --json
      Waits, tokens and losses, for a script.
  realtime replay first.jsonl second.jsonl
      A call whose first process was lost or let go of it: one story, and each log is checked.

With --json the last line is an object; of several logs, a list of one for each. Without --stats it has
inputs, outputs, identical (true or false; null for a log of an older version), cut_at_line (where a crash cut
the log off, or null), difference (line and text, or null) and changed (what an older version sent otherwise,
by type, or null); of a log that can't be replayed to its end, error.";

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if args.json {
        progress::silence();
    }
    let models = owners::read(&args.logs)?;
    let reads_only = args.story || args.events || args.stats || args.html.is_some();
    let shown = |at: Timestamp| args.from.is_none_or(|from| at >= from) && args.to.is_none_or(|to| at <= to);
    if args.story || !reads_only {
        for owner in &models {
            match owner.goes_on_at {
                None => say!("{:>10}  {}", "time", owner.model.model),
                Some(at) => say!(
                    "{:>10}  another process goes on with the call: {}",
                    story::time(at),
                    owner.model.name
                ),
            }
            for (at, moment) in story::told_by(&owner.model) {
                let at = at + owner.later();
                if shown(at) {
                    story::print(at, &moment);
                }
            }
        }
    }
    let mut stats = Vec::new();
    for owner in &models {
        if args.events {
            listing::print(&owner.model, owner.later(), shown);
        }
        if args.stats {
            let of_it = Stats::of(&owner.model);
            if !args.json {
                say!("{of_it}");
            }
            stats.push(of_it);
        }
    }
    if args.stats && args.json {
        last_line(&stats)?;
    }
    if let Some(out) = &args.html {
        view::write(&args.logs, out, &Sight::default())?;
    } else if reads_only && !args.json {
        let notes = models.iter().flat_map(|owner| &owner.model.notes);
        notes.for_each(|note| say!("note: {}", note.text));
    }
    if reads_only {
        return Ok(());
    }
    let (mut replayed, mut errors) = (Vec::new(), Vec::new());
    for log in &args.logs {
        if args.logs.len() > 1 {
            say!("{}:", log.display());
        }
        let (of_it, ended) = match compare::run(log) {
            Ok((verdict, ended)) => (Replayed::To(verdict), ended),
            Err(error) => (Replayed::Not { error: one_line(&*error) }, Err(error)),
        };
        replayed.push(of_it);
        errors.extend(ended.err().map(|error| one_line(&*error)));
    }
    if args.json {
        last_line(&replayed)?;
    }
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ").into()) }
}

/// What came of one log.
#[derive(Serialize)]
#[serde(untagged)]
enum Replayed {
    To(Verdict),
    /// It can't be replayed to its end.
    Not {
        error: String,
    },
}

/// What a script reads: an object, or of several logs a list.
fn last_line<T: Serialize>(of_logs: &[T]) -> Result<(), Error> {
    match of_logs {
        [one] => say!("{}", serde_json::to_string(one)?),
        all => say!("{}", serde_json::to_string(all)?),
    }
    Ok(())
}

/// A time of the call: seconds, or minutes and seconds, or with hours.
fn time(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("expected seconds, or a time such as 1:02.5, got {text}");
    let seconds = text.split(':').try_fold(0.0, |sum, part| {
        let part: f64 = part.parse().ok()?;
        (part >= 0.0).then_some(sum * 60.0 + part)
    });
    let time = Duration::try_from_secs_f64(seconds.ok_or_else(wrong)?).map_err(|_| wrong())?;
    Ok(Timestamp::from_micros(u64::try_from(time.as_micros()).map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_or_has_minutes_and_hours() {
        for (text, micros) in
            [("0", 0), ("12.5", 12_500_000), ("1:02.5", 62_500_000), ("1:00:00", 3_600_000_000)]
        {
            assert_eq!(time(text), Ok(Timestamp::from_micros(micros)), "{text}");
        }
        for text in ["", "x", "-1", "1:-2", "NaN", "1e99", "inf"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
