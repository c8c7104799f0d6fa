//! A call loses its connection in every phase, and goes on with the same conversation.

use std::time::Duration;

use realtime_pipeline::agent::Agent;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scene::{DIALECTS, Scene};

/// A script of two questions, whose connection breaks once at this event.
fn breaking(at: &str) -> Value {
    json!({
        "disasters": [{ "at": at, "do": "cut", "code": 1011 }],
        "turns": [
            { "on": "request", "repeat": true, "reply": [{ "say": "Here I am again." }] },
            { "on": "speech", "transcript": "How are you?", "repeat": true, "reply": [{ "say": "I am fine." }] },
        ],
    })
}

#[tokio::test(start_paused = true)]
async fn whenever_the_connection_is_lost_the_conversation_goes_on() {
    for beta in DIALECTS {
        for at in [
            "session.updated",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "response.created",
            "response.output_audio.delta",
            "response.done",
        ] {
            let stage = Scene::new(beta, breaking(at)).begin(Agent::new("You are a host.").hang_up(None));
            for _ in 0..4 {
                stage.speak(1_000).await;
                sleep(Duration::from_secs(5)).await;
            }
            let told = stage.finish().await;
            let answered = told.words().iter().filter(|line| line.contains("I am fine.")).count();
            assert!(answered >= 1, "{at}: {:#?}\n{:#?}", told.words(), told.lines);
            assert!(told.count("connection Lost") >= 1, "{at}: {:#?}", told.lines);
            assert_eq!(told.count("connection Lost"), told.count("connection Resumed"), "{at}");
        }
    }
}
