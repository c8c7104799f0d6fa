//! Telling a new session what was said before.
//!
//! A session begins empty. A leading system message becomes its instructions; the rest goes into items, by
//! one of two strategies.

use std::collections::BTreeMap;

use realtime_protocol::call::{Event, Reseed};
use realtime_protocol::content::{ContentPart, InputImage, InputText, OutputText};
use realtime_protocol::field::Field;
use realtime_protocol::id::{CallId, ItemId};
use realtime_protocol::item::{self, FunctionCallItem, Item, MessageItem};

use crate::context::Context;
use crate::entry::Body;
use crate::message::{Content, Message, Part, Role};

pub use realtime_protocol::call::Seed;

/// The text before a packed history.
const PREAMBLE: &str = "What follows is the record of our conversation up to now, as a JSON list of messages, \
    the oldest first. You are the assistant in it and I am the user. Take it as said: do not repeat it, and do \
    not read it out.";
/// The text after a packed history.
const EPILOGUE: &str =
    "Here the record ends. Carry on from its last message, as if we had never stopped talking.";

/// How a history is put into items.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum History {
    /// The whole history as JSON in one user message, with a preamble. A history of just one user message is
    /// sent as it is.
    ///
    /// This is the default, because models that were given many text items of the assistant tend to stop
    /// speaking.
    #[default]
    PackedMessage,
    /// Each message as a separate item, including calls and their outputs.
    NativeItems,
}

impl Context {
    /// Makes the items that bring a new session up to date.
    ///
    /// The context remembers their ids, so that nothing is added twice when the session tells of them. It
    /// forgets the ids of earlier seeds. Put the instructions into the first configuration, as
    /// [`session_config`](Self::session_config) does.
    pub fn seed(&mut self, strategy: History) -> Seed {
        self.reseed_with(strategy, &[])
    }

    /// The same for a session that follows another one. `carried`: items that pending commands will create.
    /// Those that the context knows are part of the seed already, and the seed lists them.
    pub fn reseed_with(&mut self, strategy: History, carried: &[ItemId]) -> Seed {
        // The entry of each carried item.
        let mut known: BTreeMap<usize, Vec<ItemId>> = BTreeMap::new();
        for id in carried {
            if let Some(index) = self.find(id) {
                known.entry(index).or_default().push(id.clone());
            }
        }
        for entry in &mut self.entries {
            entry.place.seeded.clear();
        }
        let instructions = self.instructions();
        let history: Vec<(usize, Message)> = self
            .entries
            .iter()
            .enumerate()
            .skip(usize::from(instructions.is_some()))
            .flat_map(|(index, entry)| entry.messages().into_iter().map(move |message| (index, message)))
            .collect();
        let mut omitted = 0;
        let mut items = Vec::new();
        let mut enter =
            |index: usize, made: Vec<Item>| items.extend(made.into_iter().map(|item| (index, item)));
        match (strategy, history.as_slice()) {
            (_, []) => {}
            (History::PackedMessage, [(index, message)]) if message.role == Role::User => {
                enter(*index, native(message, &[], &mut omitted));
            }
            (History::PackedMessage, [.., (last, _)]) => {
                enter(*last, vec![packed(history.iter().map(|(_, message)| message), &mut omitted)]);
            }
            (History::NativeItems, _) => {
                let mut calls = Vec::new();
                for (index, message) in &history {
                    calls.extend(message.calls().iter().map(|call| call.id.clone()));
                    enter(*index, native(message, &calls, &mut omitted));
                }
            }
        }
        let is_packed = strategy == History::PackedMessage && history.len() > 1;
        let first = history.first().map_or(0, |(index, _)| *index);
        let mut made = Vec::with_capacity(items.len());
        let mut replaces = BTreeMap::new();
        for (index, mut item) in items {
            let id = self.fresh_id();
            item.set_id(id.clone());
            if matches!(self.entries[index].body, Body::Call(_)) {
                // The server's id for the call is valid only in its conversation.
                rename_call(&mut item, index);
            }
            // The one message includes the earlier entries.
            let from = if is_packed { first } else { index };
            for carried in known.range(from..=index).flat_map(|(_, ids)| ids) {
                replaces.entry(carried.clone()).or_insert_with(|| id.clone());
            }
            self.entries[index].place.seeded.push(id);
            made.push(item);
        }
        self.packed = made.first().filter(|_| is_packed).and_then(Item::id);
        Seed { instructions, items: made, replaces, omitted }
    }
}

/// Hand the context over: it gets its events here only, so do not [`apply`](Context::apply) them yourself.
impl Reseed for Context {
    fn observe(&mut self, event: &Event) {
        self.apply(event);
    }

    /// By the default [`History`].
    fn reseed(&mut self, carried: &[ItemId]) -> Seed {
        self.reseed_with(History::default(), carried)
    }
}

/// Gives a call, or its output, an id by the place of its entry.
fn rename_call(item: &mut Item, index: usize) {
    let call_id = CallId::from(format!("ctx_call_{index}"));
    match item {
        Item::FunctionCall(call) => call.call_id = call_id.into(),
        Item::FunctionCallOutput(output) => output.call_id = call_id.into(),
        _ => {}
    }
}

/// The whole history as one user message.
fn packed<'a>(messages: impl Iterator<Item = &'a Message>, omitted: &mut usize) -> Item {
    let lines: Vec<String> = messages
        .map(|message| {
            let mut message = message.clone();
            if let Field::Value(Content::Parts(parts)) = &mut message.content {
                parts.iter_mut().for_each(|part| strip(part, omitted));
            }
            serde_json::to_string(&message).expect("strings and JSON values are JSON")
        })
        .collect();
    Item::user_text(format!("{PREAMBLE}\n\n[\n{}\n]\n\n{EPILOGUE}", lines.join(",\n")))
}

/// Replaces data in a part that has no meaning as text by a mark.
fn strip(part: &mut Part, omitted: &mut usize) {
    let data = match part {
        Part::ImageUrl(image) if image.image_url.url.starts_with("data:") => &mut image.image_url.url,
        Part::InputAudio(audio) => &mut audio.input_audio.data,
        Part::Text(_) | Part::ImageUrl(_) | Part::Other(_) => return,
    };
    "[left out]".clone_into(data);
    *omitted += 1;
}

/// A message as items: none, one, or one for its words and one for each call. `calls`: the calls made so far.
fn native(message: &Message, calls: &[String], omitted: &mut usize) -> Vec<Item> {
    let mut items = Vec::new();
    match &message.role {
        Role::Tool => {
            let call_id = message.tool_call_id.value();
            match call_id.filter(|id| calls.contains(id)) {
                Some(id) => items.push(Item::function_call_output(id.as_str().into(), message.text())),
                None => *omitted += 1,
            }
        }
        Role::User => items.extend(message_item(item::Role::User, user_parts(message, omitted))),
        Role::System | Role::Developer => {
            items.extend(message_item(item::Role::System, text_parts(message, omitted, input_text)));
        }
        Role::Assistant => {
            items.extend(message_item(item::Role::Assistant, text_parts(message, omitted, output_text)));
        }
        Role::Other(_) => *omitted += 1,
    }
    items.extend(message.calls().iter().map(|call| {
        FunctionCallItem::default()
            .call_id(CallId::from(call.id.as_str()))
            .name(call.function.name.clone())
            .arguments(call.function.arguments.clone())
            .into()
    }));
    items
}

fn message_item(role: item::Role, parts: Vec<ContentPart>) -> Option<Item> {
    (!parts.is_empty()).then(|| MessageItem::default().role(role).content(parts).into())
}

/// The texts in one part, and the images after it.
fn user_parts(message: &Message, omitted: &mut usize) -> Vec<ContentPart> {
    let mut parts = text_parts(message, &mut 0, input_text);
    for part in message.parts() {
        match part {
            Part::Text(_) => {}
            Part::ImageUrl(image) => {
                let detail = match &image.image_url.detail {
                    Field::Value(detail) => detail.as_str().into(),
                    Field::Absent | Field::Null => Field::Absent,
                };
                let url = image.image_url.url.clone();
                parts.push(InputImage { detail, ..InputImage::default().image_url(url) }.into());
            }
            Part::InputAudio(_) | Part::Other(_) => *omitted += 1,
        }
    }
    parts
}

/// The texts in one part. No part if there is no text.
fn text_parts(message: &Message, omitted: &mut usize, part: fn(String) -> ContentPart) -> Vec<ContentPart> {
    *omitted += message.parts().iter().filter(|part| part.as_text().is_none()).count();
    let text = message.text();
    if text.is_empty() { Vec::new() } else { vec![part(text)] }
}

fn input_text(text: String) -> ContentPart {
    InputText::default().text(text).into()
}

fn output_text(text: String) -> ContentPart {
    OutputText::default().text(text).into()
}

#[cfg(test)]
mod tests;
