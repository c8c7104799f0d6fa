//! A new session is told what was said before: first the configuration, if that has changed, then the seed.
//!
//! The rule kept here: both a seed and an update of the configuration may set the instructions. The later
//! ones hold.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::call::machine::commands::item_id;
use crate::call::machine::connection::Connection;
use crate::call::machine::succession::Successor;
use crate::call::{Call, Command, CommandId, ConnectionId, Event, Outcome, Output, Seed, Warning};
use crate::field::Field;
use crate::id::ItemId;
use crate::session_config::SessionConfig;
use crate::time::Timestamp;

/// A session that is being told what was said.
#[derive(Debug)]
pub(super) struct Seeding {
    pub(super) connection: Box<Connection>,
    pub(super) since: Timestamp,
    pub(super) deadline: Timestamp,
    /// Whether the old session was ended already to make way for it.
    pub(super) urgent: bool,
    /// Whether the seed has come.
    applied: bool,
    /// The call's own commands that it has not acknowledged.
    pending: BTreeMap<CommandId, Told>,
    /// Items that it refused.
    pub(super) failed: BTreeMap<ItemId, Outcome>,
    pub(super) replaces: BTreeMap<ItemId, ItemId>,
}

/// Something that a session was told.
#[derive(Debug)]
struct Told {
    /// The item that it creates.
    item_id: Option<ItemId>,
    /// Bytes of JSON.
    size: usize,
}

/// Which instructions are the later ones.
#[derive(Debug, Default)]
pub(super) struct Instructions {
    /// Those of the latest seed. Before the first seed: those of the options.
    pub(super) told: Field<String>,
    /// Whether an update of the configuration has changed them since.
    pub(super) changed: bool,
}

impl Instructions {
    /// Notes the instructions of a seed. Returns them if they are new and no later update has set others.
    fn news(&mut self, told: Option<String>, changing: bool) -> Option<String> {
        let told = told?;
        let is_news = self.told.value() != Some(&told);
        let changed = core::mem::take(&mut self.changed) || changing;
        self.told = Field::Value(told.clone());
        (is_news && !changed).then_some(told)
    }
}

impl Seeding {
    pub(super) fn into_connection(self) -> Box<Connection> {
        self.connection
    }

    /// Returns whether the session has acknowledged everything, or its time is up.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.applied && self.pending.is_empty() || self.deadline <= now
    }

    /// The size of the largest piece that is not acknowledged (bytes of JSON).
    pub(super) fn largest_pending(&self) -> Option<usize> {
        self.pending.values().map(|told| told.size).max()
    }

    pub(super) fn settled(&mut self, id: CommandId, outcome: Outcome) {
        if let Some(Told { item_id: Some(item_id), .. }) = self.pending.remove(&id)
            && !outcome.is_ok()
        {
            self.failed.insert(item_id, outcome);
        }
    }

    /// Sends the call's own commands.
    fn send(&mut self, now: Timestamp, batch: Vec<(CommandId, Command)>) {
        let told = |command: &Command| Told { item_id: item_id(command), size: command.size() };
        self.pending.extend(batch.iter().map(|(id, command)| (*id, told(command))));
        self.connection.session.take_over(now, batch);
    }
}

impl Call {
    pub(super) fn begin_seeding(&mut self) {
        let Successor::Standby(connection) = core::mem::take(&mut self.successor) else { return };
        let urgent = self.is_urgent() && self.serving.is_some();
        if urgent {
            self.end_serving(); // anything it did from now on would be missing from the seed
            self.lost_at = Some(self.now);
        }
        // A running conversation knows what was said, and its configuration is not ours.
        let attached = self.attaches();
        let mut update = Vec::new();
        if !attached {
            if connection.config_version != self.config_version {
                let config = Box::new(self.options.config.clone());
                update.push((self.own_command(), Command::UpdateConfig { config }));
            }
            let (connection, carried) = (connection.id, self.commands.item_ids());
            self.outputs.push_back(Output::Seed { connection, carried, largest: self.seed_limit.most() });
        }
        let mut seeding = Seeding {
            connection,
            since: self.now,
            deadline: self.now + self.reconnect.seed_deadline,
            urgent,
            applied: attached,
            pending: BTreeMap::new(),
            failed: BTreeMap::new(),
            replaces: BTreeMap::new(),
        };
        seeding.send(self.now, update);
        self.successor = Successor::Seeding(Box::new(seeding));
    }

    /// The seed has come: it goes to the new session.
    pub(super) fn apply_seed(&mut self, connection: ConnectionId, mut seed: Seed) {
        let Successor::Seeding(seeding) = &self.successor else { return };
        if seeding.applied || seeding.connection.id != connection {
            return;
        }
        self.cut(&mut seed);
        let mut batch: Vec<(CommandId, Command)> = Vec::new();
        let changing = self.commands.change_instructions();
        if let Some(news) = self.instructions.news(seed.instructions, changing)
            && self.options.config.instructions.value() != Some(&news)
        {
            // They are the call's instructions from here on, even if this session fails.
            self.options.config.instructions = Field::Value(news.clone());
            let config = Box::new(SessionConfig::default().instructions(news));
            batch.push((self.own_command(), Command::UpdateConfig { config }));
        }
        for item in seed.items {
            let create = Command::CreateItem { item: Box::new(item), after: None, respond: false };
            batch.push((self.own_command(), create));
        }
        let now = self.now;
        let Successor::Seeding(seeding) = &mut self.successor else { return };
        seeding.applied = true;
        seeding.replaces = seed.replaces;
        seeding.send(now, batch);
    }

    /// Leaves out of a seed what is larger than the server takes.
    fn cut(&mut self, seed: &mut Seed) {
        let Some(largest) = self.seed_limit.most() else { return };
        let before = seed.items.len();
        let mut left_out = Vec::new();
        seed.items = core::mem::take(&mut seed.items)
            .into_iter()
            .filter_map(|item| {
                let create = Command::CreateItem { item: Box::new(item), after: None, respond: false };
                let fits = create.size() <= largest;
                let Command::CreateItem { item, .. } = create else { return None };
                if !fits {
                    left_out.extend(item.id());
                }
                fits.then_some(*item)
            })
            .collect();
        // The commands that they were to replace keep waiting.
        seed.replaces.retain(|_, by| !left_out.contains(by));
        let omitted = before - seed.items.len();
        if omitted > 0 {
            self.tell(Event::Warning(Warning::SeedCut { omitted, largest }));
        }
    }

    /// What waited to be created is in the seed.
    pub(super) fn settle_replaced(
        &mut self,
        replaces: &BTreeMap<ItemId, ItemId>,
        failed: &BTreeMap<ItemId, Outcome>,
    ) {
        for (item_id, by) in replaces {
            let Some((id, respond)) = self.commands.take_item(item_id) else { continue };
            let outcome = failed.get(by).cloned().unwrap_or_else(|| Outcome::Added { item_id: by.clone() });
            self.owes.any |= respond && outcome.is_ok();
            self.tell(Event::Settled { id, outcome });
        }
    }
}
