//! Nobody speaks for a while.

use std::time::Duration;

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
