//! A scripted server.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_client::{Client, ClientOptions, Endpoint, Events, Handle, LogSink, WebSocketLibrary};
use realtime_protocol::call::Event;
use realtime_protocol::log::{Replay, read_header};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

pub(crate) const KEY: &str = "sk-canary-key";

/// The library of this run: the tests are built once for each.
pub(crate) fn library() -> WebSocketLibrary {
    #[cfg(feature = "tungstenite")]
    if env!("CARGO_CRATE_NAME") == "client_tungstenite" {
        return WebSocketLibrary::Tungstenite;
    }
    WebSocketLibrary::TokioWebsockets
}

/// An endpoint with this run's library.
pub(crate) fn at(base: &str, model: &str) -> Endpoint {
    Endpoint::new(base, model).unwrap().websocket(library())
}

pub(crate) fn endpoint() -> Endpoint {
    at("ws://memory", "test-model").key(KEY)
}

/// A server on one WebSocket.
pub(crate) struct Server<S> {
    pub(crate) ws: WebSocketStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Server<S> {
    pub(crate) async fn accept(stream: S) -> Self {
        Self { ws: accept_async(stream).await.unwrap() }
    }

    /// The next wire text.
    pub(crate) async fn receive(&mut self) -> Value {
        match self.message().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("expected text, got {other:?}"),
        }
    }

    /// The next wire text, which must be of that type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let event = self.receive().await;
        assert_eq!(event["type"], kind, "{event}");
        event
    }

    pub(crate) async fn expect_close(&mut self) -> Option<CloseFrame> {
        match self.message().await {
            Message::Close(frame) => frame,
            other => panic!("expected a close frame, got {other:?}"),
        }
    }

    /// Nothing comes for a second.
    pub(crate) async fn expect_silence(&mut self) {
        if let Ok(message) = timeout(Duration::from_secs(1), self.next()).await {
            panic!("expected nothing, got {message:?}");
        }
    }

    pub(crate) async fn send(&mut self, event: Value) {
        self.send_message(Message::text(event.to_string())).await;
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        self.ws.send(message).await.unwrap();
    }

    /// Opens the session and acknowledges its configuration.
    pub(crate) async fn open(&mut self) {
        self.send(json!({"type": "session.created", "session": {"id": "sess_1"}})).await;
        let update = self.expect("session.update").await;
        self.send(json!({"type": "session.updated", "session": update["session"]})).await;
    }

    /// A response with one message that holds that much audio (bytes), up to its last event.
    pub(crate) async fn begin_response(&mut self, id: &str, item_id: &str) {
        self.send(json!({"type": "response.created", "response": {"id": id, "status": "in_progress"}})).await;
        let item = json!({"id": item_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []});
        self.send(
            json!({"type": "response.output_item.added", "response_id": id, "output_index": 0, "item": item}),
        )
        .await;
    }

    pub(crate) async fn end_response(&mut self, id: &str) {
        self.send(
            json!({"type": "response.done", "response": {"id": id, "status": "completed", "output": []}}),
        )
        .await;
    }

    pub(crate) async fn audio(&mut self, id: &str, item_id: &str, base64: &str) {
        self.send(json!({
            "type": "response.output_audio.delta", "response_id": id, "item_id": item_id,
            "output_index": 0, "content_index": 0, "delta": base64,
        }))
        .await;
    }

    async fn message(&mut self) -> Message {
        timeout(Duration::from_secs(60), self.next()).await.expect("a message within a minute")
    }

    /// The next message; the WebSocket library answers pings meanwhile.
    pub(crate) async fn next(&mut self) -> Message {
        loop {
            match self.ws.next().await.expect("an open connection").unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    }
}

/// A client and its server over a pipe of that many bytes each way.
pub(crate) async fn connect_through(
    pipe: usize,
    options: impl Into<ClientOptions>,
) -> (Handle, Events, Server<DuplexStream>) {
    let (near, far) = duplex(pipe);
    let endpoint = endpoint();
    let (client, server) = tokio::join!(Client::over(near, &endpoint, options), Server::accept(far));
    let (handle, events) = client.unwrap().split();
    (handle, events, server)
}

pub(crate) async fn connect(options: impl Into<ClientOptions>) -> (Handle, Events, Server<DuplexStream>) {
    connect_through(64 * 1024, options).await
}

/// A client whose session is ready, and its server.
pub(crate) async fn ready(options: impl Into<ClientOptions>) -> (Handle, Events, Server<DuplexStream>) {
    let (handle, mut events, mut server) = connect(options).await;
    server.open().await;
    assert!(matches!(next(&mut events).await, Event::Created { .. }));
    assert!(matches!(next(&mut events).await, Event::Ready { .. }));
    (handle, events, server)
}

/// Reads the head of a request, and no byte more.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The next event, which must come within a minute.
pub(crate) async fn next(events: &mut Events) -> Event {
    let next = timeout(Duration::from_secs(60), events.next()).await;
    next.expect("an event within a minute").expect("an event before the end")
}

/// All events to the end, which must come within a minute.
pub(crate) async fn rest(events: &mut Events) -> Vec<Event> {
    let mut all = Vec::new();
    while let Some(event) =
        timeout(Duration::from_secs(60), events.next()).await.expect("the end within a minute")
    {
        all.push(event);
    }
    all
}

/// A log gives the same outputs again.
pub(crate) fn replays(text: &str) {
    let mut lines = text.lines();
    let mut replay = Replay::new(&read_header(lines.next().unwrap()).unwrap());
    for (index, line) in lines.enumerate() {
        replay.line(index + 2, line).unwrap();
    }
    assert_eq!(replay.finish(), None);
}

/// The server of a call that may have many connections: each attempt to connect is a pipe, taken here.
pub(crate) struct Calls {
    pipes: mpsc::UnboundedReceiver<DuplexStream>,
}

impl Calls {
    /// The next attempt to connect, which must come within a minute.
    pub(crate) async fn pipe(&mut self) -> DuplexStream {
        let pipe = timeout(Duration::from_secs(60), self.pipes.recv()).await;
        pipe.expect("an attempt within a minute").expect("a client that lives")
    }

    pub(crate) async fn accept(&mut self) -> Server<DuplexStream> {
        Server::accept(self.pipe().await).await
    }

    /// No attempt to connect is waiting.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.pipes.try_recv().is_err()
    }
}

/// A call that reconnects as it is told, its first connection, and those that follow.
pub(crate) async fn call(options: impl Into<ClientOptions>) -> (Handle, Events, Server<DuplexStream>, Calls) {
    let (given, pipes) = mpsc::unbounded_channel();
    let mut calls = Calls { pipes };
    let open = move || {
        let (near, far) = duplex(64 * 1024);
        let taken = given.send(far).map_err(|_| io::Error::other("nobody is there"));
        async move { taken.map(|()| near) }
    };
    let (client, server) = tokio::join!(Client::over_streams(open, endpoint(), options), calls.accept());
    let (handle, events) = client.unwrap().split();
    (handle, events, server, calls)
}

/// A session log in memory.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<String>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl LogSink for Lines {
    fn write(&mut self, line: &str) -> std::io::Result<()> {
        self.0.lock().unwrap().push_str(line);
        Ok(())
    }
}
