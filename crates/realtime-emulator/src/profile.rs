//! Profiles: servers that speak the protocol, but not all of it.
//!
//! A profile is a table, applied to events after they leave the core and to texts before they come in. The
//! core does not know about it.

use std::borrow::Cow;
use std::time::Duration;

use realtime_protocol::event::{ConversationItemCreated, Dialect, ServerEvent};
use realtime_protocol::field::{Field, RawJson};
use realtime_protocol::id::EventId;
use serde_json::Value;

use crate::connection::{Fault, FaultKind};

/// The server that the emulator imitates.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Profile {
    /// OpenAI's own, in the dialect that the client asks for.
    #[default]
    OpenAi,
    /// Azure's preview: always beta, whatever the client asks for, with both modalities or text, never audio
    /// alone.
    AzurePreview,
    /// A server that sends only the indispensable events, with GA's names: an item is announced once, commits
    /// and truncations are not acknowledged, calls come whole, events have no ids, and an error is a string.
    Minimal,
    /// speaches: beta with fixed formats. It cannot truncate, cancel or retrieve, its errors have no code, a
    /// response waits for the transcript, and a requested response ends the running one.
    Speaches,
}

impl Profile {
    /// All of them.
    pub const ALL: &[Self] = &[Self::OpenAi, Self::AzurePreview, Self::Minimal, Self::Speaches];

    /// Its name on a command line: `openai`, `azure-preview`, `minimal`, `speaches`.
    pub const fn name(self) -> &'static str {
        self.table().name
    }

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|profile| profile.name() == name)
    }

    /// The only dialect that it speaks; `None`: the one that the client asks for.
    pub const fn dialect(self) -> Option<Dialect> {
        self.table().dialect
    }

    pub(crate) const fn table(self) -> &'static Table {
        match self {
            Self::OpenAi => &OPENAI,
            Self::AzurePreview => &AZURE_PREVIEW,
            Self::Minimal => &MINIMAL,
            Self::Speaches => &SPEACHES,
        }
    }
}

/// What a server does differently.
#[derive(Debug)]
pub(crate) struct Table {
    name: &'static str,
    dialect: Option<Dialect>,
    /// Events that it does not send, by GA's names.
    unsent: &'static [&'static str],
    /// Whether an item is announced once, as `conversation.item.created`, also in GA.
    items_once: bool,
    /// Whether events have ids and a `previous_item_id`.
    pub(crate) has_ids: bool,
    errors: Errors,
    refusals: &'static [Refusal],
    /// Whether a requested response ends the running one.
    pub(crate) replaces_responses: bool,
    /// How long its sessions live at most.
    pub(crate) session_length: Duration,
    /// Whether a transcript comes before the response.
    pub(crate) transcribes_first: bool,
}

#[derive(Debug)]
enum Errors {
    Whole,
    WithoutCode,
    Text,
}

/// A client event that the server does not know, or a member of one.
#[derive(Debug)]
struct Refusal {
    event: &'static str,
    /// The member, as a JSON pointer; empty for the event itself.
    member: &'static str,
    /// The one value that it refuses, as JSON; `None`: any.
    value: Option<&'static str>,
    /// Whether the rest of the event is still accepted.
    goes_on: bool,
    kind: FaultKind,
    message: &'static str,
}

/// The part of a client's text that a server accepts.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    /// The text that is left. `None`: all of it is refused.
    pub(crate) text: Option<Cow<'a, str>>,
    /// The faults by this server's table.
    pub(crate) faults: Vec<(Fault, Option<EventId>)>,
}

impl Table {
    /// An event as this server sends it, if it does.
    pub(crate) fn sent(&self, event: ServerEvent) -> Option<ServerEvent> {
        if self.unsent.contains(&event.kind()) {
            return None;
        }
        let mut event = match event {
            ServerEvent::ConversationItemAdded(added) if self.items_once => {
                ServerEvent::ConversationItemCreated(ConversationItemCreated {
                    event_id: added.event_id,
                    previous_item_id: added.previous_item_id,
                    item: added.item,
                    ..ConversationItemCreated::default()
                })
            }
            event => event,
        };
        match &mut event {
            ServerEvent::ConversationItemCreated(event) if !self.has_ids => {
                event.previous_item_id = Field::Absent;
            }
            ServerEvent::ErrorEvent(event) => match self.errors {
                Errors::Whole => {}
                Errors::WithoutCode => {
                    if let Some(error) = event.error.value_mut() {
                        error.code = Field::Absent;
                    }
                }
                Errors::Text => {
                    let text = std::mem::take(&mut event.error).into_value().unwrap_or_default();
                    let text = RawJson::new(Value::from(text.message_str()).to_string());
                    event.extra.insert("error", text.unwrap_or_default());
                }
            },
            _ => {}
        }
        Some(event)
    }

    /// Applies the table to a client's text.
    pub(crate) fn taken<'a>(&self, text: &'a str) -> Taken<'a> {
        let mut taken = Taken { text: Some(text.into()), faults: Vec::new() };
        let mut refusals = self.refusals.iter().filter(|refusal| text.contains(refusal.event)).peekable();
        if refusals.peek().is_none() {
            return taken;
        }
        let Ok(mut event) = serde_json::from_str::<Value>(text) else { return taken };
        for refusal in refusals {
            let Some(found) = event.pointer(refusal.member).filter(|_| event["type"] == refusal.event) else {
                continue;
            };
            let refused: Option<Value> = refusal.value.and_then(|value| serde_json::from_str(value).ok());
            if refused.is_some_and(|refused| refused != *found) {
                continue;
            }
            let mut fault = Fault::new("invalid_value", refusal.message);
            fault.kind = refusal.kind;
            taken.faults.push((fault, event["event_id"].as_str().map(EventId::from)));
            if !refusal.goes_on {
                taken.text = None;
                return taken;
            }
            if let Some((parent, member)) = refusal.member.rsplit_once('/')
                && let Some(Value::Object(parent)) = event.pointer_mut(parent)
            {
                parent.remove(member);
                taken.text = Some(event.to_string().into());
            }
        }
        taken
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

const OPENAI: Table = Table {
    name: "openai",
    dialect: None,
    unsent: &[],
    items_once: false,
    has_ids: true,
    errors: Errors::Whole,
    refusals: &[],
    replaces_responses: false,
    session_length: Duration::MAX,
    transcribes_first: false,
};

const AZURE_PREVIEW: Table = Table {
    name: "azure-preview",
    dialect: Some(Dialect::Beta),
    refusals: &[Refusal {
        value: Some(r#"["audio"]"#),
        ..refused(
            "session.update",
            "/session/modalities",
            "Invalid modalities: ['audio']. Supported combinations are: ['text'] and ['audio', 'text'].",
        )
    }],
    session_length: HOUR,
    ..OPENAI
};

const MINIMAL: Table = Table {
    name: "minimal",
    dialect: Some(Dialect::Ga),
    unsent: &[
        "conversation.created",
        "conversation.item.done",
        "conversation.item.truncated",
        "input_audio_buffer.committed",
        "rate_limits.updated",
        "response.output_item.added",
        "response.output_item.done",
        "response.created",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.delta",
    ],
    items_once: true,
    has_ids: false,
    errors: Errors::Text,
    session_length: HOUR,
    ..OPENAI
};

const SPEACHES: Table = Table {
    name: "speaches",
    dialect: Some(Dialect::Beta),
    unsent: &["conversation.item.input_audio_transcription.delta"],
    errors: Errors::WithoutCode,
    refusals: &[
        lacking("conversation.item.truncate"),
        lacking("conversation.item.retrieve"),
        lacking("response.cancel"),
        refused("session.update", "/session/input_audio_format", FIXED),
        refused("session.update", "/session/output_audio_format", FIXED),
        Refusal {
            value: Some("null"),
            ..refused("session.update", "/session/turn_detection", "Turn detection cannot be null.")
        },
        left_out("/response/conversation"),
        left_out("/response/input"),
        left_out("/response/output_audio_format"),
        left_out("/response/metadata"),
    ],
    replaces_responses: true,
    session_length: Duration::from_secs(30 * 60),
    transcribes_first: true,
    ..OPENAI
};

const FIXED: &str = "The audio formats cannot be changed.";

/// A member that refuses its event.
const fn refused(event: &'static str, member: &'static str, message: &'static str) -> Refusal {
    Refusal { event, member, value: None, goes_on: false, kind: FaultKind::Request, message }
}

/// An event that the server does not have.
const fn lacking(event: &'static str) -> Refusal {
    let message = "This event is not implemented.";
    Refusal { event, member: "", value: None, goes_on: false, kind: FaultKind::Server, message }
}

/// A member of `response.create` that the server does not have.
const fn left_out(member: &'static str) -> Refusal {
    let message = "This member of a response is not supported and was left out.";
    Refusal {
        event: "response.create",
        member,
        value: None,
        goes_on: true,
        kind: FaultKind::Request,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_found_by_their_names() {
        for profile in Profile::ALL {
            assert_eq!(Profile::named(profile.name()), Some(*profile));
        }
        assert_eq!(Profile::named("other"), None);
    }

    #[test]
    fn a_refused_member_is_left_out_or_refuses_the_event() {
        let check = |text: &str, left: Option<&str>, faults: usize| {
            let taken = SPEACHES.taken(text);
            assert_eq!((taken.text.as_deref(), taken.faults.len()), (left, faults), "{text}");
        };
        let plain = r#"{"type":"response.create","response":{"instructions":"x"}}"#;
        check(plain, Some(plain), 0);
        let create =
            r#"{"response":{"input":[],"instructions":"x","metadata":null},"type":"response.create"}"#;
        check(create, Some(r#"{"response":{"instructions":"x"},"type":"response.create"}"#), 2);
        check(r#"{"type":"response.cancel","event_id":"e"}"#, None, 1);
        let detection = r#"{"session":{"turn_detection":{}},"type":"session.update"}"#;
        check(detection, Some(detection), 0);
        check(&detection.replace("{}", "null"), None, 1);
        check("{response.cancel", Some("{response.cancel"), 0);
    }
}
