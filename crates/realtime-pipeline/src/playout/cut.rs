//! How playback stops, pauses and goes on.

use std::time::Duration;

use realtime_protocol::call::{HoldId, PlaybackPosition, PlaybackReport, StopId};
use realtime_protocol::id::ResponseId;
use realtime_protocol::time::Timestamp;

use crate::chain::{ClearId, Cx, Direction, FrameKind, SinkPosition};
use crate::playout::hold::{Clearing, Hold};
use crate::playout::ledger::Hearing;
use crate::playout::stage::Playout;

/// The user's voice pauses playback no longer.
const LONGEST_VOICE: Duration = Duration::from_secs(10);
/// The most stops that wait for one answer of the sink. The answer to a later one settles earlier ones.
const MOST_STOPS: usize = 16;

impl Playout {
    pub(super) fn hold_for_session(&mut self, id: HoldId, cx: &mut Cx<'_>) {
        self.fade_out(cx);
        self.hold.session = Some(id);
        if self.pause(Some(id), cx) {
            self.tell_reports(cx);
            let at = self.ledger.position(|_| true);
            cx.push_up(FrameKind::Playback(PlaybackReport::Held { id, at }));
        }
    }

    pub(super) fn resume_for_session(&mut self, id: HoldId) {
        self.hold.session.take_if(|held| *held == id);
    }

    /// Pauses if anything is audible.
    pub(super) fn hold_for_voice(&mut self, cx: &mut Cx<'_>) {
        if self.speech.is_on() {
            self.fade_out(cx);
            self.hold.voice = Some(cx.now() + LONGEST_VOICE);
            self.pause(None, cx);
        }
    }

    pub(super) const fn resume_after_voice(&mut self) {
        self.hold.voice = None;
    }

    pub(super) fn expire_voice(&mut self, now: Timestamp) {
        self.hold.voice.take_if(|until| *until <= now);
    }

    /// Nothing holds playback any longer.
    pub(super) fn release(&mut self) {
        self.hold = Hold::default();
    }

    /// Stops everything that came so far, and tells where. Frames that waited for it leave.
    pub(super) fn interrupt(
        &mut self,
        response_id: Option<&ResponseId>,
        stop: Option<StopId>,
        cx: &mut Cx<'_>,
    ) {
        self.hold = Hold::default();
        self.fade_in = None;
        response_id.into_iter().for_each(|response_id| self.stopped.add_response(response_id));
        for track in self.ledger.tracks().filter(|track| !track.survives && !track.is_cut) {
            track.response_id.iter().for_each(|response_id| self.stopped.add_response(response_id));
            if !track.is_whole {
                self.stopped.add_source(&track.source);
            }
        }
        cx.losses().interrupted += self.ledger.cut() as u64;
        for frame in self.order.take_all().chain(self.server.take_all()) {
            if let FrameKind::PhoneRequest(request) = frame.kind()
                && request.action.is_called_off_by_speech()
            {
                let why = "the user spoke before it was done: ask again if it is still wanted";
                cx.push_up(FrameKind::PhoneAnswer(request.answer(Err(why))));
            } else if frame.kind().survives_interruption() {
                cx.forward_to(Direction::Downstream, frame);
            } else {
                cx.losses().interrupted += 1;
            }
        }
        if self.clear(cx) {
            if let Some(clearing) = &mut self.clearing {
                if clearing.stops.len() == MOST_STOPS {
                    clearing.stops.remove(0);
                }
                clearing.stops.push(stop);
            }
        } else {
            let at = self.ledger.position(|track| track.is_cut);
            self.ledger.forget_cut();
            self.tell_reports(cx);
            tell_stopped(stop, at, cx);
        }
        if let Some(told) = self.speech.stop() {
            cx.broadcast(FrameKind::Bot(told));
        }
    }

    /// The sink has dropped what it held.
    pub(super) fn on_cleared(&mut self, id: ClearId, at: Option<&SinkPosition>, cx: &mut Cx<'_>) {
        if let Some(clearing) = self.clearing.take_if(|clearing| clearing.id == id) {
            let is_known = at.is_some_and(|at| self.ledger.heard(&at.source, at.samples));
            if !is_known && !self.reports {
                self.ledger.hear_until(clearing.asked);
            }
            self.cleared(clearing, cx);
        }
    }

    /// The sink has not answered in time: the clock decides.
    pub(super) fn expire_clearing(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        if let Some(clearing) = self.clearing.take_if(|clearing| clearing.until() <= now) {
            self.give_up(clearing, cx);
        }
    }

    /// The other end is away. What it was asked for it does not answer.
    pub(super) fn on_away(&mut self, cx: &mut Cx<'_>) {
        if let Some(clearing) = self.clearing.take() {
            self.give_up(clearing, cx);
        }
        self.full = None;
        self.away.get_or_insert_with(|| cx.now());
    }

    /// The other end is back: what it has not heard is handed out again.
    pub(super) fn on_back(&mut self, at: Option<&SinkPosition>, cx: &mut Cx<'_>) {
        let Some(since) = self.away.take() else { return };
        let is_known = at.is_some_and(|at| self.ledger.heard(&at.source, at.samples));
        if !is_known && !self.reports {
            self.ledger.hear_until(since);
        }
        self.tell_reports(cx);
        self.take_back();
    }

    /// Returns whether time and reports say what is heard. Not while the sink drops what it holds, and not
    /// while nobody is there.
    pub(super) const fn counts(&self) -> bool {
        self.clearing.is_none() && self.away.is_none()
    }

    /// Nothing goes out any longer. Returns whether it is known where playback stands.
    fn pause(&mut self, hold: Option<HoldId>, cx: &mut Cx<'_>) -> bool {
        let clears = self.clear(cx);
        if let Some(clearing) = &mut self.clearing {
            clearing.hold = hold.or(clearing.hold);
        }
        !clears
    }

    /// Asks the sink to drop what it holds and has not been heard. Returns whether its answer is waited for.
    fn clear(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.clearing.is_some() {
            return true;
        }
        // What it has heard by now is told when it is back, and is not waited for.
        if self.away.is_some() {
            return false;
        }
        if self.ledger.hearing() == Hearing::HandedOut {
            return false;
        }
        self.ledger.advance(cx.now());
        if !self.ledger.is_ahead() {
            return false;
        }
        self.last_clear.0 += 1;
        let id = self.last_clear;
        self.clearing = Some(Clearing { id, asked: cx.now(), hold: None, stops: Vec::new() });
        cx.push(FrameKind::ClearSink(id));
        true
    }

    /// It is known what was heard: tells it, and takes the rest back.
    fn cleared(&mut self, clearing: Clearing, cx: &mut Cx<'_>) {
        self.tell_reports(cx);
        let Clearing { hold, stops, .. } = clearing;
        if let Some(id) = hold {
            let at = self.ledger.position(|_| true);
            cx.push_up(FrameKind::Playback(PlaybackReport::Held { id, at }));
        }
        let at = self.ledger.position(|track| track.is_cut);
        for stop in stops {
            tell_stopped(stop, at.clone(), cx);
        }
        self.ledger.forget_cut();
        self.take_back();
    }

    /// The sink does not answer: the clock decides.
    fn give_up(&mut self, clearing: Clearing, cx: &mut Cx<'_>) {
        self.ledger.hear_until(clearing.asked);
        self.cleared(clearing, cx);
    }

    /// The sink holds nothing: what was not heard waits again.
    fn take_back(&mut self) {
        self.ledger.take_back();
        self.clock = None;
    }
}

/// Tells where playback stopped: in answer to the session, or as a report.
fn tell_stopped(stop: Option<StopId>, at: Option<PlaybackPosition>, cx: &mut Cx<'_>) {
    let report = match (stop, at) {
        (Some(id), at) => PlaybackReport::Stopped { id, at },
        (None, Some(at)) => PlaybackReport::Played(at),
        (None, None) => return,
    };
    cx.push_up(FrameKind::Playback(report));
}
