//! A page whose connection is lost, and one that comes back.

use std::time::Duration;

use super::*;

fn hello(played: Option<(u32, u64)>) -> Value {
    let mut hello = json!({ "type": "hello", "version": 1, "token": TOKEN });
    if let Some((item, ms)) = played {
        hello["played"] = json!({ "item": item, "samples": ms * 24 });
    }
    hello
}

#[test]
fn a_page_that_comes_back_goes_on_where_it_was_and_is_told_what_it_missed() {
    let mut bench = Bench::new();
    bench.play("a", 0, 250);
    bench.text(played(1, 80));
    bench.news();
    bench.reports();
    bench.close();
    assert!(bench.page.is_away() && bench.page.has_room());
    assert_eq!(bench.reports(), [SinkReport::Away]);
    bench.play("a", 250, 20);
    bench.event(audio_done("b", 40));
    bench.frame(FrameKind::Bot(crate::chain::BotSpeech::Stopped));
    bench.pass(9_000);
    bench.open();
    bench.frame(FrameKind::Bot(crate::chain::BotSpeech::Started));
    assert!(bench.news().is_empty() && !bench.page.is_over());
    bench.text(hello(Some((1, 190))));
    let news = bench.news();
    assert_eq!((&news[0]["type"], &news[0]["resumed"]), (&json!("ready"), &json!(true)));
    assert_eq!(news[1..], [false, true].map(|on| json!({ "type": "speaking", "who": "agent", "on": on })));
    assert_eq!(bench.reports(), [SinkReport::Back { at: Some(at("a", 190)) }]);
    bench.play("a", 190, 20);
    assert_eq!(bench.audio.last(), Some(&(2, 190 * 24, 480)));
    assert!(bench.frames().is_empty() && bench.page.counts().resumed == 1);
}

#[test]
fn a_page_that_was_loaded_anew_knows_the_token_alone() {
    let mut bench = Bench::new();
    bench.play("a", 0, 250);
    bench.close();
    bench.open();
    bench.text(hello(None));
    assert_eq!(bench.reports(), [SinkReport::Away, SinkReport::Back { at: None }]);
}

#[test]
fn a_page_that_does_not_come_back_is_gone_once() {
    let mut bench = Bench::new();
    bench.play("a", 0, 250);
    bench.close();
    bench.pass(14_999);
    assert!(bench.inputs.is_empty());
    bench.pass(60_000);
    bench.close();
    bench.open();
    bench.text(hello(None));
    assert!(matches!(bench.inputs[..], [FrameKind::Peer(Peer::Disconnected)]));
    assert_eq!(bench.reports(), [SinkReport::Away, SinkReport::Back { at: None }]);
    assert!(bench.page.is_over() && bench.page.has_room());
}

#[test]
fn nobody_comes_back_without_the_token_and_the_page_may_still_come() {
    let mut bench = Bench::new();
    bench.close();
    bench.pass(5_000);
    for wrong in
        [json!({ "type": "hello", "version": 1 }), json!({ "type": "hello", "version": 1, "token": "x" })]
    {
        bench.open();
        bench.text(wrong);
        let news = bench.news();
        assert_eq!(news[0]["code"], "token");
        bench.close();
    }
    assert_eq!(bench.closed, 2);
    bench.open();
    bench.pass(8_000);
    bench.close();
    bench.pass(14_000);
    bench.open();
    bench.text(hello(None));
    assert_eq!(bench.reports(), [SinkReport::Away, SinkReport::Back { at: None }]);
    assert!(bench.page.is_ready() && bench.inputs.is_empty());
}

#[test]
fn another_socket_takes_the_place_of_one_that_stands() {
    let mut bench = Bench::new();
    bench.open();
    bench.text(hello(None));
    assert_eq!(bench.reports(), [SinkReport::Away, SinkReport::Back { at: None }]);
}

#[test]
fn a_connection_that_broke_without_a_word_is_lost_after_twenty_seconds() {
    let mut bench = Bench::new();
    bench.pass(15_000);
    bench.text(json!({ "type": "ping" }));
    bench.pass(34_999);
    assert!(!bench.page.is_away());
    bench.news();
    bench.pass(35_000);
    assert!(bench.page.is_away() && bench.closed == 1);
    assert_eq!(bench.news()[0]["code"], "silent");
    bench.pass(49_999);
    assert!(!bench.page.is_over());
    bench.pass(50_000);
    assert!(bench.page.is_over());
}

#[test]
fn where_no_page_may_come_back_a_loss_is_the_end() {
    for options in [PageOptions::new(""), PageOptions::new(TOKEN).resume_within(Duration::ZERO)] {
        let mut bench = Bench::silent(options);
        bench.text(json!({ "type": "hello", "version": 1 }));
        assert_eq!(bench.news()[0].get("token"), None);
        bench.inputs.clear();
        bench.close();
        assert!(bench.page.is_over() && bench.reports().is_empty());
        assert!(matches!(bench.inputs[..], [FrameKind::Peer(Peer::Disconnected)]));
    }
}

#[test]
fn what_was_asked_of_a_page_that_is_lost_is_answered() {
    let mut bench = Bench::new();
    bench.play("a", 0, 250);
    bench.pass(100);
    bench.text(played(1, 60));
    bench.reports();
    bench.clear(1);
    bench.pass(150);
    bench.close();
    bench.clear(2);
    let cleared = |id, at| SinkReport::Cleared { id: ClearId(id), at };
    assert_eq!(bench.reports(), [cleared(1, Some(at("a", 110))), SinkReport::Away, cleared(2, None)]);
}

#[test]
fn the_end_of_the_run_is_told_and_its_first_reason_counts() {
    use realtime_protocol::call::{CloseReason, DisconnectReason};
    let mut bench = Bench::new();
    let reason = DisconnectReason::Lost { reason: "10.0.0.7: broken pipe".into() };
    bench.event(Event::Closed { reason: CloseReason::Disconnected(reason) });
    bench.frame(FrameKind::End { reason: "the session ended".into() });
    bench.act(|page, now| page.finish(now));
    let ended =
        json!({ "type": "ended", "code": "lost", "text": "The connection to the assistant was lost." });
    assert_eq!(bench.news(), [ended]);
    assert!(bench.page.is_over() && bench.closed == 1);
    bench.act(|page, now| page.finish(now));
    assert_eq!(bench.closed, 1);

    let mut bench = Bench::silent(PageOptions::new(TOKEN));
    bench.page.unavailable();
    bench.act(|page, now| page.finish(now));
    assert_eq!(bench.news()[0]["code"], "unavailable");
}
