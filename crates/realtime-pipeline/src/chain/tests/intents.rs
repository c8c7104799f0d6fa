//! Intents: exactly one answer each, and the one service wherever it stands.

use realtime_protocol::call::{Event, Outcome};

use super::*;
use crate::chain::{MOST_OPEN, NotAsked, Parallel};

/// Asks at each numbered frame.
fn asker(log: &Log) -> Probe {
    Probe::new("asker", log).frame(|frame, cx| {
        if frame.kind().as_custom::<Numbered>().is_some() {
            cx.ask(Intent::Say { text: word(&frame).into() });
        }
        cx.forward(frame);
    })
}

/// A chain whose service is in a branch of a nested row.
fn nested(service: Probe, log: &Log) -> Stages {
    let branch = Stages::new().then(Probe::new("before", log)).then(service);
    Stages::new()
        .then(asker(log))
        .then(Stages::new().then(Parallel::new().branch(Stages::new()).branch(branch)))
}

#[test]
fn the_service_is_found_wherever_it_stands_and_who_asked_gets_its_answer() {
    let log = Log::default();
    let service = Probe::new("service", &log).service(|ticket, _, cx| {
        cx.answer(ticket, Answer::Settled(Outcome::Done));
        cx.answer(ticket, Answer::Settled(Outcome::TimedOut));
        cx.push(n(50));
    });
    let mut run = Run::new(nested(service, &log));
    run.down(0, n(1));
    let seen = log.take();
    assert_eq!(seen[seen.len() - 4..], ["before 1", "service 1", "service say", "asker Settled(Done)"]);
    assert_eq!(run.down, ["start", "1", "50"], "what the service pushes leaves its branch");

    let ticket = run.chain.ask(at(1), Intent::Interrupt);
    run.drain();
    assert_eq!(run.answers, [(ticket, Answer::Settled(Outcome::Done))]);

    let event = Arc::new(Event::Created { session_id: None });
    run.chain.handle_event(at(2), &event);
    run.drain();
    assert_eq!(run.down.last().unwrap(), "event");
    assert_eq!(log.take().last().unwrap(), "service event");
}

#[test]
fn without_a_service_an_intent_is_refused_at_once() {
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(asker(&log)));
    run.down(0, n(1));
    assert_eq!(log.take(), ["asker start", "asker 1", "asker Refused(NoService)"]);
    run.chain.handle_event(at(0), &Arc::new(Event::Created { session_id: None }));
    run.drain();
    assert_eq!(run.down, ["start", "1"]);
}

#[test]
fn open_intents_are_closed_at_the_end_and_exactly_once() {
    let log = Log::default();
    let mut run = Run::new(nested(Probe::new("service", &log).service(|_, _, _| {}), &log));
    run.down(0, n(1));
    let ticket = run.chain.ask(at(0), Intent::Interrupt);
    log.take();
    run.down(1, end());
    let closed = log.take().into_iter().filter(|line| line == "asker Closed").count();
    assert_eq!((closed, &run.answers[..]), (1, &[(ticket, Answer::Closed)][..]));
}

#[test]
fn after_the_end_an_intent_is_closed_at_once() {
    let mut run = Run::new(Stages::new());
    run.down(0, cancel());
    let ticket = run.chain.ask(at(1), Intent::Interrupt);
    let Some(Output::Answer(answered, Answer::Closed)) = run.chain.poll_output() else { panic!() };
    assert_eq!(answered, ticket);
}

#[test]
fn a_service_that_does_not_know_an_intent_says_so() {
    struct Plain;
    impl Processor for Plain {
        fn name(&self) -> &str {
            "plain"
        }

        fn shape(&self) -> Shape {
            Shape::service(false)
        }
    }
    let mut run = Run::new(Stages::new().then(Plain));
    run.chain.ask(at(0), Intent::Reset);
    run.drain();
    assert!(matches!(&run.answers[0].1, Answer::Refused(NotAsked::Unable { .. })));
    assert!(!run.answers[0].1.is_ok());
}

#[test]
fn intents_that_nobody_answers_are_bounded() {
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(Probe::new("service", &log).service(|_, _, _| {})));
    for _ in 0..MOST_OPEN + 2 {
        run.chain.ask(at(0), Intent::Interrupt);
    }
    run.drain();
    let refused = Answer::Refused(NotAsked::TooMany { waiting: MOST_OPEN });
    assert_eq!(run.answers.iter().filter(|(_, answer)| *answer == refused).count(), 2);
    run.down(1, cancel());
    assert_eq!(run.answers.len(), MOST_OPEN + 2);
}

#[test]
fn a_stage_that_asks_again_at_each_answer_is_stopped_and_all_are_answered() {
    struct Again(Log);
    impl Processor for Again {
        fn name(&self) -> &str {
            "again"
        }

        fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
            cx.ask(Intent::Interrupt);
            cx.forward(frame);
        }

        fn handle_answer(&mut self, _: Ticket, _: &Answer, cx: &mut Cx<'_>) {
            self.0.add("answered");
            cx.ask(Intent::Interrupt);
        }
    }
    let log = Log::default();
    let mut run = Run::new(Stages::new().then(Again(log.clone())));
    run.chain.start(at(0));
    run.drain();
    assert!(run.categories().iter().all(|category| *category == Category::Livelock));
    assert!(log.take().len() < 3 * crate::chain::MOST_STEPS);
    assert_eq!(run.ended.len(), 1);
}
