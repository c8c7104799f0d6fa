//! Disasters: each of them as a client meets it, in virtual time.

use realtime_emulator::brain::{Parrot, Script};
use realtime_emulator::disaster::{Disaster, Line, LineOptions, LineOutput, error_codes};
use realtime_emulator::{Connection, ConnectionOptions};
use realtime_protocol::event::ServerEvent;
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::{Value, json};

use crate::far::Far;

/// A turn with a disaster beside one without.
fn check(disaster: Value, expect: impl Fn(&Far, &Far)) {
    let mut calm = Far::new(&json!([]));
    calm.turn();
    let mut far = Far::new(&json!([disaster]));
    far.turn();
    expect(&far, &calm);
}

const AUDIO: &str = "response.output_audio.delta";

#[test]
fn each_disaster_does_what_it_says() {
    check(json!({"at": "response.created", "do": "drop"}), |far, calm| {
        assert_eq!(far.count("response.created"), 0);
        assert_eq!(far.texts.len(), calm.texts.len() - 1);
    });
    check(json!({"at": "response.created", "do": "duplicate", "times": 2}), |far, calm| {
        assert_eq!(far.count("response.created"), 3);
        assert_eq!(far.texts.len(), calm.texts.len() + 2);
    });
    check(json!({"at": "response.created", "do": "delay", "ms": 700}), |far, calm| {
        assert_eq!(far.at("response.created"), 700);
        assert_eq!(far.kinds(), calm.kinds(), "in the same order");
        assert!(far.at("response.output_item.added") >= 700);
    });
    check(json!({"at": "*", "every": 1, "do": "delay", "jitter_ms": 90}), |far, calm| {
        assert_eq!(far.kinds(), calm.kinds());
        let late = |n: usize| far.texts[n].0 - calm.texts[n].0;
        assert!((0..far.texts.len()).all(|n| late(n) <= 90));
        assert!((10..far.texts.len()).any(|n| late(n) != late(10)), "not all alike");
    });
    check(json!({"at": AUDIO, "nth": 3, "do": "stall"}), |far, _| {
        assert_eq!((far.count(AUDIO), far.count("response.done"), &far.end), (2, 0, &None));
    });
    check(json!({"at": AUDIO, "nth": 2, "do": "cut", "code": 1011, "reason": "oops"}), |far, _| {
        assert_eq!(far.count(AUDIO), 1);
        assert_eq!(far.end, Some(LineOutput::Close { code: Some(1011), reason: "oops".into() }));
    });
    check(json!({"after_ms": 300, "do": "cut"}), |far, _| {
        assert_eq!(far.end, Some(LineOutput::Close { code: None, reason: String::new() }));
        assert!(far.texts.iter().all(|(at, _)| *at <= 300));
    });
    check(json!({"at": "response.done", "do": "break"}), |far, _| {
        assert_eq!((far.count("response.done"), &far.end), (0, &Some(LineOutput::Break)));
    });
    check(json!({"at": AUDIO, "do": "unknown_event", "type": "x.y"}), |far, calm| {
        assert_eq!(far.position("x.y"), far.position(AUDIO) - 1);
        assert_eq!(far.texts.len(), calm.texts.len() + 1);
    });
    check(json!({"at": "response.done", "do": "unknown_members"}), |far, calm| {
        let done = far.json("response.done");
        assert_eq!(done["x_emulator"]["since"], 2031);
        assert_eq!(done["response"]["output"][0]["x_emulator"]["since"], 2031);
        assert_eq!(done["response"]["id"], calm.json("response.done")["response"]["id"]);
    });
    check(json!({"at": AUDIO, "do": "malformed"}), |far, calm| {
        let malformed = far.events().iter().filter(|e| matches!(e, ServerEvent::Malformed(_))).count();
        assert_eq!((malformed, far.texts.len()), (1, calm.texts.len()));
    });
    check(json!({"at": AUDIO, "do": "malformed", "text": "{]"}), |far, _| {
        assert!(far.texts.iter().any(|(_, text)| text == "{]"));
    });
    check(json!({"do": "bad_base64", "nth": 2}), |far, calm| {
        let bad = |far: &Far| {
            let audio = far.events().into_iter().filter_map(|event| match event {
                ServerEvent::ResponseOutputAudioDelta(delta) => Some(delta.delta.bytes().is_err()),
                _ => None,
            });
            audio.collect::<Vec<_>>()
        };
        assert_eq!(bad(far).iter().position(|bad| *bad), Some(1));
        assert_eq!((bad(far).len(), bad(far).iter().filter(|bad| **bad).count()), (bad(calm).len(), 1));
    });
    check(json!({"at": AUDIO, "do": "error", "code": "rate_limit_exceeded", "param": "p"}), |far, _| {
        let error = far.json("error");
        assert_eq!(error["error"]["type"], "rate_limit_error");
        assert_eq!((&error["error"]["param"], &error["error"]["event_id"]), (&json!("p"), &Value::Null));
        assert_eq!(far.position("error"), far.position(AUDIO) - 1);
    });
    check(json!({"do": "usage_null"}), |far, _| {
        assert_eq!(far.json("response.done")["response"]["usage"], Value::Null);
    });
    check(json!({"after_ms": 400, "do": "expire"}), |far, _| {
        assert_eq!(far.json("error")["error"]["code"], "session_expired");
        assert_eq!((far.kinds().last().unwrap().as_str(), far.at("error")), ("error", 400));
        assert!(matches!(far.end, Some(LineOutput::Close { code: Some(1001), .. })));
    });
    check(json!({"at": "rate_limits.updated", "do": "reorder", "by": 3}), |far, calm| {
        assert_eq!(far.position("rate_limits.updated"), calm.position("rate_limits.updated") + 3);
    });
    check(json!({"at": "response.created", "do": "reorder"}), |far, calm| {
        let swapped = far.position("response.created") - calm.position("response.created");
        assert_eq!(swapped, 1, "only rate limits may overtake it");
        assert_eq!(far.texts.len(), calm.texts.len());
    });
}

#[test]
fn what_came_before_a_stall_or_a_break_arrives() {
    let before = |action: &str| {
        let script = json!({"turns": [], "disasters": [{"at": "response.content_part.added", "do": action}]});
        let mut far = Far::with(Script::parse(&script.to_string()).unwrap());
        far.turn();
        far.kinds().last().unwrap().clone()
    };
    assert_eq!(before("stall"), "conversation.item.added");
    assert_eq!(before("break"), "conversation.item.added");
}

#[test]
fn audio_is_damaged_but_its_bytes_are_all_there() {
    let audio = |far: &Far| -> Vec<Vec<u8>> {
        let deltas = far.events().into_iter().filter_map(|event| match event {
            ServerEvent::ResponseOutputAudioDelta(delta) => Some(delta.delta.bytes().unwrap().to_vec()),
            _ => None,
        });
        deltas.collect()
    };
    check(json!({"do": "odd_audio"}), |far, calm| {
        assert_eq!(audio(far).concat(), audio(calm).concat());
        assert_eq!(audio(far)[0].len() % 2, 1);
    });
    check(json!({"do": "format", "format": "audio/pcmu", "every": 1}), |far, calm| {
        let (far, calm) = (audio(far).concat(), audio(calm).concat());
        assert!(far.len().abs_diff(calm.len() / 6) <= 32, "{} against {}", far.len(), calm.len());
    });
}

#[test]
fn every_code_can_be_sent() {
    let all: Vec<_> = error_codes().collect();
    assert!(all.len() >= 25);
    for code in all {
        check(json!({"at": "response.created", "do": "error", "code": code}), |far, calm| {
            let error = &far.json("error")["error"];
            assert_eq!(error["code"], code);
            assert!(error["message"].as_str().unwrap().len() > 10 && error["type"].is_string());
            assert_eq!(far.texts.len(), calm.texts.len() + 1);
        });
    }
}

#[test]
fn a_transcription_fails_or_comes_after_the_response() {
    const COMPLETED: &str = "conversation.item.input_audio_transcription.completed";
    let mut far = Far::new(&json!([{"do": "fail_transcription", "code": "audio_unintelligible"}]));
    far.spoken_turn();
    let failed = far.json("conversation.item.input_audio_transcription.failed");
    assert_eq!(failed["error"]["code"], "audio_unintelligible");
    assert_eq!((far.count(COMPLETED), far.count("response.done")), (0, 1));

    let late = json!({"at": "conversation.item.input_audio_transcription.*", "every": 1, "do": "hold",
        "until": "response.done"});
    let mut far = Far::new(&json!([late]));
    far.spoken_turn();
    let delta = "conversation.item.input_audio_transcription.delta";
    assert!(far.position(delta) > far.position("response.done"));
    assert!(far.position(COMPLETED) > far.position(delta));
}

#[test]
fn deltas_arrive_after_a_cancelled_response_is_done() {
    let mut far = Far::new(&json!([{"do": "late_deltas", "count": 4}]));
    far.send(&json!({"type": "response.create"}));
    far.run(260);
    far.send(&json!({"type": "response.cancel"}));
    far.run(1000);
    assert_eq!(far.json("response.done")["response"]["status"], "cancelled");
    let kinds = far.kinds();
    let late = &kinds[far.position("response.done") + 1..];
    assert_eq!(late.len(), 4);
    assert!(late.iter().all(|kind| kind.ends_with(".delta")));
}

#[test]
fn a_slow_reader_takes_its_time_and_wants_no_more_meanwhile() {
    let mut far = Far::new(&json!([{"after_ms": 0, "do": "slow_reader", "bytes_per_second": 1000}]));
    let update =
        json!({"type": "session.update", "session": {"type": "realtime", "instructions": "x".repeat(2000)}});
    assert!(far.line.wants_input());
    far.send(&update);
    far.run(2000);
    assert!(!far.line.wants_input());
    assert_eq!(far.count("session.updated"), 0);
    far.run(200);
    assert!(far.line.wants_input());
    assert_eq!(far.count("session.updated"), 1);
}

#[test]
fn a_client_can_ask_for_disasters() {
    let mut far = Far::new(&json!([]));
    far.send(&json!({"type": "emulator.disaster", "disaster": {"at": "response.done", "do": "drop"}}));
    far.turn();
    assert_eq!((far.count("response.done"), far.count("error")), (0, 0));
    far.send(&json!({"type": "emulator.disaster", "event_id": "e", "disaster": {"at": "*", "do": "sink"}}));
    let error = &far.json("error")["error"];
    assert_eq!((&error["param"], &error["event_id"]), (&json!("disaster.do"), &json!("e")));

    let wall = UnixTime::from_secs(1_800_000_000);
    let connection =
        Connection::new(ConnectionOptions::default(), Box::new(Parrot::new()), Timestamp::ZERO, wall);
    let mut line = Line::new(connection, LineOptions::default(), Timestamp::ZERO);
    line.handle_text(Timestamp::ZERO, r#"{"type":"emulator.disaster","disaster":{"at":"*","do":"drop"}}"#);
    let texts: Vec<_> = std::iter::from_fn(|| line.poll_output()).collect();
    assert!(format!("{texts:?}").contains("Invalid value: 'emulator.disaster'"));
}

#[test]
fn a_turns_disasters_begin_with_its_response() {
    let script = json!({"turns": [
        {"on": "text", "reply": [{"say": "First."}]},
        {"on": "text", "reply": [{"say": "Second."}], "disasters": [{"at": "response.created", "do": "drop"}]},
    ]});
    let mut far = Far::with(Script::parse(&script.to_string()).unwrap());
    far.turn();
    assert_eq!(far.count("response.created"), 1);
    far.turn();
    assert_eq!((far.count("response.created"), far.count("response.done")), (1, 2));
}

#[test]
fn chance_is_the_same_for_the_same_seed() {
    let run = || {
        let mut far = Far::new(&json!([{"at": "*", "chance": 0.2, "do": "drop"}]));
        far.turn();
        far.texts
    };
    let all = run();
    assert_eq!(all, run());
    check(json!({"at": "nothing", "do": "drop"}), |calm, _| {
        assert!(all.len() < calm.texts.len() && all.len() > calm.texts.len() / 2);
    });
}

#[test]
fn a_script_with_a_bad_disaster_says_where() {
    let bad =
        json!({"turns": [{"reply": [], "disasters": [{"at": "*", "do": "drop"}, {"at": "*", "do": "x"}]}]});
    let error = Script::parse(&bad.to_string()).unwrap_err().to_string();
    assert!(error.starts_with("turns[0].disasters[1].do: nothing here is called `x`"), "{error}");
    let one = Disaster::parse(&json!({"do": "odd_audio"}), "d").unwrap();
    assert_eq!(one.at.as_deref(), Some(AUDIO));
}

#[test]
fn a_disaster_happens_at_what_the_client_sends() {
    let send = |disaster: Value| {
        let mut far = Far::new(&json!([disaster]));
        far.turn();
        far
    };
    let far = send(json!({"from": "response.create", "do": "drop"}));
    assert_eq!((far.count("conversation.item.added"), far.count("response.created")), (1, 0));
    let far = send(json!({"from": "conversation.item.*", "do": "error", "code": "server_error"}));
    assert_eq!(far.position("error"), far.position("conversation.item.added") - 1);
    let far = send(json!({"from": "response.create", "do": "cut", "code": 1013}));
    assert_eq!(far.end, Some(LineOutput::Close { code: Some(1013), reason: String::new() }));
    assert_eq!((far.count("conversation.item.added"), far.count("response.created")), (1, 0));
    let far = send(json!({"from": "response.create", "do": "stall"}));
    assert_eq!((far.count("response.created"), &far.end), (0, &None));
    let member =
        json!({"from": "conversation.item.create", "member": "/item/role", "value": "system", "do": "drop"});
    assert_eq!(send(member).count("response.done"), 1, "no item of the user's is meant");
    let far = send(
        json!({"from": "*", "over_bytes": 100, "every": 1, "do": "refuse", "code": "string_above_max_length"}),
    );
    assert_eq!(
        (far.json("error")["error"]["code"].as_str(), far.count("error")),
        (Some("string_above_max_length"), 1)
    );
    assert_eq!(far.count("response.done"), 1);
    assert!(far.texts.iter().all(|(_, text)| !text.contains("\"role\":\"user\"")), "the item is not taken");
    let far = send(json!({"from": "*", "nth": 2, "do": "drop"}));
    assert_eq!((far.count("conversation.item.added"), far.count("response.created")), (1, 0));
}

#[test]
fn an_event_is_repeated_as_often_as_it_says_and_stops_with_the_connection() {
    check(
        json!({"at": "response.created", "do": "repeat", "ms": 50, "times": 3, "fresh": ["/response/id"]}),
        |far, calm| {
            assert_eq!((far.count("response.created"), far.texts.len()), (4, calm.texts.len() + 3));
            assert_eq!(far.json("response.created"), calm.json("response.created"));
        },
    );
    let mut far = Far::new(&json!([
        {"at": "response.created", "do": "repeat"},
        {"after_ms": 100, "do": "cut"},
    ]));
    far.turn();
    assert_eq!((far.count("response.created"), far.line.poll_timeout()), (100, None));
}

#[test]
fn more_than_a_client_could_want_breaks_the_connection() {
    let mut far = Far::new(&json!([{"at": "session.updated", "do": "repeat"}]));
    let session = json!({"type": "realtime", "instructions": "x".repeat(100_000)});
    far.send(&json!({"type": "session.update", "session": session}));
    // All at once, as where the clock has jumped by a day.
    far.line.handle_timeout(Timestamp::from_millis(86_400_000));
    let mut bytes = 0;
    let end = std::iter::from_fn(|| far.line.poll_output()).find(|output| match output {
        LineOutput::Text(text) => {
            bytes += text.len();
            false
        }
        _ => true,
    });
    assert!(matches!(end, Some(LineOutput::Break)) && bytes < 66 << 20, "{bytes} bytes, then {end:?}");
}
