//! What happens while nobody speaks: the idle timeout, and a call's playing of what a response said.

use realtime_protocol::event::*;
use realtime_protocol::id::ResponseId;
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
    /// Where in the session's audio the silence begins.
    from: MediaTime,
}

/// What a call plays.
#[derive(Clone, Debug)]
pub(super) struct Playing {
    response_id: ResponseId,
    started: Timestamp,
    /// When it has been played; unknown while it is made.
    pub(super) until: Option<Timestamp>,
}

impl Connection {
    /// A response has ended: silence counts from the end of its playing on, the moment it is done plus its audio.
    pub(super) fn response_ended(&mut self, running: &Running) {
        if let Some(playing) = self.playing.as_mut().filter(|playing| playing.response_id == running.id) {
            playing.until = Some((playing.started + running.sounded().as_duration()).max(self.now));
        }
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

    /// A call begins to play a response.
    pub(super) fn play(&mut self, response_id: ResponseId) {
        if self.options.sideband
            && self.playing.as_ref().is_none_or(|playing| playing.response_id != response_id)
        {
            self.end_playing();
            send!(&mut self.out, OutputAudioBufferStarted { response_id: response_id.clone() });
            self.playing = Some(Playing { response_id, started: self.now, until: None });
        }
    }

    /// A call has played a response.
    pub(super) fn end_playing(&mut self) {
        if let Some(playing) = self.playing.take() {
            send!(&mut self.out, OutputAudioBufferStopped { response_id: playing.response_id });
        }
    }

    /// A call stops playing.
    pub(super) fn stop_playing(&mut self) {
        if let Some(playing) = self.playing.take() {
            send!(&mut self.out, OutputAudioBufferCleared { response_id: playing.response_id });
        }
    }

    /// Cancels a running response, at once or when what is under way has gone out.
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
