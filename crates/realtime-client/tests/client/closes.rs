//! The server ends the connection, in every way and at every point: the reason is kept, every waiting command
//! is settled once, and what follows depends on the kind of end.

use futures_util::StreamExt;
use realtime_client::{ClientOptions, Error, SendError};
use realtime_protocol::call::{
    CloseReason, Command, ConnectionEvent, DisconnectClass, DisconnectReason, Event, Outcome, Reconnect,
    ResponseEnd,
};
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::*;

/// How a connection ends, and of what class that is.
const ENDS: [(Option<u16>, &str, DisconnectClass); 12] = [
    (Some(1000), "", DisconnectClass::Transient),
    (Some(1000), "bye", DisconnectClass::Transient),
    (Some(1001), "", DisconnectClass::Transient),
    (Some(1001), "session_expired", DisconnectClass::Expired),
    (None, "", DisconnectClass::Transient),
    (Some(1008), "", DisconnectClass::Transient),
    (Some(1008), "invalid_api_key", DisconnectClass::Account),
    (Some(1011), "", DisconnectClass::Transient),
    (Some(1011), "keepalive ping timeout", DisconnectClass::Transient),
    (Some(1013), "try again", DisconnectClass::Transient),
    (Some(4000), "", DisconnectClass::Account),
    (Some(4000), "beta is gone", DisconnectClass::Account),
];

/// The point of a session at which it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    Opened,
    Created,
    Ready,
    Answering,
}

const POINTS: [Point; 4] = [Point::Opened, Point::Created, Point::Ready, Point::Answering];

#[tokio::test(start_paused = true)]
async fn the_reason_is_kept_and_each_who_waits_is_told_once() {
    for (code, text, _) in ENDS {
        for point in POINTS {
            let what = format!("{code:?} {text:?} {point:?}");
            let (handle, mut events, mut server) = connect(ClientOptions::default()).await;
            let retrieved = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
            let asked = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
            lead_to(&mut server, point).await;
            let began = Instant::now();
            leave(server, code, text).await;

            let all = rest(&mut events).await;
            assert_eq!(began.elapsed().as_secs(), 0, "{what}");
            let Some(Event::Closed { reason }) = all.last() else { panic!("{what}: {all:?}") };
            assert_ended(reason, code, text, &what);
            let closed = Error::Closed { reason: Some(reason.clone()) };
            assert!(!closed.is_retryable(), "not in this session");
            assert_eq!(retrieved.await, Err(closed.clone()), "{what}");
            let lost = all.iter().filter_map(|event| match event {
                Event::ResponseFinished(report) => Some(&report.end),
                _ => None,
            });
            let lost: Vec<_> = lost.collect();
            if point == Point::Answering {
                assert_eq!(lost, [&ResponseEnd::Lost], "{what}");
                let lost = Outcome::Responded { response_id: "resp_1".into(), end: ResponseEnd::Lost };
                assert_eq!(asked.await, Ok(lost), "{what}");
            } else {
                assert!(lost.is_empty(), "{what}");
                assert_eq!(asked.await, Err(closed), "{what}");
            }
            assert!(handle.is_closed());
            let Err(SendError::Closed { reason: Some(told), .. }) = handle.append_audio(vec![0, 0]) else {
                panic!("{what}: a command was taken after the end")
            };
            assert_eq!(told, *reason, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_class_of_the_end_decides_whether_another_connection_follows() {
    for (code, text, class) in ENDS {
        for point in POINTS {
            let what = format!("{code:?} {text:?} {point:?}");
            let options = ClientOptions::default().reconnect(Reconnect::default());
            let (handle, mut events, mut server, mut calls) = call(options).await;
            let retrieved = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
            let asked = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
            lead_to(&mut server, point).await;
            leave(server, code, text).await;

            if class == DisconnectClass::Account {
                let all = rest(&mut events).await;
                let [
                    ..,
                    Event::Connection(ConnectionEvent::Lost { reason, class: told, retry_at: None }),
                    closed,
                ] = &all[..]
                else {
                    panic!("{what}: {all:?}")
                };
                assert_ended(reason, code, text, &what);
                assert_eq!(*told, class, "{what}");
                assert_eq!(*closed, Event::Closed { reason: reason.clone() }, "{what}");
                assert!(retrieved.await.is_err() && (asked.await.is_err() || point == Point::Answering));
                assert!(calls.is_quiet(), "{what}");
                continue;
            }
            let mut second = calls.accept().await;
            second.open().await;
            // What had not begun is asked of the new session.
            if point != Point::Answering {
                while second.receive().await["type"] != "response.create" {}
                second.begin_response("resp_2", "item_2").await;
                second.end_response("resp_2").await;
            }
            let end = asked.await;
            let Ok(Outcome::Responded { end, .. }) = end else { panic!("{what}: {end:?}") };
            let expected = if point == Point::Answering { ResponseEnd::Lost } else { ResponseEnd::Completed };
            assert_eq!(end, expected, "{what}");
            let mut all = Vec::new();
            while !matches!(all.last(), Some(Event::Connection(ConnectionEvent::Resumed { .. }))) {
                all.push(next(&mut events).await);
            }
            drop(handle);
            while !matches!(second.next().await, Message::Close(_)) {}
            drop(second);
            assert!(retrieved.await.is_err(), "{what}: it ended with its connection");

            all.extend(rest(&mut events).await);
            let told: Vec<&Event> = all.iter().filter(|event| is_of_the_connection(event)).collect();
            let [
                Event::Connection(ConnectionEvent::Lost { reason, class: told_class, retry_at: Some(_) }),
                rest @ ..,
            ] = &told[..]
            else {
                panic!("{what}: {told:?}")
            };
            assert_ended(reason, code, text, &what);
            assert_eq!(*told_class, class, "{what}");
            assert!(
                matches!(
                    rest,
                    [
                        Event::Connection(ConnectionEvent::Retrying { attempt: 1, endpoint: 0 }),
                        Event::Connection(ConnectionEvent::Resumed { .. }),
                        Event::Closed { reason: CloseReason::Requested },
                    ]
                ),
                "{what}: {rest:?}"
            );
            let ready = all.iter().filter(|event| matches!(event, Event::Ready { .. })).count();
            assert_eq!(ready, 1, "{what}: the call is ready once");
        }
    }
}

async fn lead_to(server: &mut Server<DuplexStream>, point: Point) {
    if point == Point::Opened {
        return;
    }
    server.send(json!({"type": "session.created", "session": {"id": "sess_1"}})).await;
    let update = server.expect("session.update").await;
    if point == Point::Created {
        return;
    }
    server.send(json!({"type": "session.updated", "session": update["session"]})).await;
    server.expect("conversation.item.retrieve").await;
    server.expect("response.create").await;
    if point == Point::Answering {
        server.begin_response("resp_1", "item_1").await;
        server.audio("resp_1", "item_1", "AAAA").await;
    }
}

/// Sends a close frame with this code, or just closes the stream.
async fn leave(mut server: Server<DuplexStream>, code: Option<u16>, text: &str) {
    if let Some(code) = code {
        let frame = CloseFrame { code: code.into(), reason: text.into() };
        server.send_message(Message::Close(Some(frame))).await;
        while server.ws.next().await.is_some_and(|message| !matches!(message, Ok(Message::Close(_)) | Err(_)))
        {
        }
    }
}

#[track_caller]
fn assert_ended(reason: &CloseReason, code: Option<u16>, text: &str, what: &str) {
    match reason {
        CloseReason::Disconnected(DisconnectReason::Closed { code: told, reason }) => {
            assert_eq!((*told, &**reason), (code, text), "{what}")
        }
        CloseReason::Disconnected(DisconnectReason::Lost { .. }) => assert_eq!(code, None, "{what}"),
        other => panic!("{what}: {other:?}"),
    }
}

const fn is_of_the_connection(event: &Event) -> bool {
    matches!(
        event,
        Event::Connection(ConnectionEvent::Lost { .. })
            | Event::Connection(ConnectionEvent::Retrying { .. })
            | Event::Connection(ConnectionEvent::Resumed { .. })
            | Event::Connection(ConnectionEvent::Rotated { .. })
            | Event::Closed { .. }
    )
}
