//! The configuration: asked for, acknowledged, locked. What is refused: `refusals`, `refusal_rounds`.

use super::*;

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
    assert_eq!(
        bench.app(Command::UpdateConfig { config: voice.into() }),
        ["warning", "warning", "1 updated"]
    );
    let locked =
        Updated { locked: alloc::vec!["model".into(), "audio.output.voice".into()], ..Updated::default() };
    assert_eq!(bench.updated(), locked);
    let mixed = config(r#"{"instructions":"y","audio":{"output":{"voice":"cedar"}}}"#);
    bench.app(Command::UpdateConfig { config: mixed.into() });
    assert_eq!(bench.sent()[0]["session"], json!({"type": "realtime", "instructions": "y"}));
    bench.server(json!({"type": "session.updated", "session": {}}));
    assert_eq!(bench.updated().locked, ["audio.output.voice"]);
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
    assert_eq!(
        bench.server(json!({"type": "session.updated", "session": {}})),
        ["1 updated", "config_updated"]
    );
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
fn an_update_says_whether_it_changed_something() {
    let mut bench = Bench::ready();
    assert_eq!(bench.app(instructions("A")), ["> session.update"]);
    let echo = json!({"type": "session.updated", "session": {"instructions": "A"}});
    bench.server(echo.clone());
    let asked = |text: &str| Updated { instructions: Some(text.into()), ..Updated::default() };
    assert_eq!(bench.updated(), Updated { changed: true, ..asked("A") });
    bench.app(instructions("A"));
    bench.server(echo.clone());
    assert_eq!(bench.updated(), asked("A"), "it was so already");
    bench.app(instructions("B"));
    bench.server(echo);
    assert_eq!(bench.updated(), asked("B"), "the server has ignored it");
    assert_eq!(bench.app(Command::UpdateConfig { config: Box::default() }), ["4 updated"]);
    assert_eq!(bench.updated(), Updated::default(), "there was nothing in it");
}

#[test]
fn nothing_counts_as_configured_before_the_server_has_said_so() {
    let mut bench = Bench::with(SessionOptions {
        config: config(r#"{"type":"realtime","model":"m","instructions":"x"}"#),
        ..Default::default()
    });
    assert_eq!(*bench.session.config(), SessionConfig::default());
    bench.server(
        json!({"type": "session.created", "session": {"model": "served", "instructions": "default"}}),
    );
    assert_eq!(bench.session.config().instructions.value().map(String::as_str), Some("default"));
    bench.server(json!({"type": "session.updated", "session": {}}));
    assert_eq!(bench.session.config().instructions.value().map(String::as_str), Some("x"));
}

#[test]
fn an_update_that_joins_the_first_configuration_is_answered_with_it() {
    let mut bench = Bench::new();
    assert!(bench.app(instructions("A")).is_empty());
    let outputs = bench.server(json!({"type": "session.created", "session": {}}));
    assert_eq!(outputs, ["created", "> session.update"]);
    assert_eq!(bench.sent()[0]["session"]["instructions"], "A");
    let outputs = bench.server(json!({"type": "session.updated", "session": {}}));
    assert_eq!(outputs, ["1 updated", "ready"]);
    assert!(bench.updated().changed);
}

#[test]
fn an_update_that_joined_ends_with_the_session() {
    let mut bench = Bench::new();
    bench.app(instructions("A"));
    assert_eq!(bench.lose(), ["1 closed", "closed"]);
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
