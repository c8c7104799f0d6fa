//! A scenario as it is written: [`Scenario`]. What can be wrong with a member is told at its line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use realtime_emulator::brain::Script;
use realtime_emulator::disaster::{Disaster, Rehearsal};
use realtime_pipeline::chain::Keys;
use realtime_pipeline::testing::{Limits, Phrase, Speaker};
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::eval::called::{AgentFile, PhoneAgent};

/// A call to hold, and what is expected of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    pub(super) name: String,
    /// Who is called; `None`: the demo's agent.
    #[serde(default)]
    pub(super) agent: Option<AgentFile>,
    /// What tools answer, in place of their servers.
    #[serde(default)]
    pub(super) tools: BTreeMap<String, Value>,
    /// What the emulator answers.
    #[serde(default)]
    pub(super) script: Option<ScriptFile>,
    /// What goes wrong between the emulator and the agent.
    #[serde(default)]
    pub(super) disasters: Vec<Trouble>,
    /// A Realtime server in place of the emulator.
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) time: Option<Time>,
    #[serde(default)]
    pub(super) voice: Voice,
    /// The longest that the call may take (s of the call's time).
    #[serde(default = "five_minutes")]
    pub(super) limit_s: u32,
    #[serde(default)]
    pub(super) judge: JudgeFile,
    pub(super) caller: Vec<Spanned<Step>>,
    #[serde(default)]
    pub(super) expect: Vec<Spanned<Expectation>>,
}

impl Scenario {
    /// The socket, if the agent is called by phone.
    pub(super) const fn phone(&self) -> Option<&PhoneAgent> {
        match &self.agent {
            Some(AgentFile::Phone(phone)) => Some(phone),
            _ => None,
        }
    }

    /// The agent's file, if it has one.
    pub(super) fn agent_file(&self) -> Option<&Path> {
        match &self.agent {
            Some(AgentFile::File(path)) => Some(path),
            _ => None,
        }
    }
}

/// How time passes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Time {
    Virtual,
    Real,
}

/// Who speaks for the caller.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Voice {
    /// `espeak-ng` where it is installed, else tones.
    #[default]
    Auto,
    Tones,
    Espeak,
}

/// Who judges.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JudgeFile {
    /// The address of an OpenAI-compatible service, such as `https://api.openai.com/v1`.
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
}

/// What the caller does next.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Say(String),
    Play(Play),
    Keys(KeysText),
    SilentMs(u32),
    WaitForAnswer,
    Interrupt(Interrupt),
    HangUp,
}

/// A WAV file that the caller plays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Play {
    pub(super) file: PathBuf,
    /// What is said in it, for the emulator.
    #[serde(default)]
    pub(super) words: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct KeysText(pub(super) Keys);

impl TryFrom<String> for KeysText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let keys = Keys::new(&text).filter(|_| !text.is_empty()).map(Self);
        keys.ok_or_else(|| format!("expected keys of a phone (0 to 9, *, #, A to D), got `{text}`"))
    }
}

/// The caller speaks over the agent.
#[derive(Debug, Deserialize)]
#[serde(try_from = "InterruptFile")]
pub(super) struct Interrupt {
    pub(super) say: String,
    pub(super) when: When,
}

/// When the caller begins to speak over the agent.
#[derive(Clone, Debug)]
pub(super) enum When {
    /// After so much of the agent's speech.
    AfterMs(u32),
    /// When this word begins to be heard.
    AtWord(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InterruptFile {
    say: String,
    #[serde(default)]
    after_ms: Option<u32>,
    #[serde(default)]
    at_word: Option<String>,
}

impl TryFrom<InterruptFile> for Interrupt {
    type Error = &'static str;

    fn try_from(file: InterruptFile) -> Result<Self, Self::Error> {
        let when = match (file.after_ms, file.at_word) {
            (Some(ms), None) => When::AfterMs(ms),
            (None, Some(word)) if !word.trim().is_empty() => When::AtWord(word),
            _ => return Err("expected one of `after_ms` and `at_word` beside `say`"),
        };
        Ok(Self { say: file.say, when })
    }
}

/// The emulator's script: in the scenario itself, or a file.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum ScriptFile {
    Inline(Script),
    File(PathBuf),
}

impl TryFrom<Value> for ScriptFile {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(path) => Ok(Self::File(path.into())),
            script => Script::parse(&script.to_string()).map(Self::Inline).map_err(|error| error.to_string()),
        }
    }
}

/// Something that goes wrong: a rehearsal by its name, or a disaster.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Trouble {
    Rehearsal(&'static Rehearsal),
    Disaster(Box<Disaster>),
}

impl TryFrom<Value> for Trouble {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some(name) => Rehearsal::named(name).map(Self::Rehearsal).ok_or_else(|| {
                format!("expected a rehearsal (`realtime emulator --help` lists them), got `{name}`")
            }),
            None => Disaster::parse(&value, "disaster")
                .map(|disaster| Self::Disaster(Box::new(disaster)))
                .map_err(|error| error.to_string()),
        }
    }
}

/// What must hold of the call.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Expectation {
    Calls(Vec<CallWanted>),
    NeverCalls(Vec<String>),
    AgentSays(Words),
    AgentNeverSays(Words),
    UserSays(Words),
    UserNeverSays(Words),
    HeardAtCut(Words),
    Turns(Vec<Speaker>),
    WithinMs(u32),
    Interruptions(usize),
    /// At least so much of the agent's voice was heard at the phone.
    HeardMs(u32),
    /// The agent fell silent this soon after the caller spoke over it, at the phone.
    CutWithinMs(u32),
    CostAtMost(CostFile),
    Ends(Ending),
    Judge(String),
}

/// A function that must be called, with these arguments among others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallWanted {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: Value,
}

/// What words are looked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Words {
    Contains(String),
    Exact(String),
    Matches(Pattern),
}

impl Words {
    pub(super) fn phrase(&self) -> Phrase {
        match self {
            Self::Contains(part) => Phrase::contains(part),
            Self::Exact(text) => Phrase::exactly(text),
            Self::Matches(Pattern(regex)) => {
                let regex = regex.clone();
                Phrase::matching(format!("what matches /{regex}/"), move |text| regex.is_match(text))
            }
        }
    }
}

/// A regular expression.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Regex::new(&text).map(Self).map_err(|error| format!("expected a regular expression: {error}"))
    }
}

/// The most that a call may cost.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CostFile {
    /// In the currency of the agent's `prices`.
    #[serde(default)]
    pub(super) price: Option<f64>,
    #[serde(default)]
    tokens: Option<u64>,
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
}

impl CostFile {
    pub(super) const fn limits(self) -> Limits {
        Limits { total: self.tokens, input: self.input_tokens, output: self.output_tokens }
    }
}

/// Who or what ended the call.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    /// The caller hung up.
    Caller,
    /// The agent hung up.
    Agent,
    /// Nobody had anything left to say.
    Silence,
    /// It took longer than `limit_s`.
    Limit,
    /// The session or the pipeline failed.
    Failure,
}

impl Ending {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Agent => "agent",
            Self::Silence => "silence",
            Self::Limit => "limit",
            Self::Failure => "failure",
        }
    }
}

const fn five_minutes() -> u32 {
    300
}
