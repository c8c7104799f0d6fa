use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use realtime_protocol::call::{Command, Interruption, Outcome};
use realtime_protocol::session_config::SessionConfig;
use serde_json::{Value, json};

use super::*;
use crate::tool::{BoxFuture, Filler, Function, ToolError, ToolPolicy};

/// A desk, and a driver of its own: futures run when they are polled.
struct Bench {
    desk: Desk,
    now: Timestamp,
    running: BTreeMap<JobId, (String, BoxFuture<'static, FunctionOutput>)>,
    approving: BTreeMap<JobId, BoxFuture<'static, Result<(), String>>>,
    claims: Vec<JobId>,
    commits: Vec<JobId>,
    /// Commands that were asked for and are not settled.
    asked: BTreeMap<u64, Command>,
    /// The outputs of calls, in the order in which they were sent.
    answers: Vec<(String, Value)>,
    notices: Vec<Notice>,
    last: u64,
}

impl Bench {
    fn new(toolbox: Toolbox) -> Self {
        Self::with(toolbox, DeskOptions::default())
    }

    fn with(toolbox: Toolbox, options: DeskOptions) -> Self {
        let config = Box::new(toolbox.session_config(SessionConfig::realtime()));
        let mut bench = Self {
            desk: Desk::new(toolbox, options),
            now: Timestamp::from_millis(1),
            running: BTreeMap::new(),
            approving: BTreeMap::new(),
            claims: Vec::new(),
            commits: Vec::new(),
            asked: BTreeMap::new(),
            answers: Vec::new(),
            notices: Vec::new(),
            last: 0,
        };
        bench.hear(Event::Ready { config, refused: Vec::new() });
        bench
    }

    fn hear(&mut self, event: Event) {
        self.desk.handle_event(self.now, &event);
        self.drain();
    }

    fn call(&mut self, name: &str) {
        let call = call(name);
        self.hear(Event::FunctionCalls { response_id: "resp".into(), out_of_band: false, calls: vec![call] });
    }

    fn interrupt(&mut self) {
        self.hear(Event::Interrupted(Interruption::default()));
    }

    fn drain(&mut self) {
        while let Some(output) = self.desk.poll_output() {
            match output {
                DeskOutput::Ask { asker, command } => {
                    self.last += 1;
                    if let Command::AnswerFunction { call_id, output, .. } = &command {
                        let text = serde_json::from_str(&output.to_wire()).unwrap();
                        self.answers.push((call_id.to_string(), text));
                    }
                    self.asked.insert(self.last, command);
                    self.desk.handle_asked(asker, CommandId(self.last));
                }
                DeskOutput::Tell(notice) => self.notices.push(notice),
                DeskOutput::Claim { job, .. } => self.claims.push(job),
                DeskOutput::Commit { job, .. } => self.commits.push(job),
                DeskOutput::Approve { job, work } => drop(self.approving.insert(job, work.start())),
                DeskOutput::Start { job, call, work } => {
                    self.running.insert(job, (call.name.clone(), work.start()));
                }
                DeskOutput::Stop(job) => {
                    assert!(self.running.remove(&job).is_some() || self.approving.remove(&job).is_some());
                }
            }
        }
    }

    /// Polls what runs, and hands in what ended.
    fn poll(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let jobs: Vec<JobId> = self.approving.keys().copied().collect();
        for job in jobs {
            if let Poll::Ready(approved) = self.approving.get_mut(&job).unwrap().as_mut().poll(&mut cx) {
                self.approving.remove(&job);
                self.desk.handle_approved(self.now, job, approved);
                self.drain();
            }
        }
        let jobs: Vec<JobId> = self.running.keys().copied().collect();
        for job in jobs {
            let Some((_, future)) = self.running.get_mut(&job) else { continue };
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                self.running.remove(&job);
                self.desk.handle_done(self.now, job, output);
                self.drain();
            }
        }
    }

    fn settle(&mut self) {
        for (id, command) in std::mem::take(&mut self.asked) {
            if let Command::AnswerFunction { call_id, output, .. } = command {
                let call = Arc::new(FunctionCall { call_id, ..(*call("")).clone() });
                self.hear(Event::FunctionEnded { call, end: output.into() });
            }
            self.hear(Event::Settled { id: CommandId(id), outcome: Outcome::Done });
        }
    }

    fn refuse(&mut self, reason: &Refusal) {
        for (id, _) in std::mem::take(&mut self.asked) {
            self.desk.handle_refused(self.now, CommandId(id), reason);
        }
        self.drain();
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.desk.handle_timeout(self.now);
        self.drain();
    }

    fn running(&self) -> Vec<&str> {
        self.running.values().map(|(name, _)| name.as_str()).collect()
    }

    fn answers(&mut self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.answers)
    }
}

fn call(name: &str) -> Arc<FunctionCall> {
    Arc::new(FunctionCall {
        key: String::new(),
        call_id: name.into(),
        item_id: None,
        name: name.split('.').next().unwrap_or_default().into(),
        arguments: "{}".into(),
    })
}

fn ready(name: &str) -> Function {
    Function::new(name, "", |(): ()| async { Ok::<_, ToolError>(7) })
}

fn hangs(name: &str) -> Function {
    Function::new(name, "", |(): ()| std::future::pending::<Result<u8, ToolError>>())
}

fn one(name: &str, output: Value) -> Vec<(String, Value)> {
    vec![(name.to_owned(), output)]
}

#[test]
fn each_ending_gives_one_output() {
    let fails = Function::new("fails", "", |(): ()| async { Err::<u8, _>(ToolError::new("no such city")) });
    let mut bench = Bench::new(Toolbox::new().with(ready("works")).with(fails).with(hangs("hangs")));
    for (name, output) in [
        ("works", json!(7)),
        ("fails", json!({"error": "no such city"})),
        ("nobody", json!({"error": "there is no such function"})),
        ("hangs", json!({"error": "the function took too long"})),
    ] {
        bench.call(name);
        bench.poll();
        bench.pass(if name == "hangs" { 30_000 } else { 0 });
        assert_eq!(bench.answers(), one(name, output));
        assert_eq!(bench.desk.open(), 1, "until the output is acknowledged");
        bench.settle();
        assert_eq!((bench.desk.open(), bench.running()), (0, vec![]));
    }
    assert_eq!(bench.desk.poll_timeout(), None);
}

#[test]
fn an_interruption_cancels_finishes_or_detaches_by_policy() {
    let rule = |name: &str, rule| hangs(name).policy(ToolPolicy::new().on_interrupt(rule));
    let toolbox = Toolbox::new()
        .with(rule("look", OnInterrupt::Cancel))
        .with(rule("order", OnInterrupt::Finish))
        .with(rule("book", OnInterrupt::Detach));
    let mut bench = Bench::new(toolbox);
    ["look", "order", "book"].into_iter().for_each(|name| bench.call(name));
    bench.interrupt();
    assert_eq!(bench.running(), ["order", "book"]);
    let answers = bench.answers();
    assert_eq!(answers[0], ("look".into(), json!({"status": "cancelled"})));
    assert_eq!(answers[1], ("book".into(), json!({"status": LATER})));
    assert_eq!(answers.len(), 2);
    bench.settle();
    assert_eq!(bench.running(), ["order", "book"]);

    let book = *bench.running.keys().nth(1).unwrap();
    bench.running.remove(&book);
    bench.desk.handle_done(bench.now, book, FunctionOutput::Result(json!("seat 4")));
    bench.drain();
    let Some(Command::CreateItem { item, respond: true, .. }) = bench.asked.values().next() else {
        panic!("expected a message, got {:?}", bench.asked);
    };
    let words = item.as_message().unwrap().parts()[0].words().unwrap();
    assert!(words.contains("`book`") && words.ends_with(r#""seat 4""#), "{words}");
    bench.settle();
    assert_eq!(bench.desk.open(), 1);
}

#[test]
fn a_late_result_is_as_certain_to_arrive_as_any_other() {
    let book = hangs("book").policy(ToolPolicy::new().on_interrupt(OnInterrupt::Detach));
    let mut bench = Bench::new(Toolbox::new().with(book));
    bench.call("book");
    bench.interrupt();
    let job = *bench.running.keys().next().unwrap();
    bench.running.clear();
    // The answer for now was not taken yet.
    bench.refuse(&Refusal::TooManyWaiting { waiting: 7 });
    bench.desk.handle_done(bench.now, job, FunctionOutput::Result(json!("seat 4")));
    bench.drain();
    let large = Refusal::TooLarge { what: "one event", limit: 1, got: 2, unit: "bytes" };
    for (refusal, ending) in [
        (Refusal::TooManyWaiting { waiting: 7 }, r#""seat 4""#.to_owned()),
        (Refusal::NotConnected, r#""seat 4""#.to_owned()),
        (large.clone(), json!({"error": large.to_string()}).to_string()),
    ] {
        bench.refuse(&refusal);
        bench.pass(5_000);
        let words = bench.asked.values().find_map(|command| match command {
            Command::CreateItem { item, .. } => item.as_message()?.parts()[0].words(),
            _ => None,
        });
        assert!(words.is_some_and(|words| words.ends_with(&ending)), "{words:?}");
        // That the call is answered for now is no end of its result.
        bench.hear(Event::FunctionEnded { call: call("book"), end: FunctionEnd::Result(json!("later")) });
    }
    bench.settle();
    assert_eq!(bench.desk.open(), 0);
}

#[test]
fn what_is_full_is_tried_again_and_what_is_too_large_becomes_an_error() {
    let mut bench = Bench::new(Toolbox::new().with(ready("works")));
    bench.call("works");
    bench.poll();
    assert_eq!(bench.answers().len(), 1);
    for _ in 0..20 {
        bench.refuse(&Refusal::TooManyWaiting { waiting: 7 });
        assert_eq!(bench.answers(), []);
        bench.pass(5_000);
        assert_eq!(bench.answers(), one("works", json!(7)));
    }
    bench.refuse(&Refusal::NotConnected);
    bench.hear(Event::Connection(ConnectionEvent::Resumed {
        gap: Duration::ZERO,
        audio_lost: realtime_protocol::time::MediaTime::ZERO,
    }));
    assert_eq!(bench.answers(), one("works", json!(7)), "it does not wait for the time to retry");
    let large = Refusal::TooLarge { what: "one event", limit: 1, got: 2, unit: "bytes" };
    bench.refuse(&large);
    assert_eq!(bench.answers(), one("works", json!({"error": large.to_string()})));
    bench.refuse(&large);
    assert_eq!((bench.answers(), bench.desk.open()), (vec![], 0));
}

#[test]
fn large_outputs_wait_for_each_other() {
    let text = "x".repeat(48 << 10);
    let big = Function::new("big", "", move |(): ()| {
        let text = text.clone();
        async { Ok::<_, ToolError>(text) }
    });
    let mut bench =
        Bench::with(Toolbox::new().with(big), DeskOptions::default().unacknowledged_bytes(64 << 10));
    let names: Vec<String> = (0..8).map(|number| format!("big.{number}")).collect();
    names.iter().for_each(|name| bench.call(name));
    bench.poll();
    let mut answered = Vec::new();
    while !bench.asked.is_empty() {
        assert_eq!(bench.asked.len(), 1);
        bench.settle();
        answered.extend(bench.answers().into_iter().map(|(name, _)| name));
    }
    assert_eq!(answered, names);
    assert_eq!(bench.desk.open(), 0);
}

#[test]
fn calls_wait_for_room() {
    let one_at_a_time = hangs("slow").policy(ToolPolicy::new().concurrency(1));
    let toolbox = Toolbox::new().with(one_at_a_time).with(hangs("other"));
    let mut bench = Bench::with(toolbox, DeskOptions::default().concurrency(2));
    ["slow.1", "slow.2", "other.1", "other.2"].into_iter().for_each(|name| bench.call(name));
    assert_eq!(bench.running(), ["slow", "other"]);
    bench.pass(30_000); // both took too long
    assert_eq!(bench.running(), ["slow", "other"]);
    assert_eq!(bench.desk.open(), 4);
}

#[test]
fn approval_fails_closed() {
    let asks = |name: &str, answer: Result<(), &str>| {
        let answer = answer.map_err(ToOwned::to_owned);
        ready(name).approval(move |_| {
            let answer = answer.clone();
            async { answer }
        })
    };
    let silent = ready("silent").approval(|_| std::future::pending());
    let toolbox =
        Toolbox::new().with(asks("yes", Ok(()))).with(asks("no", Err("not on a Sunday"))).with(silent);
    let mut bench = Bench::new(toolbox);
    ["yes", "no", "silent"].into_iter().for_each(|name| bench.call(name));
    bench.poll();
    bench.poll();
    bench.pass(30_000);
    let mut answers = bench.answers();
    answers.sort_by(|one, other| one.0.cmp(&other.0));
    let refused = |why: &str| json!({"error": format!("refused: {why}")});
    assert_eq!(
        answers,
        [
            ("no".to_owned(), refused("not on a Sunday")),
            ("silent".to_owned(), refused(NOT_APPROVED)),
            ("yes".to_owned(), json!(7)),
        ]
    );
}

#[test]
fn a_gated_desk_asks_before_a_function_runs_and_before_its_output_counts() {
    let mut bench = Bench::with(Toolbox::new().with(ready("f")), DeskOptions::default().gated(true));
    ["f.1", "f.2", "f.3"].into_iter().for_each(|name| bench.call(name));
    assert!(bench.running().is_empty());
    let [first, second, third] = bench.claims[..] else { panic!("{:?}", bench.claims) };
    bench.desk.handle_claimed(bench.now, first, Ok(()));
    bench.desk.handle_claimed(bench.now, second, Err("it runs elsewhere".into()));
    bench.desk.handle_claimed(bench.now, third, Ok(()));
    bench.drain();
    assert_eq!(bench.answers(), one("f.2", json!({"error": "refused: it runs elsewhere"})));
    bench.poll();
    assert_eq!((bench.answers(), bench.commits.clone()), (vec![], vec![first, third]));
    bench.desk.handle_committed(bench.now, first, Ok(()));
    bench.desk.handle_committed(bench.now, third, Err("another process answers".into()));
    bench.drain();
    assert_eq!(bench.answers(), one("f.1", json!(7)));
    bench.settle();
    assert_eq!(bench.desk.open(), 0);
}

#[test]
fn a_response_runs_the_tools_that_it_saw() {
    let toolbox = Toolbox::new().with(ready("f"));
    let mut bench = Bench::new(toolbox.clone());
    let started = |id: &str| Event::ResponseStarted {
        response_id: id.into(),
        origin: realtime_protocol::call::Origin::Server,
        out_of_band: false,
        metadata: BTreeMap::new(),
    };
    bench.hear(started("resp"));
    toolbox.unregister("f");
    assert_eq!(bench.desk.poll_timeout(), Some(Timestamp::ZERO));
    bench.pass(0);
    let Some(Command::UpdateConfig { config }) = bench.asked.values().next() else { panic!("no update") };
    assert_eq!(config.tools.value().map(Vec::len), Some(0));
    bench.settle();
    bench.call("f");
    bench.poll();
    assert_eq!(bench.answers(), one("f", json!(7)));
    bench.settle();
    bench.hear(started("resp_2"));
    let calls = vec![call("f.2")];
    bench.hear(Event::FunctionCalls { response_id: "resp_2".into(), out_of_band: false, calls });
    assert_eq!(bench.answers(), one("f.2", json!({"error": "there is no such function"})));
}

#[test]
fn tools_that_cannot_be_declared_for_now_are_declared_later() {
    let toolbox = Toolbox::new().with(ready("f"));
    let mut bench = Bench::new(toolbox.clone());
    toolbox.unregister("f");
    bench.pass(0);
    bench.refuse(&Refusal::TooManyWaiting { waiting: 7 });
    assert_eq!(bench.desk.poll_timeout(), Some(bench.now + Duration::from_secs(5)), "not at once");
    bench.pass(5_000);
    assert!(matches!(bench.asked.values().next(), Some(Command::UpdateConfig { .. })));
}

#[test]
fn progress_and_fillers_are_told_while_a_function_runs() {
    let after = Duration::from_secs(2);
    let clip = Filler::Clip { after, clip: "typing".into() };
    let sentence = Filler::Sentence { after, instructions: "Say that you are still looking.".into() };
    let works = Function::new("works", "", |(): (), cx: FunctionContext| async move {
        cx.progress("half");
        std::future::pending::<Result<u8, ToolError>>().await
    });
    let toolbox = Toolbox::new()
        .with(works.policy(ToolPolicy::new().filler(clip)))
        .with(hangs("hangs").policy(ToolPolicy::new().filler(sentence)));
    let mut bench = Bench::new(toolbox);
    bench.call("works");
    bench.call("hangs");
    bench.poll();
    assert_eq!(bench.desk.poll_timeout(), Some(Timestamp::ZERO));
    bench.pass(0);
    assert_eq!(bench.desk.poll_timeout(), Some(bench.now + after));
    bench.pass(2_000);
    let told: Vec<String> = bench
        .notices
        .iter()
        .map(|notice| match notice {
            Notice::FunctionStarted { call } => format!("{} runs", call.name),
            Notice::FunctionProgress { progress, .. } => progress.to_string(),
            Notice::FunctionFiller { clip, .. } => clip.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["works runs", "hangs runs", "\"half\"", "typing"]);
    assert!(matches!(bench.asked.values().next(), Some(Command::CreateResponse { params: Some(_), .. })));
    bench.pass(2_000);
    assert_eq!(bench.asked.len(), 1, "once");
}

#[test]
fn nothing_fills_a_wait_in_which_somebody_speaks() {
    let after = Duration::from_secs(2);
    let sentence = Filler::Sentence { after, instructions: "Say that you are still looking.".into() };
    let mut bench =
        Bench::new(Toolbox::new().with(hangs("hangs").policy(ToolPolicy::new().filler(sentence))));
    bench.call("hangs");
    bench.hear(Event::SpeechStarted { item_id: None, at: None });
    bench.pass(2_100);
    assert!(bench.asked.is_empty());
    bench.hear(Event::SpeechStopped { item_id: None, at: None });
    bench.pass(250);
    assert!(matches!(bench.asked.values().next(), Some(Command::CreateResponse { params: Some(_), .. })));
}

#[test]
fn nothing_runs_after_the_end() {
    let mut bench = Bench::new(Toolbox::new().with(hangs("hangs")).with(ready("works")));
    bench.call("hangs");
    bench.call("works");
    bench.poll();
    let reason = realtime_protocol::call::CloseReason::Requested;
    bench.hear(Event::Closed { reason });
    assert_eq!((bench.running(), bench.desk.open(), bench.desk.poll_timeout()), (vec![], 0, None));
}

#[test]
fn a_call_that_another_process_ran_is_treated_by_its_policy() {
    let rule = |name: &str, rule| ready(name).policy(ToolPolicy::new().on_takeover(rule));
    let toolbox = Toolbox::new()
        .with(rule("unknown", OnTakeover::Unknown))
        .with(rule("again", OnTakeover::Again))
        .with(rule("ask", OnTakeover::Ask));
    let mut bench = Bench::new(toolbox);
    bench.desk.handle_takeover(bench.now, &["unknown", "again", "ask", "gone"].map(call));
    bench.drain();
    bench.poll();
    let answers: BTreeMap<_, _> = bench.answers().into_iter().collect();
    assert_eq!(answers["unknown"], json!({"error": NOBODY_KNOWS}));
    assert_eq!(answers["ask"], json!({"error": ASK_THE_USER}));
    assert_eq!(answers["again"], json!(7));
    assert_eq!(answers["gone"], json!({"error": "there is no such function"}));
}
