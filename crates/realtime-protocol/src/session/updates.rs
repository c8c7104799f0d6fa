//! Pending updates of the configuration: what each still asks for, what was refused, and which commands wait
//! for the first one.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::call::{CommandId, RefusedMember};
use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::field::Field;
use crate::id::EventId;
use crate::session_config::member_path::{MemberPath, Named};
use crate::session_config::{SessionConfig, SessionKind};

/// Updates that were sent and not acknowledged, oldest first.
#[derive(Debug, Default)]
pub(super) struct Updates {
    sent: VecDeque<Update>,
    /// Commands from before the first update was sent: it carries them.
    joined: Vec<(CommandId, SessionConfig)>,
    /// The session's type in updates, in the form that the server accepts.
    pub(super) kind: Field<SessionKind>,
}

/// One update. Each time the server refuses a part, it is sent again without that part.
#[derive(Debug)]
pub(super) struct Update {
    /// The event that it was sent by last.
    pub(super) event_id: EventId,
    /// What it still asks for.
    pub(super) config: Box<SessionConfig>,
    /// What was refused.
    pub(super) refused: Vec<RefusedMember>,
    /// The same, as paths into what was asked for first.
    taken: Vec<MemberPath>,
    /// What was not sent, since it is locked.
    pub(super) locked: Vec<String>,
    /// Whether it is what the session begins with.
    pub(super) is_first: bool,
    /// The configuration without it, if it counts as applied although the server has not said so.
    pub(super) before: Option<Box<SessionConfig>>,
}

impl Updates {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    pub(super) fn push(&mut self, update: Update) {
        self.sent.push_back(update);
    }

    /// Takes out the one that was sent with this id.
    pub(super) fn take(&mut self, event_id: &EventId) -> Option<Update> {
        let index = self.sent.iter().position(|update| update.event_id == *event_id)?;
        self.sent.remove(index)
    }

    /// The first one, while it is not acknowledged.
    pub(super) fn first_mut(&mut self) -> Option<&mut Update> {
        self.sent.iter_mut().find(|update| update.is_first)
    }

    /// The updates that are on their way, oldest first.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Update> {
        self.sent.iter()
    }

    /// Returns whether this event carries one of them.
    pub(super) fn has(&self, event_id: &EventId) -> bool {
        self.sent.iter().any(|update| update.event_id == *event_id)
    }

    /// The update that an error is for if it names a member of the session and no event: only one update can
    /// be meant.
    pub(super) fn unnamed(&self, error: &ApiError) -> Option<&EventId> {
        let update = self.sent.front().filter(|_| self.sent.len() == 1)?;
        let named = Named::of(error).filter(Named::is_of_session)?;
        // A text may speak of what was not asked for.
        let is_meant = error.param.value().is_some() || update.config.take_out(&named).is_some();
        is_meant.then_some(&update.event_id)
    }

    /// A command joins the first update.
    pub(super) fn join(&mut self, id: CommandId, config: SessionConfig) {
        self.joined.push((id, config));
    }

    /// The commands that have joined it.
    pub(super) fn joined(&self) -> impl ExactSizeIterator<Item = CommandId> {
        self.joined.iter().map(|(id, _)| *id)
    }

    /// Those that have joined it, to be answered.
    pub(super) fn take_joined(&mut self) -> Vec<(CommandId, SessionConfig)> {
        core::mem::take(&mut self.joined)
    }
}

impl Update {
    /// What was asked for; `locked` was taken out of it already.
    pub(super) fn new(config: SessionConfig, locked: Vec<String>) -> Self {
        Self {
            event_id: EventId::default(),
            config: Box::new(config),
            refused: Vec::new(),
            taken: Vec::new(),
            locked,
            is_first: false,
            before: None,
        }
    }

    /// Takes out members that a dialect does not have.
    pub(super) fn put_in(mut self, dialect: Dialect) -> Self {
        for path in dialect.take_unsaid(&mut self.config) {
            let error = ApiError::default().code("unsupported").message("the dialect has no such member");
            self.taken.extend(Named::read(&path).map(|named| named.path()));
            self.refused.push(RefusedMember { path, error: error.into() });
        }
        self
    }

    /// Takes out the member that an error names. Returns whether it named one.
    pub(super) fn refuse(&mut self, error: &ApiError) -> bool {
        let Some((config, path)) = Named::of(error).and_then(|named| self.config.take_out(&named)) else {
            return false;
        };
        let path = path.before(&self.taken);
        self.refused.push(RefusedMember { path: format!("{path}"), error: error.clone().into() });
        self.taken.push(path);
        *self.config = config;
        true
    }

    /// Returns whether nothing of it is left.
    pub(super) fn is_empty(&self) -> bool {
        self.config.sets_nothing()
    }
}

/// Returns the refused members that belong to one part of the update, and that part without them.
pub(super) fn share(
    mut config: SessionConfig,
    refused: &[RefusedMember],
) -> (SessionConfig, Vec<RefusedMember>) {
    // From the end of a list, so that earlier elements keep their numbers.
    let mut order: Vec<(MemberPath, usize, Named<'_>)> = refused
        .iter()
        .enumerate()
        .filter_map(|(index, member)| Named::read(&member.path).map(|named| (named.path(), index, named)))
        .collect();
    order.sort_by(|(one, ..), (other, ..)| other.cmp(one));
    let mut its = Vec::new();
    for (_, index, named) in order {
        if let Some((left, _)) = config.take_out(&named) {
            config = left;
            its.push(index);
        }
    }
    its.sort_unstable();
    (config, its.into_iter().map(|index| refused[index].clone()).collect())
}
