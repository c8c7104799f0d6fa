//! What a response answers: the newest input of the conversation, or its own input.

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::content::ContentPart;
use realtime_protocol::id::ItemId;
use realtime_protocol::item::{Item, McpApprovalResponseItem, MessageItem, Role};
use realtime_protocol::response::ResponseParams;

use crate::brain::{McpApproval, McpCall, ToolOutput};
use crate::connection::Connection;
use crate::connection::conversation::{Conversation, Entry};
use crate::connection::fault::Fault;

/// What a response answers, with its data.
#[derive(Debug)]
pub(super) enum Input {
    Speech { item_id: ItemId, audio: Vec<u8>, format: AudioFormat, transcript: Option<String> },
    Text(String),
    Outputs(Vec<ToolOutput>),
    Approval(McpApproval),
    Idle,
    Nothing,
}

impl Input {
    /// The newest user message among `entries`, or the tool outputs that came after it.
    pub(super) fn of<'a>(
        entries: impl DoubleEndedIterator<Item = &'a Entry>,
        conversation: &Conversation,
    ) -> Self {
        let mut outputs = Vec::new();
        for entry in entries.rev() {
            match &entry.item {
                Item::FunctionCallOutput(item) => {
                    let call = item.call_id.value().cloned().unwrap_or_default();
                    let name = conversation.called(&call).unwrap_or_default();
                    let output = item.output.value().map_or("", String::as_str);
                    outputs.insert(0, ToolOutput::new(call.clone(), name, output));
                }
                Item::Message(message) if outputs.is_empty() && message.role.value() == Some(&Role::User) => {
                    return Self::of_message(entry, message);
                }
                Item::McpApprovalResponse(item) if outputs.is_empty() => {
                    if let Some(approval) = approval(item, conversation) {
                        return Self::Approval(approval);
                    }
                }
                _ => {}
            }
        }
        if outputs.is_empty() { Self::Nothing } else { Self::Outputs(outputs) }
    }

    fn of_message(entry: &Entry, message: &MessageItem) -> Self {
        if let Some(audio) = &entry.audio {
            return Self::Speech {
                item_id: entry.id.clone(),
                audio: audio.bytes.clone(),
                format: audio.format,
                transcript: entry.heard.clone(),
            };
        }
        let texts: Vec<_> = message.parts().iter().filter_map(ContentPart::words).collect();
        Self::Text(texts.join(" "))
    }
}

/// The call that an approval is about.
fn approval(item: &McpApprovalResponseItem, conversation: &Conversation) -> Option<McpApproval> {
    let request_id = ItemId::from(item.approval_request_id.value()?.as_str());
    let Item::McpApprovalRequest(request) = &conversation.find(&request_id)?.item else { return None };
    let call = McpCall {
        server_label: request.server_label.value().cloned().unwrap_or_default(),
        name: request.name.value().cloned().unwrap_or_default(),
        arguments: request.arguments.value().cloned().unwrap_or_default(),
    };
    Some(McpApproval { call, request_id, approve: item.approve.value() == Some(&true) })
}

impl Connection {
    /// What the response is to answer: what is new in the conversation, or its own `input`, which comes with
    /// it.
    pub(super) fn input_of(
        &mut self,
        params: &ResponseParams,
    ) -> Result<(Input, Option<Conversation>), Fault> {
        let Some(items) = params.input.value() else {
            let new = self.conversation.iter().filter(|entry| entry.is_new);
            return Ok((Input::of(new, &self.conversation), None));
        };
        // A separate conversation, made of the given items and the items that they reference.
        let mut own = Conversation::new(self.options.limits.clone());
        for (index, item) in items.iter().enumerate() {
            let entry = match item {
                Item::Reference(reference) => {
                    let path = format!("response.input[{index}].id");
                    let id = reference.id.value().ok_or_else(|| Fault::missing(path.as_str()))?;
                    let found = self.conversation.find(id).ok_or_else(|| {
                        let message =
                            format!("Error adding item: the referenced item with id '{id}' does not exist.");
                        Fault::invalid_value(path, message)
                    })?;
                    let mut entry = Entry::new(found.id.clone(), found.item.clone());
                    entry.heard = found.heard.clone();
                    match &found.audio {
                        Some(audio) => entry.with_audio(audio.format, audio.bytes.clone()),
                        None => entry,
                    }
                }
                other => Entry::new(self.out.ids.item(), other.clone()),
            };
            own.push(entry);
        }
        Ok((Input::of(own.iter(), &self.conversation), Some(own)))
    }
}
