//! When an agent that calls somebody begins to speak.

use std::sync::{Arc, Mutex};

use realtime_protocol::call::Event;

use crate::chain::{
    Answer, Audio, Chain, Cx, Direction, FrameKind, Intent, Keys, NotAsked, Output, Processor, Shape, Stages,
    Ticket,
};
use crate::turns::FirstWord;
use realtime_protocol::time::Timestamp;

/// A service that notes when it is asked (ms).
struct Service(Arc<Mutex<Vec<u64>>>);

impl Processor for Service {
    fn name(&self) -> &str {
        "service"
    }

    fn handle_intent(&mut self, ticket: Ticket, _: Intent, cx: &mut Cx<'_>) {
        self.0.lock().unwrap().push(cx.now().as_micros() / 1_000);
        cx.answer(ticket, Answer::Refused(NotAsked::Unable { reason: "no".into() }));
    }

    fn shape(&self) -> Shape {
        Shape::service(false)
    }
}

struct Bench {
    chain: Chain,
    asked: Arc<Mutex<Vec<u64>>>,
    ms: u64,
    /// Pieces of 20 ms that were let through.
    passed: usize,
    faults: usize,
}

impl Bench {
    fn new() -> Self {
        let asked = Arc::default();
        let stage = FirstWord::new().then(Intent::Run { params: None, protected: true });
        let stages = Stages::new().then(stage).then(Service(Arc::clone(&asked)));
        let mut chain = Chain::new(stages).unwrap();
        chain.start(Timestamp::ZERO);
        Self { chain, asked, ms: 0, passed: 0, faults: 0 }
    }

    fn ready(mut self) -> Self {
        self.event_ready();
        self
    }

    fn event_ready(&mut self) {
        let ready = Event::Ready { config: Box::default(), refused: Vec::new() };
        self.up(FrameKind::Event(Arc::new(ready)));
    }

    fn up(&mut self, kind: FrameKind) {
        self.chain.handle_input(Timestamp::from_millis(self.ms), Direction::Upstream, kind);
        self.drain();
    }

    /// A loud voice, or silence, for so long.
    fn hear(&mut self, ms: u64, is_loud: bool) {
        for _ in 0..ms / 20 {
            self.ms += 20;
            while let Some(due) =
                self.chain.poll_timeout().filter(|due| *due <= Timestamp::from_millis(self.ms))
            {
                self.chain.handle_timeout(due);
            }
            let wave = (0..160).map(|t| if is_loud { [0, 9_000, 0, -9_000][t / 2 % 4] } else { 0 });
            let audio = FrameKind::InputAudio(Audio::mono(8_000, wave.collect::<Vec<i16>>()));
            self.chain.handle_input(Timestamp::from_millis(self.ms), Direction::Downstream, audio);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.chain.poll_output() {
            match output {
                Output::Frame(_, frame) if matches!(frame.kind(), FrameKind::InputAudio(_)) => {
                    self.passed += 1
                }
                Output::Fault(_) => self.faults += 1,
                _ => {}
            }
        }
    }

    fn asked(&self) -> Vec<u64> {
        self.asked.lock().unwrap().clone()
    }
}

#[test]
fn it_follows_the_first_word_and_a_pause() {
    let mut bench = Bench::new().ready();
    bench.hear(500, false);
    bench.hear(600, true);
    bench.hear(1_000, false);
    assert_eq!((bench.asked(), bench.passed), (vec![], 0));
    bench.hear(2_000, false);
    let [asked] = bench.asked()[..] else { panic!("{:?}", bench.asked()) };
    assert!((2_240..2_500).contains(&asked), "{asked}");
    assert!(bench.passed > 50, "from then on the model hears");
    assert_eq!(bench.faults, 1, "what was refused is told");
    bench.hear(600, true);
    bench.hear(3_000, false);
    assert_eq!(bench.asked().len(), 1);
}

#[test]
fn an_announcement_is_heard_to_its_end_and_one_without_an_end_for_half_a_minute() {
    let mut bench = Bench::new().ready();
    for _ in 0..5 {
        bench.hear(2_000, true);
        bench.hear(700, false);
    }
    assert!(bench.asked().is_empty());
    bench.hear(1_000, false);
    assert_eq!(bench.asked().len(), 1);

    let mut bench = Bench::new().ready();
    for _ in 0..20 {
        bench.hear(1_500, true);
        bench.hear(200, false);
    }
    assert_eq!(bench.asked(), [30_000]);
}

#[test]
fn silence_a_key_and_a_late_session_are_not_waited_for_longer_than_they_must() {
    let mut bench = Bench::new().ready();
    bench.hear(6_000, false);
    assert_eq!(bench.asked(), [4_000]);

    let mut bench = Bench::new().ready();
    bench.hear(1_000, false);
    let key = FrameKind::InputDtmf(Keys::new("1").unwrap());
    bench.chain.handle_input(Timestamp::from_millis(bench.ms), Direction::Downstream, key);
    assert_eq!(bench.asked(), [1_000]);

    let mut bench = Bench::new();
    bench.hear(6_000, false);
    assert!(bench.asked().is_empty() && bench.chain.poll_timeout().is_none());
    bench.event_ready();
    assert_eq!(bench.asked(), [6_000]);
}
