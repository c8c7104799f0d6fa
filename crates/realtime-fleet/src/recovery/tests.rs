use super::*;
use crate::id::Sequence;
use crate::samples::{at, entry, id, owner, placed, placing};

#[test]
fn a_call_that_nobody_took_for_some_seconds_is_lost() {
    let mut recovery = alone();
    recovery.handle_card(at(14_900), id("w2"), Card { slots: 9, ..Card::default() });
    for (ms, lost) in [(10_000, 0), (12_000, 0), (14_900, 0), (15_000, 1)] {
        recovery.handle_answer(at(ms), Ask::List(Owners::Nobody), unowned());
        assert_eq!(recovery.waiting(), lost, "{ms}");
    }
    // Another one may come first for its shard: then its journal is read before.
    let mut asked = asks(&mut recovery, 15_400);
    if asked.contains(&Ask::Check(call())) {
        recovery.handle_answer(at(15_400), Ask::Check(call()), Answer::Lines(Vec::new()));
        asked = asks(&mut recovery, 15_400);
    }
    let offer = Offer { call: call(), state: Offered::New { gateway: id("g"), placing: placing() } };
    assert!(asked.contains(&Ask::Offer(offer, id("w2"))), "{asked:?}");
}

#[test]
fn a_call_that_found_its_owner_is_not_lost_later() {
    let mut recovery = alone();
    recovery.handle_answer(at(10_000), Ask::List(Owners::Nobody), unowned());
    recovery.handle_answer(at(12_000), Ask::List(Owners::Nobody), Answer::Calls(Vec::new()));
    recovery.handle_answer(at(16_000), Ask::List(Owners::Nobody), unowned());
    assert_eq!(recovery.waiting(), 0);
}

#[test]
fn an_owner_that_nobody_knows_is_asked_for_before_its_calls_are_lost() {
    let mut recovery = alone();
    let answer = Answer::Calls(vec![Listed::new(call(), Whose::Worker(id("w9")))]);
    recovery.handle_answer(at(10_000), Ask::List(Owners::All), answer);
    assert_eq!(recovery.waiting(), 0);
    assert_eq!(asks(&mut recovery, 10_000), [Ask::Lease(id("w9"))]);
    recovery.handle_answer(at(10_010), Ask::Lease(id("w9")), Answer::Lease(None));
    assert_eq!(asks(&mut recovery, 10_010), [Ask::List(Owners::One(id("w9")))]);
}

/// It was killed after others had begun, and before its next card.
#[test]
fn an_owner_that_was_never_heard_is_asked_for_until_its_lease_ends() {
    let mut recovery = alone();
    let answer = Answer::Calls(vec![Listed::new(call(), Whose::Worker(id("w9")))]);
    recovery.handle_answer(at(10_000), Ask::List(Owners::All), answer);
    for ms in [10_000, 10_150, 10_300] {
        assert_eq!(asks(&mut recovery, ms), [Ask::Lease(id("w9"))]);
        assert_eq!(asks(&mut recovery, ms + 149), [], "it is under way, or not due");
        recovery.handle_answer(at(ms), Ask::Lease(id("w9")), Answer::Lease(Some(Sequence(1))));
        assert!(recovery.poll_timeout().is_some_and(|due| due <= at(ms + 150)));
    }
    assert_eq!(asks(&mut recovery, 10_450), [Ask::Lease(id("w9"))]);
    recovery.handle_answer(at(10_450), Ask::Lease(id("w9")), Answer::Lease(None));
    assert_eq!(asks(&mut recovery, 10_450), [Ask::List(Owners::One(id("w9")))]);
}

#[test]
fn a_list_that_is_not_answered_is_made_again() {
    let mut recovery = alone();
    let of = Owners::One(id("w9"));
    recovery.handle_answer(at(10_000), Ask::List(of.clone()), Answer::Unclear);
    assert_eq!(asks(&mut recovery, 10_400), [Ask::List(of)]);
}

#[test]
fn after_the_engine_was_away_owners_have_time_to_take_their_calls_back() {
    let mut recovery = alone();
    recovery.handle_back(at(10_000));
    lose(&mut recovery, 10_050);
    assert_eq!(asks(&mut recovery, 10_499), []);
    let asked = asks(&mut recovery, 10_500);
    assert!(asked.contains(&Ask::Check(call())), "{asked:?}");
    let lines =
        [(Sequence(2), entry("w9", 0, placed("w9"))), (Sequence(3), entry("w9b", 0, owner("w9b", 2)))];
    recovery.handle_answer(at(10_510), Ask::Check(call()), Answer::Lines(lines.to_vec()));
    assert_eq!(recovery.waiting(), 0);
}

#[test]
fn where_nobody_has_room_a_lost_call_waits_and_is_offered_again() {
    let mut recovery = alone();
    lose(&mut recovery, 10_000);
    assert_eq!(asks(&mut recovery, 10_000), []);
    recovery.handle_card(at(10_100), id("w2"), Card { slots: 1, ..Card::default() });
    assert_eq!(asks(&mut recovery, 10_200), [Ask::Check(call())]);
    let lines = [(Sequence(2), entry("w9", 0, placed("w9")))];
    recovery.handle_answer(at(10_210), Ask::Check(call()), Answer::Lines(lines.to_vec()));
    let offer = Offer { call: call(), state: Offered::Lost { of: id("w9") } };
    assert_eq!(asks(&mut recovery, 10_210), [Ask::Offer(offer, id("w2"))]);
}

#[test]
fn lost_calls_are_worked_on_a_few_at_once() {
    let mut recovery = alone();
    recovery.handle_card(at(9_900), id("w2"), Card { slots: 5000, ..Card::default() });
    recovery.me = id("w1");
    recovery.handle_answer(at(10_000), Ask::Lease(id("w9")), Answer::Lease(None));
    asks(&mut recovery, 10_000);
    let calls = (0..500).map(|n| Listed::new(CallId::of_bits(n), Whose::Worker(id("w9"))));
    let calls = calls.collect();
    recovery.handle_answer(at(10_010), Ask::List(Owners::One(id("w9"))), Answer::Calls(calls));
    assert_eq!(asks(&mut recovery, 10_500).len(), AT_ONCE);
}

fn unowned() -> Answer {
    Answer::Calls(vec![Listed::new(call(), Whose::Nobody { gateway: id("g"), placing: placing() })])
}

/// One that knows no worker, and has no list to make for a minute.
fn alone() -> Recovery {
    let mut recovery = Recovery::new(at(0), id("w1"), Duration::from_secs(3), 7);
    recovery.lists.clear();
    recovery
}

fn lose(recovery: &mut Recovery, ms: u64) {
    recovery.handle_answer(at(ms), Ask::Lease(id("w9")), Answer::Lease(None));
    asks(recovery, ms);
    let calls = vec![Listed::new(call(), Whose::Worker(id("w9")))];
    recovery.handle_answer(at(ms), Ask::List(Owners::One(id("w9"))), Answer::Calls(calls));
}

fn asks(recovery: &mut Recovery, ms: u64) -> Vec<Ask> {
    std::iter::from_fn(|| recovery.poll(at(ms))).collect()
}

fn call() -> CallId {
    CallId::new("c_1").unwrap()
}
