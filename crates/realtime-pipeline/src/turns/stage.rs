//! The stage that says when the user's turn begins and ends, and what can be chosen for it: [`Turns`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::WorkId;
use crate::turns::ear::{Ear, Heard};
use crate::turns::floor::Floor;
#[cfg(doc)]
use crate::turns::key::Key;
use crate::turns::strategy::{EndOfTurn, Start, Stop};
use crate::turns::vad::Vad;

/// Says when the user's turn begins and ends, for a session without turn detection of its own
/// (`turn_detection: null`). It stands upstream of the service, and downstream of
/// [`Mute`](crate::turns::Mute).
///
/// ```
/// use std::time::Duration;
///
/// use realtime_pipeline::turns::{EnergyVad, Start, Stop, Turns};
///
/// // A turn begins with a voice, and ends after 600 ms of silence.
/// let by_voice = Turns::by_voice(EnergyVad::new());
///
/// // At a noisy counter: only 400 ms of voice interrupt, and nobody holds forth for more than a minute.
/// let counter = Turns::by_voice(EnergyVad::new())
///     .start_by([Start::VoiceFor(Duration::from_millis(400))])
///     .stop_by([Stop::Silence(Duration::from_millis(800)), Stop::Longest(Duration::from_secs(60))]);
/// # let _ = (by_voice, counter);
/// ```
///
/// It pushes these frames both ways, and hands on all others:
///
/// | frame | when |
/// |---|---|
/// | `User(VoiceStarted)`, `User(VoiceStopped)` | a voice is heard, or no longer: hints, by which playback may hold |
/// | `User(Started)`, `User(Stopped)` | a turn begins and ends |
/// | `User(Speaking)` | every 200 ms of a turn |
///
/// # Rules
/// - Beginnings and ends take turns, and what has begun ends: before `End` leaves, after `Cancel`, when the
///   user's audio is over, and when none comes for 1 s.
/// - A beginning precedes the audio frame in which it was found, and an end follows it. What was said before
///   that is the session's option `pre_roll`: as long as [`voice_start`](Self::voice_start) and 300 ms more,
///   or as [`Start::VoiceFor`].
/// - While the user is muted, no turn begins; a turn that is open when muting begins ends at once. A key that
///   is still down when muting ends begins one.
/// - A turn ends however short it is. The service commits none below 100 ms.
/// - `User` frames from upstream count only with [`Start::External`] and [`Stop::External`]; others are
///   dropped, and the first one is a fault. Without a detector of its own, hints from upstream pass.
/// - Audio is never changed, kept back or dropped.
///
/// What interrupts the assistant is the beginning of a turn: choose [`Start::Voice`] for at once, and
/// [`Start::VoiceFor`] for after some time. Playback that holds on a voice holds at `VoiceStarted`, and goes
/// on at `VoiceStopped` if no turn began. Whether a response may be interrupted at all is the service's
/// matter.
#[doc(alias(
    "VADProcessor",
    "VADController",
    "UserTurnController",
    "TurnAnalyzer",
    "SpeechControlParamsFrame"
))]
pub struct Turns {
    pub(super) name: Arc<str>,
    /// Whether the server says it all.
    pub(super) is_off: bool,
    pub(super) ear: Option<Ear>,
    pub(super) starts: Vec<Start>,
    pub(super) stops: Vec<Stop>,
    pub(super) no_audio: Option<Duration>,
    pub(super) floor: Floor,
    /// When audio came last.
    pub(super) last_audio: Timestamp,
    /// What the windows of the audio in hand hold; empty between steps, kept for its room.
    pub(super) heard: Vec<Heard>,
    /// The judge's work, while it runs.
    pub(super) judging: Option<WorkId>,
    pub(super) is_deaf: bool,
    pub(super) told_stray: bool,
}

/// The audio that a judge gets, at most.
const JUDGED: Duration = Duration::from_secs(8);

impl Turns {
    /// A turn begins when a voice is heard, and ends after 600 ms of silence.
    pub fn by_voice(vad: impl Vad) -> Self {
        let silence = Stop::Silence(Duration::from_millis(600));
        Self::new(Some(Ear::new(Box::new(vad)))).start_by([Start::Voice]).stop_by([silence])
    }

    /// A turn lasts as long as the [`Key`] is pressed.
    #[doc(alias = "push to talk")]
    pub fn push_to_talk() -> Self {
        Self::new(None).start_by([Start::Key]).stop_by([Stop::Key])
    }

    /// Frames `User(Started)` and `User(Stopped)` from upstream begin and end a turn: from the transport, or
    /// from the application.
    pub fn external() -> Self {
        Self::new(None).start_by([Start::External]).stop_by([Stop::External])
    }

    /// The server finds turns, and this stage pushes the hints of a detector on this side, which are earlier.
    pub fn hints(vad: impl Vad) -> Self {
        Self::new(Some(Ear::new(Box::new(vad))))
    }

    /// The server finds turns: nothing is pushed, and everything passes.
    pub fn server() -> Self {
        Self { is_off: true, ..Self::new(None) }
    }

    fn new(ear: Option<Ear>) -> Self {
        Self {
            name: "turns".into(),
            is_off: false,
            ear,
            starts: Vec::new(),
            stops: Vec::new(),
            no_audio: Some(Duration::from_secs(1)),
            floor: Floor::default(),
            last_audio: Timestamp::ZERO,
            heard: Vec::new(),
            judging: None,
            is_deaf: false,
            told_stray: false,
        }
    }

    /// What begins a turn, in place of what did.
    #[must_use]
    pub fn start_by(mut self, starts: impl IntoIterator<Item = Start>) -> Self {
        self.starts = starts.into_iter().collect();
        self
    }

    /// What ends a turn, in place of what did. Without any, a turn ends only when no audio comes or the user
    /// is muted.
    #[must_use]
    pub fn stop_by(mut self, stops: impl IntoIterator<Item = Stop>) -> Self {
        self.stops = stops.into_iter().collect();
        let is_judged = self.judge().is_some();
        if let Some(ear) = &mut self.ear {
            ear.keep(if is_judged { JUDGED } else { Duration::ZERO });
        }
        self
    }

    /// How long a voice must last before it counts. Rounded to the detector's windows. Default: 200 ms.
    #[must_use]
    pub fn voice_start(mut self, time: Duration) -> Self {
        if let Some(ear) = &mut self.ear {
            ear.limits_mut().start = time;
        }
        self
    }

    /// How long silence must last before a voice has stopped. Rounded to the detector's windows. Shorter ends
    /// a hold of playback sooner, longer judges fewer pauses. Default: 200 ms.
    #[must_use]
    pub fn voice_stop(mut self, time: Duration) -> Self {
        if let Some(ear) = &mut self.ear {
            ear.limits_mut().stop = time;
        }
        self
    }

    /// How sure the detector must be of a voice that begins: 0 to 1. One that goes on may be 0.15 less.
    /// Higher hears less noise and fewer quiet voices. Default: 0.5.
    #[must_use]
    pub fn threshold(mut self, threshold: f32) -> Self {
        if let Some(ear) = &mut self.ear {
            ear.limits_mut().threshold = threshold;
        }
        self
    }

    /// After how long without audio a voice and a turn end. `None`: never, for audio that takes another way.
    /// Default: 1 s.
    #[must_use]
    pub fn no_audio(mut self, time: Option<Duration>) -> Self {
        self.no_audio = time;
        self
    }

    /// A name for observers and faults.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    pub(super) fn judge(&self) -> Option<&Arc<dyn EndOfTurn>> {
        self.stops.iter().find_map(|stop| match stop {
            Stop::Judge { judge, .. } => Some(judge),
            _ => None,
        })
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns")
            .field("name", &self.name)
            .field("starts", &self.starts)
            .field("stops", &self.stops)
            .field("floor", &self.floor)
            .finish_non_exhaustive()
    }
}
