//! What the events of a response do: its beginning, its words, sounds and calls, its end.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::audio::{Audio, AudioFormat};
use crate::call::{Advice, AudioChunk, Event, Origin, Outcome, ResponseEnd, ResponseReport, Warning};
use crate::error::ApiError;
use crate::field::Field;
use crate::id::ResponseId;
use crate::response::{Response, ResponseStatus};
use crate::session::Session;
use crate::session::answers::Await;
use crate::session::deadlines::Answer;
use crate::session::function_events::EndedResponse;
use crate::session::options::PlaybackSource;
use crate::session::playback::PartId;
use crate::session::seen_calls::Told;
use crate::session::sequencer::{Beginning, Begun, Heard, Named, OpenResponse};
use crate::usage::Usage;

/// The part to which a delta belongs, as the server names it.
#[derive(Clone, Copy)]
pub(super) struct PartPlace<'a> {
    pub(super) response_id: Option<&'a str>,
    pub(super) item_id: &'a str,
    pub(super) content_index: u32,
}

impl Session {
    /// The response that an event belongs to. An unknown one counts as created now. `None`: none runs.
    pub(super) fn response(&mut self, response_id: Field<ResponseId>) -> Option<ResponseId> {
        match response_id {
            Field::Value(id) => {
                if self.responses.get_mut(&id).is_none() {
                    self.open_response(&id, false, Heard::Otherwise, Field::Absent);
                    self.responses.get_mut(&id)?;
                }
                Some(id)
            }
            // Servers that leave the id out have one response at a time.
            Field::Absent | Field::Null => {
                self.responses.running().or_else(|| self.responses.newest()).cloned()
            }
        }
    }

    /// A response begins. Some servers give several responses the same id: each is a separate one.
    fn begin_response(
        &mut self,
        id: &ResponseId,
        out_of_band: bool,
        metadata: Field<BTreeMap<String, String>>,
    ) {
        let named = self.responses.named(id, out_of_band);
        let reused = matches!(named, Named::Repeated | Named::Running | Named::Ended);
        if reused && !id.is_empty() {
            self.tell(Event::Warning(Warning::ResponseIdReused { response_id: id.clone() }));
        }
        match named {
            Named::New | Named::Ended => {}
            Named::Begun | Named::Repeated => return,
            Named::Running => {
                self.lose_response(id);
                self.responses.named(id, out_of_band); // nothing of the earlier response counts for this one
            }
        }
        self.open_response(id, out_of_band, Heard::Created, metadata);
    }

    /// The server will never end a response, as far as anyone can tell.
    fn lose_response(&mut self, id: &ResponseId) {
        if let Some(open) = self.responses.end_response(id) {
            self.responses.note_late(id); // its loss is told already
            self.end_response(open, ResponseEnd::Lost, None);
        }
    }

    fn open_response(
        &mut self,
        id: &ResponseId,
        out_of_band: bool,
        heard: Heard,
        metadata: Field<BTreeMap<String, String>>,
    ) {
        if self.responses.get_mut(id).is_some() || self.responses.is_finished(id) {
            return;
        }
        if let Some(excess) = self.responses.excess() {
            self.tell(Event::Warning(Warning::TooManyResponses { response_id: excess.clone() }));
            self.lose_response(&excess);
        }
        let output_due = self.due(Answer::FirstOutput);
        let unplaced = self.answers.first_unplaced();
        let beginning = Beginning { id, out_of_band, heard, output_due, unplaced };
        let begun = self.responses.begin(self.now, &beginning);
        let Some(response) = self.responses.get_mut(id) else { return };
        let origin = response.origin;
        let metadata = match metadata {
            Field::Value(metadata) => metadata,
            // Some servers don't repeat it.
            Field::Null | Field::Absent => response.asked_metadata().cloned().unwrap_or_default(),
        };
        self.tell(Event::ResponseStarted { response_id: id.clone(), origin, out_of_band, metadata });
        match begun {
            Begun::Wanted if origin == Origin::Server && !out_of_band => self.on_unasked_response(),
            Begun::Wanted => {}
            Begun::Late => {
                self.tell(Event::Warning(Warning::ResponseTooLate { response_id: id.clone() }));
                self.cancel(None, Some(id.clone()));
            }
            // A cancel that was sent already reaches it.
            Begun::Crossed if self.answers.is_awaited(&Await::Cancelled(None)) => {}
            Begun::Crossed => self.cancel(None, Some(id.clone())),
        }
    }

    pub(super) fn on_response_created(&mut self, response: &Response) {
        self.seen.note(Answer::ResponseCreated);
        let id = response.id.value().cloned().unwrap_or_default();
        let out_of_band = response.conversation_id.is_null();
        self.begin_response(&id, out_of_band, response.metadata.clone());
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
        self.open_response(&id, out_of_band, Heard::Otherwise, Field::Absent);
        for item in response.output.value().into_iter().flatten() {
            self.note_call(Some(&id), item, Told::Whole);
        }
        self.note_outputs(&id, response.output.value().map_or(&[], |items| items.as_slice()));
        let Some(open) = self.responses.end_response(&id) else { return };
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
            forced: response.is_forced(),
        };
        let calls = core::mem::take(&mut response.calls);
        self.finish_response(response, end, usage);
        self.surface_calls(&ended, calls);
    }

    /// Tells a response's end, and settles all commands that asked for it.
    pub(super) fn finish_response(
        &mut self,
        mut response: OpenResponse,
        end: ResponseEnd,
        usage: Option<Usage>,
    ) {
        self.place_outputs(response.out_of_band, core::mem::take(&mut response.unplaced));
        self.playback.response_done(self.now, &response.id, self.options.playback);
        self.out_of_band.forget_response(&response.id);
        response.timeline.done = Some(self.now);
        self.totals.add(usage.as_ref());
        let response_id = response.id;
        self.tell(Event::ResponseFinished(Box::new(ResponseReport {
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
        let superseded = Outcome::Superseded { response_id: response_id.clone(), end: end.clone() };
        self.settle_all(response.superseded, &superseded);
        self.settle_all(response.waiters, &Outcome::Responded { response_id, end });
    }

    /// Some output of a response came, or an event that shows progress.
    pub(super) fn note_output(&mut self, response_id: &ResponseId) {
        self.note_pace(response_id, 1);
    }

    /// The server calls a tool itself, for the response that runs: that takes its time.
    pub(super) fn note_tool(&mut self, is_done: bool) {
        if let Some(response_id) = self.responses.running().cloned() {
            self.note_pace(&response_id, if is_done { 1 } else { 10 });
        }
    }

    /// A response goes on. Its next output may take `times` as long as usual.
    fn note_pace(&mut self, response_id: &ResponseId, times: u32) {
        let due = self.now + self.options.deadlines.of(Answer::NextOutput).after.saturating_mul(times);
        let Some(response) = self.responses.get_mut(response_id) else { return };
        let answer = response.note_output(due);
        self.seen.note(answer);
    }

    /// The part that a delta belongs to, in a response that runs.
    pub(super) fn part(&mut self, place: PartPlace<'_>) -> Option<PartId> {
        let due = self.now + self.options.deadlines.of(Answer::NextOutput).after;
        let running = place.response_id.and_then(|id| self.responses.get_mut(id));
        let Some(response) = running else { return self.part_of_other(place) };
        let response_id = response.id.clone();
        let answer = response.note_output(due);
        self.seen.note(answer);
        Some(PartId { response_id, item_id: place.item_id.into(), content_index: place.content_index })
    }

    /// The same, if the response is not known to run.
    #[cold]
    fn part_of_other(&mut self, place: PartPlace<'_>) -> Option<PartId> {
        let named = place.response_id.map(ResponseId::from);
        let Some(response_id) = self.response(named.clone().map_or(Field::Absent, Field::Value)) else {
            if let Some(response_id) = named.filter(|id| self.responses.note_late(id)) {
                self.tell(Event::Warning(Warning::OutputAfterEnd { response_id }));
            }
            return None;
        };
        self.note_output(&response_id);
        Some(PartId { response_id, item_id: place.item_id.into(), content_index: place.content_index })
    }

    pub(super) fn on_audio(&mut self, place: PartPlace<'_>, audio: Audio) {
        let Some(part) = self.sounding_part(place) else { return };
        let bytes = match audio.into_bytes() {
            Ok(bytes) => bytes,
            Err(error) => {
                let warning = Warning::AudioUnreadable { item_id: part.item_id, characters: error.len };
                return self.tell(Event::Warning(warning));
            }
        };
        let Some(sounding) = self.note_audio(&part, bytes.len() as u64) else { return };
        let Sounding { format, out_of_band, protected, unplayed } = sounding;
        let (now, source) = (self.now, self.options.playback);
        let ledger = if out_of_band { &mut self.out_of_band } else { &mut self.playback };
        if source == PlaybackSource::Server && ledger.serving.plays(&part.response_id) {
            ledger.play_live(&part, format);
        }
        let (start, mark, audio) = ledger.receive(now, &part, format, bytes, source);
        if protected {
            ledger.protect(&part);
        }
        if unplayed && !out_of_band && source == PlaybackSource::Estimated {
            let begins = self.playback.begins(&part);
            if let (Some(begins), Some(response)) = (begins, self.responses.get_mut(&part.response_id)) {
                response.timeline.played(begins, PlaybackSource::Estimated);
            }
        }
        if !audio.is_empty() {
            let PartId { response_id, item_id, content_index } = part;
            self.tell(Event::Audio(AudioChunk {
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

    /// The part that audio belongs to. What the server plays may sound on after the end of its response;
    /// what comes after it has stopped playing is not heard.
    fn sounding_part(&mut self, place: PartPlace<'_>) -> Option<PartId> {
        if self.options.playback == PlaybackSource::Server
            && let Some(response_id) = place.response_id.map(ResponseId::from)
            && self.responses.get_mut(&response_id).is_none()
            && self.responses.is_finished(&response_id)
        {
            let PartPlace { item_id, content_index, .. } = place;
            if self.playback.serving.plays(&response_id) {
                return Some(PartId { response_id, item_id: item_id.into(), content_index });
            }
            if self.playback.serving.is_over(&response_id) {
                return None;
            }
        }
        self.part(place)
    }

    /// Counts audio that came. `None`: it is not to be heard.
    fn note_audio(&mut self, part: &PartId, bytes: u64) -> Option<Sounding> {
        let now = self.now;
        let Some(response) = self.responses.get_mut(&part.response_id) else {
            let format = self.config.output_format();
            return Some(Sounding { format, out_of_band: false, protected: false, unplayed: false });
        };
        let format = response.format.unwrap_or_else(|| self.config.output_format());
        if response.interrupted {
            response.dropped_bytes += bytes;
            return None;
        }
        self.voice_locked = true;
        response.timeline.first_audio.get_or_insert(now);
        response.spoke = true;
        response.audio_bytes += bytes;
        let came = format.duration(response.audio_bytes);
        if response.audio_bytes > self.options.largest_response
            || came.as_duration() > self.options.longest_response
        {
            response.interrupted = true;
            response.dropped_bytes += bytes;
            let response_id = part.response_id.clone();
            let warning = Warning::ResponseTooLong { response_id: response_id.clone(), audio: came };
            self.tell(Event::Warning(warning));
            self.cancel(None, Some(response_id));
            return None;
        }
        Some(Sounding {
            format,
            out_of_band: response.out_of_band,
            protected: response.protected,
            unplayed: response.timeline.first_played.is_none(),
        })
    }

    pub(super) fn on_audio_done(&mut self, place: PartPlace<'_>) {
        let Some(part) = self.sounding_part(place) else { return };
        let response = self.responses.get_mut(&part.response_id);
        if response.as_ref().is_some_and(|response| response.interrupted) {
            return;
        }
        let is_beside = response.is_some_and(|response| response.out_of_band);
        let ledger = if is_beside { &mut self.out_of_band } else { &mut self.playback };
        let total = ledger.whole(&part).unwrap_or_default();
        self.playback.forget_played(self.now, self.options.playback);
        let PartId { response_id, item_id, content_index } = part;
        self.tell(Event::AudioDone { response_id, item_id, content_index, total });
    }
}

/// What is known of audio that came, from its response.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    format: AudioFormat,
    out_of_band: bool,
    /// Whether the user's speech does not interrupt it.
    protected: bool,
    /// Whether nothing of it was played before.
    unplayed: bool,
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
        // A response with an unreadable status has not completed.
        None if response.extra.get("status").is_some() => {
            let error =
                ApiError::default().message("the status of the server's response.done could not be read");
            ResponseEnd::Failed { advice: Advice::Retry, error: Box::new(error) }
        }
        // A server that leaves the status out has ended the response like any other.
        Some(ResponseStatus::Completed | ResponseStatus::InProgress | ResponseStatus::Other(_)) | None => {
            ResponseEnd::Completed
        }
    }
}
