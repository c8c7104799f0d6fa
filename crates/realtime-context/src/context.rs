//! [`Context`]: what was said and heard, in order.

use std::collections::VecDeque;
use std::fmt;

use realtime_protocol::field::Field;
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::item::Item;
use realtime_protocol::session_config::SessionConfig;

use crate::entry::{Body, Entry};
use crate::message::{Message, Role};

/// The number of entries that are kept if the application sets no limit.
pub const DEFAULT_LIMIT: usize = 10_000;

/// What was said and heard, in the server's order of items.
///
/// The application adds messages, and [call events](Self::apply) while a session runs. It outlives sessions:
/// what it learnt from one session [seeds](Self::seed) the next.
///
/// `Debug` shows no content.
#[derive(Clone)]
pub struct Context {
    pub(crate) entries: Vec<Entry>,
    /// Counts the conversations on servers that were applied.
    pub(crate) conversation: u32,
    /// Makes the ids of items created by this side. It counts over all conversations, so no id is used twice.
    pub(crate) next_id: u64,
    /// Running out-of-band responses: their words are not part of the conversation.
    pub(crate) beside: VecDeque<ResponseId>,
    /// Removed items, for which late events may come.
    pub(crate) removed: VecDeque<ItemId>,
    /// The item that holds the whole history. It has no entry of its own.
    pub(crate) packed: Option<ItemId>,
    /// Whether audio events are applied, so that missing audio means something.
    pub(crate) hears: bool,
    limit: usize,
    dropped: u64,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            conversation: 0,
            next_id: 0,
            beside: VecDeque::new(),
            removed: VecDeque::new(),
            packed: None,
            hears: false,
            limit: DEFAULT_LIMIT,
            dropped: 0,
        }
    }
}

impl Context {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A context with a history.
    pub fn from_messages(messages: impl IntoIterator<Item = Message>) -> Self {
        let mut context = Self::new();
        messages.into_iter().for_each(|message| context.push(message));
        context
    }

    /// Keeps at most this many entries. The oldest go first, except for a leading system message. Default:
    /// [`DEFAULT_LIMIT`].
    #[must_use]
    pub fn limit(mut self, entries: usize) -> Self {
        self.limit = entries.max(1);
        self.trim();
        self
    }

    /// Adds a message to the history. A running session is not told: for that see
    /// [`push_user_text`](Self::push_user_text).
    pub fn push(&mut self, message: Message) {
        let mut entry = Entry::new(None, Body::Message(message));
        entry.place.settled = true;
        entry.place.conversation = self.conversation;
        self.entries.push(entry);
        self.trim();
    }

    /// Adds a text that the user wrote. Returns the item for the session: send it by
    /// [`Command::CreateItem`](realtime_protocol::call::Command::CreateItem). Its place is the end until the
    /// server says otherwise.
    pub fn push_user_text(&mut self, text: impl Into<String>) -> Item {
        let text = text.into();
        self.push_own(Item::user_text(text.clone()), Message::user(text))
    }

    /// Adds a text from the application to the model, in mid-conversation. Returns the item for the session.
    pub fn push_system_text(&mut self, text: impl Into<String>) -> Item {
        let text = text.into();
        self.push_own(Item::system_text(text.clone()), Message::system(text))
    }

    fn push_own(&mut self, mut item: Item, message: Message) -> Item {
        let id = self.fresh_id();
        item.set_id(id.clone());
        self.insert(id, Body::Message(message));
        self.trim();
        item
    }

    /// Takes an item out, such as one that the server refused. Returns whether there was one.
    pub fn remove(&mut self, item_id: &ItemId) -> bool {
        // Removing the packed item does not remove the history.
        let Some(index) = self.find(item_id).filter(|_| self.packed.as_ref() != Some(item_id)) else {
            return false;
        };
        self.entries.remove(index);
        true
    }

    /// All that was said, in chat form and in order.
    ///
    /// The assistant's messages hold what was heard. The user's speech without a transcript reads
    /// [`INAUDIBLE`](crate::INAUDIBLE) or [`UNTRANSCRIBED`](crate::UNTRANSCRIBED). A call is two messages:
    /// the assistant's, and the tool's with the output or with a status. Assistant items that were not heard
    /// at all are left out.
    pub fn messages(&self) -> Vec<Message> {
        self.entries.iter().flat_map(Entry::messages).collect()
    }

    /// The text of a leading system message.
    pub fn instructions(&self) -> Option<String> {
        self.entries.first()?.instructions()
    }

    /// Puts the instructions, if there are any, into a configuration. Do this before the session begins, so
    /// that the first `session.update` has them.
    pub fn session_config(&self, mut base: SessionConfig) -> SessionConfig {
        if let Some(instructions) = self.instructions() {
            base.instructions = Field::Value(instructions);
        }
        base
    }

    /// Returns whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.messages().is_empty()
    }

    /// Entries that are gone because of the [limit](Self::limit).
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A new id for an item created by this side.
    pub(crate) fn fresh_id(&mut self) -> ItemId {
        self.next_id += 1;
        format!("ctx_{}", self.next_id).into()
    }

    /// Enforces the limit.
    pub(crate) fn trim(&mut self) {
        let excess = self.entries.len().saturating_sub(self.limit);
        if excess > 0 {
            let first = usize::from(self.instructions().is_some());
            self.entries.drain(first..first + excess);
            self.dropped += excess as u64;
        }
    }
}

impl Entry {
    /// The text of a message with instructions.
    pub(crate) fn instructions(&self) -> Option<String> {
        match &self.body {
            Body::Message(message) if message.is_instruction() => Some(message.text()),
            Body::Words(words) if words.role == Role::System => Some(words.text()),
            _ => None,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("entries", &self.entries.len())
            .field("conversation", &self.conversation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let messages = vec![Message::system("Be brief."), Message::user("Hi"), Message::assistant("Hello.")];
        assert_eq!(Context::from_messages(messages.clone()).messages(), messages);
    }

    #[test]
    fn own_items_have_ids_of_their_own() {
        let mut context = Context::new();
        let first = context.push_user_text("One");
        let second = context.push_system_text("Two");
        assert_ne!(first.id(), second.id());
        assert_eq!(first.as_message().unwrap().parts()[0].words(), Some("One"));
        assert!(context.remove(&second.id().unwrap()));
        assert!(!context.remove(&second.id().unwrap()));
        assert_eq!(context.messages(), [Message::user("One")]);
    }

    #[test]
    fn instructions_replace_those_of_the_configuration_only_where_there_are_any() {
        let base = SessionConfig::realtime().instructions("Sing.");
        let context = Context::from_messages([Message::user("Hi"), Message::system("Be brief.")]);
        assert_eq!(context.session_config(base.clone()), base);
        let context = Context::from_messages([Message::system("Be brief."), Message::user("Hi")]);
        assert_eq!(context.session_config(base).instructions, Field::from("Be brief."));
    }

    #[test]
    fn the_oldest_messages_go_first_and_instructions_stay() {
        let mut context = Context::from_messages([Message::system("Be brief.")]).limit(3);
        for text in ["1", "2", "3", "4"] {
            context.push(Message::user(text));
        }
        let texts: Vec<_> = context.messages().iter().map(Message::text).collect();
        assert_eq!(texts, ["Be brief.", "3", "4"]);
        assert_eq!(context.dropped(), 2);
    }

    #[test]
    fn debug_shows_no_content() {
        let context = Context::from_messages([Message::user("my secret")]);
        assert!(!format!("{context:?}").contains("secret"));
    }
}
