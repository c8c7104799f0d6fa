//! The two sides of a conversation by the names that users of other frameworks know: the context aggregators
//! of the user and of the assistant.
//!
//! Here nothing is aggregated from frames: both are views of one [`Conversation`].

use realtime_protocol::field::Field;

use crate::conversation::Conversation;
use crate::log::{Entry, EntryId, State};
use crate::message::{Content, Message, Role};

/// What the user's side does with words.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UserAggregatorParams {
    /// The `name` of messages that are pushed. Default: none.
    pub name: Option<String>,
    /// Whether speech without a transcript is left out. Default: it is marked.
    pub skip_untranscribed: bool,
}

/// What the assistant's side does with words.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AssistantAggregatorParams {
    /// Which words of an interrupted answer count. Default: those that were heard.
    pub words: AssistantWords,
}

/// Which words of an interrupted answer count.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum AssistantWords {
    /// Those that were heard.
    #[default]
    Heard,
    /// All that were generated.
    Generated,
}

/// The two sides of a conversation.
///
/// ```
/// use realtime_context::Conversation;
/// use realtime_context::aggregator::create_context_aggregator;
///
/// let conversation = Conversation::new();
/// let aggregators = create_context_aggregator(&conversation, Default::default(), Default::default());
/// aggregators.user().push("Hi");
/// assert_eq!(aggregators.user().aggregation().as_deref(), Some("Hi"));
/// assert_eq!(aggregators.assistant().aggregation(), None);
/// assert_eq!(conversation.messages().len(), 1);
/// ```
pub fn create_context_aggregator(
    conversation: &Conversation,
    user: UserAggregatorParams,
    assistant: AssistantAggregatorParams,
) -> ContextAggregatorPair {
    ContextAggregatorPair {
        user: UserContextAggregator { conversation: conversation.clone(), params: user },
        assistant: AssistantContextAggregator { conversation: conversation.clone(), params: assistant },
    }
}

/// The user's and the assistant's side of one conversation.
#[derive(Clone, Debug)]
pub struct ContextAggregatorPair {
    user: UserContextAggregator,
    assistant: AssistantContextAggregator,
}

impl ContextAggregatorPair {
    /// The user's side.
    pub const fn user(&self) -> &UserContextAggregator {
        &self.user
    }

    /// The assistant's side.
    pub const fn assistant(&self) -> &AssistantContextAggregator {
        &self.assistant
    }
}

/// What the user said.
#[derive(Clone, Debug)]
pub struct UserContextAggregator {
    conversation: Conversation,
    params: UserAggregatorParams,
}

impl UserContextAggregator {
    /// Adds a text of the user's. In a call, the server is told at once.
    pub fn push(&self, text: impl Into<String>) -> EntryId {
        let mut message = Message::user(text);
        if let Some(name) = &self.params.name {
            message.extra.insert("name".into(), name.as_str().into());
        }
        self.conversation.append(message)
    }

    /// What the user said last: `None` if the assistant has spoken since, or nothing was said.
    pub fn aggregation(&self) -> Option<String> {
        latest(&self.conversation, &Role::User, Entry::text)
    }

    /// All that the user said, in order.
    pub fn messages(&self) -> Vec<Message> {
        let shown = |entry: &&Entry| {
            let is_blank = entry.is_spoken() && entry.text().is_empty();
            *entry.role() == Role::User && !(self.params.skip_untranscribed && is_blank)
        };
        self.conversation.with(|log| log.entries().iter().filter(shown).flat_map(Entry::messages).collect())
    }
}

/// What the assistant said.
#[derive(Clone, Debug)]
pub struct AssistantContextAggregator {
    conversation: Conversation,
    params: AssistantAggregatorParams,
}

impl AssistantContextAggregator {
    /// Adds a text of the assistant's, such as one that another voice spoke. In a call, the server is told at
    /// once.
    pub fn push(&self, text: impl Into<String>) -> EntryId {
        self.conversation.append(Message::assistant(text))
    }

    /// What the assistant said last: `None` if the user has spoken since, or nothing was said.
    pub fn aggregation(&self) -> Option<String> {
        latest(&self.conversation, &Role::Assistant, |entry| self.words(entry))
    }

    /// All that the assistant said, in order. Calls of functions are left out.
    pub fn messages(&self) -> Vec<Message> {
        let said = |entry: &Entry| {
            let is_cut = entry.state() == State::Truncated && self.params.words == AssistantWords::Generated;
            let mut messages = entry.messages();
            if is_cut {
                messages = vec![Message {
                    role: Role::Assistant,
                    content: Field::Value(Content::Text(self.words(entry))),
                    ..Message::default()
                }];
            }
            messages
        };
        self.conversation.with(|log| {
            log.entries().iter().filter(|entry| *entry.role() == Role::Assistant).flat_map(said).collect()
        })
    }

    fn words(&self, entry: &Entry) -> String {
        match self.params.words {
            AssistantWords::Generated => entry.generated().unwrap_or_else(|| entry.text()),
            AssistantWords::Heard => entry.text(),
        }
    }
}

/// The newest words of a role since another spoke.
fn latest(conversation: &Conversation, role: &Role, words: impl Fn(&Entry) -> String) -> Option<String> {
    conversation.with(|log| {
        let mut said: Vec<String> =
            log.entries().iter().rev().take_while(|entry| entry.role() == role).map(words).collect();
        said.retain(|words| !words.is_empty());
        said.reverse();
        (!said.is_empty()).then(|| said.join("\n"))
    })
}
