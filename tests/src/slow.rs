//! The two sides of a golden session that stand still for a while, with what waits for them meanwhile.

use std::time::Duration;

use realtime_protocol::call::Event;
use realtime_protocol::event::ClientEvent;
use realtime_protocol::flow::{Inbox, InboxBounds, Outbox, OutboxBounds, Shortfall};
use realtime_protocol::session::Output;
use realtime_protocol::time::Timestamp;
use serde::Deserialize;

/// Which side is stuck, when, and how much may wait for it.
#[derive(Clone, Debug, Deserialize)]
pub struct Slow {
    /// From when to when the connection takes nothing (µs).
    pub connection_us: (u64, u64),
    /// From when to when the application reads nothing (µs).
    pub reader_us: (u64, u64),
    /// The oldest input audio that is still sent (µs).
    pub input_audio_age_us: u64,
    /// Bytes of the model's audio that wait to be read.
    pub audio_bytes: usize,
}

/// What waits between a session and its sides. It passes on what they take.
#[derive(Debug)]
pub struct Sides {
    slow: Slow,
    outbox: Outbox,
    inbox: Inbox,
    now: Timestamp,
}

/// What a side took.
#[derive(Debug)]
#[non_exhaustive]
pub enum Passed {
    /// The connection took a wire text.
    Sent(String),
    /// The connection was closed.
    Closed,
    /// The application read an event.
    Read(Event),
}

impl Sides {
    /// Two sides that stand still as they are told.
    pub fn new(slow: Slow) -> Self {
        let age = Duration::from_micros(slow.input_audio_age_us);
        let outbox = Outbox::new(OutboxBounds::default().audio_age(Some(age)));
        let inbox = Inbox::new(InboxBounds::default().audio_bytes(slow.audio_bytes));
        Self { slow, outbox, inbox, now: Timestamp::ZERO }
    }

    /// Hands on what a session puts out, and what waited, as far as it is taken.
    pub fn pass(&mut self, now: Timestamp, outputs: &[Output]) -> Vec<Passed> {
        self.now = now;
        let mut closes = false;
        for output in outputs {
            match output {
                Output::Send(event) => self.outbox.push(now, event),
                Output::Event(event) => self.inbox.push(event.clone(), 0),
                Output::Close => closes = true,
            }
        }
        let mut passed = Vec::new();
        if !stands_still(self.slow.connection_us, now) {
            passed.extend(std::iter::from_fn(|| self.outbox.pop(now)).map(Passed::Sent));
        }
        passed.extend(closes.then_some(Passed::Closed));
        if !stands_still(self.slow.reader_us, now) {
            passed.extend(std::iter::from_fn(|| self.inbox.pop()).map(Passed::Read));
        }
        passed
    }

    /// What was not taken in time, and the session should know.
    pub fn shortfall(&mut self) -> Option<Shortfall> {
        self.outbox.shed(self.now).or_else(|| self.inbox.shed()).or_else(|| self.inbox.handle_turn())
    }

    /// When something is due: a side goes on, or audio grows too old.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let ends = [self.slow.connection_us.1, self.slow.reader_us.1].map(Timestamp::from_micros);
        ends.into_iter().filter(|end| *end > self.now).chain(self.outbox.poll_timeout()).min()
    }
}

impl Passed {
    /// The event, if one was sent.
    pub fn sent(&self) -> Option<ClientEvent> {
        let Self::Sent(text) = self else { return None };
        Some(ClientEvent::decode(text, Default::default()))
    }
}

fn stands_still((from, to): (u64, u64), now: Timestamp) -> bool {
    (from..to).contains(&now.as_micros())
}
