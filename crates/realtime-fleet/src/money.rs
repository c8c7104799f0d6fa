//! Money: [`MoneyLimit`], and the [`Day`] for which it holds.

use realtime_protocol::time::UnixTime;
use serde::{Deserialize, Serialize};

/// What a tenant may spend in a day, in millionths of the currency of the prices.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MoneyLimit {
    /// From here on no call begins.
    pub most: u64,
    /// From here on running calls end. `None`: they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
}

impl MoneyLimit {
    /// No call begins once so many millionths are spent.
    pub const fn new(most: u64) -> Self {
        Self { most, end: None }
    }

    /// Running calls end once so many millionths are spent.
    #[must_use]
    pub const fn end(mut self, end: u64) -> Self {
        self.end = Some(end);
        self
    }
}

/// In a day.
const SECONDS: u64 = 86_400;

/// A day of UTC, counted from the first of January 1970.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Day(pub u64);

impl Day {
    /// The day of this moment.
    pub fn of(wall: UnixTime) -> Self {
        let since = wall.saturating_since(UnixTime::default());
        Self(since.as_secs() / SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight() {
        assert_eq!(Day::of(UnixTime::from_secs(86_399)), Day(0));
        assert_eq!(Day::of(UnixTime::from_secs(86_400)), Day(1));
    }
}
