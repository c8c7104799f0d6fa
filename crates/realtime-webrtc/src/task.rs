//! The task of a call: one loop around one UDP socket and str0m's machine.
//!
//! It wakes for a datagram, for what the application asks, for the machine's own time, and once per 20 ms for
//! audio both ways.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep_until};

use crate::error::Ended;
use crate::jitter::{Jitter, Pulled};
use crate::mouth::Mouth;
use crate::opus::{Decoder, Encoder, FRAMES_PER_SECOND, Rate};
use crate::peer::{Heard, Order, PeerEvent, PeerOptions, Waiting};
use crate::rtc::{CHECKED_EVERY, Datagram, Happened, Machine};

/// The task's ends of a [`Peer`](crate::Peer).
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    pub(crate) events: mpsc::Sender<PeerEvent>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) options: PeerOptions,
}

/// Carries the call on until it ends, and tells how it ended.
pub(crate) async fn drive(machine: Machine, socket: UdpSocket, driven: Driven) {
    let Driven { orders, events, waiting, options } = driven;
    let now = Instant::now();
    let mut line = Line {
        machine,
        socket,
        events,
        waiting,
        encoder: Encoder::new(options.rate),
        decoder: Decoder::new(options.rate),
        heard_rate: options.rate,
        mouth: Mouth::new(options.rate, options.hurries),
        jitter: Jitter::default(),
        is_quiet: true,
        dropped: 0,
        stage: Stage::Routing { until: now + options.route_deadline },
        heard_at: now,
        options,
    };
    let ended = line.run(orders).await;
    line.say_goodbye();
    tracing::debug!(%ended, late = line.jitter.late(), dropped = line.dropped, "the call has ended");
    line.waiting.is_over.store(true, Ordering::Relaxed);
    line.waiting.waker.wake();
    // The application may be gone, or may still have much to read: the end comes after it.
    let _ = line.events.send(PeerEvent::Ended(ended)).await;
}

struct Line {
    machine: Machine,
    socket: UdpSocket,
    events: mpsc::Sender<PeerEvent>,
    waiting: Arc<Waiting>,
    encoder: Encoder,
    decoder: Decoder,
    heard_rate: Rate,
    mouth: Mouth,
    jitter: Jitter,
    is_quiet: bool,
    /// Frames that the application did not read in time.
    dropped: u64,
    stage: Stage,
    /// When something of the other side came last.
    heard_at: Instant,
    options: PeerOptions,
}

/// How far the call is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The other side is looked for.
    Routing { until: Instant },
    /// It is there; keys and channel are agreed on.
    Opening { until: Instant },
    /// Texts and audio flow.
    Open,
}

impl Line {
    async fn run(&mut self, mut orders: mpsc::UnboundedReceiver<Order>) -> Ended {
        let mut buffer = vec![0; LARGEST_DATAGRAM];
        let mut out = Vec::new();
        let mut tick = Instant::now() + FRAME_TIME;
        loop {
            let due = match self.turn(&mut out) {
                Ok(due) => due,
                Err(ended) => return ended,
            };
            let due = due.min(tick).min(self.deadline());
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Close) | None => return Ended::Closed,
                    Some(order) => self.obey(order),
                },
                received = self.socket.recv_from(&mut buffer) => self.receive(received, &buffer),
                () = sleep_until(due) => {
                    let now = Instant::now();
                    if let Some(ended) = self.overdue(now) {
                        return ended;
                    }
                    if tick <= now {
                        // After a long stop of the machine it goes on from here.
                        tick = if tick + LONGEST_STOP < now { now } else { tick } + FRAME_TIME;
                        self.on_tick(now);
                    }
                    if let Err(error) = self.machine.handle_timeout(now.into_std()) {
                        return failed(error);
                    }
                }
            }
        }
    }

    /// Sends what is to be sent, and tells what happened. Returns when the machine wants to be called.
    fn turn(&mut self, out: &mut Vec<Datagram>) -> Result<Instant, Ended> {
        let due = self.machine.drain(out).map_err(failed)?;
        self.transmit(out);
        while let Some(happened) = self.machine.poll_happened() {
            self.on_happened(happened)?;
        }
        if self.machine.is_over() {
            return Err(Ended::Lost("the connection broke".to_owned()));
        }
        let text = self.machine.waiting_text();
        if self.waiting.text.swap(text, Ordering::Relaxed) != text {
            self.waiting.waker.wake();
        }
        Ok(Instant::from_std(due))
    }

    /// A datagram that the system does not take is lost, as on any network.
    fn transmit(&self, out: &mut Vec<Datagram>) {
        for datagram in out.drain(..) {
            let _ = self.socket.try_send_to(&datagram.contents, datagram.to);
        }
    }

    fn receive(&mut self, received: io::Result<(usize, SocketAddr)>, buffer: &[u8]) {
        // An error is told of datagrams that were sent before: ICE notices by itself.
        let Ok((length, from)) = received else { return };
        let Some(contents) = buffer.get(..length) else { return };
        let now = Instant::now();
        if self.machine.handle_datagram(now.into_std(), from, contents) {
            self.heard_at = now;
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Text(text) => self.machine.send_text(text),
            Order::Say(samples) => self.mouth.push(&samples),
            Order::Hush => {
                self.mouth.clear();
                self.note_audio();
            }
            Order::Rates(said, heard) => {
                self.mouth.set_rate(said);
                self.encoder.set_rate(said);
                if heard != self.heard_rate {
                    (self.heard_rate, self.decoder) = (heard, Decoder::new(heard));
                }
                self.note_audio();
            }
            Order::Close => {}
        }
    }

    fn note_audio(&self) {
        self.waiting.audio.store(self.mouth.waiting(), Ordering::Relaxed);
        self.waiting.waker.wake();
    }

    fn on_happened(&mut self, happened: Happened) -> Result<(), Ended> {
        match happened {
            Happened::Found => self.on_found(),
            Happened::Opened => {
                self.stage = Stage::Open;
                self.tell(PeerEvent::Opened)?;
            }
            Happened::Text(text) => self.tell(PeerEvent::Text(text.into()))?,
            Happened::Binary(bytes) => self.tell(PeerEvent::Binary(bytes))?,
            Happened::Packet(time, packet) => self.jitter.push(time, packet),
            Happened::Closed => return Err(Ended::Closed),
        }
        Ok(())
    }

    fn on_found(&mut self) {
        if matches!(self.stage, Stage::Routing { .. }) {
            self.stage = Stage::Opening { until: Instant::now() + self.options.channel_deadline };
        }
    }

    /// Tells the application something that must not be lost.
    fn tell(&self, event: PeerEvent) -> Result<(), Ended> {
        match self.events.try_send(event) {
            // Without an application the orders end, too.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(_)) => {
                Err(Ended::Lost("the application reads what came too slowly".to_owned()))
            }
        }
    }

    /// Audio, 20 ms both ways.
    fn on_tick(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Open) {
            return;
        }
        for frame in self.mouth.pull() {
            let packet = self.encoder.encode(&frame);
            // It is refused only while the call is being closed.
            if let Err(error) = self.machine.send_packet(now.into_std(), packet) {
                tracing::debug!(%error, "a packet was not sent");
            }
            // The machine takes one packet between two polls.
            let mut out = Vec::new();
            if self.machine.drain(&mut out).is_ok() {
                self.transmit(&mut out);
            }
        }
        self.note_audio();
        self.listen();
        while self.jitter.is_ahead() {
            self.listen();
        }
    }

    fn listen(&mut self) {
        let samples = match self.jitter.pull() {
            Pulled::Packet(packet) => self.decoder.decode(&packet),
            Pulled::Lost => self.decoder.conceal(),
            Pulled::Nothing | Pulled::Idle if self.options.fills_silence => vec![0; self.heard_rate.frame()],
            Pulled::Nothing => return,
            Pulled::Idle => {
                if !self.is_quiet {
                    self.is_quiet = true;
                    self.pass(PeerEvent::Quiet);
                }
                return;
            }
        };
        self.is_quiet = false;
        self.pass(PeerEvent::Audio(Heard(samples)));
    }

    /// Tells the application something that it may miss.
    fn pass(&mut self, event: PeerEvent) {
        if self.events.capacity() <= KEPT_FOR_TEXTS || self.events.try_send(event).is_err() {
            self.dropped += 1;
        }
    }

    /// When the call has to be somewhere else.
    fn deadline(&self) -> Instant {
        match self.stage {
            Stage::Routing { until } | Stage::Opening { until } => until,
            // After three checks without an answer it counts as unreachable.
            Stage::Open => self.heard_at + 3 * CHECKED_EVERY + self.options.longest_silence,
        }
    }

    fn overdue(&self, now: Instant) -> Option<Ended> {
        (self.deadline() <= now).then(|| match self.stage {
            Stage::Routing { .. } => Ended::NoRoute,
            Stage::Opening { .. } => Ended::NoChannel,
            Stage::Open => {
                let silent = now.saturating_duration_since(self.heard_at).as_secs();
                Ended::Lost(format!("nothing has come by UDP for {silent} s"))
            }
        })
    }

    /// Tells the other side that the call is over, as far as possible at once.
    fn say_goodbye(&mut self) {
        let mut out = Vec::new();
        if self.machine.close().is_ok() && self.machine.drain(&mut out).is_ok() {
            self.transmit(&mut out);
        }
    }
}

fn failed(error: str0m::RtcError) -> Ended {
    Ended::Lost(format!("the connection broke: {error}"))
}

const FRAME_TIME: Duration = Duration::from_millis(1000 / FRAMES_PER_SECOND as u64);
/// A tick that is later than this is not caught up with.
const LONGEST_STOP: Duration = Duration::from_millis(500);
/// Larger ones are not sent over WebRTC.
const LARGEST_DATAGRAM: usize = 2000;
/// Events for which audio leaves room.
const KEPT_FOR_TEXTS: usize = 256;
