//! Each frame of the chain, and what the client is told.

use realtime_protocol::call::{FunctionEnd, Notice, Origin, ResponseEnd, ResponseReport};
use realtime_protocol::usage::Usage;
use serde_json::json;

use super::*;
use crate::chain::{BotSpeech, Message, Metric, UserSpeech};
use crate::media::rtvi::FunctionReport;

fn response(id: &str, out_of_band: bool) -> [Event; 2] {
    let metadata = Default::default();
    let started =
        Event::ResponseStarted { response_id: id.into(), origin: Origin::Client, out_of_band, metadata };
    let finished = Event::ResponseFinished(Box::new(ResponseReport {
        response_id: id.into(),
        end: ResponseEnd::Completed,
        usage: None,
        totals: Default::default(),
        timeline: Default::default(),
        dropped_bytes: 0,
    }));
    [started, finished]
}

#[test]
fn who_speaks_is_told_once_though_it_flows_both_ways() {
    let mut bench = Bench::open(|options| options);
    for (speech, expected) in [
        (UserSpeech::Started { item_id: None }, Some("user-started-speaking")),
        (UserSpeech::Speaking, None),
        (UserSpeech::Stopped { item_id: None }, Some("user-stopped-speaking")),
        (UserSpeech::VoiceStarted, Some("vad-user-started-speaking")),
        (UserSpeech::VoiceStopped, Some("vad-user-stopped-speaking")),
        (UserSpeech::Muted, Some("user-mute-started")),
        (UserSpeech::Unmuted, Some("user-mute-stopped")),
    ] {
        bench.up(FrameKind::User(speech.clone()));
        bench.down(FrameKind::User(speech));
        assert_eq!(bench.news(), expected.into_iter().collect::<Vec<_>>());
    }
    for (speech, expected) in [
        (BotSpeech::Started, Some("bot-started-speaking")),
        (BotSpeech::Speaking, None),
        (BotSpeech::Stopped, Some("bot-stopped-speaking")),
    ] {
        bench.up(FrameKind::Bot(speech));
        bench.down(FrameKind::Bot(speech));
        assert_eq!(bench.news(), expected.into_iter().collect::<Vec<_>>());
    }
    bench.down(FrameKind::Interruption { response_id: None, stop: None });
    assert_eq!(bench.news(), ["bot-interrupted"]);
}

#[test]
fn what_the_user_says_grows_and_is_final() {
    let mut bench = Bench::open(|options| options.user_id("u1"));
    let delta = |delta: &str| Event::UserTranscriptDelta {
        item_id: "i".into(),
        content_index: 0,
        delta: delta.into(),
    };
    bench.down(FrameKind::Event(Arc::new(delta("How "))));
    bench.down(FrameKind::Event(Arc::new(delta("are you?"))));
    let whole = |transcript: &str| Event::UserTranscript {
        item_id: "i".into(),
        content_index: 0,
        transcript: transcript.into(),
        languages: vec![],
        logprobs: vec![],
        usage: None,
    };
    bench.event(whole("How are you?"));
    bench.event(whole(" "));
    let said: Vec<(Value, Value, Value)> = std::mem::take(&mut bench.said)
        .into_iter()
        .map(|said| (said["type"].clone(), said["data"]["text"].clone(), said["data"]["final"].clone()))
        .collect();
    let pair = |text: &str, is_final: bool| {
        ["user-input", "user-transcription"].map(|kind| (json!(kind), json!(text), json!(is_final)))
    };
    let expected = [pair("How ", false), pair("How are you?", false), pair("How are you?", true)];
    assert_eq!(said, expected.concat(), "silence is not told");
    bench.event(whole("Hi"));
    let data =
        json!({ "text": "Hi", "user_id": "u1", "timestamp": "2026-11-27T08:17:54.000000Z", "final": true });
    assert_eq!(bench.said.pop().unwrap()["data"], data);
}

#[test]
fn responses_are_told_unless_they_are_beside_the_conversation() {
    let mut bench = Bench::open(|options| options);
    let [started, finished] = response("r", false);
    bench.event(started);
    bench.words("one", "Hi", false);
    bench.event(finished);
    assert_eq!(
        bench.types(),
        ["bot-llm-started", "bot-llm-text", "bot-transcription", "bot-output", "bot-llm-stopped"]
    );
    let [started, finished] = response("r", true);
    bench.event(started);
    bench.words("one", "Secret.", false);
    bench.event(finished);
    assert_eq!(bench.news(), [""; 0]);
}

#[test]
fn audio_of_the_model_begins_and_ends_in_pairs() {
    let mut bench = Bench::open(|options| options);
    bench.play("one", 0, 40);
    bench.play("one", 40, 40);
    bench.play("two", 0, 40);
    bench.finished("one");
    assert_eq!(bench.news(), ["bot-tts-started", "bot-tts-stopped", "bot-tts-started"]);
    bench.finished("two");
    bench.finished("two");
    assert_eq!(bench.news(), ["bot-tts-stopped"]);
    bench.play("three", 0, 40);
    bench.down(FrameKind::Interruption { response_id: None, stop: None });
    assert_eq!(bench.news(), ["bot-tts-started", "bot-interrupted", "bot-tts-stopped"]);
    let clip = OutputAudio { source: AudioSource::Clip("beep".into()), ..part("x", 0, 40) };
    bench.down(FrameKind::PlayedAudio(clip));
    assert_eq!((bench.news(), bench.audio), (vec![], 5 * 1_920), "a clip is no speech of the model's");
}

#[test]
fn functions_are_told_as_far_as_the_application_allows() {
    let told = |report| {
        let mut bench = Bench::open(|options| options.functions(report));
        let (response_id, calls) = ("r".into(), vec![call("c")]);
        bench.event(Event::FunctionCalls { response_id, out_of_band: false, calls });
        bench.event(Event::Notice(Notice::FunctionStarted { call: call("c") }));
        let end = || FunctionEnd::Result(json!({ "sky": "blue" }));
        bench.event(Event::FunctionEnded { call: call("c"), end: end() });
        bench.event(Event::FunctionEnded { call: call("c"), end: end() });
        bench.said.iter().map(|said| said["data"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(told(FunctionReport::Nothing), Vec::<Value>::new());
    let stopped = json!({ "tool_call_id": "c", "cancelled": false });
    assert_eq!(told(FunctionReport::Anonymous), [json!({}), json!({ "tool_call_id": "c" }), stopped]);
    let named = json!({ "tool_call_id": "c", "function_name": "look" });
    assert_eq!(told(FunctionReport::Name)[..2], [json!({ "function_name": "look" }), named]);
    let arguments = json!({ "city": "Paris" });
    let runs = json!({ "tool_call_id": "c", "function_name": "look", "arguments": arguments });
    let ended = json!({ "tool_call_id": "c", "function_name": "look", "cancelled": false });
    assert_eq!(told(FunctionReport::Arguments)[1..], [runs, ended.clone()]);
    let mut full = ended;
    full["result"] = json!({ "sky": "blue" });
    assert_eq!(told(FunctionReport::Full)[2], full);
}

#[test]
fn a_function_that_is_cancelled_has_no_result() {
    let mut bench = Bench::open(|options| options.functions(FunctionReport::Full));
    bench.event(Event::Notice(Notice::FunctionStarted { call: call("c") }));
    bench.news();
    bench.event(Event::FunctionEnded { call: call("c"), end: FunctionEnd::Cancelled });
    let expected = json!({ "tool_call_id": "c", "function_name": "look", "cancelled": true });
    assert_eq!(bench.said.pop().unwrap()["data"], expected);
}

#[test]
fn what_a_response_takes_and_costs_is_told_if_it_is_wanted() {
    let usage: Usage = serde_json::from_value(json!({
        "total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
        "input_token_details": { "cached_tokens": 5 },
    }))
    .unwrap();
    let metrics = || {
        let (response_id, usage) = ("r".into(), Some(Box::new(usage.clone())));
        let response = Metric::Response { response_id, took: Duration::from_millis(1_500), usage };
        [Metric::FirstByte { response_id: "r".into(), after: Duration::from_millis(250) }, response]
    };
    let mut bench = Bench::open(|options| options);
    metrics().into_iter().for_each(|metric| bench.down(FrameKind::Metric(metric)));
    let data: Vec<Value> = bench.said.iter().map(|said| said["data"].clone()).collect();
    assert_eq!(
        data,
        [
            json!({ "ttfb": [{ "processor": "realtime", "value": 0.25 }] }),
            json!({ "processing": [{ "processor": "realtime", "value": 1.5 }],
                "tokens": [{ "prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30,
                    "cache_read_input_tokens": 5 }] }),
        ]
    );
    let mut silent = Bench::open(|options| options.metrics(false));
    metrics().into_iter().for_each(|metric| silent.down(FrameKind::Metric(metric)));
    assert_eq!(silent.news(), [""; 0]);
}

#[test]
fn the_applications_messages_go_out_as_its_own_or_as_rtvis() {
    let mut bench = Bench::open(|options| options);
    let message = |body: Value| FrameKind::Message(Message { body: Arc::new(body), urgent: true });
    bench.down(message(json!({ "score": 7 })));
    bench.down(message(json!("plain")));
    let command = json!({ "label": "rtvi-ai", "type": "ui-command", "data": { "command": "toast" } });
    bench.down(message(command));
    bench.down(FrameKind::InputMessage(Message { body: Arc::new(json!({})), urgent: true }));
    assert_eq!(
        bench.news(),
        [r#"server-message {"score":7}"#, r#"server-message "plain""#, r#"ui-command {"command":"toast"}"#,],
        "what has come is not sent back"
    );
}
