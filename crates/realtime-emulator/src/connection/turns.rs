//! Turns: from what the user said or wrote to the response that answers it.

use realtime_protocol::content::{ContentPart, InputAudio as InputAudioPart};
use realtime_protocol::event::*;
use realtime_protocol::field::Field;
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::item::{Item, ItemStatus, MessageItem, Role};
use realtime_protocol::response::{
    Response, ResponseAudio, ResponseAudioOutput, ResponseConversation, ResponseParams, ResponseStatus,
    StatusReason,
};
use realtime_protocol::session_config::{MaxOutputTokens, SessionKind, TurnDetection};

use crate::brain::{Ending, Reply, Speech, Trigger, Turn};
use crate::codec;
use crate::connection::context::{self, TooLong};
use crate::connection::conversation::{Conversation, Entry};
use crate::connection::fault::Fault;
use crate::connection::input_audio::Heard;
use crate::connection::outbox::send;
use crate::connection::plan::Form;
use crate::connection::response::{Made, Running};
use crate::connection::transcription::Transcription;
use crate::connection::trigger::Input;
use crate::connection::usage::Tokens;
use crate::connection::vad::VadSettings;
use crate::connection::{Connection, plan, session_check, usage};

impl Connection {
    /// Takes the user's audio, and acts on what turn detection hears.
    pub(super) fn hear(&mut self, audio: &[u8]) -> Result<(), Fault> {
        let detection = self.session.config().turn_detection().value().cloned();
        let settings = detection.as_ref().and_then(VadSettings::of);
        self.input.append(audio, settings.is_some())?;
        let (Some(detection), Some(settings)) = (detection, settings) else { return Ok(()) };
        let format = self.session.config().input_format();
        loop {
            let is_finished = |item: &ItemId, audio: &[u8]| {
                let samples = codec::decode(audio, format);
                self.brain.is_finished(&Speech::new(item, &samples))
            };
            let Some(heard) = self.input.listen(&settings, || self.out.ids.item(), is_finished) else {
                break;
            };
            match heard {
                Heard::Started { at } => {
                    self.idle = None;
                    let item_id = self.input.turn_item().cloned().unwrap_or_default();
                    send!(
                        &mut self.out,
                        InputAudioBufferSpeechStarted { audio_start_ms: at.as_millis(), item_id: item_id }
                    );
                    if detection.interrupts_response() {
                        self.interrupt();
                    }
                }
                Heard::Stopped { at, item_id, audio } => {
                    send!(
                        &mut self.out,
                        InputAudioBufferSpeechStopped {
                            audio_end_ms: at.as_millis(),
                            item_id: item_id.clone(),
                        }
                    );
                    self.add_speech(item_id, audio);
                    self.answer_turn(&detection);
                }
            }
        }
        Ok(())
    }

    /// Makes an item of the buffer because the client says so. Creates no response.
    pub(super) fn commit(&mut self) -> Result<(), Fault> {
        let (item_id, audio) = self.input.commit()?;
        let item_id = item_id.unwrap_or_else(|| self.out.ids.item());
        self.add_speech(item_id, audio);
        Ok(())
    }

    /// Starts a response that the client asks for.
    pub(super) fn create_response(&mut self, params: ResponseParams) -> Result<(), Fault> {
        if self.options.kind == SessionKind::Transcription {
            let message = "Responses cannot be created in a transcription session.";
            return Err(Fault::new("invalid_event", message));
        }
        session_check::check_response(&params, self.session.config(), self.session.spoken)?;
        let beside = params.conversation.value() == Some(&ResponseConversation::None);
        if beside {
            let count = self.running.iter().filter(|running| !running.in_conversation).count();
            if count >= self.options.limits.side_responses {
                let message = format!("At most {count} responses can run beside the conversation.");
                return Err(Fault::new("too_many_active_responses", message));
            }
        } else if let Some(index) = self.running.iter().position(|running| running.in_conversation)
            && self.options.profile.table().replaces_responses
        {
            self.cancel_running(index, StatusReason::ClientCancelled);
        } else if let Some(running) = self.running.iter().find(|running| running.in_conversation) {
            let message = format!(
                "Conversation already has an active response in progress: {}. Wait until the response is finished \
                 before creating a new one.",
                running.id
            );
            return Err(Fault::new("conversation_already_has_active_response", message));
        }
        let (input, own) = self.input_of(&params)?;
        self.start(params, beside, &input, own);
        Ok(())
    }

    /// Cancels the response of that id, or the one in the conversation.
    pub(super) fn cancel_response(&mut self, id: Option<&ResponseId>) -> Result<(), Fault> {
        let index = self.running.iter().position(|running| match id {
            _ if running.is_cancelled() => false,
            Some(id) => running.id == *id,
            None => running.in_conversation,
        });
        let Some(index) = index else {
            let message = "Cancellation failed: no active response found";
            return Err(Fault::new("response_cancel_not_active", message));
        };
        self.cancel_running(index, StatusReason::ClientCancelled);
        Ok(())
    }

    /// The user speaks: the response in the conversation ends. Those beside it go on.
    fn interrupt(&mut self) {
        let in_conversation = |running: &Running| running.in_conversation && !running.is_cancelled();
        if let Some(index) = self.running.iter().position(in_conversation) {
            self.cancel_running(index, StatusReason::TurnDetected);
        }
        self.stop_playing();
    }

    /// The user has spoken: a response answers, unless one still runs.
    fn answer_turn(&mut self, detection: &TurnDetection) {
        if !detection.creates_response() || self.options.kind == SessionKind::Transcription {
            return;
        }
        if let Err(fault) = self.create_response(ResponseParams::default()) {
            self.out.refuse(fault, None);
        }
    }

    /// Adds the user's audio to the conversation.
    fn add_speech(&mut self, item_id: ItemId, audio: Vec<u8>) {
        let config = self.session.config();
        let format = config.input_format();
        let transcription = config.input().and_then(|input| input.transcription.value());
        let model = transcription.map(|asked| asked.model.value().cloned().unwrap_or_default());
        let item: Item = MessageItem::default()
            .id(item_id.clone())
            .status(ItemStatus::Completed)
            .role(Role::User)
            .content(vec![silent_part()])
            .into();
        let samples = codec::decode(&audio, format);
        let speech = Speech::new(&item_id, &samples);
        let text = self.brain.transcript(&speech).unwrap_or_else(|| length_in_words(&speech));
        let length = format.duration(audio.len() as u64);
        let mut entry = Entry::new(item_id.clone(), item.clone()).with_audio(format, audio);
        entry.heard = Some(text.clone());

        let previous = self.conversation.last();
        self.conversation.push(entry);
        send!(
            &mut self.out,
            InputAudioBufferCommitted { previous_item_id: previous.clone(), item_id: item_id.clone() }
        );
        send!(
            &mut self.out,
            ConversationItemAdded { previous_item_id: previous.clone(), item: item.clone() }
        );
        send!(&mut self.out, ConversationItemDone { previous_item_id: previous, item: item });
        if let Some(model) = model {
            let at = self.now + self.options.transcription_delay;
            self.transcriptions.push_back(Transcription { at, item_id, text, length, model });
            self.advance(self.now); // it may be due at once
        }
    }

    /// Asks the brain, and starts its answer. If the response has its `own` input, it reads nothing else.
    pub(super) fn start(
        &mut self,
        params: ResponseParams,
        beside: bool,
        input: &Input,
        mut own: Option<Conversation>,
    ) {
        let (samples, heard);
        let trigger = match input {
            Input::Speech { item_id, audio, format, transcript } => {
                samples = codec::decode(audio, *format);
                let speech = Speech::new(item_id, &samples);
                heard = transcript.clone().unwrap_or_else(|| length_in_words(&speech));
                Trigger::Speech { speech, transcript: &heard }
            }
            Input::Text(text) => Trigger::Text(text),
            Input::Outputs(outputs) => Trigger::ToolOutputs(outputs),
            Input::Approval(approval) => Trigger::Approval(approval),
            Input::Idle => Trigger::Idle,
            Input::Nothing => Trigger::Request,
        };
        let config = self.session.config();
        let turn = Turn::new(trigger, config, &params);
        let instructions = usage::instruction_tokens(turn.instructions(), turn.tools());
        let read = context::fit(
            own.as_mut().unwrap_or(&mut self.conversation),
            instructions,
            self.session.most_read(),
            config.truncation.value(),
        );
        let text_only = turn.is_text_only();
        let (read, mut reply) = match read {
            Ok(context) => {
                if context.was_cut {
                    self.cache = instructions.cached(self.cache);
                }
                (context.tokens, self.brain.reply(&turn))
            }
            Err(too_long) => (Tokens::default(), Reply::default().ending(too_long.into())),
        };
        let cached = read.cached(self.cache);
        std::mem::take(&mut reply.disasters).into_iter().for_each(|disaster| self.out.disaster(disaster));

        let asked = params.audio.value().and_then(|audio| audio.output.value());
        let format = asked
            .and_then(|output| output.format.value()?.format())
            .unwrap_or_else(|| config.output_format());
        let session_output = config.output();
        let speed = session_output.and_then(|output| output.speed.value()).copied().unwrap_or(1.0);
        let voice =
            asked.and_then(|output| output.voice.value()).or_else(|| session_output?.voice.value()).cloned();
        let most = params.max_output_tokens.value().or_else(|| config.max_output_tokens.value());
        let most = most.copied().unwrap_or(MaxOutputTokens::Infinite);
        let modalities =
            params.output_modalities.value().or_else(|| config.output_modalities.value()).cloned();
        let schedule = plan::plan(reply, self.now, &self.options, Form { format, speed, text_only });

        let id = self.out.ids.response();
        let conversation_id = if beside { Field::Null } else { self.conversation_id.clone().into() };
        let shown = Response {
            id: id.clone().into(),
            object: "realtime.response".into(),
            status: ResponseStatus::InProgress.into(),
            status_details: Field::Null,
            output: Vec::new().into(),
            conversation_id,
            output_modalities: modalities.unwrap_or_default().into(),
            max_output_tokens: most.into(),
            audio: ResponseAudio::default()
                .output(ResponseAudioOutput {
                    format: format.into(),
                    voice: voice.map_or(Field::Absent, Field::Value),
                    ..ResponseAudioOutput::default()
                })
                .into(),
            usage: Field::Null,
            metadata: params.metadata.into_value().map_or(Field::Null, Field::Value),
            ..Response::default()
        };
        send!(&mut self.out, ResponseCreated { response: shown.clone() });
        let reserved = match most {
            MaxOutputTokens::Limit(limit) => u64::from(limit),
            MaxOutputTokens::Infinite => 4096,
        };
        send!(&mut self.out, RateLimitsUpdated { rate_limits: usage::rate_limits(read.total() + reserved) });
        let running = Running {
            id,
            in_conversation: !beside,
            shown,
            schedule,
            format,
            input: read,
            cached,
            sideband: self.options.sideband,
            output: Vec::new(),
            made: Made::default(),
            open: None,
        };
        if beside {
            self.running.push(running);
        } else {
            self.conversation.answered();
            self.cache = read;
            self.idle = None;
            self.running.insert(0, running);
        }
    }
}

impl From<TooLong> for Ending {
    fn from(TooLong { tokens, most }: TooLong) -> Self {
        let message = format!(
            "The conversation has {tokens} tokens, and the model reads at most {most}. Truncation is disabled."
        );
        Self::Failed { code: "context_length_exceeded".into(), message }
    }
}

/// The part of an item that holds the user's audio, before it is transcribed.
pub(super) fn silent_part() -> ContentPart {
    InputAudioPart { transcript: Field::Null, ..InputAudioPart::default() }.into()
}

/// What is said of speech that no brain understood.
fn length_in_words(speech: &Speech<'_>) -> String {
    format!("speech, {}", speech.duration())
}
