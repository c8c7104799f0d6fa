//! What the application gave to run panics: the call tells which, and ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use realtime_client::{ClientOptions, Error, LogSink};
use realtime_protocol::call::{CloseReason, Command, Event, Listener, Notice, Out, Reconnect, Seed};
use realtime_protocol::id::ItemId;
use realtime_protocol::item::Item;
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::json;

use crate::support::{Lines, call, next, ready, replays, rest};

/// Panics at the first piece of text, and when it is dropped.
struct AtText;

impl Listener for AtText {
    fn on_event(&mut self, _: Timestamp, _: UnixTime, event: &Event, _: &mut Out<'_>) {
        assert!(!matches!(event, Event::Text { .. }), "on purpose");
    }
}

impl Drop for AtText {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

/// Panics when it is asked for its deadline after a text.
struct AfterText(bool);

impl Listener for AfterText {
    fn on_event(&mut self, _: Timestamp, _: UnixTime, event: &Event, _: &mut Out<'_>) {
        self.0 |= matches!(event, Event::Text { .. });
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        assert!(!self.0, "on purpose");
        None
    }
}

fn panicked(what: &str) -> [Event; 2] {
    let reason = CloseReason::Panicked { what: what.into() };
    [Event::Notice(Notice::Panicked { what: what.into() }), Event::Closed { reason }]
}

/// The model says something; then all that the application hears.
async fn speak(options: ClientOptions) -> Vec<Event> {
    let log = Lines::default();
    let (handle, mut events, mut server) = ready(options.log(log.clone())).await;
    server.begin_response("r", "i").await;
    for delta in ["I guarantee", " a refund"] {
        server
            .send(json!({
                "type": "response.output_text.delta", "response_id": "r", "item_id": "i",
                "output_index": 0, "content_index": 0, "delta": delta,
            }))
            .await;
    }
    let asked = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ask("Really?").await.is_err() }
    });
    let all = rest(&mut events).await;
    assert!(asked.await.unwrap() && handle.ask("Again?").await.is_err());
    replays(&log.text());
    all
}

fn ends_as(all: &[Event], what: &str) {
    let told: Vec<&Event> = all.iter().filter(|event| panicked(what).contains(event)).collect();
    assert_eq!(told, panicked(what).iter().collect::<Vec<_>>(), "{all:?}");
    assert_eq!(all.last(), told.last().copied());
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_is_named_and_ends_the_call() {
    ends_as(&speak(ClientOptions::default().listener(AtText)).await, "listener 1");
    let second = ClientOptions::default().listener(Hears).listener(AfterText(false));
    ends_as(&speak(second).await, "listener 2");
}

#[cfg(feature = "tools")]
#[tokio::test(start_paused = true)]
async fn no_word_is_said_after_a_guard_has_panicked() {
    use realtime_context::{Said, Verdict};

    let options = ClientOptions::default()
        .guard(|_: &Said<'_>| Verdict::Pass)
        .guard(|_: &Said<'_>| -> Verdict { panic!("on purpose") });
    let all = speak(options).await;
    ends_as(&all, "guard 2");
    let words = all.iter().filter(|event| matches!(event, Event::Text { .. }));
    assert_eq!(words.count(), 1, "the one at which it panicked: {all:?}");
}

#[cfg(feature = "tools")]
#[tokio::test(start_paused = true)]
async fn a_summariser_that_panics_ends_the_call_and_leaves_the_conversation_whole() {
    use realtime_context::budget::Policy;
    use realtime_context::{Conversation, Message};

    let conversation = Conversation::from_messages((0..9).map(|n| Message::user(format!("Question {n}"))))
        .summariser(|_| panic!("on purpose"))
        .budget(Policy::Summarise, 1);
    let options = ClientOptions::default().conversation(conversation.clone());
    let (_handle, mut events, mut server) = crate::support::connect(options).await;
    server.open().await;
    server.begin_response("r", "i").await;
    server.end_response("r").await;
    ends_as(&rest(&mut events).await, "the conversation");
    assert_eq!(conversation.messages().len(), 9);
}

#[tokio::test(start_paused = true)]
async fn what_reseeds_may_panic() {
    let reseed = |_: &[ItemId]| -> Seed { panic!("on purpose") };
    let options = ClientOptions::default().reseed(reseed).reconnect(Reconnect::default());
    let (_handle, mut events, mut server, mut calls) = call(options).await;
    server.open().await;
    while !matches!(next(&mut events).await, Event::Ready { .. }) {}
    drop(server);
    let second = tokio::spawn(async move {
        let mut server = calls.accept().await;
        server.open().await;
        server
    });
    ends_as(&rest(&mut events).await, "what reseeds");
    drop(second.await);
}

/// Panics at the second line.
struct Broken(u32);

impl LogSink for Broken {
    fn write(&mut self, _: &str) -> io::Result<()> {
        self.0 += 1;
        assert!(self.0 < 2, "on purpose");
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_panics_ends_and_the_call_goes_on() {
    let (handle, mut events, mut server) =
        crate::support::connect(ClientOptions::default().log(Broken(0))).await;
    server.open().await;
    drop(handle);
    let all = rest(&mut events).await;
    assert!(all.iter().any(|event| matches!(event, Event::Notice(Notice::LogFailed { .. }))), "{all:?}");
    assert_eq!(all.last(), Some(&Event::Closed { reason: CloseReason::Requested }));
}

#[tokio::test(start_paused = true)]
async fn a_panic_without_a_place_of_its_own_ends_the_call_and_leaves_nobody_waiting() {
    let is_due = Arc::new(AtomicBool::new(false));
    let wall = {
        let is_due = Arc::clone(&is_due);
        move || {
            assert!(!is_due.load(Ordering::Relaxed), "on purpose");
            UnixTime::from_secs(1)
        }
    };
    let options = ClientOptions::default().listener(Hears).wall(wall);
    let (handle, mut events, mut server) = ready(options).await;
    let waiting = handle.send(Command::RetrieveItem { item_id: "item_1".into() }).unwrap();
    server.expect("conversation.item.retrieve").await;
    is_due.store(true, Ordering::Relaxed);
    let item = json!({"id": "item_1", "type": "message", "role": "user", "content": []});
    server.send(json!({"type": "conversation.item.retrieved", "item": item})).await;
    let reason = CloseReason::Panicked { what: "the client's task".into() };
    assert_eq!(waiting.await, Err(Error::Closed { reason: Some(reason.clone()) }));
    assert_eq!(rest(&mut events).await, [Event::Closed { reason }]);
    let error = handle.create_item(Item::user_text("hello")).await.unwrap_err();
    let expected = "cannot create_item: the session has ended: the client's task panicked";
    assert_eq!(error.to_string(), expected);
}

/// Has the client look at the clock.
struct Hears;

impl Listener for Hears {
    fn on_event(&mut self, _: Timestamp, _: UnixTime, _: &Event, _: &mut Out<'_>) {}
}
