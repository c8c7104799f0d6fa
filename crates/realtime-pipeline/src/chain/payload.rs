//! What frames carry besides audio and the session's events: who speaks, the other end of the transport, its
//! messages and keys.

use std::fmt;
use std::sync::Arc;

use realtime_protocol::id::ItemId;
use serde_json::Value;

use crate::chain::audio::AudioSource;

/// What is known of the user's turn and voice.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UserSpeech {
    /// A turn began.
    #[doc(alias("UserStartedSpeakingFrame", "ProposedUserStartedSpeakingFrame"))]
    Started {
        /// The item that will hold the speech, if it is known.
        item_id: Option<ItemId>,
    },
    /// The user speaks: told again and again during a turn.
    #[doc(alias = "UserSpeakingFrame")]
    Speaking,
    /// The turn ended.
    #[doc(alias("UserStoppedSpeakingFrame", "ProposedUserStoppedSpeakingFrame"))]
    Stopped {
        /// The item that will hold the speech, if it is known.
        item_id: Option<ItemId>,
    },
    /// A detector hears a voice. It may become a turn.
    #[doc(alias = "VADUserStartedSpeakingFrame")]
    VoiceStarted,
    /// A detector hears a voice no longer.
    #[doc(alias = "VADUserStoppedSpeakingFrame")]
    VoiceStopped,
    /// The user is not listened to from here on.
    #[doc(alias("UserMuteStartedFrame", "STTMuteFrame"))]
    Muted,
    /// The user is listened to again.
    #[doc(alias = "UserMuteStoppedFrame")]
    Unmuted,
}

/// What is heard of the assistant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BotSpeech {
    /// The assistant became audible.
    #[doc(alias = "BotStartedSpeakingFrame")]
    Started,
    /// The assistant is audible: told again and again.
    #[doc(alias = "BotSpeakingFrame")]
    Speaking,
    /// The assistant fell silent.
    #[doc(alias = "BotStoppedSpeakingFrame")]
    Stopped,
}

/// What becomes of output at the sink.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SinkReport {
    /// It takes no more audio until it is ready again.
    Full,
    /// It takes audio again.
    Ready,
    /// The other end is away, such as a page whose connection was lost, and may come back. Nothing is handed
    /// out until then, nothing counts as heard, and it is no fault. What left meanwhile is handed out again.
    Away,
    /// The other end is back, and holds nothing of what it was given before.
    Back {
        /// The last audio that was heard. `None`: the sink can't know, and its last report counts.
        at: Option<SinkPosition>,
    },
    /// Audio has been heard up to here.
    Heard(SinkPosition),
    /// The answer to [`FrameKind::ClearSink`](crate::chain::FrameKind::ClearSink): what it held is dropped.
    Cleared {
        /// The request that this answers.
        id: ClearId,
        /// The last audio that was heard. `None`: none was, or the sink can't know.
        at: Option<SinkPosition>,
    },
}

/// A place in what the sink was given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SinkPosition {
    /// What was heard.
    pub source: AudioSource,
    /// How much of it was heard, from its beginning (samples, at the rate at which the playout took it in).
    pub samples: u64,
}

/// Identifies a [`FrameKind::ClearSink`](crate::chain::FrameKind::ClearSink), so that a late answer is not
/// taken for the answer to another one. Unique in a run.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClearId(pub u64);

impl fmt::Display for ClearId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clear {}", self.0)
    }
}

/// What happens to the other end of the transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Peer {
    /// It is there.
    Connected,
    /// It has gone.
    Disconnected,
}

/// A message of the application's own from the other end of a transport, or for it. `Debug` shows none of its
/// content.
#[derive(Clone, PartialEq)]
pub struct Message {
    /// The message.
    pub body: Arc<Value>,
    /// Whether it overtakes audio that waits to be played. `false`: it goes out in the order of hearing. Of
    /// those that come in, it means nothing.
    #[doc(alias(
        "TransportMessageUrgentFrame",
        "OutputTransportMessageUrgentFrame",
        "InputTransportMessageUrgentFrame"
    ))]
    pub urgent: bool,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("urgent", &self.urgent).finish_non_exhaustive()
    }
}

/// Keys of a phone: `0` to `9`, `*`, `#`, `A` to `D`. `Debug` shows how many, since they may be a PIN.
#[derive(Clone, Eq, PartialEq)]
pub struct Keys(Arc<str>);

impl Keys {
    /// Reads keys. `None`: there is a character that is no key.
    pub fn new(keys: &str) -> Option<Self> {
        let is_key = |key: char| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D');
        keys.chars().all(is_key).then(|| Self(keys.into()))
    }

    /// The keys, in the order in which they are pressed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chain::frame::FrameKind;

    #[test]
    fn pins_and_messages_do_not_show() {
        let keys = Keys::new("4711#").unwrap();
        assert_eq!((keys.as_str(), format!("{keys:?}")), ("4711#", "Keys(5)".to_owned()));
        assert_eq!(Keys::new("47x"), None);
        let message = Message { body: Arc::new(json!({ "pin": "4711" })), urgent: true };
        assert!(!format!("{:?}", FrameKind::Message(message)).contains("4711"));
    }
}
