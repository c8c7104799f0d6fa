use realtime_protocol::call::{
    Advice, DisconnectReason, ErrorClass, FunctionCall, FunctionEnd, Interruption, Origin, PlaybackPosition,
    ResponseEnd, StopId, Timeline,
};
use realtime_protocol::error::ApiError;
use realtime_protocol::id::ResponseId;
use realtime_protocol::time::{MediaTime, Timestamp};

use super::*;

/// The frames of an event, each as `name route`.
fn check(adapter: &mut Adapter, event: Event) -> Vec<String> {
    let frames = adapter.frames(&Arc::new(event));
    frames.iter().map(|(kind, route)| format!("{} {route:?}", kind.name())).collect()
}

fn commands(adapter: &mut Adapter, kind: FrameKind, direction: Direction) -> Vec<Asked> {
    adapter.commands(&kind, direction).unwrap()
}

fn at(ms: u64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(ms))
}

fn report() -> ResponseReport {
    let timeline = Timeline {
        requested: None,
        speech_stopped: at(1_000),
        created: at(1_100),
        first_text: at(1_150),
        first_audio: at(1_200),
        first_played: at(1_250),
        done: at(1_600),
        ..Timeline::default()
    };
    let response_id = ResponseId::from("resp");
    ResponseReport {
        response_id,
        end: ResponseEnd::Completed,
        usage: None,
        totals: Default::default(),
        timeline,
        dropped_bytes: 7,
    }
}

fn chunk() -> AudioChunk {
    AudioChunk {
        mark: 1,
        response_id: "resp".into(),
        item_id: "item".into(),
        content_index: 1,
        out_of_band: false,
        start: 960,
        format: AudioFormat::PCM16_24K,
        audio: bytes::Bytes::from_static(&[1, 2, 3, 4]),
    }
}

#[test]
fn session_events_become_these_frames() {
    let item_id = || Some("item".into());
    let time = MediaTime::ZERO;
    let call = |call_id: &str| {
        let (call_id, key) = (call_id.into(), String::new());
        Arc::new(FunctionCall { key, call_id, item_id: None, name: "look".into(), arguments: "{}".into() })
    };
    let table: Vec<(Event, &[&str])> = vec![
        (Event::Created { session_id: None }, &["session Downstream"]),
        (Event::Ready { config: Box::default(), refused: vec![] }, &["session Downstream"]),
        (Event::SpeechStarted { item_id: item_id(), at: Some(time) }, &["user_started_speaking Both"]),
        (Event::SpeechStopped { item_id: item_id(), at: Some(time) }, &["user_stopped_speaking Both"]),
        (Event::Committed { item_id: "item".into() }, &["session Downstream"]),
        (
            Event::UserTranscript {
                item_id: "item".into(),
                content_index: 0,
                transcript: "hi".into(),
                languages: vec![],
                logprobs: vec![],
                usage: None,
            },
            &["transcript Downstream"],
        ),
        (
            Event::UserTranscriptDelta { item_id: "item".into(), content_index: 0, delta: "h".into() },
            &["transcript Downstream"],
        ),
        (
            Event::ResponseStarted {
                response_id: "resp".into(),
                origin: Origin::Server,
                out_of_band: false,
                metadata: Default::default(),
            },
            &["response_started Downstream"],
        ),
        (
            Event::Text {
                response_id: "resp".into(),
                item_id: "item".into(),
                content_index: 0,
                delta: "hello".into(),
                spoken: true,
            },
            &["text Downstream"],
        ),
        (Event::Audio(chunk()), &["output_audio Downstream"]),
        (Event::Audio(AudioChunk { out_of_band: true, ..chunk() }), &["session Downstream"]),
        (
            Event::AudioDone {
                response_id: "resp".into(),
                item_id: "item".into(),
                content_index: 0,
                total: 240,
            },
            &["output_audio_done Downstream"],
        ),
        (
            Event::FunctionCalls { response_id: "resp".into(), out_of_band: true, calls: vec![call("x")] },
            &["session Downstream"],
        ),
        (
            Event::FunctionCalls {
                response_id: "resp".into(),
                out_of_band: false,
                calls: vec![call("a"), call("b")],
            },
            &["function_call_started Both", "function_call_started Both"],
        ),
        (Event::FunctionEnded { call: call("a"), end: FunctionEnd::Cancelled }, &["function_ended Both"]),
        (
            Event::ResponseFinished(Box::new(report())),
            &["metrics Downstream", "response_finished Downstream"],
        ),
        (Event::StopPlayback { id: StopId(1) }, &["stop_playback Downstream"]),
        (Event::Interrupted(Interruption::default()), &["interruption Both"]),
        // If nothing was asked to stop, as with estimated playback, the queue is still emptied.
        (Event::Interrupted(Interruption::default()), &["stop_playback Downstream", "interruption Both"]),
        (Event::Closed { reason: CloseReason::Requested }, &["session Downstream", "end Upstream"]),
        (Event::Closed { reason: CloseReason::NotCreated }, &["session Downstream", "error Upstream"]),
    ];
    let mut adapter = Adapter::default();
    for (event, want) in table {
        let shown = format!("{event:?}");
        assert_eq!(check(&mut adapter, event), want, "{shown}");
    }
}

#[test]
fn audio_keeps_its_place_in_the_item() {
    let frames = Adapter::default().frames(&Arc::new(Event::Audio(chunk())));
    let [(FrameKind::OutputAudio(audio), Route::Downstream)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((audio.item_id.as_str(), audio.content_index, audio.start), ("item", 1, 960));
    assert_eq!(audio.audio.data.as_ref(), [1, 2, 3, 4]);
}

#[test]
fn metrics_are_the_spans_of_the_timeline() {
    let frames = Adapter::default().frames(&Arc::new(Event::ResponseFinished(Box::new(report()))));
    let FrameKind::Metrics(metrics) = &frames[0].0 else { panic!("{frames:?}") };
    let millis = |span: Option<std::time::Duration>| span.map(|span| span.as_millis());
    assert_eq!(millis(metrics.first_audio), Some(100));
    assert_eq!(millis(metrics.voice_to_voice), Some(250));
    assert_eq!(millis(metrics.total), Some(500));
    assert_eq!(metrics.dropped_bytes, 7);
}

#[test]
fn a_session_that_ends_by_itself_ends_the_run_with_its_reason() {
    let reason = CloseReason::Disconnected(DisconnectReason::Lost { reason: "reset".into() });
    let frames = Adapter::default().frames(&Arc::new(Event::Closed { reason }));
    let FrameKind::Error(fault) = &frames[1].0 else { panic!("{frames:?}") };
    assert_eq!(fault.severity, Severity::Fatal);
    assert_eq!(fault.to_string(), "realtime: the session ended: connection lost: reset");
}

#[test]
fn a_response_runs_from_its_start_to_its_end() {
    let mut adapter = Adapter::default();
    let started = Event::ResponseStarted {
        response_id: "resp".into(),
        origin: Origin::Server,
        out_of_band: false,
        metadata: Default::default(),
    };
    check(&mut adapter, started);
    assert!(adapter.has_running_response());
    check(&mut adapter, Event::ResponseFinished(Box::new(report())));
    assert!(!adapter.has_running_response());
}

#[test]
fn frames_become_these_commands() {
    let mut adapter = Adapter::default();
    let played =
        PlaybackReport::Played(PlaybackPosition { item_id: "item".into(), content_index: 0, played: 2400 });
    let interrupt = Arc::new(Command::Interrupt {});
    let audio = AudioFrame::from_samples(24_000, &[1, 2]);
    let append = Media::Append(audio.data.clone());
    for (kind, direction, want) in [
        (FrameKind::InputAudio(audio.clone()), Direction::Downstream, vec![append.into()]),
        (FrameKind::InputAudio(audio), Direction::Upstream, vec![]),
        (
            FrameKind::Playback(played.clone()),
            Direction::Upstream,
            vec![Media::Report(played.clone()).into()],
        ),
        (FrameKind::Playback(played), Direction::Downstream, vec![]),
        (FrameKind::Command(Arc::clone(&interrupt)), Direction::Upstream, vec![Command::Interrupt {}.into()]),
        (FrameKind::Command(interrupt), Direction::Downstream, vec![Command::Interrupt {}.into()]),
        (FrameKind::InputFinished, Direction::Downstream, vec![]),
        (FrameKind::BotStoppedSpeaking, Direction::Upstream, vec![]),
    ] {
        let shown = format!("{kind:?} {direction:?}");
        assert_eq!(commands(&mut adapter, kind, direction), want, "{shown}");
    }
}

#[test]
fn where_the_session_detects_no_turns_a_processor_upstream_does() {
    let started = || FrameKind::UserStartedSpeaking { item_id: None };
    let stopped = || FrameKind::UserStoppedSpeaking { item_id: None };
    let mut config = SessionConfig::realtime();
    let mut adapter = Adapter::for_config(&config);
    for kind in [started(), stopped()] {
        assert_eq!(commands(&mut adapter, kind, Direction::Downstream), []);
    }

    config.input_mut().turn_detection = realtime_protocol::field::Field::Null;
    check(&mut adapter, Event::ConfigUpdated { config: Box::new(config), refused: vec![] });
    let turn = [Asked::from(Command::Interrupt {}), Media::BeginTurn.into()];
    assert_eq!(commands(&mut adapter, started(), Direction::Downstream), turn);
    let commit = [Asked::from(Command::CommitAudio { respond: true })];
    assert_eq!(commands(&mut adapter, stopped(), Direction::Downstream), commit);
    // Frames from downstream of the service are its own echo.
    assert_eq!(commands(&mut adapter, started(), Direction::Upstream), []);
}

#[test]
fn input_audio_is_converted_to_the_rate_that_the_session_tells() {
    let mut adapter = Adapter::default();
    let second = |adapter: &mut Adapter| -> usize {
        let frame = AudioFrame::from_samples(16_000, &[100; 320]);
        (0..50)
            .flat_map(|_| commands(adapter, FrameKind::InputAudio(frame.clone()), Direction::Downstream))
            .map(|command| {
                let Asked::Media(Media::Append(audio)) = &command else { panic!("{command:?}") };
                audio.len() / 2
            })
            .sum()
    };
    // What the filter holds back stays below 10 ms.
    assert!((23_760..=24_000).contains(&second(&mut adapter)));

    let mut config = SessionConfig::realtime();
    config.input_mut().format = AudioFormat::Pcm16 { rate: 8_000 }.into();
    check(&mut adapter, Event::ConfigUpdated { config: Box::new(config), refused: Vec::new() });
    assert!((7_920..=8_000).contains(&second(&mut adapter)));
}

#[test]
fn g711_passes_through_and_converts_to_nothing_else() {
    let mut adapter = Adapter::new(AudioFormat::Pcmu);
    let data = bytes::Bytes::from_static(&[0xff; 160]);
    let audio = AudioFrame { format: AudioFormat::Pcmu, data: data.clone() };
    let got = commands(&mut adapter, FrameKind::InputAudio(audio), Direction::Downstream);
    assert_eq!(got, [Asked::from(Media::Append(data))]);

    let pcm = FrameKind::InputAudio(AudioFrame::from_samples(8_000, &[0]));
    let error = adapter.commands(&pcm, Direction::Downstream).unwrap_err();
    let (expected, got) = (AudioFormat::Pcmu, AudioFormat::Pcm16 { rate: 8_000 });
    assert_eq!(error, InputError::Encoding { expected, got });
}

#[test]
fn only_errors_that_nobody_else_has_heard_of_are_faults() {
    let mut adapter = Adapter::default();
    let error = || Box::new(ApiError::default().code("x"));
    let told = [
        (ErrorClass::Request, false, true),
        (ErrorClass::Request, true, false),
        (ErrorClass::Benign, false, false),
        (ErrorClass::Session, false, true),
    ];
    for (class, answered, is_fault) in told {
        let frames = check(&mut adapter, Event::ServerError { error: error(), class, answered });
        assert_eq!(frames.iter().any(|frame| frame == "error Upstream"), is_fault, "{class:?}: {frames:?}");
    }
}

#[test]
fn a_response_that_failed_is_a_fault_that_is_survived() {
    let mut adapter = Adapter::default();
    let error = Box::new(ApiError::default().code("server_error"));
    let end = ResponseEnd::Failed { error, advice: Advice::Retry };
    let frames =
        adapter.frames(&Arc::new(Event::ResponseFinished(Box::new(ResponseReport { end, ..report() }))));
    let severity =
        |kind: &FrameKind| if let FrameKind::Error(fault) = kind { Some(fault.severity) } else { None };
    let fault = frames.iter().find_map(|(kind, _)| severity(kind));
    assert_eq!(fault, Some(Severity::Survivable));
}

#[test]
fn each_manual_turn_has_its_own_audio_to_the_sample() {
    let appended = |asked: &[Asked]| -> Vec<i16> {
        let audio = asked.iter().filter_map(|asked| match asked {
            Asked::Media(Media::Append(audio)) => Some(audio.clone()),
            Asked::Media(Media::BeginTurn | Media::Report(_)) | Asked::Command(_) => None,
        });
        audio.flat_map(|audio| crate::pcm::samples(&audio).collect::<Vec<_>>()).collect()
    };
    let microphone = |ms: usize, level: i16| {
        FrameKind::InputAudio(AudioFrame::from_samples(16_000, &vec![level; 16 * ms]))
    };
    let stopped = || FrameKind::UserStoppedSpeaking { item_id: None };
    let clear = || FrameKind::Command(Arc::new(Command::ClearAudio {}));
    let mut config = SessionConfig::realtime();
    config.input_mut().turn_detection = realtime_protocol::field::Field::Null;
    for (end, samples) in [(stopped(), Some(3600)), (clear(), None)] {
        let mut adapter = Adapter::for_config(&config);
        let mut first = Vec::new();
        for _ in 0..10 {
            first.extend(commands(&mut adapter, microphone(15, 10_000), Direction::Downstream));
        }
        first.extend(commands(&mut adapter, end, Direction::Downstream));
        if let Some(samples) = samples {
            assert_eq!(appended(&first).len(), samples, "150 ms at 24 kHz");
        }
        let second = appended(&commands(&mut adapter, microphone(20, 0), Direction::Downstream));
        let loudest = second.iter().map(|sample| sample.unsigned_abs()).max();
        assert!(loudest.is_none_or(|peak| peak < 100), "a silent turn begins with a peak of {loudest:?}");
    }
}
