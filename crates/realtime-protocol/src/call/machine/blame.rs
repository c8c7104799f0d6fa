//! What may have ended a connection is not sent again: [`Loss`], and [`SeedLimit`] for what a new session is
//! told.
//!
//! Two rules. If the server closed a connection because of what was sent ([`DisconnectClass::Payload`]),
//! everything that was not acknowledged by then is given up at once. Anything else is sent on two connections
//! at most.

use alloc::format;
use alloc::vec::Vec;

use crate::call::close::may_be_payload;
use crate::call::{CloseReason, CommandId, DisconnectClass, Outcome, Refusal};

/// The most connections on which a thing is sent if each ends before acknowledging it.
pub(super) const MOST_SENT: u8 = 2;

/// How a connection ended, as far as that decides what may be sent again.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) reason: CloseReason,
    /// Commands of which nothing was sent.
    pub(super) unsent: Vec<CommandId>,
    /// Whether its configuration was sent and not acknowledged.
    pub(super) configuring: bool,
    /// Whether the next connection attaches to the same conversation, which may know what was sent.
    pub(super) attaches: bool,
}

impl Loss {
    /// Returns whether a command was sent, and nobody knows whether the server took it.
    pub(super) fn was_sent(&self, id: CommandId) -> bool {
        !self.unsent.contains(&id)
    }

    /// Returns whether the connection ended by itself, not because the call moves.
    pub(super) fn is_death(&self) -> bool {
        self.reason != CloseReason::Suspended
    }

    /// Returns whether a thing that was sent on `sent` connections is given up.
    pub(super) fn gives_up(&self, sent: u8) -> bool {
        self.blames_payload() || sent >= MOST_SENT
    }

    /// Returns whether the connection ended because of what was sent.
    pub(super) fn blames_payload(&self) -> bool {
        DisconnectClass::of(&self.reason) == DisconnectClass::Payload
    }

    /// The outcome of a thing that is given up after it was sent on `sent` connections.
    pub(super) fn refusal(&self, sent: u8) -> Outcome {
        let reason = &self.reason;
        let message = if self.blames_payload() {
            format!(
                "{reason}; this was not acknowledged and is not sent again: change it, or make it smaller"
            )
        } else {
            format!(
                "{sent} connections ended before this was acknowledged and it is not sent again: {reason}"
            )
        };
        refused(message)
    }
}

/// The outcome of a command that is given up.
pub(super) fn refused(message: impl Into<alloc::string::String>) -> Outcome {
    Outcome::Declined { reason: Refusal::NotSentAgain { because: message.into() } }
}

/// Counts the connections in a row that ended while their configuration was not acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConfigDeaths(u8);

impl ConfigDeaths {
    /// A connection ended. Returns `Some` if its configuration is the reason.
    pub(super) fn note(&mut self, loss: &Loss) -> Option<CloseReason> {
        if !loss.configuring {
            return None;
        }
        self.0 = self.0.saturating_add(u8::from(may_be_payload(&loss.reason)));
        (loss.blames_payload() || self.0 >= MOST_SENT).then(|| CloseReason::ConfigRefused {
            message: format!("{}; the configuration was not acknowledged", loss.reason),
        })
    }

    /// A session was configured.
    pub(super) const fn configured(&mut self) {
        self.0 = 0;
    }
}

/// How large the items of a seed may be, learnt from the connections that ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SeedLimit {
    /// Bytes of JSON.
    most: Option<usize>,
    cuts: u8,
    /// Connections that ended while they were seeded, without saying why.
    deaths: u8,
}

impl SeedLimit {
    /// A limit that was learnt elsewhere.
    pub(super) const fn new(most: Option<usize>) -> Self {
        Self { most, cuts: 0, deaths: 0 }
    }

    /// The largest item (bytes of JSON).
    pub(super) const fn most(self) -> Option<usize> {
        self.most
    }

    /// A command's item was too large, so a history with that item is too large as well.
    pub(super) fn learn(&mut self, size: usize) {
        if size >= SMALLEST_LEARNT {
            self.lower(size - size / 16);
        }
    }

    /// A connection ended before it had acknowledged its seed. `largest`: the size of its largest
    /// unacknowledged item.
    pub(super) fn note(&mut self, loss: &Loss, largest: usize) {
        self.deaths = self.deaths.saturating_add(u8::from(may_be_payload(&loss.reason)));
        if !loss.blames_payload() && self.deaths < MOST_SENT {
            return;
        }
        self.deaths = 0;
        self.cuts = self.cuts.saturating_add(1);
        // Few attempts are left: the third cut leaves nothing.
        self.lower(match self.cuts {
            1 => largest / 2,
            2 => largest / 8,
            _ => 0,
        });
    }

    /// A session serves. If it was told nothing, nothing is learnt: the next one is told again.
    pub(super) fn served(&mut self) {
        self.deaths = 0;
        if self.most == Some(0) {
            *self = Self::default();
        }
    }

    fn lower(&mut self, most: usize) {
        self.most = Some(self.most.map_or(most, |before| before.min(most)));
    }
}

/// No server closes a connection because of an item smaller than this (bytes of JSON).
const SMALLEST_LEARNT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::DisconnectReason;

    fn loss(code: u16) -> Loss {
        let reason =
            CloseReason::Disconnected(DisconnectReason::Closed { code: Some(code), reason: "".into() });
        Loss { reason, unsent: Vec::new(), configuring: true, attaches: false }
    }

    #[test]
    fn a_configuration_that_ends_connections_is_why_at_once_or_the_second_time() {
        for (codes, verdicts) in [
            ([1009, 1009].as_slice(), [true, true].as_slice()),
            (&[1011, 1011, 1011], &[false, true, true]),
            (&[1006, 1001, 1013, 1006], &[false; 4]),
            (&[1008, 1006, 1011], &[false, false, true]),
        ] {
            let mut deaths = ConfigDeaths::default();
            let noted: Vec<bool> = codes.iter().map(|code| deaths.note(&loss(*code)).is_some()).collect();
            assert_eq!(noted, verdicts, "{codes:?}");
        }
        let mut deaths = ConfigDeaths::default();
        deaths.note(&loss(1011));
        deaths.configured();
        assert_eq!(deaths.note(&loss(1011)), None, "another session took it");
    }

    #[test]
    fn a_seed_is_cut_until_nothing_of_it_is_left() {
        let mut limit = SeedLimit::default();
        let most: Vec<Option<usize>> = [8_000_000, 4_000_000, 500_000]
            .iter()
            .map(|largest| {
                limit.note(&loss(1009), *largest);
                limit.most()
            })
            .collect();
        assert_eq!(most, [Some(4_000_000), Some(500_000), Some(0)]);
        limit.served();
        assert_eq!(limit.most(), None);
        limit.note(&loss(1006), 1000);
        limit.note(&loss(1006), 1000);
        assert_eq!(limit.most(), None, "a broken line says nothing");
        limit.note(&loss(1011), 1000);
        assert_eq!(limit.most(), None);
        limit.note(&loss(1011), 1000);
        assert_eq!(limit.most(), Some(500));
    }

    #[test]
    fn small_items_teach_no_limit() {
        let mut limit = SeedLimit::default();
        limit.learn(1000);
        assert_eq!(limit.most(), None);
        limit.learn(160_000);
        assert_eq!(limit.most(), Some(150_000));
        limit.learn(320_000);
        assert_eq!(limit.most(), Some(150_000));
    }
}
