//! Tracks on one timeline: where audio goes, what is silence, and what can be written already.
//!
//! Pure: no clock and no file. Places are counted in samples of the recording since its beginning. Long
//! silence takes no memory.

use std::collections::VecDeque;
use std::time::Duration;

use crate::chain::Audio;
use crate::convert::{ConvertError, Mono};

/// A recording of `N` tracks in the making.
#[derive(Debug)]
pub(crate) struct Timeline<const N: usize> {
    rate: u32,
    tracks: [Track; N],
    /// Samples of each track that have been taken.
    taken: u64,
}

/// A stretch of a recording: samples of all tracks in turn, and then so much silence (samples of one track).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) samples: Vec<i16>,
    pub(crate) silence: u64,
}

/// Why audio has no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error(transparent)]
    Convert(#[from] ConvertError),
    #[error("dropped audio that came more than {} s before its time", AHEAD.as_secs())]
    Ahead,
}

#[derive(Debug)]
struct Track {
    mono: Mono,
    /// Samples that are not taken yet.
    waiting: VecDeque<i16>,
    /// The place after the last of them.
    end: u64,
}

/// A gap shorter than this is jitter: closing it would be heard as a click.
const JITTER: Duration = Duration::from_millis(20);
/// Audio that is so far ahead of its time is dropped: it comes faster than it sounds, for ever.
const AHEAD: Duration = Duration::from_secs(60);

impl<const N: usize> Timeline<N> {
    /// A recording at `rate` Hz.
    pub(crate) fn new(rate: u32) -> Self {
        let track = || Track { mono: Mono::new(rate), waiting: VecDeque::new(), end: 0 };
        Self { rate, tracks: std::array::from_fn(|_| track()), taken: 0 }
    }

    /// Puts audio at its time, or directly after the audio that is there already.
    pub(crate) fn place(&mut self, track: usize, at: Duration, audio: &Audio) -> Result<(), PlaceError> {
        let (at, jitter, ahead) = (self.sample(at), self.sample(JITTER), self.sample(AHEAD));
        let Some(track) = self.tracks.get_mut(track) else { return Ok(()) };
        if track.end > at.saturating_add(ahead) || at > track.end.max(self.taken).saturating_add(ahead) {
            return Err(PlaceError::Ahead);
        }
        let begins_anew = at > track.end + jitter;
        if begins_anew {
            track.flush();
        }
        if begins_anew || track.end < self.taken {
            let begin = at.max(track.end).max(self.taken);
            // Silence that was taken already need not wait again.
            let silence = begin - track.end.max(self.taken);
            track.waiting.extend(std::iter::repeat_n(0, usize::try_from(silence).unwrap_or_default()));
            track.end = begin;
        }
        let samples = track.mono.convert(audio)?;
        track.append(samples);
        Ok(())
    }

    /// Cuts a track off: what is placed after `at` was not heard.
    pub(crate) fn cut(&mut self, track: usize, at: Duration) {
        let at = self.sample(at);
        let Some(track) = self.tracks.get_mut(track) else { return };
        track.mono.reset();
        let extra = usize::try_from(track.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let left = track.waiting.len().saturating_sub(extra);
        track.end -= (track.waiting.len() - left) as u64;
        track.waiting.truncate(left);
    }

    /// Takes everything before `until`.
    pub(crate) fn take_until(&mut self, until: Duration) -> Stretch {
        let due = self.sample(until).saturating_sub(self.taken);
        self.take(due)
    }

    /// Takes the rest, up to the end of the longest track.
    pub(crate) fn finish(&mut self) -> Stretch {
        self.tracks.iter_mut().for_each(Track::flush);
        self.take(self.longest() as u64)
    }

    fn take(&mut self, due: u64) -> Stretch {
        let sounding = self.longest().min(usize::try_from(due).unwrap_or(usize::MAX));
        let mut samples = vec![0; sounding * N];
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let here = track.waiting.len().min(sounding);
            let mut places = samples.iter_mut().skip(index).step_by(N);
            let (first, second) = track.waiting.as_slices();
            let (first, second) =
                (&first[..first.len().min(here)], &second[..here.saturating_sub(first.len())]);
            first.iter().zip(&mut places).for_each(|(sample, place)| *place = *sample);
            second.iter().zip(&mut places).for_each(|(sample, place)| *place = *sample);
            track.waiting.drain(..here);
        }
        self.taken += due;
        Stretch { samples, silence: due - sounding as u64 }
    }

    /// How many samples wait in the track that has the most.
    fn longest(&self) -> usize {
        self.tracks.iter().map(|track| track.waiting.len()).max().unwrap_or_default()
    }

    fn sample(&self, at: Duration) -> u64 {
        let sample = at.as_micros().saturating_mul(u128::from(self.rate)) / 1_000_000;
        u64::try_from(sample).unwrap_or(u64::MAX)
    }
}

impl Stretch {
    /// Returns whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.silence == 0
    }
}

impl Track {
    fn append(&mut self, samples: Vec<i16>) {
        self.end += samples.len() as u64;
        self.waiting.extend(samples);
    }

    fn flush(&mut self) {
        let rest = self.mono.flush();
        self.append(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 1_000;
    const USER: usize = 0;
    const BOT: usize = 1;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// At 1,000 Hz a sample is a millisecond.
    fn place(timeline: &mut Timeline<2>, track: usize, at: u64, samples: &[i16]) {
        timeline.place(track, ms(at), &Audio::mono(RATE, samples)).unwrap();
    }

    fn finish(mut timeline: Timeline<2>) -> (Vec<i16>, Vec<i16>) {
        timeline.finish().samples.chunks(2).map(|pair| (pair[0], pair[1])).unzip()
    }

    #[test]
    fn voices_stand_at_their_time_and_silence_between() {
        let mut timeline = Timeline::new(RATE);
        place(&mut timeline, USER, 0, &[1; 30]);
        place(&mut timeline, BOT, 100, &[2; 10]);
        place(&mut timeline, USER, 130, &[3; 5]);
        let (user, bot) = finish(timeline);
        assert_eq!(user.len(), 135);
        assert_eq!((user[29], user[30], user[129], user[130]), (1, 0, 0, 3));
        assert_eq!((bot[99], bot[100], bot[109], bot[110]), (0, 2, 2, 0));
    }

    #[test]
    fn jitter_makes_no_gap_and_no_overlap() {
        let mut timeline = Timeline::new(RATE);
        place(&mut timeline, USER, 0, &[1; 20]);
        place(&mut timeline, USER, 26, &[1; 20]);
        place(&mut timeline, USER, 37, &[1; 20]);
        assert_eq!(finish(timeline).0, [1; 60]);
    }

    #[test]
    fn what_comes_too_late_follows_what_is_taken() {
        let mut timeline = Timeline::new(RATE);
        assert_eq!(timeline.take_until(ms(50)), Stretch { samples: vec![], silence: 50 });
        place(&mut timeline, BOT, 10, &[2; 5]);
        place(&mut timeline, BOT, 100, &[3; 5]);
        let (_, bot) = finish(timeline);
        assert_eq!(bot[..6], [2, 2, 2, 2, 2, 0]);
        // Taken from 50 ms on.
        assert_eq!((bot[49], bot[50], bot.len()), (0, 3, 55));
    }

    #[test]
    fn long_silence_is_counted_and_not_kept() {
        let mut timeline = Timeline::new(RATE);
        place(&mut timeline, USER, 0, &[1; 2]);
        let day = timeline.take_until(Duration::from_secs(86_400));
        assert_eq!(day, Stretch { samples: vec![1, 0, 1, 0], silence: 86_399_998 });
        assert_eq!(timeline.finish(), Stretch::default());
    }

    #[test]
    fn what_was_not_heard_is_cut_off_and_the_next_voice_stands_at_its_time() {
        let mut timeline = Timeline::new(RATE);
        place(&mut timeline, BOT, 0, &[2; 500]);
        timeline.cut(BOT, ms(120));
        place(&mut timeline, BOT, 300, &[3; 10]);
        let (_, bot) = finish(timeline);
        assert_eq!((bot[119], bot[120], bot[299], bot[300], bot.len()), (2, 0, 0, 3, 310));
    }

    #[test]
    fn audio_that_always_comes_faster_than_it_sounds_is_refused_in_the_end() {
        let mut timeline = Timeline::new(RATE);
        let mut refused = 0;
        for _ in 0..100 {
            let placed = timeline.place(USER, ms(0), &Audio::mono(RATE, vec![1; 1_000]));
            refused += usize::from(placed == Err(PlaceError::Ahead));
        }
        assert_eq!((refused, timeline.finish().samples.len()), (39, 2 * 61_000));
        let late = timeline.place(USER, Duration::MAX, &Audio::mono(RATE, vec![1; 1]));
        assert_eq!(late, Err(PlaceError::Ahead), "nobody took the silence before it");
        place(&mut timeline, USER, 70_000, &[1; 2]);
        assert_eq!(finish(timeline).0.len(), 9_002);
    }

    #[test]
    fn other_rates_are_converted_and_keep_their_length() {
        let mut timeline = Timeline::new(24_000);
        for frame in 0..50 {
            timeline.place(USER, ms(frame * 20), &Audio::mono(16_000, vec![100; 320])).unwrap();
        }
        assert_eq!(finish(timeline).0.len(), 24_000);
    }
}
