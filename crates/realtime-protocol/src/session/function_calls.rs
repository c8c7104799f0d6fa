//! Function calls: each surfaces once and gets exactly one output; when all calls of a response are answered,
//! the model is asked once to go on.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::id::{CallId, ResponseId};

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
    response_id: ResponseId,
    waiting: Vec<CallId>,
    /// Whether any answer asks for a response.
    respond: bool,
    /// Whether the response that made the calls said something itself.
    spoke: bool,
    /// Whether that response was forced to make calls.
    forced: bool,
    /// Whether that response has ended, so that all its calls are known.
    whole: bool,
    /// Whether the user spoke over all that wait.
    interrupted: bool,
}

/// How far the calls of a response are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// Others still wait, or may come.
    Waiting,
    /// All are answered.
    Done {
        /// Whether the model should go on.
        respond: bool,
        /// Whether the response that made the calls said something itself.
        spoke: bool,
        /// Whether it was forced to make them.
        forced: bool,
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

    /// Enters calls that surface now.
    pub(super) fn open(&mut self, response_id: &ResponseId, calls: impl IntoIterator<Item = CallId>) {
        let group = self.group(response_id);
        let waiting = group.waiting.len();
        group.waiting.extend(calls);
        group.interrupted &= group.waiting.len() == waiting;
    }

    /// A response has ended: all its calls are known. `respond`: whether those that the session answered by itself ask
    /// for a response.
    pub(super) fn close(
        &mut self,
        response_id: &ResponseId,
        respond: bool,
        spoke: bool,
        forced: bool,
    ) -> Progress {
        let group = self.group(response_id);
        group.whole = true;
        group.respond |= respond;
        group.spoke |= spoke;
        group.forced |= forced;
        let index = self.groups.iter().position(|group| group.response_id == *response_id);
        self.progress(index.unwrap_or_default())
    }

    /// Whether a call of that id waits.
    pub(super) fn is_waiting(&self, call_id: &CallId) -> bool {
        self.groups.iter().any(|group| group.waiting.contains(call_id))
    }

    /// Takes a call out, now that it is answered. One that does not wait leads to nothing.
    pub(super) fn complete(&mut self, call_id: &CallId, respond: bool) -> Progress {
        let Some(index) = self.groups.iter().position(|group| group.waiting.contains(call_id)) else {
            return Progress::Waiting;
        };
        let group = &mut self.groups[index];
        group.waiting.retain(|id| id != call_id);
        group.respond |= respond;
        self.progress(index)
    }

    fn progress(&mut self, index: usize) -> Progress {
        match self.groups.get(index) {
            Some(group) if group.whole && group.waiting.is_empty() => {
                let group = self.groups.remove(index);
                Progress::Done { respond: group.respond, spoke: group.spoke, forced: group.forced }
            }
            _ => Progress::Waiting,
        }
    }

    fn group(&mut self, response_id: &ResponseId) -> &mut Group {
        let index =
            self.groups.iter().position(|group| group.response_id == *response_id).unwrap_or_else(|| {
                self.groups.push(Group {
                    response_id: response_id.clone(),
                    waiting: Vec::new(),
                    respond: false,
                    spoke: false,
                    forced: false,
                    whole: false,
                    interrupted: false,
                });
                self.groups.len() - 1
            });
        &mut self.groups[index]
    }

    /// The user speaks over the calls that wait. Whether this is new to any of them.
    pub(super) fn interrupt(&mut self) -> bool {
        let mut news = false;
        for group in self.groups.iter_mut().filter(|group| !group.waiting.is_empty()) {
            news |= !core::mem::replace(&mut group.interrupted, true);
        }
        news
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
            calls.open(&"r".into(), order.map(Into::into));
            assert_eq!(calls.close(&"r".into(), false, true, false), Progress::Waiting);
            assert_eq!(calls.complete(&order[0].into(), true), Progress::Waiting);
            let all = Progress::Done { respond: true, spoke: true, forced: false };
            assert_eq!(calls.complete(&order[1].into(), false), all);
            assert_eq!(calls.complete(&order[1].into(), true), Progress::Waiting, "answered already");
        }
    }

    #[test]
    fn an_early_call_waits_for_the_end_of_its_response() {
        let mut calls = FunctionCalls::default();
        calls.open(&"r".into(), ["early".into()]);
        assert_eq!(calls.complete(&"early".into(), true), Progress::Waiting);
        let all = Progress::Done { respond: true, spoke: false, forced: true };
        assert_eq!(calls.close(&"r".into(), false, false, true), all);
    }
}
