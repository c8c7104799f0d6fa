//! What comes in goes to the session, and what the session says goes out: into the trace, the context, the
//! functions and, as frames, to the transport.

use std::sync::Arc;

use realtime_context::{Message, Role};
use realtime_pipeline::adapter::Asked;
use realtime_pipeline::adapter::Route;
use realtime_pipeline::{Direction, FrameKind};
use realtime_protocol::call::{Command, CommandId, DisconnectReason, Event, Outcome, PlaybackReport};
use realtime_protocol::event::{ClientEvent, ConversationItemRetrieved, Dialect, ServerEvent};
use realtime_protocol::item::Item;
use realtime_protocol::session::Output;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::time::Timestamp;
use serde_json::{Map, Value, json};

use super::{Agent, Talk};
use crate::Error;
use crate::scenario::{Chat, config_of};
use crate::trace::digested;
use crate::transport::input_audio;

impl Agent {
    /// The server sends a text.
    pub(super) fn receive(&mut self, text: &str) {
        if self.connected {
            self.session.handle_text(self.now, text);
            self.drain();
        }
    }

    pub(super) fn closed(&mut self, code: u16, by_client: bool) {
        if std::mem::take(&mut self.connected) {
            let record =
                json!({ "ev": "closed", "n": self.connections, "code": code, "by_client": by_client });
            self.record("conn", record);
        }
    }

    pub(super) fn disconnected(&mut self, reason: DisconnectReason) {
        self.session.handle_disconnected(self.now, reason);
        self.drain();
    }

    /// The clock moves on to that time, and whatever is due on the way happens at its time.
    pub(super) fn pass(&mut self, to: Timestamp) {
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= to) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.max(to);
    }

    /// A frame of the scenario's goes through the pipeline.
    pub(super) fn frame(&mut self, frame: &Value) -> Result<(), Error> {
        let upstream = frame["dir"] == "up";
        match frame["type"].as_str().unwrap_or_default() {
            "InputAudioRawFrame" if !self.paused && !upstream => {
                let audio = input_audio(frame).ok_or("expected a frame with audio")?;
                self.push(&FrameKind::InputAudio(audio), Direction::Downstream);
            }
            // Here the interruption is what begins the user's turn. Where the server detects turns, it is a
            // request.
            "StartInterruptionFrame" => {
                let started = FrameKind::UserStartedSpeaking { item_id: None };
                if self.push(&started, Direction::Downstream) == 0 {
                    let interrupt = FrameKind::Command(Arc::new(Command::Interrupt {}));
                    self.push(&interrupt, Direction::Downstream);
                }
            }
            "UserStoppedSpeakingFrame" => {
                self.push(&FrameKind::UserStoppedSpeaking { item_id: None }, Direction::Downstream);
            }
            "BotStoppedSpeakingFrame" => {
                let report = self.transport.fell_silent();
                self.report(report);
            }
            "LLMMessagesAppendFrame" => {
                let messages: Vec<Message> = serde_json::from_value(frame["messages"].clone())?;
                self.append(messages, frame["run_llm"] == true);
            }
            "LLMMessagesUpdateFrame" => {
                let Some(name) = self.current.clone() else { return Ok(()) };
                let tools = self.chats.get(&name).map(|talk| talk.chat.tools.clone()).unwrap_or_default();
                let messages = serde_json::from_value(frame["messages"].clone())?;
                self.chats.insert(name, Talk::new(Chat { messages, tools, ..Chat::default() })?);
                if self.seeded {
                    self.reconnect();
                }
                if frame["run_llm"] == true {
                    self.run_context();
                }
            }
            "LLMSetToolsFrame" => {
                if let Some(talk) = self.current.as_ref().and_then(|name| self.chats.get_mut(name)) {
                    talk.chat.tools = frame["tools"].clone();
                }
                self.configure();
            }
            "LLMSetToolChoiceFrame" => {
                let choice = Map::from_iter([("tool_choice".to_owned(), frame["tool_choice"].clone())]);
                self.update(config_of(&choice));
            }
            "LLMUpdateSettingsFrame" => {
                let settings = frame["settings"].as_object().ok_or("expected a frame with settings")?;
                self.properties = config_of(settings);
                self.update(config_of(settings));
            }
            "EndFrame" | "CancelFrame" => self.ask(Command::Close {}),
            // Any other passes through the service.
            _ => {}
        }
        Ok(())
    }

    fn update(&mut self, config: SessionConfig) {
        self.given.merge(config.clone());
        self.ask(Command::UpdateConfig { config: Box::new(config) });
    }

    /// Messages of the application's join the conversation.
    fn append(&mut self, messages: Vec<Message>, run: bool) {
        let Some(talk) = self.current.as_ref().and_then(|name| self.chats.get_mut(name)) else { return };
        let (mut items, mut own) = (Vec::new(), Vec::new());
        for message in messages {
            match message.role {
                Role::User if self.seeded => items.push(Item::user_text(message.text())),
                Role::System if self.seeded => items.push(Item::system_text(message.text())),
                _ => drop(talk.context.append(message)),
            }
        }
        for mut item in items {
            talk.appended += 1;
            item.set_id(format!("ctx_a{}", talk.appended).into());
            own.push(item);
        }
        for item in own {
            self.ask(Command::CreateItem { item: Box::new(item), after: None, respond: false });
        }
        if run {
            self.run_context();
        }
    }

    /// A frame comes to the service: how many commands it stands for.
    pub(super) fn push(&mut self, kind: &FrameKind, direction: Direction) -> usize {
        let commands = match self.adapter.commands(kind, direction) {
            Ok(commands) => commands,
            Err(error) => {
                self.log(&error.to_string());
                return 1;
            }
        };
        let count = commands.len();
        for asked in commands {
            match asked {
                Asked::Command(command) => self.ask(command),
                Asked::Media(media) => {
                    if let Err(error) = self.session.handle_media(self.now, media) {
                        self.log(&error.to_string());
                    }
                }
            }
        }
        count
    }

    pub(super) fn report(&mut self, report: Option<PlaybackReport>) {
        if let Some(report) = report {
            self.push(&FrameKind::Playback(report), Direction::Upstream);
        }
    }

    pub(super) fn next_id(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(self.commands)
    }

    pub(super) fn ask(&mut self, command: Command) {
        let id = self.next_id();
        self.command(id, command);
    }

    pub(super) fn command(&mut self, id: CommandId, command: Command) {
        if let Err(error) = self.session.handle_command(self.now, id, command) {
            self.answer(id, json!({ "error": error.reason.to_string() }));
            self.log(&error.to_string());
        }
    }

    /// Does what the session says, and what follows, until all is quiet.
    pub(super) fn drain(&mut self) {
        loop {
            if let Some(output) = self.session.poll_output() {
                match output {
                    Output::Send(event) => self.send(&event),
                    Output::Event(event) => self.tell(event),
                    Output::Close => {
                        self.closed(1000, true);
                        let reason = String::new();
                        let reason = DisconnectReason::Closed { code: Some(1000), reason };
                        self.session.handle_disconnected(self.now, reason);
                    }
                }
            } else if let Some(command) = self.functions.poll() {
                self.record_functions();
                self.ask(command);
            } else {
                self.record_functions();
                return;
            }
        }
    }

    fn send(&mut self, event: &ClientEvent) {
        let text = event.encode(Dialect::Beta);
        let Ok(event) = serde_json::from_str::<Value>(&text) else { return };
        let channel = if self.connected { "client" } else { "client_lost" };
        if self.connected {
            self.sent.push(event.clone());
        }
        self.record(channel, json!({ "event": digested(event) }));
    }

    /// The session tells something: the context learns it first, as in a pipeline.
    fn tell(&mut self, event: Event) {
        if let Some(talk) = self.current.as_ref().and_then(|name| self.chats.get_mut(name)) {
            talk.context.observe(&event);
        }
        if let Event::Settled { id, outcome } = &event {
            self.settled(*id, outcome);
        }
        if let Event::ItemPlaced { item, .. } = &event
            && self.retrieves_created
            && let Some(item_id) = item.id()
        {
            self.retrieve(item_id.as_str(), &format!("on_conversation_item_created:{item_id}"));
        }
        for command in self.functions.handle(&event) {
            self.record_functions();
            self.ask(command);
        }
        for (kind, route) in self.adapter.frames(&Arc::new(event)) {
            let record = json!({ "frame": kind.name() });
            if route != Route::Downstream {
                self.record("up", record.clone());
            }
            if route != Route::Upstream {
                self.record("down", record);
                let report = self.transport.take(&kind);
                self.report(report);
            }
        }
    }

    /// The outcome of a call, if someone waits for it.
    fn settled(&mut self, id: CommandId, outcome: &Outcome) {
        let answer = match outcome {
            Outcome::Retrieved { item } => json!({ "result": wire_item(item) }),
            Outcome::Refused { error } => json!({ "error": error.message_str() }),
            Outcome::Declined { reason } => json!({ "error": reason.to_string() }),
            Outcome::TimedOut => json!({ "error": "timed out" }),
            Outcome::Closed { reason } => json!({ "error": reason.to_string() }),
            _ => return,
        };
        self.answer(id, answer);
    }

    fn answer(&mut self, id: CommandId, mut answer: Value) {
        let Some(name) = self.waiting.remove(&id) else { return };
        self.pending.remove(&name);
        answer["call"] = name.into();
        self.record("call", answer);
    }

    fn record_functions(&mut self) {
        for record in self.functions.records() {
            self.record("function", record);
        }
    }

    pub(super) fn log(&mut self, message: &str) {
        self.record("log", json!({ "message": message }));
    }

    pub(super) fn record(&mut self, channel: &str, record: Value) {
        self.trace.push(self.step, channel, record);
    }
}

/// An item as the beta's wire has it.
fn wire_item(item: &Item) -> Value {
    let event = ConversationItemRetrieved { item: Box::new(item.clone()), ..Default::default() };
    let text = ServerEvent::ConversationItemRetrieved(event).encode(Dialect::Beta);
    serde_json::from_str::<Value>(&text).map(|mut event| digested(event["item"].take())).unwrap_or_default()
}
