//! What a carrier does with the audio that it is sent: a queue of samples and marks, played by the clock.

use std::collections::VecDeque;

/// The most marks that wait.
const MOST_MARKS: usize = 10_000;

/// Audio that waits to be played, with the marks between.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    samples: VecDeque<i16>,
    /// Each mark with the sample of the whole call before which it stands.
    marks: VecDeque<(u64, String)>,
    /// Samples that the server sent, that sounded, and that were dropped.
    pub(super) received: u64,
    pub(super) sounded: u64,
    pub(super) dropped: u64,
}

impl Buffer {
    /// Returns whether there is room: at most `most` samples wait.
    pub(super) fn push(&mut self, samples: &[i16], most: usize) -> bool {
        self.received += samples.len() as u64;
        let has_room = self.samples.len() + samples.len() <= most;
        if has_room {
            self.samples.extend(samples);
        } else {
            self.dropped += samples.len() as u64;
        }
        has_room
    }

    /// Puts a mark behind what waits. Returns whether there is room for it.
    pub(super) fn mark(&mut self, name: String) -> bool {
        let has_room = self.marks.len() < MOST_MARKS;
        if has_room {
            self.marks.push_back((self.sounded + self.samples.len() as u64, name));
        }
        has_room
    }

    /// Plays so many samples, silence where there are none. Returns them, how many of them were there, and
    /// the marks that were reached.
    pub(super) fn play(&mut self, samples: usize) -> (Vec<i16>, usize, Vec<String>) {
        let there = samples.min(self.samples.len());
        let mut played: Vec<i16> = self.samples.drain(..there).collect();
        played.resize(samples, 0);
        self.sounded += there as u64;
        let reached = self.marks.iter().take_while(|(at, _)| *at <= self.sounded).count();
        let marks = self.marks.drain(..reached).map(|(_, name)| name).collect();
        (played, there, marks)
    }

    /// Drops what waits. Returns how many samples, and the marks in it.
    pub(super) fn clear(&mut self) -> (u64, Vec<String>) {
        let dropped = self.samples.len() as u64;
        self.dropped += dropped;
        self.samples.clear();
        (dropped, self.marks.drain(..).map(|(_, name)| name).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.marks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_once_what_was_before_them_has_sounded() {
        let mut buffer = Buffer::default();
        assert!(buffer.push(&[1, 2, 3], 5));
        assert!(buffer.mark("three".to_owned()));
        assert!(buffer.push(&[4, 5], 5) && !buffer.push(&[6], 5));
        assert_eq!(buffer.play(2), (vec![1, 2], 2, vec![]));
        assert_eq!(buffer.play(2), (vec![3, 4], 2, vec!["three".to_owned()]));
        assert!(buffer.mark("end".to_owned()));
        assert_eq!(buffer.clear(), (1, vec!["end".to_owned()]));
        assert_eq!(buffer.play(2), (vec![0, 0], 0, vec![]));
        assert_eq!((buffer.received, buffer.sounded, buffer.dropped), (6, 4, 2));
        assert!(buffer.is_empty());
    }
}
