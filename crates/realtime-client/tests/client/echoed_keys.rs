//! A server that repeats the client's key: the key is shown nowhere.

use realtime_client::ClientOptions;
use realtime_protocol::call::Event;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::*;

/// All that an application can see of a call, and its log.
async fn shown(say: impl AsyncFnOnce(&mut Server<tokio::io::DuplexStream>)) -> (Vec<Event>, String) {
    let log = Lines::default();
    let (handle, mut events, mut server) = connect(ClientOptions::default().log(log.clone())).await;
    say(&mut server).await;
    drop(server);
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        told.push(event);
    }
    drop(handle);
    (told, log.text())
}

fn check(what: &str, told: &[Event], log: &str) {
    let json = serde_json::to_string(told).expect("call events are JSON");
    for text in [json.as_str(), &format!("{told:?}"), log] {
        assert!(!text.contains(KEY), "{what}: {text}");
    }
    assert!(json.contains("[redacted]") && log.contains("[redacted]"), "{what}: {json}");
    replays(log);
}

#[tokio::test(start_paused = true)]
async fn a_key_in_an_error_event_is_redacted_in_events_close_reasons_and_log() {
    let error =
        json!({"type": "error", "error": {"code": "invalid_api_key", "message": format!("Bad key {KEY}")}});
    let (told, log) = shown(async |server| server.send(error.clone()).await).await;
    assert!(told.iter().any(|event| matches!(event, Event::ServerError { .. })), "{told:?}");
    check("error", &told, &log);
}

#[tokio::test(start_paused = true)]
async fn a_key_in_any_event_or_binary_message_is_redacted() {
    let unknown = json!({"type": "brand.new", "seen": [KEY]}).to_string();
    for message in [Message::text(unknown.clone()), Message::binary(unknown)] {
        let (told, log) = shown(async |server| server.send_message(message.clone()).await).await;
        check("unknown", &told, &log);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_in_a_close_reason_is_redacted_also_where_it_is_cut_off() {
    for said in [format!("key {KEY} refused"), format!("refused key {}", &KEY[..9])] {
        let (told, log) = shown(async |server| {
            let frame = CloseFrame { code: 4001.into(), reason: said.clone().into() };
            server.send_message(Message::Close(Some(frame))).await;
        })
        .await;
        check("close", &told, &log);
        assert!(!log.contains(&KEY[..9]), "{log}");
    }
}
