//! A session whose server writes what is almost JSON: the words are told, the functions run, and a warning
//! says so.

use realtime_protocol::call::Event;
use realtime_protocol::session::{Output, Session, SessionOptions};
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::Value;

/// What a ready session tells of these texts.
fn told(texts: &[&str]) -> Vec<Value> {
    let mut session = Session::new(SessionOptions::default());
    session.handle_connected(Timestamp::ZERO, UnixTime::from_secs(1));
    session.handle_text(Timestamp::ZERO, r#"{"type":"session.created","session":{"id":"s"}}"#);
    session.handle_text(Timestamp::ZERO, r#"{"type":"session.updated","session":{}}"#);
    while session.poll_output().is_some() {}
    for text in texts {
        session.handle_text(Timestamp::from_millis(1), text);
    }
    let outputs = std::iter::from_fn(|| session.poll_output());
    outputs
        .filter_map(|output| if let Output::Event(event) = output { Some(json(&event)) } else { None })
        .collect()
}

fn json(event: &Event) -> Value {
    serde_json::to_value(event).expect("events are JSON")
}

/// The values at such a place of all that was told.
fn all<'a>(told: &'a [Value], pointer: &str) -> Vec<&'a str> {
    told.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

#[test]
fn an_emoji_that_is_split_over_two_deltas_costs_two_characters() {
    let delta = |words: &str| {
        format!(
            r#"{{"type":"response.output_audio_transcript.delta","response_id":"r","item_id":"i","delta":"{words}"}}"#
        )
    };
    let told = told(&[
        r#"{"type":"response.created","response":{"id":"r"}}"#,
        &delta(r"well done \ud83d"),
        &delta(r"\ude00 and thanks"),
    ]);
    assert_eq!(all(&told, "/text/delta").concat(), "well done \u{fffd}\u{fffd} and thanks");
    assert_eq!(all(&told, "/warning/mismatch/mismatch").len(), 2, "{told:?}");
}

#[test]
fn a_users_words_stay_beside_what_cannot_be_read() {
    let told = told(&[r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"u",
        "transcript":"cancel my order \ud83d","logprobs":[{"token":"x","logprob":NaN}]}"#]);
    assert_eq!(all(&told, "/user_transcript/transcript"), ["cancel my order \u{fffd}"]);
    assert_eq!(all(&told, "/warning/mismatch/mismatch").len(), 2, "{told:?}");
}

#[test]
fn a_function_gets_arguments_that_any_reader_of_json_takes() {
    let call = |arguments: &str| {
        let arguments = serde_json::to_string(arguments).unwrap();
        format!(
            r#"{{"type":"response.done","response":{{"id":"r","status":"completed","output":[
                {{"type":"function_call","id":"i","call_id":"c","name":"order","arguments":{arguments}}}]}}}}"#
        )
    };
    let begin = r#"{"type":"response.created","response":{"id":"r"}}"#;
    let ran = told(&[begin, &call(r#"{"note":"thanks \ud83d","amount":5}"#)]);
    let ran = all(&ran, "/function_calls/calls/0/arguments");
    assert_eq!(ran, [r#"{"note":"thanks \ufffd","amount":5}"#]);
    assert!(serde_json::from_str::<Value>(ran[0]).is_ok());
    // A number that is missing could mean anything.
    let refused = told(&[begin, &call(r#"{"amount":NaN}"#)]);
    assert_eq!(all(&refused, "/function_calls/calls/0/arguments"), [""; 0]);
}
