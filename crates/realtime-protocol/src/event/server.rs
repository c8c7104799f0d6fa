//! Events that a server sends.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/realtime-server-events>. Only the members that an
//! event cannot be acted on without are required: compatible servers leave out the rest.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::audio::Audio;
use crate::content::ContentPart;
use crate::error::ApiError;
use crate::event::events;
use crate::field::Field;
use crate::id::{CallId, ConversationId, EventId, ItemId, ResponseId};
use crate::item::Item;
use crate::response::Response;
use crate::session_config::SessionConfig;
use crate::usage::{RateLimit, TranscriptionUsage};
use crate::wire::wire_struct;

wire_struct! {
    /// The first event: the session with its defaults.
    pub (tagged) struct SessionCreated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The whole configuration.
        session: Field<Box<SessionConfig>>,
    }

    /// The answer to `session.update`: the whole effective configuration.
    pub (tagged) struct SessionUpdated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The whole configuration.
        session: Field<Box<SessionConfig>>,
    }

    /// The conversation exists. Not sent by OpenAI in GA; some servers send it.
    pub (tagged) struct ConversationCreated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The conversation.
        conversation: Field<Conversation>,
    }

    /// An item exists: beta, and compatible servers. GA has `added` and `done` instead.
    pub (tagged) struct ConversationItemCreated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item before it; `null`: none.
        previous_item_id: Field<ItemId>,
        /// The item.
        item: Box<Item>,
    }

    /// An item exists; one of the model's is still empty.
    pub (tagged) struct ConversationItemAdded {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item before it; `null`: none.
        previous_item_id: Field<ItemId>,
        /// The item.
        item: Box<Item>,
    }

    /// An item is final.
    pub (tagged) struct ConversationItemDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item before it; `null`: none.
        previous_item_id: Field<ItemId>,
        /// The item.
        item: Box<Item>,
    }

    /// The answer to `conversation.item.retrieve`, audio included.
    pub (tagged) struct ConversationItemRetrieved {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item: Box<Item>,
    }

    /// The answer to `conversation.item.truncate`.
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
    pub (tagged) struct ConversationItemDeleted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
    }

    /// A piece of what the user said. Comes at any time after the commit.
    pub (tagged) struct InputAudioTranscriptionDelta {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// The new words.
        delta: Field<String>,
        /// How sure the model is, token by token.
        logprobs: Field<Vec<LogProb>>,
    }

    /// What the user said.
    pub (tagged) struct InputAudioTranscriptionCompleted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// All words.
        transcript: Field<String>,
        /// The languages heard.
        languages: Field<Vec<TranscriptionLanguage>>,
        /// How sure the model is, token by token.
        logprobs: Field<Vec<LogProb>>,
        /// What it cost.
        usage: Field<TranscriptionUsage>,
    }

    /// A stretch of speech by one speaker; only from models that tell speakers apart.
    pub (tagged) struct InputAudioTranscriptionSegment {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// The words.
        text: Field<String>,
        /// The segment's id.
        id: Field<String>,
        /// Who spoke.
        speaker: Field<String>,
        /// Start in the item (s).
        start: Field<f64>,
        /// End in the item (s).
        end: Field<f64>,
    }

    /// The user's speech could not be transcribed.
    pub (tagged) struct InputAudioTranscriptionFailed {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: Field<u32>,
        /// Why.
        error: Field<ApiError>,
    }

    /// The input buffer became a user item: after a commit, or at a turn's end.
    pub (tagged) struct InputAudioBufferCommitted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item before it; `null`: none.
        previous_item_id: Field<ItemId>,
        /// The item that will be added.
        item_id: ItemId,
    }

    /// The answer to `input_audio_buffer.clear`.
    pub (tagged) struct InputAudioBufferCleared {
        /// The server's id of this event.
        event_id: Field<EventId>,
    }

    /// The user began to speak.
    pub (tagged) struct InputAudioBufferSpeechStarted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// Where, counted over all input audio of the session (ms), padding included.
        audio_start_ms: Field<u64>,
        /// The item that the commit will make.
        item_id: Field<ItemId>,
    }

    /// The user stopped speaking.
    pub (tagged) struct InputAudioBufferSpeechStopped {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// Where, counted over all input audio of the session (ms).
        audio_end_ms: Field<u64>,
        /// The item that the commit will make.
        item_id: Field<ItemId>,
    }

    /// The user was silent for `idle_timeout_ms`; a response follows.
    pub (tagged) struct InputAudioBufferTimeoutTriggered {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// Start of the silence (ms).
        audio_start_ms: Field<u64>,
        /// End of the silence (ms).
        audio_end_ms: Field<u64>,
        /// The item of silence.
        item_id: Field<ItemId>,
    }

    /// SIP only: a key was pressed. The only server event without an `event_id`.
    pub (tagged) struct InputAudioBufferDtmfEventReceived {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The key: 0-9, *, #, A-D.
        event: Field<String>,
        /// When: seconds since 1970.
        received_at: Field<u64>,
    }

    /// WebRTC and SIP only: the server began to play a response.
    pub (tagged) struct OutputAudioBufferStarted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
    }

    /// WebRTC and SIP only: the server has played a response.
    pub (tagged) struct OutputAudioBufferStopped {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
    }

    /// WebRTC and SIP only: the server stopped playing a response.
    pub (tagged) struct OutputAudioBufferCleared {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
    }

    /// A response runs.
    pub (tagged) struct ResponseCreated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response, still empty.
        response: Box<Response>,
    }

    /// A response ended, in whatever way.
    pub (tagged) struct ResponseDone {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response, with its items and usage.
        response: Box<Response>,
    }

    /// A response began an item.
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

    /// A piece of text. Beta: `response.text.delta`.
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
    }

    /// A part's text is whole. Beta: `response.text.done`.
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

    /// A piece of what the model says. Beta: `response.audio_transcript.delta`.
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
    }

    /// What the model says in a part. Beta: `response.audio_transcript.done`.
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

    /// A piece of audio, sent faster than it plays. Beta: `response.audio.delta`.
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
    }

    /// A part's audio was sent whole. Beta: `response.audio.done`.
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
    }

    /// A call's arguments are whole.
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
        /// Padding.
        obfuscation: Field<String>,
    }

    /// An MCP call's arguments are whole.
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
    pub (tagged) struct ResponseMcpCallInProgress {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The item.
        item_id: ItemId,
    }

    /// An MCP call ended.
    pub (tagged) struct ResponseMcpCallCompleted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The item.
        item_id: ItemId,
    }

    /// An MCP call failed.
    pub (tagged) struct ResponseMcpCallFailed {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item's place in the response.
        output_index: Field<u32>,
        /// The item.
        item_id: ItemId,
    }

    /// An MCP server is asked for its tools.
    pub (tagged) struct McpListToolsInProgress {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
    }

    /// An MCP server listed its tools.
    pub (tagged) struct McpListToolsCompleted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
    }

    /// An MCP server could not be asked.
    pub (tagged) struct McpListToolsFailed {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item.
        item_id: ItemId,
    }

    /// Rate limits, with what a response reserves; not what was spent.
    pub (tagged) struct RateLimitsUpdated {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The limits.
        rate_limits: Field<Vec<RateLimit>>,
    }

    /// Something went wrong; most errors leave the session open.
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

    /// How sure a transcription is of one token.
    pub struct LogProb {
        /// The token.
        token: Field<String>,
        /// The logarithm of its probability.
        logprob: Field<f64>,
        /// Its bytes.
        bytes: Field<Vec<u32>>,
    }

    /// A language that was heard.
    pub struct TranscriptionLanguage {
        /// ISO 639-1.
        code: Field<String>,
    }
}

events! {
    /// An event from the server to the client.
    pub enum ServerEvent {
        /// The first event: the session with its defaults.
        SessionCreated = "session.created",
        /// The answer to `session.update`: the whole effective configuration.
        SessionUpdated = "session.updated",
        /// The conversation exists.
        ConversationCreated = "conversation.created",
        /// An item exists: beta, and compatible servers.
        ConversationItemCreated = "conversation.item.created",
        /// An item exists; one of the model's is still empty.
        ConversationItemAdded = "conversation.item.added",
        /// An item is final.
        ConversationItemDone = "conversation.item.done",
        /// The answer to `conversation.item.retrieve`, audio included.
        ConversationItemRetrieved = "conversation.item.retrieved",
        /// The answer to `conversation.item.truncate`.
        ConversationItemTruncated = "conversation.item.truncated",
        /// The answer to `conversation.item.delete`.
        ConversationItemDeleted = "conversation.item.deleted",
        /// A piece of what the user said.
        InputAudioTranscriptionDelta = "conversation.item.input_audio_transcription.delta",
        /// What the user said.
        InputAudioTranscriptionCompleted = "conversation.item.input_audio_transcription.completed",
        /// A stretch of speech by one speaker; only from models that tell speakers apart.
        InputAudioTranscriptionSegment = "conversation.item.input_audio_transcription.segment",
        /// The user's speech could not be transcribed.
        InputAudioTranscriptionFailed = "conversation.item.input_audio_transcription.failed",
        /// The input buffer became a user item: after a commit, or at a turn's end.
        InputAudioBufferCommitted = "input_audio_buffer.committed",
        /// The answer to `input_audio_buffer.clear`.
        InputAudioBufferCleared = "input_audio_buffer.cleared",
        /// The user began to speak.
        InputAudioBufferSpeechStarted = "input_audio_buffer.speech_started",
        /// The user stopped speaking.
        InputAudioBufferSpeechStopped = "input_audio_buffer.speech_stopped",
        /// The user was silent for `idle_timeout_ms`; a response follows.
        InputAudioBufferTimeoutTriggered = "input_audio_buffer.timeout_triggered",
        /// SIP only: a key was pressed.
        InputAudioBufferDtmfEventReceived = "input_audio_buffer.dtmf_event_received",
        /// WebRTC and SIP only: the server began to play a response.
        OutputAudioBufferStarted = "output_audio_buffer.started",
        /// WebRTC and SIP only: the server has played a response.
        OutputAudioBufferStopped = "output_audio_buffer.stopped",
        /// WebRTC and SIP only: the server stopped playing a response.
        OutputAudioBufferCleared = "output_audio_buffer.cleared",
        /// A response runs.
        ResponseCreated = "response.created",
        /// A response ended, in whatever way.
        ResponseDone = "response.done",
        /// A response began an item.
        ResponseOutputItemAdded = "response.output_item.added",
        /// A response ended an item.
        ResponseOutputItemDone = "response.output_item.done",
        /// A response began a part.
        ResponseContentPartAdded = "response.content_part.added",
        /// A response ended a part.
        ResponseContentPartDone = "response.content_part.done",
        /// A piece of text.
        ResponseOutputTextDelta = "response.output_text.delta",
        /// A part's text is whole.
        ResponseOutputTextDone = "response.output_text.done",
        /// A piece of what the model says.
        ResponseOutputAudioTranscriptDelta = "response.output_audio_transcript.delta",
        /// What the model says in a part.
        ResponseOutputAudioTranscriptDone = "response.output_audio_transcript.done",
        /// A piece of audio, sent faster than it plays.
        ResponseOutputAudioDelta = "response.output_audio.delta",
        /// A part's audio was sent whole.
        ResponseOutputAudioDone = "response.output_audio.done",
        /// A piece of a call's arguments.
        ResponseFunctionCallArgumentsDelta = "response.function_call_arguments.delta",
        /// A call's arguments are whole.
        ResponseFunctionCallArgumentsDone = "response.function_call_arguments.done",
        /// A piece of an MCP call's arguments.
        ResponseMcpCallArgumentsDelta = "response.mcp_call_arguments.delta",
        /// An MCP call's arguments are whole.
        ResponseMcpCallArgumentsDone = "response.mcp_call_arguments.done",
        /// An MCP call runs.
        ResponseMcpCallInProgress = "response.mcp_call.in_progress",
        /// An MCP call ended.
        ResponseMcpCallCompleted = "response.mcp_call.completed",
        /// An MCP call failed.
        ResponseMcpCallFailed = "response.mcp_call.failed",
        /// An MCP server is asked for its tools.
        McpListToolsInProgress = "mcp_list_tools.in_progress",
        /// An MCP server listed its tools.
        McpListToolsCompleted = "mcp_list_tools.completed",
        /// An MCP server could not be asked.
        McpListToolsFailed = "mcp_list_tools.failed",
        /// Rate limits, with what a response reserves; not what was spent.
        RateLimitsUpdated = "rate_limits.updated",
        /// Something went wrong; most errors leave the session open.
        ErrorEvent = "error",
    }
}
