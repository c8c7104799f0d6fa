//! Responses: what a client asks for, and what the server reports.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::audio::{AudioFormat, WireFormat};
use crate::field::Field;
use crate::id::{ConversationId, ResponseId};
use crate::item::Item;
use crate::prompt::Prompt;
use crate::session_config::{MaxOutputTokens, Modality, Reasoning, Voice};
use crate::tool::{Tool, ToolChoice, ToolMode};
use crate::usage::Usage;
use crate::wire::{open_enum, wire_struct};

wire_struct! {
    /// What `response.create` asks for; members left out are the session's.
    pub struct ResponseParams {
        /// `audio` or `text`; not both.
        output_modalities: Field<Vec<Modality>>,
        /// Instructions in place of the session's.
        instructions: Field<String>,
        /// How it sounds.
        audio: Field<ResponseAudio>,
        /// Tools in place of the session's.
        tools: Field<Vec<Tool>>,
        /// Which tool to call.
        tool_choice: Field<ToolChoice>,
        /// Whether several calls may be made at once.
        parallel_tool_calls: Field<bool>,
        /// How hard to think.
        reasoning: Field<Reasoning>,
        /// The most tokens to make: 1 to 4,096, or no limit.
        max_output_tokens: Field<MaxOutputTokens>,
        /// `auto`: written to the conversation; `none`: beside it.
        conversation: Field<ResponseConversation>,
        /// Up to 16 pairs, keys of 64 and values of 512 characters, echoed in the response.
        metadata: Field<BTreeMap<String, String>>,
        /// A stored prompt.
        prompt: Field<Prompt>,
        /// Items to read in place of the conversation.
        input: Field<Vec<Item>>,
        /// Beta only: 0.6 to 1.2.
        temperature: Field<f64>,
    }

    /// How a response sounds.
    pub struct ResponseAudio {
        /// The output's format and voice.
        output: Field<ResponseAudioOutput>,
    }

    /// A response's output audio.
    pub struct ResponseAudioOutput {
        /// The format.
        format: Field<WireFormat>,
        /// The voice.
        voice: Field<Voice>,
    }

    /// One run of the model.
    pub struct Response {
        /// The response's id.
        id: Field<ResponseId>,
        /// Always `realtime.response`.
        object: Field<String>,
        /// How far it is, or how it ended.
        status: Field<ResponseStatus>,
        /// Why it ended so.
        status_details: Field<StatusDetails>,
        /// The items it made.
        output: Field<Vec<Item>>,
        /// The conversation it writes to; `null` for one beside it.
        conversation_id: Field<ConversationId>,
        /// `audio` or `text`.
        output_modalities: Field<Vec<Modality>>,
        /// The most tokens it may make.
        max_output_tokens: Field<MaxOutputTokens>,
        /// How it sounds.
        audio: Field<ResponseAudio>,
        /// What it cost; `null` while it runs, and sometimes after a cancel.
        usage: Field<Box<Usage>>,
        /// What the request gave.
        metadata: Field<BTreeMap<String, String>>,
        /// Beta only.
        temperature: Field<f64>,
    }

    /// Why a response ended as it did.
    pub struct StatusDetails {
        /// The status again.
        kind as "type": Field<ResponseStatus>,
        /// The reason.
        reason: Field<StatusReason>,
        /// What failed.
        error: Field<ResponseError>,
    }

    /// Why a response failed.
    pub struct ResponseError {
        /// The error's type.
        kind as "type": Field<String>,
        /// The error's code.
        code: Field<String>,
        /// The error's text.
        message: Field<String>,
    }
}

impl ResponseAudio {
    /// The format of its audio, if it names one.
    pub fn format(&self) -> Option<AudioFormat> {
        self.output.value()?.format.value()?.format()
    }
}

open_enum! {
    /// How far a response is, or how it ended.
    pub enum ResponseStatus {
        /// Running.
        InProgress = "in_progress",
        /// Ended whole.
        Completed = "completed",
        /// Cancelled by the client or by the user's speech.
        Cancelled = "cancelled",
        /// Cut off by a limit or a filter.
        Incomplete = "incomplete",
        /// Failed.
        Failed = "failed",
    }

    /// Why a response was cancelled or cut off.
    pub enum StatusReason {
        /// The user spoke.
        TurnDetected = "turn_detected",
        /// The client cancelled it.
        ClientCancelled = "client_cancelled",
        /// The token limit.
        MaxOutputTokens = "max_output_tokens",
        /// The content filter.
        ContentFilter = "content_filter",
    }

    /// Where a response writes to.
    pub enum ResponseConversation {
        /// The session's conversation.
        Auto = "auto",
        /// Beside it: out of band.
        None = "none",
    }
}

/// How a request to speak given words begins.
const SAY: &str = "Say this, and nothing else: ";

impl ResponseParams {
    /// Lets the model speak these words, without calling a tool. A model may still change a word.
    pub fn saying(words: &str) -> Self {
        Self::default()
            .instructions(alloc::format!("{SAY}{words}"))
            .tool_choice(ToolChoice::Mode(ToolMode::None))
    }

    /// The words that are to be spoken, if it is made by [`saying`](Self::saying).
    pub fn words_to_say(&self) -> Option<&str> {
        self.instructions.value()?.strip_prefix(SAY)
    }
}
