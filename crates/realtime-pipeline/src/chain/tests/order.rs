//! Order, nesting, what observers see, and which chains are refused.

use realtime_protocol::call::PlaybackReport;

use super::*;
use crate::chain::{Hop, Map, Observer, Parallel, Tap, UserSpeech, WrongChain};

#[test]
fn start_precedes_everything_and_frames_keep_their_order_in_nested_rows() {
    let log = Log::default();
    let early = Probe::new("a", &log).frame(|frame, cx| {
        if matches!(frame.kind(), FrameKind::Start) {
            cx.push(n(1));
        }
        cx.forward(frame);
    });
    let inner = Stages::named("inner").then(Probe::new("b", &log)).then(Stages::new());
    let mut run = Run::new(Stages::new().then(early).then(inner).then(Probe::new("c", &log)));
    run.down(0, n(2));
    run.input(0, Direction::Upstream, FrameKind::Playback(PlaybackReport::Mark(1)));
    run.down(0, n(3));
    assert_eq!(run.down, ["start", "1", "2", "3"]);
    assert_eq!(run.up, ["playback"]);
    let seen = log.take();
    assert_eq!(seen[..6], ["a start", "b start", "b 1", "c start", "c 1", "a 2"]);
    assert_eq!(seen[8..11], ["c playback", "b playback", "a playback"]);
}

#[test]
fn what_is_pushed_both_ways_has_one_number_and_passes_branches_once_each_way() {
    let log = Log::default();
    let middle = Probe::new("middle", &log).frame(|frame, cx| {
        if word(&frame) == "1" {
            cx.broadcast(FrameKind::User(UserSpeech::Started { item_id: None }));
        }
        cx.forward(frame);
    });
    let around = |name| Parallel::new().branch(Stages::new()).branch(Probe::new(name, &log));
    let mut run = Run::new(Stages::new().then(around("above")).then(middle).then(around("below")));
    run.down(0, n(1));
    assert_eq!(run.down, ["start", "user", "1"]);
    assert_eq!(run.up, ["user"]);
}

#[test]
fn a_chain_may_move_to_another_thread() {
    const fn is_send<T: Send>() {}
    is_send::<Chain>();
    is_send::<Output>();
}

#[test]
fn a_chain_without_stages_hands_frames_on() {
    let mut run = Run::new(Stages::new().then(Parallel::new()));
    run.down(0, n(1));
    run.down(0, end());
    assert_eq!(run.down, ["start", "1", "end"]);
}

#[test]
fn stages_come_from_a_configuration_too() {
    let made: Vec<Box<dyn Processor>> =
        ["a", "b"].map(|name| Probe::new(name, &Log::default()).into()).into();
    let stages = made.into_iter().fold(Stages::new(), Stages::then);
    assert_eq!((stages.len(), stages.is_empty()), (2, false));
    Run::new(stages).down(0, n(1));
}

#[test]
fn a_map_changes_one_direction_and_neither_the_run_nor_interruptions() {
    let map = Map::new(|kind| {
        let Numbered(number) = kind.as_custom()?;
        (*number != 2).then(|| n(number * 10))
    });
    let mut run = Run::new(Stages::new().then(map));
    for kind in [n(1), n(2), interruption()] {
        run.down(0, kind);
    }
    run.input(0, Direction::Upstream, n(3));
    run.down(0, end());
    assert_eq!(run.down, ["start", "10", "interruption", "end"]);
    assert_eq!(run.up, ["3"]);
}

/// Writes down what it sees.
struct Watch(Log);

impl Observer for Watch {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        self.0.add(format_args!("{} -> {}: {}", hop.from, hop.to, word(hop.frame)));
    }

    fn on_intent(&mut self, _: Timestamp, ticket: Ticket, intent: &Intent) {
        assert_ne!(ticket.to_string(), "");
        self.0.add(intent.name());
    }

    fn on_answer(&mut self, _: Timestamp, _: Ticket, answer: &Answer) {
        self.0.add(format_args!("{answer:?}"));
    }

    fn on_fault(&mut self, _: Timestamp, fault: &Fault) {
        self.0.add(fault);
    }
}

#[test]
fn observers_see_every_hop_intent_answer_and_fault() {
    let (seen, log) = (Log::default(), Log::default());
    let tap = Tap::new(|frame, cx| {
        if frame.kind().as_custom::<Numbered>().is_some() {
            cx.ask(Intent::Interrupt);
            cx.fault_by(Category::Device, "no disk", std::io::Error::other("full"));
        }
    });
    let inner = Stages::named("inner").then(Probe::new("b", &log));
    let mut run = Run::new(Stages::new().then(tap).then(inner));
    run.chain.start(at(0));
    run.chain.observe(Watch(seen.clone()));
    run.down(0, n(1));
    let expected = [
        "source -> tap: 1",
        "interrupt",
        "Refused(NoService)",
        "tap: no disk",
        "tap -> source: fault",
        "tap -> inner: 1",
        "inner -> b: 1",
        "inner -> sink: 1",
    ];
    assert_eq!(seen.take(), expected);
    assert_eq!(run.categories(), [Category::Device]);
    assert!(run.up.is_empty(), "a fault is told once");
}

#[test]
fn an_observer_that_panics_sees_no_more_and_stops_nothing() {
    struct Bad;
    impl Observer for Bad {
        fn on_frame(&mut self, _: &Hop<'_>) {
            panic!("bad");
        }
    }
    let mut run = Run::new(Stages::new());
    run.chain.observe(Bad);
    run.down(0, n(1));
    run.down(0, n(2));
    assert_eq!(run.down, ["start", "1", "2"]);
    assert_eq!(run.faults.len(), 1);
}

#[test]
fn wrong_chains_are_refused_when_built() {
    let service = || {
        let mut probe = Probe::new("service", &Log::default());
        probe.shape = Shape::service(true);
        probe
    };
    let playout = || {
        let mut probe = Probe::new("playout", &Log::default());
        probe.shape = Shape::playout();
        probe
    };
    for (stages, expected) in [
        (Stages::new().then(Stages::new().then(service())), Some(WrongChain::NoPlayout)),
        (
            Stages::new().then(playout()).then(Parallel::new().branch(service())),
            Some(WrongChain::PlayoutBeforeService),
        ),
        (
            Stages::new().then(service()).then(playout()).then(playout()),
            Some(WrongChain::ManyPlayouts { playouts: 2 }),
        ),
        (Stages::new().then(Stages::new().then(service())).then(playout()), None),
    ] {
        assert_eq!(Chain::new(stages).err(), expected);
    }
}
