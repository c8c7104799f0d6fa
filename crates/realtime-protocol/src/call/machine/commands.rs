//! Commands that may outlive their connection. Each is settled once, by the session that finally serves it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::call::machine::blame::{Loss, refused};
use crate::call::machine::functions::Functions;
use crate::call::suspended::SuspendedCommand;
use crate::call::{Command, CommandId, Outcome, Refusal};
use crate::id::ItemId;
use crate::item::Item;

/// Commands that may wait for a connection.
const MOST_WAITING: usize = 1024;

/// The total size of commands that may wait for a connection (bytes of JSON): two of the largest events.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// Unsettled commands that another session can serve, oldest first.
#[derive(Debug, Default)]
pub(super) struct Commands(VecDeque<Pending>);

#[derive(Debug)]
struct Pending {
    id: CommandId,
    command: Command,
    /// Whether it waits for a session, and no session knows of it.
    waits: bool,
    /// Its size while it waits (bytes of JSON).
    bytes: usize,
    /// The number of ended connections on which it was sent.
    sent: u8,
    /// Whether it waits although it was sent: the server may have it.
    may_have_arrived: bool,
}

/// What becomes of a command whose connection ended before it was answered.
#[derive(Debug)]
pub(super) enum Carry {
    /// It waits for the next connection.
    Waits,
    /// It ended with its connection.
    Ends,
    /// It could be sent again, but is given up.
    GivenUp(Outcome, Command),
}

/// Returns whether another session can serve a command. Other commands concern things that end with their
/// connection.
pub(super) const fn can_be_carried(command: &Command) -> bool {
    matches!(
        command,
        Command::CreateItem { .. } | Command::CreateResponse { .. } | Command::UpdateConfig { .. }
    )
}

impl Commands {
    /// A session took a command.
    pub(super) fn sent(&mut self, id: CommandId, command: Command) {
        self.0.push_back(Pending { id, command, waits: false, bytes: 0, sent: 0, may_have_arrived: false });
    }

    /// A command waits for a session.
    pub(super) fn wait(&mut self, id: CommandId, command: Command) {
        let (bytes, command) = (command.size(), without_place(command));
        self.0.push_back(Pending { id, command, waits: true, bytes, sent: 0, may_have_arrived: false });
    }

    /// Why this command may not wait, if so.
    pub(super) fn refuses(&self, command: &Command) -> Option<Refusal> {
        let waiting = self.waiting().count();
        if waiting >= MOST_WAITING {
            return Some(Refusal::TooManyWaiting { waiting });
        }
        let (what, limit, unit) = ("all that waits for a connection", MOST_BYTES, "bytes");
        let got = self.waiting_bytes() + command.size();
        (got > limit).then_some(Refusal::TooLarge { what, limit, got, unit })
    }

    /// A command is settled.
    pub(super) fn take(&mut self, id: CommandId) -> Option<Command> {
        let index = self.0.iter().position(|pending| pending.id == id)?;
        self.0.remove(index).map(|pending| pending.command)
    }

    /// The session ended before it answered.
    pub(super) fn carry(&mut self, id: CommandId, calls: &Functions, loss: &Loss) -> Carry {
        let Some(index) = self.0.iter().position(|pending| pending.id == id) else { return Carry::Ends };
        let waiting = self.waiting_bytes();
        let Some(mut pending) = self.0.remove(index) else { return Carry::Ends };
        if answers_a_call(&pending.command, calls) {
            return Carry::Ends; // the call ended with its connection
        }
        pending.may_have_arrived |= loss.was_sent(id);
        if loss.was_sent(id) {
            if loss.attaches {
                return Carry::Ends; // the conversation may have it
            }
            pending.sent += u8::from(loss.is_death());
            if loss.gives_up(pending.sent) {
                return Carry::GivenUp(loss.refusal(pending.sent), pending.command);
            }
        }
        let bytes = pending.command.size();
        if waiting + bytes > MOST_BYTES {
            let message = alloc::format!("more than {MOST_BYTES} bytes wait for another connection");
            return Carry::GivenUp(refused(message), pending.command);
        }
        let command = without_place(pending.command);
        self.0.insert(index, Pending { command, waits: true, bytes, ..pending });
        Carry::Waits
    }

    /// Returns whether one of them changes the instructions.
    pub(super) fn change_instructions(&self) -> bool {
        self.0.iter().any(|pending| match &pending.command {
            Command::UpdateConfig { config } => !config.instructions.is_absent(),
            _ => false,
        })
    }

    /// The ids that the application gave to items that wait.
    pub(super) fn item_ids(&self) -> Vec<ItemId> {
        self.waiting().filter_map(|pending| item_id(&pending.command)).collect()
    }

    /// Takes out the command that waits to create an item, and whether it asks for a response.
    pub(super) fn take_item(&mut self, item: &ItemId) -> Option<(CommandId, bool)> {
        let creates = |pending: &Pending| pending.waits && item_id(&pending.command).as_ref() == Some(item);
        let index = self.0.iter().position(creates)?;
        let Pending { id, command, .. } = self.0.remove(index)?;
        Some((id, matches!(command, Command::CreateItem { respond: true, .. })))
    }

    /// All that waits goes to a session now.
    pub(super) fn release(&mut self) -> Vec<(CommandId, Command)> {
        let waiting = self.0.iter_mut().filter(|pending| pending.waits);
        waiting
            .map(|pending| {
                pending.waits = false;
                pending.may_have_arrived = false;
                (pending.id, pending.command.clone())
            })
            .collect()
    }

    fn waiting(&self) -> impl Iterator<Item = &Pending> {
        self.0.iter().filter(|pending| pending.waits)
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting().map(|pending| pending.bytes).sum()
    }

    /// All of them, to be moved to another process.
    pub(super) fn suspend(&mut self) -> Vec<SuspendedCommand> {
        let commands = core::mem::take(&mut self.0).into_iter();
        commands
            .map(|Pending { id, command, sent, may_have_arrived, .. }| SuspendedCommand {
                id,
                command,
                sent,
                may_have_arrived,
            })
            .collect()
    }

    /// Those of a call that was suspended: all wait.
    pub(super) fn resume(commands: Vec<SuspendedCommand>) -> Self {
        let waiting = commands.into_iter().filter(|suspended| can_be_carried(&suspended.command));
        let pending = waiting.map(|SuspendedCommand { id, command, sent, may_have_arrived }| Pending {
            id,
            bytes: command.size(),
            command,
            waits: true,
            sent,
            may_have_arrived,
        });
        Self(pending.take(MOST_WAITING).collect())
    }

    /// Takes out those that the conversation may have already.
    pub(super) fn take_arrived(&mut self) -> Vec<CommandId> {
        let (arrived, waiting): (VecDeque<_>, VecDeque<_>) =
            core::mem::take(&mut self.0).into_iter().partition(|pending| pending.may_have_arrived);
        self.0 = waiting;
        arrived.into_iter().map(|pending| pending.id).collect()
    }

    /// All that waits, at the end.
    pub(super) fn end(&mut self) -> Vec<CommandId> {
        core::mem::take(&mut self.0).into_iter().map(|pending| pending.id).collect()
    }
}

/// The id that the application gave to the item that a command creates.
pub(super) fn item_id(command: &Command) -> Option<ItemId> {
    match command {
        Command::CreateItem { item, .. } => item.id(),
        _ => None,
    }
}

/// The items before it are of another conversation.
fn without_place(mut command: Command) -> Command {
    if let Command::CreateItem { after, .. } = &mut command
        && after.as_ref().is_some_and(|after| after.as_str() != "root")
    {
        *after = None;
    }
    command
}

fn answers_a_call(command: &Command, calls: &Functions) -> bool {
    let Command::CreateItem { item, .. } = command else { return false };
    let Item::FunctionCallOutput(output) = &**item else { return false };
    output.call_id.value().is_some_and(|call_id| calls.is_known(call_id))
}
