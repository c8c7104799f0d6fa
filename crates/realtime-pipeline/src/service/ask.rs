//! Intents become commands, and their outcomes answers.
//!
//! Messages go by way of the conversation: it is changed at once, its own edits tell the server, and the
//! intent is answered once the server has what it says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use realtime_context::{Conversation, EntryId, Message, Part, Toolbox};
use realtime_protocol::call::{Command, CommandId, Notice, Outcome};
use realtime_protocol::response::ResponseParams;
use realtime_protocol::session_config::{Modality, SessionConfig};
use realtime_protocol::time::Timestamp;

use crate::chain::{
    Answer, Cx, FrameKind, Intent, Keys, NotAsked, PhoneAnswer, PhoneRequest, Respond, Ticket, UserInput,
};
use crate::service::Core;

/// How often it is looked for the end of edits of which no event tells.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What was asked and is not answered.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) conversation: Conversation,
    pub(super) toolbox: Toolbox,
    commands: BTreeMap<CommandId, Ticket>,
    /// What the transport was asked for.
    phone: BTreeSet<Ticket>,
    edits: VecDeque<Edit>,
    /// Changes of the toolbox that the server has not answered.
    tools: Vec<Ticket>,
    look_at: Option<Timestamp>,
}

/// Messages on their way to the server.
#[derive(Debug)]
struct Edit {
    ticket: Ticket,
    entries: Vec<EntryId>,
    then: Then,
    /// Why the server does not have all of them.
    refused: Option<Arc<str>>,
}

/// What follows messages once they are on their way.
#[derive(Debug)]
enum Then {
    Nothing,
    /// The model answers.
    Run(Option<Box<ResponseParams>>),
}

impl From<Respond> for Then {
    fn from(respond: Respond) -> Self {
        let written = || Box::new(ResponseParams::default().output_modalities(vec![Modality::Text]));
        match respond {
            Respond::Yes => Self::Run(None),
            Respond::Written => Self::Run(Some(written())),
            Respond::No => Self::Nothing,
        }
    }
}

impl Asking {
    pub(super) fn new(conversation: Conversation, toolbox: Toolbox) -> Self {
        Self {
            conversation,
            toolbox,
            commands: BTreeMap::new(),
            phone: BTreeSet::new(),
            edits: VecDeque::new(),
            tools: Vec::new(),
            look_at: None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.commands.is_empty() && self.phone.is_empty() && !self.is_looking()
    }

    fn is_looking(&self) -> bool {
        !self.edits.is_empty() || !self.tools.is_empty()
    }

    pub(super) const fn poll_timeout(&self) -> Option<Timestamp> {
        self.look_at
    }

    /// The server does not have an entry, or not all of it.
    pub(super) fn not_synced(&mut self, notice: &Notice) {
        let Notice::NotSynced { entry, reason } = notice else { return };
        let edit = self.edits.iter_mut().find(|edit| edit.entries.iter().any(|id| id.number() == *entry));
        if let Some(edit) = edit {
            edit.refused.get_or_insert_with(|| reason.as_str().into());
        }
    }

    fn give(&mut self, ticket: Ticket, command: Command, cx: &mut Cx<'_>) {
        let id = cx.command(command);
        self.commands.insert(id, ticket);
    }

    fn edit(&mut self, ticket: Ticket, entries: Vec<EntryId>, respond: Respond, cx: &Cx<'_>) {
        self.edits.push_back(Edit { ticket, entries, then: respond.into(), refused: None });
        self.look_at = Some(cx.now() + LOOK_AGAIN);
    }

    fn append(&mut self, ticket: Ticket, messages: Vec<Message>, respond: Respond, cx: &mut Cx<'_>) {
        let entries = messages.into_iter().map(|message| self.conversation.append(message)).collect();
        self.edit(ticket, entries, respond, cx);
    }

    fn replace(&mut self, ticket: Ticket, messages: Vec<Message>, run: bool, cx: &mut Cx<'_>) {
        self.conversation.replace(messages);
        let entries = self.conversation.with(|log| log.entries().iter().map(|entry| entry.id()).collect());
        self.edit(ticket, entries, run.into(), cx);
    }

    /// Answers what the server has by now.
    pub(super) fn look(&mut self, cx: &mut Cx<'_>) {
        if !self.is_looking() {
            return;
        }
        if !self.tools.is_empty()
            && let Some(outcome) = self.toolbox.declared()
        {
            for ticket in self.tools.drain(..) {
                cx.answer(ticket, Answer::Settled(outcome.clone()));
            }
        }
        let (told, in_step) = (self.conversation.is_told(), self.conversation.is_in_step());
        for edit in std::mem::take(&mut self.edits) {
            match (edit.refused, edit.then) {
                (Some(reason), _) if told => {
                    cx.answer(edit.ticket, Answer::Refused(NotAsked::Unable { reason }));
                }
                // The request follows the messages at once: it does not wait for the server's word on them.
                (None, Then::Run(params)) if told => {
                    self.give(edit.ticket, Command::CreateResponse { params, protected: false }, cx);
                }
                (None, Then::Nothing) if in_step => {
                    cx.answer(edit.ticket, Answer::Settled(Outcome::Done));
                }
                (refused, then) => self.edits.push_back(Edit { refused, then, ..edit }),
            }
        }
        if !self.is_looking() {
            self.look_at = None;
        } else if self.look_at.is_some_and(|at| at <= cx.now()) {
            self.look_at = Some(cx.now() + LOOK_AGAIN);
        }
    }
}

impl Core {
    pub(super) fn ask(&mut self, ticket: Ticket, intent: Intent, cx: &mut Cx<'_>) {
        match intent {
            Intent::Say { text } => {
                self.run(ticket, Some(Box::new(ResponseParams::saying(&text))), false, cx)
            }
            Intent::Run { params, protected } => self.run(ticket, params, protected, cx),
            Intent::Append { messages, run } => {
                self.stopwatch.asked_if(run, cx.now());
                self.asking.append(ticket, messages, run.into(), cx);
            }
            Intent::Replace { messages, run } => {
                self.stopwatch.asked_if(run, cx.now());
                self.asking.replace(ticket, messages, run, cx);
            }
            Intent::Image { url, text, run } => {
                self.ask(ticket, Intent::Append { messages: vec![shown(&url, text.as_deref())], run }, cx);
            }
            Intent::UserInput(UserInput::Text { text, respond }) => {
                self.user_says(ticket, Message::user(&*text), respond, cx);
            }
            Intent::UserInput(UserInput::Image { url, text, respond }) => {
                self.user_says(ticket, shown(&url, text.as_deref()), respond, cx);
            }
            Intent::UserInput(UserInput::Stop) => self.asking.give(ticket, Command::Interrupt {}, cx),
            Intent::Dtmf { keys, run } => {
                self.ask(ticket, Intent::Append { messages: vec![pressed(&keys)], run }, cx);
            }
            Intent::Settings(config) => self.asking.give(ticket, Command::UpdateConfig { config }, cx),
            Intent::ToolChoice(choice) => {
                let config = Box::new(SessionConfig::default().tool_choice(choice));
                self.asking.give(ticket, Command::UpdateConfig { config }, cx);
            }
            Intent::Toolbox(tools) => {
                self.asking.toolbox.replace(&tools);
                self.asking.tools.push(ticket);
                self.asking.look_at = Some(cx.now() + LOOK_AGAIN);
            }
            Intent::Interrupt => self.asking.give(ticket, Command::Interrupt {}, cx),
            Intent::PauseInput(paused) => {
                self.hearing.paused = paused;
                cx.answer(ticket, Answer::Settled(Outcome::Done));
            }
            Intent::Phone(action) => {
                self.asking.phone.insert(ticket);
                cx.push(FrameKind::PhoneRequest(PhoneRequest { ticket, action }));
            }
            Intent::Retrieve { item_id } => {
                self.asking.give(ticket, Command::RetrieveItem { item_id }, cx);
            }
            Intent::Reset => {
                self.asking.give(ticket, Command::Rotate { endpoint: None, urgent: true }, cx);
            }
            Intent::Command(command) => {
                if matches!(*command, Command::ClearAudio {}) {
                    self.hearing.forget();
                }
                if matches!(*command, Command::CommitAudio { .. }) {
                    self.hearing.end_turn(cx);
                }
                self.asking.give(ticket, *command, cx);
            }
            Intent::Raw(event) => self.asking.give(ticket, Command::SendEvent { event }, cx),
        }
    }

    fn run(&mut self, ticket: Ticket, params: Option<Box<ResponseParams>>, protected: bool, cx: &mut Cx<'_>) {
        self.stopwatch.asked_if(true, cx.now());
        self.asking.give(ticket, Command::CreateResponse { params, protected }, cx);
    }

    /// A message of the user's own. What is being said stops for its answer.
    fn user_says(&mut self, ticket: Ticket, message: Message, respond: Respond, cx: &mut Cx<'_>) {
        if respond.is_wanted() {
            cx.command(Command::BargeIn {});
        }
        self.stopwatch.asked_if(respond.is_wanted(), cx.now());
        self.asking.append(ticket, vec![message], respond, cx);
    }

    /// The transport, or a stage before it, has done what it was asked for, or has not.
    pub(super) fn phone_answered(&mut self, answer: &PhoneAnswer, cx: &mut Cx<'_>) {
        if self.asking.phone.remove(&answer.ticket) {
            let told = match &answer.done {
                Ok(()) => Answer::Settled(Outcome::Done),
                Err(reason) => Answer::Refused(NotAsked::Unable { reason: Arc::clone(reason) }),
            };
            cx.answer(answer.ticket, told);
        }
    }

    /// A command has ended.
    pub(super) fn settled(&mut self, id: CommandId, outcome: &Outcome, cx: &mut Cx<'_>) {
        if let Some(ticket) = self.asking.commands.remove(&id) {
            cx.answer(ticket, Answer::Settled(outcome.clone()));
        }
    }
}

/// The message that shows an image.
fn shown(url: &str, text: Option<&str>) -> Message {
    let parts = std::iter::once(Part::image(url)).chain(text.map(Part::text)).collect();
    Message::user("").with_parts(parts)
}

/// What the model is told of keys.
fn pressed(keys: &Keys) -> Message {
    Message::user(format!("[The user pressed these keys on the phone: {}]", keys.as_str()))
}
