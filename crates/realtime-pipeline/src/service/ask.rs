//! Intents become commands, and their outcomes answers.
//!
//! Messages go by way of the conversation: it is changed at once, its own edits tell the server, and the
//! intent is answered once the server has what it says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use realtime_context::{Conversation, EntryId, Message, Part, Toolbox};
use realtime_protocol::call::{Command, CommandId, Notice, Outcome};
use realtime_protocol::response::ResponseParams;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::Timestamp;

use crate::chain::{Answer, Cx, Intent, Keys, NotAsked, Ticket, UserInput};
use crate::service::Core;

/// How often it is looked for the end of edits of which no event tells.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What was asked and is not answered.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) conversation: Conversation,
    pub(super) toolbox: Toolbox,
    commands: BTreeMap<CommandId, Ticket>,
    edits: VecDeque<Edit>,
    look_at: Option<Timestamp>,
}

/// Messages on their way to the server.
#[derive(Debug)]
struct Edit {
    ticket: Ticket,
    entries: Vec<EntryId>,
    run: bool,
    /// Why the server does not have all of them.
    refused: Option<Arc<str>>,
}

impl Asking {
    pub(super) fn new(conversation: Conversation, toolbox: Toolbox) -> Self {
        let (commands, edits) = (BTreeMap::new(), VecDeque::new());
        Self { conversation, toolbox, commands, edits, look_at: None }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.commands.is_empty() && self.edits.is_empty()
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

    fn edit(&mut self, ticket: Ticket, entries: Vec<EntryId>, run: bool, cx: &Cx<'_>) {
        self.edits.push_back(Edit { ticket, entries, run, refused: None });
        self.look_at = Some(cx.now() + LOOK_AGAIN);
    }

    fn append(&mut self, ticket: Ticket, messages: Vec<Message>, run: bool, cx: &mut Cx<'_>) {
        let entries = messages.into_iter().map(|message| self.conversation.append(message)).collect();
        self.edit(ticket, entries, run, cx);
    }

    fn replace(&mut self, ticket: Ticket, messages: Vec<Message>, run: bool, cx: &mut Cx<'_>) {
        self.conversation.replace(messages);
        let entries = self.conversation.with(|log| log.entries().iter().map(|entry| entry.id()).collect());
        self.edit(ticket, entries, run, cx);
    }

    /// Answers what the server has by now.
    pub(super) fn look(&mut self, cx: &mut Cx<'_>) {
        if self.edits.is_empty() {
            return;
        }
        let (told, in_step) = (self.conversation.is_told(), self.conversation.is_in_step());
        for edit in std::mem::take(&mut self.edits) {
            match edit.refused {
                Some(reason) if told => {
                    cx.answer(edit.ticket, Answer::Refused(NotAsked::Unable { reason }));
                }
                // The request follows the messages at once: it does not wait for the server's word on them.
                None if told && edit.run => {
                    let command = Command::CreateResponse { params: None, protected: false };
                    self.give(edit.ticket, command, cx);
                }
                None if in_step => cx.answer(edit.ticket, Answer::Settled(Outcome::Done)),
                _ => self.edits.push_back(edit),
            }
        }
        if self.edits.is_empty() {
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
                self.asking.append(ticket, messages, run, cx);
            }
            Intent::Replace { messages, run } => {
                self.stopwatch.asked_if(run, cx.now());
                self.asking.replace(ticket, messages, run, cx);
            }
            Intent::Image { url, text, run } => {
                let mut parts = vec![Part::image(&*url)];
                parts.extend(text.map(|text| Part::text(&*text)));
                self.ask(
                    ticket,
                    Intent::Append { messages: vec![Message::user("").with_parts(parts)], run },
                    cx,
                );
            }
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
                cx.answer(ticket, Answer::Settled(Outcome::Done));
            }
            Intent::Interrupt => self.asking.give(ticket, Command::Interrupt {}, cx),
            Intent::PauseInput(paused) => {
                self.hearing.paused = paused;
                cx.answer(ticket, Answer::Settled(Outcome::Done));
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

    /// A command has ended.
    pub(super) fn settled(&mut self, id: CommandId, outcome: &Outcome, cx: &mut Cx<'_>) {
        if let Some(ticket) = self.asking.commands.remove(&id) {
            cx.answer(ticket, Answer::Settled(outcome.clone()));
        }
    }
}

/// What the user types and asks for becomes intents, in this order.
pub(super) fn input_of(input: &UserInput, cx: &mut Cx<'_>) {
    match input {
        UserInput::Text { text, respond } => {
            if *respond {
                cx.ask(Intent::Command(Box::new(Command::BargeIn {})));
            }
            cx.ask(Intent::Append { messages: vec![Message::user(&**text)], run: *respond });
        }
        UserInput::Stop => {
            cx.ask(Intent::Interrupt);
        }
    }
}

/// What the model is told of keys.
fn pressed(keys: &Keys) -> Message {
    Message::user(format!("[The user pressed these keys on the phone: {}]", keys.as_str()))
}
