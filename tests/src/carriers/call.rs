//! One call, in real time: [`call`].

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_protocol::time::{MediaTime, Timestamp};
use realtime_telephony::caller::{Caller, CallerEnd, CallerEvent, CallerOptions, CallerOutput};
use realtime_telephony::carrier::Outgoing;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::Carrier;
use super::report::{End, Report, ReturnedMark};
use super::script::Step;

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
    caller: Caller,
    socket: WebSocketStream<S>,
    began: Instant,
    script: VecDeque<Step>,
    /// When the step that is due began, and how much had sounded then.
    since: (Instant, MediaTime),
    /// When the server's audio sounded last.
    sounded_at: Instant,
    heard: Vec<i16>,
    cleared_at: Vec<Duration>,
    marks: Vec<ReturnedMark>,
    keys: String,
    violations: Vec<String>,
    end: Option<End>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Call<S> {
    fn new(carrier: Carrier, socket: WebSocketStream<S>, script: VecDeque<Step>) -> Self {
        let now = Instant::now();
        let options = CallerOptions::default().parameter("language", "en");
        Self {
            caller: Caller::new(Timestamp::ZERO, carrier, options),
            socket,
            began: now,
            script,
            since: (now, MediaTime::ZERO),
            sounded_at: now,
            heard: Vec::new(),
            cleared_at: Vec::new(),
            marks: Vec::new(),
            keys: String::new(),
            violations: Vec::new(),
            end: None,
        }
    }

    async fn run(&mut self) -> End {
        loop {
            let closes = self.carry_out().await;
            if closes || self.end == Some(End::Dropped) {
                break;
            }
            let Some(due) = self.caller.poll_timeout() else { break };
            let due = self.began + due.saturating_since(Timestamp::ZERO);
            tokio::select! {
                message = self.socket.next() => self.received(message),
                () = sleep_until(due) => {
                    self.step().await;
                    self.caller.handle_timeout(Timestamp::ZERO + self.began.elapsed());
                }
            }
        }
        if self.end != Some(End::Dropped) {
            // Whether or not the server says goodbye.
            let _ = timeout(GOODBYE, self.leave()).await;
        }
        self.end.unwrap_or(End::ByServer)
    }

    async fn leave(&mut self) {
        // It may be closed already.
        let _ = self.socket.close(None).await;
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    /// Sends what the caller has to send, and notes what happened. Returns whether to close the socket.
    async fn carry_out(&mut self) -> bool {
        while let Some(output) = self.caller.poll_output() {
            match output {
                CallerOutput::Send(Outgoing::Text(text)) => self.send(Message::text(text)).await,
                CallerOutput::Send(Outgoing::Binary(bytes)) => self.send(Message::Binary(bytes)).await,
                CallerOutput::Send(_) => return true,
                CallerOutput::Event(event) => self.note(event),
                _ => {}
            }
        }
        false
    }

    fn note(&mut self, event: CallerEvent) {
        match event {
            CallerEvent::Ticked(tick) => {
                if tick.sounded > 0 {
                    self.sounded_at = Instant::now();
                }
                self.heard.extend(tick.heard);
            }
            CallerEvent::Mark { name, sounded, was_cleared } => {
                self.marks.push(ReturnedMark { name, sounded: sounded.as_duration(), cleared: was_cleared });
            }
            CallerEvent::Cleared { sounded, .. } => self.cleared_at.push(sounded.as_duration()),
            CallerEvent::Keys(keys) => self.keys.push_str(&keys),
            CallerEvent::Violation(what) => self.violations.push(what),
            CallerEvent::Ended(CallerEnd::HungUp) => self.end = Some(End::HungUp),
            CallerEvent::Ended(_) => self.end = self.end.or(Some(End::ByServer)),
            _ => {}
        }
    }

    /// Does what the script says, as far as it goes now.
    async fn step(&mut self) {
        while let Some(step) = self.script.front() {
            let is_done = match step {
                Step::Say(samples) => {
                    self.caller.say(samples);
                    true
                }
                Step::Spoken => !self.caller.is_speaking(),
                Step::Hear(time) => (self.caller.sounded() - self.since.1).as_duration() >= *time,
                Step::Silence(time) => !self.caller.has_audio() && self.sounded_at.elapsed() >= *time,
                Step::Cleared(times) => self.cleared_at.len() >= *times,
                Step::Wait(time) => self.since.0.elapsed() >= *time,
                Step::Until(said) => said.load(Ordering::Acquire),
                Step::Tell(said) => {
                    said.store(true, Ordering::Release);
                    true
                }
                Step::Keys(keys) => {
                    // A call that is over takes none.
                    let _ = self.caller.press(keys);
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
                    self.caller.hang_up(Timestamp::ZERO + self.began.elapsed());
                    return;
                }
                Step::Stay => false,
            };
            if !is_done {
                return;
            }
            self.script.pop_front();
            self.since = (Instant::now(), self.caller.sounded());
        }
    }

    fn received(&mut self, message: Option<Result<Message, tungstenite::Error>>) {
        match message {
            Some(Ok(Message::Text(text))) => self.caller.handle_text(&text),
            Some(Ok(Message::Binary(bytes))) => self.caller.handle_binary(&bytes),
            Some(Ok(_)) => {}
            None | Some(Err(_)) => self.caller.handle_closed(),
        }
    }

    async fn send(&mut self, message: Message) {
        if self.socket.send(message).await.is_err() {
            self.caller.handle_closed();
        }
    }

    fn report(self, end: End) -> Report {
        Report {
            end,
            rate: self.caller.rate(),
            received: self.caller.received().as_duration(),
            sounded: self.caller.sounded().as_duration(),
            dropped: self.caller.dropped().as_duration(),
            cleared_at: self.cleared_at,
            heard: self.heard,
            marks: self.marks,
            keys: self.keys,
            violations: self.violations,
        }
    }
}
