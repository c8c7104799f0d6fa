//! The tools that an MCP server lists, as functions of a toolbox; and what a call of one brings back, as the
//! model reads it.

use std::sync::Arc;

use realtime_context::{Function, FunctionContext, ToolError};
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents, Tool};
use serde_json::{Value, json};

use crate::mcp::call::Remote;
use crate::mcp::error::McpError;

/// The most tools of a server: more than a session takes.
pub(super) const MOST_TOOLS: usize = 128;

/// Which tools are taken, and how.
#[derive(Default)]
pub(super) struct Offer {
    pub(super) prefix: String,
    pub(super) allowed: Option<Vec<String>>,
    pub(super) change: Option<Box<Change>>,
}

type Change = dyn Fn(Function) -> Function + Send + Sync;

impl Offer {
    /// The functions that call the tools.
    pub(super) fn functions(&self, remote: &Arc<Remote>, listed: &[Tool]) -> Result<Vec<Function>, McpError> {
        let server = || remote.name.clone();
        if let Some(missing) =
            self.allowed.iter().flatten().find(|name| !listed.iter().any(|t| t.name == **name))
        {
            return Err(McpError::NoSuchTool { server: server(), name: missing.clone() });
        }
        let is_allowed =
            |tool: &&Tool| self.allowed.as_ref().is_none_or(|names| names.iter().any(|n| *n == tool.name));
        let taken: Vec<&Tool> = listed.iter().filter(is_allowed).collect();
        if taken.len() > MOST_TOOLS {
            return Err(McpError::TooManyTools { server: server(), most: MOST_TOOLS, got: taken.len() });
        }
        Ok(taken.into_iter().map(|tool| self.function(remote, tool)).collect())
    }

    fn function(&self, remote: &Arc<Remote>, tool: &Tool) -> Function {
        let (remote, name) = (Arc::clone(remote), tool.name.to_string());
        let handler = move |arguments: Value, cx: FunctionContext| {
            let (remote, name) = (Arc::clone(&remote), name.clone());
            async move { remote.call(name, arguments, cx).await }
        };
        let description = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
        let parameters = Value::Object((*tool.input_schema).clone());
        let function =
            Function::raw(format!("{}{}", self.prefix, tool.name), description, parameters, handler);
        match &self.change {
            Some(change) => change(function),
            None => function,
        }
    }
}

/// What the model reads: the structured content if there is any, or else the text. What is no text is named.
pub(super) fn output(result: CallToolResult) -> Result<Value, ToolError> {
    let text = || result.content.iter().map(read).collect::<Vec<_>>().join("\n");
    if result.is_error == Some(true) {
        return Err(match (text(), &result.structured_content) {
            (text, Some(content)) if text.is_empty() => ToolError::new(content),
            (text, _) => ToolError::new(text),
        });
    }
    Ok(match &result.structured_content {
        Some(content) => content.clone(),
        None => json!(text()),
    })
}

fn read(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => format!("[an image ({}), which is not shown]", image.mime_type),
        ContentBlock::Audio(audio) => format!("[audio ({}), which is not played]", audio.mime_type),
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { text, .. } => text.clone(),
            ResourceContents::BlobResourceContents { uri, .. } => {
                format!("[the file {uri}, which is not shown]")
            }
            _ => UNREADABLE.to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("{} ({})", link.name, link.uri),
        _ => UNREADABLE.to_owned(),
    }
}

const UNREADABLE: &str = "[content of an unknown kind]";

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(result: Value) -> Result<Value, String> {
        output(serde_json::from_value(result).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn results_are_structured_content_or_text() {
        let text = json!([{ "type": "text", "text": "one" }, { "type": "text", "text": "two" }]);
        assert_eq!(read_json(json!({ "content": text })), Ok(json!("one\ntwo")));
        assert_eq!(
            read_json(json!({ "content": text, "structuredContent": { "n": 2 } })),
            Ok(json!({ "n": 2 }))
        );
        assert_eq!(read_json(json!({ "content": text, "isError": true })), Err("one\ntwo".into()));
    }

    #[test]
    fn what_is_no_text_is_named() {
        let content = json!([
            { "type": "image", "data": "AAAA", "mimeType": "image/png" },
            { "type": "resource", "resource": { "uri": "file:///a", "text": "inside" } },
            { "type": "resource_link", "uri": "file:///b", "name": "b" },
        ]);
        let expected = "[an image (image/png), which is not shown]\ninside\nb (file:///b)";
        assert_eq!(read_json(json!({ "content": content })), Ok(json!(expected)));
    }
}
