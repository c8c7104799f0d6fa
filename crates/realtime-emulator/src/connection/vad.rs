//! Turn detection by the loudness of 20 ms frames.

use realtime_protocol::session_config::{Eagerness, TurnDetection};

/// What turn detection goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct VadSettings {
    /// Mean square of a frame, full scale being 1, from which on it counts as speech.
    power: f64,
    /// Audio kept from before the onset (ms).
    pub(crate) prefix_ms: u64,
    /// Silence that ends a turn (ms).
    silence_ms: u64,
    /// Silence that ends a turn of which more seems to come (ms).
    longest_ms: u64,
}

impl VadSettings {
    /// `None` for a kind that is not known.
    pub(crate) fn of(detection: &TurnDetection) -> Option<Self> {
        let (threshold, prefix_ms, silence_ms, longest_ms) = match detection {
            TurnDetection::ServerVad(vad) => {
                let silence = vad.silence_duration_ms.unwrap_or(500);
                (vad.threshold.unwrap_or(0.5), vad.prefix_padding_ms.unwrap_or(300), silence, silence)
            }
            // An eager listener waits for less silence. The longest waits are the documented ones.
            TurnDetection::SemanticVad(vad) => {
                let (silence, longest) = match vad.eagerness.value() {
                    Some(Eagerness::Low) => (1000, 8000),
                    Some(Eagerness::High) => (300, 2000),
                    _ => (500, 4000),
                };
                (0.5, 300, silence, longest)
            }
            _ => return None,
        };
        // 0 hears -60 dBFS, 0.5 hears -40 dBFS, 1 hears -20 dBFS.
        let decibels = 40.0 * threshold - 60.0;
        let power = 10_f64.powf(decibels / 10.0);
        let (silence_ms, longest_ms) = (silence_ms.into(), longest_ms.into());
        Some(Self { power, prefix_ms: prefix_ms.into(), silence_ms, longest_ms })
    }
}

/// Whether someone speaks.
#[derive(Debug, Default)]
pub(crate) struct Vad {
    speaking: bool,
    /// Frames in a row that are not as the state would have them.
    against: u64,
    /// Whether the pause is expected to end with more speech.
    waits: bool,
}

/// A change of the state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Edge {
    /// Speech began, [`ONSET_FRAMES`] frames before the end of this one.
    Started,
    /// Silence has lasted long enough, at the end of this frame.
    Stopped,
}

impl Vad {
    pub(crate) const fn is_speaking(&self) -> bool {
        self.speaking
    }

    /// Returns whether a pause may be longer if more speech seems to come, and this pause was not.
    pub(crate) const fn could_wait(&self, settings: &VadSettings) -> bool {
        settings.longest_ms > settings.silence_ms && !self.waits
    }

    /// More is to come: the silence so far does not end the turn, the longest wait would.
    pub(crate) fn wait(&mut self, settings: &VadSettings) {
        self.speaking = true;
        self.waits = true;
        self.against = settings.silence_ms.div_ceil(FRAME_MS).max(1);
    }

    /// Hears one frame of [`FRAME_MS`].
    pub(crate) fn frame(&mut self, power: f64, settings: &VadSettings) -> Option<Edge> {
        let loud = power >= settings.power;
        if loud == self.speaking {
            self.against = 0;
            self.waits = false;
            return None;
        }
        self.against += 1;
        let silence = if self.waits { settings.longest_ms } else { settings.silence_ms };
        let enough = if self.speaking { silence.div_ceil(FRAME_MS).max(1) } else { ONSET_FRAMES };
        if self.against < enough {
            return None;
        }
        self.against = 0;
        self.speaking = !self.speaking;
        Some(if self.speaking { Edge::Started } else { Edge::Stopped })
    }
}

/// Sound in one frame (ms).
pub(crate) const FRAME_MS: u64 = 20;
/// Loud frames in a row that make an onset: 60 ms.
pub(crate) const ONSET_FRAMES: u64 = 3;

#[cfg(test)]
mod tests {
    use realtime_protocol::session_config::ServerVad;

    use super::*;

    fn settings(threshold: f64) -> VadSettings {
        VadSettings::of(&ServerVad::default().threshold(threshold).silence_duration_ms(100_u32).into())
            .unwrap()
    }

    #[test]
    fn an_onset_takes_60_ms_and_an_end_the_silence_that_was_set() {
        let mut vad = Vad::default();
        let mut frames = |loud: bool, count: usize| {
            let power = if loud { 0.01 } else { 0.0 };
            (0..count).filter_map(|_| vad.frame(power, &settings(0.5))).collect::<Vec<_>>()
        };
        assert_eq!(frames(true, 2), []);
        assert_eq!(frames(false, 1), []);
        assert_eq!(frames(true, 2), []);
        assert_eq!(frames(true, 1), [Edge::Started]);
        assert_eq!(frames(false, 4), []);
        assert_eq!(frames(true, 1), []);
        assert_eq!(frames(false, 5), [Edge::Stopped]);
    }

    #[test]
    fn a_higher_threshold_needs_louder_speech() {
        let starts = |threshold, decibels: f64| {
            let mut vad = Vad::default();
            let power = 10_f64.powf(decibels / 10.0);
            (0..3).any(|_| vad.frame(power, &settings(threshold)).is_some())
        };
        assert!(starts(0.5, -39.0) && !starts(0.5, -41.0));
        assert!(starts(0.0, -59.0) && !starts(1.0, -21.0));
    }
}
