//! The session's configuration: the server's defaults, and how an update changes them.
//!
//! The rule kept here: one bad member refuses the whole update, and nothing of it takes effect.

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::event::Dialect;
use realtime_protocol::field::Field;
use realtime_protocol::id::SessionId;
use realtime_protocol::session_config::{
    AudioConfig, AudioInput, AudioOutput, Eagerness, MaxOutputTokens, Modality, ServerVad, SessionConfig,
    SessionKind, Truncation, TruncationMode, TurnDetection, Voice,
};
use realtime_protocol::time::UnixTime;
use realtime_protocol::tool::{ToolChoice, ToolMode};

use crate::connection::context;
use crate::connection::fault::Fault;
use crate::connection::ids::Ids;
use crate::connection::options::ConnectionOptions;
use crate::connection::session_check;
use crate::connection::spelling::TEMPERATURE;

/// The effective configuration.
#[derive(Debug)]
pub(crate) struct Session {
    config: SessionConfig,
    /// The server's default for [`ServerVad::silence_duration_ms`].
    silence_duration_ms: u32,
    /// Tokens that a response can read.
    most_read: u64,
    /// The model in the URL, if this kind of session cannot have one.
    wrong_model: Option<String>,
    /// Whether the assistant was heard: its voice is fixed then.
    pub(crate) spoken: bool,
}

impl Session {
    pub(crate) fn new(options: &ConnectionOptions, id: SessionId, wall: UnixTime) -> Self {
        let expires_at = wall.as_micros() / 1_000_000 + options.session_length.as_secs();
        let mut config = SessionConfig {
            kind: options.kind.clone().into(),
            id: id.into(),
            expires_at: expires_at.into(),
            include: Field::Null,
            ..SessionConfig::default()
        };
        if options.kind == SessionKind::Transcription {
            config.object = "realtime.transcription_session".into();
        } else {
            config = SessionConfig {
                object: "realtime.session".into(),
                model: options.model.clone().into(),
                output_modalities: vec![Modality::Audio].into(),
                instructions: INSTRUCTIONS.into(),
                tools: Vec::new().into(),
                tool_choice: default_choice(),
                max_output_tokens: MaxOutputTokens::Infinite.into(),
                truncation: auto(),
                prompt: Field::Null,
                tracing: Field::Null,
                temperature: match options.dialect {
                    Dialect::Beta => Field::Value(TEMPERATURE),
                    _ => Field::Absent,
                },
                ..config
            };
        }
        let is_wrong = options.kind == SessionKind::Transcription && !options.model.is_empty();
        let wrong_model = is_wrong.then(|| options.model.clone());
        let mut session = Self {
            config,
            silence_duration_ms: options.silence_duration_ms,
            most_read: options.context_tokens.unwrap_or_else(|| context::most_read(&options.model)),
            wrong_model,
            spoken: false,
        };
        session.config.audio = session.default_audio().into();
        session.apply(SessionConfig::clone(&options.session));
        session
    }

    pub(crate) const fn config(&self) -> &SessionConfig {
        &self.config
    }

    pub(crate) const fn most_read(&self) -> u64 {
        self.most_read
    }

    /// The configuration as events show it, every member written that the service writes.
    pub(crate) fn shown(&self) -> Box<SessionConfig> {
        let mut shown = self.config.clone();
        shown.parallel_tool_calls = Field::Absent;
        Box::new(shown)
    }

    /// Applies an update, or nothing of it.
    pub(crate) fn update(&mut self, update: SessionConfig) -> Result<(), Fault> {
        if let Some(model) = &self.wrong_model {
            let message = format!("Model \"{model}\" is not supported in transcription mode.");
            return Err(Fault::new("invalid_model", message));
        }
        session_check::check(&update, self)?;
        self.apply(update);
        Ok(())
    }

    /// Applies what was found to be good.
    fn apply(&mut self, update: SessionConfig) {
        let is_transcription = self.is_transcription();
        let silence_duration_ms = self.silence_duration_ms;
        let default_audio = self.default_audio();
        let config = &mut self.config;
        replace(&mut config.include, update.include, || Field::Null);
        if !is_transcription {
            replace(&mut config.output_modalities, update.output_modalities, || vec![Modality::Audio].into());
            replace(&mut config.instructions, update.instructions, || "".into());
            replace(&mut config.tools, update.tools, || Vec::new().into());
            replace(&mut config.tool_choice, update.tool_choice, default_choice);
            replace(&mut config.max_output_tokens, update.max_output_tokens, || {
                MaxOutputTokens::Infinite.into()
            });
            replace(&mut config.truncation, update.truncation, auto);
            replace(&mut config.parallel_tool_calls, update.parallel_tool_calls, || Field::Absent);
            replace(&mut config.reasoning, update.reasoning, || Field::Absent);
            replace(&mut config.prompt, update.prompt, || Field::Null);
            replace(&mut config.temperature, update.temperature, || Field::Value(TEMPERATURE));
            replace(&mut config.tracing, update.tracing, || Field::Null);
        }
        match update.audio {
            Field::Absent => {}
            Field::Null => config.audio = default_audio.into(),
            Field::Value(audio) => {
                if let Some(input) = audio.input.into_value() {
                    merge_input(config.input_mut(), input, silence_duration_ms);
                }
                if let Some(output) = audio.output.into_value().filter(|_| !is_transcription) {
                    merge_output(config.output_mut(), output);
                }
            }
        }
        if is_transcription
            && let Field::Value(TurnDetection::ServerVad(vad)) = &mut config.input_mut().turn_detection
        {
            // There are no responses to create or to interrupt.
            vad.create_response = Field::Absent;
            vad.interrupt_response = Field::Absent;
            vad.idle_timeout_ms = Field::Absent;
        }
    }

    fn is_transcription(&self) -> bool {
        self.config.kind.value() == Some(&SessionKind::Transcription)
    }

    fn default_audio(&self) -> AudioConfig {
        let vad = filled(ServerVad::default().into(), self.silence_duration_ms);
        let audio = AudioConfig::default().input(AudioInput {
            format: AudioFormat::PCM16_24K.into(),
            transcription: Field::Null,
            noise_reduction: Field::Null,
            turn_detection: vad.into(),
            ..AudioInput::default()
        });
        if self.is_transcription() {
            return audio;
        }
        audio.output(AudioOutput::default().format(AudioFormat::PCM16_24K).voice(VOICE).speed(1.0))
    }
}

/// What a session would show that begins with this, or the fault that refuses it.
pub(crate) fn opening_session(given: &SessionConfig, dialect: Dialect) -> Result<SessionConfig, Fault> {
    let is_transcription = given.kind.value() == Some(&SessionKind::Transcription);
    let kind = if is_transcription { SessionKind::Transcription } else { SessionKind::Realtime };
    let default = if is_transcription { "" } else { "gpt-realtime" };
    let model = given.model.value().filter(|_| !is_transcription).map_or(default, String::as_str).into();
    let options = ConnectionOptions { kind, model, dialect, ..ConnectionOptions::default() };
    let mut session = Session::new(&options, Ids::new(0).session(), UnixTime::from_secs(0));
    session.update(given.clone())?;
    Ok(*session.shown())
}

/// A given member replaces the old value, `null` restores the default, and a member left out changes nothing.
fn replace<T>(member: &mut Field<T>, update: Field<T>, default: impl FnOnce() -> Field<T>) {
    match update {
        Field::Absent => {}
        Field::Null => *member = default(),
        value => *member = value,
    }
}

fn merge_input(input: &mut AudioInput, update: AudioInput, silence_duration_ms: u32) {
    let format = update.format.value().and_then(|format| format.format());
    replace(&mut input.format, format.map_or_else(|| update.format.clone(), Field::from), || {
        AudioFormat::PCM16_24K.into()
    });
    match update.transcription {
        Field::Value(mut transcription) => {
            null_if_absent(&mut transcription.language);
            null_if_absent(&mut transcription.prompt);
            input.transcription = transcription.into();
        }
        other => replace(&mut input.transcription, other, || Field::Null),
    }
    replace(&mut input.noise_reduction, update.noise_reduction, || Field::Null);
    match update.turn_detection {
        Field::Value(detection) => input.turn_detection = filled(detection, silence_duration_ms).into(),
        other => replace(&mut input.turn_detection, other, || Field::Null),
    }
}

fn merge_output(output: &mut AudioOutput, update: AudioOutput) {
    let format = update.format.value().and_then(|format| format.format());
    replace(&mut output.format, format.map_or(update.format, Field::from), || AudioFormat::PCM16_24K.into());
    // Events show a voice of one's own by its id alone.
    let voice = match update.voice {
        Field::Value(Voice::Custom(custom)) => {
            Voice::Named(custom.id.into_value().unwrap_or_default()).into()
        }
        voice => voice,
    };
    replace(&mut output.voice, voice, || VOICE.into());
    replace(&mut output.speed, update.speed, || 1.0.into());
}

/// Turn detection with the server's defaults for what was left out: clients look for them in the answer.
fn filled(detection: TurnDetection, silence_duration_ms: u32) -> TurnDetection {
    match detection {
        TurnDetection::ServerVad(mut vad) => {
            vad.threshold = vad.threshold.unwrap_or(0.5).into();
            vad.prefix_padding_ms = vad.prefix_padding_ms.unwrap_or(300).into();
            vad.silence_duration_ms = vad.silence_duration_ms.unwrap_or(silence_duration_ms).into();
            null_if_absent(&mut vad.idle_timeout_ms);
            vad.create_response = vad.create_response.unwrap_or(true).into();
            vad.interrupt_response = vad.interrupt_response.unwrap_or(true).into();
            vad.into()
        }
        TurnDetection::SemanticVad(mut vad) => {
            if vad.eagerness.value().is_none() {
                vad.eagerness = Eagerness::Auto.into();
            }
            vad.create_response = vad.create_response.unwrap_or(true).into();
            vad.interrupt_response = vad.interrupt_response.unwrap_or(true).into();
            vad.into()
        }
        other => other,
    }
}

fn null_if_absent<T>(field: &mut Field<T>) {
    if field.is_absent() {
        *field = Field::Null;
    }
}

fn default_choice() -> Field<ToolChoice> {
    ToolChoice::Mode(ToolMode::Auto).into()
}

fn auto() -> Field<Truncation> {
    Truncation::Mode(TruncationMode::Auto).into()
}

const VOICE: &str = "marin";
const INSTRUCTIONS: &str = "You are an emulator of a helpful, friendly voice assistant.";
