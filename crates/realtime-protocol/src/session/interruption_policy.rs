//! When the user's speech interrupts the assistant: [`InterruptionPolicy`].
//!
//! Turn detection decides what is a turn; the policy alone decides what stops playback.

use core::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::call::{Command, Event, Warning};
#[cfg(doc)]
use crate::session::PlaybackSource;

/// When the user's speech interrupts an assistant that is audible.
///
/// While nothing is audible, every turn counts: it is answered, and a pending response is cancelled. While
/// the assistant is audible, the policy weighs the speech:
///
/// | | |
/// |---|---|
/// | it counts | playback stops, the response is cancelled, what was heard is told; the turn is answered once it is over |
/// | it does not (a cough, "mhm") | playback goes on, and the turn is not answered. The model reads it with the next one |
///
/// # Wire
/// All policies except [`AtOnce`](Self::AtOnce) send `interrupt_response: false` and `create_response: false`
/// with the turn detection, and this side cancels and requests responses itself. If the application's
/// configuration already has `create_response: false`, the application requests responses, as ever. If it has
/// `interrupt_response: false` or no turn detection, speech does not interrupt, and the policy does nothing.
/// If a server refuses or ignores these members, the session falls back to `AtOnce`, with
/// [`Warning::InterruptionPolicyDropped`].
///
/// [`Command::Interrupt`] interrupts under every policy.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InterruptionPolicy {
    /// As soon as the server says that the user speaks. The server cancels the response by itself.
    #[default]
    AtOnce,
    /// When the user has spoken for some time.
    After {
        /// For how long. The server reports the end of speech only after a silence. With turn detection by
        /// silence, that silence (`silence_duration_ms`) must pass as well before speech is known to have
        /// lasted this long.
        speech: Duration,
        /// Whether playback is held meanwhile: see [`holding`](Self::holding).
        #[serde(default)]
        hold: bool,
    },
    /// When enough of the user's words are known, for servers that transcribe while the user speaks. When the
    /// time `within` is over, the words known by then decide. If none are known, speech that still goes on
    /// counts, as with `After`. A user who speaks on after too few words interrupts as soon as there are
    /// enough.
    ///
    /// A character of a script that writes no spaces counts as a word.
    AfterWords {
        /// How many words.
        words: u32,
        /// How long to wait for words, from the beginning of the speech. Choose it longer than the silence
        /// after which the server reports the end of speech.
        within: Duration,
        /// Whether playback is held meanwhile: see [`holding`](Self::holding).
        #[serde(default)]
        hold: bool,
    },
}

impl InterruptionPolicy {
    /// When the user has spoken for this long.
    pub const fn after(speech: Duration) -> Self {
        Self::After { speech, hold: false }
    }

    /// When this many words are known; when the time is over, those known then decide.
    pub const fn after_words(words: u32, within: Duration) -> Self {
        Self::AfterWords { words, within, hold: false }
    }

    /// Holds playback while speech is weighed, so that the assistant does not talk over the user:
    /// [`Event::HoldPlayback`], then [`Event::ResumePlayback`] if the speech does not count. Works only with
    /// [reported](PlaybackSource::Reported) playback: nothing else can hold it. `AtOnce` stays as it is.
    #[must_use]
    pub const fn holding(self) -> Self {
        match self {
            Self::AtOnce => Self::AtOnce,
            Self::After { speech, .. } => Self::After { speech, hold: true },
            Self::AfterWords { words, within, .. } => Self::AfterWords { words, within, hold: true },
        }
    }

    /// Returns whether playback is held while speech is weighed.
    pub const fn holds(self) -> bool {
        match self {
            Self::AtOnce => false,
            Self::After { hold, .. } | Self::AfterWords { hold, .. } => hold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_survives_the_log() {
        let policies = [
            InterruptionPolicy::AtOnce,
            InterruptionPolicy::after(Duration::from_millis(600)),
            InterruptionPolicy::after_words(2, Duration::from_secs(2)).holding(),
        ];
        for policy in policies {
            let text = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<InterruptionPolicy>(&text).unwrap(), policy, "{text}");
        }
        assert!(policies[2].holds() && !policies[1].holds());
    }
}
