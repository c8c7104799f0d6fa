//! The seeds of fuzzing: meaningful events, session logs and plans, so that little time goes into discovering
//! JSON.
//!
//! ```sh
//! cargo run -p realtime-tests --example fuzz_seeds -- target/fuzz-corpus round_trip session
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use realtime_protocol::log::Header;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::time::UnixTime;
use realtime_tests::golden::Golden;
use realtime_tests::steered::Plan;
use serde_json::Value;

type Error = Box<dyn std::error::Error>;

/// Targets whose inputs are whole logs, those whose inputs are the bytes of a plan, and those whose inputs
/// are the messages of a carrier; those of all others are events.
const OF_LOGS: &[&str] = &["log_reader", "replay"];
const OF_PLANS: &[&str] = &["session", "call"];
const OF_CARRIERS: &[&str] = &["carrier"];

/// The carriers, in the order of `CarrierKind::ALL`.
const CARRIERS: &[&str] =
    &["twilio", "telnyx", "plivo", "exotel", "vonage", "genesys", "jambonz", "signalwire"];

/// The longest line of a log that is worth a seed (bytes): audio teaches nothing.
const LONGEST_LINE: usize = 2_000;

/// A carrier's message with hardly any audio, in place of one with much.
const SHORT_MEDIA: &str = r#"{"event":"media","media":{"payload":"AAAA"}}"#;

/// Lines of a log in one seed.
const LINES: usize = 80;

/// Writes the seeds of the given targets below the given folder.
fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let corpus = arguments.next().ok_or("expected a folder, and the names of fuzz targets")?;
    write(Path::new(&corpus), &arguments.collect::<Vec<_>>())
}

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Writes the seeds of each target to `corpus/<target>`. What is there already stays.
fn write(corpus: &Path, targets: &[String]) -> Result<(), Error> {
    let root = workspace_root();
    let golden = files(&root.join("tests/golden"))?;
    let mut events = Vec::new();
    for path in files(&root.join("crates/realtime-protocol/tests/fixtures"))? {
        events.extend(fs::read_to_string(path)?.lines().map(str::to_owned));
    }
    let mut logs = Vec::new();
    let mut plans = Vec::new();
    for path in golden {
        let text = fs::read_to_string(&path)?;
        plans.push(Plan::of(&Golden::parse(&path.display().to_string(), &quiet(&text)?)).write());
        events.extend(text.lines().filter_map(event));
        logs.push(log_of(&text)?);
    }
    for path in files(&root.join("tests/logs"))? {
        let text = fs::read_to_string(path)?;
        let lines = text.lines().filter(|line| line.len() <= LONGEST_LINE).take(LINES);
        logs.push(lines.collect::<Vec<_>>().join("\n"));
    }
    let calls = CARRIERS.iter().enumerate().map(|(index, carrier)| call_of(&root, index, carrier));
    let calls = calls.collect::<Result<Vec<_>, Error>>()?;
    for target in targets {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        let texts = if OF_LOGS.contains(&target.as_str()) { &logs } else { &events };
        let seeds: Vec<&[u8]> = if OF_PLANS.contains(&target.as_str()) {
            plans.iter().map(Vec::as_slice).collect()
        } else if OF_CARRIERS.contains(&target.as_str()) {
            calls.iter().map(String::as_bytes).collect()
        } else {
            texts.iter().map(String::as_bytes).collect()
        };
        for (index, seed) in seeds.into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{index:04}")), seed)?;
        }
    }
    Ok(())
}

/// The JSON Lines files of a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// A call of a carrier: its messages in order, with commands between them.
fn call_of(root: &Path, index: usize, carrier: &str) -> Result<String, Error> {
    let folder = root.join("crates/realtime-telephony/tests/fixtures").join(carrier).join("in");
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(|error| format!("{}: {error}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.sort();
    let mut call = index.to_string();
    for path in paths {
        let message: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        let is_binary = message.get("$binary_base64").is_some();
        let message = if is_binary { "=1234".to_owned() } else { message.to_string() };
        let is_long = message.len() > LONGEST_LINE;
        call.push_str(if is_long { SHORT_MEDIA } else { &message });
        call.push_str("\n!0@\n!1\n!2\n");
    }
    Ok(call)
}

/// The event on a line of a golden session.
fn event(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    Some(sounding(line.get("event")?.clone()).to_string())
}

/// A golden session as a log: a header that says its options, then its inputs.
fn log_of(golden: &str) -> Result<String, Error> {
    let mut lines = golden.lines();
    let first: Value = serde_json::from_str(lines.next().unwrap_or_default())?;
    let options: SessionOptions = match first.get("options") {
        Some(options) => serde_json::from_value(options.clone())?,
        None => SessionOptions::default(),
    };
    let header = Header::new(options, "seed", UnixTime::from_secs(1_790_000_000));
    let mut log = serde_json::to_string(&header)?;
    for line in lines {
        log.push('\n');
        log.push_str(&sounding(serde_json::from_str(line)?).to_string());
    }
    Ok(log)
}

/// A golden session with hardly any audio.
fn quiet(golden: &str) -> Result<String, Error> {
    let lines = golden.lines().map(|line| Ok(sounding(serde_json::from_str(line)?).to_string()));
    Ok(lines.collect::<Result<Vec<_>, Error>>()?.join("\n"))
}

/// JSON with two samples in place of the silence that a golden session asks for.
fn sounding(value: Value) -> Value {
    match value {
        Value::Object(members) if members.contains_key("$audio") => "AAAAAA==".into(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, sounding(value))).collect::<Value>()
        }
        Value::Array(values) => values.into_iter().map(sounding).collect(),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use realtime_protocol::log::{Entry, read_header};

    use super::*;

    #[test]
    fn each_carrier_makes_a_call() {
        for (index, carrier) in CARRIERS.iter().enumerate() {
            let call = call_of(&workspace_root(), index, carrier).unwrap();
            assert!(call.lines().count() > 12, "{carrier}");
            assert!(call.lines().all(|line| line.len() <= LONGEST_LINE + 1), "{carrier}");
        }
    }

    #[test]
    fn a_golden_session_makes_events_a_plan_and_a_log_that_can_be_read() {
        for path in files(&workspace_root().join("tests/golden")).unwrap() {
            let golden = fs::read_to_string(&path).unwrap();
            assert!(golden.lines().filter_map(event).count() > 3, "{}", path.display());
            let plan = Plan::of(&Golden::parse("golden", &quiet(&golden).unwrap()));
            assert_eq!(Plan::read(&plan.write()), plan);
            let log = log_of(&golden).unwrap();
            read_header(log.lines().next().unwrap()).unwrap();
            for (index, line) in log.lines().enumerate().skip(1) {
                Entry::read(index + 1, line).unwrap();
            }
        }
    }
}
