//! What no server should send: the session lives on, or ends with a reason that both sides are told.

use std::time::Duration;

use futures_util::StreamExt;
use realtime_client::{ClientOptions, Error};
use realtime_protocol::call::{
    CloseReason, Command, ConnectionEvent, DisconnectReason, Event, Reconnect, Warning,
};
use serde_json::json;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn text_that_is_no_event_is_told_and_all_else_goes_on() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let long = "x".repeat(1 << 20);
    let texts = [
        String::new(),
        " ".to_owned(),
        "hello".to_owned(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "\u{feff}{}".to_owned(),
        "{}".to_owned(),
        r#"{"type":7}"#.to_owned(),
        r#"{"type":null}"#.to_owned(),
        r#"{"type":{"type":"error"}}"#.to_owned(),
        r#"{"type":"session.created""#.to_owned(),
        r#"{"type":"response.output_audio.delta","response_id":"r","delta":"AAAA"#.to_owned(),
        r#"{"type":"response.created","response":[]}"#.to_owned(),
        r#"{"type":"error","error":7}"#.to_owned(),
        r#"{"type":"error"} {"type":"error"}"#.to_owned(),
        json!({ "type": long }).to_string(),
        json!({ "type": "brand.new", long.as_str(): long }).to_string(),
        json!({ "type": "error", "error": { "message": long } }).to_string(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
        format!(r#"{{"type":"brand.new","x":{}}}"#, deep("[", "]")),
        format!(r#"{{"type":"rate_limits.updated","rate_limits":{}}}"#, deep("[", "]")),
        format!(r#"{{"type":"response.created","response":{{"id":"r","metadata":{}}}}}"#, deep("[", "]")),
        format!(r#"{{"x":{},"type":"rate_limits.updated"}}"#, deep("[", "]")),
        format!(r#"{{"type":"session.updated","session":{{"x":{}}}}}"#, deep("{\"a\":", "")),
    ];
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    for text in texts {
        let head: String = text.chars().take(60).collect();
        let retrieved = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
        server.expect("conversation.item.retrieve").await;
        server.send_message(Message::text(text)).await;
        let told = timeout(Duration::from_secs(1), events.next()).await;
        assert!(matches!(told, Ok(Some(_))), "nothing was told of {head:?}");
        let item = json!({"id": "item_1", "type": "message", "role": "user", "content": []});
        server.send(json!({"type": "conversation.item.retrieved", "item": item})).await;
        assert!(retrieved.await.is_ok(), "{head:?}");
        while let Some(event) = events.try_next() {
            assert!(!matches!(event, Event::Closed { .. }), "{head:?} ended the session");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_retrieved_item_of_twenty_mebibytes_is_whole() {
    let (handle, _events, mut server) = ready(ClientOptions::default()).await;
    let audio = "A".repeat(20 << 20);
    let far = async {
        server.expect("conversation.item.retrieve").await;
        let content = json!([{"type": "input_audio", "audio": audio}]);
        let item = json!({"id": "item_1", "type": "message", "role": "user", "content": content});
        server.send(json!({"type": "conversation.item.retrieved", "item": item})).await;
    };
    let (item, ()) = tokio::join!(handle.retrieve_item("item_1"), far);
    let item = serde_json::to_value(item.unwrap()).unwrap();
    assert_eq!(item["content"][0]["audio"], audio);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_websocket_ends_the_session_and_the_server_is_told_why() {
    let long = vec![b'x'; 65 << 20];
    for (first, payload, code) in [
        (0x81, &long[..], 1009),            // longer than what may come
        (0x81, &b"\"\xff\xfe\""[..], 1007), // no UTF-8
        (0x81, &b"\xed\xa0\x80"[..], 1007), // half a surrogate
        (0x83, &b"x"[..], 1002),            // no such kind of message
        (0x80, &b"x"[..], 1002),            // the end of nothing
        (0xc1, &b"x"[..], 1002),            // an extension that was not agreed on
    ] {
        let what = format!("{first:x} {} bytes", payload.len());
        let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
        let waiting = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
        server.expect("conversation.item.retrieve").await;
        let far = async {
            // It may be refused before it was sent.
            let _ = send_frame(server.ws.get_mut(), first, payload).await;
            let close = timeout(Duration::from_secs(5), async {
                loop {
                    match server.ws.next().await {
                        Some(Ok(Message::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => break None,
                    }
                }
            });
            let code = close.await.unwrap();
            drop(server);
            code
        };
        let (all, told) = tokio::join!(rest(&mut events), far);
        assert_eq!(told, Some(code), "{what}");
        let Some(Event::Closed { reason }) = all.last() else { panic!("{what}: {all:?}") };
        assert!(
            matches!(reason, CloseReason::Disconnected(DisconnectReason::Lost { reason }) if !reason.is_empty()),
            "{what}: {reason:?}"
        );
        assert_eq!(waiting.await, Err(Error::Closed { reason: Some(reason.clone()) }), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_over_another_connection_after_a_broken_frame() {
    let options = ClientOptions::default().reconnect(Reconnect::default());
    let (handle, mut events, mut server, mut calls) = call(options).await;
    server.open().await;
    send_frame(server.ws.get_mut(), 0x81, b"\xff").await.unwrap();
    let mut second = calls.accept().await;
    second.open().await;
    while !matches!(next(&mut events).await, Event::Connection(ConnectionEvent::Resumed { .. })) {}
    handle.append_audio(vec![0, 0]).unwrap();
    second.expect("input_audio_buffer.append").await;
}

#[tokio::test(start_paused = true)]
async fn a_message_in_many_fragments_with_pings_between_them_is_one_event() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let text = json!({"type": "brand.new", "x": "ä€😀".repeat(500)}).to_string();
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(3).collect();
    let far = async {
        for (index, piece) in pieces.iter().enumerate() {
            let opcode = OpCode::Data(if index == 0 { Data::Text } else { Data::Continue });
            let is_final = index + 1 == pieces.len();
            let header = FrameHeader { is_final, opcode, ..FrameHeader::default() };
            let frame = Frame::from_payload(header, piece.to_vec().into());
            server.send_message(Message::Frame(frame)).await;
            server.send_message(Message::Ping(vec![1].into())).await;
            server.send_message(Message::Pong(vec![2].into())).await;
        }
    };
    let near = async {
        let Event::Warning(Warning::Unknown { event }) = next(&mut events).await else {
            panic!("expected one event")
        };
        assert_eq!(serde_json::to_string(&event.raw).unwrap(), text);
    };
    tokio::join!(far, near);
    assert_eq!((events.try_next(), handle.counters().texts_received), (None, 3));
    assert!(matches!(server.ws.next().await, Some(Ok(Message::Pong(_)))));
}

/// A frame as a server writes it, whatever it holds.
async fn send_frame(stream: &mut DuplexStream, first: u8, payload: &[u8]) -> std::io::Result<()> {
    let mut head = vec![first];
    match payload.len() {
        length @ 0..126 => head.push(u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            head.push(126);
            head.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            head.push(127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    stream.write_all(&head).await?;
    stream.write_all(payload).await
}
