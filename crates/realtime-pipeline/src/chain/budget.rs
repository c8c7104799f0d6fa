//! How much one input may set in motion: [`Budget`]. Stages that answer each other for ever use it up.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::chain::fault::{Category, Fault};

/// The most steps that one input may cause, and the most frames that stages may push for it.
pub const MOST_STEPS: usize = 4096;

/// The stages of so many steps before the end of the budget are named.
const NAMED_STEPS: usize = 64;

/// What is left of an input's steps.
#[derive(Debug, Default)]
pub(super) struct Budget {
    steps: usize,
    pushes: usize,
    is_told: bool,
    /// The stages of the last steps.
    recent: BTreeSet<Arc<str>>,
}

impl Budget {
    /// Takes a step of this stage. Returns whether one was left.
    pub(super) fn take_step(&mut self, stage: &Arc<str>) -> bool {
        if self.steps >= MOST_STEPS {
            return false;
        }
        self.steps += 1;
        if self.steps > MOST_STEPS - NAMED_STEPS {
            self.recent.insert(Arc::clone(stage));
        }
        true
    }

    /// Takes a frame that this stage pushes. Returns whether one was left.
    pub(super) fn take_push(&mut self, stage: &Arc<str>) -> bool {
        if self.pushes >= MOST_STEPS {
            self.recent.insert(Arc::clone(stage));
            return false;
        }
        self.pushes += 1;
        true
    }

    /// It is used up: the fault, the first time.
    pub(super) fn spent(&mut self) -> Option<Fault> {
        if std::mem::replace(&mut self.is_told, true) {
            return None;
        }
        let names: Vec<&str> = self.recent.iter().map(|name| &**name).collect();
        let message = format!("expected at most {MOST_STEPS} steps for one input, and more were left");
        Some(Fault {
            stage: names.join(", ").into(),
            category: Category::Livelock,
            message: message.into(),
            cause: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_names_those_who_used_it_up_once() {
        let (early, late) = ("early".into(), "late".into());
        let mut budget = Budget::default();
        for step in 0..MOST_STEPS {
            assert!(budget.take_step(if step < 100 { &early } else { &late }));
        }
        assert!(!budget.take_step(&early));
        let fault = budget.spent().unwrap();
        assert_eq!((&*fault.stage, fault.category), ("late", Category::Livelock));
        assert!(budget.spent().is_none());
    }
}
