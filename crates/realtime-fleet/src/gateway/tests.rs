use super::*;
use crate::id::Sequence;
use crate::samples::{at, entry, id, placed, placing};

#[test]
fn a_call_is_announced_before_it_is_offered() {
    let mut bench = Bench::new(&[("a", 9)]);
    let call = bench.gateway.place(at(10), NewCall::new(placing()));
    assert_eq!(bench.announced(), std::slice::from_ref(&call));
    bench.answer(at(20), Answer::Done(Sequence(5)));
    let gateway = bench.gateway.quota.name().clone();
    let [Request::Offer { to, offer }] = &bench.requests()[..] else { panic!() };
    assert_eq!((to, &offer.state), (&id("a"), &Offered::New { gateway, placing: placing() }));
    bench.answer(at(30), Answer::Offered(OfferAnswer::Taken));
    assert_eq!(bench.placed, [(call, Ok(Some(id("a"))))]);
}

#[test]
fn calls_that_come_while_others_are_announced_are_announced_together() {
    let mut bench = Bench::new(&[("a", 9)]);
    let calls: Vec<CallId> =
        (0..4).map(|n| bench.gateway.place(at(10 + n), NewCall::new(placing()))).collect();
    assert_eq!(bench.announced(), calls[..1]);
    bench.answer(at(20), Answer::Done(Sequence(5)));
    bench.answer(at(21), Answer::Offered(OfferAnswer::Taken));
    assert_eq!(bench.announced(), calls[1..]);
    bench.answer(at(30), Answer::Done(Sequence(6)));
    let offered = bench.requests().into_iter().filter(|request| matches!(request, Request::Offer { .. }));
    assert_eq!(offered.count(), 3);
}

#[test]
fn an_announcement_that_nobody_answers_for_is_made_again_and_no_call_is_offered_before() {
    let mut bench = Bench::new(&[("a", 9)]);
    let call = bench.gateway.place(at(10), NewCall::new(placing()));
    bench.answer(at(1010), Answer::Unclear);
    assert_eq!(bench.requests(), []);
    assert!(bench.gateway.poll_timeout().is_some_and(|due| due <= at(1210)));
    bench.gateway.handle_timeout(at(1210));
    assert_eq!(bench.announced(), [call]);
}

#[test]
fn a_worker_that_refuses_or_is_silent_is_not_the_last_one_asked() {
    let mut bench = Bench::new(&[("a", 9), ("b", 9), ("c", 9)]);
    bench.gateway.place(at(10), NewCall::new(placing()));
    bench.answer(at(20), Answer::Done(Sequence(5)));
    let mut asked = BTreeSet::new();
    for answer in [Answer::Offered(OfferAnswer::Busy), Answer::Unclear, Answer::Offered(OfferAnswer::Taken)] {
        let offer = bench.requests().into_iter().find_map(|request| match request {
            Request::Offer { to, .. } => Some(to),
            _ => None,
        });
        asked.insert(offer.unwrap());
        bench.answer(at(30), answer);
    }
    assert_eq!(asked.len(), 3);
    assert!(matches!(&bench.placed[..], [(_, Ok(Some(_)))]));
}

#[test]
fn a_full_fleet_is_told_once_no_worker_can_take_the_call_any_more() {
    let mut bench = Bench::new(&[("a", 9)]);
    let call = bench.gateway.place(at(10), NewCall::new(placing()));
    bench.answer(at(20), Answer::Done(Sequence(5)));
    bench.answer(at(30), Answer::Offered(OfferAnswer::Full));
    let [Request::Append { after: Sequence(0), entry, .. }] = &bench.requests()[..] else { panic!() };
    assert!(matches!(entry.line, Line::Ended { .. }));
    assert_eq!(bench.placed, []);
    bench.answer(at(40), Answer::Done(Sequence(6)));
    assert_eq!(bench.placed, [(call, Err(PlaceError::Full))]);
}

#[test]
fn room_is_known_before_a_call_is_accepted() {
    let mut bench = Bench::new(&[("a", 2), ("b", 1)]);
    let new = NewCall::new(placing());
    assert_eq!(bench.check(at(0), &new, 2), Some(Ok(())));
    assert_eq!(bench.check(at(0), &new, 3), Some(Err(PlaceError::Full)), "others are about to be placed");
    assert_eq!(Bench::new(&[]).check(at(0), &new, 0), Some(Err(PlaceError::NoWorker)));
    // Nothing was heard of any worker for longer than a lease: its card is old.
    assert_eq!(bench.check(at(60_000), &new, 0), Some(Err(PlaceError::EngineAway)));
    assert_eq!(bench.gateway.cards(at(5)).len(), 2);
}

#[test]
fn a_yes_that_was_lost_on_the_way_is_found_in_the_journal() {
    let mut bench = Bench::new(&[("a", 9)]);
    let call = bench.gateway.place(at(10), NewCall::new(placing()));
    bench.answer(at(20), Answer::Done(Sequence(5)));
    bench.answer(at(220), Answer::Unclear);
    bench.requests.retain(|(_, request)| !matches!(request, Request::ReadLease { .. }));
    bench.answer(at(230), Answer::Refused);
    bench.answer(at(240), Answer::Lines(vec![(Sequence(6), entry("a", 0, placed("a")))]));
    assert_eq!(bench.placed, [(call, Ok(None))]);
}

#[test]
fn an_engine_that_is_away_is_told_after_some_seconds() {
    let mut bench = Bench::new(&[("a", 9)]);
    let call = bench.gateway.place(at(10), NewCall::new(placing()));
    bench.gateway.handle_timeout(at(5009));
    bench.drain();
    assert_eq!(bench.placed, []);
    bench.gateway.handle_timeout(at(5010));
    bench.drain();
    assert_eq!(bench.placed, [(call, Err(PlaceError::EngineAway))]);
}

#[test]
fn a_call_with_a_limit_is_announced_in_its_slot_and_offered_while_the_lease_is_good() {
    for (answered, is_offered) in [(40, true), (9_000, false)] {
        let mut bench = Bench::new(&[("a", 9)]);
        let call = bench.gateway.place(at(10), NewCall::new(placing()).tenant_limit(5));
        assert_eq!(bench.announced(), [], "it has no slot yet");
        bench.answer(at(20), Answer::Done(Sequence(1))); // its lease
        bench.answer(at(21), Answer::Value(None)); // the slots
        bench.answer(at(22), Answer::Done(Sequence(2)));
        assert_eq!(bench.announced(), std::slice::from_ref(&call));
        bench.answer(at(answered), Answer::Done(Sequence(3)));
        let offers = |request: &Request| matches!(request, Request::Offer { .. });
        let ends = |request: &Request| match request {
            Request::Append { after: Sequence(0), entry, .. } => matches!(entry.line, Line::Ended { .. }),
            _ => false,
        };
        let requests = bench.requests();
        assert_eq!(requests.iter().any(offers), is_offered, "{requests:?}");
        assert_eq!(requests.iter().any(ends), !is_offered, "{requests:?}");
    }
}

#[test]
fn without_a_worker_nothing_is_announced() {
    let mut bench = Bench::new(&[]);
    let call = bench.gateway.place(at(10), NewCall::new(placing()));
    assert!(bench.requests().is_empty());
    assert_eq!(bench.placed, [(call, Err(PlaceError::NoWorker))]);
}

struct Bench {
    gateway: Gateway,
    requests: Vec<(RequestId, Request)>,
    placed: Vec<(CallId, Result<Option<WorkerId>, PlaceError>)>,
    checked: Option<Result<(), PlaceError>>,
}

impl Bench {
    fn new(workers: &[(&str, u32)]) -> Self {
        let mut gateway = Gateway::new(Duration::from_secs(3), 7);
        for (name, slots) in workers {
            gateway.handle_push(at(0), Push::Renewed(id(name), Card { slots: *slots, ..Card::default() }));
        }
        Self { gateway, requests: Vec::new(), placed: Vec::new(), checked: None }
    }

    fn drain(&mut self) {
        while let Some(output) = self.gateway.poll_output() {
            match output {
                GatewayOutput::Request(id, request) => self.requests.push((id, request)),
                GatewayOutput::Placed { call, result } => self.placed.push((call, result)),
                GatewayOutput::Checked { result, .. } => self.checked = Some(result),
            }
        }
    }

    fn check(&mut self, now: Timestamp, new: &NewCall, besides: usize) -> Option<Result<(), PlaceError>> {
        self.gateway.check(now, 7, new, besides);
        self.drain();
        self.checked.take()
    }

    fn requests(&mut self) -> Vec<Request> {
        self.drain();
        self.requests.iter().map(|(_, request)| request.clone()).collect()
    }

    /// What is being announced.
    fn announced(&mut self) -> Vec<CallId> {
        let of = |request| match request {
            Request::Announce { calls, .. } => Some(calls.into_iter().map(|(call, _)| call)),
            _ => None,
        };
        self.requests().into_iter().filter_map(of).flatten().collect()
    }

    /// Answers the oldest request that is no read of a lease.
    fn answer(&mut self, now: Timestamp, answer: Answer) {
        self.drain();
        let is_meant = |(_, request): &(RequestId, Request)| !matches!(request, Request::ReadLease { .. });
        let (id, _) = self.requests.remove(self.requests.iter().position(is_meant).unwrap());
        self.gateway.handle_answer(now, id, answer);
        self.drain();
    }
}
