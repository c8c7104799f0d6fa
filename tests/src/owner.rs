//! One owner of a call that may move: it feeds the call, keeps what came out of it, and writes a session log.

use std::collections::{BTreeMap, BTreeSet};

use realtime_protocol::call::{
    Call, CallOptions, Command, CommandId, ConnectionId, DisconnectReason, Event, Output, Seed, Suspended,
};
use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::log::{Header, Input, LogWriter, Replay};
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::Value;

use crate::world::DAWN;

/// One owner of a call, with its log.
#[derive(Debug)]
pub struct Owner {
    call: Call,
    header: Header,
    log: String,
    /// Every call event.
    pub told: Vec<Event>,
    /// Every client event.
    pub sent: Vec<(Dialect, ClientEvent)>,
    /// How much came out.
    pub outputs: usize,
    /// The connection that is being made, or serves.
    pub conn: u32,
    /// How often each command was taken, and settled.
    pub commands: BTreeMap<CommandId, (usize, usize)>,
    /// How often each call was shown.
    pub functions: BTreeMap<String, usize>,
    /// Ids that this side has made.
    pub ids: BTreeSet<String>,
    /// How often it asked for a response.
    pub requests: usize,
    /// Connections that were asked for, and have not ended since.
    pub open: BTreeSet<ConnectionId>,
    /// Those of them that were told to close.
    closing: BTreeSet<ConnectionId>,
    seeds: Vec<ConnectionId>,
    now: Timestamp,
}

/// Timeouts in a row at one time, without an end, that a driver would never get out of.
const MOST_TIMEOUTS: usize = 100;

impl Owner {
    /// A call that begins, or goes on where it was suspended.
    pub fn new(options: CallOptions, suspended: Option<Suspended>) -> Self {
        let mut header = Header::new(options.clone(), "test", UnixTime::from_secs(DAWN));
        let call = match suspended {
            Some(suspended) => {
                header = header.resuming(suspended.clone());
                Call::resume(options, suspended)
            }
            None => Call::new(options),
        };
        let mut owner = Self {
            call,
            header,
            log: String::new(),
            told: Vec::new(),
            sent: Vec::new(),
            outputs: 0,
            conn: 0,
            commands: BTreeMap::new(),
            functions: BTreeMap::new(),
            ids: BTreeSet::new(),
            requests: 0,
            open: BTreeSet::new(),
            closing: BTreeSet::new(),
            seeds: Vec::new(),
            now: Timestamp::ZERO,
        };
        owner.drain(Timestamp::ZERO);
        owner
    }

    /// Hands an input over, for a connection of this owner's, after all that is due before it.
    pub fn feed(&mut self, at: Timestamp, input: &Input, conn: u32) {
        self.pass(at);
        self.give(at, input, conn);
    }

    /// Lets the time pass, and what is due by then happen.
    ///
    /// # Panics
    /// When that has no end.
    pub fn pass(&mut self, until: Timestamp) {
        let mut timeouts = 0;
        while let Some(due) = self.call.poll_timeout().filter(|due| *due <= until) {
            timeouts = if due > self.now { 0 } else { timeouts + 1 };
            assert!(timeouts < MOST_TIMEOUTS, "something is due at {due} for ever");
            self.now = self.now.max(due);
            LogWriter::default().timer(&mut self.log, self.now);
            self.call.handle_timeout(self.now);
            self.drain(self.now);
        }
        self.now = self.now.max(until);
    }

    /// Hands an input over, for a connection of this owner's, whatever is due before it.
    pub fn give(&mut self, at: Timestamp, input: &Input, conn: u32) {
        self.now = self.now.max(at);
        let (conn, log) = (ConnectionId(conn), &mut self.log);
        match input {
            Input::Connected(_, wall) => {
                LogWriter::default().connected(log, at, conn, *wall);
                self.call.handle_connected(at, conn, *wall);
            }
            Input::Text(_, text) => {
                LogWriter::default().text(log, at, conn, text);
                self.call.handle_text(at, conn, text);
            }
            Input::Disconnected(_, reason) => {
                LogWriter::default().disconnected(log, at, conn, reason);
                self.open.remove(&conn);
                self.call.handle_disconnected(at, conn, reason.clone());
            }
            Input::Command(id, command) => {
                LogWriter::default().command(log, at, *id, command);
                if self.call.handle_command(at, *id, (**command).clone()).is_ok() {
                    self.commands.entry(*id).or_default().0 += 1;
                }
            }
            Input::Media(media) => {
                LogWriter::default().media(log, at, media);
                let _refused = self.call.handle_media(at, media.clone());
            }
            Input::Shortfall(shortfall) => {
                LogWriter::default().shortfall(log, at, shortfall);
                self.call.handle_shortfall(at, shortfall.clone());
            }
            Input::Seed(_, seed) => {
                LogWriter::default().seed(log, at, conn, seed);
                self.call.handle_seed(at, conn, (**seed).clone());
            }
            _ => {
                LogWriter::default().timer(log, at);
                self.call.handle_timeout(at);
            }
        }
        self.drain(at);
    }

    /// The server says something over the connection that serves.
    pub fn say(&mut self, now: Timestamp, event: &Value) {
        self.feed(now, &Input::Text(ConnectionId(self.conn), event.to_string()), self.conn);
    }

    /// Suspends the call, and reads what was written of it.
    ///
    /// # Panics
    /// When that is not the same, or something is still to happen.
    pub fn suspend(&mut self, now: Timestamp) -> Suspended {
        LogWriter::default().suspend(&mut self.log, now);
        let suspended = self.call.suspend(now);
        self.drain(now);
        assert!(self.call.is_ended() && self.call.poll_timeout().is_none());
        let json = serde_json::to_string(&suspended).expect("it is JSON");
        let read: Suspended = serde_json::from_str(&json).expect("what was written is read");
        assert_eq!(read, suspended);
        read
    }

    /// Ends the call.
    ///
    /// # Panics
    /// When it does not end.
    pub fn close(&mut self) {
        let (now, conn) = (self.now, self.conn);
        if !self.call.is_ended() {
            self.feed(now, &Input::Command(CommandId(u64::from(u32::MAX)), Command::Close {}.into()), conn);
            for connection in self.open.clone() {
                let reason = DisconnectReason::Closed { code: Some(1000), reason: String::new() };
                self.feed(now, &Input::Disconnected(connection, reason), connection.0);
            }
        }
        assert!(self.call.is_ended() && self.call.poll_timeout().is_none());
    }

    /// The machines.
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// How much went in and came out, as the log has it (bytes).
    pub const fn log_size(&self) -> usize {
        self.log.len()
    }

    /// Answers every seed that is due: nothing was said before. How many that were.
    pub fn seed_with_nothing(&mut self, now: Timestamp) -> usize {
        let mut seeds = 0;
        while let Some(connection) = self.seeds.pop() {
            seeds += 1;
            LogWriter::default().seed(&mut self.log, now, connection, &Seed::default());
            self.call.handle_seed(now, connection, Seed::default());
            self.drain(now);
        }
        seeds
    }

    fn drain(&mut self, at: Timestamp) {
        while let Some(output) = self.call.poll_output() {
            LogWriter::default().output(&mut self.log, at, &output);
            self.outputs += 1;
            match output {
                Output::Connect { connection, .. } => {
                    self.conn = connection.0;
                    assert!(self.open.insert(connection), "{connection} is made twice");
                }
                Output::Send { connection, dialect, event } => {
                    let is_open = self.open.contains(&connection) && !self.closing.contains(&connection);
                    assert!(is_open, "something is sent over {connection}, which is over: {event:?}");
                    self.requests += usize::from(matches!(event, ClientEvent::ResponseCreate(_)));
                    let made = event.event_id().filter(|id| id.as_str().starts_with("evt_"));
                    let is_new = made.is_none_or(|id| self.ids.insert(id.as_str().to_owned()));
                    assert!(is_new, "{made:?} was made twice");
                    self.sent.push((dialect, event));
                }
                Output::Seed { connection, .. } => self.seeds.push(connection),
                Output::Close(connection) => drop(self.closing.insert(connection)),
                Output::Event(event) => {
                    match &event {
                        Event::Settled { id, .. } => self.commands.entry(*id).or_default().1 += 1,
                        Event::FunctionCalls { calls, .. } => {
                            for call in calls {
                                *self.functions.entry(call.call_id.as_str().to_owned()).or_default() += 1;
                            }
                        }
                        _ => {}
                    }
                    self.told.push(event);
                }
            }
        }
    }

    /// Feeds the log's inputs to fresh machines.
    ///
    /// # Panics
    /// When their outputs differ.
    pub fn replay(&self, what: &str) {
        let header = serde_json::to_string(&self.header).expect("headers are JSON");
        let header = realtime_protocol::log::read_header(&header).expect("a header");
        let mut replay = Replay::new(&header);
        for (index, line) in self.log.lines().enumerate() {
            replay.line(index + 2, line).expect("an entry");
        }
        assert_eq!(replay.finish().map(|difference| difference.to_string()), None, "{what}");
    }
}
