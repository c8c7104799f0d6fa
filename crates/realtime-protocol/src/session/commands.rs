//! Carrying out commands: what is refused at once, what is held until the session is ready, what is sent.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

use crate::call::{
    CloseReason, Command, CommandError, CommandId, Event, FunctionCall, FunctionEnd, FunctionOutput, Outcome,
    Refusal, Warning,
};
use crate::check::{LARGEST_EVENT, LONGEST_ITEM_ID};
use crate::event::{
    ClientEvent, ConversationItemCreate, ConversationItemDelete, ConversationItemRetrieve,
    InputAudioBufferClear, InputAudioBufferCommit, ResponseCancel,
};
use crate::field::Field;
use crate::id::{ItemId, ResponseId};
use crate::item::{Item, Role};
use crate::session::answers::Await;
use crate::session::deadlines::Answer;
use crate::session::function_calls::Progress;
use crate::session::held::Waiting;
use crate::session::input_audio::SHORTEST_COMMIT;
use crate::session::interruption::By;
use crate::session::options::{Begin, FollowUp};
use crate::session::retrievals::Retrievals;
use crate::session::sequencer::{Request, forces};
use crate::session::state::State;
use crate::session::{MOST_HELD_COMMANDS, Session};
use crate::tool::{ToolChoice, ToolMode};

impl Session {
    pub(super) fn on_command(&mut self, id: CommandId, command: Command) -> Result<(), CommandError> {
        if let Err(reason) = self.check(&command) {
            self.note_refusal(&reason);
            return Err(CommandError { command: Box::new(command), reason });
        }
        // A turn ends when the application says so, not when the session is ready.
        if matches!(command, Command::CommitAudio { .. } | Command::ClearAudio {}) {
            self.input.end_turn();
        }
        if self.is_held(&command) {
            self.held.push(id, command);
        } else {
            self.carry_out(id, command);
        }
        Ok(())
    }

    /// Returns whether a command must wait for the session to be ready.
    fn is_held(&self, command: &Command) -> bool {
        let waits = match command {
            Command::CommitAudio { .. }
            | Command::ClearAudio {}
            | Command::CreateItem { .. }
            | Command::DeleteItem { .. }
            | Command::RetrieveItem { .. }
            | Command::CancelResponse { .. }
            | Command::AnswerFunction { .. }
            | Command::SendEvent { .. } => true,
            Command::UpdateConfig { .. } => !self.joins_first_update(),
            // The sequencer holds requests.
            Command::CreateResponse { .. }
            | Command::Interrupt {}
            | Command::BargeIn {}
            | Command::Rotate { .. }
            | Command::Close {} => false,
        };
        waits && !self.state.is_ready()
    }

    /// Sends what was held, now that the session is ready.
    pub(super) fn release_held(&mut self) {
        for waiting in self.held.take() {
            match waiting {
                Waiting::Audio(audio) => self.append(audio),
                Waiting::Command(id, command) => match self.check(&command) {
                    Ok(()) => self.carry_out(id, command),
                    Err(reason) => {
                        self.note_refusal(&reason);
                        // It was taken, so it must be answered.
                        self.settle(id, Outcome::Declined { reason });
                    }
                },
            }
        }
    }

    /// The push-to-talk turn was too short: it is over nevertheless.
    fn note_refusal(&mut self, reason: &Refusal) {
        let by_turns = self.input.in_turn() || self.options.pre_roll.is_some();
        if by_turns && matches!(reason, Refusal::TooShort { .. }) {
            self.input.abandon_turn();
        }
    }

    /// Refuses a command that can't be right.
    fn check(&self, command: &Command) -> Result<(), Refusal> {
        if self.state.is_ended() {
            return Err(Refusal::Ended);
        }
        let waiting = match command {
            Command::CreateResponse { .. } => self.responses.waiting(),
            Command::UpdateConfig { .. } if self.joins_first_update() => self.updates.joined().len(),
            _ if self.is_held(command) => self.held.commands(),
            _ => 0,
        };
        if waiting >= MOST_HELD_COMMANDS {
            return Err(Refusal::TooManyWaiting { waiting });
        }
        // Audio has a limit of its own.
        if !command.is_append() {
            at_most("one event", LARGEST_EVENT - ENVELOPE, command.size(), "bytes")?;
        }
        match command {
            Command::CommitAudio { .. }
                if self.state.is_ready() && self.config.turn_detection().is_null() =>
            {
                let buffered = self.input.buffered(self.config.input_format());
                if buffered < SHORTEST_COMMIT { Err(Refusal::TooShort { buffered }) } else { Ok(()) }
            }
            Command::CreateItem { item, .. } => at_most(
                "an item id",
                LONGEST_ITEM_ID,
                item.id().map_or(0, |id| id.as_str().len()),
                "characters",
            ),
            Command::Rotate { .. } => Err(Refusal::OneConnection),
            Command::AnswerFunction { call_id, .. }
                if !self.calls.is_waiting(call_id) || self.held.answers(call_id) =>
            {
                Err(Refusal::UnknownFunction { call_id: call_id.clone() })
            }
            Command::CreateResponse { params: Some(params), .. } => Ok(params.check()?),
            Command::UpdateConfig { config } => Ok(config.check()?),
            Command::SendEvent { event } => Ok(event.check()?),
            _ => Ok(()),
        }
    }

    fn carry_out(&mut self, id: CommandId, command: Command) {
        match command {
            Command::CommitAudio { respond } => {
                self.note_user();
                let event_id = self.next_event_id();
                self.expect(Some(id), event_id.clone(), Await::Committed);
                self.send(InputAudioBufferCommit { event_id: event_id.into(), ..Default::default() });
                self.input.emptied();
                if respond {
                    self.request();
                    self.responses.turn_committed(self.now);
                }
            }
            Command::ClearAudio {} => self.clear_audio(Some(id)),
            Command::CreateItem { item, after, respond } => {
                if is_from_user(&item) {
                    self.note_user();
                }
                self.create_item(Some(id), item, after);
                if respond {
                    self.request();
                }
            }
            Command::DeleteItem { item_id } => self.delete_item(Some(id), item_id),
            Command::RetrieveItem { item_id } => {
                let deadline = self.due(Answer::ItemRetrieved);
                if self.retrievals.add(&item_id, id, deadline) {
                    let event_id = Retrievals::event_id(&item_id).into();
                    self.send(ConversationItemRetrieve { event_id, item_id, ..Default::default() });
                }
            }
            Command::CreateResponse { params, protected } => {
                self.responses.request(Request::new(params, Some(id), self.sent).protected(protected));
            }
            Command::CancelResponse { response_id } => self.cancel(Some(id), response_id),
            Command::BargeIn {} if self.is_protected() => self.settle(id, Outcome::Done),
            Command::Interrupt {} | Command::BargeIn {} => {
                self.interrupt(Some(id), By::Application);
                self.claim_speech();
            }
            Command::UpdateConfig { config } => self.update_config(id, *config),
            Command::AnswerFunction { call_id, output, respond } => {
                let Some((call, progress)) = self.calls.complete(&call_id, respond) else {
                    return self.settle(id, Outcome::Done); // checked before
                };
                self.answer_call(Some(id), call, &output, output.clone().into());
                self.go_on_after_calls(progress);
            }
            Command::SendEvent { event } => {
                if let ClientEvent::InputAudioBufferAppend(_) = *event {
                    self.note_appended(0); // not counted as buffered, as documented
                }
                self.send(*event);
                self.settle(id, Outcome::Done);
            }
            Command::Rotate { .. } => self.settle(id, Outcome::Done), // refused before
            Command::Close {} => {
                self.closing = Some(id);
                self.close(CloseReason::Requested);
            }
        }
    }

    pub(super) fn clear_audio(&mut self, id: Option<CommandId>) {
        let event_id = self.next_event_id();
        self.expect(id, event_id.clone(), Await::Cleared);
        self.send(InputAudioBufferClear { event_id: event_id.into(), ..Default::default() });
        self.input.emptied();
    }

    /// Sends an item. Gives it an id if it has none, so that its acknowledgement is recognised.
    fn create_item(&mut self, id: Option<CommandId>, mut item: Box<Item>, after: Option<ItemId>) {
        let event_id = self.next_event_id();
        if item.id().is_none() {
            item.set_id(format!("item_{:x}_{}", self.options.entropy, self.sent).into());
        }
        if let Some(item_id) = item.id() {
            if matches!(*item, Item::FunctionCall(_)) {
                self.calls.note_own(item_id.clone());
            }
            self.expect(id, event_id.clone(), Await::Added(item_id.clone()));
        } else if let Some(id) = id {
            self.settle(id, Outcome::Done); // an item of an unknown type cannot be recognised
        }
        self.tell(Event::ItemSent { item: item.clone(), after: after.clone() });
        self.send(ConversationItemCreate {
            event_id: event_id.into(),
            previous_item_id: after.map_or(Field::Absent, Field::Value),
            item,
            ..Default::default()
        });
    }

    pub(super) fn delete_item(&mut self, id: Option<CommandId>, item_id: ItemId) {
        let event_id = self.next_event_id();
        self.expect(id, event_id.clone(), Await::Deleted(item_id.clone()));
        self.send(ConversationItemDelete { event_id: event_id.into(), item_id, ..Default::default() });
    }

    /// Cancels a response, if it runs. Without an id: the one that runs in the conversation or was asked for.
    pub(super) fn cancel(&mut self, id: Option<CommandId>, response_id: Option<ResponseId>) {
        let response_id = response_id.or_else(|| self.responses.running().cloned());
        let runs = match &response_id {
            Some(response_id) => self.responses.get_mut(response_id).is_some(),
            None => self.responses.requested().is_some(),
        };
        if !runs {
            if let Some(id) = id {
                self.settle(id, Outcome::Done);
            }
            return;
        }
        let event_id = self.next_event_id();
        self.expect(id, event_id.clone(), Await::Cancelled(response_id.clone()));
        self.send(ResponseCancel {
            event_id: event_id.into(),
            response_id: response_id.map_or(Field::Absent, Field::Value),
            ..Default::default()
        });
    }

    /// Cancels what the assistant says or is asked to say in the conversation, once.
    pub(super) fn cancel_unwanted(&mut self) {
        let target = Await::Cancelled(self.responses.running().cloned());
        if !self.answers.is_awaited(&target) {
            self.cancel(None, None);
        }
    }

    /// Returns whether the first `session.update` has not been sent.
    pub(super) const fn is_unconfigured(&self) -> bool {
        matches!(self.state, State::Connecting | State::Opening { .. })
    }

    /// Returns whether a configuration joins the one that is sent first.
    pub(super) const fn joins_first_update(&self) -> bool {
        self.is_unconfigured() && matches!(self.options.begin, Begin::Configure)
    }

    /// Sends the one output of a function call.
    pub(super) fn answer_call(
        &mut self,
        id: Option<CommandId>,
        call: Arc<FunctionCall>,
        output: &FunctionOutput,
        end: FunctionEnd,
    ) {
        let item = Item::function_call_output(call.call_id.clone(), output.to_wire());
        self.create_item(id, Box::new(item), None);
        self.tell(Event::FunctionEnded { call, end });
    }

    /// Asks the model to go on, once all calls of a response are answered.
    pub(super) fn go_on_after_calls(&mut self, progress: Progress) {
        let Progress::Done { respond: true, spoke, forced } = progress else { return };
        let wanted = match self.options.follow_up {
            FollowUp::Always => true,
            FollowUp::IfSilent => !spoke,
            FollowUp::Never => false,
        };
        if !wanted {
            return;
        }
        if self.rounds >= self.options.max_rounds {
            return self.tell(Event::Warning(Warning::TooManyRounds { rounds: self.rounds }));
        }
        self.rounds += 1;
        // If forced again, the model would call again.
        let choice = &self.config.tool_choice;
        let none = choice.value() == Some(&ToolChoice::Mode(ToolMode::None));
        let auto = forces(choice) || forced && !none;
        self.responses.request(Request::follow_up(auto, self.sent));
    }

    /// The user has spoken or typed: the count of function rounds restarts.
    pub(super) const fn note_user(&mut self) {
        self.rounds = 0;
    }
}

/// Returns whether it is a user item.
pub(super) fn is_from_user(item: &Item) -> bool {
    matches!(item, Item::Message(message) if message.role.value() == Some(&Role::User))
}

/// The most that an event adds to a command's payload (bytes).
const ENVELOPE: usize = 4096;

fn at_most(what: &'static str, limit: usize, got: usize, unit: &'static str) -> Result<(), Refusal> {
    if got > limit { Err(Refusal::TooLarge { what, limit, got, unit }) } else { Ok(()) }
}
