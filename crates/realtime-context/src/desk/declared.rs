//! Which version of the tools the session knows, and which one each running response saw.

use std::collections::VecDeque;
use std::sync::Arc;

use realtime_protocol::call::{Command, CommandId, Outcome};
use realtime_protocol::field::Field;
use realtime_protocol::id::ResponseId;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::Timestamp;
use realtime_protocol::tool::Tool;

use crate::desk::RETRY;
use crate::toolbox::{Companion, Toolbox, Tools};

/// Responses of which it is remembered which tools they saw.
const MOST_RESPONSES: usize = 64;

/// The declared tools.
pub(super) struct Declared {
    toolbox: Toolbox,
    /// The version that the session has acknowledged.
    tools: Arc<Tools>,
    update: Update,
    /// Members that change with the tools, and what is asked for then.
    companion: Option<Companion>,
    /// The declarations in force, the application's own among them; `None`: there is no session yet.
    in_force: Option<Field<Vec<Tool>>>,
    /// The tools that running responses saw.
    saw: VecDeque<(ResponseId, Arc<Tools>)>,
}

/// How far the declaration of another version is.
enum Update {
    /// None is on its way.
    None,
    /// It is asked for; the id follows.
    Asked(Arc<Tools>),
    /// It is on its way.
    Sent(Arc<Tools>, CommandId),
    /// It was refused for now: it is tried again then.
    Waits(Timestamp),
}

impl Declared {
    pub(super) fn new(toolbox: Toolbox) -> Self {
        let tools = toolbox.tools();
        // The session begins with them.
        toolbox.note_declared(tools.version(), Outcome::Done);
        Self { toolbox, tools, update: Update::None, companion: None, in_force: None, saw: VecDeque::new() }
    }

    pub(super) const fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    pub(super) fn note_config(&mut self, config: &SessionConfig) {
        self.in_force = Some(config.tools.clone());
    }

    pub(super) fn begin_response(&mut self, response_id: &ResponseId) {
        if self.saw.len() == MOST_RESPONSES {
            self.saw.pop_front();
        }
        self.saw.push_back((response_id.clone(), Arc::clone(&self.tools)));
    }

    pub(super) fn end_response(&mut self, response_id: &ResponseId) {
        self.saw.retain(|(id, _)| id != response_id);
    }

    /// The tools that a response saw.
    pub(super) fn of(&self, response_id: &ResponseId) -> Arc<Tools> {
        let saw = self.saw.iter().find(|(id, _)| id == response_id);
        Arc::clone(saw.map_or(&self.tools, |(_, tools)| tools))
    }

    /// The update that declares the toolbox as it is now, if that is due.
    pub(super) fn update(&mut self, now: Timestamp) -> Option<Box<SessionConfig>> {
        self.due().filter(|due| *due <= now)?;
        let in_force = self.in_force.clone()?;
        if let Some(companion) = self.toolbox.take_companion() {
            self.companion = Some(companion);
        }
        let config = self.companion.as_ref().map(|companion| (*companion.config).clone());
        let base = SessionConfig { tools: in_force, ..config.unwrap_or_default() };
        self.update = Update::Asked(self.toolbox.tools());
        Some(Box::new(self.toolbox.session_config(base)))
    }

    /// When an update is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let at = match &self.update {
            Update::None => Timestamp::ZERO,
            Update::Waits(at) => *at,
            Update::Asked(_) | Update::Sent(..) => return None,
        };
        (self.in_force.is_some() && self.toolbox.version() != self.tools.version()).then_some(at)
    }

    pub(super) fn asked(&mut self, id: CommandId) {
        if let Update::Asked(tools) = &self.update {
            self.update = Update::Sent(Arc::clone(tools), id);
        }
    }

    /// An update was answered. A server that does not answer may have taken it over. Returns what is asked
    /// for then.
    pub(super) fn settled(&mut self, id: CommandId, outcome: &Outcome) -> Option<Command> {
        if let Update::Sent(tools, sent) = &self.update
            && *sent == id
        {
            self.toolbox.note_declared(tools.version(), outcome.clone());
            self.tools = Arc::clone(tools);
            self.update = Update::None;
            return self.companion.take()?.then;
        }
        None
    }

    pub(super) fn refused(&mut self, now: Timestamp, id: CommandId) {
        if matches!(&self.update, Update::Sent(_, sent) if *sent == id) {
            let (_, most) = RETRY;
            self.update = Update::Waits(now + most);
        }
    }
}
