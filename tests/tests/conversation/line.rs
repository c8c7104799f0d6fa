//! A call with a conversation, and the emulator's core behind each of its connections, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_context::Conversation;
use realtime_emulator::brain::Parrot;
use realtime_emulator::{Connection, ConnectionOptions, Output as Said};
use realtime_protocol::call::{
    Asked, Call, CallOptions, Command, CommandId, ConnectionEvent, ConnectionId, DisconnectReason, Event,
    Listeners, Notice, Outcome, Output, Reconnect, Reseed,
};
use realtime_protocol::event::{ClientEvent, Dialect, ServerEvent};
use realtime_protocol::id::ItemId;
use realtime_protocol::item::Item;
use realtime_protocol::session::{PlaybackSource, SessionOptions};
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::{Timestamp, UnixTime};

/// A call, its servers, and the conversation that listens.
pub(crate) struct Line {
    pub(crate) conversation: Conversation,
    pub(crate) notices: Vec<Notice>,
    /// Whether the servers' acknowledgements of updates are lost.
    pub(crate) loses_acknowledgements: bool,
    call: Call,
    listeners: Listeners,
    servers: BTreeMap<ConnectionId, Server>,
    /// The connection that serves, as far as it was told.
    serving: ConnectionId,
    dialect: Dialect,
    now: Timestamp,
    commands: u64,
    retrieved: Vec<Item>,
}

struct Server {
    core: Connection,
    /// The ids of its items, in order, as it told them.
    items: Vec<ItemId>,
    /// The instructions that it was told last.
    instructions: Option<String>,
}

impl Line {
    pub(crate) fn new(conversation: Conversation, dialect: Dialect) -> Self {
        let config = conversation.session_config(SessionConfig::realtime());
        let playback = PlaybackSource::Estimated;
        let session = SessionOptions::default().config(config).playback(playback).dialect(dialect);
        let options = CallOptions::default().session(session).reconnect(Reconnect::default());
        let mut listeners = Listeners::default();
        listeners.add(Box::new(conversation.clone()));
        let mut line = Self {
            conversation,
            notices: Vec::new(),
            loses_acknowledgements: false,
            call: Call::new(options),
            listeners,
            servers: BTreeMap::new(),
            serving: ConnectionId(0),
            dialect,
            now: Timestamp::ZERO,
            commands: 0,
            retrieved: Vec::new(),
        };
        line.pump();
        line
    }

    /// Lets time pass, and everything happen that is due by then.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        self.pump();
        loop {
            let servers = self.servers.values().filter_map(|server| server.core.poll_timeout());
            let next = servers.chain(self.call.poll_timeout()).min().filter(|next| *next <= until);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if self.call.poll_timeout().is_some_and(|due| due <= self.now) {
                self.call.handle_timeout(self.now);
            }
            for server in self.servers.values_mut() {
                if server.core.poll_timeout().is_some_and(|due| due <= self.now) {
                    server.core.handle_timeout(self.now);
                }
            }
            self.pump();
        }
        self.now = until;
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.commands += 1;
        // Refused if there is no connection: fine.
        let _refused = self.call.handle_command(self.now, CommandId(self.commands), command);
        self.pump();
    }

    /// Ends all connections there and then.
    pub(crate) fn cut(&mut self) {
        for connection in std::mem::take(&mut self.servers).into_keys() {
            let reason = DisconnectReason::Lost { reason: "cut".into() };
            self.call.handle_disconnected(self.now, connection, reason);
        }
        self.pump();
    }

    /// The items of the server that serves, retrieved one by one.
    pub(crate) fn items(&mut self) -> Vec<Item> {
        let ids = self.servers.get(&self.serving).map(|server| server.items.clone()).unwrap_or_default();
        self.retrieved.clear();
        for item_id in ids {
            self.command(Command::RetrieveItem { item_id });
            self.wait(Duration::from_millis(1));
        }
        std::mem::take(&mut self.retrieved)
    }

    /// The instructions that the server that serves was told last.
    pub(crate) fn instructions(&self) -> Option<String> {
        self.servers.get(&self.serving)?.instructions.clone()
    }

    /// Carries everything to where it goes, until all is quiet.
    fn pump(&mut self) {
        for _ in 0..100_000 {
            self.listeners.begin();
            if !self.step() {
                return;
            }
        }
        panic!("the call never comes to rest");
    }

    fn step(&mut self) -> bool {
        if let Some(output) = self.call.poll_output() {
            self.on_output(output);
            return true;
        }
        if let Some(asked) = self.listeners.poll_asked() {
            match asked {
                Asked::Command(id, command) => {
                    if let Err(error) = self.call.handle_command(self.now, id, command) {
                        self.listeners.refused(self.now, id, &error);
                    }
                }
                Asked::Media(_) => {}
            }
            return true;
        }
        while let Some(notice) = self.listeners.poll_notice() {
            self.notices.push(notice);
        }
        for (connection, server) in &mut self.servers {
            while let Some(said) = server.core.poll_output() {
                if let Said::Send(event) = said {
                    note(&mut server.items, &event);
                    if self.loses_acknowledgements && matches!(*event, ServerEvent::SessionUpdated(_)) {
                        return true;
                    }
                    let text = event.encode(self.dialect);
                    self.call.handle_text(self.now, *connection, &text);
                    return true;
                }
            }
        }
        if self.listeners.poll_timeout().is_some_and(|due| due <= self.now) {
            self.listeners.handle_timeout(self.now);
            return true;
        }
        false
    }

    fn on_output(&mut self, output: Output) {
        match output {
            Output::Connect { connection, .. } => {
                let wall = UnixTime::from_micros(1_800_000_000_000_000 + self.now.as_micros());
                let options = ConnectionOptions {
                    seed: u64::from(connection.0) + 1,
                    dialect: self.dialect,
                    ..ConnectionOptions::default()
                };
                let core = Connection::new(options, Box::new(Parrot::new()), self.now, wall);
                self.servers.insert(connection, Server { core, items: Vec::new(), instructions: None });
                self.call.handle_connected(self.now, connection, wall);
            }
            Output::Seed { connection, carried, largest } => {
                let seed = self.conversation.clone().reseed(&carried, largest);
                self.call.handle_seed(self.now, connection, seed);
            }
            Output::Send { connection, dialect, event } => {
                if let Some(server) = self.servers.get_mut(&connection) {
                    if let ClientEvent::SessionUpdate(update) = &event
                        && let Some(told) = update.session.instructions.value()
                    {
                        server.instructions = Some(told.clone());
                    }
                    server.core.handle_text(self.now, &event.encode(dialect));
                }
            }
            Output::Close(connection) => {
                if self.servers.remove(&connection).is_some() {
                    let reason = DisconnectReason::Closed { code: Some(1000), reason: String::new() };
                    self.call.handle_disconnected(self.now, connection, reason);
                }
            }
            Output::Event(event) => {
                if let Event::Settled { outcome: Outcome::Retrieved { item }, .. } = &event {
                    self.retrieved.push((**item).clone());
                }
                if let Event::Connection(ConnectionEvent::Resumed { .. } | ConnectionEvent::Rotated { .. }) =
                    &event
                {
                    self.serving = self.servers.keys().next_back().copied().unwrap_or(self.serving);
                }
                let wall = UnixTime::from_micros(1_800_000_000_000_000 + self.now.as_micros());
                self.listeners.hear(self.now, wall, &event);
            }
        }
    }
}

/// Follows the order of a server's items.
fn note(items: &mut Vec<ItemId>, event: &ServerEvent) {
    let (previous, item) = match event {
        ServerEvent::ConversationItemAdded(added) => (&added.previous_item_id, &added.item),
        ServerEvent::ConversationItemCreated(created) => (&created.previous_item_id, &created.item),
        ServerEvent::ConversationItemDeleted(deleted) => {
            items.retain(|id| *id != deleted.item_id);
            return;
        }
        _ => return,
    };
    let Some(id) = item.id().filter(|id| !items.contains(id)) else { return };
    let after = previous.value().and_then(|previous| items.iter().position(|id| id == previous));
    let at = after.map_or_else(|| if previous.is_null() { 0 } else { items.len() }, |after| after + 1);
    items.insert(at, id);
}
