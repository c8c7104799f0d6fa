//! A session's own settings: what this side decides. The wire's are in
//! [`SessionConfig`].

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Dialect;
use crate::session::deadlines::Deadlines;
use crate::session::interruption_policy::InterruptionPolicy;
use crate::session_config::SessionConfig;

/// What this side decides about a session.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct SessionOptions {
    /// The spelling on the wire.
    pub dialect: Dialect,
    /// How the session begins. Default: it is configured.
    pub begin: Begin,
    /// What the session is to be configured as. `session.update` carries just the members that are set.
    pub config: SessionConfig,
    /// Where the times of playback come from. Default: reports.
    pub playback: PlaybackSource,
    /// What becomes of items of which nothing was heard. Default: cut at 0 ms.
    pub unheard: Unheard,
    /// When the user's speech interrupts the assistant. Default: at once.
    pub interruption: InterruptionPolicy,
    /// How long an answer to `StopPlayback` may take before the last report counts. Default: 200 ms.
    pub stop_deadline: Duration,
    /// How long the server may take to open the session. Default: 10 s.
    pub created_deadline: Duration,
    /// How long the server may take to acknowledge the configuration, however often it refuses a part of
    /// that. Default: 5 s.
    pub ready_deadline: Duration,
    /// How long the server may take to answer anything else, and what follows when it does not.
    pub deadlines: Deadlines,
    /// How long a request waits, at most, for the end of the user's speech: what tells it may be lost.
    /// Default: 2 min.
    pub longest_turn: Duration,
    /// How long no audio may be appended while the user speaks before requests wait for the end of that
    /// speech no longer: a microphone that is muted in mid-speech says nothing of it. The turn is told as
    /// over. Where all audio comes by another way than this connection, it does not count. Default: 3 s.
    pub silent_turn_deadline: Duration,
    /// How long a request waits, after the user's turn, for the response that the server makes by itself.
    /// Default: 3 s.
    pub turn_response_deadline: Duration,
    /// The most input audio that is held until the session is ready: the newest. Default: 2 s.
    pub held_audio: Duration,
    /// The longest response (its audio): more of it is cancelled, for models that never end. Default: 10 min.
    pub longest_response: Duration,
    /// The largest response (bytes of its audio). Default: 64 MiB.
    pub largest_response: u64,
    /// Whether the model is asked to go on after its calls were answered. Default: always.
    pub follow_up: FollowUp,
    /// How often in a row the model is asked to go on after its functions were answered, without a word of
    /// the user: more is a loop, which costs and says nothing. A turn of the user's or a typed item begins
    /// anew. Default: 8.
    pub max_rounds: u32,
    /// Functions whose calls surface as soon as their arguments are whole, while the response still runs.
    /// Such a call runs even if its response is cancelled afterwards: only for functions without side
    /// effects. Default: none.
    pub early_functions: BTreeSet<String>,
    /// For push-to-talk: audio is kept back until [`Media::BeginTurn`](crate::call::Media::BeginTurn), and
    /// then so much of it from before goes along, so that the first syllable is not lost. Default: `None`:
    /// audio always goes out.
    pub pre_roll: Option<Duration>,
    /// How long before the session's age limit [`Event::Expiring`](crate::call::Event::Expiring) says
    /// so. Default: 5 min.
    pub expiry_notice: Duration,
    /// Whether every wire text of the server's is told as it came, before what it leads to:
    /// [`Event::Raw`](crate::call::Event::Raw). Default: no.
    pub raw_text: bool,
    /// What event ids are made of. The same entropy and inputs give the same outputs.
    pub entropy: u64,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            begin: Begin::default(),
            config: SessionConfig::realtime(),
            playback: PlaybackSource::default(),
            unheard: Unheard::default(),
            interruption: InterruptionPolicy::default(),
            stop_deadline: Duration::from_millis(200),
            created_deadline: Duration::from_secs(10),
            ready_deadline: Duration::from_secs(5),
            deadlines: Deadlines::default(),
            longest_turn: Duration::from_secs(120),
            silent_turn_deadline: Duration::from_secs(3),
            turn_response_deadline: Duration::from_secs(3),
            held_audio: Duration::from_secs(2),
            longest_response: Duration::from_secs(600),
            largest_response: 64 * 1024 * 1024,
            follow_up: FollowUp::default(),
            max_rounds: 8,
            early_functions: BTreeSet::new(),
            pre_roll: None,
            expiry_notice: Duration::from_secs(300),
            raw_text: false,
            entropy: 0,
        }
    }
}

/// How a session begins.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Begin {
    /// It gets the configuration of the options by `session.update`, and is ready once that is acknowledged.
    #[default]
    Configure,
    /// It is in full swing, as behind the side channel of a call: it is ready at once, with the configuration
    /// that its `session.created` reports, and nothing is sent. Of the options' configuration only its `type`
    /// counts. A call attaches again on each further connection, without a seed: the conversation goes on
    /// meanwhile. What was sent and not acknowledged when a connection ended may have arrived: it is not sent
    /// again.
    Attach,
}

/// Where the times of playback come from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlaybackSource {
    /// The application reports what it played and answers `StopPlayback`: exact.
    #[default]
    Reported,
    /// Nobody reports: audio counts as played at normal speed from the moment it came. Interruptions then say
    /// that they are estimates. A report that comes all the same moves the estimate on, never back.
    Estimated,
    /// The server plays, on a side channel of a call by WebRTC or SIP: `output_audio_buffer.started`,
    /// `stopped` and `cleared` say when, and positions in between are estimates. Interrupting clears the
    /// server's buffer, and the server truncates what was not heard. Most of the time no audio comes here;
    /// what comes is not to be played.
    Server,
}

/// What becomes of items of which nothing was heard when the user speaks over them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unheard {
    /// They are truncated at 0 ms, and stay as empty items.
    #[default]
    Truncate,
    /// They are deleted.
    Delete,
}

/// Whether the model is asked to go on once all calls of a response are answered.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FollowUp {
    /// If any of the answers asks for it.
    #[default]
    Always,
    /// If any of the answers asks for it, and the response that made the calls said nothing itself.
    IfSilent,
    /// Only by [`Command::CreateResponse`](crate::call::Command::CreateResponse).
    Never,
}
