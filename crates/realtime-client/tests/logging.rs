//! What reaches the crate `log`. Alone in its process, which has one logger.

use std::fmt::Write as _;
use std::sync::Mutex;

use realtime_client::{Client, ClientOptions, KeyPlace};
use realtime_protocol::call::Event;
use serde_json::json;
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[cfg(test)]
#[path = "client/support.rs"]
#[allow(dead_code, reason = "this file uses a part of it")]
mod support;

use support::*;

#[tokio::test]
async fn no_key_audio_or_word_reaches_the_crate_log() {
    log::set_logger(&LOGGED).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    log::trace!("this is logged");
    for place in [KeyPlace::Bearer, KeyPlace::ApiKeyHeader, KeyPlace::Subprotocol] {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let endpoint = endpoint().key_place(place).header("x-token", "canary-token").unwrap();
        let server = std::thread::spawn(move || serve(far));
        let (handle, mut events) =
            Client::over(near, &endpoint, ClientOptions::default()).await.unwrap().split();
        while !matches!(next(&mut events).await, Event::Ready { .. }) {}
        handle.append_audio(b"canary".to_vec()).unwrap();
        let said = handle.send_text("canary", false).await;
        assert!(said.is_err(), "the server closed without an answer");
        let all = rest(&mut events).await;
        assert!(all.iter().any(|event| matches!(event, Event::Text { .. })), "{all:?}");
        server.join().unwrap();
    }
    let text = LOGGED.0.lock().unwrap();
    assert!(text.contains("this is logged"), "{text}");
    let base64 = "Y2FuYXJ5";
    // The library of the server here writes frames in hexadecimal.
    let hex = "63616e617279";
    assert!(![base64, hex, "canary"].iter().any(|secret| text.contains(secret)), "{text}");
}

/// A server that says a word and closes. It runs on its own thread, because its library's logs are not ours.
fn serve(stream: DuplexStream) {
    MINE.set(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async move {
        let mut server = Server::accept(stream).await;
        server.open().await;
        server.expect("input_audio_buffer.append").await;
        server.expect("conversation.item.create").await;
        server.send_message(Message::Ping("canary".into())).await;
        server.begin_response("resp_1", "item_1").await;
        let delta = json!({
            "type": "response.output_text.delta", "response_id": "resp_1", "item_id": "item_1",
            "output_index": 0, "content_index": 0, "delta": "canary",
        });
        server.send(delta).await;
        server.audio("resp_1", "item_1", "Y2FuYXJ5").await;
        let frame = CloseFrame { code: CloseCode::Error, reason: "canary".into() };
        server.send_message(Message::Close(Some(frame))).await;
    });
}

static LOGGED: Logged = Logged(Mutex::new(String::new()));
thread_local! {
    static MINE: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
}

/// Everything that `log` was told by this side, as text.
struct Logged(Mutex<String>);

impl log::Log for Logged {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if MINE.get() {
            let mut text = self.0.lock().expect("no panic while it is held");
            writeln!(text, "{} {}", record.target(), record.args()).expect("text can be written to");
        }
    }

    fn flush(&self) {}
}
