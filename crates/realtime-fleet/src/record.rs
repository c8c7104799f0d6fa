//! A call's journal folded: [`CallRecord`], which says which line may come next and with which fence.
//!
//! | | `Placed` | `Owner` | `Claim`, `Result`, `Delivered`, `Snap` | `Handover` | `Ended` |
//! |---|---|---|---|---|---|
//! | `Absent` | `Owned` | | | | `Over`, by anybody |
//! | `Owned` | | `Owned` | by its owner | `Leaving`, by its owner | `Over`, by its owner |
//! | `Leaving` | | `Owned` | by its owner | | `Over`, by its owner |
//! | `Over` | | | | | |
//!
//! An empty cell is refused. The first owner's epoch is 1, and that of each next one is one more. While a
//! call is `Leaving`, a `Moved` owner is the one that was named. The engine takes a line only if its author
//! names the last sequence of the call ([`CallRecord::fence`]): of two that go on from the same line, one is
//! refused. That and not the table keeps a late author out.

use crate::id::{Sequence, WorkerId};
use crate::ledger::{Claim, Ledger, Progress};
use crate::line::{Body, Entry, Line, Placing, Why};

/// Whose a call is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ownership {
    /// It has no line: nobody owns it yet, or there is no such call.
    Absent,
    /// A worker owns it.
    Owned {
        /// Who.
        worker: WorkerId,
        /// Since which owner, counted from 1.
        epoch: u64,
    },
    /// A worker owns it and gives it away.
    Leaving {
        /// Who.
        worker: WorkerId,
        /// Since which owner.
        epoch: u64,
        /// To whom.
        to: WorkerId,
    },
    /// It has ended.
    Over,
}

/// A snapshot as it stands in the journal, of whatever version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapped {
    pub(crate) v: u32,
    pub(crate) body: Body,
}

/// What a call's journal says.
#[derive(Clone, Debug)]
pub struct CallRecord {
    fence: Sequence,
    ownership: Ownership,
    placing: Option<Placing>,
    ledger: Ledger,
    snapped: Option<Snapped>,
}

/// A line that may not come next.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The call exists already.
    #[error("the call was placed already")]
    Placed,
    /// There is no such call, or nobody owns it.
    #[error("expected a call with an owner")]
    NoOwner,
    /// The call has ended.
    #[error("the call is over")]
    Over,
    /// The author does not own the call.
    #[error("the line is not of the call's owner")]
    NotOwner,
    /// The epoch is not the next one.
    #[error("expected the owner of epoch {expected}, got {got}")]
    Epoch {
        /// The next one.
        expected: u64,
        /// The line's.
        got: u64,
    },
    /// The call is given to another worker.
    #[error("the call is given to another worker")]
    Promised,
    /// The function was claimed already: take its result from the journal.
    #[error("the function was claimed already")]
    Claimed,
    /// No such function is open.
    #[error("no such function is open")]
    Unclaimed,
    /// Too many functions are open.
    #[error("too many functions are open")]
    TooMany,
}

impl CallRecord {
    /// The record of a call that has no line yet.
    pub fn new() -> Self {
        Self {
            fence: Sequence::default(),
            ownership: Ownership::Absent,
            placing: None,
            ledger: Ledger::default(),
            snapped: None,
        }
    }

    /// Folds a journal from its beginning. Lines that the table does not allow are left out: with fences,
    /// none was written. Of a call that is over, the last line may be the only one that is kept, and of a
    /// worker that owned the call twice, the later owner's line.
    pub fn fold<'a>(lines: impl IntoIterator<Item = &'a (Sequence, Entry)>) -> Self {
        let mut record = Self::new();
        for (sequence, entry) in lines {
            let _ = record.apply(*sequence, entry);
            record.fence = *sequence;
            match &entry.line {
                Line::Ended { .. } => record.ownership = Ownership::Over,
                Line::Owner { worker, epoch, .. } if *epoch > record.epoch() && !record.is_over() => {
                    record.ownership = Ownership::Owned { worker: worker.clone(), epoch: *epoch };
                }
                _ => {}
            }
        }
        record
    }

    /// Adds the next line.
    ///
    /// # Errors
    /// [`LineError`] as [`check`](Self::check): then nothing has changed.
    pub fn apply(&mut self, sequence: Sequence, entry: &Entry) -> Result<(), LineError> {
        self.check(&entry.by, &entry.line)?;
        self.fence = sequence;
        match &entry.line {
            Line::Placed { worker, placing, .. } => {
                self.placing = Some(Placing::clone(placing));
                self.ownership = Ownership::Owned { worker: worker.clone(), epoch: 1 };
            }
            Line::Owner { worker, epoch, .. } => {
                self.ownership = Ownership::Owned { worker: worker.clone(), epoch: *epoch };
            }
            Line::Claim { key, name, on_takeover, call } => {
                self.ledger.claim(key, name, *on_takeover, call.clone());
            }
            Line::Result { key, output } => {
                self.ledger.advance(key, Progress::Done { output: output.clone() });
            }
            Line::Delivered { key } => self.ledger.advance(key, Progress::Delivered),
            Line::Snap { v, body, claims } => {
                self.snapped = Some(Snapped { v: *v, body: body.clone() });
                self.ledger = Ledger::of(claims.clone());
            }
            Line::Handover { to } => {
                if let Ownership::Owned { worker, epoch } = self.ownership.clone() {
                    self.ownership = Ownership::Leaving { worker, epoch, to: to.clone() };
                }
            }
            Line::Ended { .. } => self.ownership = Ownership::Over,
        }
        Ok(())
    }

    /// Whether this author may write this line next. Append it behind [`fence`](Self::fence).
    ///
    /// # Errors
    /// [`LineError`] says what stands against it. An author that reads so knows less than the journal does,
    /// or made a mistake: it reads the journal again, or leaves the line out.
    pub fn check(&self, by: &WorkerId, line: &Line) -> Result<(), LineError> {
        match (&self.ownership, line) {
            (Ownership::Over, _) => Err(LineError::Over),
            (Ownership::Absent, Line::Placed { .. } | Line::Ended { .. }) => Ok(()),
            (_, Line::Placed { .. }) => Err(LineError::Placed),
            (Ownership::Absent, _) => Err(LineError::NoOwner),
            (Ownership::Leaving { to, .. }, Line::Owner { worker, why: Why::Moved, .. }) if to != worker => {
                Err(LineError::Promised)
            }
            (_, Line::Owner { epoch, .. }) if *epoch == self.epoch() + 1 => Ok(()),
            (_, Line::Owner { epoch, .. }) => {
                Err(LineError::Epoch { expected: self.epoch() + 1, got: *epoch })
            }
            (Ownership::Owned { worker, .. } | Ownership::Leaving { worker, .. }, _) if worker != by => {
                Err(LineError::NotOwner)
            }
            (Ownership::Leaving { .. }, Line::Handover { .. }) => Err(LineError::Promised),
            (Ownership::Owned { .. } | Ownership::Leaving { .. }, line) => self.check_function(line),
        }
    }

    /// The sequence that the next line must follow.
    pub const fn fence(&self) -> Sequence {
        self.fence
    }

    /// Whose the call is.
    pub const fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// Its owner, if it has one.
    pub const fn owner(&self) -> Option<&WorkerId> {
        match &self.ownership {
            Ownership::Owned { worker, .. } | Ownership::Leaving { worker, .. } => Some(worker),
            Ownership::Absent | Ownership::Over => None,
        }
    }

    /// The owners so far.
    pub const fn epoch(&self) -> u64 {
        match self.ownership {
            Ownership::Owned { epoch, .. } | Ownership::Leaving { epoch, .. } => epoch,
            Ownership::Absent | Ownership::Over => 0,
        }
    }

    /// Returns whether it has ended.
    pub const fn is_over(&self) -> bool {
        matches!(self.ownership, Ownership::Over)
    }

    /// What the gateway said of it.
    pub const fn placing(&self) -> Option<&Placing> {
        self.placing.as_ref()
    }

    /// A function by its key.
    pub fn claim(&self, key: &str) -> Option<&Claim> {
        self.ledger.find(key)
    }

    /// The functions whose end the model may not know, oldest first.
    pub fn unsettled(&self) -> impl Iterator<Item = &Claim> {
        self.ledger.unsettled()
    }

    /// The functions whose end the model knows, of which the older ones are forgotten.
    pub fn delivered(&self) -> impl Iterator<Item = &Claim> {
        self.ledger.delivered()
    }

    pub(crate) const fn snapped(&self) -> Option<&Snapped> {
        self.snapped.as_ref()
    }

    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.ledger.claims()
    }

    fn check_function(&self, line: &Line) -> Result<(), LineError> {
        match line {
            Line::Claim { key, .. } if self.claim(key).is_some() => Err(LineError::Claimed),
            Line::Claim { .. } if !self.ledger.has_room() => Err(LineError::TooMany),
            Line::Result { key, .. } => match self.claim(key).map(|claim| &claim.progress) {
                Some(Progress::Claimed) => Ok(()),
                Some(Progress::Done { .. } | Progress::Delivered) | None => Err(LineError::Unclaimed),
            },
            Line::Delivered { key } => match self.claim(key).map(|claim| &claim.progress) {
                Some(Progress::Claimed | Progress::Done { .. }) => Ok(()),
                Some(Progress::Delivered) | None => Err(LineError::Unclaimed),
            },
            _ => Ok(()),
        }
    }
}

impl Default for CallRecord {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
