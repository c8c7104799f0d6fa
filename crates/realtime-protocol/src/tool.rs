//! Tools that the model may call, and the choice among them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::field::{Field, RawJson};
use crate::wire::{open_enum, wire_enum, wire_struct};

wire_struct! {
    /// A function of the client's.
    pub (tagged) struct FunctionTool {
        /// The function's name.
        name: Field<String>,
        /// What it does, for the model.
        description: Field<String>,
        /// The JSON Schema of its arguments: an object.
        parameters: Field<RawJson>,
    }

    /// A remote MCP server that OpenAI calls by itself.
    pub (tagged) struct McpTool {
        /// The label by which items name the MCP server.
        server_label: Field<String>,
        /// Where it is.
        server_url: Field<String>,
        /// OpenAI's own connector in place of an address.
        connector_id: Field<Connector>,
        /// A tunnel in place of an address.
        tunnel_id: Field<String>,
        /// The token that OpenAI sends to it.
        authorization: Field<Secret>,
        /// What it is for, for the model.
        server_description: Field<String>,
        /// Headers that OpenAI sends to it.
        headers: Field<BTreeMap<String, Secret>>,
        /// Which of its tools may be called; `null` or absent: all.
        allowed_tools: Field<Box<AllowedTools>>,
        /// Who may call.
        allowed_callers: Field<Vec<ToolCaller>>,
        /// Which calls need an approval; absent: all.
        require_approval: Field<Box<RequireApproval>>,
        /// Whether its tools are listed only when needed.
        defer_loading: Field<bool>,
    }

    /// Some of an MCP server's tools: those that meet every member given.
    pub struct McpToolFilter {
        /// The tools by name.
        tool_names: Field<Vec<String>>,
        /// Whether a tool says of itself that it changes nothing.
        read_only: Field<bool>,
    }

    /// Which calls of an MCP server need an approval, tool by tool.
    pub struct ApprovalFilters {
        /// Calls of these need one.
        always: Field<McpToolFilter>,
        /// Calls of these need none.
        never: Field<McpToolFilter>,
    }

    /// This function and no other.
    pub (tagged) struct FunctionChoice {
        /// The function's name.
        name: Field<String>,
    }

    /// A tool of this MCP server.
    pub (tagged) struct McpChoice {
        /// The MCP server's label.
        server_label: Field<String>,
        /// The tool's name. Absent: any tool.
        name: Field<String>,
    }
}

wire_enum! {
    /// A tool that the model may call.
    pub enum Tool {
        /// A function of the client's.
        Function(FunctionTool) = "function",
        /// A remote MCP server.
        Mcp(McpTool) = "mcp",
    }
}

wire_enum! {
    /// One tool that the model must call.
    pub enum SpecificTool {
        /// This function.
        Function(FunctionChoice) = "function",
        /// A tool of this MCP server.
        Mcp(McpChoice) = "mcp",
    }
}

open_enum! {
    /// One of OpenAI's own connectors.
    pub enum Connector {
        /// Dropbox.
        Dropbox = "connector_dropbox",
        /// Gmail.
        Gmail = "connector_gmail",
        /// Google Calendar.
        GoogleCalendar = "connector_googlecalendar",
        /// Google Drive.
        GoogleDrive = "connector_googledrive",
        /// Microsoft Teams.
        MicrosoftTeams = "connector_microsoftteams",
        /// Outlook's calendar.
        OutlookCalendar = "connector_outlookcalendar",
        /// Outlook's mail.
        OutlookEmail = "connector_outlookemail",
        /// SharePoint.
        SharePoint = "connector_sharepoint",
    }

    /// Who may call a tool.
    pub enum ToolCaller {
        /// The model itself.
        Direct = "direct",
        /// A program that the model wrote.
        Programmatic = "programmatic",
    }

    /// Whether calls of an MCP server need an approval.
    pub enum ApprovalMode {
        /// Each call waits for an `mcp_approval_response`.
        Always = "always",
        /// None does.
        Never = "never",
    }

    /// Whether the model may call tools.
    pub enum ToolMode {
        /// The model decides.
        Auto = "auto",
        /// No tool.
        None = "none",
        /// At least one tool.
        Required = "required",
    }
}

/// Which tool the model may or must call: a word, or one tool.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a word or an object; both are open themselves")]
pub enum ToolChoice {
    /// `auto`, `none` or `required`.
    Mode(ToolMode),
    /// This one.
    Tool(SpecificTool),
}

crate::wire::by_shape!(ToolChoice, Mode(ToolMode) = b'"', Tool(SpecificTool) = b'{');

/// Which tools of an MCP server may be called: a list of names, or a filter.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a list or an object; the object keeps what it does not know")]
pub enum AllowedTools {
    /// These.
    Names(Vec<String>),
    /// Those that the filter lets through.
    Filter(McpToolFilter),
}

crate::wire::by_shape!(AllowedTools, Names(Vec<String>) = b'[', Filter(McpToolFilter) = b'{');

/// Which calls of an MCP server need an approval: all or none, or tool by tool.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a word or an object; both are open themselves")]
pub enum RequireApproval {
    /// `always` or `never`.
    Mode(ApprovalMode),
    /// Tool by tool.
    Filters(ApprovalFilters),
}

crate::wire::by_shape!(RequireApproval, Mode(ApprovalMode) = b'"', Filters(ApprovalFilters) = b'{');

impl Tool {
    /// The function's name, if the tool is one.
    pub fn function_name(&self) -> Option<&str> {
        match self {
            Self::Function(function) => function.name.value().map(String::as_str),
            Self::Mcp(_) | Self::Unknown(_) => None,
        }
    }
}

/// Text that `Debug` does not show: a token, or a header's value.
#[derive(Clone, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Field<Secret> {
    fn from(text: &str) -> Self {
        Self::Value(text.into())
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl crate::wire::Wire for Secret {}

#[cfg(feature = "schema")]
crate::schema::text!(Secret, "A token, or a header's value.");
