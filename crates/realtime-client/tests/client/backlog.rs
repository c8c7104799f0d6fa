//! One side is slower than the other: what is lost is told to the millisecond, and nothing but audio ever is.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::support::*;
use futures_util::{SinkExt, StreamExt};
use realtime_client::{Bounds, Client, ClientOptions, Error, Events, Handle, MemoryLog};
use realtime_protocol::audio::{Audio, AudioFormat};
use realtime_protocol::call::{CloseReason, Command, DisconnectReason, Event, Notice, Warning};
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::net::TcpSocket;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[tokio::test(start_paused = true)]
async fn a_slow_reader_loses_the_oldest_audio_first_and_nothing_else() {
    let bounds = Bounds::default().audio_bytes(10_000);
    let (handle, mut events, mut server) = ready(ClientOptions::default().bounds(bounds)).await;
    server.begin_response("resp_1", "item_1").await;
    for _ in 0..10 {
        server.audio("resp_1", "item_1", &"A".repeat(6400)).await;
    }
    server.end_response("resp_1").await;
    sleep(Duration::from_secs(1)).await;
    let (mut starts, mut losses) = (Vec::new(), Vec::new());
    while starts.len() < 2 {
        match next(&mut events).await {
            Event::Audio(chunk) => starts.push(chunk.start / 24),
            Event::Warning(Warning::AudioDropped { start, lost, .. }) => {
                losses.push((start / 24, lost / 24));
            }
            _ => {}
        }
    }
    assert_eq!((starts, losses), (vec![800, 900], vec![(0, 800)]));
    let counters = handle.counters();
    assert_eq!((counters.audio_dropped, counters.audio_dropped_bytes), (8, 8 * 4800));
}

#[tokio::test(start_paused = true)]
async fn a_reader_too_slow_for_what_must_not_be_lost_ends_the_session() {
    let bounds = Bounds::default().events(100);
    let log = MemoryLog::new();
    let options = ClientOptions::default().bounds(bounds).log(log.clone());
    let (handle, mut events, mut server) = ready(options).await;
    let waiting = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
    server.expect("conversation.item.retrieve").await;
    for n in 0..101 {
        server.send(json!({"type": "brand.new", "n": n})).await;
    }
    assert_eq!(server.expect_close().await.unwrap().code, CloseCode::Normal);
    assert!(server.ws.next().await.is_none());
    drop(server);
    let mut events = rest(&mut events).await;
    let reason = CloseReason::ConsumerTooSlow;
    assert_eq!(events.pop(), Some(Event::Closed { reason: reason.clone() }));
    assert_eq!(waiting.await, Err(Error::Closed { reason: Some(reason) }));
    replays(&log.text());
    assert_eq!(events.len(), 101, "even the one too many is told");
    assert!(handle.is_closed());
}

/// This many texts at once, each of 7 bytes, and then the end.
async fn burst(texts: usize) -> (Handle, Events, Server<DuplexStream>) {
    let (handle, mut events, mut server) = connect_through(1 << 20, ClientOptions::default()).await;
    server.open().await;
    while !matches!(next(&mut events).await, Event::Ready { .. }) {}
    for _ in 0..texts {
        server.ws.feed(Message::text(r#"{"a":1}"#)).await.unwrap();
    }
    server.ws.close(None).await.unwrap();
    (handle, events, server)
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_small_texts_ends_no_call_whose_reader_reads() {
    for pauses in [false, true] {
        let (_handle, mut events, _server) = burst(20_000).await;
        let mut all = Vec::new();
        while let Some(event) = events.next().await {
            all.push(event);
            if pauses {
                yield_now().await;
            }
        }
        let reason =
            CloseReason::Disconnected(DisconnectReason::Closed { code: None, reason: String::new() });
        assert_eq!(all.pop(), Some(Event::Closed { reason }), "{pauses}");
        assert_eq!(all.len(), 20_000, "{pauses}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_small_texts_ends_a_call_that_nobody_reads() {
    let (_handle, mut events, _server) = burst(20_000).await;
    sleep(Duration::from_secs(1)).await;
    let mut all = rest(&mut events).await;
    assert_eq!(all.pop(), Some(Event::Closed { reason: CloseReason::ConsumerTooSlow }));
    assert!((16_385..16_385 + 64).contains(&all.len()), "{}", all.len());
}

/// The end of a call with this many open functions, after this many texts that nobody read.
async fn end_with_open_functions(functions: usize, texts: usize) -> (usize, u64, CloseReason) {
    let bounds = Bounds::default().events(40);
    let (_handle, mut events, mut server) = ready(ClientOptions::default().bounds(bounds)).await;
    server.begin_response("resp_1", "item_1").await;
    let output: Vec<_> = (0..functions)
        .map(|n| {
            let id = format!("item_{}", n + 2);
            let call_id = format!("call_{n}");
            json!({"id": id, "type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"})
        })
        .collect();
    let response = json!({"id": "resp_1", "status": "completed", "output": output});
    server.send(json!({"type": "response.done", "response": response})).await;
    for n in 0..texts {
        server.send(json!({"type": "brand.new", "n": n})).await;
    }
    // It closes, or the client did.
    let _ = server.ws.close(None).await;
    while let Some(Ok(_)) = server.ws.next().await {}
    drop(server);
    let mut all = rest(&mut events).await;
    let Some(Event::Closed { reason }) = all.pop() else { panic!("the end is not told last") };
    let dropped = match all.last() {
        Some(Event::Notice(Notice::EventsDropped { events })) => *events,
        _ => 0,
    };
    let ended = all.iter().filter(|event| matches!(event, Event::FunctionEnded { .. })).count();
    (ended, dropped, reason)
}

#[tokio::test(start_paused = true)]
async fn what_the_end_of_a_call_tells_is_not_lost_without_a_word() {
    let (ended, dropped, reason) = end_with_open_functions(120, 0).await;
    assert_eq!((ended, dropped), (120, 0));
    assert!(matches!(reason, CloseReason::Disconnected(_)), "{reason:?}");

    let (ended, dropped, reason) = end_with_open_functions(120, 60).await;
    assert_eq!((ended as u64 + dropped, reason), (120, CloseReason::ConsumerTooSlow));
    assert!((30..=40).contains(&ended), "as much again is kept: {ended}");
}

#[tokio::test(start_paused = true)]
async fn nobody_reading_events_stops_nothing() {
    let bounds = Bounds::default().events(10);
    let (handle, events, mut server) = ready(ClientOptions::default().bounds(bounds)).await;
    drop(events);
    for n in 0..100 {
        server.send(json!({"type": "brand.new", "n": n})).await;
    }
    let far = async {
        server.expect("input_audio_buffer.clear").await;
        server.send(json!({"type": "input_audio_buffer.cleared"})).await;
    };
    let (cleared, ()) = tokio::join!(handle.clear_audio(), far);
    assert_eq!(cleared, Ok(()));
}

/// 20 ms of PCM at 24 kHz.
const CHUNK: usize = 960;

/// Talks for so long in real time, to a server that reads nothing meanwhile. The pipe holds 4 KiB each way.
async fn talk_to_a_stalled_server(bounds: Bounds, seconds: u64) -> (Vec<usize>, usize) {
    let log = MemoryLog::new();
    let options = ClientOptions::default().bounds(bounds).log(log.clone());
    let (handle, mut events, mut server) = connect_through(4096, options).await;
    server.open().await;
    let chunks = seconds * 50;
    for n in 0..chunks {
        if n == chunks / 2 {
            handle.send(Command::ClearAudio {}).unwrap();
        }
        handle.append_audio(vec![0; CHUNK]).unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    // It reads again.
    let last = handle.send(Command::ClearAudio {}).unwrap();
    let (mut appends, mut clears) = (Vec::new(), 0);
    while clears < 2 {
        let event = server.receive().await;
        if event["type"] == "input_audio_buffer.clear" {
            clears += 1;
            server.send(json!({"type": "input_audio_buffer.cleared"})).await;
        } else {
            let audio = Audio::from_base64(event["audio"].as_str().unwrap());
            appends.push(audio.bytes().unwrap().len());
        }
    }
    last.await.unwrap();
    server.ws.close(None).await.unwrap();
    let lost = lost_ms(&mut events).await;
    let sent: usize = appends.iter().sum();
    assert_eq!(sent / CHUNK * 20 + lost, chunks as usize * 20, "nothing is lost without being told");
    replays(&log.text());
    (appends, lost)
}

async fn lost_ms(events: &mut Events) -> usize {
    let lost = rest(events).await.into_iter().filter_map(|event| match event {
        Event::Warning(Warning::InputAudioDropped { lost }) => Some(lost.as_millis() as usize),
        _ => None,
    });
    lost.sum()
}

#[tokio::test(start_paused = true)]
async fn a_stalled_connection_gets_no_audio_older_than_the_limit() {
    let (appends, lost) = talk_to_a_stalled_server(Bounds::default(), 10).await;
    // Besides what the pipe and the socket hold.
    assert!((7_500..=8_000).contains(&lost), "{lost}");
    let newest = *appends.last().unwrap();
    let two_seconds = AudioFormat::PCM16_24K.bytes_per_second() as usize * 2;
    assert!((two_seconds - CHUNK..=two_seconds).contains(&newest), "one append for what waited: {appends:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn the_systems_own_buffers_hold_little_of_a_stalled_call() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let endpoint = at(&format!("ws://{}", listener.local_addr().unwrap()), "m");
    // The server reads nothing more.
    let far = async {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut server = Server::accept(stream).await;
        server.open().await;
        server
    };
    let options = ClientOptions::default().keepalive(None);
    let (client, server) = tokio::join!(Client::connect(endpoint, options), far);
    let (handle, mut events) = client.unwrap().split();
    while !matches!(next(&mut events).await, Event::Ready { .. }) {}
    for _ in 0..120 {
        for _ in 0..50 {
            handle.append_audio(vec![0; CHUNK]).unwrap();
        }
        sleep(Duration::from_secs(1)).await;
    }
    let dropped = handle.counters().input_audio_dropped_bytes;
    let held = (120 * 50 * CHUNK) as u64 - dropped;
    assert!(held < 500_000, "{held} bytes wait for a server that does not read");
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn without_an_age_limit_only_the_bound_counts() {
    let bounds = Bounds::default().input_audio_age(None);
    let (_, lost) = talk_to_a_stalled_server(bounds, 10).await;
    assert_eq!(lost, 0);
    let bounds = bounds.input_audio_bytes(48_000);
    let (_, lost) = talk_to_a_stalled_server(bounds, 10).await;
    assert!((8_500..=9_000).contains(&lost), "{lost}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_sign_of_life_is_lost_and_a_quiet_one_is_not() {
    let (_handle, mut events, mut server) = ready(ClientOptions::default()).await;
    assert!(timeout(Duration::from_secs(600), server.next()).await.is_err(), "nothing but pings");
    assert_eq!(events.try_next(), None);
    // From now on it reads no more.
    let began = Instant::now();
    let end = rest(&mut events).await.pop();
    let Some(Event::Closed { reason: CloseReason::Disconnected(DisconnectReason::Lost { reason }) }) = end
    else {
        panic!("expected a lost connection, got {end:?}")
    };
    assert_eq!(reason, "no pong or data within 30 s");
    assert!((15..=45).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_client_told_not_to_ask_waits_for_ever() {
    let (handle, mut events, server) = ready(ClientOptions::default().keepalive(None)).await;
    sleep(Duration::from_secs(3000)).await;
    assert_eq!((events.try_next(), handle.is_closed()), (None, false));
    drop(server);
}
