use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const PCM_16K: AudioFormat = AudioFormat::Pcm16 { rate: 16_000 };

fn answer() -> StreamAnswer {
    StreamAnswer::new("wss://voice.example.com/ws").parameter("language", "en")
}

#[track_caller]
fn xml(answer: &StreamAnswer, kind: CarrierKind) -> String {
    let document = answer.document(kind).unwrap();
    assert_eq!(document.content_type, "text/xml");
    document.body.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").unwrap().to_owned()
}

#[track_caller]
fn json_of(answer: &StreamAnswer, kind: CarrierKind) -> Value {
    let document = answer.document(kind).unwrap();
    assert_eq!(document.content_type, "application/json");
    serde_json::from_str(&document.body).unwrap()
}

#[test]
fn each_carrier_is_told_in_its_own_words() {
    let telnyx = answer().output(AudioFormat::Pcma).format(AudioFormat::Pcmu);
    let signalwire = answer().format(AudioFormat::PCM16_24K).proof(StreamProof::Token("t&".into()));
    for (answer, kind, expected) in [
        (
            answer().status_url("https://voice.example.com/status"),
            CarrierKind::Twilio,
            "<Connect><Stream url=\"wss://voice.example.com/ws\" statusCallback=\"https://voice.example.com/status\">\
             <Parameter name=\"language\" value=\"en\"/></Stream></Connect>",
        ),
        (
            signalwire,
            CarrierKind::SignalWire,
            "<Connect><Stream url=\"wss://voice.example.com/ws\" codec=\"L16@24000h\" authBearerToken=\"t&amp;\">\
             <Parameter name=\"language\" value=\"en\"/></Stream></Connect>",
        ),
        (
            telnyx,
            CarrierKind::Telnyx,
            "<Connect><Stream url=\"wss://voice.example.com/ws\" codec=\"PCMU\" bidirectionalMode=\"rtp\" \
             bidirectionalCodec=\"PCMA\" bidirectionalSamplingRate=\"8000\">\
             <Parameter name=\"language\" value=\"en\"/></Stream></Connect>",
        ),
        (
            answer(),
            CarrierKind::Plivo,
            "<Stream bidirectional=\"true\" contentType=\"audio/x-mulaw;rate=8000\" extraHeaders=\"language=en\">\
             wss://voice.example.com/ws</Stream>",
        ),
    ] {
        assert_eq!(xml(&answer, kind), format!("<Response>{expected}</Response>"), "{kind}");
    }
    assert_eq!(
        json_of(&answer().proof(StreamProof::Signed), CarrierKind::Vonage),
        json!([{"action": "connect", "endpoint": [{
            "type": "websocket", "uri": "wss://voice.example.com/ws", "content-type": "audio/l16;rate=16000",
            "headers": {"language": "en"}, "authorization": {"type": "vonage"},
        }]}])
    );
    assert_eq!(
        json_of(&answer().parameter("x", "a b&c"), CarrierKind::Exotel),
        json!({"url": "wss://voice.example.com/ws?sample-rate=8000&language=en&x=a%20b%26c"})
    );
    let basic = StreamProof::Basic { user: "u".to_owned(), password: "p".into() };
    assert_eq!(
        json_of(&answer().output(AudioFormat::PCM16_24K).proof(basic), CarrierKind::Jambonz),
        json!([{"verb": "listen", "url": "wss://voice.example.com/ws", "mixType": "mono", "sampleRate": 8000,
            "passDtmf": true, "bidirectionalAudio": {"enabled": true, "streaming": true, "sampleRate": 24000},
            "metadata": {"language": "en"}, "wsAuth": {"username": "u", "password": "p"}}])
    );
    assert_eq!(answer().document(CarrierKind::Genesys), Err(AnswerError::NoDocument(CarrierKind::Genesys)));
}

#[test]
fn what_a_carrier_cannot_do_is_an_error() {
    let kind = CarrierKind::Twilio;
    let name = || "a".to_owned();
    for (answer, kind, expected) in [
        (StreamAnswer::new("https://voice.example.com"), kind, AnswerError::NotWebSocket),
        (StreamAnswer::new("wss://voice.example.com/ws?a=1"), kind, AnswerError::Query(kind)),
        (answer().format(PCM_16K), kind, AnswerError::Format { kind, format: PCM_16K }),
        (answer().parameter("a", "b".repeat(500)), kind, AnswerError::Parameter { kind, name: name() }),
        (answer().proof(StreamProof::Signed), kind, AnswerError::Proof(kind)),
        (
            answer().parameter("a", "b c"),
            CarrierKind::Plivo,
            AnswerError::Parameter { kind: CarrierKind::Plivo, name: name() },
        ),
        (
            answer().format(AudioFormat::Pcmu),
            CarrierKind::Vonage,
            AnswerError::Format { kind: CarrierKind::Vonage, format: AudioFormat::Pcmu },
        ),
        (
            answer().parameter("event", "x"),
            CarrierKind::Vonage,
            AnswerError::Parameter { kind: CarrierKind::Vonage, name: "event".to_owned() },
        ),
        (
            answer().parameter("p", "x").parameter("q", "x").parameter("r", "x"),
            CarrierKind::Exotel,
            AnswerError::Parameter { kind: CarrierKind::Exotel, name: "r".to_owned() },
        ),
    ] {
        assert_eq!(answer.document(kind), Err(expected));
    }
}

#[test]
fn a_declined_call_is_busy() {
    assert!(
        decline(CarrierKind::Twilio)
            .unwrap()
            .body
            .ends_with("<Response><Reject reason=\"busy\"/></Response>")
    );
    let answered = CarrierKind::ALL.into_iter().filter(|kind| decline(*kind).is_some()).count();
    assert_eq!(answered, 6);
}

#[test]
fn no_secret_and_no_parameter_is_shown() {
    let answer = answer().parameter("a", "hidden").proof(StreamProof::Token("hidden".into()));
    let shown = format!("{answer:?} {:?}", answer.document(CarrierKind::SignalWire));
    assert!(!shown.contains("hidden"), "{shown}");
}

proptest! {
    #[test]
    fn a_value_cannot_leave_its_quotes(value in "[<>&\"'\\PC\\x00-\\x1f]{0,40}") {
        let answer = StreamAnswer::new("wss://a").parameter("n", value.clone());
        let body = xml(&answer, CarrierKind::Twilio);
        let inside = body.split("value=\"").nth(1).unwrap().split("\"/>").next().unwrap();
        prop_assert!(!inside.contains(['<', '>', '"', '\'', '\n', '\0']));
        let read = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'")];
        let read = read.into_iter().chain([("&#9;", "\t"), ("&#10;", "\n"), ("&#13;", "\r"), ("&amp;", "&")]);
        let read = read.fold(inside.to_owned(), |text, (from, to)| text.replace(from, to));
        let expected = value.replace(
            |c: char| (c < ' ' && !"\t\n\r".contains(c)) || c == '\u{fffe}' || c == '\u{ffff}', "\u{fffd}");
        prop_assert_eq!(read, expected);
    }
}
