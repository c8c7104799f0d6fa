//! `cargo xtask replay LOG`: feeds a session log to fresh machines, compares every output, and prints the
//! conversation.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use realtime_client::audio_path;
use realtime_protocol::call::Output;
use realtime_protocol::log::{LogContent, LogError, Replay, read_header, restore};

use crate::Error;
use crate::story::Story;

/// The log.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A session log, such as target/demo/session.jsonl
    log: PathBuf,
}

/// The longest difference that is shown (bytes per line of it).
const SHOWN: usize = 600;

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let name = args.log.display();
    let file = File::open(&args.log).map_err(|error| format!("cannot read {name}: {error}"))?;
    let mut lines = BufReader::new(file).lines().enumerate();
    let damaged = |error: LogError| format!("{name}: {error}");
    let (_, first) =
        lines.next().ok_or_else(|| format!("{name}: expected a session log, got an empty file"))?;
    let header = read_header(&first.map_err(|error| format!("{name}: {error}"))?).map_err(damaged)?;
    let aside = match header.content {
        LogContent::AudioAside => {
            let path = audio_path(&args.log);
            std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?
        }
        content if content.replays() => Vec::new(),
        _ => {
            return Err(format!(
                "{name}: expected a log with all that was said, got one without: record another"
            )
            .into());
        }
    };
    let mut replay = Replay::new(&header);
    let mut story = Story::default();
    say!("{:>9}  {}", "time", header.model);
    for (index, line) in lines {
        let number = index + 1;
        let line = line.map_err(|error| format!("{name}: line {number}: {error}"))?;
        let outputs = replay.line(number, &restore(&line, &aside)).map_err(damaged)?;
        for output in outputs {
            if let Output::Event(event) = output {
                for moment in story.moments(&event) {
                    say!("{:>9}  {moment}", replay.now().to_string());
                }
            }
        }
    }
    let (inputs, outputs) = (replay.inputs(), replay.outputs());
    if let Some(changed) = replay.changed() {
        say!(
            "{inputs} inputs of a log of version {} ran; its outputs are told, not compared",
            header.version
        );
        for (kind, changed) in changed {
            say!("  {kind}: {} sent then and not now, {} now and not then", changed.then, changed.now);
        }
        return Ok(());
    }
    if let Some(mut difference) = replay.finish() {
        for line in [&mut difference.logged, &mut difference.replayed].into_iter().flatten() {
            shorten(line);
        }
        say!("{difference}");
        return Err(format!("{name}: the replay differs at line {}", difference.line).into());
    }
    say!("identical: {inputs} inputs gave the same {outputs} outputs");
    Ok(())
}

fn shorten(line: &mut String) {
    if line.len() > SHOWN {
        let end = line.char_indices().map(|(index, _)| index).take_while(|index| *index <= SHOWN).last();
        line.truncate(end.unwrap_or(0));
        line.push_str(" …");
    }
}
