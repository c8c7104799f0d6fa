//! What a stream counted: nothing is dropped without a number.

use std::collections::BTreeMap;

use crate::carrier::Odd;

/// Numbers of a stream, since its start.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Texts that came.
    pub texts: u64,
    /// Binary messages that came.
    pub binaries: u64,
    /// Messages that went out.
    pub sent: u64,
    /// Samples of the caller, as they went on, without filled gaps.
    pub input_samples: u64,
    /// Samples of silence in place of lost audio.
    pub filled_samples: u64,
    /// Samples that were lost and not filled, since the gap was too long.
    pub unfilled_samples: u64,
    /// Samples that went to the carrier, with the silence at the ends of pieces.
    pub output_samples: u64,
    /// Samples of silence at the ends of pieces.
    pub padded_samples: u64,
    /// Pieces of audio that came before one that belongs before them.
    pub early: u64,
    /// Pieces of audio that came twice or too late, and were dropped.
    pub late: u64,
    /// Bytes at the ends of pieces that were no whole sample.
    pub odd_bytes: u64,
    /// Messages before the start, that say nothing before it.
    pub before_start: u64,
    /// Messages after the end.
    pub after_end: u64,
    /// Messages that were too long.
    pub too_long: u64,
    /// Marks of audio that was flushed.
    pub stale_marks: u64,
    /// Marks that came back unasked, or twice.
    pub unknown_marks: u64,
    /// Marks whose audio the carrier says it dropped.
    pub dropped_marks: u64,
    /// Marks that could not be sent, since too many were under way.
    pub unsent_marks: u64,
    /// Errors that the carrier reported.
    pub carrier_faults: u64,
    /// Messages with something wrong, by what it was.
    pub odd: BTreeMap<Odd, u64>,
}

impl Counts {
    /// All messages with something wrong.
    pub fn odd_messages(&self) -> u64 {
        self.odd.values().sum()
    }

    pub(crate) fn count_odd(&mut self, odd: Odd) {
        *self.odd.entry(odd).or_default() += 1;
    }
}
