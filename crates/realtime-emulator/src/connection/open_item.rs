//! The item that a response is making: as events show it, from empty to whole.

use realtime_protocol::content::{AudioPart, ContentPart, OutputAudio, OutputText, TextPart};
use realtime_protocol::id::{CallId, ItemId};
use realtime_protocol::item::{
    FunctionCallItem, Item, ItemStatus, McpApprovalRequestItem, MessageItem, Role,
};

use crate::connection::plan::Kind;

/// The item that is being made.
#[derive(Debug)]
pub(crate) struct OpenItem {
    pub(super) id: ItemId,
    pub(super) kind: Kind,
    pub(super) call_id: CallId,
    /// Transcript, text or arguments so far.
    pub(super) words: String,
}

impl OpenItem {
    /// The item as it is now. Its part is left out while it is empty in events.
    pub(super) fn item(&self, status: ItemStatus, with_part: bool) -> Item {
        let part: ContentPart = match &self.kind {
            Kind::Audio => OutputAudio::default().transcript(self.words.clone()).into(),
            Kind::Text => OutputText::default().text(self.words.clone()).into(),
            Kind::Mcp { call, approval, outcome } => {
                return self.mcp_call(call, approval.as_ref(), outcome, &status);
            }
            Kind::Approval(call) => {
                return McpApprovalRequestItem::default()
                    .id(self.id.clone())
                    .server_label(call.server_label.clone())
                    .name(call.name.clone())
                    .arguments(call.arguments.clone())
                    .into();
            }
            Kind::Call { name } => {
                return FunctionCallItem::default()
                    .id(self.id.clone())
                    .status(status)
                    .call_id(self.call_id.clone())
                    .name(name.clone())
                    .arguments(self.words.clone())
                    .into();
            }
        };
        MessageItem::default()
            .id(self.id.clone())
            .status(status)
            .role(Role::Assistant)
            .content(if with_part { vec![part] } else { Vec::new() })
            .into()
    }

    /// The part as events about parts show it. They say `audio` and `text`, where items say `output_*`.
    pub(super) fn part(&self) -> Option<ContentPart> {
        match &self.kind {
            Kind::Audio => Some(AudioPart::default().transcript(self.words.clone()).into()),
            Kind::Text => Some(TextPart::default().text(self.words.clone()).into()),
            Kind::Call { .. } | Kind::Mcp { .. } | Kind::Approval(_) => None,
        }
    }
}
