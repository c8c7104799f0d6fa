//! What a conversation holds under its lock, and where its call stands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use realtime_protocol::call::{CommandId, ConnectionEvent, Event, Outcome};
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::item::Item;
use realtime_protocol::session_config::{Modality, SessionConfig};

use crate::budget::Policy;
use crate::conversation::reports::Reports;
use crate::conversation::{Instructions, TextOnly};
use crate::learn::{Change, Learner};
use crate::log::{Body, EntryId, INAUDIBLE, Log, State as Progress};
use crate::message::Message;
use crate::mirror::{Made, Mirror, Owner};
use crate::sync::{History, Limits, Omitted};

/// The most changes that wait to be taken.
const MOST_CHANGES: usize = 4096;

/// Where the conversation's call stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Phase {
    /// There was none. What is asked for now is the first that a call is asked.
    #[default]
    New,
    /// A session serves.
    Serving,
    /// There is no session. The next one may attach to the same conversation.
    Between,
    /// The call has ended.
    Over,
}

/// What a command of the conversation's is to do.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Create(ItemId),
    Delete(ItemId),
    Instructions,
    Response,
}

pub(super) type Hook = Arc<dyn Fn() + Send + Sync>;
pub(crate) type Summariser = Arc<dyn Fn(&[Message]) -> String + Send + Sync>;

/// What a conversation holds.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) log: Log,
    pub(super) mirror: Mirror,
    /// The mirror of the session that was seeded and has not begun to serve, and the items on their way that
    /// the seed replaces.
    pub(super) next: Option<(Mirror, BTreeSet<ItemId>)>,
    pub(super) phase: Phase,
    pub(super) history: History,
    pub(super) instructions: Instructions,
    /// Whether the instructions of this call are another's.
    pub(super) left: bool,
    pub(super) text_only: TextOnly,
    pub(super) summariser: Option<Summariser>,
    /// How many tokens it may have, and what to do if there are more.
    pub(super) budget: Option<(Policy, u64)>,
    pub(super) hook: Option<Hook>,
    /// What was asked for and is not settled.
    pub(super) asked: BTreeMap<CommandId, Asked>,
    /// Whether the server may have to be told something.
    pub(super) dirty: bool,
    /// Whether a response is to be asked for after the edits.
    pub(super) respond: bool,
    /// Whether it hears the events of a call by itself.
    pub(super) listens: bool,
    pub(super) changes: VecDeque<Change>,
    /// What the application was told that the server can't be told.
    pub(super) told: BTreeSet<Omitted>,
    /// The instructions that the session was asked to have, as far as that is known; before, those that it
    /// says it has. A server may report other words than it was told: its echo changes nothing.
    pub(super) effective: Option<String>,
    pub(super) reports: Reports,
    /// Instructions that somebody has set past the call. It is asked for them, so that it tells them to every
    /// session that follows.
    pub(super) confirm: Option<String>,
    pub(super) speech: Speech,
}

/// Whether the model speaks when it should.
#[derive(Clone, Debug, Default)]
pub(super) struct Speech {
    /// Whether the session asks for audio.
    pub(super) wanted: bool,
    /// The response in the conversation that wrote text, and whether audio came with it.
    pub(super) written: Option<(ResponseId, bool)>,
    /// Whether the remedy was tried in this conversation.
    pub(super) mended: bool,
}

impl State {
    /// Learns from an event.
    pub(super) fn learn(&mut self, event: &Event) {
        match event {
            Event::Created { .. } => self.begin(),
            Event::ItemSent { item, .. } | Event::ItemPlaced { item, .. } if self.is_of_next(item) => {
                self.begin()
            }
            Event::Ready { config, .. } => {
                self.on_config(config);
                self.reports.serves();
            }
            Event::ConfigUpdated { config, .. } => self.on_config(config),
            Event::Connection(ConnectionEvent::Lost { .. } | ConnectionEvent::Suspended { .. }) => {
                self.phase = Phase::Between;
            }
            Event::Connection(ConnectionEvent::Resumed { .. } | ConnectionEvent::Rotated { .. }) => {
                self.on_serving();
            }
            Event::Settled { id, outcome } => self.on_settled(*id, outcome),
            Event::Closed { .. } => {
                self.phase = Phase::Over;
                (self.effective, self.left, self.confirm) = (None, false, None);
                self.reports = Reports::default();
                self.asked.clear(); // another call counts its commands anew
            }
            Event::ResponseFinished(_) | Event::Connection(_) => self.dirty = true,
            _ => {}
        }
        let mut learner = Learner::new(&mut self.log, &mut self.mirror);
        learner.event(event);
        let changes = learner.changes;
        self.note(changes);
    }

    fn note(&mut self, changes: Vec<Change>) {
        self.changes.extend(changes);
        let excess = self.changes.len().saturating_sub(MOST_CHANGES);
        self.changes.drain(..excess);
    }

    /// A session begins: with what it was seeded with, with what was asked for before it, with the
    /// conversation that went on, or with nothing.
    fn begin(&mut self) {
        if let Some((mut next, replaced)) = self.next.take() {
            next.ids.reach(&self.mirror.ids);
            // What was asked for since the seed is created after it.
            for asked in self.asked.values() {
                let Asked::Create(id) = asked else { continue };
                if !replaced.contains(id) && next.get(id).is_none() {
                    next.expect_carried(id, self.mirror.get(id));
                }
            }
            self.close();
            self.mirror = next;
            self.speech.mended = false;
        } else if matches!(self.phase, Phase::Serving | Phase::Over) {
            self.close();
            self.mirror = self.mirror.successor();
            self.speech.mended = false;
        }
        self.phase = Phase::Serving;
        self.reports.begin();
        self.dirty = true;
    }

    /// Returns whether an item is of the seed for a session that has begun without being noticed.
    fn is_of_next(&self, item: &Item) -> bool {
        let Some((next, _)) = &self.next else { return false };
        item.id().is_some_and(|id| self.mirror.get(&id).is_none() && next.get(&id).is_some())
    }

    /// Nothing more comes from the earlier conversation.
    fn close(&mut self) {
        let mut learner = Learner::new(&mut self.log, &mut self.mirror);
        learner.close();
        let changes = learner.changes;
        self.note(changes);
    }

    /// The conversation that this mirror shows goes on.
    pub(super) fn go_on(&mut self, mirror: Mirror) {
        self.mirror = mirror;
        self.phase = Phase::Between;
    }

    /// Returns whether a conversation on a server is shown by the mirror.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Serving | Phase::Between)
    }

    /// The instructions that the conversation wants.
    pub(super) fn own_instructions(&self) -> Option<String> {
        self.log.instructions().filter(|_| self.holds())
    }

    /// The configuration that holds.
    fn on_config(&mut self, config: &SessionConfig) {
        let modalities = config.output_modalities.value();
        self.speech.wanted = modalities.is_none_or(|modalities| modalities.contains(&Modality::Audio));
        let Some(reported) = config.instructions.value() else { return };
        let is_somebodys = self.reports.report(reported);
        let is_own = self.own_instructions().as_ref() == Some(reported);
        if self.effective.is_none() || is_own {
            self.effective = Some(reported.clone());
        }
        if is_somebodys && !is_own && !self.is_instructing() && self.holds() {
            self.follow(reported);
            self.confirm = Some(reported.clone());
        }
        self.dirty = true;
    }

    /// Another session serves. It was told what the call was asked for last, acknowledged or not.
    fn on_serving(&mut self) {
        self.dirty = true;
        let told = self.reports.serves().filter(|_| self.own_instructions() == self.effective);
        if let Some(told) = told {
            self.follow(&told);
        }
    }

    fn on_settled(&mut self, id: CommandId, outcome: &Outcome) {
        let is_instructing = matches!(self.asked.get(&id), Some(Asked::Instructions));
        match outcome {
            Outcome::Updated(updated) => {
                if updated.changed || updated.instructions.is_some() {
                    self.reports.answered(updated.instructions.is_some());
                }
                if !self.asked.contains_key(&id) {
                    self.on_updated(updated.instructions.as_ref());
                }
            }
            Outcome::TimedOut if is_instructing => self.reports.own_timed_out(),
            Outcome::TimedOut if !self.asked.contains_key(&id) => self.reports.timed_out(),
            _ => {}
        }
    }

    /// Instructions that the application asked for in the call replace the conversation's.
    fn on_updated(&mut self, instructions: Option<&String>) {
        let Some(instructions) = instructions.filter(|_| !self.is_instructing()) else { return };
        self.confirm = None;
        self.follow(instructions);
    }

    /// The conversation's instructions, if it has any and they hold, become those that were set in the call.
    fn follow(&mut self, instructions: &str) {
        self.effective = Some(instructions.to_owned());
        if self.own_instructions().is_some_and(|own| own != instructions)
            && let Some(entry) = self.log.entries.first_mut()
        {
            entry.body = Body::Message(Message::system(instructions));
        }
    }

    /// Returns whether the session is being told the conversation's instructions.
    pub(super) fn is_instructing(&self) -> bool {
        self.asked.values().any(|asked| matches!(asked, Asked::Instructions))
    }

    /// Returns whether the instructions of this call are the conversation's business.
    fn holds(&self) -> bool {
        self.instructions == Instructions::Conversation && !self.left
    }

    /// The entries to tell as text instead of audio.
    pub(super) fn audio_to_text(&mut self, keep: usize) -> Vec<EntryId> {
        let mirror = &self.mirror;
        let has_audio = |id| mirror.lead(id).is_some_and(|lead| lead.made == Made::Learnt);
        let spoken =
            self.log.entries.iter_mut().rev().filter(|entry| entry.is_spoken() && has_audio(entry.id));
        let mut changed = Vec::new();
        for entry in spoken.skip(keep) {
            let has_transcript =
                matches!(entry.state(), Progress::Final | Progress::Truncated) && entry.text() != INAUDIBLE;
            if has_transcript {
                entry.revision = entry.revision.wrapping_add(1);
                changed.push(entry.id);
            }
        }
        changed.reverse();
        changed
    }

    pub(super) fn limits(&self, largest: Option<usize>, summary: Option<(EntryId, String)>) -> Limits {
        Limits { history: self.history, largest, summary }
    }

    /// The history is told once more, as one message.
    pub(super) fn pack_history(&mut self) {
        for held in self.mirror.items.iter_mut().filter(|held| held.made == Made::FromLog) {
            held.owner = Owner::Nobody;
        }
        self.history = History::PackedMessage;
        self.dirty = true;
    }
}
