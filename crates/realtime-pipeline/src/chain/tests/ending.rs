//! The end of a run: the bounded drain, cancelling, and stopping exactly once.

use std::time::Duration;

use super::*;
use crate::chain::{MOST_STEPS, Parallel, Policy};

fn stops(log: &Log) -> Vec<String> {
    log.take().into_iter().filter(|line| line.ends_with("stop")).collect()
}

#[test]
fn end_leaves_a_stage_when_it_is_idle_and_none_of_its_work_is_open() {
    let log = Log::default();
    let mut slow = Probe::new("slow", &log).frame(|frame, cx| {
        if word(&frame) == "1" {
            cx.spawn(async { 8_u64 }).then(Probe::on_number).hold();
        }
        cx.forward(frame);
    });
    (slow.due, slow.is_idle) = (Some(at(300)), false);
    let mut run = Run::new(Stages::new().then(Stages::new().then(slow)).then(Probe::new("last", &log)));
    for kind in [n(1), n(2), end()] {
        run.down(0, kind);
    }
    assert_eq!(run.down, ["start", "1"]);
    run.work_ends(200, 8);
    assert_eq!(run.down, ["start", "1", "8", "2"], "the stage itself is busy");
    run.pass(300);
    assert_eq!(run.down, ["start", "1", "8", "2", "end"]);
    assert!(matches!(&run.ended[..], [Ended::Ended { reason }] if &**reason == "enough"));
    assert_eq!(stops(&log), ["slow stop", "last stop"]);
    assert_eq!(run.chain.poll_timeout(), None);
}

#[test]
fn the_end_does_not_wait_longer_than_its_limit() {
    let log = Log::default();
    let mut never = Probe::new("never", &log).frame(|frame, cx| {
        if word(&frame) == "1" {
            cx.spawn(std::future::pending::<()>()).hold();
        }
        cx.forward(frame);
    });
    never.is_idle = false;
    let options = ChainOptions::new().drain_limit(Duration::from_millis(500));
    let mut run = Run::with(Stages::new().then(Parallel::new().branch(Stages::new().then(never))), options);
    for kind in [n(1), n(2), end()] {
        run.down(100, kind);
    }
    run.pass(599);
    assert_eq!((run.down.len(), run.ended.len()), (2, 0));
    run.pass(600);
    assert_eq!(run.down, ["start", "1", "2", "end"], "what waited leaves before the end");
    assert_eq!(run.categories(), [Category::Undrained]);
    assert_eq!((run.dropped.len(), run.works.len(), run.ended.len()), (1, 0, 1));
    assert_eq!(stops(&log), ["never stop"]);
}

#[test]
fn a_run_ends_at_its_limit_even_if_the_end_is_lost_in_a_livelock() {
    let log = Log::default();
    let flood = Probe::new("flood", &log).frame(|frame, cx| {
        if word(&frame) == "end" {
            (0..2 * MOST_STEPS).for_each(|_| cx.push(n(2)));
        }
    });
    let options = ChainOptions::new().policy(Policy::Continue).drain_limit(Duration::from_millis(500));
    let mut run = Run::with(Stages::new().then(flood).then(Probe::new("last", &log)), options);
    run.down(0, end());
    assert_eq!((run.categories(), run.ended.len()), (vec![Category::Livelock], 0));
    run.pass(500);
    assert_eq!((run.ended.len(), stops(&log).len()), (1, 2));
}

#[test]
fn cancel_waits_for_nothing_and_drops_open_work() {
    let log = Log::default();
    let busy = Probe::new("busy", &log).frame(|frame, cx| {
        if word(&frame) == "1" {
            cx.spawn(std::future::pending::<()>()).hold();
        }
        cx.forward(frame);
    });
    let mut run = Run::new(Stages::new().then(busy));
    for kind in [n(1), n(2), end(), cancel(), n(3), end()] {
        run.down(0, kind);
    }
    assert_eq!(run.down, ["start", "1", "cancel"]);
    assert!(matches!(&run.ended[..], [Ended::Cancelled { reason }] if &**reason == "now"));
    assert_eq!((run.dropped.len(), stops(&log).len()), (1, 1));
    assert!(run.chain.is_over());
}

#[test]
fn a_stage_ends_the_run_and_can_not_keep_the_end_back() {
    for (asks, leaves) in [("end", "end"), ("push", "end"), ("cancel", "cancel")] {
        let log = Log::default();
        let keeper = Probe::new("keeper", &log).frame(move |frame, cx| match (word(&frame).as_str(), asks) {
            ("1", "end") => cx.end("done"),
            ("1", "push") => cx.push_up(end()),
            ("1", _) => cx.cancel("done"),
            _ => cx.push(n(5)),
        });
        let mut run = Run::new(Stages::new().then(Probe::new("first", &log)).then(keeper));
        run.down(0, n(1));
        let expected: &[&str] = match leaves {
            "end" => &["start", "5", "5", "end"],
            _ => &["start", "5", "cancel", "5"],
        };
        assert_eq!(run.down, expected, "{asks}");
        assert!(log.take().iter().any(|line| *line == format!("first {leaves}")), "{asks}");
    }
}

#[test]
fn nothing_happens_after_the_end_and_a_new_chain_waits_for_its_first_input() {
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(Probe::new("a", &log)));
    run.chain.handle_timeout(at(5));
    assert_eq!((run.chain.poll_timeout(), log.take().len()), (None, 0));
    run.down(10, cancel());
    assert_eq!(log.take(), ["a start", "a cancel", "a stop"]);
    run.chain.handle_timeout(at(50));
    run.chain.handle_work(at(50), WorkId(77), Ok(Box::new(())));
    run.down(60, n(1));
    assert!(log.take().is_empty());
    assert_eq!(run.chain.poll_timeout(), None);
}

#[test]
fn a_timeout_that_stays_in_the_past_does_not_stop_time() {
    struct Stuck;
    impl Processor for Stuck {
        fn name(&self) -> &str {
            "stuck"
        }

        fn poll_timeout(&self) -> Option<Timestamp> {
            Some(at(0))
        }
    }
    let mut run = Run::new(Stages::new().then(Stages::new().then(Stuck)));
    run.down(0, n(1));
    run.pass(100);
    assert!(run.chain.poll_timeout().is_some_and(|due| due > at(100)));
}
