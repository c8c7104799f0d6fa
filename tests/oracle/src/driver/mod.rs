//! The driver: what a scenario says happens to the product, in virtual time, and what the product does goes
//! into a trace. Nothing waits.
//!
//! A conversation is a run: a chain of the service's stage and the scenario's transport, a call with its
//! listeners, as a task makes them. A scenario that goes on with another context goes on with another run.

mod frames;
mod run;
mod stage;
mod tools;

use std::collections::{BTreeMap, BTreeSet};

use realtime_client::Endpoint;
use realtime_context::{Conversation, Message, Toolbox};
use realtime_pipeline::chain::{Answer, Direction, FrameKind, Intent, Ticket, UserSpeech};
use realtime_pipeline::service::RealtimeService;
use realtime_protocol::call::{Command, Outcome};
use realtime_protocol::event::{ClientEvent, ConversationItemRetrieved, Dialect, ServerEvent};
use realtime_protocol::item::Item;
use realtime_protocol::session::{PlaybackSource, SessionOptions};
use realtime_protocol::time::Timestamp;
use serde_json::{Map, Value, json};

use self::run::Run;
use self::tools::Tools;
use crate::Error;
use crate::scenario::{Chat, Scenario, Step, config_of, event_text};
use crate::trace::{Trace, digested};

/// Where the scenario's clock starts: 2023-11-14T22:13:20Z.
const START_SECS: u64 = 1_700_000_000;
const MODEL: &str = "gpt-4o-realtime-preview-2025-06-03";

/// What the product does in a scenario.
pub(crate) fn run(scenario: &Scenario) -> Result<Trace, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let _within = runtime.enter();
    let mut driver = Driver::new(scenario, &runtime)?;
    driver.begin()?;
    for (number, step) in scenario.numbered() {
        driver.world.step = number;
        driver.take(step).map_err(|error| format!("step {number}: {error}"))?;
    }
    driver.world.step = scenario.steps.len() + 1;
    driver.finish();
    Ok(driver.world.trace)
}

/// What is outside of the product: the clock, the server, and the trace.
#[derive(Debug)]
struct World<'a> {
    runtime: &'a tokio::runtime::Runtime,
    trace: Trace,
    step: usize,
    now: Timestamp,
    /// How the server answers a connection.
    server: Value,
    connections: u64,
    /// Client events that the server received.
    sent: Vec<Value>,
}

impl World<'_> {
    fn record(&mut self, channel: &str, record: Value) {
        self.trace.push(self.step, channel, record);
    }
}

#[derive(Debug)]
struct Driver<'a> {
    scenario: &'a Scenario,
    world: World<'a>,
    tools: Tools,
    run: Option<Run>,
    chats: BTreeMap<String, Talk>,
    /// The context that the run is about; at first the only one there is.
    current: Option<String>,
    /// Whether that context was asked for an answer.
    adopted: bool,
    /// Whether another context took its place under its name.
    replaced: bool,
    paused: bool,
    /// How many of a type were expected so far.
    expected: BTreeMap<String, usize>,
    /// Who waits for which intent.
    waiting: BTreeMap<Ticket, String>,
    /// Everyone whose call has not ended.
    pending: BTreeSet<String>,
}

/// A context.
#[derive(Clone, Debug)]
struct Talk {
    conversation: Conversation,
    tools: Value,
}

impl Talk {
    fn new(chat: &Chat) -> Result<Self, Error> {
        let messages: Vec<Message> = serde_json::from_value(Value::Array(chat.messages.clone()))?;
        Ok(Self { conversation: Conversation::from_messages(messages), tools: chat.tools.clone() })
    }
}

impl<'a> Driver<'a> {
    fn new(scenario: &'a Scenario, runtime: &'a tokio::runtime::Runtime) -> Result<Self, Error> {
        let header = &scenario.header;
        let mut chats = BTreeMap::new();
        if let Some(chat) = &header.context {
            chats.insert("main".to_owned(), Talk::new(chat)?);
        }
        Ok(Self {
            scenario,
            world: World {
                runtime,
                trace: Trace::default(),
                step: 0,
                now: Timestamp::ZERO,
                server: header.server.clone(),
                connections: 0,
                sent: Vec::new(),
            },
            tools: Tools::default(),
            run: None,
            current: chats.keys().next().cloned(),
            chats,
            adopted: false,
            replaced: false,
            paused: header.service.start_audio_paused,
            expected: BTreeMap::new(),
            waiting: BTreeMap::new(),
            pending: BTreeSet::new(),
        })
    }

    fn toolbox(&self) -> Toolbox {
        let none = Value::Null;
        let talk = self.current.as_ref().and_then(|name| self.chats.get(name));
        let chat = Chat { tools: talk.map_or(&none, |talk| &talk.tools).clone(), ..Chat::default() };
        self.tools.toolbox(&chat, self.scenario)
    }

    /// Makes the service of a conversation, and connects it.
    fn begin(&mut self) -> Result<(), Error> {
        let header = &self.scenario.header;
        let mut config = config_of(&header.service.session_properties);
        let toolbox = self.toolbox();
        if !toolbox.is_empty() {
            // An application gives its tools once.
            config.tools = realtime_protocol::field::Field::Absent;
        }
        let reported = header.plays();
        let session = SessionOptions::default()
            .dialect(Dialect::Beta)
            .config(config)
            .playback(if reported { PlaybackSource::Reported } else { PlaybackSource::Estimated })
            .entropy(self.world.connections);
        let endpoint = Endpoint::new("wss://oracle/v1/realtime", MODEL)?.key("sk-test").beta();
        let mut service = RealtimeService::new(endpoint)
            .input_paused(self.paused)
            .transcripts(header.service.send_transcription_frames.unwrap_or(true));
        let mut client = realtime_client::ClientOptions::new(session)
            .reconnect(realtime_protocol::call::Reconnect::default());
        if header.service.run_in_parallel == Some(false) {
            client = client.desk(realtime_context::DeskOptions::default().concurrency(1));
        }
        service = service.client(client).toolbox(toolbox);
        if let Some(talk) = self.current.as_ref().and_then(|name| self.chats.get(name)) {
            service = service.conversation(talk.conversation.clone());
        }
        self.run = Run::begin(service, header, &mut self.world)?;
        self.settle();
        Ok(())
    }

    fn take(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Server(events) => {
                for event in events {
                    if let Some(text) = event_text(event, &self.world.sent) {
                        self.receive(&text);
                    } else {
                        self.log("the server answers an event that was not sent");
                    }
                }
            }
            Step::ServerRaw(text) => self.receive(text),
            Step::ServerClose { code, reason } => {
                if let Some(run) = &mut self.run {
                    run.server_closes(Some(code.unwrap_or(1000)), reason, &mut self.world);
                }
            }
            Step::ServerAbort => {
                if let Some(run) = &mut self.run {
                    run.server_closes(None, "the connection was dropped", &mut self.world);
                }
            }
            Step::ServerMode(mode) => self.world.server = mode.clone(),
            Step::Frame(frame) => self.frame(frame)?,
            Step::Context(chat) => {
                // Another one, even if it is called the same.
                self.replaced |= self.current.as_deref() == Some(&chat.name);
                self.chats.insert(chat.name.clone(), Talk::new(chat)?);
            }
            Step::ContextFrame(name) => self.context_frame(name)?,
            Step::ExpectClient(kind) => {
                let taken = self.expected.entry(kind.clone()).or_default();
                *taken += 1;
                if self.world.sent.iter().filter(|event| event["type"] == *kind).count() < *taken {
                    *taken -= 1;
                    self.world.record("expect", json!({ "type": kind }));
                }
            }
            Step::Clock(millis) => self.pass(Timestamp::from_millis(*millis)),
            Step::Play(millis) => {
                if let Some(run) = &mut self.run {
                    run.play(*millis, self.world.now);
                }
            }
            Step::PlaybackIdle | Step::Sleep => {}
            Step::RegisterFunction(function) => self.tools.register(function),
            Step::ReleaseFunction(call_id) => self.tools.release(call_id),
            Step::Call(call) => self.call(call)?,
            Step::CancelCall(name) => {
                self.waiting.retain(|_, waiter| waiter != name);
                if self.pending.remove(name) {
                    self.world.record("call", json!({ "call": name, "cancelled": true }));
                }
            }
            Step::Together(_) => return Err("steps that happen together hold no others of that kind".into()),
        }
        self.settle();
        Ok(())
    }

    /// The server sends a text.
    fn receive(&mut self, text: &str) {
        if let Some(run) = &mut self.run {
            run.receive(text, self.world.now);
        }
        self.settle();
    }

    /// The clock moves on to that time, and whatever is due on the way happens at its time.
    fn pass(&mut self, to: Timestamp) {
        while let Some(due) = self.run.as_ref().and_then(Run::poll_timeout).filter(|due| *due <= to) {
            self.world.now = self.world.now.max(due);
            if let Some(run) = &mut self.run {
                run.handle_timeout(self.world.now);
            }
            self.settle();
        }
        self.world.now = self.world.now.max(to);
    }

    /// Does all that follows, until nothing does.
    fn settle(&mut self) {
        while let Some(run) = &mut self.run {
            let goes_on = run.settle(&mut self.world, &self.tools);
            let retrieves = self.scenario.header.handlers.get("on_conversation_item_created");
            let created: Vec<String> = run.take_created();
            let answers = run.take_answers();
            let is_over = run.is_over() && !goes_on && created.is_empty() && answers.is_empty();
            let goes_on = goes_on || !created.is_empty();
            for (ticket, answer) in answers {
                self.answered(ticket, &answer);
            }
            if retrieves.is_some_and(|to| to == "retrieve") {
                for item_id in created {
                    self.retrieve(&item_id, &format!("on_conversation_item_created:{item_id}"));
                }
            }
            if is_over {
                self.run = None;
            }
            if !goes_on {
                break;
            }
        }
        self.tools.take_records().into_iter().for_each(|record| self.world.record("function", record));
    }

    /// Ends the run at once, as at the end of a program.
    fn end_run(&mut self, at_once: bool) {
        let Some(run) = &mut self.run else { return };
        let kind = match at_once {
            true => FrameKind::Cancel { reason: "over".into() },
            false => FrameKind::End { reason: "over".into() },
        };
        run.push(Direction::Downstream, kind, self.world.now);
        self.settle();
    }

    fn finish(&mut self) {
        self.end_run(true);
        let contexts: Map<String, Value> = self
            .chats
            .iter()
            .map(|(name, talk)| {
                let messages = talk.conversation.messages();
                (name.clone(), json!({ "messages": messages, "tools": talk.tools }))
            })
            .collect();
        let record = json!({
            "contexts": contexts,
            "connections": self.world.connections,
            "pending_calls": self.pending,
        });
        self.world.record("final", record);
    }

    /// A context asks for an answer. Another one than before is another conversation.
    fn context_frame(&mut self, name: &str) -> Result<(), Error> {
        if !self.chats.contains_key(name) {
            return Err(format!("there is no context `{name}`").into());
        }
        let other = std::mem::take(&mut self.replaced) || self.current.as_deref() != Some(name);
        self.current = Some(name.to_owned());
        if other {
            self.end_run(true);
            self.begin()?;
        }
        self.adopted = true;
        self.ask(Intent::Run { params: None, protected: false });
        Ok(())
    }

    fn ask(&mut self, intent: Intent) -> Option<Ticket> {
        let ticket = self.run.as_mut()?.ask(intent, self.world.now);
        Some(ticket)
    }

    /// A frame of the scenario's goes through the pipeline.
    fn frame(&mut self, frame: &Value) -> Result<(), Error> {
        let upstream = frame["dir"] == "up";
        let messages = || serde_json::from_value::<Vec<Message>>(frame["messages"].clone());
        match frame["type"].as_str().unwrap_or_default() {
            "InputAudioRawFrame" if !upstream => {
                let audio = stage::input_audio(frame).ok_or("expected a frame with audio")?;
                self.push(Direction::Downstream, FrameKind::InputAudio(audio));
            }
            // Here the interruption is what begins the user's turn. Where the server detects turns, it is a
            // request.
            "StartInterruptionFrame" => {
                if self.run.as_ref().is_some_and(Run::is_manual) {
                    let started = FrameKind::User(UserSpeech::Started { item_id: None });
                    self.push(Direction::Downstream, started);
                } else {
                    self.ask(Intent::Interrupt);
                }
            }
            "UserStoppedSpeakingFrame" => {
                let stopped = FrameKind::User(UserSpeech::Stopped { item_id: None });
                self.push(Direction::Downstream, stopped);
            }
            "BotStoppedSpeakingFrame" => {
                if let Some(run) = &mut self.run {
                    run.fell_silent(self.world.now);
                }
            }
            "LLMMessagesAppendFrame" => {
                let run = frame["run_llm"] == true;
                self.ask(Intent::Append { messages: messages()?, run });
            }
            "LLMMessagesUpdateFrame" => {
                let run = frame["run_llm"] == true;
                self.ask(Intent::Replace { messages: messages()?, run });
            }
            "LLMSetToolsFrame" => {
                let name = self.current.clone();
                if let Some(talk) = name.and_then(|name| self.chats.get_mut(&name)) {
                    talk.tools = frame["tools"].clone();
                }
                let chat = Chat { tools: frame["tools"].clone(), ..Chat::default() };
                self.ask(Intent::Toolbox(self.tools.toolbox(&chat, self.scenario)));
            }
            "LLMSetToolChoiceFrame" => {
                let choice = Map::from_iter([("tool_choice".to_owned(), frame["tool_choice"].clone())]);
                self.ask(Intent::Settings(Box::new(config_of(&choice))));
            }
            "LLMUpdateSettingsFrame" => {
                let settings = frame["settings"].as_object().ok_or("expected a frame with settings")?;
                self.ask(Intent::Settings(Box::new(config_of(settings))));
            }
            "EndFrame" => self.end_run(false),
            "CancelFrame" => self.end_run(true),
            // Any other passes through the service.
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, direction: Direction, kind: FrameKind) {
        if let Some(run) = &mut self.run {
            run.push(direction, kind, self.world.now);
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
                self.paused = call.get("paused").is_some_and(|paused| *paused == true);
                self.ask(Intent::PauseInput(self.paused));
            }
            "reset_conversation" => {
                self.ask(Intent::Reset);
                self.world.record("call", json!({ "call": "reset_conversation", "result": null }));
            }
            "send_client_event" => {
                let event = event_text(call.get("event").unwrap_or(&Value::Null), &self.world.sent);
                let event = ClientEvent::decode(&event.ok_or("the event refers to none")?, Dialect::Beta);
                self.ask(Intent::Raw(Box::new(event)));
                self.world.record("call", json!({ "call": "send_client_event", "result": null }));
            }
            other => return Err(format!("unknown call `{other}`").into()),
        }
        Ok(())
    }

    fn retrieve(&mut self, item_id: &str, name: &str) {
        self.pending.insert(name.to_owned());
        match self.ask(Intent::Retrieve { item_id: item_id.into() }) {
            Some(ticket) => drop(self.waiting.insert(ticket, name.to_owned())),
            None => self.tell(name, json!({ "error": "there is no session" })),
        }
    }

    /// The answer to an intent, if someone waits for it.
    fn answered(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(name) = self.waiting.remove(&ticket) else { return };
        let told = match answer {
            Answer::Settled(Outcome::Retrieved { item }) => json!({ "result": wire_item(item) }),
            Answer::Settled(Outcome::Refused { error }) => json!({ "error": error.message_str() }),
            Answer::Settled(Outcome::Declined { reason }) => json!({ "error": reason.to_string() }),
            Answer::Settled(Outcome::TimedOut) => json!({ "error": "timed out" }),
            Answer::Settled(Outcome::Closed { reason }) => json!({ "error": reason.to_string() }),
            Answer::Refused(reason) => json!({ "error": reason.to_string() }),
            Answer::Closed => json!({ "error": "the run ended first" }),
            _ => return,
        };
        self.tell(&name, told);
    }

    fn tell(&mut self, name: &str, mut told: Value) {
        self.pending.remove(name);
        told["call"] = name.into();
        self.world.record("call", told);
    }

    fn log(&mut self, message: &str) {
        self.world.record("log", json!({ "message": message }));
    }
}

/// An item as the beta's wire has it.
fn wire_item(item: &Item) -> Value {
    let event = ConversationItemRetrieved { item: Box::new(item.clone()), ..Default::default() };
    let text = ServerEvent::ConversationItemRetrieved(event).encode(Dialect::Beta);
    serde_json::from_str::<Value>(&text).map(|mut event| digested(event["item"].take())).unwrap_or_default()
}

/// What ends a call.
const fn close() -> Command {
    Command::Close {}
}
