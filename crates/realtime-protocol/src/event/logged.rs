//! A client event in a session log, written so that the event read back is sent as the same text.
//!
//! Most events are written plainly and read back as GA. An application may send an event in a spelling that
//! no dialect writes; such an event keeps its text. If reading it as GA would give another event, the log
//! says how to read it: `{"spelling":"beta","event":{…}}` is read as beta, and `{"spelling":null,…}` as the
//! plain event without a kept text.

use alloc::boxed::Box;
use alloc::string::String;

use serde::de::Error;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::dialect::Dialect;
use crate::event::ClientEvent;
use crate::event::scan::{self, Event};
use crate::field::RawJson;

/// Writes an event.
pub(crate) fn serialize<S: Serializer>(event: &ClientEvent, serializer: S) -> Result<S::Ok, S::Error> {
    if event.known_kind().is_none() {
        return event.serialize(serializer);
    }
    let mut plain = String::new();
    scan::write(event, &mut plain);
    let kept = scan::kept_text(event);
    let again = ClientEvent::decode(&plain, Dialect::Ga);
    if again == *event && scan::kept_text(&again) == kept {
        return event.serialize(serializer);
    }
    let (spelling, text) = match kept {
        Some((dialect, text)) => (Some(dialect), text),
        None => (None, plain.as_str()),
    };
    let raw: &RawValue = serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
    let mut spelled = serializer.serialize_struct("Spelled", 2)?;
    spelled.serialize_field("spelling", &spelling)?;
    spelled.serialize_field("event", raw)?;
    spelled.end()
}

/// Reads an event.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<ClientEvent>, D::Error> {
    #[derive(Deserialize)]
    struct Spelled {
        spelling: Option<Dialect>,
        event: RawJson,
    }
    let raw = RawJson::deserialize(deserializer)?;
    // An event has a `type`, and no event is written without one.
    if scan::peek_kind(raw.get()).is_some() || !raw.get().starts_with('{') {
        return serde_json::from_str(raw.get()).map_err(D::Error::custom);
    }
    let Spelled { spelling, event } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
    Ok(Box::new(match spelling {
        Some(dialect) => ClientEvent::decode(event.get(), dialect),
        None => {
            let kind = scan::event_kind(event.get()).map_err(D::Error::custom)?;
            ClientEvent::read(&kind, event.get())
        }
    }))
}
