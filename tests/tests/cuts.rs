//! The golden sessions through a whole client, cut after every server event: what waits is resolved, and the
//! call ends, or goes on over another connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_client::{Client, ClientOptions, Endpoint, Events, Handle, Pending};
use realtime_protocol::call::{
    CloseReason, Command, ConnectionEvent, DisconnectClass, DisconnectReason, Event, Outcome, Reconnect,
    ResponseEnd,
};
use realtime_protocol::event::ClientEvent;
use realtime_protocol::item::Item;
use realtime_protocol::log::Input;
use realtime_protocol::time::UnixTime;
use realtime_tests::fake_server::FakeServer;
use realtime_tests::golden::Golden;
use realtime_tests::grammar::Order;
use realtime_tests::world::DAWN;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// The stream ends.
    Ended,
    /// Reading fails.
    Reset,
    /// A close frame comes.
    CloseFrame,
}

const CUTS: [Cut; 3] = [Cut::Ended, Cut::Reset, Cut::CloseFrame];

#[tokio::test(start_paused = true)]
async fn without_reconnecting_each_cut_ends_the_call_and_all_who_wait() {
    for (name, golden) in Golden::all() {
        for events in 0..=texts(&golden) {
            let cut = CUTS[events % CUTS.len()];
            let what = format!("{name} after {events} events: {cut:?}");
            let (mut run, _) = Run::to_the_cut(&golden, events, cut, None).await;
            let told = run.rest(&what).await;
            let Some(Event::Closed { reason }) = told.last() else { panic!("{what}: {told:?}") };
            let fits = match reason {
                CloseReason::Disconnected(DisconnectReason::Lost { .. }) => cut != Cut::CloseFrame,
                CloseReason::Disconnected(DisconnectReason::Closed { code: Some(1011), reason }) => {
                    cut == Cut::CloseFrame && reason == "cut"
                }
                // One of the golden sessions ends so by itself.
                CloseReason::Fatal { code, .. } => code == "session_expired" && events == texts(&golden),
                _ => false,
            };
            assert!(fits, "{what}: {reason:?}");
            run.check(&told, &what).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_reconnecting_each_cut_is_followed_by_a_session_that_answers() {
    for (name, golden) in Golden::all() {
        for events in 0..=texts(&golden) {
            let cut = CUTS[events % CUTS.len()];
            let what = format!("{name} after {events} events: {cut:?}");
            let (mut run, mut pipes) =
                Run::to_the_cut(&golden, events, cut, Some(Reconnect::default())).await;
            let pipe = timeout(Duration::from_secs(60), pipes.recv()).await;
            let pipe = pipe.unwrap_or_else(|_| panic!("{what}: nothing followed")).unwrap();
            let second = tokio::spawn(serve(pipe));
            run.until_back(&what).await;
            let command =
                Command::CreateItem { item: Box::new(Item::user_text("hello")), after: None, respond: false };
            let created = timeout(Duration::from_secs(60), run.handle.send(command).unwrap()).await;
            assert!(matches!(created, Ok(Ok(Outcome::Added { .. }))), "{what}: {created:?}");
            let asked = run.handle.send(Command::CreateResponse { params: None, protected: false }).unwrap();
            let asked = timeout(Duration::from_secs(60), asked).await;
            let Ok(Ok(Outcome::Responded { end, .. })) = asked else { panic!("{what}: {asked:?}") };
            assert_eq!(end, ResponseEnd::Completed, "{what}");
            run.handle.close().await.unwrap();
            let told = run.rest(&what).await;
            assert_eq!(told.last(), Some(&Event::Closed { reason: CloseReason::Requested }), "{what}");
            run.check(&told, &what).await;
            second.await.unwrap();
        }
    }
}

fn texts(golden: &Golden) -> usize {
    golden.inputs.iter().filter(|(_, input)| matches!(input, Input::Text(..))).count()
}

/// A call whose first connection plays a golden session.
struct Run {
    handle: Handle,
    events: Events,
    told: Vec<Event>,
    pending: Vec<(&'static str, Pending)>,
}

impl Run {
    /// Plays this many of the server's events, and what the application does up to there; then cuts the
    /// connection. Also returns the source of further connections.
    async fn to_the_cut(
        golden: &Golden,
        events: usize,
        cut: Cut,
        reconnect: Option<Reconnect>,
    ) -> (Self, mpsc::UnboundedReceiver<DuplexStream>) {
        let (given, mut pipes) = mpsc::unbounded_channel();
        let open = move || {
            let (near, far) = duplex(1 << 20);
            given.send(far).expect("a test that lives");
            async move { Ok(Brittle { inner: near, resets: cut == Cut::Reset }) }
        };
        let mut options = ClientOptions::new(golden.header.options.clone())
            .keepalive(None)
            .wall(|| UnixTime::from_secs(DAWN));
        if let Some(reconnect) = reconnect {
            options = options.reconnect(reconnect);
        }
        let endpoint = Endpoint::new("ws://memory", "test-model").expect("an address");
        let far = async { accept(pipes.recv().await.expect("an attempt")).await };
        let (client, mut server) = tokio::join!(Client::over_streams(open, endpoint, options), far);
        let (handle, stream) = client.expect("a connection").split();
        let mut run = Self { handle, events: stream, told: Vec::new(), pending: Vec::new() };

        let (origin, mut sent) = (Instant::now(), 0);
        for (at, input) in &golden.inputs {
            if sent == events && !matches!(input, Input::Connected(..)) {
                break;
            }
            sleep_until(origin + Duration::from_micros(at.as_micros())).await;
            match input {
                Input::Text(_, text) => {
                    sent += 1;
                    server.send(Message::text(text.as_str())).await.expect("an open pipe");
                }
                Input::Command(_, command) if !matches!(**command, Command::Close {}) => {
                    if let Ok(pending) = run.handle.send((**command).clone()) {
                        run.pending.push((command.name(), pending));
                    }
                }
                Input::Media(media) => drop(run.handle.media(media.clone())),
                _ => {}
            }
        }
        sleep(Duration::from_millis(1)).await;
        if cut == Cut::CloseFrame {
            let frame = CloseFrame { code: 1011.into(), reason: "cut".into() };
            server.send(Message::Close(Some(frame))).await.expect("an open pipe");
        }
        drop(server);
        (run, pipes)
    }

    /// Reads on until another connection has taken over.
    async fn until_back(&mut self, what: &str) {
        let first = self.told.len();
        while !matches!(self.told.last(), Some(Event::Connection(ConnectionEvent::Resumed { .. }))) {
            let event = timeout(Duration::from_secs(60), self.events.next()).await;
            let event = event.unwrap_or_else(|_| panic!("{what}: not back: {:?}", self.told.last()));
            self.told.push(event.unwrap_or_else(|| panic!("{what}: it ended: {:?}", self.told.last())));
        }
        let steps: Vec<_> = self.told[first..]
            .iter()
            .filter_map(|event| match event {
                Event::Connection(ConnectionEvent::Lost { class, retry_at, .. }) => {
                    let passes = matches!(class, DisconnectClass::Transient | DisconnectClass::Expired);
                    assert!(passes, "{what}: {class:?}");
                    Some(if retry_at.is_some() { "disconnected" } else { "over" })
                }
                Event::Connection(ConnectionEvent::Retrying { attempt: 1, endpoint: 0 }) => {
                    Some("reconnecting")
                }
                Event::Connection(ConnectionEvent::Resumed { .. }) => Some("reconnected"),
                _ => None,
            })
            .collect();
        assert_eq!(steps, ["disconnected", "reconnecting", "reconnected"], "{what}");
    }

    /// All that was told, to the end.
    async fn rest(&mut self, what: &str) -> Vec<Event> {
        let end = async {
            while let Some(event) = self.events.next().await {
                self.told.push(event)
            }
        };
        timeout(Duration::from_secs(60), end).await.unwrap_or_else(|_| panic!("{what}: no end"));
        std::mem::take(&mut self.told)
    }

    /// Whatever was asked is answered, and whatever began has ended, in the order of events.
    async fn check(self, told: &[Event], what: &str) {
        for (name, pending) in self.pending {
            let answer = timeout(Duration::from_secs(1), pending).await;
            assert!(answer.is_ok(), "{what}: {name} waits forever");
        }
        let mut order = Order::default();
        for event in told {
            order.check(event).unwrap_or_else(|broken| panic!("{what}: {broken}: {event:?}"));
        }
        let ready = told.iter().filter(|event| matches!(event, Event::Ready { .. })).count();
        assert!(ready <= 1, "{what}: the call is ready once");
    }
}

async fn accept(pipe: DuplexStream) -> WebSocketStream<DuplexStream> {
    accept_async(pipe).await.expect("a WebSocket handshake")
}

/// Serves a connection until the client sends a close frame.
async fn serve(pipe: DuplexStream) {
    let mut server = accept(pipe).await;
    let mut far = FakeServer::new(9, DAWN + 3600);
    let greeting = vec![(0, far.greet())];
    say(&mut server, &mut far, greeting).await;
    while let Some(Ok(message)) = server.next().await {
        if let Message::Text(text) = message {
            let event = ClientEvent::decode(&text, Default::default());
            let answers = far.take(&event);
            say(&mut server, &mut far, answers).await;
        }
    }
}

/// Sends answers, each after its delay (ms).
async fn say(
    server: &mut WebSocketStream<DuplexStream>,
    far: &mut FakeServer,
    answers: Vec<(u64, serde_json::Value)>,
) {
    let began = Instant::now();
    for (delay, event) in answers {
        sleep_until(began + Duration::from_millis(delay)).await;
        if far.still_says(&event) {
            server.send(Message::text(event.to_string())).await.expect("an open pipe");
        }
    }
}

/// A stream whose end may come as a failure.
struct Brittle {
    inner: DuplexStream,
    resets: bool,
}

impl AsyncRead for Brittle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if self.resets && matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == before {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

impl AsyncWrite for Brittle {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
