//! What is decided before a caller dials: [`CallerOptions`].

use std::collections::BTreeMap;
use std::fmt;

/// Options of a [`Caller`](super::Caller). `Debug` shows neither numbers nor parameters' values.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct CallerOptions {
    /// The caller's number, where the carrier's start has it. Default: `+15550100001`.
    pub from: String,
    /// The number that is called. Default: `+15550100002`.
    pub to: String,
    /// What the answer to the call, or the flow, gives to the stream. Default: nothing.
    pub parameters: BTreeMap<String, String>,
    /// Of what the ids of the call are made: calls at once need different ones. Default: 0.
    pub entropy: u64,
}

impl Default for CallerOptions {
    fn default() -> Self {
        Self {
            from: "+15550100001".to_owned(),
            to: "+15550100002".to_owned(),
            parameters: BTreeMap::new(),
            entropy: 0,
        }
    }
}

impl CallerOptions {
    /// Sets [`from`](Self::from).
    pub fn from(mut self, number: impl Into<String>) -> Self {
        self.from = number.into();
        self
    }

    /// Sets [`to`](Self::to).
    pub fn to(mut self, number: impl Into<String>) -> Self {
        self.to = number.into();
        self
    }

    /// Adds one of the [`parameters`](Self::parameters).
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Sets [`entropy`](Self::entropy).
    pub const fn entropy(mut self, entropy: u64) -> Self {
        self.entropy = entropy;
        self
    }
}

impl fmt::Debug for CallerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerOptions").field("parameters", &self.parameters.len()).finish_non_exhaustive()
    }
}
