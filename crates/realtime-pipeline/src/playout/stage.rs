//! The stage: [`Playout`], its options and its state.

use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::{ClearId, Cx, Direction, Frame, FrameKind, Processor, Samples, Shape};
use crate::playout::background::Background;
use crate::playout::clock::Clock;
use crate::playout::form::Form;
use crate::playout::hold::{Clearing, Hold};
use crate::playout::ledger::{Hearing, Ledger};
use crate::playout::order::Order;
use crate::playout::server_playback::ServerPlayback;
use crate::playout::speech::Speech;
use crate::playout::stopped::Stopped;

/// Plays the model's audio and the application's own: stands between the service and the sink.
///
/// See the [module](crate::playout) for what it does with each frame.
#[doc(alias("BaseOutputTransport", "MediaSender"))]
#[derive(Debug)]
pub struct Playout {
    pub(super) chunk: Duration,
    pub(super) lead: Duration,
    pub(super) reports: bool,
    pub(super) pads: bool,
    pub(super) holds_on_voice: bool,
    pub(super) tones: Option<u32>,
    pub(super) background: Option<Background>,

    pub(super) ledger: Ledger,
    pub(super) order: Order,
    pub(super) server: ServerPlayback,
    pub(super) stopped: Stopped,
    pub(super) speech: Speech,
    /// When the next chunk is due. `None`: nothing plays.
    pub(super) clock: Option<Clock>,
    pub(super) hold: Hold,
    /// The sink has been asked to drop what it holds.
    pub(super) clearing: Option<Clearing>,
    pub(super) last_clear: ClearId,
    pub(super) full: Option<Full>,
    /// The other end has been away since then.
    pub(super) away: Option<Timestamp>,
    /// What was last played.
    pub(super) last_form: Option<Form>,
    /// The next chunk rises from silence: it follows a fade of this track.
    pub(super) fade_in: Option<u64>,
    pub(super) run: Run,
    /// Whether the last audio that came was refused.
    pub(super) refused: bool,
    pub(super) too_many: bool,
}

/// How far the run is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Run {
    New,
    Running,
    Ending,
}

/// The sink takes no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full {
    pub(super) since: Timestamp,
    pub(super) is_told: bool,
}

/// A sink that takes nothing for longer than this has a fault.
pub(super) const LONGEST_FULL: Duration = Duration::from_secs(2);
/// The shortest and the longest chunk.
const CHUNKS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];
/// The longest lead.
const LONGEST_LEAD: Duration = Duration::from_secs(10);

impl Playout {
    /// Plays in chunks of 20 ms, each when it is due. What was handed out counts as heard.
    pub fn new() -> Self {
        Self {
            chunk: Duration::from_millis(20),
            lead: Duration::ZERO,
            reports: false,
            pads: false,
            holds_on_voice: false,
            tones: None,
            background: None,
            ledger: Ledger::new(Hearing::HandedOut),
            order: Order::default(),
            server: ServerPlayback::default(),
            stopped: Stopped::default(),
            speech: Speech::default(),
            clock: None,
            hold: Hold::default(),
            clearing: None,
            last_clear: ClearId(0),
            full: None,
            away: None,
            last_form: None,
            fade_in: None,
            run: Run::New,
            refused: false,
            too_many: false,
        }
    }

    /// Plays in chunks of this length, limited to 5 ms to 100 ms. Shorter ones stop closer to the moment of
    /// an interruption, and cost more wake-ups.
    #[must_use]
    pub fn chunk(self, chunk: Duration) -> Self {
        Self { chunk: chunk.clamp(CHUNKS[0], CHUNKS[1]), ..self }
    }

    /// Hands chunks out so long before they are due, limited to 10 s: for a sink that keeps them until then,
    /// such as a carrier, about 1 s. The sink has to know [`FrameKind::ClearSink`]. Default: none.
    #[must_use]
    pub fn lead(self, lead: Duration) -> Self {
        Self { lead: lead.min(LONGEST_LEAD), ..self }.counted()
    }

    /// Whether audio counts as heard when the sink says so, by
    /// [`SinkReport::Heard`](crate::chain::SinkReport::Heard). It has to, for all audio that it gets, and it
    /// has to know [`FrameKind::ClearSink`]. Default: no, the time decides.
    #[must_use]
    pub fn reports(self, reports: bool) -> Self {
        Self { reports, ..self }.counted()
    }

    /// Whether a chunk that is too short is filled with silence: for carriers that take whole chunks only.
    /// Default: no.
    #[must_use]
    pub const fn pad(mut self, pads: bool) -> Self {
        self.pads = pads;
        self
    }

    /// Plays this sound in a loop under everything, and while nothing else plays, from the beginning of the
    /// run to its end. `gain` 1 leaves it as loud as it is; 0.4 is usual. It is mixed to mono, converted to
    /// the rate of what it is mixed with, and written in the format of what plays. Too loud is clipped.
    #[doc(alias("SoundfileMixer", "BaseAudioMixer"))]
    #[must_use]
    pub fn background(self, sound: &Samples, gain: f32) -> Self {
        let background = Some(Background::new(sound, gain)).filter(|background| !background.is_empty());
        Self { background, ..self }
    }

    /// Turns keys to be sent into audible tones, at `rate` Hz: 100 ms each, and 50 ms of silence. They go on
    /// after an interruption. Default: the keys are handed on to the sink, in the order of hearing.
    #[must_use]
    pub fn tones(self, rate: u32) -> Self {
        Self { tones: Some(rate), ..self }
    }

    /// Pauses while a detector hears the user's voice, and goes on after it if that did not interrupt. The
    /// session is told nothing. Not longer than 10 s at a time.
    #[must_use]
    pub fn hold_on_voice(self) -> Self {
        Self { holds_on_voice: true, ..self }
    }

    /// When audio counts as heard.
    fn counted(self) -> Self {
        let hearing = match (self.reports, self.lead.is_zero()) {
            (true, _) => Hearing::Reported,
            (false, true) => Hearing::HandedOut,
            (false, false) => Hearing::Due,
        };
        Self { ledger: Ledger::new(hearing), ..self }
    }
}

impl Default for Playout {
    fn default() -> Self {
        Self::new()
    }
}

impl Processor for Playout {
    fn name(&self) -> &str {
        "playout"
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        match (cx.direction(), frame.kind()) {
            (Direction::Downstream, _) => self.handle_down(frame, cx),
            (Direction::Upstream, FrameKind::Sink(report)) => self.on_sink(report, cx),
            (Direction::Upstream, _) => self.handle_both(frame, cx),
        }
        self.settle(cx);
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        self.expire_clearing(cx);
        self.expire_voice(cx.now());
        self.tell_full(cx);
        self.settle(cx);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let full = self.full.filter(|full| !full.is_told).map(|full| full.since + LONGEST_FULL);
        let play = self.next_play();
        let counts = self.counts();
        let heard = self.ledger.next_end().filter(|_| counts && (play.is_none() || !self.order.is_empty()));
        let sounds = self.ledger.next_due().filter(|_| counts && !self.speech.is_on());
        let limits = [full, play, heard, sounds, self.hold.poll_timeout(), self.speech.poll_timeout()];
        let limits = limits.into_iter().chain([self.server.poll_timeout()]);
        limits.chain([self.clearing.as_ref().map(Clearing::until)]).flatten().min()
    }

    fn is_idle(&self) -> bool {
        self.ledger.is_drained() && self.order.is_empty() && self.server.len() == 0 && self.clearing.is_none()
    }

    fn handle_stop(&mut self, cx: &mut Cx<'_>) {
        cx.losses().stopped += (self.ledger.pieces() + self.order.len() + self.server.len()) as u64;
    }

    fn shape(&self) -> Shape {
        Shape::playout()
    }
}
