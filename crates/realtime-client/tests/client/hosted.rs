//! Hosted MCP servers: declared once in the toolbox, approved by a hook, and their failures told. Against the
//! emulator, over a socket.

use std::sync::{Arc, Mutex};

use realtime_client::{Client, ClientOptions, Endpoint, Events, Handle};
use realtime_context::{HostedServer, Toolbox};
use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options};
use realtime_protocol::call::{Event, Notice};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{Modality, SessionConfig};
use serde_json::{Value, json};

use crate::support::next;

#[tokio::test]
async fn an_approved_call_runs_and_the_model_goes_on() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let server = docs().approval({
        let asked = Arc::clone(&asked);
        move |request| {
            asked.lock().unwrap().push((request.name.clone(), request.arguments.clone()));
            async { Ok(()) }
        }
    });
    let mut call = Call::begin(server, &approvals(Some("3 hits"))).await;
    assert_eq!(call.ask("please search").await, ["approved search", "said I found three."]);
    assert_eq!(*asked.lock().unwrap(), [("search".to_owned(), r#"{"q":"x"}"#.to_owned())]);
}

#[tokio::test]
async fn without_a_hook_and_after_one_that_fails_a_call_is_refused_and_told() {
    let mut call = Call::begin(docs(), &approvals(None)).await;
    let refused = "refused search: nobody here approves calls of this server";
    assert_eq!(call.ask("please search").await, [refused, "said Then not."]);

    let panics = docs().approval(|_| async { panic!("on purpose") });
    let mut call = Call::begin(panics, &approvals(None)).await;
    let refused = "refused search: the request for approval failed";
    assert_eq!(call.ask("please search").await, [refused, "said Then not."]);
}

#[tokio::test]
async fn a_call_that_fails_is_told_and_the_model_goes_on() {
    let script = json!({ "turns": [
        { "on": "text", "reply": [{ "mcp": "docs", "tool": "search", "error": "no such index" }] },
        { "on": "request", "reply": [{ "say": "It did not work." }] },
    ] });
    let mut call = Call::begin(docs().never_ask(), &script).await;
    assert_eq!(call.ask("please search").await, ["failed search: no such index", "said It did not work."]);
}

#[tokio::test]
async fn a_server_that_lists_nothing_is_told() {
    let script = json!({ "turns": [], "mcp": { "docs": "connection refused" } });
    let mut call = Call::begin(docs(), &script).await;
    loop {
        if let Event::Notice(notice) = next(&mut call.events).await {
            assert_eq!(notice, Notice::HostedToolsFailed { server_label: Some("docs".into()) });
            return;
        }
    }
}

fn docs() -> HostedServer {
    HostedServer::at("docs", "https://mcp.example").allow(["search"])
}

/// The model wants to search. If that is approved, the search returns this.
fn approvals(output: Option<&str>) -> Value {
    let reply = match output {
        Some(output) => json!({ "mcp": "docs", "tool": "search", "output": output }),
        None => json!({ "say": "Then not." }),
    };
    json!({ "turns": [
        { "on": "text", "reply": [{ "mcp": "docs", "tool": "search", "arguments": { "q": "x" }, "ask": true }] },
        { "on": { "approval": "search" }, "reply": [reply] },
        { "on": "request", "reply": [{ "say": "I found three." }] },
    ] })
}

struct Call {
    handle: Handle,
    events: Events,
}

impl Call {
    async fn begin(server: HostedServer, script: &Value) -> Self {
        let script = Script::parse(&script.to_string()).unwrap();
        let options = Options::default().script(script);
        let emulator = Emulator::bind((std::net::Ipv4Addr::LOCALHOST, 0), options).await.unwrap();
        let endpoint = Endpoint::new(emulator.url().split('?').next().unwrap(), "gpt-realtime").unwrap();
        tokio::spawn(emulator.serve(std::future::pending()));
        let config = SessionConfig::realtime().output_modalities(vec![Modality::Text]);
        let session = SessionOptions::default().config(config);
        let options = ClientOptions::new(session).toolbox(Toolbox::new().hosted(server));
        let (handle, events) = Client::connect(endpoint, options).await.unwrap().split();
        Self { handle, events }
    }

    /// Sends a text. Returns what is told until the model has said something.
    async fn ask(&mut self, text: &str) -> Vec<String> {
        self.handle.send_text(text, true).await.unwrap();
        let (mut told, mut words) = (Vec::new(), String::new());
        loop {
            match next(&mut self.events).await {
                Event::Text { delta, .. } => words.push_str(&delta),
                Event::ResponseFinished(_) if !words.is_empty() => {
                    told.push(format!("said {words}"));
                    return told;
                }
                Event::Notice(Notice::HostedApproval { name, approved: true, .. }) => {
                    told.push(format!("approved {name}"));
                }
                Event::Notice(Notice::HostedApproval { name, reason, .. }) => {
                    told.push(format!("refused {name}: {}", reason.unwrap_or_default()));
                }
                Event::Notice(Notice::HostedCallFailed { name, reason, .. }) => {
                    told.push(format!("failed {name}: {reason}"));
                }
                _ => {}
            }
        }
    }
}
