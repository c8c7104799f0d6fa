//! What a call decides beyond its session: whether there is more than one connection, when, and where to.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::event::Dialect;
use crate::session::SessionOptions;

/// What this side decides about a call.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct CallOptions {
    /// About each of its sessions.
    pub session: SessionOptions,
    /// About further connections. Default: [`Reconnect::none`]: the call ends with its first one.
    #[serde(deserialize_with = "none_or_policy")]
    pub reconnect: Reconnect,
}

impl Default for CallOptions {
    /// A call of one connection.
    fn default() -> Self {
        SessionOptions::default().into()
    }
}

impl From<SessionOptions> for CallOptions {
    /// A call of one connection.
    fn from(session: SessionOptions) -> Self {
        Self { session, reconnect: Reconnect::none() }
    }
}

/// When a call gets another connection, and where to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Reconnect {
    /// How long to wait before each attempt.
    pub backoff: Backoff,
    /// Attempts without a healthy period between them, before the call ends; 0: a lost connection ends it.
    /// Default: 8.
    pub attempts: u32,
    /// How long a connection must serve before the count of attempts starts anew: else a server that accepts
    /// and hangs up would be tried forever. Default: 60 s.
    pub healthy_after: Duration,
    /// Endpoints that the driver knows, each by the dialect that it speaks; the first is preferred. Default:
    /// none named: one, which speaks [`SessionOptions::dialect`].
    pub endpoints: Vec<Dialect>,
    /// How long an endpoint rests after it failed, if there is another one. Default: 60 s.
    pub cooldown: Duration,
    /// How long before its age limit a connection is replaced: at most 60 min, and at most half of the
    /// session's life; zero: never. The change waits for the end of the turn, so it should be longer than any
    /// turn. Default: 5 min.
    pub rotate_before: Duration,
    /// The oldest input audio that the next session gets to hear: what grew older while there was none is
    /// lost, so that the model does not answer the past. Default: 2 s.
    pub held_audio: Duration,
    /// How long a new session may take to acknowledge what was said before it. Default: 5 s.
    pub seed_deadline: Duration,
    /// How long a change of connections between two turns waits for the transcript of what the user said
    /// last, where one is to come: without it, the new session could not be told. An urgent change does not
    /// wait. Default: 3 s.
    pub transcript_deadline: Duration,
    /// How long the output of a call counts for the same call made anew on another connection. Default: 2
    /// min.
    pub functions_kept: Duration,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            attempts: 8,
            healthy_after: Duration::from_secs(60),
            endpoints: Vec::new(),
            cooldown: Duration::from_secs(60),
            rotate_before: Duration::from_secs(300),
            held_audio: Duration::from_secs(2),
            seed_deadline: Duration::from_secs(5),
            transcript_deadline: Duration::from_secs(3),
            functions_kept: Duration::from_secs(120),
        }
    }
}

impl Reconnect {
    /// No further connection: the call ends with its first one.
    pub fn none() -> Self {
        Self { attempts: 0, rotate_before: Duration::ZERO, ..Self::default() }
    }

    /// Returns whether the call has one connection and gets no other.
    pub const fn is_none(&self) -> bool {
        self.attempts == 0 && self.rotate_before.is_zero()
    }
}

/// Reads a policy. `null`, which stood for a call of one connection, still does.
pub(crate) fn none_or_policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reconnect, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(Reconnect::none))
}

/// How long to wait before an attempt: longer each time, and by chance a little less, so that the clients of
/// a server that comes back do not all come at once.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Backoff {
    /// Before the first attempt. Default: 250 ms.
    pub first: Duration,
    /// How many times longer each time. Default: 2.
    pub factor: u32,
    /// The longest. Default: 15 s.
    pub cap: Duration,
    /// How much of it chance may take off (%). Default: 25.
    pub jitter_percent: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            factor: 2,
            cap: Duration::from_secs(15),
            jitter_percent: 25,
        }
    }
}

impl Backoff {
    /// How long to wait before the attempt of that number, from 1. The same entropy gives the same time.
    ///
    /// ```
    /// use realtime_protocol::call::Backoff;
    ///
    /// let backoff = Backoff { jitter_percent: 0, ..Backoff::default() };
    /// let waits: Vec<u128> = (1..=8).map(|attempt| backoff.delay(attempt, 0).as_millis()).collect();
    /// assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    /// ```
    pub fn delay(&self, attempt: u32, entropy: u64) -> Duration {
        let factor = self.factor.max(1).saturating_pow(attempt.saturating_sub(1));
        let longest = self.first.saturating_mul(factor).min(self.cap);
        let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        let most_off = u128::from(micros) * u128::from(self.jitter_percent.min(100)) / 100;
        let chance = u128::from(mix(entropy.wrapping_add(u64::from(attempt))));
        let off = u64::try_from((most_off * chance) >> 64).unwrap_or(micros);
        Duration::from_micros(micros - off)
    }
}

/// Well-mixed bits of a number (SplitMix64).
pub(crate) const fn mix(entropy: u64) -> u64 {
    let mut bits = entropy.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_is_null_or_absent_is_one_connection() {
        for (json, is_none) in [
            ("{}", true),
            (r#"{"reconnect":null}"#, true),
            (r#"{"reconnect":{}}"#, false),
            (r#"{"reconnect":{"attempts":0}}"#, false),
        ] {
            let options: CallOptions = serde_json::from_str(json).unwrap();
            assert_eq!(options.reconnect.is_none(), is_none, "{json}");
            let written = serde_json::to_string(&options).unwrap();
            assert_eq!(serde_json::from_str::<CallOptions>(&written).unwrap(), options);
        }
        assert!(CallOptions::default().reconnect.is_none());
    }

    #[test]
    fn chance_takes_off_no_more_than_its_share_and_differs_with_the_seed() {
        let backoff = Backoff::default();
        let waits: alloc::collections::BTreeSet<_> =
            (0..100).map(|entropy| backoff.delay(3, entropy)).collect();
        assert!(waits.len() > 90);
        for wait in waits {
            assert!((Duration::from_millis(750)..=Duration::from_secs(1)).contains(&wait), "{wait:?}");
        }
        assert_eq!(backoff.delay(4, 7), backoff.delay(4, 7));
        assert!(backoff.delay(u32::MAX, 0) <= backoff.cap);
    }
}
