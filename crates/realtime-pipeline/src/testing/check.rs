//! The single checks of a [`HeldCall`]: each returns what does not hold, as expected and got.

use std::time::Duration;

use serde_json::Value;

use crate::testing::{HeldCall, Phrase, Speaker, ToolRun};

/// What does not hold in a call.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {expected}, got {got}")]
#[non_exhaustive]
pub struct Mismatch {
    /// What was expected.
    pub expected: String,
    /// What came instead.
    pub got: String,
}

/// The most that a call may take. Default: anything.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "limits: built with `..Default::default()`")]
pub struct Limits {
    /// Tokens that the model reads and makes.
    pub total: Option<u64>,
    /// Tokens that it reads.
    pub input: Option<u64>,
    /// Tokens that it makes.
    pub output: Option<u64>,
}

impl Mismatch {
    /// This was expected, and that came instead.
    pub fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: expected.into(), got: got.into() }
    }
}

impl HeldCall {
    /// The model called these functions in this order, maybe with others between. The arguments that it gave
    /// contain these: objects may have more members, everything else is equal.
    ///
    /// # Errors
    /// [`Mismatch`] names the first one that is missing.
    pub fn called<'a>(&self, wanted: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Result<(), Mismatch> {
        let (mut rest, mut after) = (self.tools.iter(), String::new());
        for (name, arguments) in wanted {
            if !rest
                .any(|run| run.name == name && (is_empty(arguments) || includes(&run.arguments, arguments)))
            {
                let with = if is_empty(arguments) { String::new() } else { format!(" with {arguments}") };
                let got = listed(self.tools.iter().map(shown), "no call");
                return Err(Mismatch::new(format!("a call of {name}{with}{after}"), got));
            }
            after = format!(" after {name}");
        }
        Ok(())
    }

    /// The model never called this function.
    ///
    /// # Errors
    /// [`Mismatch`] names the call.
    pub fn never_called(&self, name: &str) -> Result<(), Mismatch> {
        match self.tools.iter().find(|run| run.name == name) {
            Some(run) => Err(Mismatch::new(format!("no call of {name}"), shown(run))),
            None => Ok(()),
        }
    }

    /// This side said that, in one of its lines.
    ///
    /// # Errors
    /// [`Mismatch`] has all that it said.
    pub fn said(&self, who: Speaker, phrase: &Phrase) -> Result<(), Mismatch> {
        if self.of(who).any(|text| phrase.fits(text)) {
            return Ok(());
        }
        Err(Mismatch::new(format!("the {who} to say {phrase}"), quoted(self.of(who))))
    }

    /// This side never said that.
    ///
    /// # Errors
    /// [`Mismatch`] has the line.
    pub fn never_said(&self, who: Speaker, phrase: &Phrase) -> Result<(), Mismatch> {
        match self.of(who).find(|text| phrase.fits(text)) {
            Some(text) => Err(Mismatch::new(format!("the {who} never to say {phrase}"), format!("{text:?}"))),
            None => Ok(()),
        }
    }

    /// This was heard of an answer before the user spoke over it.
    ///
    /// # Errors
    /// [`Mismatch`] has what was heard of each.
    pub fn heard_at_cut(&self, phrase: &Phrase) -> Result<(), Mismatch> {
        if self.cuts.iter().any(|cut| phrase.fits(&cut.heard)) {
            return Ok(());
        }
        let expected = format!("{phrase} to be heard of an interrupted answer");
        Err(Mismatch::new(expected, quoted(self.cuts.iter().map(|cut| cut.heard.as_str()))))
    }

    /// The sides had the word in this order. Several lines of one side in a row count as one.
    ///
    /// # Errors
    /// [`Mismatch`] has the order.
    pub fn took_turns(&self, order: &[Speaker]) -> Result<(), Mismatch> {
        let mut got: Vec<Speaker> = self.lines.iter().map(|line| line.who).collect();
        got.dedup();
        if got == order {
            return Ok(());
        }
        let shown = |order: &[Speaker]| listed(order.iter().map(Speaker::to_string), "no turn");
        Err(Mismatch::new(format!("the turns {}", shown(order)), shown(&got)))
    }

    /// Each answer was heard this soon after the user's turn, and there was one.
    ///
    /// # Errors
    /// [`Mismatch`] has all latencies.
    pub fn answered_within(&self, limit: Duration) -> Result<(), Mismatch> {
        if !self.latencies.is_empty() && self.latencies.iter().all(|latency| *latency <= limit) {
            return Ok(());
        }
        let got = listed(self.latencies.iter().map(|latency| format!("{} ms", latency.as_millis())), "none");
        Err(Mismatch::new(format!("answers within {} ms", limit.as_millis()), got))
    }

    /// The user spoke over so many answers.
    ///
    /// # Errors
    /// [`Mismatch`] has their number.
    pub fn interrupted(&self, times: usize) -> Result<(), Mismatch> {
        match self.cuts.len() {
            got if got == times => Ok(()),
            got => {
                let s = if times == 1 { "" } else { "s" };
                Err(Mismatch::new(format!("{times} interruption{s}"), got.to_string()))
            }
        }
    }

    /// It took no more tokens than this.
    ///
    /// # Errors
    /// [`Mismatch`] has the number.
    pub fn took_at_most(&self, limits: Limits) -> Result<(), Mismatch> {
        let all = [
            ("tokens", limits.total, self.tokens.total()),
            ("tokens that are read", limits.input, self.tokens.input),
            ("tokens that are made", limits.output, self.tokens.output),
        ];
        match all.into_iter().find(|(_, limit, got)| limit.is_some_and(|limit| *got > limit)) {
            Some((what, limit, got)) => {
                let limit = limit.unwrap_or_default();
                Err(Mismatch::new(format!("at most {limit} {what}"), got.to_string()))
            }
            None => Ok(()),
        }
    }

    fn of(&self, who: Speaker) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(move |line| line.who == who).map(|line| line.text.as_str())
    }
}

/// Returns whether a JSON value has all that another one has: objects may have more members, everything else
/// is equal, and numbers by their value.
fn includes(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => {
            part.iter().all(|(name, part)| value.get(name).is_some_and(|value| includes(value, part)))
        }
        (Value::Array(value), Value::Array(part)) => {
            value.len() == part.len() && value.iter().zip(part).all(|(value, part)| includes(value, part))
        }
        (Value::Number(value), Value::Number(part)) => value == part || value.as_f64() == part.as_f64(),
        _ => value == part,
    }
}

fn is_empty(arguments: &Value) -> bool {
    arguments.is_null() || arguments.as_object().is_some_and(serde_json::Map::is_empty)
}

fn shown(run: &ToolRun) -> String {
    format!("{} {}", run.name, run.arguments)
}

fn listed(all: impl Iterator<Item = String>, none: &str) -> String {
    let all: Vec<String> = all.collect();
    if all.is_empty() { none.to_owned() } else { all.join(", ") }
}

fn quoted<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    listed(texts.map(|text| format!("{text:?}")), "nothing")
}
