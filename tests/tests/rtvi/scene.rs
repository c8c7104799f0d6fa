//! An agent behind a socket: the client's end is given to the test.

use realtime_client::{Client as ModelClient, Endpoint};
use realtime_context::Conversation;
use realtime_emulator::brain::Script;
use realtime_emulator::{Options, serve_stream};
use realtime_pipeline::Agent;
use realtime_pipeline::media::{Rtvi, RtviOptions};
use realtime_pipeline::sockets::MediaSocket;
use realtime_pipeline::task::Finished;
use realtime_protocol::time::UnixTime;
use serde_json::Value;
use tokio::io::duplex;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::client::Client;

/// 2026-11-27T08:17:54Z.
pub(crate) const WALL: UnixTime = UnixTime::from_secs(1_795_767_474);

/// A call that runs.
pub(crate) struct Scene {
    pub(crate) client: Client,
    pub(crate) conversation: Conversation,
    run: JoinHandle<Finished>,
}

/// Holds a call with this agent. The emulator follows the script.
pub(crate) async fn begin(script: &Value, options: RtviOptions, agent: Agent) -> Scene {
    let (near, far) = duplex(1 << 20);
    let near = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
    let far = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
    let emulator = Options::default().script(Script::parse(&script.to_string()).unwrap());
    let agent = agent.service(move |service| {
        service.connect_with(|endpoint, client| async move {
            let (near, far) = duplex(1 << 20);
            tokio::spawn(serve_stream(far, emulator));
            ModelClient::over(near, &endpoint, client).await
        })
    });
    let conversation = Conversation::new();
    let agent = agent.conversation(conversation.clone());
    let endpoint = Endpoint::new("ws://emulator", "gpt-realtime").unwrap();
    let run = tokio::spawn(async move {
        let mut socket = MediaSocket::new(near, Rtvi::new(options));
        socket.ready().await.unwrap();
        assert_eq!(socket.read(|rtvi| rtvi.about_client()["library"].clone()), "test");
        let (task, _) = agent.task(endpoint, socket).unwrap();
        task.run().await.unwrap()
    });
    Scene { client: Client::begin(far).await, conversation, run }
}

impl Scene {
    /// Waits for the end, and returns the words of the conversation, a line each.
    pub(crate) async fn finish(self) -> (Finished, Vec<String>) {
        let finished = self.run.await.unwrap();
        let line =
            |message: realtime_context::Message| format!("{}: {}", message.role.as_str(), message.text());
        (finished, self.conversation.messages().into_iter().map(line).collect())
    }
}
