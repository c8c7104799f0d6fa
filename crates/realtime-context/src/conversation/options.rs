//! What an application chooses about a conversation.

/// Which instructions hold: those of the session's configuration, or the conversation's leading system
/// message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Instructions {
    /// The conversation's. If the application changes the configuration's instructions in the call, the
    /// conversation's leading system message follows once the server has acknowledged them, even late or by
    /// another session; it does not follow a server that rewrites them. So it does if a raw `session.update`
    /// changed them and the server reports it. A change of that message is told to the session. All of these
    /// outlive every connection.
    #[default]
    Conversation,
    /// The session's. The conversation tells none.
    Session,
}

/// What to do if the model, told a history and asked for audio, answers in text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum TextOnly {
    /// Tells the application, by
    /// [`Notice::AnsweredInText`](realtime_protocol::call::Notice::AnsweredInText).
    #[default]
    Tell,
    /// As well, once for each conversation on a server: takes the answer out, tells the history as one packed
    /// message in place of the items, and asks again.
    AskAgain,
}
