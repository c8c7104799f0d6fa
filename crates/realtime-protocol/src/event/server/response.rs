//! What the model does: responses, their items and parts, deltas, and calls.

use alloc::boxed::Box;
use alloc::string::String;

use crate::audio::Audio;
use crate::content::ContentPart;
use crate::field::Field;
use crate::id::{CallId, EventId, ItemId, ResponseId};
use crate::item::Item;
use crate::response::Response;
use crate::wire::wire_struct;

wire_struct! {
    /// A response runs.
    ///
    /// # Wire
    /// `response.created`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/created>
    pub (tagged) struct ResponseCreated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response, still empty.
        response: Box<Response>,
    }

    /// A response ended, in whatever way.
    ///
    /// # Wire
    /// `response.done`. <https://platform.openai.com/docs/api-reference/realtime-server-events/response/done>
    pub (tagged) struct ResponseDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response, with its items and usage.
        response: Box<Response>,
    }

    /// A response began an item.
    ///
    /// # Wire
    /// `response.output_item.added`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/output_item/added>
    pub (tagged) struct ResponseOutputItemAdded {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The item, still empty.
        item: Box<Item>,
    }

    /// A response ended an item.
    ///
    /// # Wire
    /// `response.output_item.done`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/output_item/done>
    pub (tagged) struct ResponseOutputItemDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The item.
        item: Box<Item>,
    }

    /// A response began a part.
    ///
    /// # Wire
    /// `response.content_part.added`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/content_part/added>
    pub (tagged) struct ResponseContentPartAdded {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// The part, still empty.
        part: Field<ContentPart>,
    }

    /// A response ended a part.
    ///
    /// # Wire
    /// `response.content_part.done`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/content_part/done>
    pub (tagged) struct ResponseContentPartDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// The part; audio is left out.
        part: Field<ContentPart>,
    }

    /// A piece of text.
    ///
    /// # Wire
    /// `response.output_text.delta`; beta: `response.text.delta`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/output_text/delta>
    pub (tagged) struct ResponseOutputTextDelta {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// The new text.
        delta: String,
        /// Padding, so that the length of the text on the wire does not give the words away.
        obfuscation: Field<String>,
    }

    /// A part's text is whole.
    ///
    /// # Wire
    /// `response.output_text.done`; beta: `response.text.done`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/output_text/done>
    pub (tagged) struct ResponseOutputTextDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// All of it.
        text: Field<String>,
    }

    /// A piece of what the model says.
    ///
    /// # Wire
    /// `response.output_audio_transcript.delta`; beta: `response.audio_transcript.delta`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/output_audio_transcript/delta>
    pub (tagged) struct ResponseOutputAudioTranscriptDelta {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// The new words.
        delta: String,
        /// Padding, so that the length of the text on the wire does not give the words away.
        obfuscation: Field<String>,
    }

    /// What the model says in a part.
    ///
    /// # Wire
    /// `response.output_audio_transcript.done`; beta: `response.audio_transcript.done`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/output_audio_transcript/done>
    pub (tagged) struct ResponseOutputAudioTranscriptDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// All words.
        transcript: Field<String>,
    }

    /// A piece of audio, sent faster than it plays.
    ///
    /// # Wire
    /// `response.output_audio.delta`; beta: `response.audio.delta`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/output_audio/delta>
    pub (tagged) struct ResponseOutputAudioDelta {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// Bytes in the session's output format.
        delta: Audio,
        /// Padding, so that the length of the text on the wire does not give the words away.
        obfuscation: Field<String>,
    }

    /// A part's audio was sent whole.
    ///
    /// # Wire
    /// `response.output_audio.done`; beta: `response.audio.done`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/output_audio/done>
    pub (tagged) struct ResponseOutputAudioDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The part's place in the item.
        content_index: Field<u32>,
    }

    /// A piece of a call's arguments.
    ///
    /// # Wire
    /// `response.function_call_arguments.delta`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/function_call_arguments/delta>
    pub (tagged) struct ResponseFunctionCallArgumentsDelta {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The call.
        call_id: Field<CallId>,
        /// The new characters.
        delta: String,
        /// Padding, so that the length of the text on the wire does not give the words away.
        obfuscation: Field<String>,
    }

    /// A call's arguments are whole.
    ///
    /// # Wire
    /// `response.function_call_arguments.done`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/function_call_arguments/done>
    pub (tagged) struct ResponseFunctionCallArgumentsDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The call.
        call_id: Field<CallId>,
        /// The function; absent in beta.
        name: Field<String>,
        /// A JSON object as text.
        arguments: Field<String>,
    }

    /// A piece of an MCP call's arguments.
    ///
    /// # Wire
    /// `response.mcp_call_arguments.delta`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/mcp_call_arguments/delta>
    pub (tagged) struct ResponseMcpCallArgumentsDelta {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The new characters.
        delta: String,
        /// Padding, so that the length of the text on the wire does not give the words away.
        obfuscation: Field<String>,
    }

    /// An MCP call's arguments are whole.
    ///
    /// # Wire
    /// `response.mcp_call_arguments.done`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/mcp_call_arguments/done>
    pub (tagged) struct ResponseMcpCallArgumentsDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
        /// The item.
        item_id: ItemId,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// JSON as text.
        arguments: Field<String>,
    }

    /// An MCP call runs.
    ///
    /// # Wire
    /// `response.mcp_call.in_progress`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/mcp_call/in_progress>
    pub (tagged) struct ResponseMcpCallInProgress {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The item.
        item_id: ItemId,
    }

    /// An MCP call ended.
    ///
    /// # Wire
    /// `response.mcp_call.completed`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/mcp_call/completed>
    pub (tagged) struct ResponseMcpCallCompleted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The item.
        item_id: ItemId,
    }

    /// An MCP call failed.
    ///
    /// # Wire
    /// `response.mcp_call.failed`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/mcp_call/failed>
    pub (tagged) struct ResponseMcpCallFailed {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The item.
        item_id: ItemId,
    }

    /// An MCP server is asked for its tools.
    ///
    /// # Wire
    /// `mcp_list_tools.in_progress`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/mcp_list_tools/in_progress>
    pub (tagged) struct McpListToolsInProgress {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
    }

    /// An MCP server listed its tools.
    ///
    /// # Wire
    /// `mcp_list_tools.completed`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/mcp_list_tools/completed>
    pub (tagged) struct McpListToolsCompleted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
    }

    /// An MCP server could not be asked.
    ///
    /// # Wire
    /// `mcp_list_tools.failed`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/mcp_list_tools/failed>
    pub (tagged) struct McpListToolsFailed {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
    }
}
