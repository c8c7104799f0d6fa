//! The caller's audio in its order: late pieces wait for, lost ones are silence, and repeated ones are
//! dropped.
//!
//! A carrier places a piece by its own clock or by its number. Where both say something the clock decides,
//! since it also tells how much is missing. A piece that is ahead of its place waits for at most
//! [`WINDOW`] others.

use bytes::Bytes;

use crate::carrier::Packet;

/// How many pieces wait for a late one.
const WINDOW: usize = 3;

/// After so many late pieces in a row the carrier's clock has started again.
const RESTART: u32 = 10;

/// Audio in its order.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    Audio(Bytes),
    /// Samples that are missing here.
    Gap(u64),
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Arrival {
    Ordered,
    /// It came before another one that belongs before it.
    Early,
    /// It came too late, or twice, and was dropped.
    Late,
}

/// Puts pieces in order.
#[derive(Debug)]
pub(crate) struct Reorder {
    rate: u64,
    /// Where the newest ordered piece stands.
    last: Option<Placed>,
    /// Sorted by place; at most [`WINDOW`].
    held: Vec<Held>,
    /// Late pieces in a row.
    late: u32,
    /// How far the clock of the samples is from the carrier's: samples that came, less those that its clock
    /// says.
    ahead: i128,
}

/// A place on the carrier's scale: in samples by its clock, or in pieces by their numbers.
#[derive(Clone, Copy, Debug)]
struct Placed {
    place: u64,
    number: Option<u64>,
    /// The length of the piece on the same scale.
    span: u64,
    is_clock: bool,
}

struct Held {
    placed: Placed,
    samples: u64,
    audio: Bytes,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.placed.fmt(f)
    }
}

impl Reorder {
    /// For audio of so many samples a second.
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate: u64::from(rate), last: None, held: Vec::new(), late: 0, ahead: 0 }
    }

    /// Takes a piece of so many samples, and appends what is in order now.
    pub(crate) fn push(&mut self, packet: Packet, samples: u64, pieces: &mut Vec<Piece>) -> Arrival {
        let Packet { audio, at_ms, number } = packet;
        let placed = match (at_ms, number) {
            (Some(ms), number) => {
                let place = ms.saturating_mul(self.rate) / 1_000;
                Placed { place, number, span: samples, is_clock: true }
            }
            (None, Some(number)) => Placed { place: number, number: Some(number), span: 1, is_clock: false },
            (None, None) => {
                self.release_all(pieces);
                if let Some(last) = &mut self.last {
                    last.span = last.span.saturating_add(if last.is_clock { samples } else { 1 });
                }
                pieces.push(Piece::Audio(audio));
                return Arrival::Ordered;
            }
        };
        let held = Held { placed, samples, audio };
        let Some(last) = self.last.filter(|last| last.is_clock == placed.is_clock) else {
            self.release_all(pieces);
            self.accept(held, 0, pieces);
            return Arrival::Ordered;
        };
        if placed.place <= last.place {
            // A clock that stands still while the numbers go on is no clock.
            let goes_on = placed.is_clock
                && placed.place == last.place
                && last.number.zip(placed.number).is_some_and(|(last, now)| now > last);
            if goes_on {
                self.accept(held, 0, pieces);
                self.release_ready(pieces);
                return Arrival::Ordered;
            }
            self.late += 1;
            if self.late < RESTART {
                return Arrival::Late;
            }
            self.release_all(pieces);
            self.ahead = 0;
            self.accept(held, 0, pieces);
            return Arrival::Ordered;
        }
        if is_next(last, placed) {
            self.accept(held, 0, pieces);
            self.release_ready(pieces);
            return Arrival::Ordered;
        }
        let index = self.held.partition_point(|other| other.placed.place < placed.place);
        if self.held.get(index).is_some_and(|other| other.placed.place == placed.place) {
            return Arrival::Late;
        }
        self.held.insert(index, held);
        if self.held.len() > WINDOW {
            self.release_first(pieces);
            self.release_ready(pieces);
        }
        Arrival::Early
    }

    /// Gives all pieces that wait, with the gaps between them.
    pub(crate) fn release_all(&mut self, pieces: &mut Vec<Piece>) {
        while !self.held.is_empty() {
            self.release_first(pieces);
        }
    }

    /// The carrier's clock stood still for a while, or was set: the next piece stands where it comes.
    pub(crate) fn restart(&mut self, pieces: &mut Vec<Piece>) {
        self.release_all(pieces);
        self.last = None;
        self.ahead = 0;
    }

    fn release_ready(&mut self, pieces: &mut Vec<Piece>) {
        while let (Some(last), Some(first)) = (self.last, self.held.first()) {
            if first.placed.place > last.place && !is_next(last, first.placed) {
                return;
            }
            self.release_first(pieces);
        }
    }

    fn release_first(&mut self, pieces: &mut Vec<Piece>) {
        if self.held.is_empty() {
            return;
        }
        let first = self.held.remove(0);
        let gap = match self.last {
            Some(last) => self.gap(last, &first),
            None => 0,
        };
        self.accept(first, gap, pieces);
    }

    /// The samples that are missing before this piece.
    fn gap(&self, last: Placed, next: &Held) -> u64 {
        let missing = next.placed.place.saturating_sub(last.place.saturating_add(last.span));
        if !last.is_clock {
            return missing.saturating_mul(next.samples);
        }
        // A clock that jitters is not always late: what came too much before is no gap now.
        let behind = i128::from(missing) - self.ahead.max(0);
        u64::try_from(behind).unwrap_or(0)
    }

    fn accept(&mut self, held: Held, gap: u64, pieces: &mut Vec<Piece>) {
        let Held { placed, samples, audio } = held;
        self.late = 0;
        if let (Some(last), true) = (self.last, placed.is_clock) {
            let clock = i128::from(placed.place) - i128::from(last.place);
            let came = i128::from(last.span) + i128::from(gap);
            // 100 ms apart is drift and no jitter: it must not hide a gap.
            let most = i128::from(self.rate / 10);
            self.ahead = (self.ahead + came - clock).clamp(-most, most);
        }
        if gap > 0 {
            pieces.push(Piece::Gap(gap));
        }
        self.last = Some(Placed { span: if placed.is_clock { samples } else { 1 }, ..placed });
        pieces.push(Piece::Audio(audio));
    }
}

/// Returns whether the second piece follows the first, as exactly as a clock in milliseconds can say it.
fn is_next(last: Placed, next: Placed) -> bool {
    let tolerance = if last.is_clock { last.span.max(next.span) / 2 } else { 0 };
    next.place <= last.place.saturating_add(last.span).saturating_add(tolerance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 20 ms at 8 kHz that begin at each of these times; the answer is each piece's first byte, or `-ms`.
    fn order(times: &[u64]) -> Vec<i64> {
        let mut reorder = Reorder::new(8_000);
        let mut pieces = Vec::new();
        for (index, at_ms) in times.iter().enumerate() {
            let audio = Bytes::from(vec![index as u8; 160]);
            reorder.push(Packet { audio, at_ms: Some(*at_ms), number: None }, 160, &mut pieces);
        }
        reorder.release_all(&mut pieces);
        shown(&pieces)
    }

    fn shown(pieces: &[Piece]) -> Vec<i64> {
        let shown = pieces.iter().map(|piece| match piece {
            Piece::Audio(audio) => i64::from(audio[0]),
            Piece::Gap(samples) => -(*samples as i64) / 8,
        });
        shown.collect()
    }

    #[test]
    fn swapped_pieces_are_put_in_order() {
        assert_eq!(order(&[0, 20, 60, 40, 80]), [0, 1, 3, 2, 4]);
        assert_eq!(order(&[5, 25, 85, 65, 45, 105]), [0, 1, 4, 3, 2, 5]);
    }

    #[test]
    fn lost_pieces_become_silence() {
        assert_eq!(order(&[0, 20, 80, 100, 120, 140, 160]), [0, 1, -40, 2, 3, 4, 5, 6]);
        assert_eq!(order(&[0, 60]), [0, -40, 1]);
    }

    #[test]
    fn a_clock_that_jitters_makes_no_gaps() {
        assert_eq!(order(&[5, 24, 46, 65, 84, 106, 125]), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn repeated_and_late_pieces_are_dropped() {
        assert_eq!(order(&[0, 20, 20, 40, 0, 60]), [0, 1, 3, 5]);
    }

    #[test]
    fn a_clock_that_starts_again_is_followed() {
        let times: Vec<u64> = (0..5).map(|n| 10_000 + n * 20).chain((0..15).map(|n| n * 20)).collect();
        let came = order(&times);
        assert_eq!(came.len(), 5 + 15 - (RESTART as usize - 1));
        assert_eq!(came.last(), Some(&19));
    }

    #[test]
    fn a_clock_that_stands_still_is_no_clock_if_the_numbers_go_on() {
        let mut reorder = Reorder::new(8_000);
        let mut pieces = Vec::new();
        for number in 1..6 {
            let audio = Bytes::from(vec![number as u8; 160]);
            let packet = Packet { audio, at_ms: Some(0), number: Some(number) };
            assert_eq!(reorder.push(packet, 160, &mut pieces), Arrival::Ordered);
        }
        assert_eq!(shown(&pieces), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn numbers_alone_order_and_tell_gaps() {
        let mut reorder = Reorder::new(8_000);
        let mut pieces = Vec::new();
        for number in [1, 3, 2, 4, 7, 8, 9, 10, 9] {
            let audio = Bytes::from(vec![number as u8; 160]);
            reorder.push(Packet { audio, at_ms: None, number: Some(number) }, 160, &mut pieces);
        }
        reorder.release_all(&mut pieces);
        assert_eq!(shown(&pieces), [1, 2, 3, 4, -40, 7, 8, 9, 10]);
    }

    #[test]
    fn pieces_without_a_place_stand_where_they_come() {
        let mut reorder = Reorder::new(8_000);
        let mut pieces = Vec::new();
        for (byte, at_ms) in [(1, Some(0)), (2, None), (3, Some(40)), (4, Some(60))] {
            let packet = Packet { audio: Bytes::from(vec![byte; 160]), at_ms, number: None };
            reorder.push(packet, 160, &mut pieces);
        }
        assert_eq!(shown(&pieces), [1, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn any_places_at_all_are_survived(
            places in prop::collection::vec((any::<Option<u64>>(), any::<Option<u64>>(), 0..400_u64), 0..60),
        ) {
            let mut reorder = Reorder::new(48_000);
            let mut pieces = Vec::new();
            for (at_ms, number, samples) in places {
                reorder.push(Packet { audio: Bytes::from_static(b"x"), at_ms, number }, samples, &mut pieces);
                prop_assert!(reorder.held.len() <= WINDOW);
            }
            reorder.release_all(&mut pieces);
        }

        #[test]
        fn pieces_at_most_three_places_off_come_out_in_order(
            keys in prop::collection::vec(0..4_u64, 1..80),
            drops in prop::collection::vec(prop::bool::weighted(0.1), 80),
        ) {
            // Each piece is delayed by less than the window; the first one is never late.
            let delayed = |(n, delay): (usize, &u64)| (n as u64 + delay.min(&2), n as u64);
            let mut sent: Vec<(u64, u64)> = keys.iter().enumerate().skip(1).map(delayed).collect();
            sent.sort();
            let mut reorder = Reorder::new(8_000);
            let mut pieces = Vec::new();
            let mut kept = vec![0];
            for n in std::iter::once(0).chain(sent.into_iter().map(|(_, n)| n)) {
                if n != 0 && drops[n as usize] {
                    continue;
                }
                if n != 0 { kept.push(n); }
                let audio = Bytes::from(vec![n as u8; 160]);
                reorder.push(Packet { audio, at_ms: Some(n * 20), number: None }, 160, &mut pieces);
            }
            reorder.release_all(&mut pieces);
            kept.sort();
            let mut position = 0;
            let mut came = Vec::new();
            for piece in &pieces {
                match piece {
                    Piece::Gap(samples) => position += samples,
                    Piece::Audio(audio) => {
                        prop_assert_eq!(position, u64::from(audio[0]) * 160);
                        came.push(u64::from(audio[0]));
                        position += 160;
                    }
                }
            }
            prop_assert_eq!(came, kept);
        }
    }
}
