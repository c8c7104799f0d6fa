//! Function calls: each is told to the application once and gets exactly one output. When all calls of a
//! response are answered, the model is asked once to go on.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::call::FunctionCall;
use crate::id::{CallId, ItemId, ResponseId};
use crate::session::call_key::call_digest;

/// Calls that are remembered after their output, so that a repeated event does not run them again.
const REMEMBERED: usize = 256;

/// The most calls that may wait for an output at once.
const MOST_WAITING: usize = 256;

/// Calls that wait for an output, by the response that made them.
#[derive(Debug, Default)]
pub(super) struct FunctionCalls {
    open: Groups,
    /// The last calls that were seen, oldest first.
    seen: VecDeque<Mark>,
    /// The last items of this side that tell of calls made before: no response made them.
    own: VecDeque<ItemId>,
    /// Counts groups.
    last: u64,
}

#[derive(Debug, Default)]
struct Groups {
    /// By age.
    by_number: BTreeMap<u64, Group>,
    by_response: BTreeMap<ResponseId, u64>,
    /// The group of each call that waits.
    waiting: BTreeMap<CallId, u64>,
}

/// What tells a call from another one, also under the same id: some servers number the calls of each response
/// from the beginning.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Mark {
    call_id: CallId,
    item_id: Option<ItemId>,
    /// Its function and its arguments.
    digest: u128,
}

/// What a call that is told is among those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sight {
    /// Another one. It is known from here on.
    New,
    /// One of those, or not to be told from one that still waits for its output.
    Seen,
}

#[derive(Debug)]
struct Group {
    response_id: ResponseId,
    waiting: Vec<Arc<FunctionCall>>,
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
    /// Notes a call. Returns whether it is new.
    pub(super) fn see(&mut self, call: &FunctionCall) -> Sight {
        let mark = Mark::of(call);
        if self.is_waiting(&call.call_id) || self.seen.iter().any(|before| before.is(&mark)) {
            return Sight::Seen;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(mark);
        Sight::New
    }

    /// This side puts a call of an earlier conversation into this one.
    pub(super) fn note_own(&mut self, item_id: ItemId) {
        if self.own.len() == REMEMBERED {
            self.own.pop_front();
        }
        self.own.push_back(item_id);
    }

    /// Returns whether an item is a call that this side put into the conversation.
    pub(super) fn is_own(&self, item_id: &ItemId) -> bool {
        self.own.contains(item_id)
    }

    /// How many more may wait.
    pub(super) fn room(&self) -> usize {
        MOST_WAITING.saturating_sub(self.open.waiting.len())
    }

    /// Adds calls that are told to the application now.
    pub(super) fn open(
        &mut self,
        response_id: &ResponseId,
        calls: impl IntoIterator<Item = Arc<FunctionCall>>,
    ) {
        let number = self.number_of(response_id);
        let Some(group) = self.open.by_number.get_mut(&number) else { return };
        for call in calls {
            self.open.waiting.insert(call.call_id.clone(), number);
            group.waiting.push(call);
            group.interrupted = false;
        }
    }

    /// A response has ended: all its calls are known. `respond`: whether the calls that the session answered
    /// itself ask for a response.
    pub(super) fn close(
        &mut self,
        response_id: &ResponseId,
        respond: bool,
        spoke: bool,
        forced: bool,
    ) -> Progress {
        let number = self.number_of(response_id);
        if let Some(group) = self.open.by_number.get_mut(&number) {
            group.whole = true;
            group.respond |= respond;
            group.spoke |= spoke;
            group.forced |= forced;
        }
        self.progress(number)
    }

    /// Returns whether a call of that id waits.
    pub(super) fn is_waiting(&self, call_id: &CallId) -> bool {
        self.open.waiting.contains_key(call_id)
    }

    /// Takes a call out, now that it is answered. `None`: it does not wait.
    pub(super) fn complete(
        &mut self,
        call_id: &CallId,
        respond: bool,
    ) -> Option<(Arc<FunctionCall>, Progress)> {
        let number = self.open.waiting.remove(call_id)?;
        let group = self.open.by_number.get_mut(&number)?;
        let place = group.waiting.iter().position(|call| call.call_id == *call_id)?;
        let call = group.waiting.remove(place);
        group.respond |= respond;
        Some((call, self.progress(number)))
    }

    fn progress(&mut self, number: u64) -> Progress {
        match self.open.by_number.get(&number) {
            Some(group) if group.whole && group.waiting.is_empty() => {
                let Group { respond, spoke, forced, .. } = *group;
                self.open.by_response.remove(&group.response_id);
                self.open.by_number.remove(&number);
                if self.open.by_number.is_empty() {
                    self.open = Groups::default(); // a session at rest holds no empty tables
                }
                Progress::Done { respond, spoke, forced }
            }
            _ => Progress::Waiting,
        }
    }

    /// The group of a response; a new one if it has none.
    fn number_of(&mut self, response_id: &ResponseId) -> u64 {
        if let Some(number) = self.open.by_response.get(response_id) {
            return *number;
        }
        self.last += 1;
        let group = Group {
            response_id: response_id.clone(),
            waiting: Vec::new(),
            respond: false,
            spoke: false,
            forced: false,
            whole: false,
            interrupted: false,
        };
        self.open.by_number.insert(self.last, group);
        self.open.by_response.insert(response_id.clone(), self.last);
        self.last
    }

    /// The user speaks over the waiting calls. Returns whether a waiting call was newly interrupted.
    pub(super) fn interrupt(&mut self) -> bool {
        let mut news = false;
        for group in self.open.by_number.values_mut().filter(|group| !group.waiting.is_empty()) {
            news |= !core::mem::replace(&mut group.interrupted, true);
        }
        news
    }

    /// Returns whether the response has calls that are told or answered already.
    pub(super) fn has_group(&self, response_id: &ResponseId) -> bool {
        self.open.by_response.contains_key(response_id)
    }

    /// Returns whether no call waits.
    pub(super) fn is_empty(&self) -> bool {
        self.open.by_number.is_empty()
    }

    /// All calls that wait, at the end.
    pub(super) fn end(&mut self) -> impl Iterator<Item = Arc<FunctionCall>> + use<> {
        core::mem::take(self).open.by_number.into_values().flat_map(|group| group.waiting)
    }
}

impl Mark {
    fn of(call: &FunctionCall) -> Self {
        let digest = call_digest(&call.name, &call.arguments);
        Self { call_id: call.call_id.clone(), item_id: call.item_id.clone(), digest }
    }

    /// Returns whether both are of one call.
    fn is(&self, other: &Self) -> bool {
        let items_differ = match (&self.item_id, &other.item_id) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        self.call_id == other.call_id && !items_differ && self.digest == other.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> Arc<FunctionCall> {
        let (name, arguments, key) = ("f".into(), "{}".into(), "k".into());
        Arc::new(FunctionCall { call_id: id.into(), item_id: None, name, arguments, key })
    }

    #[test]
    fn a_call_that_comes_again_after_another_one_under_its_id_is_not_new() {
        let mut calls = FunctionCalls::default();
        let of = |item: usize| FunctionCall {
            item_id: Some(alloc::format!("i{item}").as_str().into()),
            ..(*call("c")).clone()
        };
        for item in 0..REMEMBERED {
            assert_eq!(calls.see(&of(item)), Sight::New);
        }
        assert_eq!(calls.see(&of(0)), Sight::Seen);
        assert_eq!(calls.see(&of(REMEMBERED)), Sight::New);
        assert_eq!(calls.see(&of(0)), Sight::New, "it is forgotten");
        assert_eq!(calls.see(&of(2)), Sight::Seen);
        assert_eq!(calls.seen.len(), REMEMBERED);
    }

    fn complete(calls: &mut FunctionCalls, id: &str, respond: bool) -> Option<Progress> {
        calls.complete(&id.into(), respond).map(|(_, progress)| progress)
    }

    #[test]
    fn a_response_is_asked_for_once_after_the_last_call_in_any_order() {
        for order in [["a", "b"], ["b", "a"]] {
            let mut calls = FunctionCalls::default();
            calls.open(&"r".into(), order.map(call));
            assert_eq!(calls.close(&"r".into(), false, true, false), Progress::Waiting);
            assert_eq!(complete(&mut calls, order[0], true), Some(Progress::Waiting));
            let all = Progress::Done { respond: true, spoke: true, forced: false };
            assert_eq!(complete(&mut calls, order[1], false), Some(all));
            assert_eq!(complete(&mut calls, order[1], true), None, "answered already");
        }
    }

    #[test]
    fn another_call_under_a_used_id_is_new_once_the_first_is_answered() {
        let call = |item: Option<&str>, arguments: &str| FunctionCall {
            item_id: item.map(ItemId::from),
            arguments: arguments.into(),
            ..(*call("c")).clone()
        };
        let mut calls = FunctionCalls::default();
        let first = call(Some("i1"), r#"{"a":1}"#);
        assert_eq!(calls.see(&first), Sight::New);
        calls.open(&"r".into(), [Arc::new(first.clone())]);
        let other = call(Some("i2"), r#"{"a":1}"#);
        assert_eq!(calls.see(&other), Sight::Seen, "the first one waits under that id");
        complete(&mut calls, "c", true);
        assert_eq!(calls.see(&first), Sight::Seen);
        assert_eq!(calls.see(&call(None, r#"{ "a" : 1 }"#)), Sight::Seen);
        assert_eq!(calls.see(&other), Sight::New);
        assert_eq!(calls.see(&call(Some("i2"), r#"{"a":2}"#)), Sight::New);
    }

    #[test]
    fn an_early_call_waits_for_the_end_of_its_response() {
        let mut calls = FunctionCalls::default();
        calls.open(&"r".into(), [call("early")]);
        assert_eq!(complete(&mut calls, "early", true), Some(Progress::Waiting));
        let all = Progress::Done { respond: true, spoke: false, forced: true };
        assert_eq!(calls.close(&"r".into(), false, false, true), all);
    }
}
