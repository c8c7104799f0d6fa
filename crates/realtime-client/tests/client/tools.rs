//! The function-call runner: one output per call, whatever its handler does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use realtime_client::{ClientOptions, Events, Handle};
use realtime_context::{DeskOptions, Function, OnInterrupt, Reply, ToolPolicy, Toolbox};
use realtime_protocol::call::{Event, FunctionOutput, Notice};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn every_call_gets_one_output_whatever_its_handler_does() {
    let toolbox = Toolbox::new()
        .with(tool("echo", |args| async move { Ok(args) }))
        .with(tool("fail", |_| async { Err("no such city") }))
        .with(tool("panic", |_| async { panic!("on purpose") }))
        .with(tool("panic_early", |_| -> std::future::Ready<Result<Value, &str>> { panic!("on purpose") }))
        .with(tool("flood", |_| async { Ok(Value::from("x".repeat(17 << 20))) }))
        .with(tool("hang", |_| async { std::future::pending().await }));
    let mut call = Call::begin(toolbox).await;
    let began = Instant::now();
    for name in ["echo", "fail", "panic", "panic_early", "flood", "hang", "nothing"] {
        call.ask(&[name]).await;
    }
    for (name, output) in [
        ("echo", json!({"x": 1})),
        ("fail", json!({"error": "no such city"})),
        ("panic", json!({"error": "the function failed"})),
        ("panic_early", json!({"error": "the function failed"})),
        ("flood", json!({"error": "expected at most 16773120 bytes in one event, got 17825798"})),
        ("nothing", json!({"error": "there is no such function"})),
        ("hang", json!({"error": "the function took too long"})),
    ] {
        assert_eq!(call.answer().await, (format!("call_{name}"), output));
        call.server.expect("response.create").await;
        call.respond().await;
    }
    assert!((30_000..30_020).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    call.server.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_notice_of_the_toolbox_is_told_at_once_in_a_quiet_call() {
    let toolbox = Toolbox::new();
    let mut call = Call::begin(toolbox.clone()).await;
    let began = Instant::now();
    toolbox.tell(Notice::BudgetSpent {});
    assert!(matches!(next(&mut call.events).await, Event::Notice(Notice::BudgetSpent {})));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn calls_out_of_band_do_not_run() {
    let mut call = Call::begin(Toolbox::new().with(tool("echo", |args| async move { Ok(args) }))).await;
    let output = json!({"type": "function_call", "call_id": "c1", "name": "echo", "arguments": "{}"});
    let done = json!({"id": "resp_1", "conversation_id": null, "status": "completed", "output": [output]});
    call.server.send(json!({"type": "response.done", "response": done})).await;
    loop {
        let event = next(&mut call.events).await;
        if matches!(event, Event::FunctionCalls { out_of_band: true, .. }) {
            break;
        }
    }
    call.server.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn the_model_goes_on_once_after_the_last_call_and_not_after_silent_ones() {
    let silent = ToolPolicy::new().reply(Reply::Silent);
    let toolbox = Toolbox::new()
        .with(tool("echo", |args| async move { Ok(args) }))
        .with(tool("note", |args| async move { Ok(args) }).policy(silent.clone()))
        .with(tool("jot", |args| async move { Ok(args) }).policy(silent));
    let mut call = Call::begin(toolbox).await;
    call.ask(&["note"]).await;
    assert_eq!(call.answer().await.0, "call_note");
    call.server.expect_silence().await;
    call.ask(&["echo", "jot"]).await;
    assert_eq!((call.answer().await.0, call.answer().await.0), ("call_echo".into(), "call_jot".into()));
    call.server.expect("response.create").await;
    call.server.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn an_interruption_cancels_the_calls_whose_tools_are_not_to_finish() {
    let keep = ToolPolicy::new().on_interrupt(OnInterrupt::Finish);
    let slow = |args| async move {
        sleep(Duration::from_secs(2)).await;
        Ok(args)
    };
    let toolbox = Toolbox::new().with(tool("look", slow)).with(tool("order", slow).policy(keep));
    let mut call = Call::begin(toolbox).await;
    call.ask(&["look", "order"]).await;
    call.interrupt().await;
    assert_eq!(call.answer().await, ("call_look".into(), json!({"status": "cancelled"})));
    assert_eq!(call.answer().await, ("call_order".into(), json!({"x": 1})));
    call.server.expect("response.create").await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ended_otherwise_is_dropped_without_an_answer() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let toolbox = Toolbox::new().with(tool("hang", {
        let dropped = Arc::clone(&dropped);
        move |_| {
            let guard = Guard(Arc::clone(&dropped));
            async move {
                let _guard = guard;
                std::future::pending().await
            }
        }
    }));
    let mut call = Call::begin(toolbox).await;
    call.ask(&["hang"]).await;
    let by_hand = tokio::spawn({
        let handle = call.handle.clone();
        async move { handle.answer_function("call_hang", FunctionOutput::Result(json!(7))).await }
    });
    assert_eq!(call.answer().await, ("call_hang".into(), json!(7)));
    by_hand.await.unwrap().unwrap();
    call.server.expect("response.create").await;
    call.server.expect_silence().await;
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_run_at_once_than_allowed_and_waiting_uses_up_no_time() {
    let running = Arc::new(AtomicUsize::new(0));
    let toolbox = Toolbox::new().with(tool("slow", {
        let running = Arc::clone(&running);
        move |args| {
            let running = Arc::clone(&running);
            async move {
                if running.fetch_add(1, Ordering::Relaxed) >= 2 {
                    return Err("too many");
                }
                sleep(Duration::from_secs(20)).await;
                running.fetch_sub(1, Ordering::Relaxed);
                Ok(args)
            }
        }
    }));
    let options = ClientOptions::default().desk(DeskOptions::default().concurrency(2));
    let mut call = Call::with(options.toolbox(toolbox)).await;
    call.ask(&["slow", "slow", "slow", "slow", "slow"]).await;
    for _ in 0..5 {
        assert_eq!(call.answer().await.1, json!({"x": 1}));
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_stops_all_calls() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let toolbox = Toolbox::new().with(tool("hang", {
        let dropped = Arc::clone(&dropped);
        move |_| {
            let guard = Guard(Arc::clone(&dropped));
            async move {
                let _guard = guard;
                std::future::pending().await
            }
        }
    }));
    let mut call = Call::begin(toolbox).await;
    call.ask(&["hang"]).await;
    tokio::task::yield_now().await;
    let Call { mut events, server, handle, .. } = call;
    drop(server);
    rest(&mut events).await;
    assert!(handle.is_closed());
    tokio::task::yield_now().await;
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn tool<F, Fut>(name: &str, handler: F) -> Function
where
    F: Fn(Value) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Value, &'static str>> + Send + 'static,
{
    Function::raw(name, "", json!({"type": "object"}), handler)
}

/// A session with tools, and its server.
struct Call {
    handle: Handle,
    events: Events,
    server: Server<DuplexStream>,
    responses: u32,
}

impl Call {
    async fn begin(toolbox: Toolbox) -> Self {
        Self::with(ClientOptions::default().toolbox(toolbox)).await
    }

    async fn with(options: ClientOptions) -> Self {
        let (handle, events, server) = ready(options).await;
        Self { handle, events, server, responses: 0 }
    }

    /// The user speaks over the functions.
    async fn interrupt(&mut self) {
        let handle = self.handle.clone();
        let interrupted = async move { handle.interrupt().await.unwrap() };
        let heard = async { while !matches!(next(&mut self.events).await, Event::Interrupted(_)) {} };
        tokio::join!(interrupted, heard);
    }

    /// The model calls functions in one response, and the application hears of it.
    async fn ask(&mut self, names: &[&str]) {
        let output: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let again = names[..index].iter().filter(|earlier| *earlier == name).count();
                let call_id = if again == 0 { format!("call_{name}") } else { format!("call_{name}_{again}") };
                json!({
                    "id": format!("item_{}_{index}", self.responses), "type": "function_call", "status": "completed",
                    "call_id": call_id, "name": name, "arguments": "{\"x\":1}",
                })
            })
            .collect();
        self.response(&output).await;
        loop {
            let event = next(&mut self.events).await;
            if matches!(event, Event::FunctionCalls { .. }) {
                return;
            }
        }
    }

    /// The model says nothing.
    async fn respond(&mut self) {
        self.response(&[]).await;
    }

    async fn response(&mut self, output: &[Value]) {
        self.responses += 1;
        let id = format!("resp_{}", self.responses);
        let created = json!({"id": id, "status": "in_progress", "output": []});
        self.server.send(json!({"type": "response.created", "response": created})).await;
        let done = json!({"id": id, "status": "completed", "output": output});
        self.server.send(json!({"type": "response.done", "response": done})).await;
    }

    /// The next output that the server gets, acknowledged: its call and what it says.
    async fn answer(&mut self) -> (String, Value) {
        let event = self.server.expect("conversation.item.create").await;
        let item = event["item"].clone();
        assert_eq!(item["type"], "function_call_output", "{item}");
        self.server.send(json!({"type": "conversation.item.added", "item": item})).await;
        let output = serde_json::from_str(item["output"].as_str().unwrap()).unwrap();
        (item["call_id"].as_str().unwrap().to_owned(), output)
    }
}
