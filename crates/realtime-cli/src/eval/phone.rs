//! Holds the call of a scenario at a phone socket, as a carrier does, in real time: [`hold`].

use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_pipeline::chain::Keys;
use realtime_pipeline::resample::Resampler;
use realtime_protocol::time::Timestamp;
use realtime_telephony::CarrierKind;
use realtime_telephony::caller::{Caller as Carrier, CallerEnd, CallerEvent, CallerOptions, CallerOutput};
use realtime_telephony::carrier::Outgoing;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::eval::called::PhoneAgent;
use crate::eval::caller::{Act, Caller, Gone, Speech};
use crate::eval::case::Place;
use crate::eval::hold::{Held, unfinished};
use crate::eval::line::Line;
use crate::eval::mouth::FRAME;
use crate::eval::scenario::Ending;
use crate::eval::tape::Tape;
use crate::eval::voices::Voices;
use crate::{Error, one_line};

/// How long a server may take to answer the upgrade.
const DIALLING: Duration = Duration::from_secs(10);
/// How long a server may take to close the socket.
const GOODBYE: Duration = Duration::from_secs(3);
/// An answer is over once the agent has been silent for so long: what it does meanwhile nobody hears.
const QUIET: Duration = Duration::from_millis(1_500);
/// The caller hangs up once nobody has spoken for so long, and no step is left.
const SILENCE: Duration = Duration::from_secs(4);
/// The longest message of a server (bytes).
const LONGEST: usize = 4 * 1024 * 1024;
/// The most breaches of the carrier's rules that are told.
const MOST: usize = 8;

/// What a call is held with.
pub(super) struct PhoneScene<'a> {
    pub(super) agent: &'a PhoneAgent,
    pub(super) limit: Duration,
    /// Where both voices are written: the caller left, the agent right.
    pub(super) tape: Option<PathBuf>,
    /// Changes when somebody wants all calls to end.
    pub(super) stop: watch::Receiver<bool>,
}

/// A phone in a call. Clones are the same.
#[derive(Clone)]
struct Phone(Rc<RefCell<State>>);

struct State {
    carrier: Carrier,
    began: Instant,
    voices: Voices,
    tape: Option<Tape>,
    violations: Vec<(String, usize)>,
    end: Option<CallerEnd>,
    /// How the server was lost, if it did not end the call in order.
    lost: Option<String>,
    /// The steps are done.
    is_finished: bool,
}

/// Dials, and holds the call to its end.
///
/// # Errors
/// It could not begin, or somebody wants all calls to end.
pub(super) async fn hold(mut scene: PhoneScene<'_>, acts: Vec<Act>) -> Result<Held, Error> {
    let mut socket = dial(scene.agent).await?;
    let phone = Phone::new(scene.agent.carrier);
    if let Some(path) = &scene.tape {
        let mut state = phone.0.borrow_mut();
        state.tape = Some(Tape::create(path, state.carrier.rate())?);
    }
    let missed: Vec<Option<Place>> = acts.iter().map(Act::missed).collect();
    let (caller, done) = (Caller(phone.clone()), Cell::new(0));
    let (mut gone, mut is_late) = (None, false);
    {
        let (line, steps, limit) = (phone.run(&mut socket), caller.follow(acts, &done), sleep(scene.limit));
        tokio::pin!(line, steps, limit);
        loop {
            tokio::select! {
                biased;
                () = &mut line => break,
                way = &mut steps, if gone.is_none() => gone = Some(way),
                () = &mut limit => {
                    // A server that reads nothing can't be told.
                    if is_late {
                        break;
                    }
                    is_late = true;
                    phone.hang_up();
                    limit.as_mut().reset(Instant::now() + GOODBYE * 2);
                }
                // Who would ask for the end may have gone: then nobody does.
                Ok(_) = scene.stop.wait_for(|stop| *stop) => {
                    return Err("interrupted before the call was over".into());
                }
            }
        }
    }
    // The report does not depend on it.
    let _ = timeout(GOODBYE, leave(socket)).await;

    let hung_up = matches!(gone, Some(Ok(Gone::HungUp) | Err(_)));
    let mut state = phone.0.borrow_mut();
    let lost = state.lost.take();
    let (ending, reason) = match (state.end, &lost) {
        _ if is_late => (Ending::Limit, "the limit of its time was reached"),
        (Some(CallerEnd::ByCarrier), _) => (Ending::Failure, "the carrier ended the call"),
        (Some(CallerEnd::HungUp), _) if hung_up => (Ending::Caller, "the caller hung up"),
        (Some(CallerEnd::HungUp), _) => (Ending::Silence, "nobody had anything left to say"),
        (_, Some(lost)) => (Ending::Failure, &**lost),
        (_, None) => (Ending::Agent, "the agent's server ended the call"),
    };
    let caller = unfinished(gone, missed, done.get(), reason);
    if let Some(tape) = state.tape.take() {
        tape.finish()?;
    }
    let (call, sound) = state.voices.held();
    let violations = std::mem::take(&mut state.violations);
    let lasted = state.began.elapsed();
    let reason = reason.to_owned();
    Ok(Held { call, sound: Some(sound), violations, ending, reason, lasted, cost: 0.0, caller })
}

async fn dial(agent: &PhoneAgent) -> Result<WebSocketStream<TcpStream>, Error> {
    let url = agent.url.as_str();
    let mut request = url.into_client_request().map_err(|error| format!("{url}: {}", one_line(&error)))?;
    if let Some(name) = agent.carrier.subprotocol() {
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(name));
    }
    let dialled = async {
        let stream = TcpStream::connect(&agent.address).await?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default().max_message_size(Some(LONGEST)).max_frame_size(Some(LONGEST));
        Ok::<_, tungstenite::Error>(client_async_with_config(request, stream, Some(config)).await?.0)
    };
    match timeout(DIALLING, dialled).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(tungstenite::Error::Http(answer))) => {
            let status = answer.status().as_u16();
            Err(format!("expected {url} to take a call of {}, got status {status}", agent.carrier).into())
        }
        Ok(Err(error)) => Err(format!("cannot dial {url}: {}", one_line(&error)).into()),
        Err(_) => Err(format!("cannot dial {url}: no answer within {} s", DIALLING.as_secs()).into()),
    }
}

/// Closes the socket, and waits until the server has.
async fn leave(mut socket: WebSocketStream<TcpStream>) {
    if socket.close(None).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

impl Phone {
    fn new(kind: CarrierKind) -> Self {
        // Seeded at random: calls at once have ids of their own.
        let entropy = RandomState::new().hash_one(0);
        let options = CallerOptions::default().entropy(entropy);
        Self(Rc::new(RefCell::new(State {
            carrier: Carrier::new(Timestamp::ZERO, kind, options),
            began: Instant::now(),
            voices: Voices::default(),
            tape: None,
            violations: Vec::new(),
            end: None,
            lost: None,
            is_finished: false,
        })))
    }

    /// Drives the socket until the call is over.
    async fn run(&self, socket: &mut WebSocketStream<TcpStream>) {
        loop {
            while let Some(message) = self.next_message() {
                let message = match message {
                    Outgoing::Text(text) => Message::text(text),
                    Outgoing::Binary(bytes) => Message::Binary(bytes),
                    _ => return,
                };
                if socket.feed(message).await.is_err() {
                    self.0.borrow_mut().carrier.handle_closed();
                }
            }
            if socket.flush().await.is_err() {
                self.0.borrow_mut().carrier.handle_closed();
            }
            let Some(due) = self.due() else {
                // What has happened since is told.
                while self.next_message().is_some() {}
                return;
            };
            tokio::select! {
                message = socket.next() => self.received(message),
                () = sleep_until(due) => self.tick(),
            }
        }
    }

    fn received(&self, message: Option<Result<Message, tungstenite::Error>>) {
        let State { carrier, lost, .. } = &mut *self.0.borrow_mut();
        match message {
            Some(Ok(Message::Text(text))) => carrier.handle_text(&text),
            Some(Ok(Message::Binary(bytes))) => carrier.handle_binary(&bytes),
            Some(Ok(Message::Close(Some(end))))
                if !matches!(end.code, CloseCode::Normal | CloseCode::Away) =>
            {
                lost.get_or_insert_with(|| format!("the agent's server closed the socket by {end}"));
            }
            Some(Ok(_)) => {}
            None => carrier.handle_closed(),
            Some(Err(error)) => {
                lost.get_or_insert_with(|| format!("the agent's server was lost: {}", one_line(&error)));
                carrier.handle_closed();
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let state = self.0.borrow();
        Some(state.began + state.carrier.poll_timeout()?.saturating_since(Timestamp::ZERO))
    }

    fn tick(&self) {
        let mut state = self.0.borrow_mut();
        let now = state.now();
        if state.is_finished && state.voices.silent_for() >= SILENCE && !state.carrier.has_audio() {
            state.carrier.hang_up(now);
        }
        state.carrier.handle_timeout(now);
    }

    /// What the carrier sends next. What happened before is noted.
    fn next_message(&self) -> Option<Outgoing> {
        let mut state = self.0.borrow_mut();
        loop {
            match state.carrier.poll_output()? {
                CallerOutput::Send(message) => return Some(message),
                CallerOutput::Event(event) => state.note(event),
                _ => {}
            }
        }
    }
}

impl State {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.began.elapsed()
    }

    fn note(&mut self, event: CallerEvent) {
        match event {
            CallerEvent::Ticked(tick) => {
                self.voices.tick(&tick.said, &tick.heard);
                if let Some(tape) = &mut self.tape {
                    tape.record(&tick.said, &tick.heard);
                }
            }
            CallerEvent::Cleared { .. } => self.voices.cleared(),
            CallerEvent::Violation(what) => {
                match self.violations.iter().position(|(known, _)| *known == what) {
                    Some(known) => self.violations[known].1 += 1,
                    None if self.violations.len() < MOST => self.violations.push((what, 1)),
                    None => {}
                }
            }
            CallerEvent::Ended(end) => self.end = Some(end),
            _ => {}
        }
    }
}

impl Line for Phone {
    fn starts(&self) -> usize {
        self.0.borrow().voices.starts()
    }

    fn speaks_for(&self) -> Option<Duration> {
        self.0.borrow().voices.agent_speaks_for()
    }

    fn has_answered(&self, before: usize) -> bool {
        let state = self.0.borrow();
        state.voices.starts() > before && state.voices.agent_silent_for() >= QUIET
    }

    fn words(&self) -> String {
        String::new()
    }

    async fn speak(&self, speech: Speech) {
        let rate = self.0.borrow().carrier.rate();
        // Every rate of a file that was read is one that is converted.
        let Ok(mut resampler) = Resampler::new(speech.sound.rate(), rate) else { return };
        let mut samples = resampler.process(speech.sound.as_slice());
        samples.extend(resampler.flush());
        self.0.borrow_mut().carrier.say(&samples);
        while self.is_speaking() {
            sleep(FRAME).await;
        }
    }

    async fn press(&self, keys: Keys) {
        // Only a call that is over does not take them.
        let _ = self.0.borrow_mut().carrier.press(keys.as_str());
    }

    fn hang_up(&self) {
        let mut state = self.0.borrow_mut();
        let now = state.now();
        state.carrier.hang_up(now);
    }

    fn finish(&self) {
        self.0.borrow_mut().is_finished = true;
    }
}

impl Phone {
    /// Returns whether something is left to say, and somebody is there to say it to.
    fn is_speaking(&self) -> bool {
        let state = self.0.borrow();
        state.end.is_none() && state.carrier.is_speaking()
    }
}
