//! What stages and applications ask of the session, and how it ends: [`Intent`], [`Ticket`], [`Answer`].

use std::fmt;
use std::sync::Arc;

use realtime_context::{Message, Toolbox};
use realtime_protocol::call::{Command, Outcome};
use realtime_protocol::event::ClientEvent;
use realtime_protocol::id::ItemId;
use realtime_protocol::response::ResponseParams;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::tool::ToolChoice;

use crate::chain::payload::Keys;
use crate::chain::phone::PhoneAction;
use crate::chain::user_input::UserInput;

/// Something to ask of the chain's service. Each is answered exactly once: see [`Answer`].
///
/// `Debug` shows the name alone.
#[non_exhaustive]
pub enum Intent {
    /// The model says this.
    #[doc(alias("TTSSpeakFrame", "TextFrame"))]
    Say {
        /// The words.
        text: Arc<str>,
    },
    /// Adds messages to the conversation.
    #[doc(alias = "LLMMessagesAppendFrame")]
    Append {
        /// The messages.
        messages: Vec<Message>,
        /// Whether the model answers.
        run: bool,
    },
    /// Puts messages in place of the conversation.
    #[doc(alias = "LLMMessagesUpdateFrame")]
    Replace {
        /// The messages.
        messages: Vec<Message>,
        /// Whether the model answers.
        run: bool,
    },
    /// The model answers what it knows.
    #[doc(alias("LLMRunFrame", "LLMContextFrame", "OpenAILLMContextFrame"))]
    Run {
        /// What differs from the configuration.
        params: Option<Box<ResponseParams>>,
        /// Whether it is protected from the user's speech, as a greeting is.
        protected: bool,
    },
    /// Changes the configuration. Members that are set replace the old ones, the others stay.
    #[doc(alias("LLMUpdateSettingsFrame", "VADParamsUpdateFrame"))]
    Settings(Box<SessionConfig>),
    /// Puts these tools in place of the old ones: declarations and handlers. Answered once the server has
    /// answered the declarations; a call that begins before then runs the old handlers.
    #[doc(alias = "LLMSetToolsFrame")]
    Toolbox(Toolbox),
    /// Which tool the model may or must call.
    #[doc(alias = "LLMSetToolChoiceFrame")]
    ToolChoice(ToolChoice),
    /// Stops what is being said, as if the user spoke.
    #[doc(alias("InterruptionTaskFrame", "InterruptionWorkerFrame", "BotInterruptionFrame"))]
    Interrupt,
    /// Sends none of the user's audio while `true`.
    #[doc(alias = "set_audio_input_paused")]
    PauseInput(bool),
    /// Shows the model an image.
    #[doc(alias("InputImageRawFrame", "UserImageRawFrame"))]
    Image {
        /// Its address, or the image itself as a `data:` address.
        url: Arc<str>,
        /// Words to go with it.
        text: Option<Arc<str>>,
        /// Whether the model answers.
        run: bool,
    },
    /// Does what the user did besides speaking, as if it came from the source as
    /// [`FrameKind::UserInput`](crate::chain::FrameKind::UserInput).
    UserInput(UserInput),
    /// Tells the model which keys the user pressed.
    Dtmf {
        /// The keys.
        keys: Keys,
        /// Whether the model answers.
        run: bool,
    },
    /// Does something with the phone call. It goes to the transport, once all audio before it has sounded,
    /// and is answered when it is done: [`Outcome::Done`].
    Phone(PhoneAction),
    /// Asks for an item as the server has it. Its answer is
    /// [`Outcome::Retrieved`].
    #[doc(alias = "retrieve_conversation_item")]
    Retrieve {
        /// The item.
        item_id: ItemId,
    },
    /// Begins a new session with the same conversation.
    #[doc(alias = "reset_conversation")]
    Reset,
    /// Any command of the session.
    Command(Box<Command>),
    /// Sends an event as it is.
    #[doc(alias = "send_client_event")]
    Raw(Box<ClientEvent>),
}

impl Intent {
    /// The intent's name in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Say { .. } => "say",
            Self::Append { .. } => "append",
            Self::Replace { .. } => "replace",
            Self::Run { .. } => "run",
            Self::Settings(_) => "settings",
            Self::Toolbox(_) => "toolbox",
            Self::ToolChoice(_) => "tool_choice",
            Self::Interrupt => "interrupt",
            Self::PauseInput(_) => "pause_input",
            Self::Image { .. } => "image",
            Self::UserInput(_) => "user_input",
            Self::Dtmf { .. } => "dtmf",
            Self::Phone(action) => action.name(),
            Self::Retrieve { .. } => "retrieve",
            Self::Reset => "reset",
            Self::Command(command) => command.name(),
            Self::Raw(_) => "raw",
        }
    }
}

impl fmt::Debug for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Intent({})", self.name())
    }
}

/// Identifies an intent, so that its answer finds who asked. Unique in its chain.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub(super) u64);

#[cfg(test)]
impl Ticket {
    /// The ticket of this number.
    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ticket {}", self.0)
    }
}

/// How an intent ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// The service asked the session, and this is what became of it.
    Settled(Outcome),
    /// It was refused at once, and had no effect.
    Refused(NotAsked),
    /// The run ended first.
    Closed,
}

impl Answer {
    /// Returns whether the intent did what it was for.
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Settled(outcome) if outcome.is_ok())
    }
}

/// Why an intent was refused at once.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAsked {
    /// The chain has no service, or it has failed: add a service, or do without.
    #[error("the chain has no service")]
    NoService,
    /// Too many intents wait for their answers: wait for some of them.
    #[error("{waiting} intents wait for their answers already")]
    TooMany {
        /// How many wait.
        waiting: usize,
    },
    /// The service can't do it.
    #[error("{reason}")]
    Unable {
        /// Why, and what to do.
        reason: Arc<str>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_do_not_show() {
        let intent = Intent::Say { text: "the code is 4711".into() };
        assert_eq!(format!("{intent:?}"), "Intent(say)");
    }
}
