//! What each server event does to the session.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::call::{Event, Origin, Outcome, Warning};
use crate::error::ApiError;
use crate::event::{InputAudioTranscriptionCompleted, ServerEvent};
use crate::field::Field;
use crate::id::ItemId;
use crate::item::{Item, ItemStatus};
use crate::session::Session;
use crate::session::answers::Await;
use crate::session::deadlines::Answer;
use crate::session::response_events::PartPlace;
use crate::session::responses::Turn;
use crate::session::seen_calls::Told;
use crate::time::MediaTime;

macro_rules! place {
    ($event:ident) => {
        PartPlace {
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
                let Some(item_id) = event.item.id() else { return };
                let waiters = self.retrievals.take(&item_id);
                self.settle_all(waiters, &Outcome::Retrieved { item: event.item });
            }
            ServerEvent::ConversationItemDeleted(event) => {
                self.settle_awaited(&Await::Deleted(event.item_id.clone()), Outcome::Done);
                self.playback.item_deleted(&event.item_id);
                self.items.remove(&event.item_id);
                self.transcripts.came(&event.item_id);
                self.tell(Event::ItemRemoved { item_id: event.item_id });
            }
            ServerEvent::ConversationItemTruncated(event) => {
                self.settle_awaited(&Await::Truncated(event.item_id), Outcome::Done);
            }
            ServerEvent::InputAudioTranscriptionDelta(event) => self.tell(Event::UserTranscriptDelta {
                item_id: event.item_id,
                content_index: event.content_index.unwrap_or(0),
                delta: event.delta.into_value().unwrap_or_default(),
            }),
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
                if self.responses.is_user_speaking() {
                    self.speech_stopped(); // some servers do not say so
                }
                let outcome = Outcome::Committed { item_id: event.item_id.clone() };
                if !self.settle_awaited(&Await::Committed, outcome) {
                    self.input.emptied(); // what was appended behind a commit of ours is of the next turn
                }
                if self.config.transcription().value().is_some() {
                    self.transcripts.expect(self.now, event.item_id.clone());
                }
                self.tell(Event::Committed { item_id: event.item_id });
            }
            ServerEvent::InputAudioBufferCleared(_) => {
                self.settle_awaited(&Await::Cleared, Outcome::Done);
            }
            ServerEvent::InputAudioBufferSpeechStarted(event) => {
                self.responses.set_turn(Turn::Speaking { until: Some(self.now + self.options.longest_turn) });
                let at = event.audio_start_ms.into_value().map(MediaTime::from_millis);
                self.tell(Event::SpeechStarted { item_id: event.item_id.into_value(), at });
                // Where the configuration says that speech must not interrupt, it is the application that decides.
                if self.config.turn_detection().value().is_none_or(|vad| vad.interrupts_response()) {
                    self.interrupt(None, false);
                }
            }
            ServerEvent::InputAudioBufferSpeechStopped(event) => {
                self.speech_stopped();
                let at = event.audio_end_ms.into_value().map(MediaTime::from_millis);
                self.tell(Event::SpeechStopped { item_id: event.item_id.into_value(), at });
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
                self.finish_item(event.item);
            }
            ServerEvent::ResponseFunctionCallArgumentsDelta(event) => {
                if let Some(response_id) = event.response_id.value() {
                    self.note_output(response_id);
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
            ServerEvent::ResponseOutputTextDelta(event) => self.on_text(place!(event), event.delta, false),
            ServerEvent::ResponseOutputAudioTranscriptDelta(event) => {
                self.on_text(place!(event), event.delta, true);
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
            // They repeat what the deltas said, and the item says once more.
            ServerEvent::ResponseContentPartAdded(_)
            | ServerEvent::ResponseContentPartDone(_)
            | ServerEvent::ResponseOutputTextDone(_)
            | ServerEvent::ResponseOutputAudioTranscriptDone(_) => {}
        }
    }

    /// Tells an event that no other call event carries.
    fn pass_on_event(&mut self, event: ServerEvent) {
        self.tell(Event::Server(Arc::new(event)));
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
        self.tell(Event::UserTranscript {
            item_id,
            content_index,
            transcript,
            languages: event.languages.into_value().unwrap_or_default(),
            logprobs: event.logprobs.into_value().unwrap_or_default(),
            usage: usage.map(Box::new),
        });
    }

    /// The user has spoken: the server may respond by itself.
    fn speech_stopped(&mut self) {
        let vad = self.config.turn_detection();
        let responds = !vad.is_null() && vad.value().is_none_or(|vad| vad.creates_response());
        let turn = if responds {
            Turn::Expecting { stopped: self.now, until: self.now + self.options.turn_response_deadline }
        } else {
            Turn::Open
        };
        self.responses.set_turn(turn);
    }

    /// An answer came: whoever waited for it is told. Whether it was awaited.
    pub(super) fn settle_awaited(&mut self, what: &Await, outcome: Outcome) -> bool {
        let awaited = self.answered(what);
        if let Some(id) = awaited.as_ref().and_then(|awaited| awaited.id) {
            self.settle(id, outcome);
        }
        awaited.is_some()
    }

    /// An item has a place. Told once, whichever event says it first.
    fn place(&mut self, place: Field<ItemId>, item: &Item) {
        let Some(item_id) = item.id() else { return };
        if !self.items.place(&item_id) {
            return;
        }
        let awaited = self.answered(&Await::Added(item_id.clone()));
        let origin = if awaited.is_some() { Origin::Client } else { Origin::Server };
        self.tell(Event::ItemPlaced { item: Box::new(item.clone()), place: place.into(), origin });
        if let Some(id) = awaited.and_then(|awaited| awaited.id) {
            self.settle(id, Outcome::Added { item_id });
        }
    }

    /// An item is final. Told once, whichever event says it first.
    fn finish_item(&mut self, item: Box<Item>) {
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
