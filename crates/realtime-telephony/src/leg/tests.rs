//! Owners come, go and are lost, and the carrier hears of none of it.

use bytes::Bytes;

use super::*;

const START: &str = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}"#;

#[test]
fn a_call_is_handed_over_with_its_start_and_the_last_seconds_of_its_caller() {
    let mut line = Line::started();
    line.leg.let_in(at(0), 1, Coming::Now).unwrap();
    assert_eq!(line.outputs(), ["0: connected", "0: start"]);
    line.carrier(20, &media(1));
    line.owner(0, "hello");
    assert_eq!(line.outputs(), ["0: media 1", "carrier: hello"]);

    // Its owner is lost. What is old goes, keys stay, and marks of the one before are nobody's.
    line.leg.handle_owner_closed(at(1_000), OwnerId(0), false);
    line.carrier(1_000, r#"{"event":"dtmf","dtmf":{"digit":"7"}}"#);
    for n in 0..150 {
        line.carrier(1_000 + n * 20, &media(n));
    }
    line.carrier(3_990, r#"{"event":"mark","mark":{"name":"1:0.0"}}"#);
    line.owner(0, "late");
    assert_eq!(line.outputs(), [""; 0]);
    line.leg.let_in(at(4_000), 2, Coming::Now).unwrap();
    let outputs = line.outputs();
    assert_eq!(outputs[..4], ["1: connected", "1: start", "1: dtmf", "1: media 50"]);
    assert_eq!((outputs.len(), &*outputs[102]), (103, "1: media 149"));
    let counts = LegCounts { owners: 2, dropped_audio: 50, dropped_others: 1, unheard: 1 };
    assert_eq!(line.leg.counts(), counts);
    line.carrier(4_000, &media(150));
    assert_eq!(line.outputs(), ["1: media 150"]);
}

#[test]
fn the_highest_epoch_has_the_call_and_a_lower_one_is_told_why_not() {
    let mut line = Line::started();
    line.leg.let_in(at(0), 2, Coming::Now).unwrap();
    let older = NotLetIn::Older { newest: 2, got: 1 };
    assert_eq!(line.leg.let_in(at(0), 1, Coming::Now), Err(older));
    assert_eq!(older.to_string(), "expected epoch 2 or a later one, got 1: the call has another owner");
    line.outputs();
    // The same owner comes again, and then a later one: a worker that was stopped may still have its socket.
    line.leg.let_in(at(0), 2, Coming::Now).unwrap();
    assert_eq!(line.outputs(), ["0: replaced", "1: connected", "1: start"]);
    line.leg.let_in(at(0), 3, Coming::Now).unwrap();
    assert_eq!(line.outputs(), ["1: replaced", "2: connected", "2: start"]);
    // The ends of those that were sent away change nothing.
    line.leg.handle_owner_closed(at(0), OwnerId(1), true);
    assert_eq!((line.outputs(), line.leg.poll_timeout()), (vec![], None));
}

#[test]
fn a_call_that_moves_is_its_owners_until_that_one_has_gone() {
    let mut line = Line::started();
    line.leg.let_in(at(0), 1, Coming::Now).unwrap();
    line.outputs();
    line.carrier(0, &media(0));
    line.leg.let_in(at(10), 2, Coming::Next).unwrap();
    line.carrier(20, &media(1));
    line.owner(1, "too early");
    assert_eq!(line.outputs(), ["0: media 0", "1: connected", "1: start", "0: media 1"]);
    // The next one is lost: nothing has happened.
    line.leg.handle_owner_closed(at(30), OwnerId(1), true);
    line.leg.let_in(at(40), 2, Coming::Next).unwrap();
    line.carrier(60, &media(2));
    line.outputs();
    line.leg.handle_owner_closed(at(70), OwnerId(0), false);
    // What the caller has begun to say belongs to the new one from its beginning.
    assert_eq!(line.outputs(), ["2: media 2"]);
    line.owner(2, "hello");
    assert_eq!(line.outputs(), ["carrier: hello"]);
    let older = NotLetIn::Older { newest: 2, got: 1 };
    assert_eq!(line.leg.let_in(at(80), 1, Coming::Now), Err(older));
}

/// A PIN is not pressed twice because a call should have moved once.
#[test]
fn what_an_owner_has_heard_is_kept_for_nobody_once_the_call_does_not_move() {
    let mut line = Line::started();
    line.leg.let_in(at(0), 50, Coming::Now).unwrap();
    line.leg.let_in(at(0), 52, Coming::Next).unwrap();
    let older = NotLetIn::Older { newest: 52, got: 51 };
    assert_eq!(line.leg.let_in(at(0), 51, Coming::Next), Err(older), "a later one waits already");
    line.outputs();
    line.carrier(0, r#"{"event":"dtmf","dtmf":{"digit":"7"}}"#);
    assert_eq!(line.outputs(), ["0: dtmf"]);
    line.leg.handle_owner_closed(at(10), OwnerId(1), false);
    line.leg.handle_owner_closed(at(5_000), OwnerId(0), false);
    line.leg.let_in(at(5_000), 53, Coming::Now).unwrap();
    assert_eq!(line.outputs(), ["2: connected", "2: start"]);
}

#[test]
fn a_call_ends_by_its_carrier_by_its_owner_or_without_one() {
    let mut line = Line::started();
    line.leg.let_in(at(0), 1, Coming::Now).unwrap();
    line.leg.let_in(at(0), 2, Coming::Next).unwrap();
    line.outputs();
    line.leg.handle_carrier_closed();
    assert_eq!(line.outputs(), ["0: over", "1: over", "ended: the carrier ended the call"]);
    assert_eq!(line.leg.let_in(at(0), 3, Coming::Now), Err(NotLetIn::NotOpen));

    let mut line = Line::started();
    line.leg.let_in(at(0), 1, Coming::Now).unwrap();
    line.outputs();
    line.leg.handle_owner_closed(at(0), OwnerId(0), true);
    assert_eq!(line.outputs(), ["ended: its owner ended the call"]);

    let mut line = Line::started();
    line.leg.let_in(at(0), 1, Coming::Now).unwrap();
    line.outputs();
    line.leg.handle_owner_closed(at(5_000), OwnerId(0), false);
    assert_eq!(line.leg.poll_timeout(), Some(at(25_000)));
    line.leg.handle_timeout(at(24_999));
    assert_eq!(line.outputs(), [""; 0]);
    line.leg.handle_timeout(at(25_000));
    assert_eq!(line.outputs(), ["ended: nobody served the call for too long"]);
}

#[test]
fn a_stream_that_does_not_start_ends_and_one_that_is_numbered_is_refused() {
    let mut line = Line::new();
    line.leg.handle_timeout(at(10_000));
    assert_eq!(line.outputs(), ["ended: expected the start of a stream, and none came in time"]);
    let mut line = Line::new();
    (0..17).for_each(|_| line.carrier(0, r#"{"event":"connected"}"#));
    assert_eq!(line.outputs(), ["ended: expected the start of a stream, and none came in time"]);
    assert_eq!(line.leg.let_in(at(0), 1, Coming::Now), Err(NotLetIn::NotOpen));
    let error = Leg::new(at(0), CarrierKind::Genesys, LegOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("got genesys: it numbers its messages"), "{error}");
}

#[test]
fn however_much_comes_without_an_owner_it_is_bounded_and_shows_nowhere() {
    let mut line = Line::started();
    let long = format!(r#"{{"event":"dtmf","dtmf":{{"digit":"7"}},"x":"{}"}}"#, "x".repeat(16_000));
    (0..100).for_each(|_| line.carrier(1, &long));
    (0..1_000).for_each(|n| line.carrier(1, &media(n)));
    line.leg.let_in(at(1), 1, Coming::Now).unwrap();
    let outputs = line.outputs();
    assert!(outputs.len() < 120 && outputs.contains(&"0: dtmf".to_owned()), "{}", outputs.len());
    let counts = line.leg.counts();
    assert_eq!(counts.dropped_audio + counts.dropped_others + outputs.len() as u64 - 2, 1_100);
    line.carrier(2, r#"{"event":"dtmf","dtmf":{"digit":"canary"}}"#);
    assert!(!format!("{:?}", line.leg).contains("canary"));
}

#[test]
fn every_other_carrier_starts_by_its_own_words() {
    for (kind, start) in [
        (CarrierKind::Vonage, r#"{"event":"websocket:connected","content-type":"audio/l16;rate=16000"}"#),
        (CarrierKind::Jambonz, r#"{"callSid":"c","sampleRate":8000}"#),
        (CarrierKind::Plivo, r#"{"event":"start","start":{"callId":"c"}}"#),
        (CarrierKind::Telnyx, r#"{"event":"start","start":{"call_control_id":"c"}}"#),
        (CarrierKind::Exotel, r#"{"event":"start","start":{"call_sid":"c"}}"#),
        (CarrierKind::SignalWire, r#"{"event":"start","start":{"callSid":"c"}}"#),
    ] {
        let mut leg = Leg::new(at(0), kind, LegOptions::default()).unwrap();
        leg.handle_carrier(at(0), LegMessage::Text(start.to_owned()));
        assert!(matches!(leg.poll_output(), Some(LegOutput::Started(_))), "{kind}");
        leg.handle_carrier(at(0), LegMessage::Binary(Bytes::from_static(&[0; 640])));
        leg.let_in(at(0), 1, Coming::Now).unwrap();
        assert!(matches!(leg.poll_output(), Some(LegOutput::ToOwner(_, LegMessage::Text(_)))), "{kind}");
    }
}

/// A leg of a call by Twilio, and its outputs as short texts.
struct Line {
    leg: Leg,
}

impl Line {
    fn new() -> Self {
        Self { leg: Leg::new(at(0), CarrierKind::Twilio, LegOptions::default()).unwrap() }
    }

    fn started() -> Self {
        let mut line = Self::new();
        line.carrier(0, r#"{"event":"connected"}"#);
        assert_eq!(line.outputs(), [""; 0]);
        line.carrier(0, START);
        assert_eq!(line.outputs(), ["started CA1"]);
        line
    }

    fn carrier(&mut self, ms: u64, text: &str) {
        self.leg.handle_carrier(at(ms), LegMessage::Text(text.to_owned()));
    }

    fn owner(&mut self, id: u64, text: &str) {
        self.leg.handle_owner(OwnerId(id), LegMessage::Text(text.to_owned()));
    }

    fn outputs(&mut self) -> Vec<String> {
        let outputs = std::iter::from_fn(|| self.leg.poll_output());
        let shown = |output| match output {
            LegOutput::Started(call) => format!("started {}", call.call_id.unwrap()),
            LegOutput::ToCarrier(message) => format!("carrier: {}", shown(&message)),
            LegOutput::ToOwner(OwnerId(id), message) => format!("{id}: {}", shown(&message)),
            LegOutput::Dismiss(OwnerId(id), Dismissal::Replaced) => format!("{id}: replaced"),
            LegOutput::Dismiss(OwnerId(id), Dismissal::Over) => format!("{id}: over"),
            LegOutput::Ended(why) => format!("ended: {why}"),
        };
        outputs.map(shown).collect()
    }
}

fn shown(message: &LegMessage) -> String {
    let LegMessage::Text(text) = message else { return "binary".to_owned() };
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return text.clone() };
    let chunk = value["media"]["chunk"].as_str().map(|chunk| format!(" {chunk}")).unwrap_or_default();
    format!("{}{chunk}", value["event"].as_str().unwrap())
}

fn media(n: u64) -> String {
    format!(
        r#"{{"event":"media","media":{{"chunk":"{n}","timestamp":"{}","payload":"{}"}}}}"#,
        n * 20,
        "/".repeat(216)
    )
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}
