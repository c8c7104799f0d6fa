//! A connection that ends is followed by another, over loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::*;
use realtime_client::{ApiKey, Client, ClientOptions, ConnectError, MemoryLog};
use realtime_protocol::call::{
    Backoff, CloseReason, ConnectionEvent, DisconnectReason, Event, Reconnect, Reseed, Seed,
};
use realtime_protocol::id::ItemId;
use realtime_protocol::item::Item;
use realtime_protocol::session::SessionOptions;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Knows what was said.
fn history(carried: &[ItemId]) -> Seed {
    assert_eq!(carried.len(), 0);
    let mut item = Item::user_text("what was said before");
    item.set_id("history".into());
    Seed { items: vec![item], ..Seed::default() }
}

#[tokio::test]
async fn a_token_that_has_ended_is_asked_for_anew_and_a_key_is_not() {
    for asks in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = at(&format!("ws://{}", listener.local_addr().unwrap()), "m");
        let given = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&given);
        let endpoint = if asks {
            endpoint.token_provider(move || {
                let number = counted.fetch_add(1, Ordering::Relaxed);
                async move { Ok::<_, &str>(ApiKey::new(format!("token-{number}"))) }
            })
        } else {
            endpoint.key(KEY)
        };
        let far = async {
            let mut server = Server::accept(listener.accept().await.unwrap().0).await;
            server.open().await;
            server.ws.close(None).await.unwrap();
            drop(server);
            let (mut stream, _) = listener.accept().await.unwrap();
            let _head = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            drop(stream);
            if asks {
                let mut server = Server::accept(listener.accept().await.unwrap().0).await;
                server.open().await;
                server.expect_close().await;
            }
        };
        let near = async {
            let backoff = Backoff::default().first(Duration::from_millis(10));
            let options = ClientOptions::default().reconnect(Reconnect::default().backoff(backoff));
            let (handle, mut events) = Client::connect(endpoint, options).await.unwrap().split();
            loop {
                match next(&mut events).await {
                    Event::Connection(ConnectionEvent::Resumed { .. }) => {
                        return handle.close().await.unwrap();
                    }
                    Event::Closed { reason } => {
                        assert!(
                            !asks
                                && matches!(
                                    reason,
                                    CloseReason::Disconnected(DisconnectReason::Refused { status: 401, .. })
                                ),
                            "{reason}"
                        );
                        return;
                    }
                    _ => {}
                }
            }
        };
        tokio::join!(near, far);
        assert_eq!(given.load(Ordering::Relaxed), if asks { 3 } else { 0 });
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_gives_way_to_the_next() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let next_best = at(&format!("ws://{}", listener.local_addr().unwrap()), "second");
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let first = at(&format!("ws://{}", gone.local_addr().unwrap()), "first");
    drop(gone);
    let options = ClientOptions::default().fallback(next_best.clone());
    let far = async {
        let mut server = Server::accept(listener.accept().await.unwrap().0).await;
        server.open().await;
        server.expect_close().await;
    };
    let near = async {
        let (handle, mut events) = Client::connect(first.clone(), options).await.unwrap().split();
        assert!(matches!(
            next(&mut events).await,
            Event::Connection(ConnectionEvent::Lost { retry_at: Some(_), .. })
        ));
        assert!(matches!(
            next(&mut events).await,
            Event::Connection(ConnectionEvent::Retrying { endpoint: 1, .. })
        ));
        while !matches!(next(&mut events).await, Event::Ready { .. }) {}
        handle.close().await.unwrap();
    };
    tokio::join!(near, far);
    // A mistake in the endpoint is still the caller's error, and without another endpoint so is a failure.
    let broken = first.clone().key("not\na key");
    let options = ClientOptions::default().fallback(next_best);
    assert!(matches!(Client::connect(broken, options).await, Err(ConnectError::BadHeader { .. })));
    assert!(matches!(
        Client::connect(first, ClientOptions::default()).await,
        Err(ConnectError::Unreachable { .. })
    ));
}

#[tokio::test]
async fn a_server_that_hangs_up_is_called_again_and_told_what_was_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let endpoint = at(&url, "test-model");
    let log = MemoryLog::new();
    let backoff = Backoff::default().first(Duration::from_millis(10));
    let reconnect = Reconnect::default().backoff(backoff);
    let options =
        ClientOptions::new(SessionOptions::default()).log(log.clone()).reconnect(reconnect).reseed(history);

    let far = async {
        let mut server = Server::accept(listener.accept().await.unwrap().0).await;
        server.open().await;
        let create = server.expect("conversation.item.create").await;
        assert_eq!(create["item"]["content"][0]["text"], "hello");
        // In the middle of the answer to it.
        server.begin_response("first", "reply").await;
        let close = CloseFrame { code: CloseCode::Restart, reason: "maintenance".into() };
        server.send_message(Message::Close(Some(close))).await;
        drop(server);

        let mut server = Server::accept(listener.accept().await.unwrap().0).await;
        server.open().await;
        let before = server.expect("conversation.item.create").await;
        assert_eq!(before["item"]["id"], "history");
        server.send(json!({"type": "conversation.item.added", "item": before["item"]})).await;
        let carried = server.expect("conversation.item.create").await;
        assert_eq!(carried["item"]["content"][0]["text"], "hello");
        server.send(json!({"type": "conversation.item.added", "item": carried["item"]})).await;
        server.expect("response.create").await;
        server.begin_response("second", "reply").await;
        server.end_response("second").await;
        server.expect_close().await;
        carried["item"]["id"].as_str().unwrap().to_owned()
    };
    let near = async {
        let (handle, mut events) = Client::connect(endpoint, options).await.unwrap().split();
        let created = handle.send_text("hello", false).await.unwrap();
        loop {
            if let Event::ResponseFinished(report) = next(&mut events).await
                && report.response_id.as_str() == "second"
            {
                break;
            }
        }
        handle.close().await.unwrap();
        let rest = rest(&mut events).await;
        assert!(matches!(rest.last(), Some(Event::Closed { .. })));
        created
    };
    let (created, id) = tokio::join!(near, far);
    assert_eq!(created.as_str(), id, "one answer to the command, from the second connection");
    replays(&log.text());
}

/// Remembers the user's items.
#[derive(Default)]
struct Memory(Vec<Item>);

impl Reseed for Memory {
    fn observe(&mut self, event: &Event) {
        if let Event::ItemDone { item } = event {
            self.0.push((**item).clone());
        }
    }

    fn reseed(&mut self, _carried: &[ItemId], _largest: Option<usize>) -> Seed {
        Seed { items: self.0.clone(), ..Seed::default() }
    }
}

#[tokio::test]
async fn what_came_last_is_in_the_seed_although_nobody_has_read_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = at(&format!("ws://{}", listener.local_addr().unwrap()), "test-model");
    let backoff = Backoff::default().first(Duration::from_millis(10));
    let reconnect = Reconnect::default().backoff(backoff);
    let options =
        ClientOptions::new(SessionOptions::default()).reconnect(reconnect).reseed(Memory::default());
    let far = async {
        let mut server = Server::accept(listener.accept().await.unwrap().0).await;
        server.open().await;
        let content = json!([{"type": "input_text", "text": "said last"}]);
        let item = json!({"type": "message", "id": "last", "role": "user", "content": content});
        for kind in ["conversation.item.added", "conversation.item.done"] {
            server.send(json!({"type": kind, "item": item})).await;
        }
        drop(server);
        let mut server = Server::accept(listener.accept().await.unwrap().0).await;
        server.open().await;
        let seeded = server.expect("conversation.item.create").await;
        assert_eq!(seeded["item"]["content"][0]["text"], "said last");
    };
    let (client, ()) = tokio::join!(Client::connect(endpoint, options), far);
    drop(client.unwrap()); // no event was read
}

/// Acknowledges an update with instructions that are trimmed.
#[cfg(feature = "tools")]
async fn acknowledge_trimmed<S>(server: &mut Server<S>) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut session = server.expect("session.update").await["session"].take();
    let asked = session["instructions"].as_str().unwrap_or_default().to_owned();
    session["instructions"] = json!(asked.trim());
    server.send(json!({"type": "session.updated", "session": session})).await;
    asked
}

#[cfg(feature = "tools")]
#[tokio::test(start_paused = true)]
async fn instructions_that_the_server_trims_outlive_every_connection_as_they_were_asked_for() {
    use realtime_context::{Conversation, Message};
    use realtime_protocol::session_config::SessionConfig;

    let conversation = Conversation::from_messages([Message::system("  Be brief. ")]);
    let options = ClientOptions::default().conversation(conversation.clone()).reconnect(Reconnect::default());
    let (handle, mut events, mut server, mut calls) = call(options).await;
    let created = json!({"type": "session.created", "session": {"id": "s"}});
    server.send(created.clone()).await;
    assert_eq!(acknowledge_trimmed(&mut server).await, "  Be brief. ");
    server.expect_silence().await;
    assert_eq!(conversation.instructions().as_deref(), Some("  Be brief. "));
    let sing = SessionConfig::default().instructions(" Sing. ");
    let (asked, updated) = tokio::join!(acknowledge_trimmed(&mut server), handle.update_config(sing));
    assert_eq!((asked.as_str(), updated.unwrap().instructions.as_deref()), (" Sing. ", Some(" Sing. ")));
    for _ in 0..2 {
        drop(server);
        server = calls.accept().await;
        server.send(created.clone()).await;
        assert_eq!(acknowledge_trimmed(&mut server).await, " Sing. ");
        while !matches!(next(&mut events).await, Event::Connection(ConnectionEvent::Resumed { .. })) {}
        server.expect_silence().await;
        assert_eq!(conversation.instructions().as_deref(), Some(" Sing. "));
    }
}
