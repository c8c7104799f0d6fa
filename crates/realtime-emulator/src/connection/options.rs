//! The options of one connection's core: times, sizes, bounds.

use std::time::Duration;

use realtime_protocol::event::Dialect;
use realtime_protocol::session_config::{SessionConfig, SessionKind};

use crate::profile::Profile;
use crate::voice::VoiceKind;

/// Settings of one [`Connection`](crate::Connection). Plain data: change what you need of the default.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// The model that the session names; default `gpt-realtime`. The socket part sets it from the URL.
    pub model: String,
    /// The seed of all ids; default 0. The same seed and inputs give the same events.
    pub seed: u64,
    /// From a response's start to its first item; default 200 ms.
    pub latency: Duration,
    /// From the commit of the user's audio to its transcript; default 150 ms. Zero puts it before the
    /// response.
    pub transcription_delay: Duration,
    /// Sound in one `response.output_audio.delta`; default 100 ms.
    pub audio_delta: Duration,
    /// How much audio is sent at once, with longer pauses between to keep the pace; default 400 ms. Zero: one
    /// delta.
    pub burst: Duration,
    /// What [`AudioSource::Tones`](crate::brain::AudioSource::Tones) sounds like; default tones.
    pub voice: VoiceKind,
    /// How many times faster than real time audio is sent; default 10. Zero or infinite: all at once.
    pub pace: f64,
    /// The session's default `silence_duration_ms` of server VAD; default 500 ms.
    pub silence_duration_ms: u32,
    /// Tokens that a response can read, including instructions and tools. `truncation` uses this limit.
    /// Default: as documented for the model, 123,904 from `gpt-realtime-2` on, 28,224 for others.
    pub context_tokens: Option<u64>,
    /// How long a session lives; default 60 minutes, as at OpenAI.
    pub session_length: Duration,
    /// How long a cancelled response goes on before it ends, because deltas are under way; default 0.
    pub cancel_delay: Duration,
    /// The kind of session; default [`SessionKind::Realtime`]. The socket part sets it from the URL.
    pub kind: SessionKind,
    /// The initial configuration: members that are set replace the defaults; default nothing.
    pub session: Box<SessionConfig>,
    /// Whether it is the side channel of a call: audio goes over the call, not over this connection. Default
    /// no.
    pub sideband: bool,
    /// Whether `conversation.created` is sent; default as the dialect has it: beta does.
    pub conversation_created: Option<bool>,
    /// The spelling on the wire; default GA. The socket part sets it from the URL and the headers.
    pub dialect: Dialect,
    /// The server to imitate; default OpenAI's. The dialect must fit it: see [`Profile::dialect`].
    pub profile: Profile,
    /// What bounds its memory.
    pub limits: Limits,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            model: "gpt-realtime".into(),
            seed: 0,
            latency: Duration::from_millis(200),
            transcription_delay: Duration::from_millis(150),
            audio_delta: Duration::from_millis(100),
            burst: Duration::from_millis(400),
            voice: VoiceKind::Tones,
            pace: 10.0,
            silence_duration_ms: 500,
            context_tokens: None,
            session_length: Duration::from_secs(60 * 60),
            cancel_delay: Duration::ZERO,
            kind: SessionKind::Realtime,
            session: Box::default(),
            sideband: false,
            conversation_created: None,
            dialect: Dialect::Ga,
            profile: Profile::OpenAi,
            limits: Limits::default(),
        }
    }
}

/// Bounds on what one connection keeps.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of uncommitted input audio; default 15 MiB (five minutes). More is refused without turn
    /// detection, and ends the turn with it.
    pub input_buffer_bytes: usize,
    /// Items in the conversation; default 1,024. The oldest leave without an event, as in the service's
    /// truncation.
    pub items: usize,
    /// Bytes of audio kept for one item; default 15 MiB. Further audio is counted but not kept.
    pub item_audio_bytes: usize,
    /// Bytes of audio kept for all items; default 64 MiB. The oldest items' audio goes first. A server lowers
    /// it if there are many sessions: see [`Options::audio_memory`](crate::Options::audio_memory).
    pub conversation_audio_bytes: usize,
    /// Out-of-band responses at once; default 16. More are refused.
    pub side_responses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_buffer_bytes: 15 << 20,
            items: 1024,
            item_audio_bytes: 15 << 20,
            conversation_audio_bytes: 64 << 20,
            side_responses: 16,
        }
    }
}
