//! One owner of a call that may move: it feeds the call, keeps what came out of it, and writes a session log.

use std::collections::{BTreeMap, BTreeSet};

use realtime_protocol::call::{
    Call, CallOptions, Command, CommandId, ConnectionId, DisconnectReason, Event, Output, Seed, Suspended,
};
use realtime_protocol::event::ClientEvent;
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
    seeds: Vec<ConnectionId>,
    now: Timestamp,
}

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
            conn: 0,
            commands: BTreeMap::new(),
            functions: BTreeMap::new(),
            ids: BTreeSet::new(),
            requests: 0,
            seeds: Vec::new(),
            now: Timestamp::ZERO,
        };
        owner.drain();
        owner
    }

    /// Hands an input over, for a connection of this owner's, after all that is due before it.
    pub fn feed(&mut self, at: Timestamp, input: &Input, conn: u32) {
        while let Some(due) = self.call.poll_timeout().filter(|due| *due <= at) {
            self.now = self.now.max(due);
            LogWriter::default().timer(&mut self.log, self.now);
            self.call.handle_timeout(due);
            self.drain();
        }
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
            _ => {
                LogWriter::default().timer(log, at);
                self.call.handle_timeout(at);
            }
        }
        self.drain();
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
        self.drain();
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
            let reason = DisconnectReason::Closed { code: Some(1000), reason: String::new() };
            self.feed(now, &Input::Disconnected(ConnectionId(conn), reason), conn);
        }
        assert!(self.call.is_ended());
    }

    /// Answers every seed that is due: nothing was said before. How many that were.
    pub fn seed_with_nothing(&mut self, now: Timestamp) -> usize {
        let mut seeds = 0;
        while let Some(connection) = self.seeds.pop() {
            seeds += 1;
            LogWriter::default().seed(&mut self.log, now, connection, &Seed::default());
            self.call.handle_seed(now, connection, Seed::default());
            self.drain();
        }
        seeds
    }

    fn drain(&mut self) {
        while let Some(output) = self.call.poll_output() {
            LogWriter::default().output(&mut self.log, self.now, &output);
            match output {
                Output::Connect { connection, .. } => self.conn = connection.0,
                Output::Send { event, .. } => {
                    self.requests += usize::from(matches!(event, ClientEvent::ResponseCreate(_)));
                    let made = event.event_id().filter(|id| id.as_str().starts_with("evt_"));
                    let is_new = made.is_none_or(|id| self.ids.insert(id.as_str().to_owned()));
                    assert!(is_new, "{made:?} was made twice");
                }
                Output::Seed { connection, .. } => self.seeds.push(connection),
                Output::Close(_) => {}
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
