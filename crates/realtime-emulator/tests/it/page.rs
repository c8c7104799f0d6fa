//! What a person sees on the page of the port, asked for as the page does.

use futures_util::SinkExt;
use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::http::{Socket, ask, connect, event};

/// The JSON at a path.
async fn look(options: &Options, path: &str) -> Value {
    let (status, _, body) = ask(options, &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn send(socket: &mut Socket, event: Value) {
    socket.send(Message::text(event.to_string())).await.unwrap();
}

async fn until(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let event = event(socket).await;
        if event["type"] == kind {
            return event;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_sees_who_is_connected_and_what_is_said() {
    let options = Options::default().brain(Script::demo);
    let (status, head, page) = ask(&options, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    assert_eq!(status, 200);
    assert!(head.contains("Content-Type: text/html") && page.contains("Realtime emulator"), "{head}");
    assert_eq!(look(&options, "/emulator/sessions").await, json!({"sessions": [], "more": 0}));

    let mut socket = connect(&options, "/v1/realtime?model=gpt-realtime-mini", &[]).await;
    let created = until(&mut socket, "session.created").await;
    send(&mut socket, json!({"type": "response.create"})).await;
    let delta = until(&mut socket, "response.output_audio.delta").await;
    let seen = look(&options, "/emulator/sessions").await["sessions"][0].clone();
    assert_eq!((&seen["id"], &seen["model"]), (&created["session"]["id"], &json!("gpt-realtime-mini")));
    assert_eq!((&seen["came"], &seen["end"]), (&json!(1), &json!(null)));
    let half = look(&options, "/emulator/sessions/0").await;
    assert_eq!(
        (&half["lines"][0]["role"], &half["lines"][0]["is_whole"]),
        (&json!("assistant"), &json!(false))
    );

    // As the page does when the user speaks over the answer.
    until(&mut socket, "response.done").await;
    let cut = json!({"type": "conversation.item.truncate", "item_id": delta["item_id"], "content_index": 0,
        "audio_end_ms": 700});
    send(&mut socket, cut).await;
    until(&mut socket, "conversation.item.truncated").await;
    let text = json!([{"type": "input_text", "text": "Who <b>are</b> you?"}]);
    let item = json!({"type": "message", "role": "user", "content": text});
    send(&mut socket, json!({"type": "conversation.item.create", "item": item})).await;
    until(&mut socket, "conversation.item.done").await;

    let changes = half["events"].as_array().unwrap().iter().map(|entry| entry["changed"].as_u64().unwrap());
    let path = format!("/emulator/sessions/0?after={}", changes.max().unwrap());
    let whole = look(&options, &path).await;
    let line = |index: usize| (&whole["lines"][index]["text"], &whole["lines"][index]["cut_ms"]);
    let greeting = json!("Hello! I am your weather assistant. Which city are you curious about?");
    assert_eq!(line(0), (&greeting, &json!(700)));
    assert_eq!(line(1), (&json!("Who <b>are</b> you?"), &json!(null)));
    let events = whole["events"].as_array().unwrap();
    let audio = events.iter().find(|entry| entry["line"]["event"]["type"] == "response.output_audio.delta");
    assert!(audio.unwrap()["times"].as_u64() > Some(20), "deltas are one entry, which has changed");
    assert!(events.iter().all(|entry| entry["line"]["event"]["type"] != "response.created"), "seen before");

    socket.close(None).await.unwrap();
    drop(socket);
    while look(&options, "/emulator/sessions").await["sessions"][0]["end"].is_null() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(look(&options, "/emulator/sessions/0").await["lines"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_server_on_all_addresses_has_its_page_on_this_machine() {
    let emulator = Emulator::bind("0.0.0.0:0", Options::default()).await.unwrap();
    assert_eq!(emulator.page_url(), format!("http://127.0.0.1:{}/", emulator.local_addr().port()));
}
