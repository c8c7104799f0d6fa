//! Giving a new session what was said before it.
//!
//! A session begins empty. A leading system message becomes its instructions; the rest goes into items, by one
//! of two strategies.

use realtime_protocol::content::{ContentPart, InputImage, InputText, OutputText};
use realtime_protocol::field::Field;
use realtime_protocol::item::{self, FunctionCallItem, Item, MessageItem};

use crate::context::Context;
use crate::message::{Content, Message, Part, Role};

/// What stands before a packed history.
const PREAMBLE: &str = "What follows is the record of our conversation up to now, as a JSON list of messages, \
    the oldest first. You are the assistant in it and I am the user. Take it as said: do not repeat it, and do \
    not read it out.";
/// What stands behind it.
const EPILOGUE: &str =
    "Here the record ends. Carry on from its last message, as if we had never stopped talking.";

/// How a history is put into items.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum History {
    /// All of it as JSON in one message of the user's, which says what it is. A history that is just one
    /// message of the user's goes as it is.
    ///
    /// The default: models that were given many text items of the assistant's tend to stop speaking.
    #[default]
    PackedMessage,
    /// Each message as an item of its own, calls and their outputs too.
    NativeItems,
}

/// What to give a new session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seed {
    /// What the model is told to be; put it into the first configuration
    /// ([`Context::session_config`] does). `None`: the context has none.
    pub instructions: Option<String>,
    /// Items to create, in this order, before anything else. Each has an id, by which the context recognises
    /// it.
    pub items: Vec<Item>,
    /// Parts and messages of which no item can be made, and which are left out: audio files, parts of unknown
    /// types, images in a packed history, outputs of calls that are not there.
    pub omitted: usize,
}

impl Context {
    /// Makes the items that bring a new session up to date.
    ///
    /// The context remembers their ids: when the session tells of them, nothing is entered twice. Of seeds that
    /// were made before, the ids are forgotten.
    pub fn seed(&mut self, strategy: History) -> Seed {
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
        let mut made = Vec::with_capacity(items.len());
        for (index, mut item) in items {
            let id = self.fresh_id();
            item.set_id(id.clone());
            self.entries[index].place.seeded.push(id);
            made.push(item);
        }
        self.packed = made.first().filter(|_| is_packed).and_then(Item::id);
        Seed { instructions, items: made, omitted }
    }
}

/// The whole history as one message of the user's.
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

/// Takes data out of a part that has no meaning as text, and leaves a mark.
fn strip(part: &mut Part, omitted: &mut usize) {
    let data = match part {
        Part::ImageUrl(image) if image.image_url.url.starts_with("data:") => &mut image.image_url.url,
        Part::InputAudio(audio) => &mut audio.input_audio.data,
        Part::Text(_) | Part::ImageUrl(_) | Part::Other(_) => return,
    };
    "[left out]".clone_into(data);
    *omitted += 1;
}

/// A message as items of its own: none, one, or one for its words and one for each call. `calls`: those made so
/// far.
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
            .call_id(realtime_protocol::id::CallId::from(call.id.as_str()))
            .name(call.function.name.clone())
            .arguments(call.function.arguments.clone())
            .into()
    }));
    items
}

fn message_item(role: item::Role, parts: Vec<ContentPart>) -> Option<Item> {
    (!parts.is_empty()).then(|| MessageItem::default().role(role).content(parts).into())
}

/// The texts in one part, and the images behind it.
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

/// The texts in one part; none where there is no text.
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
