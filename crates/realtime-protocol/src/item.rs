//! Items: what a conversation is made of.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::content::{ContentPart, InputText, OutputText};
use crate::field::{Field, RawJson};
use crate::id::{CallId, ItemId};
use crate::wire::{open_enum, wire_enum, wire_struct};

wire_struct! {
    /// Content parts by one role.
    pub (tagged) struct MessageItem {
        /// The item's id.
        id: Field<ItemId>,
        /// Always `realtime.item`, often missing.
        object: Field<String>,
        /// Whether the item is whole.
        status: Field<ItemStatus>,
        /// Whose words these are.
        role: Field<Role>,
        /// The parts, in order.
        content: Field<Vec<ContentPart>>,
    }

    /// The model asks for a function to be called.
    pub (tagged) struct FunctionCallItem {
        /// The item's id.
        id: Field<ItemId>,
        /// Always `realtime.item`, often missing.
        object: Field<String>,
        /// Whether the item is whole.
        status: Field<ItemStatus>,
        /// The call's id, which the output must repeat.
        call_id: Field<CallId>,
        /// The function's name.
        name: Field<String>,
        /// The arguments: a JSON object as text.
        arguments: Field<String>,
    }

    /// What a function call returned.
    pub (tagged) struct FunctionCallOutputItem {
        /// The item's id.
        id: Field<ItemId>,
        /// Always `realtime.item`, often missing.
        object: Field<String>,
        /// Whether the item is whole.
        status: Field<ItemStatus>,
        /// The call that this answers.
        call_id: Field<CallId>,
        /// The result as text; JSON by custom.
        output: Field<String>,
    }

    /// The tools that an MCP server offers.
    pub (tagged) struct McpListToolsItem {
        /// The item's id.
        id: Field<ItemId>,
        /// The MCP server's label.
        server_label: Field<String>,
        /// The tools.
        tools: Field<Vec<McpListedTool>>,
    }

    /// One tool of an MCP server.
    pub struct McpListedTool {
        /// The tool's name.
        name: Field<String>,
        /// What it does.
        description: Field<String>,
        /// The JSON Schema of its arguments.
        input_schema: Field<RawJson>,
        /// What the MCP server says of it besides.
        annotations: Field<RawJson>,
    }

    /// A call that the server made to an MCP server.
    pub (tagged) struct McpCallItem {
        /// The item's id.
        id: Field<ItemId>,
        /// The MCP server's label.
        server_label: Field<String>,
        /// The tool's name.
        name: Field<String>,
        /// The arguments: JSON as text.
        arguments: Field<String>,
        /// The approval that allowed the call.
        approval_request_id: Field<String>,
        /// What the tool returned.
        output: Field<String>,
        /// Why the call failed.
        error: Field<McpError>,
    }

    /// The MCP server broke the protocol.
    pub (tagged) struct McpProtocolError {
        /// The protocol's code.
        code: Field<i64>,
        /// The error's text.
        message: Field<String>,
    }

    /// The tool itself failed.
    pub (tagged) struct McpToolExecutionError {
        /// The error's text.
        message: Field<String>,
    }

    /// The MCP server could not be reached, or refused.
    pub (tagged) struct McpHttpError {
        /// The status code.
        code: Field<i64>,
        /// The error's text.
        message: Field<String>,
    }

    /// The server asks whether it may call an MCP tool.
    pub (tagged) struct McpApprovalRequestItem {
        /// The item's id.
        id: Field<ItemId>,
        /// The MCP server's label.
        server_label: Field<String>,
        /// The tool's name.
        name: Field<String>,
        /// The arguments: JSON as text.
        arguments: Field<String>,
    }

    /// The client's answer to an approval request.
    pub (tagged) struct McpApprovalResponseItem {
        /// The item's id.
        id: Field<ItemId>,
        /// The request that this answers.
        approval_request_id: Field<String>,
        /// Whether the call is allowed.
        approve: Field<bool>,
        /// Why.
        reason: Field<String>,
    }

    /// An item of the conversation by its id; only in the input of a response.
    pub (tagged) struct ItemReference {
        /// The item's id.
        id: Field<ItemId>,
    }
}

wire_enum! {
    /// Why an MCP call failed.
    pub enum McpError {
        /// The MCP server broke the protocol.
        Protocol(McpProtocolError) = "protocol_error",
        /// The tool itself failed.
        ToolExecution(McpToolExecutionError) = "tool_execution_error",
        /// The MCP server could not be reached, or refused.
        Http(McpHttpError) = "http_error",
    }
}

wire_enum! {
    /// One entry of a conversation.
    pub enum Item {
        /// Content parts by one role.
        Message(MessageItem) = "message",
        /// The model asks for a function to be called.
        FunctionCall(FunctionCallItem) = "function_call",
        /// What a function call returned.
        FunctionCallOutput(FunctionCallOutputItem) = "function_call_output",
        /// The tools that an MCP server offers.
        McpListTools(McpListToolsItem) = "mcp_list_tools",
        /// A call that the server made to an MCP server.
        McpCall(McpCallItem) = "mcp_call",
        /// The server asks whether it may call an MCP tool.
        McpApprovalRequest(McpApprovalRequestItem) = "mcp_approval_request",
        /// The client's answer to an approval request.
        McpApprovalResponse(McpApprovalResponseItem) = "mcp_approval_response",
        /// An item of the conversation by its id.
        Reference(ItemReference) = "item_reference",
    }
}

impl Item {
    /// A user message with one text part.
    pub fn user_text(text: impl Into<String>) -> Self {
        Self::message(Role::User, InputText::default().text(text.into()).into())
    }

    /// A message of the system's with one text part.
    pub fn system_text(text: impl Into<String>) -> Self {
        Self::message(Role::System, InputText::default().text(text.into()).into())
    }

    /// An assistant message with one text part.
    pub fn assistant_text(text: impl Into<String>) -> Self {
        Self::message(Role::Assistant, OutputText::default().text(text.into()).into())
    }

    /// The output of a function call.
    pub fn function_call_output(call_id: CallId, output: impl Into<String>) -> Self {
        FunctionCallOutputItem::default().call_id(call_id).output(output.into()).into()
    }

    fn message(role: Role, part: ContentPart) -> Self {
        MessageItem::default().role(role).content(alloc::vec![part]).into()
    }

    /// The item's id, if it has one; of an item of an unknown type, what its JSON says.
    pub fn id(&self) -> Option<ItemId> {
        let id = match self {
            Self::Message(item) => item.id.value(),
            Self::FunctionCall(item) => item.id.value(),
            Self::FunctionCallOutput(item) => item.id.value(),
            Self::McpListTools(item) => item.id.value(),
            Self::McpCall(item) => item.id.value(),
            Self::McpApprovalRequest(item) => item.id.value(),
            Self::McpApprovalResponse(item) => item.id.value(),
            Self::Reference(item) => item.id.value(),
            Self::Unknown(raw) => return serde_json::from_str::<Identity>(raw.get()).ok()?.id,
        };
        id.cloned()
    }

    /// Gives the item an id. An item of an unknown type stays as it is.
    pub fn set_id(&mut self, id: ItemId) {
        let field = match self {
            Self::Message(item) => &mut item.id,
            Self::FunctionCall(item) => &mut item.id,
            Self::FunctionCallOutput(item) => &mut item.id,
            Self::McpListTools(item) => &mut item.id,
            Self::McpCall(item) => &mut item.id,
            Self::McpApprovalRequest(item) => &mut item.id,
            Self::McpApprovalResponse(item) => &mut item.id,
            Self::Reference(item) => &mut item.id,
            Self::Unknown(_) => return,
        };
        *field = Field::Value(id);
    }

    /// The message, if the item is one.
    pub const fn as_message(&self) -> Option<&MessageItem> {
        match self {
            Self::Message(message) => Some(message),
            _ => None,
        }
    }
}

/// What every item has, of whatever type.
#[derive(Deserialize)]
struct Identity {
    id: Option<ItemId>,
}

impl MessageItem {
    /// The parts. None if the member is missing.
    pub fn parts(&self) -> &[ContentPart] {
        self.content.value().map_or(&[], Vec::as_slice)
    }
}

open_enum! {
    /// Whose words a message holds.
    pub enum Role {
        /// The person.
        User = "user",
        /// The model.
        Assistant = "assistant",
        /// The application.
        System = "system",
    }

    /// Whether an item is whole.
    pub enum ItemStatus {
        /// Whole.
        Completed = "completed",
        /// Cut off.
        Incomplete = "incomplete",
        /// Still being made.
        InProgress = "in_progress",
    }
}
