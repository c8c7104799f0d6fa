//! Events that a server sends.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/realtime-server-events>. Only the members that
//! an event cannot be acted on without are required: compatible servers leave out the rest.

mod input;
mod response;
mod session;

use crate::event::{events, hot};

pub use input::*;
pub use response::*;
pub use session::*;

events! {
    /// An event from the server to the client.
    pub enum ServerEvent (decode: hot::decode_delta, encode: hot::encode_server) {
        /// The first event: the session with its defaults.
        SessionCreated = "session.created",
        /// The answer to `session.update`: the whole effective configuration.
        SessionUpdated = "session.updated",
        /// The conversation exists.
        ConversationCreated = "conversation.created",
        /// An item exists: beta, and compatible servers.
        ConversationItemCreated = "conversation.item.created",
        /// An item exists. The model's items are still empty.
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
