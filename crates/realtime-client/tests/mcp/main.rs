//! Tools of MCP servers: a program that speaks on its standard input and output (this very test, started
//! again), and streamable HTTP in this process. The model is the emulator's, which calls the function that a
//! text names.
//!
//! The tests run without libtest, which writes on the standard output, too.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test that names its cases")]

mod http;
#[path = "../../examples/support/mcp_server.rs"]
mod mcp_server;

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::time::Duration;

use realtime_client::{Client, ClientOptions, Endpoint, Events, Handle, McpConnection, McpError, McpServer};
use realtime_context::{Function, ToolError, ToolPolicy, Toolbox};
use realtime_emulator::{Emulator, Options};
use realtime_protocol::call::{Event, FunctionEnd, Notice};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::{Modality, SessionConfig};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use crate::http::HttpServer;

type Case = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

const CASES: &[Case] = &[
    ("a_program's_tools_answer_with_text_data_and_errors", || Box::pin(tools_of_a_program())),
    ("progress_and_cancellation_go_their_ways", || Box::pin(progress_and_cancellation())),
    ("a_tool_that_appears_is_declared", || Box::pin(a_new_tool())),
    ("a_server_that_ends_is_told_and_its_tools_say_so", || Box::pin(a_dead_server())),
    ("a_server_that_ends_is_started_again", || Box::pin(a_server_that_comes_back())),
    ("a_server_that_can't_be_started_again_is_told", || Box::pin(a_server_that_stays_away())),
    ("names_that_are_taken_wrong_or_missing_are_errors", || Box::pin(names())),
    ("tools_come_by_http_too", || Box::pin(tools_by_http())),
    ("a_server_that_is_not_there_is_an_error", || Box::pin(no_server())),
];

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return mcp_server::serve_stdio().unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, case) in CASES {
        runtime.block_on(async { timeout(Duration::from_secs(60), case()).await.expect(name) });
        println!("{name} ... ok");
    }
}

async fn tools_of_a_program() {
    let toolbox = Toolbox::new();
    let server = program().prefix("demo_").allow(["add", "read", "fail"]).connect(&toolbox).await.unwrap();
    assert_eq!(server.tools(), ["demo_add", "demo_read", "demo_fail"]);
    let mut call = Call::begin(&toolbox).await;
    let output = call.ask(r#"demo_add {"a": 2, "b": 3}"#).await;
    assert_eq!(output, FunctionEnd::Result(json!({ "sum": 5 })));
    assert_eq!(call.ask("demo_read").await, FunctionEnd::Result(json!("the text of a file")));
    assert_eq!(call.ask("demo_fail").await, FunctionEnd::Error("no such file".into()));
    server.close().await;
    assert!(toolbox.is_empty());
}

async fn progress_and_cancellation() {
    let toolbox = Toolbox::new();
    let patience = ToolPolicy::new().timeout(Duration::from_millis(300));
    let each = move |tool: Function| tool.policy(patience.clone());
    let _server = program().each(each).connect(&toolbox).await.unwrap();
    let mut call = Call::begin(&toolbox).await;
    assert_eq!(call.ask("slow").await, FunctionEnd::TimedOut);
    let progress: Vec<&Value> = call
        .told
        .iter()
        .filter_map(|notice| match notice {
            Notice::FunctionProgress { progress, .. } => Some(progress),
            _ => None,
        })
        .collect();
    assert_eq!(progress, [&json!({ "progress": 1.0, "total": 2.0, "message": "half" })]);
    assert_eq!(call.ask("cancelled").await, FunctionEnd::Result(json!("yes")));
}

async fn a_new_tool() {
    let toolbox = Toolbox::new();
    let server = program().connect(&toolbox).await.unwrap();
    let mut call = Call::begin(&toolbox).await;
    call.ask("grow").await;
    while !call.declared.contains(&"new".to_owned()) {
        call.wait_for(|event| matches!(event, Event::ConfigUpdated { .. })).await;
    }
    assert!(server.tools().contains(&"new".to_owned()));
    assert_eq!(call.ask("new").await, FunctionEnd::Result(json!("new")));
}

async fn a_dead_server() {
    let toolbox = Toolbox::new();
    let server = program().restarts(0).connect(&toolbox).await.unwrap();
    let mut call = Call::begin(&toolbox).await;
    let ended = FunctionEnd::Error("the MCP server `demo` has ended: its tools can't run".into());
    assert_eq!(call.ask("exit").await, ended);
    let failed = Notice::McpServerFailed { server: "demo".into(), reason: "it has ended".into() };
    if !call.told.contains(&failed) {
        call.wait_for(|event| matches!(event, Event::Notice(notice) if *notice == failed)).await;
    }
    assert!(!server.is_alive());
    assert_eq!(call.ask("read").await, ended);
}

async fn a_server_that_comes_back() {
    let toolbox = Toolbox::new();
    let server = program().connect(&toolbox).await.unwrap();
    let mut call = Call::begin(&toolbox).await;
    let away = "the MCP server `demo` has ended and is being started again: try again in a moment";
    assert_eq!(call.ask("exit").await, FunctionEnd::Error(away.into()));
    assert_eq!(server.tools().len(), 7, "they stay declared");
    let mut answer = call.ask("read").await;
    while answer == FunctionEnd::Error(away.into()) {
        answer = call.ask("read").await;
    }
    assert_eq!(answer, FunctionEnd::Result(json!("the text of a file")));
    assert!(server.is_alive());
    assert_eq!(call.failures(), ["it has ended: it is started again in 250ms"]);
    server.close().await;
    assert!(toolbox.is_empty());
}

async fn a_server_that_stays_away() {
    let toolbox = Toolbox::new();
    let mut starts = 0;
    let once = move || {
        starts += 1;
        let program = if starts == 1 { std::env::current_exe().unwrap() } else { "/does/not/exist".into() };
        let mut command = Command::new(program);
        command.arg("serve");
        command
    };
    let server = McpServer::child("demo", once).restarts(2).connect(&toolbox).await.unwrap();
    let mut call = Call::begin(&toolbox).await;
    call.ask("exit").await;
    while call.failures().len() < 3 {
        call.wait_for(|event| matches!(event, Event::Notice(_))).await;
    }
    let failures = call.failures();
    let cause = "the MCP server `demo` could not be started: ";
    assert_eq!(failures[0], "it has ended: it is started again in 250ms");
    assert!(failures[1].starts_with(cause) && failures[1].ends_with(": it is started again in 500ms"));
    assert!(failures[2].starts_with(cause) && !failures[2].contains("again"), "{failures:?}");
    let ended = FunctionEnd::Error("the MCP server `demo` has ended: its tools can't run".into());
    assert_eq!(call.ask("read").await, ended);
    assert!(!server.is_alive());
}

async fn names() {
    let own =
        Function::raw("add", "", json!({ "type": "object" }), |_: Value| async { Ok::<_, ToolError>(0) });
    let toolbox = Toolbox::new().with(own);
    let error = program().connect(&toolbox).await.unwrap_err();
    assert!(matches!(&error, McpError::Tool { source, .. } if source.name() == "add"), "{error}");
    let error = program().prefix("my tools/").connect(&toolbox).await.unwrap_err();
    assert!(error.to_string().contains("rename the tool"), "{error}");
    let error = program().allow(["nothing"]).connect(&toolbox).await.unwrap_err();
    assert_eq!(error.to_string(), "the MCP server `demo` has no tool `nothing`");
    assert_eq!(toolbox.tools().iter().count(), 1, "nothing was added");
}

async fn tools_by_http() {
    let http = HttpServer::start().await;
    let toolbox = Toolbox::new();
    let server = McpServer::http("web", http.url()).bearer("token").connect(&toolbox).await.unwrap();
    let mut call = Call::begin(&toolbox).await;
    assert_eq!(call.ask(r#"add {"a": 1}"#).await, FunctionEnd::Result(json!({ "sum": 1 })));
    assert!(http.saw("authorization: Bearer token"));
    http.stop().await;
    let gone = FunctionEnd::Error("the MCP server `web` can't be reached: its tools can't run".into());
    assert_eq!(call.ask("read").await, gone);
    assert!(call.told.iter().any(|notice| matches!(notice, Notice::McpServerFailed { .. })));
    drop(server);
    assert!(toolbox.is_empty());
}

async fn no_server() {
    let toolbox = Toolbox::new();
    let error =
        McpServer::child("none", || Command::new("/does/not/exist")).connect(&toolbox).await.unwrap_err();
    assert_eq!(error.to_string(), "the MCP server `none` could not be started");
    let error = McpServer::http("none", "localhost").connect(&toolbox).await.unwrap_err();
    assert!(error.to_string().ends_with("expected http:// or https://"), "{error}");
    let url = format!("http://{}:1/mcp", Ipv4Addr::LOCALHOST);
    let error = McpServer::http("none", url).connect(&toolbox).await.unwrap_err();
    assert_eq!(error.to_string(), "the MCP server `none` did not begin a session");
}

/// This test as an MCP server.
fn program() -> McpServer {
    McpServer::child("demo", || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("serve");
        command
    })
}

/// A call with the emulator.
struct Call {
    handle: Handle,
    events: Events,
    told: Vec<Notice>,
    /// The functions that the session has.
    declared: Vec<String>,
}

impl Call {
    async fn begin(toolbox: &Toolbox) -> Self {
        let emulator = Emulator::bind((Ipv4Addr::LOCALHOST, 0), Options::default()).await.unwrap();
        let endpoint = Endpoint::new(emulator.url().split('?').next().unwrap(), "gpt-realtime").unwrap();
        tokio::spawn(emulator.serve(std::future::pending()));
        let config = SessionConfig::realtime().output_modalities(vec![Modality::Text]);
        let session = SessionOptions::default().config(config);
        let options = ClientOptions::new(session).toolbox(toolbox.clone());
        let (handle, events) = Client::connect(endpoint, options).await.unwrap().split();
        Self { handle, events, told: Vec::new(), declared: Vec::new() }
    }

    /// Has a function called, and returns its output once the model has spoken about it.
    async fn ask(&mut self, text: &str) -> FunctionEnd {
        self.handle.send_text(text, true).await.unwrap();
        let mut outputs = Vec::new();
        self.wait_for(|event| match event {
            Event::FunctionEnded { end, .. } => {
                outputs.push(end.clone());
                false
            }
            Event::ResponseFinished(report) => report.timeline.first_text.is_some(),
            _ => false,
        })
        .await;
        outputs.pop().expect("a call")
    }

    /// What was told of servers that fail.
    fn failures(&self) -> Vec<String> {
        let failure = |notice: &'_ Notice| match notice {
            Notice::McpServerFailed { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        self.told.iter().filter_map(failure).collect()
    }

    async fn wait_for(&mut self, mut is_it: impl FnMut(&Event) -> bool) {
        loop {
            let event = self.events.next().await.expect("an event");
            match &event {
                Event::Notice(notice) => self.told.push(notice.clone()),
                Event::Ready { config, .. } | Event::ConfigUpdated { config, .. } => {
                    let tools = config.tools.value().unwrap().iter();
                    self.declared =
                        tools.filter_map(|tool| tool.function_name()).map(ToOwned::to_owned).collect();
                }
                _ => {}
            }
            if is_it(&event) {
                return;
            }
        }
    }
}

/// A connection can be kept where the call is.
const fn _is_send(connection: McpConnection) -> impl Send + Sync {
    connection
}
