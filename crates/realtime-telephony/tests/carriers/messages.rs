//! Every message of the fixtures is read, and every message to a carrier is written as it stands there.

use realtime_telephony::carrier::{Carrier, HangUp, Read};
use realtime_telephony::{CarrierKind, StreamOptions};

use crate::fixture::{Fixture, files};

/// The name of the marks in the fixtures.
const MARK: &str = "item_1:part_0:960";

#[test]
fn every_message_of_a_carrier_is_read() {
    for kind in CarrierKind::ALL {
        let mut carrier = kind.carrier(&StreamOptions::default());
        for file in files(kind, "in") {
            if file == "in/01b-open-probe" {
                continue;
            }
            let read = check(carrier.as_mut(), &file);
            let expected = match file.split_once('-').unwrap().1 {
                "connected" if kind == CarrierKind::Vonage => "started",
                "start" | "metadata" | "open" => "started",
                "connected" | "connected-with-token" | "playback-started" => "",
                "media" | "binary-audio" => "audio",
                "dtmf" => "digit",
                "mark" | "mark-playout" | "played-stream" | "notify" => "played item_1:part_0:960",
                "mark-cleared" => "dropped item_1:part_0:1920",
                "stop" => "stopped",
                "error" => "fault",
                "cleared" | "cleared-audio" => "flushed",
                "play-done" | "playback-completed" => "drained",
                "ping" | "ping-with-rtt" => "reply",
                "paused" => "paused",
                "resumed" => "resumed",
                "discarded" => "lost 500 ms",
                "update" => "reply, language es-ES",
                "close" => "reply, stopped",
                other => panic!("{kind} has a new fixture {other}: say what it is"),
            };
            let expected = match (kind, expected) {
                (CarrierKind::Genesys, "started") => "reply, started",
                _ => expected,
            };
            assert_eq!(read, expected, "{kind} {file}");
        }
    }
}

#[test]
fn every_message_to_a_carrier_is_written() {
    for kind in CarrierKind::ALL {
        if kind == CarrierKind::Genesys {
            continue;
        }
        for file in files(kind, "out") {
            let options = StreamOptions::default().jambonz_streams(file != "out/play-audio");
            let mut carrier = kind.carrier(&options);
            start(carrier.as_mut(), file.ends_with("l16"));
            let fixture = Fixture::read(kind, &file);
            let message = match file.strip_prefix("out/").unwrap() {
                "media" | "play-audio" | "play-audio-l16" | "binary-audio" => carrier.audio(fixture.audio()),
                "mark" | "checkpoint" | "notify" => carrier.mark(MARK).unwrap(),
                "clear" | "clear-audio" | "kill-audio" => carrier.flush().unwrap(),
                "dtmf" => carrier.digits("5").unwrap(),
                "send-dtmf" => carrier.digits("12#").unwrap(),
                "disconnect" => carrier.hang_up(&HangUp::default()).unwrap(),
                // To forget marks and keep their audio is not wanted here.
                "clear-marks" => continue,
                other => panic!("{kind} has a new fixture {other}: write it"),
            };
            fixture.assert_said_by(&message);
        }
    }
}

#[test]
fn genesys_texts_are_numbered_and_name_the_newest_of_theirs() {
    let kind = CarrierKind::Genesys;
    let mut carrier = kind.carrier(&StreamOptions::default());
    let mut why = HangUp::default();
    why.note = Some("done".to_owned());
    why.variables.insert("intent".to_owned(), "billing".to_owned());
    for (came, sent) in [
        ("01-open", "opened"),
        ("02-ping", "pong"),
        ("04-dtmf", "event-barge-in"),
        ("06-playback-completed", "pause"),
        ("07-paused", "resume"),
        ("09-discarded", "disconnect"),
        ("12-close", "closed"),
    ] {
        let mut reads = Vec::new();
        let _ = carrier.read(Fixture::read(kind, &format!("in/{came}")).incoming(), &mut reads);
        let reply = reads.into_iter().find_map(|read| match read {
            Read::Reply(reply) => Some(reply),
            _ => None,
        });
        let message = match sent {
            "event-barge-in" => carrier.flush(),
            "pause" => carrier.pause(),
            "resume" => carrier.resume(),
            "disconnect" => carrier.hang_up(&why),
            _ => reply,
        };
        Fixture::read(kind, &format!("out/{sent}")).assert_said_by(&message.unwrap());
    }
    let audio = Fixture::read(kind, "out/binary-audio");
    audio.assert_said_by(&carrier.audio(audio.audio()));
}

#[test]
fn a_try_of_the_connection_is_answered_and_starts_nothing() {
    let kind = CarrierKind::Genesys;
    let mut carrier = kind.carrier(&StreamOptions::default());
    let mut reads = Vec::new();
    carrier.read(Fixture::read(kind, "in/01b-open-probe").incoming(), &mut reads).unwrap();
    let [Read::Reply(opened), Read::Probe] = &reads[..] else { panic!("{reads:?}") };
    Fixture::read(kind, "out/opened-probe").assert_said_by(opened);
}

#[test]
fn a_start_says_who_calls() {
    for (kind, file, expected) in [
        (CarrierKind::Twilio, "02-start", "CA0123456789abcdef0123456789abcdef - - language=en order=42"),
        (CarrierKind::SignalWire, "02-start", "9f9f9f9f-1111-4222-8333-444444444444 - - language=en"),
        (
            CarrierKind::Telnyx,
            "02-start",
            "v3:Q2FsbENvbnRyb2xJZEludmVudGVk +15550100001 +15550100002 language=en",
        ),
        (CarrierKind::Plivo, "01-start", "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff - - language=en order=42"),
        (
            CarrierKind::Exotel,
            "02-start",
            "77aa11bb22cc33dd44ee55ff66007711 +15550100001 +15550100002 language=en",
        ),
        (CarrierKind::Vonage, "01-connected", "- - - caller-id=+15550100001 language=en"),
        (
            CarrierKind::Genesys,
            "01-open",
            "c0c0c0c0-1111-4222-8333-444444444444 +15550100001 +15550100002 order=42",
        ),
        (
            CarrierKind::Jambonz,
            "01-metadata",
            "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff +15550100001 +15550100002 language=en",
        ),
    ] {
        let mut carrier = kind.carrier(&StreamOptions::default());
        let mut reads = Vec::new();
        carrier.read(Fixture::read(kind, &format!("in/{file}")).incoming(), &mut reads).unwrap();
        let Some(Read::Started(start)) = reads.pop() else { panic!("{kind} does not start") };
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let mut shown =
            vec![or_dash(&start.call.call_id), or_dash(&start.call.from), or_dash(&start.call.to)];
        shown.extend(start.call.parameters.iter().map(|(name, value)| format!("{name}={value}")));
        assert_eq!(shown.join(" "), expected, "{kind}");
    }
}

fn start(carrier: &mut dyn Carrier, is_pcm: bool) {
    let kind = carrier.kind();
    let file = files(kind, "in").into_iter().find(|file| {
        let name = file.split_once('-').unwrap().1;
        matches!(name, "start" | "metadata" | "open") || (name == "connected" && kind == CarrierKind::Vonage)
    });
    let Fixture::Text(mut text) = Fixture::read(kind, &file.unwrap()) else { panic!("no text") };
    if is_pcm {
        text = text.replace("audio/x-mulaw", "audio/x-l16").replace("8000", "16000");
    }
    carrier.read(realtime_telephony::carrier::Incoming::Text(&text), &mut Vec::new()).unwrap();
}

#[track_caller]
fn check(carrier: &mut dyn Carrier, file: &str) -> String {
    let mut reads = Vec::new();
    let result = carrier.read(Fixture::read(carrier.kind(), file).incoming(), &mut reads);
    assert_eq!(result, Ok(()), "{} {file}", carrier.kind());
    let shown = reads.iter().map(|read| match read {
        Read::Started(_) => "started".to_owned(),
        Read::Audio(packet) => {
            assert!(packet.audio.len() >= 160);
            "audio".to_owned()
        }
        Read::Digit(..) => "digit".to_owned(),
        Read::Mark { name, was_played } => {
            format!("{} {name}", if *was_played { "played" } else { "dropped" })
        }
        Read::Stopped(_) => "stopped".to_owned(),
        Read::Fault(fault) => {
            assert!(matches!(fault.code, Some(429 | 100_003)));
            "fault".to_owned()
        }
        Read::Flushed => "flushed".to_owned(),
        Read::Drained => "drained".to_owned(),
        Read::Reply(_) => "reply".to_owned(),
        Read::Paused => "paused".to_owned(),
        Read::Resumed => "resumed".to_owned(),
        Read::Lost(time) => format!("lost {time}"),
        Read::Language(language) => format!("language {language}"),
        other => panic!("{other:?}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}
