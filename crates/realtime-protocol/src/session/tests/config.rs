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
