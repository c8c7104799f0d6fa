//! A phone in virtual time, with a carrier that plays what it is sent.

mod control;

use std::time::Duration;

use proptest::prelude::*;
use realtime_protocol::audio::AudioFormat;
use serde_json::Value;

use super::*;
use crate::chain::{AudioSource, OutputAudio, SinkPosition};
use crate::media::MediaWork;

const STARTS: [(CarrierKind, &str); 4] = [
    (
        CarrierKind::Twilio,
        r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1","customParameters":{"order":"42"}}}"#,
    ),
    (CarrierKind::Vonage, r#"{"event":"websocket:connected","content-type":"audio/l16;rate=16000"}"#),
    (
        CarrierKind::Exotel,
        r#"{"event":"start","stream_sid":"a","start":{"from":"+15550100001","media_format":{"sample_rate":"8000"}}}"#,
    ),
    (
        CarrierKind::Genesys,
        r#"{"version":"2","id":"a","type":"open","seq":1,"serverseq":0,"parameters":{"conversationId":"c",
            "language":"en-US","media":[{"type":"audio","format":"PCMU","channels":["external"],"rate":8000}]}}"#,
    ),
];

/// A phone, and what came out of it: a line for each output.
struct Bench {
    phone: Phone,
    now: Timestamp,
    lines: Vec<String>,
    /// Audio that was sent (bytes), with the marks in their places.
    sent: Vec<Sent>,
    /// Work that was handed out and has not ended.
    works: Vec<MediaWork>,
    /// What was told as heard, and where flushes found playback.
    positions: Vec<SinkPosition>,
}

#[derive(Debug, PartialEq)]
enum Sent {
    Audio(usize),
    Mark(String),
}

impl Bench {
    fn new(kind: CarrierKind) -> Self {
        Self::with(Phone::new(kind, StreamOptions::default().audio_within(None)))
    }

    fn with(mut phone: Phone) -> Self {
        let now = Timestamp::from_millis(500);
        phone.handle_opened(now);
        Self { phone, now, lines: Vec::new(), sent: Vec::new(), works: Vec::new(), positions: Vec::new() }
    }

    fn started(kind: CarrierKind) -> Self {
        let mut bench = Self::new(kind);
        let (_, start) = STARTS.into_iter().find(|(of, _)| *of == kind).expect("a carrier of these");
        bench.text(start);
        bench.lines.clear();
        bench
    }

    fn text(&mut self, text: &str) {
        self.phone.handle_text(self.now, text);
        self.collect();
    }

    fn frame(&mut self, frame: &FrameKind) {
        self.phone.handle_frame(self.now, Direction::Downstream, frame).unwrap();
        self.collect();
    }

    /// Sends so much of a part of 24,000 Hz, in chunks of 20 ms.
    fn play(&mut self, item: &str, from_ms: u64, ms: u64) {
        for at in (from_ms..from_ms + ms).step_by(20) {
            self.chunk(item, at * 24, Audio::mono(24_000, vec![500; 480]));
        }
    }

    fn chunk(&mut self, item: &str, start: u64, audio: Audio) {
        let (response_id, mark) = (Some("r".into()), None);
        self.frame(&FrameKind::PlayedAudio(OutputAudio {
            response_id,
            source: part(item),
            start,
            mark,
            audio,
        }));
    }

    fn clear(&mut self, id: u64) {
        self.phone.clear(self.now, ClearId(id));
        self.collect();
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(due) = self.phone.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.phone.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// The carrier has played everything before the n-th mark, from 0.
    fn mark_back(&mut self, nth: usize) {
        let name = self.marks()[nth].clone();
        self.text(&format!(r#"{{"event":"mark","streamSid":"MZ1","mark":{{"name":"{name}"}}}}"#));
    }

    fn marks(&self) -> Vec<String> {
        let name = |sent: &Sent| match sent {
            Sent::Mark(name) => Some(name.clone()),
            Sent::Audio(_) => None,
        };
        self.sent.iter().filter_map(name).collect()
    }

    /// How much audio was sent before each mark (bytes).
    fn mark_places(&self) -> Vec<usize> {
        let mut bytes = 0;
        let mut places = Vec::new();
        for sent in &self.sent {
            match sent {
                Sent::Audio(more) => bytes += more,
                Sent::Mark(_) => places.push(bytes),
            }
        }
        places
    }

    fn bytes(&self) -> usize {
        self.sent.iter().map(|sent| if let Sent::Audio(bytes) = sent { *bytes } else { 0 }).sum()
    }

    /// The newest lines.
    fn news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    fn collect(&mut self) {
        while let Some(output) = self.phone.poll_output() {
            let line = match output {
                MediaOutput::Send(SocketMessage::Text(text)) => match self.text_out(&text) {
                    Some(line) => line,
                    None => continue,
                },
                MediaOutput::Send(SocketMessage::Binary(bytes)) => {
                    self.sent.push(Sent::Audio(bytes.len()));
                    continue;
                }
                MediaOutput::Input(frame) => match frame {
                    FrameKind::Fault(fault) => format!("fault {:?} {fault}", fault.category),
                    FrameKind::InputAudio(Audio::Coded(coded)) => {
                        format!("audio {:?} {}", coded.format, coded.bytes.len())
                    }
                    FrameKind::PhoneAnswer(answer) => {
                        let done = answer.done.as_ref().map_or_else(|why| &**why, |()| "done");
                        format!("answer {} {done}", answer.ticket)
                    }
                    FrameKind::InputDtmf(keys) => format!("keys {}", keys.as_str()),
                    FrameKind::InputMessage(message) => message.body.to_string(),
                    frame => format!("{frame:?}"),
                },
                MediaOutput::Report(SinkReport::Heard(at)) => {
                    self.positions.push(at.clone());
                    format!("heard {}", shown(&at))
                }
                MediaOutput::Report(SinkReport::Cleared { id, at }) => {
                    self.positions.extend(at.clone());
                    format!("{id} at {}", at.as_ref().map_or_else(|| "nothing".to_owned(), shown))
                }
                MediaOutput::Work(work) => {
                    self.works.push(work);
                    continue;
                }
                other => format!("{other:?}").to_lowercase(),
            };
            self.lines.push(line);
        }
    }

    fn text_out(&mut self, text: &str) -> Option<String> {
        let message: Value = serde_json::from_str(text).unwrap();
        let kind = ["event", "action", "type"].iter().find_map(|name| message[*name].as_str()).unwrap();
        match kind {
            "media" => {
                let payload = message["media"]["payload"].as_str().unwrap();
                let padding = payload.bytes().rev().take_while(|byte| *byte == b'=').count();
                self.sent.push(Sent::Audio(payload.len() / 4 * 3 - padding));
                None
            }
            "mark" => {
                self.sent.push(Sent::Mark(message["mark"]["name"].as_str().unwrap().to_owned()));
                None
            }
            "notify" => {
                self.sent.push(Sent::Mark(message["payload"]["name"].as_str().unwrap().to_owned()));
                None
            }
            kind => Some(format!("> {kind}")),
        }
    }
}

fn part(item: &str) -> AudioSource {
    AudioSource::Part { item_id: item.into(), content_index: 0 }
}

/// A position, in ms of 24,000 Hz.
fn shown(at: &SinkPosition) -> String {
    let AudioSource::Part { item_id, .. } = &at.source else { return "a clip".to_owned() };
    format!("{} {}", item_id.as_str(), at.samples / 24)
}

#[test]
fn a_call_begins_with_who_calls() {
    let mut bench = Bench::new(CarrierKind::Twilio);
    assert!(!bench.phone.is_ready() && bench.phone.call().is_none());
    bench.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#);
    assert!(!bench.phone.is_ready());
    bench.text(STARTS[0].1);
    assert!(bench.phone.is_ready());
    let call = bench.phone.call().unwrap();
    assert_eq!((call.carrier, call.id(), call.from()), (CarrierKind::Twilio, Some("CA1"), None));
    assert_eq!((call.parameter("order"), call.parameter("other")), (Some("42"), None));
    assert_eq!(bench.news(), ["Peer(Connected)"]);
    assert_eq!(bench.phone.input_format(), Some(AudioFormat::Pcmu));
    let pace = bench.phone.pace();
    assert_eq!((pace.lead, pace.reports), (Duration::from_secs(1), true));
    assert_eq!((pace.format, pace.whole_chunks), (Some(AudioFormat::Pcmu), false));
}

#[test]
fn each_carrier_is_fed_as_it_wants() {
    for (kind, format, lead_ms, reports, whole) in [
        (CarrierKind::Vonage, None, 1_000, true, true),
        (CarrierKind::Exotel, None, 1_000, true, true),
        (CarrierKind::Genesys, Some(AudioFormat::Pcmu), 1_000, false, false),
    ] {
        let bench = Bench::started(kind);
        let pace = bench.phone.pace();
        let lead = Duration::from_millis(lead_ms);
        assert_eq!((pace.format, pace.lead, pace.reports), (format, lead, reports), "{kind}");
        assert_eq!((pace.whole_chunks, bench.phone.input_format()), (whole, format), "{kind}");
    }
}

#[test]
fn what_the_caller_does_becomes_frames() {
    let mut bench = Bench::started(CarrierKind::Twilio);
    let payload = "/".repeat(213) + "w==";
    bench.text(&format!(
        r#"{{"event":"media","media":{{"track":"inbound","timestamp":"20","payload":"{payload}"}}}}"#
    ));
    bench.text(r##"{"event":"dtmf","dtmf":{"digit":"#"}}"##);
    bench.text(r#"{"event":"stop","stop":{"callSid":"CA1"}}"#);
    assert_eq!(bench.news(), ["audio Pcmu 160", "keys #", "Peer(Disconnected)", "close"]);
    assert!(bench.phone.is_over());
    assert_eq!(bench.phone.why_over().as_deref(), Some("the carrier ended the call"));

    let mut bench = Bench::started(CarrierKind::Genesys);
    let say = |bench: &mut Bench, seq: u32, kind: &str, parameters: &str| {
        bench.text(&format!(
            r#"{{"version":"2","id":"a","type":"{kind}","seq":{seq},"serverseq":1,"parameters":{parameters}}}"#
        ));
    };
    say(&mut bench, 2, "paused", "{}");
    say(&mut bench, 3, "resumed", r#"{"start":"PT1S","discarded":"PT0S"}"#);
    say(&mut bench, 4, "update", r#"{"language":"de-DE"}"#);
    say(&mut bench, 5, "error", r#"{"code":429,"message":"secret"}"#);
    let told = bench.news();
    assert_eq!(told[..4], ["User(Muted)", "User(Unmuted)", "> updated", r#"{"language":"de-DE"}"#]);
    assert_eq!(told[4], "fault RateLimited genesys: the carrier reports an error 429");
}

#[test]
fn audio_in_the_carriers_format_passes_untouched_and_other_audio_is_converted_whole() {
    let mut bench = Bench::started(CarrierKind::Twilio);
    for at in 0..100 {
        bench.chunk("one", at * 160, Audio::coded(AudioFormat::Pcmu, Bytes::from(vec![7; 160])));
    }
    assert_eq!(bench.bytes(), 16_000);
    assert!(bench.sent.iter().all(|sent| !matches!(sent, Sent::Audio(bytes) if *bytes != 160)));

    let mut bench = Bench::started(CarrierKind::Twilio);
    bench.play("one", 0, 1_000);
    assert!(bench.bytes() < 8_000, "the filter holds the rest");
    bench.pass(1_000);
    assert_eq!(bench.bytes(), 8_000, "it goes out before the carrier runs dry");

    // Exotel takes pieces of 200 ms, and the last one is filled up.
    let mut bench = Bench::started(CarrierKind::Exotel);
    bench.play("one", 0, 500);
    bench.pass(1_000);
    let pieces: Vec<_> = bench.sent.iter().filter(|sent| matches!(sent, Sent::Audio(_))).collect();
    assert_eq!(pieces, [&Sent::Audio(3_200), &Sent::Audio(3_200), &Sent::Audio(3_200)]);
}

#[test]
fn marks_go_out_after_the_beginning_each_second_and_at_the_end() {
    let mut bench = Bench::started(CarrierKind::Twilio);
    bench.play("one", 0, 2_500);
    bench.play("two", 0, 300);
    bench.pass(5_000);
    let places = bench.mark_places();
    // The filter gives pieces of 10 ms, and holds 8 ms back.
    for (place, due_ms) in places.iter().zip([200, 1_200, 2_200, 2_500, 2_700, 2_800]) {
        assert!((due_ms * 8..=due_ms * 8 + 160).contains(place), "{due_ms} ms: {places:?}");
    }
    assert_eq!((places.len(), places[5]), (6, 2_800 * 8));
}

#[test]
fn what_was_heard_is_told_by_marks_and_by_the_clock_between_them() {
    let mut bench = Bench::started(CarrierKind::Twilio);
    for at in 0..100 {
        bench.chunk("one", at * 160, Audio::coded(AudioFormat::Pcmu, Bytes::from(vec![7; 160])));
    }
    let heard_ms = |bench: &mut Bench| {
        let last = bench.news().pop().unwrap_or_default();
        // These parts have 8,000 Hz, and positions are shown as of 24,000 Hz.
        last.strip_prefix("heard one ").map(|ms| ms.parse::<u64>().unwrap() * 3)
    };
    bench.pass(1_000);
    assert_eq!(heard_ms(&mut bench), Some(198), "not beyond the first mark at 200 ms");
    bench.mark_back(0);
    assert_eq!(heard_ms(&mut bench), None, "it was told");
    bench.pass(500);
    assert_eq!(heard_ms(&mut bench), Some(699));
    bench.pass(5_000);
    assert_eq!(heard_ms(&mut bench), Some(1_200), "not beyond the second one");
    bench.mark_back(1);
    bench.mark_back(2);
    assert_eq!(heard_ms(&mut bench), Some(1_998));
    assert_eq!(bench.phone.poll_timeout(), None);
}

#[test]
fn a_flush_is_answered_once_with_what_the_caller_heard_and_older_marks_do_not_count() {
    let mut bench = Bench::started(CarrierKind::Twilio);
    bench.play("one", 0, 1_000);
    bench.pass(200);
    bench.mark_back(0);
    bench.pass(250);
    bench.news();
    bench.clear(7);
    // The mark stands at 212 ms: the filter gives pieces of 10 ms, and holds some back.
    assert_eq!(bench.news(), ["> clear", "heard one 462", "clear 7 at one 462"]);
    let old = bench.marks().len();
    bench.mark_back(0);
    for mark in 1..old {
        bench.mark_back(mark);
    }
    assert!(bench.news().is_empty(), "the carrier sends dropped marks back");
    assert_eq!(bench.phone.stream().counts().stale_marks, old as u64);

    // It goes on where it was heard.
    bench.play("one", 462, 1_000);
    bench.pass(100);
    assert_eq!(bench.news(), ["heard one 562"]);
    bench.clear(8);
    assert_eq!(bench.news(), ["> clear", "clear 8 at one 562"]);
    bench.clear(9);
    assert_eq!(bench.news(), ["> clear", "clear 9 at one 562"]);
}

#[test]
fn a_carrier_without_marks_is_asked_by_the_clock_at_a_flush_alone() {
    let mut bench = Bench::started(CarrierKind::Genesys);
    bench.play("one", 0, 1_000);
    bench.pass(600);
    assert!(bench.news().is_empty() && bench.marks().is_empty());
    bench.clear(1);
    assert_eq!(bench.news(), ["> event", "clear 1 at one 600"]);
}

#[test]
fn the_end_of_the_run_ends_the_call_as_the_carrier_wants_it() {
    let mut bench = Bench::started(CarrierKind::Twilio);
    bench.phone.finish(bench.now);
    bench.collect();
    assert_eq!(bench.news(), ["Peer(Disconnected)", "close"]);
    assert!(bench.phone.is_over());
    bench.play("one", 0, 100);
    bench.phone.finish(bench.now);
    bench.collect();
    assert!(bench.news().is_empty());
    assert!(bench.phone.oddities().unwrap().starts_with("5 pieces of our audio"));

    let mut bench = Bench::started(CarrierKind::Genesys);
    bench.phone.finish(bench.now);
    bench.collect();
    assert_eq!(bench.news(), ["> disconnect"]);
    assert!(!bench.phone.is_over());
    bench.text(
        r#"{"version":"2","id":"a","type":"close","seq":2,"serverseq":2,"parameters":{"reason":"end"}}"#,
    );
    assert_eq!(bench.news(), ["> closed", "Peer(Disconnected)"]);
    assert!(!bench.phone.is_over(), "Genesys closes the socket");
    bench.phone.handle_closed(bench.now);
    assert!(bench.phone.is_over());

    // And if it does not answer, within 3 s.
    let mut bench = Bench::started(CarrierKind::Genesys);
    bench.phone.finish(bench.now);
    bench.pass(3_000);
    assert!(bench.phone.is_over());
    assert_eq!(bench.news().last().map(String::as_str), Some("close"));
}

#[test]
fn a_caller_hears_the_last_word_of_a_run_that_ends_and_not_of_one_that_is_cancelled() {
    let end = FrameKind::End { reason: "over".into() };
    let mut bench = Bench::started(CarrierKind::Genesys);
    bench.play("one", 0, 400);
    bench.pass(400);
    bench.frame(&end);
    bench.phone.finish(bench.now);
    bench.pass(300);
    assert!(bench.news().is_empty(), "it is still heard, for all that is known");
    let parameters = r#""type":"playback_completed","seq":2,"serverseq":1,"parameters":{}"#;
    bench.text(&format!(r#"{{"version":"2","id":"a",{parameters}}}"#));
    assert_eq!(bench.news(), ["> disconnect"]);

    let mut bench = Bench::started(CarrierKind::Genesys);
    bench.play("one", 0, 400);
    bench.frame(&end);
    bench.phone.finish(bench.now);
    bench.pass(999);
    assert!(bench.news().is_empty());
    bench.pass(1);
    assert_eq!(bench.news(), ["> disconnect"], "it says nothing");

    let mut bench = Bench::started(CarrierKind::Genesys);
    bench.play("one", 0, 400);
    bench.frame(&FrameKind::Cancel { reason: "at once".into() });
    bench.phone.finish(bench.now);
    bench.collect();
    assert_eq!(bench.news(), ["> disconnect"]);
}

#[test]
fn limits_end_a_call_and_say_why() {
    let mut bench = Bench::new(CarrierKind::Twilio);
    bench.pass(9_999);
    assert!(!bench.phone.is_over());
    bench.pass(1);
    assert!(bench.phone.is_over() && bench.phone.why_over().unwrap().contains("start of a stream"));
    assert_eq!(bench.news(), ["close"]);

    let mut phone = Phone::new(CarrierKind::Twilio, StreamOptions::default());
    phone.handle_opened(Timestamp::ZERO);
    phone.handle_text(Timestamp::ZERO, STARTS[0].1);
    phone.handle_timeout(Timestamp::from_millis(10_000));
    let lines: Vec<_> =
        std::iter::from_fn(|| phone.poll_output()).map(|output| format!("{output:?}")).collect();
    assert!(lines[1].contains("expected audio of the caller"), "{lines:?}");
    assert_eq!(lines[2..], ["Input(Peer(Disconnected))", "Close"]);

    let mut bench = Bench::new(CarrierKind::Telnyx);
    bench.text(r#"{"event":"start","start":{"media_format":{"encoding":"OPUS"}}}"#);
    assert!(!bench.phone.is_ready() && bench.phone.is_over());
    assert!(bench.phone.why_over().unwrap().contains("OPUS"));
}

#[test]
fn what_is_odd_is_counted_and_told_in_one_line() {
    let mut bench = Bench::new(CarrierKind::Twilio);
    bench.play("early", 0, 40);
    bench.text("null");
    bench.text(&"x".repeat(70_000));
    bench.text(STARTS[0].1);
    bench.phone.handle_binary(bench.now, Bytes::from_static(b"\0\0"));
    bench.play("one", 0, 300);
    let told = bench.phone.oddities().unwrap();
    for expected in [
        "1 messages were too long",
        "1 marks went out, and none came back",
        "2 pieces of our audio came before the start",
        "1 messages: expected a JSON object, got something else",
        "1 messages: expected text, got a binary message",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(Bench::started(CarrierKind::Twilio).phone.oddities(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_heard_that_was_not_sent_and_it_never_falls(
        steps in prop::collection::vec((0..7_u8, 0..3_usize, 1..1_200_u64), 1..80),
    ) {
        let mut bench = Bench::started(CarrierKind::Twilio);
        // How far each part was sent, and was heard.
        let (mut sent, mut heard) = ([0_u64; 3], [0_u64; 3]);
        let (mut clears, mut current) = (0, 0);
        for (step, which, amount) in steps {
            match step {
                0..=2 => {
                    current = current.max(which);
                    let rate = [8_000, 16_000, 24_000][current];
                    let audio = Audio::mono(rate, vec![100; usize::try_from(amount).unwrap()]);
                    bench.chunk(&current.to_string(), sent[current], audio);
                    sent[current] += amount;
                }
                3 | 4 => bench.pass(amount),
                5 => {
                    let marks = bench.marks().len();
                    if marks > 0 {
                        bench.mark_back(usize::try_from(amount).unwrap() % marks);
                    }
                }
                _ => {
                    clears += 1;
                    bench.clear(clears);
                    let answers = bench.news().iter().filter(|line| line.starts_with("clear ")).count();
                    prop_assert_eq!(answers, 1);
                }
            }
            for at in std::mem::take(&mut bench.positions) {
                let AudioSource::Part { item_id, .. } = &at.source else { unreachable!() };
                let item: usize = item_id.as_str().parse().unwrap();
                prop_assert!((heard[item]..=sent[item]).contains(&at.samples), "{:?} {:?} {:?}", at, heard, sent);
                heard[item] = at.samples;
            }
            if step == 6 {
                // The playout sends again what was not heard.
                sent = heard;
                current = (0..3).rev().find(|item| heard[*item] > 0).unwrap_or(0);
            }
        }
    }
}
