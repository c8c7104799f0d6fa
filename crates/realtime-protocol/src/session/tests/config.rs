//! The configuration: asked for, acknowledged, refused, locked.

use super::*;

#[test]
fn one_refused_member_is_left_out_and_the_rest_sent_again_once() {
    let options = SessionOptions {
        config: config(r#"{"type":"realtime","instructions":"x","reasoning":{"effort":"low"}}"#),
        ..SessionOptions::default()
    };
    let mut bench = Bench::with(options);
    bench.server(json!({"type": "session.created", "session": {}}));
    let refused = |event_id| {
        json!({"type": "error", "error": {"code": "unknown_parameter", "param": "session.reasoning",
            "message": "no", "event_id": event_id}})
    };
    bench.server(refused("evt_0_1"));
    assert_eq!(bench.sent()[0]["session"], json!({"type": "realtime", "instructions": "x"}));
    assert_eq!(bench.server(refused("evt_0_2")), ["> close", "server_error"], "and no third time");
}

#[test]
fn what_the_server_made_of_the_configuration_is_compared_with_what_was_asked() {
    let mut bench = Bench::new();
    bench.session.options.config = config(r#"{"type":"realtime","audio":{"output":{"voice":"marin"}}}"#);
    bench.server(json!({"type": "session.created", "session": {}}));
    let echo = json!({"type": "session.updated", "session": {"audio": {"output": {"voice": "alloy"}}}});
    assert_eq!(bench.server(echo), ["warning", "ready"]);
}

#[test]
fn members_that_are_locked_are_not_sent() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 20));
    let voice = config(r#"{"model":"other","audio":{"output":{"voice":"cedar"}}}"#);
    assert_eq!(bench.app(Command::UpdateConfig { config: voice.into() }), ["warning", "warning", "1 done"]);
    let mixed = config(r#"{"instructions":"y","audio":{"output":{"voice":"cedar"}}}"#);
    bench.app(Command::UpdateConfig { config: mixed.into() });
    assert_eq!(bench.sent()[0]["session"], json!({"type": "realtime", "instructions": "y"}));
}

#[test]
fn a_session_is_not_ready_before_its_configuration_was_sent() {
    let mut bench = Bench::new();
    assert_eq!(bench.server(json!({"type": "session.updated", "session": {}})), ["> session.update"]);
    assert!(!bench.session.is_ready());
    assert_eq!(bench.server(json!({"type": "session.created", "session": {}})), ["created"]);
    assert_eq!(bench.server(json!({"type": "session.updated", "session": {}})), ["ready"]);
}

#[test]
fn a_configuration_that_is_not_acknowledged_counts_as_taken_over() {
    let mut bench = Bench::with(manual());
    let session = json!({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}});
    bench.server(json!({"type": "session.created", "session": session}));
    assert_eq!(bench.later(5000), ["warning", "ready"]);
    assert!(bench.session.config().turn_detection().is_null());
}

fn instructions(text: &str) -> Command {
    Command::UpdateConfig { config: SessionConfig::default().instructions(text).into() }
}

#[test]
fn a_late_acknowledgement_is_not_for_the_next_update() {
    let mut bench = Bench::new();
    bench.server(json!({"type": "session.created", "session": {}}));
    bench.later(5000);
    bench.app(instructions("A"));
    assert_eq!(bench.server(json!({"type": "session.updated", "session": {}})), ["config_updated"]);
    assert_eq!(bench.server(json!({"type": "session.updated", "session": {}})), ["1 done", "config_updated"]);
}

#[test]
fn an_update_that_was_never_acknowledged_is_let_go() {
    let mut bench = Bench::ready();
    bench.app(instructions("A"));
    bench.later(20_000);
    assert!(bench.session.updates.is_empty());
    bench.app(instructions("B"));
    bench.server(json!({"type": "session.updated", "session": {}}));
    assert_eq!(bench.session.config().instructions.value().map(String::as_str), Some("B"));
}

#[test]
fn whichever_member_is_refused_the_session_comes_up_without_it() {
    let all = json!({
        "instructions": "x", "output_modalities": ["audio"], "max_output_tokens": 100, "tool_choice": "auto",
        "tools": [{"type": "function", "name": "f"}], "truncation": "auto", "tracing": "auto",
        "include": ["item.input_audio_transcription.logprobs"], "reasoning": {"effort": "low"},
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"}, "transcription": {"model": "whisper-1"},
                "noise_reduction": {"type": "near_field"}, "turn_detection": {"type": "semantic_vad"},
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.5},
        },
    });
    let members =
        all.as_object().unwrap().keys().filter(|name| *name != "audio").map(|name| format!("/{name}"));
    let audio = ["input", "output"].into_iter().flat_map(|half| {
        let names = all["audio"][half].as_object().unwrap().keys();
        names.map(move |name| format!("/audio/{half}/{name}"))
    });
    for place in members.chain(audio) {
        let param = format!("session{}", place.replace('/', "."));
        let mut bench =
            Bench::with(SessionOptions { config: config(&all.to_string()), ..Default::default() });
        bench.server(json!({"type": "session.created", "session": {}}));
        let error = json!({"code": "unknown_parameter", "param": param, "event_id": "evt_0_1"});
        let outputs = bench.server(json!({"type": "error", "error": error}));
        assert_eq!(outputs.iter().filter(|output| *output == "warning").count(), 1, "{param}: {outputs:?}");
        let sent = &bench.sent()[0]["session"];
        assert_eq!(sent.pointer(&place), None, "{param}");
        let left = |value: &Value| value.to_string().matches(':').count();
        assert_eq!(left(sent), left(&all) - left(all.pointer(&place).unwrap()) - 1, "{param}: {sent}");
        assert_eq!(bench.server(json!({"type": "session.updated", "session": {}})), ["ready"]);
    }
}

#[test]
fn an_echo_that_cannot_be_read_does_not_flip_what_was_acknowledged() {
    let quiet = r#"{"type":"realtime","audio":{"input":{"turn_detection":
        {"type":"server_vad","create_response":false,"interrupt_response":false}}}}"#;
    let mut bench = Bench::with(SessionOptions { config: config(quiet), ..Default::default() });
    bench.server(json!({"type": "session.created", "session": {}}));
    let odd = json!({"type": "server_vad", "create_response": "no", "interrupt_response": 0});
    bench
        .server(json!({"type": "session.updated", "session": {"audio": {"input": {"turn_detection": odd}}}}));
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 20));
    assert_eq!(bench.server(speech_started()), ["speech_started"], "it does not interrupt");
    bench.server(done("r1", "completed"));
    bench.server(speech_stopped());
    assert_eq!(bench.app(create()), ["> response.create"], "no response of the server's is waited for");
}
