//! What each server event does to the session.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::call::{Event, Origin, Outcome, Refusal, Warning};
use crate::error::ApiError;
use crate::event::hot::{PlainDelta, Said};
use crate::event::{InputAudioTranscriptionCompleted, ServerEvent};
use crate::field::Field;
use crate::id::{ItemId, ResponseId};
use crate::item::{Item, ItemStatus};
use crate::session::Session;
use crate::session::answers::Await;
use crate::session::commands::is_from_user;
use crate::session::deadlines::Answer;
use crate::session::response_events::PartPlace;
use crate::session::seen_calls::Told;
use crate::session::sequencer::turn;
use crate::time::MediaTime;

macro_rules! place {
    ($event:ident) => {
        PartPlace {
            response_id: $event.response_id.value().map(ResponseId::as_str),
            item_id: $event.item_id.as_str(),
            content_index: $event.content_index.unwrap_or(0),
        }
    };
}

impl Session {
    pub(super) fn on_event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::SessionCreated(event) => {
                let session_id = event.session.value().and_then(|session| session.id.value().cloned());
                if let Field::Value(config) = event.session {
                    self.note_expiry(config.expires_at);
                    self.config.merge_echo(*config);
                }
                self.tell(Event::Created { session_id });
                self.configure();
            }
            ServerEvent::SessionUpdated(event) => self.on_updated(event.session),
            ServerEvent::ConversationItemCreated(event) => {
                let finished = !is_in_progress(&event.item);
                self.note_placed_call(&event.item, if finished { Told::Whole } else { Told::Begun });
                self.place(event.previous_item_id, &event.item);
                if finished {
                    self.finish_item(event.item);
                }
            }
            ServerEvent::ConversationItemAdded(event) => {
                self.note_placed_call(&event.item, Told::Begun);
                self.place(event.previous_item_id, &event.item);
            }
            ServerEvent::ConversationItemDone(event) => {
                self.note_placed_call(&event.item, Told::Whole);
                self.place(event.previous_item_id, &event.item);
                self.finish_item(event.item);
            }
            ServerEvent::ConversationItemRetrieved(event) => {
                self.seen.note(Answer::ItemRetrieved);
                let Some(item_id) = event.item.id().or_else(|| self.retrievals.only()) else { return };
                let waiters = self.retrievals.take(&item_id);
                self.settle_all(waiters, &Outcome::Retrieved { item: event.item });
            }
            ServerEvent::ConversationItemDeleted(event) => self.on_deleted(event.item_id),
            ServerEvent::ConversationItemTruncated(event) => self.on_truncated(event.item_id),
            ServerEvent::InputAudioTranscriptionDelta(event) => {
                let decision = self.hear_words(&event);
                self.tell(Event::UserTranscriptDelta {
                    item_id: event.item_id,
                    content_index: event.content_index.unwrap_or(0),
                    delta: event.delta.into_value().unwrap_or_default(),
                });
                self.decide(decision);
            }
            ServerEvent::InputAudioTranscriptionCompleted(event) => {
                self.on_transcript(event);
            }
            ServerEvent::InputAudioTranscriptionFailed(event) => {
                self.transcripts.came(&event.item_id);
                self.tell(Event::UserTranscriptFailed {
                    item_id: event.item_id,
                    content_index: event.content_index.unwrap_or(0),
                    error: event.error.into_value().unwrap_or_default().into(),
                })
            }
            ServerEvent::InputAudioBufferCommitted(event) => {
                let outcome = Outcome::Committed { item_id: event.item_id.clone() };
                self.on_committed(Some(&event.item_id), outcome);
                if self.config.transcription().value().is_some() {
                    self.transcripts.expect(self.now, event.item_id.clone());
                }
                self.tell(Event::Committed { item_id: event.item_id });
            }
            ServerEvent::InputAudioBufferCleared(_) => self.on_cleared(),
            ServerEvent::InputAudioBufferSpeechStarted(event) => {
                self.note_user();
                let until = self.now + self.options.longest_turn;
                let silent =
                    self.input.comes_from_here().then(|| self.now + self.options.silent_turn_deadline);
                self.responses.step_turn(turn::Step::Started { until, silent });
                let at = event.audio_start_ms.into_value().map(MediaTime::from_millis);
                let item_id = event.item_id.into_value();
                self.tell(Event::SpeechStarted { item_id: item_id.clone(), at });
                self.on_speech(item_id.as_ref());
            }
            ServerEvent::InputAudioBufferSpeechStopped(event) => {
                let decision = self.end_speech();
                let response_due = self.own_response_due();
                self.responses.step_turn(turn::Step::Stopped { now: self.now, response_due });
                let at = event.audio_end_ms.into_value().map(MediaTime::from_millis);
                self.tell(Event::SpeechStopped { item_id: event.item_id.into_value(), at });
                self.decide(decision);
            }
            ServerEvent::ResponseCreated(event) => self.on_response_created(&event.response),
            ServerEvent::ResponseDone(event) => self.on_response_done(*event.response),
            ServerEvent::ResponseOutputItemAdded(event) => {
                if let Some(response_id) = self.response(event.response_id) {
                    self.note_output(&response_id);
                    self.note_call(Some(&response_id), &event.item, Told::Begun);
                }
            }
            ServerEvent::ResponseOutputItemDone(event) => {
                let response_id = self.response(event.response_id);
                if let Some(response_id) = &response_id {
                    self.note_output(response_id);
                }
                self.on_item_done(response_id.as_ref(), &event.item);
                self.on_output_item_done(response_id.as_ref(), event.item);
            }
            ServerEvent::ResponseFunctionCallArgumentsDelta(event) => {
                if let Some(response_id) = self.response(event.response_id.clone()) {
                    self.note_output(&response_id);
                    if let Some(response) = self.responses.get_mut(&response_id) {
                        response.calls.note_piece(event);
                    }
                }
            }
            ServerEvent::ResponseMcpCallArgumentsDelta(_) => self.note_tool(false),
            event @ (ServerEvent::ResponseMcpCallArgumentsDone(_)
            | ServerEvent::ResponseMcpCallInProgress(_)) => {
                self.note_tool(false);
                self.pass_on_event(event);
            }
            event @ (ServerEvent::ResponseMcpCallCompleted(_) | ServerEvent::ResponseMcpCallFailed(_)) => {
                self.note_tool(true);
                self.pass_on_event(event);
            }
            ServerEvent::ResponseFunctionCallArgumentsDone(event) => self.on_arguments_done(event),
            ServerEvent::ResponseOutputTextDelta(event) => self.on_text(place!(event), &event.delta, false),
            ServerEvent::ResponseOutputAudioTranscriptDelta(event) => {
                self.on_text(place!(event), &event.delta, true);
            }
            ServerEvent::ResponseOutputAudioDelta(event) => self.on_audio(place!(event), event.delta),
            ServerEvent::ResponseOutputAudioDone(event) => self.on_audio_done(place!(event)),
            ServerEvent::RateLimitsUpdated(event) => {
                self.tell(Event::RateLimits { limits: event.rate_limits.into_value().unwrap_or_default() })
            }
            ServerEvent::ErrorEvent(event) => self.on_error(event),
            ServerEvent::Unknown(event) => self.tell(Event::Warning(Warning::Unknown { event })),
            ServerEvent::Malformed(event) => self.on_malformed(event),
            // No other call event carries them.
            event @ (ServerEvent::ConversationCreated(_)
            | ServerEvent::InputAudioTranscriptionSegment(_)
            | ServerEvent::InputAudioBufferTimeoutTriggered(_)
            | ServerEvent::InputAudioBufferDtmfEventReceived(_)
            | ServerEvent::OutputAudioBufferStarted(_)
            | ServerEvent::OutputAudioBufferStopped(_)
            | ServerEvent::OutputAudioBufferCleared(_)
            | ServerEvent::McpListToolsInProgress(_)
            | ServerEvent::McpListToolsCompleted(_)
            | ServerEvent::McpListToolsFailed(_)) => self.pass_on_event(event),
            // They repeat the deltas. What the deltas left out is told now.
            ServerEvent::ResponseContentPartDone(event) => self.on_part_done(event),
            ServerEvent::ResponseOutputTextDone(event) => self.on_text_done(event),
            ServerEvent::ResponseOutputAudioTranscriptDone(event) => self.on_transcript_done(event),
            ServerEvent::ResponseContentPartAdded(_) => {}
        }
    }

    /// A delta came in its plainest form.
    pub(super) fn on_delta(&mut self, delta: PlainDelta<'_>) {
        let PlainDelta { response_id, item_id, content_index, said } = delta;
        let place = PartPlace { response_id, item_id, content_index };
        match said {
            Said::Audio(audio) => self.on_audio(place, audio),
            Said::Transcript(words) => self.on_text(place, words, true),
            Said::Text(words) => self.on_text(place, words, false),
        }
    }

    /// Tells an event that no other call event carries.
    fn pass_on_event(&mut self, event: ServerEvent) {
        let event = Arc::new(event);
        self.tell(Event::Server(event.clone()));
        match &*event {
            ServerEvent::OutputAudioBufferStarted(event) => self.on_server_playing(event.response_id.clone()),
            ServerEvent::OutputAudioBufferStopped(event) => self.on_server_played(event.response_id.clone()),
            ServerEvent::OutputAudioBufferCleared(event) => self.on_server_cleared(event.response_id.clone()),
            _ => {}
        }
    }

    /// What the user said. A transcript that cannot be read is a failed one, not silence.
    fn on_transcript(&mut self, event: InputAudioTranscriptionCompleted) {
        self.transcripts.came(&event.item_id);
        let usage = event.usage.into_value();
        self.totals.add_transcription(usage.as_ref());
        let (item_id, content_index) = (event.item_id, event.content_index.unwrap_or(0));
        let Some(transcript) = event.transcript.into_value() else {
            let error = ApiError::default().message("the server's transcript could not be read");
            return self.tell(Event::UserTranscriptFailed { item_id, content_index, error: error.into() });
        };
        let decision = self.hear_transcript(&item_id, &transcript);
        self.tell(Event::UserTranscript {
            item_id,
            content_index,
            transcript,
            languages: event.languages.into_value().unwrap_or_default(),
            logprobs: event.logprobs.into_value().unwrap_or_default(),
            usage: usage.map(Box::new),
        });
        self.decide(decision);
    }

    /// Something other than `speech_stopped` may end the user's turn. Then the end is told here. `item_id`:
    /// the item of the turn.
    pub(super) fn step_turn(&mut self, step: turn::Step, item_id: Option<&ItemId>) {
        if self.responses.step_turn(step) {
            self.tell_speech_ended(item_id.cloned());
        }
    }

    /// The user counts as having stopped, though the server did not say so.
    pub(super) fn tell_speech_ended(&mut self, item_id: Option<ItemId>) {
        self.tell(Event::SpeechStopped { item_id, at: None });
    }

    /// What the server's buffer held becomes an item.
    pub(super) fn on_committed(&mut self, item_id: Option<&ItemId>, outcome: Outcome) {
        if self.answers.is_awaited(&Await::Committed) {
            self.drop_speech(); // the application answers what it commits
        }
        let decision = self.end_speech();
        let response_due = self.own_response_due();
        self.step_turn(turn::Step::Committed { now: self.now, response_due }, item_id);
        self.decide(decision);
        if !self.settle_awaited(&Await::Committed, outcome) {
            self.input.emptied(); // audio appended after our commit belongs to the next turn
            self.commit_speech(item_id);
        }
    }

    pub(super) fn on_deleted(&mut self, item_id: ItemId) {
        let Some(item_id) = self.item_of(item_id, Answer::ItemDeleted) else { return };
        self.settle_awaited(&Await::Deleted(item_id.clone()), Outcome::Done);
        self.playback.item_deleted(&item_id);
        self.items.remove(&item_id);
        self.transcripts.came(&item_id);
        self.tell(Event::ItemRemoved { item_id });
    }

    pub(super) fn on_truncated(&mut self, item_id: ItemId) {
        if let Some(item_id) = self.item_of(item_id, Answer::ItemTruncated) {
            self.settle_awaited(&Await::Truncated(item_id), Outcome::Done);
        }
    }

    /// The server's buffer is empty: no speech is left in it, and commits sent before find nothing.
    fn on_cleared(&mut self) {
        let cleared = self.answered(&Await::Cleared);
        let before = cleared.as_ref().map_or(u64::MAX, |awaited| awaited.number);
        while let Some(commit) = self.answers.take_before(&Await::Committed, before) {
            if let Some(id) = commit.id {
                self.settle(id, Outcome::Declined { reason: Refusal::Cleared });
            }
        }
        match cleared {
            Some(awaited) => awaited.id.into_iter().for_each(|id| self.settle(id, Outcome::Done)),
            None => self.input.emptied(), // audio appended after our clear belongs to the next turn
        }
        self.step_turn(turn::Step::Cleared, None);
        self.drop_speech();
    }

    /// The item that an acknowledgement is for. Some servers leave the id out: then it is for the oldest
    /// waiting item.
    fn item_of(&self, item_id: ItemId, kind: Answer) -> Option<ItemId> {
        if !item_id.as_str().is_empty() {
            return Some(item_id);
        }
        self.answers.oldest(kind).and_then(|awaited| awaited.what.item_id().cloned())
    }

    /// An answer came: settles the command that waited for it. Returns whether it was awaited.
    pub(super) fn settle_awaited(&mut self, what: &Await, outcome: Outcome) -> bool {
        let awaited = self.answered(what);
        if let Some(id) = awaited.as_ref().and_then(|awaited| awaited.id) {
            self.settle(id, outcome);
        }
        awaited.is_some()
    }

    /// An item has a place. Told once, by the first event that says so.
    pub(super) fn place(&mut self, place: Field<ItemId>, item: &Item) {
        let Some(item_id) = item.id() else { return };
        if !self.items.place(&item_id) {
            return;
        }
        if is_from_user(item) {
            self.note_user();
        }
        let awaited = self.answered(&Await::Added(item_id.clone()));
        let origin = if awaited.is_some() { Origin::Client } else { Origin::Server };
        self.tell(Event::ItemPlaced { item: Box::new(item.clone()), place: place.into(), origin });
        if let Some(id) = awaited.and_then(|awaited| awaited.id) {
            self.settle(id, Outcome::Added { item_id });
        }
    }

    /// An item is final. Told once, by the first event that says so.
    pub(super) fn finish_item(&mut self, item: Box<Item>) {
        if item.id().is_some_and(|item_id| self.items.finish(&item_id)) {
            self.tell(Event::ItemDone { item });
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
