//! What a caller types on a phone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::{
    Answer, Chain, Cx, Direction, FrameKind, Intent, Keys, NotAsked, Output, Processor, Shape, Stages, Ticket,
};
use crate::turns::DtmfAggregator;

/// A service that notes what it is asked, and can't do it.
struct Service(Arc<Mutex<Vec<String>>>);

impl Processor for Service {
    fn name(&self) -> &str {
        "service"
    }

    fn handle_intent(&mut self, ticket: Ticket, intent: Intent, cx: &mut Cx<'_>) {
        self.0.lock().unwrap().push(match intent {
            Intent::Interrupt => "interrupt".to_owned(),
            Intent::Dtmf { keys, run: true } => {
                format!("{} at {}", keys.as_str(), cx.now().as_micros() / 1_000)
            }
            Intent::Dtmf { keys, run: false } => format!("{} kept", keys.as_str()),
            other => format!("{other:?}"),
        });
        cx.answer(ticket, Answer::Refused(NotAsked::Unable { reason: "no".into() }));
    }

    fn shape(&self) -> Shape {
        Shape::service(false)
    }
}

struct Bench {
    chain: Chain,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new(stage: DtmfAggregator) -> Self {
        let asked = Arc::default();
        let stages = Stages::new().then(stage).then(Service(Arc::clone(&asked)));
        let mut chain = Chain::new(stages).unwrap();
        chain.start(Timestamp::ZERO);
        Self { chain, asked }
    }

    fn down(&mut self, ms: u64, kind: FrameKind) {
        self.until(ms);
        self.chain.handle_input(Timestamp::from_millis(ms), Direction::Downstream, kind);
    }

    fn press(&mut self, ms: u64, keys: &str) {
        self.down(ms, FrameKind::InputDtmf(Keys::new(keys).unwrap()));
    }

    fn until(&mut self, ms: u64) {
        while let Some(due) = self.chain.poll_timeout().filter(|due| *due <= Timestamp::from_millis(ms)) {
            self.chain.handle_timeout(due);
        }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[test]
fn an_input_ends_after_a_pause_at_a_key_and_when_it_is_long_enough() {
    let mut bench = Bench::new(DtmfAggregator::new().longest(6));
    bench.press(0, "1");
    bench.press(1_900, "2");
    bench.press(3_800, "3");
    bench.until(5_799);
    assert_eq!(bench.asked(), ["interrupt"]);
    bench.until(6_000);
    assert_eq!(bench.asked(), ["123 at 5800"]);

    bench.press(7_000, "4");
    bench.press(7_100, "#");
    assert_eq!(bench.asked(), ["interrupt", "4# at 7100"]);

    bench.press(8_000, "1234567");
    bench.until(11_000);
    assert_eq!(bench.asked(), ["interrupt", "123456 at 8000", "interrupt", "7 at 10000"]);
    assert_eq!(bench.chain.poll_timeout(), None);
}

#[test]
fn other_keys_and_pauses_end_an_input_by_option() {
    let stage = DtmfAggregator::new().end(None).pause(Duration::from_millis(500)).interrupts(false);
    let mut bench = Bench::new(stage.longest(0));
    bench.press(0, "#");
    assert_eq!(bench.asked(), ["# at 0"], "an input has at least one key");

    let mut bench = Bench::new(DtmfAggregator::new().end(Some('*')).interrupts(false));
    bench.press(0, "#1*2");
    bench.until(3_000);
    assert_eq!(bench.asked(), ["#1* at 0", "2 at 2000"]);
}

#[test]
fn keys_before_the_end_are_kept_and_a_refusal_is_told() {
    let mut bench = Bench::new(DtmfAggregator::new().interrupts(false));
    bench.press(0, "42");
    bench.down(100, FrameKind::End { reason: "they hung up".into() });
    assert_eq!(bench.asked(), ["42 kept"]);
    let mut faults = Vec::new();
    while let Some(output) = bench.chain.poll_output() {
        if let Output::Fault(fault) = output {
            faults.push(fault.to_string());
        }
    }
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert!(fault.contains("was not told of the caller's keys") && !fault.contains("42"), "{fault}");
}
