//! What each server event does to the session.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::audio::Audio;
use crate::error::ApiError;
use crate::event::{ErrorEvent, Malformed, ServerEvent};
use crate::field::Field;
use crate::id::{CallId, ItemId, ResponseId};
use crate::item::{FunctionCallItem, Item, ItemStatus};
use crate::response::{Response, ResponseStatus};
use crate::session::Session;
use crate::session::answers::Await;
use crate::session::command::CallOutput;
use crate::session::errors::ErrorClass;
use crate::session::function_calls::Settled;
use crate::session::output::{
    AudioChunk, CallEnd, CloseReason, FunctionCall, Origin, Outcome, ResponseEnd, ResponseReport,
    SessionEvent, Warning,
};
use crate::session::playback::PartId;
use crate::session::responses::{OpenResponse, SeenCall, Slot, Turn};
use crate::session_config::SessionConfig;
use crate::time::MediaTime;
use crate::usage::Usage;

/// Where a delta belongs.
struct Place {
    response_id: Field<ResponseId>,
    item_id: ItemId,
    content_index: Field<u32>,
}

macro_rules! place {
    ($event:ident) => {
        Place {
            response_id: $event.response_id,
            item_id: $event.item_id,
            content_index: $event.content_index,
        }
    };
}

impl Session {
    pub(super) fn on_event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::SessionCreated(event) => {
                let session_id = event.session.value().and_then(|session| session.id.value().cloned());
                if let Field::Value(config) = event.session {
                    self.adopt(*config);
                }
                self.tell(SessionEvent::Created { session_id });
                self.configure();
            }
            ServerEvent::SessionUpdated(event) => self.on_updated(event.session),
            ServerEvent::ConversationItemCreated(event) => {
                let finished = !is_in_progress(&event.item);
                self.place(event.previous_item_id, &event.item);
                if finished {
                    self.finish_item(event.item);
                }
            }
            ServerEvent::ConversationItemAdded(event) => self.place(event.previous_item_id, &event.item),
            ServerEvent::ConversationItemDone(event) => {
                self.place(event.previous_item_id, &event.item);
                self.finish_item(event.item);
            }
            ServerEvent::ConversationItemRetrieved(event) => {
                let Some(item_id) = event.item.id().cloned() else { return };
                let waiters = self.retrievals.take(&item_id);
                self.settle_all(waiters, &Outcome::Retrieved { item: event.item });
            }
            ServerEvent::ConversationItemDeleted(event) => {
                if let Some(awaited) = self.answers.take(&Await::Deleted(event.item_id.clone()))
                    && let Some(id) = awaited.id
                {
                    self.settle(id, Outcome::Done);
                }
                self.items.remove(&event.item_id);
                self.tell(SessionEvent::ItemRemoved { item_id: event.item_id });
            }
            ServerEvent::InputAudioTranscriptionDelta(event) => {
                self.tell(SessionEvent::UserTranscriptDelta {
                    item_id: event.item_id,
                    content_index: event.content_index.unwrap_or(0),
                    delta: event.delta.into_value().unwrap_or_default(),
                })
            }
            ServerEvent::InputAudioTranscriptionCompleted(event) => self.tell(SessionEvent::UserTranscript {
                item_id: event.item_id,
                content_index: event.content_index.unwrap_or(0),
                transcript: event.transcript.into_value().unwrap_or_default(),
            }),
            ServerEvent::InputAudioTranscriptionFailed(event) => {
                self.tell(SessionEvent::UserTranscriptFailed {
                    item_id: event.item_id,
                    content_index: event.content_index.unwrap_or(0),
                    error: event.error.into_value().unwrap_or_default().into(),
                })
            }
            ServerEvent::InputAudioBufferCommitted(event) => {
                self.input.emptied();
                if let Some(awaited) = self.answers.take(&Await::Committed)
                    && let Some(id) = awaited.id
                {
                    self.settle(id, Outcome::Committed { item_id: event.item_id.clone() });
                }
                self.tell(SessionEvent::Committed { item_id: event.item_id });
            }
            ServerEvent::InputAudioBufferCleared(_) => self.settle_awaited(&Await::Cleared),
            ServerEvent::InputAudioBufferSpeechStarted(event) => {
                self.responses.turn = Turn::Speaking;
                let at = MediaTime::from_millis(event.audio_start_ms.unwrap_or(0));
                self.tell(SessionEvent::SpeechStarted { item_id: event.item_id.into_value(), at });
                // Where the configuration says that speech must not interrupt, it is the application that decides.
                if self.config.turn_detection().value().is_none_or(|vad| vad.interrupts_response()) {
                    self.interrupt(None, false);
                }
            }
            ServerEvent::InputAudioBufferSpeechStopped(event) => {
                let responds = self.config.turn_detection().value().is_none_or(|vad| vad.creates_response());
                self.responses.turn = if responds {
                    Turn::Expecting {
                        stopped: self.now,
                        until: self.now + self.options.turn_response_deadline,
                    }
                } else {
                    Turn::Open
                };
                let at = MediaTime::from_millis(event.audio_end_ms.unwrap_or(0));
                self.tell(SessionEvent::SpeechStopped { item_id: event.item_id.into_value(), at });
            }
            ServerEvent::ResponseCreated(event) => self.on_response_created(&event.response),
            ServerEvent::ResponseDone(event) => self.on_response_done(*event.response),
            ServerEvent::ResponseOutputItemAdded(event) => {
                self.response(event.response_id);
            }
            ServerEvent::ResponseOutputItemDone(event) => {
                let response_id = self.response(event.response_id);
                self.note_call(response_id, &event.item);
                self.finish_item(event.item);
            }
            ServerEvent::ResponseOutputTextDelta(event) => self.on_text(place!(event), event.delta, false),
            ServerEvent::ResponseOutputAudioTranscriptDelta(event) => {
                self.on_text(place!(event), event.delta, true);
            }
            ServerEvent::ResponseOutputAudioDelta(event) => self.on_audio(place!(event), &event.delta),
            ServerEvent::ResponseOutputAudioDone(event) => self.on_audio_done(place!(event)),
            ServerEvent::RateLimitsUpdated(event) => self.tell(SessionEvent::RateLimits {
                limits: event.rate_limits.into_value().unwrap_or_default(),
            }),
            ServerEvent::ErrorEvent(event) => self.on_error(event),
            ServerEvent::Unknown(event) => self.tell(SessionEvent::Warning(Warning::Unknown { event })),
            ServerEvent::Malformed(event) => self.on_malformed(event),
            // Repeated by other events, or of no consequence on a WebSocket.
            ServerEvent::ConversationCreated(_)
            | ServerEvent::ConversationItemTruncated(_)
            | ServerEvent::InputAudioTranscriptionSegment(_)
            | ServerEvent::InputAudioBufferTimeoutTriggered(_)
            | ServerEvent::InputAudioBufferDtmfEventReceived(_)
            | ServerEvent::OutputAudioBufferStarted(_)
            | ServerEvent::OutputAudioBufferStopped(_)
            | ServerEvent::OutputAudioBufferCleared(_)
            | ServerEvent::ResponseContentPartAdded(_)
            | ServerEvent::ResponseContentPartDone(_)
            | ServerEvent::ResponseOutputTextDone(_)
            | ServerEvent::ResponseOutputAudioTranscriptDone(_)
            | ServerEvent::ResponseFunctionCallArgumentsDelta(_)
            | ServerEvent::ResponseFunctionCallArgumentsDone(_)
            | ServerEvent::ResponseMcpCallArgumentsDelta(_)
            | ServerEvent::ResponseMcpCallArgumentsDone(_)
            | ServerEvent::ResponseMcpCallInProgress(_)
            | ServerEvent::ResponseMcpCallCompleted(_)
            | ServerEvent::ResponseMcpCallFailed(_)
            | ServerEvent::McpListToolsInProgress(_)
            | ServerEvent::McpListToolsCompleted(_)
            | ServerEvent::McpListToolsFailed(_) => {}
        }
    }

    /// Takes over what the server says the configuration is.
    fn adopt(&mut self, config: SessionConfig) {
        self.config.merge(config);
    }

    fn on_updated(&mut self, config: Field<Box<SessionConfig>>) {
        if let Field::Value(config) = config {
            self.adopt(*config);
        }
        if !self.state.is_ready() {
            self.ready();
            return;
        }
        self.settle_awaited(&Await::Updated);
        self.tell(SessionEvent::ConfigUpdated { config: self.config.clone().into() });
    }

    fn settle_awaited(&mut self, what: &Await) {
        if let Some(awaited) = self.answers.take(what)
            && let Some(id) = awaited.id
        {
            self.settle(id, Outcome::Done);
        }
    }

    /// An item has a place. Told once, whichever event says it first.
    fn place(&mut self, place: Field<ItemId>, item: &Item) {
        let Some(item_id) = item.id().cloned() else { return };
        if !self.items.place(&item_id) {
            return;
        }
        let awaited = self.answers.take(&Await::Added(item_id.clone()));
        let origin = if awaited.is_some() { Origin::Client } else { Origin::Server };
        self.tell(SessionEvent::ItemPlaced { item: Box::new(item.clone()), place: place.into(), origin });
        if let Some(id) = awaited.and_then(|awaited| awaited.id) {
            self.settle(id, Outcome::Added { item_id });
        }
    }

    /// An item is final. Told once, whichever event says it first.
    fn finish_item(&mut self, item: Box<Item>) {
        if item.id().is_some_and(|item_id| self.items.finish(item_id)) {
            self.tell(SessionEvent::ItemDone { item });
        }
    }

    /// The response that an event belongs to; one never heard of counts as created now. `None`: none runs.
    fn response(&mut self, response_id: Field<ResponseId>) -> Option<ResponseId> {
        match response_id {
            Field::Value(id) => {
                self.open_response(&id, false, BTreeMap::new());
                self.responses.get_mut(&id).map(|response| response.id.clone())
            }
            // Servers that leave the id out have one response at a time.
            Field::Absent | Field::Null => self
                .responses
                .running()
                .or_else(|| self.responses.open().last().map(|response| &response.id))
                .cloned(),
        }
    }

    fn open_response(&mut self, id: &ResponseId, out_of_band: bool, metadata: BTreeMap<String, String>) {
        if self.responses.get_mut(id).is_some() || self.responses.is_finished(id) {
            return;
        }
        let index = self.responses.created(self.now, id, out_of_band);
        let origin = self.responses.open()[index].origin;
        self.tell(SessionEvent::ResponseStarted { response_id: id.clone(), origin, out_of_band, metadata });
    }

    fn on_response_created(&mut self, response: &Response) {
        let id = response.id.value().cloned().unwrap_or_default();
        let out_of_band = response.conversation_id.is_null();
        let metadata = response.metadata.value().cloned().unwrap_or_default();
        self.open_response(&id, out_of_band, metadata);
    }

    fn on_response_done(&mut self, response: Response) {
        let id = match response.id.value() {
            Some(id) => id.clone(),
            None => self.response(Field::Absent).unwrap_or_default(),
        };
        let out_of_band = response.conversation_id.is_null();
        self.open_response(&id, out_of_band, BTreeMap::new());
        for item in response.output.value().into_iter().flatten() {
            self.note_call(Some(id.clone()), item);
        }
        let Some(open) = self.responses.done(&id) else { return };
        let end = end_of(&response);
        let calls = open.calls.clone();
        self.finish_response(open, end.clone(), response.usage.into_value().map(|usage| *usage));
        self.surface_calls(id, calls, end == ResponseEnd::Completed);
    }

    /// Tells a response's end, and answers everyone who asked for it.
    pub(super) fn finish_response(
        &mut self,
        mut response: OpenResponse,
        end: ResponseEnd,
        usage: Option<Usage>,
    ) {
        self.playback.response_done(self.now, &response.id, self.options.playback);
        self.beside.forget_response(&response.id);
        response.timeline.done = Some(self.now);
        let response_id = response.id;
        self.tell(SessionEvent::ResponseFinished(Box::new(ResponseReport {
            response_id: response_id.clone(),
            end: end.clone(),
            usage,
            timeline: response.timeline,
            dropped_bytes: response.dropped_bytes,
        })));
        while let Some(awaited) = self.answers.take(&Await::Cancelled) {
            if let Some(id) = awaited.id {
                self.settle(id, Outcome::Done);
            }
        }
        self.settle_all(response.waiters, &Outcome::Responded { response_id, end });
    }

    /// Remembers a function call item of a response, once.
    fn note_call(&mut self, response_id: Option<ResponseId>, item: &Item) {
        let Item::FunctionCall(call) = item else { return };
        let Some(call_id) = call.call_id.value().cloned() else { return };
        let Some(response) = response_id.and_then(|id| self.responses.get_mut(&id)) else { return };
        match response.calls.iter_mut().find(|seen| seen.call_id == call_id) {
            Some(seen) => seen.item = call.clone(), // the later one is the more complete
            None => response.calls.push(SeenCall { call_id, item: call.clone() }),
        }
    }

    /// Hands a response's calls to the application, or answers those that must not run.
    fn surface_calls(&mut self, response_id: ResponseId, seen: Vec<SeenCall>, completed: bool) {
        if seen.is_empty() {
            return;
        }
        let mut calls = Vec::new();
        let mut refused: Vec<(CallId, CallOutput)> = Vec::new();
        for SeenCall { call_id, item } in seen {
            if !self.calls.see(&call_id) {
                continue;
            }
            if !completed {
                // The conversation holds the call only if its item is whole.
                if item.status.value() == Some(&ItemStatus::Completed) {
                    self.answer_call(None, call_id, &CallOutput::Cancelled, CallEnd::ResponseNotCompleted);
                }
                continue;
            }
            match call_of(&call_id, &item) {
                Ok(call) => calls.push(call),
                Err(output) => refused.push((call_id, output)),
            }
        }
        let must_respond = !refused.is_empty();
        for (call_id, output) in refused {
            self.answer_call(None, call_id, &output, CallEnd::BadArguments);
        }
        if calls.is_empty() {
            self.go_on_after_calls(Settled::All { respond: must_respond });
        } else {
            self.calls.open(calls.iter().map(|call| call.call_id.clone()).collect(), must_respond);
            self.tell(SessionEvent::FunctionCalls { response_id, calls });
        }
    }

    /// The part that a delta belongs to, in a response that runs.
    fn part(&mut self, place: Place) -> Option<PartId> {
        let response_id = self.response(place.response_id)?;
        Some(PartId { response_id, item_id: place.item_id, content_index: place.content_index.unwrap_or(0) })
    }

    fn on_text(&mut self, place: Place, delta: String, spoken: bool) {
        let Some(part) = self.part(place) else { return };
        let now = self.now;
        let Some(response) = self.responses.get_mut(&part.response_id) else { return };
        if response.interrupted || delta.is_empty() {
            return;
        }
        response.timeline.first_text.get_or_insert(now);
        if spoken && !response.out_of_band {
            self.playback.words(now, &part, self.config.output_format(), &delta);
        }
        let PartId { response_id, item_id, content_index } = part;
        self.tell(SessionEvent::Text { response_id, item_id, content_index, delta, spoken });
    }

    fn on_audio(&mut self, place: Place, audio: &Audio) {
        let Some(part) = self.part(place) else { return };
        let bytes = match audio.bytes() {
            Ok(bytes) => bytes,
            Err(error) => {
                let warning = Warning::AudioUnreadable { item_id: part.item_id, characters: error.len };
                return self.tell(SessionEvent::Warning(warning));
            }
        };
        let now = self.now;
        let Some(response) = self.responses.get_mut(&part.response_id) else { return };
        if response.interrupted {
            response.dropped_bytes += bytes.len() as u64;
            return;
        }
        response.timeline.first_audio.get_or_insert(now);
        let format = self.config.output_format();
        let out_of_band = response.out_of_band;
        let ledger = if out_of_band { &mut self.beside } else { &mut self.playback };
        let (start, audio) = ledger.receive(now, &part, format, bytes, self.options.playback);
        if !audio.is_empty() {
            let PartId { response_id, item_id, content_index } = part;
            let chunk = AudioChunk { response_id, item_id, content_index, out_of_band, start, format, audio };
            self.tell(SessionEvent::Audio(chunk));
        }
    }

    fn on_audio_done(&mut self, place: Place) {
        let Some(PartId { response_id, item_id, content_index }) = self.part(place) else { return };
        let Some(response) = self.responses.get_mut(&response_id) else { return };
        if response.interrupted {
            return;
        }
        let ledger = if response.out_of_band { &mut self.beside } else { &mut self.playback };
        let total = ledger.whole(&item_id, content_index).unwrap_or_default();
        self.playback.forget_played(self.now, self.options.playback);
        self.tell(SessionEvent::AudioDone { response_id, item_id, content_index, total });
    }

    fn on_error(&mut self, event: ErrorEvent) {
        let error = match event.error {
            Field::Value(error) => error,
            // Some servers send a bare string, which is kept among the members that do not fit.
            Field::Absent | Field::Null => {
                let text =
                    event.extra.get("error").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
                ApiError { message: text.map_or(Field::Absent, Field::Value), ..ApiError::default() }
            }
        };
        let class = ErrorClass::of(&error);
        self.fail(&error);
        let code = error.code_str();
        if matches!(class, ErrorClass::Session | ErrorClass::Account) {
            let reason = CloseReason::Fatal { code: code.into(), message: error.message_str().into() };
            self.tell(SessionEvent::ServerError { error: Box::new(error), class });
            self.close(reason);
        } else {
            self.tell(SessionEvent::ServerError { error: Box::new(error), class });
        }
    }

    /// Fails the request that an error names, and only that.
    fn fail(&mut self, error: &ApiError) {
        let event_id = error.event_id.value();
        if let Some(waiters) = self.retrievals.take_failed(event_id, error.code_str()) {
            return self.settle_all(waiters, &Outcome::Refused { error: Box::new(error.clone()) });
        }
        let Some(event_id) = event_id else { return };
        if let Some(awaited) = self.answers.take_failed(event_id) {
            if let Some(id) = awaited.id {
                let outcome = match awaited.what {
                    // There was nothing to cancel any more.
                    Await::Cancelled => Outcome::Done,
                    _ => Outcome::Refused { error: Box::new(error.clone()) },
                };
                self.settle(id, outcome);
            } else if awaited.what == Await::Updated && !self.state.is_ready() {
                self.close(CloseReason::ConfigRefused { message: error.message_str().into() });
            }
        } else if let Some(request) = self.responses.take_requested(event_id) {
            if error.code_str() == "conversation_already_has_active_response" {
                if matches!(self.responses.slot, Slot::Free) {
                    let until = self.now + self.options.answer_deadline;
                    self.responses.slot = Slot::Occupied { until };
                }
                self.responses.put_back(request);
            } else {
                self.settle_all(request.waiters, &Outcome::Refused { error: Box::new(error.clone()) });
            }
        }
    }

    /// An event that cannot be read still ends what it would have ended.
    fn on_malformed(&mut self, event: Malformed) {
        let kind = event.kind.clone();
        self.tell(SessionEvent::Warning(Warning::Malformed { event }));
        if kind.as_deref() == Some("response.done")
            && let Some(id) = self.responses.running().cloned()
            && let Some(open) = self.responses.done(&id)
        {
            let error = ApiError::default().message("the server's response.done could not be read");
            self.finish_response(open, ResponseEnd::Failed { error: Box::new(error) }, None);
        }
    }
}

fn is_in_progress(item: &Item) -> bool {
    let status = match item {
        Item::Message(message) => message.status.value(),
        Item::FunctionCall(call) => call.status.value(),
        _ => None,
    };
    status == Some(&ItemStatus::InProgress)
}

/// A call that may run, or what to answer in its place: its arguments must be a JSON object.
fn call_of(call_id: &CallId, item: &FunctionCallItem) -> Result<FunctionCall, CallOutput> {
    let arguments = item.arguments.value().map_or("", String::as_str);
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    if let Err(error) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(arguments) {
        let text = alloc::format!("expected the arguments to be a JSON object: {error}");
        return Err(CallOutput::Error(text));
    }
    Ok(FunctionCall {
        call_id: call_id.clone(),
        item_id: item.id.value().cloned(),
        name: item.name.value().cloned().unwrap_or_default(),
        arguments: arguments.into(),
    })
}

fn end_of(response: &Response) -> ResponseEnd {
    let details = response.status_details.value();
    let reason = details.and_then(|details| details.reason.value().cloned());
    match response.status.value() {
        Some(ResponseStatus::Cancelled) => ResponseEnd::Cancelled { reason },
        Some(ResponseStatus::Incomplete) => ResponseEnd::Incomplete { reason },
        Some(ResponseStatus::Failed) => {
            let error = details.and_then(|details| details.error.value());
            let error = error.map_or_else(ApiError::default, |error| ApiError {
                kind: error.kind.clone(),
                code: error.code.clone(),
                message: error.message.clone(),
                ..ApiError::default()
            });
            ResponseEnd::Failed { error: Box::new(error) }
        }
        // A server that leaves the status out has ended the response like any other.
        Some(ResponseStatus::Completed | ResponseStatus::InProgress | ResponseStatus::Other(_)) | None => {
            ResponseEnd::Completed
        }
    }
}
