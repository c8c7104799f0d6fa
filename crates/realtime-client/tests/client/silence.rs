//! A server that falls silent, at each phase: everyone who waits is told at the deadline, and what was due.

use std::future::pending;
use std::io;
use std::time::Duration;

use realtime_client::{Client, ClientOptions, ConnectError, Error, Events, Phase};
use realtime_protocol::call::{
    CloseReason, Command, ConnectionEvent, DisconnectClass, DisconnectReason, Event, Outcome, Reconnect,
    ResponseEnd, Warning,
};
use realtime_protocol::event::Dialect;
use realtime_protocol::field::Field;
use realtime_protocol::item::Item;
use realtime_protocol::session::{Answer, SessionOptions};
use realtime_protocol::session_config::SessionConfig;
use serde_json::json;
use tokio::io::{DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_the_handshake_is_left_at_the_deadline() {
    let (near, _far) = duplex(4096);
    let began = Instant::now();
    let error = Client::over(near, &endpoint(), ClientOptions::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { phase: Phase::WebSocket, .. }), "{error}");
    assert!(error.is_retryable());
    assert_took(began, 10);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_opens_is_given_up_at_the_deadline() {
    let began = Instant::now();
    let never = || pending::<io::Result<DuplexStream>>();
    let error = Client::over_streams(never, endpoint(), ClientOptions::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { phase: Phase::Tcp, .. }), "{error}");
    assert_took(began, 10);
    let refused = || async { Err::<DuplexStream, _>(io::Error::other("no")) };
    let error = Client::over_streams(refused, endpoint(), ClientOptions::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_is_not_acknowledged_counts_as_taken() {
    let (handle, mut events, mut server) = connect(ClientOptions::default()).await;
    let waiting = handle.send(Command::ClearAudio {}).unwrap();
    let began = Instant::now();
    server.send(json!({"type": "session.created", "session": {"id": "sess_1"}})).await;
    server.expect("session.update").await;
    assert!(matches!(next(&mut events).await, Event::Created { .. }));
    assert_eq!(next(&mut events).await, Event::Warning(Warning::ConfigUnacknowledged));
    assert!(matches!(next(&mut events).await, Event::Ready { .. }));
    assert_took(began, 5);
    // What waited goes out then.
    server.expect("input_audio_buffer.clear").await;
    server.send(json!({"type": "input_audio_buffer.cleared"})).await;
    assert!(waiting.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_command_that_the_server_does_not_answer_ends_at_its_deadline() {
    let item = || Box::new(Item::user_text("hello"));
    let config = SessionConfig::realtime().instructions("Be brief.");
    for (command, answer) in [
        (Command::CreateItem { item: item(), after: None, respond: false }, Answer::ItemAdded),
        (Command::DeleteItem { item_id: "item_1".into() }, Answer::ItemDeleted),
        (Command::RetrieveItem { item_id: "item_1".into() }, Answer::ItemRetrieved),
        (Command::CreateResponse { params: None, protected: false }, Answer::ResponseCreated),
        (Command::CommitAudio { respond: false }, Answer::Committed),
        (Command::ClearAudio {}, Answer::Cleared),
        (Command::UpdateConfig { config: Box::new(config) }, Answer::SessionUpdated),
    ] {
        let name = command.name();
        let (handle, mut events, mut server) = ready(manual()).await;
        handle.append_audio(vec![0; 9600]).unwrap();
        let began = Instant::now();
        let error = handle.send(command).unwrap().await.unwrap_err();
        assert_eq!(error, Error::TimedOut, "{name}");
        assert!(error.is_retryable());
        assert_took(began, 10);
        let mut told = next(&mut events).await;
        if matches!(told, Event::ItemSent { .. }) {
            told = next(&mut events).await;
        }
        assert_eq!(told, Event::Overdue { answer, rotate: false }, "{name}");
        // The session goes on.
        let far = async {
            while server.receive().await["type"] != "conversation.item.delete" {}
            server.send(json!({"type": "conversation.item.deleted", "item_id": "item_2"})).await;
        };
        let (deleted, ()) = tokio::join!(handle.delete_item("item_2"), far);
        assert_eq!(deleted, Ok(()), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_gives_nothing_ends_for_those_who_wait_and_another_may_follow() {
    for (output, answer) in [(false, Answer::FirstOutput), (true, Answer::NextOutput)] {
        let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
        let began = Instant::now();
        let asked = tokio::spawn({
            let handle = handle.clone();
            async move { handle.create_response(None).await }
        });
        server.expect("response.create").await;
        let created = json!({"id": "resp_1", "status": "in_progress"});
        server.send(json!({"type": "response.created", "response": created})).await;
        if output {
            server.audio("resp_1", "item_1", "AAAA").await;
        }
        // It reads on, so that pings are answered.
        assert!(timeout(Duration::from_millis(30_001), server.next()).await.is_err());
        assert!(told_overdue(&mut events, answer).await);
        assert!(!asked.is_finished(), "it may still come");
        assert!(timeout(Duration::from_millis(9_998), server.next()).await.is_err());
        assert_eq!(asked.await.unwrap(), Err(Error::TimedOut), "{answer:?}");
        assert_took(began, 40);

        // The next one does not wait for it forever.
        let far = async {
            server.expect("response.create").await;
            server.begin_response("resp_2", "item_2").await;
            server.end_response("resp_2").await;
        };
        let (second, ()) = tokio::join!(handle.create_response(None), far);
        assert_eq!(second.unwrap().into_result(), Ok("resp_2".into()));
        assert_took(began, 40);
        // It ends after all, once.
        server.end_response("resp_1").await;
        loop {
            if let Event::ResponseFinished(report) = next(&mut events).await
                && report.response_id.as_str() == "resp_1"
            {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_is_not_answered_ends_at_its_deadline() {
    let (handle, mut events, mut server) = ready(ClientOptions::default()).await;
    let asked = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
    server.expect("response.create").await;
    server.begin_response("resp_1", "item_1").await;
    server.audio("resp_1", "item_1", "AAAA").await;
    while !matches!(next(&mut events).await, Event::Audio(_)) {}
    let began = Instant::now();
    let mute = tokio::spawn(async move {
        server.expect("response.cancel").await;
        timeout(Duration::from_secs(100), server.next()).await.is_err()
    });
    assert_eq!(handle.cancel_response().await, Err(Error::TimedOut));
    assert_took(began, 10);
    assert!(told_overdue(&mut events, Answer::ResponseDone).await);
    assert_eq!(asked.await, Err(Error::TimedOut));
    assert_took(began, 40);
    assert!(mute.await.unwrap(), "nothing else is asked of it");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_gone_without_a_word_is_followed_by_another() {
    let options = ClientOptions::default().reconnect(Reconnect::default());
    let (handle, mut events, mut server, mut calls) = call(options).await;
    server.open().await;
    while !matches!(next(&mut events).await, Event::Ready { .. }) {}
    let retrieved = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
    // From now on it neither reads, writes nor closes the connection, like a pulled cable.
    let began = Instant::now();
    sleep(Duration::from_secs(40)).await;
    assert_eq!(retrieved.await, Err(Error::TimedOut));
    let asked = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
    let mut second = calls.accept().await;
    assert!((30..46).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    second.open().await;
    second.expect("response.create").await;
    second.begin_response("resp_1", "item_1").await;
    second.end_response("resp_1").await;
    assert!(matches!(asked.await, Ok(Outcome::Responded { end: ResponseEnd::Completed, .. })));
    let all: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
    let at = |wanted: fn(&Event) -> bool| all.iter().position(wanted).unwrap_or_else(|| panic!("{all:?}"));
    let lost = at(|event| {
        let Event::Connection(ConnectionEvent::Lost { reason, class, retry_at }) = event else {
            return false;
        };
        matches!(reason, CloseReason::Disconnected(DisconnectReason::Lost { .. }))
            && *class == DisconnectClass::Transient
            && retry_at.is_some()
    });
    let again =
        at(|event| matches!(event, Event::Connection(ConnectionEvent::Retrying { attempt: 1, endpoint: 0 })));
    let back = at(|event| matches!(event, Event::Connection(ConnectionEvent::Resumed { .. })));
    assert!(lost < again && again < back, "{all:?}");
}

/// A session without turn detection.
fn manual() -> SessionOptions {
    let mut config = SessionConfig::realtime();
    config.input_mut().turn_detection = Field::Null;
    SessionOptions::default().config(config).dialect(Dialect::Ga)
}

#[track_caller]
fn assert_took(began: Instant, secs: u128) {
    let took = began.elapsed().as_millis();
    assert!((secs * 1000..=secs * 1000 + 10).contains(&took), "{took} ms");
}

async fn told_overdue(events: &mut Events, answer: Answer) -> bool {
    loop {
        if let Event::Overdue { answer: told, rotate } = next(events).await {
            return told == answer && !rotate;
        }
    }
}
