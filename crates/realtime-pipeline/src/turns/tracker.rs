//! How long the user waited, turn by turn: [`TurnTracker`].

use std::fmt;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::{BotSpeech, Frame, FrameId, FrameKind, Hop, Observer, UserSpeech};

/// Watches who speaks, and reports each turn of the conversation: what the user said, and the assistant's
/// answer to it. The first turn begins with the run, so that a greeting is its answer.
///
/// A turn is over when the user speaks after the assistant has, when the assistant has been silent for 2.5 s,
/// or with the run.
///
/// ```
/// use realtime_pipeline::turns::{TurnEnd, TurnTracker};
///
/// let tracker = TurnTracker::new(|turn| {
///     let waited = turn.waited.map_or(0, |waited| waited.as_millis());
///     eprintln!("turn {}: {waited} ms, interrupted: {}", turn.number, turn.end == TurnEnd::Interrupted);
/// });
/// # let _ = tracker;
/// ```
#[doc(alias("TurnTrackingObserver", "UserBotLatencyObserver", "UserBotLatencyLogObserver"))]
pub struct TurnTracker {
    report: Box<dyn FnMut(&TurnReport) + Send>,
    /// `None`: no turn is open.
    open: Option<TurnReport>,
    /// How many turns have begun.
    count: u64,
    user: Side,
    bot: Side,
}

/// A turn of the conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TurnReport {
    /// Counts from 1.
    pub number: u64,
    /// When it began: when the user began to speak; for the first turn, the run.
    pub began_at: Timestamp,
    /// When the user had finished. `None`: the user said nothing.
    pub user_stopped_at: Option<Timestamp>,
    /// When the assistant was first heard. `None`: it did not answer.
    pub bot_started_at: Option<Timestamp>,
    /// When the assistant fell silent. `None`: it did not answer, or was not done.
    pub bot_stopped_at: Option<Timestamp>,
    /// How long the user waited for the assistant. What a detector needs to see the end of speech is not part
    /// of it. `None`: there was nothing to wait for, or no answer.
    pub waited: Option<Duration>,
    /// When it was over.
    pub ended_at: Timestamp,
    /// How.
    pub end: TurnEnd,
}

/// How a turn of the conversation ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TurnEnd {
    /// The assistant had finished.
    Completed,
    /// The user spoke while the assistant did.
    Interrupted,
    /// The run ended before the turn did.
    RunOver,
}

/// What one side does.
#[derive(Debug, Default)]
struct Side {
    speaks: bool,
    /// The last frame that told of it: a frame is seen on each hop.
    last: Option<FrameId>,
}

impl Side {
    /// Returns whether this frame is new, and tells something new.
    fn turns(&mut self, speaks: bool, frame: &Frame) -> bool {
        let is_new = self.last.is_none_or(|last| last < frame.id());
        if !is_new {
            return false;
        }
        self.last = Some(frame.id());
        std::mem::replace(&mut self.speaks, speaks) != speaks
    }
}

/// How long the assistant may pause in a turn.
const PAUSE: Duration = Duration::from_millis(2_500);

impl TurnTracker {
    /// A tracker that gives each turn that is over to `report`, which must return at once.
    pub fn new(report: impl FnMut(&TurnReport) + Send + 'static) -> Self {
        let (user, bot) = (Side::default(), Side::default());
        Self { report: Box::new(report), open: None, count: 0, user, bot }
    }

    fn begin(&mut self, at: Timestamp) {
        self.count += 1;
        self.open = Some(TurnReport {
            number: self.count,
            began_at: at,
            user_stopped_at: None,
            bot_started_at: None,
            bot_stopped_at: None,
            waited: None,
            ended_at: at,
            end: TurnEnd::Completed,
        });
    }

    fn end(&mut self, at: Timestamp, end: TurnEnd) {
        if let Some(turn) = self.open.take() {
            (self.report)(&TurnReport { ended_at: at, end, ..turn });
        }
    }

    fn user_started(&mut self, at: Timestamp) {
        match &self.open {
            Some(turn) if turn.bot_started_at.is_some() => {
                let end = if self.bot.speaks { TurnEnd::Interrupted } else { TurnEnd::Completed };
                self.end(at, end);
                self.begin(at);
            }
            // The user goes on before there was an answer.
            Some(_) => {}
            None => self.begin(at),
        }
    }

    fn user_stopped(&mut self, at: Timestamp) {
        if let Some(turn) = &mut self.open {
            turn.user_stopped_at = Some(at);
        }
    }

    fn bot_started(&mut self, at: Timestamp) {
        if self.open.is_none() {
            self.begin(at);
        }
        let Some(turn) = &mut self.open else { return };
        if turn.bot_started_at.is_none() {
            turn.bot_started_at = Some(at);
            turn.waited = turn.user_stopped_at.map(|stopped| at.saturating_since(stopped));
        }
        turn.bot_stopped_at = None;
    }

    fn bot_stopped(&mut self, at: Timestamp) {
        // An answer that was interrupted belongs to the turn before.
        if let Some(turn) = self.open.as_mut().filter(|turn| turn.bot_started_at.is_some()) {
            turn.bot_stopped_at = Some(at);
        }
    }

    /// The assistant has been silent for long enough.
    fn time_passed(&mut self, now: Timestamp) {
        let stopped = self.open.as_ref().and_then(|turn| turn.bot_stopped_at);
        if let Some(stopped) = stopped
            && stopped + PAUSE <= now
        {
            self.end(stopped, TurnEnd::Completed);
        }
    }
}

impl Observer for TurnTracker {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        self.time_passed(hop.at);
        match hop.frame.kind() {
            FrameKind::Start if self.count == 0 => self.begin(hop.at),
            FrameKind::End { .. } | FrameKind::Cancel { .. } => {
                let is_done = self.open.as_ref().is_some_and(|turn| turn.bot_stopped_at.is_some());
                self.end(hop.at, if is_done { TurnEnd::Completed } else { TurnEnd::RunOver });
            }
            FrameKind::User(UserSpeech::Started { .. }) if self.user.turns(true, hop.frame) => {
                self.user_started(hop.at);
            }
            FrameKind::User(UserSpeech::Stopped { .. }) if self.user.turns(false, hop.frame) => {
                self.user_stopped(hop.at);
            }
            FrameKind::Bot(BotSpeech::Started) if self.bot.turns(true, hop.frame) => self.bot_started(hop.at),
            FrameKind::Bot(BotSpeech::Stopped) if self.bot.turns(false, hop.frame) => {
                self.bot_stopped(hop.at);
            }
            _ => {}
        }
    }
}

impl fmt::Debug for TurnTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnTracker")
            .field("count", &self.count)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}
