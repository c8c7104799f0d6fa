//! Tools that the model may call, and the choice among them.

use alloc::string::String;

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
        connector_id: Field<String>,
        /// A tunnel in place of an address.
        tunnel_id: Field<String>,
        /// The token that OpenAI sends to it.
        authorization: Field<Secret>,
        /// What it is for, for the model.
        server_description: Field<String>,
        /// Headers that OpenAI sends to it.
        headers: Field<RawJson>,
        /// Which of its tools may be called.
        allowed_tools: Field<RawJson>,
        /// Who may call.
        allowed_callers: Field<RawJson>,
        /// Which calls need an approval.
        require_approval: Field<RawJson>,
        /// Whether its tools are listed only when needed.
        defer_loading: Field<bool>,
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
        /// The tool's name; any where missing.
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

crate::wire::text_or!(ToolChoice, Mode(ToolMode), Tool(SpecificTool));

impl Tool {
    /// The function's name, if the tool is one.
    pub fn function_name(&self) -> Option<&str> {
        match self {
            Self::Function(function) => function.name.value().map(String::as_str),
            Self::Mcp(_) | Self::Unknown(_) => None,
        }
    }
}

/// Text that `Debug` does not show.
#[derive(Clone, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl crate::wire::Wire for Secret {}
