//! The texts and bytes that codecs are measured on: shaped and ordered as OpenAI's service writes them.

use realtime_protocol::audio::Audio;
use realtime_protocol::session::{Session, SessionOptions};
use realtime_protocol::time::{Timestamp, UnixTime};

/// Speech-like bytes: nothing in the codecs depends on their values.
pub(crate) fn pcm(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// An audio delta with this many bytes of PCM; 9,600 are 200 ms.
pub(crate) fn audio_delta(bytes: usize) -> String {
    let mut text = String::from(
        r#"{"type":"response.output_audio.delta","event_id":"event_C9G8pqbTEddBSIxbBN6Os","response_id":"resp_C9G8p7IH2WxLbkgPNouYL","item_id":"item_C9G8pZjM3NYZCNNTxvJTc","output_index":0,"content_index":0,"delta":""#,
    );
    Audio::from(pcm(bytes)).encode_into(&mut text);
    text.push_str("\"}");
    text
}

/// A ready session in whose response [`audio_delta`] comes.
#[allow(dead_code, reason = "not every program that shares these texts runs a session")]
pub(crate) fn responding() -> Session {
    let mut session = Session::new(SessionOptions::default());
    session.handle_connected(Timestamp::ZERO, UnixTime::from_secs(1_790_000_000));
    for text in [
        r#"{"type":"session.created","session":{"id":"sess_C9G5QJeJ2f1dM0bZxJ8Sq"}}"#,
        r#"{"type":"session.updated","session":{}}"#,
        r#"{"type":"response.created","response":{"id":"resp_C9G8p7IH2WxLbkgPNouYL","conversation_id":"conv_1"}}"#,
    ] {
        session.handle_text(Timestamp::ZERO, text);
    }
    while session.poll_output().is_some() {}
    session
}

/// A transcript delta: one word.
pub(crate) const TRANSCRIPT_DELTA: &str = r#"{"type":"response.output_audio_transcript.delta","event_id":"event_C9G8pqbTEddBSIxbBN6Os","response_id":"resp_C9G8p7IH2WxLbkgPNouYL","item_id":"item_C9G8pZjM3NYZCNNTxvJTc","output_index":0,"content_index":0,"delta":" certainly"}"#;

/// The end of a response with one spoken message.
pub(crate) const RESPONSE_DONE: &str = r#"{"type":"response.done","event_id":"event_CCXHxcMy86rrKhBLDdqCh","response":{"object":"realtime.response","id":"resp_CCXHw0UJld10EzIUXQCNh","status":"completed","status_details":null,"output":[{"id":"item_CCXHwGjjDUfOXbiySlK7i","type":"message","status":"completed","role":"assistant","content":[{"type":"output_audio","transcript":"Loud and clear! I can hear you perfectly. How can I help you today?"}]}],"conversation_id":"conv_CCXHsurMKcaVxIZvaCI5m","output_modalities":["audio"],"max_output_tokens":"inf","audio":{"output":{"format":{"type":"audio/pcm","rate":24000},"voice":"alloy"}},"usage":{"total_tokens":253,"input_tokens":132,"output_tokens":121,"input_token_details":{"text_tokens":119,"audio_tokens":13,"image_tokens":0,"cached_tokens":64,"cached_tokens_details":{"text_tokens":64,"audio_tokens":0,"image_tokens":0}},"output_token_details":{"text_tokens":30,"audio_tokens":91}},"metadata":null}}"#;
