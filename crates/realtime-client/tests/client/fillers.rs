//! What the user hears while a function runs for long: spoken by the emulator over a socket, and told where a
//! server refuses it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use realtime_client::{Client, ClientOptions, Endpoint};
use realtime_context::{Filler, Function, ToolError, ToolPolicy, Toolbox};
use realtime_emulator::brain::Script;
use realtime_emulator::{Emulator, Options};
use realtime_protocol::call::{Event, Notice};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::*;

#[tokio::test]
async fn a_sentence_is_spoken_while_the_function_runs_and_the_answer_comes_after_it() {
    let script = json!({ "turns": [
        { "on": "text", "reply": [{ "call": "search", "arguments": {} }] },
        { "on": "request", "reply": [{ "say": "Still looking." }] },
        { "on": { "tool": "search" }, "reply": [{ "say": "Found it." }] },
    ] });
    let server = Options::default().script(Script::parse(&script.to_string()).unwrap());
    let emulator = Emulator::bind((Ipv4Addr::LOCALHOST, 0), server).await.unwrap();
    let endpoint = Endpoint::new(emulator.url().split('?').next().unwrap(), "gpt-realtime").unwrap();
    tokio::spawn(emulator.serve(std::future::pending()));

    // The function runs until the sentence was spoken.
    let spoken = Arc::new(Notify::new());
    let options = ClientOptions::default().toolbox(search(Arc::clone(&spoken)));
    let (handle, mut events) = Client::connect(endpoint, options).await.unwrap().split();
    handle.send_text("Search!", true).await.unwrap();
    let (mut heard, mut words, mut audio) = (Vec::new(), String::new(), 0);
    while heard.len() < 3 {
        match next(&mut events).await {
            Event::Text { delta, .. } => words.push_str(&delta),
            Event::Audio(chunk) => {
                assert!(!chunk.out_of_band, "it is played as any other");
                audio += chunk.samples();
            }
            Event::ResponseFinished(_) if !words.is_empty() => {
                assert!(std::mem::take(&mut audio) > 0);
                heard.push(std::mem::take(&mut words));
                spoken.notify_one();
            }
            Event::FunctionEnded { .. } => heard.push("the function returned".into()),
            _ => {}
        }
    }
    assert_eq!(heard, ["Still looking.", "the function returned", "Found it."]);
}

#[tokio::test(start_paused = true)]
async fn a_sentence_that_the_server_refuses_is_told() {
    let options = ClientOptions::default().toolbox(search(Arc::default()));
    let (_handle, mut events, mut server) = ready(options).await;
    server.begin_response("resp_1", "item_1").await;
    let call = json!({"id": "item_2", "type": "function_call", "status": "completed", "call_id": "c", "name": "search",
        "arguments": "{}"});
    let done = json!({"id": "resp_1", "status": "completed", "output": [call]});
    server.send(json!({"type": "response.done", "response": done})).await;
    let asked = server.expect("response.create").await;
    assert_eq!(asked["response"]["tool_choice"], "none", "it must not call again");
    let error = json!({"type": "invalid_request_error", "code": "a_function_is_open", "message": "answer it first",
        "event_id": asked["event_id"]});
    server.send(json!({"type": "error", "error": error})).await;
    loop {
        if let Event::Notice(Notice::FunctionFillerRefused { call, reason }) = next(&mut events).await {
            assert_eq!((call.name.as_str(), reason.as_str()), ("search", "answer it first"));
            return;
        }
    }
}

/// A function that runs until it is told to return.
fn search(returns: Arc<Notify>) -> Toolbox {
    let after = Duration::from_millis(100);
    let filler = Filler::Sentence { after, instructions: "Say that you are still looking.".into() };
    let function = Function::raw("search", "", json!({ "type": "object" }), move |_: Value| {
        let returns = Arc::clone(&returns);
        async move {
            returns.notified().await;
            Ok::<_, ToolError>(1)
        }
    });
    Toolbox::new().with(function.policy(ToolPolicy::new().filler(filler)))
}
