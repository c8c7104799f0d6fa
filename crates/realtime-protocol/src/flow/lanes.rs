//! Two queues with one order: audio, which may be dropped, and the rest, which may not. So the oldest audio
//! is found without a search.

use alloc::collections::VecDeque;

/// Audio `A` and others `B`, which leave in the order in which they came.
pub(super) struct Lanes<A, B> {
    /// Counts what came, in either queue.
    pushed: u64,
    audio: VecDeque<(u64, A)>,
    others: VecDeque<(u64, B)>,
}

/// What is next in the common order.
#[derive(Debug, PartialEq)]
pub(super) enum Next<A, B> {
    Audio(A),
    Other(B),
}

impl<A, B> Lanes<A, B> {
    pub(super) const fn new() -> Self {
        Self { pushed: 0, audio: VecDeque::new(), others: VecDeque::new() }
    }

    pub(super) fn push_audio(&mut self, audio: A) {
        self.pushed += 1;
        self.audio.push_back((self.pushed, audio));
    }

    pub(super) fn push_other(&mut self, other: B) {
        self.pushed += 1;
        self.others.push_back((self.pushed, other));
    }

    /// Takes the oldest of all.
    pub(super) fn pop(&mut self) -> Option<Next<A, B>> {
        if self.next_audio().is_some() {
            return self.pop_audio().map(Next::Audio);
        }
        self.others.pop_front().map(|(_, other)| Next::Other(other))
    }

    /// Takes the oldest audio, even if other events are before it.
    pub(super) fn pop_audio(&mut self) -> Option<A> {
        self.audio.pop_front().map(|(_, audio)| audio)
    }

    /// The oldest of all, if it is audio.
    pub(super) fn next_audio(&self) -> Option<&A> {
        let (at, audio) = self.audio.front()?;
        self.others.front().is_none_or(|(other, _)| at < other).then_some(audio)
    }

    /// The oldest audio, even if other events are before it.
    pub(super) fn oldest_audio(&self) -> Option<&A> {
        self.audio.front().map(|(_, audio)| audio)
    }

    /// The newest of the others.
    pub(super) fn newest_other(&mut self) -> Option<&mut B> {
        self.others.back_mut().map(|(_, other)| other)
    }

    pub(super) fn audio_len(&self) -> usize {
        self.audio.len()
    }

    pub(super) fn others_len(&self) -> usize {
        self.others.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.audio.is_empty() && self.others.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn left(lanes: &mut Lanes<u32, u32>) -> Vec<u32> {
        core::iter::from_fn(|| lanes.pop()).map(|(Next::Audio(n) | Next::Other(n))| n).collect()
    }

    proptest! {
        #[test]
        fn what_stays_leaves_in_the_order_in_which_it_came(steps in "[aop]{0,64}") {
            let mut lanes = Lanes::new();
            let (mut expected, mut audio) = (Vec::new(), Vec::new());
            for (n, step) in (0..).zip(steps.chars()) {
                match step {
                    'a' => {
                        lanes.push_audio(n);
                        expected.push(n);
                        audio.push(n);
                    }
                    'o' => {
                        lanes.push_other(n);
                        expected.push(n);
                    }
                    _ => {
                        let oldest = (!audio.is_empty()).then(|| audio.remove(0));
                        prop_assert_eq!(lanes.oldest_audio().copied(), oldest);
                        prop_assert_eq!(lanes.pop_audio(), oldest);
                        expected.retain(|n| Some(*n) != oldest);
                    }
                }
            }
            prop_assert_eq!(lanes.audio_len() + lanes.others_len(), expected.len());
            let first_is_audio = expected.first().is_some_and(|first| audio.contains(first));
            prop_assert_eq!(lanes.next_audio().is_some(), first_is_audio);
            prop_assert_eq!(left(&mut lanes), expected);
            prop_assert!(lanes.is_empty());
        }
    }
}
