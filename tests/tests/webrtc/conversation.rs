//! A whole call: greeting, a question, a function, an interruption, the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use realtime_client::MemoryLog;
use realtime_context::{ToolError, Toolbox};
use realtime_protocol::call::{CloseReason, Command, Cut, FunctionEnd};
use realtime_protocol::log::{Replay, read_header};
use serde_json::json;

use super::*;

const GREETING: &str = "Hello! Which city?";
const ANSWER: &str =
    "It is sunny in Paris today, with a light wind from the west, and tomorrow it will rain.";

fn script() -> Value {
    json!({ "turns": [
        { "on": "request", "reply": [{ "say": GREETING }] },
        { "on": "speech", "transcript": "What is the weather in Paris?",
          "reply": [{ "say": "Let me see." }, { "call": "get_weather", "arguments": { "city": "Paris" } }] },
        { "on": { "tool": "get_weather" }, "reply": [{ "say": ANSWER }] },
        { "on": "speech", "transcript": "Thank you, stop.", "reply": [{ "say": "Bye." }] },
    ] })
}

/// What was heard is what was said: as long, and as loud as the voice is.
fn check_heard(words: &str, heard: &[i16]) {
    let said = voice::speak(words);
    let length = usize::try_from(said.duration().as_millis()).unwrap();
    assert!(millis(heard).abs_diff(length) < 300, "{} ms of {length} ms: {words}", millis(heard));
    let ratio = loudness(heard) / loudness(&said.samples);
    assert!((0.7..1.3).contains(&ratio), "{ratio} times as loud: {words}");
}

#[tokio::test]
async fn a_caller_is_greeted_asks_is_answered_interrupts_and_leaves() {
    let called = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&called);
    let toolbox = Toolbox::new().tool("get_weather", "", move |_: Value| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, ToolError>("sunny") }
    });
    let log = MemoryLog::new();
    let mut talk = connect(&server(script()).await, options().toolbox(toolbox).log(log.clone())).await;
    talk.until(is_ready).await;

    drop(talk.handle.send(Command::CreateResponse { params: None, protected: false }).unwrap());
    let (_, heard) = talk.until(is_played).await;
    check_heard(GREETING, &heard);

    // The user asks. The server hears it, ends the turn by itself, and calls the function.
    talk.speak("What is the weather in Paris?").await.unwrap();
    talk.until(|event| matches!(event, Event::SpeechStopped { .. })).await;
    let (transcript, _) = talk.until(|event| matches!(event, Event::UserTranscript { .. })).await;
    assert!(matches!(transcript, Event::UserTranscript { transcript, .. } if transcript.contains("Paris")));
    let (ended, mut heard) = talk.until(|event| matches!(event, Event::FunctionEnded { .. })).await;
    assert!(matches!(ended, Event::FunctionEnded { end: FunctionEnd::Result(_), .. }), "{ended:?}");
    assert_eq!(called.load(Ordering::Relaxed), 1);
    // The function ran while its response was still to be heard.
    let (_, rest) = talk.until(is_played).await;
    heard.extend(rest);
    check_heard("Let me see.", &heard);

    // The user interrupts the answer.
    let (first, _) = talk.until(|event| matches!(event, Event::Audio(_))).await;
    let Event::Audio(first) = first else { unreachable!() };
    tokio::time::sleep(Duration::from_millis(800)).await;
    let speaking = talk.speak("Thank you, stop.");
    let (interrupted, heard) = talk.until(|event| matches!(event, Event::Interrupted(_))).await;
    let Event::Interrupted(interruption) = interrupted else { unreachable!() };
    let part = &interruption.parts[0];
    assert_eq!((&part.item_id, part.cut, part.estimated), (&first.item_id, Cut::ByServer, true));
    let heard_ms = part.heard_time().as_millis();
    assert!((800..2000).contains(&heard_ms), "{heard_ms} ms");
    assert!(millis(&heard).abs_diff(usize::try_from(heard_ms).unwrap()) < 400, "{} ms", millis(&heard));
    assert!(!part.heard_text.is_empty() && ANSWER.starts_with(part.heard_text.as_str()), "{part:?}");

    // Nothing more is heard of it, but the answer to the interruption is.
    let (_, heard) = talk.until(is_played).await;
    speaking.await.unwrap();
    check_heard("Bye.", &heard);

    assert_eq!(talk.handle.close().await, Ok(()));
    while !matches!(talk.next().await, Event::Closed { reason: CloseReason::Requested }) {}
    let log = log.text();
    // The server truncated by itself, at about what was heard.
    let truncated = log.lines().find(|line| line.contains("conversation.item.truncated")).unwrap();
    assert!(truncated.contains(first.item_id.as_str()), "{truncated}");
    assert!(!log.contains("\"conversation.item.truncate\""), "nor was it asked to");
    let mut lines = log.lines();
    let mut replay = Replay::new(&read_header(lines.next().unwrap()).unwrap());
    for (index, line) in lines.enumerate() {
        replay.line(index + 2, line).unwrap();
    }
    assert_eq!(replay.finish(), None);
}
