//! Function calls: each surfaces once and gets exactly one output; when all calls of a response are answered,
//! the model is asked once to go on.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::id::CallId;

/// Calls that are remembered after their output, so that a repeated event does not run them again.
const REMEMBERED: usize = 256;

/// Calls that wait for an output, by the response that made them.
#[derive(Debug, Default)]
pub(super) struct FunctionCalls {
    groups: Vec<Group>,
    seen: VecDeque<CallId>,
}

#[derive(Debug)]
struct Group {
    waiting: Vec<CallId>,
    respond: bool,
}

/// What the answer to a call leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Settled {
    /// Other calls of the response still wait.
    Waiting,
    /// All are answered.
    All {
        /// Whether the model should go on.
        respond: bool,
    },
}

impl FunctionCalls {
    /// Whether a call is new; it is not from here on.
    pub(super) fn see(&mut self, call_id: &CallId) -> bool {
        if self.seen.contains(call_id) || self.is_waiting(call_id) {
            return false;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(call_id.clone());
        true
    }

    /// Enters a response's calls. `respond`: whether those already answered by the session ask for a response.
    pub(super) fn open(&mut self, waiting: Vec<CallId>, respond: bool) {
        self.groups.push(Group { waiting, respond });
    }

    /// Whether a call of that id waits.
    pub(super) fn is_waiting(&self, call_id: &CallId) -> bool {
        self.groups.iter().any(|group| group.waiting.contains(call_id))
    }

    /// Takes a call out, now that it is answered.
    pub(super) fn complete(&mut self, call_id: &CallId, respond: bool) -> Option<Settled> {
        let index = self.groups.iter().position(|group| group.waiting.contains(call_id))?;
        let group = &mut self.groups[index];
        group.waiting.retain(|id| id != call_id);
        group.respond |= respond;
        if !group.waiting.is_empty() {
            return Some(Settled::Waiting);
        }
        let group = self.groups.remove(index);
        Some(Settled::All { respond: group.respond })
    }

    /// Whether no call waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All calls that wait, at the end.
    pub(super) fn end(&mut self) -> impl Iterator<Item = CallId> + use<> {
        core::mem::take(&mut self.groups).into_iter().flat_map(|group| group.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_asked_for_once_after_the_last_call_in_any_order() {
        for order in [["a", "b"], ["b", "a"]] {
            let mut calls = FunctionCalls::default();
            calls.open(alloc::vec!["a".into(), "b".into()], false);
            assert_eq!(calls.complete(&order[0].into(), true), Some(Settled::Waiting));
            assert_eq!(calls.complete(&order[1].into(), false), Some(Settled::All { respond: true }));
            assert_eq!(calls.complete(&order[1].into(), true), None);
        }
    }
}
