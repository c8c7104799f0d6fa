//! One of several branches at a time.

use super::*;
use crate::chain::{Parallel, Switch};

/// Frames from 10 on choose the branch of their first digit.
fn switch(log: &Log) -> Switch {
    let choose = |frame: &Frame, current| match frame.kind().as_custom::<Numbered>() {
        Some(Numbered(number)) if *number >= 10 => (number / 10 - 1) as usize,
        _ => current,
    };
    let branch = |name: &'static str| {
        let log = log.clone();
        move || {
            Stages::new().then(Probe::new(name, &log).frame(|frame, cx| {
                if word(&frame) == "1" {
                    cx.spawn(async { 50_u64 }).then(Probe::on_number);
                }
                cx.forward(frame);
            }))
        }
    };
    Switch::new(choose).branch(branch("a")).branch(branch("b"))
}

#[test]
fn the_branch_that_is_left_gets_an_interruption_and_is_stopped() {
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(switch(&log)));
    for number in [2, 20, 4, 10, 90] {
        run.down(0, n(number));
    }
    run.down(0, end());
    let expected = [
        "a start",
        "a 2", // the first branch
        "a interruption",
        "b start",
        "a stop",
        "b 20",
        "b 4", // the second
        "b interruption",
        "a start",
        "b stop",
        "a 10",
        "a 90", // a new first; there is no ninth
        "a end",
        "a stop",
    ];
    assert_eq!(log.take(), expected);
    assert_eq!(run.down, ["start", "2", "20", "4", "10", "90", "end"]);
}

#[test]
fn the_branch_that_is_left_keeps_its_work_until_it_is_answered() {
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(Stages::new().then(switch(&log))));
    run.down(0, n(1));
    run.down(0, n(20));
    assert!(!log.take().contains(&"a stop".to_owned()));
    run.work_ends(5, 50);
    assert_eq!(log.take(), ["a work Ok(50)", "a stop"]);
    assert_eq!(run.down, ["start", "1", "20", "50"]);
}

#[test]
fn a_branch_that_still_waits_is_stopped_once_at_the_end() {
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(switch(&log)));
    for number in [1, 20] {
        run.down(0, n(number));
    }
    run.down(1, cancel());
    let stops = log.take().into_iter().filter(|line| line.ends_with("stop")).collect::<Vec<_>>();
    assert_eq!(stops, ["b stop", "a stop"]);
    assert_eq!(run.works.len(), 0);
}

#[test]
fn branches_that_never_finish_are_bounded() {
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(switch(&log)));
    for turn in 0..40 {
        run.down(turn, n(1));
        run.down(turn, n(if turn % 2 == 0 { 20 } else { 10 }));
    }
    assert!(run.works.len() <= 17, "{} pieces of work", run.works.len());
}

#[test]
fn a_function_that_panics_leaves_the_branch_where_it_is() {
    let log = Log::default();
    let bad = Switch::new(|_, _| panic!("no choice")).named("bad").branch(Stages::new);
    let mut run = Run::new(Stages::new().then(bad).then(Parallel::new().branch(Probe::new("b", &log))));
    run.down(0, n(1));
    assert_eq!(run.down, ["start", "1"]);
    assert_eq!(run.categories(), [Category::Application]);
}

#[test]
fn a_branch_that_is_left_while_others_are_stopped_does_what_is_due_at_its_time() {
    let log = Log::default();
    let branch = {
        let log = log.clone();
        move || {
            let mut late = Probe::new("late", &log);
            (late.due, late.is_idle) = (Some(at(5)), false);
            late
        }
    };
    let choose = |frame: &Frame, current| match frame.kind().as_custom::<Numbered>() {
        Some(_) => 1 - current,
        None => current,
    };
    let switch = Switch::new(choose).branch(branch.clone()).branch(branch);
    let mut run = Run::new(Stages::new().then(switch));
    for _ in 0..3 {
        run.down(0, n(2));
    }
    run.pass(5);
    let seen = log.take();
    let timeouts = seen.iter().filter(|line| line.contains("timeout")).collect::<Vec<_>>();
    assert_eq!(timeouts, ["late timeout 0.005 s"; 4]);
    assert_eq!(seen.iter().filter(|line| line.ends_with("stop")).count(), 3);
}
