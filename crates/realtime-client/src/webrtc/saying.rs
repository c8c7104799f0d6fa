//! What the client sends: audio is said, everything else is written.

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::error::ApiError;
use realtime_protocol::event::{ClientEvent, Dialect, ErrorEvent, ServerEvent};

use super::pcm;

/// How a wire text leaves.
#[derive(Debug, PartialEq)]
pub(super) enum Leaves {
    /// It is audio.
    AsSound(Vec<i16>),
    /// At once.
    AsText(String),
    /// When all audio before it has been sent.
    AfterSound(String),
    /// At once, and audio that has not been sent is dropped.
    InsteadOfSound(String),
}

/// Decides how a wire text leaves. `format`: of the session's input.
pub(super) fn leaves(text: String, dialect: Dialect, format: AudioFormat) -> Leaves {
    match ClientEvent::decode(&text, dialect) {
        ClientEvent::InputAudioBufferAppend(event) => match event.audio.bytes() {
            Ok(bytes) => Leaves::AsSound(pcm::decode(format, bytes)),
            // The server says what is wrong with it.
            Err(_) => Leaves::AsText(text),
        },
        ClientEvent::InputAudioBufferCommit(_) => Leaves::AfterSound(text),
        ClientEvent::InputAudioBufferClear(_) => Leaves::InsteadOfSound(text),
        _ => Leaves::AsText(text),
    }
}

/// What the server would say to a text that is larger than it takes.
pub(super) fn too_large(text: &str, most: usize, dialect: Dialect) -> String {
    let event_id = ClientEvent::decode(text, dialect).event_id().cloned();
    let message = format!("expected at most {most} bytes in one message over WebRTC, got {}", text.len());
    let mut error = ApiError::default().message(message);
    error.kind = "invalid_request_error".to_owned().into();
    error.code = "message_too_large".to_owned().into();
    if let Some(event_id) = event_id {
        error.event_id = event_id.into();
    }
    ServerEvent::from(ErrorEvent { error: error.into(), ..ErrorEvent::default() }).encode(dialect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_said_and_the_rest_is_written_in_its_order() {
        let leaves = |text: &str| super::leaves(text.to_owned(), Dialect::Ga, AudioFormat::PCM16_24K);
        let append = r#"{"type":"input_audio_buffer.append","audio":"AQACAA=="}"#;
        assert_eq!(leaves(append), Leaves::AsSound(vec![1, 2]));
        let commit = r#"{"type":"input_audio_buffer.commit"}"#;
        assert_eq!(leaves(commit), Leaves::AfterSound(commit.to_owned()));
        let clear = r#"{"type":"input_audio_buffer.clear"}"#;
        assert_eq!(leaves(clear), Leaves::InsteadOfSound(clear.to_owned()));
        for other in
            [r#"{"type":"response.create"}"#, r#"{"type":"input_audio_buffer.append","audio":"!"}"#, "{"]
        {
            assert_eq!(leaves(other), Leaves::AsText(other.to_owned()));
        }
    }

    #[test]
    fn a_text_that_is_too_large_is_refused_by_its_id() {
        let refusal = too_large(r#"{"event_id":"event_7","type":"response.create"}"#, 5, Dialect::Ga);
        let ServerEvent::ErrorEvent(event) = ServerEvent::decode(&refusal, Dialect::Ga) else {
            panic!("{refusal}")
        };
        let event_id = event.error.value().and_then(|error| error.event_id.value());
        assert_eq!(event_id.map(|id| id.as_str()), Some("event_7"));
        assert!(refusal.contains("at most 5 bytes") && refusal.contains("got 47"), "{refusal}");
    }
}
