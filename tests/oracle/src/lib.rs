//! The oracle: runs scenarios through the pipeline's service, the conversation and the tools as they are
//! shipped, step by step in virtual time, and compares what they did with traces of what another
//! implementation did on them.
//!
//! `cargo xtask oracle DIR` prints it; [`run`] does it.

mod compare;
mod driver;
mod facts;
mod floor;
mod rules;
mod scenario;
mod sha256;
#[cfg(test)]
mod stress;
mod trace;
mod turns;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::compare::first_difference;
use crate::rules::{Pair, RULES};
use crate::scenario::Scenario;
use crate::trace::Trace;

/// Why a scenario can't be run: the text says what was wrong.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The channels that are compared if nobody chooses others.
pub const CHANNELS: &[&str] =
    &["client", "client_lost", "call", "conn", "expect", "function", "handler", "down", "up", "final"];

/// Which scenarios are run, and which parts of their traces are compared.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder that holds `scenarios` and `traces`, files of JSON lines with the same names.
    pub dir: PathBuf,
    /// Only scenarios whose names match one of these: `*` stands for any text. Empty: all.
    pub patterns: Vec<String>,
    /// The channels of the traces that are compared.
    pub channels: Vec<String>,
}

/// The result of a scenario.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a comparison has no other result")]
pub enum Verdict {
    /// Nothing differs.
    Same,
    /// These rules explain all differences.
    ByDesign(Vec<&'static str>),
    /// The first difference that no rule explains, or what is wrong with the scenario.
    Differs(String),
}

/// The rules by which traces may differ: each name, and its reason.
pub fn rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|rule| (rule.name, rule.reason))
}

/// Runs the scenarios, by name, and gives each result to `tell`.
///
/// # Errors
/// [`Error`] if the folder can't be read. A scenario that can't be run is a result.
pub fn run(options: &Options, mut tell: impl FnMut(&str, Verdict)) -> Result<(), Error> {
    for path in scenarios(&options.dir)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let patterns = &options.patterns;
        if !patterns.is_empty() && !patterns.iter().any(|pattern| matches(pattern, &name)) {
            continue;
        }
        let trace = options.dir.join("traces").join(path.file_name().unwrap_or_default());
        let verdict = judge(&path, &trace, &options.channels)
            .unwrap_or_else(|error| Verdict::Differs(format!("error: {error}")));
        tell(&name, verdict);
    }
    Ok(())
}

fn judge(scenario: &Path, trace: &Path, channels: &[String]) -> Result<Verdict, Error> {
    let scenario = Scenario::read(&read(scenario)?)?;
    let seed = Trace::read(&read(trace)?).map_err(|error| format!("the trace: {error}"))?;
    let ours = driver::run(&scenario)?;
    if first_difference(&seed, &ours, channels).is_none() {
        return Ok(Verdict::Same);
    }
    let mut pair = Pair::new(&scenario, seed, ours);
    let names = pair.apply();
    Ok(match first_difference(&pair.seed, &pair.ours, channels) {
        None => Verdict::ByDesign(names),
        Some(difference) => Verdict::Differs(difference),
    })
}

fn read(path: &Path) -> Result<String, Error> {
    Ok(fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?)
}

/// The scenarios of a folder, by name.
fn scenarios(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let dir = dir.join("scenarios");
    let entries = fs::read_dir(&dir).map_err(|error| format!("cannot read {}: {error}", dir.display()))?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    Ok(paths)
}

/// Returns whether a name matches a pattern, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices()
                .map(|(index, _)| index)
                .chain([name.len()])
                .any(|index| matches(rest, &name[index..]))
        }),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("same"),
            Self::ByDesign(rules) => write!(f, "by design ({})", rules.join(", ")),
            Self::Differs(difference) => write!(f, "differs: {difference}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(
            matches("vad_*", "vad_turn") && matches("*_turn", "vad_turn") && matches("v*d*n", "vad_turn")
        );
        assert!(
            matches("vad_turn", "vad_turn") && !matches("vad", "vad_turn") && !matches("vad_*x", "vad_turn")
        );
    }

    /// A rule explains what was done, and would not explain anything else: whatever event is left out, sent
    /// twice or sent with another value makes a difference.
    #[test]
    fn no_rule_hides_an_event_that_is_missing_doubled_or_altered() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let dir = std::env::var_os("ORACLE_DIR").map_or(fixtures, PathBuf::from);
        let channels: Vec<String> = CHANNELS.iter().map(|channel| (*channel).to_owned()).collect();
        let mut unseen = Vec::new();
        for path in scenarios(&dir).unwrap() {
            let scenario = Scenario::read(&read(&path).unwrap()).unwrap();
            let seed = read(&dir.join("traces").join(path.file_name().unwrap())).unwrap();
            let seed = Trace::read(&seed).unwrap();
            let ours = driver::run(&scenario).unwrap();
            let differs = |ours: Trace| {
                let mut pair = Pair::new(&scenario, seed.clone(), ours);
                pair.apply();
                first_difference(&pair.seed, &pair.ours, &channels).is_some()
            };
            let records = ours.records.iter().enumerate();
            for (index, record) in records.filter(|(_, record)| channels.contains(&record.channel)) {
                let mut spoiled = [ours.clone(), ours.clone(), ours.clone()];
                spoiled[0].records.remove(index);
                spoiled[1].records.insert(index, record.clone());
                alter(&mut spoiled[2].records[index].members);
                for (spoiled, how) in spoiled.into_iter().zip(["missing", "doubled", "altered"]) {
                    if !differs(spoiled) {
                        unseen.push(format!(
                            "{}: step {} {} {how}",
                            path.display(),
                            record.step,
                            record.name()
                        ));
                    }
                }
            }
        }
        assert!(unseen.is_empty(), "{}", unseen.join("\n"));
    }

    /// Changes one value of a record: another time, item, setting, word or caller.
    fn alter(members: &mut Map<String, Value>) {
        if let Some(event) = members.get_mut("event").and_then(Value::as_object_mut) {
            if let Some(millis) = event.get("audio_end_ms").and_then(Value::as_u64) {
                event.insert("audio_end_ms".into(), (millis + 20).into());
            } else if let Some(session) = event.get_mut("session").and_then(Value::as_object_mut) {
                session.insert("voice".into(), "another".into());
            } else {
                event.insert("item_id".into(), "another".into());
            }
            return;
        }
        // Anything that it says, in turn.
        let names = [
            "text",
            "audio",
            "metrics",
            "result",
            "arguments",
            "call_ids",
            "item",
            "code",
            "phase",
            "contexts",
        ];
        let name = names.into_iter().find(|name| members.contains_key(*name));
        match name {
            Some("contexts") => {
                if let Some(Value::Object(contexts)) = members.get_mut("contexts") {
                    let said = contexts.values_mut().next().and_then(|context| context.get_mut("messages"));
                    if let Some(Value::Array(messages)) = said {
                        messages.push(serde_json::json!({ "role": "user", "content": "another" }));
                        return;
                    }
                }
                members.insert("connections".into(), 99.into());
            }
            Some(name) => drop(members.insert(name.into(), "another".into())),
            None if members.contains_key("call") => drop(members.insert("call".into(), "another".into())),
            None if members.contains_key("frame") => drop(members.insert("frame".into(), "Another".into())),
            None => drop(members.insert("another".into(), true.into())),
        }
    }
}
