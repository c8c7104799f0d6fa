//! The user speaks over the assistant, and a policy decides whether that counts.

use super::*;
use crate::call::{HoldId, Warning};

/// What playback of the assistant's one response of 5 s is like when the tests begin: 100 ms have been heard.
fn speaking(policy: InterruptionPolicy) -> Bench {
    let mut bench = Bench::ready_with(options(policy));
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 5000));
    bench.app(played("i1", 100));
    bench
}

fn options(policy: InterruptionPolicy) -> SessionOptions {
    let mut options = SessionOptions { interruption: policy, ..SessionOptions::default() };
    options.config.input_mut().transcription = Field::Value(Default::default());
    options
}

/// 600 ms, and 500 ms of silence that the server's turn detection waits for.
const AFTER: InterruptionPolicy = InterruptionPolicy::after(Duration::from_millis(600));

const WORDS: InterruptionPolicy = InterruptionPolicy::after_words(2, Duration::from_secs(2));

fn started(item: &str) -> Value {
    json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": item})
}

fn committed(item: &str) -> Value {
    json!({"type": "input_audio_buffer.committed", "item_id": item})
}

fn words_of(item: &str, delta: &str) -> Value {
    json!({"type": "conversation.item.input_audio_transcription.delta", "item_id": item, "delta": delta})
}

fn transcript_of(item: &str, transcript: &str) -> Value {
    json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": item,
        "transcript": transcript})
}

fn held(id: u64, ms: u64) -> Media {
    Media::Report(PlaybackReport::Held { id: HoldId(id), at: Some(position("i1", ms)) })
}

/// The turn detection of the first update that was sent.
fn told(mut options: SessionOptions, created: Value) -> Value {
    options.dialect = crate::event::Dialect::Ga;
    let mut bench = Bench::with(options);
    bench.server(json!({"type": "session.created", "session": created}));
    bench.sent()[0]["session"]["audio"]["input"]["turn_detection"].clone()
}

#[test]
fn the_server_is_told_to_leave_interruptions_to_this_side() {
    let left = json!({"type": "server_vad", "create_response": false, "interrupt_response": false});
    assert_eq!(told(options(AFTER), json!({})), left);
    let own = json!({"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}}});
    assert_eq!(
        told(options(AFTER), own.clone()),
        json!({"type": "semantic_vad", "eagerness": "low", "create_response": false, "interrupt_response": false}),
        "the server's own turn detection stays"
    );
    assert_eq!(told(options(InterruptionPolicy::AtOnce), own), Value::Null);
    let mut manual = options(AFTER);
    manual.config.input_mut().turn_detection = Field::Null;
    assert_eq!(told(manual, json!({})), Value::Null, "as asked for");
}

#[test]
fn beta_is_told_the_same() {
    let mut options = options(AFTER);
    options.dialect = crate::event::Dialect::Beta;
    let mut bench = Bench::with(options);
    bench.server(json!({"type": "session.created", "session": {}}));
    let Some(Output::Send(event)) = bench.last.iter().find(|output| matches!(output, Output::Send(_))) else {
        panic!("nothing was sent")
    };
    let update: Value = serde_json::from_str(&event.encode(crate::event::Dialect::Beta)).unwrap();
    let left = json!({"type": "server_vad", "create_response": false, "interrupt_response": false});
    assert_eq!(update["session"]["turn_detection"], left);
}

#[test]
fn a_change_of_turn_detection_leaves_interruptions_to_this_side_as_well() {
    let mut bench = speaking(AFTER);
    let update =
        config(r#"{"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}}}"#);
    bench.app(Command::UpdateConfig { config: update.into() });
    let sent = bench.sent()[0]["session"]["audio"]["input"]["turn_detection"].clone();
    let left = json!({"type": "server_vad", "threshold": 0.9, "create_response": false,
        "interrupt_response": false});
    assert_eq!(sent, left);
}

#[test]
fn speech_counts_once_it_has_lasted() {
    let mut bench = speaking(AFTER);
    assert_eq!(bench.server(started("u1")), ["speech_started"]);
    assert!(bench.later(1099).is_empty());
    assert_eq!(bench.later(1), ["> response.cancel", "stop_playback"]);
    assert!(bench.server(audio_delta("r1", "i1", 100)).is_empty(), "nothing more of it is heard");
    assert_eq!(bench.stopped(Some(position("i1", 1200))), ["> conversation.item.truncate", "interrupted"]);
    bench.server(done("r1", "cancelled"));
    assert_eq!(bench.server(speech_stopped()), ["speech_stopped"]);
    assert_eq!(bench.server(committed("u1")), ["committed", "> response.create"]);
    bench.server(created("r2"));
    assert!(bench.later(60_000).iter().all(|what| what != "> response.create"), "once");
}

#[test]
fn a_backchannel_neither_stops_playback_nor_is_answered() {
    let mut bench = speaking(AFTER);
    bench.server(started("u1"));
    assert!(bench.later(800).is_empty(), "300 ms, and the silence");
    assert_eq!(bench.server(speech_stopped()), ["speech_stopped"]);
    assert_eq!(bench.server(committed("u1")), ["committed"]);
    assert_eq!(bench.server(audio_delta("r1", "i1", 100)), ["audio"]);
    assert!(bench.later(2000).is_empty());
}

#[test]
fn while_nothing_is_audible_every_turn_counts() {
    let mut bench = Bench::ready_with(options(AFTER));
    bench.app(create());
    assert_eq!(bench.server(started("u1")), ["speech_started", "> response.cancel"], "it crosses a request");
    bench.server(speech_stopped());
    bench.server(created("r1"));
    bench.server(done("r1", "cancelled"));
    assert_eq!(bench.server(committed("u1")), ["committed", "> response.create"]);
}

#[test]
fn speech_that_outlasts_the_assistant_counts() {
    for policy in [AFTER, WORDS] {
        let mut bench = speaking(policy);
        bench.server(audio_done("r1", "i1", 0));
        bench.server(done("r1", "completed"));
        bench.server(started("u1"));
        bench.app(played("i1", 5000));
        assert_eq!(bench.server(speech_stopped()), ["speech_stopped"]);
        assert_eq!(bench.server(committed("u1")), ["committed", "> response.create"], "{policy:?}");
    }
}

#[test]
fn a_turn_whose_item_is_not_told_is_answered_a_second_later() {
    let mut bench = Bench::ready_with(options(AFTER));
    bench.server(started("u1"));
    bench.server(speech_stopped());
    assert!(bench.app(create()).is_empty(), "it waits for the item");
    assert_eq!(bench.later(1000), ["> response.create"], "one for both");
    assert!(bench.server(committed("u1")).iter().all(|what| what != "> response.create"));
}

#[test]
fn a_turn_that_the_application_commits_is_answered_by_the_application() {
    let mut bench = Bench::ready_with(options(AFTER));
    bench.server(started("u1"));
    bench.app(append(200));
    bench.app(Command::CommitAudio { respond: false });
    let told = bench.server(committed("u1"));
    assert!(told.iter().all(|what| what != "> response.create"), "{told:?}");
    assert!(bench.later(2000).is_empty());
}

#[test]
fn the_timeline_of_an_answer_says_when_the_user_stopped() {
    let mut bench = Bench::ready_with(options(AFTER));
    bench.server(started("u1"));
    bench.server(speech_stopped());
    let stopped = bench.at();
    bench.later(50);
    bench.server(committed("u1"));
    bench.server(created("r1"));
    bench.server(done("r1", "completed"));
    let timeline = bench.told().find_map(|event| match event {
        Event::ResponseFinished(report) => Some(report.timeline),
        _ => None,
    });
    assert_eq!(timeline.and_then(|timeline| timeline.speech_stopped), Some(stopped));
}

#[test]
fn held_playback_goes_on_where_it_stood() {
    let mut bench = speaking(AFTER.holding());
    assert_eq!(bench.server(started("u1")), ["speech_started", "hold_playback"]);
    assert!(bench.app(held(1, 140)).is_empty());
    assert_eq!(bench.server(audio_delta("r1", "i1", 100)), ["audio"], "it joins the queue");
    bench.later(700);
    assert_eq!(bench.server(speech_stopped()), ["speech_stopped", "resume_playback"]);
    assert_eq!(bench.app(Command::Interrupt {}), ["> response.cancel", "stop_playback"]);
    bench.stopped(None);
    assert_eq!(bench.cuts(), [("i1".into(), 140)], "nothing was played meanwhile");
}

#[test]
fn held_playback_that_is_stopped_is_cut_where_it_was_held() {
    let mut bench = speaking(AFTER.holding());
    bench.server(started("u1"));
    let at = PlaybackPosition { item_id: "i1".into(), content_index: 0, played: samples(150) - 7 };
    bench.app(Media::Report(PlaybackReport::Held { id: HoldId(1), at: Some(at) }));
    assert_eq!(bench.later(1100), ["> response.cancel", "stop_playback"]);
    bench.later(200); // no answer comes
    let part = &bench.interruption().parts[0];
    assert_eq!((part.heard, part.estimated), (samples(150) - 7, false));
    assert_eq!(bench.cuts(), [("i1".into(), 149)]);
}

#[test]
fn a_hold_ends_with_the_session() {
    let mut bench = speaking(AFTER.holding());
    bench.server(started("u1"));
    assert_eq!(bench.lose(), ["resume_playback", "response_finished", "closed"]);
}

#[test]
fn playback_that_nobody_reports_is_not_held() {
    let estimated = SessionOptions { playback: PlaybackSource::Estimated, ..options(AFTER.holding()) };
    let mut bench = Bench::ready_with(estimated);
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 5000));
    assert_eq!(bench.server(started("u1")), ["speech_started"]);
    assert_eq!(bench.later(1100), ["> response.cancel", "> conversation.item.truncate", "interrupted"]);
}

#[test]
fn speech_counts_once_enough_words_are_known() {
    let mut bench = speaking(WORDS.holding());
    assert_eq!(bench.server(started("u1")), ["speech_started", "hold_playback"]);
    assert_eq!(bench.server(words_of("u0", "late words of an earlier turn")), ["user_transcript_delta"]);
    assert_eq!(bench.server(words_of("u1", "Wait")), ["user_transcript_delta"]);
    assert_eq!(
        bench.server(words_of("u1", " a")),
        ["user_transcript_delta", "> response.cancel", "stop_playback"]
    );
}

#[test]
fn words_that_come_after_the_speech_still_decide() {
    let mut bench = speaking(WORDS.holding());
    bench.server(started("u1"));
    assert_eq!(bench.server(speech_stopped()), ["speech_stopped"], "it is held on");
    assert_eq!(bench.server(committed("u1")), ["committed"]);
    let told = bench.server(transcript_of("u1", "Stop, please!"));
    assert_eq!(told, ["user_transcript", "> response.cancel", "stop_playback"]);
    bench.server(done("r1", "cancelled"));
    bench.stopped(None);
    assert!(bench.last.iter().any(|output| words(output) == "> response.create"), "it is answered");
}

#[test]
fn a_transcript_of_too_few_words_resumes_playback_at_once() {
    let mut bench = speaking(WORDS.holding());
    bench.server(started("u1"));
    bench.server(speech_stopped());
    bench.server(committed("u1"));
    assert_eq!(bench.server(transcript_of("u1", "Mhm.")), ["user_transcript", "resume_playback"]);
    assert!(bench.later(3000).is_empty());
}

#[test]
fn too_few_words_in_time_resume_playback_and_more_stop_it() {
    let mut bench = speaking(WORDS.holding());
    bench.server(started("u1"));
    bench.server(words_of("u1", "Mhm"));
    assert_eq!(bench.later(2000), ["resume_playback"]);
    assert_eq!(
        bench.server(words_of("u1", " but")),
        ["user_transcript_delta", "> response.cancel", "stop_playback"]
    );
}

#[test]
fn without_any_words_time_decides() {
    let mut goes_on = speaking(WORDS);
    goes_on.server(started("u1"));
    assert_eq!(goes_on.later(2000), ["> response.cancel", "stop_playback"]);
    let mut is_over = speaking(WORDS.holding());
    is_over.server(started("u1"));
    is_over.server(speech_stopped());
    assert_eq!(is_over.later(2000), ["resume_playback"]);
}

#[test]
fn a_protected_response_is_not_interrupted_and_the_turn_is_answered_after_it() {
    let protected = Command::CreateResponse { params: None, protected: true };
    for policy in [AFTER.holding(), WORDS, InterruptionPolicy::AtOnce] {
        let mut bench = Bench::ready_with(options(policy));
        bench.app(protected.clone());
        bench.server(created("r1"));
        bench.server(audio_delta("r1", "i1", 5000));
        assert_eq!(bench.server(started("u1")), ["speech_started"], "{policy:?}");
        assert!(bench.later(2500).is_empty());
        assert_eq!(bench.server(speech_stopped()), ["speech_stopped"]);
        assert_eq!(bench.server(committed("u1")), ["committed"], "it runs");
        assert_eq!(bench.server(audio_delta("r1", "i1", 100)), ["audio"]);
        let told = bench.server(done("r1", "completed"));
        let asks = told.contains(&"> response.create".into());
        assert_eq!(asks, policy != InterruptionPolicy::AtOnce, "the server answers by itself at once");
        assert_eq!(bench.app(Command::Interrupt {}).last().unwrap(), "stop_playback");
    }
}

#[test]
fn speech_does_not_cross_a_request_that_is_protected() {
    let mut bench = Bench::ready_with(options(AFTER));
    bench.app(Command::CreateResponse { params: None, protected: true });
    assert_eq!(bench.server(started("u1")), ["speech_started"]);
    assert_eq!(bench.server(created("r1")), ["response_started"]);
    assert_eq!(bench.server(audio_delta("r1", "i1", 100)), ["audio"]);
}

#[test]
fn the_application_interrupts_whatever_the_policy_says() {
    let mut bench = speaking(AFTER.holding());
    bench.server(started("u1"));
    assert_eq!(bench.app(Command::Interrupt {}), ["> response.cancel", "stop_playback"]);
    bench.stopped(None);
    bench.server(done("r1", "cancelled"));
    bench.server(speech_stopped());
    assert_eq!(bench.server(committed("u1")), ["committed", "> response.create"], "the turn counts");
}

#[test]
fn the_application_may_ask_for_responses_itself() {
    let mut own = options(AFTER);
    own.config.input_mut().turn_detection =
        Field::Value(crate::session_config::ServerVad::default().create_response(false).into());
    let mut bench = Bench::ready_with(own);
    bench.server(started("u1"));
    bench.server(speech_stopped());
    assert_eq!(bench.server(committed("u1")), ["committed"]);
}

#[test]
fn where_no_speech_is_to_interrupt_the_policy_does_nothing() {
    let mut never = options(AFTER);
    never.config.input_mut().turn_detection =
        Field::Value(crate::session_config::ServerVad::default().interrupt_response(false).into());
    let mut bench = Bench::ready_with(never);
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 5000));
    assert_eq!(bench.server(started("u1")), ["speech_started"]);
    assert!(bench.later(2500).is_empty());
}

/// Returns whether the policy was dropped in the last step.
fn dropped(bench: &Bench) -> bool {
    bench.told().any(|event| *event == Event::Warning(Warning::InterruptionPolicyDropped))
}

/// Returns whether speech stops playback at once, and the server's own answer is waited for.
fn interrupts_at_once(bench: &mut Bench) -> bool {
    bench.server(created("r9"));
    bench.server(audio_delta("r9", "i9", 1000));
    let told = bench.server(started("u9"));
    told == ["speech_started", "stop_playback"]
}

#[test]
fn a_server_that_refuses_the_members_interrupts_at_once() {
    let mut bench = Bench::with(options(AFTER));
    bench.server(json!({"type": "session.created", "session": {}}));
    let event_id = bench.sent()[0]["event_id"].clone();
    let param = "session.audio.input.turn_detection.create_response";
    bench.server(
        json!({"type": "error", "error": {"event_id": event_id, "param": param, "message": "unknown"}}),
    );
    assert!(dropped(&bench));
    let vad = bench.sent()[0]["session"]["audio"]["input"]["turn_detection"].clone();
    assert_eq!(vad, json!({"type": "server_vad"}), "nothing is left of what it does not take");
    bench.server(json!({"type": "session.updated", "session": {}}));
    assert!(interrupts_at_once(&mut bench));
}

#[test]
fn another_member_that_is_refused_leaves_the_policy_in_force() {
    let mut bench = speaking(AFTER);
    let update = config(r#"{"instructions": "Be brief.", "audio": {"output": {"speed": 1.5}}}"#);
    bench.app(Command::UpdateConfig { config: update.into() });
    let event_id = bench.sent()[0]["event_id"].clone();
    let param = "session.audio.output.speed";
    bench.server(
        json!({"type": "error", "error": {"event_id": event_id, "param": param, "message": "too fast"}}),
    );
    assert!(!dropped(&bench));
    bench.server(started("u1"));
    assert_eq!(bench.later(1100), ["> response.cancel", "stop_playback"]);
}

#[test]
fn a_server_whose_echo_says_otherwise_interrupts_at_once() {
    let mut bench = Bench::with(options(AFTER));
    bench.server(json!({"type": "session.created", "session": {}}));
    let vad = json!({"type": "server_vad", "create_response": true, "interrupt_response": true});
    let echo = json!({"audio": {"input": {"turn_detection": vad}}});
    bench.server(json!({"type": "session.updated", "session": echo}));
    assert!(dropped(&bench));
    assert!(bench.sent().is_empty(), "there is nothing to put right");
    assert!(interrupts_at_once(&mut bench));
}

#[test]
fn a_server_that_answers_by_itself_interrupts_at_once() {
    let mut bench = speaking(AFTER.holding());
    bench.server(started("u1"));
    bench.server(speech_stopped());
    bench.server(committed("u1"));
    bench.server(done("r1", "completed"));
    bench.server(created("r2"));
    assert!(dropped(&bench));
    let vad = bench.sent()[0]["session"]["audio"]["input"]["turn_detection"].clone();
    assert_eq!(vad, json!({"type": "server_vad", "create_response": true, "interrupt_response": true}));
    bench.server(done("r2", "completed"));
    assert!(interrupts_at_once(&mut bench));
}

#[test]
fn a_turn_that_the_server_answers_by_itself_is_not_answered_twice() {
    let mut bench = Bench::ready_with(options(AFTER));
    bench.server(started("u1"));
    bench.server(speech_stopped());
    bench.server(committed("u1"));
    let event_id = bench.sent()[0]["event_id"].clone();
    bench.server(created("r1"));
    bench.server(already_runs(&event_id));
    assert!(dropped(&bench));
    let told = bench.server(done("r1", "completed"));
    assert_eq!(told, ["response_finished"]);
    assert!(interrupts_at_once(&mut bench));
}

#[test]
fn responses_of_others_are_no_answers_to_the_user() {
    let mut bench = speaking(AFTER);
    bench.server(started("u1"));
    bench.server(speech_stopped());
    bench.server(done("r1", "completed"));
    bench.later(10_000);
    bench.server(created("r2"));
    assert!(!dropped(&bench));
}
