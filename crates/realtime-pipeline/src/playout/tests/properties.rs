//! Random runs: whatever comes in whatever order, what was heard is counted right.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;

/// What happens to a playout.
#[derive(Clone, Copy, Debug)]
enum Input {
    /// Audio of the item that is said, or of a clip: so many samples.
    Audio(u64),
    Clip(u64),
    /// The item is whole, and another one follows.
    Finish,
    Message,
    Hold,
    Resume,
    Stop,
    Full,
    Ready,
    Passes(u64),
}

fn inputs(stops: u32) -> impl Strategy<Value = Vec<Input>> {
    let one = prop_oneof![
        6 => (1..9_000_u64).prop_map(Input::Audio),
        2 => (1..3_000_u64).prop_map(Input::Clip),
        2 => Just(Input::Finish),
        1 => Just(Input::Message),
        2 => Just(Input::Hold),
        3 => Just(Input::Resume),
        stops => Just(Input::Stop),
        1 => Just(Input::Full),
        2 => Just(Input::Ready),
        6 => (0..400_u64).prop_map(Input::Passes),
    ];
    prop::collection::vec(one, 1..60)
}

/// How the sink behaves.
#[derive(Clone, Copy, Debug)]
struct SinkPlan {
    lead: u64,
    reports: bool,
    /// How long its answers take (ms). Above 100, the playout does not wait for them.
    answers_after: u64,
}

impl SinkPlan {
    /// Returns whether it is known what was heard, and not only estimated.
    const fn is_exact(self) -> bool {
        match self.reports {
            true => self.answers_after < 100,
            false => self.lead == 0,
        }
    }
}

fn sinks() -> impl Strategy<Value = SinkPlan> {
    (prop_oneof![Just(0), Just(30), Just(1_000)], any::<bool>(), prop_oneof![Just(0), Just(40), Just(150)])
        .prop_map(|(lead, reports, answers_after)| SinkPlan { lead, reports, answers_after })
}

/// A clock that only estimates may be wrong by the sample that it stopped in.
fn exact_sinks() -> impl Strategy<Value = SinkPlan> {
    sinks().prop_filter("it only estimates", |plan| plan.is_exact())
}

/// A sink that sounds what it gets, one after the other.
#[derive(Default)]
struct Sink {
    /// Audio that has not sounded, and how many samples of its first chunk have.
    held: VecDeque<OutputAudio>,
    sounded: u64,
    /// When the next sample of `held` sounds (samples since the origin, at 24 kHz).
    next: u64,
    /// What has sounded: ranges of positions.
    heard: Vec<(String, u64, u64)>,
    last: Option<SinkPosition>,
    taken: usize,
    answered: usize,
    /// When `ClearSink` came (ms), and the answer to it.
    answers: VecDeque<(u64, SinkReport)>,
}

struct World {
    bench: Bench,
    plan: SinkPlan,
    sink: Sink,
    item: u64,
    received: BTreeMap<String, u64>,
    clips: u64,
    hold: u64,
    stop: u64,
    messages: usize,
}

impl World {
    fn new(plan: SinkPlan) -> Self {
        let playout = Playout::new().lead(Duration::from_millis(plan.lead)).reports(plan.reports);
        Self {
            bench: Bench::new(playout),
            plan,
            sink: Sink::default(),
            item: 0,
            received: BTreeMap::new(),
            clips: 0,
            hold: 0,
            stop: 0,
            messages: 0,
        }
    }

    fn item(&self) -> String {
        format!("item {}", self.item)
    }

    fn does(&mut self, input: Input) {
        match input {
            Input::Audio(samples) => {
                let item = self.item();
                let received = self.received.entry(item.clone()).or_default();
                let audio = part(&item, *received, samples);
                *received += samples;
                self.bench.down(FrameKind::OutputAudio(audio));
            }
            Input::Clip(samples) => {
                self.clips += 1;
                let name = format!("clip {}", self.clips);
                self.received.insert(name.clone(), samples);
                let source = AudioSource::Clip(name.as_str().into());
                let audio = OutputAudio { response_id: None, source: source.clone(), ..part("", 0, samples) };
                self.bench.down(FrameKind::OutputAudio(audio));
                self.bench.down(FrameKind::OutputFinished { source, total: samples });
            }
            Input::Finish => {
                self.bench.done(&self.item());
                self.item += 1;
            }
            Input::Message => {
                self.messages += 1;
                self.bench.message(false);
            }
            Input::Hold => {
                self.hold += 1;
                self.bench.hold(self.hold);
            }
            Input::Resume => self.bench.resume(self.hold),
            Input::Stop => {
                self.stop += 1;
                self.item += 1;
                self.bench.stop(self.stop);
            }
            Input::Full => self.bench.sink(SinkReport::Full),
            Input::Ready => self.bench.sink(SinkReport::Ready),
            Input::Passes(ms) => {
                for _ in 0..ms {
                    self.millisecond();
                }
            }
        }
        self.sink_acts();
    }

    fn millisecond(&mut self) {
        let until = self.bench.now + Duration::from_millis(1);
        self.bench.pass_to(until);
        self.sink_acts();
    }

    /// The sink sounds what it has, takes what came, and answers.
    fn sink_acts(&mut self) {
        let now_ms = self.bench.now.as_micros() / 1_000;
        // A sample is heard when it begins to sound.
        self.sound(now_ms * 24 + 1);
        while self.sink.answered < self.bench.cleared.len() {
            let id = self.bench.cleared[self.sink.answered];
            self.sink.answered += 1;
            // What came before the request is dropped.
            let answer = SinkReport::Cleared { id, at: self.sink.last.clone() };
            self.take(now_ms * 24);
            self.sink.held.clear();
            self.sink.sounded = 0;
            self.sink.answers.push_back((now_ms + self.plan.answers_after, answer));
        }
        self.take(now_ms * 24);
        while self.sink.answers.front().is_some_and(|(at, _)| *at <= now_ms) {
            let (_, answer) = self.sink.answers.pop_front().unwrap();
            self.bench.sink(answer);
            self.take(now_ms * 24);
        }
    }

    fn take(&mut self, now: u64) {
        for (_, chunk) in &self.bench.played[self.sink.taken..] {
            if self.sink.held.is_empty() {
                self.sink.next = self.sink.next.max(now);
            }
            self.sink.held.push_back(chunk.clone());
        }
        self.sink.taken = self.bench.played.len();
    }

    fn sound(&mut self, now: u64) {
        while let Some(chunk) = self.sink.held.front()
            && self.sink.next < now
        {
            let left = chunk.audio.frames() - self.sink.sounded;
            let sounds = left.min(now - self.sink.next);
            let from = chunk.start + self.sink.sounded;
            self.sink.heard.push((name(&chunk.source), from, from + sounds));
            self.sink.last = Some(SinkPosition { source: chunk.source.clone(), samples: from + sounds });
            self.sink.next += sounds;
            self.sink.sounded += sounds;
            if sounds == left {
                self.sink.sounded = 0;
                self.sink.held.pop_front();
                let heard = self.sink.last.clone().unwrap();
                self.bench.sink(SinkReport::Heard(heard));
            }
        }
    }

    /// Nothing holds it any longer, and all that waits is heard.
    fn ends(&mut self) {
        self.does(Input::Ready);
        self.does(Input::Resume);
        self.does(Input::Finish);
        for _ in 0..40_000 {
            self.millisecond();
            if self.bench.chain.poll_timeout().is_none() && self.sink.held.is_empty() {
                break;
            }
        }
        self.bench.end();
        assert!(self.bench.ended.is_some(), "it is drained");
    }

    /// What was handed out, or heard where the sink can drop it, as ranges of positions.
    fn ranges(&self) -> Vec<(String, u64, u64)> {
        let of = |(_, chunk): &(_, OutputAudio)| {
            (name(&chunk.source), chunk.start, chunk.start + chunk.audio.frames())
        };
        match self.plan {
            SinkPlan { lead: 0, reports: false, .. } => self.bench.played.iter().map(of).collect(),
            _ => self.sink.heard.clone(),
        }
    }
}

fn config() -> Config {
    Config { cases: 100, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_sample_is_heard_once_and_in_order(inputs in inputs(0), plan in exact_sinks()) {
        let mut world = World::new(plan);
        for input in &inputs {
            world.does(*input);
        }
        world.ends();
        let mut heard = BTreeMap::new();
        let mut last = BTreeMap::new();
        for (name, from, to) in world.ranges() {
            let (kind, number) = name.split_once(' ').unwrap();
            let number: u64 = number.parse().unwrap();
            let before = last.insert(kind.to_owned(), number).unwrap_or(0);
            prop_assert!(before <= number, "{kind} {number} after {before}");
            let end = heard.entry(name).or_insert(0);
            prop_assert_eq!(*end, from, "no sample is lost, and none is heard twice");
            *end = to;
        }
        prop_assert_eq!(heard, world.received);
        prop_assert_eq!(world.bench.of("message").len(), world.messages);
        prop_assert!(world.bench.faults.iter().all(|fault| fault.category == Category::Device));
    }

    #[test]
    fn what_is_told_as_heard_never_exceeds_what_came_and_never_falls(inputs in inputs(2), plan in sinks()) {
        let mut world = World::new(plan);
        for input in &inputs {
            world.does(*input);
        }
        world.ends();
        let mut told = BTreeMap::<String, u64>::new();
        let (mut stops, mut holds) = (0, 0);
        for report in &world.bench.reports {
            let at = match report {
                PlaybackReport::Played(at) => Some(at),
                PlaybackReport::Stopped { id, at } => {
                    prop_assert_eq!(id.0, stops + 1, "each stop is answered, in order");
                    stops = id.0;
                    at.as_ref()
                }
                PlaybackReport::Held { id, at } => {
                    prop_assert!(id.0 > holds);
                    holds = id.0;
                    at.as_ref()
                }
                _ => None,
            };
            if let Some(at) = at {
                let item = at.item_id.to_string();
                prop_assert!(at.played <= world.received[&item]);
                let last = told.entry(item).or_default();
                prop_assert!(at.played >= *last, "{:?} after {}", at, last);
                *last = at.played;
            }
        }
        prop_assert_eq!(stops, world.stop);
        // What was told is what was heard, to the sample where the sink says so.
        let mut heard = BTreeMap::<String, u64>::new();
        for (name, from, to) in world.ranges() {
            let end = heard.entry(name).or_insert(0);
            prop_assert!(from <= *end || !plan.is_exact(), "no gap");
            *end = to.max(*end);
        }
        for (item, told) in told {
            let heard = heard.get(&item).copied().unwrap_or(0);
            // This sink looks at its audio once a millisecond.
            let slack = if plan.is_exact() { 0 } else { 10 * 24 };
            prop_assert!(told <= heard + slack, "{item}: told {told}, heard {heard}");
        }
        let begun = world.bench.of("started").len();
        prop_assert_eq!(begun, world.bench.of("fell silent").len(), "speech that began has ended");
    }

    #[test]
    fn timeouts_that_nobody_asked_for_change_nothing(inputs in inputs(1), plan in sinks()) {
        let [mut plain, mut spurious] = [World::new(plan), World::new(plan)];
        for input in &inputs {
            plain.does(*input);
            spurious.does(*input);
            spurious.bench.chain.handle_timeout(spurious.bench.now);
            spurious.bench.drain();
        }
        prop_assert_eq!(plain.bench.told, spurious.bench.told);
    }
}
