//! What the user does: the input buffer, the words heard, keys pressed; and the server's own playing.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::ApiError;
use crate::field::Field;
use crate::id::{EventId, ItemId, ResponseId};
use crate::usage::TranscriptionUsage;
use crate::wire::wire_struct;

wire_struct! {
    /// A piece of what the user said. Comes at any time after the commit.
    ///
    /// # Wire
    /// `conversation.item.input_audio_transcription.delta`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/input_audio_transcription/delta>
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
        /// Padding, so that the length of the text on the wire does not give the words away.
        obfuscation: Field<String>,
    }

    /// What the user said.
    ///
    /// # Wire
    /// `conversation.item.input_audio_transcription.completed`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/input_audio_transcription/completed>
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
    ///
    /// # Wire
    /// `conversation.item.input_audio_transcription.segment`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/input_audio_transcription/segment>
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
    ///
    /// # Wire
    /// `conversation.item.input_audio_transcription.failed`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/input_audio_transcription/failed>
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
    ///
    /// # Wire
    /// `input_audio_buffer.committed`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/input_audio_buffer/committed>
    pub (tagged) struct InputAudioBufferCommitted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The item before it; `null`: none.
        previous_item_id: Field<ItemId>,
        /// The item that will be added.
        item_id: ItemId,
    }

    /// The answer to `input_audio_buffer.clear`.
    ///
    /// # Wire
    /// `input_audio_buffer.cleared`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/input_audio_buffer/cleared>
    pub (tagged) struct InputAudioBufferCleared {
        /// The server's id of this event.
        event_id: Field<EventId>,
    }

    /// The user began to speak.
    ///
    /// # Wire
    /// `input_audio_buffer.speech_started`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/input_audio_buffer/speech_started>
    pub (tagged) struct InputAudioBufferSpeechStarted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// Where, counted over all input audio of the session (ms), padding included.
        audio_start_ms: Field<u64>,
        /// The item that the commit will make.
        item_id: Field<ItemId>,
    }

    /// The user stopped speaking.
    ///
    /// # Wire
    /// `input_audio_buffer.speech_stopped`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/input_audio_buffer/speech_stopped>
    pub (tagged) struct InputAudioBufferSpeechStopped {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// Where, counted over all input audio of the session (ms).
        audio_end_ms: Field<u64>,
        /// The item that the commit will make.
        item_id: Field<ItemId>,
    }

    /// The user was silent for `idle_timeout_ms`; a response follows.
    ///
    /// # Wire
    /// `input_audio_buffer.timeout_triggered`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/input_audio_buffer/timeout_triggered>
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
    ///
    /// # Wire
    /// `input_audio_buffer.dtmf_event_received`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/input_audio_buffer/dtmf_event_received>
    pub (tagged) struct InputAudioBufferDtmfEventReceived {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The key: 0-9, *, #, A-D.
        event: Field<String>,
        /// When: seconds since 1970.
        received_at: Field<u64>,
    }

    /// WebRTC and SIP only: the server began to play a response.
    ///
    /// # Wire
    /// `output_audio_buffer.started`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/output_audio_buffer/started>
    pub (tagged) struct OutputAudioBufferStarted {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
    }

    /// WebRTC and SIP only: the server has played a response.
    ///
    /// # Wire
    /// `output_audio_buffer.stopped`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/output_audio_buffer/stopped>
    pub (tagged) struct OutputAudioBufferStopped {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
    }

    /// WebRTC and SIP only: the server stopped playing a response.
    ///
    /// # Wire
    /// `output_audio_buffer.cleared`.
    /// <https://platform.openai.com/docs/api-reference/realtime-server-events/output_audio_buffer/cleared>
    pub (tagged) struct OutputAudioBufferCleared {
        /// The server's id of this event.
        event_id: Field<EventId>,
        /// The response.
        response_id: Field<ResponseId>,
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
