//! Requests that wait to be sent, and the one table of how those without parameters merge.
//!
//! Requests with parameters are served one by one, in order with the others. Of those without, at most two
//! wait: one from before the end of the user's turn (`early`) and one from after it (`late`).
//!
//! | | `Ask` | `Ask`, late | `Back` | `TurnPassed` | `Serve` | `Send` |
//! |---|---|---|---|---|---|---|
//! | `none` | `early` | `late` | `early` |  |  |  |
//! | `early` | merges | `early, late` | merges |  | `none`, gives it | `none`, gives it |
//! | `late` | `early, late` | merges | `early, late` | `early` |  | `none`, gives it |
//! | `early, late` | merges | merges | merges | `early`, merges | `late`, gives it | `late`, gives it |
//!
//! An empty cell changes nothing. "It" is the request to be served or sent.

use alloc::collections::VecDeque;

use crate::call::CommandId;
use crate::session::sequencer::request::Request;
use crate::time::Timestamp;

/// Requests that wait, the next one first.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Request>);

/// What happens to the requests.
#[derive(Debug)]
pub(super) enum Step {
    /// Another one is made.
    Ask(Request),
    /// The server refused one because a response runs: it waits again, at the front.
    Back(Request),
    /// The server's response to the last turn is not awaited any more. Requests made since then are now early
    /// ones for the next turn, and merge with the earlier ones.
    TurnPassed,
    /// The server's own response begins. It serves the early request, if the model knows all items that were
    /// sent before the request.
    Serve {
        /// The first event sent whose item has no place yet.
        unplaced: Option<u64>,
    },
    /// One may go out.
    Send {
        /// Whether also into the conversation.
        into_conversation: bool,
        /// Whether the application says that the user speaks: requests that the user spoke over wait.
        claimed: bool,
    },
}

impl Queue {
    /// Takes a step. Returns the request that no longer waits. Nothing else changes what waits.
    pub(super) fn step(&mut self, step: Step) -> Option<Request> {
        match step {
            Step::Ask(request) => {
                match self.0.iter_mut().find(|waiting| waiting.is_plain() && waiting.late == request.late) {
                    Some(same) if request.is_plain() => same.merge(request),
                    _ => self.0.push_back(request),
                }
                None
            }
            Step::Back(mut request) => {
                request.late = false; // it was made before whatever runs now
                if request.is_plain()
                    && let Some(same) = self.take(|waiting| waiting.is_plain() && !waiting.late)
                {
                    request.merge(same);
                }
                self.0.push_front(request);
                None
            }
            Step::TurnPassed => {
                // Without an early one, the late one keeps its place among those with parameters.
                if self.0.iter().any(|waiting| waiting.is_plain() && !waiting.late)
                    && let Some(late) = self.take(|waiting| waiting.is_plain() && waiting.late)
                    && let Some(early) = self.0.iter_mut().find(|waiting| waiting.is_plain())
                {
                    early.merge(late); // made later, so it was after the early one
                }
                for request in &mut self.0 {
                    request.late = false;
                }
                None
            }
            Step::Serve { unplaced } => self.take(|waiting| {
                let knows = unplaced.is_none_or(|item| item > waiting.made_after);
                waiting.is_plain() && !waiting.late && knows
            }),
            Step::Send { into_conversation, claimed } => self.take(|waiting| {
                into_conversation && !(claimed && waiting.after_turn) || waiting.is_out_of_band()
            }),
        }
    }

    /// The newest request is for the answer to a turn that this side has ended.
    pub(super) fn note_committed(&mut self, now: Timestamp) {
        if let Some(request) = self.0.iter_mut().rfind(|request| request.is_plain()) {
            request.committed = Some(now);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that wait, the next one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.0.iter()
    }

    /// How many commands wait here.
    pub(super) fn waiters(&self) -> usize {
        self.0.iter().map(|request| request.waiters.len()).sum()
    }

    /// Everyone who waits, at the end.
    pub(super) fn end(self) -> impl Iterator<Item = CommandId> {
        self.0.into_iter().flat_map(|request| request.waiters)
    }

    fn take(&mut self, is_it: impl Fn(&Request) -> bool) -> Option<Request> {
        let index = self.0.iter().position(is_it)?;
        self.0.remove(index)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::*;
    use crate::session::sequencer::table;

    const STATES: [&str; 4] = ["none", "early", "late", "early, late"];

    fn request(late: bool, id: u64) -> Request {
        Request { late, waiters: Vec::from([CommandId(id)]), made_after: id, ..Request::default() }
    }

    fn state(name: &str) -> Queue {
        let mut queue = Queue::default();
        if name.contains("early") {
            queue.step(Step::Ask(request(false, 1)));
        }
        if name.contains("late") {
            queue.step(Step::Ask(request(true, 2)));
        }
        queue
    }

    fn name(queue: &Queue) -> String {
        let mut names: Vec<&str> = queue.iter().map(|r| if r.late { "late" } else { "early" }).collect();
        names.sort_unstable();
        if names.is_empty() { "none".to_string() } else { names.join(", ") }
    }

    fn cell(from: &str, step: Step) -> String {
        let mut queue = state(from);
        let given = queue.step(step).map(|_| "gives it");
        let merged = queue.iter().any(|request| request.waiters.len() > 1).then_some("merges");
        let to = name(&queue);
        table::cell((to != from).then(|| format!("`{to}`")), given.or(merged))
    }

    #[test]
    fn the_table_in_the_docs_is_what_the_queue_does() {
        let columns = ["`Ask`", "`Ask`, late", "`Back`", "`TurnPassed`", "`Serve`", "`Send`"];
        table::check(include_str!("queue.rs"), &columns, &STATES, |from| {
            [
                Step::Ask(request(false, 3)),
                Step::Ask(request(true, 3)),
                Step::Back(request(false, 3)),
                Step::TurnPassed,
                Step::Serve { unplaced: None },
                Step::Send { into_conversation: true, claimed: false },
            ]
            .map(|step| cell(from, step))
            .into()
        });
    }

    #[test]
    fn requests_merge_at_the_end_of_the_turn_in_whatever_order_they_wait() {
        for order in [[false, true], [true, false]] {
            let mut queue = Queue::default();
            for (late, id) in order.into_iter().zip(1..) {
                queue.step(Step::Ask(request(late, id)));
            }
            queue.step(Step::TurnPassed);
            let waiters: Vec<usize> = queue.iter().map(|request| request.waiters.len()).collect();
            assert_eq!(waiters, [2], "{order:?}");
        }
    }

    #[test]
    fn what_the_user_crossed_waits_for_the_end_of_the_turn_unless_more_is_asked_for() {
        let send = |queue: &mut Queue| queue.step(Step::Send { into_conversation: true, claimed: true });
        let crossed = || Request { after_turn: true, owed: true, ..request(false, 1) };
        let mut queue = Queue::default();
        queue.step(Step::Ask(crossed()));
        assert!(send(&mut queue).is_none());
        queue.step(Step::Ask(request(false, 2)));
        assert_eq!(send(&mut queue).map(|request| request.waiters.len()), Some(2));
    }

    #[test]
    fn a_response_serves_a_request_only_if_it_can_know_all_items_from_before() {
        let mut queue = state("early");
        assert!(queue.step(Step::Serve { unplaced: Some(1) }).is_none());
        assert!(queue.step(Step::Serve { unplaced: Some(2) }).is_some());
    }
}
