//! Conversation, tools, agents and guards are told once, in the options: here they fill the configuration and
//! become listeners.
//!
//! The rule kept here: whatever order the options were given in, the conversation hears an event first, then
//! the desk, the agents and the guards. So a tool reads what led to its call, and a guard stops what the
//! conversation has noted.

use std::fmt;
use std::sync::Arc;

use realtime_context::{AgentError, Conversation};
use realtime_protocol::call::{
    CallOptions, CloseReason, CommandError, CommandId, Event, Listener, Listeners, Out, Reconnect, Reseed,
};
use realtime_protocol::session::Begin;
use realtime_protocol::time::{Timestamp, UnixTime};

use crate::client::ClientOptions;
use crate::connect::ConnectError;
use crate::tools::ToolListener;

/// Checks the tools, and fills the configuration. The instructions of the agents come before the
/// conversation's, and these before the configuration's.
pub(crate) fn configure(mut options: ClientOptions) -> Result<ClientOptions, ConnectError> {
    let bad = |name: &str, source| ConnectError::BadTool { name: name.to_owned(), source };
    if let Some(toolbox) = &options.toolbox {
        toolbox.check().map_err(|error| bad(&error.name.clone(), Box::new(error)))?;
    }
    let mut config = std::mem::take(&mut options.session.config);
    if let Some(conversation) = &options.conversation
        && options.session.begin == Begin::Configure
        && options.agents.is_none()
    {
        config = conversation.session_config(config);
    }
    if let Some(agents) = &options.agents {
        config = agents.session_config(config);
        let library = options.toolbox.take().unwrap_or_default();
        let toolbox = agents.toolbox(&library).map_err(|error| match &error {
            AgentError::NoSuchTool { tool, .. } | AgentError::TakenName { tool } => {
                bad(&tool.clone(), Box::new(error))
            }
            _ => bad("", Box::new(error)),
        })?;
        options.toolbox = Some(toolbox);
    }
    if let Some(toolbox) = &options.toolbox {
        config = toolbox.session_config(config);
    }
    options.session.config = config;
    Ok(options)
}

/// The listeners that the options tell of, in their order, with their names.
pub(crate) fn listen(mut options: ClientOptions) -> (Vec<Named>, ClientOptions) {
    let mut listening: Vec<Named> = Vec::new();
    if let Some(conversation) = options.conversation.take() {
        if options.agents.is_some() {
            conversation.leave_instructions();
        }
        let following = Following { conversation, is_over: false };
        listening.push(("the conversation".to_owned(), Box::new(following)));
    }
    if let Some(toolbox) = options.toolbox.take() {
        let (resume, wake) = (options.resume.as_ref(), Arc::clone(&options.wake));
        let tools = ToolListener::new(toolbox, options.desk, resume, wake, options.functions.clone());
        listening.push(("the toolbox".to_owned(), Box::new(tools)));
    }
    if let Some(agents) = options.agents.take() {
        listening.push(("the agents".to_owned(), Box::new(agents)));
    }
    for (index, guard) in options.guards.drain(..).enumerate() {
        listening.push((format!("guard {}", index + 1), Box::new(guard)));
    }
    (listening, options)
}

/// What a client's options come to, for a driver of one's own: one that has no sockets, or moves time itself.
/// [`ClientOptions::wire`] makes it.
#[non_exhaustive]
pub struct Wired {
    /// For [`Call::new`](realtime_protocol::call::Call::new). The session's dialect is that of the options.
    pub call: CallOptions,
    /// The listeners, in the client's order.
    pub listeners: Listeners,
    /// Tells each new session what was said before.
    pub reseed: Option<Box<dyn Reseed + Send>>,
}

impl fmt::Debug for Wired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wired")
            .field("call", &self.call)
            .field("listeners", &self.listeners)
            .field("reseed", &self.reseed.is_some())
            .finish()
    }
}

impl ClientOptions {
    /// Checks the options and makes the parts of a call of them, as the client does, for a driver of one's
    /// own: the configuration, the conversation, the tools, the agents, the guards and the listeners.
    /// Functions run in tasks of the tokio runtime in which the parts are used. After such a task has ended,
    /// the listeners are due at once.
    ///
    /// ```
    /// use realtime_client::ClientOptions;
    /// use realtime_context::{Conversation, Message};
    /// use realtime_protocol::call::{Call, Event};
    /// use realtime_protocol::time::{Timestamp, UnixTime};
    ///
    /// let conversation = Conversation::from_messages([Message::system("Be brief."), Message::user("Hi")]);
    /// let mut parts = ClientOptions::default().conversation(conversation).wire()?;
    /// assert_eq!(parts.call.session.config.instructions.value().map(String::as_str), Some("Be brief."));
    ///
    /// let call = Call::new(parts.call);
    /// parts.listeners.hear(Timestamp::ZERO, UnixTime::default(), &Event::Created { session_id: None });
    /// assert!(parts.listeners.poll_asked().is_some(), "the session is told what was said");
    /// # Ok::<(), realtime_client::ConnectError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConnectError::BadTool`]: a tool can't be declared. Rename it.
    pub fn wire(self) -> Result<Wired, ConnectError> {
        let (listening, options) = listen(configure(self)?);
        let mut listeners = Listeners::default();
        let rest = options.listeners.into_iter();
        listening.into_iter().map(|(_, listener)| listener).chain(rest).for_each(|it| listeners.add(it));
        let reconnect = options.reconnect.unwrap_or_else(Reconnect::none);
        let call = CallOptions::default().session(options.session).reconnect(reconnect);
        Ok(Wired { call, listeners, reseed: options.reseed })
    }
}

/// A listener, and what the application knows it by.
pub(crate) type Named = (String, Box<dyn Listener>);

/// A conversation that hears of the end of its call in any case, also if the call is dropped: the next call
/// begins anew.
struct Following {
    conversation: Conversation,
    is_over: bool,
}

impl Listener for Following {
    fn on_event(&mut self, now: Timestamp, wall: UnixTime, event: &Event, out: &mut Out<'_>) {
        self.is_over |= matches!(event, Event::Closed { .. });
        self.conversation.on_event(now, wall, event, out);
    }

    fn on_refused(&mut self, now: Timestamp, id: CommandId, error: &CommandError, out: &mut Out<'_>) {
        self.conversation.on_refused(now, id, error, out);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.conversation.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut Out<'_>) {
        self.conversation.handle_timeout(now, out);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.conversation.observe(&Event::Closed { reason: CloseReason::Requested });
        }
    }
}
