//! Two tracks on one timeline: where audio goes, what is silence, and what can be written already.
//!
//! Pure: no clock and no file. Places are counted in samples of the recording since its beginning.

use std::collections::VecDeque;
use std::time::Duration;

use crate::resample::{RateError, Resampler};

/// A recording in the making.
#[derive(Debug)]
pub(super) struct Tracks {
    rate: u32,
    user: Track,
    agent: Track,
    /// Samples of each track that have been written.
    written: u64,
}

/// The speaker of a track.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Voice {
    User,
    Agent,
}

#[derive(Debug, Default)]
struct Track {
    resampler: Option<Resampler>,
    /// Samples that are not written yet.
    waiting: VecDeque<i16>,
    /// The place after the last of them.
    end: u64,
}

/// A gap shorter than this is jitter: closing it would be heard as a click.
const JITTER: Duration = Duration::from_millis(20);

impl Tracks {
    pub(super) fn new(rate: u32) -> Self {
        Self { rate, user: Track::default(), agent: Track::default(), written: 0 }
    }

    /// Puts audio at its time, or directly after the audio that is there already.
    pub(super) fn place(
        &mut self,
        voice: Voice,
        at: Duration,
        rate: u32,
        samples: &[i16],
    ) -> Result<(), RateError> {
        let at = self.sample(at);
        let jitter = self.sample(JITTER);
        let (to, written) = (self.rate, self.written);
        let track = match voice {
            Voice::User => &mut self.user,
            Voice::Agent => &mut self.agent,
        };
        if track.resampler.as_ref().is_none_or(|resampler| resampler.from_rate() != rate) {
            track.flush();
            track.resampler = Some(Resampler::new(rate, to)?);
        }
        if at > track.end + jitter {
            track.flush();
        }
        if at > track.end + jitter || track.end < written {
            let begin = at.max(track.end).max(written);
            // Silence that was written already need not wait again.
            let silence = begin - track.end.max(written);
            track.waiting.extend(std::iter::repeat_n(0, usize::try_from(silence).unwrap_or(0)));
            track.end = begin;
        }
        if let Some(resampler) = &mut track.resampler {
            let converted = resampler.process(samples);
            track.append(converted);
        }
        Ok(())
    }

    /// Writes everything before `until`, as pairs of user and agent, with silence in the gaps.
    pub(super) fn write_until(&mut self, until: Duration, mut write: impl FnMut(i16, i16)) {
        let until = self.sample(until);
        while self.written < until {
            write(self.user.waiting.pop_front().unwrap_or(0), self.agent.waiting.pop_front().unwrap_or(0));
            self.written += 1;
        }
    }

    /// Writes the rest, up to the end of the longer track.
    pub(super) fn finish(&mut self, write: impl FnMut(i16, i16)) {
        self.user.flush();
        self.agent.flush();
        let end = self.user.end.max(self.agent.end);
        let micros = (end * 1_000_000).div_ceil(u64::from(self.rate));
        self.write_until(Duration::from_micros(micros), write);
    }

    fn sample(&self, at: Duration) -> u64 {
        let sample = at.as_micros() * u128::from(self.rate) / 1_000_000;
        u64::try_from(sample).unwrap_or(u64::MAX)
    }
}

impl Track {
    fn append(&mut self, samples: Vec<i16>) {
        self.end += samples.len() as u64;
        self.waiting.extend(samples);
    }

    fn flush(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            let rest = resampler.flush();
            self.append(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 1_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// At 1,000 Hz a sample is a millisecond.
    fn place(tracks: &mut Tracks, voice: Voice, at: u64, samples: &[i16]) {
        tracks.place(voice, ms(at), RATE, samples).unwrap();
    }

    fn finish(mut tracks: Tracks) -> (Vec<i16>, Vec<i16>) {
        let mut pairs = Vec::new();
        tracks.finish(|user, agent| pairs.push((user, agent)));
        pairs.into_iter().unzip()
    }

    #[test]
    fn voices_stand_at_their_time_and_silence_between() {
        let mut tracks = Tracks::new(RATE);
        place(&mut tracks, Voice::User, 0, &[1; 30]);
        place(&mut tracks, Voice::Agent, 100, &[2; 10]);
        place(&mut tracks, Voice::User, 130, &[3; 5]);
        let (user, agent) = finish(tracks);
        assert_eq!(user.len(), 135);
        assert_eq!((user[29], user[30], user[129], user[130]), (1, 0, 0, 3));
        assert_eq!((agent[99], agent[100], agent[109], agent[110]), (0, 2, 2, 0));
    }

    #[test]
    fn jitter_makes_no_gap_and_no_overlap() {
        let mut tracks = Tracks::new(RATE);
        place(&mut tracks, Voice::User, 0, &[1; 20]);
        place(&mut tracks, Voice::User, 26, &[1; 20]);
        place(&mut tracks, Voice::User, 37, &[1; 20]);
        assert_eq!(finish(tracks).0, [1; 60]);
    }

    #[test]
    fn what_comes_too_late_follows_what_is_written() {
        let mut tracks = Tracks::new(RATE);
        let mut written = 0;
        tracks.write_until(ms(50), |_, _| written += 1);
        assert_eq!(written, 50);
        place(&mut tracks, Voice::Agent, 10, &[2; 5]);
        place(&mut tracks, Voice::Agent, 100, &[3; 5]);
        let (_, agent) = finish(tracks);
        assert_eq!(agent[..6], [2, 2, 2, 2, 2, 0]);
        // Written from 50 ms on.
        assert_eq!((agent[49], agent[50], agent.len()), (0, 3, 55));
    }

    #[test]
    fn other_rates_are_converted_and_keep_their_length() {
        let mut tracks = Tracks::new(24_000);
        for frame in 0..50 {
            tracks.place(Voice::User, ms(frame * 20), 16_000, &[100; 320]).unwrap();
        }
        assert_eq!(finish(tracks).0.len(), 24_000);
    }
}
