//! The interruption policy at work: it weighs the user's speech, holds playback meanwhile, and requests the
//! answer to a turn in place of the server.
//!
//! The table of [`Speech`] says what the speech leads to. Under [`InterruptionPolicy::AtOnce`] nothing here
//! is used: the server's report of speech interrupts.

use core::time::Duration;

use crate::call::{Event, HoldId};
use crate::event::InputAudioTranscriptionDelta;
use crate::field::Field;
use crate::id::ItemId;
use crate::session::Session;
use crate::session::interruption::By;
use crate::session::interruption_policy::InterruptionPolicy;
use crate::session::options::{PlaybackSource, SessionOptions};
use crate::session::sequencer::Request;
use crate::session::speech::{Decision, Speech, Step};
use crate::session::spoken_words::SpokenWords;
use crate::session_config::{SessionKind, TurnDetection};
use crate::time::Timestamp;

/// The policy, and what it knows of the user's newest speech.
#[derive(Debug, Default)]
pub(super) struct Policy {
    pub(super) rule: InterruptionPolicy,
    /// Turn detection as the application wants it.
    pub(super) wish: Field<TurnDetection>,
    /// Whether the server decides itself, despite what it was told.
    pub(super) fell_back: bool,
    /// Whether the server was told to leave interruptions to this side.
    pub(super) told: bool,
    pub(super) speech: Speech,
    words: SpokenWords,
    /// When the user last stopped.
    pub(super) stopped: Option<Timestamp>,
    hold: Option<Hold>,
    /// The id of the newest hold.
    last_hold: HoldId,
}

/// Playback is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    id: HoldId,
    /// Whether playback has reported its position.
    pub(super) is_exact: bool,
}

impl Policy {
    /// The policy of the options. Changes their configuration to the one that the server is told.
    pub(super) fn new(options: &mut SessionOptions) -> Self {
        let is_realtime = matches!(options.config.kind, Field::Absent | Field::Value(SessionKind::Realtime));
        let rule = if is_realtime { options.interruption } else { InterruptionPolicy::AtOnce };
        let mut policy = Self { rule, ..Self::default() };
        policy.take_wish(&mut options.config);
        policy
    }

    /// Numbers holds from here on, so that an answer for an earlier session is not mistaken for one of this
    /// session.
    pub(super) const fn number_from(&mut self, id: HoldId) {
        self.last_hold = id;
    }

    /// Takes out the hold if playback stops now.
    pub(super) const fn take_hold_if(&mut self, stops: bool) -> Option<Hold> {
        if stops { self.hold.take() } else { None }
    }

    /// When something here is due.
    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.speech.deadline()
    }

    /// Returns whether there is nothing to decide and nothing to answer.
    pub(super) const fn is_idle(&self) -> bool {
        !self.speech.is_pending() && self.hold.is_none()
    }

    /// Returns whether a turn that counts is about to become an item, for the next response to answer.
    pub(super) const fn is_committing(&self) -> bool {
        matches!(self.speech, Speech::Stopped { .. })
    }

    /// Returns whether the application wants the end of a turn to be answered.
    pub(super) fn responds(&self) -> bool {
        self.wish.value().is_none_or(TurnDetection::creates_response)
    }

    fn weigh_words(&mut self, now: Timestamp) -> Decision {
        match self.rule {
            InterruptionPolicy::AfterWords { words, .. } if self.words.known() >= words => {
                self.speech.step(Step::Enough { now })
            }
            _ => Decision::default(),
        }
    }
}

impl Session {
    /// The user begins to speak, as the server says.
    pub(super) fn on_speech(&mut self, item_id: Option<&ItemId>) {
        if !self.policy.is_in_force() {
            if self.server_interrupts() && !self.is_protected() {
                self.interrupt(None, By::Server);
            }
            return;
        }
        self.expire_speech();
        let audible = self.playback.is_audible(self.now, self.options.playback);
        let due = audible.then(|| self.weighed_at());
        if !self.policy.speech.is_open() {
            self.policy.words = SpokenWords::default();
        }
        self.policy.words.began(item_id);
        let decision = self.policy.speech.step(Step::Began { due });
        if due.is_some() {
            self.hold();
        }
        self.decide(decision);
    }

    /// When time decides about speech that begins now.
    fn weighed_at(&self) -> Timestamp {
        let silence = match self.config.turn_detection() {
            // 500 ms is the default: https://platform.openai.com/docs/guides/realtime-vad
            Field::Value(TurnDetection::ServerVad(vad)) => vad.silence_duration_ms.unwrap_or(500),
            Field::Absent => 500,
            Field::Value(_) | Field::Null => 0,
        };
        self.now
            + match self.policy.rule {
                InterruptionPolicy::AtOnce => Duration::ZERO,
                InterruptionPolicy::After { speech, .. } => {
                    speech.saturating_add(Duration::from_millis(silence.into()))
                }
                InterruptionPolicy::AfterWords { within, .. } => within,
            }
    }

    /// The user has stopped. The caller carries out the decision after telling the event.
    pub(super) fn end_speech(&mut self) -> Decision {
        if !self.policy.is_in_force() {
            return Decision::default();
        }
        self.expire_speech();
        if !self.policy.speech.is_going_on() {
            return Decision::default();
        }
        self.policy.stopped = Some(self.now);
        let words_decide = matches!(self.policy.rule, InterruptionPolicy::AfterWords { .. })
            && self.config.transcription().value().is_some();
        let outlasts = self.outlast();
        outlasts.and(self.policy.speech.step(Step::Ended { now: self.now, words_decide }))
    }

    /// The user's speech has become an item.
    pub(super) fn commit_speech(&mut self, item_id: Option<&ItemId>) {
        if let Some(item_id) = item_id {
            self.policy.words.committed(item_id);
        }
        let decision = self.policy.speech.step(Step::Committed);
        self.decide(decision);
    }

    /// The user's speech becomes no item, or one that the application answers.
    pub(super) fn drop_speech(&mut self) {
        let decision = self.policy.speech.step(Step::Dropped);
        self.decide(decision);
    }

    /// The application interrupts: the user's speech counts.
    pub(super) fn claim_speech(&mut self) {
        let decision = self.policy.speech.step(Step::Claimed { now: self.now });
        self.decide(decision);
        self.resume();
    }

    /// Words of the user's came. The caller carries out the decision after telling the words.
    pub(super) fn hear_words(&mut self, event: &InputAudioTranscriptionDelta) -> Decision {
        if !self.policy.speech.is_open() {
            return Decision::default();
        }
        self.policy.words.heard(&event.item_id, event.delta.value().map_or("", |delta| delta));
        self.policy.weigh_words(self.now)
    }

    /// All words of a user item are known. The caller carries out the decision after telling the words.
    pub(super) fn hear_transcript(&mut self, item_id: &ItemId, transcript: &str) -> Decision {
        if !self.policy.speech.is_open() {
            return Decision::default();
        }
        let whole = self.policy.words.whole(item_id, transcript);
        let decision = self.policy.weigh_words(self.now);
        if whole && decision == Decision::default() {
            let outlasts = self.outlast();
            return outlasts.and(self.policy.speech.step(Step::Transcribed));
        }
        decision
    }

    /// Lets time decide.
    pub(super) fn expire_speech(&mut self) {
        if self.policy.deadline().is_none_or(|deadline| deadline > self.now) {
            return;
        }
        let outlasts = self.outlast();
        let words = self.policy.words.known() > 0;
        let decision = outlasts.and(self.policy.speech.step(Step::Overdue { now: self.now, words }));
        self.decide(decision);
    }

    /// If nothing is audible any more, every turn counts.
    fn outlast(&mut self) -> Decision {
        if !self.policy.speech.is_open() || self.playback.is_audible(self.now, self.options.playback) {
            return Decision::default();
        }
        self.policy.speech.step(Step::Enough { now: self.now })
    }

    /// Does what was decided about the user's speech.
    pub(super) fn decide(&mut self, Decision { counts, answers }: Decision) {
        if counts == Some(true) && !self.is_protected() {
            self.interrupt(None, By::Policy);
        }
        if counts.is_some() {
            self.resume();
        }
        if let Some(stopped) = answers
            && self.policy.responds()
        {
            self.responses.request(Request::answer(stopped, self.sent));
        }
    }

    /// Holds playback, if the policy says so and playback can be held.
    fn hold(&mut self) {
        let is_reported = self.options.playback == PlaybackSource::Reported;
        if !self.policy.rule.holds() || !is_reported || self.policy.hold.is_some() || self.is_protected() {
            return;
        }
        let id = HoldId(self.policy.last_hold.0 + 1);
        self.policy.last_hold = id;
        self.policy.hold = Some(Hold { id, is_exact: false });
        self.tell(Event::HoldPlayback { id });
    }

    /// Ends the hold of playback, if there is one.
    pub(super) fn resume(&mut self) {
        if let Some(Hold { id, .. }) = self.policy.hold.take() {
            self.tell(Event::ResumePlayback { id });
        }
    }

    /// Playback reports where it is held.
    pub(super) fn on_held(&mut self, id: HoldId) {
        if let Some(hold) = self.policy.hold.as_mut().filter(|hold| hold.id == id) {
            hold.is_exact = true;
        }
    }

    /// Returns whether speech must not interrupt now: something protected is audible, runs, or is requested.
    pub(super) fn is_protected(&self) -> bool {
        self.responses.is_protected() || self.playback.is_protected(self.now, self.options.playback)
    }
}
