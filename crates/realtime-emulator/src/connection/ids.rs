//! Ids in the server's style, from a counter and a seed: the same inputs give the same ids.

use realtime_protocol::id::{CallId, ConversationId, EventId, ItemId, ResponseId, SessionId};

/// Makes ids. No two of one connection are the same: each is a bijective scramble of its number.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    count: u64,
}

impl Ids {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    pub(crate) fn event(&mut self) -> EventId {
        self.text("event_").into()
    }

    pub(crate) fn session(&mut self) -> SessionId {
        self.text("sess_").into()
    }

    pub(crate) fn conversation(&mut self) -> ConversationId {
        self.text("conv_").into()
    }

    pub(crate) fn item(&mut self) -> ItemId {
        self.text("item_").into()
    }

    pub(crate) fn response(&mut self) -> ResponseId {
        self.text("resp_").into()
    }

    /// At most 32 characters, as the service's own.
    pub(crate) fn call(&mut self) -> CallId {
        self.text("call_").into()
    }

    /// An id with a prefix that is rare: `mcpl_`, `mcpr_`, `rtc_`.
    pub(crate) fn other(&mut self, prefix: &str) -> String {
        self.text(prefix)
    }

    /// Letters that make a delta's length tell less of its words, as GA's do.
    pub(crate) fn obfuscation(&mut self, delta: &str) -> String {
        let mut text = self.text("");
        text.truncate(16_usize.saturating_sub(delta.len() % 16).max(1));
        text
    }

    /// The prefix and 21 characters of base 62.
    fn text(&mut self, prefix: &str) -> String {
        self.count += 1;
        let high = scramble(self.seed ^ self.count.rotate_left(32));
        let low = scramble(self.seed.wrapping_add(self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let mut rest = (u128::from(high) << 64) | u128::from(low);
        let mut text = String::with_capacity(prefix.len() + LENGTH);
        text.push_str(prefix);
        for _ in 0..LENGTH {
            let digit = usize::try_from(rest % 62).unwrap_or_default();
            text.push(char::from(DIGITS[digit]));
            rest /= 62;
        }
        text
    }
}

/// The finishing step of SplitMix64.
const fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

const LENGTH: usize = 21;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_differ_within_a_connection_and_repeat_with_the_seed() {
        let all = |seed| -> Vec<ItemId> {
            let mut ids = Ids::new(seed);
            (0..1000).map(|_| ids.item()).collect()
        };
        assert_eq!(all(7), all(7));
        assert_ne!(all(7), all(8));
        assert_eq!(all(7).into_iter().collect::<BTreeSet<_>>().len(), 1000);
        assert!(all(7).iter().all(|id| id.as_str().len() == 26));
    }
}
