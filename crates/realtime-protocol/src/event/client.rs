//! Events that a client sends.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/realtime-client-events>.

use alloc::boxed::Box;

use crate::audio::Audio;
use crate::event::{events, hot};
use crate::field::Field;
use crate::id::{EventId, ItemId, ResponseId};
use crate::item::Item;
use crate::response::ResponseParams;
use crate::session_config::SessionConfig;
use crate::wire::wire_struct;

wire_struct! {
    /// Changes the session: members that are set replace, others stay. Answered by `session.updated`.
    ///
    /// # Wire
    /// `session.update`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/session/update>
    pub (tagged) struct SessionUpdate {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
        /// The members to change.
        session: Box<SessionConfig>,
    }

    /// Adds audio to the input buffer: at most 15 MiB. Never answered.
    ///
    /// # Wire
    /// `input_audio_buffer.append`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/input_audio_buffer/append>
    pub (tagged) struct InputAudioBufferAppend {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
        /// Bytes in the session's input format.
        audio: Audio,
    }

    /// Makes a user item of the input buffer, which must hold at least 100 ms. Answered by
    /// `input_audio_buffer.committed`; creates no response.
    ///
    /// # Wire
    /// `input_audio_buffer.commit`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/input_audio_buffer/commit>
    pub (tagged) struct InputAudioBufferCommit {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
    }

    /// Empties the input buffer. Answered by `input_audio_buffer.cleared`.
    ///
    /// # Wire
    /// `input_audio_buffer.clear`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/input_audio_buffer/clear>
    pub (tagged) struct InputAudioBufferClear {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
    }

    /// WebRTC and SIP only: stops the audio that the server plays. Answered by `output_audio_buffer.cleared`.
    ///
    /// # Wire
    /// `output_audio_buffer.clear`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/output_audio_buffer/clear>
    pub (tagged) struct OutputAudioBufferClear {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
    }

    /// Adds an item to the conversation. Answered by `conversation.item.added` and `.done`.
    ///
    /// # Wire
    /// `conversation.item.create`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/conversation/item/create>
    pub (tagged) struct ConversationItemCreate {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
        /// The item before it; absent: the last; `root`: none.
        previous_item_id: Field<ItemId>,
        /// The item; its id may be chosen, with at most 32 characters.
        item: Box<Item>,
    }

    /// Asks for an item, its audio included. Answered by `conversation.item.retrieved`.
    ///
    /// # Wire
    /// `conversation.item.retrieve`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/conversation/item/retrieve>
    pub (tagged) struct ConversationItemRetrieve {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
    }

    /// Tells how much of an assistant's audio was heard; its transcript is then removed. Answered by
    /// `conversation.item.truncated`.
    ///
    /// # Wire
    /// `conversation.item.truncate`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/conversation/item/truncate>
    pub (tagged) struct ConversationItemTruncate {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
        /// The audio part.
        content_index: u32,
        /// What was heard (ms), at most what the server sent.
        audio_end_ms: u64,
    }

    /// Removes an item. Answered by `conversation.item.deleted`.
    ///
    /// # Wire
    /// `conversation.item.delete`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/conversation/item/delete>
    pub (tagged) struct ConversationItemDelete {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
    }

    /// Asks for a response. Answered by `response.created`, or by an `error` alone.
    ///
    /// # Wire
    /// `response.create`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/response/create>
    pub (tagged) struct ResponseCreate {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
        /// What differs from the session's configuration.
        response: Field<Box<ResponseParams>>,
    }

    /// Cancels a response. Answered by its `response.done`, or by an `error` if none runs.
    ///
    /// # Wire
    /// `response.cancel`.
    /// <https://platform.openai.com/docs/api-reference/realtime-client-events/response/cancel>
    pub (tagged) struct ResponseCancel {
        /// Names this event in the server's `error`.
        event_id: Field<EventId>,
        /// Which; absent: the one in the conversation.
        response_id: Field<ResponseId>,
    }
}

events! {
    /// An event from the client to the server.
    pub enum ClientEvent (decode: |_, _| None, encode: hot::encode_client) {
        /// Changes the session.
        SessionUpdate = "session.update",
        /// Adds audio to the input buffer.
        InputAudioBufferAppend = "input_audio_buffer.append",
        /// Makes a user item of the input buffer.
        InputAudioBufferCommit = "input_audio_buffer.commit",
        /// Empties the input buffer.
        InputAudioBufferClear = "input_audio_buffer.clear",
        /// Stops the audio that the server plays.
        OutputAudioBufferClear = "output_audio_buffer.clear",
        /// Adds an item.
        ConversationItemCreate = "conversation.item.create",
        /// Asks for an item.
        ConversationItemRetrieve = "conversation.item.retrieve",
        /// Tells how much of an item was heard.
        ConversationItemTruncate = "conversation.item.truncate",
        /// Removes an item.
        ConversationItemDelete = "conversation.item.delete",
        /// Asks for a response.
        ResponseCreate = "response.create",
        /// Cancels a response.
        ResponseCancel = "response.cancel",
    }
}

impl ClientEvent {
    /// The event's own id, by which the server's `error` names it.
    pub fn event_id(&self) -> Option<&EventId> {
        match self {
            Self::SessionUpdate(event) => event.event_id.value(),
            Self::InputAudioBufferAppend(event) => event.event_id.value(),
            Self::InputAudioBufferCommit(event) => event.event_id.value(),
            Self::InputAudioBufferClear(event) => event.event_id.value(),
            Self::OutputAudioBufferClear(event) => event.event_id.value(),
            Self::ConversationItemCreate(event) => event.event_id.value(),
            Self::ConversationItemRetrieve(event) => event.event_id.value(),
            Self::ConversationItemTruncate(event) => event.event_id.value(),
            Self::ConversationItemDelete(event) => event.event_id.value(),
            Self::ResponseCreate(event) => event.event_id.value(),
            Self::ResponseCancel(event) => event.event_id.value(),
            Self::Unknown(_) | Self::Malformed(_) => None,
        }
    }
}
