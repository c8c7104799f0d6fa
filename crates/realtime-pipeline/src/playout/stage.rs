//! The stage: [`Playout`] decides what each frame means to the ledger.

use std::time::Duration;

use realtime_protocol::call::{ConnectionEvent, Event, PlaybackReport};
use realtime_protocol::time::Timestamp;

use crate::chain::{
    AudioSource, Category, ClearId, Cx, Direction, Frame, FrameKind, Keys, Processor, Samples, Shape,
    SinkReport, UserSpeech,
};
use crate::playout::background::Background;
use crate::playout::clock::Clock;
use crate::playout::cut::{Clearing, Hold};
use crate::playout::form::Form;
use crate::playout::ledger::{Hearing, Ledger, Refused};
use crate::playout::order::{Order, is_heard_in_order};
use crate::playout::speech::Speech;
use crate::playout::stopped::Stopped;
use crate::playout::tones::{duration_of, tones};
use crate::playout::track::Track;

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
    holds_on_voice: bool,
    tones: Option<u32>,
    pub(super) background: Option<Background>,

    pub(super) ledger: Ledger,
    pub(super) order: Order,
    pub(super) stopped: Stopped,
    pub(super) speech: Speech,
    /// When the next chunk is due. `None`: nothing plays.
    pub(super) clock: Option<Clock>,
    pub(super) hold: Hold,
    /// The sink has been asked to drop what it holds.
    pub(super) clearing: Option<Clearing>,
    pub(super) last_clear: ClearId,
    pub(super) full: Option<Full>,
    /// What was last played.
    pub(super) last_form: Option<Form>,
    /// The next chunk rises from silence: it follows a fade of this track.
    pub(super) fade_in: Option<u64>,
    pub(super) run: Run,
    /// Whether the last audio that came was refused.
    refused: bool,
    too_many: bool,
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
    since: Timestamp,
    is_told: bool,
}

/// A sink that takes nothing for longer than this has a fault.
const LONGEST_FULL: Duration = Duration::from_secs(2);
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
            stopped: Stopped::default(),
            speech: Speech::default(),
            clock: None,
            hold: Hold::default(),
            clearing: None,
            last_clear: ClearId(0),
            full: None,
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
    /// such as a carrier, about 1 s. The sink has to know
    /// [`FrameKind::ClearSink`](crate::chain::FrameKind::ClearSink). Default: none.
    #[must_use]
    pub fn lead(self, lead: Duration) -> Self {
        Self { lead: lead.min(LONGEST_LEAD), ..self }.counted()
    }

    /// Whether audio counts as heard when the sink says so, by [`SinkReport::Heard`]. It has to, for all
    /// audio that it gets, and it has to know [`FrameKind::ClearSink`](crate::chain::FrameKind::ClearSink).
    /// Default: no, the time decides.
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

    fn handle_down(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        match frame.kind() {
            FrameKind::Start => self.run = Run::Running,
            FrameKind::End { .. } => {
                self.run = Run::Ending;
                self.ledger.finish(|_| true);
                self.release();
            }
            FrameKind::OutputAudio(_) => {
                if let FrameKind::OutputAudio(audio) = frame.into_kind() {
                    if self.stopped.has(&audio) {
                        cx.losses().late_output += 1;
                    } else {
                        let taken = self.ledger.push(audio);
                        self.tell_refusal(taken, cx);
                        self.finish_if_ending();
                    }
                }
            }
            FrameKind::OutputFinished { source, .. } => {
                if self.stopped.ends(source) {
                    cx.losses().interrupted += 1;
                    return;
                }
                self.ledger.finish(|track| track.is_growing(source));
                self.wait_in_order(frame, cx);
            }
            FrameKind::OutputDtmf(keys) if self.tones.is_some() => self.push_tones(&keys.clone(), cx),
            kind if is_heard_in_order(kind) => self.wait_in_order(frame, cx),
            _ => self.handle_both(frame, cx),
        }
    }

    /// Frames that mean the same in both directions.
    fn handle_both(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        match frame.kind() {
            FrameKind::Interruption { response_id, stop } => {
                let (response_id, stop) = (response_id.clone(), *stop);
                self.fade_out(cx);
                cx.forward(frame);
                self.interrupt(response_id.as_ref(), stop, cx);
                return;
            }
            FrameKind::Event(event) => self.on_event(event, cx),
            FrameKind::User(UserSpeech::VoiceStarted) if self.holds_on_voice => self.hold_for_voice(cx),
            FrameKind::User(UserSpeech::VoiceStopped) => self.resume_after_voice(),
            _ => {}
        }
        cx.forward(frame);
    }

    fn on_event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        match event {
            Event::ResponseStarted { response_id, .. } => self.stopped.begins(response_id),
            Event::ResponseFinished(report) => {
                self.ledger.finish(|track| track.response_id.as_ref() == Some(&report.response_id));
            }
            Event::Connection(ConnectionEvent::Lost { .. } | ConnectionEvent::Suspended {}) => {
                self.ledger.finish(Track::is_part);
            }
            Event::Closed { .. } => {
                self.ledger.finish(Track::is_part);
                self.release();
            }
            Event::HoldPlayback { id } => self.hold_for_session(*id, cx),
            Event::ResumePlayback { id } => self.resume_for_session(*id),
            _ => {}
        }
    }

    fn on_sink(&mut self, report: &SinkReport, cx: &mut Cx<'_>) {
        match report {
            SinkReport::Full => {
                let full = Full { since: cx.now(), is_told: false };
                self.full.get_or_insert(full);
            }
            SinkReport::Ready => {
                if self.full.take().is_some()
                    && let Some(clock) = &mut self.clock
                {
                    clock.catch_up(cx.now());
                }
            }
            SinkReport::Heard(at) => {
                if self.reports {
                    self.ledger.heard(&at.source, at.samples);
                }
            }
            SinkReport::Cleared { id, at } => self.on_cleared(*id, at.as_ref(), cx),
        }
    }

    /// A frame leaves once the audio before it has sounded.
    fn wait_in_order(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        match self.order.push(frame, &self.ledger) {
            Ok(None) => self.too_many = false,
            Ok(Some(frame)) => cx.forward_to(Direction::Downstream, frame),
            Err(too_many) => {
                cx.losses().overflowed += 1;
                if !std::mem::replace(&mut self.too_many, true) {
                    cx.fault(Category::Overflow, too_many.to_string());
                }
            }
        }
    }

    fn push_tones(&mut self, keys: &Keys, cx: &mut Cx<'_>) {
        let rate = self.tones.unwrap_or_default();
        let taken = self.ledger.check(rate, duration_of(keys));
        if taken.is_ok() && !keys.as_str().is_empty() {
            self.ledger.push_surviving(AudioSource::Clip("dtmf".into()), tones(keys, rate));
        }
        self.tell_refusal(taken, cx);
    }

    /// Audio that does not fit is a fault, once each time.
    fn tell_refusal(&mut self, taken: Result<(), Refused>, cx: &mut Cx<'_>) {
        let was_refused = std::mem::replace(&mut self.refused, taken.is_err());
        if let Err(refused) = taken {
            cx.losses().refused_output += 1;
            if !was_refused {
                cx.fault(Category::Overflow, refused.to_string());
            }
        }
    }

    /// After `End`, a part without more audio is over.
    fn finish_if_ending(&mut self) {
        if self.run == Run::Ending {
            self.ledger.finish(|_| true);
        }
    }

    /// Does what is due.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        // What the sink is about to drop is not heard.
        if self.clearing.is_none() {
            self.ledger.advance(cx.now());
        }
        while let Some(frame) = self.order.pop(&self.ledger) {
            cx.forward_to(Direction::Downstream, frame);
        }
        self.play(cx);
        self.tell_reports(cx);
        self.tell_speech(cx);
    }

    pub(super) fn tell_reports(&mut self, cx: &mut Cx<'_>) {
        while let Some(position) = self.ledger.poll_report() {
            cx.push_up(FrameKind::Playback(PlaybackReport::Played(position)));
        }
    }

    pub(super) fn tell_speech(&mut self, cx: &mut Cx<'_>) {
        let sounds = self.clearing.is_none() && self.ledger.sounds(cx.now());
        if let Some(told) = self.speech.step(cx.now(), sounds, self.ledger.is_drained()) {
            cx.broadcast(FrameKind::Bot(told));
        }
    }

    fn tell_full(&mut self, cx: &mut Cx<'_>) {
        if let Some(full) = &mut self.full
            && !full.is_told
            && full.since + LONGEST_FULL <= cx.now()
        {
            full.is_told = true;
            let message = format!("expected the sink to take audio, and for {LONGEST_FULL:?} it took none");
            cx.fault(Category::Device, message);
        }
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
        let heard = self.ledger.next_end().filter(|_| play.is_none() || !self.order.is_empty());
        let sounds = self.ledger.next_due().filter(|_| !self.speech.is_on() && self.clearing.is_none());
        let limits = [full, play, heard, sounds, self.hold.poll_timeout(), self.speech.poll_timeout()];
        limits.into_iter().chain([self.clearing.as_ref().map(Clearing::until)]).flatten().min()
    }

    fn is_idle(&self) -> bool {
        self.ledger.is_drained() && self.order.is_empty() && self.clearing.is_none()
    }

    fn handle_stop(&mut self, cx: &mut Cx<'_>) {
        cx.losses().stopped += (self.ledger.pieces() + self.order.len()) as u64;
    }

    fn shape(&self) -> Shape {
        Shape::playout()
    }
}
