//! What waits between a machine and those on either side of it, and what is dropped there.
//!
//! A driver never waits. What a connection does not take yet is kept in an [`Outbox`], what the application
//! has not read yet in an [`Inbox`], and a [`Pulse`] tells a quiet connection from a dead one. All three take
//! the time as an argument and do nothing on their own.
//!
//! Only audio is dropped while a call runs, the oldest first. Whatever is dropped comes out as a
//! [`Shortfall`]: hand it to the machine, which keeps its ledgers right and tells the application.

mod inbox;
mod lanes;
mod outbox;
mod pulse;
mod shortfall;
#[cfg(test)]
mod tests;

pub use inbox::{Inbox, InboxBounds};
pub use outbox::{Outbox, OutboxBounds};
pub use pulse::{Beat, Pulse};
pub use shortfall::Shortfall;
