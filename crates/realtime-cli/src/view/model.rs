//! What the page knows of a call. Times are microseconds since the log's first line, positions in audio are
//! samples, and lengths of text are UTF-16 units, as JavaScript counts them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::tape::Quality;

/// One log.
#[derive(Debug, Serialize)]
pub(crate) struct Model {
    /// The log's file.
    pub(crate) name: String,
    /// The model that was asked for.
    pub(crate) model: String,
    pub(crate) voice: Option<String>,
    pub(crate) dialect: String,
    pub(crate) version: u64,
    /// How much of the conversation the log holds.
    pub(crate) content: String,
    /// Whether the call was another process's before.
    #[serde(skip)]
    pub(crate) goes_on: bool,
    /// When it begins (UNIX time, us).
    pub(crate) started: u64,
    pub(crate) length: i64,
    /// Where it is known from what was heard: `reported`, `estimated` or `server`.
    pub(crate) playback: String,
    /// What a reader of the page should know, worst first.
    pub(crate) notes: Vec<Note>,
    pub(crate) quality: Quality,
    pub(crate) input: Lane<InputSpan>,
    pub(crate) output: Lane<Part>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) responses: Vec<Response>,
    pub(crate) functions: Vec<Function>,
    pub(crate) interruptions: Vec<Interruption>,
    pub(crate) latencies: Vec<Latency>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) totals: Totals,
    pub(crate) events: Events,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Info,
    Warning,
    Bad,
}

/// Something about the log itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Note {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// One side's audio.
#[derive(Debug, Serialize)]
pub(crate) struct Lane<S> {
    pub(crate) spans: Vec<S>,
    /// Stretches of the clock whose audio was never sent.
    pub(crate) unsent: Vec<(i64, i64)>,
    /// Outlines of all spans: pairs of signed bytes.
    #[serde(skip)]
    pub(crate) peaks: Vec<u8>,
    #[serde(skip)]
    pub(crate) audio: Vec<u8>,
}

impl<S> Default for Lane<S> {
    fn default() -> Self {
        Self { spans: Vec::new(), unsent: Vec::new(), peaks: Vec::new(), audio: Vec::new() }
    }
}

/// Where audio lies in its lane: the first byte, its rate (Hz), and its first sample from there.
pub(crate) type OnTape = (usize, u32, u64);

/// A stretch of the user's audio.
#[derive(Debug, Serialize)]
pub(crate) struct InputSpan {
    pub(crate) at: i64,
    pub(crate) samples: u64,
    pub(crate) rate: u32,
    /// Samples of one pair of peaks.
    pub(crate) step: u32,
    /// Its first pair; `None`: the log has no audio.
    pub(crate) peaks: Option<usize>,
    pub(crate) audio: Option<OnTape>,
}

/// A content part of the model's.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Part {
    pub(crate) response: String,
    pub(crate) item: String,
    pub(crate) index: u64,
    pub(crate) out_of_band: bool,
    pub(crate) rate: u32,
    /// Samples that came.
    pub(crate) total: u64,
    /// When its first and its last piece came.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// What was heard: `(clock, first sample, end)`.
    pub(crate) runs: Vec<(i64, u64, u64)>,
    /// Whether the runs are a guess.
    pub(crate) guessed: bool,
    pub(crate) text: String,
    /// Bytes of text that the log does not have.
    pub(crate) hidden: u64,
    /// For each piece of text: samples that had come before it, and where it ends.
    pub(crate) words: Vec<u64>,
    pub(crate) spoken: bool,
    pub(crate) cut: Option<Cut>,
    pub(crate) step: u32,
    pub(crate) peaks: Option<usize>,
    pub(crate) audio: Option<OnTape>,
    pub(crate) event: usize,
}

/// How a part was cut off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Cut {
    pub(crate) at: i64,
    /// What was heard, and what had come (us).
    pub(crate) heard: i64,
    pub(crate) received: i64,
    /// The length of the text that was heard; `None`: the log does not say.
    pub(crate) text: Option<usize>,
    pub(crate) estimated: bool,
    /// What the server was told.
    pub(crate) told: String,
}

/// What the user said, or this side wrote.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Turn {
    pub(crate) kind: TurnKind,
    pub(crate) role: String,
    pub(crate) item: String,
    /// Where it lies in the audio, as far as known.
    pub(crate) from: i64,
    pub(crate) to: Option<i64>,
    /// When it was told that it began and ended.
    pub(crate) start: i64,
    pub(crate) stop: Option<i64>,
    pub(crate) text: Option<String>,
    pub(crate) hidden: u64,
    /// When the words came.
    pub(crate) said: Option<i64>,
    pub(crate) failed: Option<String>,
    pub(crate) event: usize,
}

/// How a turn was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TurnKind {
    /// The server heard speech.
    #[default]
    Speech,
    /// This side committed audio.
    Committed,
    Written,
}

/// One run of the model.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Response {
    pub(crate) id: String,
    pub(crate) requested: Option<i64>,
    pub(crate) speech_stopped: Option<i64>,
    pub(crate) created: i64,
    pub(crate) first_text: Option<i64>,
    pub(crate) first_audio: Option<i64>,
    pub(crate) first_played: Option<i64>,
    pub(crate) done: Option<i64>,
    pub(crate) origin: String,
    pub(crate) out_of_band: bool,
    pub(crate) end: String,
    pub(crate) reason: String,
    pub(crate) usage: Option<Tokens>,
    pub(crate) cost: Option<f64>,
    /// Bytes of audio that came after an interruption.
    pub(crate) dropped: u64,
    pub(crate) event: usize,
}

/// Tokens by kind. The cached ones are a part of those read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) input_text: u64,
    pub(crate) input_audio: u64,
    pub(crate) input_image: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
    pub(crate) output_text: u64,
    pub(crate) output_audio: u64,
}

/// A function that the model called.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Function {
    pub(crate) call: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
    pub(crate) response: String,
    /// The service ran it.
    pub(crate) hosted: bool,
    pub(crate) start: i64,
    pub(crate) stop: Option<i64>,
    /// `result`, `error`, `cancelled` and so on.
    pub(crate) end: String,
    pub(crate) output: String,
    pub(crate) event: usize,
}

/// The user spoke over the agent.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Interruption {
    /// When playback was told to stop, and when the cut was settled.
    pub(crate) start: i64,
    pub(crate) at: i64,
    /// Parts that were cut: places in the output lane.
    pub(crate) parts: Vec<usize>,
    /// What was heard and what had come, all parts together (us).
    pub(crate) heard: i64,
    pub(crate) received: i64,
    pub(crate) event: usize,
}

/// How long the user waited for the agent's voice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// The part that was heard first.
    pub(crate) part: usize,
    /// Functions that ran meanwhile.
    pub(crate) functions: usize,
}

/// One connection.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) endpoint: u64,
    pub(crate) start: i64,
    pub(crate) open: Option<i64>,
    pub(crate) ready: Option<i64>,
    pub(crate) end: Option<i64>,
    pub(crate) reason: String,
    /// Whether this side ended it.
    pub(crate) closed: bool,
    pub(crate) event: usize,
}

/// Something at one moment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mark {
    pub(crate) at: i64,
    pub(crate) level: Level,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) event: usize,
}

/// The call in numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Totals {
    pub(crate) tokens: Tokens,
    /// Responses without usage.
    pub(crate) unreported: u64,
    pub(crate) transcription_tokens: u64,
    /// Speech that was transcribed, if that is billed by time (us).
    pub(crate) transcribed: i64,
    pub(crate) cost: Option<f64>,
    /// Audio that was lost on its way to the server, and to the ear (us).
    pub(crate) input_lost: i64,
    pub(crate) output_lost: i64,
}

/// All lines of the log. The columns are in a block of their own, and so is the JSON.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Events {
    pub(crate) count: usize,
    /// What lines are: who wrote them, their name, and their class.
    pub(crate) kinds: Vec<(String, String, String)>,
    /// JSON without its values.
    pub(crate) shapes: Vec<String>,
    /// Lines that stand for several: how many, when the last came, and their bytes of audio.
    pub(crate) folds: BTreeMap<usize, (u64, i64, u64)>,
    #[serde(skip)]
    pub(crate) columns: Vec<u8>,
    #[serde(skip)]
    pub(crate) pool: String,
}
