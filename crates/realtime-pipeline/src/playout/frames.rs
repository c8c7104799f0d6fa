//! What each frame means to the ledger, and what is told of it.

use realtime_protocol::call::{ConnectionEvent, Event, PlaybackReport};

use crate::chain::{
    AudioSource, Category, Cx, Direction, Frame, FrameKind, Keys, PhoneAction, PhoneRequest, SinkReport,
    UserSpeech,
};
use crate::playout::ledger::Refused;
use crate::playout::order::is_heard_in_order;
use crate::playout::stage::{Full, LONGEST_FULL, Playout, Run};
use crate::playout::tones::{duration_of, tones};
use crate::playout::track::Track;

impl Playout {
    pub(super) fn handle_down(&mut self, frame: Frame, cx: &mut Cx<'_>) {
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
                let _ = self.wait_in_order(frame, cx);
            }
            FrameKind::OutputDtmf(keys) if self.tones.is_some() => {
                self.push_tones(&keys.clone(), cx);
            }
            FrameKind::PhoneRequest(request) => {
                let request = request.clone();
                self.on_phone_request(&request, frame, cx);
            }
            kind if is_heard_in_order(kind) => {
                let _ = self.wait_in_order(frame, cx);
            }
            _ => self.handle_both(frame, cx),
        }
    }

    /// Frames that mean the same in both directions.
    pub(super) fn handle_both(&mut self, frame: Frame, cx: &mut Cx<'_>) {
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
            Event::Server(event) => self.server.learn(event, cx.now()),
            Event::Connection(ConnectionEvent::Lost { .. } | ConnectionEvent::Suspended {}) => {
                self.server.end();
                self.ledger.finish(Track::is_part);
            }
            Event::Closed { .. } => {
                self.server.end();
                self.ledger.finish(Track::is_part);
                self.release();
            }
            Event::HoldPlayback { id } => self.hold_for_session(*id, cx),
            Event::ResumePlayback { id } => self.resume_for_session(*id),
            _ => {}
        }
    }

    pub(super) fn on_sink(&mut self, report: &SinkReport, cx: &mut Cx<'_>) {
        self.ledger.sign(cx.now());
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
            SinkReport::Away => self.on_away(cx),
            SinkReport::Back { at } => self.on_back(at.as_ref(), cx),
        }
    }

    /// A frame leaves once the audio before it has sounded. Returns whether it will.
    fn wait_in_order(&mut self, frame: Frame, cx: &mut Cx<'_>) -> bool {
        match self.order.push(frame, &self.ledger) {
            Ok(None) => self.too_many = false,
            Ok(Some(frame)) => cx.forward_to(Direction::Downstream, frame),
            Err(too_many) => {
                cx.losses().overflowed += 1;
                if !std::mem::replace(&mut self.too_many, true) {
                    cx.fault(Category::Overflow, too_many.to_string());
                }
                return false;
            }
        }
        true
    }

    /// A frame leaves once the server, too, has played what it plays by itself. Returns whether it will.
    fn wait_for_all(&mut self, frame: Frame, cx: &mut Cx<'_>) -> bool {
        if self.server.is_on(cx.now()) {
            self.server.hold(frame).is_ok()
        } else {
            self.wait_in_order(frame, cx)
        }
    }

    /// A request leaves in the order of hearing; keys become tones if that was chosen.
    fn on_phone_request(&mut self, request: &PhoneRequest, frame: Frame, cx: &mut Cx<'_>) {
        let done = match &request.action {
            PhoneAction::SendKeys(keys) if self.tones.is_some() => {
                let taken = self.push_tones(keys, cx);
                if taken { Ok(()) } else { Err("there is no room for the tones: wait, and ask again") }
            }
            _ if self.wait_for_all(frame, cx) => return,
            _ => Err("too much waits to be heard: wait, and ask again"),
        };
        cx.push_up(FrameKind::PhoneAnswer(request.answer(done)));
    }

    /// Returns whether they will sound.
    fn push_tones(&mut self, keys: &Keys, cx: &mut Cx<'_>) -> bool {
        let rate = self.tones.unwrap_or_default();
        let taken = self.ledger.check(rate, duration_of(keys));
        if taken.is_ok() && !keys.as_str().is_empty() {
            self.ledger.push_surviving(AudioSource::Clip("dtmf".into()), tones(keys, rate));
        }
        let will_sound = taken.is_ok();
        self.tell_refusal(taken, cx);
        will_sound
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
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) {
        if self.counts() {
            self.ledger.advance(cx.now());
        }
        while let Some(frame) = self.server.pop(cx.now()) {
            if let FrameKind::PhoneRequest(request) = frame.kind() {
                let request = request.clone();
                self.on_phone_request(&request, frame, cx);
            }
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
        let sounds = self.counts() && self.ledger.sounds(cx.now());
        if let Some(told) = self.speech.step(cx.now(), sounds, self.ledger.is_drained()) {
            cx.broadcast(FrameKind::Bot(told));
        }
    }

    pub(super) fn tell_full(&mut self, cx: &mut Cx<'_>) {
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
