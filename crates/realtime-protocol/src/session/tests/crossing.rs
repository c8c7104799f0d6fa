//! The user speaks between a request and the response to it: nothing of that is heard, what is owed stays
//! owed, and each waiter is told what became of its request.

use super::*;
use crate::call::{FunctionOutput, ResponseEnd};

/// The end that a command was told, and whether another response took the place of its own.
fn end(bench: &Bench, command: u64) -> (bool, ResponseEnd) {
    bench
        .told()
        .find_map(|event| match event {
            Event::Settled { id: CommandId(id), outcome: Outcome::Responded { end, .. } }
                if *id == command =>
            {
                Some((false, end.clone()))
            }
            Event::Settled { id: CommandId(id), outcome: Outcome::Superseded { end, .. } }
                if *id == command =>
            {
                Some((true, end.clone()))
            }
            _ => None,
        })
        .unwrap()
}

/// A function was answered and the follow-up was sent. `placed`: whether the output has its place.
fn following_up(options: SessionOptions, placed: bool) -> Bench {
    let mut bench = Bench::ready_with(options);
    bench.app(append(100));
    bench.server(created("r1"));
    let mut event = done("r1", "completed");
    event["response"]["output"] =
        json!([{"type": "function_call", "id": "i", "call_id": "c1", "name": "f", "arguments": "{}"}]);
    bench.server(event);
    let output = FunctionOutput::Result(json!(7));
    let out = bench.app(Command::AnswerFunction { call_id: "c1".into(), output, respond: true });
    assert_eq!(out.last().map(String::as_str), Some("> response.create"));
    if placed {
        let item = json!({"type": "function_call_output", "id": bench.sent()[0]["item"]["id"]});
        bench.server(json!({"type": "conversation.item.added", "item": item}));
    }
    bench
}

fn without_answers() -> SessionOptions {
    configured(
        r#"{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","create_response":false}}}}"#,
    )
}

#[test]
fn a_greeting_that_begins_in_mid_speech_is_cancelled_and_not_heard() {
    let mut bench = Bench::ready();
    bench.app(create_with(json!({"instructions": "greet"})));
    assert_eq!(bench.server(speech_started()), ["speech_started"]);
    assert_eq!(bench.server(created("r1")), ["response_started", "> response.cancel"]);
    assert_eq!(bench.sent()[0]["response_id"], "r1");
    assert!(bench.server(audio_delta("r1", "i1", 100)).is_empty());
    assert_eq!(bench.server(done("r1", "cancelled")), ["response_finished", "1 responded"]);
    assert_eq!(end(&bench, 1), (false, ResponseEnd::Cancelled { reason: None }));
    bench.server(speech_stopped());
    bench.server(created("r2"));
    assert_eq!(bench.server(audio_delta("r2", "i2", 100)), ["audio"], "the answer to the user is heard");
    assert_eq!(bench.server(done("r2", "completed")), ["response_finished"]);
}

#[test]
fn the_answer_to_the_user_takes_the_place_of_a_greeting_that_never_began() {
    let mut bench = Bench::ready();
    bench.app(create_with(json!({"instructions": "greet"})));
    bench.server(speech_started());
    bench.server(speech_stopped());
    assert_eq!(bench.server(created("r1")), ["response_started"]);
    assert_eq!(bench.server(audio_delta("r1", "i1", 100)), ["audio"]);
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished", "1 superseded"]);
    assert_eq!(end(&bench, 1), (true, ResponseEnd::Completed));
    assert!(bench.later(30_000).is_empty());
}

#[test]
fn speech_that_begins_just_after_the_response_did_has_the_same_end() {
    let mut bench = Bench::ready();
    bench.app(create_with(json!({"instructions": "greet"})));
    bench.server(created("r1"));
    assert_eq!(bench.server(speech_started()), ["speech_started", "interrupted"]);
    assert!(bench.server(audio_delta("r1", "i1", 100)).is_empty());
    assert_eq!(bench.server(done("r1", "cancelled")), ["response_finished", "1 responded"]);
    assert_eq!(end(&bench, 1), (false, ResponseEnd::Cancelled { reason: None }));
}

/// How a follow-up and the user's speech meet.
const ORDERS: [&[&str]; 4] = [
    &["speech", "created", "done"],
    &["created", "speech", "done"],
    &["interrupt", "created", "speech", "done"],
    &["created", "interrupt", "done", "speech"],
];

fn meet(bench: &mut Bench, order: &[&str]) {
    for what in order {
        match *what {
            "speech" => drop(bench.server(speech_started())),
            "created" => drop(bench.server(created("r2"))),
            "interrupt" => drop(bench.app(Command::Interrupt {})),
            _ => {
                assert!(bench.server(audio_delta("r2", "i2", 100)).is_empty(), "{order:?}");
                bench.server(done("r2", "cancelled"));
            }
        }
    }
}

#[test]
fn a_follow_up_that_the_user_crossed_is_served_by_the_answer_to_the_user() {
    for order in ORDERS {
        for placed in [true, false] {
            let mut bench = following_up(SessionOptions::default(), placed);
            meet(&mut bench, order);
            bench.server(speech_stopped());
            bench.server(created("r3"));
            let ended = bench.server(done("r3", "completed"));
            let again = ended.contains(&"> response.create".into());
            assert_eq!(again, !placed, "{order:?}: only an output that it can't have known is followed up");
        }
    }
}

#[test]
fn a_follow_up_that_the_user_crossed_is_asked_for_again_after_the_turn() {
    for order in ORDERS {
        let mut bench = following_up(without_answers(), true);
        meet(&mut bench, order);
        assert!(bench.later(1_000).is_empty(), "{order:?}: the user speaks");
        let out = bench.server(speech_stopped());
        assert_eq!(out, ["speech_stopped", "> response.create"], "{order:?}");
        bench.server(created("r3"));
        assert_eq!(bench.server(audio_delta("r3", "i3", 100)), ["audio"]);
        assert_eq!(bench.server(done("r3", "completed")), ["response_finished"]);
        assert!(bench.later(60_000).is_empty(), "{order:?}: once");
    }
}

#[test]
fn a_follow_up_is_owed_no_more_once_some_of_it_was_heard() {
    let mut bench = following_up(without_answers(), true);
    bench.server(created("r2"));
    bench.server(audio_delta("r2", "i2", 100));
    bench.server(speech_started());
    bench.stopped(None);
    bench.server(done("r2", "cancelled"));
    assert_eq!(bench.server(speech_stopped()), ["speech_stopped"]);
}

#[test]
fn a_turn_of_the_applications_own_holds_what_it_crossed_until_its_end() {
    for (end, sent) in [
        (
            Command::CommitAudio { respond: true },
            ["> input_audio_buffer.commit", "> response.create"].as_slice(),
        ),
        (Command::CommitAudio { respond: false }, ["> input_audio_buffer.commit"].as_slice()),
        (Command::ClearAudio {}, ["> input_audio_buffer.clear"].as_slice()),
    ] {
        let mut bench = following_up(manual(), true);
        assert_eq!(bench.app(Command::Interrupt {})[0], "> response.cancel");
        assert_eq!(bench.server(created("r2")), ["response_started"], "it is cancelled already");
        bench.server(done("r2", "cancelled"));
        for _ in 0..10 {
            bench.app(append(100));
            assert!(bench.later(1_000).is_empty(), "the user speaks");
        }
        assert_eq!(bench.app(end), sent);
        let acknowledged = match sent[0] {
            "> input_audio_buffer.clear" => json!({"type": "input_audio_buffer.cleared"}),
            _ => json!({"type": "input_audio_buffer.committed", "item_id": "u1"}),
        };
        let after = bench.server(acknowledged);
        let creates = sent.iter().map(|s| String::from(*s)).chain(after);
        assert_eq!(creates.filter(|what| what == "> response.create").count(), 1, "once");
    }
}

#[test]
fn an_interruption_that_nobody_speaks_after_delays_a_follow_up_alone() {
    let mut bench = following_up(SessionOptions::default(), true);
    bench.app(Command::Interrupt {});
    bench.server(created("r2"));
    bench.server(done("r2", "cancelled"));
    assert!(bench.later(2_000).is_empty());
    assert_eq!(bench.later(1_000), ["> response.create"]);
    // What is asked for anew goes out at once, and takes the follow-up along.
    let mut bench = following_up(SessionOptions::default(), true);
    bench.app(Command::Interrupt {});
    bench.server(created("r2"));
    bench.server(done("r2", "cancelled"));
    assert_eq!(bench.app(create()), ["> response.create"]);
    bench.server(created("r3"));
    bench.server(done("r3", "completed"));
    assert!(bench.later(60_000).is_empty());
}

#[test]
fn speech_that_does_not_interrupt_crosses_nothing() {
    let options = configured(
        r#"{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","interrupt_response":false}}}}"#,
    );
    let mut bench = Bench::ready_with(options);
    bench.app(create());
    bench.server(speech_started());
    assert_eq!(bench.server(created("r1")), ["response_started"]);
    assert_eq!(bench.server(audio_delta("r1", "i1", 100)), ["audio"]);
}

#[test]
fn speech_crosses_nothing_beside_the_conversation() {
    let mut bench = Bench::ready();
    bench.app(create_with(json!({"conversation": "none"})));
    bench.server(speech_started());
    bench.app(Command::Interrupt {});
    assert_eq!(bench.server(created_out_of_band("o1")), ["response_started"]);
    assert_eq!(bench.server(audio_delta("o1", "i1", 100)), ["audio"]);
    let mut event = done("o1", "completed");
    event["response"]["conversation_id"] = Value::Null;
    assert_eq!(bench.server(event), ["response_finished", "1 responded"]);
}

#[test]
fn a_server_that_drops_what_was_crossed_is_not_left_for_it() {
    let mut bench = Bench::ready_with(without_answers());
    bench.server(created("r0")); // it used to say so
    bench.server(done("r0", "completed"));
    bench.app(create());
    bench.server(speech_started());
    bench.server(speech_stopped());
    assert_eq!(bench.later(10_000), ["overdue", "1 timed_out"]);
    let overdue = Event::Overdue { answer: Answer::ResponseCreated, rotate: false };
    assert!(bench.told().any(|event| *event == overdue));
}

#[test]
fn a_crossed_request_that_the_server_refuses_is_refused() {
    let mut bench = Bench::ready();
    bench.app(create());
    let refused = already_runs(&bench.sent()[0]["event_id"]);
    bench.server(speech_started());
    assert_eq!(bench.server(refused), ["1 refused", "server_error"]);
}

#[test]
fn what_merged_is_told_apart_again_when_the_user_crosses_it() {
    let mut bench = Bench::ready_with(without_answers());
    bench.server(created("r0"));
    bench.app(create());
    let typed = Command::CreateItem { item: Item::user_text("and you?").into(), after: None, respond: true };
    bench.app(typed);
    assert_eq!(bench.server(done("r0", "completed")), ["response_finished", "> response.create"]);
    bench.server(speech_started());
    bench.server(created("r1"));
    assert_eq!(bench.server(done("r1", "cancelled")), ["response_finished", "1 responded"]);
    assert_eq!(
        bench.server(speech_stopped()),
        ["speech_stopped", "> response.create"],
        "the typed text is owed"
    );
}
