//! How much a page may send, or be told, in a time: [`Allowance`].

use std::time::Duration;

use realtime_protocol::time::Timestamp;

/// Something that grows with time up to a limit, and is spent.
#[derive(Debug)]
pub(super) struct Allowance {
    /// What is left, as the time that it took to grow.
    left: Duration,
    most: Duration,
    since: Timestamp,
}

impl Allowance {
    /// All of it may be spent at once.
    pub(super) const fn new(most: Duration) -> Self {
        Self { left: most, most, since: Timestamp::ZERO }
    }

    /// Returns whether there was so much left, and spends it.
    pub(super) fn spend(&mut self, now: Timestamp, amount: Duration) -> bool {
        let grown = now.saturating_since(self.since);
        self.since = self.since.max(now);
        self.left = self.left.saturating_add(grown).min(self.most);
        match self.left.checked_sub(amount) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_grows_again_with_time() {
        let mut allowance = Allowance::new(Duration::from_secs(2));
        let (at, ms) = (Timestamp::from_millis, Duration::from_millis);
        assert!(allowance.spend(at(0), ms(1_500)));
        assert!(!allowance.spend(at(100), ms(700)));
        assert!(allowance.spend(at(200), ms(700)));
        assert!(!allowance.spend(at(150), ms(1)), "an older time is no new time");
        assert!(allowance.spend(at(99_000), ms(2_000)) && !allowance.spend(at(99_000), ms(1)));
    }
}
