//! What actions make of the event that they happen to.

use std::time::Duration;

use realtime_protocol::error::ApiError;
use realtime_protocol::event::{InputAudioTranscriptionFailed, ServerEvent};
use realtime_protocol::field::Field;
use serde_json::json;

use crate::codec;
use crate::disaster::forward::Fate;
use crate::disaster::line::{LONGEST, Line, LineOutput, State};
use crate::disaster::queue::Hold;
use crate::disaster::{Action, errors, mangle};

impl Line {
    /// Lets an action happen, to an event or by itself.
    pub(super) fn happen(&mut self, action: Action, to: Option<(&mut ServerEvent, &mut Fate)>) {
        if self.state != State::Open {
            return;
        }
        tracing::info!(?action, at = to.as_ref().map(|(event, _)| event.kind()), "disaster");
        match (action, to) {
            (Action::Delay { time, jitter }, _) => {
                let jitter = jitter.mul_f64(self.dice.roll());
                self.queue.delay(self.now, time.saturating_add(jitter).min(LONGEST));
            }
            (Action::Stall, _) => {
                self.state = State::Stalled;
                self.queue.stall(self.now);
            }
            (Action::Cut { code, reason }, _) => {
                let reason = self.with_key(&reason);
                self.end(LineOutput::Close { code, reason });
            }
            (Action::Break, _) => self.end(LineOutput::Break),
            (Action::Expire, _) => {
                self.error(errors::error("session_expired", None, None));
                self.end(LineOutput::Close { code: Some(1001), reason: "session_expired".into() });
            }
            (Action::Error { code, message, param, names }, _) => {
                let message = message.map(|message| self.with_key(&message));
                let mut error = errors::error(&code, message.as_deref(), param.as_deref());
                if let Some(Some(id)) = names.and_then(|kind| self.named.get(&kind)) {
                    error.event_id = id.clone().into();
                }
                self.error(error);
            }
            (Action::UnknownEvent(kind), _) => {
                let event = json!({"type": kind, "event_id": self.ids.event(), "about": {"since": 2031}});
                self.queue.push(self.now, LineOutput::Text(event.to_string()));
            }
            (Action::Key(key), _) => self.connection.press_key(self.now, key),
            (Action::SlowReader(rate), _) => self.slow = Some(rate),
            (Action::Malformed(Some(text)), None) => self.queue.push(self.now, LineOutput::Text(text)),
            (action, Some((event, fate))) => self.happen_to(action, event, fate),
            (_, None) => {}
        }
    }

    /// A text with the client's key in place of `{key}`.
    fn with_key(&self, text: &str) -> String {
        text.replace("{key}", &self.key.0)
    }

    /// Lets an action happen that changes an event.
    pub(super) fn happen_to(&mut self, action: Action, event: &mut ServerEvent, fate: &mut Fate) {
        match action {
            Action::Drop => fate.copies = 0,
            Action::Duplicate(times) => fate.copies += times,
            Action::Reorder(by) => fate.hold = Some((Hold::Overtaken(by), Duration::from_secs(1))),
            Action::Hold { until, time } => fate.hold = Some((Hold::Until(until), time.min(LONGEST))),
            Action::Edit(edit) => fate.changes.push(edit),
            Action::Binary => fate.is_binary = true,
            Action::Repeat(repeat) => self.repeats.begin(self.now, &event.encode(self.dialect), repeat),
            Action::SameId(pointer) => {
                let text = event.encode(self.dialect);
                self.aliases.note(&pointer.0, &text);
            }
            Action::UnknownMembers => fate.edits.push(mangle::with_unknown_members),
            Action::BadBase64 => fate.edits.push(mangle::with_bad_base64),
            Action::Malformed(Some(text)) => fate.text = Some(text),
            Action::Malformed(None) => fate.edits.push(mangle::cut_off),
            Action::OddAudio => {
                let ServerEvent::ResponseOutputAudioDelta(delta) = &*event else { return };
                let item = delta.item_id.clone();
                let mut last = None;
                mangle::edit_audio(event, |mut bytes| {
                    last = bytes.pop();
                    bytes
                });
                self.carry = last.map(|last| (item, last));
            }
            Action::Format(to) => {
                let from = self.format;
                mangle::edit_audio(event, |bytes| codec::encode(&codec::decode(&bytes, from), to));
            }
            Action::UsageNull => {
                if let ServerEvent::ResponseDone(done) = event {
                    done.response.usage = Field::Null;
                }
            }
            Action::LateDeltas(count) => fate.late = count,
            Action::FailTranscription(code) => {
                if let ServerEvent::InputAudioTranscriptionCompleted(completed) = event {
                    let error = ApiError {
                        kind: "transcription_error".into(),
                        code: code.into(),
                        message: "The audio could not be transcribed.".into(),
                        param: Field::Null,
                        ..ApiError::default()
                    };
                    *event = InputAudioTranscriptionFailed {
                        event_id: completed.event_id.clone(),
                        item_id: completed.item_id.clone(),
                        content_index: completed.content_index,
                        error: error.into(),
                        ..InputAudioTranscriptionFailed::default()
                    }
                    .into();
                }
            }
            _ => {} // the others happen without an event, too
        }
    }
}
