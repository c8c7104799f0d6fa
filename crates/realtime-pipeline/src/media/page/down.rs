//! What a page is told, as texts: [`Teller`] makes them of frames.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::call::{Event, FunctionCall, FunctionEnd, Interruption};
use realtime_protocol::content::ContentPart;
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::item::{Item, MessageItem, Role};
use serde_json::{Value, json};

use super::PageOptions;
use super::words;
use crate::chain::{BotSpeech, FrameKind, Metric, UserSpeech};

/// Makes texts of frames.
#[derive(Debug, Default)]
pub(super) struct Teller {
    /// The last responses beside the conversation: their words are not for the user.
    beside: VecDeque<ResponseId>,
    /// The last items of the agent's of which words were told and the whole was not.
    open: VecDeque<ItemId>,
}

/// The most of each that are remembered.
const MOST: usize = 64;

impl Teller {
    /// The texts for a frame that leaves the chain downstream.
    pub(super) fn tell(&mut self, frame: &FrameKind, options: &PageOptions) -> Vec<Value> {
        match frame {
            FrameKind::Event(event) => self.tell_event(event, options),
            FrameKind::Metric(metric) if options.latencies => latency(metric).into_iter().collect(),
            FrameKind::User(speech) => user(speech).into_iter().collect(),
            FrameKind::Bot(speech) => bot(*speech).into_iter().collect(),
            FrameKind::Message(message) => vec![json!({ "type": "message", "body": *message.body })],
            FrameKind::OutputDtmf(keys) => vec![json!({ "type": "keys", "keys": keys.as_str() })],
            _ => Vec::new(),
        }
    }

    fn tell_event(&mut self, event: &Event, options: &PageOptions) -> Vec<Value> {
        let mut texts: Vec<Value> = words::of_event(event).map(notice).into_iter().collect();
        match event {
            Event::ResponseStarted { response_id, out_of_band: true, .. } => {
                push(&mut self.beside, response_id);
            }
            Event::Text { response_id, item_id, delta, .. }
                if options.transcripts && !self.beside.contains(response_id) =>
            {
                push(&mut self.open, item_id);
                texts.push(json!({ "type": "delta", "who": "agent", "item": item_id, "text": delta }));
            }
            Event::ItemDone { item } if options.transcripts => texts.extend(self.done(item)),
            Event::Interrupted(interruption) => texts.extend(self.interrupted(interruption, options)),
            Event::UserTranscriptDelta { item_id, delta, .. } if options.transcripts => {
                texts.push(json!({ "type": "delta", "who": "user", "item": item_id, "text": delta }));
            }
            Event::UserTranscript { item_id, transcript, .. } if options.transcripts => {
                texts.push(
                    json!({ "type": "transcript", "who": "user", "item": item_id, "text": transcript }),
                );
            }
            Event::FunctionCalls { calls, out_of_band: false, .. } if options.tools => {
                texts.extend(calls.iter().map(|call| tool(call, None, options)));
            }
            Event::FunctionEnded { call, end } if options.tools => {
                texts.push(tool(call, Some(end), options));
            }
            _ => {}
        }
        texts
    }

    /// An item of the agent's is whole. What was told of it as interrupted stays so.
    fn done(&mut self, item: &Item) -> Option<Value> {
        let Item::Message(message) = item else { return None };
        let id = message.id.value().filter(|_| message.role.value() == Some(&Role::Assistant))?;
        let open = self.open.iter().position(|open| open == id)?;
        self.open.remove(open);
        let text = said(message);
        Some(json!({ "type": "transcript", "who": "agent", "item": id, "text": text }))
    }

    fn interrupted(&mut self, interruption: &Interruption, options: &PageOptions) -> Vec<Value> {
        let mut texts = Vec::new();
        for part in &interruption.parts {
            self.open.retain(|open| *open != part.item_id);
            let ms = u64::try_from(part.heard_time().as_duration().as_millis()).unwrap_or(u64::MAX);
            let mut text = json!({
                "type": "interrupted", "item": part.item_id, "part": part.content_index,
                "ms": ms, "estimated": part.estimated,
            });
            if options.transcripts {
                text["text"] = part.heard_text.as_str().into();
            }
            texts.push(text);
        }
        texts
    }
}

/// Something happened, in words that a page can show.
pub(super) fn notice((code, text): words::Words) -> Value {
    json!({ "type": "notice", "code": code, "text": text })
}

fn user(speech: &UserSpeech) -> Option<Value> {
    match speech {
        UserSpeech::Started { .. } => Some(speaking("user", true)),
        UserSpeech::Stopped { .. } => Some(speaking("user", false)),
        UserSpeech::Muted => Some(json!({ "type": "muted", "on": true })),
        UserSpeech::Unmuted => Some(json!({ "type": "muted", "on": false })),
        UserSpeech::Speaking | UserSpeech::VoiceStarted | UserSpeech::VoiceStopped => None,
    }
}

fn bot(speech: BotSpeech) -> Option<Value> {
    match speech {
        BotSpeech::Started => Some(speaking("agent", true)),
        BotSpeech::Stopped => Some(speaking("agent", false)),
        BotSpeech::Speaking => None,
    }
}

fn speaking(who: &str, on: bool) -> Value {
    json!({ "type": "speaking", "who": who, "on": on })
}

fn tool(call: &FunctionCall, end: Option<&FunctionEnd>, options: &PageOptions) -> Value {
    let mut text = json!({ "type": "tool", "state": "called", "call": call.call_id, "name": call.name });
    if let Some(end) = end {
        text["state"] = "ended".into();
        text["ok"] = matches!(end, FunctionEnd::Result(_)).into();
    }
    if options.arguments {
        text["arguments"] = call.arguments.as_str().into();
    }
    text
}

fn latency(metric: &Metric) -> Option<Value> {
    let (name, after) = match metric {
        Metric::FirstByte { after, .. } => ("first_byte", *after),
        Metric::VoiceToVoice { after } => ("voice_to_voice", *after),
        Metric::Response { took, .. } => ("response", *took),
        Metric::Function { took, .. } => ("function", *took),
        Metric::Transcription { after, .. } => ("transcription", (*after)?),
    };
    Some(json!({ "type": "latency", "name": name, "ms": millis(after) }))
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The words of a message, of all its parts.
fn said(message: &MessageItem) -> String {
    let words = |part: &ContentPart| match part {
        ContentPart::OutputAudio(part) => part.transcript.value().cloned(),
        ContentPart::OutputText(part) => part.text.value().cloned(),
        ContentPart::Audio(part) => part.transcript.value().cloned(),
        ContentPart::Text(part) => part.text.value().cloned(),
        _ => None,
    };
    message.content.value().into_iter().flatten().filter_map(words).collect()
}

fn push<T: Clone + PartialEq>(last: &mut VecDeque<T>, one: &T) {
    if last.contains(one) {
        return;
    }
    if last.len() == MOST {
        last.pop_front();
    }
    last.push_back(one.clone());
}
