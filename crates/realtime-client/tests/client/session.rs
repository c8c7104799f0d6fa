//! A client against a scripted server, over a pipe in memory and on paused time.

use std::time::Duration;

use crate::support::*;
use futures_util::{SinkExt, StreamExt};
use realtime_client::{Bounds, ClientOptions, Error, MemoryLog, SendError, Unsent};
use realtime_protocol::call::{
    CloseReason, Command, DisconnectReason, Event, Media, Outcome, Refusal, Warning,
};
use realtime_protocol::event::ClientEvent;
use realtime_protocol::item::Item;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::UnixTime;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

#[tokio::test(start_paused = true)]
async fn a_session_is_opened_configured_and_ready() {
    let config = SessionConfig::realtime().instructions("Be brief.");
    let options = SessionOptions::default().config(config);
    let (handle, mut events, mut server) = connect(options).await;

    server.send(json!({"type": "session.created", "session": {"id": "sess_1"}})).await;
    assert!(
        matches!(next(&mut events).await, Event::Created { session_id: Some(id) } if id.as_str() == "sess_1")
    );
    let update = server.expect("session.update").await;
    assert_eq!(update["session"]["instructions"], "Be brief.");
    server.send(json!({"type": "session.updated", "session": update["session"]})).await;
    assert!(matches!(next(&mut events).await, Event::Ready { .. }));

    let counters = handle.counters();
    assert_eq!((counters.texts_received, counters.texts_sent), (2, 1));
    assert!(!handle.is_closed());
}

#[tokio::test(start_paused = true)]
async fn audio_is_held_until_the_session_is_ready_and_keeps_its_order() {
    let (handle, _events, mut server) = connect(ClientOptions::default()).await;
    handle.append_audio(&b"\x01\x02"[..]).unwrap();
    server.expect_silence().await;
    server.open().await;
    assert_eq!(server.expect("input_audio_buffer.append").await["audio"], "AQI=");
    handle.append_audio(vec![3, 4]).unwrap();
    handle.append_audio(vec![5, 6]).unwrap();
    let cleared = tokio::spawn({
        let handle = handle.clone();
        async move { handle.clear_audio().await }
    });
    assert_eq!(server.expect("input_audio_buffer.append").await["audio"], "AwQ=");
    assert_eq!(server.expect("input_audio_buffer.append").await["audio"], "BQY=");
    server.expect("input_audio_buffer.clear").await;
    server.send(json!({"type": "input_audio_buffer.cleared"})).await;
    assert_eq!(cleared.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_text_is_created_answered_and_read() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let far = async {
        let create = server.expect("conversation.item.create").await;
        assert_eq!(create["item"]["content"][0]["text"], "hello");
        server.expect("response.create").await;
        server
            .send(
                json!({"type": "conversation.item.added", "previous_item_id": null, "item": create["item"]}),
            )
            .await;
        create["item"]["id"].as_str().unwrap().to_owned()
    };
    let (created, id) = tokio::join!(handle.send_text("hello", true), far);
    assert_eq!(created.unwrap().as_str(), id);
    assert!(
        matches!(next(&mut events).await, Event::ItemSent { item, .. } if item.id().unwrap().as_str() == id)
    );
    assert!(
        matches!(next(&mut events).await, Event::ItemPlaced { item, .. } if item.id().unwrap().as_str() == id)
    );
}

#[tokio::test(start_paused = true)]
async fn a_response_resolves_with_its_end() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let far = async {
        server.expect("response.create").await;
        server.begin_response("resp_1", "item_1").await;
        server.audio("resp_1", "item_1", "AAAA").await;
        server.end_response("resp_1").await;
    };
    let (response, ()) = tokio::join!(handle.create_response(None), far);
    assert_eq!(response.unwrap().into_result(), Ok("resp_1".into()));
    let kinds: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
    assert!(matches!(kinds.first(), Some(Event::ResponseStarted { .. })), "{kinds:?}");
    assert!(kinds.iter().any(|event| matches!(event, Event::Audio(_))), "{kinds:?}");
    assert!(!kinds.iter().any(|event| matches!(event, Event::Settled { .. })), "{kinds:?}");
    assert!(matches!(kinds.last(), Some(Event::ResponseFinished(_))), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn one_request_serves_all_who_retrieve_an_item_and_one_gone_harms_nobody() {
    let (handle, _events, mut server) = ready(ClientOptions::default()).await;
    let retrieve = |handle: realtime_client::Handle| async move { handle.retrieve_item("item_1").await };
    let first = tokio::spawn(retrieve(handle.clone()));
    let second = tokio::spawn(retrieve(handle.clone()));
    let gone = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
    drop(gone);
    assert_eq!(server.expect("conversation.item.retrieve").await["item_id"], "item_1");
    server.expect_silence().await;
    let item = json!({"id": "item_1", "type": "message", "role": "user", "content": []});
    server.send(json!({"type": "conversation.item.retrieved", "item": item})).await;
    for waiter in [first, second] {
        assert_eq!(waiter.await.unwrap().unwrap().id().unwrap().as_str(), "item_1");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_say_who_must_act() {
    let (handle, _events, mut server) = ready(ClientOptions::default()).await;

    let unknown = handle.answer_function("call_1", realtime_protocol::call::FunctionOutput::Cancelled).await;
    let Err(Error::Command(refused)) = unknown else { panic!("{unknown:?}") };
    assert!(matches!(refused.reason, Refusal::UnknownFunction { .. }));
    assert_eq!(refused.command.name(), "answer_function");

    let far = async {
        let event = server.expect("conversation.item.delete").await;
        let error = json!({"code": "item_delete_invalid_item_id", "message": "no such item", "event_id": event["event_id"]});
        server.send(json!({"type": "error", "error": error})).await;
    };
    let (refused, ()) = tokio::join!(handle.delete_item("item_1"), far);
    let error = refused.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("no such item"));

    let began = Instant::now();
    let error = handle.retrieve_item("item_1").await.unwrap_err();
    assert_eq!(error, Error::TimedOut);
    assert!(error.is_retryable());
    assert!((10_000..10_010).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_the_server_does_not_answer_is_done_when_it_is_taken() {
    let (handle, _events, mut server) = ready(ClientOptions::default()).await;
    let event = ClientEvent::decode(r#"{"type":"brand.new","x":1}"#, Default::default());
    let pending = handle.send(Command::SendEvent { event: Box::new(event) }).unwrap();
    assert_eq!(pending.await, Ok(Outcome::Done));
    assert_eq!(server.receive().await, json!({"type": "brand.new", "x": 1}));
}

#[tokio::test(start_paused = true)]
async fn the_servers_close_frame_resolves_all_who_wait() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let waiting = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
    server.expect("conversation.item.retrieve").await;
    let frame = CloseFrame { code: CloseCode::Error, reason: "restart".into() };
    server.send_message(Message::Close(Some(frame))).await;

    let reason =
        CloseReason::Disconnected(DisconnectReason::Closed { code: Some(1011), reason: "restart".into() });
    assert_eq!(waiting.await, Err(Error::Closed { reason: Some(reason.clone()) }));
    assert_eq!(next(&mut events).await, Event::Closed { reason: reason.clone() });
    // The close frame is answered, and the server may close the connection first.
    assert!(matches!(server.ws.next().await, Some(Ok(Message::Close(_))) | None));
    drop(server);
    assert_eq!(events.next().await, None);

    let refused = handle.append_audio(vec![0, 0]).unwrap_err();
    assert!(matches!(&refused, SendError::Closed { reason: Some(told), .. } if *told == reason), "{refused}");
    assert!(matches!(refused.into_unsent(), Unsent::Media(media) if matches!(*media, Media::Append(_))));
    assert_eq!(handle.retrieve_item("item_1").await.unwrap_err().to_string().matches("restart").count(), 1);
    assert!(handle.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_keeps_the_connection_after_its_close_frame_is_left_after_two_seconds() {
    let (_handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let began = Instant::now();
    server.ws.feed(Message::Close(None)).await.unwrap();
    server.ws.flush().await.ok();
    assert!(matches!(next(&mut events).await, Event::Closed { .. }));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(events.next().await, None);
    assert!(began.elapsed() <= Duration::from_millis(2001), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_cut_connection_resolves_all_who_wait() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let waiting = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
    server.expect("conversation.item.retrieve").await;
    drop(server);
    let Err(Error::Closed { reason: Some(CloseReason::Disconnected(DisconnectReason::Lost { .. })) }) =
        waiting.await
    else {
        panic!("expected the connection to be lost");
    };
    let last = rest(&mut events).await.pop();
    assert!(
        matches!(
            last,
            Some(Event::Closed { reason: CloseReason::Disconnected(DisconnectReason::Lost { .. }) })
        ),
        "{last:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn garbage_is_survived() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    for text in ["", "{", "null", "[]", r#"{"type":7}"#, r#"{"type":"response.done"}"#, "\u{0}"] {
        server.send_message(Message::text(text)).await;
        let event = next(&mut events).await;
        assert!(matches!(event, Event::Warning(Warning::Malformed { .. })), "{text:?}: {event:?}");
    }
    server.send(json!({"type": "brand.new"})).await;
    assert!(matches!(next(&mut events).await, Event::Warning(Warning::Unknown { .. })));
    handle.append_audio(vec![0, 0]).unwrap();
    server.expect("input_audio_buffer.append").await;
}

#[tokio::test(start_paused = true)]
async fn fragments_and_large_texts_are_read() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let text = json!({"type": "brand.new", "x": "y".repeat(20 << 20)}).to_string();
    let (head, tail) = text.as_bytes().split_at(1000);
    let part = |payload: &[u8], opcode, is_final| {
        let header = FrameHeader { is_final, opcode: OpCode::Data(opcode), ..FrameHeader::default() };
        Message::Frame(Frame::from_payload(header, payload.to_vec().into()))
    };
    let far = async {
        server.send_message(part(head, Data::Text, false)).await;
        server.send_message(Message::Ping(vec![1].into())).await;
        server.send_message(part(tail, Data::Continue, true)).await;
        server.send_message(Message::text(text.as_str())).await;
    };
    let near = async {
        for _ in 0..2 {
            assert!(matches!(next(&mut events).await, Event::Warning(Warning::Unknown { .. })));
        }
    };
    tokio::join!(far, near);
    assert_eq!(handle.counters().bytes_received as usize / text.len(), 2);
    assert!(matches!(server.ws.next().await, Some(Ok(Message::Pong(_)))));
}

#[tokio::test(start_paused = true)]
async fn dropping_all_handles_closes_politely() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let clone = handle.clone();
    drop(handle);
    server.expect_silence().await;
    clone.append_audio(vec![0, 0]).unwrap();
    drop(clone);
    server.expect("input_audio_buffer.append").await;
    assert_eq!(server.expect_close().await.unwrap().code, CloseCode::Normal);
    // The server answers the close frame, and closes the connection.
    assert!(server.ws.next().await.is_none());
    drop(server);
    assert_eq!(rest(&mut events).await, [Event::Closed { reason: CloseReason::Requested }]);
}

#[tokio::test(start_paused = true)]
async fn closing_takes_two_seconds_with_a_server_that_says_nothing() {
    let (handle, mut events, _server) = ready(ClientOptions::default()).await;
    let began = Instant::now();
    let waiting = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
    assert_eq!(handle.close().await, Ok(()));
    assert!((2000..2010).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert_eq!(waiting.await, Err(Error::Closed { reason: Some(CloseReason::Requested) }));
    assert_eq!(rest(&mut events).await, [Event::Closed { reason: CloseReason::Requested }]);
    assert!(matches!(handle.close().await, Err(Error::Send(SendError::Closed { .. }))));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_opens_the_session_is_left() {
    let (_handle, mut events, _server) = connect(ClientOptions::default()).await;
    let began = Instant::now();
    assert_eq!(rest(&mut events).await, [Event::Closed { reason: CloseReason::NotCreated }]);
    // 10 s for the session, 2 s for the close frame.
    assert!((12_000..12_020).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_read_does_not_stop_what_it_sends() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    // Far more than the pipe holds, so that writing stands still.
    for _ in 0..20 {
        handle.append_audio(vec![0; 48_000]).unwrap();
        tokio::task::yield_now().await;
    }
    for n in 0..10 {
        server.send(json!({"type": "brand.new", "n": n})).await;
        assert!(matches!(next(&mut events).await, Event::Warning(Warning::Unknown { .. })));
    }
    let mut appended = 0;
    while appended < 20 * 64_000 {
        appended += server.expect("input_audio_buffer.append").await["audio"].as_str().unwrap().len();
    }
    assert_eq!(appended, 20 * 64_000);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_sleeps_five_seconds_loses_nothing() {
    let (_handle, mut events, mut server) = ready(ClientOptions::default()).await;
    server.begin_response("resp_1", "item_1").await;
    for _ in 0..500 {
        // 100 ms at once, ten times faster than it plays.
        server.audio("resp_1", "item_1", &"A".repeat(6400)).await;
    }
    sleep(Duration::from_secs(5)).await;
    server.end_response("resp_1").await;
    let mut bytes = 0;
    loop {
        match next(&mut events).await {
            Event::Audio(chunk) => bytes += chunk.audio.len(),
            Event::ResponseFinished(_) => break,
            _ => {}
        }
    }
    assert_eq!(bytes, 500 * 4800);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_session_is_bounded_and_handed_back() {
    let bounds = Bounds::default().commands(3).input_audio_bytes(10);
    let (handle, _events, mut server) = ready(ClientOptions::default().bounds(bounds)).await;
    // Nothing yields in between, so that the client's task takes nothing.
    handle.append_audio(vec![0; 20]).unwrap(); // one of any size may wait
    let refused = handle.append_audio(vec![0; 2]).unwrap_err();
    assert!(refused.is_retryable());
    assert_eq!(refused.into_unsent(), Unsent::Media(Box::new(Media::Append(vec![0; 2].into()))));
    let cancelled = handle.send(Command::CancelResponse { response_id: None }).unwrap();
    let interrupted = handle.send(Command::Interrupt {}).unwrap();
    assert!(matches!(handle.send(Command::Interrupt {}), Err(SendError::Full { .. })));
    assert_eq!(cancelled.await, Ok(Outcome::Done));
    assert_eq!(interrupted.await, Ok(Outcome::Done));
    handle.append_audio(vec![0; 2]).unwrap();
    server.expect("input_audio_buffer.append").await;
    server.expect("input_audio_buffer.append").await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded_by_its_bytes_as_well() {
    let bounds = Bounds::default().command_bytes(1000);
    let (handle, _events, mut server) = ready(ClientOptions::default().bounds(bounds)).await;
    let item =
        || Command::CreateItem { item: Item::user_text("x".repeat(800)).into(), after: None, respond: false };
    let _first = handle.send(item()).unwrap();
    assert!(matches!(handle.send(item()), Err(SendError::Full { .. })));
    handle.append_audio(vec![0; 2]).unwrap(); // audio has a bound of its own
    server.expect("conversation.item.create").await;
    assert!(handle.send(item()).is_ok(), "what is taken waits no more");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_commands_does_not_starve_the_connection() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    server.send(json!({"type": "brand.new"})).await;
    for _ in 0..1000 {
        handle.append_audio(vec![0; 2]).unwrap();
    }
    assert!(matches!(next(&mut events).await, Event::Warning(Warning::Unknown { .. })));
    assert!(handle.counters().texts_sent < 300, "{:?}", handle.counters());
    for _ in 0..1000 {
        server.expect("input_audio_buffer.append").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_log_is_whole_holds_no_key_and_replays() {
    let (log, text) = logged().await;
    assert!(!text.contains("canary"), "{text}");
    let kinds: Vec<_> = text
        .lines()
        .skip(1)
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let what = ["connected", "connect", "disconnected", "close", "command"];
            let what = what.into_iter().find(|what| line.get(*what).is_some());
            let kind = line["event"]["type"].as_str().map(str::to_owned);
            let kind =
                kind.or_else(|| line["event"].as_object().and_then(|event| event.keys().next().cloned()));
            format!("{} {}", line["from"].as_str().unwrap(), kind.as_deref().or(what).unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "client connect",
            "server connected",
            "server session.created",
            "session created",
            "client session.update",
            "server session.updated",
            "session ready",
            "app command",
            "client conversation.item.retrieve",
            "timer -",
            "session overdue",
            "session settled",
            "app command",
            "client close",
            "server disconnected",
            "session settled",
            "session closed",
        ]
    );
    replays(&text);
    assert_eq!(log.log_lines as usize, text.lines().count());

    let (_, again) = logged().await;
    assert_eq!(again, text);
}

/// A short session: configured, one request that is never answered, closed.
async fn logged() -> (realtime_client::Counters, String) {
    let log = MemoryLog::new();
    let options = ClientOptions::default().log(log.clone()).wall(|| UnixTime::from_secs(1_790_000_000));
    let (handle, mut events, mut server) = ready(options).await;
    assert_eq!(handle.retrieve_item("item_1").await, Err(Error::TimedOut));
    server.expect("conversation.item.retrieve").await;
    let (closed, _) = tokio::join!(handle.close(), async {
        server.expect_close().await;
        assert!(server.ws.next().await.is_none());
        drop(server);
    });
    closed.unwrap();
    rest(&mut events).await;
    (handle.counters(), log.text())
}
