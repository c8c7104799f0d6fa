//! How long the user waited.

use std::sync::{Arc, Mutex};

use super::*;
use crate::chain::Tap;
use crate::turns::{TurnEnd, TurnReport, TurnTracker};

fn tracked() -> (Run, Arc<Mutex<Vec<TurnReport>>>) {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let sender = Arc::clone(&reports);
    // Several stages: each frame is seen several times.
    let stages = Stages::new().then(Tap::new(|_, _| {})).then(Tap::new(|_, _| {}).named("second"));
    let mut chain = Chain::new(stages).unwrap();
    chain.observe(TurnTracker::new(move |turn| sender.lock().unwrap().push(turn.clone())));
    let mut run = Run::with(Stages::new());
    run.chain = chain;
    run.chain.start(at(0));
    (run, reports)
}

/// What matters of the reports: number, times (ms), and how the turn ended.
fn told(reports: &Mutex<Vec<TurnReport>>) -> Vec<(u64, u64, Option<u128>, u64, TurnEnd)> {
    let millis = |time: Timestamp| time.as_micros() / 1000;
    let reports = std::mem::take(&mut *reports.lock().unwrap());
    reports
        .iter()
        .map(|turn| {
            let waited = turn.waited.map(|waited| waited.as_millis());
            (turn.number, millis(turn.began_at), waited, millis(turn.ended_at), turn.end)
        })
        .collect()
}

#[test]
fn each_turn_tells_how_long_the_user_waited_and_whether_it_was_interrupted() {
    let (mut run, reports) = tracked();
    run.pass(500);
    run.up(bot(BotSpeech::Started));
    run.pass(1_500);
    run.up(bot(BotSpeech::Stopped));
    run.pass(1_000);
    run.down(started());
    assert_eq!(told(&reports), [(1, 0, None, 3_000, TurnEnd::Completed)]);
    run.pass(1_000);
    run.down(stopped());
    run.pass(800);
    run.up(bot(BotSpeech::Started));
    run.pass(500);
    run.down(started());
    assert_eq!(told(&reports), [(2, 3_000, Some(800), 5_300, TurnEnd::Interrupted)]);
    run.up(bot(BotSpeech::Stopped));
    run.pass(500);
    run.down(stopped());
    // The user goes on before there is an answer: the wait counts from the last word.
    run.down(started());
    run.pass(500);
    run.down(stopped());
    run.pass(300);
    run.down(FrameKind::Cancel { reason: "now".into() });
    assert_eq!(told(&reports), [(3, 5_300, None, 6_600, TurnEnd::RunOver)]);
}

#[test]
fn a_short_pause_of_the_assistant_does_not_end_the_turn_and_a_long_one_does() {
    let (mut run, reports) = tracked();
    run.up(bot(BotSpeech::Started));
    run.pass(1_000);
    run.up(bot(BotSpeech::Stopped));
    run.pass(2_499);
    run.up(bot(BotSpeech::Started));
    run.pass(1_000);
    run.up(bot(BotSpeech::Stopped));
    assert_eq!(told(&reports), []);
    run.pass(2_500);
    run.hear(false, FRAME);
    assert_eq!(told(&reports), [(1, 0, None, 4_499, TurnEnd::Completed)]);
    // It speaks again by itself: a turn of its own.
    run.up(bot(BotSpeech::Started));
    run.up(bot(BotSpeech::Stopped));
    run.down(FrameKind::End { reason: "enough".into() });
    assert_eq!(told(&reports), [(2, 7_019, None, 7_019, TurnEnd::Completed)]);
}
