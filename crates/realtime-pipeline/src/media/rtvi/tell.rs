//! Frames of the chain become messages to the client.

use std::collections::VecDeque;

use realtime_protocol::call::{CloseReason, Event, FunctionCall, FunctionEnd, Notice};
use realtime_protocol::id::{CallId, ResponseId};
use realtime_protocol::usage::Usage;
use serde_json::Value;

use crate::chain::{
    AudioSource, BotSpeech, Direction, Fault, FrameKind, Message, Metric, OutputAudio, UserSpeech,
};
use crate::edges::EdgeError;
use crate::media::rtvi::machine::{NAME, Rtvi};
use crate::media::rtvi::message::kind_of;
use crate::media::rtvi::options::FunctionReport;
use crate::media::rtvi::said::{Measured, Metrics, Said, Tokens};

/// The most responses beside the conversation, and functions, that are remembered at once.
const MOST: usize = 64;

/// What was told so far, as far as it matters for what is told next.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Responses beside the conversation: they are not for the user.
    beside: VecDeque<ResponseId>,
    /// Functions that run.
    pub(super) functions: VecDeque<CallId>,
    /// The part whose audio is being sent.
    part: Option<AudioSource>,
    /// Whether the session has ended as nobody wished.
    is_broken: bool,
}

impl Rtvi {
    pub(super) fn tell(&mut self, direction: Direction, frame: &FrameKind) -> Result<(), EdgeError> {
        match (frame, direction) {
            (FrameKind::Fault(fault), _) => self.tell_fault(fault),
            (FrameKind::Event(event), Direction::Upstream) => {
                let is_broken =
                    matches!(&**event, Event::Closed { reason } if *reason != CloseReason::Requested);
                self.told.is_broken |= is_broken;
            }
            // What flows both ways is told once.
            (_, Direction::Upstream) => {}
            (FrameKind::Start, _) => self.begin(),
            (FrameKind::PlayedAudio(played), _) => return self.play(played),
            (FrameKind::OutputFinished { source, .. }, _) => {
                self.speech.finished(source, &mut self.out);
                if self.told.part.as_ref() == Some(source) {
                    self.end_part();
                }
            }
            (FrameKind::Interruption { .. }, _) => {
                self.out.say(&Said::BotInterrupted);
                self.speech.cut();
                self.end_part();
            }
            (FrameKind::Event(event), _) => self.tell_event(event),
            (FrameKind::Metric(metric), _) if self.options.metrics => self.tell_metric(metric),
            (FrameKind::User(speech), _) => self.tell_user(speech),
            (FrameKind::Bot(BotSpeech::Started), _) => self.out.say(&Said::BotStartedSpeaking),
            (FrameKind::Bot(BotSpeech::Stopped), _) => self.out.say(&Said::BotStoppedSpeaking),
            (FrameKind::Message(message), _) => self.tell_message(message),
            _ => {}
        }
        Ok(())
    }

    fn play(&mut self, played: &OutputAudio) -> Result<(), EdgeError> {
        if matches!(played.source, AudioSource::Part { .. })
            && self.told.part.as_ref() != Some(&played.source)
        {
            self.end_part();
            self.told.part = Some(played.source.clone());
            self.out.say(&Said::BotTtsStarted);
        }
        // What the client has now it plays later.
        let rate = played.audio.rate();
        let ahead = self.options.lead.as_millis() as u64 * u64::from(rate) / 1_000;
        let upto = (played.start + played.audio.frames()).saturating_sub(ahead);
        self.speech.heard(&played.source, upto, rate, &mut self.out);
        self.downlink
            .push(self.now, played, &mut self.out)
            .map_err(|error| EdgeError::new(NAME, "audio can't be converted for the client").caused_by(error))
    }

    fn end_part(&mut self) {
        if self.told.part.take().is_some() {
            self.out.say(&Said::BotTtsStopped);
        }
    }

    fn tell_event(&mut self, event: &Event) {
        match event {
            Event::ResponseStarted { response_id, out_of_band: true, .. } => {
                push(&mut self.told.beside, response_id.clone());
            }
            Event::ResponseStarted { .. } => self.out.say(&Said::BotLlmStarted),
            Event::Text { response_id, item_id, content_index, delta, spoken }
                if !self.told.beside.contains(response_id) =>
            {
                self.out.say(&Said::BotLlmText { text: delta });
                let part = (response_id, item_id, *content_index);
                self.speech.text(part, delta, *spoken, &mut self.out);
            }
            Event::AudioDone { item_id, content_index, total, .. } => {
                self.speech.audio_done(item_id, *content_index, *total);
            }
            Event::ItemDone { item } => {
                if let Some(id) = item.id() {
                    self.speech.item_done(&id, &mut self.out);
                }
            }
            Event::ResponseFinished(report) if !self.told.beside.contains(&report.response_id) => {
                self.speech.response_done(&report.response_id, &mut self.out);
                self.out.say(&Said::BotLlmStopped);
            }
            Event::UserTranscriptDelta { item_id, content_index, delta } => {
                if let Some(text) = self.transcripts.grow(item_id, *content_index, delta) {
                    let text = text.to_owned();
                    self.tell_transcript(&text, false);
                }
            }
            Event::UserTranscript { item_id, content_index, transcript, .. } => {
                self.transcripts.finish(item_id, *content_index);
                if !transcript.trim().is_empty() {
                    self.tell_transcript(transcript, true);
                }
            }
            Event::UserTranscriptFailed { item_id, content_index, .. } => {
                self.transcripts.finish(item_id, *content_index);
            }
            Event::FunctionCalls { calls, out_of_band: false, .. } => {
                calls.iter().for_each(|call| self.function_called(call));
            }
            Event::Notice(Notice::FunctionStarted { call }) => self.function_runs(call),
            Event::FunctionEnded { call, end } => self.function_ended(call, end),
            _ => {}
        }
    }

    fn tell_transcript(&mut self, text: &str, is_final: bool) {
        let timestamp = self.timestamp();
        let (timestamp, user_id) = (&*timestamp, &*self.options.user_id);
        let input_type = "transcription";
        self.out.say(&Said::UserInput { text, input_type, timestamp, is_final, user_id, msg_id: None });
        self.out.say(&Said::UserTranscription { text, user_id, timestamp, is_final });
    }

    fn tell_user(&mut self, speech: &UserSpeech) {
        self.out.say(match speech {
            UserSpeech::Started { .. } => &Said::UserStartedSpeaking,
            UserSpeech::Stopped { .. } => &Said::UserStoppedSpeaking,
            UserSpeech::VoiceStarted => &Said::VadUserStartedSpeaking,
            UserSpeech::VoiceStopped => &Said::VadUserStoppedSpeaking,
            UserSpeech::Muted => &Said::UserMuteStarted,
            UserSpeech::Unmuted => &Said::UserMuteStopped,
            UserSpeech::Speaking => return,
        });
    }

    fn tell_metric(&mut self, metric: &Metric) {
        let measured = |after: &std::time::Duration| {
            Some([Measured { processor: crate::service::NAME, value: after.as_secs_f64() }])
        };
        let metrics = match metric {
            Metric::FirstByte { after, .. } => Metrics { ttfb: measured(after), ..Metrics::default() },
            Metric::Response { took, usage, .. } => {
                let tokens = usage.as_deref().map(|usage| [tokens(usage)]);
                Metrics { processing: measured(took), tokens, ..Metrics::default() }
            }
            _ => return,
        };
        self.out.say(&Said::Metrics(metrics));
    }

    /// A message of RTVI's goes out as it is, any other one as a message of the server's.
    fn tell_message(&mut self, message: &Message) {
        match kind_of(&message.body) {
            None => self.out.say(&Said::ServerMessage(&message.body)),
            Some(_) => {
                if let Some(id) = message.body.get("id").and_then(Value::as_str) {
                    self.waiting.answer(id);
                }
                self.out.write(&*message.body);
            }
        }
    }

    fn tell_fault(&mut self, fault: &Fault) {
        let fatal = std::mem::take(&mut self.told.is_broken);
        self.out.say(&Said::Error { error: &fault.message, fatal });
    }

    fn function_called(&mut self, call: &FunctionCall) {
        let report = self.options.report_of(&call.name);
        if report >= FunctionReport::Anonymous {
            let function_name = name(call, report);
            self.out.say(&Said::LlmFunctionCallStarted { function_name });
        }
    }

    fn function_runs(&mut self, call: &FunctionCall) {
        push(&mut self.told.functions, call.call_id.clone());
        let report = self.options.report_of(&call.name);
        if report >= FunctionReport::Anonymous {
            let arguments = (report >= FunctionReport::Arguments)
                .then(|| serde_json::from_str(&call.arguments).unwrap_or_default());
            self.out.say(&Said::LlmFunctionCallInProgress {
                tool_call_id: call.call_id.as_str(),
                function_name: name(call, report),
                arguments,
            });
        }
    }

    /// It may end more than once, and is told once.
    fn function_ended(&mut self, call: &FunctionCall, end: &FunctionEnd) {
        let Some(at) = self.told.functions.iter().position(|id| *id == call.call_id) else { return };
        self.told.functions.remove(at);
        let report = self.options.report_of(&call.name);
        if report >= FunctionReport::Anonymous {
            let result = match end {
                FunctionEnd::Result(value) if report == FunctionReport::Full => Some(value),
                _ => None,
            };
            self.out.say(&Said::LlmFunctionCallStopped {
                tool_call_id: call.call_id.as_str(),
                cancelled: matches!(end, FunctionEnd::Cancelled | FunctionEnd::Closed),
                function_name: name(call, report),
                result,
            });
        }
    }
}

fn name(call: &FunctionCall, report: FunctionReport) -> Option<&str> {
    (report >= FunctionReport::Name).then_some(&*call.name)
}

fn tokens(usage: &Usage) -> Tokens {
    let of = |count: &realtime_protocol::field::Field<u64>| count.value().copied().unwrap_or_default();
    let cached = usage.input_token_details.value().map(|details| of(&details.cached_tokens));
    Tokens {
        prompt_tokens: of(&usage.input_tokens),
        completion_tokens: of(&usage.output_tokens),
        total_tokens: of(&usage.total_tokens),
        cache_read_input_tokens: cached.unwrap_or_default(),
    }
}

fn push<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.len() == MOST {
        queue.pop_front();
    }
    queue.push_back(value);
}
