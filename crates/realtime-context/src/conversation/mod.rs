//! [`Conversation`]: the one shared owner of what was said and heard, and of what the server holds of it.
//!
//! The rules kept here: there is one lock, and no hook or callback runs while it is held. What the
//! application changes is told to the server as soon as a session can take it.

mod listener;
mod options;
mod reports;
mod reseed;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use realtime_protocol::call::{Event, Seed};
use realtime_protocol::field::Field;
use realtime_protocol::id::ItemId;
use realtime_protocol::session_config::SessionConfig;

use crate::budget::Policy;
use crate::learn::Change;
use crate::log::{EntryId, Log};
use crate::message::Message;
use crate::mirror::{Ids, Mirror};
use crate::save::{self, LoadError};
use crate::sync::History;
use crate::transcript::{Line, Transcript};

pub use options::{Instructions, TextOnly};
use state::{State, Summariser};

/// What was said and heard in a call, shared: clones are the same conversation.
///
/// Give it to the client as a [listener](realtime_protocol::call::Listener) and as what
/// [reseeds](realtime_protocol::call::Reseed). It learns from every event, tells the server what the
/// application changes, and tells each new session what was said. It outlives calls: give it to the next one.
///
/// `Debug` shows no content.
///
/// ```
/// use realtime_context::{Conversation, Message};
///
/// let conversation = Conversation::from_messages([Message::system("Be brief.")]);
/// let question = conversation.append(Message::user("How cold is it?"));
/// assert_eq!(conversation.line(question).unwrap().text, "How cold is it?");
///
/// // Without a call it is only noted. In a call, the server is told at once.
/// conversation.replace([Message::system("Sing."), Message::user("Hi")]);
/// assert_eq!(conversation.messages().len(), 2);
/// ```
#[doc(alias("LLMUserAggregator", "LLMAssistantAggregator"))]
#[derive(Clone, Default)]
pub struct Conversation {
    shared: Arc<Mutex<State>>,
}

impl Conversation {
    /// Nothing said yet. Item ids begin with `ctx`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing said yet. The ids of items that this side creates begin with `prefix`: at most 12 letters,
    /// digits, `_` and `-` of it. Two conversations that speak in the same session need different ones, or
    /// the second one has its first item refused before it takes other ids.
    pub fn with_prefix(prefix: &str) -> Self {
        let conversation = Self::new();
        conversation.lock().mirror.ids = Ids::new(prefix);
        conversation
    }

    /// A conversation with a history.
    pub fn from_messages(messages: impl IntoIterator<Item = Message>) -> Self {
        Self::from_log(Log::from_messages(messages))
    }

    /// A conversation that goes on from a log.
    pub fn from_log(log: Log) -> Self {
        let conversation = Self::new();
        {
            let mut state = conversation.lock();
            (state.log, state.dirty) = (log, true);
        }
        conversation
    }

    /// Keeps at most this many entries: see [`Log::limit`].
    #[must_use]
    pub fn limit(self, entries: usize) -> Self {
        self.lock().log.limit(entries);
        self
    }

    /// How a new session is told what was said. Default: [`History::PackedMessage`].
    #[must_use]
    pub fn history(self, history: History) -> Self {
        self.lock().history = history;
        self
    }

    /// Which instructions hold. Default: the conversation's.
    #[must_use]
    pub fn instructions_of(self, instructions: Instructions) -> Self {
        self.lock().instructions = instructions;
        self
    }

    /// The instructions of the call that begins are another's, such as its agents'. The conversation tells
    /// none until it has heard that call's `Closed`.
    pub fn leave_instructions(&self) {
        self.lock().left = true;
    }

    /// What to do about an answer in text to a request for audio. Default: it is told.
    #[must_use]
    pub fn on_text_only(self, text_only: TextOnly) -> Self {
        self.lock().text_only = text_only;
        self
    }

    /// Makes the summary for [`History::Summary`] of the older messages, and for
    /// [`Policy::Summarise`]. It is called by the client's task when another session begins, or when a
    /// response has ended: keep it short, for example by returning a summary that was made before.
    #[must_use]
    pub fn summariser(self, hook: impl Fn(&[Message]) -> String + Send + Sync + 'static) -> Self {
        self.lock().summariser = Some(Arc::new(hook));
        self
    }

    /// Brings the conversation to at most so many estimated tokens by `policy` whenever a response has ended
    /// and it has more. What was done is told by
    /// [`Notice::Pruned`](realtime_protocol::call::Notice::Pruned). Default: no limit of tokens.
    #[must_use]
    pub fn budget(self, policy: Policy, most: u64) -> Self {
        self.lock().budget = Some((policy, most));
        self
    }

    /// Calls `hook` after each change by the application, so that a driver looks for what the conversation
    /// [asks](realtime_protocol::call::Listener::poll_timeout). There is one hook; another one replaces it.
    #[doc(alias("TranscriptionUpdateFrame", "TranscriptProcessor"))]
    pub fn on_change(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.lock().hook = Some(Arc::new(hook));
    }

    /// Adds a message at the end. In a call, the server is told at once.
    pub fn append(&self, message: Message) -> EntryId {
        self.change(|state| state.log.append(message))
    }

    /// Adds a message at the end and asks for a response to it. Before a call, the response is asked for once
    /// the session serves.
    pub fn append_and_respond(&self, message: Message) -> EntryId {
        self.change(|state| {
            state.respond = true;
            state.log.append(message)
        })
    }

    /// Replaces all that was said. Instructions are a leading system message.
    pub fn replace(&self, messages: impl IntoIterator<Item = Message>) {
        let messages: Vec<Message> = messages.into_iter().collect();
        self.change(|state| {
            state.log.replace(messages);
            state.mirror.disown_all();
        });
    }

    /// Drops the oldest groups until at most so many entries are left: see [`Log::keep_newest`].
    pub fn keep_newest(&self, entries: usize) -> Vec<EntryId> {
        self.change(|state| state.log.keep_newest(entries))
    }

    /// Puts a summary in the place of the entries from the first to the last one. `hook` makes it of their
    /// messages; it runs without the lock, and what is said meanwhile stays. Returns the summary's entry;
    /// `None`: there is no such range.
    pub fn summarise(
        &self,
        first: EntryId,
        last: EntryId,
        hook: impl FnOnce(&[Message]) -> String,
    ) -> Option<EntryId> {
        let messages: Vec<Message> = self.with(|log| {
            let range = log.range(first, last)?;
            Some(log.entries[range].iter().flat_map(|entry| entry.messages()).collect())
        })?;
        let summary = hook(&messages);
        self.change(|state| state.log.summarise(first, last, summary))
    }

    /// Replaces audio on the server by its transcript, except for the newest `keep` entries with audio.
    /// Speech whose transcript has not come, or could not be made, stays audio: the model still hears it.
    /// Returns the entries that are replaced.
    pub fn audio_to_text(&self, keep: usize) -> Vec<EntryId> {
        self.change(|state| state.audio_to_text(keep))
    }

    /// Takes out an entry, such as one that the server refused, with what can't be without it. Returns
    /// whether there was one.
    pub fn remove(&self, entry: EntryId) -> bool {
        self.change(|state| !state.log.remove(entry).is_empty())
    }

    /// Changes the log. In a call, the server is told at once. Keep it short: the call waits meanwhile.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut Log) -> T) -> T {
        self.change(|state| edit(&mut state.log))
    }

    /// Reads the log. Keep it short: the call waits meanwhile. Don't use the conversation in it.
    pub fn with<T>(&self, read: impl FnOnce(&Log) -> T) -> T {
        read(&self.lock().log)
    }

    /// A copy of the log.
    pub fn snapshot(&self) -> Log {
        self.lock().log.clone()
    }

    /// A copy of what the server holds, as far as this side knows.
    pub fn mirror(&self) -> Mirror {
        self.lock().mirror.clone()
    }

    /// A conversation of its own that holds the same.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = State { left: false, ..self.lock().clone() };
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    /// All that was said, in chat form and in order: see [`Log::messages`].
    pub fn messages(&self) -> Vec<Message> {
        self.with(Log::messages)
    }

    /// The conversation as a person reads it.
    pub fn transcript(&self) -> Transcript {
        let state = self.lock();
        Transcript::of(&state.log, &state.mirror)
    }

    /// What an entry says, such as one that a [`Change`] names.
    pub fn line(&self, entry: EntryId) -> Option<Line> {
        let state = self.lock();
        state.log.get(entry).map(|entry| Line::of(entry, &state.mirror))
    }

    /// The entry that an item of the server's conversation stands for.
    pub fn entry_of(&self, item_id: &ItemId) -> Option<EntryId> {
        self.lock().mirror.entry_of(item_id)
    }

    /// The text of a leading system message.
    pub fn instructions(&self) -> Option<String> {
        self.with(Log::instructions)
    }

    /// Puts the conversation's instructions, if it has any and they hold, into a configuration. Do this
    /// before the session begins, so that the first `session.update` has them. For a session that runs
    /// already and is not configured, leave it: the conversation compares what the session has.
    #[must_use]
    pub fn session_config(&self, mut base: SessionConfig) -> SessionConfig {
        let mut state = self.lock();
        if let Some(instructions) = state.own_instructions() {
            state.effective = Some(instructions.clone());
            base.instructions = Field::Value(instructions);
        }
        base
    }

    /// Returns whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.with(Log::is_empty)
    }

    /// The conversation as a JSON document. While a call runs, it holds what the server has, too: see
    /// [`resume`](Self::resume). It holds everything that was said, including unheard words.
    pub fn save(&self) -> String {
        let state = self.lock();
        save::save(&state.log, &state.mirror, state.is_live())
    }

    /// Reads what [`save`](Self::save) wrote, of this version or of version 1, for another call. Open entries
    /// stay open. The limit is the saved one, or else the default, and never less than the saved entries. The
    /// options are the defaults.
    ///
    /// # Errors
    /// [`LoadError`] if the document is no saved conversation, or of an unknown version, or if this crate did
    /// not write it. Use another copy of it.
    pub fn load(text: &str) -> Result<Self, LoadError> {
        let (log, mirror) = save::load(text)?;
        let conversation = Self::from_log(log);
        conversation.lock().mirror = mirror.successor();
        Ok(conversation)
    }

    /// As [`load`](Self::load), for the same conversation on the same server: a call that moved to this
    /// process and attaches to it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn resume(text: &str) -> Result<Self, LoadError> {
        let (log, mirror) = save::load(text)?;
        let conversation = Self::from_log(log);
        conversation.lock().go_on(mirror);
        Ok(conversation)
    }

    /// Makes what a session is told, without a driver that asks for it: the session that serves, or else the
    /// next one. Create the items, in order, and give the session's events to [`observe`](Self::observe).
    pub fn seed(&self) -> Seed {
        self.make_first_seed()
    }

    /// Learns from an event of a call, where nobody listens for the conversation. Returns what changed. Give
    /// it every event, also audio, in the call's order.
    pub fn observe(&self, event: &Event) -> Vec<Change> {
        let mut state = self.lock();
        state.learn(event);
        state.changes.drain(..).collect()
    }

    /// What has changed since the last time this was asked. At most the newest 4096 changes.
    pub fn take_changes(&self) -> Vec<Change> {
        self.lock().changes.drain(..).collect()
    }

    /// Returns whether it listens to a call itself, so that nobody needs to [`observe`](Self::observe).
    pub fn is_listening(&self) -> bool {
        self.lock().listens
    }

    /// Returns whether the session that serves has been told all that the log says, and has answered. What
    /// it refused, or can't be told, was told by
    /// [`Notice::NotSynced`](realtime_protocol::call::Notice::NotSynced). False without a session that
    /// serves.
    pub fn is_in_step(&self) -> bool {
        let state = self.lock();
        state.is_in_step()
    }

    /// Returns whether the session that serves is being told all that the log says: nothing of it waits on
    /// this side. It may not have [answered](Self::is_in_step). What is asked of the session now comes after
    /// that. False without a session that serves.
    pub fn is_told(&self) -> bool {
        let state = self.lock();
        state.is_told()
    }

    pub(crate) fn its_summariser(&self) -> Option<Summariser> {
        self.lock().summariser.clone()
    }

    pub(crate) fn with_mirror<T>(&self, read: impl FnOnce(&Log, &Mirror) -> T) -> T {
        let state = self.lock();
        read(&state.log, &state.mirror)
    }

    pub(crate) fn edit_with_mirror<T>(&self, edit: impl FnOnce(&mut Log, &Mirror) -> T) -> T {
        self.change(|state| edit(&mut state.log, &state.mirror))
    }

    /// A change by the application.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.dirty = true;
        let hook = state.hook.clone();
        drop(state);
        if let Some(hook) = hook {
            hook();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of a reader leaves the state intact.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Log> for Conversation {
    fn from(log: Log) -> Self {
        Self::from_log(log)
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever holds the lock may print it.
        let Ok(state) = self.shared.try_lock() else { return f.write_str("Conversation { .. }") };
        f.debug_struct("Conversation")
            .field("log", &state.log)
            .field("items", &state.mirror.items.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
