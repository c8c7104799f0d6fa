//! What is asked of a phone call waits until what was said before has been heard.

use realtime_protocol::event::{Dialect, ServerEvent};

use super::*;
use crate::chain::{Keys, PhoneAction, PhoneRequest, Ticket};

impl Bench {
    fn ask(&mut self, number: u64, action: PhoneAction) {
        self.down(FrameKind::PhoneRequest(PhoneRequest { ticket: Ticket::of(number), action }));
    }
}

/// What the server tells of its own playback.
fn server(what: &str) -> Event {
    let text = format!(r#"{{"type":"output_audio_buffer.{what}","event_id":"e","response_id":"r"}}"#);
    Event::Server(Arc::new(ServerEvent::decode(&text, Dialect::Ga)))
}

fn transfer() -> PhoneAction {
    PhoneAction::Transfer { to: "+15550100001".into() }
}

fn keys() -> PhoneAction {
    PhoneAction::SendKeys(Keys::new("1#").unwrap())
}

#[test]
fn a_request_leaves_when_the_words_before_it_have_sounded() {
    let mut bench = Bench::new(Playout::new());
    bench.ask(1, keys());
    assert_eq!(bench.of("phone"), lines([(0, "phone_request")]), "nothing sounds");
    bench.send("one", 0, 300);
    bench.done("one");
    bench.ask(2, PhoneAction::HangUp);
    bench.pass(299);
    assert_eq!(bench.of("phone").len(), 1);
    bench.pass(1_000);
    assert_eq!(bench.of("phone"), lines([(0, "phone_request"), (300, "phone_request")]));
}

#[test]
fn a_user_who_speaks_before_it_is_done_calls_it_off_but_not_keys() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 300);
    for (number, action) in [(1, PhoneAction::HangUp), (2, keys()), (3, transfer())] {
        bench.ask(number, action);
    }
    bench.pass(100);
    bench.news();
    bench.stop(1);
    let told = bench.news();
    let of_phone: Vec<_> = told.iter().filter(|told| told.starts_with("phone")).collect();
    assert_eq!(of_phone, ["phone_answer", "phone_request", "phone_answer"], "{told:?}");
}

#[test]
fn keys_that_sound_are_answered_by_the_playout() {
    let mut bench = Bench::new(Playout::new().tones(8_000));
    bench.ask(1, keys());
    assert_eq!(bench.of("phone"), lines([(0, "phone_answer")]));
    bench.pass(1_000);
    assert!(!bench.samples("dtmf").is_empty());
}

#[test]
fn a_request_that_finds_no_room_is_answered() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 300);
    for _ in 0..1_024 {
        bench.message(false);
    }
    bench.ask(1, transfer());
    assert_eq!(bench.of("phone"), lines([(0, "phone_answer")]));
    assert_eq!(bench.chain.losses().overflowed, 1);
}

#[test]
fn a_request_waits_for_what_the_server_plays_by_itself() {
    let mut bench = Bench::new(Playout::new());
    bench.event(server("started"));
    bench.ask(1, PhoneAction::HangUp);
    bench.pass(5_000);
    assert!(bench.of("phone").is_empty());
    bench.event(server("stopped"));
    assert_eq!(bench.of("phone"), lines([(5_000, "phone_request")]));

    bench.event(server("started"));
    bench.ask(2, transfer());
    bench.news();
    bench.stop(1);
    assert!(bench.news().contains(&"phone_answer".to_owned()), "the user spoke first");

    bench.ask(3, transfer());
    bench.pass(124_999);
    assert!(bench.of("phone").is_empty());
    bench.pass(200_000);
    assert_eq!(bench.of("phone"), lines([(125_000, "phone_request")]), "nobody said that it is over");
    assert!(bench.faults.is_empty());
}
