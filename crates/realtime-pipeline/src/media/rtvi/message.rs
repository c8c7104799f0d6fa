//! Messages between the client's application and this one: [`ClientMessage`].

use std::sync::Arc;

use serde_json::{Value, json};

use crate::chain::{FrameKind, Message};
use crate::media::rtvi::said::LABEL;

/// What the client's application sends: `sendClientMessage` and `sendClientRequest` of the published client.
///
/// A stage finds it in a [`FrameKind::InputMessage`], and pushes the answer downstream:
///
/// ```
/// use realtime_pipeline::chain::{FrameKind, Tap};
/// use realtime_pipeline::media::rtvi::ClientMessage;
///
/// let clock = Tap::new(|frame, cx| {
///     if let FrameKind::InputMessage(message) = frame.kind()
///         && let Some(asked) = ClientMessage::read(message)
///     {
///         cx.push(match &*asked.kind {
///             "time" => asked.answer("noon"),
///             other => asked.refuse(&format!("there is no {other}")),
///         });
///     }
/// });
/// # drop(clock);
/// ```
///
/// `Debug` shows none of its content.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClientMessage {
    /// What an answer repeats.
    pub id: String,
    /// What it is about: the client's own word, `t` on the wire.
    pub kind: String,
    /// What it holds: `d` on the wire.
    pub data: Value,
}

impl ClientMessage {
    /// Reads a message from the other end. `None`: it is another one, such as an event of the client's
    /// interface (`ui-event`), which has its RTVI type as the member `type`.
    pub fn read(message: &Message) -> Option<Self> {
        let envelope = message.body.as_object().filter(|_| kind_of(&message.body) == Some(CLIENT_MESSAGE))?;
        let data = envelope.get("data")?;
        Some(Self {
            id: envelope.get("id")?.as_str()?.to_owned(),
            kind: data.get("t")?.as_str()?.to_owned(),
            data: data.get("d").cloned().unwrap_or_default(),
        })
    }

    /// The answer.
    #[doc(alias = "send_server_response")]
    pub fn answer(&self, data: impl Into<Value>) -> FrameKind {
        self.reply("server-response", json!({ "t": self.kind, "d": data.into() }))
    }

    /// The answer that there is none.
    #[doc(alias = "send_error_response")]
    pub fn refuse(&self, error: &str) -> FrameKind {
        self.reply("error-response", json!({ "error": error }))
    }

    fn reply(&self, kind: &str, data: Value) -> FrameKind {
        let body = json!({ "label": LABEL, "type": kind, "id": self.id, "data": data });
        FrameKind::Message(Message { body: Arc::new(body), urgent: true })
    }
}

/// What `sendClientMessage` sends.
pub(super) const CLIENT_MESSAGE: &str = "client-message";

/// The RTVI type of a message that is one of RTVI's, and not the application's own.
pub(super) fn kind_of(body: &Value) -> Option<&str> {
    let label = body.get("label")?.as_str()?;
    body.get("type")?.as_str().filter(|_| label == LABEL)
}

impl std::fmt::Debug for ClientMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientMessage").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: Value) -> Message {
        Message { body: Arc::new(body), urgent: true }
    }

    #[test]
    fn a_message_is_read_and_answered_under_its_id() {
        let data = json!({ "t": "hello", "d": { "a": 1 } });
        let body = json!({ "label": "rtvi-ai", "type": "client-message", "id": "7", "data": data });
        let asked = ClientMessage::read(&message(body)).unwrap();
        assert_eq!((&*asked.id, &*asked.kind, &asked.data), ("7", "hello", &json!({ "a": 1 })));
        let FrameKind::Message(answer) = asked.answer(5) else { panic!("a message") };
        let expected = json!({ "label": "rtvi-ai", "type": "server-response", "id": "7", "data": { "t": "hello", "d": 5 } });
        assert_eq!(*answer.body, expected);
        let FrameKind::Message(refusal) = asked.refuse("no") else { panic!("a message") };
        assert_eq!(refusal.body["data"], json!({ "error": "no" }));
    }

    #[test]
    fn other_messages_are_left_alone() {
        for body in [
            json!(7),
            json!({ "type": "client-message", "id": "7", "data": { "t": "x" } }),
            json!({ "label": "rtvi-ai", "type": "ui-event", "id": "7", "data": { "t": "x" } }),
            json!({ "label": "rtvi-ai", "type": "client-message", "id": "7", "data": {} }),
            json!({ "label": "rtvi-ai", "type": "client-message", "data": { "t": "x" } }),
        ] {
            assert_eq!(ClientMessage::read(&message(body.clone())), None, "{body}");
        }
    }
}
