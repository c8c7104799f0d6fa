//! When a turn begins and ends: [`Start`] and [`Stop`], and [`EndOfTurn`] for a judge of one's own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::chain::Samples;

/// What begins a turn. Any one of the chosen ones does.
///
/// There is no "after so many words": the words of a turn are known only after it was committed.
#[doc(alias(
    "UserTurnStrategies",
    "UserTurnStartStrategy",
    "VADUserTurnStartStrategy",
    "ExternalUserTurnStartStrategy"
))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Start {
    /// A voice is heard.
    Voice,
    /// A voice has been heard for so long, from its beginning and without a pause: a cough or "mm-hmm" does
    /// not interrupt the assistant. The session's option `pre_roll` must hold as much.
    VoiceFor(Duration),
    /// The key is pressed: [`Key::Pressed`](crate::turns::Key::Pressed).
    Key,
    /// A frame `User(Started)` comes from upstream.
    External,
}

/// What ends a turn. Any one of the chosen ones does.
#[doc(alias(
    "UserTurnStopStrategy",
    "SpeechTimeoutUserTurnStopStrategy",
    "TurnAnalyzerUserTurnStopStrategy"
))]
#[derive(Clone)]
#[non_exhaustive]
pub enum Stop {
    /// No voice has been heard for so long: 500 to 800 ms are usual. Less than what makes a voice end
    /// (200 ms, see [`Turns::voice_stop`](crate::turns::Turns::voice_stop)) has no effect.
    Silence(Duration),
    /// The key is released: [`Key::Released`](crate::turns::Key::Released).
    Key,
    /// A frame `User(Stopped)` comes from upstream.
    External,
    /// The turn has lasted so long. What the same voice says after that, and while the same key stays
    /// pressed, is no new turn.
    Longest(Duration),
    /// A judge decides at each pause.
    Judge {
        /// The judge.
        judge: Arc<dyn EndOfTurn>,
        /// The turn ends after so much silence, whatever the judge says.
        patience: Duration,
    },
}

impl Stop {
    /// A judge decides at each pause, and the turn ends after 3 s of silence whatever it says.
    pub fn judge(judge: impl EndOfTurn) -> Self {
        Self::Judge { judge: Arc::new(judge), patience: Duration::from_secs(3) }
    }

    /// After how much silence it ends a turn, if it does.
    pub(super) const fn silence(&self) -> Option<Duration> {
        match self {
            Self::Silence(silence) | Self::Judge { patience: silence, .. } => Some(*silence),
            Self::Key | Self::External | Self::Longest(_) => None,
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence(time) => f.debug_tuple("Silence").field(time).finish(),
            Self::Key => f.write_str("Key"),
            Self::External => f.write_str("External"),
            Self::Longest(time) => f.debug_tuple("Longest").field(time).finish(),
            Self::Judge { patience, .. } => f.debug_struct("Judge").field("patience", patience).finish(),
        }
    }
}

/// Judges at a pause whether the user has finished. It runs beside the chain, on a thread where it may
/// compute for long. If the user speaks on meanwhile, what it says does not count.
///
/// Any closure that takes an [`Utterance`] is one.
#[doc(alias("BaseTurnAnalyzer", "LocalSmartTurnAnalyzerV3"))]
pub trait EndOfTurn: Send + Sync + 'static {
    /// Judges what was said so far.
    fn judge(&self, utterance: &Utterance) -> Verdict;
}

impl<F: Fn(&Utterance) -> Verdict + Send + Sync + 'static> EndOfTurn for F {
    fn judge(&self, utterance: &Utterance) -> Verdict {
        self(utterance)
    }
}

/// What a judge says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a turn has ended or not")]
pub enum Verdict {
    /// The user has finished.
    Ended,
    /// The user will go on. The next pause is judged again.
    Wait,
}

/// What the user has said in a turn so far.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Utterance {
    /// The audio, mono, at the rate of the detector's windows: the last 8 s of it at most, the pause at its
    /// end, and up to 500 ms from before the turn began.
    pub audio: Samples,
    /// How long the turn has lasted.
    pub lasted: Duration,
}
