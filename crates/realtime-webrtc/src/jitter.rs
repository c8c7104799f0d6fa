//! The jitter buffer: puts packets in order and hands them out at an even pace. Pure: the driver asks once
//! per frame of 20 ms.
//!
//! It waits until three packets are there, so that one may be late by two frames. A packet that is missing
//! while a later one is there is told as lost, to be concealed. While nothing is there, nothing is handed
//! out and nothing counts as lost: what comes late is heard late. If more has come than it keeps, it is
//! handed out two at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::opus::{FRAME, length};

/// What came and has not been handed out.
#[derive(Debug, Default)]
pub(crate) struct Jitter {
    /// By their times, in ticks of RTP's clock (48 kHz).
    packets: BTreeMap<u64, Arc<[u8]>>,
    /// The time of the next one. `None`: it fills up.
    next: Option<u64>,
    /// How often it was asked in vain.
    waited: u32,
    /// Packets that came too late.
    late: u64,
}

/// What is to be heard next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Pulled {
    Packet(Arc<[u8]>),
    /// A frame was lost.
    Lost,
    /// Nothing is there yet.
    Nothing,
    /// Nothing is there, for a while.
    Idle,
}

impl Jitter {
    /// A packet came. If too many wait, the oldest is dropped.
    pub(crate) fn push(&mut self, time: u64, packet: Arc<[u8]>) {
        if self.next.is_some_and(|next| time < next && next - time < JUMP) {
            self.late += 1;
            return;
        }
        self.packets.insert(time, packet);
        if self.packets.len() > MOST {
            self.packets.pop_first();
        }
    }

    /// The next frame. Ask once per 20 ms, and once more while it [is ahead](Self::is_ahead).
    pub(crate) fn pull(&mut self) -> Pulled {
        let (Some((first, _)), Some((last, _))) =
            (self.packets.first_key_value(), self.packets.last_key_value())
        else {
            return self.starve();
        };
        let (first, last) = (*first, *last);
        // The sender began anew, or was silent.
        if self.next.is_some_and(|next| first.abs_diff(next) > JUMP) {
            self.next = None;
            self.waited = 0;
        }
        let Some(next) = self.next else {
            self.waited += 1;
            if last - first < DEPTH && self.waited < LONGEST_WAIT {
                return Pulled::Nothing;
            }
            return self.take(first);
        };
        if first <= next {
            return self.take(first);
        }
        self.next = Some(next + FRAME);
        Pulled::Lost
    }

    /// Returns whether more has come than it keeps.
    pub(crate) fn is_ahead(&self) -> bool {
        let last = self.packets.last_key_value().map(|(last, _)| *last);
        matches!((self.next, last), (Some(next), Some(last)) if last.saturating_sub(next) > MOST_AHEAD)
    }

    /// Packets that came too late so far.
    pub(crate) const fn late(&self) -> u64 {
        self.late
    }

    fn take(&mut self, time: u64) -> Pulled {
        let Some(packet) = self.packets.remove(&time) else { return Pulled::Nothing };
        self.waited = 0;
        self.next = Some(time + length(&packet));
        Pulled::Packet(packet)
    }

    fn starve(&mut self) -> Pulled {
        if self.next.is_none() {
            self.waited = 0;
            return Pulled::Idle;
        }
        self.waited += 1;
        if self.waited < LONGEST_STALL {
            return Pulled::Nothing;
        }
        (self.next, self.waited) = (None, 0);
        Pulled::Idle
    }
}

/// What it waits for before it begins: three packets of 20 ms.
const DEPTH: u64 = 2 * FRAME;
/// For the second and third packet it waits so many frames.
const LONGEST_WAIT: u32 = 3;
/// After so many frames without any packet, it fills up again.
const LONGEST_STALL: u32 = 10;
/// Beyond this it is ahead: 160 ms.
const MOST_AHEAD: u64 = 8 * FRAME;
/// A larger gap is no loss: 200 ms.
const JUMP: u64 = 10 * FRAME;
/// The most packets that wait: 2 s.
const MOST: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of 20 ms with a number.
    fn packet(number: u8) -> Arc<[u8]> {
        Arc::from([0xf8, number].as_slice())
    }

    fn push(jitter: &mut Jitter, numbers: impl IntoIterator<Item = u8>) {
        for number in numbers {
            jitter.push(u64::from(number) * FRAME, packet(number));
        }
    }

    /// What comes out when it is asked so often: the numbers, `-1` for a loss, `-2` for nothing, `-3` idle.
    fn pull(jitter: &mut Jitter, times: usize) -> Vec<i32> {
        let read = |pulled| match pulled {
            Pulled::Packet(packet) => i32::from(packet[1]),
            Pulled::Lost => -1,
            Pulled::Nothing => -2,
            Pulled::Idle => -3,
        };
        (0..times).map(|_| read(jitter.pull())).collect()
    }

    #[test]
    fn packets_come_out_in_order_whatever_their_order_was() {
        let mut jitter = Jitter::default();
        push(&mut jitter, [1, 0, 3, 2, 4]);
        assert_eq!(pull(&mut jitter, 5), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn it_begins_with_the_third_packet_or_after_three_frames() {
        let mut jitter = Jitter::default();
        assert_eq!(pull(&mut jitter, 2), [-3, -3]);
        push(&mut jitter, [0, 1]);
        assert_eq!(pull(&mut jitter, 3), [-2, -2, 0]);
        let mut jitter = Jitter::default();
        push(&mut jitter, [0, 1, 2]);
        assert_eq!(pull(&mut jitter, 1), [0]);
    }

    #[test]
    fn a_gap_is_a_loss_and_a_stall_is_not() {
        let mut jitter = Jitter::default();
        push(&mut jitter, [0, 1, 2, 4, 5]);
        assert_eq!(pull(&mut jitter, 6), [0, 1, 2, -1, 4, 5]);
        assert_eq!(pull(&mut jitter, 2), [-2, -2]);
        push(&mut jitter, [6, 7]);
        assert_eq!(pull(&mut jitter, 2), [6, 7], "it comes late, and is heard");
    }

    #[test]
    fn what_comes_after_its_successor_was_heard_is_late() {
        let mut jitter = Jitter::default();
        push(&mut jitter, [0, 1, 2, 4]);
        assert_eq!(pull(&mut jitter, 5), [0, 1, 2, -1, 4]);
        push(&mut jitter, [3, 5]);
        assert_eq!((pull(&mut jitter, 1), jitter.late()), (vec![5], 1));
    }

    #[test]
    fn after_a_pause_or_a_jump_it_fills_up_again() {
        let mut jitter = Jitter::default();
        push(&mut jitter, [0, 1, 2]);
        pull(&mut jitter, 3);
        assert_eq!(pull(&mut jitter, 11)[8..], [-2, -3, -3]);
        push(&mut jitter, [100]);
        assert_eq!(pull(&mut jitter, 3), [-2, -2, 100]);
        push(&mut jitter, [200, 201, 202]);
        assert_eq!(pull(&mut jitter, 3), [200, 201, 202]);
        push(&mut jitter, [7, 8, 9]);
        assert_eq!(pull(&mut jitter, 3), [7, 8, 9], "the sender counts from another number");
    }

    #[test]
    fn what_has_piled_up_is_handed_out_faster_and_bounded() {
        let mut jitter = Jitter::default();
        push(&mut jitter, 0..12);
        assert_eq!(pull(&mut jitter, 1), [0]);
        let mut frames = 0;
        while jitter.is_ahead() {
            pull(&mut jitter, 1);
            frames += 1;
        }
        assert_eq!(frames, 2);
        push(&mut jitter, 20..250);
        assert!(jitter.packets.len() <= MOST);
    }

    #[test]
    fn longer_packets_are_followed_by_what_comes_after_them() {
        let mut jitter = Jitter::default();
        let long = |number: u8| Arc::from([0xf9, number].as_slice()); // 40 ms
        for number in 0..4 {
            jitter.push(u64::from(number) * 2 * FRAME, long(number));
        }
        assert_eq!(pull(&mut jitter, 4), [0, 1, 2, 3]);
    }
}
