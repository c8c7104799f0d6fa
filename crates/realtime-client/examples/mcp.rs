//! The tools of an MCP server on this side. The server is a program: here this very example, started again.
//!
//! ```sh
//! cargo run -p realtime-client --features mcp --example mcp
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "support/mcp_server.rs"]
mod mcp_server;
mod support;

use std::error::Error;

use realtime_client::{Client, ClientOptions, McpServer};
use realtime_context::{Function, ToolPolicy, Toolbox};
use realtime_protocol::call::{Event, FunctionEnd};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{Modality, SessionConfig};
use serde_json::json;
use tokio::process::Command;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return Ok(mcp_server::serve_stdio()?);
    }
    let this = std::env::current_exe()?;
    let program = move || {
        let mut command = Command::new(&this);
        command.arg("serve");
        command
    };
    let toolbox = Toolbox::new();
    let patience = ToolPolicy::new().timeout(std::time::Duration::from_secs(5));
    let server = McpServer::child("demo", program)
        .prefix("demo_")
        .allow(["add", "read"])
        .each(move |tool: Function| tool.policy(patience.clone()))
        .connect(&toolbox)
        .await?;
    println!("the server has {:?}", server.tools());

    let config = SessionConfig::realtime().output_modalities(vec![Modality::Text]);
    let session = SessionOptions::default().config(config);
    let options = ClientOptions::new(session).toolbox(toolbox.clone());
    let (handle, mut events) =
        Client::connect(support::endpoint("gpt-realtime").await?, options).await?.split();
    // The emulator calls the function that a text names.
    handle.send_text(r#"demo_add {"a": 2, "b": 3}"#, true).await?;
    let (mut result, mut words) = (None, String::new());
    while words.is_empty() || result.is_none() {
        match events.next().await.ok_or("the events ended before the answer")? {
            Event::FunctionEnded { end: FunctionEnd::Result(value), .. } => result = Some(value),
            Event::Text { delta, .. } => words.push_str(&delta),
            Event::Closed { reason } => return Err(reason.to_string().into()),
            _ => {}
        }
    }
    println!("the tool returned {result:?}");
    assert_eq!(result, Some(json!({ "sum": 5 })));
    handle.close().await?;
    // The tools leave the toolbox with their server.
    server.close().await;
    assert!(toolbox.is_empty());
    Ok(())
}
