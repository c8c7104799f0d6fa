//! Disasters that wait for their moment, and the dice.

use realtime_protocol::event::ServerEvent;
use realtime_protocol::response::ResponseStatus;
use realtime_protocol::time::Timestamp;
use serde_json::Value;

use crate::disaster::{Action, Disaster, Which, fits};

/// A disaster that waits for its moment.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) disaster: Disaster,
    /// Not before.
    from: Timestamp,
    count: u64,
    pub(super) spent: bool,
}

impl Armed {
    /// From that time on.
    pub(super) const fn new(disaster: Disaster, from: Timestamp) -> Self {
        Self { disaster, from, count: 0, spent: false }
    }

    /// When it happens by itself.
    pub(super) fn alarm(&self) -> Option<Timestamp> {
        let waits_for_none = self.disaster.at.is_none() && self.disaster.from.is_none();
        (waits_for_none && !self.spent).then_some(self.from)
    }

    /// Returns whether it happens at this event.
    pub(super) fn fires(&mut self, event: &ServerEvent, now: Timestamp, dice: &mut Dice) -> bool {
        let Some(pattern) = &self.disaster.at else { return false };
        if self.spent || now < self.from || !fits(pattern, event.kind()) || !self.concerns(event) {
            return false;
        }
        self.counts(dice)
    }

    /// Returns `Some` if it happens at this client event, with the path of the member that it is about.
    pub(super) fn fires_at(
        &mut self,
        text: &str,
        event: &Value,
        now: Timestamp,
        dice: &mut Dice,
    ) -> Option<Option<String>> {
        let param =
            self.disaster.from.as_ref().filter(|_| !self.spent && now >= self.from)?.fits(text, event)?;
        self.counts(dice).then_some(param)
    }

    /// Counts one more that fits. Returns whether it is one at which it happens.
    fn counts(&mut self, dice: &mut Dice) -> bool {
        self.count += 1;
        match self.disaster.which {
            Which::Nth(nth) => {
                self.spent = self.count >= nth;
                self.count == nth
            }
            Which::Every(every) => self.count.is_multiple_of(every),
            Which::Chance(chance) => dice.roll() < chance,
        }
    }

    /// Returns whether the action means something for an event.
    fn concerns(&self, event: &ServerEvent) -> bool {
        match (&self.disaster.action, event) {
            (Action::LateDeltas(_), ServerEvent::ResponseDone(done)) => {
                done.response.status.value() == Some(&ResponseStatus::Cancelled)
            }
            (Action::LateDeltas(_), _) => false,
            _ => true,
        }
    }
}

/// Xorshift: the same numbers for the same seed.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// From 0 to 1.
    pub(super) fn roll(&mut self) -> f64 {
        self.0 = if self.0 == 0 { 1 } else { self.0 };
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
