//! What a worker counts: [`Figures`].

use std::collections::BTreeMap;

use crate::engine::OfferAnswer;
use crate::line::Why;

/// What a worker holds, and what it has counted since it began. These are numbers alone: no words of calls,
/// and no names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// Calls that it has, with those that it is about to have.
    pub held: usize,
    /// Lost calls of others that it looks after until somebody has them.
    pub lost: usize,
    /// Calls that came, by why: placed here, taken over, or moved here.
    pub begun: BTreeMap<Why, u64>,
    /// Calls that it gave away while it drained.
    pub given_away: u64,
    /// Calls that another worker took over: this one had lost its lease.
    pub taken_away: u64,
    /// Calls that ended here.
    pub ended: u64,
    /// Offers that it refused, by what it said.
    pub refused: BTreeMap<OfferAnswer, u64>,
    /// Functions that an earlier owner had claimed, and of which nobody knows whether they ran.
    pub unknown: u64,
    /// Lines that it wrote into journals.
    pub lines: u64,
}

impl Figures {
    pub(super) fn began(&mut self, why: Why) {
        if why != Why::Back {
            *self.begun.entry(why).or_default() += 1; // one that is back was here before
        }
    }

    pub(super) fn answered(&mut self, answer: OfferAnswer) {
        if answer != OfferAnswer::Taken {
            *self.refused.entry(answer).or_default() += 1;
        }
    }
}
