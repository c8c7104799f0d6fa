//! A worker's [`Lease`]: when to renew it, until when the worker may act, and when it is lost.
//!
//! The rules kept here. A worker may act until a renewal that was answered, measured from *before* it was
//! sent, is as old as the lease is long, less a margin; so it stops before anybody can see the lease end. An
//! answer that does not come says nothing: the key itself is read. Only a key that is gone is a lost lease.
//! Only monotonic time counts.
//!
//! | | no answer | `Refused` | read: ours | read: gone |
//! |---|---|---|---|---|
//! | a renewal | read the key | read the key | | |
//! | a read | read again | | renew after what stands there | `Lost` |

use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::id::Sequence;

/// How long leases are, and what follows from that.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LeaseOptions {
    /// How long the engine keeps a lease that is not renewed. Whole seconds, at least 2. Default: 3 s. A
    /// shorter one finds a dead worker sooner, and a busy machine sooner counts as dead.
    pub ttl: Duration,
}

impl LeaseOptions {
    /// A lease of this many seconds, at least 2.
    #[must_use]
    pub fn secs(secs: u64) -> Self {
        Self { ttl: Duration::from_secs(secs.max(2)) }
    }

    /// How long before its end a worker stops: a fifth of it, at least 300 ms.
    pub fn margin(&self) -> Duration {
        (self.ttl / 5).max(Duration::from_millis(300))
    }

    /// How often it is renewed.
    pub fn renewal(&self) -> Duration {
        self.ttl / 4
    }

    /// How long a renewal waits for its answer.
    pub fn patience(&self) -> Duration {
        self.ttl / 4
    }
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self::secs(3)
    }
}

/// What the lease's holder is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LeaseStep {
    /// Write the key behind this sequence; 0 where there is none.
    Renew(Sequence),
    /// Read the key.
    Read,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Nothing is under way until then.
    Resting { until: Timestamp },
    /// A renewal is, since then.
    Renewing { since: Timestamp },
    /// The key is to be read, at that time.
    Doubting { at: Timestamp },
    /// It is being read.
    Reading,
    /// Somebody saw that it was gone.
    Lost,
}

/// The lease of one life of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    options: LeaseOptions,
    after: Sequence,
    state: State,
    /// The worker may act before then.
    good_until: Timestamp,
    /// `false` is for showing that the checks are needed.
    is_checked: bool,
}

impl Lease {
    pub(crate) fn new(now: Timestamp, options: LeaseOptions) -> Self {
        let state = State::Resting { until: now };
        Self { options, after: Sequence::default(), state, good_until: Timestamp::ZERO, is_checked: true }
    }

    pub(crate) fn unchecked(mut self) -> Self {
        self.is_checked = false;
        self
    }

    /// What is due. It is under way from then on.
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<LeaseStep> {
        match self.state {
            State::Resting { until } if until <= now => {
                self.state = State::Renewing { since: now };
                Some(LeaseStep::Renew(self.after))
            }
            State::Doubting { at } if at <= now => {
                self.state = State::Reading;
                Some(LeaseStep::Read)
            }
            State::Resting { .. }
            | State::Renewing { .. }
            | State::Doubting { .. }
            | State::Reading
            | State::Lost => None,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        match self.state {
            State::Resting { until } => Some(until),
            State::Doubting { at } => Some(at),
            State::Renewing { .. } | State::Reading | State::Lost => None,
        }
    }

    /// The renewal was taken.
    pub(crate) fn handle_renewed(&mut self, sequence: Sequence) {
        let State::Renewing { since } = self.state else { return };
        self.after = sequence;
        self.good_until = since + (self.options.ttl - self.options.margin());
        self.state = State::Resting { until: since + self.options.renewal() };
    }

    /// The renewal was refused, or was not answered: perhaps an earlier one had arrived.
    pub(crate) const fn handle_unclear(&mut self, now: Timestamp) {
        if matches!(self.state, State::Renewing { .. }) {
            self.state = State::Doubting { at: now };
        }
    }

    /// The key was read: the sequence of its value, or `None` where there is none. Then others may have seen
    /// that it is gone, even if no renewal was ever answered: the name is not used again.
    pub(crate) fn handle_read(&mut self, now: Timestamp, found: Option<Sequence>) {
        if self.state != State::Reading {
            return;
        }
        self.after = found.unwrap_or_default();
        self.state = match found {
            Some(_) => State::Resting { until: now },
            None => State::Lost,
        };
    }

    /// The read was not answered.
    pub(crate) fn handle_unread(&mut self, now: Timestamp) {
        if self.state == State::Reading {
            self.state = State::Doubting { at: now + self.options.renewal() / 4 };
        }
    }

    /// Renews at the next chance: the card has changed.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        if let State::Resting { until } = &mut self.state {
            *until = now.min(*until);
        }
    }

    /// Whether the worker may do now what cannot be undone.
    pub(crate) fn may_act(&self, now: Timestamp) -> bool {
        !self.is_checked || (now < self.good_until && self.state != State::Lost)
    }

    /// Until when it may, as far as is known.
    pub(crate) const fn good_until(&self) -> Timestamp {
        self.good_until
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    #[test]
    fn it_is_good_from_before_the_renewal_was_sent_and_ends_before_the_engine_ends_it() {
        let mut lease = Lease::new(at(0), LeaseOptions::default());
        assert_eq!(lease.poll(at(0)), Some(LeaseStep::Renew(Sequence(0))));
        assert!(!lease.may_act(at(0)));
        lease.handle_renewed(Sequence(5)); // whenever the answer came
        assert!(lease.may_act(at(2399)) && !lease.may_act(at(2400)), "3 s less 600 ms");
        assert_eq!(lease.poll_timeout(), Some(at(750)));
        assert_eq!(lease.poll(at(750)), Some(LeaseStep::Renew(Sequence(5))));
    }

    #[test]
    fn an_answer_that_was_lost_is_read_back() {
        let mut lease = held();
        lease.poll(at(750));
        lease.handle_unclear(at(1500));
        assert_eq!(lease.poll(at(1500)), Some(LeaseStep::Read));
        lease.handle_read(at(1510), Some(Sequence(9)));
        assert_eq!(lease.poll(at(1510)), Some(LeaseStep::Renew(Sequence(9))), "behind its own renewal");
        assert!(!lease.may_act(at(2400)), "it does not know when that renewal was taken");
    }

    #[test]
    fn only_a_key_that_is_gone_is_a_lost_lease() {
        let mut lease = held();
        lease.poll(at(750));
        lease.handle_unclear(at(1500));
        for now in [1500, 2000, 9000] {
            assert_eq!(lease.poll(at(now)), Some(LeaseStep::Read));
            lease.handle_unread(at(now));
            assert!(!lease.is_lost(), "the engine is away, which is no loss");
        }
        assert!(!lease.may_act(at(9000)), "but it does nothing meanwhile");
        lease.poll(at(9500));
        lease.handle_read(at(9600), None);
        assert!(lease.is_lost());
        assert_eq!((lease.poll(at(99_999)), lease.poll_timeout()), (None, None));
    }

    #[test]
    fn a_lease_that_may_have_been_held_unknown_to_its_worker_is_lost_too() {
        let mut lease = Lease::new(at(0), LeaseOptions::default());
        lease.poll(at(0));
        lease.handle_unclear(at(750));
        lease.poll(at(750));
        lease.handle_read(at(760), None);
        assert!(lease.is_lost(), "others may have seen it end");
    }

    fn held() -> Lease {
        let mut lease = Lease::new(at(0), LeaseOptions::default());
        lease.poll(at(0));
        lease.handle_renewed(Sequence(5));
        lease
    }
}
