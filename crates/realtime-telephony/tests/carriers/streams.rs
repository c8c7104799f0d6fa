//! What every stream does, whatever its carrier's words are.

use realtime_protocol::audio::AudioFormat;
use realtime_telephony::carrier::HangUp;
use realtime_telephony::{CarrierKind, SampleOrder, StreamError, StreamOptions};

use crate::line::{Line, at, mark_back};

fn media(timestamp: &str, chunk: &str) -> String {
    let payload = "/".repeat(213) + "w==";
    format!(
        r#"{{"event":"media","streamSid":"MZ0123456789abcdef0123456789abcdef",
            "media":{{"track":"inbound","timestamp":{timestamp},"chunk":{chunk},"payload":"{payload}"}}}}"#
    )
}

#[test]
fn formats_are_those_of_the_start() {
    for (kind, expected) in [
        (CarrierKind::Twilio, "started Pcmu Pcmu"),
        (CarrierKind::Telnyx, "started Pcmu Pcmu"),
        (CarrierKind::Plivo, "started Pcmu Pcmu"),
        (CarrierKind::Exotel, "started Pcm16 { rate: 8000 } Pcm16 { rate: 8000 }"),
        (CarrierKind::Vonage, "started Pcm16 { rate: 16000 } Pcm16 { rate: 16000 }"),
        (CarrierKind::Genesys, "started Pcmu Pcmu"),
        (CarrierKind::Jambonz, "started Pcm16 { rate: 8000 } Pcm16 { rate: 8000 }"),
        (CarrierKind::SignalWire, "started Pcm16 { rate: 24000 } Pcm16 { rate: 24000 }"),
    ] {
        let mut line = Line::new(kind);
        line.start();
        assert_eq!(line.outputs().last().unwrap(), expected, "{kind}");
    }
}

#[test]
fn the_two_directions_may_differ_at_telnyx_and_jambonz() {
    for (kind, output) in [
        (CarrierKind::Telnyx, AudioFormat::Pcma),
        (CarrierKind::Telnyx, AudioFormat::Pcm16 { rate: 16_000 }),
        (CarrierKind::Jambonz, AudioFormat::PCM16_24K),
    ] {
        let mut line = Line::with(kind, StreamOptions::default().output(output));
        line.start();
        assert_eq!(line.stream.formats().unwrap().1, output, "{kind}");
    }
}

#[test]
fn a_codec_that_cannot_be_read_ends_the_stream() {
    for encoding in ["OPUS", "G722", "AMR-WB"] {
        let mut line = Line::new(CarrierKind::Telnyx);
        line.text(&format!(r#"{{"event":"start","start":{{"media_format":{{"encoding":"{encoding}"}}}}}}"#));
        let expected = format!("ended(unreadableaudio(\"{}\"))", encoding.to_lowercase());
        assert_eq!(line.outputs(), [expected.as_str(), "> close"]);
    }
}

#[test]
fn genesys_is_told_if_none_of_its_formats_can_be_read() {
    let mut line = Line::new(CarrierKind::Genesys);
    line.text(
        r#"{"version":"2","id":"a","type":"open","seq":1,"serverseq":0,"parameters":{"conversationId":"c",
            "media":[{"type":"audio","format":"OPUS","channels":["external"],"rate":48000},7]}}"#,
    );
    assert_eq!(line.outputs(), ["> disconnect", "ended(unreadableaudio(\"none of the offered formats\"))"]);
    line.advance(10_000);
    assert_eq!(line.outputs(), ["> close"]);
}

#[test]
fn audio_keys_and_the_end_are_told() {
    let mut line = Line::started(CarrierKind::Twilio);
    for file in ["in/03-media", "in/04-dtmf", "in/06-stop"] {
        line.fixture(file);
    }
    assert_eq!(line.outputs(), ["audio at 0: 160 bytes", "digit 1", "ended(stopped(none))", "> close"]);
    line.fixture("in/03-media");
    line.stream.handle_closed(line.now());
    assert_eq!(line.outputs(), [""; 0]);
    assert_eq!(line.stream.counts().after_end, 1);
}

#[test]
fn a_socket_that_closes_is_an_ordinary_end() {
    for kind in CarrierKind::ALL {
        let mut line = Line::started(kind);
        line.stream.handle_closed(line.now());
        line.stream.handle_closed(line.now());
        assert_eq!(line.outputs(), ["ended(closed)"], "{kind}");
        assert_eq!(line.stream.play(line.now(), vec![0; 320].into()), Err(StreamError::Ended));
        assert_eq!(line.stream.poll_timeout(), None);
    }
}

#[test]
fn audio_comes_in_its_order_and_lost_audio_is_silence() {
    let mut line = Line::started(CarrierKind::Twilio);
    // Numbers as text and as numbers.
    for (timestamp, chunk) in [("\"5\"", "1"), ("25", "\"2\""), ("65", "4"), ("45", "3"), ("145", "8")] {
        line.text(&media(timestamp, chunk));
    }
    assert_eq!(
        line.outputs(),
        [
            "audio at 0: 160 bytes",
            "audio at 160: 160 bytes",
            "audio at 320: 160 bytes",
            "audio at 480: 160 bytes"
        ]
    );
    for timestamp in ["165", "185", "205"] {
        line.text(&media(timestamp, "9"));
    }
    assert_eq!(line.outputs()[..2], ["gap at 640: 480 bytes", "audio at 1120: 160 bytes"]);
    let counts = line.stream.counts();
    assert_eq!((counts.early, counts.late, counts.filled_samples), (5, 0, 480));
}

#[test]
fn a_long_gap_is_filled_in_part_and_counted() {
    let mut line = Line::started(CarrierKind::Twilio);
    for timestamp in ["0", "60020", "60040", "60060", "60080"] {
        line.text(&media(timestamp, "1"));
    }
    assert_eq!(line.outputs()[1], "gap at 160: 80000 bytes");
    assert_eq!(line.stream.counts().unfilled_samples, 400_000);
}

#[test]
fn our_own_voice_is_not_the_caller_s() {
    let mut line = Line::started(CarrierKind::Twilio);
    line.text(&media("0", "1").replace("inbound", "outbound"));
    assert_eq!(line.outputs(), [""; 0]);
    assert_eq!(line.stream.counts().odd_messages(), 1);
}

#[test]
fn marks_say_what_was_heard_with_every_carrier_that_has_them() {
    for kind in CarrierKind::ALL.into_iter().filter(|kind| kind.has_marks()) {
        let mut line = Line::started(kind);
        let (_, format) = line.stream.formats().unwrap();
        let second = format.bytes_per_second() as usize;
        line.play(second);
        line.stream.mark(line.now(), 41).unwrap();
        line.stream.finish(line.now()).unwrap();
        let marks = line.marks();
        assert_eq!(marks, ["0.0"], "{kind}");
        line.now_ms = 1_020;
        line.text(&mark_back(kind, &marks[0]));
        assert_eq!(line.outputs(), [format!("played 0/41 at {}", format.sample_rate())], "{kind}");
        assert!(line.stream.position(line.now()).unwrap().is_reported);
    }
}

#[test]
fn a_mark_of_the_stream_before_on_the_same_socket_counts_for_nothing() {
    for kind in CarrierKind::ALL.into_iter().filter(|kind| kind.has_marks()) {
        let mut line = Line::with(kind, StreamOptions::default().mark_prefix("2:"));
        line.start();
        line.outputs();
        let (_, format) = line.stream.formats().unwrap();
        line.play(format.bytes_per_second() as usize);
        line.stream.mark(line.now(), 1).unwrap();
        line.stream.finish(line.now()).unwrap();
        assert_eq!(line.marks(), ["2:0.0"], "{kind}");
        for other in ["1:0.0", "0.0"] {
            line.text(&mark_back(kind, other));
            assert_eq!(line.outputs(), [""; 0], "{kind}");
        }
        assert_eq!(line.stream.counts().unknown_marks, 2, "{kind}");
        line.text(&mark_back(kind, "2:0.0"));
        assert_eq!(line.outputs(), [format!("played 0/1 at {}", format.sample_rate())], "{kind}");
    }
}

#[test]
fn what_comes_back_after_a_flush_was_not_heard() {
    for kind in CarrierKind::ALL.into_iter().filter(|kind| kind.has_marks()) {
        let mut line = Line::started(kind);
        let (_, format) = line.stream.formats().unwrap();
        line.play(format.bytes_per_second() as usize);
        line.stream.mark(line.now(), 1).unwrap();
        line.stream.finish(line.now()).unwrap();
        let old = line.marks();
        line.now_ms = 500;
        let heard = line.stream.flush(line.now()).unwrap();
        assert_eq!(heard.samples, u64::from(format.sample_rate()) / 2, "{kind}");
        assert_eq!(line.outputs().len(), 1, "{kind} is asked to drop its audio");
        line.text(&mark_back(kind, &old[0]));
        assert_eq!(line.outputs(), [""; 0], "{kind}");
        assert_eq!(line.stream.counts().stale_marks, 1, "{kind}");

        line.play(format.bytes_per_second() as usize);
        line.stream.mark(line.now(), 1).unwrap();
        line.stream.finish(line.now()).unwrap();
        let new = line.marks();
        assert_ne!(new, old);
        line.text(&mark_back(kind, &new[0]));
        assert_eq!(line.outputs(), [format!("played 1/1 at {}", format.sample_rate())], "{kind}");
    }
}

#[test]
fn a_carrier_that_says_so_tells_that_it_flushed() {
    for (kind, file) in [(CarrierKind::Plivo, "in/05-cleared-audio"), (CarrierKind::Vonage, "in/04-cleared")]
    {
        let mut line = Line::started(kind);
        line.fixture(file);
        assert_eq!(line.outputs(), [""; 0]);
        line.stream.flush(line.now()).unwrap();
        line.fixture(file);
        assert_eq!(line.outputs()[1..], ["flushed { generation: 0 }"]);
    }
}

#[test]
fn pieces_are_as_long_as_the_carrier_wants_them() {
    for (kind, parts, expected) in [
        (CarrierKind::Twilio, &[160, 33][..], &["> audio of 216 characters", "> audio of 44 characters"][..]),
        (CarrierKind::Telnyx, &[100, 100], &["> audio of 268 characters"]),
        (CarrierKind::Exotel, &[3_000, 400], &["> audio of 4268 characters", "> audio of 4268 characters"]),
        (CarrierKind::Vonage, &[1_000], &["> 640 bytes", "> 640 bytes"]),
        (CarrierKind::Genesys, &[800, 1_000, 20], &["> 1800 bytes", "> 20 bytes"]),
        (CarrierKind::Jambonz, &[320, 2], &["> 320 bytes", "> 2 bytes"]),
    ] {
        let mut line = Line::started(kind);
        for part in parts {
            line.play(*part);
        }
        line.stream.finish(line.now()).unwrap();
        line.stream.finish(line.now()).unwrap();
        assert_eq!(line.outputs(), expected, "{kind}");
    }
}

#[test]
fn a_mark_waits_for_the_piece_that_has_its_audio() {
    let mut line = Line::started(CarrierKind::Vonage);
    line.play(100);
    line.stream.mark(line.now(), 1).unwrap();
    assert_eq!(line.outputs(), [""; 0]);
    line.play(600);
    assert_eq!(line.outputs(), ["> 640 bytes", "> mark 0.0"]);
    line.stream.finish(line.now()).unwrap();
    line.text(&mark_back(CarrierKind::Vonage, "0.0"));
    assert_eq!(line.outputs(), ["> 640 bytes", "played 0/1 at 50"]);
    assert_eq!(line.stream.counts().padded_samples, 290);
}

#[test]
fn digits_go_out_on_the_socket_where_the_carrier_takes_them() {
    for kind in CarrierKind::ALL {
        let mut line = Line::started(kind);
        let sent = line.stream.send_digits(line.now(), "12#");
        assert_eq!(sent, if kind.takes_digits() { Ok(()) } else { Err(StreamError::NotOnSocket) }, "{kind}");
        assert_eq!(line.outputs().len(), usize::from(kind.takes_digits()));
        assert_eq!(line.stream.send_digits(line.now(), "12\""), Err(StreamError::NotDigits));
    }
}

#[test]
fn hanging_up_is_a_message_where_there_is_one_and_else_closes() {
    for kind in CarrierKind::ALL {
        let mut line = Line::started(kind);
        line.stream.hang_up(line.now(), &HangUp::default()).unwrap();
        let outputs = line.outputs();
        match kind {
            CarrierKind::Genesys => {
                assert_eq!(outputs, ["> disconnect"]);
                line.fixture("in/12-close");
                assert_eq!(line.outputs(), ["> closed", "ended(hungup)"]);
                line.stream.handle_closed(line.now());
            }
            CarrierKind::Jambonz => {
                assert_eq!(outputs, ["> disconnect"]);
                line.advance(10_000);
                assert_eq!(line.outputs(), ["ended(hungup)", "> close"]);
            }
            _ => assert_eq!(outputs, ["ended(hungup)", "> close"], "{kind}"),
        }
        assert_eq!(line.outputs(), [""; 0]);
        assert_eq!(line.stream.hang_up(line.now(), &HangUp::default()), Err(StreamError::Ended));
    }
}

#[test]
fn genesys_is_answered_and_pauses() {
    let mut line = Line::new(CarrierKind::Genesys);
    for file in ["in/01-open", "in/02-ping", "in/02b-ping-with-rtt", "in/03-binary-audio"] {
        line.fixture(file);
    }
    assert_eq!(
        line.outputs(),
        ["> opened", "started Pcmu Pcmu", "> pong", "> pong", "audio at 0: 800 bytes"]
    );
    line.stream.pause(line.now()).unwrap();
    line.fixture("in/07-paused");
    line.advance(60_000);
    line.stream.resume(line.now()).unwrap();
    line.fixture("in/08-resumed");
    line.fixture("in/09-discarded");
    line.fixture("in/03-binary-audio");
    assert_eq!(
        line.outputs(),
        ["> pause", "paused", "> resume", "resumed", "gap at 800: 4000 bytes", "audio at 4800: 800 bytes"]
    );
    line.fixture("in/12-close");
    assert_eq!(line.outputs(), ["> closed", "ended(stopped(some(\"end\")))"]);
    line.advance(9_999);
    assert_eq!(line.outputs(), [""; 0]);
    line.advance(1);
    assert_eq!(line.outputs(), ["> close"]);
}

#[test]
fn genesys_says_when_all_was_played() {
    let mut line = Line::started(CarrierKind::Genesys);
    line.play(8_000);
    line.stream.mark(line.now(), 9).unwrap();
    assert_eq!(line.outputs(), ["> 8000 bytes"]);
    // It may be a little faster than our clock.
    line.now_ms = 960;
    line.fixture("in/06-playback-completed");
    assert_eq!(line.outputs(), ["played 0/9 at 8000", "drained { generation: 0 }"]);

    // It was said before the flush was seen: it is about what was flushed.
    line.stream.flush(line.now()).unwrap();
    line.play(1_600);
    line.stream.mark(line.now(), 10).unwrap();
    line.outputs();
    line.now_ms = 1_100;
    line.text(&completed(7, 1));
    assert_eq!(line.outputs(), [""; 0]);
    line.text(&completed(8, 2));
    assert_eq!(line.outputs(), ["played 1/10 at 1600", "drained { generation: 1 }"]);
}

#[test]
fn marks_are_reckoned_where_a_carrier_says_nothing() {
    let mut line = Line::started(CarrierKind::Genesys);
    for mark in [1, 2] {
        line.play(8_000);
        line.stream.mark(line.now(), mark).unwrap();
    }
    line.outputs();
    line.advance(1_100);
    assert_eq!(line.outputs(), ["played 0/1 at 8000, reckoned"]);
    line.advance(400);
    let heard = line.stream.flush(line.now()).unwrap();
    assert_eq!((heard.samples, heard.is_reported), (12_000, false));
    line.advance(2_000);
    assert_eq!(line.outputs(), ["> event"]);
}

fn completed(sequence: u64, seen: u64) -> String {
    format!(
        r#"{{"id":"e0e0e0e0-1111-4222-8333-444444444444","type":"playback_completed",
            "seq":{sequence},"serverseq":{seen}}}"#
    )
}

#[test]
fn the_order_of_bytes_is_found_by_listening() {
    let wave = |n: u32| ((f64::from(n) * 0.15).sin() * 9_000.0) as i16;
    for (big, chosen) in [
        (true, SampleOrder::Detect),
        (false, SampleOrder::Detect),
        (true, SampleOrder::Big),
        (false, SampleOrder::Little),
    ] {
        let mut line = Line::with(CarrierKind::Telnyx, StreamOptions::default().sample_order(chosen));
        line.text(r#"{"event":"start","start":{"media_format":{"encoding":"L16","sample_rate":16000}}}"#);
        line.outputs();
        let samples: Vec<[u8; 2]> =
            (0..6_400).map(|n| if big { wave(n).to_be_bytes() } else { wave(n).to_le_bytes() }).collect();
        let mut heard = Vec::new();
        for (index, chunk) in samples.chunks(320).enumerate() {
            let payload = base64(&chunk.concat());
            let ms = index * 20;
            line.text(&format!(r#"{{"event":"media","media":{{"timestamp":{ms},"payload":"{payload}"}}}}"#));
            while let Some(output) = line.stream.poll_output() {
                if let realtime_telephony::Output::Event(realtime_telephony::Event::Audio(audio)) = output {
                    heard.push(audio.audio);
                }
            }
        }
        let last: Vec<u8> = (6_080..6_400).flat_map(|n| wave(n).to_le_bytes()).collect();
        assert_eq!(heard.last().unwrap(), &last, "{big} {chosen:?}");
        // What we send has the order of what came.
        line.stream.play(line.now(), [1, 2].repeat(320).into()).unwrap();
        let Some(realtime_telephony::Output::Send(sent)) = line.stream.poll_output() else { panic!() };
        let expected = base64(&if big { vec![2, 1] } else { vec![1, 2] }.repeat(320));
        assert!(sent.text().unwrap().contains(&expected));
    }
}

#[test]
fn a_stream_that_does_not_start_or_falls_silent_is_closed() {
    let mut line = Line::new(CarrierKind::Twilio);
    line.fixture("in/01-connected");
    line.advance(9_999);
    assert_eq!(line.outputs(), [""; 0]);
    line.advance(1);
    assert_eq!(line.outputs(), ["ended(nostart)", "> close"]);

    let mut line = Line::started(CarrierKind::Twilio);
    line.advance(9_000);
    line.fixture("in/03-media");
    line.advance(9_999);
    assert_eq!(line.outputs(), ["audio at 0: 160 bytes"]);
    line.advance(1);
    assert_eq!(line.outputs(), ["ended(noaudio)", "> close"]);
}

#[test]
fn nothing_is_played_before_the_start_and_no_half_sample_ever() {
    let mut line = Line::new(CarrierKind::Vonage);
    assert_eq!(line.stream.play(at(0), vec![0; 2].into()), Err(StreamError::NotStarted));
    assert_eq!(line.stream.flush(at(0)), Err(StreamError::NotStarted));
    line.start();
    let half = StreamError::HalfSample { sample_bytes: 2, bytes: 3 };
    assert_eq!(line.stream.play(at(0), vec![0; 3].into()), Err(half));
}

#[test]
fn nothing_that_was_said_or_pressed_is_shown() {
    for (kind, wire) in [
        (CarrierKind::Twilio, &["in/02-start", "in/03-media", "in/04-dtmf"][..]),
        (CarrierKind::Vonage, &["in/01-connected", "in/03-dtmf"]),
    ] {
        let mut line = Line::new(kind);
        let mut shown = String::new();
        for file in wire {
            line.fixture(file);
            while let Some(output) = line.stream.poll_output() {
                shown.push_str(&format!("{output:?}\n"));
            }
        }
        // Some of it waits, and some goes out.
        line.play(700);
        shown.push_str(&format!("{:?}", line.stream));
        while let Some(output) = line.stream.poll_output() {
            shown.push_str(&format!("{output:?}\n"));
        }
        assert!(shown.contains("Digit") && shown.contains(" bytes)"), "{shown}");
        for secret in ["//", "\"en\"", "+1555", "'1'", "\"5\"", "1, 1", "\\x01\\x01", "AQEB"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
