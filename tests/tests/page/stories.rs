//! One test for each story of a call with a page.

use std::time::Duration;

use realtime_pipeline::chain::Ended;
use serde_json::{Value, json};
use tokio::io::duplex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::client_async;

use crate::client::{Connection, ScriptedPage};
use crate::server::{Call, Server};

/// A page, its server and the calls that begin there.
struct Scene {
    page: ScriptedPage,
    server: Server,
    calls: UnboundedReceiver<Call>,
    /// A real socket's, if there is one.
    address: Option<std::net::SocketAddr>,
}

impl Scene {
    /// Over a stream in memory.
    fn new() -> Self {
        let (server, calls) = Server::new();
        Self { page: ScriptedPage::default(), server, calls, address: None }
    }

    /// Over a socket of this machine.
    async fn on_loopback() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scene = Self::new();
        let (server, address) = (scene.server.clone(), listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().accept(stream));
            }
        });
        Self { address: Some(address), ..scene }
    }

    /// The page connects, for the first time or again.
    async fn connect(&self) -> Connection {
        match self.address {
            Some(address) => {
                let stream = TcpStream::connect(address).await.unwrap();
                self.page.connect(client_async("ws://page/", stream).await.unwrap().0)
            }
            None => {
                let (near, far) = duplex(1 << 16);
                tokio::spawn(self.server.clone().accept(far));
                self.page.connect(client_async("ws://page/", near).await.unwrap().0)
            }
        }
    }

    /// The agent has greeted.
    async fn greeted(&mut self) -> (Connection, Call) {
        let connection = self.connect().await;
        let call = timeout(Duration::from_secs(20), self.calls.recv()).await.unwrap().unwrap();
        self.page.until(speaking("agent", false), 1).await;
        (connection, call)
    }

    /// The user speaks over the agent's answer. Returns what the page is told of it, and what it said itself.
    async fn interrupt(&self) -> (Value, Value) {
        self.page.speak(1_000).await;
        self.page.until(speaking("agent", true), 2).await;
        sleep(Duration::from_millis(1_500)).await;
        self.page.speak(800).await;
        let interrupted = self.page.until(json!({ "type": "interrupted" }), 1).await;
        (interrupted, self.page.until(json!({ "type": "stopped" }), 1).await)
    }
}

fn speaking(who: &str, on: bool) -> Value {
    json!({ "type": "speaking", "who": who, "on": on })
}

/// The place in a part, in milliseconds.
fn ms(place: &Value) -> u64 {
    place["samples"].as_u64().unwrap() / 24
}

#[tokio::test(start_paused = true)]
async fn a_page_is_greeted_and_answered_and_hears_all_of_it() {
    let mut scene = Scene::new();
    let (connection, call) = scene.greeted().await;
    scene.page.speak(1_000).await;
    scene.page.until(speaking("agent", false), 2).await;
    for (who, text) in [("agent", "Hello there."), ("user", "How are you?")] {
        scene.page.until(json!({ "type": "transcript", "who": who, "text": text }), 1).await;
    }
    scene.page.until(json!({ "type": "latency", "name": "voice_to_voice" }), 1).await;
    for nth in [1, 2] {
        let done = scene.page.until(json!({ "type": "done" }), nth).await;
        let item = scene.page.until(json!({ "type": "item", "number": done["number"] }), 1).await;
        assert_eq!(scene.page.heard_of(&item["id"]), [(0, done["samples"].as_u64().unwrap())]);
    }
    connection.say(json!({ "type": "bye" }));
    let ended = call.finished().await.ended;
    assert!(matches!(ended, Ended::Cancelled { reason } if &*reason == "the other end has gone"));
    assert!(scene.server.lines().is_empty(), "its line is forgotten");
}

#[tokio::test(start_paused = true)]
async fn an_interruption_cuts_the_answer_where_the_page_stopped() {
    let mut scene = Scene::new();
    let (connection, call) = scene.greeted().await;
    let (interrupted, stopped) = scene.interrupt().await;
    let cut = interrupted["ms"].as_u64().unwrap();
    assert!(cut.abs_diff(ms(&stopped)) <= 1, "{interrupted} {stopped}");
    assert!((1_300..1_900).contains(&cut), "{cut}");
    assert_eq!(interrupted["estimated"], false);
    assert_eq!(scene.page.heard_of(&interrupted["item"]), [(0, stopped["samples"].as_u64().unwrap())]);
    assert_eq!(call.audio_at_the_server(&interrupted["item"]).await, cut);
    scene.page.until(speaking("agent", false), 3).await;
    let heard = interrupted["text"].as_str().unwrap();
    assert_eq!(call.words()[2], format!("assistant: {heard}"));
    assert!(!heard.is_empty() && heard.len() < 120, "{heard}");
    connection.kill().await;
    assert!(call.faults().is_empty(), "{:?}", call.faults());
}

#[tokio::test(start_paused = true)]
async fn what_the_user_types_stops_the_agent_and_is_answered() {
    let mut scene = Scene::new();
    let (connection, call) = scene.greeted().await;
    scene.page.speak(1_000).await;
    scene.page.until(speaking("agent", true), 2).await;
    sleep(Duration::from_millis(1_000)).await;
    connection.say(json!({ "type": "text", "text": "Be brief." }));
    let interrupted = scene.page.until(json!({ "type": "interrupted" }), 1).await;
    assert!((800..1_400).contains(&interrupted["ms"].as_u64().unwrap()), "{interrupted}");
    scene.page.until(json!({ "type": "transcript", "text": "You wrote: Be brief." }), 1).await;
    scene.page.until(speaking("agent", true), 3).await;
    connection.say(json!({ "type": "stop" }));
    scene.page.until(json!({ "type": "interrupted" }), 2).await;
    assert_eq!(call.words()[3], "user: Be brief.");
    assert!(call.faults().is_empty(), "{:?}", call.faults());
    connection.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_that_was_lost_comes_back_and_hears_the_rest_and_nothing_twice() {
    let mut scene = Scene::new();
    let (connection, call) = scene.greeted().await;
    scene.page.speak(1_000).await;
    scene.page.until(speaking("agent", true), 2).await;
    sleep(Duration::from_millis(1_500)).await;
    connection.kill().await;
    sleep(Duration::from_secs(9)).await;
    let connection = scene.connect().await;
    let ready = scene.page.until(json!({ "type": "ready", "resumed": true }), 1).await;
    assert_eq!(ready["missed"], 0);
    // It fell silent meanwhile.
    scene.page.until(speaking("agent", false), 3).await;
    let done = scene.page.until(json!({ "type": "done" }), 2).await;
    let item = scene.page.until(json!({ "type": "item", "number": done["number"] }), 1).await;
    let heard = scene.page.heard_of(&item["id"]);
    let [(0, lost), (again, end)] = heard[..] else { panic!("{heard:?}") };
    assert_eq!((lost, end), (again, done["samples"].as_u64().unwrap()));
    assert!((24 * 1_300..24 * 2_000).contains(&lost), "{lost}");
    assert!(call.faults().is_empty(), "{:?}", call.faults());
    connection.say(json!({ "type": "text", "text": "Still there?" }));
    scene.page.until(json!({ "type": "transcript", "text": "You wrote: Still there?" }), 1).await;
    assert_eq!(call.words().len(), 5, "it is one call: {:?}", call.words());
    assert!(scene.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_stays_away_ends_the_call_and_one_that_comes_too_late_begins_another() {
    let mut scene = Scene::new();
    let (connection, call) = scene.greeted().await;
    connection.kill().await;
    let ended = call.finished().await.ended;
    assert!(matches!(ended, Ended::Cancelled { reason } if &*reason == "the other end has gone"));
    let _connection = scene.connect().await;
    scene.page.until(json!({ "type": "ready", "resumed": false }), 2).await;
    scene.page.until(json!({ "type": "transcript", "text": "Hello there." }), 2).await;
}

#[tokio::test]
async fn a_page_on_a_real_socket_interrupts_and_survives_the_loss_of_the_socket() {
    let mut scene = Scene::on_loopback().await;
    let (connection, call) = scene.greeted().await;
    let (interrupted, stopped) = scene.interrupt().await;
    let cut = interrupted["ms"].as_u64().unwrap();
    assert!(cut.abs_diff(ms(&stopped)) <= 50, "{interrupted} {stopped}");
    assert!(call.audio_at_the_server(&interrupted["item"]).await.abs_diff(cut) <= 50);
    scene.page.until(speaking("agent", true), 3).await;
    sleep(Duration::from_millis(500)).await;
    connection.kill().await;
    sleep(Duration::from_millis(300)).await;
    let connection = scene.connect().await;
    scene.page.until(json!({ "type": "ready", "resumed": true }), 1).await;
    connection.say(json!({ "type": "text", "text": "Go on." }));
    scene.page.until(json!({ "type": "transcript", "text": "You wrote: Go on." }), 1).await;
    connection.say(json!({ "type": "bye" }));
    assert!(call.faults().is_empty(), "{:?}", call.faults());
    call.finished().await;
}
