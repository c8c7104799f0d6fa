//! A whole call in virtual time: a call, the servers of its connections, a context, an application that runs
//! functions, a session log, and a network that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use realtime_context::{Conversation, History};
use realtime_protocol::audio::{PcmuFormat, WireFormat};
use realtime_protocol::call::{
    Call, CallOptions, Command, CommandError, CommandId, ConnectionEvent, ConnectionId, DisconnectReason,
    Event, FunctionOutput, Media, MediaError, Output, Reconnect, Reseed,
};
use realtime_protocol::event::ClientEvent;
use realtime_protocol::id::ItemId;
use realtime_protocol::item::Item;
use realtime_protocol::log::{Header, LogWriter, Replay};
use realtime_protocol::session::{PlaybackSource, SessionOptions};
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::json;

use crate::fake_server::FakeServer;
use crate::grammar::Order;

/// The time of day at which the clock begins (s since 1970).
pub const DAWN: u64 = 1_790_000_000;

/// How long anything takes over the network, one way (µs).
const LATENCY: u64 = 20_000;

/// A call in virtual time. All times are microseconds since the beginning.
#[derive(Debug)]
pub struct World {
    /// Now.
    pub now: u64,
    /// The machines.
    pub call: Call,
    /// What was said.
    pub context: Conversation,
    /// How the context tells a new session what was said.
    pub history: History,
    /// The servers of all connections that were opened.
    pub far: BTreeMap<u32, FakeServer>,
    /// How long a session lives (s).
    pub life: u64,
    /// Until when no connection can be made.
    pub down_until: u64,
    /// Every call event, with its time; audio left out.
    pub told: Vec<(u64, Event)>,
    /// Every attempt to connect, with its time and its endpoint.
    pub attempts: Vec<(u64, u32, u32)>,
    /// How often the function was run, by its arguments.
    pub handled: BTreeMap<String, u32>,
    /// How long a handler works (µs).
    pub work: u64,
    /// Commands that were taken, and how often each was settled.
    pub settled: BTreeMap<CommandId, u32>,
    /// Connections that are over.
    pub dead: BTreeSet<u32>,
    /// The connection that got audio or a request last.
    pub active: u32,
    /// Whether a change in the middle of a turn was asked for.
    pub urgent: bool,
    /// The latest item that the session which serves has told of.
    pub item: Option<ItemId>,
    order: Order,
    queue: BTreeMap<(u64, u64), Delivery>,
    queued: u64,
    open: BTreeSet<u32>,
    next_command: u64,
    /// What the ids that this side makes for a connection begin with.
    prefixes: BTreeMap<String, u32>,
    header: Header,
    writer: LogWriter,
    log: Option<String>,
}

#[derive(Debug)]
enum Delivery {
    Opened(u32),
    ToClient(u32, serde_json::Value),
    ToServer(u32, Box<ClientEvent>),
    Ended(u32, DisconnectReason),
    Worked(Command),
}

impl World {
    /// A call's options: mu-law to the server, 8 bytes per millisecond, and no playback reports.
    pub fn options(reconnect: Reconnect) -> CallOptions {
        let mut config = SessionConfig::realtime();
        config.input_mut().format = WireFormat::Pcmu(PcmuFormat::default()).into();
        let playback = PlaybackSource::Estimated;
        let session = SessionOptions::default().config(config).playback(playback);
        CallOptions::default().session(session).reconnect(reconnect)
    }

    /// A call that begins now. `logged`: whether a session log is kept.
    pub fn new(options: CallOptions, logged: bool) -> Self {
        let header = Header::new(options.clone(), "test", UnixTime::from_secs(DAWN));
        let mut world = Self {
            now: 0,
            call: Call::new(options),
            context: Conversation::new(),
            history: History::NativeItems,
            far: BTreeMap::new(),
            life: 3600,
            down_until: 0,
            told: Vec::new(),
            attempts: Vec::new(),
            handled: BTreeMap::new(),
            work: 200_000,
            settled: BTreeMap::new(),
            dead: BTreeSet::new(),
            active: 0,
            urgent: false,
            item: None,
            order: Order::default(),
            queue: BTreeMap::new(),
            queued: 0,
            open: BTreeSet::new(),
            next_command: 1,
            prefixes: BTreeMap::new(),
            writer: LogWriter::default(),
            header,
            log: logged.then(String::new),
        };
        world.drain();
        world
    }

    /// Lets the time pass, and everything happen that is due by then.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + micros(time);
        loop {
            let delivery = self.queue.first_key_value().map(|((at, _), _)| *at);
            let due = self.call.poll_timeout().map(|due| due.as_micros().max(self.now));
            let next = delivery.into_iter().chain(due).min().filter(|next| *next <= until);
            let Some(next) = next else { break };
            self.now = next;
            if due.is_some_and(|due| due <= next) && delivery.is_none_or(|delivery| delivery > next) {
                self.log(|writer, at, out| writer.timer(out, at));
                self.call.handle_timeout(self.at());
                self.drain();
            } else if let Some((_, delivery)) = self.queue.pop_first() {
                self.deliver(delivery);
            }
        }
        self.now = until;
    }

    /// Gives a command.
    ///
    /// # Errors
    /// [`CommandError`] when it is refused.
    pub fn command(&mut self, command: Command) -> Result<CommandId, CommandError> {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        self.log(|writer, at, out| writer.command(out, at, id, &command));
        let taken = self.call.handle_command(self.at(), id, command);
        if taken.is_ok() {
            self.settled.entry(id).or_default();
        }
        self.drain();
        taken.map(|()| id)
    }

    /// The user says something: `ms` milliseconds of speech of that turn, or of silence.
    pub fn speak(&mut self, ms: usize, turn: Option<u8>) {
        let mut audio = vec![0; 8 * ms];
        if let Some(turn) = turn {
            audio[..2].copy_from_slice(&[1, turn]);
        }
        let _ended = self.media(Media::Append(audio.into()));
    }

    /// Gives media.
    ///
    /// # Errors
    /// [`MediaError`] when it is refused.
    pub fn media(&mut self, media: Media) -> Result<(), MediaError> {
        self.log(|writer, at, out| writer.media(out, at, &media));
        let taken = self.call.handle_media(self.at(), media);
        self.drain();
        taken
    }

    /// The user writes something.
    ///
    /// # Errors
    /// [`CommandError`] when it is refused.
    pub fn write(&mut self, text: &str, respond: bool) -> Result<CommandId, CommandError> {
        let mut item = Item::user_text(text);
        item.set_id(format!("ctx_w{}", self.next_command).into());
        self.command(Command::CreateItem { item: item.into(), after: None, respond })
    }

    /// Ends all connections there and then.
    pub fn cut(&mut self, reason: &DisconnectReason) {
        for conn in core::mem::take(&mut self.open) {
            self.queue.retain(|_, delivery| !delivery.is_of(conn));
            self.end(conn, reason.clone());
        }
    }

    /// The server of a connection says that something is wrong.
    pub fn fail(&mut self, conn: u32, code: &str) {
        let error = json!({"type": "error", "error": {"code": code, "message": "no"}});
        self.deliver(Delivery::ToClient(conn, error));
    }

    /// The server of the connection that got audio or a request last.
    pub fn serving(&self) -> Option<&FakeServer> {
        self.far.get(&self.active)
    }

    /// Feeds the log's inputs to fresh machines.
    ///
    /// # Panics
    /// When their outputs differ.
    pub fn replay(&self) {
        let log = self.log.as_deref().unwrap_or_default();
        let header = serde_json::to_string(&self.header).expect("headers are JSON");
        let header = realtime_protocol::log::read_header(&header).expect("a header");
        let mut replay = Replay::new(&header);
        for (index, line) in log.lines().enumerate() {
            replay.line(index + 2, line).expect("an entry");
        }
        assert_eq!(replay.finish().map(|difference| difference.to_string()), None);
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_micros(self.now)
    }

    fn log(&mut self, line: impl FnOnce(&LogWriter, Timestamp, &mut String)) {
        let at = self.at();
        if let Some(log) = &mut self.log {
            line(&self.writer, at, log);
        }
    }

    fn later(&mut self, delay: u64, delivery: Delivery) {
        self.queued += 1;
        self.queue.insert((self.now + delay, self.queued), delivery);
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Opened(conn) => {
                let wall = UnixTime::from_micros(DAWN * 1_000_000 + self.now);
                let expires_at = DAWN + self.now / 1_000_000 + self.life;
                let mut far = FakeServer::new(conn, expires_at);
                let greeting = far.greet();
                self.far.insert(conn, far);
                self.later(0, Delivery::ToClient(conn, greeting));
                let reason = DisconnectReason::Closed { code: Some(1001), reason: "session_expired".into() };
                self.later(self.life * 1_000_000, Delivery::Ended(conn, reason));
                self.log(|writer, at, out| writer.connected(out, at, ConnectionId(conn), wall));
                self.call.handle_connected(self.at(), ConnectionId(conn), wall);
                self.drain();
            }
            Delivery::ToServer(conn, event) => {
                let Some(far) = self.far.get_mut(&conn).filter(|_| self.open.contains(&conn)) else { return };
                for (delay, event) in far.take(&event) {
                    self.later(LATENCY + delay * 1000, Delivery::ToClient(conn, event));
                }
            }
            Delivery::ToClient(conn, event) => {
                let Some(far) = self.far.get_mut(&conn).filter(|_| self.open.contains(&conn)) else { return };
                if far.still_says(&event) {
                    let text = event.to_string();
                    self.log(|writer, at, out| writer.text(out, at, ConnectionId(conn), &text));
                    self.call.handle_text(self.at(), ConnectionId(conn), &text);
                    self.drain();
                }
            }
            Delivery::Ended(conn, reason) => {
                if self.open.remove(&conn) {
                    self.end(conn, reason);
                }
            }
            Delivery::Worked(command) => {
                // Refused if the call has ended meanwhile.
                let _refused = self.command(command);
            }
        }
    }

    fn end(&mut self, conn: u32, reason: DisconnectReason) {
        self.log(|writer, at, out| writer.disconnected(out, at, ConnectionId(conn), &reason));
        self.call.handle_disconnected(self.at(), ConnectionId(conn), reason);
        self.drain();
        self.dead.insert(conn);
    }

    fn drain(&mut self) {
        loop {
            let mut asked_for = None;
            let mut closed = Vec::new();
            while let Some(output) = self.call.poll_output() {
                self.log(|writer, at, out| writer.output(out, at, &output));
                self.check(&output);
                match output {
                    Output::Connect { connection: ConnectionId(conn), endpoint } => {
                        self.attempts.push((self.now, conn, endpoint));
                        self.open.insert(conn);
                        let reason = DisconnectReason::Lost { reason: "no route".into() };
                        let outcome = if self.now < self.down_until {
                            Delivery::Ended(conn, reason)
                        } else {
                            Delivery::Opened(conn)
                        };
                        self.later(2 * LATENCY, outcome);
                    }
                    Output::Send { connection: ConnectionId(conn), event, .. } => {
                        self.later(LATENCY, Delivery::ToServer(conn, Box::new(event)));
                    }
                    Output::Close(ConnectionId(conn)) => {
                        closed.push(conn);
                        let reason = DisconnectReason::Closed { code: Some(1000), reason: String::new() };
                        self.later(LATENCY, Delivery::Ended(conn, reason));
                    }
                    Output::Seed { connection, carried, largest } => {
                        asked_for = Some((connection, carried, largest));
                    }
                    Output::Event(event) => self.hear_of(event),
                }
            }
            self.dead.extend(closed.iter().filter(|conn| **conn != self.active || self.call.is_ended()));
            let Some((connection, carried, largest)) = asked_for else { break };
            let seed = self.context.clone().history(self.history).reseed(&carried, largest);
            self.log(|writer, at, out| writer.seed(out, at, connection, &seed));
            self.call.handle_seed(self.at(), connection, seed);
        }
    }

    fn hear_of(&mut self, event: Event) {
        self.order.event(&event);
        drop(self.context.observe(&event));
        match &event {
            Event::Settled { id, .. } => {
                let settled = self.settled.get_mut(id).unwrap_or_else(|| panic!("{id} was never given"));
                *settled += 1;
                assert_eq!(*settled, 1, "{id} is settled twice");
            }
            Event::FunctionCalls { calls, .. } => {
                for call in calls {
                    *self.handled.entry(call.arguments.clone()).or_default() += 1;
                    let output = FunctionOutput::Result(json!(format!("done {}", call.arguments)));
                    let command =
                        Command::AnswerFunction { call_id: call.call_id.clone(), output, respond: true };
                    self.later(self.work, Delivery::Worked(command));
                }
            }
            Event::Created { .. } | Event::Connection(ConnectionEvent::Lost { .. }) => self.item = None,
            Event::ItemPlaced { item, .. } => self.item = item.id(),
            Event::Audio(_) => return,
            _ => {}
        }
        self.told.push((self.now, event));
    }

    /// What must hold of every output.
    fn check(&mut self, output: &Output) {
        let mut text = String::new();
        match output {
            Output::Send { connection: ConnectionId(conn), event, .. } => {
                assert!(!self.dead.contains(conn), "something is sent over connection {conn}, which is over");
                match event {
                    ClientEvent::InputAudioBufferAppend(_) => {}
                    ClientEvent::ConversationItemCreate(create) if is_history(&create.item) => {}
                    _ => text.push_str(&event.encode(Default::default())),
                }
                if let Some((prefix, _)) = event.event_id().and_then(|id| id.as_str().rsplit_once('_'))
                    && prefix.starts_with("evt_")
                {
                    let owner = *self.prefixes.entry(prefix[4..].to_owned()).or_insert(*conn);
                    assert_eq!(owner, *conn, "connection {conn} uses ids of connection {owner}");
                }
                if matches!(event, ClientEvent::ResponseCreate(_) | ClientEvent::InputAudioBufferAppend(_)) {
                    assert!(*conn >= self.active, "connection {conn} is told to respond after a later one");
                    if *conn > self.active {
                        let before = &self.active;
                        let runs = self.open.contains(before) && self.far[before].is_responding();
                        assert!(!runs || self.dead.contains(before) || self.urgent, "two may respond");
                        self.active = *conn;
                    }
                }
            }
            Output::Event(
                Event::ItemPlaced { item, .. } | Event::ItemDone { item } | Event::ItemSent { item, .. },
            ) if is_history(item) => {}
            // A call that is made again ends under the id by which the application knows it.
            Output::Event(Event::FunctionEnded { .. }) => {}
            Output::Event(event) => {
                let _ = write!(text, "{}", serde_json::to_string(event).expect("call events are JSON"));
            }
            _ => {}
        }
        for conn in &self.dead {
            assert!(
                !text.contains(&format!("_c{conn}_")),
                "an id of connection {conn}, which is over: {text}"
            );
        }
        for (prefix, conn) in &self.prefixes {
            let old = self.dead.contains(conn) && text.contains(&format!("_{prefix}_"));
            assert!(!old, "an id made for connection {conn}, which is over: {text}");
        }
    }
}

impl Delivery {
    const fn is_of(&self, conn: u32) -> bool {
        match self {
            Self::Opened(of) | Self::ToClient(of, _) | Self::ToServer(of, _) | Self::Ended(of, _) => {
                *of == conn
            }
            Self::Worked(_) => false,
        }
    }
}

/// Returns whether an item is a message that says what was said before, in whatever words.
fn is_history(item: &Item) -> bool {
    item.as_message().is_some() && item.id().is_some_and(|id| id.as_str().starts_with("ctx_"))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
