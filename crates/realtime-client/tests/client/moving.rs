//! A call that goes on in another process: after a loss from a snapshot, or in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use realtime_client::{ClientOptions, Keeper};
use realtime_context::{Function, OnTakeover, ToolPolicy, Toolbox};
use realtime_protocol::call::{Command, ConnectionEvent, Event};
use realtime_protocol::item::Item;
use realtime_protocol::session::{Begin, PlaybackSource, SessionOptions};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn who_goes_on_with_a_snapshot_treats_a_function_that_ran_as_its_tool_says() {
    for (rule, output, runs) in [
        (OnTakeover::Again, json!({"x": 1}), 2),
        (
            OnTakeover::Unknown,
            json!({"error": "the connection to the function was lost: nobody knows whether it did its work"}),
            1,
        ),
    ] {
        let count = Arc::new(AtomicUsize::new(0));
        let options = |entropy| attaching(entropy).toolbox(toolbox(rule, &count));
        let keeper = Keeper::new();
        let (handle, events, mut server) = connect(options(1).keeper(&keeper)).await;
        server.send(json!({"type": "session.created", "session": {"id": "sess"}})).await;
        server.send(json!({"type": "response.done", "response": called()})).await;
        sleep(Duration::from_secs(1)).await;
        let snapshot = keeper.snapshot().await.unwrap();
        assert_eq!(snapshot.functions().count(), 1);
        drop((handle, events, server)); // as if the process were killed: nothing is said

        let (_handle, mut events, mut server) = connect(options(2).resume(snapshot)).await;
        server.send(json!({"type": "session.created", "session": {"id": "sess"}})).await;
        let is_resumed = |event: &Event| matches!(event, Event::Connection(ConnectionEvent::Resumed { .. }));
        while !is_resumed(&next(&mut events).await) {}
        let answer = loop {
            let event = server.receive().await;
            if event["type"] == "conversation.item.create" {
                break event["item"].clone();
            }
        };
        assert_eq!((&answer["type"], &answer["call_id"]), (&json!("function_call_output"), &json!("c")));
        let told: Value = serde_json::from_str(answer["output"].as_str().unwrap()).unwrap();
        assert_eq!((told, count.load(Ordering::Relaxed)), (output, runs));
        server.expect("response.create").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_call_ends_without_a_word_and_its_log_and_the_next_one_replay() {
    let (first, second) = (Lines::default(), Lines::default());
    let keeper = Keeper::new();
    let options = attaching(1).keeper(&keeper).log(first.clone());
    let (handle, mut events, mut server) = connect(options).await;
    server.send(json!({"type": "session.created", "session": {"id": "sess"}})).await;
    next(&mut events).await;
    next(&mut events).await;
    let suspended = keeper.suspend().await.unwrap();
    assert!(matches!(rest(&mut events).await[..], [Event::Connection(ConnectionEvent::Suspended { .. })]));
    assert!(server.expect_close().await.is_some_and(|close| u16::from(close.code) == 1000));
    let item = Box::new(Item::user_text("late"));
    assert!(handle.send(Command::CreateItem { item, after: None, respond: false }).is_err());
    assert!(keeper.snapshot().await.is_none() && keeper.suspend().await.is_none());
    replays(&first.text());

    let options = attaching(1).resume(suspended).log(second.clone());
    let (handle, mut events, mut server) = connect(options).await;
    server.send(json!({"type": "session.created", "session": {"id": "sess"}})).await;
    let sent = handle.send(Command::CreateItem {
        item: Box::new(Item::user_text("Hi")),
        after: None,
        respond: false,
    });
    let item = server.expect("conversation.item.create").await["item"].clone();
    server.send(json!({"type": "conversation.item.added", "item": item})).await;
    assert!(sent.unwrap().await.is_ok());
    handle.close().await.unwrap();
    rest(&mut events).await;
    replays(&second.text());
}

fn attaching(entropy: u64) -> ClientOptions {
    let session = SessionOptions::default().begin(Begin::Attach).playback(PlaybackSource::Server);
    session.entropy(entropy).into()
}

fn toolbox(rule: OnTakeover, count: &Arc<AtomicUsize>) -> Toolbox {
    let count = Arc::clone(count);
    let handler = move |args: Value| {
        let is_first = count.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            Ok::<_, &str>(args)
        }
    };
    let policy = ToolPolicy::new().on_takeover(rule);
    Toolbox::new().with(Function::raw("book", "Books.", json!({"type": "object"}), handler).policy(policy))
}

fn called() -> Value {
    let item = json!({"type": "function_call", "id": "i", "call_id": "c", "name": "book",
        "arguments": r#"{"x":1}"#, "status": "completed"});
    json!({"id": "r", "status": "completed", "output": [item]})
}
