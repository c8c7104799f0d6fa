//! A brain that follows a script.
//!
//! A script is a JSON file:
//!
//! ```json
//! { "turns": [
//!     { "on": "request", "reply": [ { "say": "Hello! Which city?" } ] },
//!     { "on": "speech", "transcript": "What is the weather in Paris?",
//!       "reply": [ { "call": "get_weather", "arguments": { "city": "Paris" } } ] },
//!     { "on": { "tool": "get_weather" }, "repeat": true,
//!       "reply": [ { "delay_ms": 300 }, { "say": "It is {output.summary}." } ] },
//!     { "on": { "text": "bye" }, "reply": [ { "text": "Goodbye." } ] },
//!     { "reply": [ { "fail": "inference_rate_limit_exceeded" } ] }
//! ] }
//! ```
//!
//! A response takes the first turn in the file that fits and is not used up. A turn is used up after one response,
//! unless it has `"repeat": true`. Where none fits, the [`Parrot`] answers.
//!
//! `on` says what a turn fits:
//!
//! | `on` | fits |
//! |---|---|
//! | left out, or `"any"` | whatever comes next |
//! | `"request"` | a `response.create` with nothing new to answer |
//! | `"speech"` | speech |
//! | `"text"` | a text message |
//! | `{"text": "bye"}` | a text message that contains `bye`, in upper or lower case |
//! | `{"tool": "get_weather"}` | the output of a call of `get_weather` |
//!
//! `transcript` is what the user is heard to say, in a turn that fits speech. `reply` is a list of steps, each an
//! object with one of these (and `arguments` beside `call`):
//!
//! | step | does |
//! |---|---|
//! | `"say": "…"` | speaks; writes, where the response's modality is text |
//! | `"text": "…"` | writes |
//! | `"call": "name"` | calls a function, with `"arguments"`: an object, or any text |
//! | `"delay_ms": 300` | waits |
//! | `"fail": "code"` | ends the response as failed, with that error code |
//! | `"incomplete": "max_output_tokens"` | ends the response as incomplete, for that reason |
//!
//! In `say`, `text` and textual `arguments`, `{input}` stands for the user's words, `{output}` for the output of
//! the tool, and `{output.a.b}` for a member of it. What cannot be found stays as it is written.

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_protocol::response::StatusReason;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::brain::{AudioSource, Brain, Ending, Parrot, Reply, Speech, Step, Trigger, Turn};

/// A brain that follows a script. The module's own text gives the format.
///
/// ```json
/// { "turns": [
///     { "on": "request", "reply": [ { "say": "Hello! Which city?" } ] },
///     { "on": "speech", "transcript": "What is the weather in Paris?",
///       "reply": [ { "call": "get_weather", "arguments": { "city": "Paris" } } ] },
///     { "on": { "tool": "get_weather" }, "repeat": true,
///       "reply": [ { "delay_ms": 300 }, { "say": "It is {output.summary}." } ] }
/// ] }
/// ```
#[derive(Clone, Debug)]
pub struct Script {
    turns: Vec<ScriptTurn>,
    used: Vec<bool>,
    /// The turn whose transcript was given last, until it is answered.
    heard: Option<usize>,
    fallback: Parrot,
}

/// A script that cannot be followed: where, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {reason}")]
#[non_exhaustive]
pub struct ScriptError {
    /// The member at fault, such as `turns[2].reply[0]`; `script` for the whole text.
    pub path: String,
    /// What was expected and what came.
    pub reason: String,
}

#[derive(Clone, Debug)]
struct ScriptTurn {
    on: On,
    transcript: Option<String>,
    repeat: bool,
    reply: Reply,
}

#[derive(Clone, Debug)]
enum On {
    Any,
    Request,
    Speech,
    Text,
    TextWith(String),
    Tool(String),
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`] says where the text is not a script: a member that is unknown, missing or of the wrong kind.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let file: File = serde_json::from_str(text).map_err(|error| fault("script", &error))?;
        let turns: Vec<_> = file
            .turns
            .into_iter()
            .enumerate()
            .map(|(n, turn)| read_turn(n, turn))
            .collect::<Result<_, _>>()?;
        Ok(Self { used: vec![false; turns.len()], turns, heard: None, fallback: Parrot::new() })
    }

    /// The built-in script: a weather assistant, greeted, asked twice and thanked. It calls `get_weather` with a
    /// `city`, and reads the output out.
    ///
    /// # Panics
    /// Never: the script is a part of this crate, and a test reads it.
    pub fn demo() -> Self {
        Self::parse(include_str!("demo.json")).expect("a test reads the built-in script")
    }

    /// Forgets the transcripts: for a user who says something else than the script was written for. What was heard
    /// is then described by its length.
    #[must_use]
    pub fn without_transcripts(mut self) -> Self {
        self.turns.iter_mut().for_each(|turn| turn.transcript = None);
        self
    }

    /// The first turn that fits and is left.
    fn find(&self, fits: impl Fn(&On) -> bool) -> Option<usize> {
        self.turns.iter().zip(&self.used).position(|(turn, used)| !used && fits(&turn.on))
    }

    fn take(&mut self, index: usize) {
        if let (Some(used), Some(turn)) = (self.used.get_mut(index), self.turns.get(index)) {
            *used = !turn.repeat;
        }
    }
}

impl Brain for Script {
    fn reply(&mut self, turn: &Turn<'_>) -> Reply {
        let heard = self.heard.take();
        let found = match turn.trigger {
            // The turn was taken when its transcript was asked for.
            Trigger::Speech { .. } => heard.or_else(|| self.find(|on| on.fits(&turn.trigger))),
            _ => self.find(|on| on.fits(&turn.trigger)),
        };
        let Some(index) = found else { return self.fallback.reply(turn) };
        self.take(index);
        self.turns.get(index).map(|found| found.reply.filled(&turn.trigger)).unwrap_or_default()
    }

    fn transcript(&mut self, _speech: &Speech<'_>) -> Option<String> {
        let index = self.find(|on| matches!(on, On::Speech | On::Any))?;
        self.take(index);
        self.heard = Some(index);
        self.turns.get(index)?.transcript.clone()
    }
}

impl On {
    fn fits(&self, trigger: &Trigger<'_>) -> bool {
        match (self, trigger) {
            (Self::Any, _)
            | (Self::Request, Trigger::Request)
            | (Self::Speech, Trigger::Speech { .. })
            | (Self::Text, Trigger::Text(_)) => true,
            (Self::TextWith(part), Trigger::Text(text)) => text.to_lowercase().contains(part.as_str()),
            (Self::Tool(name), Trigger::ToolOutputs(outputs)) => outputs.iter().any(|o| o.name == *name),
            _ => false,
        }
    }
}

impl Reply {
    /// The reply with the words and outputs of the trigger put in.
    fn filled(&self, trigger: &Trigger<'_>) -> Self {
        let fill = |text: &str| fill(text, trigger);
        let steps = self.steps.iter().map(|step| match step {
            Step::Say { transcript, audio } => {
                Step::Say { transcript: fill(transcript), audio: audio.clone() }
            }
            Step::Text(text) => Step::Text(fill(text)),
            Step::Call { name, arguments } => Step::Call { name: name.clone(), arguments: fill(arguments) },
            Step::Wait(time) => Step::Wait(*time),
        });
        Self { steps: steps.collect(), ending: self.ending.clone() }
    }
}

fn fill(text: &str, trigger: &Trigger<'_>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        filled.push_str(before);
        let known = from.find('}').and_then(|close| Some((value(&from[1..close], trigger)?, close)));
        match known {
            Some((value, close)) => {
                filled.push_str(&value);
                rest = &from[close + 1..];
            }
            None => {
                filled.push('{');
                rest = &from[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// What stands for a name in braces.
fn value(name: &str, trigger: &Trigger<'_>) -> Option<String> {
    match (name, trigger) {
        ("input", Trigger::Speech { transcript, .. }) => Some((*transcript).into()),
        ("input", Trigger::Text(text)) => Some((*text).into()),
        ("output", Trigger::ToolOutputs(outputs)) => Some(outputs.last()?.output.clone()),
        (name, Trigger::ToolOutputs(outputs)) => {
            let whole: Value = serde_json::from_str(&outputs.last()?.output).ok()?;
            let member =
                name.strip_prefix("output.")?.split('.').try_fold(&whole, |value, key| match value {
                    Value::Array(elements) => elements.get(key.parse::<usize>().ok()?),
                    value => value.get(key),
                })?;
            Some(member.as_str().map_or_else(|| member.to_string(), String::from))
        }
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    turns: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTurn {
    on: Option<Value>,
    transcript: Option<String>,
    #[serde(default)]
    repeat: bool,
    reply: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStep {
    say: Option<String>,
    text: Option<String>,
    call: Option<String>,
    arguments: Option<Value>,
    delay_ms: Option<u64>,
    fail: Option<String>,
    incomplete: Option<String>,
}

fn read_turn(index: usize, value: Value) -> Result<ScriptTurn, ScriptError> {
    let path = format!("turns[{index}]");
    let turn: FileTurn = read(&path, value)?;
    let on = turn.on.map_or(Ok(On::Any), |on| read_on(&format!("{path}.on"), &on))?;
    if turn.transcript.is_some() && !matches!(on, On::Any | On::Speech) {
        return Err(fault(&format!("{path}.transcript"), "only a turn that fits speech is heard"));
    }
    let mut reply = Reply::default();
    for (index, step) in turn.reply.into_iter().enumerate() {
        let path = format!("{path}.reply[{index}]");
        if reply.ending != Ending::Completed {
            return Err(fault(&path, "nothing may follow `fail` or `incomplete`"));
        }
        read_step(&path, read(&path, step)?, &mut reply)?;
    }
    Ok(ScriptTurn { on, transcript: turn.transcript, repeat: turn.repeat, reply })
}

fn read_on(path: &str, on: &Value) -> Result<On, ScriptError> {
    if let Some(word) = on.as_str() {
        return match word {
            "any" => Ok(On::Any),
            "request" => Ok(On::Request),
            "speech" => Ok(On::Speech),
            "text" => Ok(On::Text),
            _ => {
                Err(fault(path, format_args!("expected `any`, `request`, `speech` or `text`, got `{word}`")))
            }
        };
    }
    let members: BTreeMap<String, String> = read(path, on.clone())?;
    let mut members = members.into_iter();
    match (members.next(), members.next()) {
        (Some((key, part)), None) if key == "text" => Ok(On::TextWith(part.to_lowercase())),
        (Some((key, name)), None) if key == "tool" => Ok(On::Tool(name)),
        _ => Err(fault(path, "expected one member, `text` or `tool`")),
    }
}

fn read_step(path: &str, step: FileStep, reply: &mut Reply) -> Result<(), ScriptError> {
    let FileStep { say, text, call, arguments, delay_ms, fail, incomplete } = step;
    if arguments.is_some() && call.is_none() {
        return Err(fault(path, "`arguments` needs `call` beside it"));
    }
    let mut found = 0;
    let mut push = |step| {
        found += 1;
        reply.steps.push(step);
    };
    if let Some(transcript) = say {
        push(Step::Say { transcript, audio: AudioSource::Tones });
    }
    if let Some(text) = text {
        push(Step::Text(text));
    }
    if let Some(name) = call {
        let arguments = match arguments {
            None => "{}".into(),
            Some(Value::String(text)) => text,
            Some(value) => value.to_string(),
        };
        push(Step::Call { name, arguments });
    }
    if let Some(millis) = delay_ms {
        push(Step::Wait(Duration::from_millis(millis)));
    }
    if let Some(code) = fail {
        found += 1;
        let message = format!("The script says that this response fails: {code}.");
        reply.ending = Ending::Failed { code, message };
    }
    if let Some(reason) = incomplete {
        found += 1;
        reply.ending = Ending::Incomplete(StatusReason::from(reason.as_str()));
    }
    match found {
        1 => Ok(()),
        _ => Err(fault(
            path,
            "expected exactly one of `say`, `text`, `call`, `delay_ms`, `fail` and `incomplete`",
        )),
    }
}

fn read<T: DeserializeOwned>(path: &str, value: Value) -> Result<T, ScriptError> {
    serde_json::from_value(value).map_err(|error| fault(path, &error))
}

fn fault(path: &str, reason: impl std::fmt::Display) -> ScriptError {
    ScriptError { path: path.into(), reason: reason.to_string() }
}
