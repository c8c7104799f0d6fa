//! What interrupts the agent, and what does not, to the sample.

use std::time::Duration;

use realtime_context::{Said, Verdict};
use realtime_pipeline::agent::Agent;
use realtime_pipeline::chain::{Audio, OutputAudio};
use realtime_protocol::session::InterruptionPolicy;
use serde_json::json;
use tokio::time::sleep;

use crate::scene::{DIALECTS, Scene, answers};

const LONG: &str = "This is a long answer, with so many words in it that a user may want to say something.";

fn host() -> Agent {
    Agent::new("You are a friendly host.").hang_up(None)
}

/// Checks that each part was handed out from its beginning, in order, with nothing missing and nothing twice.
fn is_whole(heard: &[OutputAudio]) {
    let mut next = None;
    for audio in heard {
        if let Some((source, end)) = &next
            && *source == audio.source
        {
            assert_eq!(*end, audio.start, "{source:?}");
        } else {
            assert_eq!(audio.start, 0, "{:?}", audio.source);
        }
        assert!(matches!(audio.audio, Audio::Coded(_) | Audio::Pcm(_)));
        next = Some((audio.source.clone(), audio.start + audio.audio.frames()));
    }
}

#[tokio::test(start_paused = true)]
async fn speech_too_short_to_count_pauses_the_agent_who_goes_on_exactly_there() {
    for beta in DIALECTS {
        let policy = InterruptionPolicy::after(Duration::from_millis(1_500)).holding();
        let stage = Scene::new(beta, answers(LONG)).interrupted(policy).begin(host());
        stage.speak(2_000).await;
        stage.until("bot started", 1).await;
        sleep(Duration::from_millis(1_000)).await;
        stage.speak(300).await;
        stage.until("resume", 1).await;
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        assert_eq!(told.count("interrupted"), 0, "{:#?}", told.lines);
        assert_eq!((told.count("hold"), told.count("resume")), (1, 1));
        is_whole(&told.heard);
        assert_eq!(told.words()[1], format!("assistant: {LONG}"), "{:#?}", told.words());
    }
}

#[tokio::test(start_paused = true)]
async fn speech_that_counts_cuts_the_agent_where_it_was_paused() {
    for beta in DIALECTS {
        let policy = InterruptionPolicy::after(Duration::from_millis(700)).holding();
        let stage = Scene::new(beta, answers(LONG)).interrupted(policy).begin(host());
        stage.speak(2_000).await;
        stage.until("bot started", 1).await;
        sleep(Duration::from_millis(1_000)).await;
        stage.speak(1_200).await;
        stage.until("interrupted", 1).await;
        stage.until("bot started", 2).await;
        let told = stage.finish().await;
        is_whole(&told.heard);
        let cut = &told.lines[told.place("interrupted", 1)];
        let cut: u64 = cut.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(cut.abs_diff(told.heard_ms()[0]) <= 1, "{cut} {:?}", told.heard_ms());
        assert!((1_000..1_300).contains(&cut), "the pause is not heard: {cut} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn words_that_count_interrupt_and_fewer_do_not() {
    for (said, interrupted) in [("Hm.", 0), ("Please stop talking now.", 1)] {
        let script = json!({ "turns": [
            { "on": "request", "reply": [{ "say": LONG }] },
            { "on": "speech", "transcript": said, "repeat": true, "reply": [{ "say": "All right." }] },
        ] });
        let policy = InterruptionPolicy::after_words(3, Duration::from_secs(2));
        let agent = host();
        let stage = Scene::new(false, script).interrupted(policy).begin(agent);
        let asked = realtime_pipeline::chain::Intent::Run { params: None, protected: false };
        let handle = stage.handle.clone();
        tokio::spawn(async move { handle.ask(asked).await });
        stage.until("bot started", 1).await;
        sleep(Duration::from_millis(800)).await;
        stage.speak(600).await;
        stage.until("bot stopped", 1).await;
        sleep(Duration::from_secs(3)).await;
        let told = stage.finish().await;
        assert_eq!(told.count("interrupted"), interrupted, "{said}: {:#?}", told.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn a_greeting_is_protected_and_what_the_user_says_meanwhile_is_answered_after_it() {
    for (beta, local) in [(false, false), (true, false), (false, true), (true, true)] {
        let greeting = "Welcome to our hotline. This call is recorded, as the law demands it of us.";
        let script = json!({ "turns": [
            { "on": "request", "reply": [{ "say": greeting }] },
            { "on": "speech", "transcript": "Hello?", "repeat": true, "reply": [{ "say": "Yes, I am here." }] },
        ] });
        let agent = host().greeting("Say that the call is recorded.");
        let scene = Scene::new(beta, script);
        // The server's own turn detection cancels a response; under another policy this side decides.
        let scene = scene.interrupted(InterruptionPolicy::after(Duration::from_millis(100)));
        let (scene, agent) = if local {
            use realtime_pipeline::turns::{EnergyVad, Turns};
            (scene.without_server_turns(), agent.listen(Turns::by_voice(EnergyVad::new())))
        } else {
            (scene, agent)
        };
        let stage = scene.begin(agent);
        stage.until("bot started", 1).await;
        sleep(Duration::from_millis(800)).await;
        stage.speak(800).await;
        stage.until("response finished", 2).await;
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        assert_eq!(told.count("interrupted"), 0, "local {local}: {:#?}", told.lines);
        is_whole(&told.heard);
        let words = told.words();
        assert!(words.contains(&format!("assistant: {greeting}")), "{words:#?}");
        assert_eq!(words.last().unwrap(), "assistant: Yes, I am here.", "local {local}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_guard_stops_within_the_playback_delay_is_not_heard_at_all() {
    let script = json!({ "turns": [
        { "on": "speech", "transcript": "What is the code?", "reply": [{ "say": "The secret code is 4711." }] },
        { "on": "request", "repeat": true, "reply": [{ "say": "I must not say." }] },
    ] });
    for beta in DIALECTS {
        let guard = |said: &Said<'_>| match said.text.contains("secret") {
            true => Verdict::Interrupt { say: Some("I must not say.".into()) },
            false => Verdict::Pass,
        };
        let agent = host().playback_delay(Duration::from_millis(600));
        let stage = Scene::new(beta, script.clone()).begin_with(agent, |agent| agent.guard(guard));
        stage.speak(1_000).await;
        stage.until("bot stopped", 1).await;
        let told = stage.finish().await;
        assert_eq!(told.count("interrupted 0 ms"), 1, "{:#?}", told.lines);
        assert_eq!(told.heard_ms().len(), 1, "the replacement alone: {:?}", told.heard_ms());
        let words = told.words().join("\n");
        assert!(!words.contains("4711") && words.contains("I must not say."), "{words}");
    }
}
