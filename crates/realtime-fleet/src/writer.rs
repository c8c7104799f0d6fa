//! One author's lines into one call's journal, one at a time: [`Writer`].
//!
//! The rule kept here: an answer that does not come, and a refusal, say nothing by themselves. The journal is
//! read back, and what stands there decides:
//!
//! | what stands there | then |
//! |---|---|
//! | this very line | it is written |
//! | not this line, and it may still come next | it is sent again, behind what stands there |
//! | a line of another owner | the author is fenced off: it never writes again |

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::id::{Sequence, WorkerId};
use crate::line::{Entry, Line};
use crate::record::{CallRecord, LineError};

/// Lines that may wait. More is a mistake of the application: functions are far fewer.
const WAITING: usize = 1024;
/// How long the writer waits before it asks again.
const AGAIN: Duration = Duration::from_millis(100);

/// What is to be asked of the engine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Append this line behind that one.
    Append(Sequence, Entry),
    /// Read the journal.
    Read,
}

/// What came of a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Written {
    /// It is in the journal.
    Line(Line),
    /// It may not come next.
    Refused(Line, LineError),
    /// The call has another owner, or is over.
    Fenced,
}

#[derive(Clone, Debug)]
enum State {
    Idle,
    /// A line is to be sent again.
    Again(Entry),
    /// A line is on its way, behind the record's fence.
    Sent(Entry),
    /// It is not known whether a line arrived; the journal is to be read at that time.
    Doubting(Entry, Timestamp),
    /// The journal is being read.
    Reading(Entry),
    Fenced,
}

#[derive(Clone, Debug)]
pub(crate) struct Writer {
    by: WorkerId,
    record: CallRecord,
    n: u64,
    waiting: VecDeque<Line>,
    state: State,
}

impl Writer {
    /// Writes behind what this record says.
    pub(crate) const fn new(by: WorkerId, record: CallRecord) -> Self {
        Self { by, record, n: 0, waiting: VecDeque::new(), state: State::Idle }
    }

    /// Writes this line after those that wait. Returns whether there was room.
    pub(crate) fn push(&mut self, line: Line) -> bool {
        if matches!(self.state, State::Fenced) || self.waiting.len() >= WAITING {
            return false;
        }
        if let Line::Snap { .. } = line {
            // The newest wins, if nothing that stands between needs the one before.
            if let Some(Line::Snap { .. }) = self.waiting.back() {
                self.waiting.pop_back();
            }
        }
        self.waiting.push_back(line);
        true
    }

    /// The author goes on under a new name, as the next owner: that line comes before all that wait. Of a
    /// call whose first line waits, it is the first owner by its new name.
    pub(crate) fn rename(&mut self, by: WorkerId, owner: Line) {
        let first = self.waiting.iter_mut().find_map(|line| match line {
            Line::Placed { worker, .. } => Some(worker),
            _ => None,
        });
        match first {
            Some(worker) => worker.clone_from(&by),
            None => {
                self.waiting.retain(|line| !matches!(line, Line::Owner { .. }));
                self.waiting.push_front(owner);
            }
        }
        self.by = by;
    }

    /// What to ask next. It is under way from then on.
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<Result<Step, Written>> {
        match &self.state {
            State::Idle => {
                let line = self.waiting.pop_front()?;
                let line = self.complete(line);
                if let Err(error) = self.record.check(&self.by, &line) {
                    return Some(Err(Written::Refused(line, error)));
                }
                let entry = Entry { by: self.by.clone(), n: self.n, line };
                self.n += 1;
                Some(Ok(self.send(entry)))
            }
            State::Again(entry) => Some(Ok(self.send(entry.clone()))),
            State::Doubting(entry, at) if *at <= now => {
                self.state = State::Reading(entry.clone());
                Some(Ok(Step::Read))
            }
            State::Sent(_) | State::Doubting(..) | State::Reading(_) | State::Fenced => None,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::Doubting(_, at) => Some(*at),
            State::Idle | State::Again(_) | State::Sent(_) | State::Reading(_) | State::Fenced => None,
        }
    }

    pub(crate) fn handle_appended(&mut self, sequence: Sequence) -> Option<Written> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Sent(entry) => Some(self.wrote(sequence, entry)),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// The line was refused, or nobody answered.
    pub(crate) fn handle_unclear(&mut self, now: Timestamp) {
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Sent(entry) => State::Doubting(entry, now),
            State::Reading(entry) => State::Doubting(entry, now + AGAIN),
            other => other,
        };
    }

    pub(crate) fn handle_read(&mut self, now: Timestamp, lines: &[(Sequence, Entry)]) -> Option<Written> {
        let State::Reading(entry) = &self.state else { return None };
        let entry = entry.clone();
        let found = lines.iter().find(|(_, line)| line.by == entry.by && line.n == entry.n);
        let found = found.map(|(sequence, _)| *sequence);
        let record = CallRecord::fold(lines);
        match found {
            // It was the last thing that this author wrote: anything after it is another owner's.
            Some(sequence) if sequence == record.fence() => {
                self.state = State::Idle;
                self.record = record;
                Some(Written::Line(entry.line))
            }
            None if record.check(&entry.by, &entry.line).is_ok() && !self.is_older(&record, &entry) => {
                self.record = record;
                self.state = State::Again(entry);
                None
            }
            // A copy of the journal that is behind what this author has seen.
            None if record.fence() < self.record.fence() => {
                self.state = State::Doubting(entry, now + AGAIN);
                None
            }
            Some(_) | None => {
                self.state = State::Fenced;
                self.waiting.clear();
                Some(Written::Fenced)
            }
        }
    }

    pub(crate) const fn record(&self) -> &CallRecord {
        &self.record
    }

    /// Returns whether nothing waits and nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && matches!(self.state, State::Idle | State::Fenced)
    }

    fn send(&mut self, entry: Entry) -> Step {
        self.state = State::Sent(entry.clone());
        Step::Append(self.record.fence(), entry)
    }

    fn wrote(&mut self, sequence: Sequence, entry: Entry) -> Written {
        self.record
            .apply(sequence, &entry)
            .expect("it was checked before it was sent, and nothing came since");
        Written::Line(entry.line)
    }

    /// An owner line goes behind the very line that its author had read: what came since may have another
    /// meaning.
    fn is_older(&self, record: &CallRecord, entry: &Entry) -> bool {
        matches!(entry.line, Line::Owner { .. }) && record.fence() != self.record.fence()
    }

    /// A snapshot carries the functions, and an owner its epoch, as they stand when the line is written.
    fn complete(&self, line: Line) -> Line {
        match line {
            Line::Owner { worker, why, .. } => Line::Owner { worker, epoch: self.record.epoch() + 1, why },
            Line::Snap { v, body, .. } => Line::Snap { v, body, claims: self.record.claims() },
            line => line,
        }
    }
}

#[cfg(test)]
mod tests;
