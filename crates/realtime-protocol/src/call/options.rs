//! The options of a call beyond those of its sessions: whether it reconnects, when, and where to.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::event::Dialect;
use crate::session::SessionOptions;
use crate::setters::setters;

/// The options of a call.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CallOptions {
    /// The options of each of its sessions.
    pub session: SessionOptions,
    /// Further connections. Default: [`Reconnect::none`]: the call ends with its first connection.
    #[serde(deserialize_with = "none_or_policy")]
    pub reconnect: Reconnect,
}

setters! {
    CallOptions {
        session: SessionOptions,
        reconnect: Reconnect,
    }
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
#[non_exhaustive]
pub struct Reconnect {
    /// How long to wait before each attempt.
    pub backoff: Backoff,
    /// The number of attempts, without a healthy period between them, after which the call ends. With 0 a
    /// lost connection ends the call. Default: 8.
    pub attempts: u32,
    /// How long a connection must serve before the count of attempts starts anew. Without this, a server that
    /// accepts every connection and closes it at once would be tried forever. Default: 60 s.
    pub healthy_after: Duration,
    /// The dialect of each endpoint that the driver knows. The first endpoint is preferred. Default: empty,
    /// which means one endpoint that speaks [`SessionOptions::dialect`].
    pub endpoints: Vec<Dialect>,
    /// How long an endpoint is not used after it failed, if there is another one. Default: 60 s.
    pub cooldown: Duration,
    /// How long before its age limit a connection is replaced. At most 60 min, and at most half of the
    /// session's life. Zero: never. The change waits for the end of the turn, so choose a time longer than
    /// any turn. Default: 5 min.
    pub rotate_before: Duration,
    /// The greatest age of input audio that the next session gets. Audio that grew older while there was no
    /// session is dropped, so that the model does not answer the past. Default: 2 s.
    pub held_audio: Duration,
    /// How long a new session may take to acknowledge what was said before it. Default: 5 s.
    pub seed_deadline: Duration,
    /// How long a change of connections between two turns waits for the transcript of the user's last turn,
    /// if one is to come. Without the transcript the new session could not be told what the user said. An
    /// urgent change does not wait. Default: 3 s.
    pub transcript_deadline: Duration,
    /// Whether a response that was speaking when its connection was lost is asked for again, once the next
    /// session knows what was heard of it. It still ends as
    /// [`ResponseEnd::Lost`](crate::call::ResponseEnd::Lost). A reply that was due and of which nothing was
    /// said is always asked for. A call that attaches does not ask: its session goes on. Default: `false`.
    pub ask_again: bool,
    /// How long the output of a function call is kept, for the same call made again on another connection.
    /// Default: 2 min.
    pub functions_kept: Duration,
}

setters! {
    Reconnect {
        backoff: Backoff,
        attempts: u32,
        healthy_after: Duration,
        endpoints: Vec<Dialect>,
        cooldown: Duration,
        rotate_before: Duration,
        held_audio: Duration,
        seed_deadline: Duration,
        transcript_deadline: Duration,
        ask_again: bool,
        functions_kept: Duration,
    }
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
            ask_again: false,
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

/// Reads a policy. `null` means a call of one connection, as in earlier versions.
pub(crate) fn none_or_policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reconnect, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(Reconnect::none))
}

/// How long to wait before an attempt. The time grows with each attempt and is shortened by a random part, so
/// that the clients of a server that comes back do not all connect at once.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Backoff {
    /// Before the first attempt. Default: 250 ms.
    pub first: Duration,
    /// The factor by which each wait is longer than the one before. Default: 2.
    pub factor: u32,
    /// The longest wait. Default: 15 s.
    pub cap: Duration,
    /// The largest random part that is taken off (%). Default: 25.
    pub jitter_percent: u32,
}

setters! {
    Backoff {
        first: Duration,
        factor: u32,
        cap: Duration,
        jitter_percent: u32,
    }
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
    /// Returns how long to wait before an attempt, counted from 1. The same entropy gives the same time.
    ///
    /// ```
    /// use realtime_protocol::call::Backoff;
    ///
    /// let backoff = Backoff::default().jitter_percent(0);
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
