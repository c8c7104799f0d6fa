//! One call of a leg: a task between its carrier and its owners ([`hold`]).

use std::time::Duration;

use axum::extract::ws::{WebSocket, close_code};
use realtime_protocol::time::Timestamp;
use realtime_telephony::CarrierKind;
use realtime_telephony::carrier::CallStart;
use realtime_telephony::leg::{
    Coming, Dismissal, Leg, LegEnd, LegMessage, LegOptions, LegOutput, NotLetIn, Numbered, OwnerId,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::pump::{Read, Write, pump};

/// Messages that wait for a peer: five seconds of a carrier's.
const WAITING: usize = 256;
/// Owners that ask to be let in.
const ASKS: usize = 4;

/// What an owner is told whose place another one has. Others than this and 1000 say that the leg is lost.
pub(in crate::serve::fleet) const REPLACED: u16 = 4001;

/// Something of one of the owners' sockets.
pub(super) type FromOwner = (OwnerId, Read);

/// An owner asks to be let in.
pub(super) struct Ask {
    pub(super) epoch: u64,
    pub(super) coming: Coming,
    pub(super) answer: oneshot::Sender<Result<Seat, NotLetIn>>,
}

/// What an owner's socket is connected to. Where it is dropped, the owner counts as lost.
pub(super) struct Seat {
    id: OwnerId,
    writes: mpsc::Receiver<Write>,
    reads: mpsc::Sender<FromOwner>,
}

/// Holds a carrier's socket to the end of its call, which may have no owner for `owner_within`. `start`
/// places it once it has started: owners ask by the sender, and by the other one it says that nobody takes
/// the call. `hang_up`: whoever wants it to end.
///
/// # Errors
/// [`Numbered`]: not with this carrier.
pub(super) async fn hold(
    kind: CarrierKind,
    socket: WebSocket,
    owner_within: Duration,
    start: impl FnOnce(&CallStart, mpsc::Sender<Ask>, oneshot::Sender<()>),
    hang_up: impl Future<Output = ()>,
) -> Result<(LegEnd, Leg), Numbered> {
    let began = Instant::now();
    let mut options = LegOptions::default();
    options.owner_within = owner_within;
    let leg = Leg::new(Timestamp::ZERO, kind, options)?;
    let (to_carrier, writes) = mpsc::channel(WAITING);
    let (reads, mut from_carrier) = mpsc::channel(WAITING);
    tokio::spawn(pump(socket, writes, reads, |read| read));
    let (from_owners, mut owners_say) = mpsc::channel(WAITING);
    let (asks, mut asked) = mpsc::channel(ASKS);
    let (refuse, mut refused) = oneshot::channel();
    let carrier_room = to_carrier.clone();
    let mut line = Line { leg, began, to_carrier, owners: Vec::new(), from_owners };
    let (mut starting, mut may_be_refused) = (Some((start, asks, refuse)), true);
    tokio::pin!(hang_up);
    let (mut may_hang_up, mut is_there) = (true, true);
    loop {
        while let Some(output) = line.leg.poll_output() {
            match output {
                LegOutput::Started(call) => {
                    if let Some((start, asks, refuse)) = starting.take() {
                        start(&call, asks, refuse);
                    }
                }
                LegOutput::Ended(why) => {
                    line.close(why).await;
                    return Ok((why, line.leg));
                }
                output => line.carry_out(output),
            }
        }
        let has_room = line.to_carrier.capacity() > 0;
        let due = line.leg.poll_timeout().map(|due| began + due.saturating_since(Timestamp::ZERO));
        tokio::select! {
            read = from_carrier.recv(), if is_there => match read {
                Some(Read::Message(message)) => line.leg.handle_carrier(line.now(), message),
                Some(Read::Closed { .. }) | None => {
                    is_there = false;
                    line.leg.handle_carrier_closed();
                }
            },
            Some((id, read)) = owners_say.recv(), if has_room => line.owner_says(id, read),
            // An owner is read as fast as the carrier takes it.
            _ = carrier_room.reserve(), if !has_room => {}
            Some(ask) = asked.recv() => line.let_in(ask),
            told = &mut refused, if may_be_refused => {
                may_be_refused = false;
                if told.is_ok() {
                    line.leg.hang_up();
                }
            }
            () = &mut hang_up, if may_hang_up => {
                may_hang_up = false;
                line.leg.hang_up();
            }
            () = until(due) => line.leg.handle_timeout(line.now()),
        }
    }
}

struct Line {
    leg: Leg,
    began: Instant,
    to_carrier: mpsc::Sender<Write>,
    owners: Vec<(OwnerId, mpsc::Sender<Write>)>,
    from_owners: mpsc::Sender<FromOwner>,
}

impl Line {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.began.elapsed()
    }

    fn let_in(&mut self, Ask { epoch, coming, answer }: Ask) {
        let seat = self.leg.let_in(self.now(), epoch, coming).map(|id| {
            let (to, writes) = mpsc::channel(WAITING * 4); // with what was kept
            self.owners.push((id, to));
            tracing::info!(epoch, ?coming, "an owner comes");
            Seat { id, writes, reads: self.from_owners.clone() }
        });
        if let Err(Ok(seat)) = answer.send(seat) {
            self.owner_says(seat.id, Read::Closed { in_order: false });
        }
    }

    fn owner_says(&mut self, id: OwnerId, read: Read) {
        match read {
            Read::Message(message) => self.leg.handle_owner(id, message),
            Read::Closed { in_order } => {
                self.owners.retain(|(other, _)| *other != id);
                self.leg.handle_owner_closed(self.now(), id, in_order);
            }
        }
    }

    fn carry_out(&mut self, output: LegOutput) {
        match output {
            // There is room: else no owner is read.
            LegOutput::ToCarrier(message) => drop(self.to_carrier.try_send(Write::Message(message))),
            LegOutput::ToOwner(id, message) => self.give(id, message),
            LegOutput::Dismiss(id, why) => self.dismiss(id, why),
            LegOutput::Started(_) | LegOutput::Ended(_) => {}
        }
    }

    /// An owner that reads nothing is lost: another one may take its place.
    fn give(&mut self, id: OwnerId, message: LegMessage) {
        let Some((_, owner)) = self.owners.iter().find(|(other, _)| *other == id) else { return };
        // Of one whose socket is closed, its end tells.
        if let Err(TrySendError::Full(_)) = owner.try_send(Write::Message(message)) {
            tracing::warn!("an owner of the call reads nothing, and counts as lost");
            self.owner_says(id, Read::Closed { in_order: false });
        }
    }

    fn dismiss(&mut self, id: OwnerId, why: Dismissal) {
        let Some(index) = self.owners.iter().position(|(other, _)| *other == id) else { return };
        let (_, owner) = self.owners.swap_remove(index);
        let (code, reason) = match why {
            Dismissal::Replaced => (REPLACED, "another owner has the call"),
            Dismissal::Over => (close_code::NORMAL, "the call is over"),
        };
        let _ = owner.try_send(Write::Close { code, reason }); // full: it is dropped without a word
    }

    /// Closes the carrier's socket behind what waits for it.
    async fn close(&mut self, why: LegEnd) {
        let (code, reason) = match why {
            LegEnd::HungUp | LegEnd::NoOwner => (close_code::AGAIN, "nobody serves the call"),
            _ => (close_code::NORMAL, ""),
        };
        let close = self.to_carrier.send(Write::Close { code, reason });
        let _ = tokio::time::timeout(Duration::from_secs(3), close).await; // a carrier that reads nothing
    }
}

impl Seat {
    /// Connects an owner's socket.
    pub(super) async fn take(self, socket: WebSocket) {
        let Self { id, writes, reads } = self;
        pump(socket, writes, reads, |read| (id, read)).await;
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
