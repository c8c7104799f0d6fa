//! One run: the chain, the call and its listeners, and what goes between them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use realtime_client::Wired;
use realtime_pipeline::chain::{Answer, Chain, Direction, FrameKind, Intent, Output as Put, Stages, Ticket};
use realtime_pipeline::service::RealtimeService;
use realtime_protocol::call::{
    Asked, Call, CommandId, ConnectionId, DisconnectReason, Event, Listeners, Outcome, Output, Reseed, Seed,
};
use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::id::ItemId;
use realtime_protocol::item::Item;
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::{Value, json};

use super::frames::Watch;
use super::stage::{Loudspeaker, Transport};
use super::tools::Tools;
use super::{START_SECS, World, close};
use crate::Error;
use crate::scenario::Header;
use crate::trace::digested;

/// A run, and what came out of it that is not told yet.
pub(super) struct Run {
    chain: Chain,
    call: Call,
    listeners: Listeners,
    reseed: Option<Box<dyn Reseed + Send>>,
    loudspeaker: Loudspeaker,
    url: String,
    /// Connections that are open, with their numbers in the trace.
    open: Vec<(ConnectionId, u64)>,
    /// The newest connection: the scenario's server speaks over it.
    newest: Option<ConnectionId>,
    seeding: VecDeque<(ConnectionId, Vec<ItemId>, Option<usize>)>,
    /// Items with which a session is told what was said: the scenario's server knows nothing of them.
    to_acknowledge: Vec<(ConnectionId, Item)>,
    /// No hook of the scenario's is called for these.
    acknowledged_ids: Vec<String>,
    created: Arc<Mutex<Vec<String>>>,
    watched: Arc<Mutex<Vec<(&'static str, Value)>>>,
    answers: Vec<(Ticket, Answer)>,
    manual: bool,
    ended: bool,
}

impl Run {
    /// Connects, and begins. `None`: the server can't be reached, and no run begins.
    pub(super) fn begin(
        service: RealtimeService,
        header: &Header,
        world: &mut World<'_>,
    ) -> Result<Option<Self>, Error> {
        let created: Arc<Mutex<Vec<String>>> = Arc::default();
        let watched: Arc<Mutex<Vec<(&'static str, Value)>>> = Arc::default();
        let hook = |name: &'static str, created: Option<Arc<Mutex<Vec<String>>>>| {
            let watched = Arc::clone(&watched);
            move |item: &Item| {
                let Some(id) = item.id() else { return };
                let record = json!({ "name": name, "item_id": id, "item": super::wire_item(item) });
                lock(&watched).push(("handler", record));
                if let Some(created) = &created {
                    lock(created).push(id.to_string());
                }
            }
        };
        let mut service = service
            .on_item_created(hook("on_conversation_item_created", Some(Arc::clone(&created))))
            .on_item_updated(hook("on_conversation_item_updated", None));
        let core = service.core();
        let (endpoint, options) = service.into_client();
        let loudspeaker = Loudspeaker::new(header.plays());
        let stages = Stages::new().then(core).then(Transport::new(loudspeaker.clone()));
        let mut chain = Chain::new(stages)?;
        chain.observe(Watch(Arc::clone(&watched)));
        let Wired { call, listeners, reseed, .. } = options.wire()?;
        let manual = call.session.config.turn_detection().is_null();
        let mut run = Self {
            chain,
            call: Call::new(call),
            listeners,
            reseed,
            loudspeaker,
            url: endpoint.url(),
            open: Vec::new(),
            newest: None,
            seeding: VecDeque::new(),
            to_acknowledge: Vec::new(),
            acknowledged_ids: Vec::new(),
            created,
            watched,
            answers: Vec::new(),
            manual,
            ended: false,
        };
        if world.server != "accept" {
            run.refuse(world);
            return Ok(None);
        }
        run.chain.start(world.now);
        Ok(Some(run))
    }

    /// Returns whether the session detects no turns.
    pub(super) const fn is_manual(&self) -> bool {
        self.manual
    }

    /// Returns whether nothing more comes.
    pub(super) const fn is_over(&self) -> bool {
        self.ended && self.open.is_empty()
    }

    pub(super) fn take_created(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.created))
    }

    pub(super) fn take_answers(&mut self) -> Vec<(Ticket, Answer)> {
        std::mem::take(&mut self.answers)
    }

    pub(super) fn push(&mut self, direction: Direction, kind: FrameKind, now: Timestamp) {
        self.chain.handle_input(now, direction, kind);
    }

    pub(super) fn ask(&mut self, intent: Intent, now: Timestamp) -> Ticket {
        self.chain.ask(now, intent)
    }

    pub(super) fn play(&mut self, millis: u64, now: Timestamp) {
        if let Some(report) = self.loudspeaker.play(millis) {
            self.push(Direction::Upstream, FrameKind::Playback(report), now);
        }
    }

    /// The scenario says that the assistant fell silent.
    pub(super) fn fell_silent(&mut self, now: Timestamp) {
        if let Some(report) = self.loudspeaker.fell_silent() {
            self.push(Direction::Upstream, FrameKind::Playback(report), now);
        }
    }

    pub(super) fn receive(&mut self, text: &str, now: Timestamp) {
        if let Some(connection) = self.newest.filter(|id| self.is_open(*id)) {
            self.listeners.begin();
            self.call.handle_text(now, connection, text);
        }
    }

    pub(super) fn server_closes(&mut self, code: Option<u16>, reason: &str, world: &mut World<'_>) {
        let Some(connection) = self.newest.filter(|id| self.is_open(*id)) else { return };
        self.closed(connection, code.unwrap_or(1006), false, world);
        let reason = reason.to_owned();
        let reason = match code {
            Some(code) => DisconnectReason::Closed { code: Some(code), reason },
            None => DisconnectReason::Lost { reason },
        };
        self.listeners.begin();
        self.call.handle_disconnected(world.now, connection, reason);
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        let dues = [self.chain.poll_timeout(), self.call.poll_timeout(), self.listeners.poll_timeout()];
        dues.into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        if self.call.poll_timeout().is_some_and(|due| due <= now) {
            self.listeners.begin();
            self.call.handle_timeout(now);
        } else if self.listeners.poll_timeout().is_some_and(|due| due <= now) {
            self.listeners.begin();
            self.listeners.handle_timeout(now);
        } else if self.chain.poll_timeout().is_some_and(|due| due <= now) {
            self.chain.handle_timeout(now);
        }
    }

    /// Carries out what there is: the call's outputs, what its listeners ask, then the chain's, as the
    /// client's task and the pipeline's do. Returns whether there was anything.
    pub(super) fn settle(&mut self, world: &mut World<'_>, tools: &Tools) -> bool {
        let mut any = false;
        loop {
            while self.settle_one(world) {
                any = true;
            }
            // Functions run in tasks of their own.
            world.runtime.block_on(async {
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
            });
            tools.take_records().into_iter().for_each(|record| world.record("function", record));
            if self.poll_timeout().is_none_or(|due| due > world.now) {
                return any;
            }
        }
    }

    fn settle_one(&mut self, world: &mut World<'_>) -> bool {
        let now = world.now;
        if let Some(output) = self.call.poll_output() {
            self.carry_out(output, world);
        } else if let Some((connection, carried, largest)) = self.seeding.pop_front() {
            let seed = self.reseed.as_mut().map(|reseed| reseed.reseed(&carried, largest));
            let seed: Seed = seed.unwrap_or_default();
            self.to_acknowledge.extend(seed.items.iter().map(|item| (connection, item.clone())));
            self.call.handle_seed(now, connection, seed);
        } else if let Some(asked) = self.listeners.poll_asked() {
            match asked {
                Asked::Command(id, command) => {
                    if let Err(error) = self.call.handle_command(now, id, command) {
                        self.listeners.refused(now, id, &error);
                    }
                }
                // Refused media is counted, and nothing else.
                Asked::Media(media) => drop(self.call.handle_media(now, media)),
            }
        } else if let Some(notice) = self.listeners.poll_notice() {
            self.tell(Event::Notice(notice), world);
        } else if let Some((connection, item)) = self.acknowledged() {
            let event =
                json!({ "type": "conversation.item.created", "previous_item_id": null, "item": item });
            self.call.handle_text(now, connection, &event.to_string());
            let id = item.id().unwrap_or_default();
            self.acknowledged_ids.push(id.to_string());
        } else if let Some(output) = self.chain.poll_output() {
            self.put_out(output, world);
        } else if self.poll_timeout().is_some_and(|due| due <= now) {
            self.handle_timeout(now);
        } else {
            return false;
        }
        true
    }

    /// The next item of a seed that has arrived.
    fn acknowledged(&mut self) -> Option<(ConnectionId, Item)> {
        if self.to_acknowledge.is_empty() { None } else { Some(self.to_acknowledge.remove(0)) }
    }

    fn carry_out(&mut self, output: Output, world: &mut World<'_>) {
        match output {
            Output::Connect { connection, .. } => self.connect(connection, world),
            Output::Send { connection, dialect, event } => self.send(connection, dialect, &event, world),
            Output::Close(connection) => {
                self.closed(connection, 1000, true, world);
                let reason = DisconnectReason::Closed { code: Some(1000), reason: String::new() };
                self.call.handle_disconnected(world.now, connection, reason);
            }
            Output::Seed { connection, carried, largest } => {
                self.seeding.push_back((connection, carried, largest));
            }
            Output::Event(event) => {
                let wall = UnixTime::from_micros(START_SECS * 1_000_000 + world.now.as_micros());
                self.listeners.hear(world.now, wall, &event);
                self.tell(event, world);
                while let Some(notice) = self.listeners.poll_notice() {
                    self.tell(Event::Notice(notice), world);
                }
            }
        }
    }

    fn connect(&mut self, connection: ConnectionId, world: &mut World<'_>) {
        if world.server != "accept" {
            let reason = self.refuse(world);
            return self.call.handle_disconnected(world.now, connection, reason);
        }
        world.connections += 1;
        self.open.push((connection, world.connections));
        self.newest = Some(connection);
        let path = self.url.find("/v1").map_or("", |at| &self.url[at..]);
        let headers = json!({ "Authorization": "Bearer sk-test", "OpenAI-Beta": "realtime=v1" });
        let record = json!({ "ev": "open", "n": world.connections, "path": path, "headers": headers });
        world.record("conn", record);
        let wall = UnixTime::from_micros(START_SECS * 1_000_000 + world.now.as_micros());
        self.call.handle_connected(world.now, connection, wall);
    }

    fn refuse(&self, world: &mut World<'_>) -> DisconnectReason {
        if world.server.is_number() {
            let status = world.server.clone();
            world.record("conn", json!({ "ev": "rejected", "status": status }));
        }
        DisconnectReason::Lost { reason: format!("the server answers {}", world.server) }
    }

    fn is_open(&self, connection: ConnectionId) -> bool {
        self.open.iter().any(|(id, _)| *id == connection)
    }

    fn closed(&mut self, connection: ConnectionId, code: u16, by_client: bool, world: &mut World<'_>) {
        let Some(at) = self.open.iter().position(|(id, _)| *id == connection) else { return };
        let (_, number) = self.open.remove(at);
        world.record("conn", json!({ "ev": "closed", "n": number, "code": code, "by_client": by_client }));
    }

    fn send(&self, connection: ConnectionId, dialect: Dialect, event: &ClientEvent, world: &mut World<'_>) {
        let Ok(event) = serde_json::from_str::<Value>(&event.encode(dialect)) else { return };
        if self.is_open(connection) {
            world.sent.push(event.clone());
            world.record("client", json!({ "event": digested(event) }));
        } else {
            world.record("client_lost", json!({ "event": digested(event) }));
        }
    }

    /// The chain hears an event of the call.
    fn tell(&mut self, event: Event, world: &mut World<'_>) {
        if let Event::Ready { config, .. } | Event::ConfigUpdated { config, .. } = &event {
            self.manual = config.turn_detection().is_null();
        }
        self.chain.handle_event(world.now, &Arc::new(event));
        self.note(world);
    }

    fn put_out(&mut self, output: Put, world: &mut World<'_>) {
        self.note(world);
        match output {
            Put::Command(id, command) => {
                self.listeners.begin();
                if let Err(error) = self.call.handle_command(world.now, id, command) {
                    let outcome = Outcome::Declined { reason: error.reason };
                    self.tell(Event::Settled { id, outcome }, world);
                }
            }
            Put::Media(media) => {
                self.listeners.begin();
                if let Err(error) = self.call.handle_media(world.now, media) {
                    world.record("log", json!({ "message": error.to_string() }));
                }
            }
            Put::Answer(ticket, answer) => self.answers.push((ticket, answer)),
            Put::Fault(fault) => world.record("log", json!({ "message": *fault.message })),
            Put::Ended(_) => {
                self.ended = true;
                self.listeners.begin();
                // It may have ended already.
                let _ = self.call.handle_command(world.now, CommandId(u64::MAX >> 8), close());
            }
            Put::Frame(..) | Put::Spawn(..) | Put::SpawnBlocking(..) | Put::Drop(_) => {}
        }
    }

    /// What the observer and the hooks have seen.
    fn note(&self, world: &mut World<'_>) {
        for (channel, record) in std::mem::take(&mut *lock(&self.watched)) {
            let own = record["item_id"].as_str();
            if own.is_none_or(|own| self.acknowledged_ids.iter().all(|id| id != own)) {
                world.record(channel, record);
            }
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("chain", &self.chain).field("call", &self.call).finish_non_exhaustive()
    }
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
