//! What a call takes and costs, told when it is known: [`Metric`].

use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::call::FunctionCall;
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::usage::{TranscriptionUsage, Usage};

/// A duration or a cost of a call. Times are the chain's.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Metric {
    /// The first words or audio of a response have come.
    #[doc(alias("TTFBMetricsData", "time_to_first_byte"))]
    FirstByte {
        /// The response.
        response_id: ResponseId,
        /// Since the response was asked for: by this side's request, by the end of the user's speech, or by
        /// the last output of the functions before.
        after: Duration,
    },
    /// The user hears the assistant.
    #[doc(alias("UserBotLatencyObserver", "user_bot_latency_seconds"))]
    VoiceToVoice {
        /// Since the user stopped speaking.
        after: Duration,
    },
    /// A response has ended.
    #[doc(alias("ProcessingMetricsData", "LLMUsageMetricsData"))]
    Response {
        /// The response.
        response_id: ResponseId,
        /// Since it was asked for.
        took: Duration,
        /// What it cost; `None`: the server did not say.
        usage: Option<Box<Usage>>,
    },
    /// A function has ended.
    Function {
        /// The call.
        call: Arc<FunctionCall>,
        /// Since it began to run.
        took: Duration,
    },
    /// Speech was transcribed.
    #[doc(alias = "STTUsageMetricsData")]
    Transcription {
        /// The item.
        item_id: ItemId,
        /// Since the user stopped speaking; `None`: that is not known.
        after: Option<Duration>,
        /// What it cost; `None`: the server did not say.
        usage: Option<Box<TranscriptionUsage>>,
    },
}
