//! Whatever comes, at whatever time: no panic, and what is put out is bounded by what came in.

use proptest::prelude::*;

use super::*;
use crate::chain::BotSpeech;

/// Something happens.
#[derive(Clone, Debug)]
enum Step {
    Bytes(Vec<u8>),
    Json(Value),
    Asked(String, Value),
    Audio(Vec<u8>, u32),
    Words(String, bool),
    Played(u64, u64),
    Finished,
    Interrupted,
    Bot,
    Clear,
    Pass(u64),
    Finish,
    Closed,
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("label".to_owned()),
        Just("type".to_owned()),
        Just("id".to_owned()),
        Just("data".to_owned()),
        Just("content".to_owned()),
        Just("t".to_owned()),
        ".{0,4}",
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What a client may send.
const KINDS: &[&str] = &[
    "client-ready",
    "disconnect-bot",
    "client-message",
    "send-text",
    "send-file",
    "dtmf",
    "llm-function-call-result",
    "raw-audio",
    "raw-audio-batch",
    "ui-event",
    "append-to-context",
];

fn kind() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(KINDS).prop_map(str::to_owned), 1 => ".{0,12}"]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<Vec<u8>>().prop_map(Step::Bytes),
        json_value().prop_map(Step::Json),
        (kind(), json_value()).prop_map(|(kind, data)| Step::Asked(kind, data)),
        (any::<Vec<u8>>(), any::<u32>()).prop_map(|(bytes, rate)| Step::Audio(bytes, rate)),
        ("[a-z .!?\n。ü]{0,30}", any::<bool>()).prop_map(|(text, spoken)| Step::Words(text, spoken)),
        (0..5_000_u64, 1..60_u64).prop_map(|(from, ms)| Step::Played(from, ms)),
        Just(Step::Finished),
        Just(Step::Interrupted),
        Just(Step::Bot),
        Just(Step::Clear),
        (0..20_000_u64).prop_map(Step::Pass),
        Just(Step::Finish),
        Just(Step::Closed),
    ]
}

impl Bench {
    fn take(&mut self, step: Step) {
        match step {
            Step::Bytes(bytes) => self.receive(bytes.into()),
            Step::Json(json) => self.send(&json.to_string()),
            Step::Asked(kind, data) => self.ask(&kind, "id", data),
            Step::Audio(bytes, rate) => self.receive(audio_of(&bytes, rate)),
            Step::Words(text, spoken) => self.words("one", &text, spoken),
            Step::Played(from, ms) => self.play("one", from, ms),
            Step::Finished => self.finished("one"),
            Step::Interrupted => self.down(FrameKind::Interruption { response_id: None, stop: None }),
            Step::Bot => self.down(FrameKind::Bot(BotSpeech::Started)),
            Step::Clear => self.rtvi.clear(self.now, cleared(1)),
            Step::Pass(ms) => self.pass(self.now.as_micros() / 1_000 + ms),
            Step::Finish => self.rtvi.finish(self.now),
            Step::Closed => self.rtvi.handle_closed(self.now),
        }
        self.drain();
    }
}

proptest! {
    #[test]
    fn anything_may_come_at_any_time(is_open: bool, steps in prop::collection::vec(step(), 0..40)) {
        let mut bench = if is_open { Bench::open(|options| options) } else { Bench::new(|options| options) };
        let mut clears = 0;
        for step in steps {
            clears += usize::from(matches!(step, Step::Clear));
            bench.take(step);
        }
        let cleared = bench.others.iter().filter(|other| other.contains("Cleared")).count();
        prop_assert_eq!(cleared, clears, "each clear is answered once");
        prop_assert!(bench.others.iter().filter(|other| *other == "Close").count() <= 1);
        if bench.rtvi.is_over() {
            prop_assert_eq!(bench.rtvi.poll_timeout(), None);
        }
    }

    #[test]
    fn messages_with_an_id_are_answered_at_most_once_and_at_once(kind in kind(), data in json_value()) {
        let mut bench = Bench::open(|options| options);
        bench.ask(&kind, "id", data);
        let answers = |said: &&Value| said["id"] == "id";
        let (answered, taken) = (bench.said.iter().filter(answers).count(), bench.inputs.len());
        // A new version may be refused and served.
        let most = if kind == "client-ready" { 2 } else { 1 };
        prop_assert!(answered <= most, "{:?}", bench.said);
        prop_assert!(kind == "client-ready" || answered + taken >= 1 || kind.starts_with("raw-audio"));
    }
}
