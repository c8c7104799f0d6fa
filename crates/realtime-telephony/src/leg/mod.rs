//! A carrier's stream that one process holds while others serve its call: [`Leg`].
//!
//! A carrier's socket is lost with the process that has it, and the call with the socket. A leg is a process
//! that has the socket and nothing else, so that who serves the call may be lost: the *owner* dials the leg,
//! and the next owner does so after it. Both sides speak the carrier's own messages, which pass as they are.
//! A [`MediaStream`](crate::MediaStream) serves the owner's side as if it had the carrier's socket.
//!
//! | | the leg |
//! |---|---|
//! | the carrier begins | keeps its messages up to the start, and gives them to each new owner first |
//! | an owner comes | lets the one with the highest epoch in, and sends an older one away |
//! | an owner comes to wait | lets it in once the one that it waits for has gone: a call that moves |
//! | an owner is lost | keeps the last 2 s of the caller, all keys, and the end, for the next owner |
//! | nobody owns the call for 20 s | ends it |
//! | the owner closes its socket in order | ends the call: the owner says that it is over |
//! | the carrier ends the call | tells the owner, as the carrier would |
//!
//! The rule kept here: what the owner before was sent back by the carrier, such as a mark, is nobody's. Give
//! each owner a [`mark_prefix`](crate::StreamOptions::mark_prefix) of its own.

mod event;
mod kept;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use realtime_protocol::time::Timestamp;

use crate::carrier::{Carrier, Read};
use crate::kind::CarrierKind;
use crate::leg::kept::Kept;
use crate::options::StreamOptions;

pub use event::{
    Coming, Dismissal, LegCounts, LegEnd, LegMessage, LegOptions, LegOutput, NotLetIn, Numbered, OwnerId,
};

/// The most messages of a carrier before its start, and their bytes in all.
const MOST_BEFORE: (usize, usize) = (16, 64 * 1024);

/// A carrier's stream and who serves it. It does no I/O: a driver gives it what comes and the time, takes
/// outputs until there is none, and calls [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) says so. `handle_*` never fails.
#[derive(Debug)]
pub struct Leg {
    carrier: Box<dyn Carrier>,
    options: LegOptions,
    phase: Phase,
    /// The carrier's messages up to the start.
    first: Vec<LegMessage>,
    kept: Kept,
    owner: Option<Owner>,
    /// Who is let in next.
    next: Option<Owner>,
    /// The newest epoch that was let in.
    newest: u64,
    sockets: u64,
    counts: LegCounts,
    outputs: VecDeque<LegOutput>,
    /// Kept for its memory.
    reads: Vec<Read>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// No start has come.
    Waiting {
        until: Timestamp,
    },
    /// The call goes on. `vacant`: since when it has no owner.
    Open {
        vacant: Option<Timestamp>,
    },
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    id: OwnerId,
    epoch: u64,
}

impl Leg {
    /// A leg whose carrier's socket is open since `now`.
    ///
    /// # Errors
    /// [`Numbered`] for Genesys: serve its calls where its socket is.
    pub fn new(now: Timestamp, kind: CarrierKind, options: LegOptions) -> Result<Self, Numbered> {
        if kind == CarrierKind::Genesys {
            return Err(Numbered(kind));
        }
        Ok(Self {
            carrier: kind.carrier(&StreamOptions::default()),
            phase: Phase::Waiting { until: now + options.start_within },
            first: Vec::new(),
            kept: Kept::new(options.kept_audio),
            options,
            owner: None,
            next: None,
            newest: 0,
            sockets: 0,
            counts: LegCounts::default(),
            outputs: VecDeque::new(),
            reads: Vec::new(),
        })
    }

    /// The carrier sent a message.
    pub fn handle_carrier(&mut self, now: Timestamp, message: LegMessage) {
        if self.phase == Phase::Over {
            return;
        }
        let mut reads = std::mem::take(&mut self.reads);
        reads.clear();
        // What is odd passes, too: it is the owner's stream that counts it.
        let _ = self.carrier.read(message.incoming(), &mut reads);
        match self.phase {
            Phase::Waiting { .. } => self.begin(now, message, &mut reads),
            Phase::Open { .. } => self.pass_on(now, message, &reads),
            Phase::Over => {}
        }
        self.reads = reads;
    }

    /// The carrier closed its socket, or the socket was lost: that is how a caller hangs up.
    pub fn handle_carrier_closed(&mut self) {
        self.end(LegEnd::ByCarrier);
    }

    /// An owner has opened a socket, and has shown the call's secret.
    ///
    /// # Errors
    /// [`NotLetIn`]: close the socket, and say why.
    pub fn let_in(&mut self, now: Timestamp, epoch: u64, coming: Coming) -> Result<OwnerId, NotLetIn> {
        if !matches!(self.phase, Phase::Open { .. }) {
            return Err(NotLetIn::NotOpen);
        }
        let newest = self.next.map_or(self.newest, |next| next.epoch.max(self.newest));
        if epoch < newest && (epoch < self.newest || coming == Coming::Next) {
            return Err(NotLetIn::Older { newest, got: epoch });
        }
        let id = OwnerId(self.sockets);
        self.sockets += 1;
        let comer = Owner { id, epoch };
        let waits = coming == Coming::Next && self.owner.is_some_and(|owner| owner.epoch < epoch);
        let gone = if waits { self.next.replace(comer) } else { self.owner.take() };
        if let Some(gone) = gone {
            self.outputs.push_back(LegOutput::Dismiss(gone.id, Dismissal::Replaced));
        }
        for message in &self.first {
            self.outputs.push_back(LegOutput::ToOwner(id, message.clone()));
        }
        if waits {
            // What the caller begins to say while the call moves is the next owner's.
            self.kept.clear();
        } else {
            self.next.take_if(|next| next.epoch <= epoch).inspect(|next| {
                self.outputs.push_back(LegOutput::Dismiss(next.id, Dismissal::Replaced));
            });
            self.enter(now, comer);
        }
        Ok(id)
    }

    /// An owner sent a message.
    pub fn handle_owner(&mut self, id: OwnerId, message: LegMessage) {
        if self.owner.is_some_and(|owner| owner.id == id) {
            self.outputs.push_back(LegOutput::ToCarrier(message));
        } else {
            self.counts.unheard += 1;
        }
    }

    /// An owner's socket was closed. `is_over`: in order, which says that the call is over.
    pub fn handle_owner_closed(&mut self, now: Timestamp, id: OwnerId, is_over: bool) {
        if self.next.take_if(|next| next.id == id).is_some() && self.owner.is_some() {
            // Its owner has heard all of it.
            self.kept.clear();
        }
        if self.owner.take_if(|owner| owner.id == id).is_none() || self.phase == Phase::Over {
            return;
        }
        if is_over {
            return self.end(LegEnd::ByOwner);
        }
        match self.next.take() {
            Some(next) => self.enter(now, next),
            None => self.phase = Phase::Open { vacant: Some(now) },
        }
    }

    /// Ends the call: there is no owner to be had, or the process ends.
    pub fn hang_up(&mut self) {
        self.end(LegEnd::HungUp);
    }

    /// Time passed. A call that is early does nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.poll_timeout().is_some_and(|until| until <= now) {
            match self.phase {
                Phase::Waiting { .. } => self.end(LegEnd::NoStart),
                Phase::Open { .. } => self.end(LegEnd::NoOwner),
                Phase::Over => {}
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Open { vacant } => vacant.map(|since| since + self.options.owner_within),
            Phase::Over => None,
        }
    }

    /// The oldest output that was not taken.
    pub fn poll_output(&mut self) -> Option<LegOutput> {
        self.outputs.pop_front()
    }

    /// What was counted so far.
    pub const fn counts(&self) -> LegCounts {
        let (dropped_audio, dropped_others) = self.kept.dropped();
        LegCounts { dropped_audio, dropped_others, ..self.counts }
    }

    /// Which carrier it is.
    pub fn kind(&self) -> CarrierKind {
        self.carrier.kind()
    }

    fn begin(&mut self, now: Timestamp, message: LegMessage, reads: &mut Vec<Read>) {
        self.first.push(message);
        let start = reads.drain(..).find_map(|read| match read {
            Read::Started(start) => Some(start),
            _ => None,
        });
        if let Some(start) = start {
            self.phase = Phase::Open { vacant: Some(now) };
            self.outputs.push_back(LegOutput::Started(Box::new(start.call)));
            return;
        }
        let (most, bytes) = MOST_BEFORE;
        if self.first.len() > most || self.first.iter().map(LegMessage::len).sum::<usize>() > bytes {
            self.end(LegEnd::NoStart);
        }
    }

    fn pass_on(&mut self, now: Timestamp, message: LegMessage, reads: &[Read]) {
        match (self.owner, self.next) {
            (Some(owner), None) => self.outputs.push_back(LegOutput::ToOwner(owner.id, message)),
            (Some(owner), Some(_)) => {
                self.outputs.push_back(LegOutput::ToOwner(owner.id, message.clone()));
                self.kept.keep(now, message, reads);
            }
            (None, _) => self.kept.keep(now, message, reads),
        }
    }

    /// The call is this one's.
    fn enter(&mut self, now: Timestamp, owner: Owner) {
        self.owner = Some(owner);
        self.newest = owner.epoch;
        self.counts.owners += 1;
        self.phase = Phase::Open { vacant: None };
        for message in self.kept.take(now) {
            self.outputs.push_back(LegOutput::ToOwner(owner.id, message));
        }
    }

    fn end(&mut self, why: LegEnd) {
        if self.phase == Phase::Over {
            return;
        }
        self.phase = Phase::Over;
        self.kept.clear();
        for owner in self.owner.take().into_iter().chain(self.next.take()) {
            self.outputs.push_back(LegOutput::Dismiss(owner.id, Dismissal::Over));
        }
        self.outputs.push_back(LegOutput::Ended(why));
    }
}
