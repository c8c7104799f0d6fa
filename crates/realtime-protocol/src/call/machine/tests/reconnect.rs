//! A connection is lost.

use super::*;
use crate::call::{Event, FunctionOutput, Media, Refusal};
use crate::event::Dialect;
use crate::flow::Shortfall;

#[test]
fn a_call_of_one_connection_ends_with_it() {
    let mut call = Driven { call: Call::new(SessionOptions::default()), now: 0 };
    call.open(0);
    call.drain();
    let refused = call.command(1, Command::Rotate { endpoint: None, urgent: false }).unwrap_err();
    assert_eq!(refused.reason, Refusal::OneConnection);
    call.command(2, Command::CreateResponse { params: None, protected: false }).unwrap();
    call.cut(0, Some(1006), "");
    assert_eq!(call.drain(), ["0> response.create", "settled 2 closed", "closed disconnected"]);
    assert!(call.call.is_ended());
    assert_eq!(call.call.poll_timeout(), None);
}

#[test]
fn a_lost_connection_is_made_again_and_told_what_was_said() {
    let mut call = Driven::ready(reconnect());
    call.cut(0, Some(1006), "");
    assert_eq!(call.drain(), ["lost transient retry Some(1000)"]);
    call.wait(999);
    assert!(call.drain().is_empty());
    call.wait(1);
    assert_eq!(call.drain(), ["retrying 1 to 0", "connect 1 to 0"]);
    call.open(1);
    assert_eq!(call.drain(), ["1> session.update", "seed 1"]);
    let items = alloc::vec![Item::user_text("a"), Item::assistant_text("b")];
    call.wait(20);
    call.seed(1, Seed { instructions: Some("Be brief.".into()), items, ..Seed::default() });
    let outputs = call.outputs();
    let text = texts(&outputs);
    let kinds: Vec<String> = outputs.iter().map(describe).collect();
    assert_eq!(kinds, ["1> session.update", "1> conversation.item.create", "1> conversation.item.create"]);
    assert!(text.contains("Be brief."), "{text}");
    for item in text.lines().skip(1) {
        let created: Value = serde_json::from_str(item).unwrap();
        call.hear(1, json!({"type": "conversation.item.added", "item": created["item"]}));
    }
    assert!(call.drain().is_empty(), "the configuration is not acknowledged");
    call.wait(10);
    call.hear(1, json!({"type": "session.updated", "session": {}}));
    let told = ["created", "config_updated", "item_sent", "item_sent", "item_placed", "item_placed"];
    assert_eq!(call.drain()[..6], told);
}

#[test]
fn the_gap_is_told_with_the_audio_that_grew_too_old() {
    let mut call = Driven::ready(reconnect());
    call.cut(0, None, "");
    for _ in 0..100 {
        call.wait(100);
        call.speak(100);
        if call.drain().contains(&"connect 1 to 0".to_string()) {
            // The server comes back only after 10 s.
        }
    }
    call.open(1);
    call.drain();
    call.seed(1, Seed::default());
    let outputs = call.drain();
    assert_eq!(outputs[..3], ["created", "config_updated", "resumed gap 10000 lost 8000"]);
    assert_eq!(outputs[3..].len(), 20);
    assert!(outputs[3..].iter().all(|output| output == "1> input_audio_buffer.append"));
}

/// What a call does on its next connection when one was cut in the middle of an answer.
fn after_half_an_answer(ask_again: bool, before: &[Value]) -> Vec<String> {
    let mut call = Driven::ready(Reconnect { ask_again, ..reconnect() });
    let place = json!({"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0});
    let mut delta = place.clone();
    delta["type"] = "response.output_text.delta".into();
    delta["delta"] = "Half an".into();
    call.hear(0, json!({"type": "response.created", "response": {"id": "r", "status": "in_progress"}}));
    call.hear(0, delta);
    before.iter().for_each(|event| call.hear(0, event.clone()));
    call.cut(0, Some(1006), "");
    call.wait(1000);
    call.open(1);
    call.seed(1, Seed::default());
    call.drain()
}

#[test]
fn a_response_that_was_cut_off_is_asked_for_again_if_that_is_wanted() {
    let asked = "1> response.create".to_string();
    assert!(!after_half_an_answer(false, &[]).contains(&asked));
    let told = after_half_an_answer(true, &[]);
    assert_eq!(told.iter().filter(|output| **output == asked).count(), 1, "{told:?}");
    // Not one that has ended, or that the user spoke over.
    let done = json!({"type": "response.done", "response": {"id": "r", "status": "completed"}});
    let speech = json!({"type": "input_audio_buffer.speech_started", "item_id": "u"});
    assert!(!after_half_an_answer(true, &[done]).contains(&asked));
    assert!(!after_half_an_answer(true, &[speech]).contains(&asked));
}

/// A call that asks for 8 kHz mu-law, and whose connections refuse it or not.
fn narrow(conns: &[(u32, bool)]) -> Driven {
    let mut config = SessionConfig::realtime();
    config.input_mut().format = AudioFormat::Pcmu.into();
    let mut call = Driven::with(config, reconnect());
    for (conn, refuses) in conns {
        if *conn > 0 {
            call.cut(*conn - 1, None, "");
            call.wait(1000);
            // One second at 8 kHz, or a sixth of one at 24 kHz.
            call.media(Media::Append(std::vec![0; 8_000].into()));
        }
        call.drain();
        call.call.handle_connected(at(call.now), ConnectionId(*conn), UnixTime::from_secs(1_000_000));
        call.hear(*conn, json!({"type": "session.created", "session": {}}));
        if *refuses {
            let update = call.outputs().into_iter().find_map(|output| match output {
                Output::Send { event, .. } => event.event_id().cloned(),
                _ => None,
            });
            let error = json!({"param": "session.audio.input.format.type", "event_id": update.unwrap()});
            call.hear(*conn, json!({"type": "error", "error": error}));
        }
        call.hear(*conn, json!({"type": "session.updated", "session": {}}));
        call.drain();
        call.seed(*conn, Seed::default());
    }
    call
}

#[test]
fn held_audio_is_measured_as_what_the_session_takes_and_never_sent_as_another_format() {
    for (conns, lost, appends) in [
        ([(0, false), (1, false)], 0, 1),
        ([(0, true), (1, true)], 0, 1),
        ([(0, false), (1, true)], 1000, 0),
        ([(0, true), (1, false)], 166, 0),
    ] {
        let outputs = narrow(&conns).drain();
        let told = outputs.iter().find(|output| output.contains(" gap ")).unwrap();
        assert!(told.ends_with(&format!("lost {lost}")), "{conns:?}: {told}");
        let sent = outputs.iter().filter(|output| *output == "1> input_audio_buffer.append").count();
        assert_eq!(sent, appends, "{conns:?}");
    }
}

#[test]
fn attempts_come_at_their_times_and_end_with_the_budget() {
    let mut call = Driven::ready(Reconnect { attempts: 4, ..reconnect() });
    call.create(1, None, false);
    call.cut(0, Some(1011), "");
    let mut times = Vec::new();
    for conn in 1.. {
        let before = call.now;
        while !call.drain().iter().any(|output| output.starts_with("connect")) && call.now < before + 60_000 {
            call.wait(1);
        }
        if call.call.is_ended() || call.now >= before + 60_000 {
            break;
        }
        times.push(call.now - before);
        let reason = DisconnectReason::Lost { reason: "no route".into() };
        call.call.handle_disconnected(at(call.now), ConnectionId(conn), reason);
        if call.call.is_ended() {
            let outputs = call.drain();
            assert_eq!(outputs, ["settled 1 closed", "lost transient retry None", "closed disconnected"]);
            break;
        }
    }
    assert_eq!(times, [1000, 2000, 4000, 8000]);
    assert_eq!(call.command(2, Command::Close {}).unwrap_err().reason, Refusal::Ended);
}

#[test]
fn a_server_that_says_when_is_asked_no_earlier() {
    for (asked, waits) in [(None, 2000), (Some(60), 60_000), (Some(1), 2000), (Some(100_000), 120_000)] {
        let mut call = Driven::ready(reconnect());
        call.cut(0, None, "");
        call.wait(1000);
        call.drain();
        let retry_after = asked.map(Duration::from_secs);
        let reason = DisconnectReason::Refused { status: 429, reason: "busy".into(), retry_after };
        call.call.handle_disconnected(at(call.now), ConnectionId(1), reason);
        let retry = call.now + waits;
        assert_eq!(call.drain(), [format!("lost transient retry {:?}", Some(retry))], "{asked:?}");
    }
}

#[test]
fn the_count_of_attempts_starts_anew_only_after_a_healthy_period() {
    for (served, next) in [(59_999, 2000), (60_000, 1000)] {
        let mut call = Driven::ready(reconnect());
        call.cut(0, None, "");
        call.wait(1000);
        call.open(1);
        call.seed(1, Seed::default());
        call.wait(served);
        call.drain();
        call.cut(1, None, "");
        assert_eq!(call.drain(), [format!("lost transient retry Some({})", call.now + next)]);
    }
}

#[test]
fn an_error_of_the_account_ends_a_call_that_has_no_other_endpoint() {
    let mut call = Driven::ready(reconnect());
    let error = json!({"type": "error", "error": {"code": "insufficient_quota", "message": "no money"}});
    call.hear(0, error);
    assert_eq!(call.drain(), ["server_error", "close 0", "lost account retry None", "closed fatal"]);
}

#[test]
fn an_error_of_the_account_moves_the_call_to_the_next_endpoint_until_the_first_has_rested() {
    let two = Reconnect { endpoints: alloc::vec![Dialect::Ga; 2], ..reconnect() };
    for failed_response in [false, true] {
        let mut call = Driven::ready(two.clone());
        let error = json!({"type": "invalid_request_error", "code": "insufficient_quota"});
        if failed_response {
            call.hear(0, json!({"type": "response.created", "response": {"id": "r0"}}));
            let details = json!({"error": error});
            let response = json!({"id": "r0", "status": "failed", "status_details": details});
            call.hear(0, json!({"type": "response.done", "response": response}));
        } else {
            call.hear(0, json!({"type": "error", "error": error}));
        }
        let outputs = call.drain();
        let moved = ["close 0", "lost account retry Some(0)", "retrying 1 to 1", "connect 1 to 1"];
        assert_eq!(outputs[outputs.len() - 4..], moved, "{outputs:?}");
        call.open(1);
        call.seed(1, Seed::default());
        call.wait(59_000);
        call.drain();
        call.cut(1, None, "");
        call.wait(2000);
        let outputs = call.drain();
        assert_eq!(outputs[1..], ["retrying 2 to 0", "connect 2 to 0"], "{outputs:?}");
    }
}

#[test]
fn what_was_not_acknowledged_is_carried_over_and_the_rest_fails() {
    let mut call = Driven::ready(reconnect());
    call.create(1, None, false);
    call.create(2, Some("mine"), true);
    call.command(3, Command::RetrieveItem { item_id: "x".into() }).unwrap();
    call.command(4, Command::DeleteItem { item_id: "x".into() }).unwrap();
    let config = crate::session_config::SessionConfig::default().instructions("Sing.");
    call.command(5, Command::UpdateConfig { config: config.into() }).unwrap();
    call.command(6, Command::CreateResponse { params: None, protected: false }).unwrap();
    let sent = texts(&call.outputs());
    call.cut(0, None, "");
    let mut outputs = call.drain();
    outputs.sort();
    assert_eq!(outputs, ["lost transient retry Some(1000)", "settled 3 closed", "settled 4 closed"]);
    // While there is no connection, some wait and some are refused.
    let refused = call.command(7, Command::RetrieveItem { item_id: "x".into() }).unwrap_err();
    assert_eq!(refused.reason, Refusal::NotConnected);
    call.create(8, None, false);
    call.command(9, Command::Interrupt {}).unwrap();
    assert_eq!(call.drain(), ["settled 9 done"]);
    call.wait(1000);
    call.open(1);
    call.drain();
    call.seed(1, Seed::default());
    let outputs = call.outputs();
    let text = texts(&outputs);
    let kinds: Vec<String> = outputs.iter().map(describe).skip(3).collect();
    assert_eq!(
        kinds,
        [
            "item_sent",
            "1> conversation.item.create",
            "item_sent",
            "1> conversation.item.create",
            "1> session.update",
            "item_sent",
            "1> conversation.item.create",
            "1> response.create"
        ],
        "one reply for the item, and the request merges with it"
    );
    assert!(text.contains("Sing.") && text.contains("\"mine\""));
    assert!(!text.contains("before"), "the place named an item of the lost connection");
    let ids = |text: &str| -> Vec<String> {
        let ids = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ids = ids.flat_map(|event| [event["event_id"].clone(), event["item"]["id"].clone()]);
        ids.filter_map(|id| id.as_str().map(String::from)).filter(|id| id != "mine").collect()
    };
    for id in ids(&sent) {
        assert!(!text.contains(&format!("\"{id}\"")), "{id}");
    }
}

#[test]
fn a_seed_that_says_what_is_on_its_way_takes_its_place() {
    let mut call = Driven::ready(reconnect());
    call.create(1, Some("mine"), true);
    call.drain();
    call.cut(0, None, "");
    call.wait(1000);
    call.open(1);
    assert!(call.drain().contains(&"seed 1 mine".to_string()));
    let mut item = Item::user_text("hello");
    item.set_id("ctx_9".into());
    let replaces = [("mine".into(), "ctx_9".into())].into();
    call.seed(1, Seed { items: [item.clone()].into(), replaces, ..Seed::default() });
    call.drain();
    call.hear(1, json!({"type": "conversation.item.added", "item": item}));
    let outputs = call.drain();
    assert_eq!(outputs[4..], ["resumed gap 1000 lost 0", "settled 1 added", "1> response.create"]);
}

#[test]
fn a_reply_that_was_due_is_asked_for_once() {
    let mut call = Driven::ready(reconnect());
    call.hear(0, json!({"type": "input_audio_buffer.speech_started", "item_id": "u"}));
    call.hear(0, json!({"type": "input_audio_buffer.speech_stopped", "item_id": "u"}));
    call.hear(0, json!({"type": "input_audio_buffer.committed", "item_id": "u"}));
    call.cut(0, None, "");
    call.wait(1000);
    call.open(1);
    call.drain();
    call.seed(1, Seed::default());
    let asked = |outputs: &[String]| outputs.iter().filter(|output| *output == "1> response.create").count();
    assert_eq!(asked(&call.drain()), 1);
    call.hear(1, json!({"type": "response.created", "response": {"id": "r1"}}));
    call.hear(1, json!({"type": "response.done", "response": {"id": "r1", "status": "completed"}}));
    let outputs = call.drain();
    assert_eq!(outputs, ["response_started", "response_finished"], "nobody is told of our own request");
}

#[test]
fn a_call_that_lost_its_connection_is_worked_on_once_and_answered() {
    for known_before in [false, true] {
        let mut call = Driven::ready(reconnect());
        let made = |conn: u32, arguments: &str| {
            let item = json!({"type": "function_call", "id": format!("i{conn}"), "call_id": format!("c{conn}"),
                "name": "book", "arguments": arguments, "status": "completed"});
            let response = json!({"id": format!("r{conn}"), "status": "completed", "output": [item]});
            json!({"type": "response.done", "response": response})
        };
        call.hear(0, made(0, r#"{"a":1,"b":2}"#));
        assert!(call.drain().contains(&"function_calls".to_string()));
        call.cut(0, None, "");
        assert_eq!(call.drain(), ["function_ended detached", "lost transient retry Some(1000)"]);
        let complete = || Command::AnswerFunction {
            call_id: "c0".into(),
            output: FunctionOutput::Result(json!("booked")),
            respond: true,
        };
        if known_before {
            call.command(1, complete()).unwrap();
            assert_eq!(call.drain(), ["settled 1 closed"]);
        }
        call.wait(1000);
        call.open(1);
        call.seed(1, Seed::default());
        assert!(call.drain().contains(&"1> response.create".to_string()), "the reply was due");
        call.hear(1, json!({"type": "response.created", "response": {"id": "r1"}}));
        call.hear(1, made(1, r#"{ "b": 2, "a": 1 }"#));
        let mut outputs = call.outputs();
        if !known_before {
            assert_eq!(
                outputs.iter().map(describe).collect::<Vec<_>>(),
                ["response_started", "response_finished"]
            );
            call.command(1, complete()).unwrap();
            outputs = call.outputs();
        }
        let text = texts(&outputs);
        assert!(!text.contains("function_calls") && text.contains("function_ended result"), "{text}");
        assert!(text.contains(r#""call_id":"c1""#) && text.contains("booked"), "{text}");
        assert!(!text.contains("c0"), "{text}");
        let refused = call.command(2, complete()).unwrap_err();
        assert_eq!(refused.reason, Refusal::UnknownFunction { call_id: "c0".into() });
        assert!(
            matches!(&*refused.command, Command::AnswerFunction { call_id, .. } if call_id.as_str() == "c0")
        );
    }
}

#[test]
fn a_close_in_the_gap_settles_everything() {
    let mut call = Driven::ready(reconnect());
    call.create(1, None, true);
    call.cut(0, None, "");
    call.wait(1000);
    call.drain();
    call.command(2, Command::Close {}).unwrap();
    assert_eq!(call.drain(), ["settled 1 closed", "settled 2 done", "close 1", "closed requested"]);
    assert_eq!(call.call.poll_timeout(), None);
}

#[test]
fn a_reader_that_is_too_slow_ends_the_call_for_good() {
    for (cut, outputs) in [
        (false, ["close 0", "settled 1 closed", "closed consumer_too_slow"].as_slice()),
        (true, &["settled 1 closed", "close 1", "closed consumer_too_slow"]),
    ] {
        let mut call = Driven::ready(reconnect());
        call.create(1, None, true);
        if cut {
            call.cut(0, None, "");
            call.wait(1000);
        }
        call.drain();
        call.call.handle_shortfall(at(call.now), Shortfall::TooSlow);
        let mut came = call.drain();
        if !cut {
            call.cut(0, None, "");
            came.extend(call.drain());
        }
        assert_eq!(came, outputs);
        assert_eq!(call.call.poll_timeout(), None);
    }
}

#[test]
fn audio_lost_while_nothing_serves_is_told() {
    let mut call = Driven::ready(reconnect());
    call.cut(0, None, "");
    call.drain();
    call.call.handle_shortfall(at(call.now), Shortfall::Unsent { bytes: 960 });
    assert_eq!(call.drain(), ["warning"]);
}

#[test]
fn a_seed_that_is_never_acknowledged_holds_the_call_up_only_so_long() {
    let mut call = Driven::ready(reconnect());
    call.cut(0, None, "");
    call.wait(1000);
    call.open(1);
    call.seed(1, Seed { items: [Item::user_text("a")].into(), ..Seed::default() });
    call.drain();
    call.wait(5000);
    assert!(call.drain().contains(&"resumed gap 6000 lost 0".to_string()));
    call.wait(60_000);
    assert!(!call.drain().iter().any(|output| output.starts_with("settled")), "nobody asked for it");
}

#[test]
fn what_is_reported_of_an_earlier_session_is_not_taken_for_something_of_the_new_one() {
    let mut call = Driven::ready(reconnect());
    let mark = |conn: u32, call: &mut Driven| {
        let mut audio = String::new();
        crate::audio::Audio::from(std::vec![0; 4800]).encode_into(&mut audio);
        call.hear(conn, json!({"type": "response.created", "response": {"id": "r"}}));
        let delta = json!({"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": audio});
        call.hear(conn, delta);
        let marks = call.outputs().into_iter().filter_map(|output| match output {
            Output::Event(Event::Audio(chunk)) => Some(chunk.mark),
            _ => None,
        });
        marks.last().unwrap()
    };
    let before = mark(0, &mut call);
    call.cut(0, None, "");
    call.wait(1000);
    call.open(1);
    call.seed(1, Seed::default());
    assert_ne!(mark(1, &mut call), before);
}

#[test]
fn calls_out_of_band_are_shown_and_not_kept() {
    let mut call = Driven::ready(reconnect());
    let item = json!({"type": "function_call", "id": "i", "call_id": "c", "name": "book", "arguments": "{}",
        "status": "completed"});
    let response = json!({"id": "r", "conversation_id": null, "status": "completed", "output": [item]});
    call.hear(0, json!({"type": "response.done", "response": response}));
    assert_eq!(call.drain().last().map(String::as_str), Some("function_calls"));
    call.cut(0, None, "");
    assert_eq!(call.drain(), ["lost transient retry Some(1000)"]);
}

#[test]
fn a_push_to_talk_turn_goes_on_over_a_lost_connection() {
    let mut config = crate::session_config::SessionConfig::realtime();
    config.input_mut().turn_detection = crate::field::Field::Null;
    let pre_roll = Some(Duration::from_millis(100));
    let session = SessionOptions { config, pre_roll, ..SessionOptions::default() };
    let options = CallOptions { session, reconnect: reconnect() };
    let mut call = Driven { call: Call::new(options), now: 0 };
    call.open(0);
    call.media(Media::BeginTurn);
    call.drain();
    call.cut(0, None, "");
    call.speak(300);
    call.wait(1000);
    call.open(1);
    call.seed(1, Seed::default());
    assert_eq!(call.drain().last().map(String::as_str), Some("1> input_audio_buffer.append"));
    call.command(2, Command::CommitAudio { respond: true }).unwrap();
    assert_eq!(call.drain(), ["1> input_audio_buffer.commit", "1> response.create"]);
}

#[test]
fn a_call_that_moves_to_another_endpoint_speaks_its_dialect() {
    let endpoints = alloc::vec![Dialect::Ga, Dialect::Beta];
    let mut call = Driven::ready(Reconnect { endpoints, ..reconnect() });
    call.hear(0, json!({"type": "error", "error": {"code": "insufficient_quota"}}));
    call.drain();
    call.open(1);
    let sent = call.outputs().into_iter().find_map(|output| match output {
        Output::Send { dialect, event, .. } => Some((dialect, event.encode(dialect))),
        _ => None,
    });
    let (dialect, update) = sent.unwrap();
    assert_eq!(dialect, Dialect::Beta);
    assert!(!update.contains(r#""type":"realtime""#), "only GA has that: {update}");
    call.seed(1, Seed::default());
    call.drain();
    call.hear(1, json!({"type": "response.created", "response": {"id": "r1"}}));
    let delta = json!({"response_id": "r1", "item_id": "i1", "type": "response.text.delta", "delta": "Hi."});
    call.hear(1, delta);
    assert_eq!(call.drain(), ["response_started", "text"]);
}
