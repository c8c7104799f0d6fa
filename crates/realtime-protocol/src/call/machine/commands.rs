//! Commands that may outlive their connection: each is settled once, by whichever session serves it in the end.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::call::machine::functions::Functions;
use crate::call::{Command, CommandId};
use crate::id::ItemId;
use crate::item::Item;

/// Commands that may wait for a connection.
const MOST_WAITING: usize = 1024;

/// Commands that are not settled and that another session can serve, oldest first.
#[derive(Debug, Default)]
pub(super) struct Commands(VecDeque<Pending>);

#[derive(Debug)]
struct Pending {
    id: CommandId,
    command: Command,
    /// Whether it waits for a session, and no session knows of it.
    waits: bool,
}

/// Whether another session can serve a command. The others are about things that end with their connection.
pub(super) const fn can_be_carried(command: &Command) -> bool {
    matches!(
        command,
        Command::CreateItem { .. } | Command::CreateResponse { .. } | Command::UpdateConfig { .. }
    )
}

impl Commands {
    /// A session took a command.
    pub(super) fn sent(&mut self, id: CommandId, command: Command) {
        self.0.push_back(Pending { id, command, waits: false });
    }

    /// A command waits for a session.
    pub(super) fn wait(&mut self, id: CommandId, command: Command) {
        let command = without_place(command);
        self.0.push_back(Pending { id, command, waits: true });
    }

    /// How many wait, if those are too many.
    pub(super) fn too_many(&self) -> Option<usize> {
        let waiting = self.0.iter().filter(|pending| pending.waits).count();
        (waiting >= MOST_WAITING).then_some(waiting)
    }

    /// A command is settled.
    pub(super) fn take(&mut self, id: CommandId) -> Option<Command> {
        let index = self.0.iter().position(|pending| pending.id == id)?;
        self.0.remove(index).map(|pending| pending.command)
    }

    /// The session ended before it answered: whether the command waits for the next one.
    pub(super) fn carry(&mut self, id: CommandId, calls: &Functions) -> bool {
        let Some(index) = self.0.iter().position(|pending| pending.id == id) else { return false };
        let Some(Pending { id, command, .. }) = self.0.remove(index) else { return false };
        if answers_a_call(&command, calls) {
            return false; // the call ended with its connection
        }
        self.0.insert(index, Pending { id, command: without_place(command), waits: true });
        true
    }

    /// The ids that the application gave to items that wait.
    pub(super) fn item_ids(&self) -> Vec<ItemId> {
        self.0
            .iter()
            .filter(|pending| pending.waits)
            .filter_map(|pending| item_id(&pending.command))
            .collect()
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
                (pending.id, pending.command.clone())
            })
            .collect()
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
