//! Whose doing it is that a server reports other instructions than before: that of an update which the call
//! knows, or that of somebody else.
//!
//! The rule kept here: the report that answers an update, and those with which a session begins, follow from
//! what the call was asked, whatever words the server makes of it. Any other change is somebody's: a raw
//! `session.update` of the application, or an update that was acknowledged after its deadline.

/// What a server reported of the instructions.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    /// The latest report.
    last: Option<String>,
    /// The latest report of the session before, while a session begins.
    before: Option<String>,
    due: Due,
    /// Whether an update may have had its deadline before it was acknowledged.
    in_doubt: bool,
}

/// Which reports follow from what the call was asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Due {
    /// None.
    #[default]
    Nothing,
    /// The next one.
    Answer,
    /// All, until the session serves.
    Beginning,
}

impl Reports {
    /// A session begins.
    pub(super) fn begin(&mut self) {
        if self.due != Due::Beginning {
            self.before = self.last.take();
        }
        self.due = Due::Beginning;
    }

    /// The conversation asks for instructions: nothing that was asked for before holds.
    pub(super) const fn overrule(&mut self) {
        self.in_doubt = false;
    }

    /// An update was acknowledged. Its report comes next.
    pub(super) const fn answered(&mut self, sets_instructions: bool) {
        if !matches!(self.due, Due::Beginning) {
            self.due = Due::Answer;
        }
        self.in_doubt &= !sets_instructions;
    }

    /// A command of somebody else's had its deadline. It may have been an update.
    pub(super) const fn timed_out(&mut self) {
        self.in_doubt = true;
    }

    /// An update of the conversation's had its deadline. Its report may still come.
    pub(super) const fn own_timed_out(&mut self) {
        if !matches!(self.due, Due::Beginning) {
            self.due = Due::Answer;
        }
    }

    /// The server reports these. Returns whether somebody has changed them.
    pub(super) fn report(&mut self, instructions: &str) -> bool {
        let is_other = self.last.as_ref().is_some_and(|last| last != instructions);
        let is_somebodys = is_other && self.due == Due::Nothing;
        if self.due == Due::Answer {
            self.due = Due::Nothing;
        }
        if is_other || self.last.is_none() {
            self.last = Some(instructions.to_owned());
        }
        is_somebodys
    }

    /// The session serves. Returns the instructions that it was told in place of earlier ones, if an update
    /// in doubt may be the reason: the call tells them to the next session.
    pub(super) fn serves(&mut self) -> Option<String> {
        if self.due != Due::Beginning {
            return None;
        }
        self.due = Due::Nothing;
        let (before, in_doubt) = (self.before.take(), std::mem::take(&mut self.in_doubt));
        let is_other = before.is_some() && before != self.last;
        self.last.clone().filter(|_| in_doubt && is_other)
    }
}
