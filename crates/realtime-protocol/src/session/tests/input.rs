//! What the user says and the application adds: held until the session is ready, then in order.

use super::*;
use crate::call::{Refusal, SpeechEnd};

#[test]
fn what_is_asked_before_ready_goes_out_in_order_once_it_is() {
    let mut bench = Bench::new();
    assert!(bench.app(Media::Append(Bytes::from_static(&[0; 960]))).is_empty());
    assert!(
        bench
            .app(Command::CreateItem { item: Item::user_text("hi").into(), after: None, respond: true })
            .is_empty()
    );
    assert!(bench.app(create()).is_empty());
    assert_eq!(
        bench.server(json!({"type": "session.created", "session": {}})),
        ["created", "> session.update"]
    );
    assert_eq!(
        bench.server(json!({"type": "session.updated", "session": {}})),
        ["ready", "> input_audio_buffer.append", "> conversation.item.create", "> response.create"]
    );
}

#[test]
fn a_short_commit_is_refused_and_sends_nothing() {
    let mut bench = Bench::ready_with(manual());
    bench.app(Media::Append(Bytes::from_static(&[0; 40 * 48])));
    let error = bench
        .session
        .handle_command(bench.at(), CommandId(9), Command::CommitAudio { respond: true })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot commit_audio: expected at least 100 ms of audio in the input buffer, got 40 ms"
    );
    assert!(bench.drain().is_empty());
    bench.app(Media::Append(Bytes::from_static(&[0; 60 * 48])));
    assert_eq!(
        bench.app(Command::CommitAudio { respond: true }),
        ["> input_audio_buffer.commit", "> response.create"]
    );
}

#[test]
fn push_to_talk_begins_with_the_pre_roll_and_sends_no_sample_twice() {
    let options = SessionOptions { pre_roll: Some(Duration::from_millis(40)), ..manual() };
    let mut bench = Bench::ready_with(options);
    let audio = |value: u8| Media::Append(Bytes::from(alloc::vec![value; 960]));
    for value in 1..=5 {
        assert!(bench.app(audio(value)).is_empty(), "nobody speaks");
    }
    let mut out = Vec::new();
    for command in [
        Asked::from(Media::BeginTurn),
        audio(6).into(),
        audio(7).into(),
        audio(8).into(),
        Command::CommitAudio { respond: false }.into(),
        audio(9).into(),
    ] {
        bench.app(command);
        out.extend(bench.sent());
    }
    let first_bytes: Vec<u8> = out
        .iter()
        .filter_map(|event| event["audio"].as_str())
        .map(|text| crate::audio::Audio::from_base64(text).bytes().unwrap()[0])
        .collect();
    assert_eq!(first_bytes, [4, 5, 6, 7, 8], "40 ms from before, then the turn, and nothing after it");
}

#[test]
fn a_session_that_has_closed_keeps_no_audio_back() {
    let options = SessionOptions { pre_roll: Some(Duration::from_secs(1)), ..manual() };
    let mut bench = Bench::ready_with(options);
    bench.app(append(200));
    assert!(format!("{:?}", bench.session).len() > 9_600, "200 ms are kept");
    bench.session.handle_disconnected(bench.at(), DisconnectReason::Lost { reason: "cut".into() });
    assert!(format!("{:?}", bench.session).len() < 9_600);
}

#[test]
fn audio_keeps_its_place_among_clear_and_commit_before_ready() {
    let mut bench = Bench::with(manual());
    bench.app(append(50));
    bench.app(Command::ClearAudio {});
    bench.app(append(200));
    bench.app(Command::CommitAudio { respond: false });
    bench.server(json!({"type": "session.created", "session": {}}));
    assert_eq!(
        bench.server(json!({"type": "session.updated", "session": {}})),
        [
            "ready",
            "> input_audio_buffer.append",
            "> input_audio_buffer.clear",
            "> input_audio_buffer.append",
            "> input_audio_buffer.commit"
        ]
    );
}

#[test]
fn a_push_to_talk_turn_before_ready_goes_out_with_its_pre_roll_alone() {
    let options = SessionOptions { pre_roll: Some(Duration::from_millis(40)), ..manual() };
    let mut bench = Bench::with(options);
    for command in [
        Asked::from(append(100)),
        append(20).into(),
        append(20).into(),
        Media::BeginTurn.into(),
        append(100).into(),
        Command::CommitAudio { respond: false }.into(),
        append(100).into(),
    ] {
        bench.app(command);
    }
    bench.server(json!({"type": "session.created", "session": {}}));
    bench.server(json!({"type": "session.updated", "session": {}}));
    let lengths: Vec<usize> = bench
        .sent()
        .iter()
        .filter_map(|event| event["audio"].as_str())
        .map(|text| Audio::from_base64(text).bytes().unwrap().len() / 48)
        .collect();
    assert_eq!(lengths, [20, 20, 100]);
}

#[test]
fn only_the_newest_audio_is_held_and_the_loss_is_told() {
    let mut bench = Bench::new();
    for _ in 0..25 {
        bench.app(append(100));
    }
    let Some(Event::Warning(Warning::InputAudioDropped { lost })) = bench.told().next() else {
        panic!("no loss was told")
    };
    assert_eq!(*lost, MediaTime::from_millis(100));
    bench.server(json!({"type": "session.created", "session": {}}));
    let outputs = bench.server(json!({"type": "session.updated", "session": {}}));
    assert_eq!(outputs.len(), 1 + 20);
}

#[test]
fn empty_audio_is_not_sent() {
    let mut bench = Bench::ready();
    assert!(bench.app(append(0)).is_empty());
}

#[test]
fn audio_after_a_commit_counts_for_the_next_one() {
    let mut bench = Bench::ready_with(manual());
    bench.app(append(200));
    bench.app(Command::CommitAudio { respond: false });
    bench.app(append(200));
    bench.server(json!({"type": "input_audio_buffer.committed", "item_id": "u1"}));
    assert!(bench.try_app(Command::CommitAudio { respond: false }).is_ok());
}

#[test]
fn a_full_queue_still_takes_what_does_not_wait() {
    let mut bench = Bench::new();
    for _ in 0..MOST_HELD_COMMANDS {
        bench.app(Command::ClearAudio {});
    }
    let event = crate::event::InputAudioBufferClear::default();
    for refused in
        [Command::ClearAudio {}, Command::SendEvent { event: alloc::boxed::Box::new(event.into()) }]
    {
        let error = bench.try_app(refused).unwrap_err();
        assert_eq!(error.reason, Refusal::TooManyWaiting { waiting: MOST_HELD_COMMANDS });
    }
    bench.app(append(20));
    assert!(bench.try_app(Command::Interrupt {}).is_ok());
    assert!(bench.try_app(Command::Close {}).is_ok());
}

#[test]
fn requests_for_responses_do_not_wait_without_bound() {
    let mut bench = Bench::new();
    for request in [create_with(json!({"instructions": "x"})), create()] {
        let taken = (0..5000).filter(|_| bench.try_app(request.clone()).is_ok()).count();
        assert!(taken <= MOST_HELD_COMMANDS, "{taken} were taken");
    }
}

#[test]
fn turn_detection_that_is_switched_off_while_the_user_speaks_holds_nothing_back() {
    for acknowledged in [true, false] {
        let mut bench = Bench::ready();
        bench.server(speech_started());
        bench.app(Command::UpdateConfig { config: manual().config.into() });
        bench.server(
            json!({"type": "session.updated", "session": {"audio": {"input": {"turn_detection": null}}}}),
        );
        bench.app(append(200));
        let mut outputs = bench.app(Command::CommitAudio { respond: true });
        if acknowledged {
            outputs.extend(bench.server(json!({"type": "input_audio_buffer.committed", "item_id": "u1"})));
        }
        assert!(outputs.contains(&"> response.create".into()), "{outputs:?}");
    }
}

#[test]
fn a_turn_that_was_too_short_is_over_and_does_not_begin_the_next_one() {
    let mut bench =
        Bench::ready_with(SessionOptions { pre_roll: Some(Duration::from_millis(40)), ..manual() });
    bench.app(Media::BeginTurn);
    bench.app(append(40));
    let too_short = |bench: &mut Bench, ms| {
        let error = bench.try_app(Command::CommitAudio { respond: true }).unwrap_err();
        assert_eq!(error.reason, Refusal::TooShort { buffered: MediaTime::from_millis(ms) });
        assert!(bench.drain().is_empty(), "nothing is sent for it");
    };
    too_short(&mut bench, 40);
    too_short(&mut bench, 0);
    assert!(bench.app(append(40)).is_empty(), "nobody speaks");
    assert_eq!(
        bench.app(Media::BeginTurn),
        ["> input_audio_buffer.clear", "> input_audio_buffer.append"],
        "the next turn has the buffer for itself"
    );
    too_short(&mut bench, 40);
    bench.app(Media::BeginTurn);
    assert_eq!(bench.app(append(120)), ["> input_audio_buffer.clear", "> input_audio_buffer.append"]);
    assert_eq!(
        bench.app(Command::CommitAudio { respond: true }),
        ["> input_audio_buffer.commit", "> response.create"]
    );
}

#[test]
fn a_turn_before_ready_that_was_too_short_does_not_begin_the_next_one() {
    let mut bench = Bench::with(SessionOptions { pre_roll: Some(Duration::ZERO), ..manual() });
    for ms in [40, 200] {
        bench.app(Media::BeginTurn);
        bench.app(append(ms));
        bench.app(Command::CommitAudio { respond: false });
    }
    bench.server(json!({"type": "session.created", "session": {}}));
    assert_eq!(
        bench.server(json!({"type": "session.updated", "session": {}})),
        [
            "ready",
            "> input_audio_buffer.append",
            "1 declined",
            "> input_audio_buffer.clear",
            "> input_audio_buffer.append",
            "> input_audio_buffer.commit"
        ]
    );
}

/// When the turn ended that the response of the last step was to (ms), and how that is known.
fn speech_end(bench: &Bench) -> (Option<u64>, SpeechEnd) {
    let timeline = bench.told().find_map(|event| match event {
        Event::ResponseFinished(report) => Some(report.timeline),
        _ => None,
    });
    let timeline = timeline.unwrap();
    (timeline.speech_stopped.map(|at| at.as_micros() / 1000), timeline.speech_stopped_source)
}

#[test]
fn a_response_tells_when_the_turn_ended_and_who_said_so() {
    let mut bench = Bench::ready_with(manual());
    bench.app(append(200));
    bench.app(Command::CommitAudio { respond: true });
    let committed = bench.now;
    bench.server(json!({"type": "input_audio_buffer.committed", "item_id": "u"}));
    bench.server(created("r1"));
    // Another turn ends before the first response does.
    bench.app(append(200));
    bench.app(Command::CommitAudio { respond: true });
    let again = bench.now;
    bench.server(done("r1", "completed"));
    assert_eq!(speech_end(&bench), (Some(committed), SpeechEnd::Committed));
    bench.server(created("r2"));
    bench.server(done("r2", "cancelled"));
    assert_eq!(speech_end(&bench), (Some(again), SpeechEnd::Committed));
    // What is asked for otherwise has nothing to do with it.
    bench.app(create());
    bench.server(created("r3"));
    bench.server(done("r3", "completed"));
    assert_eq!(speech_end(&bench), (None, SpeechEnd::Detected));

    let mut bench = Bench::ready();
    bench.server(speech_started());
    bench.server(speech_stopped());
    let stopped = bench.now;
    bench.server(created("r1"));
    bench.server(done("r1", "completed"));
    assert_eq!(speech_end(&bench), (Some(stopped), SpeechEnd::Detected));
}

#[test]
fn every_message_reaches_the_server_once_and_asks_for_one_response_if_wanted() {
    let parts = [
        json!({"type": "input_text", "text": "hi"}),
        json!({"type": "input_audio", "audio": "AAAA"}),
        json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}),
        json!({"type": "output_text", "text": "hi"}),
    ];
    for role in ["user", "assistant", "system"] {
        for part in &parts {
            for respond in [true, false] {
                let mut bench = Bench::ready();
                let item = json!({"type": "message", "id": "m", "role": role, "content": [part]});
                let create = Command::CreateItem {
                    item: serde_json::from_value(item.clone()).unwrap(),
                    after: None,
                    respond,
                };
                let outputs = bench.app(create);
                let asked: &[&str] = if respond { &["> response.create"] } else { &[] };
                assert_eq!(outputs[0], "> conversation.item.create");
                assert_eq!(outputs[1..], *asked);
                assert_eq!(bench.sent()[0]["item"], item);
                let added = json!({"type": "conversation.item.added", "item": item});
                assert_eq!(bench.server(added), ["item_placed", "1 added"]);
            }
        }
    }
}
