//! A worker that serves real calls: it attaches to the emulator by the call's id, and has one function.

use std::path::{Path, PathBuf};
use std::time::Duration;

use realtime_client::{ClientOptions, Endpoint};
use realtime_context::{Conversation, Function, FunctionContext, OnTakeover, ToolPolicy, Toolbox};
use realtime_fleet::Leg;
use realtime_fleet::drive::ServedCall;
use realtime_protocol::call::{ConnectionEvent, Event};
use serde_json::{Value, json};

use crate::process::note;

/// Serves calls of the emulator that the environment names, and notes what is said.
pub(crate) fn serve(
    folder: PathBuf,
) -> impl Fn(ServedCall) -> futures_util::future::BoxFuture<'static, ()> + Send + Sync {
    let emulator = std::env::var("FLEET_EMULATOR").unwrap();
    move |call| {
        let (folder, emulator) = (folder.clone(), emulator.clone());
        Box::pin(async move {
            let placed = call.placed();
            note(&folder, "begun", &format!("{} {} {:?}", placed.id, placed.epoch, placed.why));
            let Leg::Sideband { call_id } = &placed.placing.leg else { return };
            let endpoint = Endpoint::new(&emulator, "").unwrap().query("call_id", call_id);
            let conversation = Conversation::new();
            let options =
                ClientOptions::default().toolbox(toolbox(&call, &folder)).conversation(conversation);
            let mut client = call.attach(endpoint, options).await.unwrap();
            while let Some(event) = client.next().await {
                match event {
                    Event::Ready { .. } | Event::Connection(ConnectionEvent::Resumed { .. }) => {
                        note(&folder, "attached", placed.id.as_str());
                    }
                    Event::ResponseFinished(report) => {
                        note(&folder, "answered", report.response_id.as_str());
                    }
                    Event::Closed { .. } => {
                        let said = client.conversation().unwrap().transcript().to_string();
                        note(&folder, "transcript", &json!({ "call": placed.id, "said": said }).to_string());
                        call.end("it was hung up").await;
                    }
                    _ => {}
                }
            }
            note(&folder, "let_go", placed.id.as_str());
        })
    }
}

fn toolbox(call: &ServedCall, folder: &Path) -> Toolbox {
    let placed = call.placed();
    let (folder, is_first) = (folder.to_owned(), placed.epoch == 1);
    let metadata = placed.placing.metadata.0.clone();
    let rule = match metadata["on_takeover"].as_str() {
        Some("again") => OnTakeover::Again,
        _ => OnTakeover::Unknown,
    };
    let book = move |_: Value, cx: FunctionContext| {
        let (folder, is_slow) = (folder.clone(), is_first && metadata["slow"] == true);
        async move {
            note(&folder, "effects", &cx.call().key);
            if is_slow {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            Ok::<_, String>(json!({ "seat": 4 }))
        }
    };
    let policy = ToolPolicy::new().on_takeover(rule);
    Toolbox::new()
        .with(Function::raw("book", "Books a seat.", json!({ "type": "object" }), book).policy(policy))
}
