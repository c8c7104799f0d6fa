//! The machine of one call, as its carrier sees it: [`Caller`].

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use realtime_protocol::time::{MediaTime, Timestamp};

use super::buffer::Buffer;
use super::event::{CallerEnd, CallerEvent, CallerOutput, Tick};
use super::exotel::Exotel;
use super::genesys::Genesys;
use super::jambonz::Jambonz;
use super::line::{Line, Order};
use super::options::CallerOptions;
use super::plivo::Plivo;
use super::telnyx::Telnyx;
use super::twilio::Twilio;
use super::vonage::Vonage;
use crate::carrier::{Digit, Outgoing};
use crate::event::StreamError;
use crate::kind::CarrierKind;

/// How long one tick is: what a phone network plays and sends at once.
const TICK_MS: u64 = 20;
/// After how many ticks a carrier asks again whether the server lives.
const PING: u64 = 250;
/// How long a carrier waits for the server's goodbye.
const GOODBYE: Duration = Duration::from_secs(3);
/// The most audio of the server that waits to be played (s).
const MOST_WAITING_S: usize = 600;

/// One call, as its carrier sees it.
///
/// It does no I/O. A driver opens the WebSocket, with [`CarrierKind::subprotocol`], makes a caller, gives it
/// what comes and the time, takes outputs until there is none, and calls
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says so. Each of these
/// is one tick of 20 ms: a driver that comes late is asked for the next one at once, so that the call keeps
/// to real time. `handle_*` never fails.
///
/// Twilio, SignalWire, Plivo and Genesys speak µ-law at 8 kHz; Telnyx's caller A-law, as in Europe, and its
/// server µ-law; Exotel and jambonz 16-bit PCM at 8 kHz, Vonage at 16 kHz.
pub struct Caller {
    kind: CarrierKind,
    line: Box<dyn Line>,
    phase: Phase,
    /// When the next tick is due.
    tick_at: Timestamp,
    ticks: u64,
    speech: VecDeque<i16>,
    /// What the caller said since the last message of audio.
    frame: Vec<i16>,
    sent_ms: u64,
    buffer: Buffer,
    is_playing: bool,
    outputs: VecDeque<CallerOutput>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Open,
    /// The caller hung up, and the server is to close.
    Leaving {
        until: Timestamp,
    },
    Over,
}

impl Caller {
    /// A caller whose socket is open since `now`.
    pub fn new(now: Timestamp, kind: CarrierKind, options: CallerOptions) -> Self {
        let line: Box<dyn Line> = match kind {
            CarrierKind::Twilio => Box::new(Twilio::new(&options)),
            CarrierKind::SignalWire => Box::new(Twilio::signalwire(&options)),
            CarrierKind::Telnyx => Box::new(Telnyx::new(&options)),
            CarrierKind::Plivo => Box::new(Plivo::new(&options)),
            CarrierKind::Exotel => Box::new(Exotel::new(&options)),
            CarrierKind::Vonage => Box::new(Vonage::new(&options)),
            CarrierKind::Genesys => Box::new(Genesys::new(&options)),
            CarrierKind::Jambonz => Box::new(Jambonz::new(&options)),
        };
        let mut caller = Self {
            kind,
            line,
            phase: Phase::Open,
            tick_at: now,
            ticks: 0,
            speech: VecDeque::new(),
            frame: Vec::new(),
            sent_ms: 0,
            buffer: Buffer::default(),
            is_playing: false,
            outputs: VecDeque::new(),
        };
        for message in caller.line.hello() {
            caller.send(message);
        }
        caller
    }

    /// Samples per second of the audio of this carrier's calls, both ways (Hz).
    pub const fn rate_of(kind: CarrierKind) -> u32 {
        match kind {
            CarrierKind::Vonage => 16_000,
            _ => 8_000,
        }
    }

    /// Samples per second of this call's audio, both ways (Hz).
    pub const fn rate(&self) -> u32 {
        Self::rate_of(self.kind)
    }

    /// Speaks these samples, at [`rate`](Self::rate), after what was said before.
    pub fn say(&mut self, samples: &[i16]) {
        self.speech.extend(samples);
    }

    /// Returns whether something that was given to say waits to be said.
    pub fn is_speaking(&self) -> bool {
        !self.speech.is_empty()
    }

    /// Presses these keys, one after the other.
    ///
    /// # Errors
    /// [`StreamError::NotDigits`] for anything but keys of a phone, and [`StreamError::Ended`] after the end:
    /// nothing was pressed.
    pub fn press(&mut self, keys: &str) -> Result<(), StreamError> {
        let keys: Option<Vec<Digit>> = keys.chars().map(Digit::of).collect();
        let keys = keys.filter(|keys| !keys.is_empty()).ok_or(StreamError::NotDigits)?;
        if self.phase != Phase::Open {
            return Err(StreamError::Ended);
        }
        for key in keys {
            let message = self.line.key(key.as_char());
            self.send(message);
        }
        Ok(())
    }

    /// Hangs up: the carrier says goodbye, waits up to 3 s for the server to close where it does so, and
    /// closes the socket. Does nothing after the end.
    pub fn hang_up(&mut self, now: Timestamp) {
        if self.phase != Phase::Open {
            return;
        }
        match self.line.goodbye() {
            Some(goodbye) => {
                self.send(goodbye);
                self.phase = Phase::Leaving { until: now + GOODBYE };
                self.event(CallerEvent::Ended(CallerEnd::HungUp));
            }
            None => self.end(CallerEnd::HungUp),
        }
    }

    /// A WebSocket text came.
    pub fn handle_text(&mut self, text: &str) {
        let orders = match serde_json::from_str(text) {
            Ok(value) => self.line.text(&value),
            Err(_) => vec![Order::wrong("a text that is no JSON")],
        };
        self.obey(orders);
    }

    /// A binary WebSocket message came.
    pub fn handle_binary(&mut self, bytes: &[u8]) {
        let orders = self.line.binary(bytes);
        self.obey(orders);
    }

    /// The socket was closed by the server, or was lost.
    pub fn handle_closed(&mut self) {
        if self.phase == Phase::Open {
            self.event(CallerEvent::Ended(CallerEnd::ByServer));
        }
        self.phase = Phase::Over;
    }

    /// Time passed. A call that is early does nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        match self.phase {
            Phase::Open if now >= self.tick_at => self.tick(),
            Phase::Leaving { until } if now >= until => self.close(),
            _ => {}
        }
    }

    /// The oldest output that was not taken.
    pub fn poll_output(&mut self) -> Option<CallerOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). `None`: the call is over.
    pub const fn poll_timeout(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Open => Some(self.tick_at),
            Phase::Leaving { until } => Some(until),
            Phase::Over => None,
        }
    }

    /// How much audio the server has sent, as long as it would sound.
    pub fn received(&self) -> MediaTime {
        self.time_of(self.buffer.received)
    }

    /// How much of it has sounded.
    pub fn sounded(&self) -> MediaTime {
        self.time_of(self.buffer.sounded)
    }

    /// How much of it was dropped.
    pub fn dropped(&self) -> MediaTime {
        self.time_of(self.buffer.dropped)
    }

    /// Returns whether audio of the server waits to be played.
    pub fn has_audio(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn tick(&mut self) {
        self.tick_at = self.tick_at + Duration::from_millis(TICK_MS);
        self.ticks += 1;
        let samples = self.rate() as usize / 50;
        let (heard, sounded, marks) = self.buffer.play(samples);
        let is_playing = sounded > 0;
        if is_playing != self.is_playing {
            self.is_playing = is_playing;
            let message = self.line.playback(is_playing);
            message.into_iter().for_each(|message| self.send(message));
        }
        for name in marks {
            self.give_back(name, false);
        }
        let mut said = vec![0; samples];
        if self.line.is_open() {
            for (place, sample) in said.iter_mut().zip(self.speech.drain(..samples.min(self.speech.len()))) {
                *place = sample;
            }
            self.frame.extend(&said);
            let frame_ms = self.line.frame_ms();
            if self.frame.len() as u64 * 1_000 >= frame_ms * u64::from(self.rate()) {
                let coded = self.line.coding().encode(&self.frame);
                self.frame.clear();
                let message = self.line.audio(coded, self.sent_ms);
                self.sent_ms += frame_ms;
                self.send(message);
            }
        }
        if self.ticks.is_multiple_of(PING)
            && let Some(ping) = self.line.ping()
        {
            self.send(ping);
        }
        self.event(CallerEvent::Ticked(Tick { said, heard, sounded }));
    }

    fn obey(&mut self, orders: Vec<Order>) {
        for order in orders {
            match self.phase {
                Phase::Open => {}
                // What comes after the goodbye is not heard.
                Phase::Leaving { .. } => {
                    if matches!(order, Order::End | Order::HangUp) {
                        self.close();
                    }
                    continue;
                }
                Phase::Over => return,
            }
            match order {
                Order::Play(bytes) => self.play(&bytes),
                Order::Mark(name) if self.buffer.is_empty() => self.give_back(name, false),
                Order::Mark(name) => {
                    if !self.buffer.mark(name) {
                        self.violation("more marks than are kept".to_owned());
                    }
                }
                Order::Clear => self.clear(),
                Order::Keys(keys) => self.event(CallerEvent::Keys(keys)),
                Order::Send(message) => self.send(message),
                Order::End => self.end(CallerEnd::ByServer),
                Order::HangUp => self.end(CallerEnd::ByCarrier),
                Order::Wrong(what) => self.violation(what),
            }
        }
    }

    fn play(&mut self, bytes: &[u8]) {
        let most = MOST_WAITING_S * self.rate() as usize;
        match self.line.server_coding().decode(bytes) {
            Some(samples) if self.buffer.push(&samples, most) => {}
            Some(_) => self.violation(format!("more than {MOST_WAITING_S} s of audio wait to be played")),
            None => self.violation(format!("{} bytes of 16-bit audio", bytes.len())),
        }
    }

    fn clear(&mut self) {
        let (dropped, marks) = self.buffer.clear();
        let (sounded, dropped) = (self.sounded(), self.time_of(dropped));
        self.event(CallerEvent::Cleared { sounded, dropped });
        for name in marks {
            self.give_back(name, true);
        }
        let cleared = self.line.cleared();
        cleared.into_iter().for_each(|message| self.send(message));
    }

    fn give_back(&mut self, name: String, was_cleared: bool) {
        if let Some(message) = self.line.mark(&name, was_cleared) {
            self.send(message);
        }
        self.event(CallerEvent::Mark { name, sounded: self.sounded(), was_cleared });
    }

    fn end(&mut self, end: CallerEnd) {
        self.event(CallerEvent::Ended(end));
        self.close();
    }

    fn close(&mut self) {
        self.phase = Phase::Over;
        self.send(Outgoing::Close);
    }

    fn violation(&mut self, what: String) {
        self.event(CallerEvent::Violation(what));
    }

    fn send(&mut self, message: Outgoing) {
        self.outputs.push_back(CallerOutput::Send(message));
    }

    fn event(&mut self, event: CallerEvent) {
        self.outputs.push_back(CallerOutput::Event(event));
    }

    fn time_of(&self, samples: u64) -> MediaTime {
        MediaTime::from_micros(samples.saturating_mul(1_000_000) / u64::from(self.rate()))
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("kind", &self.kind)
            .field("phase", &self.phase)
            .field("ticks", &self.ticks)
            .finish_non_exhaustive()
    }
}
