//! Feeds a log's inputs to fresh machines, and compares every output with the log's.

use std::path::Path;

use realtime_client::audio_path;
use realtime_protocol::log::{Difference, Header, LogContent, Replay, read_header, restore};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Error;
use crate::log_lines::{self, cannot_read};
use crate::replay::difference;

/// Replays a log, and says what came of it. The error is that of a log that can't be read to its end.
pub(super) fn run(log: &Path) -> Result<(Verdict, Result<(), Error>), Error> {
    let name = log.display();
    let (first, mut lines) = log_lines::open(log)?;
    let header = read_header(&first).map_err(|error| format!("{name}: {error}"))?;
    let aside = Aside::of(log, &header)?;
    let mut replay = Replay::new(&header);
    let mut cut = None;
    while let Some((number, line)) = lines.next().map_err(|error| cannot_read(log, &error))? {
        let line = restore(line, &aside.audio);
        aside.check(number, &line)?;
        if let Err(error) = replay.line(number, &line) {
            if lines.is_open() {
                cut = Some(number);
                break;
            }
            let inputs = replay.inputs();
            let difference = replay.finish();
            let until = match difference.filter(|difference| difference.line < number) {
                Some(difference) => format!("it differs before that, at line {}", difference.line),
                None => format!("{inputs} inputs until there gave the same outputs"),
            };
            return Err(format!("{name}: {error}; {until}").into());
        }
    }
    if let Some(number) = cut {
        say!("the log ends in the middle of line {number}: whoever wrote it was cut off");
    }
    Ok(verdict(log, &header, replay, cut))
}

/// What came of a replay, as JSON.
#[derive(Serialize)]
pub(super) struct Verdict {
    inputs: usize,
    outputs: usize,
    /// `None`: a log of an older version, whose outputs are not compared.
    identical: Option<bool>,
    /// Where a crash cut the log off.
    cut_at_line: Option<usize>,
    difference: Option<Value>,
    /// What was sent then and not now, and the other way round, by type: for a log of an older version.
    changed: Option<Value>,
}

fn verdict(
    log: &Path,
    header: &Header,
    mut replay: Replay,
    cut: Option<usize>,
) -> (Verdict, Result<(), Error>) {
    let (inputs, outputs) = (replay.inputs(), replay.outputs());
    let mut verdict =
        Verdict { inputs, outputs, identical: None, cut_at_line: cut, difference: None, changed: None };
    if let Some(changed) = replay.changed() {
        say!(
            "{inputs} inputs of a log of version {} ran; its outputs are told, not compared",
            header.version
        );
        let mut told = serde_json::Map::new();
        for (kind, changed) in changed {
            say!("  {kind}: {} sent then and not now, {} now and not then", changed.then, changed.now);
            told.insert(kind, json!({ "then": changed.then, "now": changed.now }));
        }
        verdict.changed = Some(told.into());
        return (verdict, Ok(()));
    }
    // A log that was cut off may lack outputs at its end.
    let end = inputs + outputs + 2;
    let is_cut_off = |found: &Difference| cut.is_some() && found.logged.is_none() && found.line == end;
    let difference = replay.finish().filter(|found| !is_cut_off(found));
    verdict.identical = Some(difference.is_none());
    if let Some(found) = difference {
        let (line, text) = (found.line, difference::describe(&found));
        say!("{text}");
        verdict.difference = Some(json!({ "line": line, "text": text }));
        return (verdict, Err(format!("{}: the replay differs at line {line}", log.display()).into()));
    }
    let until = if cut.is_some() { "identical until there" } else { "identical" };
    say!("{until}: {inputs} inputs gave the same {outputs} outputs");
    (verdict, Ok(()))
}

/// The audio in the file beside a log.
struct Aside {
    audio: Vec<u8>,
    name: String,
    is_used: bool,
}

impl Aside {
    fn of(log: &Path, header: &Header) -> Result<Self, Error> {
        let path = audio_path(log);
        let name = path.display().to_string();
        match header.content {
            LogContent::AudioAside => {
                let audio = std::fs::read(path).map_err(|error| format!("cannot read {name}: {error}"))?;
                Ok(Self { audio, name, is_used: true })
            }
            content if content.replays() => Ok(Self { audio: Vec::new(), name, is_used: false }),
            content => {
                let holds = serde_json::to_value(content)?;
                let holds = holds.as_str().unwrap_or_default().replace('_', " ");
                Err(format!(
                    "{}: not replayed: expected a log with all that was said, got one that holds {holds}; \
                     `--story`, `--events`, `--stats` and `--html` read it",
                    log.display()
                )
                .into())
            }
        }
    }

    /// Whether all audio of a line was there.
    fn check(&self, number: usize, restored: &str) -> Result<(), Error> {
        let is_left = ["\"audio\":\"aside:", "\"delta\":\"aside:"].iter().any(|left| restored.contains(left));
        if self.is_used && is_left {
            let bytes = self.audio.len();
            return Err(format!(
                "{}: expected the audio of line {number}, got {bytes} bytes that end before it: the file is cut \
                 short, or belongs to another log",
                self.name
            )
            .into());
        }
        Ok(())
    }
}
