//! The session, its conversation and their items, limits and errors.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::ApiError;
use crate::field::Field;
use crate::id::{ConversationId, EventId, ItemId};
use crate::item::Item;
use crate::session_config::SessionConfig;
use crate::usage::RateLimit;
use crate::wire::wire_struct;

wire_struct! {
    /// The first event: the session with its defaults.
    ///
    /// # Wire
    /// `session.created`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/session/created>
    pub (tagged) struct SessionCreated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The whole configuration.
        session: Field<Box<SessionConfig>>,
    }

    /// The answer to `session.update`: the whole effective configuration.
    ///
    /// # Wire
    /// `session.updated`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/session/updated>
    pub (tagged) struct SessionUpdated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The whole configuration.
        session: Field<Box<SessionConfig>>,
    }

    /// The conversation exists. Not sent by OpenAI in GA; some servers send it.
    ///
    /// # Wire
    /// `conversation.created`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/created>
    pub (tagged) struct ConversationCreated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The conversation.
        conversation: Field<Conversation>,
    }

    /// An item exists: beta, and compatible servers. GA has `added` and `done` instead.
    ///
    /// # Wire
    /// `conversation.item.created`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/created>
    pub (tagged) struct ConversationItemCreated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item before it; `null`: none.
        previous_item_id: Field<ItemId>,
        /// The item.
        item: Box<Item>,
    }

    /// An item exists. The model's items are still empty.
    ///
    /// # Wire
    /// `conversation.item.added`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/added>
    pub (tagged) struct ConversationItemAdded {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item before it; `null`: none.
        previous_item_id: Field<ItemId>,
        /// The item.
        item: Box<Item>,
    }

    /// An item is final.
    ///
    /// # Wire
    /// `conversation.item.done`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/done>
    pub (tagged) struct ConversationItemDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item before it; `null`: none.
        previous_item_id: Field<ItemId>,
        /// The item.
        item: Box<Item>,
    }

    /// The answer to `conversation.item.retrieve`, audio included.
    ///
    /// # Wire
    /// `conversation.item.retrieved`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/retrieved>
    pub (tagged) struct ConversationItemRetrieved {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item: Box<Item>,
    }

    /// The answer to `conversation.item.truncate`.
    ///
    /// # Wire
    /// `conversation.item.truncated`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/truncated>
    pub (tagged) struct ConversationItemTruncated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// What is left of the audio (ms).
        audio_end_ms: Field<u64>,
    }

    /// The answer to `conversation.item.delete`.
    ///
    /// # Wire
    /// `conversation.item.deleted`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/deleted>
    pub (tagged) struct ConversationItemDeleted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
    }

    /// Rate limits, with what a response reserves; not what was spent.
    ///
    /// # Wire
    /// `rate_limits.updated`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/rate_limits/updated>
    pub (tagged) struct RateLimitsUpdated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The limits.
        rate_limits: Field<Vec<RateLimit>>,
    }

    /// Something went wrong; most errors leave the session open.
    ///
    /// # Wire
    /// `error`. <https://platform.openai.com/docs/api-reference/realtime-server-events/error>
    pub (tagged) struct ErrorEvent {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// What.
        error: Field<ApiError>,
    }

    /// A conversation.
    pub struct Conversation {
        /// Its id.
        id: Field<ConversationId>,
        /// Always `realtime.conversation`.
        object: Field<String>,
    }
}
