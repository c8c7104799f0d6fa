//! What a worker is told and tells: [`Command`], [`Event`], [`Output`].

use std::sync::Arc;

use realtime_protocol::call::FunctionCall;

use crate::content::Content;
use crate::engine::{OfferAnswer, Request, RequestId};
use crate::id::{CallId, WorkerId};
use crate::ledger::OnTakeover;
use crate::line::{Placing, Why};
use crate::record::LineError;
use crate::snapshot::{Resume, Snapshot};
#[cfg(doc)]
use crate::worker::Worker;

/// A call that this worker owns.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlacedCall {
    /// Its name.
    pub id: CallId,
    /// Its owners so far, with this one.
    pub epoch: u64,
    /// Why this worker owns it.
    pub why: Why,
    /// What the gateway said of it.
    pub placing: Placing,
    /// What to go on with, if it had an owner before.
    pub resume: Option<Resume>,
}

/// What the application says of a call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// A function is to run. [`Event::Function`] says whether.
    Claim {
        /// The function call's key.
        key: String,
        /// The function's name.
        name: String,
        /// What the next owner does if there is no result.
        on_takeover: OnTakeover,
        /// The function call, for the next owner.
        call: Option<Arc<FunctionCall>>,
    },
    /// A function has run, or is given up. [`Event::Recorded`] says when the model may be told.
    Result {
        /// Its key.
        key: String,
        /// What it returned.
        output: Content,
    },
    /// The model has the output.
    Delivered {
        /// The function's key.
        key: String,
    },
    /// What the next owner would go on with. Say it whenever that has changed: it is written at a pace, and
    /// of those that wait the newest.
    Snap(Snapshot),
    /// The same, and it is written at once: the next owner would do something wrong without it.
    SnapAtOnce(Snapshot),
    /// This worker drains, and nothing is under way in the call: it may move. Say what the next owner goes on
    /// with first. If no worker takes it, nothing happens; say it again later.
    Move,
    /// The application is attached to a call that moves here ([`Why::Moved`]). [`Worker::may_act`] holds
    /// once its owner has let go.
    Ready,
    /// The call is over.
    End {
        /// Why, for people.
        why: String,
    },
}

/// What the application is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Serve this call. One that moves here is another worker's until [`Command::Ready`] is said.
    Begin(Box<PlacedCall>),
    /// What is to be done with a claimed function.
    Function {
        /// Which call.
        call: CallId,
        /// The function call's key.
        key: String,
        /// What.
        verdict: Verdict,
    },
    /// A function's result is in the journal: the model may be told.
    Recorded {
        /// Which call.
        call: CallId,
        /// The function call's key.
        key: String,
    },
    /// A snapshot can't be written: the next owner would go on with an earlier one.
    Unsaved {
        /// Which call.
        call: CallId,
        /// What is wrong with it.
        why: String,
    },
    /// The call's tenant has spent what it may for running calls today: say a last sentence, and end the
    /// call. Told once.
    Overspent {
        /// Which call.
        call: CallId,
    },
    /// Another worker is attached and takes this call over: begin nothing. Either it is `Stopped` soon, or
    /// [`Worker::may_act`] holds again.
    Paused {
        /// Which call.
        call: CallId,
    },
    /// Let go of this call without a word: somebody else has it, or it is over.
    Stopped {
        /// Which call.
        call: CallId,
    },
    /// This worker has a new life: offers come to this name now.
    Named(WorkerId),
    /// It drains, and its last call has ended.
    Drained,
}

/// What is to be done with a function.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Run it, if [`Worker::may_act`] holds at that moment.
    Run,
    /// It has run: this is what it returned.
    Answer(Content),
    /// An earlier owner claimed it. Nobody knows whether it ran: tell the model so.
    Unknown,
    /// As `Unknown`, and the user is to be asked.
    Ask,
    /// It may not run.
    Refused(LineError),
}

/// An offer that waits for its answer, as the driver counts them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct OfferId(pub u64);

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver carries out each of them")]
pub enum Output {
    /// Ask the engine.
    Request(RequestId, Request),
    /// Answer an offer.
    Reply(OfferId, OfferAnswer),
    /// Tell the application.
    Event(Event),
}
