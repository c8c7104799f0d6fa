//! A session's audio: formats, transcription, noise reduction, turn detection and voice.

use alloc::string::String;
use alloc::vec::Vec;

use crate::audio::WireFormat;
use crate::field::{Field, RawJson};
use crate::wire::object::Object;
use crate::wire::{open_enum, wire_enum, wire_struct};

wire_struct! {
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
        /// Translation sessions alone: the language to speak, ISO 639-1.
        language: Field<String>,
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
    /// Returns whether the end of a turn creates a response. True if it is not set.
    pub fn creates_response(&self) -> bool {
        match self {
            Self::ServerVad(vad) => vad.create_response.unwrap_or(true),
            Self::SemanticVad(vad) => vad.create_response.unwrap_or(true),
            Self::Unknown(raw) => says(raw, "create_response").unwrap_or(true),
        }
    }

    /// Returns whether the user's speech cancels the response that runs. True if it is not set.
    pub fn interrupts_response(&self) -> bool {
        match self {
            Self::ServerVad(vad) => vad.interrupt_response.unwrap_or(true),
            Self::SemanticVad(vad) => vad.interrupt_response.unwrap_or(true),
            Self::Unknown(raw) => says(raw, "interrupt_response").unwrap_or(true),
        }
    }
}

/// Reads a member that all kinds of turn detection have from a kind that is not known.
fn says(raw: &RawJson, name: &str) -> Option<bool> {
    serde_json::from_str(Object::read(raw.get())?.get(name)?).ok()
}

open_enum! {
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
