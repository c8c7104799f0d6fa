//! Work: replies, frames that are held, what an interruption drops, and bounds.

use super::*;
use crate::chain::{MOST_HELD, MOST_OPEN, WorkFailed};

/// Spawns held work at each frame `1`; the work's number comes out as a frame.
fn holder(log: &Log) -> Probe {
    Probe::new("holder", log).frame(|frame, cx| {
        if word(&frame) == "1" {
            cx.spawn(async { 50_u64 }).then(Probe::on_number).hold();
        }
        cx.forward(frame);
    })
}

#[test]
fn frames_are_handled_at_once_while_work_is_open() {
    let log = Log::default();
    let stage = Probe::new("a", &log).frame(|frame, cx| {
        if word(&frame) == "1" {
            cx.spawn_blocking(|| 7_u64);
        }
        cx.forward(frame);
    });
    let mut run = Run::new(Stages::new().then(Stages::new().then(stage)));
    run.down(0, n(1));
    run.down(0, n(2));
    run.work_ends(5, 7);
    assert_eq!(run.down, ["start", "1", "2"]);
    assert_eq!(log.take(), ["a start", "a 1", "a 2", "a work Ok(Some(7))"]);
}

#[test]
fn a_stage_that_holds_keeps_its_order_and_what_must_not_wait_passes() {
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(Stages::new().then(holder(&log))));
    for kind in [n(1), n(2), n(4), FrameKind::Playback(realtime_protocol::call::PlaybackReport::Mark(1))] {
        run.down(0, kind);
    }
    assert_eq!(run.down, ["start", "1", "playback"]);
    run.work_ends(5, 50);
    run.down(6, n(6));
    assert_eq!(run.down, ["start", "1", "playback", "50", "2", "4", "6"]);
}

#[test]
fn an_interruption_drops_frames_that_wait_and_do_not_survive_and_the_others_follow_it() {
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(holder(&log)));
    for kind in [n(1), n(2), n(3), interruption(), n(5)] {
        run.down(0, kind);
    }
    assert_eq!(run.down, ["start", "1", "interruption"]);
    run.work_ends(5, 50);
    assert_eq!(run.down, ["start", "1", "interruption", "50", "2", "5"]);
    assert_eq!(run.chain.losses().interrupted, 1);
}

#[test]
fn one_frame_more_than_may_wait_is_a_fault_and_is_counted() {
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(holder(&log)));
    run.down(0, n(1));
    for number in 0..MOST_HELD as u64 + 3 {
        run.down(0, n(100 + number));
    }
    assert_eq!(run.categories(), [Category::Overflow]);
    assert_eq!(run.chain.losses().overflowed, 3);
    run.work_ends(5, 50);
    assert_eq!(run.down.len(), 3 + MOST_HELD);
    run.down(6, n(1));
    for number in 0..MOST_HELD as u64 + 1 {
        run.down(7, n(100 + number));
    }
    assert_eq!(run.categories(), [Category::Overflow; 2], "another hold, another fault");
}

#[test]
fn work_for_a_response_is_dropped_at_its_interruption_and_what_comes_late_is_counted() {
    let log = Log::default();
    let stage = Probe::new("a", &log).frame(|frame, cx| {
        match word(&frame).as_str() {
            "1" => drop(cx.spawn(async { 1_u64 }).for_response("one".into())),
            "2" => drop(cx.spawn(async { 2_u64 }).for_response("two".into()).hold()),
            "4" => drop(cx.spawn(async { 4_u64 })),
            _ => {}
        }
        cx.forward(frame);
    });
    let mut run = Run::new(Stages::new().then(Stages::new().then(stage)));
    for kind in [n(4), n(1), n(2), n(6)] {
        run.down(0, kind);
    }
    let works: Vec<WorkId> = run.works.keys().copied().collect();
    let of = |response: &str| FrameKind::Interruption { response_id: Some(response.into()), stop: None };
    run.down(1, of("one"));
    assert_eq!(run.dropped, [works[1]]);
    assert_eq!(run.down, ["start", "4", "1", "2", "interruption"]);
    run.input(2, Direction::Upstream, of("two"));
    assert_eq!(run.dropped, works[1..]);
    assert_eq!(run.down[5..], ["6"], "nothing holds it any longer");
    run.chain.handle_work(at(3), works[1], Ok(Box::new(1_u64)));
    assert_eq!(run.chain.losses().late_work, 1);
    run.work_ends(4, 4);
    assert_eq!(log.take().last().unwrap(), "a work Ok(Some(4))");
}

#[test]
fn too_much_work_is_refused_and_told_to_who_asked() {
    let log = Log::default();
    let stage = Probe::new("a", &log).frame(|_, cx| {
        for _ in 0..=MOST_OPEN {
            cx.spawn(async { 1_u64 }).then(Probe::on_number);
        }
    });
    let mut run = Run::new(Stages::new().then(stage));
    run.chain.start(at(0));
    run.drain();
    assert_eq!(run.works.len(), MOST_OPEN);
    let refused = Err::<u64, _>(WorkFailed::TooMany { open: MOST_OPEN });
    assert_eq!(log.take(), ["a start".to_owned(), format!("a work {refused:?}")]);
}

#[test]
fn work_that_panicked_is_told_and_a_reply_of_another_stage_is_a_fault() {
    struct Other;
    impl Processor for Other {
        fn name(&self) -> &str {
            "other"
        }

        fn handle_frame(&mut self, _: Frame, cx: &mut Cx<'_>) {
            cx.spawn(async { 1_u64 }).then(Probe::on_number);
        }
    }
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(holder(&log)).then(Other));
    run.down(0, n(1));
    let (work, _) = run.works.pop_last().unwrap();
    run.chain.handle_work(at(1), work, Ok(Box::new(1_u64)));
    run.drain();
    assert_eq!(run.categories(), [Category::Misdirected]);
    while let Some((work, _)) = run.works.pop_first() {
        run.chain.handle_work(at(1), work, Err(WorkFailed::Panicked { message: "oh".into() }));
    }
    assert!(log.take().iter().any(|line| line.starts_with("holder work Err(Panicked")));
}
