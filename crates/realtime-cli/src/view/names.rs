//! The classes of lines by which the page sorts and colours them.

/// The class of an event, by its `type` on the wire or its name in the log.
pub(super) fn class(name: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["error", "warning", "overdue", "fail", "malformed"]) {
        "trouble"
    } else if has(&[
        "text.delta",
        "transcript.delta",
        "transcript_delta",
        "transcription.delta",
        "arguments.delta",
    ]) || name == "text"
    {
        "words"
    } else if has(&["function", "mcp"]) {
        "function"
    } else if has(&["speech", "transcript", "committed", "commit", "truncate", "interrupt", "playback"])
        || name.starts_with("output_audio_buffer")
        || name.starts_with("input_audio_buffer")
    {
        "talk"
    } else if has(&["response", "cancel"]) {
        "response"
    } else if has(&["item"]) {
        "talk"
    } else if has(&["connection", "connect", "closed", "expiring"]) {
        "connection"
    } else if has(&["session", "config", "rate_limits", "ready", "created"]) {
        "setup"
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_both_dialects_and_call_events_have_their_class() {
        for (name, expected) in [
            ("session.updated", "setup"),
            ("ready", "setup"),
            ("input_audio_buffer.speech_started", "talk"),
            ("speech_stopped", "talk"),
            ("user_transcript", "talk"),
            ("conversation.item.input_audio_transcription.completed", "talk"),
            ("conversation.item.input_audio_transcription.failed", "trouble"),
            ("response.audio_transcript.delta", "words"),
            ("response.output_text.delta", "words"),
            ("text", "words"),
            ("response.function_call_arguments.delta", "words"),
            ("function_calls", "function"),
            ("response.mcp_call.completed", "function"),
            ("response_finished", "response"),
            ("response.create", "response"),
            ("conversation.item.added", "talk"),
            ("stop_playback", "talk"),
            ("interrupted", "talk"),
            ("server_error", "trouble"),
            ("error", "trouble"),
            ("connection lost", "connection"),
            ("closed", "connection"),
            ("settled", "other"),
        ] {
            assert_eq!(class(name), expected, "{name}");
        }
    }
}
