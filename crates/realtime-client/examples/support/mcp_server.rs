//! A small MCP server: JSON-RPC in, JSON-RPC out. What carries it is another's business.

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

/// A server with a handful of tools.
#[derive(Debug, Default)]
pub(crate) struct McpDemo {
    /// Whether the tool `new` is there.
    has_grown: bool,
    /// The call of `slow` that runs.
    slow: Option<Value>,
    cancelled: bool,
}

impl McpDemo {
    /// Answers a message, and tells what else there is to tell.
    pub(crate) fn handle(&mut self, message: &Value) -> Vec<Value> {
        let (id, params) = (&message["id"], &message["params"]);
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": params["protocolVersion"], "capabilities": { "tools": { "listChanged": true } },
                "serverInfo": { "name": "demo", "version": "1" },
            }),
            "tools/list" => json!({ "tools": self.tools() }),
            "tools/call" => return self.call(id, params),
            "notifications/cancelled" => {
                self.cancelled |= self.slow.take() == Some(params["requestId"].clone());
                return Vec::new();
            }
            _ if id.is_null() => return Vec::new(),
            _ => {
                return vec![
                    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "no" } }),
                ];
            }
        };
        vec![answer(id, &result)]
    }

    fn tools(&self) -> Vec<Value> {
        let names = ["add", "read", "fail", "slow", "cancelled", "grow", "exit", "new"];
        let names = &names[..names.len() - usize::from(!self.has_grown)];
        let tool = |name: &&str| json!({ "name": name, "description": format!("The tool {name}"), "inputSchema": { "type": "object" } });
        names.iter().map(tool).collect()
    }

    fn call(&mut self, id: &Value, params: &Value) -> Vec<Value> {
        let text = |text: &str| json!({ "content": [{ "type": "text", "text": text }] });
        let arguments = &params["arguments"];
        let result = match params["name"].as_str().unwrap_or_default() {
            "add" => {
                let sum = arguments["a"].as_i64().unwrap_or(0) + arguments["b"].as_i64().unwrap_or(0);
                json!({ "content": [], "structuredContent": { "sum": sum } })
            }
            "read" => text("the text of a file"),
            "fail" => json!({ "content": [{ "type": "text", "text": "no such file" }], "isError": true }),
            "cancelled" => text(if self.cancelled { "yes" } else { "no" }),
            "grow" => {
                self.has_grown = true;
                let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
                return vec![answer(id, &text("there is a new tool")), changed];
            }
            "slow" => {
                self.slow = Some(id.clone());
                let token = &params["_meta"]["progressToken"];
                let params = json!({ "progressToken": token, "progress": 1, "total": 2, "message": "half" });
                return vec![
                    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }),
                ];
            }
            "exit" => std::process::exit(0),
            _ => text("new"),
        };
        vec![answer(id, &result)]
    }
}

/// Serves on standard input and output until the input ends.
pub(crate) fn serve_stdio() -> io::Result<()> {
    let mut server = McpDemo::default();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        for message in server.handle(&serde_json::from_str(&line?)?) {
            writeln!(out, "{message}")?;
        }
        out.flush()?;
    }
    Ok(())
}

fn answer(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}
