//! The conversation: items in order, with the audio that belongs to them.
//!
//! Items are kept as events show them, without audio. The audio is kept separately, with a bound, for
//! `retrieve` and `truncate`.

use std::collections::VecDeque;

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::content::ContentPart;
use realtime_protocol::field::Field;
use realtime_protocol::id::{CallId, ItemId};
use realtime_protocol::item::{Item, Role};
use realtime_protocol::time::MediaTime;

use crate::connection::fault::Fault;
use crate::connection::options::Limits;

/// All items, oldest first.
#[derive(Debug)]
pub(crate) struct Conversation {
    entries: VecDeque<Entry>,
    limits: Limits,
    audio_bytes: usize,
}

/// An item, and what events do not show of it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: ItemId,
    pub(crate) item: Item,
    pub(crate) audio: Option<PartAudio>,
    /// What a brain heard in the user's audio.
    pub(crate) heard: Option<String>,
    /// Whether no response has answered it yet.
    pub(crate) is_new: bool,
    /// Whether it left the model's context.
    pub(crate) is_forgotten: bool,
    /// Whether its transcript was dropped with the audio that was not heard.
    truncated: bool,
}

/// The audio of an item's one audio part.
#[derive(Debug)]
pub(crate) struct PartAudio {
    pub(crate) format: AudioFormat,
    /// What is kept of it.
    pub(crate) bytes: Vec<u8>,
    /// How much there is, kept or not (bytes).
    total: u64,
}

impl Conversation {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { entries: VecDeque::new(), limits, audio_bytes: 0 }
    }

    /// The place of an item after `previous`: at the end if that is absent, in front for `root`.
    pub(crate) fn place(&self, previous: Option<&ItemId>) -> Result<usize, Fault> {
        match previous {
            None => Ok(self.entries.len()),
            Some(id) if *id == "root" => Ok(0),
            Some(id) => self.position(id).map(|index| index + 1).ok_or_else(|| {
                let message = format!("Error adding item: the previous item with id '{id}' does not exist.");
                Fault::new("item_create_invalid_previous_item_id", message).param("previous_item_id")
            }),
        }
    }

    /// Inserts at a place. Drops the oldest items if there are too many.
    pub(crate) fn insert(&mut self, place: usize, entry: Entry) {
        self.audio_bytes += entry.kept();
        self.entries.insert(place.min(self.entries.len()), entry);
        while self.entries.len() > self.limits.items {
            if let Some(oldest) = self.entries.pop_front() {
                self.audio_bytes -= oldest.kept();
            }
        }
        self.bound_audio();
    }

    /// Inserts at the end.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.insert(self.entries.len(), entry);
    }

    pub(crate) fn find(&self, id: &ItemId) -> Option<&Entry> {
        self.position(id).and_then(|index| self.entries.get(index))
    }

    pub(crate) fn find_mut(&mut self, id: &ItemId) -> Option<&mut Entry> {
        self.position(id).and_then(|index| self.entries.get_mut(index))
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// The last item, as `previous_item_id` of the next one.
    pub(crate) fn last(&self) -> Field<ItemId> {
        self.entries.back().map_or(Field::Null, |entry| entry.id.clone().into())
    }

    /// The item before that one.
    pub(crate) fn before(&self, id: &ItemId) -> Field<ItemId> {
        let before = self.position(id).and_then(|index| self.entries.get(index.checked_sub(1)?));
        before.map_or(Field::Null, |entry| entry.id.clone().into())
    }

    /// The function that a call in the conversation names.
    pub(crate) fn called(&self, call: &CallId) -> Option<&str> {
        self.entries.iter().rev().find_map(|entry| match &entry.item {
            Item::FunctionCall(item) if item.call_id.value() == Some(call) => {
                Some(item.name.value().map_or("", String::as_str))
            }
            _ => None,
        })
    }

    pub(crate) fn remove(&mut self, id: &ItemId) -> Result<(), Fault> {
        let found = self.position(id).and_then(|index| self.entries.remove(index));
        let entry = found.ok_or_else(|| absent("delete", "deleting", id))?;
        self.audio_bytes -= entry.kept();
        Ok(())
    }

    /// The item with its audio.
    pub(crate) fn retrieve(&self, id: &ItemId) -> Result<Item, Fault> {
        let entry = self.find(id).ok_or_else(|| absent("retrieve", "retrieving", id))?;
        let mut item = entry.item.clone();
        if let (Item::Message(message), Some(audio)) = (&mut item, &entry.audio) {
            // The audio of several parts is kept as one: the first has it all.
            let mut parts = message.content.value_mut().into_iter().flatten();
            match parts.find(|part| part.is_audio()) {
                Some(ContentPart::InputAudio(part)) => part.audio = Field::Value(audio.bytes.clone().into()),
                Some(ContentPart::OutputAudio(part)) => part.audio = Field::Value(audio.bytes.clone().into()),
                _ => {}
            }
        }
        Ok(item)
    }

    /// Marks all items as answered: a response starts.
    pub(crate) fn answered(&mut self) {
        for entry in self.entries.iter_mut().rev() {
            entry.is_new = false;
        }
    }

    /// Cuts an assistant's audio, and drops the transcript: nobody knows which words were heard.
    pub(crate) fn truncate(&mut self, id: &ItemId, content_index: u32, end_ms: u64) -> Result<(), Fault> {
        let entry = self.find_mut(id).ok_or_else(|| absent("truncate", "truncating", id))?;
        let unsupported =
            || Fault::new("unsupported_content_type", "Only model output audio messages can be truncated");
        let Item::Message(message) = &mut entry.item else { return Err(unsupported()) };
        if message.role.value() != Some(&Role::Assistant) {
            return Err(unsupported());
        }
        let part =
            usize::try_from(content_index).ok().and_then(|index| message.content.value_mut()?.get_mut(index));
        let Some(part) = part else {
            return Err(Fault::invalid_value(
                "content_index",
                format!("The item has no content part {content_index}."),
            ));
        };
        let (ContentPart::OutputAudio(part), Some(audio)) = (part, &mut entry.audio) else {
            return Err(unsupported());
        };
        let has_ms = audio.format.duration(audio.total).as_millis();
        if end_ms > has_ms {
            let message = format!("Audio content of {has_ms} ms is already shorter than {end_ms} ms");
            return Err(Fault::invalid_value("audio_end_ms", message));
        }
        let end = audio.format.bytes(MediaTime::from_millis(end_ms));
        let before = audio.bytes.len();
        audio.total = end;
        audio.bytes.truncate(usize::try_from(end).unwrap_or(usize::MAX));
        let dropped = before - audio.bytes.len();
        part.transcript = Field::Absent;
        entry.truncated = true;
        self.audio_bytes -= dropped;
        Ok(())
    }

    /// Adds to an assistant item's audio while it is made. An item that was truncated meanwhile stays as it
    /// is.
    pub(crate) fn add_audio(&mut self, id: &ItemId, bytes: &[u8]) {
        let most = self.limits.item_audio_bytes;
        let Some(entry) = self.find_mut(id).filter(|entry| !entry.truncated) else { return };
        let Some(audio) = &mut entry.audio else { return };
        let room = most.saturating_sub(audio.bytes.len()).min(bytes.len());
        audio.bytes.extend_from_slice(&bytes[..room]);
        audio.total += bytes.len() as u64;
        self.audio_bytes += room;
        self.bound_audio();
    }

    /// Replaces a finished assistant item. An item that was truncated meanwhile keeps no transcript.
    pub(crate) fn finish(&mut self, id: &ItemId, mut item: Item) {
        let Some(entry) = self.find_mut(id) else { return };
        if let (true, Item::Message(message)) = (entry.truncated, &mut item) {
            for part in message.content.value_mut().into_iter().flatten() {
                if let ContentPart::OutputAudio(part) = part {
                    part.transcript = Field::Absent;
                }
            }
        }
        entry.item = item;
    }

    fn position(&self, id: &ItemId) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.id == *id)
    }

    /// Drops the oldest audio until the rest is within its bound.
    fn bound_audio(&mut self) {
        for entry in &mut self.entries {
            if self.audio_bytes <= self.limits.conversation_audio_bytes {
                return;
            }
            if let Some(audio) = &mut entry.audio {
                self.audio_bytes -= audio.bytes.len();
                audio.bytes = Vec::new();
            }
        }
    }
}

impl Entry {
    pub(crate) const fn new(id: ItemId, item: Item) -> Self {
        Self { id, item, audio: None, heard: None, is_new: true, is_forgotten: false, truncated: false }
    }

    pub(crate) fn with_audio(mut self, format: AudioFormat, bytes: Vec<u8>) -> Self {
        let total = bytes.len() as u64;
        self.audio = Some(PartAudio { format, bytes, total });
        self
    }

    /// How long its audio is.
    pub(crate) fn audio_length(&self) -> MediaTime {
        self.audio.as_ref().map_or(MediaTime::ZERO, |audio| audio.format.duration(audio.total))
    }

    fn kept(&self) -> usize {
        self.audio.as_ref().map_or(0, |audio| audio.bytes.len())
    }
}

fn absent(verb: &str, gerund: &str, id: &ItemId) -> Fault {
    let code = match verb {
        "delete" => "item_delete_invalid_item_id",
        "retrieve" => "item_retrieve_invalid_item_id",
        _ => "item_truncate_invalid_item_id",
    };
    Fault::new(code, format!("Error {gerund} item: the item with id '{id}' does not exist.")).param("item_id")
}
