//! Traces and metrics of a call, as a collector in this process gets them of the program.

#[cfg(test)]
mod collector;
#[cfg(test)]
mod protobuf;

use std::process::{Output, Stdio};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::{expect, open, say};
use crate::telemetry::collector::Collector;

/// Runs the program with a page that asks for the weather, and ends it. Gives what it wrote.
async fn serve_a_call(options: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_realtime"));
    program.args(["serve", "--listen", "127.0.0.1:0", "--threads", "1"]).args(options);
    program.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").envs(variables.iter().copied());
    let mut program =
        program.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    let at = first.split_once("http://").unwrap().1.split(' ').next().unwrap().to_owned();
    hold(&at).await;

    let id = program.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    while lines.next_line().await.unwrap().is_some() {}
    program.wait_with_output().await.unwrap()
}

/// Holds a call as a page.
async fn hold(at: &str) {
    let mut page = open(&format!("ws://{at}/ws"), &[]).await.unwrap();
    say(&mut page, &json!({ "type": "hello", "version": 1, "rate": 24_000 })).await;
    // What was not reported counts as not heard, so the greeting is reported as it comes.
    let (mut item, mut heard) = (1, 0);
    loop {
        match futures_util::StreamExt::next(&mut page).await.unwrap().unwrap() {
            Message::Binary(bytes) => {
                let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
                (item, heard) = (number(0), u64::from(number(4)) + (bytes.len() as u64 - 8) / 2);
                say(&mut page, &json!({ "type": "played", "item": item, "samples": heard })).await;
            }
            Message::Text(text) if text.contains("\"done\"") => break,
            _ => {}
        }
    }
    say(&mut page, &json!({ "type": "played", "item": item, "samples": heard })).await;
    say(&mut page, &json!({ "type": "text", "text": "get_weather {\"city\":\"Oslo\"}" })).await;
    expect(&mut page, "tool", |_| {}).await;
    expect(&mut page, "tool", |_| {}).await;
    expect(&mut page, "transcript", |_| {}).await;
    say(&mut page, &json!({ "type": "bye" })).await;
    // The server closes the socket once the call is over.
    while let Some(Ok(_)) = futures_util::StreamExt::next(&mut page).await {}
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_collector_gets_the_tree_of_a_call_and_the_figures_and_no_words() {
    let collector = Collector::start().await;
    let output = serve_a_call(&["--otlp", &collector.url()], &[]).await;
    assert!(output.status.success(), "{}", stderr(&output));

    let spans = collector.spans();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let parent =
        |span: &collector::Span| spans.iter().find(|one| one.id == span.parent).map(|one| one.name.as_str());
    let [session] = named("realtime_session")[..] else { panic!("one session: {spans:#?}") };
    assert_eq!(
        (session.parent.as_slice(), session.attribute("gen_ai.operation.name")),
        (&[][..], "realtime")
    );
    assert_eq!(
        (session.service.as_str(), session.attribute("gen_ai.request.model")),
        ("realtime", "gpt-realtime")
    );
    let turns = named("realtime_turn");
    // What is written is no turn of its own there.
    assert!(!turns.is_empty() && turns.iter().all(|turn| turn.parent == session.id), "{spans:#?}");
    let responses = named("realtime_response");
    assert!(responses.len() >= 3, "a greeting, a call, an answer: {spans:#?}");
    assert!(responses.iter().all(|response| parent(response) == Some("realtime_turn")), "{spans:#?}");
    let [function] = named("execute_tool")[..] else { panic!("one function: {spans:#?}") };
    assert_eq!(
        (parent(function), function.attribute("gen_ai.tool.name")),
        (Some("realtime_response"), "get_weather")
    );
    assert!(spans.iter().all(|span| span.trace == session.trace), "one call is one trace: {spans:#?}");

    let metrics = collector.metrics();
    for name in [
        "realtime.calls.live",
        "realtime.calls.begun",
        "realtime.calls.ended",
        "realtime.call.duration",
        "realtime.turns",
        "realtime.first_byte",
        "realtime.tool_calls",
        "realtime.tokens",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics:?}");
    }
    let all = collector.bytes();
    for word in ["Oslo", "weather assistant", "Authorization"] {
        assert!(!all.contains(word), "{word} was sent");
    }
    assert_eq!(stderr(&output).matches("cannot be sent").count(), 0, "{}", stderr(&output));
}

#[tokio::test]
async fn words_are_sent_if_that_is_wanted_and_never_logged() {
    let collector = Collector::start().await;
    let (url, header) = (collector.url(), ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=canary"));
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), header, ("OTEL_SERVICE_NAME", "hotel")];
    let output = serve_a_call(&["--otlp-content"], &variables).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(collector.bytes().contains("Oslo"), "{:#?}", collector.spans());
    assert!(collector.spans().iter().all(|span| span.service == "hotel"));
    assert!(collector.tenants().iter().all(|tenant| tenant == "canary"), "{:?}", collector.tenants());
    assert!(!stderr(&output).contains("Oslo"), "{}", stderr(&output));
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_told_once_and_ends_no_call() {
    // Port 9 of this machine: nobody listens there. Spans and metrics are sent often, so that much fails.
    let often = [("OTEL_BSP_SCHEDULE_DELAY", "50"), ("OTEL_METRIC_EXPORT_INTERVAL", "50")];
    let output = serve_a_call(&["--otlp", "http://127.0.0.1:9"], &often).await;
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    assert_eq!(told.matches("traces or metrics cannot be sent").count(), 1, "{told}");
    assert!(told.contains("127.0.0.1:9"), "{told}");
}
