//! The whole chain against a scripted server, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_client::{Client, ClientOptions, Endpoint};
use realtime_context::{Conversation, Toolbox};
use realtime_pipeline::{
    Direction, Finished, FrameKind, Observed, Observer, Pipeline, PipelineError, PipelineTask, Playout,
    RealtimeService, WavInput,
};
use realtime_protocol::audio::Audio;
use realtime_protocol::call::PlaybackReport;
use realtime_protocol::session::{InterruptionPolicy, SessionOptions};
use serde_json::{Value, json};
use tokio::io::{DuplexStream, duplex};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// The server.
struct Server(WebSocketStream<DuplexStream>);

impl Server {
    async fn send(&mut self, event: Value) {
        self.0.send(Message::text(event.to_string())).await.unwrap();
    }

    /// The next event that is no input audio; `None` once the connection is closed.
    async fn receive(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    let event: Value = serde_json::from_str(&text).unwrap();
                    if event["type"] != "input_audio_buffer.append" {
                        return Some(event);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    async fn expect(&mut self, kind: &str) -> Value {
        let event = timeout(Duration::from_secs(10), self.receive()).await.unwrap().unwrap();
        assert_eq!(event["type"], kind, "{event}");
        event
    }

    /// Samples of input audio that come within this many milliseconds.
    async fn hear(&mut self, millis: u64) -> usize {
        let mut samples = 0;
        let until = tokio::time::Instant::now() + Duration::from_millis(millis);
        while let Ok(Some(Ok(message))) = tokio::time::timeout_at(until, self.0.next()).await {
            let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            assert_eq!(event["type"], "input_audio_buffer.append");
            samples += Audio::from_base64(event["audio"].as_str().unwrap()).bytes().unwrap().len() / 2;
        }
        samples
    }

    async fn open(&mut self) {
        self.send(json!({"type": "session.created", "session": {"id": "sess_1"}})).await;
        let update = self.expect("session.update").await;
        self.send(json!({"type": "session.updated", "session": update["session"]})).await;
    }

    async fn begin_response(&mut self, id: &str, item: &str) {
        self.send(json!({"type": "response.created", "response": {"id": id, "status": "in_progress"}})).await;
        let item = json!({"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []});
        let event = "response.output_item.added";
        self.send(json!({"type": event, "response_id": id, "output_index": 0, "item": item})).await;
        self.send(json!({"type": "conversation.item.added", "previous_item_id": null, "item": item})).await;
    }

    async fn speak(&mut self, id: &str, item: &str, words: &str, millis: usize) {
        let place = json!({"response_id": id, "item_id": item, "output_index": 0, "content_index": 0});
        let with = |kind: &str, delta: String| {
            let mut event = place.clone();
            event["type"] = kind.into();
            event["delta"] = delta.into();
            event
        };
        self.send(with("response.output_audio_transcript.delta", words.to_owned())).await;
        let mut base64 = String::new();
        Audio::from(vec![1_u8; millis * 48]).encode_into(&mut base64);
        self.send(with("response.output_audio.delta", base64)).await;
    }

    async fn end_response(&mut self, id: &str, status: &str, output: Value) {
        self.send(
            json!({"type": "response.done", "response": {"id": id, "status": status, "output": output}}),
        )
        .await;
    }
}

/// What an observer saw, as text with the time in milliseconds.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|seen| seen.ends_with(line))
    }

    fn count(&self, what: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|seen| seen.contains(what)).count()
    }
}

impl Observer for Trace {
    fn on_frame(&mut self, seen: &Observed) {
        if !matches!(&*seen.source, "realtime" | "playout") {
            return;
        }
        let told = match &seen.frame.kind {
            FrameKind::InputAudio(_) => return,
            FrameKind::Playback(PlaybackReport::Stopped { at: Some(at), .. }) => {
                format!("stopped {} {}", at.item_id, at.played / 24)
            }
            FrameKind::Interruption(interruption) => {
                format!(
                    "interruption {} {:?}",
                    interruption.heard().as_millis(),
                    interruption.parts[0].heard_text
                )
            }
            FrameKind::PlayedAudio(played) => format!("played {}", played.item_id),
            kind => kind.name().to_owned(),
        };
        let arrow = if seen.direction == Direction::Downstream { "v" } else { "^" };
        self.0.lock().unwrap().push(format!("{:5} {arrow} {told}", seen.at.as_millis()));
    }
}

struct Agent {
    task: PipelineTask,
    server: Server,
    trace: Trace,
    conversation: Conversation,
}

async fn agent(microphone: WavInput, tools: Toolbox) -> Agent {
    let (near, far) = duplex(1 << 20);
    let endpoint = Endpoint::new("ws://memory", "test-model").unwrap().key("sk-test");
    let accept = async { Server(accept_async(far).await.unwrap()) };
    let options = ClientOptions::default().toolbox(tools);
    let (client, mut server) = tokio::join!(Client::over(near, &endpoint, options), accept);
    let (handle, events) = client.unwrap().split();
    server.open().await;
    let conversation = Conversation::new();
    let service = RealtimeService::new(handle, events).conversation(conversation.clone());
    let mut task = Pipeline::new().then(microphone).then(service).then(Playout::new()).into_task();
    let trace = Trace::default();
    task.observe(trace.clone());
    Agent { task, server, trace, conversation }
}

fn silence() -> WavInput {
    WavInput::from_samples(16_000, vec![0; 320])
}

#[tokio::test(start_paused = true)]
async fn input_reaches_the_session_at_its_rate_and_in_real_time() {
    let Agent { task, mut server, .. } = agent(silence(), Toolbox::new()).await;
    let handle = task.handle();
    let script = async {
        let samples = server.hear(1_010).await;
        assert!((23_700..=24_000).contains(&samples), "{samples} samples in a second");
        handle.end();
        assert_eq!(server.receive().await, None);
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    assert_eq!(finished.unwrap(), Finished::Ended);
}

#[tokio::test(start_paused = true)]
async fn the_user_interrupts_and_the_server_is_told_what_was_heard() {
    let Agent { task, mut server, trace, conversation } = agent(silence(), Toolbox::new()).await;
    let handle = task.handle();
    let script = async {
        server.begin_response("resp_1", "item_1").await;
        // Two seconds of speech come at once.
        for word in ["one ", "two ", "three ", "four "] {
            server.speak("resp_1", "item_1", word, 500).await;
        }
        server.hear(910).await;
        let speech =
            json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": 900, "item_id": "item_2"});
        server.send(speech).await;
        let truncate = server.expect("conversation.item.truncate").await;
        assert_eq!(truncate["item_id"], "item_1");
        // Chunks of 20 ms were handed over up to 900 ms.
        assert_eq!(truncate["audio_end_ms"], 920);
        // Still on its way when the server heard the user.
        server.speak("resp_1", "item_1", "late", 100).await;
        server.end_response("resp_1", "cancelled", json!([])).await;
        server.hear(500).await;
        handle.end();
        while server.receive().await.is_some() {}
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    assert_eq!(finished.unwrap(), Finished::Ended, "{:#?}", trace.lines());

    let lines = trace.lines();
    assert!(trace.has("^ stopped item_1 920"), "{lines:#?}");
    assert!(
        trace.has("v interruption 920 \"one\"") || trace.has("v interruption 920 \"one two\""),
        "{lines:#?}"
    );
    assert_eq!(trace.count("played item_1"), 46, "{lines:#?}");
    assert_eq!(trace.count("v user_started_speaking"), 2, "from the service and on through playout");
    assert_eq!(trace.count("v response_finished"), 2);
    assert!(conversation.messages().iter().any(|message| message.text().starts_with("one")));
}

#[tokio::test(start_paused = true)]
async fn end_lets_the_answer_be_spoken_to_its_end() {
    let Agent { task, mut server, trace, .. } = agent(silence(), Toolbox::new()).await;
    let handle = task.handle();
    let script = async {
        server.begin_response("resp_1", "item_1").await;
        server.speak("resp_1", "item_1", "bye", 600).await;
        server.hear(50).await;
        handle.end();
        sleep(Duration::from_millis(100)).await;
        server.speak("resp_1", "item_1", "!", 400).await;
        server.end_response("resp_1", "completed", json!([])).await;
        while server.receive().await.is_some() {}
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    assert_eq!(finished.unwrap(), Finished::Ended);
    assert_eq!(trace.count("played item_1"), 50, "{:#?}", trace.lines());
}

#[tokio::test(start_paused = true)]
async fn a_function_call_is_answered_and_told_to_both_sides() {
    let Agent { task, mut server, trace, .. } = agent(silence(), Toolbox::new()).await;
    let handle = task.handle();
    let script = async {
        server.begin_response("resp_1", "item_1").await;
        let call = json!([{
            "id": "item_2", "type": "function_call", "status": "completed",
            "call_id": "call_1", "name": "weather", "arguments": "{}",
        }]);
        server.end_response("resp_1", "completed", call).await;
        let output = server.expect("conversation.item.create").await;
        assert_eq!(output["item"]["call_id"], "call_1");
        let mut item = output["item"].clone();
        item["status"] = "completed".into();
        server
            .send(json!({"type": "conversation.item.added", "previous_item_id": "item_1", "item": item}))
            .await;
        server.expect("response.create").await;
        handle.cancel();
        while server.receive().await.is_some() {}
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    assert_eq!(finished.unwrap(), Finished::Cancelled);
    assert!(trace.has("v function_call_started") && trace.has("^ function_call_started"));
    assert!(trace.has("v function_ended"), "{:#?}", trace.lines());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_by_itself_ends_the_run_with_its_reason() {
    let Agent { task, mut server, .. } = agent(silence(), Toolbox::new()).await;
    let script = async {
        server.hear(100).await;
        server.0.close(None).await.unwrap();
        while server.receive().await.is_some() {}
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    let error = finished.unwrap_err();
    assert!(matches!(error, PipelineError::Fatal(_)));
    let line = error.one_line();
    assert!(line.contains("realtime: the session ended: closed by the server"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_asked_to_close_ends_the_run() {
    let (near, far) = duplex(1 << 20);
    let endpoint = Endpoint::new("ws://memory", "test-model").unwrap().key("sk-test");
    let accept = async { Server(accept_async(far).await.unwrap()) };
    let (client, mut server) = tokio::join!(Client::over(near, &endpoint, SessionOptions::default()), accept);
    let (handle, events) = client.unwrap().split();
    server.open().await;
    let task = Pipeline::new().then(RealtimeService::new(handle.clone(), events)).into_task();
    let script = async {
        handle.close().await.unwrap();
        assert!(handle.is_closed());
    };
    let reading = async { while server.receive().await.is_some() {} };
    let (finished, (), ()) = tokio::join!(task.run(), script, reading);
    assert_eq!(finished.unwrap(), Finished::Ended);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_holds_playback_is_refused_since_the_playout_cannot() {
    let (near, far) = duplex(1 << 20);
    let endpoint = Endpoint::new("ws://memory", "test-model").unwrap().key("sk-test");
    let accept = async { Server(accept_async(far).await.unwrap()) };
    let interruption = InterruptionPolicy::after(Duration::from_millis(600)).holding();
    let options = SessionOptions::default().interruption(interruption);
    let (client, mut server) = tokio::join!(Client::over(near, &endpoint, options), accept);
    let (handle, events) = client.unwrap().split();
    server.open().await;
    let task = Pipeline::new().then(RealtimeService::new(handle, events)).then(Playout::new()).into_task();
    let reading = async { while server.receive().await.is_some() {} };
    let (finished, ()) = tokio::join!(task.run(), reading);
    let line = finished.unwrap_err().one_line();
    assert!(line.contains("expected an interruption policy that does not hold playback"), "{line}");
}
