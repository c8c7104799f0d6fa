//! What the machines ask of an engine, as values: [`Request`] and [`Answer`], and what it tells by itself:
//! [`Push`].
//!
//! An engine keeps the journals of calls and the leases of workers, and carries offers. What it must do:
//!
//! - It takes a line only behind the sequence that its author names, atomically.
//! - It takes a renewal only behind the sequence that the worker names, and ends a lease that was not
//!   renewed for as long as it lasts, by its own clock.
//! - A line that it has answered for is kept.
//! - It takes a value of a [`Key`] only behind the sequence that its author names.
//!
//! Everything else may go wrong: answers get lost ([`Answer::Unclear`]), arrive late, and reads may be of a
//! moment ago. [`memory::Memory`] is one for tests and for fleets within one process.

pub mod memory;
#[cfg(feature = "nats")]
pub(crate) mod nats;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::id::{CallId, Sequence, Tenant, WorkerId};
use crate::line::{Entry, Listed, Placing};

pub use crate::money::{Day, MoneyLimit};

/// What a request is, for its answer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

/// What a machine asks. Each is answered once, if only by [`Answer::Unclear`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// Keeps for a minute that these calls are about to be placed. Of two announcements of a call either may
    /// be kept. [`Answer::Done`].
    Announce {
        /// By which gateway.
        by: WorkerId,
        /// Which calls.
        calls: Vec<(CallId, Placing)>,
    },
    /// Appends a line to a call's journal behind this one, 0 for the first. A [`Snap`](crate::Line::Snap)
    /// replaces earlier lines that are not about owners. [`Answer::Done`] or [`Answer::Refused`].
    Append {
        /// Which call.
        call: CallId,
        /// The last line that the author knows.
        after: Sequence,
        /// The line.
        entry: Entry,
    },
    /// Reads a call's journal. [`Answer::Lines`].
    Read {
        /// Which call.
        call: CallId,
    },
    /// Lists calls that are not over. It may name too many: a call that has another owner by now.
    /// [`Answer::Calls`].
    List {
        /// Whose.
        of: Owners,
        /// In which shards.
        shards: Vec<u8>,
    },
    /// Forgets all lines of a call that is over but the last one. [`Answer::Done`].
    Forget {
        /// Which call.
        call: CallId,
    },
    /// Writes a lease behind this sequence, 0 where there is none. [`Answer::Done`] or [`Answer::Refused`].
    Renew {
        /// Whose.
        worker: WorkerId,
        /// The last renewal that the worker knows.
        after: Sequence,
        /// What others see of the worker.
        card: Card,
    },
    /// Reads a lease. [`Answer::Lease`].
    ReadLease {
        /// Whose.
        worker: WorkerId,
    },
    /// Ends a lease at once. [`Answer::Done`].
    Release {
        /// Whose.
        worker: WorkerId,
    },
    /// Writes a value behind this sequence, 0 where there is none. [`Answer::Done`] or [`Answer::Refused`].
    Put {
        /// Of what.
        key: Key,
        /// The last value that the author knows.
        after: Sequence,
        /// The value.
        value: Content,
    },
    /// Reads a value. [`Answer::Value`].
    Get {
        /// Of what.
        key: Key,
    },
    /// Asks which of these calls are over. Of those without a line they are the ones whose announcement is
    /// not kept any more, or never came. [`Answer::Over`].
    Over {
        /// Which gateway announced them.
        gateway: WorkerId,
        /// Which.
        calls: Vec<CallId>,
    },
    /// Counts the calls of a tenant that a gateway announced and that are not over. Those without a line
    /// count as long as their announcement is kept: a worker may still take them. [`Answer::Count`].
    Count {
        /// Which gateway.
        gateway: WorkerId,
        /// Whose.
        tenant: Tenant,
    },
    /// Adds up what all workers have spent for a tenant in a day. [`Answer::Spent`].
    Spent {
        /// Whose.
        tenant: Tenant,
        /// When.
        day: Day,
    },
    /// Offers a call to a worker. [`Answer::Offered`].
    Offer {
        /// To whom.
        to: WorkerId,
        /// What.
        offer: Offer,
    },
}

/// What an engine keeps besides journals and leases of workers.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Key {
    /// A gateway's lease: it ends as a worker's does.
    Gateway(WorkerId),
    /// How many calls of a tenant which gateway may have.
    Slots(Tenant),
    /// A tenant's [`MoneyLimit`].
    Money(Tenant),
    /// What a worker's calls of a tenant have cost in a day, in millionths. It is kept for some days.
    Spent {
        /// Whose.
        tenant: Tenant,
        /// When.
        day: Day,
        /// Which worker, by its first name.
        worker: WorkerId,
    },
}

/// Whose calls to list.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Owners {
    /// Those that this worker owns or owned.
    One(WorkerId),
    /// Those that were announced in the last seconds and have no line.
    Nobody,
    /// Those of all workers.
    All,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// It is done, under this sequence where one is written.
    Done(Sequence),
    /// Another line or renewal stands there.
    Refused,
    /// The journal, oldest first.
    Lines(Vec<(Sequence, Entry)>),
    /// Calls.
    Calls(Vec<Listed>),
    /// The lease's last renewal, or `None` where there is no lease.
    Lease(Option<Sequence>),
    /// A value and its sequence, or `None` where there is none.
    Value(Option<(Sequence, Content)>),
    /// The calls that are over, of those that were asked for.
    Over(Vec<CallId>),
    /// How many.
    Count(u32),
    /// What was spent, and what may be.
    Spent {
        /// In millionths.
        spent: u64,
        /// On this day.
        day: Day,
        /// The tenant's limit, if it has one.
        limit: Option<MoneyLimit>,
        /// The limit's sequence, 0 where there is none.
        after: Sequence,
    },
    /// What the worker says to an offer.
    Offered(OfferAnswer),
    /// It is not known whether it was done: no answer came in time.
    Unclear,
}

/// What an engine tells by itself. It may be lost.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Push {
    /// A worker renewed its lease.
    Renewed(WorkerId, Card),
    /// A worker's lease has ended.
    Ended(WorkerId),
    /// Somebody has written the value of this key. To gateways.
    Put(Key, Content),
    /// Somebody has written a call's last line, or tried to. To gateways.
    Over(CallId),
    /// The engine was away and is back: what it told meanwhile is lost.
    Back,
}

/// What others see of a worker.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Card {
    /// Calls that it takes in all.
    pub slots: u32,
    /// Calls that it has, with those that it is about to have.
    pub calls: u32,
    /// Whether it takes no more.
    #[serde(default)]
    pub draining: bool,
    /// The newest version of snapshots that it reads.
    #[serde(default)]
    pub reads: u32,
    /// Where it is and what it can do: `zone`, for example.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How many of its calls are whose.
    #[serde(default)]
    pub tenants: BTreeMap<Tenant, u32>,
}

impl Card {
    /// Calls that it takes besides those that it has.
    pub const fn room(&self) -> u32 {
        if self.draining { 0 } else { self.slots.saturating_sub(self.calls) }
    }
}

/// A call that waits for a worker.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Offer {
    /// Which call.
    pub call: CallId,
    /// What the worker finds.
    pub state: Offered,
}

/// In which state an offered call is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Offered {
    /// It has no line yet, and the worker's must be the first. So an offer that is answered too late, and was
    /// repeated elsewhere, takes the call from nobody.
    New {
        /// Which gateway announced it.
        gateway: WorkerId,
        /// What the gateway says of the call.
        placing: Placing,
    },
    /// Its owner's lease has ended.
    Lost {
        /// The owner.
        of: WorkerId,
    },
    /// Its owner drains, and would give it away: attach to it, and then ask the owner by `Ready`.
    Moving {
        /// The owner.
        of: WorkerId,
    },
    /// To its owner: the worker to which it was offered is attached, and asks for it.
    Ready {
        /// That worker.
        by: WorkerId,
    },
}

/// What a worker says to an offer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OfferAnswer {
    /// It will take the call.
    Taken,
    /// All its slots are taken.
    Full,
    /// It has room, but is too busy now: its tasks run late, or it has adopted many calls just now.
    Busy,
    /// It takes no more calls.
    Draining,
    /// Its own lease is in doubt.
    NoLease,
    /// It can't read the offer: a later release made it.
    Unreadable,
}
