//! Keeping a conversation small: what to do if it has more tokens than it may.
//!
//! The rule kept here: groups are never split, and whatever is done is returned.

use realtime_protocol::call::Notice;

use crate::budget::estimate;
use crate::conversation::Conversation;
use crate::log::EntryId;

/// What to do if a conversation has more tokens than it may. Leading instructions and
/// [pinned](crate::Log::pin) entries stay under every policy.
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
    /// Puts one summary in the place of the oldest groups: of as many as bring the rest to three quarters of
    /// what the conversation may have, so that not every turn makes a summary. The conversation's
    /// [summariser](Conversation::summariser) makes it of their messages, an earlier summary among them.
    /// Without a summariser, or where the summary is too long, drops the oldest groups.
    Summarise,
}

/// What a policy did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Pruned {
    /// Entries that are gone.
    pub dropped: Vec<EntryId>,
    /// Entries whose audio is told as text from now on.
    pub as_text: Vec<EntryId>,
    /// The summary that stands for entries that are gone.
    pub summary: Option<EntryId>,
}

impl Pruned {
    /// Returns whether nothing was done.
    pub const fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.as_text.is_empty() && self.summary.is_none()
    }

    pub(crate) fn notice(&self) -> Notice {
        let numbers = |entries: &[EntryId]| entries.iter().map(|entry| entry.number()).collect();
        Notice::Pruned {
            dropped: numbers(&self.dropped),
            as_text: numbers(&self.as_text),
            summary: self.summary.map(EntryId::number),
        }
    }
}

impl Conversation {
    /// Brings the conversation to at most so many estimated tokens, as far as pinned entries and instructions
    /// allow. In a call, the server is told at once. To have it done after every response, see
    /// [`budget`](Self::budget).
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
        if self.tokens() <= most {
            return pruned;
        }
        match policy {
            Policy::DropOldest => {}
            Policy::AudioToText { keep } => pruned.as_text = self.audio_to_text(keep),
            Policy::Summarise => self.summarise_oldest(most, &mut pruned),
        }
        if self.tokens() > most {
            let dropped = self.edit_with_mirror(|log, mirror| {
                let gone = log.oldest(&weights(log, mirror), most);
                log.drop_all(&gone);
                gone
            });
            pruned.summary = pruned.summary.filter(|summary| !dropped.contains(summary));
            pruned.dropped.extend(dropped);
        }
        pruned
    }

    /// The estimated tokens of all entries.
    pub fn tokens(&self) -> u64 {
        self.with_mirror(|log, mirror| weights(log, mirror).iter().sum())
    }

    fn summarise_oldest(&self, most: u64, pruned: &mut Pruned) {
        let Some(summariser) = self.its_summariser() else { return };
        let oldest = self.with_mirror(|log, mirror| log.oldest(&weights(log, mirror), most / 4 * 3));
        let (Some(first), Some(last)) = (oldest.first(), oldest.last()) else { return };
        let before: Vec<EntryId> = self.with(|log| log.entries().iter().map(crate::Entry::id).collect());
        pruned.summary = self.summarise(*first, *last, |messages| summariser(messages));
        pruned.dropped = self.with(|log| before.into_iter().filter(|id| log.get(*id).is_none()).collect());
    }
}

fn weights(log: &crate::Log, mirror: &crate::Mirror) -> Vec<u64> {
    estimate(log, mirror).iter().map(|weight| weight.tokens()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    /// Instructions, a pinned message, a call with its output, and four messages: of 11 tokens each, besides
    /// the call with 6.
    fn conversation() -> Conversation {
        let text = |letter: &str| letter.repeat(28);
        let conversation = Conversation::from_messages([
            Message::system(text("s")),
            Message::user(text("p")),
            Message::tool_call("c1", "ffff", "{}12"),
            Message::tool("c1", text("o")),
            Message::user(text("1")),
            Message::assistant(text("2")),
            Message::user(text("3")),
            Message::assistant(text("4")),
        ]);
        conversation.edit(|log| {
            let pinned = log.entries()[1].id();
            log.pin(pinned, true);
        });
        assert_eq!(conversation.tokens(), 83);
        conversation
    }

    /// The first letter of each message; of a call, `c`.
    fn letters(conversation: &Conversation) -> String {
        let letter = |message: &Message| message.text().chars().next().unwrap_or('c');
        conversation.messages().iter().map(letter).collect()
    }

    #[test]
    fn the_oldest_go_in_whole_groups_and_what_is_pinned_stays() {
        let conversation = conversation();
        // One token less: the call can't go without its output.
        assert_eq!(conversation.prune(Policy::DropOldest, 82).dropped.len(), 2);
        assert_eq!(letters(&conversation), "sp1234");
        assert!(conversation.prune(Policy::DropOldest, 66).is_empty());
        conversation.prune(Policy::DropOldest, 0);
        assert_eq!(letters(&conversation), "sp");
    }

    #[test]
    fn a_summary_takes_the_place_of_the_oldest_groups() {
        let conversation = conversation().summariser(|messages| format!("{} messages", messages.len()));
        let pruned = conversation.prune(Policy::Summarise, 80);
        // Down to 60 tokens: the call, its output and one message.
        assert_eq!(pruned.dropped.len(), 3);
        let messages = conversation.messages();
        assert_eq!(messages[2], Message::system("3 messages"));
        assert_eq!(conversation.line(pruned.summary.unwrap()).unwrap().text, "3 messages");
        assert_eq!(letters(&conversation), "sp3234");
        // The next summary takes in the earlier one.
        let next = conversation.prune(Policy::Summarise, 50);
        assert!(next.dropped.contains(&pruned.summary.unwrap()));
        assert_eq!(letters(&conversation), "sp34");
        assert!(conversation.tokens() <= 50);
    }

    #[test]
    fn without_a_summariser_or_with_a_long_summary_the_oldest_go() {
        let without = conversation();
        let pruned = without.prune(Policy::Summarise, 70);
        assert_eq!((pruned.summary, pruned.dropped.len()), (None, 2));
        let long = conversation().summariser(|_| "x".repeat(1000));
        let pruned = long.prune(Policy::Summarise, 70);
        assert_eq!(pruned.summary, None);
        assert_eq!(letters(&long), "sp34");
    }
}
