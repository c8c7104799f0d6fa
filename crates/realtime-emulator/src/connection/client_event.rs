//! Reads what a client sends, strictly: a text becomes a client event, or the fault that refuses it.

use realtime_protocol::event::{ClientEvent, Dialect, Malformed};
use realtime_protocol::field::Field;
use realtime_protocol::id::EventId;
use serde_json::Value;

use crate::connection::fault::{Fault, no_unknown};

/// Reads one wire text. A refusal comes with the client's id of the event, if that could be read.
pub(crate) fn read(text: &str, dialect: Dialect) -> Result<ClientEvent, (Fault, Option<EventId>)> {
    let event = ClientEvent::decode(text, dialect);
    let event_id = match &event {
        ClientEvent::Unknown(unknown) => event_id_of(unknown.raw.get()),
        ClientEvent::Malformed(malformed) => event_id_of(&malformed.raw),
        event => event.event_id().cloned(),
    };
    let has_spellings = matches!(event, ClientEvent::SessionUpdate(_) | ClientEvent::ResponseCreate(_));
    let known = match has_spellings.then(|| dialect.foreign_name(text)).flatten() {
        Some(foreign) if foreign.path == "type" => {
            Err(Fault::unsupported("type", &foreign.name, ClientEvent::KINDS))
        }
        Some(foreign) => Err(Fault::unknown(foreign.path)),
        None => Ok(()),
    };
    match known.and_then(|()| check(&event, event_id.as_ref(), text.len())) {
        Ok(()) => Ok(event),
        Err(fault) => Err((fault, event_id)),
    }
}

fn check(event: &ClientEvent, event_id: Option<&EventId>, bytes: usize) -> Result<(), Fault> {
    if let Some(length) =
        event_id.map(|id| id.as_str().chars().count()).filter(|length| *length > MOST_EVENT_ID)
    {
        return Err(Fault::too_long("event_id", MOST_EVENT_ID, length));
    }
    let extra = match event {
        ClientEvent::SessionUpdate(event) => &event.extra,
        ClientEvent::InputAudioBufferAppend(event) => {
            if bytes > MOST_APPEND {
                return Err(Fault::too_long("audio", MOST_APPEND, bytes));
            }
            &event.extra
        }
        ClientEvent::InputAudioBufferCommit(event) => &event.extra,
        ClientEvent::InputAudioBufferClear(event) => &event.extra,
        ClientEvent::OutputAudioBufferClear(event) => &event.extra,
        ClientEvent::ConversationItemCreate(event) => &event.extra,
        ClientEvent::ConversationItemRetrieve(event) => &event.extra,
        ClientEvent::ConversationItemTruncate(event) => &event.extra,
        ClientEvent::ConversationItemDelete(event) => &event.extra,
        ClientEvent::ResponseCreate(event) => &event.extra,
        ClientEvent::ResponseCancel(event) => &event.extra,
        ClientEvent::Unknown(unknown) => {
            return Err(Fault::unsupported("type", &unknown.kind, ClientEvent::KINDS));
        }
        ClientEvent::Malformed(malformed) => return Err(malformed_fault(malformed)),
        _ => return Err(Fault::unsupported("type", event.kind(), ClientEvent::KINDS)),
    };
    if let Some(mismatch) = event.mismatches().into_iter().next() {
        return Err(wrong_type(&mismatch.path, &mismatch.reason));
    }
    no_unknown(extra, "")
}

fn malformed_fault(malformed: &Malformed) -> Fault {
    match (malformed.path.as_str(), malformed.reason.as_str()) {
        ("", reason) => {
            Fault::new("invalid_json", format!("Invalid event: failed to parse JSON value. {reason}"))
        }
        ("type", reason) if malformed.kind.is_none() => match serde_json::from_str(&malformed.raw) {
            Ok(Value::Object(event)) => match event.get("type") {
                None => Fault::new("invalid_event", "The 'type' field is missing."),
                Some(kind) => wrong_type("type", &format!("expected a string, got {}", kind_of(kind))),
            },
            _ => Fault::new("invalid_event", format!("Invalid event: {}.", but_got(reason))),
        },
        (path, "missing") => Fault::missing(path),
        (path, reason) => wrong_type(path, reason),
    }
}

/// A member of the wrong shape; `reason` says what was expected and what came.
fn wrong_type(path: &str, reason: &str) -> Fault {
    let message = format!("Invalid type for '{path}': {} instead.", but_got(reason));
    Fault::new("invalid_type", message).param(path)
}

fn but_got(reason: &str) -> String {
    reason.replacen(", got ", ", but got ", 1)
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The `event_id` of text that was not read as an event.
fn event_id_of(text: &str) -> Option<EventId> {
    let value: Value = serde_json::from_str(text).ok()?;
    value.get("event_id")?.as_str().map(EventId::from)
}

/// The value of a member that the client has to give.
pub(crate) fn required<'a, T>(field: &'a Field<T>, param: &str) -> Result<&'a T, Fault> {
    field.value().ok_or_else(|| Fault::missing(param))
}

/// Characters, as documented.
const MOST_EVENT_ID: usize = 512;
/// Bytes of one append's text: 15 MiB, as documented.
const MOST_APPEND: usize = 15 << 20;
