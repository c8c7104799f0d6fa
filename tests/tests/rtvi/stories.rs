//! One test for each story of a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use realtime_pipeline::Agent;
use realtime_pipeline::chain::{Ended, FrameKind, Message, Tap};
use realtime_pipeline::media::RtviOptions;
use realtime_pipeline::media::rtvi::{ClientMessage, FunctionReport};
use realtime_pipeline::sockets::PeerTools;
use realtime_protocol::call::Event;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scene::{WALL, begin};

const LONG: &str = "This is a long answer, with so many words in it that a user loses patience with it, speaks, \
    and does not want to hear the end of it at all.";

fn host() -> Agent {
    Agent::new("You are a friendly host.").greeting("Say hello.")
}

fn options() -> RtviOptions {
    RtviOptions::new(WALL)
}

fn script(answer: &str) -> Value {
    json!({ "turns": [
        { "on": "request", "reply": [{ "say": "Hello there. How are you?" }] },
        { "on": "speech", "transcript": "Tell me more.", "repeat": true, "reply": [{ "say": answer }] },
        { "on": "text", "repeat": true, "reply": [{ "say": "You wrote: {input}" }] },
    ] })
}

/// The place of the first message of each type among all, which must be in this order.
fn in_order(types: &[String], expected: &[&str]) {
    let mut rest = types.iter();
    for kind in expected {
        assert!(rest.any(|told| told == kind), "expected {kind} in its place in\n{}", types.join("\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_greeted_speaks_and_is_answered() {
    let scene = begin(&script("Gladly."), options().user_id("u1"), host()).await;
    let client = &scene.client;
    let ready = client.until("bot-ready", 1).await;
    assert_eq!((&ready["id"], &ready["data"]["version"]), (&json!("ready"), &json!("2.2.0")));
    client.until("bot-stopped-speaking", 1).await;
    let greeting = ["Hello there.", "How are you?"];
    let completed = |data: &Value| data["spoken_status"] == "completed";
    let heard: Vec<Value> = client.all("bot-output").into_iter().filter(completed).collect();
    assert_eq!(heard.iter().map(|data| data["text"].as_str().unwrap()).collect::<Vec<_>>(), greeting);
    let words: Vec<Value> = client.all("bot-tts-text");
    let words: Vec<&str> = words.iter().map(|data| data["text"].as_str().unwrap()).collect();
    assert_eq!(words.join(" "), greeting.join(" "));
    client.speak(1_000).await;
    client.until("bot-stopped-speaking", 2).await;
    in_order(
        &client.types(),
        &[
            "bot-ready",
            "bot-llm-started",
            "bot-llm-text",
            "bot-started-speaking",
            "bot-tts-started",
            "bot-tts-stopped",
            "bot-stopped-speaking",
            "user-started-speaking",
            "user-stopped-speaking",
            "bot-llm-started",
            "bot-started-speaking",
            "bot-stopped-speaking",
        ],
    );
    let said = client.all("user-transcription").pop().unwrap();
    assert_eq!(
        (&said["text"], &said["final"], &said["user_id"]),
        (&json!("Tell me more."), &json!(true), &json!("u1"))
    );
    assert!(said["timestamp"].as_str().unwrap().starts_with("2026-11-27T08:1"), "{said}");
    assert!(client.all("metrics").iter().any(|data| data["ttfb"][0]["value"].as_f64().is_some()));
    let ahead = client.most_ahead_ms();
    assert!((100..=200).contains(&ahead), "{ahead} ms of audio came before their time");
    client.send("disconnect-bot", "end", json!({})).await;
    client.closed().await;
    let types = client.types();
    assert!(!types.iter().any(|kind| kind == "error" || kind == "error-response"), "{types:?}");
    let (finished, words) = scene.finish().await;
    assert_eq!(words, ["assistant: Hello there. How are you?", "user: Tell me more.", "assistant: Gladly."]);
    assert!(finished.into_result().is_ok());
}

#[tokio::test(start_paused = true)]
async fn words_that_are_sent_interrupt_and_are_answered_aloud_or_in_writing() {
    let scene = begin(&script(LONG), options(), host().greeting("Say hello.")).await;
    let client = &scene.client;
    client.until("bot-stopped-speaking", 1).await;
    client.speak(1_000).await;
    client.until("bot-started-speaking", 2).await;
    sleep(Duration::from_millis(1_500)).await;
    client.send("send-text", "t1", json!({ "content": "Stop.", "options": {} })).await;
    client.until("bot-stopped-speaking", 3).await;
    in_order(
        &client.types(),
        &["bot-tts-started", "user-input", "bot-interrupted", "bot-llm-started", "bot-started-speaking"],
    );
    let chat = client.all("user-input").into_iter().find(|data| data["input_type"] == "chat").unwrap();
    assert_eq!((&chat["text"], &chat["msg_id"]), (&json!("Stop."), &json!("t1")));
    let before = client.heard_ms();
    let quiet = json!({ "content": "Hush.", "options": { "audio_response": false } });
    client.send("send-text", "t2", quiet).await;
    client.until("bot-llm-stopped", 4).await;
    let written = client.all("bot-output").pop().unwrap();
    assert_eq!(written["will_be_spoken"], false);
    assert_eq!((client.heard_ms(), &written["text"]), (before, &json!("You wrote: Hush.")));
    let later = json!({ "content": "For later.", "options": { "run_immediately": false } });
    client.send("send-text", "t3", later).await;
    sleep(Duration::from_secs(2)).await;
    client.hang_up().await;
    let (finished, words) = scene.finish().await;
    assert!(matches!(finished.ended, Ended::Cancelled { .. }), "{:?}", finished.ended);
    assert!(words[2].len() < LONG.len(), "it was cut: {words:?}");
    assert_eq!(
        words[3..],
        [
            "user: Stop.",
            "assistant: You wrote: Stop.",
            "user: Hush.",
            "assistant: You wrote: Hush.",
            "user: For later."
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_user_who_speaks_over_the_agent_hears_no_more_than_was_sent_and_that_counts_as_heard() {
    let cut = Arc::new(AtomicU64::new(0));
    let to = Arc::clone(&cut);
    let watch = Tap::new(move |frame, _| {
        if let FrameKind::Event(event) = frame.kind()
            && let Event::Interrupted(interruption) = &**event
        {
            to.store(interruption.heard().as_millis(), Ordering::Relaxed);
        }
    });
    let scene = begin(&script(LONG), options(), host().listen(watch)).await;
    let client = &scene.client;
    client.until("bot-stopped-speaking", 1).await;
    let greeting = client.heard_ms();
    client.speak(1_000).await;
    client.until("bot-started-speaking", 2).await;
    sleep(Duration::from_millis(1_500)).await;
    client.speak(800).await;
    client.until("bot-interrupted", 1).await;
    let sent = client.heard_ms() - greeting;
    client.until("user-stopped-speaking", 2).await;
    assert_eq!(client.heard_ms() - greeting, sent, "nothing was sent after it");
    assert_eq!(cut.load(Ordering::Relaxed), sent, "the client plays all of it");
    client.until("bot-stopped-speaking", 3).await;
    client.hang_up().await;
    let (_, words) = scene.finish().await;
    let said = words[2].strip_prefix("assistant: ").unwrap();
    assert!(LONG.starts_with(said) && said.len() < LONG.len() && !said.is_empty(), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_function_runs_in_the_client() {
    let script = json!({ "turns": [
        { "on": "request", "reply": [{ "say": "Hello." }] },
        { "on": "text", "reply": [{ "call": "where_am_i", "arguments": { "exact": true } }] },
        { "on": { "tool": "where_am_i" }, "reply": [{ "say": "You are in Paris." }] },
    ] });
    let page = PeerTools::new();
    let parameters = json!({ "type": "object", "properties": { "exact": { "type": "boolean" } } });
    let agent =
        host().function(page.function("where_am_i", "Where the user is", parameters)).listen(page.stage());
    let options = options().function("where_am_i", FunctionReport::Arguments);
    let scene = begin(&script, options, agent).await;
    let client = &scene.client;
    client.until("bot-stopped-speaking", 1).await;
    client.send("send-text", "t", json!({ "content": "Where am I?" })).await;
    let runs = client.until("llm-function-call-in-progress", 1).await["data"].clone();
    assert_eq!(
        (&runs["function_name"], &runs["arguments"]),
        (&json!("where_am_i"), &json!({ "exact": true }))
    );
    let result = json!({ "function_name": "where_am_i", "tool_call_id": runs["tool_call_id"],
        "arguments": runs["arguments"], "result": { "city": "Paris" } });
    client.send("llm-function-call-result", "r", result).await;
    let stopped = client.until("llm-function-call-stopped", 1).await["data"].clone();
    assert_eq!((&stopped["cancelled"], stopped.get("result")), (&json!(false), None));
    client.until("bot-stopped-speaking", 2).await;
    in_order(
        &client.types(),
        &[
            "llm-function-call-started",
            "llm-function-call-in-progress",
            "llm-function-call-stopped",
            "bot-tts-started",
        ],
    );
    client.hang_up().await;
    let (_, words) = scene.finish().await;
    assert_eq!(words.last().unwrap(), "assistant: You are in Paris.");
}

#[tokio::test(start_paused = true)]
async fn both_applications_send_messages_of_their_own() {
    let answers = Tap::new(|frame, cx| {
        if let FrameKind::InputMessage(message) = frame.kind()
            && let Some(asked) = ClientMessage::read(message)
        {
            match &*asked.kind {
                "echo" => cx.push(asked.answer(json!({ "echo": asked.data }))),
                "secret" => cx.push(asked.refuse("not for you")),
                _ => {
                    let body = Arc::new(json!({ "heard": asked.kind }));
                    cx.push(FrameKind::Message(Message { body, urgent: true }));
                }
            }
        }
    });
    let scene = begin(&script("Gladly."), options(), host().listen(answers)).await;
    let client = &scene.client;
    client.until("bot-ready", 1).await;
    client.send("client-message", "a", json!({ "t": "echo", "d": 7 })).await;
    let answer = client.until("server-response", 1).await;
    assert_eq!((&answer["id"], &answer["data"]), (&json!("a"), &json!({ "t": "echo", "d": { "echo": 7 } })));
    client.send("client-message", "b", json!({ "t": "secret" })).await;
    let refused = client.until("error-response", 1).await;
    assert_eq!((&refused["id"], &refused["data"]["error"]), (&json!("b"), &json!("not for you")));
    client.send("client-message", "c", json!({ "t": "nobody knows" })).await;
    assert_eq!(client.until("server-message", 1).await["data"], json!({ "heard": "nobody knows" }));
    let late = client.until("error-response", 2).await;
    assert_eq!(late["id"], "c");
    client.send("teleport", "d", json!({})).await;
    assert_eq!(client.until("error-response", 3).await["data"]["error"], "Unsupported type teleport");
    client.hang_up().await;
    scene.finish().await;
}
