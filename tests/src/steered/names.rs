//! What a plan cannot know before it is carried out: connections, and ids that this side makes.

use realtime_protocol::call::{Command, ConnectionId, Seed};
use realtime_protocol::event::ClientEvent;
use realtime_protocol::log::Input;

use crate::steered::LATEST;

/// What steps may name.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The connection that was asked for last.
    pub(super) connection: u32,
    event: String,
    item: String,
}

impl Names {
    /// A client event was sent.
    pub(super) fn sent(&mut self, event: &ClientEvent) {
        if let Some(id) = event.event_id() {
            self.event = id.as_str().to_owned();
        }
        if let ClientEvent::ConversationItemCreate(create) = event
            && let Some(id) = create.item.id()
        {
            self.item = id.as_str().to_owned();
        }
    }

    /// An input in which everything has its name.
    pub(super) fn resolved(&self, input: &Input) -> Input {
        match input {
            Input::Connected(connection, wall) => Input::Connected(self.number(*connection), *wall),
            Input::Text(connection, text) => {
                let text = text.replace("$event", &self.event).replace("$item", &self.item);
                Input::Text(self.number(*connection), text)
            }
            Input::Disconnected(connection, reason) => {
                Input::Disconnected(self.number(*connection), reason.clone())
            }
            Input::Seed(connection, seed) => {
                let replaces =
                    seed.replaces.iter().map(|(item, by)| (self.item(item.as_str()).into(), by.clone()));
                let seed = Seed { replaces: replaces.collect(), ..(**seed).clone() };
                Input::Seed(self.number(*connection), seed.into())
            }
            Input::Command(id, command) => Input::Command(*id, self.command(command).into()),
            input => input.clone(),
        }
    }

    fn command(&self, command: &Command) -> Command {
        match command {
            Command::DeleteItem { item_id } => {
                Command::DeleteItem { item_id: self.item(item_id.as_str()).into() }
            }
            Command::RetrieveItem { item_id } => {
                Command::RetrieveItem { item_id: self.item(item_id.as_str()).into() }
            }
            command => command.clone(),
        }
    }

    fn item<'a>(&'a self, id: &'a str) -> &'a str {
        if id == "$item" { &self.item } else { id }
    }

    /// The latest connection, or the one this many before it.
    const fn number(&self, ConnectionId(number): ConnectionId) -> ConnectionId {
        let back = LATEST - number;
        ConnectionId(if back < 16 { self.connection.saturating_sub(back) } else { number })
    }
}
