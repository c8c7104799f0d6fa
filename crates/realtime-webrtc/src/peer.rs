//! One side of a call, as the application holds it: [`Peer`], and the [`Offer`] that becomes one.

use std::fmt;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::error::{Ended, PeerError};
use crate::opus::Rate;
use crate::rtc::{Machine, Pending};
use crate::task::{Driven, drive};

/// The settings of a peer. Plain data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PeerOptions {
    /// The data channel's label.
    pub label: String,
    /// The address of this machine that the other side is to send to. Default: the one that reaches
    /// [`remote`](Self::remote).
    pub local: Option<IpAddr>,
    /// An address of the other side, as far as it is known before the call. Nothing is sent there: it only
    /// decides by which of its own addresses this machine is reached. Default: an address of the internet.
    pub remote: IpAddr,
    /// The samples that are given to the peer, and that come from it (samples per second). Default: 24 kHz.
    pub rate: Rate,
    /// How long the other side may take to be found by UDP (ICE). Default: 5 s.
    pub route_deadline: Duration,
    /// How long the keys (DTLS) and the data channel may take after that. Default: 5 s.
    pub channel_deadline: Duration,
    /// How long the other side may be unreachable before the call counts as lost. It is unreachable once it
    /// has left three checks in a row unanswered, which takes 3 s. Default: 5 s.
    pub longest_silence: Duration,
    /// Whether [`PeerEvent::Audio`] comes without a pause from the beginning to the end of the call: where
    /// nothing is heard, it is silence. Default: `false`.
    pub fills_silence: bool,
    /// Whether what has piled up is said twice as fast as it sounds, until no more than 100 ms of it wait:
    /// for a microphone, which must not be late for the rest of the call. Default: `false`.
    pub hurries: bool,
    /// The most audio that waits to be said. What is too much is refused. Default: 10 s.
    pub most_audio: Duration,
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self {
            label: "oai-events".to_owned(),
            local: None,
            // One of the addresses that are kept for documentation (RFC 5737).
            remote: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
            rate: Rate::default(),
            route_deadline: Duration::from_secs(5),
            channel_deadline: Duration::from_secs(5),
            longest_silence: Duration::from_secs(5),
            fills_silence: false,
            hurries: false,
            most_audio: Duration::from_secs(10),
        }
    }
}

/// What happens in a call.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PeerEvent {
    /// The data channel is open: texts and audio flow.
    Opened,
    /// A text came.
    Text(Arc<str>),
    /// A message came that is no text, with its length in bytes.
    Binary(usize),
    /// What is heard next: usually 20 ms, in the rate that was asked for.
    Audio(Heard),
    /// The other side says nothing: audio comes again when it does.
    Quiet,
    /// The call is over. Nothing follows.
    Ended(Ended),
}

/// Mono samples that are heard. `Debug` shows only how many.
#[derive(Clone, Eq, PartialEq)]
pub struct Heard(pub Vec<i16>);

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Heard({} samples)", self.0.len())
    }
}

/// An offer that waits for its answer. Dropping it closes its socket.
#[derive(Debug)]
pub struct Offer {
    machine: Machine,
    pending: Pending,
    socket: UdpSocket,
    sdp: String,
    options: PeerOptions,
}

impl Offer {
    /// Opens a socket and makes an offer: audio both ways first, then the data channel.
    ///
    /// Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// [`PeerError::Socket`] if there is no UDP.
    pub fn new(options: PeerOptions) -> Result<Self, PeerError> {
        let (socket, local) = bind(&options)?;
        let (machine, sdp, pending) = Machine::offer(local, &options.label, Instant::now())?;
        Ok(Self { machine, pending, socket, sdp, options })
    }

    /// The offer, as SDP.
    pub fn sdp(&self) -> &str {
        &self.sdp
    }

    /// Takes the other side's answer. The call begins: its first event is [`PeerEvent::Opened`], or its end.
    ///
    /// # Errors
    /// [`PeerError::BadSdp`] if it is no answer to this offer.
    pub fn accept(mut self, answer: &str) -> Result<Peer, PeerError> {
        self.machine.accept(self.pending, answer)?;
        Ok(Peer::begin(self.machine, self.socket, self.options))
    }
}

/// One side of a call. A task of its own carries it on; it ends when this is dropped.
///
/// ```
/// use realtime_webrtc::{Offer, Peer, PeerEvent, PeerOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = PeerOptions::default();
/// options.local = Some([127, 0, 0, 1].into());
/// let offer = Offer::new(options.clone())?;
/// // The descriptions go another way, such as an HTTP request and its answer.
/// let (answer, mut far) = Peer::answer(options, offer.sdp())?;
/// let mut near = offer.accept(&answer)?;
///
/// assert_eq!(near.next().await, Some(PeerEvent::Opened));
/// near.send_text("hello".to_owned());
/// while far.next().await != Some(PeerEvent::Text("hello".into())) {}
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Peer {
    orders: mpsc::UnboundedSender<Order>,
    events: mpsc::Receiver<PeerEvent>,
    waiting: Arc<Waiting>,
    is_over: bool,
}

impl Peer {
    /// Answers an offer. Returns the answer as SDP, and the call, which begins when the other side has the
    /// answer.
    ///
    /// Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// [`PeerError::BadSdp`] if it is no offer of an audio track with Opus, [`PeerError::Socket`] if there is
    /// no UDP.
    pub fn answer(options: PeerOptions, offer: &str) -> Result<(String, Self), PeerError> {
        let (socket, local) = bind(&options)?;
        let (machine, answer) = Machine::answer(local, &options.label, offer, Instant::now())?;
        Ok((answer, Self::begin(machine, socket, options)))
    }

    fn begin(machine: Machine, socket: UdpSocket, options: PeerOptions) -> Self {
        let (orders, taken) = mpsc::unbounded_channel();
        let (told, events) = mpsc::channel(MOST_EVENTS);
        let most = u128::from(options.rate.hz()) * options.most_audio.as_millis() / 1000;
        let waiting = Arc::new(Waiting {
            largest_text: machine.largest_text(),
            most_audio: usize::try_from(most).unwrap_or(usize::MAX),
            ..Waiting::default()
        });
        let driven = Driven { orders: taken, events: told, waiting: Arc::clone(&waiting), options };
        tokio::spawn(drive(machine, socket, driven));
        Self { orders, events, waiting, is_over: false }
    }

    /// The next thing that happens; `None` after [`PeerEvent::Ended`].
    pub async fn next(&mut self) -> Option<PeerEvent> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next) for who polls. It may be given up at any time.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<PeerEvent>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.events.poll_recv(cx).map(|event| {
            let gone = || PeerEvent::Ended(Ended::Lost("the call's task has ended".to_owned()));
            let event = event.unwrap_or_else(gone);
            self.is_over = matches!(event, PeerEvent::Ended(_));
            Some(event)
        })
    }

    /// Sends a text. It waits until the data channel is open.
    pub fn send_text(&self, text: String) {
        self.waiting.text.fetch_add(text.len(), Ordering::Relaxed);
        self.order(Order::Text(text));
    }

    /// Says these samples after those that wait. Returns whether they fit: beyond
    /// [`most_audio`](PeerOptions::most_audio) nothing is taken.
    pub fn say(&self, samples: Vec<i16>) -> bool {
        let before = self.waiting.audio.fetch_add(samples.len(), Ordering::Relaxed);
        if before > 0 && before + samples.len() > self.waiting.most_audio {
            self.waiting.audio.fetch_sub(samples.len(), Ordering::Relaxed);
            return false;
        }
        self.order(Order::Say(samples));
        true
    }

    /// Says nothing of what waits.
    pub fn hush(&self) {
        self.order(Order::Hush);
    }

    /// From here on samples have this rate, those that are said and those that are heard. What waits to be
    /// said is dropped.
    pub fn set_rate(&self, said: Rate, heard: Rate) {
        self.order(Order::Rates(said, heard));
    }

    /// Closes the call. Its last event is [`PeerEvent::Ended`].
    pub fn close(&self) {
        self.order(Order::Close);
    }

    /// The largest text that the other side takes (bytes).
    pub fn largest_text(&self) -> usize {
        self.waiting.largest_text
    }

    /// Bytes of text that the other side does not have yet, as far as known.
    pub fn waiting_text(&self) -> usize {
        self.waiting.text.load(Ordering::Relaxed)
    }

    /// Samples that wait to be said.
    pub fn waiting_audio(&self) -> usize {
        self.waiting.audio.load(Ordering::Relaxed)
    }

    /// Waits until at most so much waits: bytes of text, samples of audio.
    pub fn poll_room(&self, cx: &mut Context<'_>, text: usize, audio: usize) -> Poll<()> {
        let has_room = || {
            self.waiting_text() <= text && self.waiting_audio() <= audio
                || self.waiting.is_over.load(Ordering::Relaxed)
        };
        if has_room() {
            return Poll::Ready(());
        }
        self.waiting.waker.register(cx.waker());
        if has_room() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// A task that is over takes no more, and its end is told as an event.
    fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

/// What the application asks for.
#[derive(Debug)]
pub(crate) enum Order {
    Text(String),
    Say(Vec<i16>),
    Hush,
    Rates(Rate, Rate),
    Close,
}

/// What waits to be sent, as both sides see it.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Bytes.
    pub(crate) text: AtomicUsize,
    /// Samples.
    pub(crate) audio: AtomicUsize,
    /// Whether the task has ended.
    pub(crate) is_over: AtomicBool,
    /// Wakes who waits for room.
    pub(crate) waker: AtomicWaker,
    largest_text: usize,
    most_audio: usize,
}

/// Opens a socket at the address by which this machine is reached.
fn bind(options: &PeerOptions) -> Result<(UdpSocket, SocketAddr), PeerError> {
    let failed = |local| move |source| PeerError::Socket { local, source };
    let local = match options.local {
        Some(local) => local,
        None => own_address(options.remote).map_err(failed(None))?,
    };
    let open = || -> std::io::Result<_> {
        let socket = std::net::UdpSocket::bind((local, 0))?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    open().map_err(failed(Some(local)))
}

/// The address of this machine that reaches another. Nothing is sent.
fn own_address(remote: IpAddr) -> std::io::Result<IpAddr> {
    let any: SocketAddr = if remote.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect((remote, 9))?;
    socket.local_addr().map(|address| address.ip())
}

/// Events that the application has not read: about 10 s of audio. If it reads more slowly, audio is dropped.
const MOST_EVENTS: usize = 512;
