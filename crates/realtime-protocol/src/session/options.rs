//! A session's options: what this side decides. The settings of the wire are in [`SessionConfig`].

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Dialect;
use crate::session::deadlines::Deadlines;
use crate::session::interruption_policy::InterruptionPolicy;
use crate::session_config::SessionConfig;
use crate::setters::setters;

/// The options of a session.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SessionOptions {
    /// The spelling on the wire.
    pub dialect: Dialect,
    /// How the session begins. Default: it is configured.
    pub begin: Begin,
    /// The configuration to send. `session.update` carries only the members that are set.
    pub config: SessionConfig,
    /// How the times of playback are known. Default: by reports.
    pub playback: PlaybackSource,
    /// What to do with interrupted items that were not heard at all. Default: truncate at 0 ms.
    pub unheard: Unheard,
    /// When the user's speech interrupts the assistant. Default: at once.
    pub interruption: InterruptionPolicy,
    /// How long an answer to `StopPlayback` may take before the last report counts. Default: 200 ms.
    pub stop_deadline: Duration,
    /// How long the server may take to open the session. Default: 10 s.
    pub created_deadline: Duration,
    /// How long the server may take to acknowledge the configuration, including all rounds of refused
    /// members. Default: 5 s.
    pub ready_deadline: Duration,
    /// How long the server may take to answer anything else, and what follows when it does not.
    pub deadlines: Deadlines,
    /// The longest time that a request waits for the end of the user's speech, because the event that reports
    /// it may be lost. Default: 2 min.
    pub longest_turn: Duration,
    /// If no audio is appended for this long while the user speaks, the turn counts as over: the microphone
    /// may have been muted in mid-speech. The end of the turn is told, and requests no longer wait for it.
    /// Does not apply if the user's audio takes another route than this connection. Default: 3 s.
    pub silent_turn_deadline: Duration,
    /// How long a request waits, after the user's turn, for the server's own response. Default: 3 s.
    pub turn_response_deadline: Duration,
    /// The most input audio that is held until the session is ready: the newest. Default: 2 s.
    pub held_audio: Duration,
    /// The longest response (duration of its audio). A longer one is cancelled, because some models never
    /// end. Default: 10 min.
    pub longest_response: Duration,
    /// The largest response (bytes of its audio). Default: 64 MiB.
    pub largest_response: u64,
    /// Whether the model is asked to go on after its calls were answered. Default: always.
    pub follow_up: FollowUp,
    /// How often in a row the model is asked to go on after its functions were answered, without user input.
    /// More than that is a loop that costs money and says nothing. A user turn or a typed item restarts the
    /// count. Default: 8.
    pub max_rounds: u32,
    /// Functions whose calls are told as soon as their arguments are complete, while the response still runs.
    /// Such a call runs even if its response is cancelled afterwards, so name only functions without side
    /// effects. Default: none.
    pub early_functions: BTreeSet<String>,
    /// For push-to-talk: audio is kept back until [`Media::BeginTurn`](crate::call::Media::BeginTurn). Then
    /// this much audio from before is sent first, so that the first syllable is not lost. Default: `None`:
    /// audio is always sent.
    pub pre_roll: Option<Duration>,
    /// How long before the session's age limit [`Event::Expiring`](crate::call::Event::Expiring) comes.
    /// Default: 5 min.
    pub expiry_notice: Duration,
    /// Whether every wire text from the server is told as it came, before the events that it leads to:
    /// [`Event::Raw`](crate::call::Event::Raw). Default: no.
    pub raw_text: bool,
    /// The randomness for event ids. The same entropy and inputs give the same outputs.
    pub entropy: u64,
}

setters! {
    SessionOptions {
        dialect: Dialect,
        begin: Begin,
        config: SessionConfig,
        playback: PlaybackSource,
        unheard: Unheard,
        interruption: InterruptionPolicy,
        stop_deadline: Duration,
        created_deadline: Duration,
        ready_deadline: Duration,
        deadlines: Deadlines,
        longest_turn: Duration,
        silent_turn_deadline: Duration,
        turn_response_deadline: Duration,
        held_audio: Duration,
        longest_response: Duration,
        largest_response: u64,
        follow_up: FollowUp,
        max_rounds: u32,
        early_functions: BTreeSet<String>,
        pre_roll: Option<Duration>,
        expiry_notice: Duration,
        raw_text: bool,
        entropy: u64,
    }
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
    /// The session runs already, as on the side channel of a call. It is ready at once, with the
    /// configuration that its `session.created` reports, and no configuration is sent. Of the configuration
    /// in the options only `type` is used. A call attaches again on each further connection, without a seed,
    /// because the conversation goes on meanwhile. What was sent and not acknowledged when a connection ended
    /// may have arrived: it is not sent again.
    Attach,
}

/// How the times of playback are known.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlaybackSource {
    /// The application reports what it played and answers `StopPlayback`: exact.
    #[default]
    Reported,
    /// The application does not report. Audio counts as played at normal speed from the moment it came, and
    /// interruptions are marked as estimates. A report that comes anyway moves the estimate forward, never
    /// back.
    Estimated,
    /// The server plays, on a side channel of a call by WebRTC or SIP: `output_audio_buffer.started`,
    /// `stopped` and `cleared` say when, and positions in between are estimates. Interrupting clears the
    /// server's buffer, and the server truncates what was not heard. Usually no audio comes here; do not play
    /// it if it does. A call by WebRTC whose audio this side carries is the exception: the audio comes as it
    /// is heard, and may go on after the end of its response.
    Server,
}

/// What to do with items that were not heard at all when the user speaks over them.
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
