//! A server that is late, wrong, or strange: the call goes on.

use realtime_context::Message;
use realtime_pipeline::agent::Agent;
use realtime_pipeline::chain::{Answer, Intent};
use realtime_protocol::call::Outcome;
use realtime_protocol::session_config::Modality;
use serde_json::json;

use crate::scene::{DIALECTS, Scene};

fn host() -> Agent {
    Agent::new("You are a friendly host.").hang_up(None)
}

#[tokio::test(start_paused = true)]
async fn a_transcript_that_comes_after_the_answer_stands_before_it() {
    for beta in DIALECTS {
        let script = json!({
            "disasters": [{ "at": "conversation.item.input_audio_transcription.*", "every": 1, "do": "hold", "until": "response.done" }],
            "turns": [{ "on": "speech", "transcript": "How are you?", "reply": [{ "say": "I am fine." }] }],
        });
        let stage = Scene::new(beta, script).begin(host());
        stage.speak(1_000).await;
        stage.until("user said", 1).await;
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        assert!(told.place("response finished", 1) < told.place("user said", 1), "{:#?}", told.lines);
        assert_eq!(told.words(), ["user: How are you?", "assistant: I am fine."]);
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_and_broken_events_are_told_and_the_call_goes_on() {
    for beta in DIALECTS {
        let script = json!({
            "disasters": [
                { "at": "response.created", "do": "unknown_event" },
                { "at": "response.output_item.added", "do": "malformed" },
                { "at": "response.done", "do": "usage_null" },
                { "at": "*", "every": 3, "do": "unknown_members" },
                { "at": "response.output_audio.delta", "nth": 2, "do": "bad_base64" },
            ],
            "turns": [{ "on": "speech", "repeat": true, "transcript": "How are you?", "reply": [{ "say": "I am fine." }] }],
        });
        let stage = Scene::new(beta, script).begin(host());
        for turn in 1..=2 {
            stage.speak(1_000).await;
            stage.until("bot stopped", turn).await;
        }
        let told = stage.finish().await;
        assert!(told.count("warning") >= 2, "{:#?}", told.lines);
        assert_eq!(told.words().len(), 4, "{:#?}", told.words());
        assert_eq!(told.count("fault"), 0, "{:#?}", told.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_concerns_nobody_is_a_fault_and_the_call_goes_on() {
    for beta in DIALECTS {
        let script = json!({
            "disasters": [{ "at": "response.created", "do": "error", "code": "odd_thing", "message": "odd" }],
            "turns": [{ "on": "speech", "repeat": true, "transcript": "How are you?", "reply": [{ "say": "I am fine." }] }],
        });
        let stage = Scene::new(beta, script).begin(host());
        stage.speak(1_000).await;
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        assert_eq!(told.count("server error"), 1, "{:#?}", told.lines);
        assert_eq!(told.count("fault realtime"), 1, "{:#?}", told.lines);
        assert_eq!(told.words().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_fails_is_a_fault_and_the_next_one_is_not() {
    for beta in DIALECTS {
        let script = json!({ "turns": [
            { "on": "text", "reply": [{ "fail": "inference_rate_limit_exceeded" }] },
            { "on": "text", "reply": [{ "say": "Better now." }] },
        ] });
        let stage = Scene::new(beta, script).begin(host());
        for _ in 0..2 {
            let messages = vec![Message::user("Well?")];
            let answer = stage.ask(Intent::Append { messages, run: true }).await;
            assert!(matches!(answer, Answer::Settled(Outcome::Responded { .. })), "{answer:?}");
        }
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        assert_eq!(told.count("fault realtime"), 1, "{:#?}", told.lines);
        assert_eq!(told.words().last().unwrap(), "assistant: Better now.");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_only_writes_needs_no_voice_and_takes_images() {
    for beta in DIALECTS {
        let script = json!({ "turns": [{ "on": "any", "repeat": true, "reply": [{ "say": "I see." }] }] });
        let mut scene = Scene::new(beta, script);
        scene.config = scene.config.output_modalities(vec![Modality::Text]);
        let stage = scene.begin(host());
        let url = "data:image/png;base64,iVBORw0KGgo=".into();
        let answer = stage.ask(Intent::Image { url, text: Some("What is it?".into()), run: true }).await;
        assert!(answer.is_ok(), "{answer:?}");
        let told = stage.finish().await;
        assert_eq!(told.count("bot started"), 0, "{:#?}", told.lines);
        assert_eq!(told.words().last().unwrap(), "assistant: I see.");
        assert!(told.words()[0].contains("What is it?"), "{:?}", told.words());
    }
}
