//! A conversation in a client: woken by what the application changes, and told to the session after a loss.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_client::{Client, ClientOptions, Endpoint, Events};
use realtime_context::{Conversation, History, Message};
use realtime_emulator::{Options, serve_stream};
use realtime_protocol::call::{ConnectionEvent, Event, Reconnect};
use realtime_protocol::session::SessionOptions;
use tokio::io::duplex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

async fn until(events: &mut Events, is_it: impl Fn(&Event) -> bool) {
    while let Some(event) = events.next().await {
        if is_it(&event) {
            return;
        }
    }
    panic!("the call has ended");
}

#[tokio::test(start_paused = true)]
async fn what_the_application_changes_reaches_the_server_and_outlives_a_connection() {
    let server: Arc<Mutex<Option<JoinHandle<()>>>> = Arc::default();
    let latest = Arc::clone(&server);
    let open = move || {
        let (near, far) = duplex(1 << 20);
        let task = tokio::spawn(async move { drop(serve_stream(far, Options::default()).await) });
        *latest.lock().expect("no panic") = Some(task);
        async move { Ok(near) }
    };
    let conversation =
        Conversation::from_messages([Message::system("Be brief."), Message::user("I am Zoë.")])
            .history(History::NativeItems);
    let options = ClientOptions::new(SessionOptions::default())
        .reconnect(Reconnect::default())
        .conversation(conversation.clone());
    let endpoint = Endpoint::new("ws://memory/v1/realtime", "gpt-realtime").expect("an address").key("k");
    let (handle, mut events) = Client::over_streams(open, endpoint, options).await.expect("a call").split();

    conversation.append_and_respond(Message::user("Hello"));
    until(&mut events, |event| matches!(event, Event::ResponseFinished(_))).await;
    let note = conversation.append(Message::system("A note."));
    sleep(Duration::from_secs(20)).await;
    let mirror = conversation.mirror();
    let items: Vec<_> = mirror.items_of(note).cloned().collect();
    assert_eq!(items.len(), 1);
    assert!(mirror.is_acknowledged(&items[0]));
    handle.retrieve_item(items[0].clone()).await.expect("the server has it");

    if let Some(task) = server.lock().expect("no panic").take() {
        task.abort();
    }
    let resumed = |event: &Event| matches!(event, Event::Connection(ConnectionEvent::Resumed { .. }));
    until(&mut events, resumed).await;
    sleep(Duration::from_secs(1)).await;
    let said: Vec<String> = conversation.messages().iter().map(Message::text).collect();
    assert_eq!((said.len(), said[4].as_str()), (5, "A note."), "{said:?}");
    let items: Vec<_> = conversation.mirror().items_of(note).cloned().collect();
    handle.retrieve_item(items[0].clone()).await.expect("the new session was told");
}
