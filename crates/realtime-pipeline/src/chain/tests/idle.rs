//! Nobody speaks for a while.

use std::time::Duration;

use realtime_protocol::call::{Event, FunctionCall, FunctionEnd};
use realtime_protocol::id::{CallId, ResponseId};

use super::*;
use crate::chain::{BotSpeech, Idle, UserSpeech};

const AFTER: Duration = Duration::from_secs(10);

#[test]
fn the_run_ends_when_nobody_has_spoken_for_a_while() {
    let mut run = Run::new(Stages::new().then(Idle::new(AFTER)));
    run.chain.start(at(0));
    run.down(5_000, FrameKind::User(UserSpeech::VoiceStarted));
    run.pass(14_999);
    assert!(run.ended.is_empty());
    run.pass(15_000);
    assert!(matches!(&run.ended[..], [Ended::Ended { .. }]));
}

#[test]
fn time_stands_still_while_somebody_speaks_and_other_frames_are_no_sign() {
    let mut run = Run::new(Stages::new().then(Idle::new(AFTER)));
    run.chain.start(at(0));
    run.input(1_000, Direction::Upstream, FrameKind::Bot(BotSpeech::Started));
    run.pass(100_000);
    run.input(100_000, Direction::Upstream, FrameKind::Bot(BotSpeech::Stopped));
    run.down(101_000, FrameKind::User(UserSpeech::Started { item_id: None }));
    run.pass(200_000);
    run.down(200_000, FrameKind::User(UserSpeech::Stopped { item_id: None }));
    run.down(209_000, n(2));
    run.pass(209_999);
    assert!(run.ended.is_empty());
    run.pass(210_000);
    assert_eq!(run.ended.len(), 1);
}

#[test]
fn it_counts_how_often_it_was_idle_until_the_user_shows() {
    let log = Log::default();
    let said = log.clone();
    let idle = Idle::new(AFTER).then(move |times, cx| {
        said.add(times);
        cx.push(FrameKind::Bot(BotSpeech::Speaking));
    });
    let mut run = Run::new(Stages::new().then(idle));
    run.chain.start(at(0));
    run.pass(20_000);
    run.down(21_000, FrameKind::Bot(BotSpeech::Stopped));
    run.pass(31_000);
    run.down(32_000, FrameKind::User(UserSpeech::VoiceStopped));
    run.pass(42_000);
    assert_eq!(log.take(), ["1", "2", "3", "1"]);
}

#[test]
fn it_asks_and_asks_again_and_then_ends_the_run() {
    let log = Log::default();
    let said = log.clone();
    let service = Probe::new("service", &Log::default()).service(move |ticket, intent, cx| {
        let Intent::Say { text } = intent else { panic!("{intent:?}") };
        said.add(format_args!("{} {text}", cx.now()));
        cx.answer(ticket, Answer::Closed);
    });
    let idle = Idle::new(AFTER).say("Are you there?").say("Hello?");
    let mut run = Run::new(Stages::new().then(idle).then(service));
    run.chain.start(at(0));
    // The question takes 3 s, and time runs from its end.
    run.pass(10_000);
    run.input(10_000, Direction::Upstream, FrameKind::Bot(BotSpeech::Started));
    run.pass(13_000);
    run.input(13_000, Direction::Upstream, FrameKind::Bot(BotSpeech::Stopped));
    run.pass(23_000);
    assert_eq!(log.take(), ["10.000 s Are you there?", "23.000 s Hello?"]);
    // The user answers: all begins anew.
    run.down(24_000, FrameKind::User(UserSpeech::Started { item_id: None }));
    run.down(26_000, FrameKind::User(UserSpeech::Stopped { item_id: None }));
    run.pass(55_999);
    assert_eq!(log.take(), ["36.000 s Are you there?", "46.000 s Hello?"]);
    assert!(run.ended.is_empty());
    run.pass(56_000);
    assert!(matches!(&run.ended[..], [Ended::Ended { .. }]));
}

#[test]
fn time_stands_still_while_functions_run() {
    let call = |id: &str| {
        Arc::new(FunctionCall {
            call_id: CallId::from(id),
            item_id: None,
            name: "book".to_owned(),
            arguments: "{}".to_owned(),
            key: String::new(),
        })
    };
    let calls = |out_of_band, ids: &[&str]| {
        let (response_id, calls) = (ResponseId::from("r"), ids.iter().copied().map(call).collect());
        FrameKind::Event(Arc::new(Event::FunctionCalls { response_id, out_of_band, calls }))
    };
    let ended =
        |id| FrameKind::Event(Arc::new(Event::FunctionEnded { call: call(id), end: FunctionEnd::TimedOut }));
    let mut run = Run::new(Stages::new().then(Idle::new(AFTER)));
    run.chain.start(at(0));
    run.input(1_000, Direction::Upstream, calls(false, &["one", "two"]));
    run.pass(60_000);
    run.input(60_000, Direction::Upstream, ended("one"));
    run.pass(100_000);
    run.input(100_000, Direction::Upstream, ended("two"));
    // Those out of band have no end.
    run.input(105_000, Direction::Upstream, calls(true, &["three"]));
    run.pass(114_999);
    assert!(run.ended.is_empty());
    run.pass(115_000);
    assert_eq!(run.ended.len(), 1);
}
