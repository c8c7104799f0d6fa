//! A lead, and sinks that tell what was heard.

use std::time::Duration;

use super::*;

fn carrier() -> Playout {
    Playout::new().lead(Duration::from_secs(1)).reports(true)
}

fn cleared(id: u64, at: Option<(&str, u64)>) -> SinkReport {
    let at = at.map(|(item, ms)| SinkPosition { source: source(item), samples: ms * 24 });
    SinkReport::Cleared { id: ClearId(id), at }
}

#[test]
fn chunks_leave_ahead_of_their_time_and_count_when_they_are_due() {
    let mut bench = Bench::new(Playout::new().lead(Duration::from_millis(200)));
    bench.send("one", 0, 500);
    bench.done("one");
    assert_eq!(bench.of("one").len(), 11, "the eleventh is due in 200 ms");
    assert_eq!(bench.of("played"), lines([(0, "played one 1 samples")]));
    bench.pass(2_000);
    let left: Vec<_> = bench.of("one").into_iter().map(|(ms, _)| ms).collect();
    assert_eq!(left[10..], [0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220, 240, 260, 280]);
    let reports: Vec<_> = bench.of("played").into_iter().map(|(ms, _)| ms).collect();
    assert_eq!(reports, [0, 100, 200, 300, 400, 500]);
    assert_eq!(bench.of("played").pop().unwrap().1, "played one 500");
    assert_eq!(bench.of("finished"), lines([(500, "finished one")]));
    assert_eq!(bench.of("fell silent"), lines([(500, "fell silent")]));
}

#[test]
fn only_the_sink_tells_what_was_heard() {
    let mut bench = Bench::new(carrier());
    bench.send("one", 0, 300);
    bench.done("one");
    bench.send("two", 0, 100);
    bench.pass(250);
    assert!(bench.of("played").is_empty());
    for (item, ms) in [("one", 20), ("one", 90), ("one", 110), ("one", 60), ("three", 10), ("two", 50)] {
        bench.heard(item, ms);
    }
    bench.heard("two", 9_999);
    bench.done("two");
    let played = ["played one 20", "played one 110", "played one 300", "played two 50", "played two 100"];
    assert_eq!(bench.of("played"), lines(played.map(|line| (250, line))));
    assert_eq!(bench.of("fell silent"), lines([(250, "fell silent")]));
    assert_eq!(bench.of("finished").len(), 2);
}

#[test]
fn a_sink_that_tells_nothing_does_not_stop_the_run() {
    let mut bench = Bench::new(carrier());
    bench.send("one", 0, 300);
    bench.message(false);
    bench.end();
    bench.pass(2_299);
    assert!(bench.ended.is_none());
    bench.pass(2_300);
    assert!(bench.ended.is_some());
    assert!(bench.of("played").is_empty(), "nobody knows");
    assert_eq!(bench.of("message").len(), 1);
}

#[test]
fn a_stop_waits_for_the_sink_and_tells_its_place() {
    let mut bench = Bench::new(carrier());
    bench.send("one", 0, 500);
    bench.pass(310);
    bench.news();
    bench.stop(1);
    assert_eq!(bench.news(), ["interruption", "clear 1", "fell silent"]);
    bench.send("two", 0, 40);
    bench.send("one", 500, 40);
    bench.pass(360);
    assert!(bench.news().is_empty(), "nothing goes out meanwhile");
    bench.sink(cleared(9, Some(("one", 400))));
    assert!(bench.news().is_empty(), "it answers another one");
    bench.sink(cleared(1, Some(("one", 287))));
    assert_eq!(bench.news(), ["played one 287", "stopped 1 one 287", "started", "two +20", "two +20"]);
    bench.sink(cleared(1, Some(("two", 20))));
    assert!(bench.news().is_empty());
    assert_eq!(bench.chain.losses().late_output, 1);
}

#[test]
fn without_an_answer_the_clock_decides() {
    for playout in [carrier(), Playout::new().lead(Duration::from_secs(1))] {
        let mut bench = Bench::new(playout);
        bench.send("one", 0, 500);
        bench.pass(310);
        bench.stop(1);
        bench.stop(2);
        bench.pass(1_000);
        // The sample that begins to sound at 310 ms was heard.
        assert_eq!(
            bench.of("stopped"),
            lines([(490, "stopped 1 one 7441 samples"), (490, "stopped 2 one 7441 samples")])
        );
    }
}

#[test]
fn a_sink_that_can_not_know_leaves_it_to_the_last_report_or_to_the_clock() {
    let mut bench = Bench::new(carrier());
    bench.send("one", 0, 500);
    bench.pass(310);
    bench.heard("one", 200);
    bench.stop(1);
    bench.sink(cleared(1, None));
    assert_eq!(bench.of("stopped"), lines([(310, "stopped 1 one 200")]));

    let mut bench = Bench::new(Playout::new().lead(Duration::from_secs(1)));
    bench.send("one", 0, 500);
    bench.pass(310);
    bench.stop(1);
    bench.pass(350);
    bench.sink(cleared(1, None));
    assert_eq!(bench.of("stopped"), lines([(350, "stopped 1 one 7441 samples")]));
}

#[test]
fn a_pause_empties_the_sink_and_what_was_not_heard_is_handed_out_again() {
    let mut bench = Bench::new(carrier());
    bench.send("one", 0, 250);
    bench.done("one");
    bench.send("two", 0, 100);
    bench.done("two");
    bench.pass(200);
    bench.hold(4);
    bench.sink(cleared(1, Some(("one", 190))));
    assert_eq!(bench.of("held"), lines([(200, "held 4 one 190")]));
    bench.played.clear();
    bench.pass(900);
    assert!(bench.played.is_empty());
    bench.resume(4);
    let again = |item| bench.samples(item);
    assert_eq!(again("one"), (190 * 24..250 * 24).map(sample).collect::<Vec<_>>());
    assert_eq!(again("two"), (0..100 * 24).map(sample).collect::<Vec<_>>());
    bench.heard("two", 100);
    assert_eq!(bench.of("played").pop().unwrap(), (900, "played two 100".to_owned()));
}

#[test]
fn a_pause_that_ends_before_the_sink_answers_and_a_stop_within_it() {
    let mut bench = Bench::new(carrier());
    bench.send("one", 0, 250);
    bench.pass(100);
    bench.hold(1);
    bench.resume(1);
    bench.pass(120);
    bench.news();
    bench.sink(cleared(1, Some(("one", 80))));
    let told = bench.news();
    assert_eq!(told[..2], ["played one 80", "held 1 one 80"]);
    assert_eq!(told[2..], vec!["one +20"; 8], "170 ms are left, and its end may grow");
    bench.pass(140);
    bench.hold(2);
    bench.stop(5);
    bench.news();
    bench.sink(cleared(2, Some(("one", 95))));
    assert_eq!(bench.news(), ["held 2 one 95", "stopped 5 one 95"]);
    assert_eq!(bench.cleared.len(), 2);
}

#[test]
fn a_sink_with_reports_and_no_lead_is_emptied_too() {
    let mut bench = Bench::new(Playout::new().reports(true));
    bench.send("one", 0, 250);
    bench.pass(50);
    bench.heard("one", 20);
    bench.stop(1);
    bench.sink(cleared(1, Some(("one", 47))));
    assert_eq!(bench.of("stopped"), lines([(50, "stopped 1 one 47")]));
    assert_eq!(bench.of("one +5").len(), 0, "there is no fade");
}

#[test]
fn a_sink_that_ran_dry_gets_its_lead_again() {
    let mut bench = Bench::new(Playout::new().lead(Duration::from_millis(100)));
    bench.send("one", 0, 100);
    bench.pass(700);
    bench.send("one", 100, 200);
    assert_eq!(bench.of("one").iter().filter(|(ms, _)| *ms == 700).count(), 6);
    bench.done("one");
    bench.pass(2_000);
    assert_eq!(bench.of("fell silent"), lines([(900, "fell silent")]));
}

#[test]
fn a_long_lead_goes_out_in_several_steps() {
    let lead = Duration::from_secs(10);
    let mut bench = Bench::new(Playout::new().lead(lead).chunk(Duration::from_millis(5)));
    bench.send("one", 0, 9_000);
    assert_eq!(bench.played.len(), 256);
    bench.pass(10);
    assert_eq!(bench.played.len(), 1_800);
    assert!(bench.faults.is_empty());
}

#[test]
fn a_sink_that_stood_still_may_report_late() {
    let mut bench = Bench::new(carrier());
    bench.send("one", 0, 100);
    bench.done("one");
    bench.pass(50);
    bench.heard("one", 40);
    bench.pass(2_000);
    bench.sink(SinkReport::Full);
    bench.sink(SinkReport::Ready);
    bench.pass(3_900);
    bench.heard("one", 100);
    assert_eq!(bench.of("played").last(), Some(&(3_900, "played one 100".to_owned())));
}

#[test]
fn a_sink_that_is_away_is_no_fault_and_hears_the_rest_when_it_is_back() {
    let mut bench = Bench::new(carrier());
    bench.send("one", 0, 2_000);
    bench.done("one");
    bench.message(false);
    bench.pass(500);
    bench.heard("one", 400);
    bench.sink(SinkReport::Away);
    bench.news();
    bench.pass(30_000);
    assert_eq!(bench.news(), ["fell silent"], "nothing leaves, is heard, or is given up");
    bench.played.clear();
    let at = SinkPosition { source: source("one"), samples: 650 * 24 };
    bench.sink(SinkReport::Back { at: Some(at) });
    assert_eq!(bench.news()[..2], ["played one 650", "started"]);
    bench.pass(32_000);
    assert_eq!(bench.samples("one"), (650 * 24..2_000 * 24).map(sample).collect::<Vec<_>>());
    bench.heard("one", 2_000);
    assert_eq!(bench.of("message").len(), 1, "it is heard in its order");
    assert!(bench.faults.is_empty());
}

#[test]
fn a_stop_while_the_sink_is_away_is_answered_at_once_with_what_was_told_before() {
    let mut bench = Bench::new(carrier());
    bench.send("one", 0, 2_000);
    bench.pass(500);
    bench.heard("one", 400);
    bench.sink(SinkReport::Away);
    bench.played.clear();
    bench.pass(700);
    bench.stop(3);
    assert_eq!(bench.of("stopped"), lines([(700, "stopped 3 one 400")]));
    bench.hold(4);
    bench.send("two", 0, 100);
    bench.sink(SinkReport::Back { at: Some(SinkPosition { source: source("one"), samples: 600 * 24 }) });
    bench.resume(4);
    assert!(bench.of("clear").is_empty(), "nobody is asked");
    assert!(bench.samples("one").is_empty(), "it is not heard again");
    assert!(!bench.samples("two").is_empty());
}

#[test]
fn what_a_sink_was_asked_for_is_not_waited_for_when_it_goes_away() {
    for playout in [carrier(), Playout::new().lead(Duration::from_secs(1))] {
        let mut bench = Bench::new(playout);
        bench.send("one", 0, 500);
        bench.pass(310);
        bench.stop(1);
        bench.pass(350);
        bench.sink(SinkReport::Away);
        assert_eq!(bench.of("stopped"), lines([(350, "stopped 1 one 7441 samples")]));
        bench.sink(SinkReport::Away);
        bench.sink(SinkReport::Back { at: None });
        bench.sink(SinkReport::Back { at: None });
        bench.send("two", 0, 40);
        assert_eq!(bench.samples("two").len(), 40 * 24);
    }
}

#[test]
fn time_does_not_stand_still_while_a_sink_is_emptied() {
    let mut bench = Bench::new(Playout::new().lead(Duration::from_secs(1)));
    bench.send("one", 0, 50);
    bench.send("two", 0, 500);
    bench.message(false);
    bench.pass(45);
    bench.stop(1);
    bench.pass(300);
    assert_eq!(bench.of("stopped").len(), 1);
}
