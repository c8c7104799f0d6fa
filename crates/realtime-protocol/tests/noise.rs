//! What servers write that is almost JSON, or almost of the right shape: halves of surrogate pairs, `NaN`,
//! whole numbers with a fraction. It costs the one value, and is told.

use proptest::prelude::*;
use proptest::sample::select;
use realtime_protocol::compare::first_difference;
use realtime_protocol::event::{ClientEvent, Dialect, ServerEvent};
use realtime_protocol::field::Field;
use serde_json::Value;

const DIALECTS: [Dialect; 2] = [Dialect::Ga, Dialect::Beta];

/// Reads a text in both dialects; what is told of it, and what is written again.
fn check(text: &str, told: &[&str], again: &str) {
    for dialect in DIALECTS {
        let event = ServerEvent::decode(text, dialect);
        assert!(!matches!(event, ServerEvent::Malformed(_)), "{text}: {event:?}");
        let found: Vec<_> = event.mismatches().iter().map(ToString::to_string).collect();
        assert_eq!(found, told, "{text}");
        let written = event.encode(dialect);
        assert_eq!(first_difference(again, &written), None, "{written}");
        assert!(serde_json::from_str::<Value>(&written).is_ok(), "{written}");
        assert!(serde_json::to_value(&event).is_ok(), "{text}");
        assert_eq!(ServerEvent::decode(&written, dialect), event);
    }
}

const HALF: &str = "expected Unicode text, got half of a surrogate pair: read as U+FFFD";

#[test]
fn half_an_emoji_costs_one_character_wherever_it_stands() {
    let event = |members: &str| format!(r#"{{"type":"response.done",{members}}}"#);
    for (path, members) in [
        ("response.status", r#""response":{"id":"r","status":"odd \uD83D"}"#),
        ("response.id", r#""response":{"id":"\ud83d","status":"completed"}"#),
        ("response.metadata.a", r#""response":{"metadata":{"a":"x \ude00\n"}}"#),
        (r"response.metadata.\ud83d", r#""response":{"metadata":{"\ud83d":"\\ud83d"}}"#),
        ("response.output[0].name", r#""response":{"output":[{"type":"function_call","name":"n\ud83d"}]}"#),
        (
            "response.output[0].content[1].transcript",
            r#""response":{"output":[{"type":"message","content":[{},{"type":"output_audio","transcript":"a \ud83d"}]}]}"#,
        ),
        ("response.output[0].x[0]", r#""response":{"output":[{"type":"brand_new","x":["\ud83d"]}]}"#),
        ("response.output[0].type", r#""response":{"output":[{"type":"brand_new\ud83d"}]}"#),
        (r"response.output[0].a\ud83d", r#""response":{"output":[{"a\ud83d":1,"type":"message"}]}"#),
        ("new.a[1]", r#""new":{"a":[1,"\ud83d"]},"response":{}"#),
        (r"\ud83d", r#""\ud83d":1,"response":{"status":"completed"}"#),
    ] {
        let text = event(members);
        let again = text.replace("\\\\ud83d", "\\\\keep").replace("\\ud83d", "\\ufffd");
        let again =
            again.replace("\\uD83D", "\\ufffd").replace("\\ude00", "\\ufffd").replace("keep", "ud83d");
        check(&text, &[&format!("{path}: {HALF}")], &again);
    }
}

#[test]
fn deltas_keep_their_words_around_half_an_emoji() {
    for kind in [
        "response.output_text.delta",
        "response.audio_transcript.delta",
        "response.function_call_arguments.delta",
    ] {
        let text = format!(r#"{{"type":"{kind}","item_id":"i","delta":"well done \ud83d"}}"#);
        check(&text, &[&format!("delta: {HALF}")], &text.replace("\\ud83d", "\\ufffd"));
        let text =
            format!(r#"{{"\udeAD":0,"type":"{kind}","item_id":"i","delta":"\ud83d\ude00 and \\ud83d"}}"#);
        check(&text, &[&format!(r"\udeAD: {HALF}")], &text.replace("\\udeAD", "\\ufffd"));
    }
}

#[test]
fn an_unknown_event_with_half_an_emoji_can_be_read_by_everyone() {
    let text = r#"{"type":"brand.new","words":"\ud83d","n":1}"#;
    check(text, &[&format!("words: {HALF}")], &text.replace("\\ud83d", "\\ufffd"));
    let text = r#"{"type":"brand.new\ud83d","n":NaN}"#;
    let told = [&*format!("type: {HALF}"), "n: expected a number, got NaN: read as null"];
    check(text, &told, r#"{"type":"brand.new\ufffd","n":null}"#);
}

#[test]
fn numbers_that_are_none_are_absent_and_all_else_stays() {
    let text = r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"i","transcript":"NaN, he said",
        "logprobs":[{"token":"a","logprob":-Infinity},{"token":"b","logprob":NaN,"bytes":[97]}],"x":{"y":[Infinity]}}"#;
    let again = text.replace("-Infinity", "null").replace(":NaN,", ":null,").replace("[Infinity]", "[null]");
    check(
        text,
        &[
            "logprobs[0].logprob: expected a number, got -Infinity: read as null",
            "logprobs[1].logprob: expected a number, got NaN: read as null",
            "x.y[0]: expected a number, got Infinity: read as null",
        ],
        &again,
    );
    let event = ServerEvent::decode(text, Dialect::Ga);
    let ServerEvent::InputAudioTranscriptionCompleted(event) = event else { panic!("{event:?}") };
    assert_eq!(event.transcript, Field::Value("NaN, he said".to_owned()));
    let logprobs = event.logprobs.value().unwrap();
    assert_eq!((&logprobs[0].logprob, &logprobs[1].token), (&Field::Null, &Field::Value("b".to_owned())));
}

#[test]
fn whole_numbers_may_be_written_otherwise_and_stay_as_they_came() {
    let text = r#"{"type":"input_audio_buffer.speech_started","audio_start_ms":1234.0,"item_id":"i"}"#;
    check(text, &["audio_start_ms: expected u64, got a number: read as the number it stands for"], text);
    let event = ServerEvent::decode(text, Dialect::Ga);
    let ServerEvent::InputAudioBufferSpeechStarted(mut event) = event else { panic!("{event:?}") };
    assert_eq!(event.audio_start_ms, Field::Value(1234));
    event.audio_start_ms = Field::Value(5);
    let written = ServerEvent::from(event).encode(Dialect::Ga);
    assert_eq!(written, r#"{"type":"input_audio_buffer.speech_started","audio_start_ms":5,"item_id":"i"}"#);

    let text = r#"{"type":"response.done","response":{"max_output_tokens":"512","usage":{"total_tokens":"7",
        "input_tokens":1e3,"output_tokens":12.5,"input_token_details":{"cached_tokens":"7 or so"}}}}"#;
    check(
        text,
        &[
            "response.max_output_tokens: expected \"inf\", got a string: read as the number it stands for",
            "response.usage.total_tokens: expected u64, got a string: read as the number it stands for",
            "response.usage.input_tokens: expected u64, got a number: read as the number it stands for",
            "response.usage.output_tokens: expected u64, got a number",
            "response.usage.input_token_details.cached_tokens: expected u64, got a string",
        ],
        text,
    );
    let event = ServerEvent::decode(text, Dialect::Beta);
    let ServerEvent::ResponseDone(event) = event else { panic!("{event:?}") };
    let usage = event.response.usage.value().unwrap();
    assert_eq!((usage.total_tokens, usage.input_tokens), (Field::Value(7), Field::Value(1000)));
    assert_eq!(usage.output_tokens, Field::Absent);

    let text = r#"{"type":"response.output_audio.delta","item_id":"i","output_index":"0","content_index":1.0,"delta":"AAEC"}"#;
    let event = ServerEvent::decode(text, Dialect::Ga);
    let ServerEvent::ResponseOutputAudioDelta(event) = event else { panic!("{event:?}") };
    assert_eq!((event.output_index, event.content_index), (Field::Value(0), Field::Value(1)));
    let text =
        r#"{"type":"conversation.item.truncate","item_id":"i","content_index":0.0,"audio_end_ms":"300"}"#;
    let event = ClientEvent::decode(text, Dialect::Ga);
    assert_eq!(first_difference(text, &event.encode(Dialect::Ga)), None);
    let ClientEvent::ConversationItemTruncate(event) = event else { panic!("{event:?}") };
    assert_eq!((event.content_index, event.audio_end_ms), (0, 300));
}

#[test]
fn what_is_malformed_for_another_reason_stays_so_and_is_kept_as_it_came() {
    for (text, kind, path) in [
        (
            r#"{"type":"response.output_text.delta","delta":"\ud83d","n":NaN}"#,
            Some("response.output_text.delta"),
            "item_id",
        ),
        (r#"{"type":"response.done","response":{"a":NaN}"#, Some("response.done"), ""),
        (r#"{"typ\ud83d":1,"x":NaN}"#, None, "type"),
        (r#"{"type":"response.done","x":"\ud83d","response":7}"#, Some("response.done"), "response"),
        (r#"{"type":NaN}"#, None, "type"),
        ("NaN", None, "type"),
        ("nan", None, ""),
        (r#"{"type":"error","x":NaNs}"#, Some("error"), ""),
    ] {
        for dialect in DIALECTS {
            let event = ServerEvent::decode(text, dialect);
            let ServerEvent::Malformed(malformed) = &event else { panic!("{text}: {event:?}") };
            assert_eq!((malformed.kind.as_deref(), malformed.path.as_str()), (kind, path), "{text}");
            assert_eq!(event.encode(dialect), text);
        }
    }
}

#[test]
fn what_is_wrong_everywhere_is_told_a_few_times_and_counted() {
    let item = r#"{"type":"message","status":7},"#.repeat(1000);
    let text = format!(r#"{{"type":"response.done","response":{{"output":[{item}1]}}}}"#);
    let found = ServerEvent::decode(&text, Dialect::Ga).mismatches();
    assert_eq!(found.len(), 65);
    assert_eq!(found[63].to_string(), "response.output[63].status: expected a string, got a number");
    assert_eq!(found[64].to_string(), "936 more members cannot be read as they should");
}

/// A JSON value in two spellings: as it should be, and as it comes.
#[derive(Clone, Debug)]
struct Twin {
    clean: String,
    noisy: String,
}

impl Twin {
    fn same(text: impl Into<String>) -> Self {
        let clean = text.into();
        Self { noisy: clean.clone(), clean }
    }

    fn pair((clean, noisy): (&str, &str)) -> Self {
        Self { clean: clean.into(), noisy: noisy.into() }
    }

    fn join(all: &[Self], before: &str, after: &str) -> Self {
        let with = |one: fn(&Self) -> &str| {
            let all: Vec<_> = all.iter().map(one).collect();
            [before, &all.join(","), after].concat()
        };
        Self { clean: with(|twin| &twin.clean), noisy: with(|twin| &twin.noisy) }
    }

    fn member(name: &Self, value: &Self) -> Self {
        let member = |name: &str, value: &str| [name, ":", value].concat();
        Self { clean: member(&name.clean, &value.clean), noisy: member(&name.noisy, &value.noisy) }
    }
}

const TEXTS: &[(&str, &str)] = &[
    (r#""a \ufffd""#, r#""a \ud83d""#),
    (r#""\ufffd\ufffd b""#, r#""\uDE00\uD83D b""#),
    (r#""\ufffd\ud83d\ude00""#, r#""\ud83d\ud83d\ude00""#),
    (r#""\\\ufffd\"NaN""#, r#""\\\udBFF\"NaN""#),
    (r#""\\ud83d -Infinity""#, r#""\\ud83d -Infinity""#),
];

const NUMBERS: &[(&str, &str)] = &[("null", "NaN"), ("null", "-Infinity"), ("null", "Infinity")];

const WHOLE: &[(&str, &str)] =
    &[("7", "7.0"), ("70", "7e1"), ("0", "0.0"), ("24000", "2.4E+4"), ("-1", "-10e-1")];

const NAMES: &[&str] = &[
    "id",
    "type",
    "status",
    "role",
    "content",
    "text",
    "audio",
    "transcript",
    "call_id",
    "name",
    "arguments",
    "output",
    "usage",
    "input_tokens",
    "total_tokens",
    "metadata",
    "session",
    "voice",
    "turn_detection",
    "threshold",
    "modalities",
    "temperature",
    "max_output_tokens",
    "tools",
    "logprobs",
    "token",
    "logprob",
    "bytes",
    "input_token_details",
    "format",
    "rate",
    "expires_at",
    "error",
    "code",
    "message",
    "brand_new",
];

const WORDS: &[&str] = &[
    "message",
    "function_call",
    "completed",
    "assistant",
    "output_audio",
    "text",
    "realtime",
    "audio/pcm",
    "AAEC",
    "",
];

fn value(noise: &'static [&'static [(&'static str, &'static str)]]) -> impl Strategy<Value = Twin> {
    let leaf = prop_oneof![
        2 => select(WORDS).prop_map(|word| Twin::same(format!("\"{word}\""))),
        1 => select(&["0", "1", "0.5", "null", "true", "[]", "{}"][..]).prop_map(Twin::same),
        2 => select(noise).prop_flat_map(select).prop_map(Twin::pair),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(|all| Twin::join(&all, "[", "]")),
            3 => object(inner),
        ]
    })
}

fn object(inner: impl Strategy<Value = Twin>) -> impl Strategy<Value = Twin> {
    let noisy_name = prop_oneof![9 => Just(None), 1 => select(&TEXTS[..4]).prop_map(Some)];
    (proptest::collection::btree_map(select(NAMES), inner, 0..7), noisy_name).prop_map(
        |(members, noisy_name)| {
            let mut all: Vec<_> = members
                .iter()
                .map(|(name, value)| Twin::member(&Twin::same(format!("\"{name}\"")), value))
                .collect();
            all.extend(noisy_name.map(|name| Twin::member(&Twin::pair(name), &Twin::same("1"))));
            all.reverse();
            Twin::join(&all, "{", "}")
        },
    )
}

fn event(
    kinds: Vec<&'static str>,
    noise: &'static [&'static [(&'static str, &'static str)]],
) -> impl Strategy<Value = Twin> {
    let parts = ["session", "item", "response", "part", "error", "logprobs", "usage", "delta"];
    let parts = parts.map(|name| {
        (prop_oneof![1 => object(value(noise)), 1 => value(noise)], any::<bool>()).prop_map(
            move |(value, is_there)| {
                is_there.then(|| Twin::member(&Twin::same(format!("\"{name}\"")), &value))
            },
        )
    });
    (select(kinds), parts).prop_map(|(kind, parts)| {
        let head =
            format!(r#""type":"{kind}","item_id":"i","audio":"AA==","content_index":0,"audio_end_ms":1"#);
        let all: Vec<_> = [Some(Twin::same(head))].into_iter().chain(parts).flatten().collect();
        Twin::join(&all, "{", "}")
    })
}

const BETA_KINDS: &[&str] =
    &["response.text.delta", "transcription_session.updated", "transcription_session.update", "ping"];

/// The macro stands for a trait that the two enums have no other use for.
macro_rules! alike {
    ($event:ident, $twin:expr, $dialect:expr) => {
        let (clean, noisy) = ($event::decode(&$twin.clean, $dialect), $event::decode(&$twin.noisy, $dialect));
        if let ($event::Malformed(clean), $event::Malformed(noisy)) = (&clean, &noisy) {
            prop_assert_eq!((&clean.kind, &clean.path), (&noisy.kind, &noisy.path), "{}", $twin.noisy);
        } else {
            prop_assert_eq!(&clean, &noisy, "{}", $twin.noisy);
            let written = noisy.encode($dialect);
            prop_assert_eq!(first_difference(&$twin.clean, &written), None, "{}\n{}", $twin.noisy, written);
            prop_assert!($twin.clean == $twin.noisy || !noisy.mismatches().is_empty(), "{}", $twin.noisy);
        }
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_server_event_with_noise_is_the_event_without(
        twin in event([ServerEvent::KINDS, BETA_KINDS].concat(), &[TEXTS, NUMBERS]),
        dialect in select(&DIALECTS[..]),
    ) {
        alike!(ServerEvent, twin, dialect);
    }

    #[test]
    fn a_client_event_with_noise_is_the_event_without(
        twin in event([ClientEvent::KINDS, BETA_KINDS].concat(), &[TEXTS, NUMBERS]),
        dialect in select(&DIALECTS[..]),
    ) {
        alike!(ClientEvent, twin, dialect);
    }

    #[test]
    fn numbers_are_the_same_however_they_are_written(
        twin in event(ServerEvent::KINDS.to_vec(), &[WHOLE]),
        dialect in select(&DIALECTS[..]),
    ) {
        let (clean, noisy) = (ServerEvent::decode(&twin.clean, dialect), ServerEvent::decode(&twin.noisy, dialect));
        prop_assert_eq!(core::mem::discriminant(&clean), core::mem::discriminant(&noisy), "{}", twin.noisy);
        if !matches!(noisy, ServerEvent::Malformed(_)) {
            prop_assert_eq!(first_difference(&twin.clean, &noisy.encode(dialect)), None, "{}", twin.noisy);
        }
    }
}
