//! Finds names that a dialect does not have, for servers that speak one dialect only and refuse the other's
//! names.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::{Dialect, beta};
use crate::wire::Members;

/// A name in a client event that a dialect does not have.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Foreign {
    /// Its path: `type`, or a member such as `session.voice`.
    pub path: String,
    /// The name: of the event's type, or of the member.
    pub name: String,
}

impl Dialect {
    /// Returns the first name in a client event's text that only the other dialect has.
    /// [`ClientEvent::decode`](crate::event::ClientEvent::decode) reads such names too. `None` for text that
    /// cannot be read.
    pub fn foreign_name(self, text: &str) -> Option<Foreign> {
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
        let (name, body, foreign) = match (event.kind.as_ref(), self) {
            (beta::TRANSCRIPTION_UPDATE, Self::Ga) => {
                return Some(Foreign { path: "type".into(), name: event.kind.into_owned() });
            }
            ("session.update", Self::Ga) => {
                ("session", event.session?, [beta::SESSION_ONLY, beta::BETA_ONLY])
            }
            ("session.update", Self::Beta) => ("session", event.session?, [NESTED_SESSION, beta::GA_ONLY]),
            ("response.create", Self::Ga) => {
                ("response", event.response?, [beta::RESPONSE_ONLY, beta::BETA_ONLY])
            }
            ("response.create", Self::Beta) => {
                ("response", event.response?, [NESTED_RESPONSE, beta::GA_ONLY])
            }
            _ => return None,
        };
        let Members(members) = serde_json::from_str(body.get()).ok()?;
        let mut members = members.into_iter().map(|(member, _)| member);
        let member = members.find(|member| foreign.iter().any(|names| names.contains(&member.as_str())))?;
        Some(Foreign { path: format!("{name}.{member}"), name: member })
    }

    /// Translates the paths of members in a text into this dialect: `session.audio.output.voice` is
    /// `session.voice` in beta.
    pub fn paths(self, ga: &str) -> String {
        let mut text = String::from(ga);
        if self == Self::Ga {
            return text;
        }
        let bodies = [("session", beta::SESSION_AUDIO), ("response", beta::RESPONSE_AUDIO)];
        for (body, places) in bodies {
            for (flat, half, name) in places {
                text = text.replace(&format!("{body}.audio.{half}.{name}"), &format!("{body}.{flat}"));
            }
        }
        text.replace("session.max_output_tokens", "session.max_response_output_tokens")
            .replace("output_modalities", "modalities")
    }
}

/// Members that beta's sessions have in another place, or with another name.
const NESTED_SESSION: &[&str] = &["type", "audio", "output_modalities", "max_output_tokens"];
/// The same of a response. Its `max_output_tokens` is in beta's own documents.
const NESTED_RESPONSE: &[&str] = &["audio", "output_modalities"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_lacks_the_others_names() {
        let check = |text: &str, dialect: Dialect, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(path, name)| Foreign { path: path.into(), name: name.into() });
            assert_eq!(dialect.foreign_name(text), expected, "{text}");
        };
        let flat = r#"{"type":"session.update","session":{"instructions":"","voice":"sage"}}"#;
        let nested = r#"{"type":"session.update","session":{"type":"realtime","audio":{}}}"#;
        let transcription = r#"{"type":"transcription_session.update","session":{}}"#;
        let create = r#"{"type":"response.create","response":{"temperature":0.7,"max_output_tokens":1}}"#;
        check(flat, Dialect::Ga, Some(("session.voice", "voice")));
        check(flat, Dialect::Beta, None);
        check(nested, Dialect::Ga, None);
        check(nested, Dialect::Beta, Some(("session.type", "type")));
        check(transcription, Dialect::Ga, Some(("type", "transcription_session.update")));
        check(transcription, Dialect::Beta, None);
        check(create, Dialect::Ga, Some(("response.temperature", "temperature")));
        check(create, Dialect::Beta, None);
        check(r#"{"type":"response.create"}"#, Dialect::Ga, None);
        check("{", Dialect::Ga, None);
    }

    #[test]
    fn paths_are_named_as_the_dialect_has_them() {
        let beta = |text| Dialect::Beta.paths(text);
        assert_eq!(beta("session.audio.input.turn_detection.threshold"), "session.turn_detection.threshold");
        assert_eq!(beta("'session.audio.output.speed' is too high"), "'session.speed' is too high");
        assert_eq!(beta("response.audio.output.format.rate"), "response.output_audio_format.rate");
        assert_eq!(beta("session.max_output_tokens"), "session.max_response_output_tokens");
        assert_eq!(Dialect::Ga.paths("session.audio.output.speed"), "session.audio.output.speed");
    }
}
