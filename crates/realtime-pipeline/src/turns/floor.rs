//! Who has the floor: [`Floor`] keeps the user's voice and turn, and decides when a turn begins and ends.

use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::UserSpeech;
use crate::turns::detector::{Edge, State};
use crate::turns::ear::Heard;
use crate::turns::key::Key;
use crate::turns::strategy::{Start, Stop};

/// The user's voice and turn.
///
/// What it decides it puts into `told`, in order: a beginning only if nothing of the kind is open, an end
/// only if something is.
#[derive(Debug, Default)]
pub(super) struct Floor {
    voice: Voice,
    turn: Option<Turn>,
    key: Hold,
    is_muted: bool,
    /// The number of the last pause, or of the voice since then.
    pause: u64,
    /// A pause that no judge has seen.
    unjudged: bool,
    told: Vec<UserSpeech>,
}

/// The user's voice.
#[derive(Debug, Default)]
struct Voice {
    /// Since when it is heard, if it is.
    since: Option<Timestamp>,
    state: State,
    /// How long it has lasted.
    lasted: Duration,
    /// How long none has been heard, or how long the turn has lasted without any.
    silence: Duration,
    /// Whether it had a turn already.
    is_spent: bool,
}

/// The user's turn.
#[derive(Debug)]
struct Turn {
    since: Timestamp,
    speaking_at: Timestamp,
    /// A judge says that it has ended.
    is_judged: bool,
}

/// The key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Hold {
    #[default]
    Up,
    Down,
    /// Down, and begins no turn: the one that it began was too long, or nothing more is heard.
    Spent,
}

/// How often it is told that the user speaks.
const SPEAKING: Duration = Duration::from_millis(200);

impl Floor {
    /// Takes a window of audio.
    pub(super) fn window(&mut self, heard: Heard, starts: &[Start], stops: &[Stop], now: Timestamp) {
        let voice = &mut self.voice;
        voice.state = heard.state;
        voice.silence += heard.length;
        match heard.state {
            State::Quiet => {}
            State::Starting(windows) => voice.lasted = heard.length * windows,
            State::Speaking | State::Stopping(_) => voice.lasted += heard.length,
        }
        match heard.edge {
            Some(Edge::Started) => {
                (voice.since, voice.is_spent) = (Some(now), self.turn.is_some());
                // What a judge still says is about a pause that is over.
                self.pause += 1;
                self.unjudged = false;
                self.told.push(UserSpeech::VoiceStarted);
            }
            Some(Edge::Stopped) => {
                voice.since = None;
                self.told.push(UserSpeech::VoiceStopped);
                self.new_pause();
            }
            None => {}
        }
        if self.turn.is_none() && self.is_start(starts) {
            self.open(now);
            self.told.push(UserSpeech::Started { item_id: None });
        }
        if self.voice.state == State::Speaking {
            self.voice.silence = Duration::ZERO;
            if let Some(turn) = &mut self.turn {
                turn.is_judged = false;
            }
        }
        let is_long = |silence: Duration| silence <= self.voice.silence;
        let is_silent = stops.iter().filter_map(Stop::silence).any(is_long);
        if is_silent {
            self.end_in_silence();
        } else {
            self.end_if_judged();
        }
    }

    /// The key went down or up.
    pub(super) fn key(&mut self, key: Key, stops: &[Stop]) {
        match key {
            Key::Pressed if self.key == Hold::Up => self.key = Hold::Down,
            Key::Pressed => {}
            Key::Released => {
                self.key = Hold::Up;
                if stops.iter().any(|stop| matches!(stop, Stop::Key)) {
                    self.end_turn();
                }
            }
        }
    }

    /// Begins a turn if the key is down and that begins one.
    pub(super) fn hold_key(&mut self, starts: &[Start], now: Timestamp) {
        let is_held = self.key == Hold::Down && !self.is_muted && self.turn.is_none();
        if is_held && starts.contains(&Start::Key) {
            self.open(now);
            self.told.push(UserSpeech::Started { item_id: None });
        }
    }

    /// A turn begins outside. Returns whether it does: none is open, and the user is heard.
    pub(super) fn begin_outside(&mut self, now: Timestamp) -> bool {
        let begins = self.turn.is_none() && !self.is_muted;
        if begins {
            self.open(now);
        }
        begins
    }

    /// The turn ends outside. Returns whether one was open.
    pub(super) fn end_outside(&mut self) -> bool {
        self.take_turn()
    }

    /// A detector outside hears a voice, or no longer. Returns whether that is new.
    pub(super) fn outside_voice(&mut self, edge: Edge, now: Timestamp) -> bool {
        match edge {
            Edge::Started => {
                let is_new = !self.is_muted && self.voice.since.is_none();
                if is_new {
                    self.voice.since = Some(now);
                }
                is_new
            }
            Edge::Stopped => self.voice.since.take().is_some(),
        }
    }

    /// A judge says that the turn has ended at this pause.
    pub(super) fn judged_ended(&mut self, pause: u64) {
        if pause == self.pause
            && let Some(turn) = &mut self.turn
        {
            turn.is_judged = true;
            self.end_if_judged();
        }
    }

    /// Begins no turn by the key until it is pressed again.
    pub(super) fn spend_key(&mut self) {
        if self.key == Hold::Down {
            self.key = Hold::Spent;
        }
    }

    pub(super) const fn mute(&mut self) {
        self.is_muted = true;
    }

    pub(super) const fn unmute(&mut self) {
        self.is_muted = false;
    }

    /// Ends the voice and the turn.
    pub(super) fn close(&mut self) {
        if std::mem::take(&mut self.voice).since.is_some() {
            self.told.push(UserSpeech::VoiceStopped);
        }
        self.end_turn();
    }

    pub(super) fn time_passed(&mut self, now: Timestamp, stops: &[Stop]) {
        if self.longest_due(stops).is_some_and(|due| due <= now) {
            self.end_turn();
            self.spend_key();
        }
        if let Some(turn) = &mut self.turn
            && turn.speaking_at <= now
        {
            turn.speaking_at = now + SPEAKING;
            self.told.push(UserSpeech::Speaking);
        }
    }

    pub(super) fn poll_timeout(&self, stops: &[Stop]) -> Option<Timestamp> {
        let speaking = self.turn.as_ref().map(|turn| turn.speaking_at);
        [speaking, self.longest_due(stops)].into_iter().flatten().min()
    }

    /// What is to be told, oldest first.
    pub(super) fn take_told(&mut self) -> Vec<UserSpeech> {
        std::mem::take(&mut self.told)
    }

    /// A pause in an open turn that no judge has seen: its number, and how long the turn has lasted.
    pub(super) fn take_pause(&mut self, now: Timestamp) -> Option<(u64, Duration)> {
        let turn = self.turn.as_ref().filter(|_| self.unjudged && self.voice.since.is_none())?;
        self.unjudged = false;
        Some((self.pause, now.saturating_since(turn.since)))
    }

    pub(super) const fn is_muted(&self) -> bool {
        self.is_muted
    }

    /// When the turn or the voice began that is open, the later of the two.
    pub(super) fn open_since(&self) -> Option<Timestamp> {
        self.turn.as_ref().map(|turn| turn.since).max(self.voice.since)
    }

    fn is_start(&self, starts: &[Start]) -> bool {
        let Voice { state, lasted, is_spent, .. } = self.voice;
        state == State::Speaking
            && !is_spent
            && starts.iter().any(|start| match start {
                Start::Voice => true,
                Start::VoiceFor(time) => *time <= lasted,
                Start::Key | Start::External => false,
            })
    }

    fn open(&mut self, now: Timestamp) {
        self.turn = Some(Turn { since: now, speaking_at: now + SPEAKING, is_judged: false });
        self.voice.silence = Duration::ZERO;
        self.voice.is_spent = true;
        // What a judge still says is about an earlier turn.
        self.pause += 1;
        self.unjudged = false;
    }

    fn new_pause(&mut self) {
        self.pause += 1;
        self.unjudged = self.turn.is_some();
    }

    fn end_turn(&mut self) {
        if self.take_turn() {
            self.told.push(UserSpeech::Stopped { item_id: None });
        }
    }

    fn take_turn(&mut self) -> bool {
        let was_open = self.turn.take().is_some();
        self.voice.is_spent |= was_open;
        was_open
    }

    /// Ends the turn, unless a voice may be beginning.
    fn end_in_silence(&mut self) {
        if self.voice.state == State::Quiet {
            self.end_turn();
        }
    }

    fn end_if_judged(&mut self) {
        if self.turn.as_ref().is_some_and(|turn| turn.is_judged) {
            self.end_in_silence();
        }
    }

    fn longest_due(&self, stops: &[Stop]) -> Option<Timestamp> {
        let since = self.turn.as_ref()?.since;
        let longest = stops.iter().filter_map(|stop| match stop {
            Stop::Longest(time) => Some(*time),
            _ => None,
        });
        longest.min().map(|time| since + time)
    }
}
