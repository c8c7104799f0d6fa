//! Randomness from one seed, so that the same inputs give the same outputs.

use crate::id::mix;

/// SplitMix64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entropy(u64);

impl Entropy {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, or 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound.max(1) as u64) as usize
    }
}
