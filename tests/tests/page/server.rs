//! A server of calls with pages: [`Server`] does what an application would, with the emulator as the model.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use realtime_client::{Client, Endpoint};
use realtime_context::Conversation;
use realtime_emulator::brain::Script;
use realtime_emulator::{Options, serve_stream};
use realtime_pipeline::Agent;
use realtime_pipeline::chain::{Answer, Fault, Hop, Intent, Observer};
use realtime_pipeline::media::page::token_in;
use realtime_pipeline::media::{Page, PageOptions};
use realtime_pipeline::sockets::{Lines, MediaSocket, draw_token, first_text};
use realtime_pipeline::task::{Finished, TaskHandle};
use realtime_protocol::call::Outcome;
use realtime_protocol::content::ContentPart;
use realtime_protocol::item::Item;
use realtime_protocol::time::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::accept_async;

const LONG: &str = "This is a long answer, with so many words in it that a user loses patience with it, speaks, \
    and does not want to hear the end of it at all.";

/// Holds a call with each page, and gives a page that comes back to its own.
#[derive(Clone)]
pub(crate) struct Server {
    lines: Lines<Page>,
    calls: mpsc::UnboundedSender<Call>,
}

/// A call that runs.
pub(crate) struct Call {
    pub(crate) handle: TaskHandle,
    pub(crate) conversation: Conversation,
    pub(crate) faults: Faults,
    run: JoinHandle<Finished>,
}

/// The faults of a call.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Vec<String>>>);

impl Observer for Faults {
    fn on_frame(&mut self, _: &Hop<'_>) {}

    fn on_fault(&mut self, _: Timestamp, fault: &Fault) {
        self.0.lock().unwrap().push(fault.to_string());
    }
}

impl Call {
    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.0.lock().unwrap().clone()
    }

    /// The words of the conversation, a line each.
    pub(crate) fn words(&self) -> Vec<String> {
        let messages = self.conversation.messages();
        messages.iter().map(|message| format!("{}: {}", message.role.as_str(), message.text())).collect()
    }

    /// How much audio the server has of an item (ms).
    pub(crate) async fn audio_at_the_server(&self, id: &Value) -> u64 {
        let item_id = id.as_str().unwrap().into();
        let answer = self.handle.ask(Intent::Retrieve { item_id }).await.unwrap();
        let Answer::Settled(Outcome::Retrieved { item }) = answer else { panic!("{answer:?}") };
        let Item::Message(message) = *item else { panic!("a message") };
        let Some([ContentPart::OutputAudio(part)]) = message.content.value().map(Vec::as_slice) else {
            panic!("one part of audio")
        };
        part.audio.value().unwrap().bytes().unwrap().len() as u64 / 48
    }

    pub(crate) async fn finished(self) -> Finished {
        self.run.await.unwrap()
    }
}

impl Server {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Call>) {
        let (calls, begun) = mpsc::unbounded_channel();
        (Self { lines: Lines::new(10), calls }, begun)
    }

    pub(crate) const fn lines(&self) -> &Lines<Page> {
        &self.lines
    }

    /// A page connects.
    pub(crate) async fn accept<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let socket = accept_async(stream).await.unwrap();
        let (hello, socket) = first_text(socket, Duration::from_secs(10)).await.unwrap();
        let line = token_in(&hello).and_then(|token| self.lines.find(&token));
        let socket = match line {
            None => socket,
            Some(line) => match line.attach(socket) {
                Ok(()) => return,
                Err(socket) => socket,
            },
        };
        let token = draw_token();
        let mut socket = MediaSocket::new(socket, Page::new(PageOptions::new(&*token)));
        let held = self.lines.hold(token, socket.line()).unwrap();
        socket.ready().await.unwrap();
        let faults = Faults::default();
        let agent = agent().observe(faults.clone());
        let endpoint = Endpoint::new("ws://emulator", "gpt-realtime").unwrap();
        let (task, conversation) = agent.task(endpoint, socket).unwrap();
        let handle = task.handle().clone();
        let run = tokio::spawn(async move {
            let finished = task.run().await.unwrap();
            drop(held);
            finished
        });
        // The test may not look at it.
        let _ = self.calls.send(Call { handle, conversation, faults, run });
    }
}

fn agent() -> Agent {
    let script = json!({ "turns": [
        { "on": "request", "reply": [{ "say": "Hello there." }] },
        { "on": "speech", "transcript": "How are you?", "repeat": true, "reply": [{ "say": LONG }] },
        { "on": "text", "repeat": true, "reply": [{ "say": "You wrote: {input}" }] },
    ] });
    let script = Script::parse(&script.to_string()).unwrap();
    Agent::new("You are a friendly host.").greeting("Say hello.").service(move |service| {
        service.connect_with(move |endpoint, client| {
            let open = move || {
                let (near, far) = duplex(1 << 20);
                tokio::spawn(serve_stream(far, Options::default().script(script.clone())));
                std::future::ready(Ok(near))
            };
            Client::over_streams(open, endpoint, client)
        })
    })
}
