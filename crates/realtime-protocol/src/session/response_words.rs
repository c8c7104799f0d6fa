//! The words of a response, and its items: as their deltas bring them, and where a server sends none, or not
//! all, as the events behind them do.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::call::Event;
use crate::event::{ResponseContentPartDone, ResponseOutputAudioTranscriptDone, ResponseOutputTextDone};
use crate::field::Field;
use crate::id::{ItemId, ResponseId};
use crate::item::Item;
use crate::session::Session;
use crate::session::playback::PartId;
use crate::session::response_events::PartPlace;

/// Items of a response that are final and have no place: of more, the words are told and the items not.
const MOST_UNPLACED: usize = 32;

impl Session {
    pub(super) fn on_text(&mut self, place: PartPlace<'_>, delta: &str, spoken: bool) {
        if let Some(part) = self.part(place) {
            self.say(part, delta.into(), spoken, false);
        }
    }

    /// Tells words. `of_all`: they are all that the part says, so that its audio counts for them from its
    /// beginning.
    fn say(&mut self, part: PartId, delta: String, spoken: bool, of_all: bool) {
        let now = self.now;
        let Some(response) = self.responses.get_mut(&part.response_id) else { return };
        if response.interrupted || delta.is_empty() {
            return;
        }
        response.timeline.first_text.get_or_insert(now);
        response.spoke = true;
        response.said.push(&part.item_id, part.content_index, &delta);
        if spoken && !response.out_of_band {
            let format = response.format.unwrap_or_else(|| self.config.output_format());
            let protected = response.protected;
            if of_all {
                self.playback.all_words(&part, format, &delta);
            } else {
                self.playback.words(&part, format, &delta);
            }
            if protected {
                self.playback.protect(&part);
            }
        }
        let PartId { response_id, item_id, content_index } = part;
        self.tell(Event::Text { response_id, item_id, content_index, delta, spoken });
    }

    /// All words of a part came: those that its deltas left out are told.
    fn say_rest(
        &mut self,
        response_id: &ResponseId,
        item_id: &ItemId,
        content_index: u32,
        whole: &str,
        spoken: bool,
    ) {
        let Some(response) = self.responses.get_mut(response_id) else { return };
        let Some((rest, any_before)) = response.said.rest(item_id, content_index, whole) else { return };
        let part = PartId { response_id: response_id.clone(), item_id: item_id.clone(), content_index };
        self.say(part, rest, spoken, !any_before);
    }

    pub(super) fn on_text_done(&mut self, event: ResponseOutputTextDone) {
        self.on_words_done(event.response_id, &event.item_id, event.content_index, event.text, false);
    }

    pub(super) fn on_transcript_done(&mut self, event: ResponseOutputAudioTranscriptDone) {
        self.on_words_done(event.response_id, &event.item_id, event.content_index, event.transcript, true);
    }

    pub(super) fn on_part_done(&mut self, event: ResponseContentPartDone) {
        let Field::Value(part) = event.part else { return };
        let words = part.words().map_or(Field::Absent, |words| Field::Value(words.into()));
        self.on_words_done(event.response_id, &event.item_id, event.content_index, words, part.is_audio());
    }

    fn on_words_done(
        &mut self,
        response_id: Field<ResponseId>,
        item_id: &ItemId,
        content_index: Field<u32>,
        words: Field<String>,
        spoken: bool,
    ) {
        let (Some(words), Some(response_id)) = (words.value(), self.response(response_id)) else { return };
        self.say_rest(&response_id, item_id, content_index.unwrap_or(0), words, spoken);
    }

    /// An item of a response is final: what its deltas left out is told. An item that no event has given a
    /// place waits for one until its response ends, but for a function call, which is told as such.
    pub(super) fn on_output_item_done(&mut self, response_id: Option<&ResponseId>, item: Box<Item>) {
        if let Some(response_id) = response_id {
            self.say_rest_of(response_id, &item);
        }
        if item.id().is_none_or(|item_id| !self.items.is_unknown(&item_id)) {
            return self.finish_item(item);
        }
        if matches!(*item, Item::FunctionCall(_)) {
            return;
        }
        let response = response_id.and_then(|id| self.responses.get_mut(id));
        if let Some(response) = response.filter(|response| response.unplaced.len() < MOST_UNPLACED) {
            response.unplaced.push(*item);
        }
    }

    fn say_rest_of(&mut self, response_id: &ResponseId, item: &Item) {
        let (Item::Message(message), Some(item_id)) = (item, item.id()) else { return };
        for (content_index, content) in (0..).zip(message.parts()) {
            if let Some(words) = content.words() {
                self.say_rest(response_id, &item_id, content_index, words, content.is_audio());
            }
        }
    }

    /// The end of a response says once more what its items are.
    pub(super) fn note_outputs(&mut self, response_id: &ResponseId, items: &[Item]) {
        for item in items {
            self.say_rest_of(response_id, item);
            if item.id().is_some_and(|item_id| !self.items.is_finished(&item_id)) {
                self.on_output_item_done(Some(response_id), Box::new(item.clone()));
            }
        }
    }

    /// A response ends: its items, for which the server named no place, come last in the conversation.
    pub(super) fn place_outputs(&mut self, out_of_band: bool, unplaced: Vec<Item>) {
        for item in unplaced {
            if !out_of_band && item.id().is_some_and(|item_id| self.items.is_unknown(&item_id)) {
                self.place(Field::Absent, &item);
                self.finish_item(Box::new(item));
            }
        }
    }
}
