//! What this side says: samples go in as they come, frames of 20 ms go out at an even pace. Pure: the driver
//! asks once per frame.
//!
//! While nothing is said, silence goes out, as from any microphone. Speech begins when two frames are there,
//! so that the application may be late by one. If it is later, its frames go out as soon as they come, and
//! only after three frames silence takes their place. Where speech must not be late, what has piled up goes
//! out two frames at a time.

use std::collections::VecDeque;

use crate::opus::Rate;

/// What is to be said.
#[derive(Debug)]
pub(crate) struct Mouth {
    rate: Rate,
    /// Whether what has piled up goes out faster.
    hurries: bool,
    samples: VecDeque<i16>,
    /// Whether it speaks.
    speaks: bool,
    /// How often it was asked since speech came.
    waited: u32,
    /// Frames that went out, less those that were due.
    ahead: i32,
}

impl Mouth {
    pub(crate) const fn new(rate: Rate, hurries: bool) -> Self {
        Self { rate, hurries, samples: VecDeque::new(), speaks: false, waited: 0, ahead: 0 }
    }

    /// Samples of another rate follow. What waits is dropped.
    pub(crate) fn set_rate(&mut self, rate: Rate) {
        if self.rate != rate {
            self.clear();
            self.rate = rate;
        }
    }

    /// Adds samples.
    pub(crate) fn push(&mut self, samples: &[i16]) {
        self.samples.extend(samples);
    }

    /// Drops what has not been said.
    pub(crate) fn clear(&mut self) {
        self.samples.clear();
        (self.speaks, self.waited) = (false, 0);
    }

    /// Samples that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.samples.len()
    }

    /// The frames of the next 20 ms, oldest first: usually one. A frame of silence is empty.
    pub(crate) fn pull(&mut self) -> Vec<Vec<i16>> {
        self.ahead -= 1;
        let mut frames = Vec::new();
        let whole = self.samples.len() / self.rate.frame();
        if !self.speaks && !self.samples.is_empty() {
            self.waited += 1;
            self.speaks = whole >= 2 || self.waited >= LONGEST_WAIT;
        }
        if self.speaks {
            let owed = usize::try_from(-self.ahead).unwrap_or(0);
            let most = if self.hurries && whole > PILED_UP { 2 } else { 1 };
            for _ in 0..most.max(owed).min(whole) {
                frames.push(self.take());
            }
            self.ahead += i32::try_from(frames.len()).unwrap_or(0);
            if frames.is_empty() && self.ahead <= -LATEST {
                // Nothing more comes, but perhaps the rest of a frame.
                if !self.samples.is_empty() {
                    frames.push(self.take());
                    self.ahead += 1;
                }
                (self.speaks, self.waited) = (false, 0);
            }
        }
        if !self.speaks {
            while self.ahead < 0 {
                frames.push(Vec::new());
                self.ahead += 1;
            }
        }
        frames
    }

    fn take(&mut self) -> Vec<i16> {
        let length = self.rate.frame();
        let mut frame: Vec<i16> = self.samples.drain(..length.min(self.samples.len())).collect();
        frame.resize(length, 0);
        frame
    }
}

/// The longest wait for the second frame (frames).
const LONGEST_WAIT: u32 = 2;
/// So many frames may be missing before silence takes their place.
const LATEST: i32 = 3;
/// More frames than this have piled up.
const PILED_UP: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 480;

    fn mouth() -> Mouth {
        Mouth::new(Rate::HZ_24000, true)
    }

    /// The first sample of each frame that goes out in each of so many frames; 0 for silence.
    fn pull(mouth: &mut Mouth, times: usize) -> Vec<Vec<i16>> {
        let first = |frame: Vec<i16>| frame.first().copied().unwrap_or_default();
        (0..times).map(|_| mouth.pull().into_iter().map(first).collect()).collect()
    }

    fn frames(numbers: impl IntoIterator<Item = i16>) -> Vec<i16> {
        numbers.into_iter().flat_map(|number| [number; FRAME]).collect()
    }

    #[test]
    fn silence_goes_out_while_nothing_is_said() {
        assert_eq!(pull(&mut mouth(), 3), [[0], [0], [0]]);
    }

    #[test]
    fn speech_begins_with_two_frames_and_ends_with_silence() {
        let mut mouth = mouth();
        mouth.push(&frames([1]));
        assert_eq!(pull(&mut mouth, 1), [[0]]);
        mouth.push(&frames([2, 3]));
        assert_eq!(pull(&mut mouth, 3), [[1], [2], [3]]);
        assert_eq!(pull(&mut mouth, 4), [vec![], vec![], vec![0, 0, 0], vec![0]]);
    }

    #[test]
    fn a_single_frame_is_said_after_all() {
        let mut mouth = mouth();
        mouth.push(&frames([1]));
        assert_eq!(pull(&mut mouth, 2), [[0], [1]]);
        mouth.push(&[7; 100]);
        let rest = pull(&mut mouth, 3);
        assert_eq!(rest, [vec![], vec![], vec![7, 0, 0]], "the rest of a frame is filled with silence");
    }

    #[test]
    fn what_comes_late_goes_out_at_once_and_no_silence_is_between() {
        let mut mouth = mouth();
        mouth.push(&frames([1, 2]));
        assert_eq!(pull(&mut mouth, 4), [vec![1], vec![2], vec![], vec![]]);
        mouth.push(&frames([3, 4, 5]));
        assert_eq!(pull(&mut mouth, 1), [[3, 4, 5]]);
    }

    #[test]
    fn what_has_piled_up_goes_out_twice_as_fast_and_silence_waits_for_it() {
        let mut mouth = mouth();
        mouth.push(&frames(1..=9));
        let said = pull(&mut mouth, 7);
        assert_eq!(said, [vec![1, 2], vec![3, 4], vec![5], vec![6], vec![7], vec![8], vec![9]]);
        assert_eq!(pull(&mut mouth, 6), [vec![], vec![], vec![], vec![], vec![0, 0, 0], vec![0]]);
    }

    #[test]
    fn who_does_not_hurry_speaks_at_an_even_pace() {
        let mut mouth = Mouth::new(Rate::HZ_24000, false);
        mouth.push(&frames(1..=50));
        let said = pull(&mut mouth, 50);
        assert!(said.iter().all(|frames| frames.len() == 1), "{said:?}");
    }

    #[test]
    fn cleared_speech_is_not_said() {
        let mut mouth = mouth();
        mouth.push(&frames(1..=4));
        pull(&mut mouth, 1);
        mouth.clear();
        assert_eq!((pull(&mut mouth, 2), mouth.waiting()), (vec![vec![0], vec![0]], 0));
    }
}
