//! What actions make of the event that they happen to.

use std::time::Duration;

use realtime_protocol::error::ApiError;
use realtime_protocol::event::{InputAudioTranscriptionFailed, ServerEvent};
use realtime_protocol::field::Field;

use crate::codec;
use crate::disaster::line::{Fate, LONGEST, Line};
use crate::disaster::queue::Hold;
use crate::disaster::{Action, mangle};

impl Line {
    /// Lets an action happen that changes an event.
    pub(super) fn happen_to(&mut self, action: Action, event: &mut ServerEvent, fate: &mut Fate) {
        match action {
            Action::Drop => fate.copies = 0,
            Action::Duplicate(times) => fate.copies += times,
            Action::Reorder(by) => fate.hold = Some((Hold::Overtaken(by), Duration::from_secs(1))),
            Action::Hold { until, time } => fate.hold = Some((Hold::Until(until), time.min(LONGEST))),
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
