//! An agent whose model is called by WebRTC: the chain does not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use realtime_context::{Conversation, Message};
use realtime_pipeline::chain::{Audio, FrameKind};
use realtime_pipeline::edges::memory::{self, MemoryPeer};
use realtime_pipeline::{Agent, client::WebRtc};
use serde_json::json;
use tokio::time::sleep;

use super::*;

const LONG: &str = "This is a long answer, with so many words in it that a user loses patience with it, speaks, \
    and does not want to hear the end of it at all.";

/// Reads what the agent says, until the condition holds. Returns the milliseconds of it that were loud.
async fn listen(far: &mut MemoryPeer, until: impl Fn(usize) -> bool) -> usize {
    let mut loud = 0;
    let listening = async {
        while !until(loud) {
            let Some(frame) = far.output.next().await else { break };
            if let FrameKind::PlayedAudio(played) = frame
                && let Some(pcm) = played.audio.pcm()
            {
                loud += pcm.as_slice().chunks(240).filter(|chunk| loudness(chunk) > 500.0).count() * 10;
            }
        }
    };
    timeout(Duration::from_secs(30), listening).await.unwrap();
    loud
}

#[tokio::test]
async fn an_agent_greets_listens_answers_and_is_interrupted() {
    let script = json!({ "turns": [
        { "on": "speech", "transcript": "Tell me everything.", "reply": [{ "say": LONG }] },
        { "on": "speech", "transcript": "That is enough.", "reply": [{ "say": "All right then." }] },
        { "reply": [{ "say": "Hello there." }] },
    ] });
    let url = server(script).await;
    let (near, mut far) = memory::pair();
    let conversation = Conversation::new();
    let mut config = SessionConfig::realtime();
    config.input_mut().transcription = Transcription::default().model("gpt-4o-mini-transcribe").into();
    let agent = Agent::new("Be brief.")
        .greeting("Say hello.")
        .session(config)
        .hang_up(None)
        .service(|service| service.webrtc(WebRtc::new()))
        .conversation(conversation.clone());
    let (task, _) = agent.task(endpoint(&url), near).unwrap();
    let handle = task.handle().clone();
    let run = tokio::spawn(task.run());

    // A microphone, which is never silent for the pipeline.
    let speaks = Arc::new(AtomicBool::new(false));
    let (input, speaking) = (far.input.clone(), Arc::clone(&speaks));
    tokio::spawn(async move {
        let mut ticks = interval(Duration::from_millis(20));
        let mut words = voice::speak("Tell me everything, my friend.").samples.into_iter().cycle();
        loop {
            ticks.tick().await;
            let speaks = speaking.load(Ordering::Relaxed);
            let frame: Vec<i16> = (0..480).map(|_| if speaks { words.next().unwrap() } else { 0 }).collect();
            if input.audio(Audio::mono(24_000, frame)).is_err() {
                break;
            }
        }
    });
    let speak = async || {
        speaks.store(true, Ordering::Relaxed);
        sleep(Duration::from_millis(1000)).await;
        speaks.store(false, Ordering::Relaxed);
    };

    listen(&mut far, |loud| loud >= 400).await;
    sleep(Duration::from_millis(800)).await;
    speak().await;
    listen(&mut far, |loud| loud >= 1000).await;
    speak().await;
    let long = usize::try_from(voice::speak(LONG).duration().as_millis()).unwrap();
    let messages = || conversation.messages().iter().map(Message::text).collect::<Vec<_>>();
    let last = async {
        while messages().last().map(String::as_str) != Some("All right then.") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), last).await.unwrap();
    handle.end("the test is over").unwrap();
    let finished = run.await.unwrap().unwrap();
    assert!(finished.into_result().is_ok());
    let loud = listen(&mut far, |_| false).await;
    assert!(loud < long / 2, "{loud} ms of {long} ms were heard after the interruption");

    let said = messages();
    assert_eq!(said.len(), 5, "{said:?}");
    assert_eq!((said[0].as_str(), said[1].as_str()), ("Hello there.", "Tell me everything."));
    assert!(LONG.starts_with(&said[2]) && !said[2].is_empty() && said[2].len() < LONG.len(), "{said:?}");
    assert_eq!(said[3], "That is enough.");
}
