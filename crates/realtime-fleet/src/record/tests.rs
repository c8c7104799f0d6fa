use serde_json::json;

use super::*;
use crate::line::Entry;
use crate::samples::{claim, id, owner, placed};

#[test]
fn the_table_is_what_a_record_does() {
    let handover = || Line::Handover { to: id("b") };
    let steps: [(&str, Line, Result<(), LineError>); 13] = [
        ("a", owner("a", 1), Err(LineError::NoOwner)),
        ("a", claim("k"), Err(LineError::NoOwner)),
        ("a", placed("a"), Ok(())),
        ("b", placed("b"), Err(LineError::Placed)),
        ("b", owner("b", 3), Err(LineError::Epoch { expected: 2, got: 3 })),
        ("b", claim("k"), Err(LineError::NotOwner)),
        ("a", handover(), Ok(())),
        ("a", handover(), Err(LineError::Promised)),
        ("c", Line::Owner { worker: id("c"), epoch: 2, why: Why::Moved }, Err(LineError::Promised)),
        ("b", Line::Owner { worker: id("b"), epoch: 2, why: Why::Moved }, Ok(())),
        ("a", ended(), Err(LineError::NotOwner)),
        ("b", ended(), Ok(())),
        ("b", owner("b", 3), Err(LineError::Over)),
    ];
    let mut record = CallRecord::new();
    for (n, (by, line, expected)) in steps.into_iter().enumerate() {
        let shown = format!("step {n}: {line:?}");
        let before = record.fence();
        assert_eq!(record.apply(Sequence(n as u64 + 1), &entry(by, line)), expected, "{shown}");
        assert_eq!(record.fence() != before, expected.is_ok(), "{shown}");
    }
}

#[test]
fn a_call_that_is_given_away_may_still_be_taken_over() {
    let mut record = owned();
    record.apply(Sequence(3), &entry("a", Line::Handover { to: id("b") })).unwrap();
    record.apply(Sequence(4), &entry("c", owner("c", 2))).unwrap();
    assert_eq!(record.owner(), Some(&id("c")));
}

#[test]
fn a_key_is_claimed_once_whoever_owns_the_call() {
    let mut record = owned();
    record.apply(Sequence(3), &entry("a", claim("k"))).unwrap();
    record.apply(Sequence(4), &entry("b", owner("b", 2))).unwrap();
    assert_eq!(record.check(&id("b"), &claim("k")), Err(LineError::Claimed));
    assert_eq!(record.unsettled().count(), 1);

    let result = || Line::Result { key: "k".into(), output: json!(7).into() };
    record.apply(Sequence(5), &entry("b", result())).unwrap();
    assert_eq!(record.check(&id("b"), &result()), Err(LineError::Unclaimed));
    assert_eq!(record.claim("k").unwrap().progress, Progress::Done { output: json!(7).into() });
}

#[test]
fn a_snapshot_stands_for_the_functions_before_it() {
    let mut record = owned();
    record.apply(Sequence(3), &entry("a", claim("k"))).unwrap();
    let snap = Line::Snap { v: 9, body: Body::of(&json!({})).unwrap(), claims: record.claims() };
    record.apply(Sequence(4), &entry("a", snap.clone())).unwrap();

    // As the engine keeps it: what the snapshot replaces is gone.
    let kept = [(Sequence(2), entry("a", placed("a"))), (Sequence(4), entry("a", snap))];
    let folded = CallRecord::fold(&kept);
    assert_eq!(folded.fence(), Sequence(4));
    assert_eq!(folded.check(&id("a"), &claim("k")), Err(LineError::Claimed));
    assert_eq!(folded.snapped().unwrap().v, 9, "a version that nobody here knows is kept");
}

#[test]
fn a_worker_that_owned_a_call_twice_is_known_by_its_later_line() {
    let kept = [
        (Sequence(1), entry("a", placed("a"))),
        (Sequence(4), entry("a", owner("a", 3))),
        (Sequence(5), entry("b", owner("b", 4))),
    ];
    assert_eq!((CallRecord::fold(&kept).owner(), CallRecord::fold(&kept).epoch()), (Some(&id("b")), 4));
}

/// A gateway writes it where nobody took the call. A worker that takes it later is refused.
#[test]
fn a_call_without_an_owner_may_end() {
    let mut record = CallRecord::new();
    record.apply(Sequence(1), &entry("g", ended())).unwrap();
    assert_eq!(record.check(&id("a"), &placed("a")), Err(LineError::Over));
}

fn owned() -> CallRecord {
    CallRecord::fold(&[(Sequence(2), entry("a", placed("a")))])
}

fn entry(by: &str, line: Line) -> Entry {
    Entry { by: id(by), n: 0, line }
}

fn ended() -> Line {
    Line::Ended { why: "hangup".into() }
}
