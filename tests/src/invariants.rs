//! What must hold of a session's outputs, whatever went in.

use std::collections::{BTreeMap, BTreeSet};

use realtime_protocol::event::ClientEvent;
use realtime_protocol::id::{CallId, EventId, ItemId, ResponseId};
use realtime_protocol::item::Item;
use realtime_protocol::response::ResponseConversation;
use realtime_protocol::session::{Command, CommandId, Output, SessionEvent};
use realtime_protocol::time::MediaTime;

/// Watches a session's inputs and outputs, and panics when they contradict each other.
#[derive(Debug, Default)]
pub struct Invariants {
    /// `response.create`s in the conversation that the server has not answered.
    unanswered: BTreeSet<EventId>,
    due: BTreeSet<CommandId>,
    open: BTreeSet<ResponseId>,
    received: BTreeMap<(ItemId, u32), MediaTime>,
    /// Open responses that an interruption does not end.
    beside: BTreeSet<ResponseId>,
    /// Responses that an interruption ended.
    interrupted: BTreeSet<ResponseId>,
    calls: BTreeMap<CallId, u32>,
    outputs_of_calls: BTreeMap<CallId, u32>,
    closed: bool,
}

impl Invariants {
    /// A command was taken.
    pub fn command(&mut self, id: CommandId, command: &Command) {
        if command.expects_answer() {
            self.due.insert(id);
        }
    }

    /// The server answered something: a `response.created` answers the oldest request, an error the one it names.
    pub fn response_created(&mut self) {
        self.unanswered.clear();
    }

    /// The server refused a request.
    pub fn refused(&mut self, event_id: &EventId) {
        self.unanswered.remove(event_id);
    }

    /// Enough time has passed for an unanswered request to count as lost.
    pub fn request_expired(&mut self) {
        self.unanswered.clear();
    }

    /// Looks at an output.
    ///
    /// # Panics
    /// When it breaks an invariant.
    pub fn output(&mut self, output: &Output) {
        match output {
            Output::Send(event) => self.sent(event),
            Output::Event(event) => {
                assert!(!self.closed, "nothing follows Closed: {event:?}");
                self.told(event);
            }
            Output::Close => {}
        }
    }

    fn sent(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::ResponseCreate(create) => {
                let params = create.response.value();
                let beside = params.and_then(|params| params.conversation.value())
                    == Some(&ResponseConversation::None);
                if !beside {
                    self.unanswered.insert(create.event_id.value().cloned().expect("our requests have ids"));
                    assert!(self.unanswered.len() <= 1, "two unanswered response.create");
                }
            }
            ClientEvent::ConversationItemTruncate(cut) => {
                let received = self.received.get(&(cut.item_id.clone(), cut.content_index));
                let received = received.copied().unwrap_or_default().as_millis();
                assert!(cut.audio_end_ms <= received, "cut at {} of {received} ms", cut.audio_end_ms);
            }
            ClientEvent::ConversationItemCreate(create) => {
                if let Item::FunctionCallOutput(output) = &*create.item {
                    let call_id = output.call_id.value().cloned().expect("our outputs name their call");
                    let outputs = self.outputs_of_calls.entry(call_id.clone()).or_default();
                    *outputs += 1;
                    assert_eq!(*outputs, 1, "{call_id} has two outputs");
                }
            }
            _ => {}
        }
    }

    fn told(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::Settled { id, .. } => assert!(self.due.remove(id), "{id} was not due"),
            SessionEvent::ResponseStarted { response_id, out_of_band, .. } => {
                if *out_of_band {
                    self.beside.insert(response_id.clone());
                }
                assert!(self.open.insert(response_id.clone()), "{response_id} started twice");
            }
            SessionEvent::ResponseFinished(report) => {
                assert!(
                    self.open.remove(&report.response_id),
                    "{} finished, not started",
                    report.response_id
                );
                self.interrupted.remove(&report.response_id);
            }
            SessionEvent::Audio(chunk) => {
                assert!(self.open.contains(&chunk.response_id), "audio outside of its response");
                assert!(!self.interrupted.contains(&chunk.response_id), "audio after an interruption");
                if chunk.out_of_band {
                    return;
                }
                let received = self.received.entry((chunk.item_id.clone(), chunk.content_index)).or_default();
                let bytes = chunk.format.bytes(chunk.start) + chunk.audio.len() as u64;
                *received = chunk.format.duration(bytes);
            }
            SessionEvent::StopPlayback { .. } => {
                self.interrupted.extend(self.open.difference(&self.beside).cloned())
            }
            SessionEvent::FunctionCalls { calls, .. } => {
                for call in calls {
                    let seen = self.calls.entry(call.call_id.clone()).or_default();
                    *seen += 1;
                    assert_eq!(*seen, 1, "{} surfaced twice", call.call_id);
                }
            }
            SessionEvent::Closed { .. } => self.closed = true,
            _ => {}
        }
    }

    /// Looks at what is left once a session is closed and drained.
    ///
    /// # Panics
    /// When something was left open.
    pub fn end(&self) {
        assert!(self.closed, "the end was not told");
        assert!(self.due.is_empty(), "never settled: {:?}", self.due);
        assert!(self.open.is_empty(), "never finished: {:?}", self.open);
    }
}
