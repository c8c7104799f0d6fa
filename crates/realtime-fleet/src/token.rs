//! What an owner shows to the leg that it dials: [`LegToken`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret of one call. The engine keeps it for the call's owners and nobody else: its `Debug` shows
/// nothing, and lists of calls have none.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct LegToken(String);

impl LegToken {
    /// Takes a secret: at least 128 bits that nobody guesses, for this call alone.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether there is none, as in lists of calls.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for LegToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegToken")
    }
}
