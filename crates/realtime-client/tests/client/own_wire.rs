//! A call over wires that the application dials itself.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use realtime_client::{Client, ClientOptions, ConnectError, Endpoint, Error, Phase, Received, Wire};
use realtime_protocol::call::{
    CloseReason, Command, ConnectionEvent, DisconnectReason, Event, Outcome, Reconnect,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::*;

/// Wire texts through two queues.
struct Channel {
    to: mpsc::UnboundedSender<String>,
    from: mpsc::UnboundedReceiver<String>,
}

impl Wire for Channel {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        self.from.poll_recv(cx).map(|text| match text {
            Some(text) => Received::Text(text.into()),
            None => Received::Ended(DisconnectReason::Closed { code: Some(1000), reason: String::new() }),
        })
    }

    fn send(&mut self, text: String) {
        // A server that is gone is told by `poll_recv`.
        let _ = self.to.send(text);
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn has_room(&self) -> bool {
        !self.to.is_closed()
    }

    fn close(&mut self) {
        self.from.close();
    }
}

/// The server's end.
struct Far {
    to: mpsc::UnboundedSender<String>,
    from: mpsc::UnboundedReceiver<String>,
}

impl Far {
    fn send(&self, event: Value) {
        self.to.send(event.to_string()).unwrap();
    }

    async fn expect(&mut self, kind: &str) -> Value {
        let text = timeout(Duration::from_secs(60), self.from.recv()).await.expect("a text within a minute");
        let event: Value = serde_json::from_str(&text.expect("an open channel")).unwrap();
        assert_eq!(event["type"], kind, "{event}");
        event
    }

    async fn open(&mut self) {
        self.send(json!({"type": "session.created", "session": {"id": "sess_1"}}));
        let update = self.expect("session.update").await;
        self.send(json!({"type": "session.updated", "session": update["session"]}));
    }
}

fn channel() -> (Channel, Far) {
    let (to_far, from_near) = mpsc::unbounded_channel();
    let (to_near, from_far) = mpsc::unbounded_channel();
    (Channel { to: to_far, from: from_far }, Far { to: to_near, from: from_near })
}

#[tokio::test(start_paused = true)]
async fn a_conversation_runs_over_an_applications_own_wires_through_a_loss_to_its_close() {
    let (given, mut dialed) = mpsc::unbounded_channel();
    let dial = move |number: u32, endpoint: &Endpoint| {
        let (near, far) = channel();
        given.send((number, endpoint.model().to_owned(), far)).unwrap();
        async { Ok(Box::new(near) as Box<dyn Wire>) }
    };
    let options = ClientOptions::default().reconnect(Reconnect::default());
    let (handle, mut events) = Client::dial_with(dial, endpoint(), options).await.unwrap().split();
    let (number, model, mut far) = dialed.recv().await.unwrap();
    assert_eq!((number, model.as_str()), (0, "test-model"));
    far.open().await;
    while !matches!(next(&mut events).await, Event::Ready { .. }) {}

    drop(far);
    let (.., mut far) = dialed.recv().await.unwrap();
    far.open().await;
    while !matches!(next(&mut events).await, Event::Connection(ConnectionEvent::Resumed { .. })) {}
    let asked = handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
    far.expect("response.create").await;
    far.send(json!({"type": "response.created", "response": {"id": "r", "status": "in_progress"}}));
    far.send(json!({"type": "response.done", "response": {"id": "r", "status": "completed", "output": []}}));
    assert!(matches!(asked.await, Ok(Outcome::Responded { .. })));

    assert_eq!(handle.close().await, Ok(()));
    assert_eq!(rest(&mut events).await.pop(), Some(Event::Closed { reason: CloseReason::Requested }));
    let refused = handle.close().await;
    assert!(matches!(refused, Err(Error::Send(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn an_own_dial_fails_like_the_clients_and_within_the_same_deadline() {
    let refuse = |_: u32, endpoint: &Endpoint| {
        let (address, source) = (endpoint.url(), io::Error::from(io::ErrorKind::ConnectionRefused));
        async { Err(ConnectError::Unreachable { address, source }) }
    };
    let error = Client::dial_with(refuse, endpoint(), ClientOptions::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }) && error.is_retryable(), "{error}");

    let never = |_: u32, _: &Endpoint| std::future::pending();
    let patient = endpoint().connect_deadline(Duration::from_secs(3));
    let error = Client::dial_with(never, patient, ClientOptions::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { phase: Phase::Dial, .. }), "{error}");
}
