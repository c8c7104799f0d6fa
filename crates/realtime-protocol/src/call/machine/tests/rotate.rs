//! A connection is replaced before it ends.

use super::*;
use crate::call::Refusal;
use crate::event::Dialect;
use crate::session_config::Transcription;

/// A session that ends an hour after the time of day at which the tests connect.
fn an_hour() -> Value {
    json!({"id": "sess", "expires_at": 1_000_000 + 3600})
}

fn hour_call() -> Driven {
    let mut call = Driven::new(reconnect());
    call.open_with(0, an_hour());
    call.drain();
    call
}

/// Up to the moment at which the new connection is ready.
fn rotating() -> Driven {
    let mut call = hour_call();
    call.wait(55 * 60_000);
    assert_eq!(call.drain(), ["connect 1 to 0"]);
    call
}

#[test]
fn a_session_is_replaced_before_its_age_limit() {
    let mut call = hour_call();
    call.wait(55 * 60_000 - 1);
    assert!(call.drain().is_empty());
    call.wait(1);
    assert_eq!(call.drain(), ["connect 1 to 0"]);
    call.speak(20);
    assert_eq!(call.drain(), ["0> input_audio_buffer.append"]);
    call.open_with(1, an_hour());
    assert_eq!(call.drain(), ["1> session.update", "seed 1"]);
    call.wait(100);
    call.speak(20);
    call.create(1, None, true);
    assert!(call.drain().is_empty(), "it waits for the new session");
    call.seed(1, Seed::default());
    assert_eq!(
        call.drain(),
        [
            "close 0",
            "created",
            "config_updated",
            "rotated gap 100 lost 0",
            "item_sent",
            "1> conversation.item.create",
            "1> response.create",
            "1> input_audio_buffer.append"
        ]
    );
    call.cut(0, Some(1000), "");
    assert!(call.drain().is_empty(), "the old one is nobody's any more");
    call.wait(55 * 60_000);
    assert_eq!(call.drain().last().map(String::as_str), Some("connect 2 to 0"), "and so on");
}

#[test]
fn it_waits_for_the_end_of_the_turn() {
    let mut call = rotating();
    call.hear(0, json!({"type": "input_audio_buffer.speech_started", "item_id": "u"}));
    call.drain();
    call.open_with(1, an_hour());
    assert_eq!(call.drain(), ["1> session.update"]);
    call.hear(0, json!({"type": "input_audio_buffer.speech_stopped", "item_id": "u"}));
    call.hear(0, json!({"type": "response.created", "response": {"id": "r"}}));
    let mut audio = String::new();
    crate::audio::Audio::from(std::vec![0; 48_000]).encode_into(&mut audio);
    call.hear(
        0,
        json!({"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": audio}),
    );
    call.hear(0, json!({"type": "response.done", "response": {"id": "r", "status": "completed"}}));
    assert!(!call.drain().contains(&"seed 1".to_string()), "one second is still audible");
    call.wait(999);
    assert!(call.drain().is_empty());
    call.wait(1);
    assert_eq!(call.drain(), ["seed 1"]);
}

/// A call whose user has spoken and got an answer; the words are not there, and another connection is ready.
fn without_the_users_words() -> Driven {
    let mut config = SessionConfig::realtime();
    config.input_mut().transcription = Transcription::default().model("whisper-1").into();
    let mut call = Driven::with(config, reconnect());
    call.open_with(0, an_hour());
    call.wait(55 * 60_000);
    call.hear(0, json!({"type": "input_audio_buffer.speech_started", "item_id": "u"}));
    call.hear(0, json!({"type": "input_audio_buffer.speech_stopped", "item_id": "u"}));
    call.hear(0, json!({"type": "input_audio_buffer.committed", "item_id": "u"}));
    call.hear(0, json!({"type": "response.created", "response": {"id": "r"}}));
    call.hear(0, json!({"type": "response.done", "response": {"id": "r", "status": "completed"}}));
    call.drain();
    call.open_with(1, an_hour());
    assert_eq!(call.drain(), ["1> session.update"], "what the user said would be missing");
    call
}

#[test]
fn it_waits_for_what_the_user_said() {
    let end = "conversation.item.input_audio_transcription";
    for (came, told) in [("completed", "user_transcript"), ("failed", "user_transcript_failed")] {
        let mut call = without_the_users_words();
        call.wait(2000);
        assert!(call.drain().is_empty());
        call.hear(0, json!({"type": format!("{end}.{came}"), "item_id": "u", "transcript": "hello"}));
        assert_eq!(call.drain(), [told, "seed 1"]);
    }
}

#[test]
fn it_does_not_wait_for_ever_for_what_the_user_said() {
    let mut call = without_the_users_words();
    call.wait(2_999);
    assert!(call.drain().is_empty());
    call.wait(1);
    assert_eq!(call.drain(), ["seed 1"]);
    let mut call = without_the_users_words();
    call.command(1, Command::Rotate { endpoint: None, urgent: true }).unwrap();
    assert_eq!(call.drain(), ["close 0", "seed 1"]);
}

#[test]
fn speech_on_the_old_session_aborts_the_change() {
    let mut call = rotating();
    call.open_with(1, an_hour());
    call.drain();
    call.speak(20);
    call.create(1, None, false);
    call.seed(1, Seed { items: [Item::user_text("a")].into(), ..Seed::default() });
    assert_eq!(call.drain(), ["1> conversation.item.create"]);
    call.hear(0, json!({"type": "input_audio_buffer.speech_started", "item_id": "u"}));
    assert_eq!(
        call.drain(),
        [
            "speech_started",
            "close 1",
            "item_sent",
            "0> conversation.item.create",
            "0> input_audio_buffer.append"
        ]
    );
    call.speak(20);
    assert_eq!(call.drain(), ["0> input_audio_buffer.append"]);
    call.wait(1000);
    assert_eq!(call.drain(), ["connect 2 to 0"]);
}

#[test]
fn a_command_about_the_old_session_aborts_the_change_too() {
    let mut call = rotating();
    call.open_with(1, an_hour());
    call.drain();
    call.command(1, Command::DeleteItem { item_id: "x".into() }).unwrap();
    assert_eq!(call.drain(), ["close 1", "0> conversation.item.delete"]);
}

#[test]
fn the_new_connection_serves_at_once_when_the_old_one_is_lost_meanwhile() {
    let mut call = rotating();
    call.hear(0, json!({"type": "input_audio_buffer.speech_started", "item_id": "u"}));
    call.open_with(1, an_hour());
    call.drain();
    call.cut(0, Some(1001), "session_expired");
    let now = call.now;
    assert_eq!(call.drain(), [format!("lost expired retry Some({now})"), "seed 1".to_string()]);
    call.seed(1, Seed::default());
    assert_eq!(call.drain(), ["created", "config_updated", "resumed gap 0 lost 0"]);
}

#[test]
fn a_new_connection_that_fails_is_tried_again_and_the_old_one_serves_on() {
    let mut call = rotating();
    for (conn, wait) in [(1, 1000), (2, 2000), (3, 4000)] {
        call.cut(conn, Some(1013), "");
        assert!(call.drain().is_empty());
        call.wait(wait - 1);
        call.speak(20);
        assert_eq!(call.drain(), ["0> input_audio_buffer.append"]);
        call.wait(1);
        assert_eq!(call.drain(), [format!("connect {} to 0", conn + 1)]);
    }
}

#[test]
fn the_new_session_is_configured_as_the_old_one_is_in_the_end() {
    let mut call = rotating();
    call.hear(0, json!({"type": "input_audio_buffer.speech_started", "item_id": "u"}));
    call.open_with(1, an_hour());
    let config = crate::session_config::SessionConfig::default().instructions("Sing.");
    call.command(1, Command::UpdateConfig { config: config.into() }).unwrap();
    call.hear(0, json!({"type": "session.updated", "session": {}}));
    call.drain();
    call.cut(0, None, "");
    call.seed(1, Seed { instructions: Some("Sing.".into()), ..Seed::default() });
    let text = texts(&call.outputs());
    assert_eq!(text.matches("Sing.").count(), 1, "{text}");
}

#[test]
fn an_urgent_change_waits_for_nothing_and_goes_where_it_is_told() {
    let mut call = Driven::ready(Reconnect { endpoints: alloc::vec![Dialect::Ga; 2], ..reconnect() });
    let rotate = |endpoint| Command::Rotate { endpoint, urgent: true };
    let refused = call.command(1, rotate(Some(2))).unwrap_err();
    assert_eq!(refused.reason, Refusal::NoSuchEndpoint { endpoint: 2, endpoints: 2 });
    call.command(2, Command::CreateResponse { params: None, protected: false }).unwrap();
    call.command(3, rotate(Some(1))).unwrap();
    assert_eq!(call.drain(), ["0> response.create", "connect 1 to 1"]);
    call.speak(20);
    call.open(1);
    call.seed(1, Seed::default());
    assert_eq!(
        call.drain(),
        [
            "1> session.update",
            "close 0",
            "seed 1",
            "created",
            "config_updated",
            "rotated gap 0 lost 0",
            "settled 3 done",
            "1> response.create",
            "1> input_audio_buffer.append"
        ]
    );
}

#[test]
fn what_was_under_way_is_settled_before_an_urgent_change_asks_for_the_seed() {
    let mut call = Driven::ready(reconnect());
    call.command(1, Command::Rotate { endpoint: None, urgent: true }).unwrap();
    let work = json!({"type": "function_call", "call_id": "c", "name": "work", "arguments": "{}"});
    let done = json!({"id": "r", "status": "completed", "output": [work]});
    call.hear(0, json!({"type": "response.created", "response": {"id": "r"}}));
    call.hear(0, json!({"type": "response.done", "response": done}));
    call.drain();
    call.open(1);
    assert_eq!(call.drain(), ["1> session.update", "close 0", "function_ended detached", "seed 1"]);
    call.hear(0, json!({"type": "response.created", "response": {"id": "r2"}}));
    assert!(call.drain().is_empty(), "it is nobody's any more");
    call.wait(100);
    call.seed(1, Seed::default());
    assert_eq!(call.drain()[2..], ["rotated gap 100 lost 0", "settled 1 done", "1> response.create"]);
}

#[test]
fn a_change_that_becomes_urgent_ends_the_old_session_at_once() {
    let mut call = rotating();
    call.open_with(1, an_hour());
    assert_eq!(call.drain(), ["1> session.update", "seed 1"]);
    call.command(1, Command::Rotate { endpoint: None, urgent: true }).unwrap();
    assert_eq!(call.drain(), ["close 0"]);
    call.seed(1, Seed::default());
    assert_eq!(call.drain(), ["created", "config_updated", "rotated gap 0 lost 0", "settled 1 done"]);
}

#[test]
fn a_new_connection_that_fails_after_an_urgent_change_began_is_made_again() {
    let mut call = Driven::ready(reconnect());
    call.command(1, Command::Rotate { endpoint: None, urgent: true }).unwrap();
    call.open(1);
    assert_eq!(call.drain(), ["connect 1 to 0", "1> session.update", "close 0", "seed 1"]);
    call.wait(100);
    call.cut(1, Some(1006), "");
    call.wait(1000);
    let outputs = call.drain();
    assert_eq!(outputs, ["lost transient retry Some(1100)", "retrying 1 to 0", "connect 2 to 0"]);
    call.open(2);
    call.seed(2, Seed::default());
    let last = ["created", "config_updated", "resumed gap 1100 lost 0", "settled 1 done"];
    assert_eq!(call.drain()[2..], last);
}

#[test]
fn an_age_limit_that_no_clock_can_mean_is_ignored() {
    let mut call = Driven::new(reconnect());
    call.open_with(0, json!({"id": "sess", "expires_at": 7}));
    call.wait(3_600_000);
    assert!(!call.drain().iter().any(|output| output == "connect 1 to 0"));
    // An expiry that is too far ahead counts as an hour ahead.
    let mut call = Driven::new(reconnect());
    call.open_with(0, json!({"id": "sess", "expires_at": 9_000_000_000_u64}));
    call.wait(55 * 60_000);
    assert!(call.drain().contains(&"connect 1 to 0".to_string()));
}

#[test]
fn a_close_takes_the_other_connection_along() {
    let mut call = rotating();
    call.command(1, Command::Close {}).unwrap();
    assert_eq!(call.drain(), ["close 1", "close 0"]);
    call.cut(1, None, "");
    call.cut(0, None, "");
    assert_eq!(call.drain(), ["settled 1 done", "closed requested"]);
}

#[test]
fn a_frozen_server_is_left_at_once_and_the_next_one_gives_the_reply() {
    let mut call = Driven::ready(reconnect());
    call.command(1, Command::CreateResponse { params: None, protected: false }).unwrap();
    call.hear(0, json!({"type": "response.created", "response": {"id": "r"}}));
    call.hear(0, json!({"type": "response.done", "response": {"id": "r", "status": "completed"}}));
    call.drain();
    call.create(2, Some("mine"), true);
    let mut item = Item::user_text("hello");
    item.set_id("mine".into());
    call.hear(0, json!({"type": "conversation.item.added", "item": item}));
    assert!(call.drain().contains(&"0> response.create".to_string()));
    call.wait(9_999);
    assert!(call.drain().is_empty());
    call.wait(1);
    assert_eq!(call.drain(), ["overdue", "connect 1 to 0"], "it used to answer");
    call.speak(20);
    assert!(call.drain().is_empty());
    call.open(1);
    call.seed(1, Seed::default());
    assert_eq!(
        call.drain(),
        [
            "1> session.update",
            "close 0",
            "seed 1",
            "created",
            "config_updated",
            "rotated gap 0 lost 0",
            "1> response.create",
            "1> input_audio_buffer.append"
        ]
    );
}

#[test]
fn a_server_that_falls_silent_is_replaced_in_the_middle_of_the_turn() {
    let mut call = Driven::ready(reconnect());
    // It used to answer.
    call.command(1, Command::CreateResponse { params: None, protected: false }).unwrap();
    call.hear(0, json!({"type": "response.created", "response": {"id": "r"}}));
    call.hear(0, json!({"type": "response.done", "response": {"id": "r", "status": "completed"}}));
    call.create(2, None, true);
    call.drain();
    call.wait(9_999);
    assert!(call.drain().is_empty());
    call.wait(1);
    let outputs = call.drain();
    assert!(outputs.contains(&"overdue".to_string()) && outputs.contains(&"connect 1 to 0".to_string()));
    call.speak(20);
    assert!(call.drain().is_empty(), "what is said to it would be lost");
    call.open(1);
    call.seed(1, Seed::default());
    let outputs = call.drain();
    assert_eq!(outputs[..3], ["1> session.update", "close 0", "seed 1"]);
    assert_eq!(outputs.last().map(String::as_str), Some("1> input_audio_buffer.append"));
}
