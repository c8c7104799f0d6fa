//! `realtime conformance PATH…`: reads what a server or client really sends, writes it again, and reports
//! the differences. So it shows whether another server speaks the protocol, and whether this workspace reads
//! all of it. With `--schema FILE` each event is also compared with a published schema; `null` may stand for
//! any optional member.
//!
//! A path is a JSON file, a session log or any JSON Lines of events, or a folder of these. Each event of a
//! log counts as one file.

mod document;
mod schema;

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use realtime_protocol::event::Dialect;
use serde::Serialize;

use crate::Error;
use crate::colour::bad;
use crate::conformance::document::{Document, Finding, Spelling};
use crate::conformance::schema::Schemas;
use crate::dialect::DialectName;

/// What to check, and what is known of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// JSON files, session logs, JSON Lines of events, or folders of these
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The spelling; default: by a folder's name (`ga`, `beta`) or a log's header and connections, else GA
    #[arg(long)]
    dialect: Option<DialectName>,
    /// Who sent the events; default: by a folder's name (`client`, `server`) or the event's type
    #[arg(long)]
    from: Option<Side>,
    /// Also compares events with this schema: OpenAPI 3 or JSON Schema, in JSON; can be given several times
    #[arg(long, value_name = "FILE")]
    schema: Vec<PathBuf>,
    /// Refuses members that the schema does not name
    #[arg(long, requires = "schema")]
    closed: bool,
    /// Prints a JSON object in place of lines
    #[arg(long)]
    json: bool,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Examples:
  realtime conformance call.jsonl
      Whether all that was sent in a call is understood, and written as it came.
  realtime conformance events --from server --schema openapi.json --closed
      The same for a folder of events, which are also compared with a published schema.

With --json there is one object: documents, files, typed, lossless, failed, and findings. A finding has place,
kind (unknown, malformed, wrong shape, changed, invalid) and what.";

/// Who sent an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Side {
    Client,
    Server,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let mut files = Vec::new();
    for path in &args.paths {
        collect(path, &mut files)?;
    }
    let schemas = Schemas::read(&args.schema, args.closed)?;
    let mut total = Total { files: files.len(), ..Total::default() };
    for path in &files {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let known = Known::of(path, args);
        for (name, document) in documents(path, &text, known, &schemas) {
            for finding in total.add(&name, &document) {
                match args.json {
                    true => total.findings.push(finding),
                    false => say!("{}: {}: {}", finding.place, bad(finding.kind), finding.what),
                }
            }
        }
    }
    match args.json {
        true => say!("{}", serde_json::to_string(&total)?),
        false => say!("{total}"),
    }
    if total.failed > 0 {
        Err(format!("{} of {} documents failed", total.failed, total.documents).into())
    } else {
        Ok(())
    }
}

/// What is known of a document before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) dialect: Option<Dialect>,
    pub(crate) from: Option<Side>,
    /// Whether it lies in a directory of HTTP bodies.
    pub(crate) is_body: bool,
}

impl Known {
    fn of(path: &Path, args: &Args) -> Self {
        let mut known = Self { dialect: args.dialect.map(Dialect::from), from: args.from, is_body: false };
        // The innermost directory says it best.
        for part in path.components().rev().skip(1) {
            let part = part.as_os_str();
            if part == "ga" {
                known.dialect.get_or_insert(Dialect::Ga);
            } else if part == "beta" {
                known.dialect.get_or_insert(Dialect::Beta);
            } else if part == "client" {
                known.from.get_or_insert(Side::Client);
            } else if part == "server" {
                known.from.get_or_insert(Side::Server);
            } else if part == "http" {
                known.is_body = args.from.is_none();
            }
        }
        known
    }
}

/// All files with a name that ends in `.json` or `.jsonl`, in order; a file that is named itself may have any
/// name.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let unreadable = |error| format!("cannot read {}: {error}", path.display());
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    entries.sort();
    for entry in entries {
        let is_json = entry.extension().is_some_and(|ending| ending == "json" || ending == "jsonl");
        if entry.is_dir() || is_json {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

/// A file's documents with their names: one, or one for each line that holds an event.
fn documents(path: &Path, text: &str, known: Known, schemas: &Schemas) -> Vec<(String, Document)> {
    let name = path.display().to_string();
    let is_lines = path.extension().is_some_and(|ending| ending == "jsonl")
        || (serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() && text.trim().contains('\n'));
    if !is_lines {
        return vec![(name, Document::read(text, known, schemas))];
    }
    let mut spelling = Spelling::default();
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        for document in Document::read_line(line, known, &mut spelling, schemas) {
            found.push((format!("{name}:{}", index + 1), document));
        }
    }
    found
}

#[derive(Debug, Default, Serialize)]
struct Total {
    /// Events, and bodies of HTTP calls.
    documents: usize,
    files: usize,
    typed: usize,
    lossless: usize,
    failed: usize,
    /// For JSON alone: lines are printed as they come.
    findings: Vec<Told>,
}

/// A finding, and where.
#[derive(Debug, Serialize)]
struct Told {
    place: String,
    kind: &'static str,
    what: String,
}

impl Total {
    /// Counts a document, and gives what is wrong with it.
    fn add(&mut self, name: &str, document: &Document) -> Vec<Told> {
        self.documents += 1;
        self.typed += usize::from(document.is_typed());
        self.lossless += usize::from(document.is_lossless());
        self.failed += usize::from(!document.findings.is_empty());
        let told = document.findings.iter().map(Finding::told);
        told.map(|(kind, what)| Told { place: name.to_owned(), kind, what }).collect()
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { documents, files, typed, lossless, failed, .. } = self;
        write!(
            f,
            "{documents} documents in {files} files, {typed} typed, {lossless} lossless, {failed} failed"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Known = Known { dialect: None, from: None, is_body: false };

    fn lines(text: &str) -> Vec<String> {
        documents(Path::new("x.jsonl"), text, NOTHING, &Schemas::default())
            .into_iter()
            .map(|(name, document)| format!("{name} {:?}", document.findings))
            .collect()
    }

    #[test]
    fn each_event_of_a_log_is_checked_in_the_logs_dialect() {
        let log = concat!(
            r#"{"format":"realtime-session-log","version":1,"options":{"dialect":"beta"}}"#,
            "\n",
            r#"{"at_us":0,"conn":0,"from":"server","connected":{"wall_us":1}}"#,
            "\n",
            r#"{"at_us":1,"conn":0,"from":"server","event":{"type":"session.created","session":{"voice":7}}}"#,
            "\n",
            r#"{"at_us":1,"conn":0,"from":"client","event":{"type":"session.update","session":{"modalities":["text"]}}}"#,
            "\n",
            r#"{"at_us":2,"conn":0,"from":"server","text":"{\"type\":"}"#,
            "\n",
            r#"{"at_us":3,"from":"session","event":{"stop_playback":null}}"#,
            "\n",
            r#"{"at_us":4,"from":"app","id":1,"command":{"create_response":{}}}"#,
        );
        let found = lines(log);
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[0].starts_with(r#"x.jsonl:3 [Mismatch("session.audio.output.voice: "#), "{found:#?}");
        assert_eq!(found[1], "x.jsonl:4 []");
        assert!(found[2].starts_with("x.jsonl:5 [Malformed("), "{found:#?}");
    }

    #[test]
    fn bare_events_are_told_apart_by_their_type() {
        let found =
            lines("{\"type\":\"response.cancel\"}\n{\"type\":\"response.created\"}\n{\"type\":\"ping\"}\n");
        assert_eq!(found[0], "x.jsonl:1 []");
        assert!(found[1].contains("Malformed"), "{found:?}");
        assert_eq!(found[2], "x.jsonl:3 [Unknown(\"ping\")]");
    }

    #[test]
    fn the_path_says_what_is_in_a_file() {
        let args = Args {
            paths: Vec::new(),
            dialect: None,
            from: None,
            schema: Vec::new(),
            closed: false,
            json: false,
        };
        let known = Known::of(Path::new("ga/orphans/beta/client/session.update.json"), &args);
        assert_eq!((known.dialect, known.from), (Some(Dialect::Beta), Some(Side::Client)));
        let known = Known::of(Path::new("ga/http/calls.json"), &args);
        assert_eq!((known.dialect, known.is_body), (Some(Dialect::Ga), true));
    }
}
