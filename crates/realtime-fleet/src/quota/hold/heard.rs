//! What a [`Hold`] hears: answers of the engine, and hints.

use realtime_protocol::time::Timestamp;

use crate::content::Content;
use crate::engine::Answer;
use crate::id::{CallId, Sequence, WorkerId};
use crate::quota::hold::{AGAIN, AUDIT, Hold, LOOK, Other, Step, TRIES, Told};
use crate::quota::table::Table;

impl Hold {
    /// The call is over: this gateway wrote its last line.
    pub(crate) fn release(&mut self, call: &CallId) {
        self.open.remove(call);
        self.told.remove(call);
    }

    /// Something says that the call is over.
    pub(crate) fn handle_over(&mut self, now: Timestamp, call: &CallId) {
        if self.open.contains_key(call) {
            self.told.insert(call.clone(), Told { due: now, tries: 0 });
        }
    }

    /// Something says that the table is so.
    pub(crate) fn handle_table(&mut self, me: &WorkerId, table: &Table) {
        let is_known = self.known.as_ref().is_some_and(|(_, known)| known == table)
            || matches!(&self.doing, Some(Step::Write(_, written)) if written == table);
        if is_known {
            return;
        }
        self.is_stale = true;
        self.is_wanted |= table.is_wanted_besides(me);
        if table.room(self.limit) > 0 {
            self.full_until = Timestamp::ZERO;
        }
    }

    /// What was told meanwhile is lost.
    pub(crate) const fn handle_back(&mut self) {
        self.is_stale = true;
    }

    /// What was asked last is answered.
    pub(crate) fn handle_answer(&mut self, now: Timestamp, answer: Answer) {
        match (self.doing.take(), answer) {
            (Some(Step::Read), Answer::Value(found)) => self.handle_read(now, found),
            (Some(Step::Write(_, table)), Answer::Done(sequence)) => {
                self.known = Some((sequence, table));
                self.doubt = None;
            }
            // Refused, or nobody knows.
            (Some(Step::Write(..)), _) => (self.is_stale, self.asked) = (true, None),
            (Some(Step::Over(asked)), Answer::Over(over)) => self.handle_asked(now, &asked, &over),
            (Some(Step::Lease(gateway)), Answer::Value(found)) => {
                let other = match found {
                    Some(_) => Other { is_dead: false, due: now + LOOK },
                    None => Other { is_dead: true, due: now },
                };
                self.others.insert(gateway, other);
            }
            (Some(Step::Count(gateway)), Answer::Count(count)) => {
                self.others.insert(gateway.clone(), Other { is_dead: true, due: now + AUDIT });
                self.counted = Some((gateway, count));
            }
            _ => self.again = now + AGAIN,
        }
    }

    fn handle_read(&mut self, now: Timestamp, found: Option<(Sequence, Content)>) {
        let (sequence, table) = match found {
            Some((sequence, value)) => (sequence, serde_json::from_value(value.0).ok()),
            None => (Sequence::default(), Some(Table::default())),
        };
        let is_older = self.known.as_ref().is_some_and(|(known, _)| sequence < *known && sequence.0 > 0);
        match table {
            Some(table) if !is_older => {
                self.known = Some((sequence, table));
                self.is_stale = false;
            }
            // A copy of a moment ago, or a table of a later release.
            _ => self.again = now + AGAIN,
        }
    }

    fn handle_asked(&mut self, now: Timestamp, asked: &[CallId], over: &[CallId]) {
        for call in over {
            self.release(call);
        }
        for call in asked {
            if let Some(told) = self.told.get_mut(call) {
                told.tries += 1;
                told.due = now + LOOK;
                if told.tries >= TRIES {
                    self.told.remove(call); // somebody who did not own it wrote that
                }
            }
        }
    }
}
