//! The six rules, one after another, and what else a worker promises.

mod moving;

use serde_json::json;

use super::*;
use crate::engine::Owners;
use crate::id::Sequence;
use crate::ledger::OnTakeover;
use crate::line::{Body, Entry};
use crate::samples::{at, entry, id, owner, placed, placing};
use crate::snapshot::Snapshot;

#[test]
fn rule_1_without_a_lease_nothing_is_begun_and_nothing_is_dropped() {
    let mut bench = Bench::serving();
    bench.claim("k");
    bench.answer_append(at(1000), Answer::Done(Sequence(12)));
    assert_eq!(bench.verdicts(), [("k", Verdict::Run)], "the lease is good");

    // The engine goes away, for longer than the lease lasts.
    bench.unclear(at(1600));
    assert!(bench.worker.may_act(at(2399), &call()) && !bench.worker.may_act(at(2400), &call()));
    for ms in (2400..20_000).step_by(400) {
        bench.worker.handle_timeout(at(ms));
        bench.unclear(at(ms));
    }
    assert_eq!(bench.worker.calls().count(), 1);
    assert_eq!(bench.events(), [], "and the application hears nothing");

    // It is back, and the lease is gone: the worker has a new name, and takes its call back by it.
    bench.worker.handle_timeout(at(20_000));
    bench.answer(at(20_010), |request| matches!(request, Request::ReadLease { .. }), Answer::Lease(None));
    let Event::Named(name) = bench.events().remove(0) else { panic!() };
    bench.answer(at(20_020), is_renewal, Answer::Done(Sequence(30)));
    assert!(!bench.worker.may_act(at(20_021), &call()), "not before its journal says so");
    let line = bench.answer_append(at(20_030), Answer::Done(Sequence(31)));
    assert_eq!(line, Line::Owner { worker: name, epoch: 2, why: Why::Back });
    assert!(bench.worker.may_act(at(20_031), &call()));
    assert_eq!(bench.events(), [], "for the application nothing has happened");
}

#[test]
fn rule_1_a_call_that_somebody_else_has_is_dropped() {
    let mut bench = Bench::serving();
    bench.claim("k");
    bench.answer_append(at(1000), Answer::Refused);
    let mut lines = bench.journal();
    lines.push((Sequence(13), entry("w2", 0, owner("w2", 2))));
    bench.answer(at(1010), is_read, Answer::Lines(lines));
    assert_eq!(bench.events(), [Event::Stopped { call: call() }]);
    assert!(!bench.worker.may_act(at(1011), &call()));
    let figures = bench.worker.figures();
    assert_eq!((figures.held, figures.taken_away, figures.begun), (0, 1, [(Why::Placed, 1)].into()));
}

#[test]
fn rule_2_a_call_is_adopted_from_the_owner_in_its_journal_only() {
    for (of, adopts) in [("w2", true), ("w3", false)] {
        let mut bench = Bench::new();
        bench.offer(at(500), Offered::Lost { of: id(of) });
        assert_eq!(bench.replies(), [OfferAnswer::Taken]);
        bench.answer(at(510), is_read, Answer::Lines(lost_lines()));
        assert_eq!(bench.find(is_append).is_some(), adopts, "{of}");
        assert_eq!(bench.worker.calls().count(), usize::from(adopts));
    }
}

#[test]
fn rule_3_a_missing_key_in_a_list_and_silence_are_no_death() {
    let mut bench = Bench::new();
    bench.worker.handle_push(at(100), Push::Renewed(id("w2"), Card { slots: 9, ..Card::default() }));
    bench.keep_lease(1500);
    // Silent for as long as a lease lasts: its key is read.
    bench.worker.handle_timeout(at(3200));
    let is_read = |request: &Request| matches!(request, Request::ReadLease { worker } if *worker == id("w2"));
    bench.answer(at(3210), is_read, Answer::Lease(Some(Sequence(5))));
    assert!(bench.find(is_list_of_w2).is_none(), "it lives");
    // The engine says that it ended: its key is read, and only that says so.
    bench.worker.handle_push(at(3220), Push::Ended(id("w2")));
    assert!(bench.find(is_list_of_w2).is_none());
    bench.answer(at(3230), is_read, Answer::Lease(None));
    assert!(bench.find(is_list_of_w2).is_some());
}

#[test]
fn rule_4_a_taken_offer_is_looked_after_until_the_journal_has_the_adopter() {
    let mut bench = Bench::with_orphan();
    let taken = Answer::Offered(OfferAnswer::Taken);
    bench.answer(at(3300), is_offer, taken.clone());
    // The adopter dies before it has written its line.
    bench.keep_lease(3500);
    bench.worker.handle_timeout(at(3801));
    bench.answer(at(3810), is_read, Answer::Lines(lost_lines()));
    bench.answer(at(3820), is_offer, taken);
    bench.worker.handle_timeout(at(4400));
    let mut lines = lost_lines();
    lines.push((Sequence(12), entry("w4", 0, owner("w4", 2))));
    bench.answer(at(4410), is_read, Answer::Lines(lines));
    assert_eq!(bench.worker.lost_calls(), 0);
}

#[test]
fn rule_5_a_lost_call_is_offered_to_the_next_one_when_one_refuses_or_does_not_answer() {
    let mut bench = Bench::with_orphan();
    let Request::Offer { to: first, .. } =
        bench.answer(at(3300), is_offer, Answer::Offered(OfferAnswer::Full))
    else {
        panic!()
    };
    let Request::Offer { to: second, .. } = bench.answer(at(3310), is_offer, Answer::Unclear) else {
        panic!()
    };
    assert_ne!(first, second);
    // Perhaps it was taken, and only the answer was lost: the journal is read before the next offer.
    assert!(bench.find(is_offer).is_none());
    bench.answer(at(3320), is_read, Answer::Lines(lost_lines()));
    assert_eq!(bench.worker.lost_calls(), 1, "it waits for one with room, and is not forgotten");
}

#[test]
fn rule_6_a_refusal_is_read_back_and_was_this_workers_own_line() {
    let mut bench = Bench::serving();
    bench.claim("k");
    let line = bench.answer_append(at(1000), Answer::Refused);
    assert_eq!(bench.events(), []);
    let mut lines = bench.journal();
    lines.push((Sequence(12), Entry { by: bench.worker.id().clone(), n: 1, line }));
    bench.answer(at(1010), is_read, Answer::Lines(lines));
    assert_eq!(bench.verdicts(), [("k", Verdict::Run)]);
}

#[test]
fn an_offer_that_comes_too_late_takes_the_call_from_nobody() {
    let mut bench = Bench::new();
    bench.offer(at(500), Offered::New { gateway: id("g"), placing: placing() });
    bench.answer_append(at(900), Answer::Refused);
    bench.answer(at(910), is_read, Answer::Lines(lost_lines()));
    assert_eq!(bench.worker.calls().count(), 0);
    assert_eq!(bench.events(), [], "and the application never heard of it");
}

#[test]
fn what_an_earlier_owner_did_decides_what_is_done_with_a_function() {
    let claim =
        |key: &str, on_takeover| Line::Claim { key: key.into(), name: "f".into(), on_takeover, call: None };
    let lines = [
        placed("w2"),
        claim("unknown", OnTakeover::Unknown),
        claim("again", OnTakeover::Again),
        claim("ask", OnTakeover::Ask),
        claim("done", OnTakeover::Unknown),
        Line::Result { key: "done".into(), output: json!(7).into() },
    ];
    let numbered = lines.into_iter().zip(10..);
    let lines = numbered.map(|(line, n)| (Sequence(n), entry("w2", n, line))).collect();
    let mut bench = Bench::new();
    bench.offer(at(500), Offered::Lost { of: id("w2") });
    bench.answer(at(510), is_read, Answer::Lines(lines));
    bench.answer_append(at(520), Answer::Done(Sequence(20)));
    let Event::Begin(placed) = bench.events().remove(0) else { panic!() };
    let resume = placed.resume.unwrap();
    let keys: Vec<&str> = resume.functions.iter().map(|claim| &claim.key[..]).collect();
    assert_eq!((placed.epoch, keys), (2, vec!["unknown", "again", "ask", "done"]));

    for key in ["unknown", "again", "again", "ask", "done"] {
        bench.claim(key);
    }
    let refused = Verdict::Refused(LineError::Claimed);
    let answer = Verdict::Answer(json!(7).into());
    assert_eq!(
        bench.verdicts(),
        [
            ("unknown", Verdict::Unknown),
            ("again", Verdict::Run),
            ("again", refused), // it runs already
            ("ask", Verdict::Ask),
            ("done", answer)
        ]
    );
}

#[test]
fn what_a_later_release_wrote_is_left_to_others() {
    let mut later_snap = lost_lines();
    let snap = Line::Snap {
        v: SNAPSHOT_VERSION + 1,
        body: Body::of(&json!({ "new": 1 })).unwrap(),
        claims: Vec::new(),
    };
    later_snap.push((Sequence(12), entry("w2", 1, snap)));
    // Its first line has a kind of leg that this release does not know: it is not in what was read.
    let later_leg = vec![(Sequence(12), entry("w2", 0, owner("w2", 2)))];
    for lines in [later_snap, later_leg] {
        let mut bench = Bench::new();
        bench.offer(at(500), Offered::Lost { of: id("w2") });
        bench.answer(at(510), is_read, Answer::Lines(lines));
        assert_eq!(bench.worker.calls().count(), 0);
        assert!(bench.find(is_append).is_none());
    }
}

#[test]
fn snapshots_are_written_at_a_pace_and_the_newest_wins() {
    let mut bench = Bench::serving();
    let snap = |n: u32| Command::Snap(Snapshot::new().app(json!({ "n": n })));
    for n in 1..=6 {
        bench.worker.handle_command(at(1000 + u64::from(n)), &call(), snap(n));
    }
    let Line::Snap { body, .. } = bench.answer_append(at(1010), Answer::Done(Sequence(12))) else { panic!() };
    assert_eq!(of_app(&body), 1);
    let Line::Snap { body, .. } = bench.answer_append(at(1020), Answer::Done(Sequence(13))) else { panic!() };
    assert_eq!(of_app(&body), 4, "four may be written as they come");
    assert!(bench.find(is_append).is_none());
    bench.worker.handle_timeout(at(3001));
    let Line::Snap { body, .. } = bench.answer_append(at(3010), Answer::Done(Sequence(14))) else { panic!() };
    assert_eq!(of_app(&body), 6);
    let at_once = Command::SnapAtOnce(Snapshot::new().app(json!({ "n": 7 })));
    bench.worker.handle_command(at(3020), &call(), at_once);
    let Line::Snap { body, .. } = bench.answer_append(at(3030), Answer::Done(Sequence(15))) else { panic!() };
    assert_eq!(of_app(&body), 7, "this one does not wait");
    assert_eq!(bench.worker.figures().lines, 5, "with that of the owner");
}

#[test]
fn a_worker_that_drains_takes_nothing_and_gives_its_lease_up_after_its_last_call() {
    let mut bench = Bench::serving();
    bench.worker.drain(at(1000));
    let Some((_, Request::Renew { card, .. })) = bench.find(is_renewal) else { panic!() };
    assert!(card.draining, "and says so at once");
    bench.answer(at(1010), is_renewal, Answer::Done(Sequence(21)));
    bench.offer(at(1020), Offered::Lost { of: id("w2") });
    assert!(bench.find(|request| matches!(request, Request::Release { .. })).is_none());

    bench.worker.handle_command(at(1100), &call(), Command::End { why: "hangup".into() });
    bench.answer_append(at(1110), Answer::Done(Sequence(22)));
    bench.answer(at(1120), |request| matches!(request, Request::Release { .. }), Answer::Done(Sequence(0)));
    assert_eq!(bench.events(), [Event::Stopped { call: call() }, Event::Drained]);
    assert_eq!(bench.worker.figures().ended, 1);
}

#[test]
fn what_a_worker_refuses_is_counted_by_its_answer() {
    let mut bench = Bench::new();
    bench.worker.drain(at(500));
    for _ in 0..2 {
        bench.offer(at(510), Offered::Lost { of: id("w2") });
    }
    assert_eq!(bench.replies(), [OfferAnswer::Draining; 2]);
    assert_eq!(bench.worker.figures().refused, [(OfferAnswer::Draining, 2)].into());
}

/// A worker whose requests wait for the test to answer them.
struct Bench {
    worker: Worker,
    requests: Vec<(RequestId, Request)>,
    replies: Vec<OfferAnswer>,
    events: Vec<Event>,
}

impl Bench {
    /// A worker with a lease, which has no call.
    fn new() -> Self {
        let worker = Worker::new(at(0), WorkerOptions::new(), 7);
        let mut bench = Self { worker, requests: Vec::new(), replies: Vec::new(), events: Vec::new() };
        bench.answer(at(10), is_renewal, Answer::Done(Sequence(1)));
        bench.events();
        bench
    }

    /// A worker with a call, whose journal ends with line 11.
    fn serving() -> Self {
        let mut bench = Self::new();
        bench.offer(at(500), Offered::New { gateway: id("g"), placing: placing() });
        bench.answer_append(at(510), Answer::Done(Sequence(11)));
        assert!(matches!(&bench.events()[..], [Event::Begin(placed)] if placed.epoch == 1));
        bench
    }

    /// A worker that knows of a lost call of `w2`, offers it, and has not got an answer.
    fn with_orphan() -> Self {
        let mut bench = Self::new();
        for name in ["w3", "w4"] {
            let card = Card { slots: 9, ..Card::default() };
            bench.worker.handle_push(at(3100), Push::Renewed(id(name), card));
        }
        bench.keep_lease(3100);
        bench.worker.handle_push(at(3200), Push::Ended(id("w2")));
        let is_read_of = |request: &Request| matches!(request, Request::ReadLease { .. });
        bench.answer(at(3210), is_read_of, Answer::Lease(None));
        bench.answer(
            at(3220),
            is_list_of_w2,
            Answer::Calls(vec![crate::Listed::new(call(), crate::Whose::Worker(id("w2")))]),
        );
        // It may wait for another one that comes first for this shard.
        for ms in [3900, 4200] {
            if bench.find(is_offer).is_none() {
                bench.keep_lease(ms);
                bench.worker.handle_timeout(at(ms));
                if bench.find(is_read).is_some() {
                    bench.answer(at(ms), is_read, Answer::Lines(lost_lines()));
                }
            }
        }
        bench
    }

    fn keep_lease(&mut self, ms: u64) {
        self.worker.lease.hurry(at(ms));
        self.worker.handle_timeout(at(ms));
        self.answer(at(ms), is_renewal, Answer::Done(Sequence(ms)));
    }

    fn offer(&mut self, now: Timestamp, state: Offered) {
        self.worker.handle_offer(now, OfferId(0), Offer { call: call(), state });
    }

    fn claim(&mut self, key: &str) {
        let on_takeover = OnTakeover::Unknown;
        let claim = Command::Claim { key: key.into(), name: "f".into(), on_takeover, call: None };
        self.worker.handle_command(at(990), &call(), claim);
    }

    fn drain(&mut self) {
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Request(id, request) => self.requests.push((id, request)),
                Output::Reply(_, answer) => self.replies.push(answer),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn find(&mut self, which: fn(&Request) -> bool) -> Option<(RequestId, Request)> {
        self.drain();
        self.requests.iter().find(|(_, request)| which(request)).cloned()
    }

    fn answer(&mut self, now: Timestamp, which: impl Fn(&Request) -> bool, answer: Answer) -> Request {
        self.drain();
        let position = self.requests.iter().position(|(_, request)| which(request));
        let position = position.unwrap_or_else(|| panic!("not asked: {:?}", self.requests));
        let (id, request) = self.requests.remove(position);
        self.worker.handle_answer(now, id, answer);
        request
    }

    fn answer_append(&mut self, now: Timestamp, answer: Answer) -> Line {
        match self.answer(now, is_append, answer) {
            Request::Append { entry, .. } => entry.line,
            other => panic!("{other:?}"),
        }
    }

    /// Answers nothing that was asked.
    fn unclear(&mut self, now: Timestamp) {
        self.drain();
        for (id, _) in std::mem::take(&mut self.requests) {
            self.worker.handle_answer(now, id, Answer::Unclear);
        }
    }

    fn events(&mut self) -> Vec<Event> {
        self.drain();
        std::mem::take(&mut self.events)
    }

    fn replies(&mut self) -> Vec<OfferAnswer> {
        self.drain();
        std::mem::take(&mut self.replies)
    }

    fn verdicts(&mut self) -> Vec<(&'static str, Verdict)> {
        let known = ["k", "unknown", "again", "ask", "done"];
        let named = self.events().into_iter().map(|event| match event {
            Event::Function { key, verdict, .. } => {
                (*known.iter().find(|known| **known == key).unwrap(), verdict)
            }
            other => panic!("{other:?}"),
        });
        named.collect()
    }

    /// The journal of [`serving`](Self::serving).
    fn journal(&self) -> Vec<(Sequence, Entry)> {
        let worker = self.worker.id().clone();
        let line = Line::Placed { worker: worker.clone(), gateway: id("g"), placing: Box::new(placing()) };
        vec![(Sequence(11), Entry { by: worker, n: 0, line })]
    }
}

/// What the application remembers, in a snapshot.
fn of_app(body: &Body) -> u64 {
    let snapshot: Snapshot = serde_json::from_str(body.as_str()).unwrap();
    snapshot.app.0["n"].as_u64().unwrap()
}

fn lost_lines() -> Vec<(Sequence, Entry)> {
    vec![(Sequence(11), entry("w2", 0, placed("w2")))]
}

fn call() -> CallId {
    CallId::new("c_1").unwrap()
}

fn is_renewal(request: &Request) -> bool {
    matches!(request, Request::Renew { .. })
}

fn is_append(request: &Request) -> bool {
    matches!(request, Request::Append { .. })
}

fn is_read(request: &Request) -> bool {
    matches!(request, Request::Read { .. })
}

fn is_offer(request: &Request) -> bool {
    matches!(request, Request::Offer { .. })
}

fn is_list_of_w2(request: &Request) -> bool {
    matches!(request, Request::List { of: Owners::One(worker), .. } if *worker == id("w2"))
}
