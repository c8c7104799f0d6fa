//! Real calls: an emulator holds them, workers attach by their ids, and a user asks for something.

use std::time::Duration;

use realtime_client::{ActiveCall, Client, Endpoint, Handle, Rest};
use realtime_emulator::brain::{Brain, Reply, Trigger, Turn};
use realtime_emulator::{Caller, ConnectionOptions, Emulator, Options, Spawned};
use realtime_fleet::gateway::NewCall;
use realtime_fleet::{Content, Leg, Placing, Tenant};
use realtime_protocol::call::Event;
use realtime_protocol::session::{Begin, PlaybackSource, SessionOptions};
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::tool::{FunctionTool, Tool};
use serde_json::{Value, json};

use crate::fleet::Fleet;

/// Some seconds of speech: more than a take-over takes.
const LONG: &str = "Once upon a time a parrot lived in a harbour town. Every ship that came in taught it a \
    new word. In the end it could greet the whole world. And when a ship left, it said all the words again, \
    one by one, until nobody could hear them any more, and then it slept until the next ship came in.";

/// Tells a story, or books a seat first.
struct Teller;

impl Brain for Teller {
    fn reply(&mut self, turn: &Turn<'_>) -> Reply {
        match turn.trigger {
            Trigger::Text(text) if text.contains("book") => Reply::call("book", r#"{"row":7}"#),
            Trigger::ToolOutputs(outputs)
                if outputs.iter().any(|output| output.output.contains("lost on")) =>
            {
                Reply::call("book", r#"{"row":7}"#)
            }
            _ => Reply::say(LONG),
        }
    }
}

/// An emulator with one call, a fleet that serves it, and the user of the call.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    emulator: Spawned,
    call_id: String,
    call: String,
    user: Handle,
    told: ActiveCall,
    /// Whether the model speaks.
    speaks: bool,
    /// The response that ended last.
    ended: String,
}

impl Stage {
    /// Places a call, and waits until a worker is attached to it.
    pub(crate) async fn begin(metadata: Value) -> Self {
        Self::begin_with(metadata, async |_, _| ()).await.0
    }

    /// The same; somebody is on the phone, whose audio passes no worker.
    pub(crate) async fn begin_with_caller() -> (Self, Caller) {
        Self::begin_with(json!({}), async |emulator: &Spawned, call_id: &str| emulator.caller(call_id).await)
            .await
    }

    async fn begin_with<T>(metadata: Value, ring: impl AsyncFnOnce(&Spawned, &str) -> T) -> (Self, T) {
        // The voice takes its time: a call is killed while it speaks.
        let connection = ConnectionOptions { pace: 1.0, ..ConnectionOptions::default() };
        let emulator = Emulator::spawn(Options::default().connection(connection).brain(|| Teller)).await;
        let emulator = emulator.unwrap();
        let fleet = Fleet::start_with_emulator(2, emulator.url()).await;
        let rest = Rest::new(Endpoint::new(emulator.url(), "gpt-realtime").unwrap());
        let call_id = format!("rtc_{}", fleet.folder.file_name().unwrap().display());
        let tool: Tool = FunctionTool::default().name("book").into();
        rest.accept_call(&call_id, &SessionConfig::realtime().tools(vec![tool])).await.unwrap();
        let caller = ring(&emulator, &call_id).await;

        let endpoint = Endpoint::new(emulator.url(), "").unwrap().query("call_id", &call_id);
        let options =
            SessionOptions::default().begin(Begin::Attach).playback(PlaybackSource::Server).entropy(1);
        let told = Client::connect(endpoint, options).await.unwrap();
        let user = told.handle().clone();
        let leg = Leg::Sideband { call_id: call_id.clone() };
        let placing = Placing { tenant: Tenant::unnamed(), leg, metadata: Content(metadata) };
        let call = fleet.gateway.place(NewCall::new(placing)).await.unwrap().call.to_string();
        let stage = Self { fleet, emulator, call_id, call, user, told, speaks: false, ended: String::new() };
        stage.fleet.wait_for_lines("attached", 1).await;
        (stage, caller)
    }

    pub(crate) async fn ask(&self, text: &str) {
        self.user.send_text(text, true).await.unwrap();
    }

    /// Waits until the model has spoken for a moment.
    pub(crate) async fn hears_speech(&mut self) {
        while !self.speaks {
            self.hear().await;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }

    /// Waits until the model has said all of it.
    pub(crate) async fn hears_the_end(&mut self) {
        self.hears_speech().await;
        while self.speaks {
            self.hear().await;
        }
        // So does the worker: a call that is hung up tells nobody what they have not heard.
        self.fleet.wait_for_text("answered", &self.ended).await;
    }

    async fn hear(&mut self) {
        let event = tokio::time::timeout(Duration::from_secs(40), self.told.next()).await;
        match event.expect("something is heard in time").expect("the call goes on") {
            Event::Text { .. } => self.speaks = true,
            Event::ResponseFinished(report) => {
                self.speaks = false;
                self.ended = report.response_id.to_string();
            }
            _ => {}
        }
    }

    /// Kills the worker that has the call.
    pub(crate) fn kill_owner(&mut self) {
        let owner = self.owner();
        self.fleet.kill(owner);
    }

    /// The worker that has the call.
    pub(crate) fn owner(&self) -> usize {
        self.fleet.owner(&self.call)
    }

    /// Hangs up from elsewhere. Returns what the worker knows of what was said.
    pub(crate) async fn hang_up(self) -> String {
        let rest = Rest::new(Endpoint::new(self.emulator.url(), "gpt-realtime").unwrap());
        rest.hang_up_call(&self.call_id).await.unwrap();
        self.fleet.wait_for_lines("transcript", 1).await;
        self.fleet.all_end().await;
        let told: Value = serde_json::from_str(&self.fleet.texts("transcript").remove(0)).unwrap();
        assert_eq!(told["call"], json!(self.call));
        told["said"].as_str().unwrap().to_owned()
    }
}
