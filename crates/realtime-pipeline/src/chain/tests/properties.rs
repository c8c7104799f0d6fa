//! Random chains in virtual time: nothing is lost, nothing comes twice, order is kept, any frame may come at
//! any time, and nothing panics.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::Config;
use realtime_protocol::call::{Event, Outcome, PlaybackReport};

use super::plans::{Plan, has_branches, orderly, plans, row};
use super::*;
use crate::chain::{Audio, BotSpeech, Hop, Keys, Observer, Peer, Policy, UserSpeech};

/// What happens to a chain.
#[derive(Clone, Debug)]
enum Input {
    Down,
    Up,
    /// The oldest or the newest work ends.
    WorkEnds {
        newest: bool,
    },
    Passes(u64),
    Ask,
    /// A frame of this kind, in this direction.
    Any(usize, bool),
}

fn ordinary() -> BoxedStrategy<Input> {
    prop_oneof![
        4 => Just(Input::Down),
        2 => Just(Input::Up),
        2 => any::<bool>().prop_map(|newest| Input::WorkEnds { newest }),
        2 => (0..40_u64).prop_map(Input::Passes),
        1 => Just(Input::Ask),
    ]
    .boxed()
}

/// One frame of each kind.
fn kind(number: usize) -> FrameKind {
    let message = crate::chain::Message { body: Arc::new(serde_json::json!({})), urgent: true };
    let source = crate::chain::AudioSource::Clip("clip".into());
    let audio = Audio::mono(8_000, vec![0; 8]);
    let output = crate::chain::OutputAudio {
        response_id: None,
        source: source.clone(),
        start: 0,
        mark: None,
        audio: audio.clone(),
    };
    let fault = Fault { stage: "x".into(), category: Category::Device, message: "y".into(), cause: None };
    let kinds = [
        FrameKind::Start,
        interruption(),
        FrameKind::Playback(PlaybackReport::Mark(1)),
        FrameKind::Fault(Arc::new(fault)),
        FrameKind::Event(Arc::new(Event::Created { session_id: None })),
        FrameKind::InputAudio(audio),
        FrameKind::InputFinished,
        FrameKind::OutputAudio(output.clone()),
        FrameKind::OutputFinished { source, total: 8 },
        FrameKind::PlayedAudio(output),
        FrameKind::User(UserSpeech::Speaking),
        FrameKind::Bot(BotSpeech::Started),
        FrameKind::Peer(Peer::Connected),
        FrameKind::InputMessage(message.clone()),
        FrameKind::Message(message),
        FrameKind::InputDtmf(Keys::new("1").unwrap()),
        FrameKind::OutputDtmf(Keys::new("2").unwrap()),
        n(0),
        end(),
        cancel(),
    ];
    let number = number % kinds.len();
    kinds.into_iter().nth(number).unwrap()
}

/// A chain in a test: its clock, and the numbers that were sent.
struct World {
    run: Run,
    ms: u64,
    sent: u64,
    down: Vec<String>,
    up: Vec<String>,
    asked: usize,
}

impl World {
    fn new(stages: Stages, options: ChainOptions) -> Self {
        let service = Probe::new("service", &Log::default())
            .service(|ticket, _, cx| cx.answer(ticket, Answer::Settled(Outcome::Done)));
        let run = Run::with(stages.then(service), options);
        Self { run, ms: 0, sent: 0, down: vec![], up: vec![], asked: 0 }
    }

    fn does(&mut self, input: &Input) {
        match input {
            Input::Down | Input::Up => {
                self.sent += 1;
                // Even numbers survive an interruption.
                let number = self.sent * 2;
                let (direction, sent) = match input {
                    Input::Down => (Direction::Downstream, &mut self.down),
                    _ => (Direction::Upstream, &mut self.up),
                };
                sent.push(number.to_string());
                self.run.input(self.ms, direction, n(number));
            }
            Input::WorkEnds { newest } => {
                let works = &mut self.run.works;
                let work = if *newest { works.pop_last() } else { works.pop_first() };
                if let Some((work, _)) = work {
                    self.run.chain.handle_work(at(self.ms), work, Ok(Box::new(0_u64)));
                    self.run.drain();
                }
            }
            Input::Passes(ms) => {
                self.ms += ms;
                self.run.pass(self.ms);
            }
            Input::Ask => {
                self.asked += 1;
                self.run.chain.ask(at(self.ms), Intent::Interrupt);
                self.run.drain_late();
            }
            Input::Any(number, down) => {
                let direction = if *down { Direction::Downstream } else { Direction::Upstream };
                self.run.input(self.ms, direction, kind(*number));
            }
        }
    }

    /// All work ends and all delays pass, until nothing moves. Then the run ends.
    fn ends(&mut self) {
        while !self.run.works.is_empty() {
            self.does(&Input::WorkEnds { newest: false });
            self.does(&Input::Passes(60));
        }
        self.run.down(self.ms, end());
        for _ in 0..200 {
            self.does(&Input::WorkEnds { newest: false });
            self.does(&Input::Passes(60));
        }
        self.does(&Input::Passes(20_000));
        assert_eq!(self.run.ended.len(), 1, "a run that was asked to end ends once");
        assert_eq!(self.run.works.len(), 0, "no work outlives the run");
        assert_eq!(self.run.answers.len(), self.asked, "one answer each");
    }
}

impl Run {
    /// Drains, also when answers come after the end.
    fn drain_late(&mut self) {
        let ended = std::mem::take(&mut self.ended);
        self.drain();
        assert!(ended.is_empty() || self.ended.is_empty());
        self.ended.extend(ended);
    }
}

fn numbers(words: &[String]) -> Vec<String> {
    words.iter().filter(|word| word.parse::<u64>().is_ok()).cloned().collect()
}

fn sorted(words: &[String]) -> BTreeSet<String> {
    words.iter().cloned().collect()
}

/// A frame is seen once at each place.
#[derive(Default)]
struct Once(BTreeSet<(crate::chain::FrameId, String, String, Direction)>);

impl Observer for Once {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if &**hop.to == "sink" || &**hop.to == "source" {
            let key = (hop.frame.id(), hop.from.to_string(), hop.to.to_string(), hop.direction);
            assert!(self.0.insert(key), "{} left twice", hop.frame.id());
        }
    }
}

fn config() -> Config {
    Config { cases: 400, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_nothing_comes_twice_and_order_is_kept(
        plans in plans(orderly()),
        inputs in prop::collection::vec(ordinary(), 0..60),
    ) {
        let log = Log::default();
        let mut world = World::new(row(&plans, &log), ChainOptions::new());
        for input in &inputs {
            world.does(input);
        }
        world.ends();
        let (down, up) = (numbers(&world.run.down), numbers(&world.run.up));
        if !has_branches(&plans) {
            prop_assert_eq!(&down, &world.down);
            prop_assert_eq!(&up, &world.up);
        }
        prop_assert_eq!((down.len(), up.len()), (world.down.len(), world.up.len()));
        prop_assert_eq!(sorted(&down), sorted(&world.down));
        prop_assert_eq!(sorted(&up), sorted(&world.up));
        prop_assert!(world.run.faults.is_empty(), "{:?}", world.run.faults);
        prop_assert_eq!(world.run.chain.losses(), crate::chain::Losses::default());
        let said = log.take();
        let of = |word| said.iter().filter_map(|line| line.strip_prefix(word)).collect::<BTreeSet<_>>();
        prop_assert_eq!(of("asked "), of("answered "));
        prop_assert_eq!(said.len(), 2 * of("asked ").len(), "an intent was answered twice");
    }

    #[test]
    fn any_frame_may_come_at_any_time_and_a_stage_may_fail_at_any_time(
        plans in plans(prop_oneof![3 => orderly(), 1 => (1..30_u64).prop_map(|at| Plan::Panics(at * 2))].boxed()),
        inputs in prop::collection::vec(
            prop_oneof![2 => ordinary(), 1 => (0..100_usize, any::<bool>()).prop_map(|(kind, down)| Input::Any(kind, down))],
            0..80,
        ),
        policy in prop_oneof![Just(Policy::Continue), Just(Policy::End), Just(Policy::Cancel)],
    ) {
        let log = Log::default();
        let mut world = World::new(row(&plans, &log), ChainOptions::new().policy(policy));
        world.run.chain.observe(Once::default());
        for input in &inputs {
            world.does(input);
        }
        world.ends();
        prop_assert!(world.run.down.iter().filter(|word| *word == "start").count() <= 1);
        prop_assert_eq!(world.run.down.first().map(String::as_str), Some("start"));
        let is_planned = |fault: &Arc<Fault>| match fault.category {
            Category::Panicked => fault.message.contains("planned"),
            Category::Application => false,
            _ => true,
        };
        prop_assert!(world.run.faults.iter().all(is_planned), "{:?}", world.run.faults);
    }

    #[test]
    fn draining_late_and_timeouts_that_nobody_asked_for_change_nothing(
        plans in plans(orderly()),
        inputs in prop::collection::vec(ordinary(), 0..40),
    ) {
        let log = Log::default();
        let mut plain = World::new(row(&plans, &log), ChainOptions::new());
        let mut spurious = World::new(row(&plans, &log), ChainOptions::new());
        for input in &inputs {
            plain.does(input);
            spurious.does(input);
            spurious.run.chain.handle_timeout(at(spurious.ms));
        }
        spurious.run.drain();
        prop_assert_eq!(plain.run.down, spurious.run.down);
        prop_assert_eq!(plain.run.up, spurious.run.up);
    }
}
