//! Entries as items of their own, with the content types that each role takes.

use std::collections::BTreeSet;

use realtime_protocol::content::{ContentPart, InputImage, InputText, OutputText};
use realtime_protocol::field::Field;
use realtime_protocol::id::CallId;
use realtime_protocol::item::{self, FunctionCallItem, Item, MessageItem};

use crate::log::{Body, Entry, EntryId, Log};
use crate::message::{Message, Part, Role, ToolCall};
use crate::mirror::Ids;
use crate::sync::{Omitted, Why};

/// The longest id of a call (characters), as observed at the service.
const LONGEST_CALL_ID: usize = 32;

/// Makes items of entries.
pub(super) struct Natives<'a> {
    /// Calls in messages that a later message answers, by the call's entry and id, and their answers.
    pairs: BTreeSet<(EntryId, &'a str)>,
}

impl<'a> Natives<'a> {
    pub(super) fn new(log: &'a Log) -> Self {
        let mut pairs = BTreeSet::new();
        for group in log.groups() {
            let [first, answers @ ..] = &log.entries[group] else { continue };
            let Body::Message(calling) = &first.body else { continue };
            for answer in answers {
                let Body::Message(tool) = &answer.body else { continue };
                let Some(id) = tool.tool_call_id.value().filter(|_| tool.role == Role::Tool) else {
                    continue;
                };
                let is_it = |call: &ToolCall| call.is(id) && !call.name().is_empty();
                if calling.calls().iter().any(is_it) && pairs.insert((first.id, id.as_str())) {
                    pairs.insert((answer.id, id.as_str()));
                }
            }
        }
        Self { pairs }
    }

    /// The items of an entry: none, one, or one for its words and one for each call.
    pub(super) fn items(&self, entry: &Entry, ids: &Ids, omitted: &mut Vec<Omitted>) -> Vec<Item> {
        let mut leave_out = |why| omitted.push(Omitted { entry: entry.id, why });
        let function = match &entry.body {
            Body::Message(message) => return self.message(entry.id, message, &mut leave_out),
            Body::Words(words) => {
                let message = words.message();
                return message
                    .map_or_else(Vec::new, |message| self.message(entry.id, &message, &mut leave_out));
            }
            Body::Function(function) => function,
        };
        if function.name.is_empty() {
            leave_out(Why::NoPair);
            return Vec::new();
        }
        // The server's id for the call is valid only in its conversation.
        let call_id = CallId::from(ids.call(entry.id));
        let call = FunctionCallItem::default()
            .call_id(call_id.clone())
            .name(function.name.clone())
            .arguments(arguments(&function.arguments));
        vec![call.into(), Item::function_call_output(call_id, function.output_text())]
    }

    fn message(&self, entry: EntryId, message: &Message, leave_out: &mut impl FnMut(Why)) -> Vec<Item> {
        let mut items = Vec::new();
        match &message.role {
            Role::Tool => {
                let call_id = message.tool_call_id.value();
                match call_id.filter(|id| self.pairs.contains(&(entry, id.as_str()))) {
                    Some(id) => items.push(Item::function_call_output(call_id_of(id), message.text())),
                    None => leave_out(Why::NoPair),
                }
            }
            Role::User => items.extend(message_item(item::Role::User, user_parts(message, leave_out))),
            Role::System | Role::Developer => {
                items.extend(message_item(item::Role::System, text_parts(message, leave_out, input_text)));
            }
            Role::Assistant => {
                items
                    .extend(message_item(item::Role::Assistant, text_parts(message, leave_out, output_text)));
            }
            Role::Other(_) => leave_out(Why::NoSuchItem),
        }
        for call in message.calls() {
            let Some(id) = call.id.value().filter(|id| self.pairs.contains(&(entry, id.as_str()))) else {
                leave_out(Why::NoPair);
                continue;
            };
            let item = FunctionCallItem::default()
                .call_id(call_id_of(id))
                .name(call.name())
                .arguments(arguments(&call.arguments()));
            items.push(item.into());
        }
        items
    }
}

/// A call's arguments: no text is an empty object.
fn arguments(text: &str) -> String {
    if text.is_empty() { "{}".into() } else { text.to_owned() }
}

/// A call's id in a length that the server takes: the same for the call and its output.
fn call_id_of(id: &str) -> CallId {
    if id.chars().count() <= LONGEST_CALL_ID {
        return id.into();
    }
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) // FNV-1a
    });
    format!("call_{hash:016x}").into()
}

fn message_item(role: item::Role, parts: Vec<ContentPart>) -> Option<Item> {
    (!parts.is_empty()).then(|| MessageItem::default().role(role).content(parts).into())
}

/// The texts in one part, and the images after it.
fn user_parts(message: &Message, leave_out: &mut impl FnMut(Why)) -> Vec<ContentPart> {
    let mut parts = text_parts(message, &mut |_| (), input_text);
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
            Part::InputAudio(_) | Part::Other(_) => leave_out(Why::NoSuchItem),
        }
    }
    parts
}

/// The texts in one part. No part if there is no text.
fn text_parts(
    message: &Message,
    leave_out: &mut impl FnMut(Why),
    part: fn(String) -> ContentPart,
) -> Vec<ContentPart> {
    message.parts().iter().filter(|part| part.as_text().is_none()).for_each(|_| leave_out(Why::NoSuchItem));
    let text = message.text();
    if text.is_empty() { Vec::new() } else { vec![part(text)] }
}

fn input_text(text: String) -> ContentPart {
    InputText::default().text(text).into()
}

fn output_text(text: String) -> ContentPart {
    OutputText::default().text(text).into()
}
