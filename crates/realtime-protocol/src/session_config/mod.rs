//! The wire's `session` object: what a session is configured to do.

mod audio_config;
mod echo;
pub(crate) mod member_path;
mod update;
mod without;

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

use crate::audio::AudioFormat;
use crate::field::{Field, RawJson};
use crate::id::SessionId;
use crate::prompt::Prompt;
use crate::tool::{Secret, Tool, ToolChoice};
use crate::wire::{open_enum, wire_enum, wire_struct};

pub use audio_config::*;
pub(crate) use echo::differences;

wire_struct! {
    /// A session's configuration. In an update, members left out stay as they are, and `null` switches off.
    pub struct SessionConfig {
        /// `realtime` or `transcription`. GA refuses an update without it.
        kind as "type": Field<SessionKind>,
        /// Written by the server.
        id: Field<SessionId>,
        /// Written by the server.
        object: Field<String>,
        /// When the session ends: seconds since 1970. Written by the server.
        expires_at: Field<u64>,
        /// The model; never changeable.
        model: Field<String>,
        /// `audio` (with a transcript) or `text`; not both in GA.
        output_modalities: Field<Vec<Modality>>,
        /// What the model is told to be.
        instructions: Field<String>,
        /// Input and output audio.
        audio: Field<AudioConfig>,
        /// Tools that the model may call.
        tools: Field<Vec<Tool>>,
        /// Which of them.
        tool_choice: Field<ToolChoice>,
        /// Whether several calls may be made at once.
        parallel_tool_calls: Field<bool>,
        /// How hard to think; refused by models that do not.
        reasoning: Field<Reasoning>,
        /// The most tokens of one response: 1 to 4,096, or no limit.
        max_output_tokens: Field<MaxOutputTokens>,
        /// What happens when the conversation outgrows the model's context.
        truncation: Field<Truncation>,
        /// A stored prompt.
        prompt: Field<Prompt>,
        /// Tracing on OpenAI's side; fixed once set.
        tracing: Field<Tracing>,
        /// What the server should add to its events.
        include: Field<Vec<Include>>,
        /// Beta only: 0.6 to 1.2.
        temperature: Field<f64>,
        /// Beta only, over HTTP: the key that the session was made with. Written by the server.
        client_secret: Field<ClientSecret>,
    }

    /// A key for one client, which expires by itself.
    pub struct ClientSecret {
        /// The key.
        value: Field<Secret>,
        /// When it expires: seconds since 1970.
        expires_at: Field<u64>,
    }

    /// How hard a reasoning model thinks.
    pub struct Reasoning {
        /// The effort.
        effort: Field<ReasoningEffort>,
    }

    /// What OpenAI's traces of the session are called.
    pub struct TracingConfig {
        /// The workflow's name.
        workflow_name: Field<String>,
        /// What groups traces.
        group_id: Field<String>,
        /// Anything else: an object.
        metadata: Field<RawJson>,
    }

    /// The conversation is cut further than it must be, so that the cache serves longer.
    pub (tagged) struct RetentionRatio {
        /// How much of it stays, 0 to 1.
        retention_ratio: Field<f64>,
        /// Limits below the model's own.
        token_limits: Field<TruncationLimits>,
    }

    /// Limits at which a conversation is cut.
    pub struct TruncationLimits {
        /// Tokens of the conversation, instructions not counted.
        post_instructions: Field<u64>,
    }

}

impl SessionConfig {
    /// A realtime session with nothing else set: the server's defaults.
    pub fn realtime() -> Self {
        Self::default().kind(SessionKind::Realtime)
    }

    /// The input half of `audio`.
    pub fn input(&self) -> Option<&AudioInput> {
        self.audio.value()?.input.value()
    }

    /// The output half of `audio`.
    pub fn output(&self) -> Option<&AudioOutput> {
        self.audio.value()?.output.value()
    }

    /// The input half of `audio`. Created if missing.
    pub fn input_mut(&mut self) -> &mut AudioInput {
        self.audio.get_or_insert_default().input.get_or_insert_default()
    }

    /// The output half of `audio`. Created if missing.
    pub fn output_mut(&mut self) -> &mut AudioOutput {
        self.audio.get_or_insert_default().output.get_or_insert_default()
    }

    /// Turn detection: absent means the server's default, `null` none.
    pub fn turn_detection(&self) -> &Field<TurnDetection> {
        const ABSENT: &Field<TurnDetection> = &Field::Absent;
        self.input().map_or(ABSENT, |input| &input.turn_detection)
    }

    /// How the user's speech is transcribed: absent or `null` means not at all.
    pub fn transcription(&self) -> &Field<Transcription> {
        const ABSENT: &Field<Transcription> = &Field::Absent;
        self.input().map_or(ABSENT, |input| &input.transcription)
    }

    /// The format of output audio. Default: 24 kHz PCM.
    pub fn output_format(&self) -> AudioFormat {
        self.output().and_then(|o| o.format.value()?.format()).unwrap_or_default()
    }

    /// The format of input audio. Default: 24 kHz PCM.
    pub fn input_format(&self) -> AudioFormat {
        self.input().and_then(|i| i.format.value()?.format()).unwrap_or_default()
    }
}

open_enum! {
    /// The family of a session.
    pub enum SessionKind {
        /// Speech to speech.
        Realtime = "realtime",
        /// Speech to text.
        Transcription = "transcription",
    }

    /// What a response is made of.
    pub enum Modality {
        /// Audio, with its transcript.
        Audio = "audio",
        /// Text.
        Text = "text",
    }

    /// What the server should add to its events.
    pub enum Include {
        /// How sure the transcription is, token by token.
        TranscriptionLogprobs = "item.input_audio_transcription.logprobs",
    }

    /// How OpenAI traces a session.
    pub enum TracingMode {
        /// With names of its own.
        Auto = "auto",
    }

    /// What happens when the conversation outgrows the model's context.
    pub enum TruncationMode {
        /// The oldest messages are dropped.
        Auto = "auto",
        /// Nothing is dropped: the response fails.
        Disabled = "disabled",
    }

    /// How hard a reasoning model thinks.
    pub enum ReasoningEffort {
        /// The default.
        Low = "low",
        /// Least.
        Minimal = "minimal",
        /// More.
        Medium = "medium",
        /// Much.
        High = "high",
        /// Most.
        XHigh = "xhigh",
    }
}

/// Tracing on OpenAI's side: with names of its own, or with yours.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a word or an object; both are open themselves")]
pub enum Tracing {
    /// `auto`.
    Mode(TracingMode),
    /// With these names.
    Config(TracingConfig),
}

crate::wire::by_shape!(Tracing, Mode(TracingMode) = b'"', Config(TracingConfig) = b'{');

wire_enum! {
    /// A rule by which a conversation is cut.
    pub enum TruncationRule {
        /// Further than it must be, so that the cache serves longer.
        RetentionRatio(RetentionRatio) = "retention_ratio",
    }
}

/// What happens when the conversation outgrows the model's context: a word, or a rule.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a word or an object; both are open themselves")]
pub enum Truncation {
    /// `auto` or `disabled`.
    Mode(TruncationMode),
    /// By this rule.
    Rule(TruncationRule),
}

crate::wire::by_shape!(Truncation, Mode(TruncationMode) = b'"', Rule(TruncationRule) = b'{');

/// The most tokens of one response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a number or `inf`")]
pub enum MaxOutputTokens {
    /// 1 to 4,096.
    Limit(u32),
    /// Wire: `"inf"`.
    Infinite,
}

impl Serialize for MaxOutputTokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Limit(limit) => serializer.serialize_u32(*limit),
            Self::Infinite => serializer.serialize_str("inf"),
        }
    }
}

impl<'de> Deserialize<'de> for MaxOutputTokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrInf;
        impl serde::de::Visitor<'_> for NumberOrInf {
            type Value = MaxOutputTokens;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a number or \"inf\"")
            }
            fn visit_u64<E: serde::de::Error>(self, limit: u64) -> Result<MaxOutputTokens, E> {
                u32::try_from(limit)
                    .map(MaxOutputTokens::Limit)
                    .map_err(|_| E::custom("expected a smaller number"))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MaxOutputTokens, E> {
                if text == "inf" { Ok(MaxOutputTokens::Infinite) } else { Err(E::custom("expected \"inf\"")) }
            }
        }
        deserializer.deserialize_any(NumberOrInf)
    }
}

impl crate::wire::Wire for MaxOutputTokens {
    const LOOSE: bool = true;

    fn from_raw(raw: &serde_json::value::RawValue) -> Result<Self, crate::wire::Mismatch> {
        serde_json::from_str(raw.get()).or_else(|error| {
            let limit = crate::wire::whole(raw.get()).and_then(|limit| u32::try_from(limit).ok());
            limit.map(Self::Limit).ok_or_else(|| crate::wire::mismatch(raw, &error))
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for MaxOutputTokens {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "MaxOutputTokens".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "inf"}]})
    }
}
