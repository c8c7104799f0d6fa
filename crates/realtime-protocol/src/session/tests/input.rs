//! What the user says and the application adds: held until the session is ready, then in order.

use super::*;

#[test]
fn what_is_asked_before_ready_goes_out_in_order_once_it_is() {
    let mut bench = Bench::new();
    assert!(bench.app(Command::AppendAudio { audio: Bytes::from_static(&[0; 960]).into() }).is_empty());
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
    bench.app(Command::AppendAudio { audio: Bytes::from_static(&[0; 40 * 48]).into() });
    let error = bench
        .session
        .handle_command(bench.at(), CommandId(9), Command::CommitAudio { respond: true })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot commit_audio: expected at least 100 ms of audio in the input buffer, got 40 ms"
    );
    assert!(bench.drain().is_empty());
    bench.app(Command::AppendAudio { audio: Bytes::from_static(&[0; 60 * 48]).into() });
    assert_eq!(
        bench.app(Command::CommitAudio { respond: true }),
        ["> input_audio_buffer.commit", "> response.create"]
    );
}

#[test]
fn push_to_talk_begins_with_the_pre_roll_and_sends_no_sample_twice() {
    let options = SessionOptions { pre_roll: Some(Duration::from_millis(40)), ..manual() };
    let mut bench = Bench::ready_with(options);
    let audio = |value: u8| Command::AppendAudio { audio: Bytes::from(alloc::vec![value; 960]).into() };
    for value in 1..=5 {
        assert!(bench.app(audio(value)).is_empty(), "nobody speaks");
    }
    let mut out = Vec::new();
    for command in [
        Command::BeginTurn {},
        audio(6),
        audio(7),
        audio(8),
        Command::CommitAudio { respond: false },
        audio(9),
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
