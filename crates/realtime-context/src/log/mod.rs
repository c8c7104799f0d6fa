//! [`Log`]: what was said and heard, in order. It knows nothing of any server.
//!
//! The rules kept here: an entry keeps its id. A call is never parted from its output: what is dropped is
//! dropped in groups. Leading instructions stay.

mod entry;
mod function;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use realtime_protocol::id::{CallId, ResponseId};
use realtime_protocol::time::UnixTime;

use crate::message::{Message, Role};

pub(crate) use entry::Body;
pub use entry::{Entry, EntryId};
pub use function::{Ending, Function};
pub(crate) use words::Words;
pub use words::{INAUDIBLE, State, UNTRANSCRIBED};

/// The number of entries that are kept if the application sets no limit.
pub const DEFAULT_LIMIT: usize = 10_000;

/// What was said and heard, in order.
///
/// `Debug` shows no content.
///
/// ```
/// use realtime_context::{Log, Message};
///
/// let mut log = Log::from_messages([Message::system("Be brief."), Message::user("Hi")]);
/// let id = log.append(Message::assistant("Hello."));
/// assert_eq!(log.get(id).unwrap().text(), "Hello.");
/// assert_eq!(log.instructions().as_deref(), Some("Be brief."));
/// ```
#[derive(Clone)]
pub struct Log {
    pub(crate) entries: Vec<Entry>,
    /// The number of the latest entry.
    pub(crate) last_id: u64,
    limit: usize,
    pub(crate) dropped: u64,
    /// The time of day of what is learnt now.
    pub(crate) wall: Option<UnixTime>,
}

impl Default for Log {
    fn default() -> Self {
        Self { entries: Vec::new(), last_id: 0, limit: DEFAULT_LIMIT, dropped: 0, wall: None }
    }
}

impl Log {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log with a history.
    pub fn from_messages(messages: impl IntoIterator<Item = Message>) -> Self {
        let mut log = Self::new();
        for message in messages {
            log.append(message);
        }
        log
    }

    /// Keeps at most this many entries. The oldest go first, in groups, except for leading instructions and
    /// pinned entries. Default: [`DEFAULT_LIMIT`].
    pub fn limit(&mut self, entries: usize) {
        self.limit = entries.max(1);
        self.trim();
    }

    /// Adds a message at the end.
    pub fn append(&mut self, message: Message) -> EntryId {
        let id = self.push(Body::Message(message));
        self.trim();
        id
    }

    /// Replaces everything. The messages get new entries.
    pub fn replace(&mut self, messages: impl IntoIterator<Item = Message>) {
        self.entries.clear();
        for message in messages {
            self.append(message);
        }
    }

    /// Changes what an entry says. Returns whether there is such an entry.
    pub fn change(&mut self, id: EntryId, message: Message) -> bool {
        let Some(entry) = self.get_mut(id) else { return false };
        entry.body = Body::Message(message);
        entry.revision = entry.revision.wrapping_add(1);
        true
    }

    /// Takes out an entry, and what can't be without it: the outputs of its calls, or the calls of its
    /// output. Returns what was taken out.
    pub fn remove(&mut self, id: EntryId) -> Vec<EntryId> {
        let Some(index) = self.position(id) else { return Vec::new() };
        let group = self.groups().into_iter().find(|group| group.contains(&index));
        let group = group.unwrap_or(index..index + 1);
        let is_call = |entry: &Entry| matches!(&entry.body, Body::Message(m) if !m.calls().is_empty() || m.role == Role::Tool);
        let range = if is_call(&self.entries[index]) { group } else { index..index + 1 };
        self.entries.drain(range).map(|entry| entry.id).collect()
    }

    /// Puts a summary in the place of entries: a system message. The range is that of the entries from the
    /// first to the last one, and it grows until no call is parted from its output. Groups with a pinned
    /// entry stay, in front of the summary.
    pub fn summarise(
        &mut self,
        first: EntryId,
        last: EntryId,
        summary: impl Into<String>,
    ) -> Option<EntryId> {
        let range = self.range(first, last)?;
        let at = range.start;
        let pinned: BTreeSet<EntryId> = self
            .groups()
            .into_iter()
            .filter(|group| self.entries[group.clone()].iter().any(|entry| entry.pinned))
            .flat_map(|group| self.entries[group].iter().map(|entry| entry.id))
            .collect();
        let kept: Vec<Entry> = self.entries.drain(range).filter(|entry| pinned.contains(&entry.id)).collect();
        let id = self.fresh_id();
        let body = Body::Message(Message::system(summary));
        let entry = Entry { id, at: self.wall, pinned: false, summary: true, revision: 0, body };
        self.entries.splice(at..at, kept.into_iter().chain([entry]));
        Some(id)
    }

    /// The entries from the first to the last one, grown to whole groups. `None`: one of them is unknown.
    pub(crate) fn range(&self, first: EntryId, last: EntryId) -> Option<Range<usize>> {
        let (mut from, mut to) = (self.position(first)?, self.position(last)? + 1);
        for group in self.groups() {
            if group.start < to && from < group.end {
                (from, to) = (from.min(group.start), to.max(group.end));
            }
        }
        (from < to).then_some(from..to)
    }

    /// Exempts an entry from limits, pruning and summaries, or no longer. Returns whether there is one.
    pub fn pin(&mut self, id: EntryId, pinned: bool) -> bool {
        self.get_mut(id).map(|entry| entry.pinned = pinned).is_some()
    }

    /// All entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// One entry.
    pub fn get(&self, id: EntryId) -> Option<&Entry> {
        self.entries.get(self.position(id)?)
    }

    /// All that was said, in chat form and in order.
    ///
    /// The assistant's messages hold what was heard. The user's speech without a transcript reads
    /// [`INAUDIBLE`] or [`UNTRANSCRIBED`]. A function is two messages: the assistant's, and the tool's with
    /// the output or with a status. Assistant items that were not heard at all are left out.
    pub fn messages(&self) -> Vec<Message> {
        self.entries.iter().flat_map(Entry::messages).collect()
    }

    /// The text of a leading system message.
    pub fn instructions(&self) -> Option<String> {
        self.entries.first()?.instructions()
    }

    /// Returns whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.messages().is_empty()
    }

    /// Entries that are gone because of the [limit](Self::limit).
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The groups, in order: what can only be dropped together. An assistant's message with calls and the
    /// tools' messages that answer it are one; every other entry is one by itself.
    pub fn groups(&self) -> Vec<Range<usize>> {
        let mut groups = Vec::new();
        let mut start = 0;
        while start < self.entries.len() {
            let mut end = start + 1;
            if let Body::Message(message) = &self.entries[start].body {
                let ids: Vec<&String> = message.calls().iter().filter_map(|call| call.id.value()).collect();
                let later = self.entries.iter().enumerate().skip(start + 1).take(if ids.is_empty() {
                    0
                } else {
                    usize::MAX
                });
                for (index, entry) in later {
                    let Body::Message(message) = &entry.body else { continue };
                    if message.calls().iter().any(|call| ids.iter().any(|id| call.is(id))) {
                        break; // the same ids again are other calls
                    }
                    if message.role == Role::Tool
                        && message.tool_call_id.value().is_some_and(|id| ids.contains(&id))
                    {
                        end = index + 1;
                    }
                }
            }
            groups.push(start..end);
            start = end;
        }
        groups
    }

    /// Drops the oldest groups until at most so many entries are left. Leading instructions and pinned
    /// entries stay. Returns what was dropped.
    pub fn keep_newest(&mut self, entries: usize) -> Vec<EntryId> {
        let mut excess = self.entries.len().saturating_sub(entries);
        let mut gone = Vec::new();
        for group in self.groups() {
            if excess == 0 {
                break;
            }
            let first = group.start == 0 && self.instructions().is_some();
            if !first && self.entries[group.clone()].iter().all(|entry| !entry.pinned) {
                excess = excess.saturating_sub(group.len());
                gone.extend(self.entries[group].iter().map(|entry| entry.id));
            }
        }
        self.entries.retain(|entry| !gone.contains(&entry.id));
        gone
    }

    /// The oldest groups that must go until what is left weighs at most `most`. `weights` are those of the
    /// entries, in order.
    pub(crate) fn oldest(&self, weights: &[u64], most: u64) -> Vec<EntryId> {
        let mut left: u64 = weights.iter().sum();
        let mut gone = Vec::new();
        for group in self.groups() {
            let first = group.start == 0 && self.instructions().is_some();
            if left <= most || first || self.entries[group.clone()].iter().any(|entry| entry.pinned) {
                continue;
            }
            left = left.saturating_sub(group.clone().filter_map(|index| weights.get(index)).sum());
            gone.extend(self.entries[group].iter().map(|entry| entry.id));
        }
        gone
    }

    pub(crate) fn drop_all(&mut self, gone: &[EntryId]) {
        self.entries.retain(|entry| !gone.contains(&entry.id));
    }

    pub(crate) fn push(&mut self, body: Body) -> EntryId {
        let id = self.fresh_id();
        self.entries.push(Entry { id, at: self.wall, pinned: false, summary: false, revision: 0, body });
        id
    }

    fn fresh_id(&mut self) -> EntryId {
        self.last_id += 1;
        EntryId(self.last_id)
    }

    /// The limit, if it is not the default one.
    pub(crate) fn own_limit(&self) -> Option<usize> {
        Some(self.limit).filter(|limit| *limit != DEFAULT_LIMIT)
    }

    /// Raises the limit to the entries that are there.
    pub(crate) fn make_room(&mut self) {
        self.limit = self.limit.max(self.entries.len());
    }

    /// Enforces the limit.
    pub(crate) fn trim(&mut self) {
        if self.entries.len() > self.limit {
            self.dropped += self.keep_newest(self.limit).len() as u64;
        }
    }

    /// Takes out what a response said.
    pub(crate) fn take_out_answer(&mut self, response_id: &ResponseId) {
        self.entries.retain(|entry| {
            !matches!(&entry.body, Body::Words(words) if words.response.as_ref() == Some(response_id))
        });
    }

    pub(crate) fn position(&self, id: EntryId) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: EntryId) -> Option<&mut Entry> {
        let index = self.position(id)?;
        self.entries.get_mut(index)
    }

    /// The entry of a function.
    pub(crate) fn find_call(&self, call_id: &CallId) -> Option<EntryId> {
        let is_it = |entry: &&Entry| entry.function().is_some_and(|function| function.is_call(call_id));
        self.entries.iter().rev().find(is_it).map(|entry| entry.id)
    }

    /// Puts the entries that have a rank in its order. Each other entry stays after the one before it.
    pub(crate) fn arrange(&mut self, ranks: &BTreeMap<EntryId, usize>) {
        let ranked = self.entries.iter().filter_map(|entry| ranks.get(&entry.id));
        if ranked.is_sorted() {
            return;
        }
        let mut runs: Vec<(usize, Vec<Entry>)> = Vec::new();
        let mut first = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            match (ranks.get(&entry.id), runs.last_mut()) {
                (Some(rank), _) => runs.push((*rank, vec![entry])),
                (None, Some((_, run))) => run.push(entry),
                (None, None) => first.push(entry),
            }
        }
        runs.sort_by_key(|(rank, _)| *rank);
        self.entries = first.into_iter().chain(runs.into_iter().flat_map(|(_, run)| run)).collect();
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let messages = vec![Message::system("Be brief."), Message::user("Hi"), Message::assistant("Hello.")];
        assert_eq!(Log::from_messages(messages.clone()).messages(), messages);
    }

    #[test]
    fn the_oldest_messages_go_first_and_instructions_and_pinned_ones_stay() {
        let mut log = Log::from_messages([Message::system("Be brief."), Message::user("0")]);
        log.pin(log.entries()[1].id(), true);
        log.limit(4);
        for text in ["1", "2", "3", "4"] {
            log.append(Message::user(text));
        }
        let texts: Vec<_> = log.messages().iter().map(Message::text).collect();
        assert_eq!(texts, ["Be brief.", "0", "3", "4"]);
        assert_eq!(log.dropped(), 2);
    }

    fn with_calls() -> Log {
        Log::from_messages([
            Message::user("1"),
            Message::tool_call("c1", "f", "{}"),
            Message::tool("c1", "2"),
            Message::assistant("done"),
        ])
    }

    #[test]
    fn a_call_is_never_parted_from_its_output() {
        let mut log = with_calls();
        log.limit(2);
        assert_eq!(log.messages(), [Message::assistant("done")]);

        let mut log = with_calls();
        let call = log.entries()[1].id();
        assert_eq!(log.remove(call).len(), 2);
        assert_eq!(log.messages(), [Message::user("1"), Message::assistant("done")]);

        let mut log = with_calls();
        let ids: Vec<_> = log.entries().iter().map(Entry::id).collect();
        log.summarise(ids[0], ids[1], "They counted.").unwrap();
        assert_eq!(log.messages(), [Message::system("They counted."), Message::assistant("done")]);
    }

    #[test]
    fn a_summary_leaves_a_call_with_a_pinned_output_whole() {
        let mut log = with_calls();
        let ids: Vec<_> = log.entries().iter().map(Entry::id).collect();
        log.pin(ids[2], true);
        log.summarise(ids[0], ids[3], "They counted.").unwrap();
        let mut expected = with_calls().messages()[1..3].to_vec();
        expected.push(Message::system("They counted."));
        assert_eq!(log.messages(), expected);
    }

    #[test]
    fn debug_shows_no_content() {
        let log = Log::from_messages([Message::user("my secret")]);
        assert!(!format!("{log:?} {:?}", log.entries()).contains("secret"));
    }
}
