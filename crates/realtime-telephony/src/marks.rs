//! What the caller heard: marks that come back, by generation.
//!
//! A flush begins a new generation. Many carriers send the marks of dropped audio back, and none says which
//! were played: so a mark of an older generation counts for nothing.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::Timestamp;

/// The most marks that wait to come back.
const MOST_WAITING: usize = 1_024;

/// How far playback has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Position {
    /// The generation, from 0. Each flush begins the next one.
    pub generation: u64,
    /// Samples that were played since the generation's start, in the output format.
    pub samples: u64,
    /// Whether a mark said so. Otherwise the position is reckoned by the clock since the newest mark, and
    /// lies neither beyond what was sent nor beyond the next mark, if the carrier sends marks back.
    pub is_reported: bool,
}

/// A mark that was played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PlayedMark {
    pub(crate) mark: u64,
    pub(crate) samples: u64,
}

/// Why a mark that came back says nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoMark {
    /// Of audio that was flushed.
    Stale,
    /// Not one of ours, or one that came back before.
    Unknown,
}

/// The marks of a stream.
#[derive(Debug)]
pub(crate) struct Marks {
    format: AudioFormat,
    /// Whether the carrier sends marks back. Otherwise they are due by the clock.
    come_back: bool,
    generation: u64,
    /// The number of the next mark of this generation.
    serial: u64,
    /// Samples on the wire, in this generation.
    sent: u64,
    waiting: VecDeque<Waiting>,
    /// The newest certain position, and when it was reached.
    base: (u64, Timestamp),
    is_reported: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    serial: u64,
    mark: u64,
    at: u64,
    /// What was on the wire before it: where a mark that comes back finds playback. More than `at` if the
    /// piece goes on behind it.
    reach: u64,
}

impl Marks {
    pub(crate) fn new(format: AudioFormat, come_back: bool, now: Timestamp) -> Self {
        Self {
            format,
            come_back,
            generation: 0,
            serial: 0,
            sent: 0,
            waiting: VecDeque::new(),
            base: (0, now),
            is_reported: false,
        }
    }

    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Samples went out.
    pub(crate) fn sent(&mut self, now: Timestamp, samples: u64) {
        if self.position(now).samples >= self.sent {
            // The carrier was silent: what comes now is played from now on.
            self.base = (self.sent, now);
        }
        self.sent = self.sent.saturating_add(samples);
    }

    /// Notes a mark at this sample and gives its name. `None`: too many wait already.
    pub(crate) fn add(&mut self, mark: u64, at: u64) -> Option<String> {
        if self.waiting.len() >= MOST_WAITING {
            return None;
        }
        let serial = self.serial;
        self.serial += 1;
        let reach = self.sent.max(at);
        self.waiting.push_back(Waiting { serial, mark, at, reach });
        Some(format!("{}.{serial}", self.generation))
    }

    /// A mark came back as played. Gives it and those before it that did not come back: audio is played in
    /// its order.
    pub(crate) fn played(&mut self, now: Timestamp, name: &str) -> Result<Vec<PlayedMark>, NoMark> {
        let count = self.find(name)? + 1;
        let reach = self.waiting[count - 1].reach;
        let played: Vec<PlayedMark> = self
            .waiting
            .drain(..count)
            .map(|waiting| PlayedMark { mark: waiting.mark, samples: waiting.at })
            .collect();
        self.base = (reach.min(self.sent), now);
        self.is_reported = true;
        Ok(played)
    }

    /// A mark came back with its audio dropped.
    pub(crate) fn dropped(&mut self, name: &str) -> Result<(), NoMark> {
        let index = self.find(name)?;
        self.waiting.remove(index);
        Ok(())
    }

    /// The carrier has no more audio. Gives the marks of all audio that can have been played by now.
    pub(crate) fn drained(&mut self, now: Timestamp) -> Vec<PlayedMark> {
        /// By how much a carrier may be faster than our clock (ms).
        const TOLERANCE: u64 = 500;
        let elapsed = now.saturating_since(self.base.1);
        let reach = self
            .base
            .0
            .saturating_add(self.samples_of(elapsed))
            .saturating_add(u64::from(self.format.sample_rate()) * TOLERANCE / 1_000);
        // Audio that is still on its way was not part of what ended.
        let heard = self.sent.min(reach);
        let count = self.waiting.partition_point(|waiting| waiting.at <= heard);
        let played: Vec<PlayedMark> = self
            .waiting
            .drain(..count)
            .map(|waiting| PlayedMark { mark: waiting.mark, samples: waiting.at })
            .collect();
        if heard == self.sent || !played.is_empty() {
            let samples = played.last().map_or(heard, |last| last.samples);
            let samples = if heard == self.sent { heard } else { samples };
            self.base = (samples.max(self.base.0), now);
            self.is_reported = true;
        }
        played
    }

    /// When the next mark is due by the clock, where none comes back.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let next = self.waiting.front().filter(|_| !self.come_back)?;
        let missing = next.at.saturating_sub(self.base.0);
        // Rounded up, so that the position is there when it is due.
        let time = self.format.time_of(missing).as_duration() + Duration::from_micros(1);
        Some(self.base.1 + time)
    }

    /// The next mark that is due by the clock, where none comes back.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<PlayedMark> {
        self.due().filter(|due| *due <= now)?;
        let Waiting { mark, at, .. } = self.waiting.pop_front()?;
        Some(PlayedMark { mark, samples: at })
    }

    /// Begins the next generation. Gives how far this one came.
    pub(crate) fn flush(&mut self, now: Timestamp) -> Position {
        let position = self.position(now);
        let generation = self.generation + 1;
        *self = Self { generation, ..Self::new(self.format, self.come_back, now) };
        position
    }

    /// How far playback has come.
    pub(crate) fn position(&self, now: Timestamp) -> Position {
        let (base, since) = self.base;
        let next = self.waiting.front().filter(|_| self.come_back);
        let end = next.map_or(self.sent, |next| next.reach.min(self.sent)).max(base);
        let reckoned = base.saturating_add(self.samples_of(now.saturating_since(since))).min(end);
        Position {
            generation: self.generation,
            samples: reckoned,
            is_reported: self.is_reported && reckoned == base,
        }
    }

    fn find(&self, name: &str) -> Result<usize, NoMark> {
        let (generation, serial) = name.split_once('.').ok_or(NoMark::Unknown)?;
        let (Ok(generation), Ok(serial)) = (generation.parse::<u64>(), serial.parse::<u64>()) else {
            return Err(NoMark::Unknown);
        };
        if generation < self.generation {
            return Err(NoMark::Stale);
        }
        if generation > self.generation {
            return Err(NoMark::Unknown);
        }
        self.waiting.binary_search_by_key(&serial, |waiting| waiting.serial).map_err(|_| NoMark::Unknown)
    }

    fn samples_of(&self, time: Duration) -> u64 {
        self.format.samples_in(time.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn marks() -> Marks {
        Marks::new(AudioFormat::Pcmu, true, at(0))
    }

    #[test]
    fn the_position_is_the_newest_mark_and_the_time_since() {
        let mut marks = marks();
        marks.sent(at(100), 4_000);
        let first = marks.add(1, 4_000).unwrap();
        marks.sent(at(100), 4_000);
        let second = marks.add(2, 8_000).unwrap();
        assert_eq!(marks.position(at(300)), Position { generation: 0, samples: 1_600, is_reported: false });
        assert_eq!(marks.position(at(5_000)).samples, 4_000, "not beyond the next mark");
        assert_eq!(marks.played(at(700), &first), Ok(vec![PlayedMark { mark: 1, samples: 4_000 }]));
        assert_eq!(marks.position(at(700)), Position { generation: 0, samples: 4_000, is_reported: true });
        assert_eq!(marks.position(at(800)).samples, 4_800);
        assert_eq!(marks.played(at(1_300), &second).unwrap().len(), 1);
        assert_eq!(marks.position(at(9_000)), Position { generation: 0, samples: 8_000, is_reported: true });
    }

    #[test]
    fn audio_after_a_pause_is_played_from_when_it_was_sent() {
        let mut marks = marks();
        marks.sent(at(0), 800);
        marks.sent(at(1_000), 800);
        assert_eq!(marks.position(at(1_050)).samples, 1_200);
    }

    #[test]
    fn a_mark_behind_a_piece_finds_playback_at_the_end_of_the_piece() {
        let mut marks = marks();
        marks.sent(at(0), 1_600);
        let name = marks.add(1, 100).unwrap();
        marks.sent(at(0), 1_600);
        assert_eq!(marks.position(at(5_000)).samples, 1_600);
        assert_eq!(marks.played(at(250), &name), Ok(vec![PlayedMark { mark: 1, samples: 100 }]));
        assert_eq!(marks.position(at(300)).samples, 2_000);
    }

    #[test]
    fn a_mark_of_flushed_audio_was_not_heard() {
        let mut marks = marks();
        marks.sent(at(0), 8_000);
        let old = marks.add(1, 8_000).unwrap();
        assert_eq!(marks.flush(at(250)), Position { generation: 0, samples: 2_000, is_reported: false });
        assert_eq!(marks.played(at(260), &old), Err(NoMark::Stale));
        assert_eq!(marks.position(at(500)), Position { generation: 1, samples: 0, is_reported: false });
        let new = marks.add(1, 0).unwrap();
        assert_ne!(old, new);
        assert!(marks.played(at(600), &new).is_ok());
        assert_eq!(marks.played(at(600), &new), Err(NoMark::Unknown), "it comes once");
    }

    #[test]
    fn a_mark_that_was_skipped_was_played_too() {
        let mut marks = marks();
        marks.sent(at(0), 800);
        let _ = marks.add(1, 400);
        let second = marks.add(2, 800).unwrap();
        let played = marks.played(at(200), &second).unwrap();
        assert_eq!(played.iter().map(|played| played.mark).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_cannot_have_been_played_yet_is_not_part_of_what_ended() {
        let mut marks = marks();
        marks.sent(at(0), 8_000);
        let _ = marks.add(1, 8_000);
        assert_eq!(marks.drained(at(1_000)), [PlayedMark { mark: 1, samples: 8_000 }]);
        marks.sent(at(1_010), 40_000);
        let _ = marks.add(2, 48_000);
        assert_eq!(marks.drained(at(1_020)), []);
        assert_eq!(marks.drained(at(6_100)).len(), 1);
        assert!(marks.position(at(6_100)).is_reported);
    }

    #[test]
    fn marks_are_due_by_the_clock_where_none_comes_back() {
        let mut marks = Marks::new(AudioFormat::Pcmu, false, at(0));
        marks.sent(at(100), 8_000);
        let _ = marks.add(1, 4_000);
        let _ = marks.add(2, 8_000);
        assert_eq!(marks.due(), Some(at(600) + Duration::from_micros(1)));
        assert_eq!(marks.take_due(at(600)), None);
        assert_eq!(marks.take_due(at(601)), Some(PlayedMark { mark: 1, samples: 4_000 }));
        assert_eq!(marks.position(at(850)).samples, 6_000);
        assert_eq!(marks.take_due(at(9_000)).unwrap().mark, 2);
        assert_eq!((marks.due(), marks.take_due(at(9_000))), (None, None));
    }

    #[test]
    fn too_many_marks_are_refused() {
        let mut marks = marks();
        assert!((0..1_024).all(|mark| marks.add(mark, mark).is_some()));
        assert_eq!(marks.add(2_000, 2_000), None);
    }

    proptest! {
        #[test]
        fn the_position_never_goes_back_and_never_beyond_what_was_sent(
            steps in prop::collection::vec((0..6_u8, 0..3_000_u64, 0..20_u64), 0..80),
        ) {
            let mut marks = marks();
            let (mut now, mut names, mut last) = (0, Vec::new(), marks.position(at(0)));
            for (step, amount, which) in steps {
                now += which * 10;
                match step {
                    0 | 1 => marks.sent(at(now), amount),
                    2 => names.extend(marks.add(amount, marks.sent)),
                    3 => {
                        let name = names.get(which as usize).cloned();
                        let name = name.unwrap_or_else(|| format!("{amount}.{which}"));
                        let _ = marks.played(at(now), &name);
                    }
                    4 => drop(marks.drained(at(now))),
                    _ => {
                        let end = marks.flush(at(now));
                        prop_assert!(end.samples >= last.samples);
                        last = marks.position(at(now));
                        prop_assert_eq!(last.samples, 0);
                    }
                }
                let position = marks.position(at(now));
                prop_assert!(position.samples <= marks.sent);
                let goes_on = position.samples >= last.samples || position.is_reported;
                prop_assert!(goes_on, "{:?} {:?}", last, position);
                last = position;
            }
        }
    }
}
