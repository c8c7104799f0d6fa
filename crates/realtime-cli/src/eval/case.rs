//! Scenarios are found and read: [`load`] gives a [`Case`] for each.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use realtime_pipeline::testing::Speaker;
use serde_saphyr::{Location, Spanned};

use crate::Error;
use crate::eval::scenario::{Expectation, Interrupt, Scenario, Step, Time, When};

/// The longest file (bytes).
const LONGEST: u64 = 4 * 1024 * 1024;
/// The longest name of a log or a page (characters), without what tells two of them apart.
const LONGEST_NAME: usize = 80;

/// A scenario, where it stands, and how its files are named.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) file: PathBuf,
    /// The name of its log and its page, without an ending. No other case has it.
    pub(super) stem: String,
    pub(super) scenario: Scenario,
}

/// A place in a scenario's file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    file: PathBuf,
    line: u64,
    column: u64,
}

impl Case {
    /// Where a member of it stands.
    pub(super) fn place<T>(&self, member: &Spanned<T>) -> Place {
        Place::of(&self.file, &member.referenced)
    }

    /// A path that the scenario names, from the folder of its file.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or_else(|| Path::new("")).join(path)
    }
}

impl Place {
    fn of(file: &Path, at: &Location) -> Self {
        Self { file: file.to_owned(), line: at.line(), column: at.column() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// The scenarios of these files, and of all `.yaml` and `.yml` files in these folders, whose names contain
/// `pattern`.
pub(super) fn load(paths: &[PathBuf], pattern: Option<&str>) -> Result<Vec<Case>, Error> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() { folder(path, &mut files)? } else { files.push(path.clone()) }
    }
    let (mut cases, mut names, mut stems) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for file in files {
        for scenario in read(&file)? {
            let name = scenario.name.clone();
            if !names.insert(name.clone()) {
                return Err(
                    format!("{}: the name `{name}` is there twice: rename one", file.display()).into()
                );
            }
            if pattern.is_none_or(|pattern| name.to_lowercase().contains(&pattern.to_lowercase())) {
                cases.push(Case { stem: stem(&name, &mut stems), file: file.clone(), scenario });
            }
        }
    }
    match (cases.is_empty(), pattern) {
        (false, _) => Ok(cases),
        (true, Some(pattern)) => {
            Err(format!("no scenario has a name with `{pattern}`: {} have other names", names.len()).into())
        }
        (true, None) => Err("no scenarios: expected files that end with .yaml or .yml".into()),
    }
}

fn folder(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let entries = std::fs::read_dir(path).map_err(cannot)?;
    let mut entries: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(cannot)?;
    entries.sort();
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    files.extend(entries.into_iter().filter(is_yaml));
    Ok(())
}

/// The scenarios of a file, which are separated by `---`.
fn read(file: &Path) -> Result<Vec<Scenario>, Error> {
    let cannot = |reason: &dyn fmt::Display| format!("cannot read {}: {reason}", file.display());
    let length = std::fs::metadata(file).map_err(|error| cannot(&error))?.len();
    if length > LONGEST {
        return Err(cannot(&format_args!("expected at most {LONGEST} bytes, got {length}")).into());
    }
    let text = std::fs::read_to_string(file).map_err(|error| cannot(&error))?;
    parse(file, &text)
}

/// Reads the scenarios of a text.
pub(super) fn parse(file: &Path, text: &str) -> Result<Vec<Scenario>, Error> {
    let scenarios: Vec<Scenario> = serde_saphyr::from_multiple(text).map_err(|error| {
        // Its own text repeats the place.
        let told = error.without_snippet().to_string();
        let reason = told.rsplit_once(" at line ").map_or(told.as_str(), |(reason, _)| reason);
        match error.location() {
            Some(at) => format!("{}: {reason}", Place::of(file, &at)),
            None => format!("{}: {reason}", file.display()),
        }
    })?;
    for scenario in &scenarios {
        check(scenario).map_err(|(at, reason)| match at {
            Some(at) => format!("{}: {reason}", Place::of(file, &at)),
            None => format!("{}: {}: {reason}", file.display(), scenario.name),
        })?;
    }
    Ok(scenarios)
}

/// What one member can't know by itself.
fn check(scenario: &Scenario) -> Result<(), (Option<Location>, String)> {
    let wrong = |at, reason: &str| Err((at, reason.to_owned()));
    if scenario.name.trim().is_empty() {
        return wrong(None, "expected a name, got none");
    }
    match scenario.phone() {
        Some(_) => fits_a_phone(scenario)?,
        None => fits_a_file(scenario)?,
    }
    if scenario.url.is_some() && (scenario.script.is_some() || !scenario.disasters.is_empty()) {
        return wrong(None, "`script` and `disasters` are for the emulator: remove them, or `url`");
    }
    if scenario.expect.is_empty() {
        return wrong(None, "expected at least one expectation under `expect`");
    }
    for expectation in &scenario.expect {
        let is_empty = match &expectation.value {
            Expectation::Calls(calls) => calls.is_empty(),
            Expectation::NeverCalls(names) => names.is_empty(),
            _ => false,
        };
        if is_empty {
            return wrong(Some(expectation.referenced), "expected at least one function, got none");
        }
    }
    Ok(())
}

/// What a phone can't do, and can't tell: it hears sound, and no words and no functions.
fn fits_a_phone(scenario: &Scenario) -> Result<(), (Option<Location>, String)> {
    let others = [
        ("tools", !scenario.tools.is_empty()),
        ("script", scenario.script.is_some()),
        ("disasters", !scenario.disasters.is_empty()),
        ("url", scenario.url.is_some()),
        ("model", scenario.model.is_some()),
        ("judge", scenario.judge.url.is_some() || scenario.judge.model.is_some()),
        ("time: virtual", scenario.time == Some(Time::Virtual)),
    ];
    if let Some((name, _)) = others.iter().find(|(_, is_there)| *is_there) {
        return Err((None, format!("`{name}` is not for an agent at a phone socket: remove it")));
    }
    for step in &scenario.caller {
        if let Step::Interrupt(Interrupt { when: When::AtWord(_), .. }) = &step.value {
            let reason = "`at_word` needs words, and a phone hears sound alone: give `after_ms`";
            return Err((Some(step.referenced), reason.to_owned()));
        }
    }
    for expectation in &scenario.expect {
        let (name, needs) = match &expectation.value {
            Expectation::Calls(_) => ("calls", "functions"),
            Expectation::NeverCalls(_) => ("never_calls", "functions"),
            Expectation::AgentSays(_) => ("agent_says", "words"),
            Expectation::AgentNeverSays(_) => ("agent_never_says", "words"),
            Expectation::UserSays(_) => ("user_says", "words"),
            Expectation::UserNeverSays(_) => ("user_never_says", "words"),
            Expectation::HeardAtCut(_) => ("heard_at_cut", "words"),
            Expectation::Judge(_) => ("judge", "words"),
            Expectation::CostAtMost(_) => ("cost_at_most", "usage"),
            Expectation::Turns(order) if order.contains(&Speaker::Tool) => ("turns", "functions"),
            Expectation::Turns(_)
            | Expectation::WithinMs(_)
            | Expectation::Interruptions(_)
            | Expectation::HeardMs(_)
            | Expectation::CutWithinMs(_)
            | Expectation::Ends(_) => continue,
        };
        let reason = format!(
            "`{name}` needs the model's {needs}, and a phone hears sound alone: \
             remove it, or give the agent's file"
        );
        return Err((Some(expectation.referenced), reason));
    }
    Ok(())
}

/// What is told of a phone alone.
fn fits_a_file(scenario: &Scenario) -> Result<(), (Option<Location>, String)> {
    for expectation in &scenario.expect {
        let name = match &expectation.value {
            Expectation::HeardMs(_) => "heard_ms",
            Expectation::CutWithinMs(_) => "cut_within_ms",
            _ => continue,
        };
        let reason =
            format!("`{name}` is for an agent at a phone socket (`agent: {{ phone: … }}`): remove it");
        return Err((Some(expectation.referenced), reason));
    }
    Ok(())
}

/// A name for files, of letters, digits and hyphens.
fn stem(name: &str, stems: &mut BTreeSet<String>) -> String {
    let plain: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let stem: String = words.join("-").to_lowercase().chars().take(LONGEST_NAME).collect();
    let mut numbered = (1..).map(|n| if n == 1 { stem.clone() } else { format!("{stem}-{n}") });
    let free = numbered.find(|stem| !stems.contains(stem)).unwrap_or_default();
    stems.insert(free.clone());
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(Path::new("a.yaml"), text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_is_allowed() {
        let with =
            |steps: &str| error(&format!("name: a\nexpect: [{{ interruptions: 0 }}]\ncaller:\n{steps}"));
        let expect = |what: &str| error(&format!("name: a\ncaller: []\nexpect:\n  - {what}\n"));
        for (told, expected) in [
            (error("name: a\ncaler: []\n"), "a.yaml:2:1: unknown field `caler`, expected one of name, agent"),
            (error("name: a\n"), "a.yaml:1:1: missing field `caller`"),
            (with("  - sya: hello\n"), "a.yaml:4:5: unknown variant `sya`, expected one of say, play, keys"),
            (
                with("  - keys: 1x\n"),
                "a.yaml:4:11: expected keys of a phone (0 to 9, *, #, A to D), got `1x`",
            ),
            (
                with("  - interrupt: { say: x, after_ms: 1, at_word: y }\n"),
                "a.yaml:4:16: expected one of `after_ms` and `at_word` beside `say`",
            ),
            (with("  - silent_ms: -1\n"), "a.yaml:4:16: invalid u32"),
            (
                expect("agent_says: { like: x }"),
                "a.yaml:4:19: unknown variant `like`, expected one of contains",
            ),
            (expect("agent_says: { matches: '[' }"), "a.yaml:4:28: expected a regular expression: "),
            (expect("calls: []"), "a.yaml:4:5: expected at least one function, got none"),
            (expect("ends: never"), "a.yaml:4:11: unknown variant `never`, expected one of caller, agent"),
            (error("name: a\ncaller: []\nexpect: []\n"), "a.yaml: a: expected at least one expectation"),
            (
                error("name: a\ncaller: []\ndisasters: [nonsense]\nexpect: []\n"),
                "a.yaml:3:13: expected a rehearsal (`realtime emulator --help` lists them), got `nonsense`",
            ),
            (
                error("name: a\ncaller: []\nscript:\n  turns:\n    - reply: [{ sya: x }]\nexpect: []\n"),
                "a.yaml:4:3: turns[0].reply[0]: unknown field `sya`",
            ),
            (
                error("name: a\ncaller: []\nurl: wss://h\ndisasters: [floats]\nexpect: []\n"),
                "a.yaml: a: `script` and `disasters` are for the emulator: remove them, or `url`",
            ),
        ] {
            assert!(told.starts_with(expected), "{told}\n  and not {expected}");
        }
    }

    #[test]
    fn what_a_phone_can_not_tell_is_refused_when_it_is_read() {
        let phone = "name: a\nagent: { phone: { url: 'ws://h/twilio' } }\n";
        let expect = |what: &str| error(&format!("{phone}caller: []\nexpect:\n  - {what}\n"));
        let other = |what: &str| error(&format!("{phone}caller: []\n{what}\nexpect: [{{ ends: caller }}]\n"));
        let at = |url: &str| {
            error(&format!(
                "name: a\nagent: {{ phone: {{ {url} }} }}\ncaller: []\nexpect: [{{ ends: caller }}]\n"
            ))
        };
        for (told, expected) in [
            (
                expect("calls: [{ name: x }]"),
                "a.yaml:5:5: `calls` needs the model's functions, and a phone hears",
            ),
            (expect("agent_says: { contains: x }"), "a.yaml:5:5: `agent_says` needs the model's words, and"),
            (
                expect("cost_at_most: { tokens: 1 }"),
                "a.yaml:5:5: `cost_at_most` needs the model's usage, and",
            ),
            (expect("turns: [agent, tool]"), "a.yaml:5:5: `turns` needs the model's functions, and"),
            (expect("judge: x?"), "a.yaml:5:5: `judge` needs the model's words, and"),
            (
                other("script: { turns: [] }"),
                "a.yaml: a: `script` is not for an agent at a phone socket: remove",
            ),
            (
                other("time: virtual"),
                "a.yaml: a: `time: virtual` is not for an agent at a phone socket: remove",
            ),
            (
                at("url: 'wss://h/twilio'"),
                "a.yaml:2:8: expected the `url` of a phone socket, such as ws://127.0",
            ),
            (at("url: 'ws://h/x'"), "a.yaml:2:8: expected a `carrier`, one of twilio, telnyx, plivo, exotel"),
            (at("url: 'ws://h/x', carier: twilio"), "a.yaml:2:8: unknown field `carier`, expected `url` or"),
            (
                error("name: a\ncaller: []\nexpect:\n  - heard_ms: 1\n"),
                "a.yaml:4:5: `heard_ms` is for an agent at a phone socket (`agent: { phone: … }`): remove it",
            ),
        ] {
            assert!(told.starts_with(expected), "{told}\n  and not {expected}");
        }
        let interrupt = "caller:\n  - interrupt: { say: x, at_word: y }\nexpect: [{ ends: caller }]\n";
        let told = error(&format!("{phone}{interrupt}"));
        assert!(
            told.starts_with("a.yaml:4:5: `at_word` needs words, and a phone hears sound alone"),
            "{told}"
        );
    }

    #[test]
    fn names_of_files_are_plain_and_no_two_are_the_same() {
        let mut stems = BTreeSet::new();
        assert_eq!(stem("The weather: in Köln / today", &mut stems), "the-weather-in-köln-today");
        assert_eq!(stem("../../etc", &mut stems), "etc");
        assert_eq!(stem("etc!", &mut stems), "etc-2");
    }
}
