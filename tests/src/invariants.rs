//! What must hold of a session's outputs, whatever went in.

use std::collections::{BTreeMap, BTreeSet};

use realtime_protocol::call::{CommandId, Event, HoldId};
use realtime_protocol::event::{ClientEvent, ServerEvent};
use realtime_protocol::id::{CallId, EventId, ItemId, ResponseId};
use realtime_protocol::item::Item;
use realtime_protocol::response::ResponseConversation;
use realtime_protocol::session::{Answer, Output, Session};
use realtime_protocol::time::MediaTime;

use crate::grammar::Order;

/// Watches a session's inputs and outputs, and panics when they contradict each other.
#[derive(Debug, Default)]
pub struct Invariants {
    /// The order of call events, as their docs give it.
    order: Order,
    /// `response.create`s in the conversation that the server has not answered.
    unanswered: BTreeSet<EventId>,
    due: BTreeSet<CommandId>,
    open: BTreeSet<ResponseId>,
    received: BTreeMap<(ItemId, u32), MediaTime>,
    /// Open responses that an interruption does not end.
    beside: BTreeSet<ResponseId>,
    /// Responses that an interruption ended.
    interrupted: BTreeSet<ResponseId>,
    /// What the server says that it plays.
    served: Option<ResponseId>,
    functions: BTreeMap<CallId, Function>,
    /// The audio of each part of an open response.
    audio: BTreeMap<(ResponseId, ItemId, u32), PartAudio>,
    /// Nothing that the server sends counts any more.
    closing: bool,
    closed: bool,
    /// Playback is held, and neither went on nor stopped since.
    held: Option<HoldId>,
    /// Nobody says what the server sent.
    late: bool,
}

/// The calls under an id. A server may use it again for another call, once the one before has ended.
#[derive(Debug, Default)]
struct Function {
    /// The item and the key of the last one.
    last: Option<(Option<ItemId>, String)>,
    /// Whether the last one was told and still needs its output.
    waits: bool,
    out_of_band: bool,
    outputs: u32,
    ends: u32,
}

/// What the server sent of a part, and what of it came out (bytes).
#[derive(Debug, Default)]
struct PartAudio {
    deltas: u64,
    sent: u64,
    came_out: u64,
}

/// The most that the state of a session may take, in characters of its `Debug`, and once it is closed.
const LARGEST_STATE: usize = 200_000;
const LARGEST_CLOSED_STATE: usize = 20_000;

impl Invariants {
    /// Without a look at what the server sends: for outputs that are all looked at together, at the end.
    pub fn late() -> Self {
        Self { late: true, ..Self::default() }
    }

    /// A command was taken.
    pub fn command(&mut self, id: CommandId) {
        self.due.insert(id);
    }

    /// The server sent audio, and its outputs were looked at. What comes for a response that has ended does
    /// not count.
    pub fn audio_sent(&mut self, response_id: &str, item_id: &str, content_index: u32, bytes: u64) {
        if !self.closing && self.open.contains(&ResponseId::from(response_id)) {
            let part = self.audio.entry((response_id.into(), item_id.into(), content_index)).or_default();
            part.deltas += 1;
            part.sent += bytes;
        }
    }

    /// The server refused a request.
    pub fn refused(&mut self, event_id: &EventId) {
        self.unanswered.remove(event_id);
    }

    /// Looks at the state between two inputs.
    ///
    /// # Panics
    /// When it has grown beyond all measure.
    pub fn state(&self, session: &Session) {
        let size = format!("{session:?}").len();
        let most = if session.is_closed() { LARGEST_CLOSED_STATE } else { LARGEST_STATE };
        assert!(size <= most, "the state takes {size} characters");
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
                self.order.event(event);
                self.told(event);
            }
            Output::Close => self.closing = true,
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
                    let function = self.functions.entry(call_id.clone()).or_default();
                    function.outputs += 1;
                    assert!(function.outputs <= function.ends + 1, "{call_id} has two outputs");
                }
            }
            _ => {}
        }
    }

    fn told(&mut self, event: &Event) {
        match event {
            Event::Settled { id, .. } => assert!(self.due.remove(id), "{id} was not due"),
            Event::ResponseStarted { response_id, out_of_band, .. } => {
                if *out_of_band {
                    self.beside.insert(response_id.clone());
                } else {
                    self.unanswered.clear();
                }
                assert!(self.open.insert(response_id.clone()), "{response_id} started twice");
            }
            Event::ResponseFinished(report) => {
                assert!(
                    self.open.remove(&report.response_id),
                    "{} finished, not started",
                    report.response_id
                );
                self.interrupted.remove(&report.response_id);
                if !self.late {
                    self.audio_came_out(&report.response_id, report.dropped_bytes);
                }
            }
            Event::Server(event) => match &**event {
                ServerEvent::OutputAudioBufferStarted(event) => {
                    self.served = event.response_id.value().cloned();
                }
                ServerEvent::OutputAudioBufferStopped(_) | ServerEvent::OutputAudioBufferCleared(_) => {
                    self.served = None;
                }
                _ => {}
            },
            Event::Interrupted(_) => self.served = None,
            Event::Audio(chunk) => {
                assert!(!self.interrupted.contains(&chunk.response_id), "audio after an interruption");
                assert!(!chunk.audio.is_empty(), "a chunk without audio");
                if !self.open.contains(&chunk.response_id) {
                    assert_eq!(
                        self.served.as_ref(),
                        Some(&chunk.response_id),
                        "audio outside of its response"
                    );
                    return;
                }
                let part = (chunk.response_id.clone(), chunk.item_id.clone(), chunk.content_index);
                self.audio.entry(part).or_default().came_out += chunk.audio.len() as u64;
                if chunk.out_of_band {
                    return;
                }
                let received = self.received.entry((chunk.item_id.clone(), chunk.content_index)).or_default();
                *received = chunk.format.time_of(chunk.start + chunk.samples());
            }
            Event::HoldPlayback { id } => {
                assert_eq!(self.held.replace(*id), None, "held twice");
            }
            Event::ResumePlayback { id } => {
                assert_eq!(self.held.take(), Some(*id), "it was not held");
            }
            Event::StopPlayback { .. } => {
                self.held = None;
                self.interrupted.extend(self.open.difference(&self.beside).cloned())
            }
            Event::FunctionCalls { calls, out_of_band, .. } => {
                for call in calls {
                    let function = self.functions.entry(call.call_id.clone()).or_default();
                    let told = Some((call.item_id.clone(), call.key.clone()));
                    assert!(!function.waits && function.last != told, "{} surfaced twice", call.call_id);
                    function.last = told;
                    (function.waits, function.out_of_band) = (!out_of_band, *out_of_band);
                }
            }
            Event::FunctionEnded { call, .. } => {
                let function = self.functions.entry(call.call_id.clone()).or_default();
                let ended = Some((call.item_id.clone(), call.key.clone()));
                let is_last = function.last == ended;
                assert!(!(is_last && function.out_of_band), "{} is out of band", call.call_id);
                assert_eq!(is_last, function.waits, "{} ended twice, or another one", call.call_id);
                function.last = ended;
                (function.waits, function.out_of_band) = (false, false);
                function.ends += 1;
            }
            Event::Overdue { answer: Answer::ResponseCreated, .. } => self.unanswered.clear(),
            Event::Closed { .. } => self.closed = true,
            _ => {}
        }
    }

    /// All audio of a response came out or was counted as dropped. Half a sample may be lost where a part
    /// ends, and a delta after its end begins it anew.
    fn audio_came_out(&mut self, response_id: &ResponseId, dropped: u64) {
        let mut all = PartAudio::default();
        self.audio.retain(|(response, item_id, _), part| {
            if response != response_id {
                return true;
            }
            assert!(part.came_out <= part.sent, "{item_id}: more came out than came in");
            all.deltas += part.deltas;
            all.sent += part.sent;
            all.came_out += part.came_out;
            false
        });
        let lost = all.sent - all.came_out;
        assert!(
            (dropped..=dropped + all.deltas).contains(&lost),
            "{response_id}: {all:?}, and {dropped} bytes were dropped"
        );
    }

    /// Looks at what is left once a session is closed and drained.
    ///
    /// # Panics
    /// When something was left open.
    pub fn end(&self) {
        assert!(self.closed, "the end was not told");
        assert!(self.due.is_empty(), "never settled: {:?}", self.due);
        assert_eq!(self.held, None, "held for ever");
        assert!(self.open.is_empty(), "never finished: {:?}", self.open);
        for (call_id, function) in &self.functions {
            assert!(!function.waits, "{call_id} never ended");
        }
    }
}
