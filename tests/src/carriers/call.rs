//! One call, in real time: [`call`].

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::Carrier;
use super::buffer::Buffer;
use super::line::{Coding, Line, Order};
use super::report::{End, Report, ReturnedMark};
use super::script::Step;

/// How long one tick is: what a phone network plays and sends at once.
const TICK: Duration = Duration::from_millis(20);
/// How often a carrier asks whether the server lives.
const PING: u64 = 250;
/// How long a carrier waits for the server's goodbye.
const GOODBYE: Duration = Duration::from_secs(3);
/// How long a call may last.
const LONGEST: Duration = Duration::from_secs(90);

/// Why a call could not be held.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The address is no WebSocket's, or a header is none.
    BadAddress(String),
    /// There is no server at that address.
    NoServer(std::io::Error),
    /// The server refused the socket, or broke its protocol.
    Socket(Box<tungstenite::Error>),
    /// The script did not come to its end in time. The text says where it stood.
    TooLong(String),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadAddress(why) => write!(f, "expected the address of a WebSocket and headers: {why}"),
            Self::NoServer(error) => write!(f, "the server can't be reached: {error}"),
            Self::Socket(error) => write!(f, "the socket: {error}"),
            Self::TooLong(step) => {
                write!(f, "the call took over {} s: it waits for {step}", LONGEST.as_secs())
            }
        }
    }
}

impl std::error::Error for CallError {}

impl From<tungstenite::Error> for CallError {
    fn from(error: tungstenite::Error) -> Self {
        Self::Socket(Box::new(error))
    }
}

/// Dials `url` (`ws://`) with these headers as the carrier does, and plays the script.
///
/// # Errors
/// [`CallError`]: the server was not reached or has refused, or the call took too long.
pub async fn call(
    carrier: Carrier,
    url: &str,
    headers: &[(&str, &str)],
    script: impl IntoIterator<Item = Step>,
) -> Result<Report, CallError> {
    let bad = |error: &dyn std::fmt::Display| CallError::BadAddress(error.to_string());
    let mut request = url.into_client_request().map_err(|error| bad(&error))?;
    let uri = request.uri();
    let host = uri.host().ok_or_else(|| CallError::BadAddress("no host".to_owned()))?;
    let address = format!("{host}:{}", uri.port_u16().unwrap_or(80));
    let extra = carrier.subprotocol().map(|name| ("sec-websocket-protocol", name));
    for (name, value) in headers.iter().copied().chain(extra) {
        let name: HeaderName = name.parse().map_err(|error| bad(&error))?;
        let value: HeaderValue = value.parse().map_err(|error| bad(&error))?;
        request.headers_mut().insert(name, value);
    }
    let stream = TcpStream::connect(address).await.map_err(CallError::NoServer)?;
    let (socket, _) = client_async(request, stream).await?;
    call_over(carrier, socket, script).await
}

/// Plays the script over a socket that is open.
///
/// # Errors
/// [`CallError`]: the call took too long.
pub async fn call_over<S>(
    carrier: Carrier,
    socket: WebSocketStream<S>,
    script: impl IntoIterator<Item = Step>,
) -> Result<Report, CallError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut call = Call::new(carrier, socket, script.into_iter().collect());
    match timeout(LONGEST, call.run()).await {
        Ok(end) => Ok(call.report(end)),
        Err(_) => Err(CallError::TooLong(format!("{:?}", call.script.front()))),
    }
}

struct Call<S> {
    carrier: Carrier,
    line: Box<dyn Line>,
    coding: Coding,
    server_coding: Coding,
    socket: WebSocketStream<S>,
    script: VecDeque<Step>,
    /// When the step that is due began, and how much had sounded then.
    since: (Instant, u64),
    speech: VecDeque<i16>,
    buffer: Buffer,
    is_playing: bool,
    /// When the server's audio sounded last.
    sounded_at: Instant,
    marks: Vec<ReturnedMark>,
    keys: String,
    violations: Vec<String>,
    ticks: u64,
    sent_ms: u64,
    end: Option<End>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Call<S> {
    fn new(carrier: Carrier, socket: WebSocketStream<S>, script: VecDeque<Step>) -> Self {
        let (line, now) = (carrier.line(), Instant::now());
        Self {
            carrier,
            coding: line.coding(),
            server_coding: line.server_coding(),
            line,
            socket,
            script,
            since: (now, 0),
            speech: VecDeque::new(),
            buffer: Buffer::default(),
            is_playing: false,
            sounded_at: now,
            marks: Vec::new(),
            keys: String::new(),
            violations: Vec::new(),
            ticks: 0,
            sent_ms: 0,
            end: None,
        }
    }

    async fn run(&mut self) -> End {
        for message in self.line.hello() {
            self.send(message).await;
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            if let Some(end) = self.end {
                // Whether or not the server says goodbye.
                let _ = timeout(GOODBYE, self.leave(end)).await;
                return end;
            }
            tokio::select! {
                message = self.socket.next() => self.received(message).await,
                _ = ticks.tick() => self.tick().await,
            }
        }
    }

    async fn leave(&mut self, end: End) {
        if end == End::Dropped {
            return;
        }
        if end == End::HungUp
            && let Some(goodbye) = self.line.goodbye()
        {
            self.send(goodbye).await;
            // What comes until the server closes is not heard.
            while let Some(Ok(message)) = self.socket.next().await {
                let ends = self.orders(&message).iter().any(|order| matches!(order, Order::End));
                if ends {
                    break;
                }
            }
        }
        // It may be closed already.
        let _ = self.socket.close(None).await;
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    async fn tick(&mut self) {
        self.ticks += 1;
        self.step().await;
        let samples = self.carrier.rate() as usize / 50;
        let before = self.buffer.sounded;
        let marks = self.buffer.play(samples);
        if self.buffer.sounded > before {
            self.sounded_at = Instant::now();
        }
        self.playback(self.buffer.sounded > before).await;
        for name in marks {
            self.give_back(name, false).await;
        }
        let frame_ms = self.line.frame_ms();
        if self.line.is_open() && (self.ticks * 20).is_multiple_of(frame_ms) {
            let samples = u64::from(self.carrier.rate()) * frame_ms / 1_000;
            let frame: Vec<i16> = (0..samples).map(|_| self.speech.pop_front().unwrap_or(0)).collect();
            let message = self.line.audio(self.coding.encode(&frame), self.sent_ms);
            self.sent_ms += frame_ms;
            self.send(message).await;
        }
        if self.ticks.is_multiple_of(PING)
            && let Some(ping) = self.line.ping()
        {
            self.send(ping).await;
        }
    }

    async fn playback(&mut self, sounds: bool) {
        if sounds != self.is_playing {
            self.is_playing = sounds;
            if let Some(message) = self.line.playback(sounds) {
                self.send(message).await;
            }
        }
    }

    /// Does what the script says, as far as it goes now.
    async fn step(&mut self) {
        while let Some(step) = self.script.front() {
            let is_done = match step {
                Step::Say(samples) => {
                    self.speech.extend(samples);
                    true
                }
                Step::Spoken => self.speech.is_empty(),
                Step::Hear(time) => self.time_of(self.buffer.sounded - self.since.1) >= *time,
                Step::Silence(time) => self.buffer.is_empty() && self.sounded_at.elapsed() >= *time,
                Step::Cleared(times) => self.buffer.cleared_at.len() >= *times,
                Step::Wait(time) => self.since.0.elapsed() >= *time,
                Step::Keys(keys) => {
                    for key in keys.clone().chars() {
                        let message = self.line.key(key);
                        self.send(message).await;
                    }
                    true
                }
                Step::Raw(text) => {
                    let message = Message::text(text.clone());
                    self.send(message).await;
                    true
                }
                Step::Drop => {
                    self.end = Some(End::Dropped);
                    return;
                }
                Step::HangUp => {
                    self.end = Some(End::HungUp);
                    return;
                }
                Step::Stay => false,
            };
            if !is_done {
                return;
            }
            self.script.pop_front();
            self.since = (Instant::now(), self.buffer.sounded);
        }
    }

    async fn received(&mut self, message: Option<Result<Message, tungstenite::Error>>) {
        let Some(Ok(message)) = message else {
            self.end = Some(End::ByServer);
            return;
        };
        for order in self.orders(&message) {
            self.obey(order).await;
        }
    }

    fn orders(&mut self, message: &Message) -> Vec<Order> {
        match message {
            Message::Text(text) => match serde_json::from_str(text) {
                Ok(value) => self.line.text(&value),
                Err(_) => vec![Order::wrong("a text that is no JSON")],
            },
            Message::Binary(bytes) => self.line.binary(bytes),
            _ => Vec::new(),
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Play(bytes) => match self.server_coding.decode(&bytes) {
                Some(samples) => self.buffer.push(samples),
                None => self.violations.push(format!("{} bytes of 16-bit audio", bytes.len())),
            },
            Order::Mark(name) if self.buffer.is_empty() => self.give_back(name, false).await,
            Order::Mark(name) => self.buffer.mark(name),
            Order::Clear => {
                for name in self.buffer.clear() {
                    self.give_back(name, true).await;
                }
                if let Some(message) = self.line.cleared() {
                    self.send(message).await;
                }
            }
            Order::Keys(keys) => self.keys.push_str(&keys),
            Order::Send(message) => self.send(message).await,
            Order::End => self.end = Some(End::ByServer),
            Order::Wrong(what) => self.violations.push(what),
        }
    }

    async fn give_back(&mut self, name: String, cleared: bool) {
        let message = self.line.mark(&name, cleared);
        let sounded = self.time_of(self.buffer.sounded);
        self.marks.push(ReturnedMark { name, sounded, cleared });
        if let Some(message) = message {
            self.send(message).await;
        }
    }

    async fn send(&mut self, message: Message) {
        if self.socket.send(message).await.is_err() && self.end.is_none() {
            self.end = Some(End::ByServer);
        }
    }

    fn time_of(&self, samples: u64) -> Duration {
        Duration::from_micros(samples * 1_000_000 / u64::from(self.carrier.rate()))
    }

    fn report(self, end: End) -> Report {
        let time = |samples| self.time_of(samples);
        Report {
            end,
            rate: self.carrier.rate(),
            received: time(self.buffer.received),
            sounded: time(self.buffer.sounded),
            dropped: time(self.buffer.dropped),
            cleared_at: self.buffer.cleared_at.iter().copied().map(time).collect(),
            heard: self.buffer.played,
            marks: self.marks,
            keys: self.keys,
            violations: self.violations,
        }
    }
}
