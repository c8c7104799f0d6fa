//! Function calls: each surfaces once and gets exactly one output; when all calls of a response are answered,
//! the model is asked once to go on.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::call::FunctionCall;
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
    waiting: Vec<Arc<FunctionCall>>,
    /// Whether any answer asks for a response.
    respond: bool,
    /// Whether the response that made the calls said something itself.
    spoke: bool,
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
    pub(super) fn open(
        &mut self,
        response_id: &ResponseId,
        calls: impl IntoIterator<Item = Arc<FunctionCall>>,
    ) {
        let group = self.group(response_id);
        let waiting = group.waiting.len();
        group.waiting.extend(calls);
        group.interrupted &= group.waiting.len() == waiting;
    }

    /// A response has ended: all its calls are known. `respond`: whether those that the session answered by itself ask
    /// for a response.
    pub(super) fn close(&mut self, response_id: &ResponseId, respond: bool, spoke: bool) -> Progress {
        let group = self.group(response_id);
        group.whole = true;
        group.respond |= respond;
        group.spoke |= spoke;
        let index = self.groups.iter().position(|group| group.response_id == *response_id);
        self.progress(index.unwrap_or_default())
    }

    /// Whether a call of that id waits.
    pub(super) fn is_waiting(&self, call_id: &CallId) -> bool {
        self.groups.iter().any(|group| group.position(call_id).is_some())
    }

    /// Takes a call out, now that it is answered. `None`: it does not wait.
    pub(super) fn complete(
        &mut self,
        call_id: &CallId,
        respond: bool,
    ) -> Option<(Arc<FunctionCall>, Progress)> {
        let place = |(index, group): (usize, &Group)| Some((index, group.position(call_id)?));
        let (index, place) = self.groups.iter().enumerate().find_map(place)?;
        let group = &mut self.groups[index];
        let call = group.waiting.remove(place);
        group.respond |= respond;
        Some((call, self.progress(index)))
    }

    fn progress(&mut self, index: usize) -> Progress {
        match self.groups.get(index) {
            Some(group) if group.whole && group.waiting.is_empty() => {
                let group = self.groups.remove(index);
                Progress::Done { respond: group.respond, spoke: group.spoke }
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

    /// Whether the response has calls that are told or answered already.
    pub(super) fn has_group(&self, response_id: &ResponseId) -> bool {
        self.groups.iter().any(|group| group.response_id == *response_id)
    }

    /// Whether no call waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All calls that wait, at the end.
    pub(super) fn end(&mut self) -> impl Iterator<Item = Arc<FunctionCall>> + use<> {
        core::mem::take(&mut self.groups).into_iter().flat_map(|group| group.waiting)
    }
}

impl Group {
    fn position(&self, call_id: &CallId) -> Option<usize> {
        self.waiting.iter().position(|call| call.call_id == *call_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> Arc<FunctionCall> {
        let (name, arguments, key) = ("f".into(), "{}".into(), "k".into());
        Arc::new(FunctionCall { call_id: id.into(), item_id: None, name, arguments, key })
    }

    fn complete(calls: &mut FunctionCalls, id: &str, respond: bool) -> Option<Progress> {
        calls.complete(&id.into(), respond).map(|(_, progress)| progress)
    }

    #[test]
    fn a_response_is_asked_for_once_after_the_last_call_in_any_order() {
        for order in [["a", "b"], ["b", "a"]] {
            let mut calls = FunctionCalls::default();
            calls.open(&"r".into(), order.map(call));
            assert_eq!(calls.close(&"r".into(), false, true), Progress::Waiting);
            assert_eq!(complete(&mut calls, order[0], true), Some(Progress::Waiting));
            let all = Progress::Done { respond: true, spoke: true };
            assert_eq!(complete(&mut calls, order[1], false), Some(all));
            assert_eq!(complete(&mut calls, order[1], true), None, "answered already");
        }
    }

    #[test]
    fn an_early_call_waits_for_the_end_of_its_response() {
        let mut calls = FunctionCalls::default();
        calls.open(&"r".into(), [call("early")]);
        assert_eq!(complete(&mut calls, "early", true), Some(Progress::Waiting));
        assert_eq!(calls.close(&"r".into(), false, false), Progress::Done { respond: true, spoke: false });
    }
}
