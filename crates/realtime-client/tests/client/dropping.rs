//! What an application lets go of, at any point: nothing hangs, and nothing else is lost by it.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use realtime_client::{Bounds, Client, ClientOptions, Error, SendError};
use realtime_protocol::call::{CloseReason, Command, ConnectionEvent, Event, Outcome, Reconnect};
use realtime_protocol::item::Item;
use serde_json::json;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn without_handles_and_events_the_task_sends_a_close_frame_and_ends() {
    let (handle, events, mut server) = ready(ClientOptions::default()).await;
    server.begin_response("resp_1", "item_1").await;
    drop(events);
    drop(handle);
    while !matches!(server.next().await, Message::Close(_)) {}
    assert!(server.ws.next().await.is_none(), "the close frame is answered");
    let mut stream = server.ws.into_inner();
    drop(
        timeout(Duration::from_secs(3), stream.read(&mut [0]))
            .await
            .expect("the client closes the connection"),
    );
}

#[tokio::test(start_paused = true)]
async fn without_handles_no_further_connection_is_made() {
    for opening in [false, true] {
        let options = ClientOptions::default().reconnect(Reconnect::default());
        let (handle, mut events, server, mut calls) = call(options).await;
        let waiting = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
        drop(server);
        while !matches!(next(&mut events).await, Event::Connection(ConnectionEvent::Lost { .. })) {}
        // Either it waits for the next attempt, or it is in the middle of it.
        let mut pipe = if opening { Some(calls.pipe().await) } else { None };
        let began = Instant::now();
        drop(handle);
        let all = rest(&mut events).await;
        let reason = CloseReason::Requested;
        assert_eq!(all.last(), Some(&Event::Closed { reason: reason.clone() }), "{opening}");
        assert!(began.elapsed() <= Duration::from_millis(1), "{opening}: {:?}", began.elapsed());
        assert_eq!(waiting.await, Err(Error::Closed { reason: Some(reason) }));
        assert!(calls.is_quiet());
        if let Some(pipe) = &mut pipe {
            let mut request = Vec::new();
            pipe.read_to_end(&mut request).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_drops_its_answer_and_nothing_else() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    // Not polled yet: nothing was asked.
    drop(handle.create_response(None));
    server.expect_silence().await;

    assert!(handle.create_response(None).now_or_never().is_none());
    assert!(handle.send_text("hello", false).now_or_never().is_none());
    assert!(handle.retrieve_item("item_1").now_or_never().is_none());
    server.expect("response.create").await;
    let create = server.expect("conversation.item.create").await;
    server.expect("conversation.item.retrieve").await;
    assert!(matches!(events.try_next(), Some(Event::ItemSent { .. })));
    // A read that is given up loses nothing.
    assert!(events.next().now_or_never().is_none());
    server.send(json!({"type": "conversation.item.added", "item": create["item"]})).await;
    let item = json!({"id": "item_1", "type": "message", "role": "user", "content": []});
    server.send(json!({"type": "conversation.item.retrieved", "item": item})).await;
    server.begin_response("resp_1", "item_2").await;
    server.audio("resp_1", "item_2", "AAAA").await;
    server.end_response("resp_1").await;
    let mut kinds = Vec::new();
    while kinds.last() != Some(&"finished") {
        kinds.push(match next(&mut events).await {
            Event::ItemPlaced { .. } => "placed",
            Event::ResponseStarted { .. } => "started",
            Event::Audio(_) => "audio",
            Event::ResponseFinished(_) => "finished",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(kinds, ["placed", "started", "audio", "finished"]);

    // The next who asks gets an answer to that.
    let far = async {
        server.expect("response.create").await;
        server.begin_response("resp_2", "item_3").await;
        server.end_response("resp_2").await;
    };
    let (answer, ()) = tokio::join!(handle.create_response(None), far);
    assert_eq!(answer.unwrap().into_result(), Ok("resp_2".into()));
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_while_it_waits_for_room_asks_for_nothing() {
    let bounds = Bounds::default().commands(1);
    let (handle, _events, mut server) = ready(ClientOptions::default().bounds(bounds)).await;
    // Nothing yields in between, so that the client's task takes nothing.
    handle.append_audio(vec![1, 0]).unwrap();
    assert!(handle.delete_item("item_1").now_or_never().is_none());
    server.expect("input_audio_buffer.append").await;
    server.expect_silence().await;
    handle.append_audio(vec![2, 0]).unwrap();
    server.expect("input_audio_buffer.append").await;
}

#[tokio::test(start_paused = true)]
async fn a_close_that_nobody_waits_for_is_still_sent() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    assert!(handle.close().now_or_never().is_none());
    server.expect_close().await;
    assert!(server.ws.next().await.is_none());
    drop(server);
    assert_eq!(rest(&mut events).await, [Event::Closed { reason: CloseReason::Requested }]);
}

#[tokio::test(start_paused = true)]
async fn connecting_that_is_given_up_hangs_up() {
    let (near, mut far) = duplex(4096);
    let endpoint = endpoint();
    let connecting = Client::over(near, &endpoint, ClientOptions::default());
    assert!(timeout(Duration::from_secs(1), connecting).await.is_err());
    let mut request = Vec::new();
    far.read_to_end(&mut request).await.unwrap();
    assert!(request.starts_with(b"GET "));
}

#[test]
fn a_runtime_that_shuts_down_leaves_nobody_waiting() {
    for threads in [0, 2] {
        let mut builder =
            if threads == 0 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
        let runtime = builder.enable_all().build().unwrap();
        let (handle, mut events, pending, _server) = runtime.block_on(async {
            let (handle, events, mut server) = ready(ClientOptions::default()).await;
            let pending = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
            server.expect("response.create").await;
            server.begin_response("resp_1", "item_1").await;
            (handle, events, pending, server)
        });
        runtime.shutdown_timeout(Duration::from_secs(10));
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(pending.await, Err(Error::Closed { reason: None }));
            while let Some(event) = events.next().await {
                assert!(matches!(event, Event::ResponseStarted { .. }), "{event:?}");
            }
            assert!(handle.is_closed());
            let refused = handle.append_audio(vec![0, 0]);
            assert!(matches!(refused, Err(SendError::Closed { reason: None, .. })));
            assert!(handle.create_item(Item::user_text("hello")).await.is_err());
        });
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_calls_at_once_take_three_turns_each() {
    let calls = (0..200).map(|call| async move {
        let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
        let far = tokio::spawn(async move {
            for turn in 0..3 {
                let create = server.expect("conversation.item.create").await;
                server.send(json!({"type": "conversation.item.added", "item": create["item"]})).await;
                server.expect("response.create").await;
                answer(&mut server, &format!("resp_{call}_{turn}")).await;
            }
            server.expect_close().await;
            assert!(server.ws.next().await.is_none());
        });
        for turn in 0..3 {
            handle.send_text(format!("turn {turn} of call {call}"), false).await.unwrap();
            let responded = handle.create_response(None).await.unwrap();
            assert_eq!(responded.into_result(), Ok(format!("resp_{call}_{turn}").into()));
        }
        handle.close().await.unwrap();
        far.await.unwrap();
        let all = rest(&mut events).await;
        let bytes: usize = all
            .iter()
            .map(|event| match event {
                Event::Audio(chunk) => chunk.audio.len(),
                _ => 0,
            })
            .sum();
        let turns = all.iter().filter(|event| matches!(event, Event::ResponseFinished(_))).count();
        assert_eq!((bytes, turns), (3 * 10 * 4800, 3));
    });
    join_all(calls).await;
}

#[tokio::test(start_paused = true)]
async fn one_answer_serves_those_who_stay() {
    let (handle, _events, mut server) = ready(ClientOptions::default()).await;
    let first = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
    server.expect("response.create").await;
    let gone = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
    let stays = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
    drop(gone);
    answer(&mut server, "resp_1").await;
    server.expect("response.create").await;
    answer(&mut server, "resp_2").await;
    for (pending, id) in [(first, "resp_1"), (stays, "resp_2")] {
        let Ok(Outcome::Responded { response_id, .. }) = pending.await else { panic!("no answer") };
        assert_eq!(response_id.as_str(), id);
    }
}

/// A response of one second.
async fn answer(server: &mut Server<DuplexStream>, id: &str) {
    server.begin_response(id, id).await;
    for _ in 0..10 {
        server.audio(id, id, &"A".repeat(6400)).await;
    }
    server.end_response(id).await;
}
