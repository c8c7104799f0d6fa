//! What a budget tells and asks, by events alone.

use realtime_protocol::call::{Asked, Listeners, Origin, Outcome, ResponseEnd, Timeline};
use realtime_protocol::item::Item;
use realtime_protocol::session_config::ServerVad;
use serde_json::json;

use super::*;

struct Bench {
    budget: Budget,
    listeners: Listeners,
    now: Timestamp,
}

impl Bench {
    /// A call of which each response costs 1, with a limit of 10 and of 100 s, and its turns end by silence.
    fn new(last_words: Option<&str>) -> Self {
        let limits = SpendLimits {
            cost: Some(10.0),
            duration: Some(Duration::from_secs(100)),
            last_words: last_words.map(ToOwned::to_owned),
        };
        let prices = Prices { output_text: 1e6, transcription_minute: 60.0, ..Prices::default() };
        let budget = Budget::new(prices, limits);
        let mut listeners = Listeners::default();
        listeners.add(Box::new(budget.clone()));
        let mut bench = Self { budget, listeners, now: Timestamp::ZERO };
        let mut config = SessionConfig::realtime();
        config.input_mut().turn_detection = Field::Value(TurnDetection::ServerVad(ServerVad::default()));
        assert!(bench.hear(Event::Created { session_id: None }).is_empty());
        assert!(bench.hear(Event::Ready { config: Box::new(config), refused: vec![] }).is_empty());
        bench
    }

    fn at(mut self, secs: u64) -> Self {
        self.now = Timestamp::from_millis(secs * 1000);
        self
    }

    fn hear(&mut self, event: Event) -> Vec<(CommandId, Command)> {
        self.listeners.begin();
        self.listeners.hear(self.now, UnixTime::from_secs(1), &event);
        self.asked()
    }

    fn wake(&mut self) -> Vec<(CommandId, Command)> {
        self.listeners.begin();
        self.listeners.handle_timeout(self.now);
        self.asked()
    }

    fn asked(&mut self) -> Vec<(CommandId, Command)> {
        std::iter::from_fn(|| self.listeners.poll_asked())
            .filter_map(|asked| match asked {
                Asked::Command(id, command) => Some((id, command)),
                Asked::Media(_) => None,
            })
            .collect()
    }

    fn told(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.listeners.poll_notice()).collect()
    }

    /// A response that costs this much has ended.
    fn spend(&mut self, tokens: u64) -> Vec<(CommandId, Command)> {
        self.hear(Event::ResponseFinished(Box::new(ResponseReport {
            response_id: "r".into(),
            end: ResponseEnd::Completed,
            usage: serde_json::from_value(json!({ "output_tokens": tokens })).unwrap(),
            timeline: Timeline::default(),
            dropped_bytes: 0,
            totals: Default::default(),
        })))
    }

    /// What the user said, for so long, is transcribed.
    fn transcribe(&mut self, seconds: f64) -> Vec<(CommandId, Command)> {
        let usage = json!({ "type": "duration", "seconds": seconds });
        self.hear(Event::UserTranscript {
            item_id: "i".into(),
            content_index: 0,
            transcript: "Hi".into(),
            languages: Vec::new(),
            logprobs: Vec::new(),
            usage: serde_json::from_value(usage).unwrap(),
        })
    }

    fn start(&mut self, response: &str, metadata: &[(&str, &str)]) -> Vec<(CommandId, Command)> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.hear(Event::ResponseStarted {
            response_id: response.into(),
            origin: Origin::Client,
            out_of_band: false,
            metadata: metadata.iter().map(pair).collect(),
        })
    }

    fn settle(&mut self, id: CommandId) -> Vec<(CommandId, Command)> {
        let outcome = Outcome::Responded { response_id: "bye".into(), end: ResponseEnd::Completed };
        self.hear(Event::Settled { id, outcome })
    }
}

fn names(asked: &[(CommandId, Command)]) -> Vec<&'static str> {
    asked.iter().map(|(_, command)| command.name()).collect()
}

#[test]
fn a_limit_that_is_not_this_calls_alone_ends_it_with_the_last_words_at_the_next_event() {
    let mut bench = Bench::new(Some("Please call again."));
    bench.budget.exhaust();
    let asked = bench.transcribe(1.0);
    assert!(asked.iter().any(|(_, command)| matches!(command, Command::CreateResponse { .. })), "{asked:?}");
    assert_eq!(bench.told(), [Notice::BudgetSpent {}]);
    assert!(bench.budget.is_spent());
    let mut bench = Bench::new(None);
    bench.budget.exhaust();
    assert!(matches!(bench.spend(1)[..], [(_, Command::Close {})]), "there are no last words");
}

#[test]
fn costs_are_counted_by_response_turn_and_call() {
    let mut bench = Bench::new(None);
    bench.spend(1);
    bench.spend(2);
    let totals = |budget: &Budget| (budget.latest().total(), budget.turn().total(), budget.spent().total());
    assert_eq!(totals(&bench.budget), (2.0, 3.0, 3.0));
    bench.hear(Event::ItemSent { item: Box::new(Item::user_text("And now?")), after: None });
    bench.spend(1);
    assert_eq!(totals(&bench.budget), (1.0, 1.0, 4.0));
    bench.hear(Event::Committed { item_id: "i".into() });
    assert_eq!(totals(&bench.budget), (1.0, 0.0, 4.0));
}

#[test]
fn transcripts_count_into_the_turn_and_the_call_and_towards_the_limits() {
    let mut bench = Bench::new(None);
    bench.spend(1);
    bench.hear(Event::Committed { item_id: "i".into() });
    assert!(bench.transcribe(2.0).is_empty());
    let budget = bench.budget.clone();
    assert_eq!((budget.turn().transcription, budget.turn().total(), budget.spent().total()), (2.0, 2.0, 3.0));
    assert_eq!(budget.latest().total(), 1.0, "of responses");
    assert!(bench.transcribe(5.0).is_empty());
    assert_eq!(bench.told(), [Notice::BudgetNearlySpent { percent: 80 }]);
    assert_eq!(names(&bench.transcribe(2.0)), ["close"]);
    assert_eq!(bench.told(), [Notice::BudgetSpent {}]);
}

#[test]
fn the_soft_limit_is_told_once() {
    let mut bench = Bench::new(None);
    bench.spend(7);
    assert!(bench.told().is_empty());
    bench.spend(1);
    assert_eq!(bench.told(), [Notice::BudgetNearlySpent { percent: 80 }]);
    bench.spend(1);
    let mut bench = bench.at(90);
    bench.wake();
    assert!(bench.told().is_empty(), "not of the time either");
}

#[test]
fn without_last_words_the_hard_limit_ends_the_call_at_once() {
    let mut bench = Bench::new(None);
    assert_eq!(names(&bench.spend(10)), ["close"]);
    assert_eq!(bench.told(), [Notice::BudgetSpent {}]);
    assert!(bench.budget.is_spent());
    assert!(bench.spend(5).is_empty() && bench.told().is_empty());
}

#[test]
fn the_time_counts_as_the_cost_does() {
    let mut bench = Bench::new(None);
    assert_eq!(bench.listeners.poll_timeout(), Some(Timestamp::from_millis(80_000)));
    bench = bench.at(80);
    assert!(bench.wake().is_empty());
    assert_eq!(bench.told(), [Notice::BudgetNearlySpent { percent: 80 }]);
    assert_eq!(bench.listeners.poll_timeout(), Some(Timestamp::from_millis(100_000)));
    bench = bench.at(100);
    assert_eq!(names(&bench.wake()), ["close"]);
    assert_eq!(bench.listeners.poll_timeout(), None);
}

#[test]
fn a_limit_of_zero_is_reached_by_the_first_response() {
    let limits = SpendLimits { cost: Some(0.0), ..SpendLimits::default() };
    let mut bench = Bench::new(None);
    bench.listeners = Listeners::default();
    bench.listeners.add(Box::new(Budget::new(Prices::default(), limits)));
    assert_eq!(names(&bench.spend(0)), ["close"]);
}

#[test]
fn the_last_words_are_the_only_response_after_the_limit() {
    let mut bench = Bench::new(Some("Please call again."));
    let asked = bench.spend(12);
    assert_eq!(names(&asked), ["update_config", "interrupt", "create_response"]);
    let Command::UpdateConfig { config } = &asked[0].1 else { panic!() };
    assert!(!config.turn_detection().value().unwrap().creates_response());
    let Command::CreateResponse { params: Some(params), protected: true } = &asked[2].1 else { panic!() };
    assert!(params.instructions.value().unwrap().contains("Please call again."));
    // One that was owed for a function begins before.
    let cancelled = bench.start("other", &[]);
    assert!(
        matches!(&cancelled[..], [(_, Command::CancelResponse { response_id: Some(id) })] if id.as_str() == "other")
    );
    assert!(bench.start("bye", &[MARK]).is_empty());
    assert!(bench.spend(1).is_empty(), "their own cost ends nothing");
    assert_eq!(names(&bench.settle(asked[2].0)), ["close"]);
    assert_eq!(bench.told(), [Notice::BudgetSpent {}]);
}

#[test]
fn the_call_ends_when_the_last_words_are_played() {
    let mut bench = Bench::new(Some("Please call again."));
    let (id, _) = bench.spend(12).pop().unwrap();
    bench.start("bye", &[MARK]);
    let chunk = realtime_protocol::call::AudioChunk {
        response_id: "bye".into(),
        item_id: "i".into(),
        content_index: 0,
        out_of_band: false,
        start: 0,
        mark: 0,
        format: realtime_protocol::audio::AudioFormat::PCM16_24K,
        audio: vec![0; 3 * 48_000].into(),
    };
    bench.hear(Event::Audio(chunk));
    assert!(bench.settle(id).is_empty());
    assert_eq!(bench.listeners.poll_timeout(), Some(Timestamp::from_millis(3000)));
    assert_eq!(names(&bench.at(3).wake()), ["close"]);
}

#[test]
fn last_words_that_do_not_come_hold_nothing_up() {
    let mut bench = Bench::new(Some("Please call again."));
    bench.spend(12);
    bench = bench.at(29);
    assert!(bench.wake().is_empty());
    assert_eq!(names(&bench.at(30).wake()), ["close"]);

    let mut bench = Bench::new(Some("Please call again."));
    let (id, command) = bench.spend(12).pop().unwrap();
    let reason = realtime_protocol::call::Refusal::TooManyWaiting { waiting: 64 };
    bench.listeners.refused(bench.now, id, &CommandError { command: Box::new(command), reason });
    assert_eq!(names(&bench.asked()), ["close"]);
}
