//! Whatever comes in comes out: random events of every kind, with members missing, of wrong shapes, unknown,
//! and spelled as either dialect does.

use proptest::prelude::*;
use proptest::sample::select;
use realtime_protocol::call::Command;
use realtime_protocol::compare::first_difference;
use realtime_protocol::event::{ClientEvent, Dialect, ServerEvent};

const BETA_KINDS: &[&str] = &[
    "response.text.delta",
    "response.text.done",
    "response.audio.delta",
    "response.audio.done",
    "response.audio_transcript.delta",
    "response.audio_transcript.done",
    "transcription_session.created",
    "transcription_session.updated",
    "transcription_session.update",
    "ping",
];

/// Client events in which the dialects differ: one side's to turn, and unknown to the other.
const TURNED: &[&str] =
    &["session.update", "response.create", "conversation.item.create", "transcription_session.update"];

/// Names of members, of all objects: a wrong place is one more thing to keep.
const NAMES: &[&str] = &[
    "type",
    "id",
    "object",
    "status",
    "role",
    "content",
    "text",
    "audio",
    "transcript",
    "format",
    "image_url",
    "detail",
    "call_id",
    "name",
    "arguments",
    "output",
    "input",
    "server_label",
    "tools",
    "error",
    "code",
    "message",
    "reason",
    "approve",
    "modalities",
    "output_modalities",
    "voice",
    "speed",
    "instructions",
    "input_audio_format",
    "output_audio_format",
    "input_audio_transcription",
    "input_audio_noise_reduction",
    "turn_detection",
    "transcription",
    "noise_reduction",
    "tool_choice",
    "temperature",
    "max_response_output_tokens",
    "max_output_tokens",
    "tracing",
    "truncation",
    "prompt",
    "variables",
    "include",
    "expires_at",
    "client_secret",
    "reasoning",
    "effort",
    "parallel_tool_calls",
    "status_details",
    "usage",
    "input_tokens",
    "input_token_details",
    "cached_tokens",
    "metadata",
    "conversation",
    "conversation_id",
    "threshold",
    "idle_timeout_ms",
    "create_response",
    "model",
    "language",
    "languages",
    "allowed_tools",
    "require_approval",
    "headers",
    "parameters",
    "rate",
    "é\"\n",
    "brand_new",
];

const WORDS: &[&str] = &[
    "message",
    "function_call",
    "function_call_output",
    "mcp_call",
    "mcp_list_tools",
    "item_reference",
    "user",
    "assistant",
    "text",
    "audio",
    "input_text",
    "input_audio",
    "output_text",
    "output_audio",
    "realtime",
    "transcription",
    "server_vad",
    "semantic_vad",
    "audio/pcm",
    "audio/pcmu",
    "pcm16",
    "g711_ulaw",
    "function",
    "mcp",
    "auto",
    "none",
    "inf",
    "retention_ratio",
    "tokens",
    "duration",
    "completed",
    "AAEC",
    "AAE",
    "7",
    "0.50",
    "",
    "ü\u{1}\"",
];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "24000",
    "0.5",
    "1.0",
    "1e3",
    "4294967296",
    "18446744073709551616",
    "123456789012345678901234567890",
    "1e400",
    "-0",
    "-0.0",
    "0.1",
    "1E-7",
];

/// A JSON text. Objects name no member twice, as first and last would be equally right to keep.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        3 => select(WORDS).prop_map(quote),
        2 => select(NUMBERS).prop_map(String::from),
        1 => select(&["null", "true", "false", "[]", "{}", "\"\\u00fc\\/\"", "\"\\ud83d\\ude00\""][..]).prop_map(String::from),
    ];
    leaf.prop_recursive(5, 40, 8, |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(" ,"))),
            3 => object(inner, 8),
        ]
    })
}

fn object(inner: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = String> {
    proptest::collection::btree_map(select(NAMES), inner, 0..most).prop_map(|members| {
        let members: Vec<_> =
            members.iter().map(|(name, value)| format!("{}: {value}", quote(name))).collect();
        format!("{{{}}}", members.join(", "))
    })
}

fn event(kinds: Vec<&'static str>) -> impl Strategy<Value = String> {
    let part = |name: &'static str| {
        let some = object(value(), 10).prop_map(move |value| format!(",\"{name}\":{value}"));
        prop_oneof![3 => some, 1 => value().prop_map(move |value| format!(",\"{name}\":{value}")), 1 => Just(String::new())]
    };
    let ids = select(
        &[
            r#","item_id":"item_1","delta":"AAEC","audio":"AA==","content_index":0,"audio_end_ms":1,"event_id":"e""#,
            r#","item_id":"item_1","delta":" hello","audio":"?","content_index":null,"audio_end_ms":1,"event_id":null"#,
            r#","item_id":"item_1","new":{"a":[1e400]}"#,
            "",
        ][..],
    );
    let whole =
        (select(kinds), ids, part("session"), part("item"), part("response"), part("part"), part("error"));
    whole.prop_map(|(kind, ids, session, item, response, content, error)| {
        format!("{{\"type\":\"{kind}\"{ids}{session}{item}{response}{content}{error}}}")
    })
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

/// Checks one text of one side; the macro stands for a trait that the two enums have no other use for.
macro_rules! check {
    ($event:ident, $text:expr, $dialect:expr) => {
        let decoded = $event::decode($text, $dialect);
        let again = decoded.encode($dialect);
        let difference = first_difference($text, &again);
        prop_assert_eq!(difference, None, "{:?}\n{}\n{}", $dialect, $text, again);
        prop_assert_eq!($event::decode(&again, $dialect), decoded.clone(), "{:?}\n{}", $dialect, $text);
        // Neither of these may panic, whatever is in the event.
        let _ = (decoded.mismatches(), decoded.unknown_members(), format!("{decoded:?}"));
        for other in [Dialect::Ga, Dialect::Beta] {
            let _ = decoded.encode(other);
        }
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_server_event_is_written_as_it_came(
        text in event([ServerEvent::KINDS, BETA_KINDS].concat()),
        dialect in select(&[Dialect::Ga, Dialect::Beta][..]),
    ) {
        check!(ServerEvent, &text, dialect);
    }

    #[test]
    fn a_client_event_is_written_as_it_came(
        text in event([ClientEvent::KINDS, BETA_KINDS].concat()),
        dialect in select(&[Dialect::Ga, Dialect::Beta][..]),
    ) {
        check!(ClientEvent, &text, dialect);
    }

    #[test]
    fn an_event_of_the_other_side_is_written_as_it_came(
        of_client in prop_oneof![event(TURNED.to_vec()), event(ClientEvent::KINDS.to_vec())],
        of_server in event(ServerEvent::KINDS.to_vec()),
        dialect in select(&[Dialect::Ga, Dialect::Beta][..]),
    ) {
        check!(ServerEvent, &of_client, dialect);
        check!(ClientEvent, &of_server, dialect);
    }

    #[test]
    fn an_event_that_is_sent_as_it_is_comes_out_of_a_log_as_it_went_in(
        text in prop_oneof![event(TURNED.to_vec()), event([ClientEvent::KINDS, BETA_KINDS].concat())],
        read_in in select(&[Dialect::Ga, Dialect::Beta][..]),
        changed in any::<bool>(),
    ) {
        let mut event = ClientEvent::decode(&text, read_in);
        match &mut event {
            ClientEvent::SessionUpdate(event) if changed => event.event_id = "changed".into(),
            ClientEvent::ResponseCreate(event) if changed => event.event_id = "changed".into(),
            _ => {}
        }
        let command = Command::SendEvent { event: event.clone().into() };
        let logged = serde_json::to_string(&command).expect("commands are JSON");
        let again: Command = serde_json::from_str(&logged).expect("and come back");
        prop_assert_eq!(&again, &command, "{}", logged);
        let Command::SendEvent { event: again } = again else { panic!("{again:?}") };
        for dialect in [Dialect::Ga, Dialect::Beta] {
            prop_assert_eq!(again.encode(dialect), event.encode(dialect), "{:?} {}", dialect, logged);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}", cut in any::<proptest::sample::Index>(), whole in event(ServerEvent::KINDS.to_vec())) {
        let mut end = cut.index(whole.len());
        while !whole.is_char_boundary(end) {
            end -= 1;
        }
        for text in [text.as_str(), &whole[..end]] {
            for dialect in [Dialect::Ga, Dialect::Beta] {
                prop_assert_eq!(ServerEvent::decode(text, dialect).encode(dialect), text);
                prop_assert_eq!(ClientEvent::decode(text, dialect).encode(dialect), text);
            }
        }
    }
}
