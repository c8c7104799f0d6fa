//! The wire's `session` object: what a session is configured to do.

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

use crate::audio::{AudioFormat, WireFormat};
use crate::field::{Field, RawJson};
use crate::id::SessionId;
use crate::prompt::Prompt;
use crate::tool::{Secret, Tool, ToolChoice};
use crate::wire::{open_enum, wire_enum, wire_struct};

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

    /// A key for one client, which ends by itself.
    pub struct ClientSecret {
        /// The key.
        value: Field<Secret>,
        /// When it ends: seconds since 1970.
        expires_at: Field<u64>,
    }

    /// A session's audio.
    pub struct AudioConfig {
        /// From the user.
        input: Field<AudioInput>,
        /// To the user.
        output: Field<AudioOutput>,
    }

    /// Audio from the user.
    pub struct AudioInput {
        /// What the bytes are.
        format: Field<WireFormat>,
        /// The transcription of what the user says; `null`: none.
        transcription: Field<Transcription>,
        /// Noise reduction before all else; `null`: none.
        noise_reduction: Field<NoiseReduction>,
        /// Where turns end; `null`: the client commits and creates responses itself.
        turn_detection: Field<TurnDetection>,
    }

    /// How the user's speech is transcribed.
    pub struct Transcription {
        /// The model.
        model: Field<String>,
        /// The language, ISO 639-1.
        language: Field<String>,
        /// Several languages.
        languages: Field<Vec<String>>,
        /// Words to expect.
        keywords: Field<Vec<String>>,
        /// Text that guides the style.
        prompt: Field<String>,
        /// How long it may wait for more.
        delay: Field<TranscriptionDelay>,
    }

    /// Noise reduction.
    pub struct NoiseReduction {
        /// Where the microphone is.
        kind as "type": Field<NoiseReductionKind>,
    }

    /// Turns end by silence.
    pub (tagged) struct ServerVad {
        /// How loud speech is, 0 to 1; default 0.5.
        threshold: Field<f64>,
        /// Audio kept from before the onset, ms; default 300.
        prefix_padding_ms: Field<u32>,
        /// Silence that ends a turn, ms; default 500.
        silence_duration_ms: Field<u32>,
        /// Whether the end of a turn creates a response; default true.
        create_response: Field<bool>,
        /// Whether the user's speech cancels a response; default true.
        interrupt_response: Field<bool>,
        /// Silence after a response that starts another, ms: 5,000 to 30,000.
        idle_timeout_ms: Field<u32>,
    }

    /// Turns end by meaning.
    pub (tagged) struct SemanticVad {
        /// How soon: `low`, `medium`, `high`, `auto`.
        eagerness: Field<Eagerness>,
        /// Whether the end of a turn creates a response; default true.
        create_response: Field<bool>,
        /// Whether the user's speech cancels a response; default true.
        interrupt_response: Field<bool>,
    }

    /// Audio to the user.
    pub struct AudioOutput {
        /// What the bytes are.
        format: Field<WireFormat>,
        /// The voice; fixed after the first audio.
        voice: Field<Voice>,
        /// 0.25 to 1.5, default 1.
        speed: Field<f64>,
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

    /// A voice of one's own.
    pub struct CustomVoice {
        /// The voice's id.
        id: Field<String>,
    }
}

wire_enum! {
    /// Where the server ends a turn.
    pub enum TurnDetection {
        /// By silence.
        ServerVad(ServerVad) = "server_vad",
        /// By meaning.
        SemanticVad(SemanticVad) = "semantic_vad",
    }
}

impl TurnDetection {
    /// Whether the end of a turn creates a response. True where it is not said.
    pub fn creates_response(&self) -> bool {
        match self {
            Self::ServerVad(vad) => vad.create_response,
            Self::SemanticVad(vad) => vad.create_response,
            Self::Unknown(_) => Field::Absent,
        }
        .unwrap_or(true)
    }

    /// Whether the user's speech cancels the response that runs. True where it is not said.
    pub fn interrupts_response(&self) -> bool {
        match self {
            Self::ServerVad(vad) => vad.interrupt_response,
            Self::SemanticVad(vad) => vad.interrupt_response,
            Self::Unknown(_) => Field::Absent,
        }
        .unwrap_or(true)
    }
}

impl SessionConfig {
    /// A realtime session with nothing else set: the server's defaults.
    pub fn realtime() -> Self {
        Self::default().kind(SessionKind::Realtime)
    }

    /// Lays an update over this configuration, as the server does: what the update sets replaces, `null`
    /// included, and what it leaves out stays. Only `audio` is gone into.
    pub fn merge(&mut self, update: Self) {
        macro_rules! replace {
            ($target:expr, $update:expr; $($member:ident),*) => {
                $(if !$update.$member.is_absent() { $target.$member = $update.$member; })*
            };
        }
        replace!(self, update; kind, id, object, expires_at, model, output_modalities, instructions, tools,
            tool_choice, parallel_tool_calls, reasoning, max_output_tokens, truncation, prompt, tracing, include,
            temperature, client_secret);
        for (name, value) in update.extra.iter() {
            self.extra.insert(name, value.clone());
        }
        match update.audio {
            Field::Value(audio) => {
                match audio.input {
                    Field::Value(input) => {
                        let target = self.input_mut();
                        replace!(target, input; format, transcription, noise_reduction, turn_detection);
                    }
                    Field::Null => self.audio.get_or_insert_default().input = Field::Null,
                    Field::Absent => {}
                }
                match audio.output {
                    Field::Value(output) => {
                        let target = self.output_mut();
                        replace!(target, output; format, voice, speed);
                    }
                    Field::Null => self.audio.get_or_insert_default().output = Field::Null,
                    Field::Absent => {}
                }
            }
            Field::Null => self.audio = Field::Null,
            Field::Absent => {}
        }
    }

    /// This configuration without one member, named as the server's errors name it: `session.audio.output.speed`.
    /// `None` where it has no such member.
    pub fn without(&self, path: &str) -> Option<Self> {
        let path = path.strip_prefix("session.").unwrap_or(path);
        let path = path.split(['[', ' ']).next().unwrap_or(path);
        let mut value = serde_json::to_value(self).ok()?;
        let (parents, member) = path.rsplit_once('.').unwrap_or(("", path));
        let mut object = &mut value;
        for name in parents.split('.').filter(|name| !name.is_empty()) {
            object = object.get_mut(name)?;
        }
        object.as_object_mut()?.remove(member)?;
        let mut config: Self = serde_json::from_value(value).ok()?;
        config.prune();
        Some(config)
    }

    /// Leaves out halves of `audio` that set nothing.
    pub(crate) fn prune(&mut self) {
        if let Some(audio) = self.audio.value_mut() {
            if audio.input.value().is_some_and(|input| *input == AudioInput::default()) {
                audio.input = Field::Absent;
            }
            if audio.output.value().is_some_and(|output| *output == AudioOutput::default()) {
                audio.output = Field::Absent;
            }
            if *audio == AudioConfig::default() {
                self.audio = Field::Absent;
            }
        }
    }

    /// The input half of `audio`.
    pub fn input(&self) -> Option<&AudioInput> {
        self.audio.value()?.input.value()
    }

    /// The output half of `audio`.
    pub fn output(&self) -> Option<&AudioOutput> {
        self.audio.value()?.output.value()
    }

    /// The input half of `audio`, made where it is missing.
    pub fn input_mut(&mut self) -> &mut AudioInput {
        self.audio.get_or_insert_default().input.get_or_insert_default()
    }

    /// The output half of `audio`, made where it is missing.
    pub fn output_mut(&mut self) -> &mut AudioOutput {
        self.audio.get_or_insert_default().output.get_or_insert_default()
    }

    /// Turn detection: absent means the server's default, `null` none.
    pub fn turn_detection(&self) -> &Field<TurnDetection> {
        const ABSENT: &Field<TurnDetection> = &Field::Absent;
        self.input().map_or(ABSENT, |input| &input.turn_detection)
    }

    /// What output bytes are; 24 kHz PCM where it is not said.
    pub fn output_format(&self) -> AudioFormat {
        self.output().and_then(|o| o.format.value()?.format()).unwrap_or_default()
    }

    /// What input bytes are; 24 kHz PCM where it is not said.
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

    /// Where the microphone is.
    pub enum NoiseReductionKind {
        /// Headphones.
        NearField = "near_field",
        /// A laptop or a room.
        FarField = "far_field",
    }

    /// How soon a turn ends by meaning.
    pub enum Eagerness {
        /// As medium.
        Auto = "auto",
        /// Waits up to 8 s.
        Low = "low",
        /// Waits up to 4 s.
        Medium = "medium",
        /// Waits up to 2 s.
        High = "high",
    }

    /// What the server should add to its events.
    pub enum Include {
        /// How sure the transcription is, token by token.
        TranscriptionLogprobs = "item.input_audio_transcription.logprobs",
    }

    /// How long a transcription may wait for more.
    pub enum TranscriptionDelay {
        /// Least.
        Minimal = "minimal",
        /// Little.
        Low = "low",
        /// More.
        Medium = "medium",
        /// Much.
        High = "high",
        /// Most.
        XHigh = "xhigh",
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

/// A voice: a name (`marin`, `cedar`, `alloy`, …), or one of your own by its id.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a name or an object; the object keeps what it does not know")]
pub enum Voice {
    /// A voice of the service's.
    Named(String),
    /// A voice of your own.
    Custom(CustomVoice),
}

crate::wire::by_shape!(Voice, Named(String) = b'"', Custom(CustomVoice) = b'{');

impl From<&str> for Field<Voice> {
    fn from(name: &str) -> Self {
        Self::Value(Voice::Named(name.into()))
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

impl crate::wire::Wire for MaxOutputTokens {}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for MaxOutputTokens {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "MaxOutputTokens".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "inf"}]})
    }
}
