//! A whole call with a page.

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::{expect, open, say, start};

#[tokio::test]
async fn a_page_is_greeted_writes_is_answered_and_hangs_up() {
    let server = start(&[], &[]).await;
    let mut page = open(&server.ws("/ws"), &[("origin", &format!("http://{}", server.at))]).await.unwrap();
    say(&mut page, &json!({ "type": "hello", "version": 1, "rate": 24_000 })).await;
    expect(&mut page, "ready", |_| {}).await;

    // The greeting, in sound and words. It may not be spoken over, so that it is awaited.
    let mut samples = 0;
    let mut count = |message: &Message| {
        if let Message::Binary(bytes) = message {
            samples += bytes.len().saturating_sub(8) / 2;
        }
    };
    let greeting = expect(&mut page, "transcript", &mut count).await;
    assert_eq!(greeting["who"], "agent");
    assert!(greeting["text"].as_str().unwrap().contains("weather assistant"), "{greeting}");
    // Reports keep the audio flowing: what was not reported counts as not heard.
    let mut item = 1;
    let mut heard = 0;
    loop {
        let message = futures_util::StreamExt::next(&mut page).await.unwrap().unwrap();
        match message {
            Message::Binary(bytes) => {
                item = u32::from_le_bytes(bytes[..4].try_into().unwrap());
                let start = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
                heard = u64::from(start) + (bytes.len() as u64 - 8) / 2;
                say(&mut page, &json!({ "type": "played", "item": item, "samples": heard })).await;
            }
            Message::Text(text) if text.contains("\"done\"") => break,
            _ => {}
        }
    }
    say(&mut page, &json!({ "type": "played", "item": item, "samples": heard })).await;
    assert!(heard > 24_000, "at least a second of speech: {heard}");

    say(&mut page, &json!({ "type": "text", "text": "get_weather {\"city\":\"Oslo\"}" })).await;
    let called = expect(&mut page, "tool", |_| {}).await;
    assert_eq!((&called["name"], &called["state"]), (&json!("get_weather"), &json!("called")));
    assert_eq!(called.get("arguments"), None, "arguments are not for the eyes of a user");
    assert_eq!(expect(&mut page, "tool", |_| {}).await["ok"], true);
    let answer = expect(&mut page, "transcript", |_| {}).await;
    assert!(answer["text"].as_str().unwrap().contains("Oslo"), "{answer}");

    let calls = server.calls(|calls| calls["live"][0]["tool_calls"] == 1).await;
    let call = &calls["live"][0];
    assert_eq!(
        (&call["kind"], &call["state"], &call["user_turns"]),
        (&json!("page"), &json!("live"), &json!(1))
    );
    assert!(call["tokens"]["output"].as_u64().unwrap() > 0 && call["cost"].is_null(), "{call}");

    say(&mut page, &json!({ "type": "bye" })).await;
    let calls = server.calls(|calls| calls["ended"].as_array().unwrap().len() == 1).await;
    assert_eq!(calls["ended"][0]["end"], "the other end has gone");
}

#[tokio::test]
async fn a_call_is_ended_from_outside() {
    let server = start(&[], &[]).await;
    let mut page = open(&server.ws("/ws"), &[]).await.unwrap();
    say(&mut page, &json!({ "type": "hello", "version": 1 })).await;
    expect(&mut page, "delta", |_| {}).await;
    let calls = server.calls(|calls| calls["live"][0]["state"] == "live").await;
    let id = calls["live"][0]["id"].as_str().unwrap();
    assert_eq!(server.json(&format!("/calls/{id}")).await["id"], id);
    let ended = realtime_client::HttpRequest::new("DELETE", server.url(&format!("/calls/{id}"))).send().await;
    assert_eq!(ended.unwrap().status, 204);
    assert_eq!(expect(&mut page, "ended", |_| {}).await["code"], "cancelled");
    server.calls(|calls| calls["ended"][0]["id"] == id).await;
}
