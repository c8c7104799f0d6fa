//! What a carrier does with the audio that it is sent: a queue of samples and marks, played by the clock.

use std::collections::VecDeque;

/// Audio that waits to be played, with the marks between.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    queue: VecDeque<Piece>,
    /// What was played, silence included.
    pub(super) played: Vec<i16>,
    /// Samples that the server sent, that sounded, and that were dropped.
    pub(super) received: u64,
    pub(super) sounded: u64,
    pub(super) dropped: u64,
    /// How much had sounded each time that the rest was dropped (samples).
    pub(super) cleared_at: Vec<u64>,
}

#[derive(Debug)]
enum Piece {
    Sample(i16),
    Mark(String),
}

impl Buffer {
    pub(super) fn push(&mut self, samples: Vec<i16>) {
        self.received += samples.len() as u64;
        self.queue.extend(samples.into_iter().map(Piece::Sample));
    }

    /// Puts a mark behind what waits.
    pub(super) fn mark(&mut self, name: String) {
        self.queue.push_back(Piece::Mark(name));
    }

    /// Plays so many samples, silence where there are none. Returns the marks that were reached.
    pub(super) fn play(&mut self, samples: usize) -> Vec<String> {
        let (mut left, mut marks) = (samples, Vec::new());
        while let Some(piece) = self.queue.front() {
            if matches!(piece, Piece::Sample(_)) && left == 0 {
                break;
            }
            match self.queue.pop_front() {
                Some(Piece::Sample(sample)) => {
                    self.played.push(sample);
                    left -= 1;
                }
                Some(Piece::Mark(name)) => marks.push(name),
                None => {}
            }
        }
        self.sounded += (samples - left) as u64;
        self.played.resize(self.played.len() + left, 0);
        marks
    }

    /// Drops what waits. Returns the marks in it.
    pub(super) fn clear(&mut self) -> Vec<String> {
        self.cleared_at.push(self.sounded);
        let mut marks = Vec::new();
        for piece in self.queue.drain(..) {
            match piece {
                Piece::Sample(_) => self.dropped += 1,
                Piece::Mark(name) => marks.push(name),
            }
        }
        marks
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_once_what_was_before_them_has_sounded() {
        let mut buffer = Buffer::default();
        buffer.push(vec![1, 2, 3]);
        buffer.mark("three".to_owned());
        buffer.push(vec![4, 5]);
        assert!(buffer.play(2).is_empty());
        assert_eq!(buffer.play(2), ["three"]);
        buffer.mark("end".to_owned());
        assert_eq!(buffer.clear(), ["end"]);
        assert!(buffer.play(2).is_empty());
        assert_eq!(buffer.played, [1, 2, 3, 4, 0, 0]);
        assert_eq!((buffer.received, buffer.sounded, buffer.dropped), (5, 4, 1));
    }
}
