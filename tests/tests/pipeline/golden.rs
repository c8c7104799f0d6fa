//! Turns that the pipeline finds by itself, line by line and to the millisecond.

use std::time::Duration;

use insta::assert_snapshot;
use realtime_context::{Function, ToolError};
use realtime_pipeline::agent::Agent;
use realtime_pipeline::turns::{EnergyVad, Key, Turns};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scene::{DIALECTS, Scene};

fn script() -> Value {
    json!({ "turns": [
        { "on": "request", "reply": [{ "say": "Hello there." }] },
        { "on": "speech", "transcript": "What is the weather?", "reply": [{ "call": "look", "arguments": {} }] },
        { "on": { "tool": "look" }, "reply": [{ "say": "It is sunny, and it will be so for the whole of the day and the next." }] },
        { "on": "speech", "transcript": "Thank you.", "reply": [{ "say": "You are welcome." }] },
    ] })
}

fn agent() -> Agent {
    let look = |_: Value| async {
        sleep(Duration::from_millis(250)).await;
        Ok::<_, ToolError>(json!({ "sky": "sunny" }))
    };
    let function = Function::raw("look", "Looks", json!({ "type": "object" }), look);
    Agent::new("You are a friendly host.").greeting("Say hello.").hang_up(None).function(function)
}

/// Both dialects give the same lines.
fn assert_same(lines: &[Vec<String>]) -> String {
    assert_eq!(lines[0], lines[1], "the dialects differ");
    lines[0].join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_conversation_with_turns_by_voice() {
    let mut lines = Vec::new();
    for beta in DIALECTS {
        let scene = Scene::new(beta, script()).without_server_turns();
        let stage = scene.begin(agent().listen(Turns::by_voice(EnergyVad::new())));
        stage.until("bot stopped", 1).await;
        sleep(Duration::from_millis(300)).await;
        stage.speak(1_200).await;
        stage.until("bot started", 2).await;
        sleep(Duration::from_millis(1_000)).await;
        stage.speak(900).await;
        stage.until("bot stopped", 3).await;
        lines.push(stage.finish().await.lines);
    }
    assert_snapshot!(assert_same(&lines));
}

#[tokio::test(start_paused = true)]
async fn a_conversation_with_push_to_talk() {
    let mut lines = Vec::new();
    for beta in DIALECTS {
        let scene = Scene::new(beta, script()).without_server_turns();
        let stage = scene.begin(agent().listen(Turns::push_to_talk()));
        stage.until("bot stopped", 1).await;
        for turn in 2..=3 {
            stage.handle.queue(Key::Pressed.into()).unwrap();
            stage.speak(800).await;
            stage.handle.queue(Key::Released.into()).unwrap();
            stage.until("bot stopped", turn).await;
        }
        lines.push(stage.finish().await.lines);
    }
    assert_snapshot!(assert_same(&lines));
}
