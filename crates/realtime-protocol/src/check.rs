//! Limits of the wire, checked before anything is sent: a server would refuse the whole event, or end the
//! session.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::audio::Audio;
use crate::event::ClientEvent;
use crate::field::Field;
use crate::response::ResponseParams;
use crate::session_config::{MaxOutputTokens, SessionConfig, TurnDetection};

/// Bytes of base64 in one `input_audio_buffer.append`: 15 MiB.
pub const LARGEST_APPEND: usize = 15 * 1024 * 1024;
/// Bytes of one event that a client sends: 16 MiB. A larger event would end the connection.
pub const LARGEST_EVENT: usize = 16 * 1024 * 1024;
/// Characters of an event id that a client chooses.
pub const LONGEST_EVENT_ID: usize = 512;
/// Characters of an item id that a client chooses.
pub const LONGEST_ITEM_ID: usize = 32;
/// Pairs of a response's metadata.
pub const MOST_METADATA: usize = 16;
/// Characters of a key of metadata.
pub const LONGEST_METADATA_KEY: usize = 64;
/// Characters of a value of metadata.
pub const LONGEST_METADATA_VALUE: usize = 512;

/// A member outside a limit of the wire.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Where: member names from the event's root, as in `session.audio.output.speed`.
    pub path: String,
    /// The least that is allowed; 0 if there is only a maximum.
    pub least: f64,
    /// The most that is allowed.
    pub most: f64,
    /// What was given.
    pub got: f64,
    /// The unit of all three; empty for a bare number.
    pub unit: &'static str,
}

impl PartialEq for Violation {
    fn eq(&self, other: &Self) -> bool {
        let numbers = |v: &Self| [v.least, v.most, v.got].map(f64::to_bits);
        self.path == other.path && numbers(self) == numbers(other) && self.unit == other.unit
    }
}

impl Eq for Violation {}

impl core::error::Error for Violation {}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, least, most, got, unit } = self;
        let space = if unit.is_empty() { "" } else { " " };
        write!(f, "{path}: expected ")?;
        if *least > 0.0 {
            write!(f, "{least} to {most}")?;
        } else {
            write!(f, "at most {most}")?;
        }
        write!(f, "{space}{unit}, got {got}")
    }
}

impl ClientEvent {
    /// Checks the event against the limits of the wire.
    ///
    /// ```
    /// use realtime_protocol::event::{ClientEvent, SessionUpdate};
    /// use realtime_protocol::session_config::SessionConfig;
    ///
    /// let mut config = SessionConfig::realtime();
    /// config.output_mut().speed = 2.0.into();
    /// let event: ClientEvent = SessionUpdate::default().session(config).into();
    /// assert_eq!(event.check().unwrap_err().to_string(), "session.audio.output.speed: expected 0.25 to 1.5, got 2");
    /// ```
    ///
    /// # Errors
    /// The first [`Violation`]: the member, the limit and what was given.
    pub fn check(&self) -> Result<(), Violation> {
        if let Some(event_id) = self.event_id() {
            at_most("event_id", LONGEST_EVENT_ID, characters(event_id.as_str()))?;
        }
        match self {
            Self::SessionUpdate(event) => event.session.check_at("session."),
            Self::InputAudioBufferAppend(event) => append(&event.audio),
            Self::ConversationItemCreate(event) => {
                let id = event.item.id().map_or(0, |id| characters(id.as_str()));
                at_most("item.id", LONGEST_ITEM_ID, id)
            }
            Self::ResponseCreate(event) => {
                event.response.value().map_or(Ok(()), |response| response.check_at("response."))
            }
            _ => Ok(()),
        }
    }
}

impl SessionConfig {
    /// Checks the configuration against the limits of the wire.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn check(&self) -> Result<(), Violation> {
        self.check_at("")
    }

    fn check_at(&self, path: &str) -> Result<(), Violation> {
        output_tokens(path, &self.max_output_tokens)?;
        if let Some(speed) = self.output().and_then(|output| output.speed.value()) {
            within([path, "audio.output.speed"].concat(), 0.25, 1.5, *speed, "")?;
        }
        if let Some(TurnDetection::ServerVad(vad)) = self.turn_detection().value()
            && let Some(timeout) = vad.idle_timeout_ms.value()
        {
            let path = [path, "audio.input.turn_detection.idle_timeout_ms"].concat();
            within(path, 5_000.0, 30_000.0, f64::from(*timeout), "ms")?;
        }
        Ok(())
    }
}

impl ResponseParams {
    /// Checks the parameters against the limits of the wire.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn check(&self) -> Result<(), Violation> {
        self.check_at("")
    }

    fn check_at(&self, path: &str) -> Result<(), Violation> {
        output_tokens(path, &self.max_output_tokens)?;
        self.metadata
            .value()
            .map_or(Ok(()), |metadata| check_metadata(&[path, "metadata"].concat(), metadata))
    }
}

fn check_metadata(path: &str, metadata: &BTreeMap<String, String>) -> Result<(), Violation> {
    limited(path, MOST_METADATA, metadata.len(), "pairs")?;
    for (key, value) in metadata {
        limited(&format!("a key of {path}"), LONGEST_METADATA_KEY, characters(key), "characters")?;
        limited(&format!("{path}.{key}"), LONGEST_METADATA_VALUE, characters(value), "characters")?;
    }
    Ok(())
}

fn append(audio: &Audio) -> Result<(), Violation> {
    let text = audio
        .text()
        .map_or_else(|| audio.bytes().map_or(0, |bytes| bytes.len().div_ceil(3).saturating_mul(4)), str::len);
    limited("audio", LARGEST_APPEND, text, "bytes of base64")
}

fn output_tokens(path: &str, limit: &Field<MaxOutputTokens>) -> Result<(), Violation> {
    match limit {
        Field::Value(MaxOutputTokens::Limit(limit)) => {
            within([path, "max_output_tokens"].concat(), 1.0, 4_096.0, f64::from(*limit), "")
        }
        Field::Value(MaxOutputTokens::Infinite) | Field::Null | Field::Absent => Ok(()),
    }
}

fn at_most(path: &str, most: usize, got: usize) -> Result<(), Violation> {
    limited(path, most, got, "characters")
}

#[expect(clippy::cast_precision_loss, reason = "lengths of texts in memory are far below 2^53")]
fn limited(path: &str, most: usize, got: usize, unit: &'static str) -> Result<(), Violation> {
    within(path.to_owned(), 0.0, most as f64, got as f64, unit)
}

fn within(path: String, least: f64, most: f64, got: f64, unit: &'static str) -> Result<(), Violation> {
    if (least..=most).contains(&got) { Ok(()) } else { Err(Violation { path, least, most, got, unit }) }
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use serde_json::{Value, json};

    use super::*;
    use crate::event::{Dialect, InputAudioBufferAppend};

    fn check(event: &Value) -> String {
        let event = ClientEvent::decode(&event.to_string(), Dialect::Ga);
        event.check().err().map(|violation| violation.to_string()).unwrap_or_default()
    }

    #[test]
    fn each_limit_holds_at_its_edge_and_not_beyond() {
        let update = |session: Value| json!({"type": "session.update", "session": session});
        let idle = |ms: u32| json!({"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": ms}}}});
        let speed = |speed: f64| json!({"audio": {"output": {"speed": speed}}});
        let create = |response: Value| json!({"type": "response.create", "response": response});
        let pairs = |n: usize| (0..n).map(|n| (n.to_string(), json!(""))).collect::<serde_json::Map<_, _>>();
        let item =
            |id: String| json!({"type": "conversation.item.create", "item": {"type": "message", "id": id}});
        let commit = |id: String| json!({"type": "input_audio_buffer.commit", "event_id": id});
        for (event, refusal) in [
            (commit("ä".repeat(512)), ""),
            (commit("a".repeat(513)), "event_id: expected at most 512 characters, got 513"),
            (item("a".repeat(32)), ""),
            (item("a".repeat(33)), "item.id: expected at most 32 characters, got 33"),
            (update(speed(0.25)), ""),
            (update(speed(0.2)), "session.audio.output.speed: expected 0.25 to 1.5, got 0.2"),
            (update(idle(30_000)), ""),
            (
                update(idle(4_999)),
                "session.audio.input.turn_detection.idle_timeout_ms: expected 5000 to 30000 ms, got 4999",
            ),
            (update(json!({"max_output_tokens": "inf"})), ""),
            (update(json!({"max_output_tokens": 0})), "session.max_output_tokens: expected 1 to 4096, got 0"),
            (create(json!({"max_output_tokens": 4_096})), ""),
            (
                create(json!({"max_output_tokens": 4_097})),
                "response.max_output_tokens: expected 1 to 4096, got 4097",
            ),
            (create(json!({"metadata": pairs(16)})), ""),
            (create(json!({"metadata": pairs(17)})), "response.metadata: expected at most 16 pairs, got 17"),
            (
                create(json!({"metadata": {"k".repeat(65): ""}})),
                "a key of response.metadata: expected at most 64 characters, got 65",
            ),
            (
                create(json!({"metadata": {"k": "v".repeat(513)}})),
                "response.metadata.k: expected at most 512 characters, got 513",
            ),
        ] {
            assert_eq!(check(&event), refusal, "{event}");
        }
    }

    #[test]
    fn an_append_is_measured_as_it_is_written() {
        let append = |bytes: usize| -> ClientEvent {
            InputAudioBufferAppend { audio: alloc::vec![0; bytes].into(), ..Default::default() }.into()
        };
        assert_eq!(append(LARGEST_APPEND / 4 * 3).check(), Ok(()));
        let violation = append(LARGEST_APPEND / 4 * 3 + 1).check().unwrap_err();
        assert_eq!(violation.to_string(), "audio: expected at most 15728640 bytes of base64, got 15728644");
    }
}
