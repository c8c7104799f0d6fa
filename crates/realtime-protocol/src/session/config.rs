//! The configuration: what was asked for, what the server made of it, and what it no longer lets change.
//!
//! Only what was acknowledged is in force. A server refuses a whole update and names one member. That member
//! is taken out, with as little around it as possible, and the rest is sent again. Each round asks for less,
//! so the rounds end.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::audio::AudioFormat;
use crate::call::{CloseReason, CommandId, Event, Outcome, RefusedMember, Updated, Warning};
use crate::error::ApiError;
use crate::event::SessionUpdate;
use crate::field::Field;
use crate::id::EventId;
use crate::session::answers::{Await, Awaited};
use crate::session::sequencer::turn;
use crate::session::state::Step;
use crate::session::updates::{Update, share};
use crate::session::{Begin, Session};
use crate::session_config::{SessionConfig, differences};

impl Session {
    /// The server has opened the session: it gets the configuration, unless the session runs already.
    pub(super) fn configure(&mut self) {
        let ready_due = self.now + self.options.ready_deadline;
        if !self.state.step(Step::Created { ready_due }) {
            return;
        }
        if self.options.begin == Begin::Configure {
            self.complete_wish();
        }
        let asked = match self.options.begin {
            Begin::Configure => self.options.config.clone(),
            Begin::Attach => SessionConfig { kind: self.options.config.kind.clone(), ..Default::default() },
        };
        let mut update = Update::new(asked, Vec::new()).put_in(self.options.dialect);
        self.updates.kind.clone_from(&update.config.kind);
        match self.options.begin {
            Begin::Configure => {
                update.is_first = true;
                self.send_update(None, update);
            }
            Begin::Attach => {
                let before = self.config.clone();
                self.ready(&before, Vec::new());
            }
        }
    }

    /// Changes the configuration, as far as the server still lets it change.
    pub(super) fn update_config(&mut self, id: CommandId, mut config: SessionConfig) {
        self.policy.take_wish(&mut config);
        if self.joins_first_update() {
            self.options.config.merge(config.clone());
            self.updates.join(id, config);
            return;
        }
        let locked = self.take_locked(&mut config);
        for path in &locked {
            self.tell(Event::Warning(Warning::ConfigMemberLocked { path: path.clone() }));
        }
        // GA refuses an update without the session's `type`.
        config.kind.clone_from(&self.updates.kind);
        let update = Update::new(config, locked).put_in(self.options.dialect);
        if update.is_empty() {
            self.settle(id, nothing_left(update));
        } else {
            self.send_update(Some(id), update);
        }
    }

    /// The format of input audio: the one asked for, until the server has answered.
    pub(super) fn input_format(&self) -> AudioFormat {
        let asked = || self.options.config.input()?.format.value()?.format();
        let asked = if self.state.is_ready() { None } else { asked() };
        asked.unwrap_or_else(|| self.config.input_format())
    }

    /// The server reports its configuration. What it acknowledges is taken over; differences are told.
    pub(super) fn on_updated(&mut self, echo: Field<Box<SessionConfig>>) {
        let awaited = self.answered(&Await::Updated);
        let before = self.config.clone();
        let update = self.acknowledged(awaited.as_ref());
        let echo = echo.into_value().map_or_else(SessionConfig::default, |echo| *echo);
        if let Some(update) = &update {
            let paths = differences(&update.config, &echo);
            if !paths.is_empty() {
                self.tell(Event::Warning(Warning::ConfigDiffers { paths }));
            }
            self.updates.kind.clone_from(&update.config.kind);
            self.config.merge((*update.config).clone());
        }
        self.config.merge_echo(echo);
        if self.config.turn_detection().is_null() {
            self.step_turn(turn::Step::Undetected, None);
            self.drop_speech();
        }
        self.check_policy();
        if self.is_unconfigured() {
            return self.configure(); // the session is open, though the server did not say so
        }
        let Update { config, refused, locked, .. } =
            update.unwrap_or_else(|| Update::new(SessionConfig::default(), Vec::new()));
        if !self.state.is_ready() {
            return self.ready(&before, refused);
        }
        if let Some(id) = awaited.and_then(|awaited| awaited.id) {
            let changed = config.has_changed(&before, &self.config);
            let (refused, instructions) = (refused.clone(), config.instructions.value().cloned());
            self.settle(id, Outcome::Updated(Updated { changed, refused, locked, instructions }));
        }
        self.tell_updated(refused);
    }

    /// The server does not acknowledge the configuration: what it has not refused counts as applied.
    pub(super) fn assume_config(&mut self) {
        self.tell(Event::Warning(Warning::ConfigUnacknowledged));
        let before = self.config.clone();
        let mut refused = Vec::new();
        if let Some(first) = self.updates.first_mut() {
            first.before = Some(before.clone().into());
            refused.clone_from(&first.refused);
            self.config.merge((*first.config).clone());
        }
        self.ready(&before, refused);
    }

    /// An answer did not come. If it was for an update, that update is forgotten too. The first update has
    /// its own deadline.
    pub(super) fn forget_update(&mut self, awaited: &Awaited) {
        if awaited.what == Await::Updated && self.state.is_ready() {
            self.updates.take(&awaited.event_id);
        }
    }

    /// The server refused an update: one bad member refuses all of it. If the error names the member, the
    /// rest is sent again. Returns whether something other than the error tells of the refusal.
    pub(super) fn update_refused(
        &mut self,
        id: Option<CommandId>,
        event_id: &EventId,
        error: &ApiError,
    ) -> bool {
        let refused = Outcome::Refused { error: Box::new(error.clone()) };
        let Some(mut update) = self.updates.take(event_id) else {
            self.settle_all(id.into_iter().collect(), &refused);
            return id.is_some();
        };
        if let Some(before) = &update.before {
            self.config = (**before).clone();
        }
        if update.refuse(error) {
            let path = update.refused.last().map(|member| member.path.clone()).unwrap_or_default();
            let param = error.param.value().cloned().filter(|param| !param.is_empty()).unwrap_or(path);
            let message = error.message_str().into();
            self.tell(Event::Warning(Warning::ConfigMemberRefused { param, message }));
            if !update.is_empty() || !self.state.is_ready() {
                self.send_again(id, update);
                return true;
            }
        } else {
            let error = Box::new(error.clone());
            update.refused.push(RefusedMember { path: String::new(), error });
        }
        match id {
            Some(id) => self.settle(id, refused),
            None if self.state.is_ready() => self.tell_updated(update.refused),
            None => self.close(CloseReason::ConfigRefused { message: error.message_str().into() }),
        }
        !self.state.is_ended()
    }

    /// Sends what is left of an update. Members that a later update has set are left out.
    fn send_again(&mut self, id: Option<CommandId>, mut update: Update) {
        for later in self.updates.sent() {
            update.config.give_way(&later.config);
        }
        if update.before.is_some() {
            self.config.merge((*update.config).clone());
        }
        if !update.is_empty() || !self.state.is_ready() {
            return self.send_update(id, update);
        }
        let Update { refused, locked, .. } = update;
        match id {
            Some(id) => self.settle(id, Outcome::Updated(Updated { refused, locked, ..Updated::default() })),
            None => self.tell_updated(refused),
        }
    }

    fn tell_updated(&mut self, refused: Vec<RefusedMember>) {
        self.tell(Event::ConfigUpdated { config: self.config.clone().into(), refused });
    }

    pub(super) fn send_update(&mut self, id: Option<CommandId>, mut update: Update) {
        self.note_update(&mut update);
        let event_id = self.next_event_id();
        self.expect(id, event_id.clone(), Await::Updated);
        let session = update.config.clone();
        update.event_id = event_id.clone();
        self.updates.push(update);
        self.send(SessionUpdate { event_id: event_id.into(), session, ..SessionUpdate::default() });
    }

    /// The update that an acknowledgement is for. Any acknowledgement fits the first update.
    fn acknowledged(&mut self, awaited: Option<&Awaited>) -> Option<Update> {
        let first = self.updates.first_mut().map(|first| first.event_id.clone());
        let first = first.filter(|_| !self.state.is_ready());
        self.updates.take(&awaited.map(|awaited| awaited.event_id.clone()).or(first)?)
    }

    /// The configuration is in force: held commands and audio are sent.
    fn ready(&mut self, before: &SessionConfig, refused: Vec<RefusedMember>) {
        let held_as = self.input_format();
        if !self.state.step(Step::Acknowledged) {
            return;
        }
        self.drop_held_as(held_as);
        for (id, config) in self.updates.take_joined() {
            let (left, refused) = share(config, &refused);
            let outcome = match refused.last() {
                Some(last) if left.sets_nothing() => Outcome::Refused { error: last.error.clone() },
                _ => {
                    let changed = left.has_changed(before, &self.config);
                    let instructions = left.instructions.value().cloned();
                    Outcome::Updated(Updated { changed, refused, instructions, ..Updated::default() })
                }
            };
            self.settle(id, outcome);
        }
        self.tell(Event::Ready { config: self.config.clone().into(), refused });
        self.release_held();
    }

    /// Drops held input audio in a format that the server does not take: it would be noise.
    fn drop_held_as(&mut self, format: AudioFormat) {
        if format == self.config.input_format() {
            return;
        }
        let kept_back = self.input.take_pre_roll();
        let held = self.held.take_audio().into_iter().chain(kept_back);
        let lost = format.duration(held.map(|audio| audio.len() as u64).sum());
        if lost > crate::time::MediaTime::ZERO {
            self.tell(Event::Warning(Warning::InputAudioDropped { lost }));
        }
    }

    /// Takes out members that the server no longer lets change. Returns those that were to change.
    fn take_locked(&self, config: &mut SessionConfig) -> Vec<String> {
        let mut locked = Vec::new();
        if let Field::Value(model) = core::mem::take(&mut config.model)
            && self.config.model.value() != Some(&model)
        {
            locked.push("model".into());
        }
        let current = self.config.output().and_then(|output| output.voice.value());
        if self.voice_locked
            && let Some(output) = config.audio.value_mut().and_then(|audio| audio.output.value_mut())
            && let Field::Value(voice) = core::mem::take(&mut output.voice)
            && current != Some(&voice)
        {
            locked.push("audio.output.voice".into());
        }
        config.prune();
        locked
    }
}

/// The outcome of an update of which nothing was left to send.
fn nothing_left(update: Update) -> Outcome {
    let Update { mut refused, locked, .. } = update;
    match refused.pop() {
        Some(RefusedMember { error, .. }) => Outcome::Refused { error },
        None => Outcome::Updated(Updated { refused, locked, ..Updated::default() }),
    }
}
