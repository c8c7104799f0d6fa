//! What happens while nobody speaks: the idle timeout.

use realtime_protocol::event::*;
use realtime_protocol::item::{Item, ItemStatus, MessageItem, Role};
use realtime_protocol::response::{ResponseParams, StatusReason};
use realtime_protocol::session_config::TurnDetection;
use realtime_protocol::time::{MediaTime, Timestamp};

use crate::connection::Connection;
use crate::connection::conversation::Entry;
use crate::connection::outbox::send;
use crate::connection::response::Running;
use crate::connection::trigger::Input;
use crate::connection::turns::silent_part;

/// The moment at which the user has been silent for too long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    pub(super) at: Timestamp,
    /// The beginning of the silence in the session's audio.
    from: MediaTime,
}

impl Connection {
    /// A response has ended. Silence counts from the end of its playback: the time when it is done plus its
    /// audio.
    pub(super) fn response_ended(&mut self, running: &Running) {
        self.played_whole(&running.id);
        let Some(TurnDetection::ServerVad(vad)) = self.session.config().turn_detection().value() else {
            return;
        };
        let Some(millis) = vad.idle_timeout_ms.value().filter(|_| running.in_conversation) else { return };
        let wait = running.sounded().as_duration() + std::time::Duration::from_millis((*millis).into());
        self.idle = Some(Idle { at: self.now + wait, from: self.input.total() + running.sounded() });
    }

    /// The user was silent for too long: an item of silence, and a response to it.
    pub(super) fn end_idle(&mut self) {
        let Some(idle) = self.idle.take() else { return };
        let detection = self.session.config().turn_detection().value().cloned();
        let Some(detection @ TurnDetection::ServerVad(_)) = detection else { return };
        if self.running.iter().any(|running| running.in_conversation) {
            return;
        }
        let end = self.input.total();
        let Some(audio) = self.input.take_silence() else { return };
        let item_id = self.out.ids.item();
        send!(
            &mut self.out,
            InputAudioBufferTimeoutTriggered {
                audio_start_ms: idle.from.min(end).as_millis(),
                audio_end_ms: end.as_millis(),
                item_id: item_id.clone(),
            }
        );
        let previous = self.conversation.last();
        let item: Item = MessageItem::default()
            .id(item_id.clone())
            .status(ItemStatus::Completed)
            .role(Role::User)
            .content(vec![silent_part()])
            .into();
        let format = self.session.config().input_format();
        self.conversation.push(Entry::new(item_id.clone(), item.clone()).with_audio(format, audio));
        send!(
            &mut self.out,
            InputAudioBufferCommitted { previous_item_id: previous.clone(), item_id: item_id }
        );
        send!(
            &mut self.out,
            ConversationItemAdded { previous_item_id: previous.clone(), item: item.clone() }
        );
        send!(&mut self.out, ConversationItemDone { previous_item_id: previous, item: item });
        if detection.creates_response() {
            self.start(ResponseParams::default(), false, &Input::Idle, None);
        }
    }

    /// Cancels a running response, at once or when deltas under way have been sent.
    pub(super) fn cancel_running(&mut self, index: usize, reason: StatusReason) {
        let at = self.now + self.options.cancel_delay;
        let Some(running) = self.running.get_mut(index) else { return };
        if at > self.now {
            running.cancel_at(at, reason);
        } else {
            let mut running = self.running.remove(index);
            running.cancel(reason, &mut self.out, &mut self.conversation);
            self.response_ended(&running);
        }
    }
}
