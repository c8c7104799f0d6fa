//! What a new session is told: the edits that bring an empty conversation up to date.

use realtime_protocol::call::{Reseed, Seed};
use realtime_protocol::id::ItemId;

use crate::conversation::Conversation;
use crate::conversation::state::{Phase, State};
use crate::log::{Entry, EntryId};
use crate::message::Message;
use crate::mirror::{Held, Mirror};
use crate::sync::{Edit, History, sync};

impl Reseed for Conversation {
    /// Learns from the event, unless the conversation also listens.
    fn observe(&mut self, event: &realtime_protocol::call::Event) {
        let mut state = self.lock();
        if !state.listens {
            state.learn(event);
        }
    }

    fn reseed(&mut self, carried: &[ItemId], largest: Option<usize>) -> Seed {
        self.make_seed(carried, largest)
    }
}

impl Conversation {
    /// What the session that serves is told, or else the next one.
    pub(super) fn make_first_seed(&self) -> Seed {
        let summary = self.summary();
        let mut state = self.lock();
        if state.phase == Phase::Serving {
            return state.seed_serving(summary);
        }
        drop(state);
        self.make_seed(&[], None)
    }

    fn make_seed(&self, carried: &[ItemId], largest: Option<usize>) -> Seed {
        let summary = self.summary();
        let mut state = self.lock();
        let mut next = state.mirror.successor();
        let plan = sync(&state.log, &next, &state.limits(largest, summary));
        let mut seed = Seed { instructions: state.own_instructions(), ..Seed::default() };
        seed.omitted = plan.omitted.len();
        for edit in plan.edits {
            next.apply(&edit);
            if let Edit::Create(create) = edit {
                seed.items.push(create.item);
            }
        }
        for id in carried {
            let Some(held) = state.mirror.get(id) else { continue };
            match replacement(held, &next) {
                Some(by) => drop(seed.replaces.insert(id.clone(), by)),
                None => next.expect_carried(id, Some(held)),
            }
        }
        // A seed that no session takes over leaves no id behind for another one.
        state.mirror.ids.reach(&next.ids);
        state.next = Some((next, seed.replaces.keys().cloned().collect()));
        seed
    }

    /// The summary of the older entries, if the history is told so.
    fn summary(&self) -> Option<(EntryId, String)> {
        let (hook, until, messages) = {
            let state = self.lock();
            let (History::Summary { keep }, Some(hook)) = (state.history, state.summariser.clone()) else {
                return None;
            };
            let first = usize::from(state.log.instructions().is_some());
            let end = state.log.entries.len().checked_sub(keep).filter(|end| *end > first)?;
            // Whole groups only.
            let groups = state.log.groups();
            let end = groups.iter().map(|group| group.end).filter(|group| *group <= end).max()?;
            let older = state.log.entries.get(first..end)?;
            let messages: Vec<Message> = older.iter().flat_map(Entry::messages).collect();
            (hook, older.last()?.id, messages)
        };
        (!messages.is_empty()).then(|| (until, hook(&messages)))
    }
}

impl State {
    /// What the session that serves is told.
    fn seed_serving(&mut self, summary: Option<(EntryId, String)>) -> Seed {
        let plan = sync(&self.log, &self.mirror, &self.limits(None, summary));
        let mut seed = Seed { instructions: self.own_instructions(), ..Seed::default() };
        seed.omitted = plan.omitted.len();
        for edit in plan.edits {
            self.mirror.apply(&edit);
            if let Edit::Create(create) = edit {
                seed.items.push(create.item);
            }
        }
        seed
    }
}

/// The item of the seed that stands for the same.
fn replacement(held: &Held, next: &Mirror) -> Option<ItemId> {
    let entry = held.owner.entry()?;
    let same = next.items.iter().find(|other| other.owner == held.owner);
    same.or_else(|| next.items.iter().find(|other| other.owner.is_of(entry))).map(|other| other.id.clone())
}
