//! Servers and proxies that send their events in binary messages.

use realtime_client::ClientOptions;
use realtime_protocol::call::{Command, Event, Warning};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_conversation_in_binary_messages_is_one_like_any_other() {
    let log = Lines::default();
    let (handle, mut events, mut server) = connect(ClientOptions::default().log(log.clone())).await;
    send_binary(&mut server, json!({"type": "session.created", "session": {"id": "sess_1"}})).await;
    let update = server.expect("session.update").await;
    send_binary(&mut server, json!({"type": "session.updated", "session": update["session"]})).await;
    assert!(matches!(next(&mut events).await, Event::Created { .. }));
    assert!(matches!(next(&mut events).await, Event::Ready { .. }));
    let retrieved = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
    server.expect("conversation.item.retrieve").await;
    let item = json!({"id": "item_1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "ä😀"}]});
    send_binary(&mut server, json!({"type": "conversation.item.retrieved", "item": item})).await;
    assert!(retrieved.await.is_ok());
    assert_eq!((handle.counters().texts_received, handle.counters().binary_ignored), (3, 0));
    drop((handle, server));
    rest(&mut events).await;
    let log = log.text();
    assert!(log.contains(r#""event":{"item":{"content":[{"text":"ä😀""#), "{log}");
    replays(&log);
}

#[tokio::test(start_paused = true)]
async fn a_binary_message_that_is_no_event_is_told_with_its_length_alone() {
    let log = Lines::default();
    let (handle, mut events, mut server) = ready(ClientOptions::default().log(log.clone())).await;
    for (bytes, reason) in [
        (&b"\xffsecret"[..], "expected JSON, got a binary message of 7 bytes that is not UTF-8"),
        (
            &b"{\"a\":\"\xed\xa0\xbd\"}"[..],
            "expected JSON, got a binary message of 11 bytes that is not UTF-8",
        ),
        (b"RIFF", "expected JSON: expected value at line 1 column 1"),
        (b"", "expected JSON: EOF while parsing a value at line 1 column 0"),
    ] {
        server.send_message(Message::binary(bytes.to_vec())).await;
        let event = next(&mut events).await;
        let Event::Warning(Warning::Malformed { event }) = event else { panic!("{event:?}") };
        assert_eq!(event.reason, reason);
        assert!(!event.raw.contains("secret"), "{event:?}");
    }
    assert_eq!((handle.counters().texts_received, handle.counters().binary_ignored), (4, 2));
    handle.append_audio(vec![0, 0]).unwrap();
    server.expect("input_audio_buffer.append").await;
    drop((handle, server));
    rest(&mut events).await;
    let log = log.text();
    assert!(!log.contains("secret") && log.contains("a binary message of 7 bytes"), "{log}");
    replays(&log);
}

async fn send_binary(server: &mut Server<DuplexStream>, event: Value) {
    server.send_message(Message::binary(event.to_string().into_bytes())).await;
}
