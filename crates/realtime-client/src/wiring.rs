//! Conversation, tools, agents and guards are told once, in the options: here they fill the configuration and
//! become listeners.
//!
//! The rule kept here: whatever order the options were given in, the conversation hears an event first, then
//! the desk, the agents and the guards. So a tool reads what led to its call, and a guard stops what the
//! conversation has noted.

use std::sync::Arc;

use realtime_context::{AgentError, Conversation};
use realtime_protocol::call::{CloseReason, CommandError, CommandId, Event, Listener, Out};
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
        let tools = ToolListener::new(toolbox, options.desk, Arc::clone(&options.wake));
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
