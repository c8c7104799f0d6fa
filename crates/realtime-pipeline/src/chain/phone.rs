//! What is asked of a phone call, and what becomes of it: [`PhoneAction`], [`PhoneRequest`], [`PhoneAnswer`].

use std::fmt;
use std::sync::Arc;

use crate::chain::intent::Ticket;
use crate::chain::payload::Keys;

/// Something to do with a phone call, once all audio before it has sounded. `Debug` shows neither numbers nor
/// keys.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum PhoneAction {
    /// Ends the run, which ends the call on any transport. A user who speaks before it is done calls it off.
    HangUp,
    /// Gives the call to somebody else. A user who speaks before it is done calls it off.
    Transfer {
        /// A number such as `+15550100001`, or the address (`https://…`) of a document that tells the carrier
        /// where, in its own words.
        to: Arc<str>,
    },
    /// Presses keys at the user's end.
    SendKeys(Keys),
}

impl PhoneAction {
    /// The action's name in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::HangUp => "hang_up",
            Self::Transfer { .. } => "transfer",
            Self::SendKeys(_) => "send_keys",
        }
    }

    /// Returns whether a user who speaks before it is done calls it off.
    pub const fn is_called_off_by_speech(&self) -> bool {
        !matches!(self, Self::SendKeys(_))
    }
}

impl fmt::Debug for PhoneAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A [`PhoneAction`] on its way to the transport, which ends it by a [`PhoneAnswer`] with the same ticket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PhoneRequest {
    /// Who asked.
    pub ticket: Ticket,
    /// What is asked for.
    pub action: PhoneAction,
}

/// What became of a [`PhoneRequest`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PhoneAnswer {
    /// The request's.
    pub ticket: Ticket,
    /// Whether it was done; else why not, and what to do, without content.
    pub done: Result<(), Arc<str>>,
}

impl PhoneRequest {
    /// Its answer: it was done, or why not.
    pub fn answer(&self, done: Result<(), impl Into<Arc<str>>>) -> PhoneAnswer {
        PhoneAnswer { ticket: self.ticket, done: done.map_err(Into::into) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_keys_do_not_show() {
        let actions = [
            PhoneAction::HangUp,
            PhoneAction::Transfer { to: "+15550100001".into() },
            PhoneAction::SendKeys(Keys::new("4711").unwrap()),
        ];
        assert_eq!(format!("{actions:?}"), "[hang_up, transfer, send_keys]");
        assert_eq!(actions.map(|action| action.is_called_off_by_speech()), [true, true, false]);
    }
}
