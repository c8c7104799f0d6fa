//! A call moves while both of its owners live.

use super::*;

/// A call that drains away to `w2`, which has said that it takes it.
fn leaving() -> Bench {
    let mut bench = Bench::serving();
    bench.worker.handle_push(at(900), Push::Renewed(id("w2"), Card { slots: 9, ..Card::default() }));
    bench.worker.handle_command(at(950), &call(), Command::Move);
    assert!(bench.find(is_offer).is_none(), "nobody drains");
    bench.worker.drain(at(1000));
    bench.answer(at(1005), is_renewal, Answer::Done(Sequence(21)));
    bench.worker.handle_command(at(1010), &call(), Command::Snap(Snapshot::new()));
    bench.worker.handle_command(at(1010), &call(), Command::Move);
    assert!(bench.find(is_offer).is_none(), "the snapshot is written first");
    bench.answer_append(at(1020), Answer::Done(Sequence(12)));
    let Request::Offer { to, offer } = bench.answer(at(1030), is_offer, Answer::Offered(OfferAnswer::Taken))
    else {
        panic!()
    };
    let of = bench.worker.id().clone();
    assert_eq!((to, offer.state), (id("w2"), Offered::Moving { of }));
    bench.events();
    bench
}

fn ask(bench: &mut Bench, ms: u64, by: &str) -> OfferAnswer {
    bench.offer(at(ms), Offered::Ready { by: id(by) });
    bench.replies().pop().unwrap()
}

#[test]
fn the_owner_begins_nothing_more_once_the_next_one_is_attached_and_the_journal_says_whose_the_call_is() {
    for is_taken in [true, false] {
        let mut bench = leaving();
        assert!(bench.worker.may_act(at(1100), &call()), "until the other one is attached");
        assert_eq!(ask(&mut bench, 1100, "w3"), OfferAnswer::Busy);
        assert_eq!(ask(&mut bench, 1200, "w2"), OfferAnswer::Taken);
        assert!(!bench.worker.may_act(at(1200), &call()));
        assert_eq!(bench.events(), [Event::Paused { call: call() }]);
        assert_eq!(ask(&mut bench, 1210, "w2"), OfferAnswer::Taken, "asked twice");
        bench.claim("k");
        assert!(bench.find(is_append).is_none(), "it waits");

        bench.worker.handle_timeout(at(1700));
        if is_taken {
            let mut lines = bench.journal();
            lines.push((Sequence(13), entry("w2", 0, owner("w2", 2))));
            bench.answer_append(at(1710), Answer::Refused);
            bench.answer(at(1720), is_read, Answer::Lines(lines));
            assert_eq!(bench.events(), [Event::Stopped { call: call() }]);
        } else {
            let line = bench.answer_append(at(1710), Answer::Done(Sequence(13)));
            assert!(matches!(line, Line::Owner { epoch: 2, why: Why::Back, .. }), "{line:?}");
            assert!(bench.worker.may_act(at(1711), &call()));
            assert!(matches!(bench.answer_append(at(1720), Answer::Done(Sequence(14))), Line::Claim { .. }));
            assert_eq!(bench.verdicts(), [("k", Verdict::Run)]);
        }
        let figures = bench.worker.figures();
        assert_eq!((figures.given_away, figures.taken_away), (u64::from(is_taken), 0));
        assert_eq!(figures.held, usize::from(!is_taken));
    }
}

#[test]
fn a_call_in_which_something_has_happened_since_does_not_move() {
    let mut bench = leaving();
    bench.claim("k");
    bench.answer_append(at(1100), Answer::Done(Sequence(13)));
    assert_eq!(ask(&mut bench, 1200, "w2"), OfferAnswer::Busy);
    assert!(bench.worker.may_act(at(1200), &call()));
}

#[test]
fn the_next_owner_acts_once_its_line_is_in_the_journal() {
    for lets_go in [true, false] {
        let mut bench = Bench::new();
        bench.offer(at(500), Offered::Moving { of: id("w2") });
        assert_eq!(bench.replies(), [OfferAnswer::Taken]);
        bench.answer(at(510), is_read, Answer::Lines(lost_lines()));
        let Event::Begin(placed) = bench.events().pop().unwrap() else { panic!() };
        assert_eq!((placed.why, placed.epoch), (Why::Moved, 2));
        assert!(bench.find(is_append).is_none() && !bench.worker.may_act(at(511), &call()));

        bench.worker.handle_command(at(600), &call(), Command::Ready);
        bench.claim("k");
        let answer = if lets_go { OfferAnswer::Taken } else { OfferAnswer::Busy };
        let Request::Offer { to, .. } = bench.answer(at(610), is_offer, Answer::Offered(answer)) else {
            panic!()
        };
        assert_eq!(to, id("w2"));
        if !lets_go {
            assert_eq!(bench.events(), [Event::Stopped { call: call() }]);
            assert_eq!(bench.worker.calls().count(), 0);
            continue;
        }
        assert!(!bench.worker.may_act(at(611), &call()));
        let line = bench.answer_append(at(620), Answer::Done(Sequence(12)));
        assert!(matches!(line, Line::Owner { epoch: 2, why: Why::Moved, .. }), "{line:?}");
        assert!(bench.worker.may_act(at(621), &call()));
        assert!(matches!(bench.answer_append(at(630), Answer::Done(Sequence(13))), Line::Claim { .. }));
        assert_eq!(bench.verdicts(), [("k", Verdict::Run)]);
    }
}

#[test]
fn a_call_that_the_application_cannot_attach_to_stays_where_it_is() {
    for waits in [true, false] {
        let mut bench = Bench::new();
        bench.offer(at(500), Offered::Moving { of: id("w2") });
        bench.answer(at(510), is_read, Answer::Lines(lost_lines()));
        bench.events();
        match waits {
            true => bench.worker.handle_timeout(at(10_510)),
            false => bench.worker.handle_command(at(600), &call(), Command::End { why: "none".into() }),
        }
        assert!(bench.find(is_append).is_none());
        assert!(bench.events().contains(&Event::Stopped { call: call() }));
    }
}
