//! What the events of a response do: its beginning, its words, sounds and calls, its end.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::arguments::read_arguments;
use crate::audio::Audio;
use crate::error::ApiError;
use crate::event::ResponseFunctionCallArgumentsDone;
use crate::field::Field;
use crate::id::{CallId, ItemId, ResponseId, SessionId};
use crate::item::{FunctionCallItem, Item, ItemStatus};
use crate::response::{Response, ResponseStatus};
use crate::session::Session;
use crate::session::answers::Await;
use crate::session::call_key::call_key;
use crate::session::command::CallOutput;
use crate::session::deadlines::Answer;
use crate::session::errors::Advice;
use crate::session::options::PlaybackSource;
use crate::session::output::{
    AudioChunk, CallEnd, FunctionCall, Outcome, ResponseEnd, ResponseReport, SessionEvent, Warning,
};
use crate::session::playback::PartId;
use crate::session::responses::{Heard, OpenResponse, Pace, SeenCall};
use crate::usage::Usage;

/// Where a delta belongs.
pub(super) struct PartPlace {
    pub(super) response_id: Field<ResponseId>,
    pub(super) item_id: ItemId,
    pub(super) content_index: Field<u32>,
}

/// What of a response's end decides about its calls.
struct EndedResponse {
    id: ResponseId,
    out_of_band: bool,
    spoke: bool,
    completed: bool,
}

impl Session {
    /// The response that an event belongs to; one never heard of counts as created now. `None`: none runs.
    pub(super) fn response(&mut self, response_id: Field<ResponseId>) -> Option<ResponseId> {
        match response_id {
            Field::Value(id) => {
                self.open_response(&id, false, Heard::Otherwise, BTreeMap::new());
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

    fn open_response(
        &mut self,
        id: &ResponseId,
        out_of_band: bool,
        heard: Heard,
        metadata: BTreeMap<String, String>,
    ) {
        if self.responses.get_mut(id).is_some() || self.responses.is_finished(id) {
            return;
        }
        let output_due = self.due(Answer::FirstOutput);
        let unplaced = self.answers.first_unplaced();
        let late = self.responses.created(self.now, id, out_of_band, heard, output_due, unplaced);
        let Some(origin) = self.responses.get_mut(id).map(|response| response.origin) else { return };
        self.tell(SessionEvent::ResponseStarted { response_id: id.clone(), origin, out_of_band, metadata });
        if late {
            self.tell(SessionEvent::Warning(Warning::ResponseTooLate { response_id: id.clone() }));
            self.cancel(None, Some(id.clone()));
        }
    }

    pub(super) fn on_response_created(&mut self, response: &Response) {
        self.seen.note(Answer::ResponseCreated);
        let id = response.id.value().cloned().unwrap_or_default();
        let out_of_band = response.conversation_id.is_null();
        let metadata = response.metadata.value().cloned().unwrap_or_default();
        self.open_response(&id, out_of_band, Heard::Created, metadata);
        if let Some(open) = self.responses.get_mut(&id) {
            open.format = response.audio.value().and_then(|audio| audio.format()).or(open.format);
        }
    }

    pub(super) fn on_response_done(&mut self, response: Response) {
        let id = match response.id.value() {
            Some(id) => id.clone(),
            None => self.response(Field::Absent).unwrap_or_default(),
        };
        let out_of_band = response.conversation_id.is_null();
        self.open_response(&id, out_of_band, Heard::Otherwise, BTreeMap::new());
        for item in response.output.value().into_iter().flatten() {
            self.note_call(Some(&id), item);
        }
        let Some(open) = self.responses.done(&id) else { return };
        let end = end_of(&response);
        self.end_response(open, end, response.usage.into_value().map(|usage| *usage));
    }

    /// Tells a response's end, then its calls.
    pub(super) fn end_response(
        &mut self,
        mut response: OpenResponse,
        end: ResponseEnd,
        usage: Option<Usage>,
    ) {
        let ended = EndedResponse {
            id: response.id.clone(),
            out_of_band: response.out_of_band,
            spoke: response.spoke,
            completed: end == ResponseEnd::Completed,
        };
        let calls = core::mem::take(&mut response.calls);
        self.finish_response(response, end, usage);
        self.surface_calls(&ended, calls);
    }

    /// Tells a response's end, and answers everyone who asked for it.
    pub(super) fn finish_response(
        &mut self,
        mut response: OpenResponse,
        end: ResponseEnd,
        usage: Option<Usage>,
    ) {
        self.playback.response_done(self.now, &response.id, self.options.playback);
        self.out_of_band.forget_response(&response.id);
        response.timeline.done = Some(self.now);
        self.totals.add(usage.as_ref());
        let response_id = response.id;
        self.tell(SessionEvent::ResponseFinished(Box::new(ResponseReport {
            response_id: response_id.clone(),
            end: end.clone(),
            usage,
            totals: self.totals,
            timeline: response.timeline,
            dropped_bytes: response.dropped_bytes,
        })));
        let mut cancels = alloc::vec![Await::Cancelled(Some(response_id.clone()))];
        cancels.extend((!response.out_of_band).then_some(Await::Cancelled(None)));
        for cancel in cancels {
            while self.answers.is_awaited(&cancel) {
                self.settle_awaited(&cancel, Outcome::Done);
            }
        }
        self.settle_all(response.waiters, &Outcome::Responded { response_id, end });
    }

    /// Some output of a response came, or a sign of it.
    pub(super) fn note_output(&mut self, response_id: &ResponseId) {
        self.note_pace(response_id, 1);
    }

    /// The server calls a tool itself, for the response that runs: that takes its time.
    pub(super) fn note_tool(&mut self, is_done: bool) {
        if let Some(response_id) = self.responses.running().cloned() {
            self.note_pace(&response_id, if is_done { 1 } else { 10 });
        }
    }

    /// A response goes on; its next output may take so many times as long as usual.
    fn note_pace(&mut self, response_id: &ResponseId, times: u32) {
        let due = self.now + self.options.deadlines.next_output.after.saturating_mul(times);
        let Some(response) = self.responses.get_mut(response_id) else { return };
        let answer =
            if matches!(response.pace, Pace::Begun(_)) { Answer::FirstOutput } else { Answer::NextOutput };
        response.pace = Pace::Going(due);
        self.seen.note(answer);
    }

    pub(super) fn on_item_done(&mut self, response_id: Option<&ResponseId>, item: &Item) {
        self.note_call(response_id, item);
        if let (Some(response_id), Item::FunctionCall(call)) = (response_id, item) {
            self.surface_early(response_id, call);
        }
    }

    /// Some servers tell of a call by this event alone.
    pub(super) fn on_arguments_done(&mut self, event: ResponseFunctionCallArgumentsDone) {
        let response_id = self.response(event.response_id);
        if event.name.value().is_none() {
            return; // its item names it
        }
        let call = FunctionCallItem {
            id: Field::Value(event.item_id),
            call_id: event.call_id,
            name: event.name,
            arguments: event.arguments,
            ..FunctionCallItem::default()
        };
        self.on_item_done(response_id.as_ref(), &call.into());
    }

    /// Remembers a function call item of a response, once.
    fn note_call(&mut self, response_id: Option<&ResponseId>, item: &Item) {
        let Item::FunctionCall(call) = item else { return };
        let Some(call_id) = call.call_id.value().cloned() else { return };
        let Some(response) = response_id.and_then(|id| self.responses.get_mut(id)) else { return };
        match response.calls.iter_mut().find(|seen| seen.call_id == call_id) {
            Some(seen) => seen.item = call.clone(), // the later one is the more complete
            None => response.calls.push(SeenCall { call_id, item: call.clone() }),
        }
    }

    /// Hands a call to the application while its response still runs, if the options allow it for this function.
    fn surface_early(&mut self, response_id: &ResponseId, item: &FunctionCallItem) {
        let (Some(call_id), Some(name)) = (item.call_id.value(), item.name.value()) else { return };
        let Some(response) = self.responses.get_mut(response_id) else { return };
        if response.interrupted || !self.options.early_calls.contains(name) {
            return;
        }
        let out_of_band = response.out_of_band;
        let Ok(call) = self.call_of(call_id, item) else { return }; // answered when the response is done
        if self.calls.see(call_id) {
            if !out_of_band {
                self.calls.open(response_id, [call_id.clone()]);
            }
            let (response_id, calls) = (response_id.clone(), alloc::vec![call]);
            self.tell(SessionEvent::FunctionCalls { response_id, out_of_band, calls });
        }
    }

    /// A call that may run, or what to answer in its place: its arguments must be a JSON object.
    fn call_of(&self, call_id: &CallId, item: &FunctionCallItem) -> Result<FunctionCall, CallOutput> {
        let arguments = item.arguments.value().map_or("", String::as_str);
        let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
        let arguments = match read_arguments(arguments) {
            Ok((text, _)) => text,
            Err(error) => {
                let text = alloc::format!("expected the arguments to be a JSON object: {error}");
                return Err(CallOutput::Error(text));
            }
        };
        let session = self.config.id.value().map_or("", SessionId::as_str);
        let name = item.name.value().cloned().unwrap_or_default();
        Ok(FunctionCall {
            key: call_key(session, call_id.as_str(), &name, &arguments),
            call_id: call_id.clone(),
            item_id: item.id.value().cloned(),
            name,
            arguments: arguments.into(),
        })
    }

    /// Hands a response's calls to the application, or answers those that must not run.
    fn surface_calls(&mut self, response: &EndedResponse, mut seen: Vec<SeenCall>) {
        if seen.is_empty() {
            return;
        }
        seen.retain(|call| self.calls.see(&call.call_id));
        if response.out_of_band {
            // The conversation holds none of them, so there is nothing to answer.
            let calls = seen.iter().filter_map(|seen| self.call_of(&seen.call_id, &seen.item).ok());
            let calls = calls.filter(|_| response.completed).collect();
            return self.tell_calls(response, calls);
        }
        let mut calls = Vec::new();
        let mut refused: Vec<(CallId, CallOutput)> = Vec::new();
        for SeenCall { call_id, item } in seen {
            if !response.completed {
                // The conversation holds the call only if its item is whole.
                if item.status.value() == Some(&ItemStatus::Completed) {
                    self.answer_call(None, call_id, &CallOutput::Cancelled, CallEnd::ResponseNotCompleted);
                }
                continue;
            }
            match self.call_of(&call_id, &item) {
                Ok(call) => calls.push(call),
                Err(output) => refused.push((call_id, output)),
            }
        }
        let must_respond = !refused.is_empty();
        for (call_id, output) in refused {
            self.answer_call(None, call_id, &output, CallEnd::BadArguments);
        }
        self.calls.open(&response.id, calls.iter().map(|call| call.call_id.clone()));
        self.tell_calls(response, calls);
        let progress = self.calls.close(&response.id, must_respond, response.spoke);
        self.go_on_after_calls(progress);
    }

    fn tell_calls(&mut self, response: &EndedResponse, calls: Vec<FunctionCall>) {
        if !calls.is_empty() {
            let (response_id, out_of_band) = (response.id.clone(), response.out_of_band);
            self.tell(SessionEvent::FunctionCalls { response_id, out_of_band, calls });
        }
    }

    /// The part that a delta belongs to, in a response that runs.
    fn part(&mut self, place: PartPlace) -> Option<PartId> {
        let response_id = self.response(place.response_id)?;
        self.note_output(&response_id);
        Some(PartId { response_id, item_id: place.item_id, content_index: place.content_index.unwrap_or(0) })
    }

    pub(super) fn on_text(&mut self, place: PartPlace, delta: String, spoken: bool) {
        let Some(part) = self.part(place) else { return };
        let now = self.now;
        let Some(response) = self.responses.get_mut(&part.response_id) else { return };
        if response.interrupted || delta.is_empty() {
            return;
        }
        response.timeline.first_text.get_or_insert(now);
        response.spoke = true;
        if spoken && !response.out_of_band {
            let format = response.format.unwrap_or_else(|| self.config.output_format());
            self.playback.words(&part, format, &delta);
        }
        let PartId { response_id, item_id, content_index } = part;
        self.tell(SessionEvent::Text { response_id, item_id, content_index, delta, spoken });
    }

    pub(super) fn on_audio(&mut self, place: PartPlace, audio: Audio) {
        let Some(part) = self.part(place) else { return };
        let bytes = match audio.into_bytes() {
            Ok(bytes) => bytes,
            Err(error) => {
                let warning = Warning::AudioUnreadable { item_id: part.item_id, characters: error.len };
                return self.tell(SessionEvent::Warning(warning));
            }
        };
        let now = self.now;
        let Some(response) = self.responses.get_mut(&part.response_id) else { return };
        let format = response.format.unwrap_or_else(|| self.config.output_format());
        if response.interrupted {
            response.dropped_bytes += bytes.len() as u64;
            return;
        }
        self.voice_locked = true;
        response.timeline.first_audio.get_or_insert(now);
        let unplayed = response.timeline.first_played.is_none();
        response.spoke = true;
        response.audio_bytes += bytes.len() as u64;
        let came = format.duration(response.audio_bytes);
        if response.audio_bytes > self.options.largest_response
            || came.as_duration() > self.options.longest_response
        {
            response.interrupted = true;
            response.dropped_bytes += bytes.len() as u64;
            let response_id = part.response_id;
            let warning = Warning::ResponseTooLong { response_id: response_id.clone(), audio: came };
            self.tell(SessionEvent::Warning(warning));
            return self.cancel(None, Some(response_id));
        }
        let out_of_band = response.out_of_band;
        let ledger = if out_of_band { &mut self.out_of_band } else { &mut self.playback };
        let (start, mark, audio) = ledger.receive(now, &part, format, bytes, self.options.playback);
        if unplayed && !out_of_band && self.options.playback == PlaybackSource::Estimated {
            let begins = self.playback.begins(&part);
            if let (Some(begins), Some(response)) = (begins, self.responses.get_mut(&part.response_id)) {
                response.timeline.played(begins, PlaybackSource::Estimated);
            }
        }
        if !audio.is_empty() {
            let PartId { response_id, item_id, content_index } = part;
            self.tell(SessionEvent::Audio(AudioChunk {
                response_id,
                item_id,
                content_index,
                out_of_band,
                start,
                mark,
                format,
                audio,
            }));
        }
    }

    pub(super) fn on_audio_done(&mut self, place: PartPlace) {
        let Some(PartId { response_id, item_id, content_index }) = self.part(place) else { return };
        let Some(response) = self.responses.get_mut(&response_id) else { return };
        if response.interrupted {
            return;
        }
        let ledger = if response.out_of_band { &mut self.out_of_band } else { &mut self.playback };
        let total = ledger.whole(&item_id, content_index).unwrap_or_default();
        self.playback.forget_played(self.now, self.options.playback);
        self.tell(SessionEvent::AudioDone { response_id, item_id, content_index, total });
    }
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
            ResponseEnd::Failed { advice: Advice::of(&error), error: Box::new(error) }
        }
        // A server that leaves the status out has ended the response like any other.
        Some(ResponseStatus::Completed | ResponseStatus::InProgress | ResponseStatus::Other(_)) | None => {
            ResponseEnd::Completed
        }
    }
}
