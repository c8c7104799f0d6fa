//! What a client is told, as JSON: [`Said`].

use serde::Serialize;
use serde_json::Value;

/// The label of every message.
pub(super) const LABEL: &str = "rtvi-ai";

/// A message to the client.
#[derive(Debug, Serialize)]
pub(super) struct Envelope<'a> {
    label: &'static str,
    /// Of the message that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(flatten)]
    said: &'a Said<'a>,
}

impl<'a> Envelope<'a> {
    pub(super) const fn new(id: Option<&'a str>, said: &'a Said<'a>) -> Self {
        Self { label: LABEL, id, said }
    }
}

/// What is said.
#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "data", rename_all = "kebab-case")]
pub(super) enum Said<'a> {
    // The call.
    BotReady {
        version: &'a str,
        about: About,
        capabilities: Capabilities,
    },
    Error {
        error: &'a str,
        fatal: bool,
    },
    ErrorResponse {
        error: &'a str,
    },
    ServerMessage(&'a Value),
    Metrics(Metrics),

    // Who speaks.
    UserStartedSpeaking,
    UserStoppedSpeaking,
    VadUserStartedSpeaking,
    VadUserStoppedSpeaking,
    UserMuteStarted,
    UserMuteStopped,
    BotStartedSpeaking,
    BotStoppedSpeaking,
    BotInterrupted,

    // What the user says.
    UserTranscription {
        text: &'a str,
        user_id: &'a str,
        timestamp: &'a str,
        #[serde(rename = "final")]
        is_final: bool,
    },
    UserInput {
        text: &'a str,
        input_type: &'a str,
        timestamp: &'a str,
        #[serde(rename = "final")]
        is_final: bool,
        user_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        msg_id: Option<&'a str>,
    },

    // What the model says.
    BotLlmStarted,
    BotLlmText {
        text: &'a str,
    },
    BotLlmStopped,
    BotTtsStarted,
    BotTtsText {
        text: &'a str,
    },
    BotTtsStopped,
    BotTranscription {
        text: &'a str,
    },
    BotOutput(BotOutput<'a>),

    // Functions.
    LlmFunctionCallStarted {
        #[serde(skip_serializing_if = "Option::is_none")]
        function_name: Option<&'a str>,
    },
    LlmFunctionCallInProgress {
        tool_call_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        function_name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        arguments: Option<Value>,
    },
    LlmFunctionCallStopped {
        tool_call_id: &'a str,
        cancelled: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        function_name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<&'a Value>,
    },
}

/// Who answers.
#[derive(Debug, Serialize)]
pub(super) struct About {
    pub(super) library: &'static str,
    pub(super) library_version: &'static str,
}

/// What can be sent and received.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are the wire's")]
pub(super) struct Capabilities {
    pub(super) audio_in: bool,
    pub(super) audio_out: bool,
    pub(super) video_in: bool,
    pub(super) screen_in: bool,
    pub(super) video_out: bool,
    pub(super) metrics: bool,
}

/// A sentence of the model's.
#[derive(Debug, Default, Serialize)]
pub(super) struct BotOutput<'a> {
    pub(super) text: &'a str,
    /// One thing, under its names of three versions.
    pub(super) output_type: &'static str,
    pub(super) text_type: &'static str,
    pub(super) aggregated_by: &'static str,
    pub(super) segment_id: u64,
    /// Version 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spoken: Option<bool>,
    /// Version 2, as all below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) will_be_spoken: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spoken_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spoken_progress: Option<SpokenProgress<'a>>,
}

/// How much of a sentence was heard.
#[derive(Debug, Serialize)]
pub(super) struct SpokenProgress<'a> {
    pub(super) accumulated_text: &'a str,
    pub(super) remaining_text: &'a str,
}

/// What a call takes and costs.
#[derive(Debug, Default, Serialize)]
pub(super) struct Metrics {
    /// To the first words or audio (s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttfb: Option<[Measured; 1]>,
    /// To the end of a response (s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) processing: Option<[Measured; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tokens: Option<[Tokens; 1]>,
}

/// A duration of a part of the pipeline.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) processor: &'static str,
    pub(super) value: f64,
}

/// What a response cost.
#[derive(Debug, Serialize)]
pub(super) struct Tokens {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) total_tokens: u64,
    pub(super) cache_read_input_tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_label_its_type_and_what_it_holds() {
        let write = |id, said: &Said<'_>| serde_json::to_string(&Envelope::new(id, said)).unwrap();
        assert_eq!(write(None, &Said::BotLlmStarted), r#"{"label":"rtvi-ai","type":"bot-llm-started"}"#);
        assert_eq!(
            write(Some("1"), &Said::ErrorResponse { error: "no" }),
            r#"{"label":"rtvi-ai","id":"1","type":"error-response","data":{"error":"no"}}"#
        );
        let message = Value::from(7);
        assert_eq!(
            write(None, &Said::ServerMessage(&message)),
            r#"{"label":"rtvi-ai","type":"server-message","data":7}"#
        );
        let call = Said::LlmFunctionCallStarted { function_name: None };
        assert_eq!(write(None, &call), r#"{"label":"rtvi-ai","type":"llm-function-call-started","data":{}}"#);
    }
}
