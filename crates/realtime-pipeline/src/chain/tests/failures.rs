//! Stages that panic, answer each other for ever, or are slow.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::chain::{MOST_STEPS, Policy};

fn fragile(log: &Log) -> Probe {
    Probe::new("fragile", log).frame(|frame, cx| {
        if word(&frame) == "1" {
            cx.push(n(0));
            cx.spawn(std::future::pending::<()>()).hold();
        }
        assert_ne!(word(&frame), "13", "unlucky");
        cx.forward(frame);
    })
}

#[test]
fn a_stage_that_panics_is_never_called_again_and_frames_pass_it() {
    let log = Log::default();
    let options = || ChainOptions::new().policy(Policy::Continue);
    let mut run = Run::with(Stages::new().then(fragile(&log)).then(Probe::new("next", &log)), options());
    run.down(0, n(13));
    assert_eq!(run.categories(), [Category::Panicked]);
    assert!(run.faults[0].to_string().contains("unlucky"), "{}", run.faults[0]);
    run.down(1, n(2));
    run.down(1, end());
    assert_eq!(run.down, ["start", "13", "2", "end"]);
    let seen = log.take();
    assert_eq!(seen.iter().filter(|line| line.starts_with("fragile")).count(), 2);
    assert_eq!(seen.last().unwrap(), "next stop");
}

#[test]
fn what_waits_at_a_stage_that_fails_passes_it_and_its_work_is_dropped() {
    struct Trap;
    impl Processor for Trap {
        fn name(&self) -> &str {
            "trap"
        }

        fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
            if word(&frame) == "1" {
                let work = cx.spawn(std::future::pending::<()>()).id();
                cx.hold(work);
            }
            assert!(!matches!(frame.kind(), FrameKind::Interruption { .. }));
            cx.forward(frame);
        }
    }
    let mut run = Run::with(Stages::new().then(Trap), ChainOptions::new().policy(Policy::Continue));
    for kind in [n(1), n(2), interruption(), n(4)] {
        run.down(0, kind);
    }
    assert_eq!(run.down, ["start", "1", "interruption", "2", "4"]);
    assert_eq!(run.dropped.len(), 1);
}

#[test]
fn the_policy_says_how_the_run_ends_after_a_panic() {
    for (policy, last) in [(Policy::End, "end"), (Policy::Cancel, "cancel")] {
        let log = Log::default();
        let stages = Stages::new().then(fragile(&log)).then(Probe::new("next", &log));
        let mut run = Run::with(stages, ChainOptions::new().policy(policy));
        run.down(0, n(13));
        assert_eq!(run.down.last().unwrap(), last);
        assert!(matches!(&run.ended[..], [Ended::Failed { fault }] if &*fault.stage == "fragile"));
        assert_eq!(log.take().iter().filter(|line| line.ends_with("stop")).count(), 1);
    }
}

#[test]
fn a_panic_in_a_timeout_a_reply_an_intent_or_the_stop_is_caught_too() {
    struct Bomb(&'static str);
    impl Processor for Bomb {
        fn name(&self) -> &str {
            self.0
        }

        fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
            if word(&frame) == "1" {
                cx.spawn(async { 1_u64 }).then(|_: &mut Self, _, _| panic!("reply"));
            }
            cx.forward(frame);
        }

        fn handle_timeout(&mut self, _: &mut Cx<'_>) {
            panic!("timeout");
        }

        fn poll_timeout(&self) -> Option<Timestamp> {
            (self.0 == "timeout").then(|| at(5))
        }

        fn handle_intent(&mut self, _: Ticket, _: Intent, _: &mut Cx<'_>) {
            panic!("intent");
        }

        fn handle_stop(&mut self, _: &mut Cx<'_>) {
            panic!("stop");
        }

        fn shape(&self) -> Shape {
            if self.0 == "intent" { Shape::service(false) } else { Shape::default() }
        }
    }
    for name in ["timeout", "reply", "intent", "stop"] {
        let options = ChainOptions::new().policy(Policy::Continue);
        let mut run = Run::with(Stages::new().then(Stages::new().then(Bomb(name))), options);
        match name {
            "timeout" => {
                run.down(0, n(2));
                run.pass(5);
            }
            "reply" => {
                run.down(0, n(1));
                run.work_ends(0, 1);
            }
            "intent" => {
                run.chain.ask(at(0), Intent::Interrupt);
                run.drain();
                assert_eq!(run.answers[0].1, Answer::Closed, "the service has failed");
                let ticket = run.chain.ask(at(0), Intent::Interrupt);
                run.drain();
                assert_eq!(run.answers[1], (ticket, Answer::Refused(crate::chain::NotAsked::NoService)));
            }
            _ => run.down(0, n(2)),
        }
        run.down(6, end());
        assert_eq!((run.categories(), run.ended.len()), (vec![Category::Panicked], 1), "{name}");
    }
}

#[test]
fn a_fault_of_an_edge_or_in_a_frame_of_a_stage_is_told_and_passes_the_stages_above() {
    let fault = || {
        let (stage, message) = ("microphone".into(), "it is gone".into());
        FrameKind::Fault(Arc::new(Fault { stage, category: Category::Device, message, cause: None }))
    };
    let log = Log::default();
    let below = Probe::new("below", &log).frame(move |frame, cx| {
        if word(&frame) == "1" {
            cx.push_up(fault());
        }
        cx.forward(frame);
    });
    let mut run = Run::new(Stages::new().then(Probe::new("above", &log)).then(below));
    run.down(0, n(1));
    run.input(0, Direction::Upstream, fault());
    assert_eq!(run.categories(), [Category::Device; 2]);
    assert_eq!(log.take().iter().filter(|line| *line == "above fault").count(), 2);
    assert!(run.up.is_empty() && run.ended.is_empty());
}

#[test]
fn stages_that_answer_each_other_for_ever_are_stopped_and_named() {
    let log = Log::default();
    let mut down = Probe::new("down", &log);
    down = down.frame(|frame, cx| if frame.kind().is_run() { cx.forward(frame) } else { cx.push(n(2)) });
    let mut up = Probe::new("up", &log);
    up = up.frame(|frame, cx| if frame.kind().is_run() { cx.forward(frame) } else { cx.push_up(n(2)) });
    let stages = Stages::new().then(Probe::new("idle", &log)).then(down).then(Stages::new().then(up));
    let mut run = Run::new(stages);
    run.down(0, n(2));
    assert_eq!(run.categories(), [Category::Livelock]);
    assert_eq!(&*run.faults[0].stage, "down, stages, up");
    assert!(log.take().len() <= MOST_STEPS + 16);
    assert!(run.chain.losses().livelocked > 0);
    assert!(matches!(&run.ended[..], [Ended::Failed { .. }]), "the run ended in an input of its own");
}

#[test]
fn a_stage_that_pushes_without_end_in_one_step_is_stopped_too() {
    let log = Log::default();
    let flood = Probe::new("flood", &log).frame(|frame, cx| {
        for _ in 0..100_000 {
            cx.push(n(2));
        }
        cx.forward(frame);
    });
    let mut run = Run::with(Stages::new().then(flood), ChainOptions::new().policy(Policy::Continue));
    run.chain.start(at(0));
    run.drain();
    assert_eq!(run.categories(), [Category::Livelock]);
    assert_eq!(run.down.len(), 1 + MOST_STEPS);
}

#[test]
fn a_slow_step_is_told_once_for_each_stage_and_without_the_steps_inside_it() {
    let clock = Arc::new(AtomicU64::new(0));
    let log = Log::default();
    let slow = |name, ms: u64| {
        let clock = Arc::clone(&clock);
        Probe::new(name, &log).frame(move |frame, cx| {
            clock.fetch_add(ms, Ordering::Relaxed);
            cx.forward(frame);
        })
    };
    let stages = Stages::new().then(slow("quick", 5)).then(Stages::new().then(slow("slow", 6)));
    let meter = Arc::clone(&clock);
    let options = ChainOptions::new().meter(move || at(meter.load(Ordering::Relaxed)));
    let mut run = Run::with(stages, options);
    for _ in 0..3 {
        run.down(0, n(2));
    }
    assert_eq!(run.categories(), [Category::Slow]);
    assert_eq!(&*run.faults[0].stage, "slow");
    assert!(run.ended.is_empty());
}
