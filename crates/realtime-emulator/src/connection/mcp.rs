//! MCP: lists the tools of MCP servers and calls them, as the service does by itself. No MCP server is
//! contacted: a brain gives their tools and results.

use realtime_protocol::event::*;
use realtime_protocol::field::Field;
use realtime_protocol::id::ItemId;
use realtime_protocol::item::{Item, ItemStatus, McpCallItem, McpError, McpListToolsItem, McpListedTool};
use realtime_protocol::time::Timestamp;
use realtime_protocol::tool::{McpTool, Tool};

use crate::brain::McpCall;
use crate::connection::Connection;
use crate::connection::conversation::Entry;
use crate::connection::open_item::OpenItem;
use crate::connection::outbox::{Outbox, send};
use crate::connection::plan::Kind;
use crate::connection::response::Running;

/// An MCP server that is being asked for its tools.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) at: Timestamp,
    item_id: ItemId,
    server_label: String,
    tools: Result<Vec<McpListedTool>, String>,
}

impl Connection {
    /// Asks the MCP servers that the session names and that were not asked yet.
    pub(super) fn list_mcp_tools(&mut self) {
        let tools = self.session.config().tools.value().into_iter().flatten();
        let servers: Vec<McpTool> = tools
            .filter_map(|tool| match tool {
                Tool::Mcp(server) => Some(server.clone()),
                _ => None,
            })
            .collect();
        for server in servers {
            let label = server.server_label.value().cloned().unwrap_or_default();
            if self.mcp_labels.len() >= MOST_SERVERS || !self.mcp_labels.insert(label.clone()) {
                continue;
            }
            let item_id = ItemId::from(self.out.ids.other("mcpl_"));
            let item = list_item(&item_id, &label, Vec::new());
            let previous = self.conversation.last();
            let mut entry = Entry::new(item_id.clone(), item.clone());
            entry.is_new = false;
            self.conversation.push(entry);
            send!(&mut self.out, ConversationItemAdded { previous_item_id: previous, item: item });
            send!(&mut self.out, McpListToolsInProgress { item_id: item_id.clone() });
            let tools = self.brain.mcp_tools(&server);
            let at = self.now + self.options.latency;
            self.listings.push_back(Listing { at, item_id, server_label: label, tools });
        }
    }

    /// A server has answered.
    pub(super) fn end_listing(&mut self) {
        let Some(Listing { item_id, server_label, tools, .. }) = self.listings.pop_front() else { return };
        match tools {
            Ok(tools) => {
                send!(&mut self.out, McpListToolsCompleted { item_id: item_id.clone() });
                let item = list_item(&item_id, &server_label, tools);
                self.conversation.finish(&item_id, item.clone());
                let previous = self.conversation.before(&item_id);
                send!(&mut self.out, ConversationItemDone { previous_item_id: previous, item: item });
            }
            Err(reason) => {
                tracing::debug!(server_label, reason, "an MCP server does not answer");
                send!(&mut self.out, McpListToolsFailed { item_id: item_id.clone() });
                let item = list_item(&item_id, &server_label, Vec::new());
                let previous = self.conversation.before(&item_id);
                send!(&mut self.out, ConversationItemDone { previous_item_id: previous, item: item });
                self.mcp_labels.remove(&server_label);
            }
        }
    }
}

impl Running {
    /// The call's arguments are whole, and it runs.
    pub(super) fn run(&mut self, out: &mut Outbox) {
        let Some((item_id, output_index)) = self.place() else { return };
        let arguments = self.open.as_ref().map(|open| open.words.clone()).unwrap_or_default();
        send!(
            out,
            ResponseMcpCallArgumentsDone {
                response_id: self.id.clone(),
                item_id: item_id.clone(),
                output_index: output_index,
                arguments: arguments,
            }
        );
        send!(out, ResponseMcpCallInProgress { output_index: output_index, item_id: item_id });
    }

    /// The call has ended. A request for an approval sends nothing then.
    pub(super) fn end_mcp(
        &self,
        open: &OpenItem,
        id: &ItemId,
        output_index: u32,
        status: &ItemStatus,
        out: &mut Outbox,
    ) {
        let Kind::Mcp { outcome, .. } = &open.kind else { return };
        if outcome.is_ok() && *status == ItemStatus::Completed {
            send!(out, ResponseMcpCallCompleted { output_index: output_index, item_id: id.clone() });
        } else {
            send!(out, ResponseMcpCallFailed { output_index: output_index, item_id: id.clone() });
        }
    }
}

impl OpenItem {
    /// The call as it is now, with its result at the end.
    pub(super) fn mcp_call(
        &self,
        call: &McpCall,
        approval: Option<&ItemId>,
        outcome: &Result<String, McpError>,
        status: &ItemStatus,
    ) -> Item {
        let (mut output, mut error) = (Field::Null, Field::Null);
        match outcome {
            Ok(text) if *status == ItemStatus::Completed => output = Field::Value(text.clone()),
            Err(cause) if *status == ItemStatus::Completed => error = Field::Value(cause.clone()),
            _ => {}
        }
        McpCallItem {
            id: self.id.clone().into(),
            server_label: call.server_label.clone().into(),
            name: call.name.clone().into(),
            arguments: self.words.clone().into(),
            approval_request_id: approval.map_or(Field::Null, |id| Field::Value(id.to_string())),
            output,
            error,
            ..McpCallItem::default()
        }
        .into()
    }
}

fn list_item(id: &ItemId, server_label: &str, tools: Vec<McpListedTool>) -> Item {
    McpListToolsItem::default().id(id.clone()).server_label(server_label).tools(tools).into()
}

/// Of one session.
const MOST_SERVERS: usize = 64;
