//! Attempts to connect again: those that fail are followed by others, and not forever.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use realtime_client::{Client, ClientOptions, Error, Events};
use realtime_protocol::call::{
    Backoff, CloseReason, Command, ConnectFailure, ConnectionEvent, DisconnectReason, Event, Outcome,
    Reconnect,
};
use tokio::io::duplex;
use tokio::time::Instant;

use crate::support::*;

/// Attempts at fixed times: 1 s, 2 s, 4 s and so on after one another, and four of them.
fn four() -> ClientOptions {
    let backoff = Backoff::default().first(Duration::from_secs(1)).jitter_percent(0);
    let reconnect = Reconnect::default().backoff(backoff).attempts(4);
    ClientOptions::default().reconnect(reconnect)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_come_back_ends_the_call_and_all_who_wait() {
    let (near, far) = duplex(64 * 1024);
    let (mut first, attempts) = (Some(near), Arc::new(AtomicU32::new(0)));
    let open = {
        let attempts = Arc::clone(&attempts);
        move || {
            attempts.fetch_add(1, Ordering::Relaxed);
            let stream = first.take().ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused));
            async move { stream }
        }
    };
    let (client, mut server) =
        tokio::join!(Client::over_streams(open, endpoint(), four()), Server::accept(far));
    let (handle, mut events) = client.unwrap().split();
    server.open().await;
    let waiting = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
    server.expect("response.create").await;
    let began = Instant::now();
    drop(server);
    let (steps, reason) = to_the_end(&mut events).await;
    assert_eq!(steps, "- 1 - 2 - 3 - 4 !", "each loss is told, and the last has no attempt after it");
    assert_eq!(attempts.load(Ordering::Relaxed), 5);
    assert_eq!(began.elapsed().as_secs(), 1 + 2 + 4 + 8);
    assert!(
        matches!(
            &reason,
            CloseReason::Disconnected(DisconnectReason::NotConnected {
                failure: ConnectFailure::Unreachable,
                may_pass: true,
                reason,
            }) if reason.contains("refused")
        ),
        "{reason:?}"
    );
    assert_eq!(waiting.await, Err(Error::Closed { reason: Some(reason) }));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_each_call_and_hangs_up_is_not_called_forever() {
    let (_handle, mut events, mut server, mut calls) = call(four()).await;
    let far = async {
        for attempt in 0..=4 {
            server.open().await;
            drop(server);
            if attempt == 4 {
                break;
            }
            server = calls.accept().await;
        }
        calls
    };
    let (mut calls, (steps, _)) = tokio::join!(far, to_the_end(&mut events));
    assert!(steps.ends_with(" 4 !") || steps.ends_with(" 4 = !"), "{steps}");
    assert!(calls.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_gets_no_answer_is_followed_by_the_next() {
    let (handle, mut events, mut server, mut calls) = call(four()).await;
    server.open().await;
    drop(server);
    let asked = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
    // One is not answered, one is closed in the handshake, one never opens the session.
    let mute = calls.pipe().await;
    drop(calls.pipe().await);
    let _silent = calls.accept().await;
    let mut server = calls.accept().await;
    drop(mute);
    server.open().await;
    server.expect("response.create").await;
    server.begin_response("resp_1", "item_1").await;
    server.end_response("resp_1").await;
    assert!(matches!(asked.await, Ok(Outcome::Responded { .. })));
    drop(handle);
    server.expect_close().await;
    drop(server);
    let (steps, reason) = to_the_end(&mut events).await;
    assert_eq!((&*steps, reason), ("- 1 - 2 - 3 - 4 =", CloseReason::Requested));
}

/// What is told of the connections, in signs, and why the call ended: `-` a loss with an attempt to follow,
/// the number of each attempt, `=` another connection took over, `!` a loss with no attempt to follow.
async fn to_the_end(events: &mut Events) -> (String, CloseReason) {
    let mut steps = Vec::new();
    for event in rest(events).await {
        match event {
            Event::Connection(ConnectionEvent::Lost { retry_at: Some(_), .. }) => steps.push("-".to_owned()),
            Event::Connection(ConnectionEvent::Lost { .. }) => steps.push("!".to_owned()),
            Event::Connection(ConnectionEvent::Retrying { attempt, .. }) => steps.push(attempt.to_string()),
            Event::Connection(ConnectionEvent::Resumed { .. }) => steps.push("=".to_owned()),
            Event::Closed { reason } => return (steps.join(" "), reason),
            _ => {}
        }
    }
    panic!("no end: {steps:?}")
}
