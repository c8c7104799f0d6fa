//! Odd messages are counted and survived; no bytes at all make a stream panic, or break its order.

use bytes::Bytes;
use proptest::prelude::*;
use realtime_telephony::carrier::{HangUp, Incoming, Odd};
use realtime_telephony::{CarrierKind, Event, MediaStream, Output, StreamOptions};

use crate::fixture::{Fixture, files};
use crate::line::{Line, at, mark_back};

#[test]
fn odd_messages_are_counted_and_the_call_goes_on() {
    let mut line = Line::started(CarrierKind::Twilio);
    for (text, odd) in [
        ("", Odd::NotAnObject),
        ("null", Odd::NotAnObject),
        ("[1]", Odd::NotAnObject),
        ("{\"event\":", Odd::NotAnObject),
        ("{}", Odd::UnknownEvent),
        (r#"{"event":null}"#, Odd::UnknownEvent),
        (r#"{"event":"new-thing","payload":{}}"#, Odd::UnknownEvent),
        (r#"{"event":"media"}"#, Odd::Missing("media")),
        (r#"{"event":"media","media":7}"#, Odd::Missing("media")),
        (r#"{"event":"media","media":{"payload":null}}"#, Odd::Missing("payload")),
        (r#"{"event":"media","media":{"payload":"%%"}}"#, Odd::NotBase64),
        (r#"{"event":"media","streamSid":"other","media":{"payload":""}}"#, Odd::OtherStream),
        (r#"{"event":"mark","mark":{}}"#, Odd::Missing("name")),
        (r#"{"event":"dtmf","dtmf":{"digit":"x"}}"#, Odd::Missing("digit")),
        (r#"{"event":"start","start":{}}"#, Odd::StartedTwice),
    ] {
        let before = line.stream.counts().odd.get(&odd).copied().unwrap_or_default();
        line.text(text);
        assert_eq!(line.stream.counts().odd.get(&odd), Some(&(before + 1)), "{text}");
        assert_eq!(line.outputs(), [""; 0], "{text}");
    }
    line.stream.handle_binary(line.now(), Bytes::from_static(b"audio"));
    assert_eq!(line.stream.counts().odd[&Odd::Binary], 1);
    line.text(&" ".repeat(65_537));
    assert_eq!(line.stream.counts().too_long, 1);
    line.fixture("in/05-mark");
    assert_eq!(line.stream.counts().unknown_marks, 1);
    line.fixture("in/03-media");
    assert_eq!(line.outputs(), ["audio at 0: 160 bytes"]);
}

#[test]
fn a_start_may_lack_almost_all_and_have_more() {
    for (start, expected) in [
        (r#"{"event":"start","start":{}}"#, "started Pcmu Pcmu"),
        (r#"{"event":"start","start":{"mediaFormat":null,"customParameters":[]}}"#, "started Pcmu Pcmu"),
        (
            r#"{"event":"start","new":[{}],
                "start":{"media_format":{"encoding":"audio/X-MULAW","sample_rate":"8000"}}}"#,
            "started Pcmu Pcmu",
        ),
        (r#"{"event":"start","start":{"mediaFormat":{"sampleRate":8000.0}}}"#, "started Pcmu Pcmu"),
    ] {
        let mut line = Line::new(CarrierKind::Twilio);
        line.text(start);
        assert_eq!(line.outputs(), [expected], "{start}");
    }
}

#[test]
fn parameters_are_read_in_every_form() {
    for (start, expected) in [
        (
            r#"{"event":"start","start":{"customParameters":{"a":"1","b":2,"c":{"d":true}}}}"#,
            "a=1 b=2 c={\"d\":true}",
        ),
        (r#"{"event":"start","start":{"custom_parameters":[{"name":"a","value":"1"},7]}}"#, "a=1"),
        (r#"{"event":"start","start":{},"extra_headers":"a=1;b=2=3;;c"}"#, "a=1 b=2=3"),
        (r#"{"event":"start","start":{"customParameters":null}}"#, ""),
    ] {
        let mut line = Line::new(CarrierKind::Plivo);
        line.text(start);
        let Some(Output::Event(Event::Started(started))) = line.stream.poll_output() else {
            panic!("{start}")
        };
        let shown: Vec<String> =
            started.call.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown.join(" "), expected);
    }
}

#[test]
fn messages_before_the_start_are_counted() {
    let mut line = Line::new(CarrierKind::Twilio);
    for file in ["in/03-media", "in/04-dtmf", "in/05-mark"] {
        line.fixture(file);
    }
    assert_eq!(line.stream.counts().before_start, 3);
    line.fixture("in/06-stop");
    assert_eq!(line.outputs(), ["ended(stopped(none))", "> close"]);
}

#[test]
fn genesys_texts_out_of_their_numbering_are_read_and_counted() {
    let mut line = Line::new(CarrierKind::Genesys);
    line.fixture("in/01-open");
    line.fixture("in/02b-ping-with-rtt");
    assert_eq!(line.outputs(), ["> opened", "started Pcmu Pcmu", "> pong"]);
    assert_eq!(line.stream.counts().odd[&Odd::Sequence], 1);
}

/// What may be done to a stream.
#[derive(Clone, Debug)]
enum Step {
    Text(String),
    Binary(Vec<u8>),
    Fixture(usize),
    Play(usize),
    Mark,
    MarkBack(u64, u64),
    Flush,
    Finish,
    Digits,
    HangUp,
    Time(u64),
    Closed,
}

fn step() -> impl Strategy<Value = Step> {
    let event = "media|start|stop|mark|dtmf|clear|open|ping|close|paused|resumed|playback_completed|playDone";
    let odd = (event, "\"[a-zA-Z0-9=/]{0,12}\"|-?[0-9]{1,30}|null|\\[\\]|\\{\\}|1e308", 0..4_u64).prop_map(
        |(event, value, seq)| {
            format!(
                r#"{{"event":"{event}","type":"{event}","seq":{seq},"id":{value},
                    "media":{{"payload":"AAAA","timestamp":{value},"chunk":{value}}},
                    "mark":{{"name":{value}}},"dtmf":{{"digit":{value}}},
                    "start":{{"mediaFormat":{{"encoding":{value},"sampleRate":{value}}}}},
                    "parameters":{{"discarded":{value},"media":{value}}},"data":{value}}}"#
            )
        },
    );
    prop_oneof![
        4 => (0..20_usize).prop_map(Step::Fixture),
        2 => odd.prop_map(Step::Text),
        1 => "\\PC{0,40}".prop_map(Step::Text),
        2 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Binary),
        4 => (0..5_000_usize).prop_map(Step::Play),
        3 => Just(Step::Mark),
        3 => (0..3_u64, 0..6_u64).prop_map(|(generation, serial)| Step::MarkBack(generation, serial)),
        1 => Just(Step::Flush),
        1 => Just(Step::Finish),
        1 => Just(Step::Digits),
        1 => Just(Step::Time(300)),
        1 => (0..12_000_u64).prop_map(Step::Time),
    ]
}

fn last_step() -> impl Strategy<Value = Step> {
    prop_oneof![Just(Step::HangUp), Just(Step::Closed)]
}

proptest! {
    #[test]
    fn whatever_comes_the_order_of_events_holds(
        kind in prop::sample::select(CarrierKind::ALL.to_vec()),
        steps in prop::collection::vec(step(), 0..60), last in last_step(),
        starts in prop::bool::weighted(0.9),
    ) {
        let mut line = Line::new(kind);
        let mut told = Told::default();
        let files = files(kind, "in");
        if starts {
            line.start();
        }
        for step in steps.into_iter().chain([last]) {
            told.check(&mut line)?;
            let now = line.now();
            match step {
                Step::Text(text) => line.text(&text),
                Step::Binary(bytes) => line.stream.handle_binary(now, bytes.into()),
                Step::Fixture(index) => line.fixture(&files[index % files.len()]),
                Step::Play(samples) => {
                    let bytes = line.stream.formats().map_or(1, |(_, format)| format.sample_bytes()) as usize;
                    let _ = line.stream.play(now, vec![0; samples * bytes].into());
                }
                Step::Mark => drop(line.stream.mark(now, told.mark())),
                Step::MarkBack(generation, serial) => {
                    line.text(&mark_back(kind, &format!("{generation}.{serial}")));
                }
                Step::Flush => drop(line.stream.flush(now)),
                Step::Finish => drop(line.stream.finish(now)),
                Step::Digits => drop(line.stream.send_digits(now, "1")),
                Step::HangUp => drop(line.stream.hang_up(now, &HangUp::default())),
                Step::Time(ms) => line.advance(ms),
                Step::Closed => line.stream.handle_closed(now),
            }
        }
        told.check(&mut line)?;
        line.advance(60_000);
        line.stream.handle_closed(line.now());
        told.check(&mut line)?;
        prop_assert!(told.is_ended, "every stream ends");
    }

    #[test]
    fn no_bytes_make_a_carrier_panic(
        kind in prop::sample::select(CarrierKind::ALL.to_vec()), text in "\\PC{0,200}",
        bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..400_usize, file in 0..20_usize,
    ) {
        let mut carrier = kind.carrier(&StreamOptions::default());
        let files = files(kind, "in");
        let mut reads = Vec::new();
        if let Fixture::Text(whole) = Fixture::read(kind, &files[file % files.len()]) {
            let cut = whole.get(..cut).unwrap_or(&whole);
            let _ = carrier.read(Incoming::Text(cut), &mut reads);
        }
        let _ = carrier.read(Incoming::Text(&text), &mut reads);
        let _ = carrier.read(Incoming::Binary(bytes.into()), &mut reads);
    }
}

/// What was told so far.
#[derive(Default)]
struct Told {
    is_started: bool,
    is_ended: bool,
    is_closed: bool,
    audio_end: u64,
    /// The generation and the sample of the newest mark.
    played: (u64, u64),
    next_mark: u64,
    newest_mark: Option<u64>,
}

impl Told {
    /// A new mark.
    fn mark(&mut self) -> u64 {
        self.next_mark += 1;
        self.next_mark
    }

    fn check(&mut self, line: &mut Line) -> Result<(), TestCaseError> {
        while let Some(output) = line.stream.poll_output() {
            prop_assert!(!self.is_closed, "nothing comes after the close: {output:?}");
            let event = match output {
                Output::Event(event) => event,
                Output::Send(message) => {
                    self.is_closed = message == realtime_telephony::carrier::Outgoing::Close;
                    continue;
                }
                other => panic!("{other:?}"),
            };
            prop_assert!(!self.is_ended, "nothing is told after the end: {event:?}");
            match &event {
                Event::Started(_) => {
                    prop_assert!(!self.is_started);
                    self.is_started = true;
                }
                Event::Audio(audio) => {
                    prop_assert_eq!(audio.start, self.audio_end);
                    let (format, _) = line.stream.formats().unwrap();
                    self.audio_end += format.samples(audio.audio.len() as u64);
                }
                Event::Played { generation, mark, samples, .. } => {
                    prop_assert!((*generation, *samples) >= self.played);
                    prop_assert!(Some(*mark) > self.newest_mark);
                    self.played = (*generation, *samples);
                    self.newest_mark = Some(*mark);
                }
                Event::Ended(_) => self.is_ended = true,
                Event::Probe | Event::Fault(_) => {}
                _ => prop_assert!(self.is_started),
            }
        }
        Ok(())
    }
}

#[test]
fn time_that_goes_back_stands_still() {
    let mut stream = MediaStream::new(at(5_000), CarrierKind::Twilio, StreamOptions::default());
    stream.handle_timeout(at(0));
    stream.handle_text(at(1), "{}");
    assert_eq!(stream.poll_timeout(), Some(at(15_000)));
}
