//! What a conversation weighs and costs: an estimate of tokens for each entry, policies that keep it small,
//! prices, and limits.
//!
//! The rules kept here: a call is never dropped without its output, pinned entries and instructions stay, and
//! whatever is done is returned. All prices are the user's: this crate knows none.

mod estimate;
mod price;
mod spend;

pub use estimate::{Estimate, estimate};
pub use price::{Cost, Prices};
pub use spend::{Budget, SpendLimits};

use crate::conversation::Conversation;
use crate::log::EntryId;

/// What to do if a conversation has more tokens than it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Policy {
    /// Drops the oldest groups.
    DropOldest,
    /// Tells audio as text, from the oldest on, except for the newest `keep` entries with audio. Where that
    /// is not enough, drops the oldest groups.
    AudioToText {
        /// How many entries keep their audio.
        keep: usize,
    },
}

/// What a policy did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Pruned {
    /// Entries that are gone.
    pub dropped: Vec<EntryId>,
    /// Entries whose audio is told as text from now on.
    pub as_text: Vec<EntryId>,
}

impl Conversation {
    /// Brings the conversation to at most so many estimated tokens, as far as pinned entries and instructions
    /// allow. In a call, the server is told at once.
    ///
    /// ```
    /// use realtime_context::budget::Policy;
    /// use realtime_context::{Conversation, Message};
    ///
    /// let conversation = Conversation::from_messages((0..100).map(|n| Message::user(format!("Number {n}"))));
    /// let pruned = conversation.prune(Policy::DropOldest, 100);
    /// assert!(!pruned.dropped.is_empty());
    /// assert!(conversation.messages().len() < 100);
    /// ```
    pub fn prune(&self, policy: Policy, most: u64) -> Pruned {
        let mut pruned = Pruned::default();
        if let Policy::AudioToText { keep } = policy
            && self.tokens() > most
        {
            pruned.as_text = self.audio_to_text(keep);
        }
        if self.tokens() > most {
            pruned.dropped = self.edit_with_mirror(|log, mirror| {
                let weights = estimate(log, mirror);
                let total: u64 = weights.iter().map(|weight| weight.tokens()).sum();
                log.drop_oldest(|index| weights.get(index).map_or(0, |weight| weight.tokens()), total, most)
            });
        }
        pruned
    }

    /// The estimated tokens of all entries.
    pub fn tokens(&self) -> u64 {
        self.with_mirror(|log, mirror| estimate(log, mirror).iter().map(|weight| weight.tokens()).sum())
    }
}
