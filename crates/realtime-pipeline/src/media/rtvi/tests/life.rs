//! How a call begins, and how it ends.

use realtime_protocol::call::{CloseReason, Event};
use serde_json::json;

use super::*;
use crate::chain::{Category, Fault, Peer};

#[test]
fn a_client_is_ready_and_is_told_that_the_run_has_begun_under_its_id() {
    let mut bench = Bench::new(|options| options.metrics(false));
    assert!(!bench.rtvi.is_ready());
    bench.ask("client-ready", "ffb632fc", json!({ "version": "2.1.0", "about": { "library": "js" } }));
    assert!(bench.rtvi.is_ready());
    assert_eq!(bench.rtvi.about_client(), &json!({ "library": "js" }));
    assert!(matches!(bench.taken()[..], [FrameKind::Peer(Peer::Connected)]));
    assert_eq!(bench.news(), [""; 0], "there is no run");
    bench.down(FrameKind::Start);
    let ready = bench.said.pop().unwrap();
    assert_eq!((&ready["type"], &ready["id"]), (&json!("bot-ready"), &json!("ffb632fc")));
    assert_eq!(ready["data"]["version"], "2.2.0");
    assert_eq!(ready["data"]["about"]["library"], "realtime-pipeline");
    assert_eq!(
        ready["data"]["capabilities"],
        json!({ "audio_in": true, "audio_out": true, "video_in": false, "screen_in": false,
            "video_out": false, "metrics": false })
    );
    bench.ask("client-ready", "again", json!({ "version": "1.4.0" }));
    let again = bench.said.pop().unwrap();
    assert_eq!((&again["id"], &again["data"]["version"]), (&json!("again"), &json!("1.4.0")));
}

#[test]
fn a_version_that_does_not_fit_is_told_and_the_call_goes_on() {
    for data in [json!({ "version": "3.0.0" }), json!({ "version": "x" }), json!({}), json!(7)] {
        let mut bench = Bench::new(|options| options);
        bench.ask("client-ready", "7", data);
        assert_eq!(bench.refused().len(), 1);
        bench.down(FrameKind::Start);
        assert_eq!(bench.types(), ["bot-ready"]);
    }
}

#[test]
fn nothing_else_comes_first_and_audio_before_it_is_left_out() {
    let mut bench = Bench::new(|options| options);
    bench.receive(audio_of(&[0; 512], 16_000));
    bench.ask("send-text", "1", json!({ "content": "hi" }));
    let refused = ("1".to_owned(), "expected client-ready first, got send-text".to_owned());
    assert_eq!((bench.refused(), bench.names()), (vec![refused], vec![]));
}

#[test]
fn a_client_that_is_never_ready_is_given_up() {
    let mut bench = Bench::new(|options| options.ready_within(secs(5)));
    bench.pass(4_999);
    assert!(!bench.rtvi.is_over());
    bench.pass(5_000);
    assert!(bench.rtvi.is_over() && !bench.rtvi.is_ready());
    assert_eq!((bench.others, bench.rtvi.poll_timeout()), (vec!["Close".to_owned()], None));
    let why = bench.rtvi.why_over();
    assert_eq!(why.as_deref(), Some("the client did not say in time that it is ready"));
    assert_eq!(bench.rtvi.oddities(), None);
}

#[test]
fn a_client_without_a_call_is_told_so_and_gives_up() {
    let mut bench = Bench::new(|options| options);
    bench.ask("client-ready", "7", json!({ "version": "2.1.0" }));
    bench.rtvi.unavailable("the model can't be reached");
    bench.rtvi.finish(bench.now);
    bench.rtvi.unavailable("it is over");
    bench.drain();
    assert_eq!(bench.news(), [r#"error {"error":"the model can't be reached","fatal":true}"#]);
    assert!(bench.rtvi.is_over() && bench.others == ["Close"]);
}

#[test]
fn a_client_that_goes_is_told_to_the_chain_once() {
    let mut bench = Bench::open(|options| options);
    bench.rtvi.handle_closed(bench.now);
    bench.rtvi.handle_closed(bench.now);
    bench.drain();
    assert!(bench.rtvi.is_over());
    assert!(matches!(bench.taken()[..], [FrameKind::Peer(Peer::Disconnected)]));
    bench.ask("send-text", "1", json!({ "content": "hi" }));
    bench.play("one", 0, 40);
    assert_eq!((bench.names(), bench.news(), bench.audio), (vec![], vec![], 0), "nobody is there");
}

#[test]
fn the_end_waits_until_the_client_has_played_what_it_has() {
    let mut bench = Bench::open(|options| options);
    bench.pass(1_000);
    bench.play("one", 0, 50);
    bench.rtvi.finish(bench.now);
    bench.drain();
    assert_eq!((bench.audio, bench.rtvi.is_over()), (2_400, false), "all of it is sent");
    bench.pass(1_349);
    assert!(!bench.rtvi.is_over());
    bench.pass(1_350);
    assert!(bench.rtvi.is_over());
    assert_eq!(bench.others, ["Close"]);

    let mut silent = Bench::open(|options| options);
    silent.rtvi.finish(silent.now);
    assert!(silent.rtvi.is_over(), "there is nothing to wait for");
}

#[test]
fn a_stop_drops_what_was_not_sent_and_tells_what_will_be_heard() {
    let mut bench = Bench::open(|options| options);
    bench.play("one", 0, 60);
    bench.rtvi.clear(bench.now, cleared(3));
    bench.drain();
    let [report] = &bench.others[..] else { panic!("{:?}", bench.others) };
    assert!(report.contains("Cleared") && report.contains("ClearId(3)"), "{report}");
    assert!(report.contains("samples: 960"), "{report}");
    bench.pass(1_000);
    assert_eq!(bench.audio, 1_920);
}

#[test]
fn faults_are_errors_and_the_one_that_ends_the_session_is_fatal() {
    let fault = |message: &str| {
        let (stage, message) = ("realtime".into(), message.into());
        FrameKind::Fault(Arc::new(Fault { stage, category: Category::Application, message, cause: None }))
    };
    let mut bench = Bench::open(|options| options);
    bench.up(fault("the response failed"));
    bench.event(Event::Closed { reason: CloseReason::NotCreated });
    bench.up(fault("the session ended"));
    assert_eq!(
        bench.news(),
        [
            r#"error {"error":"the response failed","fatal":false}"#,
            r#"error {"error":"the session ended","fatal":true}"#
        ]
    );
}

#[test]
fn a_lead_that_is_heard_too_long_after_an_interruption_is_cut() {
    let pace = Bench::new(|options| options.lead(secs(2))).rtvi.pace();
    assert_eq!((pace.lead.as_millis(), pace.reports), (180, false), "and 20 ms are handed over at once");
}
