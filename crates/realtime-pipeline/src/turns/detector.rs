//! From windows to edges: [`Detector`]. A voice must last before it counts, and so must silence.

use std::time::Duration;

/// Where a voice begins or ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Edge {
    Started,
    Stopped,
}

/// How far it is, in windows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum State {
    #[default]
    Quiet,
    /// There may be a voice: so many windows in a row held one.
    Starting(u32),
    Speaking,
    /// The voice may have ended: so many windows in a row held none.
    Stopping(u32),
}

/// What counts as a voice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long a voice must last before it counts.
    pub(super) start: Duration,
    /// How long silence must last before it counts.
    pub(super) stop: Duration,
    /// What a window must reach to hold a voice.
    pub(super) threshold: f32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { start: Duration::from_millis(200), stop: Duration::from_millis(200), threshold: 0.5 }
    }
}

/// A voice that goes on may be so much less sure than one that begins.
const SLACK: f32 = 0.15;

#[derive(Debug)]
pub(super) struct Detector {
    state: State,
    threshold: f32,
    start: u32,
    stop: u32,
}

impl Detector {
    /// A detector for windows of this length. Times are rounded to windows, and are one at least.
    pub(super) fn new(limits: Limits, window: Duration) -> Self {
        Self {
            state: State::Quiet,
            threshold: limits.threshold,
            start: windows_in(limits.start, window),
            stop: windows_in(limits.stop, window),
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Takes how surely the next window holds a voice.
    pub(super) fn handle(&mut self, voice: f32) -> Option<Edge> {
        let slack = if self.is_speaking() { SLACK } else { 0.0 };
        let is_voice = voice >= self.threshold - slack;
        let (state, edge) = match (self.state, is_voice) {
            (State::Quiet | State::Starting(_), false) => (State::Quiet, None),
            (State::Quiet, true) => self.starting(1),
            (State::Starting(windows), true) => self.starting(windows + 1),
            (State::Speaking | State::Stopping(_), true) => (State::Speaking, None),
            (State::Speaking, false) => self.stopping(1),
            (State::Stopping(windows), false) => self.stopping(windows + 1),
        };
        self.state = state;
        edge
    }

    /// Nothing is heard from here on: a voice ends at once.
    pub(super) fn reset(&mut self) -> Option<Edge> {
        let was_speaking = self.is_speaking();
        self.state = State::Quiet;
        was_speaking.then_some(Edge::Stopped)
    }

    const fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speaking | State::Stopping(_))
    }

    const fn starting(&self, windows: u32) -> (State, Option<Edge>) {
        if windows < self.start {
            (State::Starting(windows), None)
        } else {
            (State::Speaking, Some(Edge::Started))
        }
    }

    const fn stopping(&self, windows: u32) -> (State, Option<Edge>) {
        if windows < self.stop {
            (State::Stopping(windows), None)
        } else {
            (State::Quiet, Some(Edge::Stopped))
        }
    }
}

/// A time in windows: rounded, and one at least.
fn windows_in(time: Duration, window: Duration) -> u32 {
    let window = window.as_micros().max(1);
    let windows = (time.as_micros() + window / 2) / window;
    u32::try_from(windows).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_millis(20);

    fn detector() -> Detector {
        Detector::new(Limits::default(), WINDOW)
    }

    fn hear(detector: &mut Detector, voice: f32, windows: u32) -> Vec<Edge> {
        (0..windows).filter_map(|_| detector.handle(voice)).collect()
    }

    #[test]
    fn only_a_voice_that_lasts_is_told_and_only_its_edges() {
        let mut detector = detector();
        assert_eq!(hear(&mut detector, 0.9, 9), []);
        assert_eq!(hear(&mut detector, 0.1, 1), []);
        assert_eq!(hear(&mut detector, 0.9, 9), []);
        assert_eq!(detector.state(), State::Starting(9));
        assert_eq!(hear(&mut detector, 0.9, 50), [Edge::Started]);
        assert_eq!(hear(&mut detector, 0.1, 9), []);
        assert_eq!(hear(&mut detector, 0.9, 1), [], "a short gap is no end");
        assert_eq!(hear(&mut detector, 0.1, 9), []);
        assert_eq!(hear(&mut detector, 0.1, 50), [Edge::Stopped]);
    }

    #[test]
    fn a_voice_that_goes_on_may_be_less_sure_than_one_that_begins() {
        let mut detector = detector();
        assert_eq!(hear(&mut detector, 0.4, 50), []);
        assert_eq!(hear(&mut detector, 0.6, 10), [Edge::Started]);
        assert_eq!(hear(&mut detector, 0.4, 50), []);
        assert_eq!(hear(&mut detector, f32::NAN, 10), [Edge::Stopped]);
    }

    #[test]
    fn times_are_rounded_to_windows_and_are_one_at_least() {
        assert_eq!(windows_in(Duration::from_millis(200), Duration::from_millis(16)), 13);
        assert_eq!(windows_in(Duration::from_millis(200), Duration::from_millis(32)), 6);
        assert_eq!(windows_in(Duration::ZERO, WINDOW), 1);
        assert_eq!(windows_in(Duration::MAX, Duration::ZERO), u32::MAX);
    }

    proptest! {
        #[test]
        fn edges_take_turns(voices in proptest::collection::vec(0.0..1.0_f32, 0..500), start in 0..200_u64) {
            let limits = Limits { start: Duration::from_millis(start), ..Limits::default() };
            let mut detector = Detector::new(limits, WINDOW);
            let mut edges: Vec<Edge> = voices.iter().filter_map(|voice| detector.handle(*voice)).collect();
            edges.extend(detector.reset());
            prop_assert_eq!(edges.len() % 2, 0);
            for pair in edges.chunks(2) {
                prop_assert_eq!(pair, [Edge::Started, Edge::Stopped]);
            }
        }
    }
}
