//! What a client may add to the conversation: its item made complete, or the fault that refuses it.

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::content::ContentPart;
use realtime_protocol::field::Field;
use realtime_protocol::item::{Item, ItemStatus, MessageItem, Role};

use crate::connection::client_event::required;
use crate::connection::conversation::{Conversation, Entry};
use crate::connection::fault::{Fault, no_unknown};
use crate::connection::ids::Ids;
use crate::connection::input_audio::not_audio;
use crate::connection::session_check::wrong_kind;

/// Makes an entry of a client's item: with an id and a status, its audio taken out.
pub(crate) fn entry(
    mut item: Item,
    format: AudioFormat,
    conversation: &Conversation,
    ids: &mut Ids,
) -> Result<Entry, Fault> {
    if let Some(id) = item.id() {
        let length = id.as_str().chars().count();
        if length > MOST_ID {
            return Err(Fault::too_long("item.id", MOST_ID, length));
        }
        if conversation.find(&id).is_some() {
            let message = format!("Error adding item: the item with id '{id}' already exists.");
            return Err(Fault::new("item_create_duplicate_id", message).param("item.id"));
        }
    }
    let mut audio = None;
    match &mut item {
        Item::Message(message) => {
            no_unknown(&message.extra, "item")?;
            audio = check_message(message)?;
            complete(&mut message.status);
        }
        Item::FunctionCall(call) => {
            no_unknown(&call.extra, "item")?;
            required(&call.name, "item.name")?;
            required(&call.arguments, "item.arguments")?;
            if call.call_id.value().is_none() {
                call.call_id = ids.call().into();
            }
            check_call_id(call.call_id.value().map_or("", |id| id.as_str()))?;
            complete(&mut call.status);
        }
        Item::FunctionCallOutput(output) => {
            no_unknown(&output.extra, "item")?;
            let call = required(&output.call_id, "item.call_id")?;
            required(&output.output, "item.output")?;
            check_call_id(call.as_str())?;
            if conversation.called(call).is_none() {
                let message = format!("Tool call ID '{call}' not found in conversation.");
                return Err(Fault::new("invalid_tool_call_id", message));
            }
            complete(&mut output.status);
        }
        Item::McpApprovalResponse(response) => {
            no_unknown(&response.extra, "item")?;
            required(&response.approve, "item.approve")?;
            let request = required(&response.approval_request_id, "item.approval_request_id")?;
            let asked = conversation.find(&request.as_str().into());
            if !asked.is_some_and(|entry| matches!(entry.item, Item::McpApprovalRequest(_))) {
                let message = format!("There is no approval request with id '{request}'.");
                return Err(Fault::invalid_value("item.approval_request_id", message));
            }
        }
        other => {
            return Err(wrong_kind(
                "item",
                &other.kind(),
                &["message", "function_call", "function_call_output", "mcp_approval_response"],
            ));
        }
    }
    let id = item.id().unwrap_or_else(|| ids.item());
    item.set_id(id.clone());
    let entry = Entry::new(id, item);
    Ok(match audio {
        Some(bytes) => entry.with_audio(format, bytes),
        None => entry,
    })
}

/// Checks a message, and takes its audio out.
fn check_message(message: &mut MessageItem) -> Result<Option<Vec<u8>>, Fault> {
    let supported: &[&str] = match required(&message.role, "item.role")? {
        Role::User => &["input_text", "input_audio", "input_image"],
        Role::System => &["input_text"],
        Role::Assistant => &["output_text"],
        other => {
            return Err(Fault::unsupported("item.role", other.as_str(), &["user", "assistant", "system"]));
        }
    };
    required(&message.content, "item.content")?;
    let mut audio = None;
    for (index, part) in message.content.value_mut().into_iter().flatten().enumerate() {
        let path = format!("item.content[{index}]");
        let kind = part.kind();
        // Like the service: it asks for text, because it does not accept assistant audio.
        if kind == "output_audio" && supported == ["output_text"] {
            return Err(Fault::missing(format!("{path}.text")));
        }
        if !supported.contains(&kind.as_ref()) {
            return Err(wrong_kind(&path, &kind, supported));
        }
        match part {
            ContentPart::InputText(part) => {
                no_unknown(&part.extra, &path)?;
                let length = required(&part.text, &format!("{path}.text"))?.chars().count();
                if length > MOST_TEXT {
                    return Err(Fault::too_long(format!("{path}.text"), MOST_TEXT, length));
                }
            }
            ContentPart::OutputText(part) => {
                no_unknown(&part.extra, &path)?;
                required(&part.text, &format!("{path}.text"))?;
            }
            ContentPart::InputAudio(part) => {
                no_unknown(&part.extra, &path)?;
                let bytes = required(&part.audio, &format!("{path}.audio"))?.bytes();
                let bytes = bytes.map_err(|_| not_audio().param(format!("{path}.audio")))?;
                // One stretch of sound: parts of one message follow each other.
                audio.get_or_insert_with(Vec::new).extend_from_slice(bytes);
                part.audio = Field::Absent;
                if part.transcript.is_absent() {
                    part.transcript = Field::Null;
                }
            }
            ContentPart::InputImage(part) => {
                no_unknown(&part.extra, &path)?;
                required(&part.image_url, &format!("{path}.image_url"))?;
            }
            _ => {}
        }
    }
    Ok(audio)
}

fn check_call_id(call: &str) -> Result<(), Fault> {
    match call.chars().count() {
        length if length > MOST_ID => Err(Fault::too_long("item.call_id", MOST_ID, length)),
        _ => Ok(()),
    }
}

fn complete(status: &mut Field<ItemStatus>) {
    if status.value().is_none() {
        *status = ItemStatus::Completed.into();
    }
}

/// Characters of an id that the client chose, as observed.
const MOST_ID: usize = 32;
/// Characters of one `input_text`, as observed.
const MOST_TEXT: usize = 256_000;
