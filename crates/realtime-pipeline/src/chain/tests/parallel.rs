//! Branches side by side.

use super::*;
use crate::chain::{Parallel, Policy};

/// Two branches; the first holds its frames from `1` on.
fn two(log: &Log) -> Stages {
    let holder = Probe::new("a", log).frame(|frame, cx| {
        if word(&frame) == "1" {
            cx.spawn(async { 50_u64 }).then(Probe::on_number).hold();
        }
        cx.forward(frame);
    });
    let branches = Parallel::new().branch(Stages::new().then(holder)).branch(Probe::new("b", log));
    Stages::new().then(branches)
}

#[test]
fn branches_get_a_frame_in_their_order_and_it_leaves_once_at_the_last() {
    let log = Log::default();
    let adds = |name, number| {
        Probe::new(name, &log).frame(move |frame, cx| {
            if frame.kind().as_custom::<Numbered>().is_some() {
                cx.push(n(number));
            }
            cx.forward(frame);
        })
    };
    let branches = || Parallel::new().branch(adds("a", 100)).branch(Stages::new().then(adds("b", 200)));
    let mut run = Run::new(Stages::new().then(branches()));
    run.down(0, n(1));
    run.input(0, Direction::Upstream, FrameKind::InputFinished);
    assert_eq!(run.down, ["start", "100", "200", "1"]);
    assert_eq!(run.up, ["input_finished"], "upstream alike");
    assert_eq!(log.take(), ["a start", "b start", "a 1", "b 1", "a input_finished", "b input_finished"]);
}

#[test]
fn a_frame_that_one_branch_hands_on_late_does_not_leave_twice() {
    let log = Log::default();
    let mut run = Run::new(two(&log));
    for number in [1, 2, 3] {
        run.down(0, n(number));
    }
    run.work_ends(5, 50);
    assert_eq!(run.down, ["start", "1", "2", "3", "50"]);
    assert_eq!(log.take().iter().filter(|line| line.starts_with("a ")).count(), 5);
}

#[test]
fn end_and_interruptions_leave_when_all_branches_have_handed_them_on() {
    let log = Log::default();
    let late = Probe::new("late", &log).frame({
        let mut kept = None;
        move |frame, cx: &mut Cx<'_>| match word(&frame).as_str() {
            "interruption" => kept = Some(frame),
            "2" => {
                cx.forward(frame);
                cx.forward(kept.take().unwrap());
            }
            _ => cx.forward(frame),
        }
    });
    let mut run = Run::new(Stages::new().then(Parallel::new().branch(late).branch(Probe::new("b", &log))));
    run.down(0, interruption());
    assert_eq!(run.down, ["start"]);
    run.down(0, n(2));
    assert_eq!(run.down, ["start", "interruption", "2"]);

    let mut run = Run::new(two(&log));
    run.down(0, n(1));
    run.down(0, end());
    assert_eq!(run.down, ["start", "1"]);
    run.work_ends(5, 50);
    assert_eq!(run.down, ["start", "1", "50", "end"]);
    assert_eq!(run.ended.len(), 1);
}

#[test]
fn a_branch_that_fails_does_not_hold_up_the_others() {
    let log = Log::default();
    let bad = Probe::new("bad", &log).frame(|frame, cx| {
        assert!(!matches!(frame.kind(), FrameKind::Interruption { .. }));
        cx.forward(frame);
    });
    let stages = Stages::new().then(Parallel::new().branch(bad).branch(Probe::new("b", &log)));
    let mut run = Run::with(stages, ChainOptions::new().policy(Policy::Continue));
    for kind in [interruption(), n(1), end()] {
        run.down(0, kind);
    }
    assert_eq!(run.down, ["start", "interruption", "1", "end"]);
}
