//! From one session to the next: when another connection is made, when it is seeded, when it takes over.
//!
//! The rule kept here: of two sessions only the serving one gets audio and requests, so that they never both
//! respond.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::audio::AudioFormat;
use crate::call::machine::blame::MOST_SENT;
use crate::call::machine::connection::Connection;
use crate::call::machine::held::Released;
use crate::call::machine::seeding::Seeding;
use crate::call::{
    Call, Command, CommandId, ConnectionEvent, ConnectionId, DisconnectReason, Event, Media, Outcome, Output,
    Warning,
};
use crate::time::{MediaTime, Timestamp, earlier};

/// The connection that is to serve next, and how far it has come.
#[derive(Debug, Default)]
pub(super) enum Successor {
    /// There is none.
    #[default]
    None,
    /// It will be made.
    Waiting {
        /// When.
        at: Timestamp,
        /// Where to.
        endpoint: u32,
    },
    /// It is being made, and its session configured.
    Opening(Box<Connection>),
    /// Its session is ready.
    Standby(Box<Connection>),
    /// Its session is being told what was said.
    Seeding(Box<Seeding>),
}

/// A wanted change of connections while one serves.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    /// Whether it does not wait for the end of the turn.
    pub(super) urgent: bool,
    /// Where to, if the application said so.
    pub(super) endpoint: Option<u32>,
    /// Who asked for it.
    pub(super) waiters: Vec<CommandId>,
    /// Attempts that failed.
    pub(super) failures: u32,
}

impl Successor {
    pub(super) fn connection(&self) -> Option<&Connection> {
        match self {
            Self::None | Self::Waiting { .. } => None,
            Self::Opening(connection) | Self::Standby(connection) => Some(connection),
            Self::Seeding(seeding) => Some(&seeding.connection),
        }
    }

    pub(super) fn connection_mut(&mut self) -> Option<&mut Connection> {
        match self {
            Self::None | Self::Waiting { .. } => None,
            Self::Opening(connection) | Self::Standby(connection) => Some(connection),
            Self::Seeding(seeding) => Some(&mut seeding.connection),
        }
    }

    pub(super) fn endpoint(&self) -> Option<u32> {
        match self {
            Self::Waiting { endpoint, .. } => Some(*endpoint),
            _ => self.connection().map(|connection| connection.endpoint),
        }
    }

    /// Its session answered something of the seed.
    pub(super) fn settled(&mut self, id: CommandId, outcome: Outcome) {
        if let Self::Seeding(seeding) = self {
            seeding.settled(id, outcome);
        }
    }
}

impl Call {
    /// Decides what follows from the current state. Returns whether anything changed.
    pub(super) fn step(&mut self) -> bool {
        if self.ended || self.stays() {
            return false;
        }
        let now = self.now;
        if self.serving.as_ref().is_some_and(|connection| connection.session.closing_reason().is_some()) {
            return false;
        }
        if self.rotation.is_none() && self.rotation_due().is_some_and(|due| due <= now) {
            self.rotation = Some(Rotation::default());
        }
        match &self.successor {
            Successor::None if self.rotation.is_some() && self.serving.is_some() => {
                self.open(self.rotation_target());
                true
            }
            Successor::Waiting { at, endpoint } if *at <= now => {
                // Another endpoint may be usable again.
                let asked_for = self.rotation.as_ref().and_then(|rotation| rotation.endpoint);
                let endpoint = asked_for.or_else(|| self.endpoints.choose(now)).unwrap_or(*endpoint);
                self.open(endpoint);
                true
            }
            Successor::Standby(_) if self.may_change_over() => {
                self.begin_seeding();
                true
            }
            Successor::Seeding(seeding) => {
                if self.serving.is_some() && self.is_urgent() {
                    self.make_urgent();
                    true
                } else if !self.may_change_over() {
                    // The old session has begun a turn. It goes on, and the next attempt gets a new seed.
                    self.abort_cut_over();
                    true
                } else if seeding.is_over(now) {
                    self.change_over();
                    true
                } else {
                    false
                }
            }
            Successor::None | Successor::Waiting { .. } | Successor::Opening(_) | Successor::Standby(_) => {
                false
            }
        }
    }

    /// When something here is due.
    pub(super) fn succession_due(&self) -> Option<Timestamp> {
        if self.ended || self.stays() {
            return None;
        }
        let serving = self.serving.as_ref();
        if serving.is_some_and(|connection| connection.session.closing_reason().is_some()) {
            return None;
        }
        let rotation = if self.rotation.is_none() { self.rotation_due() } else { None };
        let successor = match &self.successor {
            Successor::Waiting { at, .. } => Some(*at),
            Successor::Standby(_) => {
                serving.and_then(|connection| connection.session.quiet_at(self.patience()))
            }
            Successor::Seeding(seeding) => Some(seeding.deadline),
            Successor::None | Successor::Opening(_) => None,
        };
        earlier(rotation, successor)
    }

    /// Returns whether the session that serves is to stay: none follows, and its age does not matter.
    const fn stays(&self) -> bool {
        matches!(self.successor, Successor::None)
            && self.rotation.is_none()
            && self.reconnect.rotate_before.is_zero()
    }

    fn rotation_due(&self) -> Option<Timestamp> {
        self.serving.as_ref()?.rotate_at(self.reconnect.rotate_before)
    }

    fn rotation_target(&self) -> u32 {
        let asked_for = self.rotation.as_ref().and_then(|rotation| rotation.endpoint);
        let current = self.serving.as_ref().map_or(0, |connection| connection.endpoint);
        asked_for.or_else(|| self.endpoints.choose(self.now)).unwrap_or(current)
    }

    /// Returns whether the serving session can be replaced now without interrupting anything.
    fn may_change_over(&self) -> bool {
        self.is_urgent()
            || self
                .serving
                .as_ref()
                .is_none_or(|connection| connection.session.is_between_turns(self.patience()))
    }

    /// How long a change waits for the transcript of the user's speech.
    fn patience(&self) -> Duration {
        self.reconnect.transcript_deadline
    }

    /// Returns whether input waits although a session serves.
    pub(super) fn is_holding(&self) -> bool {
        self.is_urgent() || matches!(self.successor, Successor::Seeding(_))
    }

    /// Returns whether the change does not wait for the end of the turn.
    pub(super) fn is_urgent(&self) -> bool {
        self.rotation.as_ref().is_some_and(|rotation| rotation.urgent)
    }

    pub(super) fn held_bounds(&self) -> (AudioFormat, Duration) {
        (self.input_format, self.reconnect.held_audio)
    }

    fn open(&mut self, endpoint: u32) {
        if self.serving.is_none() {
            self.tell(Event::Connection(ConnectionEvent::Retrying { attempt: self.attempts, endpoint }));
        }
        self.connect(endpoint);
    }

    /// Makes another connection.
    pub(super) fn connect(&mut self, endpoint: u32) {
        let id = ConnectionId(self.connections);
        self.connections = self.connections.saturating_add(1);
        self.outputs.push_back(Output::Connect { connection: id, endpoint });
        let dialect = self.endpoints.dialect(endpoint);
        let connection = Connection::new(id, endpoint, dialect, &self.options, self.config_version);
        self.successor = Successor::Opening(connection);
    }

    /// The change has become urgent since the seed was asked for.
    fn make_urgent(&mut self) {
        if let Successor::Seeding(seeding) = &mut self.successor {
            seeding.urgent = true;
            self.lost_at = Some(seeding.since); // since then it got no audio
        }
        self.end_serving();
    }

    /// The serving session ends, because another one takes its place.
    pub(super) fn end_serving(&mut self) {
        let Some(old) = self.serving.take() else { return };
        self.outputs.push_back(Output::Close(old.id));
        self.end_session(old, DisconnectReason::Lost { reason: "replaced by another session".into() });
    }

    /// The new session takes over.
    fn change_over(&mut self) {
        let Successor::Seeding(seeding) = core::mem::take(&mut self.successor) else { return };
        let Seeding { mut connection, since, urgent, failed, replaces, .. } = *seeding;
        let endpoint = connection.endpoint;
        let rotated = urgent || self.serving.is_some();
        let (held_as, oldest) = self.held_bounds();
        self.end_serving();
        let buffer = core::mem::take(&mut connection.buffer);
        self.serving = Some(connection);
        for event in buffer {
            self.relay(event);
        }
        if let Some(connection) = &mut self.serving {
            connection.serves_since = Some(self.now);
            connection.session.count_rounds_from(core::mem::take(&mut self.rounds));
        }
        self.seed_limit.served();
        self.audio.trim(self.now, held_as, oldest);
        let mut audio = self.audio.take(held_as);
        if held_as != self.input_format {
            audio.lose(held_as); // the new session would hear noise
        }
        let audio_lost = audio.lost;
        let gap = self.now.saturating_since(self.lost_at.take().unwrap_or(since));
        self.tell(if rotated {
            Event::Connection(ConnectionEvent::Rotated { endpoint, gap, audio_lost })
        } else {
            Event::Connection(ConnectionEvent::Resumed { gap, audio_lost })
        });
        self.rotation = self.rotation.take().and_then(|rotation| {
            for id in rotation.waiters {
                self.tell(Event::Settled { id, outcome: Outcome::Done });
            }
            None
        });
        self.settle_replaced(&replaces, &failed);
        self.reopen_functions();
        self.hand_over(audio);
    }

    /// Gives the session that serves what waited for it: commands, the reply that was due, audio.
    fn hand_over(&mut self, audio: Released) {
        let mut batch = self.commands.release();
        let owes = core::mem::take(&mut self.owes);
        let owes = if self.attaches() { owes.unsent } else { owes.any };
        if owes {
            if self.asks >= MOST_SENT {
                self.asks = 0;
                self.tell(Event::Warning(Warning::ReplyGivenUp));
            } else {
                let id = self.own_command();
                self.asked = Some(id);
                self.asks += 1;
                batch.push((id, Command::CreateResponse { params: None, protected: false }));
            }
        }
        let mut media: Vec<Media> = audio.before.into_iter().map(Media::Append).collect();
        if let Some(turn) = audio.turn {
            media.push(Media::BeginTurn);
            media.extend(turn.into_iter().map(Media::Append));
        }
        let now = self.now;
        let Some(connection) = &mut self.serving else { return };
        connection.session.take_over(now, batch);
        let refused = media.into_iter().filter_map(|media| connection.session.handle_media(now, media).err());
        // The serving session may have another input format.
        let lost: usize = refused.map(|refused| refused.media.size()).sum();
        if lost > 0 {
            let lost = self.held_bounds().0.duration(lost as u64);
            self.tell(Event::Warning(Warning::InputAudioDropped { lost }));
        }
    }

    /// The serving session goes on, and gets what waited for the new one. A new connection is made later.
    pub(super) fn abort_cut_over(&mut self) {
        if let Successor::Seeding(seeding) = &self.successor {
            self.outputs.push_back(Output::Close(seeding.connection.id));
            self.retry_rotation();
        }
        self.release_to_serving();
    }

    /// Makes another connection for a rotation, later.
    pub(super) fn retry_rotation(&mut self) {
        let rotation = self.rotation.get_or_insert_with(Rotation::default);
        rotation.failures += 1;
        let entropy = self.options.entropy.wrapping_add(u64::from(self.connections));
        let at = self.now + self.reconnect.backoff.delay(rotation.failures, entropy);
        self.successor = Successor::Waiting { at, endpoint: self.rotation_target() };
    }

    /// Gives the serving session what waited for another one.
    pub(super) fn release_to_serving(&mut self) {
        if self.serving.is_none() {
            return;
        }
        let (format, _) = self.held_bounds();
        let audio = self.audio.take(format);
        if audio.lost > MediaTime::ZERO {
            self.tell(Event::Warning(Warning::InputAudioDropped { lost: audio.lost }));
        }
        self.hand_over(audio);
    }
}
