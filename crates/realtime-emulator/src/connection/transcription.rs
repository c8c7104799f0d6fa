//! What the user said, as events: word by word, then whole, and what it cost.

use realtime_protocol::content::ContentPart;
use realtime_protocol::event::*;
use realtime_protocol::field::Field;
use realtime_protocol::id::ItemId;
use realtime_protocol::item::Item;
use realtime_protocol::session_config::Include;
use realtime_protocol::time::{MediaTime, Timestamp};
use realtime_protocol::usage::{DurationUsage, TranscriptionUsage};

use crate::connection::outbox::send;
use crate::connection::{Connection, usage};
use crate::voice;

/// A transcript that is on its way.
#[derive(Debug)]
pub(super) struct Transcription {
    pub(super) at: Timestamp,
    pub(super) item_id: ItemId,
    pub(super) text: String,
    pub(super) length: MediaTime,
    /// The transcription's model. Empty if none was named.
    pub(super) model: String,
}

impl Connection {
    /// Sends the transcript that is due.
    pub(super) fn transcribe(&mut self) {
        let Some(Transcription { item_id, text, length, model, .. }) = self.transcriptions.pop_front() else {
            return;
        };
        let Some(entry) = self.conversation.find_mut(&item_id) else { return };
        if let Item::Message(message) = &mut entry.item {
            for part in message.content.value_mut().into_iter().flatten() {
                if let ContentPart::InputAudio(part) = part {
                    part.transcript = text.as_str().into();
                }
            }
        }
        let include = self.session.config().include.value();
        let with_logprobs = include.is_some_and(|all| all.contains(&Include::TranscriptionLogprobs));
        let logprobs = |words: &str| -> Field<Vec<LogProb>> {
            if with_logprobs {
                Field::Value(voice::words(words).map(logprob).collect())
            } else {
                Field::Absent
            }
        };
        for word in voice::words(&text) {
            let obfuscation = self.out.ids.obfuscation(word);
            send!(
                &mut self.out,
                InputAudioTranscriptionDelta {
                    item_id: item_id.clone(),
                    content_index: 0_u32,
                    delta: word,
                    logprobs: logprobs(word),
                    obfuscation: obfuscation,
                }
            );
        }
        if model.ends_with("-diarize") {
            let id = self.out.ids.other("seg_");
            send!(
                &mut self.out,
                InputAudioTranscriptionSegment {
                    item_id: item_id.clone(),
                    content_index: 0_u32,
                    text: text.clone(),
                    id: id,
                    speaker: "A",
                    start: 0.0,
                    end: seconds(length),
                }
            );
        }
        let usage: TranscriptionUsage = match model.as_str() {
            "whisper-1" => DurationUsage::default().seconds(seconds(length)).into(),
            _ => usage::transcription_usage(length, &text),
        };
        let logprobs = logprobs(&text);
        send!(
            &mut self.out,
            InputAudioTranscriptionCompleted {
                item_id: item_id,
                content_index: 0_u32,
                transcript: text,
                logprobs: logprobs,
                usage: usage,
            }
        );
    }
}

/// A word that was heard with some certainty.
fn logprob(word: &str) -> LogProb {
    LogProb::default().token(word).logprob(-0.01).bytes(word.bytes().map(u32::from).collect::<Vec<_>>())
}

fn seconds(length: MediaTime) -> f64 {
    length.as_micros() as f64 / 1_000_000.0
}
