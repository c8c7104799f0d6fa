//! The line: a connection's events as wire text, with all that can happen to them on the way.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::event::{Dialect, ServerEvent};
use realtime_protocol::id::{EventId, ItemId};
use realtime_protocol::time::Timestamp;
use realtime_protocol::tool::Secret;

use crate::call::Channel;
use crate::connection::{Connection, Ids};
use crate::disaster::Disaster;
use crate::disaster::armed::{Armed, Dice};
use crate::disaster::queue::Queue;
use crate::disaster::repeat::{Aliases, Repeats};
use crate::disaster::source::Source;

/// A connection and what lies between it and its client.
///
/// It is driven as the [`Connection`] is: outputs after every `handle_*`, then the timeout. Without disasters
/// it only writes events as text.
#[derive(Debug)]
pub struct Line {
    pub(super) connection: Source,
    pub(super) dialect: Dialect,
    pub(super) control: bool,
    pub(super) dice: Dice,
    pub(super) ids: Ids,
    pub(super) now: Timestamp,
    pub(super) armed: Vec<Armed>,
    pub(super) queue: Queue,
    pub(super) inputs: VecDeque<(Timestamp, String)>,
    pub(super) slow: Option<u64>,
    pub(super) state: State,
    /// The last byte of an item's audio, for its next delta.
    pub(super) carry: Option<(ItemId, u8)>,
    pub(super) format: AudioFormat,
    /// The newest audio and the newest words.
    pub(super) newest: [Option<ServerEvent>; 2],
    pub(super) repeats: Repeats,
    pub(super) aliases: Aliases,
    /// The newest ids of client events that errors will name, by type.
    pub(super) named: BTreeMap<String, Option<EventId>>,
    /// What the client came with.
    pub(super) key: Secret,
}

/// Settings of a [`Line`]. Plain data.
#[derive(Clone, Debug, Default)]
pub struct LineOptions {
    /// What goes wrong.
    pub disasters: Vec<Disaster>,
    /// What chance is made from; default 0.
    pub seed: u64,
    /// Whether the client may ask for disasters by control events; default no: such events are refused as
    /// unknown.
    pub control: bool,
    /// The key that the client came with, for servers that say it back; default empty.
    pub key: Secret,
}

/// What a [`Line`] wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LineOutput {
    /// Send this text.
    Text(String),
    /// Send this text, but as a binary message.
    Binary(String),
    /// Close the WebSocket. Nothing follows.
    Close {
        /// The close code; `None`: a close frame without one.
        code: Option<u16>,
        /// The close reason: at most 123 bytes, as a close frame holds no more.
        reason: String,
    },
    /// Drop the connection without a close frame. Nothing follows.
    Break,
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum State {
    Open,
    /// Nothing is sent any more.
    Stalled,
    /// The end is in the queue.
    Ended,
}

impl Line {
    /// A line from a connection that begins now.
    pub fn new(connection: Connection, options: LineOptions, now: Timestamp) -> Self {
        Self::of(Source::Own(Box::new(connection)), options, now)
    }

    /// A line from a channel of a call.
    pub(crate) fn of_call(channel: Channel, options: LineOptions, now: Timestamp) -> Self {
        Self::of(Source::Call(channel), options, now)
    }

    fn of(connection: Source, options: LineOptions, now: Timestamp) -> Self {
        let mut line = Self {
            dialect: connection.dialect(),
            connection,
            control: options.control,
            dice: Dice::new(options.seed),
            ids: Ids::new(options.seed ^ 0x5eed_0fd1_5a57_e125),
            now,
            armed: Vec::new(),
            queue: Queue::default(),
            inputs: VecDeque::new(),
            slow: None,
            state: State::Open,
            carry: None,
            format: AudioFormat::PCM16_24K,
            newest: [None, None],
            repeats: Repeats::default(),
            aliases: Aliases::default(),
            named: BTreeMap::new(),
            key: options.key,
        };
        options.disasters.into_iter().for_each(|disaster| line.arm(disaster));
        line.advance(now);
        line.drain();
        line
    }

    /// Takes a binary message, which the protocol does not have.
    pub fn handle_binary(&mut self, now: Timestamp) {
        self.advance(now);
        self.connection.handle_binary(self.now);
        self.drain();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
        if self.connection.is_shared() {
            self.connection.handle_timeout(self.now);
            self.drain();
        }
    }

    /// Returns whether more is to be read from the client now. While not, its sending should block.
    pub fn wants_input(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The next thing to do on the wire; `None` until more happens.
    pub fn poll_output(&mut self) -> Option<LineOutput> {
        self.queue.pop(self.now)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` after the end.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        [self.queue.next_at(), self.next_due()].into_iter().flatten().min()
    }

    /// Lets something go wrong from now on.
    pub fn arm(&mut self, disaster: Disaster) {
        let from = self.now + disaster.after;
        if self.armed.len() >= MOST_ARMED {
            self.armed.retain(|armed| !armed.spent);
        }
        if self.armed.len() < MOST_ARMED {
            self.armed.push(Armed::new(disaster, from));
        }
    }

    /// The next moment at which something happens here or in the connection.
    fn next_due(&self) -> Option<Timestamp> {
        if self.state == State::Ended {
            return None;
        }
        let input = self.inputs.front().map(|(at, _)| *at);
        let alarm = self.armed.iter().filter_map(Armed::alarm).min();
        let repeat = self.repeats.next_at().filter(|_| self.state == State::Open);
        [input, alarm, repeat, self.connection.poll_timeout()].into_iter().flatten().min()
    }

    /// Does all that is due by `now`, in the order in which it is due.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let now = now.max(self.now);
        while let Some(at) = self.next_due().filter(|at| *at <= now) {
            self.now = at.max(self.now);
            if let Some(alarm) = self.armed.iter_mut().find(|armed| armed.alarm().is_some_and(|a| a <= at)) {
                alarm.spent = true;
                let action = alarm.disaster.action.clone();
                self.happen(action, None);
                self.drain();
            } else if self.inputs.front().is_some_and(|(due, _)| *due <= at) {
                let text = self.inputs.pop_front().map(|(_, text)| text).unwrap_or_default();
                self.read(&text);
            } else if self.state == State::Open && self.repeats.next_at().is_some_and(|due| due <= at) {
                self.repeats.send(self.now, &mut self.ids, &mut self.queue);
                if self.queue.is_full() {
                    self.end(LineOutput::Break);
                }
            } else {
                self.connection.handle_timeout(self.now);
                self.drain();
            }
        }
        self.now = now;
    }
}

const MOST_ARMED: usize = 256;
/// Longer than any session.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
