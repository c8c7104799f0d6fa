//! Outputs on the way to the client: late, or held back until others have overtaken them.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::event::ServerEvent;
use realtime_protocol::time::Timestamp;

use crate::disaster::line::LineOutput;
use crate::disaster::{fits, order};

/// Outputs in the order in which they are sent, and events that are held back.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Times never go down.
    ready: VecDeque<(Timestamp, LineOutput)>,
    held: Vec<Held>,
    /// Nothing leaves before.
    delayed_until: Timestamp,
    bytes: usize,
}

/// How an event waits.
#[derive(Clone, Debug)]
pub(super) enum Hold {
    /// Until this many events have overtaken it, or an event comes that may not.
    Overtaken(u32),
    /// Until an event of a type was sent.
    Until(Option<String>),
}

#[derive(Debug)]
struct Held {
    event: ServerEvent,
    outputs: Vec<LineOutput>,
    hold: Hold,
    /// When it is sent at the latest.
    last: Timestamp,
}

impl Queue {
    /// Delays everything from now on by at least this much.
    pub(super) fn delay(&mut self, now: Timestamp, time: Duration) {
        self.delayed_until = self.delayed_until.max(now + time);
    }

    /// Sends an event as these outputs.
    pub(super) fn send(&mut self, now: Timestamp, event: &ServerEvent, outputs: Vec<LineOutput>) {
        self.release(now, |held| {
            matches!(held.hold, Hold::Overtaken(_)) && !order::may_swap(&held.event, event)
        });
        outputs.into_iter().for_each(|output| self.push(now, output));
        for held in &mut self.held {
            if let Hold::Overtaken(left) = &mut held.hold {
                *left = left.saturating_sub(1);
            }
        }
        self.release(now, |held| match &held.hold {
            Hold::Overtaken(left) => *left == 0,
            Hold::Until(kind) => kind.as_ref().is_some_and(|kind| fits(kind, event.kind())),
        });
    }

    /// Keeps an event back.
    pub(super) fn hold(
        &mut self,
        now: Timestamp,
        event: &ServerEvent,
        outputs: Vec<LineOutput>,
        hold: Hold,
        time: Duration,
    ) {
        self.release(now, |held| {
            matches!(held.hold, Hold::Overtaken(_)) && !order::may_swap(&held.event, event)
        });
        self.bytes += outputs.iter().map(LineOutput::bytes).sum::<usize>();
        self.held.push(Held { event: event.clone(), outputs, hold, last: now + time });
    }

    /// Sends something as it is.
    pub(super) fn push(&mut self, now: Timestamp, output: LineOutput) {
        self.bytes += output.bytes();
        self.ready.push_back((now.max(self.delayed_until), output));
    }

    /// Returns whether too much waits.
    pub(super) const fn is_full(&self) -> bool {
        self.bytes > MOST_BYTES
    }

    /// Nothing more comes: what is held leaves.
    pub(super) fn end(&mut self, now: Timestamp) {
        self.release(now, |_| true);
    }

    /// Drops everything that was to be sent later.
    pub(super) fn stall(&mut self, now: Timestamp) {
        self.ready.retain(|(at, _)| *at <= now);
        self.held.clear();
    }

    /// The next one that may leave by `now`.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<LineOutput> {
        self.release(now, |held| held.last <= now);
        self.ready.front().filter(|(at, _)| *at <= now)?;
        let (_, output) = self.ready.pop_front()?;
        self.bytes -= output.bytes();
        Some(output)
    }

    /// When the next one leaves.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let held = self.held.iter().map(|held| held.last);
        held.chain(self.ready.front().map(|(at, _)| *at)).min()
    }

    fn release(&mut self, now: Timestamp, which: impl Fn(&Held) -> bool) {
        for held in self.held.extract_if(.., |held| which(held)).collect::<Vec<_>>() {
            self.bytes -= held.outputs.iter().map(LineOutput::bytes).sum::<usize>();
            held.outputs.into_iter().for_each(|output| self.push(now, output));
        }
    }
}

/// Bytes.
const MOST_BYTES: usize = 64 << 20;

impl LineOutput {
    /// How much it takes.
    const fn bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Binary(text) => text.len(),
            Self::Close { .. } | Self::Break => 0,
        }
    }
}
