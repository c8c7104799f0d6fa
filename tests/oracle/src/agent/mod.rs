//! An agent, driven by a scenario: the pipeline's adapter, a context, a session for each connection, and
//! nothing that waits. Time is what the scenario says it is.

mod wiring;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use realtime_context::{Conversation, Message};
use realtime_pipeline::adapter::Adapter;
use realtime_protocol::call::{Command, CommandId, DisconnectReason};
use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::session::{PlaybackSource, Session, SessionOptions};
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::{Map, Value, json};

use super::functions::Functions;
use super::scenario::{Chat, Header, Scenario, Step, config_of, event_text};
use super::trace::Trace;
use super::transport::Transport;
use crate::Error;

/// Where the scenario's clock starts: 2023-11-14T22:13:20Z.
const START_SECS: u64 = 1_700_000_000;

/// How much audio from before a turn is sent with it, if the session detects no turns.
pub(super) const PRE_ROLL: Duration = Duration::from_millis(500);

const PATH: &str = "/v1/realtime?model=gpt-4o-realtime-preview-2025-06-03";

/// What an agent does in a scenario.
pub(super) fn run(scenario: &Scenario) -> Result<Trace, Error> {
    let mut agent = Agent::new(&scenario.header)?;
    agent.connect();
    for (number, step) in scenario.numbered() {
        agent.step = number;
        agent.take(step).map_err(|error| format!("step {number}: {error}"))?;
    }
    agent.step = scenario.steps.len() + 1;
    agent.finish();
    Ok(agent.trace)
}

/// An agent and the world around it.
#[derive(Debug)]
struct Agent {
    trace: Trace,
    step: usize,
    now: Timestamp,
    session: Session,
    adapter: Adapter,
    connected: bool,
    connections: u64,
    server: Value,
    functions: Functions,
    transport: Transport,
    properties: SessionConfig,
    chats: BTreeMap<String, Talk>,
    /// The context that the service works for; at first the only one there is.
    current: Option<String>,
    /// Whether the context was in use by a run already.
    adopted: bool,
    /// Whether another context took its place.
    replaced: bool,
    /// Whether this connection was given the history.
    seeded: bool,
    /// What the session was configured as.
    given: SessionConfig,
    paused: bool,
    retrieves_created: bool,
    /// Client events as they were sent.
    sent: Vec<Value>,
    /// How many of a type were expected so far.
    expected: BTreeMap<String, usize>,
    commands: u64,
    /// Who waits for which command.
    waiting: BTreeMap<CommandId, String>,
    /// Everyone whose call has not ended.
    pending: BTreeSet<String>,
}

/// A context and what was said of its tools.
#[derive(Debug)]
struct Talk {
    context: Conversation,
    /// Items of the application's own.
    appended: u32,
    chat: Chat,
}

impl Talk {
    fn new(chat: Chat) -> Result<Self, Error> {
        let messages: Vec<Message> = serde_json::from_value(Value::Array(chat.messages.clone()))?;
        Ok(Self { context: Conversation::from_messages(messages), appended: 0, chat })
    }
}

impl Agent {
    fn new(header: &Header) -> Result<Self, Error> {
        let mut chats = BTreeMap::new();
        if let Some(chat) = &header.context {
            chats.insert("main".to_owned(), Talk::new(chat.clone())?);
        }
        let sequential = header.service.run_in_parallel == Some(false);
        Ok(Self {
            trace: Trace::default(),
            step: 0,
            now: Timestamp::ZERO,
            session: Session::new(SessionOptions::default()),
            adapter: Adapter::default(),
            connected: false,
            connections: 0,
            server: header.server.clone(),
            functions: Functions::new(sequential),
            transport: Transport::new(header.plays()),
            properties: config_of(&header.service.session_properties),
            current: chats.keys().next().cloned(),
            chats,
            adopted: false,
            replaced: false,
            seeded: false,
            given: SessionConfig::default(),
            paused: header.service.start_audio_paused,
            retrieves_created: header
                .handlers
                .get("on_conversation_item_created")
                .is_some_and(|to| to == "retrieve"),
            sent: Vec::new(),
            expected: BTreeMap::new(),
            commands: 0,
            waiting: BTreeMap::new(),
            pending: BTreeSet::new(),
        })
    }

    fn take(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Server(events) => {
                for event in events {
                    if let Some(text) = event_text(event, &self.sent) {
                        self.receive(&text);
                    } else {
                        self.log("the server answers an event that was not sent");
                    }
                }
            }
            Step::ServerRaw(text) => self.receive(text),
            Step::ServerClose { code, reason } => {
                self.closed(code.unwrap_or(1000), false);
                self.disconnected(DisconnectReason::Closed { code: *code, reason: reason.clone() });
            }
            Step::ServerAbort => {
                self.closed(1006, false);
                self.disconnected(DisconnectReason::Lost { reason: "the connection was dropped".to_owned() });
            }
            Step::ServerMode(mode) => self.server = mode.clone(),
            Step::Frame(frame) => self.frame(frame)?,
            Step::Context(chat) => {
                // Another one, even if it is called the same.
                self.replaced |= self.current.as_deref() == Some(&chat.name);
                self.chats.insert(chat.name.clone(), Talk::new(chat.clone())?);
            }
            Step::ContextFrame(name) => self.context_frame(name)?,
            Step::ExpectClient(kind) => {
                let taken = self.expected.entry(kind.clone()).or_default();
                *taken += 1;
                if self.sent.iter().filter(|event| event["type"] == *kind).count() < *taken {
                    *taken -= 1;
                    self.record("expect", json!({ "type": kind }));
                }
            }
            Step::Clock(millis) => self.pass(Timestamp::from_millis(*millis)),
            Step::Play(millis) => {
                let report = self.transport.play(*millis);
                self.report(report);
            }
            Step::PlaybackIdle | Step::Sleep => {}
            Step::RegisterFunction(function) => self.functions.register(function),
            Step::ReleaseFunction(call_id) => self.functions.release(call_id),
            Step::Call(call) => self.call(call)?,
            Step::CancelCall(name) => {
                self.waiting.retain(|_, waiter| waiter != name);
                if self.pending.remove(name) {
                    self.record("call", json!({ "call": name, "cancelled": true }));
                }
            }
            Step::Together(_) => return Err("steps that happen together hold no others of that kind".into()),
        }
        self.drain();
        Ok(())
    }

    fn finish(&mut self) {
        let contexts: Map<String, Value> = self
            .chats
            .iter()
            .map(|(name, talk)| {
                let messages = talk.context.messages();
                (name.clone(), json!({ "messages": messages, "tools": talk.chat.tools }))
            })
            .collect();
        let record = json!({
            "contexts": contexts,
            "connections": self.connections,
            "pending_calls": self.pending,
        });
        self.record("final", record);
    }

    /// Opens a connection, with what the session is to be known from the start.
    fn connect(&mut self) {
        self.given = self.wanted();
        self.seeded = false;
        let manual = self.given.turn_detection().is_null();
        let reported = self.transport.plays();
        self.adapter = Adapter::for_config(&self.given);
        self.session = Session::new(
            SessionOptions::default()
                .dialect(Dialect::Beta)
                .config(self.given.clone())
                .playback(if reported { PlaybackSource::Reported } else { PlaybackSource::Estimated })
                .pre_roll(manual.then_some(PRE_ROLL))
                .entropy(self.connections),
        );
        if self.server == "accept" {
            self.connected = true;
            self.connections += 1;
            let headers = json!({ "Authorization": "Bearer sk-test", "OpenAI-Beta": "realtime=v1" });
            let record = json!({ "ev": "open", "n": self.connections, "path": PATH, "headers": headers });
            self.record("conn", record);
            let wall = UnixTime::from_micros(START_SECS * 1_000_000 + self.now.as_micros());
            self.session.handle_connected(self.now, wall);
        } else {
            let reason = format!("the server answers {}", self.server);
            if self.server.is_number() {
                self.record("conn", json!({ "ev": "rejected", "status": self.server }));
            }
            self.session.handle_disconnected(self.now, DisconnectReason::Lost { reason });
        }
        self.drain();
    }

    /// Ends the connection and opens another: the conversation begins anew.
    fn reconnect(&mut self) {
        self.ask(Command::Close {});
        self.drain();
        self.connect();
    }

    /// The configuration that the session should have: the properties, and over them what the context says.
    fn wanted(&self) -> SessionConfig {
        let Some(talk) = self.current.as_ref().and_then(|name| self.chats.get(name)) else {
            return self.properties.clone();
        };
        let mut config = talk.context.session_config(self.properties.clone());
        if let Some(tools) = talk.chat.wire_tools() {
            let properties = Map::from_iter([("tools".to_owned(), tools)]);
            config.merge(config_of(&properties));
        }
        config
    }

    /// A context asks for a run: another one than before begins the conversation anew.
    fn context_frame(&mut self, name: &str) -> Result<(), Error> {
        if !self.chats.contains_key(name) {
            return Err(format!("there is no context `{name}`").into());
        }
        let other = std::mem::take(&mut self.replaced) || self.current.as_deref() != Some(name);
        let changed = self.adopted && other;
        self.current = Some(name.to_owned());
        self.adopted = true;
        if changed {
            self.reconnect();
        }
        self.run_context();
        Ok(())
    }

    /// Asks for a response; the first time in a session, what was said before goes ahead of it.
    fn run_context(&mut self) {
        self.configure();
        let talk = self.current.as_ref().and_then(|name| self.chats.get_mut(name));
        if let Some(talk) = talk.filter(|_| !self.seeded) {
            let seed = talk.context.seed();
            for item in seed.items {
                self.ask(Command::CreateItem { item: Box::new(item), after: None, respond: false });
            }
        }
        self.seeded = true;
        self.ask(Command::CreateResponse { params: None, protected: false });
    }

    /// Tells the session what has changed of the configuration.
    fn configure(&mut self) {
        let wanted = self.wanted();
        if wanted != self.given {
            let mut changes = SessionConfig::default();
            if wanted.instructions != self.given.instructions {
                changes.instructions.clone_from(&wanted.instructions);
            }
            if wanted.tools != self.given.tools {
                changes.tools.clone_from(&wanted.tools);
            }
            self.given = wanted;
            self.ask(Command::UpdateConfig { config: Box::new(changes) });
        }
    }

    fn call(&mut self, call: &Map<String, Value>) -> Result<(), Error> {
        let text = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("call") {
            "retrieve_conversation_item" => {
                let name = if call.contains_key("as") { text("as") } else { text("item_id") };
                self.retrieve(text("item_id"), name);
            }
            "set_audio_input_paused" => {
                self.paused = call.get("paused").is_some_and(|paused| *paused == true)
            }
            "reset_conversation" => {
                self.reconnect();
                self.record("call", json!({ "call": "reset_conversation", "result": null }));
            }
            "send_client_event" => {
                let event = event_text(call.get("event").unwrap_or(&Value::Null), &self.sent);
                let event = ClientEvent::decode(&event.ok_or("the event refers to none")?, Dialect::Beta);
                self.ask(Command::SendEvent { event: Box::new(event) });
                self.record("call", json!({ "call": "send_client_event", "result": null }));
            }
            other => return Err(format!("unknown call `{other}`").into()),
        }
        Ok(())
    }

    fn retrieve(&mut self, item_id: &str, name: &str) {
        self.pending.insert(name.to_owned());
        let id = self.next_id();
        self.waiting.insert(id, name.to_owned());
        self.command(id, Command::RetrieveItem { item_id: item_id.into() });
    }
}
