//! A caller against whatever a server sends, and against the real other side.

use proptest::prelude::*;
use realtime_protocol::time::Timestamp;

use super::*;
use crate::carrier::{HangUp, Outgoing};
use crate::event::StreamError;
use crate::{CarrierKind, Event, MediaStream, Output, StreamOptions};

/// A call between a caller and a server's stream, over a network that takes no time.
struct Call {
    now: Timestamp,
    caller: Caller,
    stream: MediaStream,
    told: Vec<CallerEvent>,
    events: Vec<Event>,
}

impl Call {
    fn new(kind: CarrierKind) -> Self {
        let now = Timestamp::ZERO;
        let options = CallerOptions::default().parameter("order", "42").entropy(7);
        Self {
            now,
            caller: Caller::new(now, kind, options),
            stream: MediaStream::new(now, kind, StreamOptions::default()),
            told: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Lets 20 ms pass.
    fn tick(&mut self) {
        self.exchange();
        self.caller.handle_timeout(self.now);
        self.stream.handle_timeout(self.now);
        self.exchange();
        self.now = self.now + std::time::Duration::from_millis(20);
    }

    fn exchange(&mut self) {
        loop {
            if let Some(output) = self.caller.poll_output() {
                match output {
                    CallerOutput::Send(Outgoing::Text(text)) => self.stream.handle_text(self.now, &text),
                    CallerOutput::Send(Outgoing::Binary(bytes)) => self.stream.handle_binary(self.now, bytes),
                    CallerOutput::Send(Outgoing::Close) => self.stream.handle_closed(self.now),
                    CallerOutput::Event(event) => self.told.push(event),
                }
            } else if let Some(output) = self.stream.poll_output() {
                match output {
                    Output::Send(Outgoing::Text(text)) => self.caller.handle_text(&text),
                    Output::Send(Outgoing::Binary(bytes)) => self.caller.handle_binary(&bytes),
                    Output::Send(Outgoing::Close) => self.caller.handle_closed(),
                    Output::Event(event) => self.events.push(event),
                }
            } else {
                return;
            }
        }
    }

    fn ends(&self) -> Vec<CallerEnd> {
        let ends = self.told.iter().map(|event| match event {
            CallerEvent::Ended(end) => Some(*end),
            _ => None,
        });
        ends.flatten().collect()
    }

    /// The parts of the events that make no noise.
    fn breaches(&self) -> Vec<&str> {
        let breaches = self.told.iter().map(|event| match event {
            CallerEvent::Violation(what) => Some(what.as_str()),
            _ => None,
        });
        breaches.flatten().collect()
    }
}

#[test]
fn every_carrier_starts_speaks_plays_presses_and_hangs_up() {
    for kind in CarrierKind::ALL {
        let mut call = Call::new(kind);
        call.caller.say(&vec![9_000; call.caller.rate() as usize / 5]);
        (0..25).for_each(|_| call.tick());
        let Some(Event::Started(started)) = call.events.first() else { panic!("{kind}: no start") };
        assert_eq!(started.call.parameters.get("order").map(String::as_str), Some("42"), "{kind}");
        let (output, now) = (started.output, call.now);
        let second = output.samples_in(realtime_protocol::time::MediaTime::from_millis(1_000));
        let bytes = second as usize * output.sample_bytes() as usize;
        call.stream.play(now, vec![0x55; bytes].into()).unwrap();
        (0..30).for_each(|_| call.tick());
        call.stream.flush(call.now).unwrap();
        call.caller.press("4#").unwrap();
        call.tick();
        let dropped = call.caller.dropped().as_millis();
        assert!((300..500).contains(&dropped), "{kind}: {dropped} ms of 1 s, after 0.6 s");
        let heard = call.events.iter().filter(|event| matches!(event, Event::Audio(_))).count();
        let keys = call.events.iter().filter(|event| matches!(event, Event::Digit { .. })).count();
        assert!(heard > 3 && keys == 2, "{kind}: {heard} pieces, {keys} keys");

        call.caller.hang_up(call.now);
        (0..200).for_each(|_| call.tick());
        assert_eq!((call.ends(), call.breaches()), (vec![CallerEnd::HungUp], vec![]), "{kind}");
        assert_eq!(call.caller.press("1"), Err(StreamError::Ended), "{kind}");
        assert!(matches!(call.events.last(), Some(Event::Ended(_))), "{kind}");
    }
}

#[test]
fn a_server_that_hangs_up_ends_the_call() {
    for kind in CarrierKind::ALL {
        let mut call = Call::new(kind);
        (0..10).for_each(|_| call.tick());
        call.stream.hang_up(call.now, &HangUp::default()).unwrap();
        (0..600).for_each(|_| call.tick());
        assert_eq!((call.ends(), call.breaches()), (vec![CallerEnd::ByServer], vec![]), "{kind}");
        assert_eq!(call.caller.poll_timeout(), None, "{kind}");
    }
}

#[test]
fn what_is_no_key_is_not_pressed() {
    let mut caller = Caller::new(Timestamp::ZERO, CarrierKind::Twilio, CallerOptions::default());
    for keys in ["", "1 2", "x"] {
        assert_eq!(caller.press(keys), Err(StreamError::NotDigits), "{keys:?}");
    }
    assert!(!format!("{:?}", CallerEvent::Keys("4711".to_owned())).contains("4711"));
}

/// What a server may send: texts of carriers, spoiled or not, and bytes.
fn messages() -> impl Strategy<Value = Vec<Outgoing>> {
    let word = prop::sample::select(vec![
        "media",
        "mark",
        "clear",
        "playAudio",
        "checkpoint",
        "clearAudio",
        "sendDTMF",
        "disconnect",
        "opened",
        "closed",
        "event",
        "killAudio",
        "notify",
        "pause",
        "stop",
    ]);
    let known = (word, ".{0,12}").prop_map(|(word, text)| {
        let (word, text) = (serde_json::json!(word), serde_json::json!(text));
        Outgoing::Text(format!(
            r#"{{"event":{word},"type":{word},"action":{word},"streamSid":{text},"mark":{{"name":{text}}},
                "media":{{"payload":{text}}},"name":{text},"dtmf":{text},"payload":{{}},"parameters":{{}}}}"#
        ))
    });
    let text = ".{0,40}".prop_map(Outgoing::Text);
    let bytes = prop::collection::vec(any::<u8>(), 0..700).prop_map(|bytes| Outgoing::Binary(bytes.into()));
    prop::collection::vec(prop_oneof![known, text, bytes], 0..40)
}

proptest! {
    #[test]
    fn whatever_a_server_sends_a_call_ends_once_and_nothing_is_sent_afterwards(
        messages in messages(),
        hangs_up in any::<bool>(),
    ) {
        for kind in CarrierKind::ALL {
            let mut now = Timestamp::ZERO;
            let mut caller = Caller::new(now, kind, CallerOptions::default());
            let (mut ends, mut is_closed) = (0, false);
            for message in &messages {
                match message {
                    Outgoing::Text(text) => caller.handle_text(text),
                    Outgoing::Binary(bytes) => caller.handle_binary(bytes),
                    Outgoing::Close => {}
                }
                caller.handle_timeout(now);
                now = now + std::time::Duration::from_millis(20);
            }
            if hangs_up {
                caller.hang_up(now);
            }
            caller.handle_closed();
            while let Some(output) = caller.poll_output() {
                match output {
                    CallerOutput::Send(Outgoing::Close) => {
                        prop_assert!(!is_closed);
                        is_closed = true;
                    }
                    CallerOutput::Send(_) => prop_assert!(!is_closed, "{kind} sends after the end"),
                    CallerOutput::Event(CallerEvent::Ended(_)) => ends += 1,
                    CallerOutput::Event(_) => {}
                }
            }
            prop_assert_eq!((ends, caller.poll_timeout()), (1, None), "{}", kind);
        }
    }
}
