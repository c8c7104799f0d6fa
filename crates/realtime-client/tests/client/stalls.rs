//! One side is stuck while the other goes on: nothing that matters is late, lost or unbounded.

use std::time::Duration;

use realtime_client::{ClientOptions, Error};
use realtime_protocol::audio::Audio;
use realtime_protocol::call::{
    CloseReason, Command, DisconnectReason, Event, Outcome, PlaybackPosition, PlaybackReport, Warning,
};
use realtime_protocol::item::Item;
use realtime_protocol::time::MediaTime;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_reader_that_sleeps_gets_every_event_in_order_and_stops_nothing() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let far = async {
        server.begin_response("resp_1", "item_1").await;
        for n in 0..200 {
            server.audio("resp_1", "item_1", &"A".repeat(6400)).await;
            let delta = json!({
                "type": "response.output_audio_transcript.delta", "response_id": "resp_1",
                "item_id": "item_1", "content_index": 0, "delta": format!("{n} "),
            });
            server.send(delta).await;
        }
        server.end_response("resp_1").await;
        // Meanwhile it is asked for something, and pinged.
        server.send_message(Message::Ping(vec![7].into())).await;
        while !matches!(server.next().await, Message::Pong(_)) {}
        server.expect("input_audio_buffer.clear").await;
        server.send(json!({"type": "input_audio_buffer.cleared"})).await;
    };
    let near = async {
        sleep(Duration::from_secs(5)).await;
        handle.clear_audio().await
    };
    let began = Instant::now();
    let ((), cleared) = tokio::join!(far, near);
    assert_eq!(cleared, Ok(()));
    assert!(began.elapsed() < Duration::from_millis(5010), "{:?}", began.elapsed());
    let (mut bytes, mut words) = (0, Vec::new());
    loop {
        match next(&mut events).await {
            Event::Audio(chunk) => {
                assert_eq!(chunk.start, bytes as u64 / 2);
                bytes += chunk.audio.len();
                assert_eq!(words.len() + 1, bytes / 4800, "words stand where they stood");
            }
            Event::Text { delta, .. } => words.push(delta),
            Event::ResponseStarted { .. } => assert_eq!(bytes, 0),
            Event::ResponseFinished(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bytes, 200 * 4800);
    assert_eq!(words, (0..200).map(|n| format!("{n} ")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn talking_over_the_assistant_does_not_wait_for_a_stalled_connection() {
    let (handle, mut events, mut server) = connect_through(4096, ClientOptions::default()).await;
    server.open().await;
    while !matches!(next(&mut events).await, Event::Ready { .. }) {}
    server.begin_response("resp_1", "item_1").await;
    server.audio("resp_1", "item_1", &"A".repeat(64_000)).await;
    while !matches!(next(&mut events).await, Event::Audio(_)) {}
    // A second of audio at once, of which the pipe takes a part, and then a microphone that goes on.
    handle.append_audio(vec![0; 48_000]).unwrap();
    for _ in 0..50 {
        handle.append_audio(vec![0; 960]).unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    let interrupted = handle.send(Command::Interrupt {}).unwrap();
    let Event::StopPlayback { id } = next(&mut events).await else { panic!("it plays on") };
    assert_eq!(began.elapsed(), Duration::ZERO);
    let played = MediaTime::from_millis(500);
    let at = PlaybackPosition { item_id: "item_1".into(), content_index: 0, played: 12_000 };
    handle.report_playback(PlaybackReport::Stopped { id, at: Some(at) }).unwrap();
    let Event::Interrupted(interruption) = next(&mut events).await else { panic!("not told") };
    assert_eq!((interruption.heard(), began.elapsed()), (played, Duration::ZERO));
    // What the server says meanwhile is not heard any more.
    server.audio("resp_1", "item_1", "AAAA").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(events.try_next(), None);

    // It reads again: audio that is not older than 2 s, then the cut.
    let mut kinds = Vec::new();
    let mut heard = 0;
    while kinds.len() < 2 {
        let event = server.receive().await;
        match event["type"].as_str().unwrap() {
            "input_audio_buffer.append" => {
                assert!(kinds.is_empty(), "audio of before comes before");
                heard += Audio::from_base64(event["audio"].as_str().unwrap()).bytes().unwrap().len();
            }
            kind => kinds.push(kind.to_owned()),
        }
    }
    assert_eq!(kinds, ["response.cancel", "conversation.item.truncate"]);
    assert_eq!(heard, 96_000);
    server.send(json!({"type": "conversation.item.truncated", "item_id": "item_1", "content_index": 0, "audio_end_ms": 500})).await;
    let response = json!({"id": "resp_1", "status": "cancelled", "output": []});
    server.send(json!({"type": "response.done", "response": response})).await;
    assert_eq!(interrupted.await, Ok(Outcome::Done));
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_stalled_connection_longer_than_two_seconds() {
    let (handle, mut events, mut server) = connect_through(4096, ClientOptions::default()).await;
    server.open().await;
    handle.append_audio(vec![0; 960_000]).unwrap();
    sleep(Duration::from_millis(10)).await;
    let began = Instant::now();
    assert_eq!(handle.close().await, Ok(()));
    let end = rest(&mut events).await.pop();
    assert_eq!(end, Some(Event::Closed { reason: CloseReason::Requested }));
    assert!(began.elapsed() <= Duration::from_millis(2010), "{:?}", began.elapsed());
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_server_that_does_not_read_has_a_bound() {
    let (handle, mut events, mut server) = connect_through(4096, ClientOptions::default()).await;
    server.open().await;
    let waiting = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
    // It does not read, but lives: it says something now and then.
    let far = tokio::spawn(async move {
        loop {
            server.send(json!({"type": "brand.new"})).await;
            sleep(Duration::from_secs(5)).await;
        }
    });
    let text = "x".repeat(1 << 20);
    let mut given = 0;
    while !handle.is_closed() && given < 100 {
        let item = Box::new(Item::user_text(text.as_str()));
        let command = Command::CreateItem { item, after: None, respond: false };
        given += usize::from(handle.send(command).is_ok());
        sleep(Duration::from_millis(1)).await;
    }
    assert!((32..40).contains(&given), "{given} MiB were taken");
    far.abort();
    let end = timeout(Duration::from_secs(10), async { rest(&mut events).await.pop() }).await.unwrap();
    let Some(Event::Closed { reason }) = end else { panic!("{end:?}") };
    let CloseReason::Disconnected(DisconnectReason::Lost { reason: text }) = &reason else {
        panic!("{reason}")
    };
    assert!(text.contains("wait to be sent"), "{text}");
    assert_eq!(waiting.await, Err(Error::Closed { reason: Some(reason) }));
}

#[tokio::test(start_paused = true)]
async fn a_large_append_that_stalls_half_way_arrives_whole() {
    let (handle, mut events, mut server) = connect_through(4096, ClientOptions::default()).await;
    server.open().await;
    while !matches!(next(&mut events).await, Event::Ready { .. }) {}
    let sound: Vec<u8> = (0..480_000_u32).map(|n| (n % 251) as u8).collect();
    handle.append_audio(sound.clone()).unwrap();
    // It stands still in the middle of a frame, and what it says itself is read.
    for _ in 0..10 {
        server.send(json!({"type": "brand.new"})).await;
        assert!(matches!(next(&mut events).await, Event::Warning(Warning::Unknown { .. })));
        sleep(Duration::from_millis(500)).await;
    }
    let append = server.expect("input_audio_buffer.append").await;
    assert_eq!(*Audio::from_base64(append["audio"].as_str().unwrap()).bytes().unwrap(), sound);
    assert_eq!(events.try_next(), None);
}
