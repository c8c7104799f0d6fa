//! The dialect of a connection: refused is what it does not know, though the protocol's reader takes any spelling, and
//! sent is what its servers send.

use std::borrow::Cow;
use std::collections::BTreeMap;

use realtime_protocol::event::{Dialect, ServerEvent};
use realtime_protocol::field::Field;
use realtime_protocol::item::Item;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The `type`, or the first member, that a client of this dialect does not write.
pub(crate) fn foreign(text: &str, dialect: Dialect) -> Option<Foreign> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow)]
        session: Option<&'a RawValue>,
        #[serde(borrow)]
        response: Option<&'a RawValue>,
    }
    let event: Event<'_> = serde_json::from_str(text).ok()?;
    let is_beta = dialect == Dialect::Beta;
    let (name, body, members) = match event.kind.as_ref() {
        "transcription_session.update" if !is_beta => return Some(Foreign::Kind(event.kind.into())),
        "transcription_session.update" => ("session", event.session?, &[][..]),
        "session.update" => ("session", event.session?, if is_beta { GA_SESSION } else { BETA_SESSION }),
        "response.create" => ("response", event.response?, if is_beta { GA_RESPONSE } else { BETA_RESPONSE }),
        _ => return None,
    };
    let given: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(body.get()).ok()?;
    let member = members.iter().find(|member| given.contains_key(**member))?;
    Some(Foreign::Member(format!("{name}.{member}")))
}

/// What a client of another dialect wrote.
#[derive(Debug)]
pub(crate) enum Foreign {
    Kind(String),
    Member(String),
}

/// Gives an event what servers of the dialect send in it, and takes out what they do not.
pub(crate) fn adapt(event: &mut ServerEvent, dialect: Dialect) {
    if dialect == Dialect::Ga {
        return;
    }
    match event {
        ServerEvent::ConversationItemAdded(event) => name_object(&mut event.item),
        ServerEvent::ConversationItemDone(event) => name_object(&mut event.item),
        ServerEvent::ConversationItemRetrieved(event) => name_object(&mut event.item),
        ServerEvent::ResponseOutputItemAdded(event) => name_object(&mut event.item),
        ServerEvent::ResponseOutputItemDone(event) => name_object(&mut event.item),
        ServerEvent::ResponseDone(event) => {
            event.response.temperature = Field::Value(TEMPERATURE);
            event.response.output.value_mut().into_iter().flatten().for_each(name_object);
        }
        ServerEvent::ResponseCreated(event) => event.response.temperature = Field::Value(TEMPERATURE),
        ServerEvent::ResponseFunctionCallArgumentsDone(event) => event.name = Field::Absent,
        ServerEvent::InputAudioTranscriptionDelta(event) => event.obfuscation = Field::Absent,
        ServerEvent::ResponseOutputAudioTranscriptDelta(event) => event.obfuscation = Field::Absent,
        _ => {}
    }
}

/// A member's path as the dialect has it.
pub(crate) fn path(path: &str, dialect: Dialect) -> String {
    let mut path = path.to_owned();
    if dialect == Dialect::Beta {
        for (ga, beta) in PATHS {
            path = path.replace(ga, beta);
        }
    }
    path
}

fn name_object(item: &mut Item) {
    match item {
        Item::Message(item) => item.object = "realtime.item".into(),
        Item::FunctionCall(item) => item.object = "realtime.item".into(),
        Item::FunctionCallOutput(item) => item.object = "realtime.item".into(),
        _ => {}
    }
}

/// Beta's default.
pub(crate) const TEMPERATURE: f64 = 0.8;

const BETA_SESSION: &[&str] = &[
    "modalities",
    "voice",
    "speed",
    "input_audio_format",
    "output_audio_format",
    "input_audio_transcription",
    "input_audio_noise_reduction",
    "turn_detection",
    "max_response_output_tokens",
    "temperature",
];
const BETA_RESPONSE: &[&str] =
    &["modalities", "voice", "output_audio_format", "max_response_output_tokens", "temperature"];
const GA_SESSION: &[&str] = &[
    "type",
    "audio",
    "output_modalities",
    "max_output_tokens",
    "truncation",
    "reasoning",
    "parallel_tool_calls",
];
const GA_RESPONSE: &[&str] = &["audio", "output_modalities", "reasoning", "parallel_tool_calls"];
const PATHS: &[(&str, &str)] = &[
    ("session.audio.input.format", "session.input_audio_format"),
    ("session.audio.input.transcription", "session.input_audio_transcription"),
    ("session.audio.input.noise_reduction", "session.input_audio_noise_reduction"),
    ("session.audio.input.turn_detection", "session.turn_detection"),
    ("session.audio.output.format", "session.output_audio_format"),
    ("session.audio.output.", "session."),
    ("response.audio.output.format", "response.output_audio_format"),
    ("response.audio.output.", "response."),
    ("session.max_output_tokens", "session.max_response_output_tokens"),
    ("output_modalities", "modalities"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_refuses_the_others_names() {
        let check = |text: &str, dialect, expected: Option<&str>| {
            let found = foreign(text, dialect).map(|found| match found {
                Foreign::Kind(found) | Foreign::Member(found) => found,
            });
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        let flat = r#"{"type":"session.update","session":{"voice":"sage"}}"#;
        let nested = r#"{"type":"session.update","session":{"type":"realtime","audio":{}}}"#;
        let transcription = r#"{"type":"transcription_session.update","session":{}}"#;
        check(flat, Dialect::Ga, Some("session.voice"));
        check(flat, Dialect::Beta, None);
        check(nested, Dialect::Ga, None);
        check(nested, Dialect::Beta, Some("session.type"));
        check(transcription, Dialect::Ga, Some("transcription_session.update"));
        check(transcription, Dialect::Beta, None);
        check(r#"{"type":"response.create"}"#, Dialect::Ga, None);
    }

    #[test]
    fn paths_are_named_as_the_client_wrote_them() {
        let beta = |text| path(text, Dialect::Beta);
        assert_eq!(beta("session.audio.input.turn_detection.threshold"), "session.turn_detection.threshold");
        assert_eq!(beta("session.audio.output.speed"), "session.speed");
        assert_eq!(path("session.audio.output.speed", Dialect::Ga), "session.audio.output.speed");
    }
}
