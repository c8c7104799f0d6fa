//! The functions of a call across its owners: [`Claim`]s in a [`Ledger`].
//!
//! The rule kept here: a key is claimed once. What was claimed and has no result is not run again, unless its
//! [`OnTakeover`] says so.

use std::collections::VecDeque;
use std::sync::Arc;

use realtime_protocol::call::FunctionCall;
use serde::{Deserialize, Serialize};

use crate::content::Content;

/// Functions whose end the model knows are kept for this many later ones: it may be told late.
const DELIVERED: usize = 64;
/// Functions that may be open or undelivered at once.
const OPEN: usize = 256;

/// What the next owner does with a function that was claimed and has no result.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnTakeover {
    /// The model is told that nobody knows whether it happened.
    #[default]
    Unknown,
    /// It runs again: running twice does what running once does.
    Again,
    /// The user is asked.
    Ask,
}

/// How far a function came.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Progress {
    /// It may have run.
    Claimed,
    /// It has run; the model may not know.
    Done {
        /// What it returned.
        output: Content,
    },
    /// The model has its output.
    Delivered,
}

/// A function of a call.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Claim {
    /// The function call's key.
    pub key: String,
    /// The function's name.
    pub name: String,
    /// What the next owner does if there is no result.
    #[serde(default)]
    pub on_takeover: OnTakeover,
    /// The function call, until the model has its output. None where its owner wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Arc<FunctionCall>>,
    /// How far it came.
    pub progress: Progress,
}

/// The functions of a call, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ledger {
    claims: VecDeque<Claim>,
}

impl Ledger {
    pub(crate) fn of(claims: Vec<Claim>) -> Self {
        Self { claims: claims.into() }
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Claim> {
        self.claims.iter().rev().find(|claim| claim.key == key)
    }

    /// Returns whether one more may be open.
    pub(crate) fn has_room(&self) -> bool {
        let open = self.claims.iter().filter(|claim| claim.progress != Progress::Delivered);
        open.count() < OPEN
    }

    pub(crate) fn claim(
        &mut self,
        key: &str,
        name: &str,
        on_takeover: OnTakeover,
        call: Option<Arc<FunctionCall>>,
    ) {
        self.claims.push_back(Claim {
            key: key.to_owned(),
            name: name.to_owned(),
            on_takeover,
            call,
            progress: Progress::Claimed,
        });
    }

    pub(crate) fn advance(&mut self, key: &str, progress: Progress) {
        if let Some(claim) = self.claims.iter_mut().rev().find(|claim| claim.key == key) {
            if progress == Progress::Delivered {
                claim.call = None;
            }
            claim.progress = progress;
        }
        let is_over = |claim: &Claim| claim.progress == Progress::Delivered;
        while self.claims.iter().filter(|claim| is_over(claim)).count() > DELIVERED {
            let oldest = self.claims.iter().position(is_over).expect("some are over: they were counted");
            self.claims.remove(oldest);
        }
    }

    /// All, as a snapshot keeps them.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.claims.iter().cloned().collect()
    }

    /// Those whose end the model may not know.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().filter(|claim| claim.progress != Progress::Delivered)
    }

    /// Those whose end the model knows.
    pub(crate) fn delivered(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().filter(|claim| claim.progress == Progress::Delivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_delivered_is_forgotten_in_the_end_and_what_is_open_is_not() {
        let mut ledger = Ledger::default();
        ledger.claim("open", "book", OnTakeover::Again, None);
        for n in 0..200 {
            let key = n.to_string();
            ledger.claim(&key, "book", OnTakeover::Unknown, None);
            ledger.advance(&key, Progress::Done { output: Content::default() });
            ledger.advance(&key, Progress::Delivered);
        }
        assert_eq!(ledger.claims().len(), 1 + DELIVERED);
        assert_eq!(ledger.unsettled().map(|claim| &claim.key[..]).collect::<Vec<_>>(), ["open"]);
        assert!(ledger.find("199").is_some() && ledger.find("0").is_none());
    }

    #[test]
    fn the_number_of_open_functions_is_bounded() {
        let mut ledger = Ledger::default();
        (0..OPEN).for_each(|n| ledger.claim(&n.to_string(), "book", OnTakeover::Unknown, None));
        assert!(!ledger.has_room());
        ledger.advance("7", Progress::Delivered);
        assert!(ledger.has_room());
    }
}
